"""Counts kernel lines that repeat, between those that are kept whole at beginning and end.

In: matches of one signature and shape on one host, in the order in which they come, from whatever
source. Out: whether a match is kept whole, and counts. No line counts twice: what was counted is
known by its kernel time, wherever it comes from again. No pair is missed: a fault that anchors a
rule's incident is never counted, nor what a rule counts; between two whole lines of what a rule
asks for lies at most its timespan, so whatever makes a pair with a counted line makes one with the
whole line before or after it; and when an anchor comes, the line before it and the line after it
are whole. Reads no clock and stores nothing: `RepeatStore` and `keep` do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from detector.clock import HOUR_US
from detector.correlate import terms
from detector.model import Boot, Match
from detector.repeat_runs import QUIET_US, Held, Repeat, RepeatCount, RepeatKey, RunBoot
from detector.repeat_times import RepeatTimes, stamp_of

if TYPE_CHECKING:
    from detector.catalogue import Rule, Signature

# So many lines are whole where a line begins to repeat.
BEGINNING = 8
# More runs are not held in memory: they are recalled when they are needed.
LIMIT = 20_000
# Of one line there are so many runs before those that counted nothing must go.
_MANY = 32
_NEVER = 1 << 62

_VARYING = b"0123456789abcdefABCDEF"


class RepeatStore(Protocol):
    """The store of what repeats, as far as it is read here."""

    def unfinished(self, label: str) -> Iterable[tuple[RepeatKey, Repeat]]:
        """The runs on hosts of one label whose latest line may still be kept whole."""
        ...

    def runs(self, key: RepeatKey, time_us: int) -> Iterable[Repeat]:
        """The latest runs that began up to a kernel time."""
        ...

    def page(self, run: int, time_us: int, /) -> tuple[int, bytes, int | None] | None:
        """A page of the times of a run; see `LoadPage`."""
        ...

    def is_whole(self, match: Match) -> bool:
        """Returns whether a match is stored already."""
        ...

    def next_us(self, key: RepeatKey, time_us: int) -> int | None:
        """The kernel time, after one, of the next whole line of a host and signature, or of the
        next run that begins; None where there is neither.
        """
        ...


class RawTimes(NamedTuple):
    """The times of a line that is not read yet, and its boot as its source tells of it."""

    kernel_us: int
    wall_us: int | None
    boot_id: str | None
    boot_count: int


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

    `keep` keeps a match whole and returns its id.
    """

    def __init__(
        self, policy: RepeatPolicy, store: RepeatStore, keep: Callable[[Match], int | None]
    ) -> None:
        self.policy = policy
        self._store = store
        self._keep = keep
        self._runs: dict[RepeatKey, list[Repeat]] = {}
        self._by_label: dict[str, set[RepeatKey]] = {}
        # The run that the lines of a source are of at present.
        self._present: dict[tuple[str, RepeatKey], Repeat] = {}
        self._counts: dict[tuple[int, str, int], RepeatCount] = {}
        self._needless: set[int] = set()
        self.counted = 0
        """Lines that were counted since somebody set this to 0."""

    def forget(self) -> None:
        """Goes back to what the store knows: what was not drained is forgotten."""
        self._clear()
        self._counts.clear()
        self._needless.clear()
        self.counted = 0

    def takes(self, key: RepeatKey, match: Match, spacing_us: int) -> bool | Boot:
        """Counts a match, if it is not to be kept whole. Returns whether it was counted now; of
        one that was counted before its boot, as its source counted boots then.
        """
        time = match.kernel_time_us
        if time is None:
            return False
        self._known(key[0])
        text = match.text.encode(errors="surrogatepass")
        stamp = stamp_of(time, text)
        run = self._present.get((match.source, key))
        plain = run is not None and run.plain(match, time)
        if run is None or not plain:
            run = self._find(key, match, (time, stamp, text))
        if run is None:
            return False
        late = time <= run.last_us
        if late and run.counted(stamp, time, text):
            return run.boot_in(match.source, key[0]) or True
        if late and not run.keeps_pairs(time, spacing_us):
            return False
        if run.whole < BEGINNING or run.near or match.boot.before:
            return False
        if (late or not plain) and self._store.is_whole(match):
            return False
        if time - run.whole_us > spacing_us:
            self._keep_held(key, run)
        self._count(key, run, (match.source, time, match.wall_time_us, stamp), match, text)
        return True

    def takes_raw(
        self,
        source: str,
        key: RepeatKey,
        times: RawTimes,
        text: bytes,
        spacing_us: int,
        held: Callable[[], Match | None],
    ) -> bool:
        """The same of a line that is not read yet; False where somebody must read it."""
        run = self._present.get((source, key))
        if run is None or run.whole < BEGINNING or run.near or run.rivals:
            return False
        time, wall_us, boot_id, boot_count = times
        boot = run.boot
        if boot.id != boot_id or boot.counts.get(source) != boot_count:
            return False
        if not 0 < time - run.last_us <= QUIET_US or time - run.whole_us > spacing_us:
            return False
        if time >= run.until_us:
            return False
        hour_us = 0 if wall_us is None else wall_us - wall_us % HOUR_US
        row = run.row
        if row is None or row.hour_us != hour_us or row.source != source:
            row = run.row = self._row(key, run, source, hour_us)
        row.see(time, wall_us)
        run.follow(held, source, time, stamp_of(time, text), text)
        run.held_hour_us = hour_us
        self.counted += 1
        return True

    def kept(self, key: RepeatKey, match: Match, match_id: int) -> None:
        """A match was kept whole that `takes` did not take."""
        time = match.kernel_time_us
        if time is None or match.boot.before:
            return
        run = self._present.get((match.source, key))
        if run is None:
            self._begin(key, match, match_id, time)
            return
        run.boot.take(match)
        if time <= run.last_us:
            run.note_whole(time)
            return
        run.keep(match_id, time)
        run.whole += 1
        run.last_us, run.texts, run.near = time, (), False

    def anchor(self, host: str) -> None:
        """A fault comes that an incident may rest on: what repeats on its host is whole before and
        after it.
        """
        self._known(host)
        for key in self._by_label[label_of(host)]:
            for run in self._runs[key]:
                self._keep_held(key, run)
                run.near = True

    def finish(self) -> None:
        """The input has ended: the latest lines are kept whole."""
        for key, runs in self._runs.items():
            for run in runs:
                self._keep_held(key, run)

    def drain(self) -> tuple[list[RepeatCount], list[tuple[RepeatKey, Repeat]], list[int]]:
        """Returns the counts since the last time, the runs that changed, their held lines read,
        and the ids of runs that are needed no longer.
        """
        changed = [(key, run) for key, runs in self._runs.items() for run in runs if run.changed]
        changed.sort(key=_latest_us)  # about as they lie there, to be read
        for _, run in changed:
            run.held = run.held() if callable(run.held) else run.held
            run.changed, run.row = False, None
        counts = [row for row in self._counts.values() if row.count]
        needless = sorted(self._needless)
        self._counts, self._needless = {}, set()
        if sum(map(len, self._runs.values())) > LIMIT:
            self._clear()
        return counts, changed, needless

    def _find(self, key: RepeatKey, match: Match, line: tuple[int, int, bytes]) -> Repeat | None:
        """The run that a line is of (time, stamp and text), whatever its source was in before: one
        that holds the very line, else one of its boot that it goes on with.
        """
        place, (time, stamp, text) = (match.source, key), line
        related = self._related(key, match, time)
        covering = [run for run, _ in related if run.covers(time)]
        run = next((run for run in covering if run.counted(stamp, time, text)), None)
        if run is None and covering and self._store.is_whole(match):
            run = covering[0]
        if run is None:
            run = next((run for run, sure in related if sure and run.reaches(time)), None)
        before = self._present.pop(place, None)
        if before is not None and before is not run and before.last_us < time:
            self._keep_held(key, before)
        if run is not None:
            if not match.boot.before:
                run.boot.take(match)
            self._present[place] = run
            run.rivals = [item for item, _ in related if item is not run and item.covers(time)]
            run.until_us = self._until_us(key, max(time, run.last_us))
        return run

    def _related(self, key: RepeatKey, match: Match, time: int) -> list[tuple[Repeat, bool]]:
        """The runs that may be of a line's boot, and whether they surely are; those that began
        last up to its time come first.
        """
        held = self._runs.setdefault(key, [])
        self._by_label.setdefault(label_of(key[0]), set()).add(key)
        ids = {*self._needless, *(run.times.run for run in held)}
        held += [run for run in self._store.runs(key, time) if run.times.run not in ids]
        related = [(run, sure) for run in held if (sure := run.boot.holds(match)) is not False]
        related.sort(key=lambda item: (item[0].first_us > time, -item[0].first_us))
        return [(run, bool(sure)) for run, sure in related]

    def _begin(self, key: RepeatKey, match: Match, match_id: int, time: int) -> None:
        """A line that is of no run begins one. Runs before that counted nothing are needed no
        longer: each of their lines is whole.
        """
        times = RepeatTimes(self._store.page)
        run = Repeat(match_id, RunBoot.of(match), 1, time, time, time, times)
        run.wholes.append(time)
        run.until_us = self._until_us(key, time)
        held = self._runs.setdefault(key, [])
        self._by_label.setdefault(label_of(key[0]), set()).add(key)
        for other in self._needless_of(held):
            held.remove(other)
            other.until_us = -1  # a source that was in it looks for another
            if other.times.run is not None:
                self._needless.add(other.times.run)
        for other in held:
            if other.covers(time):
                other.rivals.append(run)
                run.rivals.append(other)
            elif other.first_us < time:
                other.until_us = min(other.until_us, time)
        held.append(run)
        self._present[match.source, key] = run

    def _until_us(self, key: RepeatKey, time: int) -> int:
        """The kernel time after one from which on lines of other runs may come again."""
        next_us = self._store.next_us(key, time)
        later = [run.first_us for run in self._runs.get(key, ()) if run.first_us > time]
        return min(_NEVER if next_us is None else next_us, *later, _NEVER)

    def _needless_of(self, held: Sequence[Repeat]) -> list[Repeat]:
        """The runs that counted nothing, as far as no source is in them."""
        empty = [run for run in held if run.times.tail is None and run.held is None]
        if not empty or len(held) > _MANY:
            return empty
        present = set(map(id, self._present.values()))
        return [run for run in empty if id(run) not in present]

    def _count(
        self,
        key: RepeatKey,
        run: Repeat,
        place: tuple[str, int, int | None, int],
        held: Held,
        text: bytes,
    ) -> None:
        source, time, wall_us, stamp = place
        hour_us = 0 if wall_us is None else wall_us - wall_us % HOUR_US
        self._row(key, run, source, hour_us).see(time, wall_us)
        run.hold(held, source, time, stamp, hour_us)
        if time > run.last_us:
            run.last_us, run.texts = time, (text,)
        elif time == run.last_us:
            run.texts = (*run.texts, text)
        self.counted += 1

    def _row(self, key: RepeatKey, run: Repeat, source: str, hour_us: int) -> RepeatCount:
        place = (run.match_id, source, hour_us)
        row = self._counts.get(place)
        if row is None:
            row = self._counts[place] = RepeatCount(run.match_id, source, key[1], hour_us)
        return row

    def _keep_held(self, key: RepeatKey, run: Repeat) -> None:
        """The latest line is kept whole, and no longer counted."""
        held = run.held() if callable(run.held) else run.held
        if held is None or held.kernel_time_us is None or (match_id := self._keep(held)) is None:
            return
        run.held, run.held_stamp = None, -1
        self._row(key, run, run.source, run.held_hour_us).count -= 1
        self.counted -= 1
        run.keep(match_id, held.kernel_time_us)
        run.boot.take(held)
        if held.kernel_time_us == run.last_us:
            run.texts = ()

    def _known(self, host: str) -> None:
        """Recalls the unfinished runs of a host, once."""
        label = label_of(host)
        if label in self._by_label:
            return
        self._by_label[label] = set()
        for key, run in self._store.unfinished(label):
            self._by_label[label].add(key)
            self._runs.setdefault(key, []).append(run)

    def _clear(self) -> None:
        self._runs.clear()
        self._by_label.clear()
        self._present.clear()


def _latest_us(item: tuple[RepeatKey, Repeat]) -> int:
    """The wall time of the latest line that was counted since the last drain, as far as known."""
    row = item[1].row
    return row.last_us or 0 if row is not None else 0


def label_of(host: str) -> str:
    """Returns what a host's short and full names have in common."""
    return host.partition(".")[0]
