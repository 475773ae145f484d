"""Tells whether two matches may be of one boot.

In: matches, the boot banners of their host. Out: yes or no. What the kernel said counts most: a
boot id, else the count of boots in a stream, else a banner between two lines of several streams.
Wall clocks step and stamp late, so starts by the wall clock (wall time minus kernel time) part only
what lies hours apart. Where nothing parts two matches they may be of one boot. Reads no clock.

Only what the kernel said joins two names: one boot id, or one start of the boot. Settings bring the
spellings of a name into one form before (`parse.host_names`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from detector.boots import FALL_US, ROUNDING_US, STEP_BACK_US, TOLERANCE_US
from detector.model import Boot, Match

# What a machine is called before it has a name: systemd's fallback, Red Hat's, and the kernel's own
# (CONFIG_DEFAULT_HOSTNAME, init/version.c).
UNNAMED = frozenset(("localhost", "localhost.localdomain", "(none)"))


def one_machine(a: Match, b: Match, unnamed: Collection[str] = UNNAMED) -> bool:
    """Returns whether two matches are of one machine: by name, or by what joins a name to
    another.

    Under one boot id a machine that had no name gets one, and a short name is that of the full
    name. Memory snapshots run under one boot id with names of their own: those stay apart. Without
    ids a short and a full name are one where the boots began together.
    """
    if a.host == b.host:
        return True
    short = is_short_of(a.host, b.host) or is_short_of(b.host, a.host)
    if a.boot.id and b.boot.id:
        return a.boot.id == b.boot.id and (short or a.host in unnamed or b.host in unnamed)
    start, other = a.boot.epoch_us, b.boot.epoch_us
    return short and start is not None and other is not None and abs(start - other) <= FALL_US


def is_short_of(short: str, full: str) -> bool:
    """Returns whether a name is the first label of a full one; addresses have no labels."""
    label, dot, _ = full.partition(".")
    return bool(dot) and label == short and not full.replace(".", "").isdigit()


def known_name(host: str, others: Iterable[str], unnamed: Collection[str] = UNNAMED) -> str:
    """The name that a machine is known by: its own, unless that says nothing and another does."""
    if host not in unnamed:
        return host
    return next((name for name in others if name not in unnamed), host)


# What shippers and phones' loggers round kernel times to, the coarsest first: tenths, hundredths
# and thousandths of a second.
GRAINS_US = (100_000, 10_000, 1_000)


@dataclass(frozen=True, slots=True)
class Banner:
    """A boot that a banner told of: when it began by the wall clock, and journald's id if any."""

    wall_us: int
    boot_id: str | None = None


@dataclass(frozen=True, slots=True)
class BootEvidence:
    """Evidence that separates boots, beside two matches: the banners of their host, in
    whatever stream they came, and how far starts by the wall clock may lie apart. `unnamed` are
    names that say nothing.
    """

    tolerance_us: int = TOLERANCE_US
    banners: tuple[Banner, ...] = ()
    unnamed: frozenset[str] = UNNAMED

    def same_boot(self, a: Match, b: Match) -> bool:
        """False where something parts two boots; True where an id joins them, or nothing parts
        them.
        """
        if a.boot.id and b.boot.id:
            return a.boot.id == b.boot.id
        if a.boot.stream and a.boot.stream == b.boot.stream:
            if counted_apart(a.boot, b.boot):
                return False
        elif any(_parts(banner, a, b) for banner in self.banners):
            return False
        start, other = a.boot.epoch_us, b.boot.epoch_us
        return start is None or other is None or abs(start - other) <= self.tolerance_us


NO_BANNERS = BootEvidence()


def same_boot(a: Match, b: Match, tolerance_us: int = TOLERANCE_US) -> bool:
    """Returns whether two matches may be of one boot, as far as they tell themselves."""
    return BootEvidence(tolerance_us).same_boot(a, b)


def same_line(a: Match, b: Match, tolerance_us: int = TOLERANCE_US) -> bool:
    """Returns whether two matches that agree in host, kernel time and text may be one line of
    one boot.

    A stream that is read again counts its boots again: where starts by the wall clock agree, the
    counts do not part copies.
    """
    starts = (a.boot.epoch_us, b.boot.epoch_us)
    if (a.boot.id and b.boot.id) or None in starts:
        return same_boot(a, b, tolerance_us)
    return same_boot(
        replace(a, boot=replace(a.boot, stream="")), replace(b, boot=replace(b.boot, stream=""))
    )


def grain_us(kernel_time_us: int) -> int:
    """The coarsest unit that a kernel time may have been rounded to, µs; 1 where it was not.

    The kernel prints microseconds, of which one in a thousand looks rounded to milliseconds and one
    in a hundred thousand to tenths.
    """
    return next((grain for grain in GRAINS_US if kernel_time_us % grain == 0), 1)


def same_stamp(a_us: int, b_us: int) -> bool:
    """Returns whether two kernel times are one, or one is the other rounded or cut to a
    coarser unit.

    Taken for one, two lines of one text count once: that costs a count and no incident.
    """
    if a_us == b_us:
        return True
    a, b = grain_us(a_us), grain_us(b_us)
    return a != b and abs(a_us - b_us) < max(a, b)


def rounded(kernel_time_us: int) -> tuple[int, ...]:
    """Returns what a kernel time may have been rounded or cut to."""
    floors = [(kernel_time_us - kernel_time_us % grain, grain) for grain in GRAINS_US]
    return tuple(stamp for floor, grain in floors for stamp in (floor, floor + grain))


def counted_apart(a: Boot, b: Boot) -> bool:
    """Returns whether the counts of one stream part two boots; a dump's line is of any boot
    before its count.
    """
    if a.before and b.before:
        return False
    if a.before:
        return b.count >= a.count
    return a.count >= b.count if b.before else a.count != b.count


def _parts(banner: Banner, a: Match, b: Match) -> bool:
    """Returns whether a boot that began at a banner of another stream holds the later of two
    matches and not the earlier.
    """
    if a.boot.epoch_us is None or b.boot.epoch_us is None:
        return False
    if a.boot.before or b.boot.before:
        return _parts_dump(banner, a, b)
    first, second = (a, b) if a.boot.epoch_us <= b.boot.epoch_us else (b, a)
    if not _is_before(banner, first):
        return False
    if banner.boot_id and banner.boot_id == second.boot.id:
        return True
    start, other = _start(first), _start(second)
    in_time = other >= banner.wall_us - FALL_US or banner.wall_us - other < other - start
    return in_time and (second.wall_time_us or 0) >= banner.wall_us - ROUNDING_US


def _parts_dump(banner: Banner, a: Match, b: Match) -> bool:
    """A dump is of a boot before the one that it was read in."""
    if a.boot.before and b.boot.before:
        return False
    dump, other = (a, b) if a.boot.before else (b, a)
    return banner.wall_us <= (dump.wall_time_us or 0) and not _is_before(banner, other)


def _is_before(banner: Banner, match: Match) -> bool:
    """Returns whether a match was printed before the boot of a banner began."""
    if banner.boot_id and banner.boot_id == match.boot.id:
        return False
    ahead = banner.wall_us - _start(match)
    if ahead <= FALL_US:
        return False
    return (match.wall_time_us or 0) < banner.wall_us or ahead > STEP_BACK_US


def _start(match: Match) -> int:
    return match.boot.epoch_us or 0
