"""The shape of two kinds of pattern data: known kernel bugs, and member offsets of kernel
structs.

In: a `[[known-issue]]` or `[[struct]]` table as tomllib reads it. Out: frozen values; what is wrong
in a table is a pydantic error that names the key. `references` names the classes a table relies on,
so that a misspelt one is a fault. Recognising is the part of `detector.explain.issues`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from detector.lazy_regex import lazy_regex
from detector.model import Confidence

ReleaseStatus = Literal["affected", "vendor", "fixed", "vendor-fixed", "before", "unknown"]
"""How a running kernel stands to an issue: a plain release with the bug, a vendor's build on a base
with the bug, a release that has the fix, a vendor's build on such a release, a release older than
the bug, or not known."""

_BUG = r"^(CVE-\d{4}-\d{4,19}|[0-9a-f]{12})$"
_ID = r"^[a-z0-9]+([._-][a-z0-9]+)*$"
_RELEASE = lazy_regex(r"\d{1,3}\.\d{1,3}(\.\d{1,3})?(-rc\d{1,2})?")


def _kebab(name: str) -> str:
    return name.replace("_", "-")


def _release(text: str | None) -> str | None:
    if text is not None and not _RELEASE.fullmatch(text):
        raise ValueError(f'"{text}" is no kernel release such as 4.19, 4.19.93 or 5.5-rc3')
    return text


class KnownIssueModel(BaseModel):
    """A TOML table with kebab-case keys; an unknown key is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=_kebab, populate_by_name=True
    )


class Conditions(KnownIssueModel):
    """Conditions of a known issue, which must hold together; what is not named always holds.

    `classes`: classes of matches in the evidence, `states`: TCP states a socket was released in:
    every one must be there (`without_classes`: none; `only_states`: no other). `kinds`: the report
    is of one of these; `functions`: the guilty function is; `path`: one of these (an entry may end
    in `*`) is in the call trace, or guilty. `same_socket`: one socket was released in two states,
    or was not. `marks`: one of these was decoded from the fault address. `phrases`: one of these
    texts stands in a line of the evidence or in the title. `releases`: how the running kernel
    stands to the issue; `kernels`: it is one of these, to the letter.
    """

    classes: tuple[str, ...] = ()
    without_classes: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    states: tuple[int, ...] = ()
    only_states: bool = False
    same_socket: bool | None = None
    marks: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    releases: tuple[ReleaseStatus, ...] = ()
    kernels: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if not self.model_fields_set - {"confidence", "releases", "kernels"}:
            raise ValueError("it asks for nothing but the kernel and would hold for every report")
        return self


class When(Conditions):
    """Conditions under which the issue is named, and how surely."""

    confidence: Confidence


class FixCommit(KnownIssueModel):
    """A commit by hash and title; where the title could not be confirmed it is absent, and
    `note` says what is known.
    """

    hash: str = Field(pattern=r"^[0-9a-f]{12,40}$")
    title: str | None = None
    note: str | None = None


class StableRelease(KnownIssueModel):
    """The first release of a stable series that has the fix, how sure that is, and where it was
    read.
    """

    release: str
    certainty: Confidence = "certain"
    source: str | None = None

    _is_release = field_validator("release")(_release)


class Lookalike(KnownIssueModel):
    """Another bug that prints the same and must not be given this name, and what tells it
    apart.
    """

    what: str
    told_by: str


class IssueTest(KnownIssueModel):
    """Facts, and the confidence with which the issue must be named for them ("none": it must
    not).
    """

    title: str
    kind: str = "memory-fault"
    function: str | None = None
    path: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    states: tuple[int, ...] = ()
    same_socket: bool = False
    marks: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    kernel: str | None = None
    expect: Confidence | Literal["none"]


class KnownIssue(KnownIssueModel):
    """A kernel bug: how to recognise it, why it happens, what fixes it, what looks like it.

    `since` is the first mainline release with the bug, `fixed` the first without; `stable` the
    releases before that which got the fix. The issue is named with the strongest `when` that holds,
    unless an `unless` does. `covers` are ids of known bugs (CVE-…, or the first twelve characters
    of a mainline commit) that this issue describes: they are not named beside it.
    """

    id: str = Field(pattern=_ID)
    title: str
    summary: str
    explanation: str
    when: tuple[When, ...] = Field(min_length=1)
    unless: tuple[Conditions, ...] = ()
    since: str | None = None
    fixed: str | None = None
    stable: tuple[StableRelease, ...] = ()
    introduced_by: tuple[FixCommit, ...] = ()
    fixed_by: tuple[FixCommit, ...] = ()
    linked: tuple[FixCommit, ...] = ()
    related: tuple[str, ...] = ()
    lookalike: tuple[Lookalike, ...] = ()
    covers: tuple[Annotated[str, Field(pattern=_BUG)], ...] = ()
    vendor_check: str | None = None
    mitigation: str | None = None
    next_steps: tuple[str, ...] = ()
    references_to: tuple[str, ...] = ()
    test: tuple[IssueTest, ...] = Field(min_length=2)

    _are_releases = field_validator("since", "fixed")(_release)

    @model_validator(mode="after")
    def _shows_both(self) -> Self:
        expected = {case.expect for case in self.test}
        if "none" not in expected or len(expected) < 2:
            raise ValueError("its tests must show a case that is named and one that is not")
        return self

    def build(self) -> KnownIssue:
        """The frozen value of this table: itself."""
        return self

    def references(self) -> Iterator[tuple[str, str]]:
        """(key, name) of every class that this table names."""
        named = [part.classes + part.without_classes for part in (*self.when, *self.unless)] + [
            case.classes for case in self.test
        ]
        yield from (("classes", name) for names in named for name in names)


class StructLayout(KnownIssueModel):
    """Offsets (bytes) of members of one struct, for kernels whose base release is in [since,
    until) on these architectures.
    """

    id: str = Field(pattern=_ID)
    name: str
    arches: tuple[str, ...] = Field(min_length=1)
    since: str
    until: str | None = None
    members: dict[str, int]
    source: str
    note: str | None = None

    _are_releases = field_validator("since", "until")(_release)

    def build(self) -> StructLayout:
        """The frozen value of this table: itself."""
        return self

    def references(self) -> Iterator[tuple[str, str]]:
        """A layout names no class."""
        return iter(())


KnownIssueTable = KnownIssue
StructTable = StructLayout
"""A table of these two kinds is its own value."""
