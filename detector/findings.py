"""Findings: what the first stage hands to the second, as values with a JSON form.

In: what the pipeline finds in chunks. Out: frozen values, and JSON of them that this version and
every later one reads: `v` is the version that wrote it, and fields are only added. A `match` is a
line that a kernel signature claims (or a boot banner), a `report` the whole block that a fault
printed, `line` one line of such a block where the second stage assembles them, `noise` counts of
user-space crashes, `kernel-error` counts of errors of the kernel that no signature claims,
`unclaimed` counts of lines that were not understood, `counters` what parser and assembler counted,
`rejected` a record that a stage raised on. The schema is `schema()`; docs/fleet.md shows an example
of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, TypeAdapter, ValidationError

from detector.kernel_errors.tally import KernelErrorCount
from detector.model import Block, CrashReport, Line, Match, Rejected
from detector.noise import NoiseCount
from detector.unclaimed import UnclaimedCount

# The version that is written. A field more is no new version; one that changes its meaning is.
VERSION = 1
# What is set aside is shown by its first bytes.
SAMPLE_BYTES = 4_096
# No stage counts so many of anything before it sends the sum.
_MOST_COUNTED = 1 << 48


class FindingError(ValueError):
    """A text that should be a finding and is none; the message names the field."""


@dataclass(frozen=True, slots=True)
class MatchFinding:
    """A line that a kernel signature claims. Its boot holds only what the line itself tells; in
    which boot of its stream it was printed is decided where findings are stored.

    `banner` says that it begins a boot. `ordinal` counts the findings of one record, so that
    source, number and ordinal name a finding for good.
    """

    match: Match
    banner: bool = False
    ordinal: int = 0
    kind: Literal["match"] = "match"
    v: int = VERSION

    @property
    def host(self) -> str:
        """Returns whose it is."""
        return self.match.host


@dataclass(frozen=True, slots=True)
class ReportFinding:
    """The block that a fault printed; its head was sent before as a match. `times_us` are the
    kernel times of its lines (None where a line has none), as many as there are lines; nobody sends
    them yet. `report` is what the block says, without its lines, `fingerprint` its identity: None
    where it was not read.
    """

    block: Block
    times_us: tuple[int | None, ...] = ()
    report: CrashReport | None = None
    fingerprint: str | None = None
    ordinal: int = 0
    kind: Literal["report"] = "report"
    v: int = VERSION

    @property
    def host(self) -> str:
        """Returns whose it is."""
        return self.block.head.host


@dataclass(frozen=True, slots=True)
class LineFinding:
    """A line that may be a report's, where reports are assembled by the second stage."""

    line: Line
    ordinal: int = 0
    kind: Literal["line"] = "line"
    v: int = VERSION

    @property
    def host(self) -> str:
        """Returns whose it is."""
        return self.line.host


@dataclass(frozen=True, slots=True)
class NoiseFinding:
    """A count of user-space crashes of one program, host, kind and hour since the last finding
    of the same.
    """

    count: NoiseCount
    kind: Literal["noise"] = "noise"
    v: int = VERSION

    @property
    def host(self) -> str:
        """Returns whose it is."""
        return self.count.host


@dataclass(frozen=True, slots=True)
class KernelErrorFinding:
    """A count of lines of one template that one host's kernel printed on one day, since the
    last finding of the same.
    """

    count: KernelErrorCount
    kind: Literal["kernel-error"] = "kernel-error"
    v: int = VERSION

    @property
    def host(self) -> str:
        """Returns whose it is."""
        return self.count.host


@dataclass(frozen=True, slots=True)
class UnclaimedFinding:
    """A count of lines that were not understood for one reason, with a sample."""

    count: UnclaimedCount
    kind: Literal["unclaimed"] = "unclaimed"
    v: int = VERSION

    @property
    def host(self) -> str:
        """Returns whose the sample is."""
        return self.count.host


@dataclass(frozen=True, slots=True)
class CountersFinding:
    """Counters of parser and assembler since the last finding of this kind, and how much was
    read: the sign of life of a first stage.
    """

    counts: dict[str, int] = field(default_factory=dict)
    records: int = 0
    bytes: int = 0
    host: str = ""
    kind: Literal["counters"] = "counters"
    v: int = VERSION


@dataclass(frozen=True, slots=True)
class RejectedFinding:
    """A record that a stage raised on; its value is cut after `SAMPLE_BYTES`, and base64 in
    JSON.
    """

    __pydantic_config__ = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    rejected: Rejected
    host: str = ""
    kind: Literal["rejected"] = "rejected"
    v: int = VERSION


Finding = (
    MatchFinding
    | ReportFinding
    | LineFinding
    | NoiseFinding
    | KernelErrorFinding
    | UnclaimedFinding
    | CountersFinding
    | RejectedFinding
)
# Those that are sums: they are counted together before they are sent.
COUNTS = (NoiseFinding, KernelErrorFinding, UnclaimedFinding, CountersFinding)

_ADAPTER: TypeAdapter[Finding] = TypeAdapter(Annotated[Finding, Discriminator("kind")])


def to_json(finding: Finding) -> bytes:
    """The JSON form, UTF-8."""
    return _ADAPTER.dump_json(finding)


def from_json(value: bytes) -> Finding:
    """The finding of its JSON form; fields that a later version added are left out. Raises
    FindingError.
    """
    try:
        finding = _ADAPTER.validate_json(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "finding"
        raise FindingError(f"{where}: {first['msg']}") from error
    if finding.v > VERSION:
        raise FindingError(
            f"v: {finding.v} was written by a later oopswatch, and this one reads up to {VERSION}: "
            "upgrade `archive` before `detect`"
        )
    for name, count in _sums(finding):
        if not 0 <= count <= _MOST_COUNTED:
            raise FindingError(f"{finding.kind}.{name}: no stage counts {count}")
    return finding


def _sums(finding: Finding) -> Iterator[tuple[str, int]]:
    """The sums of a finding, with their fields."""
    if isinstance(finding, NoiseFinding | KernelErrorFinding | UnclaimedFinding):
        yield "count.count", finding.count.count
    elif isinstance(finding, CountersFinding):
        yield "records", finding.records
        yield "bytes", finding.bytes
        for name, count in finding.counts.items():
            yield f"counts.{name}", count


def schema() -> dict[str, Any]:
    """The JSON schema of findings."""
    return _ADAPTER.json_schema(mode="serialization")
