"""The stored matches: equal lines fold into one, and the neighbours of a match are found by index.

In: matches. Out: stored matches. Runs inside the transaction of the journal that owns it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from sqlite3 import Connection, Row
from typing import Any, cast

from detector.correlate import StoredMatch
from detector.model import Boot, Match
from detector.same_boot import (
    GRAINS_US,
    Banner,
    BootEvidence,
    grain_us,
    same_boot,
    same_line,
    same_stamp,
)
from detector.store.rows import (
    INSERT_MATCH,
    MAYBE_SAME_BOOT,
    clean_match,
    match_key,
    match_row,
    read_match,
)

# A window with more matches than this is a storm, or the same minute of many boots: of each
# signature the nearest are looked at.
CROWD = 64
EACH_SIDE = 16
# Of a host in a boot loop the latest banners are asked.
BANNERS = 1_000

_FOLD = """
UPDATE matches SET kernel_time_us = ?, wall_time_us = ?, boot_id = ?, epoch_us = ?, stream = ?, boot_count = ?, boot_before = ?, caller = ?, source = ?, number = ?
WHERE id = ?
"""
_BANNER = "INSERT INTO banners (host, wall_us, boot_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_BANNERS = (
    "SELECT wall_us, boot_id FROM banners WHERE host = ? AND wall_us BETWEEN ? AND ? "
    "ORDER BY wall_us DESC LIMIT ?"
)
# Few matches are evidence: asking for more only where one is keeps the hot path quick.
_COLUMNS = "m.*, EXISTS (SELECT 1 FROM evidence WHERE match_id = m.id) AS used"
# The same stamp, or the same one rounded to a grain; where it is itself rounded, all that it may
# stand for.
_SAME_STAMP = f"""
SELECT {_COLUMNS} FROM matches m WHERE host = :host AND text = :text
  AND kernel_time_us IN (:kernel, {", ".join(f":floor{grain}, :ceiling{grain}" for grain in GRAINS_US)})
ORDER BY kernel_time_us <> :kernel, id
"""  # noqa: S608
_ROUNDED_STAMP = f"""
SELECT {_COLUMNS} FROM matches m WHERE host = :host AND text = :text
  AND kernel_time_us BETWEEN :kernel - :grain AND :kernel + :grain ORDER BY abs(kernel_time_us - :kernel), id
"""  # noqa: S608
_SAME_KEY = f"SELECT {_COLUMNS} FROM matches m WHERE key = ? ORDER BY id"  # noqa: S608
_INCIDENTS = """
SELECT i.rule, coalesce(i.joined_into, i.id) FROM evidence e JOIN incidents i ON i.id = e.incident_id WHERE e.match_id = ? ORDER BY i.id
"""

_KERNEL = "kernel_time_us BETWEEN :kernel - :span AND :kernel + :span"
_WALL = "wall_time_us BETWEEN :wall - :span AND :wall + :span"
_UNSTAMPED = f"kernel_time_us IS NULL AND {_WALL}"
# All signatures of a host, by one look into the index for each.
_SIGNATURES = """
WITH RECURSIVE present (signature) AS (
  SELECT min(signature) FROM matches WHERE host = :host
  UNION ALL SELECT (SELECT min(signature) FROM matches WHERE host = :host AND signature > present.signature) FROM present
  WHERE present.signature IS NOT NULL)
SELECT signature FROM present WHERE signature IS NOT NULL
"""


def _near(condition: str) -> str:
    """The other matches of a host and perhaps the same boot, under one of the conditions above."""
    return (
        f"SELECT {_COLUMNS} FROM matches m WHERE host = :host AND id <> :id AND ({condition}) "  # noqa: S608
        f"AND {MAYBE_SAME_BOOT}"
    )


def _sides(time: str, own: str, condition: str = "TRUE") -> tuple[str, str]:
    """The matches of one signature, outwards before and after: `time` is the column that is
    compared, `own` the match's own time.
    """
    one = f"signature = :signature AND {condition}"
    before = _near(f"{one} AND {time} BETWEEN {own} - :span AND {own}")
    after = _near(f"{one} AND {time} > {own} AND {time} <= {own} + :span")
    return f"{before} ORDER BY {time} DESC", f"{after} ORDER BY {time}"


# A match with kernel time is compared by it, and by wall time with those that have none; a match
# without, by wall time with all.
_STAMPED_NEAR = _near(f"{_KERNEL} OR ({_UNSTAMPED})") + " LIMIT :limit"
_STAMPED_CROWD = (
    *_sides("kernel_time_us", ":kernel"),
    *_sides("wall_time_us", ":wall", "kernel_time_us IS NULL"),
)
_UNSTAMPED_NEAR = _near(_WALL) + " LIMIT :limit"
_UNSTAMPED_CROWD = _sides("wall_time_us", ":wall")


class Matches:
    """The table of matches."""

    def __init__(self, connection: Connection, tolerance_us: int) -> None:
        self._connection = connection
        self._tolerance_us = tolerance_us

    def add(self, match: Match) -> tuple[StoredMatch, bool]:
        """Stores a clean match, or folds it into the one that it repeats; True where it is new."""
        known = self._find(match)
        if known is None:
            cursor = self._connection.execute(INSERT_MATCH, match_row(match))
            return StoredMatch(cast(int, cursor.lastrowid), match), True
        folded = fold(known.match, match)
        if folded != known.match:
            boot = folded.boot
            facts = (
                folded.kernel_time_us,
                folded.wall_time_us,
                boot.id,
                boot.epoch_us,
                boot.stream,
                boot.count,
                boot.before,
                folded.caller,
                folded.source,
                folded.number,
            )
            self._connection.execute(_FOLD, (*facts, known.id))
        refined = folded.kernel_time_us != known.match.kernel_time_us
        return replace(known, match=folded, refined=refined), False

    def find(self, match: Match, among: Collection[int] | None = None) -> StoredMatch | None:
        """The stored match that a match repeats, if any; `among` narrows the choice to some ids."""
        return self._find(clean_match(match), among)

    def get(self, match_id: int) -> Match:
        """A match by its id."""
        return read_match(
            self._connection.execute("SELECT * FROM matches WHERE id = ?", (match_id,)).fetchone()
        )

    def neighbours(self, stored: StoredMatch, span_us: int) -> list[StoredMatch]:
        """The other matches of the host and, as far as is known, the boot within `span_us`.

        Kernel times are compared, or wall times where one has no kernel time.
        Where more than `CROWD` are near, only the nearest of each signature: `EACH_SIDE` before and
        after.
        """
        match, boot = stored.match, stored.match.boot
        near, crowd = (
            (_UNSTAMPED_NEAR, _UNSTAMPED_CROWD)
            if match.kernel_time_us is None
            else (_STAMPED_NEAR, _STAMPED_CROWD)
        )
        place = {
            "host": match.host, "id": stored.id, "kernel": match.kernel_time_us, "wall": match.wall_time_us, "span": span_us,
            "boot_id": boot.id or None, "epoch": boot.epoch_us, "tolerance": self._tolerance_us, "limit": CROWD + 1,
            "stream": boot.stream, "count": boot.count, "before": boot.before,
        }  # fmt: skip
        rows = self._connection.execute(near, place).fetchall()
        if len(rows) <= CROWD:
            return self._of_boot(match, rows, CROWD)
        found: list[StoredMatch] = []
        for signature in self._connection.execute(_SIGNATURES, place).fetchall():
            for side in crowd:
                found += self._of_boot(
                    match,
                    self._connection.execute(side, place | {"signature": signature[0]}),
                    EACH_SIDE,
                )
        return found

    def boot_evidence(self, matches: Sequence[Match]) -> BootEvidence:
        """What tells the boots of some matches apart, beside what they say themselves: where they
        came in several streams, the banners between them.
        """
        if len({match.boot.stream or number for number, match in enumerate(matches)}) < 2:
            return BootEvidence(self._tolerance_us)
        starts = [match.boot.epoch_us for match in matches if match.boot.epoch_us is not None]
        walls = [match.wall_time_us for match in matches if match.wall_time_us is not None]
        found: set[Banner] = set()
        if starts and walls:
            for host in {match.host for match in matches}:
                rows = self._connection.execute(_BANNERS, (host, min(starts), max(walls), BANNERS))
                found |= {Banner(wall_us, boot_id) for wall_us, boot_id in rows.fetchall()}
        return BootEvidence(self._tolerance_us, tuple(found))

    def note_banner(self, match: Match) -> None:
        """Keeps when a boot began by the wall clock, as its banner tells."""
        if match.boot.epoch_us is not None and not match.boot.before:
            row = (match.host, match.boot.epoch_us, match.boot.id or None)
            self._connection.execute(_BANNER, row)

    def _find(self, match: Match, among: Collection[int] | None = None) -> StoredMatch | None:
        """A line at the same place of a stream is the same line, even where its boot was counted
        anew after a restart.
        """
        if match.kernel_time_us is not None:
            rows = self._of_stamp(match, match.kernel_time_us)
        else:
            rows = self._connection.execute(_SAME_KEY, (match_key(match),)).fetchall()
        if not rows:
            return None
        known = [self._read(row) for row in rows if among is None or row["id"] in among]
        equal = [one for one in known if read_alike(one.match, match)]
        again = (one for one in equal if match.boot.stream and _place(one.match) == _place(match))
        return next(again, None) or next(
            (one for one in equal if same_line(match, one.match, self._tolerance_us)), None
        )

    def _of_stamp(self, match: Match, time_us: int) -> list[Row]:
        """The matches of one text whose kernel time is the same, or the same but for rounding."""
        grain = grain_us(time_us)
        facts = {"host": match.host, "text": match.text, "kernel": time_us, "grain": grain - 1}
        for coarse in GRAINS_US:
            floor = time_us // coarse * coarse
            facts |= {f"floor{coarse}": floor, f"ceiling{coarse}": floor + coarse}
        rows = self._connection.execute(_SAME_STAMP, facts).fetchall()
        if rows or grain == 1:
            return rows
        return self._connection.execute(_ROUNDED_STAMP, facts).fetchall()

    def _of_boot(self, match: Match, rows: Iterable[Row], limit: int) -> list[StoredMatch]:
        """The first `limit` rows that may be of the boot of `match`."""
        found: list[StoredMatch] = []
        for row in rows:
            other = self._read(row)
            if same_boot(match, other.match, self._tolerance_us):
                found.append(other)
                if len(found) == limit:
                    break
        return found

    def _read(self, row: Row) -> StoredMatch:
        """A row, and by rule the live incidents that it is evidence of."""
        incidents = (
            dict(self._connection.execute(_INCIDENTS, (row["id"],)).fetchall())
            if row["used"]
            else {}
        )
        return StoredMatch(row["id"], read_match(row), incidents)


def read_alike(a: Match, b: Match) -> bool:
    """Whether two matches read alike: host, text and time, rounded or not; without any time only
    the place in the source tells.
    """
    if (a.host, a.text) != (b.host, b.text):
        return False
    if a.kernel_time_us is not None and b.kernel_time_us is not None:
        return same_stamp(a.kernel_time_us, b.kernel_time_us)
    if a.kernel_time_us is not None or b.kernel_time_us is not None:
        return False
    if a.wall_time_us is None:
        return b.wall_time_us is None and (a.source, a.number) == (b.source, b.number)
    return a.wall_time_us == b.wall_time_us


def fold(known: Match, again: Match) -> Match:
    """One match of two sightings: each fact from whichever has it, the lesser where both do, so
    that the order of arrival never shows.
    """
    first, second = sorted((known, again), key=lambda match: (match.source, match.number))
    streamed = min(first, second, key=lambda match: (not match.boot.stream, match.boot.before))
    boot = Boot(
        id=_least(first.boot.id, second.boot.id),
        epoch_us=_least(first.boot.epoch_us, second.boot.epoch_us),
        stream=streamed.boot.stream,
        count=streamed.boot.count,
        before=streamed.boot.before,
    )
    return replace(
        known,
        boot=boot,
        kernel_time_us=_finest(known.kernel_time_us, again.kernel_time_us),
        wall_time_us=_least(first.wall_time_us, second.wall_time_us),
        caller=_least(first.caller, second.caller),
        source=first.source,
        number=first.number,
    )


def _finest(a: int | None, b: int | None) -> int | None:
    """The kernel time that was rounded least, of two the earlier."""
    if a is None or b is None:
        return a if b is None else b
    return min(a, b, key=lambda time: (grain_us(time), time))


def _place(match: Match) -> tuple[str, int, str]:
    return match.source, match.number, match.boot.stream


def _least(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else min(a, b)
