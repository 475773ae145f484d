"""Detector and archive in a row find what one process finds, whatever way the findings took."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from detector.api import (
    Archive,
    Detector,
    Finding,
    ReportFinding,
    from_json,
    open_history,
    text_chunk,
    to_json,
)
from detector.app import build
from detector.clock import SECOND_US
from detector.findings import NoiseFinding, UnclaimedFinding
from detector.noise import NoiseCount
from detector.settings import Settings
from detector.simulate import SimulationPlan, records, simulate
from detector.sources.kafka.chunks import KafkaChunk
from detector.unclaimed import UnclaimedCount
from tests.kafka.facts import differences
from tests.kafka.service import ask
from tests.kernel_errors.shipping import syslog
from tests.support.fleet_log import lines
from tests.support.shipped import shipped

NOW_US = 1_800_000_000_000_000
PLAN = SimulationPlan(
    seed=5, hosts=30, lines=20_000, incidents=12, noise_share=0.01, half_signatures=8, reboots=4
)


class Polled:
    """A record as a consumer hands it out."""

    def __init__(self, offset: int, host: str, value: bytes) -> None:
        self.offset, self.timestamp, self.key, self.value = offset, 0, host.encode(), value


def shipped_chunks(size: int, parts: int = 3) -> Iterator[list[KafkaChunk]]:
    """The simulated fleet's records in partitions by host, a batch at a time."""
    logs: dict[int, list[Polled]] = {part: [] for part in range(parts)}
    waiting: dict[int, list[Polled]] = {part: [] for part in range(parts)}
    for number, (host, value) in enumerate(records(simulate(PLAN), format="rsyslog")):
        part = sum(host.encode()) % parts
        values = [value]
        if number % 200 == 0:  # an error that no signature claims
            text = f"acme {number}: {'fan' if number % 3 else 'pump'} stopped"
            values.append(syslog(host, NOW_US + number * SECOND_US, text))
        for record in values:
            polled = Polled(len(logs[part]), host, record)
            logs[part].append(polled)
            waiting[part].append(polled)
        if number % size == size - 1:
            yield [KafkaChunk(f"k/{one}", rows) for one, rows in waiting.items() if rows]
            waiting = {one: [] for one in waiting}
    yield [KafkaChunk(f"k/{one}", rows) for one, rows in waiting.items() if rows]


def one_process(store: Path) -> None:
    """The fleet through one pipeline."""
    with closing(open_history(store)) as journal:
        watch = build.watch_of(Settings(), journal, shipped())
        for batch in shipped_chunks(2_000):
            watch.handle(batch, NOW_US)
        watch.finish(NOW_US)


def archived(store: Path, findings: Sequence[Finding], size: int) -> None:
    """Findings into a history, some at a time, each through its JSON."""
    with closing(open_history(store)) as journal:
        archive = Archive(journal, catalogue=shipped())
        for at in range(0, len(findings), size):
            archive.take([from_json(to_json(one)) for one in findings[at : at + size]])


@pytest.mark.parametrize("size", [7, 100_000])
def test_two_stages_write_the_history_of_one_process(tmp_path: Path, size: int) -> None:
    """The same incidents, matches, reports, noise and counters, at any size of a transaction."""
    one_process(tmp_path / "one.db")
    detector = Detector(catalogue=shipped())
    findings = [found for batch in shipped_chunks(2_000) for found in detector.feed(batch, NOW_US)]
    findings += detector.finish(NOW_US)
    archived(tmp_path / "two.db", findings, size)
    assert differences(tmp_path / "two.db", tmp_path / "one.db") == {}
    assert ask(tmp_path / "two.db", "SELECT count FROM kernel_errors WHERE hosts > 1")


def test_a_successor_goes_on_where_a_detector_was_killed(tmp_path: Path) -> None:
    """Detectors that are killed at any batch: a successor reads from the committed offset on, and
    what is sent in all is what one detector sends.
    """
    chance = Random(3)
    batches = list(shipped_chunks(500))
    whole: dict[str, list[Polled]] = {}
    for batch in batches:
        for chunk in batch:
            whole.setdefault(chunk.source, []).extend(chunk._records)  # type: ignore[arg-type]
    sent: list[Finding] = []
    detector = Detector(catalogue=shipped())
    committed = detector.resume_at(counted=True)
    at = dict.fromkeys(whole, 0)
    kills = 0
    while any(at[name] < len(rows) for name, rows in whole.items()):
        batch = []
        for name, rows in whole.items():
            part = rows[at[name] : at[name] + 250]
            at[name] += len(part)
            batch += [KafkaChunk(name, part)] if part else []
        found = detector.feed(batch, NOW_US)
        if chance.random() < 0.25:  # killed before its transaction
            kills += 1
            detector = Detector(catalogue=shipped())
            for name, point in committed.items():
                detector.begin(name, point.sent, point.counted)
            at = {name: committed[name].offset if name in committed else 0 for name in whole}
            continue
        counted = chance.random() < 0.3
        sent += found + (detector.take_counts() if counted else [])
        committed = detector.resume_at(counted=counted)
        detector.sent(committed)
    sent += detector.finish(NOW_US)
    assert kills > 10
    one_process(tmp_path / "one.db")
    archived(tmp_path / "two.db", sent, 1_000)
    found_differences = differences(tmp_path / "two.db", tmp_path / "one.db")
    found_differences.pop("counters", None)
    assert found_differences == {}


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    """Text in, incidents out, nothing but the public interface."""
    detector = Detector()
    text = "".join(f"{line}\n" for line in lines()).encode()
    findings = detector.feed([text_chunk("fleet.log", text)], now_us=NOW_US)
    findings += detector.finish(now_us=NOW_US)
    assert {one.kind for one in findings} >= {"match", "report", "noise"}
    with closing(open_history(tmp_path / "history.db")) as journal:
        incidents = Archive(journal).take(findings)
    assert sorted(one.incident.host for one in incidents) == [
        "db-1",
        "db-2",
        "db-3",
        "db-culprit-7",
    ]
    assert {one.report.function for one in incidents if one.report} == {"my_driver_poll"}
    assert sum(one.count.count for one in findings if isinstance(one, NoiseFinding)) == 8
    assert len([one for one in findings if isinstance(one, ReportFinding)]) == 4


def test_the_example_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first example of docs/fleet.md, as it stands there."""
    page = (Path(__file__).parents[2] / "docs" / "fleet.md").read_text()
    example = page.split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    Path("kern.log").write_text("".join(f"{line}\n" for line in lines()))
    exec(compile(example, "docs/fleet.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_a_sum_that_the_history_cannot_hold_is_set_aside(tmp_path: Path) -> None:
    """It alone: the archive goes on, and the other sums of its batch are stored."""
    times = (None, None, None, None)
    sound, broken, other = (
        NoiseFinding(NoiseCount("k/0", "h", process, "user.segfault", 0, count, *times))
        for process, count in (("a", 3), ("b", 1 << 70), ("c", 4))
    )
    unclaimed = UnclaimedFinding(UnclaimedCount("copy", 2, "s", "k/0", 1, "h", "\ud800"))
    with closing(open_history(tmp_path / "h.db")) as journal:
        archive = Archive(journal, catalogue=shipped())
        archive.take([sound, broken, unclaimed, other])
        assert archive.totals.noise == 7
        assert archive.totals.unclaimed == 2
        assert archive.totals.rejected == 1
        archive.take([sound])
        assert archive.totals.noise == 10
        noise = journal.history().noise(by=("process",)).rows
        assert {row.process: row.count for row in noise} == {"a": 6, "c": 4}
