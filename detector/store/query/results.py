"""Results of queries: frozen rows of incidents, problems, hosts, noise and counts.

No SQL is executed here.

In: rows of queries. Out: values. Times are µs since 1970 (`*_kernel*_us`: since boot).
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, fields
from sqlite3 import Row
from typing import Any, Generic, TypeVar

from detector.known.names import KnownBug
from detector.model import Block, Diagnosis, Incident
from detector.render.objects import Item
from detector.render.units import Bucket
from detector.store.query.advice import Advice
from detector.store.query.filters import FilterError
from detector.unclaimed import UnclaimedCount

T = TypeVar("T")
# The greatest integer that SQLite stores: no row has a greater number.
GREATEST = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows of a list, and what to ask for next (`after`); None where these are the last.

    New rows never shift a page.
    """

    rows: list[T]
    next: str | None


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """One incident of a list.

    `found_us` is when it was found, `matches` how many it rests on; its anchor's report says
    what crashed.
    """

    id: str
    rule: str
    severity: str
    host: str
    boot: str
    time_basis: str
    gap_us: int
    started_us: int | None
    found_us: int
    kernel_time_us: int | None
    title: str
    kind: str | None
    function: str | None
    module: str | None
    kernel: str | None
    fingerprint: str | None
    known_issue: str | None
    state: str
    regression: int
    changed_us: int | None
    joined_into: str | None
    matches: int


@dataclass(frozen=True, slots=True)
class IncidentDetail:
    """All that is stored of one incident: the noun with its evidence, its anchor's block, what
    was read from that, the diagnosis; and the known bugs that it looks like today.
    """

    row: IncidentRow
    incident: Incident
    block: Block | None
    report: Item | None
    diagnosis: Diagnosis | None
    known_bugs: tuple[KnownBug, ...] = ()


@dataclass(frozen=True, slots=True)
class Facet:
    """One value that incidents have, and how many of those that were looked at have it."""

    value: str
    count: int


@dataclass(frozen=True, slots=True)
class Counted:
    """A count; `more` where counting stopped there."""

    count: int
    more: bool


@dataclass(frozen=True, slots=True)
class Survey:
    """Common values of a filter's incidents, their times, and the newest of them."""

    counted: Counted
    facets: dict[str, list[Facet]]
    histogram: list[Bucket]
    first: Page[IncidentRow]


@dataclass(frozen=True, slots=True)
class ProblemRow:
    """All reports and incidents with one fingerprint, added up; it is called as its latest
    incident is, without one as its latest report, whose known bugs it has.
    """

    fingerprint: str
    title: str | None
    kind: str | None
    function: str | None
    module: str | None
    severity: str
    known_issue: str | None
    first_us: int
    last_us: int
    incidents: int
    hosts: int
    state: str
    state_us: int | None
    state_by: str | None
    fixed_in: str | None
    regressions: int
    regressed_us: int | None
    reports: int
    known_bugs: tuple[KnownBug, ...] = ()


@dataclass(frozen=True, slots=True)
class ProblemShare:
    """The share of one host, kernel release or hardware model in a problem."""

    name: str
    incidents: int
    first_us: int
    last_us: int
    reports: int


@dataclass(frozen=True, slots=True)
class Attribution:
    """The number of a problem's incidents that are attributed to a known issue, by confidence."""

    known_issue: str
    confidence: str
    incidents: int


@dataclass(frozen=True, slots=True)
class ProblemDetail:
    """A problem with the hosts, kernels and hardware that have most of it, its newest days that
    had any report (of `days_total`), its newest incidents, and how many of these name which known
    issue.
    """

    row: ProblemRow
    hosts: list[ProblemShare]
    kernels: list[ProblemShare]
    days: list[Bucket]
    incidents: list[IncidentRow]
    hardware: list[ProblemShare]
    attributed: list[Attribution]
    advice: list[Advice]
    days_total: int = 0


@dataclass(frozen=True, slots=True)
class HostRow:
    """One host: when lines of it were stored, the kernel of its latest boot that told one, its
    live incidents.
    """

    name: str
    first_seen_us: int | None
    last_seen_us: int | None
    kernel: str | None
    incidents: int
    last_incident_us: int | None


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A record that was set aside: when, where it is, which stage raised, `size` of its bytes,
    and the first of them.
    """

    id: int
    at_us: int
    source: str
    number: int
    stage: str
    reason: str
    size: int
    sample: bytes


@dataclass(frozen=True, slots=True)
class BootRow:
    """One boot of a host."""

    id: int
    boot_id: str | None
    epoch_us: int | None
    first_kernel_us: int | None
    last_kernel_us: int | None
    kernel: str | None


@dataclass(frozen=True, slots=True)
class NoiseRow:
    """Crashes of user space, added up over the columns that are None."""

    host: str | None
    process: str | None
    signature: str | None
    hour_us: int | None
    count: int
    first_us: int | None
    last_us: int | None
    first_kernel_us: int | None
    last_kernel_us: int | None


@dataclass(frozen=True, slots=True)
class Noise:
    """Rows of noise, the most frequent first; where there is too much to look at, what was
    counted from `counted_us` on.
    """

    rows: list[NoiseRow]
    counted_us: int | None


@dataclass(frozen=True, slots=True)
class HostDetail:
    """A host with its latest boots, newest incidents, and the programs that crash most on it."""

    row: HostRow
    boots: list[BootRow]
    incidents: list[IncidentRow]
    noise: list[NoiseRow]


@dataclass(frozen=True, slots=True)
class HeatRow:
    """Incidents of one host (or of all others together: host None), by the hour, the oldest
    hour first.
    """

    host: str | None
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class HistoryTotals:
    """Totals of the history; `incidents` without those that were joined into another."""

    hosts: int
    boots: int
    matches: int
    reports: int
    open_reports: int
    incidents: int
    joined: int
    noise: int
    first_us: int | None
    last_us: int | None


@dataclass(frozen=True, slots=True)
class OpenProblem:
    """The open and acknowledged incidents of one problem; an incident without a fingerprint is
    one by itself. `incident` and `title` are of one of them, `severity` is the worst, times are
    of their begin.
    """

    fingerprint: str | None
    incident: str
    title: str
    severity: str
    incidents: int
    hosts: int
    first_us: int
    last_us: int


@dataclass(frozen=True, slots=True)
class Overview:
    """The overview for on-call.

    `open` and `acknowledged` count live incidents by severity; problems are new or back within
    a week; `rejected` counts the records that were set aside.
    """

    now_us: int
    open: dict[str, int]
    acknowledged: dict[str, int]
    newest: list[IncidentRow]
    oldest_open_us: int | None
    latest_us: int | None
    new_problems_day: int
    new_problems_week: int
    new_problems: list[ProblemRow]
    regressions: list[ProblemRow]
    heat_start_us: int
    heat: list[HeatRow]
    noise: list[NoiseRow]
    totals: HistoryTotals
    unclaimed: list[UnclaimedCount]
    open_problems: list[OpenProblem]
    open_problems_counted: Counted
    rejected: int


def named(noun: type[Any], row: Row) -> dict[str, Any]:
    """The columns of a row that a noun has fields for."""
    names = {field.name for field in fields(noun)}
    return {name: row[name] for name in row.keys() if name in names}  # noqa: SIM118


def incident_row(row: Row) -> IncidentRow:
    """A row that tells the headline beside the columns of `incidents`."""
    return IncidentRow(**(named(IncidentRow, row) | {"title": row["headline"]}))


def row_number(text: str) -> int | None:
    """The number of a stored row that a text writes; None for what no row can have."""
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(GREATEST))):
        return None
    number = int(text)
    return number if number <= GREATEST else None


def spell_place(*keys: int | str) -> str:
    """Returns where a page ends, as an opaque word for `after`."""
    return base64.urlsafe_b64encode(json.dumps(keys).encode()).decode().rstrip("=")


def read_place(after: str, *kinds: type[Any]) -> list[Any]:
    """The keys that `spell_place` wrote; raises `FilterError` for what it did not write."""
    try:
        keys = json.loads(
            base64.urlsafe_b64decode(after.encode("ascii") + b"=" * (-len(after) % 4))
        )
        fits = isinstance(keys, list) and [type(key) for key in keys] == list(kinds)
        if not fits or any(isinstance(key, int) and not 0 <= key <= GREATEST for key in keys):
            raise ValueError(after)
    except (ValueError, binascii.Error, RecursionError) as error:
        raise FilterError(
            "after", "no place in this list: give what an earlier page said was next"
        ) from error
    return list(keys)
