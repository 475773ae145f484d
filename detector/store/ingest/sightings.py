"""Hosts and boots that one batch has seen, written once at its end.

In: hosts, times, matches. Out: rows of `hosts` and `boots`, extended to cover what was seen.
Forgotten when the batch is rolled back.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace

from detector.boots import same_boot
from detector.model import Boot, Match
from detector.store.rows import MAYBE_SAME_BOOT, NAME_LIMIT, clean

_BANNER = "Linux version "

_HOST = """
INSERT INTO hosts (name, first_seen_us, last_seen_us) VALUES (?, ?, ?)
ON CONFLICT (name) DO UPDATE SET
  first_seen_us = coalesce(min(first_seen_us, excluded.first_seen_us), first_seen_us, excluded.first_seen_us),
  last_seen_us = coalesce(max(last_seen_us, excluded.last_seen_us), last_seen_us, excluded.last_seen_us)
"""
_BOOT = """
INSERT INTO boots (host, boot_id, epoch_us, stream, boot_count, first_kernel_us, last_kernel_us, kernel) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_BOOT_SEEN = """
UPDATE boots SET boot_id = coalesce(boot_id, :boot_id), epoch_us = coalesce(min(epoch_us, :epoch), epoch_us, :epoch),
  first_kernel_us = coalesce(min(first_kernel_us, :first), first_kernel_us, :first),
  last_kernel_us = coalesce(max(last_kernel_us, :last), last_kernel_us, :last), kernel = coalesce(:kernel, kernel)
WHERE id = :id
"""
_BOOTS = f"""
SELECT id, boot_id, epoch_us, stream, boot_count, last_kernel_us FROM boots
WHERE host = :host AND {MAYBE_SAME_BOOT} ORDER BY boot_id IS NULL, id DESC
"""  # noqa: S608


@dataclass(slots=True)
class _Seen:
    """The earliest and latest match of one boot in this batch, and the kernel release if one was
    told.
    """

    first: Match
    last: Match
    kernel: str | None = None


class Sightings:
    """What a batch has seen. `flush` writes it and forgets it, `clear` only forgets."""

    def __init__(self, tolerance_us: int) -> None:
        self._tolerance_us = tolerance_us
        self._hosts: dict[str, tuple[int | None, int | None]] = {}
        self._boots: dict[tuple[str, str | None], list[_Seen]] = {}

    def host(self, name: str, first_us: int | None, last_us: int | None) -> None:
        """A host was seen between two wall times (None where a line has none)."""
        earliest, latest = self._hosts.get(name, (None, None))
        if first_us is not None and (earliest is None or first_us < earliest):
            earliest = first_us
        if last_us is not None and (latest is None or last_us > latest):
            latest = last_us
        self._hosts[name] = (earliest, latest)

    def boot(self, match: Match, kernel: str | None = None) -> None:
        """A line of a boot was seen; a boot banner tells the kernel release."""
        self.host(match.host, match.wall_time_us, match.wall_time_us)
        seen = self._seen(match)
        if _uptime(match) < _uptime(seen.first):
            seen.first = match
        if _uptime(match) > _uptime(seen.last):
            seen.last = match
        if match.text.startswith(_BANNER):
            kernel = match.text.removeprefix(_BANNER).split(" ", 1)[0]
        if kernel:
            seen.kernel = clean(kernel, NAME_LIMIT)

    def flush(self, connection: sqlite3.Connection) -> None:
        """Writes hosts and boots: a boot that may be a known one extends it."""
        connection.executemany(_HOST, [(name, *times) for name, times in self._hosts.items()])
        for seen in (seen for boots in self._boots.values() for seen in boots):
            boot, first, last = seen.last.boot, seen.first.kernel_time_us, seen.last.kernel_time_us
            known = self._known(connection, seen.last)
            if known is None:
                row = (
                    seen.last.host,
                    boot.id,
                    boot.epoch_us,
                    boot.stream,
                    boot.count,
                    first,
                    last,
                    seen.kernel,
                )
                connection.execute(_BOOT, row)
            else:
                facts = {
                    "boot_id": boot.id,
                    "epoch": boot.epoch_us,
                    "first": first,
                    "last": last,
                    "kernel": seen.kernel,
                    "id": known,
                }
                connection.execute(_BOOT_SEEN, facts)
        self.clear()

    def clear(self) -> None:
        """Forgets everything."""
        self._hosts.clear()
        self._boots.clear()

    def _seen(self, match: Match) -> _Seen:
        """The boot of this batch that a match belongs to: the start by the wall clock wavers from
        line to line.
        """
        boots = self._boots.setdefault((match.host, match.boot.id), [])
        for seen in reversed(boots):
            if seen.last.boot == match.boot or same_boot(match, seen.last, self._tolerance_us):
                return seen
        boots.append(_Seen(match, match))
        return boots[-1]

    def _known(self, connection: sqlite3.Connection, match: Match) -> int | None:
        """The row of the boot that a match belongs to: by its id where both have one, else the
        latest that may be the same.
        """
        boot = match.boot
        facts = {
            "host": match.host,
            "boot_id": boot.id,
            "epoch": boot.epoch_us,
            "tolerance": self._tolerance_us,
        }
        for identity, boot_id, epoch, stream, count, last_kernel in connection.execute(
            _BOOTS, facts
        ):
            known = replace(
                match, boot=Boot(boot_id, epoch, stream, count), kernel_time_us=last_kernel
            )
            if same_boot(match, known, self._tolerance_us):
                return int(identity)
        return None


def _uptime(match: Match) -> int:
    return -1 if match.kernel_time_us is None else match.kernel_time_us
