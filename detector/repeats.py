"""Counts kernel lines that repeat, between those that are kept whole at beginning and end.

In: matches of one signature and shape on one host, in the order in which they come. Out: whether a
match is kept whole, and counts. No pair is missed by it: a fault that anchors a rule's incident is
never counted, nor what a rule counts; between two whole lines of what a rule asks for lies at most
its timespan, so whatever makes a pair with a counted line makes one with the whole line before or
after it; and when an anchor comes, the line before it and the line after it are whole. Reads no
clock and stores nothing: `recall`, `keep` and `drain` are the store's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from detector.clock import HOUR_US
from detector.correlate import terms
from detector.model import Boot, Match

if TYPE_CHECKING:
    from detector.catalogue import Rule, Signature

# So many lines are whole where a line begins to repeat.
BEGINNING = 16
# After so long it begins anew; and a whole line is kept at least so often, under which the counts
# stand: they go with it when it is old.
QUIET_US = HOUR_US
# Lines of several CPUs and partitions come this much out of order.
DISORDER_US = 60_000_000
# More are not held in memory: they are recalled when they are needed.
LIMIT = 50_000

_VARYING = b"0123456789abcdefABCDEF"

RepeatKey = tuple[str, str, str, bytes]
"""Source, host, signature, shape."""

Held = Match | Callable[[], Match | None]
"""The latest line, or what reads it when it is needed."""


@dataclass(slots=True)
class RepeatCount:
    """A count of lines after one whole line, in one hour (0 where no wall time is known)."""

    match_id: int
    source: str
    signature: str
    hour_us: int
    count: int = 0
    first_us: int | None = None
    last_us: int | None = None
    first_kernel_us: int | None = None
    last_kernel_us: int | None = None

    def see(self, kernel_us: int, wall_us: int | None) -> None:
        """Counts one more, at these times."""
        self.count += 1
        if self.first_kernel_us is None or kernel_us < self.first_kernel_us:
            self.first_kernel_us = kernel_us
        if self.last_kernel_us is None or kernel_us > self.last_kernel_us:
            self.last_kernel_us = kernel_us
        if wall_us is not None:
            self.first_us = wall_us if self.first_us is None else min(self.first_us, wall_us)
            self.last_us = wall_us if self.last_us is None else max(self.last_us, wall_us)


@dataclass(slots=True)
class Repeat:
    """One line that repeats on a host. Times are kernel times, µs.

    `match_id` is its latest whole line, of `whole_us`; `whole` the number of those at its
    beginning; `last_us` the latest line of all. `held` was counted last and may still be kept
    whole. Up to `covered_us` another run has counted: `again` says that its lines come again.
    """

    match_id: int
    boot: Boot
    whole: int
    whole_us: int
    last_us: int
    covered_us: int = -1
    held: Held | None = None
    held_hour_us: int = 0
    near: bool = False
    again: bool = False
    changed: bool = True


def shape_of(text: bytes) -> bytes:
    """Returns what two alike lines have in common: all but digits and hexadecimal letters."""
    return text.translate(None, _VARYING)


class RepeatPolicy:
    """The policy by which lines are counted, of the rules in force."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = [rule for rule in rules if not rule.counts_hosts]
        self._spacing: dict[str, int | None] = {}
        self._anchors = frozenset(rule.anchor for rule in self._rules if rule.anchor)

    def is_anchor(self, match: Match) -> bool:
        """Returns whether an incident may rest on this fault, and on lines near it."""
        return match.cls in self._anchors or match.signature in self._anchors

    def spacing_us(self, signature: Signature) -> int | None:
        """Returns the longest time between whole lines of a signature; None where each is whole."""
        if signature.id not in self._spacing:
            self._spacing[signature.id] = self._of(signature)
        return self._spacing[signature.id]

    def _of(self, signature: Signature) -> int | None:
        plain = signature.origin == "kernel" and not signature.marker
        if not plain or signature.opens or signature.alone is not None:
            return None
        spacing = QUIET_US
        for rule in self._rules:
            if signature.cls in terms(rule) or signature.id in terms(rule):
                if rule.type == "event_count" or rule.anchor in (signature.cls, signature.id):
                    return None
                spacing = min(spacing, rule.timespan_us)
        return spacing


class Repeats:
    """The lines that repeat, as far as they are held.

    `recall` gives what the store knows of the hosts of one label; `keep` keeps a match whole and
    returns its id.
    """

    def __init__(
        self,
        policy: RepeatPolicy,
        recall: Callable[[str], Iterable[tuple[RepeatKey, Repeat]]],
        keep: Callable[[Match], int | None],
    ) -> None:
        self.policy = policy
        self._recall = recall
        self._keep = keep
        self._by_key: dict[RepeatKey, Repeat] = {}
        self._by_label: dict[str, dict[RepeatKey, Repeat]] = {}
        self._counts: dict[tuple[int, str, int], RepeatCount] = {}
        self.counted = 0
        """Lines that were counted since somebody set this to 0."""

    def forget(self) -> None:
        """Goes back to what the store knows: what was not drained is forgotten."""
        self._by_key.clear()
        self._by_label.clear()
        self._counts.clear()
        self.counted = 0

    def takes(self, key: RepeatKey, match: Match, spacing_us: int, *, again: bool = False) -> bool:
        """Counts a match; False where it is to be kept whole. `again` says that its source was
        counted up to it before.
        """
        self._known(key[1])
        repeat, time = self._by_key.get(key), match.kernel_time_us
        if repeat is None or time is None or match.boot.before:
            return False
        if time <= repeat.covered_us:
            return repeat.again or again
        if not _goes_on(repeat, match.boot, time):
            self._keep_held(key, repeat)
            self._drop(key)
            return False
        if repeat.whole < BEGINNING or repeat.near:
            return False
        if time - repeat.whole_us > spacing_us:
            self._keep_held(key, repeat)
        self._count(key, repeat, time, match.wall_time_us, match)
        return True

    def takes_raw(
        self,
        key: RepeatKey,
        place: tuple[int, int, str | None, int],
        spacing_us: int,
        held: Callable[[Boot], Held],
    ) -> bool:
        """The same of a line that is not read yet, of which no more is known than its kernel time,
        wall time, boot id and the count of its boot; False where somebody must read it.
        """
        repeat = self._by_key.get(key)
        if repeat is None or repeat.whole < BEGINNING or repeat.near:
            return False
        time, wall_us, boot_id, boot_count = place
        boot = repeat.boot
        if (boot.id, boot.count) != (boot_id, boot_count) or time <= repeat.covered_us:
            return False
        if not 0 <= time - repeat.last_us <= QUIET_US or time - repeat.whole_us > spacing_us:
            return False
        self._count(key, repeat, time, wall_us, held(boot))
        return True

    def kept(self, key: RepeatKey, match: Match, match_id: int, *, new: bool) -> None:
        """A match was kept whole; `new` says that it was not there before."""
        time = match.kernel_time_us
        if time is None or match.boot.before:
            return
        repeat = self._by_key.get(key)
        if repeat is None:
            repeat = Repeat(match_id, replace(match.boot, epoch_us=None), 1, time, time)
            self._add(key, repeat)
        elif time <= repeat.covered_us:
            repeat.again = not new
        else:
            repeat.match_id, repeat.whole_us = match_id, time
            repeat.whole += 1
            repeat.last_us = max(repeat.last_us, time)
            repeat.near, repeat.changed = False, True

    def anchor(self, host: str) -> None:
        """A fault comes that an incident may rest on: what repeats on its host is whole before and
        after it.
        """
        self._known(host)
        for key, repeat in self._by_label.get(label_of(host), {}).items():
            self._keep_held(key, repeat)
            repeat.near = True

    def finish(self) -> None:
        """The input has ended: the latest lines are kept whole."""
        for key, repeat in list(self._by_key.items()):
            self._keep_held(key, repeat)

    def drain(self) -> tuple[list[RepeatCount], list[tuple[RepeatKey, Repeat]]]:
        """Returns the counts since the last time, and what changed, its held lines read."""
        changed = [(key, repeat) for key, repeat in self._by_key.items() if repeat.changed]
        for _, repeat in changed:
            repeat.held = repeat.held() if callable(repeat.held) else repeat.held
            repeat.changed = False
        counts = [row for row in self._counts.values() if row.count]
        self._counts.clear()
        if len(self._by_key) > LIMIT:
            self._by_key.clear()
            self._by_label.clear()
        return counts, changed

    def _count(
        self, key: RepeatKey, repeat: Repeat, time: int, wall_us: int | None, held: Held
    ) -> None:
        hour_us = 0 if wall_us is None else wall_us - wall_us % HOUR_US
        self._row(key, repeat, hour_us).see(time, wall_us)
        repeat.held, repeat.held_hour_us = held, hour_us
        repeat.last_us = max(repeat.last_us, time)
        repeat.changed = True
        self.counted += 1

    def _row(self, key: RepeatKey, repeat: Repeat, hour_us: int) -> RepeatCount:
        place = (repeat.match_id, key[0], hour_us)
        row = self._counts.get(place)
        if row is None:
            row = self._counts[place] = RepeatCount(repeat.match_id, key[0], key[2], hour_us)
        return row

    def _keep_held(self, key: RepeatKey, repeat: Repeat) -> None:
        """The latest line is kept whole, and no longer counted."""
        held = repeat.held() if callable(repeat.held) else repeat.held
        repeat.held = None
        if held is None or held.kernel_time_us is None or (match_id := self._keep(held)) is None:
            return
        self._row(key, repeat, repeat.held_hour_us).count -= 1
        self.counted -= 1
        repeat.match_id, repeat.whole_us = match_id, held.kernel_time_us
        repeat.changed = True

    def _known(self, host: str) -> None:
        """Recalls what the store knows of a host, once."""
        label = label_of(host)
        if label not in self._by_label:
            self._by_label[label] = {}
            for key, repeat in self._recall(label):
                self._add(key, repeat)

    def _add(self, key: RepeatKey, repeat: Repeat) -> None:
        self._by_key[key] = repeat
        self._by_label.setdefault(label_of(key[1]), {})[key] = repeat

    def _drop(self, key: RepeatKey) -> None:
        del self._by_key[key]
        self._by_label[label_of(key[1])].pop(key, None)


def label_of(host: str) -> str:
    """Returns what a host's short and full names have in common."""
    return host.partition(".")[0]


def _goes_on(repeat: Repeat, boot: Boot, time: int) -> bool:
    """Returns whether a line of this boot and time is one more of what repeats."""
    known = repeat.boot
    same = (known.id, known.stream, known.count) == (boot.id, boot.stream, boot.count)
    return same and -DISORDER_US <= time - repeat.last_us <= QUIET_US
