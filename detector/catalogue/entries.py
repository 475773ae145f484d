"""The frozen values that a catalogue holds, and the error that lists its faults.

Nothing here reads TOML or judges a pattern: `tables` validates the shape, `checks` the meaning,
`reading` builds these values.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import regex

from detector.catalogue.known_issues import KnownIssue, StructLayout
from detector.errors import UserError
from detector.model import Origin, Severity
from detector.toml_tables import LocatedFault

if TYPE_CHECKING:
    from detector.member.kernel import KernelBuild

Opens = Literal["report", "rest"]
RuleType = Literal["temporal", "temporal_ordered", "event_count", "value_count"]
# The settings that put a shipped rule in force; each is off by default.
RuleSwitch = Literal[
    "rules.lone_faults", "rules.outbreaks", "rules.noise_bursts", "rules.kernel_errors"
]

# A list's regexes meet function and process names, which are short; this bounds a pattern that
# slipped through the checks.
_NAME_TIMEOUT_S = 0.01
_NAMES_KEPT = 8_192


_GENERIC_FUNCTIONS = "generic-functions"


class CatalogueError(UserError, ValueError):
    """The pattern files hold faults: all of them, sorted by path and line."""

    def __init__(self, faults: tuple[LocatedFault, ...]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Signature:
    """A kernel-log phrase that we know.

    `literals`: every text that `regex` accepts holds at least one of them (they feed the byte
    scanner). `regex` is matched at the start of a line's text. `opens` says that the lines after it
    belong to its report; "rest" that it opens one only where none is open, being a line from within
    a report whose first lines were lost. `alone` is its class where no line of the same report came
    before it, if its text matches `alone_when`. A `marker` (boot banner) is no fault. A `fallback`
    is asked only when no other signature claims the line. `source` names the kernel file and
    versions, `meaning` is a sentence for a tired person.
    """

    id: str
    cls: str
    origin: Origin
    severity: Severity
    title: str
    literals: tuple[str, ...]
    regex: str
    opens: Opens | None = None
    alone: str | None = None
    alone_when: str | None = None
    marker: bool = False
    fallback: bool = False
    source: str = ""
    meaning: str = ""
    runbook: str = ""
    examples: tuple[str, ...] = ()
    rejects: tuple[str, ...] = ()
    path: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class RuleTest:
    """A rule's own test: the matches that are given, and how many incidents to expect.
    `given` holds (signature or class, host, kernel time in µs) in order of arrival, for value_count
    (value, host, wall time in µs); `expect` counts the incidents.
    """

    name: str
    given: tuple[tuple[str, str, int], ...]
    expect: int
    line: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """The conditions of one incident: mostly signatures or classes that meet on one host.
    They meet within `timespan_us`.

    Exactly one of `classes` and `signatures` is filled. Type "temporal" asks for all names in any
    order, "temporal_ordered" in the order written; both have two names or more, and `anchor` is the
    one whose match identifies the incident. "event_count" asks for `gte` matches of any of the
    names; its `anchor` is "", since the earliest match identifies the incident. "value_count" asks
    for one value of `group_by` (the fingerprint of a report, the process of noise, the template of
    a kernel error that is news) on `gte` hosts within the hours of `timespan_us`, and names no
    signature; where `times_usual` is not 0, on so many times as many hosts a day as usual, too.
    `switch` names the setting without which the rule is not in force. `resolve_on_reboot`: a reboot
    of the host ends the incident, since what it tells of does not outlive the running kernel.
    """

    id: str
    title: str
    type: RuleType
    classes: tuple[str, ...]
    signatures: tuple[str, ...]
    anchor: str
    group_by: tuple[str, ...]
    timespan_us: int
    severity: Severity
    reasoning: str
    resolve_on_reboot: bool = False
    gte: int = 1
    times_usual: int = 0
    switch: RuleSwitch | None = None
    tests: tuple[RuleTest, ...] = ()
    path: str = ""
    line: int = 0

    @property
    def counts_hosts(self) -> bool:
        """Returns whether the rule asks on how many hosts one value is seen."""
        return self.type == "value_count"

    @property
    def is_lone(self) -> bool:
        """Returns whether one match alone raises its incident."""
        return self.type == "event_count" and self.gte == 1


@dataclass(frozen=True, slots=True)
class NameList:
    """A named list of names, such as functions to skip.
    It holds whole names, and regexes that must cover a whole name; those are compiled when the
    first name is asked for.
    """

    id: str
    title: str = ""
    entries: frozenset[str] = frozenset()
    regexes: tuple[str, ...] = ()
    _holds: Callable[[str], bool] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_holds", lru_cache(maxsize=_NAMES_KEPT)(self._covers))

    def __contains__(self, name: object) -> bool:
        """Whether `name` is an entry or a regex covers it, which is asked once for each name; a
        regex that runs out of its time says no.
        """
        return isinstance(name, str) and self._holds(name)

    def _covers(self, name: str) -> bool:
        if name in self.entries:
            return True
        try:
            return any(
                pattern.fullmatch(name, timeout=_NAME_TIMEOUT_S)
                for pattern in _compiled(self.regexes)
            )
        except TimeoutError:
            return False


@lru_cache(maxsize=64)
def _compiled(regexes: tuple[str, ...]) -> tuple[regex.Pattern[str], ...]:
    return tuple(map(regex.compile, regexes))


def no_kernels(_release: str) -> Sequence[KernelBuild]:
    """Knows no kernel's code."""
    return ()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything that the pattern files say, in the order of their paths and of the tables in
    them.
    """

    signatures: tuple[Signature, ...] = ()
    rules: tuple[Rule, ...] = ()
    known_issues: tuple[KnownIssue, ...] = ()
    structs: tuple[StructLayout, ...] = ()
    lists: Mapping[str, NameList] = field(default_factory=dict)
    kernels: Callable[[str], Sequence[KernelBuild]] = field(default=no_kernels, compare=False)
    """The builds of a release whose code, symbols and types are at hand (symbols packs)."""
    generic_functions: Container[str] = field(init=False, repr=False, compare=False)
    """Functions that are never the guilty one: allocation, locking, printk …"""
    _by_id: Mapping[str, Signature] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        generic = self.lists.get(_GENERIC_FUNCTIONS, frozenset[str]())
        object.__setattr__(self, "generic_functions", generic)
        object.__setattr__(
            self, "_by_id", {signature.id: signature for signature in self.signatures}
        )

    def rules_in_force(self, switched_on: Container[str] = ()) -> tuple[Rule, ...]:
        """The rules that need no setting, and those whose setting is among `switched_on`."""
        return tuple(
            rule for rule in self.rules if rule.switch is None or rule.switch in switched_on
        )

    @property
    def opening(self) -> Mapping[str, Opens]:
        """The signatures that open a report, or what is left of one."""
        return {signature.id: signature.opens for signature in self.signatures if signature.opens}

    @property
    def classes(self) -> frozenset[str]:
        """The classes that signatures belong to."""
        return frozenset(signature.cls for signature in self.signatures)

    def signature(self, name: str) -> Signature | None:
        """The signature whose id is `name`, or None."""
        return self._by_id.get(name)
