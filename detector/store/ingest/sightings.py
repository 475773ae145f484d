"""Hosts and boots that one batch has seen, written once at its end.

In: hosts, times, matches. Out: rows of `hosts` and `boots`, extended to cover what was seen.
Forgotten when the batch is rolled back.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace

from detector.boots import BOOT, FIRST_WALL_US, ROUNDING_US
from detector.model import Boot, Match
from detector.release import package_of
from detector.same_boot import counted_apart
from detector.store.ingest import faults
from detector.store.rows import NAME_LIMIT, clean

# Matches that lie anywhere in time: starts by the wall clock that are this close are one boot.
DRIFT_US = 600 * 1_000_000

_HOST = """
INSERT INTO hosts (name, first_seen_us, last_seen_us) VALUES (?, ?, ?)
ON CONFLICT (name) DO UPDATE SET
  first_seen_us = coalesce(min(first_seen_us, excluded.first_seen_us), first_seen_us,
    excluded.first_seen_us),
  last_seen_us = coalesce(max(last_seen_us, excluded.last_seen_us), last_seen_us,
    excluded.last_seen_us)
"""
_BOOT = """
INSERT INTO boots (host, boot_id, epoch_us, stream, boot_count, first_kernel_us, last_kernel_us,
  kernel, package, banner_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_BOOT_SEEN = """
UPDATE boots SET boot_id = coalesce(boot_id, :boot_id), epoch_us = coalesce(min(epoch_us, :epoch),
  epoch_us, :epoch),
  first_kernel_us = coalesce(min(first_kernel_us, :first), first_kernel_us, :first),
  last_kernel_us = coalesce(max(last_kernel_us, :last), last_kernel_us, :last), kernel =
    coalesce(:kernel, kernel),
  package = iif(:kernel IS NULL OR :kernel = kernel, coalesce(:package, package), :package),
  banner_us = iif(:kernel <> kernel, coalesce(:banner, banner_us), coalesce(banner_us, :banner))
WHERE id = :id
"""
_BOOTS = """
SELECT id, boot_id, epoch_us, stream, boot_count, last_kernel_us FROM boots
WHERE host = :host AND (boot_id = :boot_id OR ((boot_id IS NULL OR :boot_id IS NULL)
  AND ((stream = :stream AND boot_count = :count AND stream <> '')
    OR epoch_us IS NULL OR :epoch IS NULL OR epoch_us BETWEEN :epoch - :drift AND :epoch + :drift)))
ORDER BY boot_id IS NULL, id DESC
"""


@dataclass(slots=True)
class _Seen:
    """The earliest and latest match of one boot in this batch, and the kernel release with its
    package if they were told; `banner_us` is the wall time of its banner, µs since 1970.
    """

    first: Match
    last: Match
    kernel: str | None = None
    package: str | None = None
    banner_us: int | None = None


class Sightings:
    """The sightings of a batch. `flush` writes and forgets them, `clear` only forgets them."""

    def __init__(self) -> None:
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

    def boot(self, match: Match, kernel: str | None = None, package: str | None = None) -> None:
        """A line of a boot was seen; a boot banner tells the kernel release and its package."""
        self.host(match.host, match.wall_time_us, match.wall_time_us)
        seen = self._seen(match)
        if _uptime(match) < _uptime(seen.first):
            seen.first = match
        if _uptime(match) > _uptime(seen.last):
            seen.last = match
        if match.cls == BOOT:
            kernel, package = match.fields.get("kernel", kernel), package_of(match.text)
            seen.banner_us = seen.banner_us or _banner_us(match)
        if kernel:
            seen.kernel = clean(kernel, NAME_LIMIT)
        if package:
            seen.package = clean(package, NAME_LIMIT)

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
                    seen.package,
                    seen.banner_us,
                )
                connection.execute(_BOOT, row)
            else:
                facts = {
                    "boot_id": boot.id,
                    "epoch": boot.epoch_us,
                    "first": first,
                    "last": last,
                    "kernel": seen.kernel,
                    "package": seen.package,
                    "banner": seen.banner_us,
                    "id": known,
                }
                connection.execute(_BOOT_SEEN, facts)
        faults.refresh_kernels(
            connection,
            {
                host
                for (host, _), boots in self._boots.items()
                if any(seen.kernel is not None for seen in boots)
            },
        )
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
            if seen.last.boot == match.boot or one_boot(match, seen.last):
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
            "stream": boot.stream,
            "count": boot.count,
            "drift": DRIFT_US,
        }
        for identity, boot_id, epoch, stream, count, last_kernel in connection.execute(
            _BOOTS, facts
        ):
            known = replace(
                match, boot=Boot(boot_id, epoch, stream, count), kernel_time_us=last_kernel
            )
            if one_boot(match, known):
                return int(identity)
        return None


def one_boot(a: Match, b: Match) -> bool:
    """True where two matches, at any uptimes, are counted to one boot.

    The boots' ids decide, else their stream's count, else their starts. Clocks drift and step; but
    a second boot cannot begin before the last line of the first was printed, so starts that lie
    closer together than the first one's uptime are one boot.
    """
    if a.boot.id and b.boot.id:
        return a.boot.id == b.boot.id
    if a.boot.stream and a.boot.stream == b.boot.stream and not (a.boot.before or b.boot.before):
        return not counted_apart(a.boot, b.boot)
    start, other = a.boot.epoch_us, b.boot.epoch_us
    if start is None or other is None:
        return True
    first = a if start <= other else b
    return abs(start - other) <= min(DRIFT_US, max(ROUNDING_US, first.kernel_time_us or 0))


def _banner_us(match: Match) -> int | None:
    """The wall time of a banner without a kernel stamp; with one, the boot's start tells more, or
    the clock had not been set.
    """
    wall_us = match.wall_time_us
    known = match.kernel_time_us is None and wall_us is not None and wall_us >= FIRST_WALL_US
    return wall_us if known else None


def _uptime(match: Match) -> int:
    return -1 if match.kernel_time_us is None else match.kernel_time_us
