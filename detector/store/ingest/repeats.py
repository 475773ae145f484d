"""Stores counts of lines that repeat, and how far each of them has come.

In: what `Repeats` has counted in a batch. Out: rows under the whole line before them, which are
removed with it; and what is known of the hosts of one label. Runs inside the transaction of the
journal that owns it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from sqlite3 import Connection, Row
from typing import cast

from detector.clock import HOUR_US
from detector.model import Boot, Match
from detector.repeats import Repeat, RepeatCount, RepeatKey, label_of
from detector.store.rows import clean_match, match_row, read_match, storable

_COUNT = """
INSERT INTO repeats (match_id, source, hour_us, count, first_us, last_us, first_kernel_us,
  last_kernel_us)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (match_id, source, hour_us) DO UPDATE SET count = count + excluded.count,
  first_us = coalesce(min(first_us, excluded.first_us), first_us, excluded.first_us),
  last_us = coalesce(max(last_us, excluded.last_us), last_us, excluded.last_us),
  first_kernel_us = coalesce(min(first_kernel_us, excluded.first_kernel_us), first_kernel_us,
    excluded.first_kernel_us),
  last_kernel_us = coalesce(max(last_kernel_us, excluded.last_kernel_us), last_kernel_us,
    excluded.last_kernel_us)
"""
_STATE = """
INSERT INTO repeating (label, source, host, signature, shape, match_id, whole, whole_us, last_us,
  boot, line)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET match_id = excluded.match_id, whole = excluded.whole,
  whole_us = excluded.whole_us, last_us = excluded.last_us, boot = excluded.boot,
  line = excluded.line
"""
_OF_LABEL = """
SELECT source, host, signature, shape, match_id, whole, whole_us, last_us, boot, line
FROM repeating WHERE label = ?
"""


def save(
    connection: Connection,
    counts: Iterable[RepeatCount],
    changed: Iterable[tuple[RepeatKey, Repeat]],
) -> None:
    """Adds counts, and stores how far the lines have come that changed."""
    connection.executemany(
        _COUNT,
        [
            (
                row.match_id, row.source, max(0, storable(row.hour_us) or 0), row.count,
                storable(row.first_us), storable(row.last_us),
                storable(row.first_kernel_us), storable(row.last_kernel_us),
            )
            for row in counts
        ],
    )  # fmt: skip
    connection.executemany(_STATE, [_state(key, repeat) for key, repeat in changed])


def of_label(connection: Connection, label: str) -> Iterator[tuple[RepeatKey, Repeat]]:
    """Yields the lines that repeat on the hosts of one label, as they were stored last."""
    for row in connection.execute(_OF_LABEL, (label,)).fetchall():
        source, host, signature, shape, match_id, whole, whole_us, last_us, boot, line = row
        held = _match(line) if line else None
        yield (
            (source, host, signature, shape),
            Repeat(
                match_id,
                Boot(*json.loads(boot)),
                whole,
                whole_us,
                last_us,
                covered_us=last_us,
                held=held,
                held_hour_us=_hour_of(held),
                changed=False,
            ),
        )


def _state(key: RepeatKey, repeat: Repeat) -> tuple[object, ...]:
    source, host, signature, shape = key
    boot = repeat.boot
    line = (
        json.dumps(match_row(clean_match(repeat.held))) if isinstance(repeat.held, Match) else None
    )
    return (
        label_of(host), source, host, signature, shape, repeat.match_id, repeat.whole,
        repeat.whole_us, repeat.last_us,
        json.dumps((boot.id, None, boot.stream, boot.count)), line,
    )  # fmt: skip


def _match(line: str) -> Match:
    return read_match(cast(Row, (0, *json.loads(line))))


def _hour_of(held: Match | None) -> int:
    wall_us = held.wall_time_us if held else None
    return 0 if wall_us is None else wall_us - wall_us % HOUR_US
