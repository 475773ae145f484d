"""Reads the history: incidents, problems, hosts, noise, counts.

Pure SQL over the file, with or without a running service beside it.

In: filters. Out: frozen values (`answers.py`). Writes nothing. Times are µs since 1970; `since_us`
is included, `until_us` is not. Each connection belongs to one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from sqlite3 import Connection, Row
from typing import TYPE_CHECKING, Any, TypeVar

from detector.known import Bug
from detector.render.units import Bucket
from detector.store.connection import connect_reading
from detector.store.errors import StoreError, explained
from detector.store.ingest import backfill, incidents, reports
from detector.store.lifecycle.changes import Change, read_change
from detector.store.query import alike, faults, fleet, kernel_errors, overview, survey
from detector.store.query import incidents as incident_queries
from detector.store.query import known_bugs as known_queries
from detector.store.query import noise as noise_queries
from detector.store.query import problems as problem_queries
from detector.store.query.advice import Advice, advice_of
from detector.store.query.alike import AlikeProblem
from detector.store.query.faults import FaultDetail, FaultRow
from detector.store.query.filters import Filter, as_known, with_known_hosts
from detector.store.query.fleet import By, CrashRates, ReleasesWith
from detector.store.query.incidents import INCIDENT
from detector.store.query.kernel_errors import KernelErrorDetail, KernelErrorRow
from detector.store.query.known_bugs import Exposure
from detector.store.query.noise import EVERYTHING, NoiseColumn
from detector.store.query.results import (
    HistoryTotals,
    HostDetail,
    HostRow,
    IncidentDetail,
    IncidentRow,
    Noise,
    Overview,
    Page,
    ProblemDetail,
    ProblemRow,
    RejectedRow,
    Survey,
    incident_row,
)
from detector.store.rows import from_json, read_diagnosis
from detector.unclaimed import UnclaimedCount

if TYPE_CHECKING:
    from detector.store.query.problem_names import NamingProgress, ProblemNames

T = TypeVar("T")
_PROBLEMS_WITH = 1_000  # problems of one bug

_LIST = f"""{INCIDENT}
WHERE i.joined_into IS NULL
  AND (:host IS NULL OR i.host GLOB :host) AND (:rule IS NULL OR i.rule = :rule)
  AND (:severity IS NULL OR i.severity = :severity) AND (:state IS NULL OR i.state = :state)
  AND (:since IS NULL OR coalesce(i.started_us, i.found_us) >= :since) AND (:until IS NULL
    OR coalesce(i.started_us, i.found_us) < :until)
ORDER BY coalesce(i.started_us, i.found_us) DESC, i.id LIMIT :limit
"""
_BY_PREFIX = f"{INCIDENT} WHERE i.id >= :id AND i.id < :id || x'f4' ORDER BY i.id LIMIT 2"
_CHANGES = "SELECT * FROM changes WHERE id > ? ORDER BY id LIMIT ?"
_CHANGES_OF = "SELECT * FROM changes WHERE incident_id = ? ORDER BY id"


def open_history(path: str | Path, names: ProblemNames | None = None) -> History:
    """Opens an existing history for reading only; `names` tells the bugs that its crashes look
    like. Raises `StoreError` where it is missing, not ours, damaged, or of another version.
    """
    return History(connect_reading(str(path)), str(path), names)


class History:
    """The history, open for reading. Every query raises `StoreError` where the file turns out
    damaged or unreadable.
    """

    def __init__(self, db: Connection, path: str, names: ProblemNames | None = None) -> None:
        self.db = db
        self.path = path
        self._names = names
        self._known = names.known if names is not None else None
        self._connection = db

    def search(
        self, criteria: Filter, *, after: str | None = None, limit: int = 50
    ) -> Page[IncidentRow]:
        """Live incidents of a filter, newest first; `after` is an earlier page's `next`
        (`FilterError` for anything else).
        """
        return self._query(incident_queries.page, self._narrowed(criteria), after, limit)

    def survey(
        self,
        criteria: Filter,
        names: Sequence[str] = (),
        *,
        values: int = 10,
        buckets: int = 60,
        now_us: int | None = None,
        rows: int = 0,
    ) -> Survey:
        """Counts the live incidents of a filter, by the values of some fields and over time.

        Of each field the most frequent values are counted. The survey looks at the newest so many
        incidents, and has the first page of `rows` rows, as `search` has it. Fields are those of
        `search.COLUMNS`; `FilterError` for others. See `survey.survey` for what is
        bounded.
        """
        narrowed = self._narrowed(criteria)
        return self._query(survey.survey, narrowed, names, values, buckets, now_us, rows)

    def incidents(
        self,
        *,
        host: str | None = None,
        since_us: int | None = None,
        until_us: int | None = None,
        rule: str | None = None,
        severity: str | None = None,
        state: str | None = None,
        limit: int = 100,
    ) -> list[IncidentRow]:
        """Live incidents, newest first; `host` is a shell pattern (`db-*`), `limit` -1 means
        all.
        """
        parameters = {
            "host": host and self._query(as_known, host),
            "since": since_us,
            "until": until_us,
            "rule": rule,
            "severity": severity,
            "state": state,
            "limit": limit,
        }
        return [incident_row(row) for row in self._rows(_LIST, parameters)]

    def incident(self, identity: str) -> IncidentDetail | None:
        """One incident, also a joined one, by its id or by a beginning that no other id has; None
        where there is none.
        """
        rows = self._rows(_BY_PREFIX, {"id": identity}) if identity else []
        if not rows:
            return None
        if len(rows) > 1 and rows[0]["id"] != identity:
            raise StoreError(
                f"{self.path}: more than one incident begins with {identity}: give more of its id"
            )
        return self._detail(rows[0])

    def similar(self, identity: str, limit: int = 10) -> list[IncidentRow]:
        """The newest other incidents of the same problem; of one without a fingerprint, of the same
        rule on the same host.
        """
        rows = self._rows(
            "SELECT id, fingerprint, rule, host FROM incidents WHERE id = ?", (identity,)
        )
        if not rows:
            return []
        row = rows[0]
        # A host's name may hold the signs of a pattern.
        host = "".join(f"[{item}]" if item in "*?[" else item for item in row["host"])
        alike = (
            Filter(problem=(row["fingerprint"],))
            if row["fingerprint"]
            else Filter(rule=(row["rule"],), host=(host,))
        )
        return [item for item in self.search(alike, limit=limit + 1).rows if item.id != identity][
            :limit
        ]

    def changes(self, after_id: int = 0, limit: int = 100) -> list[Change]:
        """The changes of incidents after one change, in order."""
        return [read_change(row) for row in self._rows(_CHANGES, (after_id, limit))]

    def changes_of(self, identity: str) -> list[Change]:
        """The changes of one incident, by its whole id, in order."""
        return [read_change(row) for row in self._rows(_CHANGES_OF, (identity,))]

    def last_change(self) -> int:
        """The id of the latest change; 0 where there is none."""
        return int(self._rows("SELECT coalesce(max(id), 0) AS id FROM changes", ())[0]["id"])

    def problems(
        self, criteria: Filter, *, after: str | None = None, limit: int = 50
    ) -> Page[ProblemRow]:
        """Problems of a filter, the one that happened last first; see
        `problem_queries.problems`.
        """
        page = self._query(problem_queries.problems, self._narrowed(criteria), after, limit)
        rows = self._query(known_queries.with_names, page.rows, self._known)
        return Page(rows, page.next)

    def problem(self, fingerprint: str) -> ProblemDetail | None:
        """One problem by its whole fingerprint; None where there is none."""
        detail = self._query(problem_queries.problem, fingerprint)
        if detail is None:
            return None
        (row,) = self._query(known_queries.with_names, [detail.row], self._known)
        return replace(detail, row=row)

    def problem_days(self, fingerprint: str, since_us: int = 0) -> list[Bucket]:
        """The days of a problem that had any report, from the day of a time on."""
        return self._query(problem_queries.problem_days, fingerprint, since_us)

    def advice(self, fingerprint: str) -> list[Advice]:
        """The advice that people left on a problem."""
        return self._query(advice_of, fingerprint)

    def alike(
        self, fingerprint: str | None, functions: Sequence[str], limit: int = 10
    ) -> list[AlikeProblem]:
        """The problems that resemble a crash, the most alike first."""
        return self._query(alike.alike, fingerprint, functions, limit)

    def hosts(
        self, criteria: Filter, *, after: str | None = None, limit: int = 50
    ) -> Page[HostRow]:
        """Hosts of a filter, by name; see `problem_queries.hosts`."""
        return self._query(problem_queries.hosts, self._narrowed(criteria), after, limit)

    def host(self, name: str) -> HostDetail | None:
        """One host by its whole name; None where there is none."""
        return self._query(problem_queries.host, name)

    def overview(self, now_us: int) -> Overview:
        """The overview that on-call looks at first."""
        return self._query(overview.overview, now_us)

    def noise(
        self,
        *,
        by: Sequence[NoiseColumn] = EVERYTHING,
        host: str | None = None,
        process: str | None = None,
        since_us: int | None = None,
        until_us: int | None = None,
        top: int = 100,
        quick: bool = False,
    ) -> Noise:
        """Crashes of user space, added up by some columns, the most frequent first; whole hours
        that touch the time; `top` -1: all.

        `host` is a shell pattern, `process` a whole name. `quick` looks at the newest so many
        counts: see `noise_queries`.
        """
        return self._query(
            partial(noise_queries.noise, quick=quick), by, host, process, since_us, until_us, top
        )

    def noise_hours(
        self, *, host: str | None = None, process: str | None = None, since_us: int, until_us: int
    ) -> list[Bucket]:
        """Crashes of user space by the hour (older ones by the day), hours that have any; of one
        host and one process, or of all.
        """
        return self._query(noise_queries.noise_hours, host, process, since_us, until_us)

    def signature_hits(self, signature: str, since_us: int, until_us: int) -> list[Bucket]:
        """The matches of a signature by the hour (older ones by the day), hours that have any."""
        return self._query(overview.signature_hits, signature, since_us, until_us)

    def unresolved(self) -> dict[tuple[str, ...], int]:
        """Numbers of incidents that are not resolved, by state and severity."""
        return self._query(overview.unresolved)

    def totals(self) -> HistoryTotals:
        """The numbers of hosts, matches, incidents and other rows that the history holds."""
        return self._query(overview.totals)

    def faults(
        self,
        criteria: Filter,
        heads: Collection[str],
        *,
        after: str | None = None,
        limit: int = 50,
    ) -> Page[FaultRow]:
        """Kernel faults of a filter, in an incident or not, newest first; `heads` are the
        signatures that open reports. A page may hold fewer rows than `limit` and still have a next.
        """
        page = self._query(faults.page, self._narrowed(criteria), heads, after, limit)
        return Page(self._query(known_queries.with_bugs, page.rows, self._known), page.next)

    def fault(self, identity: int) -> FaultDetail | None:
        """One kernel fault by its number."""
        detail = self._query(faults.fault, identity)
        if detail is None:
            return None
        (row,) = self._query(known_queries.with_bugs, [detail.row], self._known)
        return replace(detail, row=row)

    def crash_rates(
        self, by: By, since_us: int | None = None, until_us: int | None = None, *, now_us: int
    ) -> CrashRates:
        """Crashes per 1,000 hosts and week, by kernel release or hardware model."""
        return self._query(fleet.rates, by, since_us, until_us, now_us)

    def releases_with(self, fingerprint: str) -> ReleasesWith | None:
        """Since which release a problem is seen; None where its kernels are no releases."""
        return self._query(fleet.releases_with, fingerprint)

    def percent_entered(self) -> int | None:
        """The percentage of an older history that faults, problems and crash rates hold.

        None where they hold all. `run` and `keep run` enter the rest in steps.
        """
        return self._query(backfill.percent_entered)

    def kernel_errors(
        self,
        criteria: Filter,
        *,
        now_us: int,
        news: bool = False,
        after: str | None = None,
        limit: int = 50,
    ) -> Page[KernelErrorRow]:
        """Templates of kernel errors that no signature claims, those that are news first."""
        narrowed = self._query(with_known_hosts, criteria)
        return self._query(kernel_errors.page, narrowed, news, now_us, after, limit)

    def kernel_error(self, identity: str, now_us: int) -> KernelErrorDetail | None:
        """One template of kernel errors by its id; None where there is none."""
        return self._query(kernel_errors.detail, identity, now_us)

    def rejected(self, *, after: str | None = None, limit: int = 50) -> Page[RejectedRow]:
        """The records that were set aside, newest first."""
        query = "SELECT * FROM rejected WHERE id < :id ORDER BY id DESC LIMIT :limit"
        place = {"id": int(after) if after else 1 << 62, "limit": limit}
        rows = [RejectedRow(**dict(row)) for row in self._rows(query, place)]
        return Page(rows, str(rows[-1].id) if len(rows) == limit else None)

    def counters(self) -> dict[str, int]:
        """The named counters, such as the records that no format reads."""
        return {
            row["name"]: row["count"]
            for row in self._rows("SELECT name, count FROM counters ORDER BY name", {})
        }

    def unclaimed(self) -> list[UnclaimedCount]:
        """The lines that hold the phrase of a kernel fault and were not understood, by reason."""
        return self._query(overview.unclaimed)

    def close(self) -> None:
        """Closes the connection."""
        self.db.close()

    def _detail(self, row: Row) -> IncidentDetail:
        with explained(self.path):
            incident = incidents.load(self._connection, row)
            block = reports.block_of(self._connection, row["anchor_id"])
            details = self._connection.execute(
                "SELECT details FROM reports WHERE match_id = ?", (row["anchor_id"],)
            ).fetchone()
            report = from_json(details[0]) if details and details[0] else None
            diagnosis = read_diagnosis(row["diagnosis"]) if row["diagnosis"] else None
        issue = diagnosis.known_issue if diagnosis else None
        names = self._known.of_block(block, issue) if self._known else ()
        return IncidentDetail(incident_row(row), incident, block, report, diagnosis, names)

    def exposure(self, bug: Bug) -> Exposure:
        """The hosts by how their kernels stand to a bug."""
        return self._query(known_queries.exposure, bug)

    def problems_with(self, bug: Bug) -> list[ProblemRow]:
        """The problems whose latest report looks like a bug, the latest first."""
        return self.problems(Filter(known=(bug.id.lower(),)), limit=_PROBLEMS_WITH).rows

    def naming(self) -> NamingProgress | None:
        """The progress of naming problems; None where nothing names them."""
        return self._names.naming() if self._names is not None else None

    def name_problems(self) -> int:
        """Names the next problems, some at a time; how many are left."""
        return self._query(self._names.step) if self._names is not None else 0

    def name_problems_again(self) -> None:
        """Has every problem looked at once more, step by step."""
        if self._names is not None:
            self._query(self._names.again)

    def _narrowed(self, criteria: Filter) -> Filter:
        """The filter with hosts as they are known, without what only the index knows: problems take
        its place.
        """
        return self._query(
            known_queries.narrowed, self._query(with_known_hosts, criteria), self._names
        )

    def _query(self, question: Callable[..., T], *about: object) -> T:
        with explained(self.path):
            return question(self._connection, *about)

    def _rows(self, query: str, parameters: dict[str, Any] | Sequence[Any]) -> list[Row]:
        with explained(self.path):
            return self._connection.execute(query, parameters).fetchall()
