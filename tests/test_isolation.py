"""A stage that raises on one record costs that record and one line that says so: all others, noise
and positions included, are as if it had not been there.
"""

from __future__ import annotations

import json
import pkgutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from detector.cli import oopswatch
from detector.correlate import StoredMatch
from detector.hooks import Hooks
from detector.model import Line, Match, Record, Rejected
from detector.noise import NoiseCount
from detector.pipeline import Pipeline
from detector.store import open_history, open_journal
from tests.support.fleet_log import CULPRIT, HOSTS, chunks, lines, watched


@dataclass
class Outcome:
    """What a journal holds in the end, and what was told."""

    incidents: dict[str, Any] = field(default_factory=dict)
    matches: list[tuple[Any, ...]] = field(default_factory=list)
    noise: dict[tuple[str, str], int] = field(default_factory=dict)
    told_noise: dict[tuple[str, str], int] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    positions: dict[str, int] = field(default_factory=dict)
    totals: Any = None

    def without(self, host: str) -> Outcome:
        """The same of all other hosts."""
        return replace(
            self,
            incidents={key: one for key, one in self.incidents.items() if one["host"] != host},
            matches=[row for row in self.matches if row[0] != host],
            noise={key: count for key, count in self.noise.items() if key[0] != host},
            told_noise={key: count for key, count in self.told_noise.items() if key[0] != host},
        )

    def facts(self) -> tuple[Any, ...]:
        """What is compared."""
        return self.incidents, self.matches, self.noise, self.told_noise


Inject = Callable[[Pipeline, pytest.MonkeyPatch], None]


def outcome(
    path: Path,
    rows: Sequence[str],
    patch: pytest.MonkeyPatch,
    inject: Inject | None = None,
    size: int = 1_000,
) -> Outcome:
    """Runs a pipeline with a journal over some lines, in batches of `size`."""
    made = Outcome()

    def noise(counts: Sequence[NoiseCount]) -> None:
        for row in counts:
            key = (row.host, row.process)
            made.told_noise[key] = made.told_noise.get(key, 0) + row.count

    with closing(open_journal(path)) as journal, patch.context() as patched:
        pipeline = watched(journal, Hooks(noise=noise, rejected=made.rejected.append))
        if inject is not None:
            inject(pipeline, patched)
        for now, chunk in enumerate(chunks(rows, size)):
            pipeline.handle([chunk], now)
        pipeline.finish(10**6)
        made.positions, made.totals = journal.positions(), pipeline.totals
    with closing(open_history(path)) as history:
        for row in history.incidents():
            detail = history.incident(row.id)
            assert detail is not None
            block = detail.block.lines if detail.block else None
            made.incidents[row.id] = {"host": row.host, "title": row.title, "block": block}
        made.matches = sorted(
            tuple(row)
            for row in history.db.execute("SELECT host, kernel_time_us, text FROM matches")
        )
        counts = history.db.execute("SELECT host, process, sum(count) FROM noise GROUP BY 1, 2")
        made.noise = {(host, process): count for host, process, count in counts}
    return made


def failing(function: Callable[..., Any], is_culprit: Callable[..., bool]) -> Callable[..., Any]:
    """A function that raises on the culprit, after it has done its work: the worst moment."""

    def replaced(*arguments: Any, **options: Any) -> Any:
        result = function(*arguments, **options)
        if is_culprit(*arguments, **options):
            raise KeyError("injected")
        return result

    return replaced


def of_culprit(*arguments: Any, **_options: Any) -> bool:
    """Whether any argument is of the culprit's host."""
    return any(CULPRIT in repr(argument) for argument in arguments)


def inject_parse(watch: Pipeline, patch: pytest.MonkeyPatch) -> None:
    """A reader raises outside of what the parser guards."""
    patch.setattr(watch.parser, "feed", failing(watch.parser.feed, of_culprit))


def inject_reader(watch: Pipeline, patch: pytest.MonkeyPatch) -> None:
    """A reader raises inside of what the parser guards."""
    from detector.parse import parser

    del watch
    read = parser.lines.read_all
    patch.setattr(parser.fast_path, "read", lambda _text, _context: None)
    patch.setattr(parser.lines, "read_all", failing(read, of_culprit))


def inject_match(watch: Pipeline, patch: pytest.MonkeyPatch) -> None:
    """The matcher raises."""
    patch.setattr(watch.matcher, "claim", failing(watch.matcher.claim, of_culprit))


def inject_boots(watch: Pipeline, patch: pytest.MonkeyPatch) -> None:
    """Placing the line in a boot raises."""
    patch.setattr(watch.boots, "place", failing(watch.boots.place, of_culprit))


def inject_noise(watch: Pipeline, patch: pytest.MonkeyPatch) -> None:
    """Counting noise raises."""
    patch.setattr(watch.noise, "count", failing(watch.noise.count, of_culprit))


def inject_assemble(watch: Pipeline, patch: pytest.MonkeyPatch) -> None:
    """The assembler raises on any line of the host."""
    patch.setattr(watch.assembler, "feed", failing(watch.assembler.feed, of_culprit))


def inject_store(name: str) -> Inject:
    """A write of the journal raises."""

    def inject(watch: Pipeline, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(watch.journal, name, failing(getattr(watch.journal, name), of_culprit))

    return inject


def inject_deferred(watch: Pipeline, patch: pytest.MonkeyPatch) -> None:
    """What the journal writes at the end of a batch raises."""
    from detector.store.ingest import sightings

    del watch
    host = sightings.Sightings.flush

    def flush(self: Any, connection: sqlite3.Connection) -> None:
        if of_culprit(self._hosts):
            raise OverflowError("Python int too large to convert to SQLite INTEGER")
        host(self, connection)

    patch.setattr(sightings.Sightings, "flush", flush)


def inject_correlator(name: str) -> Inject:
    """A decision of the correlator, or an explanation, raises."""

    def inject(watch: Pipeline, patch: pytest.MonkeyPatch) -> None:
        del watch
        from detector import correlator, explain

        module = explain if name == "explain" else correlator
        patch.setattr(module, name, failing(getattr(module, name), of_culprit))

    return inject


def inject_read(watch: Pipeline, patch: pytest.MonkeyPatch) -> None:
    """The block is not read."""
    del watch
    from detector import crash

    patch.setattr(crash, "read", failing(crash.read, of_culprit))


FAULTS: dict[str, tuple[Inject, str]] = {
    "parse": (inject_parse, "parse"),
    "reader": (inject_reader, "parse"),
    "match": (inject_match, "match"),
    "boots": (inject_boots, "match"),
    "noise": (inject_noise, "match"),
    "assemble": (inject_assemble, "assemble"),
    "neighbours": (inject_store("neighbours"), "correlate"),
    "related": (inject_correlator("related_to"), "correlate"),
    "assemble_incident": (inject_correlator("assemble_incident"), "correlate"),
    "explain": (inject_correlator("explain"), "explain"),
    "read": (inject_read, "explain"),
    "add_match": (inject_store("add_match"), "store"),
    "add_report": (inject_store("add_report"), "store"),
    "save_incident": (inject_store("save_incident"), "store"),
    "count_noise": (inject_store("count_noise"), "store"),
    "save_open_blocks": (inject_store("save_open_blocks"), "store"),
    "deferred": (inject_deferred, "store"),
}
"""Faults by name: how they come about, and the stage that they are said to be of."""


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What is found without the culprit's host."""
    path = tmp_path_factory.mktemp("good") / "good.db"
    with pytest.MonkeyPatch.context() as patch:
        return outcome(path, lines([host for host in HOSTS if host != CULPRIT]), patch)


@pytest.mark.parametrize("size", [1_000, 7])
@pytest.mark.parametrize("name", FAULTS)
def test_a_stage_that_raises_costs_the_culprit_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, good: Outcome, name: str, size: int
) -> None:
    """All other hosts are as they are without the culprit, whatever stage raises on all its lines,
    and however the lines are cut into batches.
    """
    inject, stage = FAULTS[name]
    found = outcome(tmp_path / "found.db", lines(), monkeypatch, inject, size)
    assert found.without(CULPRIT).facts() == good.facts()
    assert found.told_noise == found.noise
    assert found.positions == {"fleet.log": sum(len(row) + 1 for row in lines())}
    places = [(row.source, row.number, row.stage) for row in found.rejected]
    assert len(set(places)) == len(places) > 0, "each once"
    culprits = {n for n, row in enumerate(lines(), 1) if f" {CULPRIT} " in row}
    assert {row.number for row in found.rejected} <= culprits
    assert {row.stage for row in found.rejected} == {stage}
    assert found.totals.rejected == len(found.rejected)


# One call raises, and it alone: on the line of the fault, or on the report that it anchors.
ONCE: dict[str, tuple[str, str]] = {
    "parse": ("detector.parse.parser.Parser.feed", "parse"),
    "match": ("detector.match.Matcher.claim", "match"),
    "assemble": ("detector.assemble.Assembler.feed", "assemble"),
    "explain": ("detector.explain.explain", "explain"),
    "correlate": ("detector.correlator.related_to", "correlate"),
    "store": ("detector.store.Journal.add_match", "store"),
}


def is_the_fault(*arguments: Any, **_options: Any) -> bool:
    """Whether an argument is, or holds, the culprit's fault."""
    nouns = [one for one in arguments if isinstance(one, Line | Match | Record | tuple)]
    nouns += [one.match for one in arguments if isinstance(one, StoredMatch)]
    text = repr(nouns)
    return CULPRIT in text and "Unable to handle" in text


@pytest.mark.parametrize("stage", ONCE)
def test_scan_names_the_record_that_raised_and_finds_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """Exit 1, since faults were found; one record set aside, with its place; every other line of
    its own host counts as well.
    """
    name, stage = ONCE[stage]
    path = tmp_path / "fleet.log"
    path.write_text("".join(f"{line}\n" for line in lines()))
    before = scanned(path)
    owner, _, function = name.rpartition(".")
    holder = pkgutil.resolve_name(owner)
    monkeypatch.setattr(holder, function, failing(getattr(holder, function), is_the_fault))
    after = scanned(path)
    (summary,) = after["summary"]
    number = next(n for n, row in enumerate(lines(), 1) if is_fault_of_culprit(row))
    assert summary["rejected"] == 1
    (row,) = summary["rejected_first"]
    assert (row["source"], row["number"], row["stage"]) == (str(path), number, stage)
    assert row["reason"] == "KeyError: 'injected' in replaced" or stage == "parse"
    assert after["noise"] == before["noise"]
    for kind in ("match", "incident"):
        others = [item for item in before[kind] if item["host"] != CULPRIT]
        assert [item for item in after[kind] if item["host"] != CULPRIT] == others
        assert others
    still_found = sum(item["host"] == CULPRIT for item in after["incident"])
    # Without its head the rest of the report is a fault still, which completes the pair.
    assert still_found == (stage != "correlate")
    told = run_scan(path).output
    assert f"set aside: {path}:{number}: {stage} raised KeyError" in told


def is_fault_of_culprit(row: str) -> bool:
    """Whether a line is the culprit's fault."""
    return f" {CULPRIT} " in row and "Unable to handle" in row


def run_scan(path: Path, *options: str) -> Result:
    """`oopswatch scan` in this process: 1, since something is found."""
    result = CliRunner().invoke(oopswatch, ["scan", *options, str(path)])
    assert result.exit_code == 1, result.output
    return result


def scanned(path: Path) -> dict[str, list[dict[str, Any]]]:
    """What `scan --json` prints, by type."""
    found: dict[str, list[dict[str, Any]]] = {"match": [], "incident": [], "noise": []}
    for text in run_scan(path, "--json").stdout.splitlines():
        item = json.loads(text)
        found.setdefault(item["type"], []).append(item)
    return found
