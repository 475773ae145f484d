"""Reports whose lines lie in several partitions come out as those of one partition do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from detector.api import Archive, Detector, Finding, from_json, open_history, to_json
from detector.assemble.report_lines import in_printed_order
from detector.clock import SECOND_US
from detector.isolation import RecordPlace
from detector.model import Line
from detector.settings import Settings
from detector.simulate import SimulationPlan, records, simulate
from detector.sources.kafka.chunks import KafkaChunk
from detector.stages.spread_reports import SpreadReports
from tests.kafka.facts import differences, frames
from tests.kafka.service import ask
from tests.support.shipped import shipped

NOW_US = 1_800_000_000_000_000
PLAN = SimulationPlan(
    seed=5,
    hosts=20,
    lines=5_000,
    start=1_776_000_000_000_000,
    incidents=12,
    noise_share=0.01,
    half_signatures=8,
    reboots=4,
)
APART = Settings.model_validate({"fleet": {"assemble_in_archive": True}})
PARTS = 4


class Polled:
    """A record as a consumer hands it out."""

    def __init__(self, offset: int, host: str, value: bytes) -> None:
        self.offset, self.timestamp, self.key, self.value = offset, 0, host.encode(), value


def batches(place: Random | None) -> Iterator[list[KafkaChunk]]:
    """The fleet's records, some at a time: by host, or anywhere."""
    ends = [0] * PARTS
    waiting: dict[int, list[Polled]] = {part: [] for part in range(PARTS)}
    rows = list(records(simulate(PLAN), format="rsyslog", delivery="in-order"))
    for number, (host, value) in enumerate(rows, 1):
        part = place.randrange(PARTS) if place else sum(host.encode()) % PARTS
        waiting[part].append(Polled(ends[part], host, value))
        ends[part] += 1
        if number % 1_000 == 0 or number == len(rows):
            yield [KafkaChunk(f"k/{part}", found) for part, found in waiting.items() if found]
            waiting = {part: [] for part in range(PARTS)}


def detected(settings: Settings, place: Random | None, members: int) -> Iterator[list[Finding]]:
    """The findings of first stages that share the partitions, a batch at a time."""
    stages = [Detector(settings, catalogue=shipped()) for _ in range(members)]
    for batch in batches(place):
        for number, stage in enumerate(stages):
            mine = [chunk for chunk in batch if int(chunk.source[2:]) % members == number]
            yield stage.feed(mine, NOW_US)
    for stage in stages:
        yield stage.finish(NOW_US)


def archived(store: Path, found: Iterator[list[Finding]]) -> None:
    """Findings into a history, each through its JSON, a second after the other."""
    with closing(open_history(store)) as journal:
        archive = Archive(journal, catalogue=shipped())
        now_us, number = NOW_US, 0
        for batch in found:
            rows = []
            for finding in batch:
                number += 1
                rows.append((from_json(to_json(finding)), RecordPlace("f/0", number, b"")))
            archive.store(rows, {"f/0": number + 1}, now_us=now_us)
            archive.tell()
            now_us += SECOND_US
        archive.store([], {}, now_us=now_us + 60 * SECOND_US)
        assert not archive.is_waiting


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two first stages and an archive say where each host has a partition."""
    store = tmp_path_factory.mktemp("keyed") / "h.db"
    archived(store, detected(Settings(), None, 2))
    return store


def test_findings_without_a_time_are_assembled_at_once(tmp_path: Path) -> None:
    """`take`, as replay and the Spark job call it: nothing waits for later lines."""
    with closing(open_history(tmp_path / "h.db")) as journal:
        archive = Archive(journal, APART, catalogue=shipped())
        archive.take([finding for batch in detected(APART, None, 1) for finding in batch])
        assert not archive.is_waiting
    assert sum(count for _, _, count in frames(tmp_path / "h.db")) > 100


@pytest.mark.parametrize("members", [1, 2])
def test_lines_anywhere_make_the_reports_of_one_partition(
    tmp_path: Path, keyed: Path, members: int
) -> None:
    """Pairs, matches and noise are equal, and so is every report with every frame."""
    store = tmp_path / "h.db"
    archived(store, detected(APART, Random(members), members))
    assert sum(count for _, _, count in frames(keyed)) > 100
    assert frames(store) == frames(keyed)
    differing = differences(store, keyed)
    # Which partition a line lay in is another one, and with it the place of each match.
    assert differing.keys() <= {"matches", "reports", "counters", "incidents"}
    same = "SELECT host, signature, kernel_time_us, text FROM matches ORDER BY 1, 3, 4"
    assert ask(store, same) == ask(keyed, same)
    incidents = "SELECT id, rule, host, gap_us, title FROM incidents ORDER BY 1"
    assert ask(store, incidents) == ask(keyed, incidents)


def line(us: int, number: int, *, start_us: int | None = NOW_US, source: str = "k/0") -> Line:
    """A line that a kernel printed so long after its start."""
    wall_us = None if start_us is None else start_us + us
    return Line(f"line {us}", source, number, "h", "kernel", us, wall_us, trust="kernel")


def place(number: int, source: str = "f/0") -> RecordPlace:
    """The record of a finding."""
    return RecordPlace(source, number, b"")


def test_lines_of_two_boots_keep_their_order() -> None:
    """The kernel time of the second begins anew; what comes twice is there once."""
    day_us = 86_400 * SECOND_US
    first = [line(900 * SECOND_US + at, at) for at in range(4)]
    second = [line(at, at, start_us=NOW_US + day_us, source="k/1") for at in range(4)]
    mixed = [*second, *first, *first]
    Random(1).shuffle(mixed)
    assert in_printed_order(mixed) == [*first, *second]


def test_lines_without_one_of_the_clocks_stand_where_the_other_puts_them() -> None:
    """With no clock at all they stay as they came."""
    lines = [line(at * SECOND_US, at) for at in range(6)]
    lines[2] = replace(lines[2], kernel_time_us=None)
    lines[4] = replace(lines[4], wall_time_us=None)
    assert in_printed_order(reversed(lines)) == lines
    bare = [replace(one, kernel_time_us=None, wall_time_us=None) for one in lines]
    assert in_printed_order(bare) == bare


def test_lines_wait_for_each_other_and_hold_their_records() -> None:
    """Until none came for a while; then again with what comes late, and what failed is undone."""
    spread = SpreadReports(5 * SECOND_US, 60 * SECOND_US)
    spread.add(line(3, 3), place(7), 0)
    spread.mark()
    spread.add(line(1, 1, source="k/1"), place(4, "f/1"), 4 * SECOND_US)
    assert spread.take_due(8 * SECOND_US) == []
    assert spread.waiting() == {"f/0": 7, "f/1": 4}
    spread.rewind()
    assert spread.waiting() == {"f/0": 7}
    (lines,) = spread.take_due(8 * SECOND_US)
    assert [one.number for one in lines] == [3]
    assert not spread.is_waiting
    assert spread.waiting() == {}
    spread.add(line(2, 2), place(9), 30 * SECOND_US)
    (lines,) = spread.take_due(90 * SECOND_US)
    assert [one.number for one in lines] == [2, 3]


def test_a_host_that_never_stops_comes_out_by_age() -> None:
    """However often a line comes."""
    spread = SpreadReports(5 * SECOND_US, 60 * SECOND_US)
    out = 0
    for second in range(130):
        spread.add(line(second * SECOND_US, second), place(second), second * SECOND_US)
        out += len(spread.take_due(second * SECOND_US))
    assert out == 2
