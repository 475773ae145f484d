"""Finds the matches near a stored one by index, and the banners that part boots.

In: stored matches. Out: their neighbours: those of the same host, or of other names that the
machine has, within a time span. Runs inside the transaction of the journal that owns it. Leaves to
`correlate` what belongs together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from sqlite3 import Connection, Row
from typing import Any

from detector.correlate import StoredMatch
from detector.model import Match
from detector.same_boot import Banner, BootEvidence, is_short_of, one_machine, same_boot
from detector.store.rows import MAYBE_SAME_BOOT, read_match

# A window with more matches than this is a storm, or the same minute of many boots: of each
# signature the nearest are looked at.
CROWD = 64
EACH_SIDE = 16
# Of a host in a boot loop the latest banners are asked.
BANNERS = 1_000
# Of a short name so many full ones are looked at.
FORMS = 4

_BANNER = "INSERT INTO banners (host, wall_us, boot_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_BANNERS = (
    "SELECT wall_us, boot_id FROM banners WHERE host = ? AND wall_us BETWEEN ? AND ? "
    "ORDER BY wall_us DESC LIMIT ?"
)
# Few matches are evidence: asking for more only where one is keeps the hot path quick.
COLUMNS = "m.*, EXISTS (SELECT 1 FROM evidence WHERE match_id = m.id) AS used"
_INCIDENTS = """
SELECT i.rule, coalesce(i.joined_into, i.id) FROM evidence e
  JOIN incidents i ON i.id = e.incident_id WHERE e.match_id = ? ORDER BY i.id
"""

_KERNEL = "kernel_time_us BETWEEN :kernel - :span AND :kernel + :span"
_WALL = "wall_time_us BETWEEN :wall - :span AND :wall + :span"
_UNSTAMPED = f"kernel_time_us IS NULL AND {_WALL}"
# All signatures of a host, by one look into the index for each.
_SIGNATURES = """
WITH RECURSIVE present (signature) AS (
  SELECT min(signature) FROM matches WHERE host = :host
  UNION ALL SELECT (SELECT min(signature) FROM matches WHERE host = :host
    AND signature > present.signature) FROM present
  WHERE present.signature IS NOT NULL)
SELECT signature FROM present WHERE signature IS NOT NULL
"""


def _near(condition: str) -> str:
    """The other matches of a host and perhaps the same boot, under one of the conditions above."""
    return (
        f"SELECT {COLUMNS} FROM matches m WHERE host = :host AND id <> :id AND ({condition}) "  # noqa: S608
        f"AND {MAYBE_SAME_BOOT}"
    )


def _sides(time: str, own: str, condition: str = "TRUE") -> tuple[str, str]:
    """The matches of one signature, outwards before and after: `time` is the column that is
    compared, `own` the match's own time.
    """
    same = f"signature = :signature AND {condition}"
    before = _near(f"{same} AND {time} BETWEEN {own} - :span AND {own}")
    after = _near(f"{same} AND {time} > {own} AND {time} <= {own} + :span")
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
# Other names of the machine: a slash follows the dot in the order of text.
_OF_BOOT_ID = f"""
SELECT {COLUMNS} FROM matches m WHERE boot_id = :boot_id AND {_KERNEL}
  AND host <> :host LIMIT :limit
"""  # noqa: S608
_NEXT_FORM = "SELECT min(host) FROM matches WHERE host > ? AND host < ?"


class Neighbours:
    """Looks into the table of matches around one of them."""

    def __init__(self, connection: Connection, tolerance_us: int, unnamed: Collection[str]) -> None:
        self._connection = connection
        self._tolerance_us = tolerance_us
        self._unnamed = frozenset(unnamed)

    def of(self, stored: StoredMatch, span_us: int) -> list[StoredMatch]:
        """The other matches of the machine and, as far as is known, the boot within `span_us`.

        Kernel times are compared, or wall times where one has no kernel time.
        Where more than `CROWD` are near, only the nearest of each signature: `EACH_SIDE` before and
        after.
        """
        match = stored.match
        place = self._place(stored, span_us)
        neighbours = self._of_host(match, place)
        if match.kernel_time_us is not None:
            for other in self._under_other_names(match, place):
                if one_machine(match, other.match, self._unnamed):
                    neighbours.append(other)
        return neighbours

    def _place(self, stored: StoredMatch, span_us: int) -> dict[str, Any]:
        """Returns where a match stands, by the names in the statements."""
        match, boot = stored.match, stored.match.boot
        return {
            "host": match.host, "id": stored.id, "kernel": match.kernel_time_us,
            "wall": match.wall_time_us, "span": span_us,
            "boot_id": boot.id or None, "epoch": boot.epoch_us, "tolerance": self._tolerance_us,
            "limit": CROWD + 1,
            "stream": boot.stream, "count": boot.count, "before": boot.before,
        }  # fmt: skip

    def _of_host(self, match: Match, place: dict[str, Any]) -> list[StoredMatch]:
        """The neighbours under the match's own host name, or the host in `place`."""
        near, crowd = (
            (_UNSTAMPED_NEAR, _UNSTAMPED_CROWD)
            if match.kernel_time_us is None
            else (_STAMPED_NEAR, _STAMPED_CROWD)
        )
        rows = self._connection.execute(near, place).fetchall()
        if len(rows) <= CROWD:
            return self._of_boot(match, rows, CROWD)
        neighbours: list[StoredMatch] = []
        for signature in self._connection.execute(_SIGNATURES, place).fetchall():
            for side in crowd:
                neighbours += self._of_boot(
                    match,
                    self._connection.execute(side, place | {"signature": signature[0]}),
                    EACH_SIDE,
                )
        return neighbours

    def _under_other_names(self, match: Match, place: dict[str, Any]) -> Iterator[StoredMatch]:
        """Yields what may be of the same machine: the matches of one boot id, or those under a
        short or a full form of the name.
        """
        if match.boot.id:
            rows = self._connection.execute(_OF_BOOT_ID, place).fetchall()
            yield from self._of_boot(match, rows, CROWD)
        for name in self._forms(match.host):
            yield from self._of_host(match, place | {"host": name})

    def _forms(self, host: str) -> Iterator[str]:
        """The short name of a full one; of a short name the full ones that there are."""
        label, dot, _ = host.partition(".")
        if dot:
            if is_short_of(label, host):
                yield label
            return
        name = f"{host}."
        for _ in range(FORMS):
            row = self._connection.execute(_NEXT_FORM, (name, f"{host}/")).fetchone()
            if row[0] is None:
                return
            name = row[0]
            yield name

    def boot_evidence(self, matches: Sequence[Match]) -> BootEvidence:
        """Returns what tells the boots of some matches apart, beside what they say themselves:
        where they came in several streams, the banners between them.
        """
        known = BootEvidence(self._tolerance_us, unnamed=self._unnamed)
        if len({match.boot.stream or number for number, match in enumerate(matches)}) < 2:
            return known
        starts = [match.boot.epoch_us for match in matches if match.boot.epoch_us is not None]
        walls = [match.wall_time_us for match in matches if match.wall_time_us is not None]
        neighbours: set[Banner] = set()
        if starts and walls:
            for host in {match.host for match in matches}:
                rows = self._connection.execute(_BANNERS, (host, min(starts), max(walls), BANNERS))
                neighbours |= {Banner(wall_us, boot_id) for wall_us, boot_id in rows.fetchall()}
        return replace(known, banners=tuple(neighbours))

    def note_banner(self, match: Match) -> None:
        """Keeps when a boot began by the wall clock, as its banner tells."""
        if match.boot.epoch_us is not None and not match.boot.before:
            row = (match.host, match.boot.epoch_us, match.boot.id or None)
            self._connection.execute(_BANNER, row)

    def _of_boot(self, match: Match, rows: Iterable[Row], limit: int) -> list[StoredMatch]:
        """The first `limit` rows that may be of the boot of `match`."""
        neighbours: list[StoredMatch] = []
        for row in rows:
            other = read_stored(self._connection, row)
            if same_boot(match, other.match, self._tolerance_us):
                neighbours.append(other)
                if len(neighbours) == limit:
                    break
        return neighbours


def read_stored(connection: Connection, row: Row) -> StoredMatch:
    """A row of `COLUMNS`, and by rule the live incidents that it is evidence of."""
    incidents = dict(connection.execute(_INCIDENTS, (row["id"],)).fetchall()) if row["used"] else {}
    return StoredMatch(row["id"], read_match(row), incidents)
