"""Lines that repeat are counted between whole ones: no pair is missed, every line counts."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from detector import repeats
from detector.app import build
from detector.cli import oopswatch
from detector.pipeline import Pipeline
from detector.settings import settings_of
from detector.sources.files.framing import FileChunk
from detector.store import Journal, open_journal
from detector.store.retention import Keeper, RetentionLimits

NOW_US = 1_800_000_000_000_000
WALL_S = 1_772_600_400
TEXTS = {
    "nfs": "nfs: server nas-{} not responding, still trying",
    "edac": "EDAC MC0: 1 CE memory read error on CPU_SrcID#0_MC#0_Chan#1_DIMM#0 (channel:1 slot:0 "
    "page:0x{:x} offset:0x0 grain:32 syndrome:0x0)",
    "io": "blk_update_request: I/O error, dev sda, sector {} op 0x0:(READ) flags 0x0 phys_seg 1 "
    "prio class 0",
    "fs": "EXT4-fs error (device sda1): ext4_find_entry:1455: inode #{}: comm kworker/0:1: "
    "reading directory lblock 0",
    "tcp": "Attempt to release TCP socket in state {} 00000000abcdef01",
    "fault": "Unable to handle kernel paging request at virtual address ffff{:012x}",
    "boot": "Linux version 5.10.{} (build@builder) (gcc) #1 SMP",
}
IN_ONE_WORLD = [hypothesis.HealthCheck.function_scoped_fixture]
ANCHORS = ("filesystem-error", "memory-fault")


class Event(NamedTuple):
    """A line of a host, so many µs after the one before; `late`: shipped last, by another way."""

    after_us: int
    host: str
    kind: str
    number: int
    late: bool = False


def shipped_lines(events: Iterable[Event]) -> tuple[list[str], list[str]]:
    """The lines in the order of their times, and those that came late."""
    lines: tuple[list[str], list[str]] = ([], [])
    times = {"db-1": 3_600_000_001, "db-2": 7_200_000_001}
    begun = dict(times)
    clock = 0
    for event in events:
        clock += event.after_us
        if event.kind == "boot":
            begun[event.host] = -clock
        kernel = begun[event.host] + clock
        seconds = clock // 1_000_000
        days, rest = divmod(seconds, 86_400)
        stamp = f"2026-03-{4 + days:02d}T{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
        text = TEXTS[event.kind].format(event.number)
        lines[event.late].append(
            f"{stamp}.{clock % 1_000_000:06d}+00:00 {event.host} kernel: "
            f"[{kernel // 1_000_000:5d}.{kernel % 1_000_000:06d}] {text}"
        )
    return lines


@cache
def catalogue_and_settings() -> Any:
    """Those of the commands, read once."""
    settings = settings_of(None)[0]
    return settings, build.catalogue_of(settings)


def pipeline(journal: Journal, *, whole: bool = False, short: bool = True) -> Pipeline:
    """A pipeline; `whole`: that counts nothing, without `short`: that reads every line."""
    settings, catalogue = catalogue_and_settings()
    watch = build.watch_of(settings, journal, catalogue)
    if whole:
        watch.matches.repeats = None
    if not short or whole:
        watch._short = None
    return watch


def feed(
    watch: Pipeline, lines: Sequence[str], source: str = "a.log", chunk: int = 40, number: int = 1
) -> None:
    """Hands lines to a pipeline, so many a batch."""
    for start in range(0, len(lines), chunk):
        data = "".join(f"{line}\n" for line in lines[start : start + chunk]).encode()
        watch.handle([FileChunk(source, data, len(data), number + start)], NOW_US)


def paired(journal: Journal) -> set[tuple[object, ...]]:
    """The faults that incidents rest on, by rule."""
    query = """
    SELECT i.rule, m.host, m.kernel_time_us, m.text FROM evidence e
      JOIN matches m ON m.id = e.match_id JOIN incidents i ON i.id = e.incident_id
    WHERE m.class IN (?, ?)"""
    return {tuple(row) for row in journal.db.execute(query, ANCHORS)}


def totals(journal: Journal) -> dict[str, int]:
    """Lines by signature: whole ones and counted ones."""
    query = """
    SELECT signature, sum(n) FROM (SELECT signature, 1 AS n FROM matches UNION ALL
      SELECT m.signature, r.count FROM repeats r JOIN matches m ON m.id = r.match_id)
    GROUP BY signature"""
    return dict(map(tuple, journal.db.execute(query)))


def tables(journal: Journal) -> list[tuple[object, ...]]:
    """What is stored, in an order of its own."""
    queries = (
        "SELECT host, kernel_time_us, wall_time_us, signature, text, source, number FROM matches",
        """SELECT m.host, m.kernel_time_us, r.hour_us, r.count, r.first_us, r.last_us,
          r.first_kernel_us, r.last_kernel_us FROM repeats r JOIN matches m ON m.id = r.match_id""",
        "SELECT id, rule, host, gap_us FROM incidents",
        "SELECT signature, hour_us, matches FROM signature_hours",
        "SELECT host, signature, shape, whole, whole_us, last_us, boot FROM repeating",
    )
    return sorted((tuple(row) for query in queries for row in journal.db.execute(query)), key=repr)


def ran(events: Sequence[Event], *, whole: bool = False, short: bool = True) -> Any:
    """What a history holds after some lines: the faults in pairs, lines by signature, all rows."""
    lines, late = shipped_lines(events)
    with closing(open_journal(":memory:")) as journal:
        watch = pipeline(journal, whole=whole, short=short)
        feed(watch, lines)
        feed(watch, late, "late.log")
        watch.finish(NOW_US)
        sums = totals(journal)
        assert sum(sums.values()) == watch.totals.matches
        return paired(journal), sums, tables(journal)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines repeat after three of them."""
    monkeypatch.setattr(repeats, "BEGINNING", 3)


gaps = st.sampled_from([1, 900, 400_000, 3_000_000, 9_000_000, 31_000_000, 59_000_000, 61_000_000])
kinds = st.sampled_from(["nfs", "edac", "io", "io", "io", "tcp", "tcp"])
stories = st.lists(
    st.one_of(
        st.builds(
            lambda gap, host, kind, size: [Event(gap, host, kind, n) for n in range(size)],
            gaps, st.sampled_from(["db-1", "db-1", "db-2"]), kinds, st.integers(1, 12),
        ),
        st.builds(
            lambda gap, host, kind, number, late: [Event(gap, host, kind, number, late)],
            gaps, st.sampled_from(["db-1", "db-1", "db-2"]), st.sampled_from(["fs", "fault"]),
            st.integers(0, 9_999), st.booleans(),
        ),
        st.builds(lambda host: [Event(5_000_000, host, "boot", 1)], st.just("db-2")),
    ),
    max_size=24,
).map(lambda parts: [event for part in parts for event in part])  # fmt: skip


@hypothesis.settings(
    max_examples=40, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
)
@given(stories)
def test_no_pair_is_missed_and_every_line_is_counted(events: list[Event]) -> None:
    """The oracle keeps every line whole. Storms of several kinds, faults among them and faults that
    come when all is over, reboots.
    """
    pairs, sums, _ = ran(events, whole=True)
    counted_pairs, counted_sums, _ = ran(events)
    assert counted_pairs == pairs
    assert counted_sums == sums


@hypothesis.settings(
    max_examples=40, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
)
@given(stories)
def test_the_short_way_stores_what_the_pipeline_stores(events: list[Event]) -> None:
    """Whole lines, counts with their times, incidents and hours are the same."""
    assert ran(events)[2] == ran(events, short=False)[2]


pieces = st.lists(
    st.tuples(
        st.sampled_from(["a.log", "a.log", "a.log.1", "b.log"]),
        st.floats(0, 1),
        st.floats(0, 1),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


def read_in_pieces(lines: Sequence[str], cuts: Sequence[Any], *, whole: bool = False) -> Any:
    """What a history holds after parts of a log under several names, in any order, some of them
    after a restart.
    """
    with closing(open_journal(":memory:")) as journal:
        watch = pipeline(journal, whole=whole)
        for source, begin, end, restarted in cuts:
            first, last = sorted((round(begin * len(lines)), round(end * len(lines))))
            if restarted:
                watch.finish(NOW_US)
                watch = pipeline(journal, whole=whole)
            feed(watch, lines[first:last], source)
        watch.finish(NOW_US)
        return paired(journal), totals(journal)


@hypothesis.settings(
    max_examples=25, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
)
@given(stories, pieces)
def test_lines_count_once_in_whatever_pieces_they_come(
    events: list[Event], cuts: list[Any]
) -> None:
    """Rotated, renamed, read again from the middle, overlapping, the later part first: each line
    counts once, as where every line is whole.
    """
    lines, _ = shipped_lines([event._replace(late=False) for event in events])
    cuts = [*cuts, ("a.log", 0.0, 1.0, False)]
    assert read_in_pieces(lines, cuts) == read_in_pieces(lines, cuts, whole=True)


@hypothesis.settings(
    max_examples=15, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
)
@given(stories, st.booleans(), st.randoms(use_true_random=False))
def test_lines_of_several_sources_at_once_count_once(
    events: list[Event], doubled: bool, drawn: random.Random
) -> None:
    """Two partitions that each have some of a host's lines, or two transports that have all."""
    lines, _ = shipped_lines([event._replace(late=False) for event in events])
    parts = [lines[start : start + 7] for start in range(0, len(lines), 7)]
    halves = [[line for line in part if drawn.random() < 0.5] for part in parts]
    results = []
    for whole in (False, True):
        with closing(open_journal(":memory:")) as journal:
            watch = pipeline(journal, whole=whole)
            for part, half in zip(parts, halves, strict=True):
                rest = part if doubled else [line for line in part if line not in half]
                feed(watch, rest, "logs/1")
                feed(watch, part if doubled else half, "logs/0")
            watch.finish(NOW_US)
            results.append((paired(journal), totals(journal)))
    assert results[0] == results[1]


def test_a_host_that_prints_traces_all_the_time_is_counted() -> None:
    """An open report does not make whole what repeats beside it."""
    trace = [
        "WARNING: CPU: 1 PID: 7 at net/sched/sch_generic.c:467 dev_watchdog+0x23a/0x240",
        "Call Trace:",
        " call_timer_fn+0x2b/0x120",
        "---[ end trace 0000000000000000 ]---",
    ]
    lines, _ = shipped_lines([Event(400_000, "db-1", "nfs", number) for number in range(400)])
    shipped = []
    for number, line in enumerate(lines):
        shipped.append(line)
        begin = line.partition("] ")[0]
        shipped += [f"{begin}] {text}" for text in trace] if number % 5 == 0 else []
    with closing(open_journal(":memory:")) as journal:
        watch = pipeline(journal)
        feed(watch, shipped)
        watch.finish(NOW_US)
        nfs = "SELECT count(*) FROM matches WHERE signature = 'kernel.nfs-not-responding'"
        assert journal.db.execute(nfs).fetchone()[0] < 10
        assert totals(journal)["kernel.nfs-not-responding"] == len(lines)


def storm(size: int = 400) -> list[Event]:
    """Two kinds on one host, two faults inside."""
    random.seed(7)
    events = [
        Event(random.randrange(1, 90_000), "db-1", random.choice(["io", "nfs"]), n)
        for n in range(size)
    ]
    for at in (size // 3, 2 * size // 3):
        events[at] = Event(50_000, "db-1", "fs", at)
    return events


@pytest.mark.parametrize(("kind", "fault", "apart_s"), [("io", "fs", 7), ("tcp", "fault", 3)])
def test_a_fault_that_comes_late_meets_a_storm_at_any_place(
    kind: str, fault: str, apart_s: int
) -> None:
    """Within a timespan of any counted line there is a whole one."""
    events = [Event(apart_s * 1_000_000, "db-1", kind, n) for n in range(120)]
    for at in range(110, 10, -9):
        events.insert(at, Event(1_000_000, "db-1", fault, at, late=True))
    pairs, sums, _ = ran(events, whole=True)
    counted_pairs, counted_sums, rows = ran(events)
    assert len(pairs) == 12
    assert (counted_pairs, counted_sums) == (pairs, sums)
    assert len([row for row in rows if row[0] == "db-1" and len(row) == 7]) < 100


def test_the_lines_next_to_a_fault_are_whole() -> None:
    """The one before it and the one after it, whatever was counted around them."""
    lines, _ = shipped_lines(storm())
    with closing(open_journal(":memory:")) as journal:
        watch = pipeline(journal)
        feed(watch, lines)
        kept = {row[0] for row in journal.db.execute("SELECT text FROM matches")}
    texts = [line.split("] ", 1)[1] for line in lines]
    for at, text in enumerate(texts):
        if "EXT4" in text:
            assert next(text for text in texts[at::-1] if "I/O" in text) in kept
            assert next(text for text in texts[at:] if "I/O" in text) in kept
    assert len(kept) < len(lines) / 8


def test_a_restart_goes_on_counting(tmp_path: Path) -> None:
    """Nothing begins anew, nothing is counted twice, and a fault after it meets the line before."""
    lines, _ = shipped_lines(storm())
    sums = []
    for cuts in ((400,), (50, 133, 134, 135, 300, 400)):
        with closing(open_journal(tmp_path / f"{len(cuts)}.db")) as journal:
            start = 0
            for end in cuts:
                feed(pipeline(journal), lines[start:end], number=1 + start)
                start = end
            rows = journal.db.execute("SELECT id, gap_us FROM incidents ORDER BY id").fetchall()
            sums.append((totals(journal), [tuple(row) for row in rows]))
    assert sums[0] == sums[1]


def test_a_log_that_is_read_again_adds_nothing(tmp_path: Path) -> None:
    """Under its name, and as what it was rotated to; many pages of times are looked through."""
    lines, _ = shipped_lines(storm(2_000))
    with closing(open_journal(tmp_path / "again.db")) as journal:
        feed(pipeline(journal), lines, chunk=400)
        before = totals(journal)
        assert journal.db.execute("SELECT count(*) FROM repeat_times").fetchone()[0] > 2
        feed(pipeline(journal), lines, chunk=777)
        feed(pipeline(journal), lines[900:], "a.log.1", chunk=500)
        assert totals(journal) == before


def test_a_batch_that_fails_is_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that raises is set aside; the batch is done again with care, line by line."""
    lines, _ = shipped_lines(storm())
    poison = next(line for line in lines if "EXT4" in line)

    with closing(open_journal(tmp_path / "poison.db")) as journal:
        watch = pipeline(journal)
        claimed = watch.matcher.claim

        def claim(line: Any) -> Any:
            if line.text in poison:
                raise RuntimeError("poison")
            return claimed(line)

        monkeypatch.setattr(watch.matcher, "claim", claim)
        feed(watch, lines)
        assert sum(totals(journal).values()) == len(lines) - 1 == watch.totals.matches


def test_retention_removes_counts_with_their_line(tmp_path: Path) -> None:
    """A whole line stands at least every hour: what is counted after it is as old as it is."""
    path = tmp_path / "old.db"
    events = [Event(60_000_000, "db-1", "nfs", n) for n in range(300)]
    with closing(open_journal(path)) as journal:
        watch = pipeline(journal)
        feed(watch, shipped_lines(events)[0])
        whole = journal.db.execute("SELECT count(*) FROM matches").fetchone()[0]
        assert 5 <= whole <= 12
    with closing(Keeper(path, RetentionLimits(matches_days=30))) as keeper:
        for _ in keeper.steps((WALL_S + 400 * 86_400) * 1_000_000):
            pass
    with closing(open_journal(path)) as journal:
        left = journal.db.execute("SELECT count(*) FROM repeats").fetchone()[0]
        assert left <= 2


def test_what_a_rule_counts_or_rests_on_is_whole() -> None:
    """Faults that anchor a rule, open a report or are counted by a rule are never counted here."""
    settings, catalogue = catalogue_and_settings()
    policy = repeats.RepeatPolicy(build.rules_in_force(settings, catalogue))
    for signature in catalogue.signatures:
        spacing = policy.spacing_us(signature)
        if signature.opens or signature.origin == "user" or signature.cls in ANCHORS:
            assert spacing is None
        elif signature.cls == "tcp-state":
            assert spacing is None or spacing == 10_000_000


def test_a_replay_of_the_same_log_finds_nothing_new(tmp_path: Path) -> None:
    """A replay keeps every line whole: what the history counted is known to it."""
    log, store = tmp_path / "a.log", tmp_path / "history.db"
    log.write_text("".join(f"{line}\n" for line in shipped_lines(storm())[0]))
    runner = CliRunner()
    assert runner.invoke(oopswatch, ["scan", "--store", str(store), str(log)]).exit_code == 1
    replayed = runner.invoke(oopswatch, ["replay", "--store", str(store), str(log)])
    assert replayed.exit_code == 0, replayed.output
