"""Writes the history: matches, reports, incidents, noise and positions.

Each batch is one transaction. It also answers the questions of correlation.

In: nouns. Out: stored matches and their neighbours. Whatever is added again changes nothing, in
whatever order it comes: equal lines of one boot fold into one match. Noise counts are the
exception: they are added up, and hold because they are committed with the positions that they were
counted to. Every write belongs inside `with journal.transaction():`. Not thread-safe. Decides
nothing about incidents: `correlate.py` does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from sqlite3 import Connection, Error
from typing import TYPE_CHECKING

from detector.boots import TOLERANCE_US, LineStream
from detector.clock import now_us
from detector.correlate import EVIDENCE_LIMIT, StoredMatch
from detector.kept_bytes import KeptBytes
from detector.kernel_errors.tally import KernelErrorCount
from detector.model import Block, CrashReport, Diagnosis, Incident, Match, Rejected
from detector.noise import NoiseCount
from detector.repeat_runs import Repeat, RepeatCount, RepeatKey
from detector.same_boot import UNNAMED, BootEvidence
from detector.store.connection import connect_writing, demand_file, file_of
from detector.store.errors import explained
from detector.store.ingest import (
    batch_counters,
    faults,
    incidents,
    positions,
    rejected,
    reports,
)
from detector.store.ingest.batch_counters import Tallies
from detector.store.ingest.kernel_errors import KernelErrorNews, KernelErrors
from detector.store.ingest.matches import Matches
from detector.store.ingest.neighbours import Neighbours
from detector.store.ingest.positions import Positions
from detector.store.ingest.repeats import StoredRepeats
from detector.store.ingest.sightings import Sightings
from detector.store.ingest.spreads import Spreads
from detector.store.query import search_index
from detector.store.rows import (
    COUNT_LIMIT,
    NAME_LIMIT,
    clean,
    clean_match,
    read_match,
)
from detector.store.turns import begin_writing
from detector.unclaimed import UnclaimedCount

if TYPE_CHECKING:
    from detector.store.query.history import History

_COUNTER = f"""
INSERT INTO counters (name, count) VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET count = min(count + excluded.count, {COUNT_LIMIT})
"""  # noqa: S608


def open_journal(
    path: str | Path,
    *,
    tolerance_us: int = TOLERANCE_US,
    unnamed: Collection[str] = UNNAMED,
    clock: Callable[[], int] = now_us,
    images: KeptBytes | None = None,
) -> Journal:
    """Opens the history at `path` for writing; creates it, or brings an older one up to date.

    The path ":memory:" is a history that is not kept; `images` keeps what it begins as. Raises
    `StoreError` for a file that is not ours, damaged, newer than this version, locked or not
    writable.
    """
    db = connect_writing(str(path), images)
    try:
        with explained(str(path)):
            return Journal(db, str(path), tolerance_us, unnamed, clock)
    except BaseException:
        db.close()
        raise


class Journal:
    """The history, open for writing.

    `clock` says when an incident was found; `sources` where each source stands, `spreads` on which
    hosts a value was seen, `repeats` what was counted of lines that repeat.
    """

    def __init__(
        self,
        db: Connection,
        path: str,
        tolerance_us: int,
        unnamed: Collection[str],
        clock: Callable[[], int],
    ) -> None:
        self.db = db
        self.path = path
        self._clock = clock
        self._connection = db
        self._file = file_of(path)
        self._matches = Matches(self._connection, tolerance_us)
        self._neighbours = Neighbours(self._connection, tolerance_us, unnamed)
        self._sightings = Sightings()
        self._tallies = Tallies()
        self._unindexed: set[str] = set()
        self._changed: set[int] = set()
        self._kernel_errors = KernelErrors(self._connection)
        self.repeats = StoredRepeats(self._connection, self._matches)
        self.spreads = Spreads(self._connection, clock)
        self.sources = Positions(self._connection, self.transaction)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One batch: everything inside is committed together, or rolled back where anything raises;
        raises `StoreError`.

        The file is held from the start: a transaction that reads first and writes later fails if
        another process writes in between.
        """
        demand_file(self.path, self._file)
        with explained(self.path):
            begin_writing(self._connection, self.path)
            try:
                yield
                self.flush()
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(Error):
                    self.db.rollback()
                raise
            finally:
                self._clear()

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """One step of a batch, inside its transaction: what raises is undone to here, and passed
        on; raises `StoreError` where the store itself is at fault. What it leaves to be
        written later is no part of it: see `flush`.
        """
        with explained(self.path):
            self._connection.execute("SAVEPOINT step")
            try:
                yield
                self._connection.execute("RELEASE step")
            except BaseException:
                self._clear()
                with suppress(Error):
                    self._connection.execute("ROLLBACK TO step")
                    self._connection.execute("RELEASE step")
                raise

    def flush(self) -> None:
        """Writes what waits for the end of a batch or a step."""
        self._sightings.flush(self._connection)
        self._tallies.flush(self._connection)
        if self._changed:
            faults.refresh(self._connection, self._changed, self._clock())
        self._changed.clear()
        for identity in sorted(self._unindexed):
            search_index.index(self._connection, identity)
        self._unindexed.clear()

    def _clear(self) -> None:
        self._matches.forget()
        self._sightings.clear()
        self._tallies.clear()
        self._unindexed.clear()
        self._changed.clear()

    def add_match(self, match: Match) -> tuple[StoredMatch, bool]:
        """Stores a kernel match, or folds it into the one that it repeats (same host, time, text
        and perhaps boot). Returns it as it is stored, which is what to correlate, and whether it is
        new.
        """
        if match.origin != "kernel":
            raise ValueError("noise is counted, not stored")
        match = clean_match(match)
        self._sightings.boot(match)
        stored, new = self._matches.add(match)
        self._changed.add(stored.id)
        if new:
            self._tallies.match(match.signature, match.wall_time_us)
        return stored, new

    def find(self, match: Match) -> StoredMatch | None:
        """The stored match that a match repeats, if any."""
        return self._matches.find(match)

    def sources_of(self, host: str) -> list[str]:
        """The sources that the first stored matches of a host came from."""
        query = "SELECT DISTINCT source FROM (SELECT source FROM matches WHERE host = ? LIMIT 1000)"
        return [row[0] for row in self._connection.execute(query, (host,))]

    def note_boot(self, match: Match) -> None:
        """A boot banner: the host, its boot and when that began are noted, the line itself is not
        kept.
        """
        match = clean_match(match)
        self._sightings.boot(match)
        self._neighbours.note_banner(match)

    def neighbours(self, stored: StoredMatch, span_us: int) -> list[StoredMatch]:
        """The other matches of the same host and, as far as is known, boot within `span_us`; see
        `Neighbours.of`.
        """
        return self._neighbours.of(stored, span_us)

    def boot_evidence(self, matches: Sequence[Match]) -> BootEvidence:
        """The evidence that tells boots of stored matches apart; see `Neighbours.boot_evidence`."""
        return self._neighbours.boot_evidence(matches)

    def add_report(
        self,
        match_id: int,
        block: Block,
        report: CrashReport | None = None,
        fingerprint: str | None = None,
    ) -> None:
        """Stores the block that a match opened, verbatim, with what was read from it."""
        reports.save_report(self._connection, match_id, block, report, fingerprint)
        self._changed.add(match_id)
        if report and report.kernel:
            self._sightings.boot(self._matches.get(match_id), report.kernel, report.package)

    def save_open_blocks(
        self, blocks: Iterable[tuple[int, Block]], still: Iterable[int] | None = ()
    ) -> None:
        """Stores all blocks that are open at the end of a batch, so that a restart goes on with
        them; `still`: ids of unchanged ones, None where none has ended.
        """
        opened = list(blocks)
        reports.save_open(self._connection, opened, still)
        self._changed.update(match_id for match_id, _ in opened)

    def open_blocks(self) -> list[tuple[int, Block]]:
        """The blocks that were open at the last commit, with the ids of their heads."""
        with explained(self.path):
            return reports.open_blocks(self._connection)

    def block_of(self, match: Match) -> Block | None:
        """The part that is stored so far of the block that a match opened; None where none is."""
        stored = self._matches.find(match)
        return reports.block_of(self._connection, stored.id) if stored else None

    def save_incident(
        self,
        incident: Incident,
        evidence: Sequence[int],
        diagnosis: Diagnosis | None = None,
        report: CrashReport | None = None,
    ) -> bool:
        """Stores an incident, or what more is known of it; True where it is new.

        `evidence` are ids of stored matches, the anchor's among them; it is added to, never taken
        away. The incidents in `joined` stay, and point at this one from now on.
        """
        anchor = self._matches.find(incident.anchor, evidence)
        if anchor is None:
            raise ValueError(f"incident {incident.id}: its anchor is not among its evidence")
        self._unindexed.add(incident.id)
        return incidents.save(
            self._connection, incident, anchor.id, evidence, diagnosis, report, self._clock()
        )

    def resting_on(self, match_ids: Sequence[int]) -> list[incidents.RestingIncident]:
        """The incidents that rest on any of these matches."""
        return incidents.resting_on(self._connection, match_ids)

    def join(self, joined: str, live: str) -> None:
        """Makes one incident a part of another."""
        incidents.join(self._connection, joined, live, self._clock())

    def evidence(self, ids: Sequence[str], limit: int = EVIDENCE_LIMIT) -> list[StoredMatch]:
        """At most `limit` matches that incidents, and those joined into them, rest on: their
        anchors first, then the earliest.
        """
        return [
            StoredMatch(row["id"], read_match(row))
            for row in incidents.evidence(self._connection, ids, limit)
        ]

    def anchored(
        self, match_id: int, limit: int = EVIDENCE_LIMIT
    ) -> list[tuple[Incident, tuple[int, ...]]]:
        """The live incidents that a match anchors, each with the ids of at most `limit` matches of
        its evidence.
        """
        return incidents.anchored(self._connection, match_id, limit)

    def count_noise(self, rows: Iterable[NoiseCount]) -> None:
        """Adds counts of user-space crashes to those of their host, process, signature and hour."""
        batch_counters.add_noise(self._connection, rows, self._sightings, self._tallies)

    def count_kernel_errors(
        self, rows: Sequence[KernelErrorCount], learning_us: int
    ) -> list[KernelErrorNews]:
        """Adds counts of lines that no signature claims; returns what of them is news."""
        for row in rows:
            self._sightings.host(clean(row.host, NAME_LIMIT), row.first_us, row.last_us)
        # The banners of the same batch say which kernel printed the lines.
        self._sightings.flush(self._connection)
        news, counts = self._kernel_errors.add(rows, learning_us)
        self.add_counts(counts)
        return news

    def kernel_error(self, identity: str) -> str:
        """The template of a kernel error that is stored."""
        return self._kernel_errors.template(identity)

    def add_repeats(
        self,
        counts: Sequence[RepeatCount],
        changed: Sequence[tuple[RepeatKey, Repeat]],
        needless: Sequence[int],
    ) -> None:
        """Adds counts of lines that repeat, stores how far those runs have come that changed, and
        removes those that nobody needs.
        """
        self.repeats.save(counts, changed, needless)
        for row in counts:
            self._tallies.repeats(row.signature, row.hour_us, row.count)
        for _, repeat in changed:
            if isinstance(repeat.held, Match):
                self._sightings.boot(clean_match(repeat.held))

    def add_counts(self, counts: Mapping[str, int]) -> None:
        """Adds to named counters, such as the records that no format reads."""
        self._connection.executemany(
            _COUNTER,
            [
                (clean(name, NAME_LIMIT), max(0, min(count, COUNT_LIMIT)))
                for name, count in counts.items()
            ],
        )

    def add_rejected(self, rows: Sequence[Rejected]) -> list[Rejected]:
        """Stores what was set aside, at most some thousand of them, and counts it; returns what of
        it is new.
        """
        new = rejected.add(self._connection, rows, self._clock())
        self.add_counts(Counter(f"rejected:{row.stage}" for row in new))
        return new

    def add_unclaimed(self, rows: Sequence[UnclaimedCount]) -> None:
        """Adds to the counts of lines that no signature claims, and keeps the newest samples."""
        batch_counters.add(self._connection, rows)

    def set_positions(self, ends: Mapping[str, int], held: Mapping[str, int] | None = None) -> None:
        """Stores where every source stands after this batch; see `Positions.advance`."""
        self.sources.advance(ends, held)

    def positions(self) -> dict[str, int]:
        """The position of every source at the last commit.

        On a restart these win over what a broker remembers.
        """
        with explained(self.path):
            return {source: position.offset for source, position in self.sources.all().items()}

    def save_streams(self, moved: Mapping[str, LineStream]) -> None:
        """Stores where streams of lines stand in their boots: those that moved in this batch."""
        positions.save(self._connection, moved)

    def stored_streams(self, names: Sequence[str]) -> dict[str, LineStream]:
        """Some streams as they were stored last, by name, without those that never were."""
        return positions.read(self._connection, names)

    def streams(self) -> dict[str, LineStream]:
        """The streams, by name, as they were at the last commit."""
        with explained(self.path):
            return positions.read_all(self._connection)

    def cursor(self, name: str) -> int:
        """The id of the last change that a reader of the log of changes has read; 0 without one."""
        row = self._connection.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
        return int(row[0]) if row else 0

    def save_cursor(self, name: str, change_id: int) -> None:
        """Stores how far a reader of the log of changes has come."""
        about = "INSERT OR REPLACE INTO about (name, value) VALUES (?, ?)"
        self._connection.execute(about, (name, str(change_id)))

    def history(self) -> History:
        """The same data for reading, over the same connection: also of a history in memory."""
        from detector.store.query.history import History  # a scan never asks its own history

        return History(self.db, self.path)

    def close(self) -> None:
        """Closes the file; what was not committed is gone."""
        self.db.close()
