"""The sentence as a whole: what comes in as bytes comes out as incidents, noise, reports and
positions, in one transaction a batch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from detector import pipeline as service
from detector.app import build
from detector.assemble import Assembler
from detector.catalogue import Catalogue
from detector.hooks import Hooks, RaisedIncident
from detector.match import Matcher
from detector.parse import Parser
from detector.pipeline import Pipeline
from detector.settings import settings_of
from detector.store import Journal, StoreError, open_journal
from tests.support.chunks import Lines
from tests.support.crash_lines import END, FAULT, NOISE, RELEASE, REST


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """The shipped one."""
    return build.catalogue_of(settings_of(None)[0])


@pytest.fixture
def journal() -> Iterator[Journal]:
    """A history that is not kept."""
    with closing(open_journal(":memory:")) as opened:
        yield opened


class Collected(Hooks):
    """Findings in the order in which they are told, as (id, new)."""

    def __init__(self) -> None:
        super().__init__(incident=self._keep)
        self.findings: list[tuple[RaisedIncident, bool]] = []

    def _keep(self, finding: RaisedIncident, new: bool) -> None:
        self.findings.append((finding, new))


def watch(catalogue: Catalogue, journal: Journal, told: Hooks | None = None) -> Pipeline:
    """A pipeline over a journal."""
    assembler = Assembler(catalogue.opening)
    return Pipeline(
        catalogue,
        journal,
        Parser(host="db-1"),
        matcher=Matcher(catalogue),
        assembler=assembler,
        now_us=0,
        hooks=told,
    )


def test_an_incident_is_told_when_its_second_half_comes_and_again_when_its_report_is_read(
    catalogue: Catalogue, journal: Journal
) -> None:
    """At once with what is known, then with the function: the first is new, the second is not."""
    told = Collected()
    pipeline = watch(catalogue, journal, told)
    pipeline.handle([Lines(RELEASE, NOISE, FAULT)], 1)
    assert [(finding.report is None, new) for finding, new in told.findings] == [(True, True)]
    pipeline.handle([Lines(*REST, END)], 2)
    pipeline.finish(3)
    finding, new = told.findings[-1]
    assert not new
    assert finding.report is not None
    assert finding.report.function == "my_driver_poll"
    assert pipeline.totals.incidents == 1
    assert pipeline.totals.noise == 1


def test_a_restart_between_head_and_end_loses_no_line_of_the_report(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    """The open block is stored with the positions, and a new process goes on with it."""
    path = tmp_path / "history.db"
    with closing(open_journal(path)) as before:
        watch(catalogue, before).handle([Lines(RELEASE, FAULT, REST[0])], 1)
    with closing(open_journal(path)) as after:
        pipeline = watch(catalogue, after)
        pipeline.handle([Lines(REST[1], END)], 2)
        pipeline.finish(3)
        (row,) = after.history().incidents()
        detail = after.history().incident(row.id)
    assert detail is not None
    assert detail.block is not None
    assert [line.encode() for line in detail.block.lines] == [
        line.partition(b"] ")[2] for line in (FAULT, *REST, END)
    ]


def test_a_batch_that_fails_leaves_nothing(
    catalogue: Catalogue, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Matches, noise and positions of a batch are stored together or not at all."""
    pipeline = watch(catalogue, journal)

    def fail(*_positions: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(journal, "set_positions", fail)
    with pytest.raises(StoreError):
        pipeline.handle([Lines(RELEASE, NOISE, FAULT)], 1)
    totals = journal.history().totals()
    assert (totals.matches, totals.incidents, totals.noise) == (0, 0, 0)
    assert journal.positions() == {}


def test_positions_are_those_after_the_batch(catalogue: Catalogue, journal: Journal) -> None:
    """By source, the position after the last record."""
    chunk = Lines(b"nothing", b"here")
    assert watch(catalogue, journal).handle([chunk], 1) == {"test": chunk.end}
    assert journal.positions() == {"test": chunk.end}


def test_read_twice_is_one_incident_and_one_match_each(
    catalogue: Catalogue, journal: Journal
) -> None:
    """A replay changes nothing but the noise counts, which positions guard."""
    pipeline = watch(catalogue, journal)
    for _ in range(2):
        pipeline.handle([Lines(RELEASE, FAULT, *REST, END)], 1)
    pipeline.finish(2)
    totals = journal.history().totals()
    assert (totals.incidents, totals.matches, pipeline.totals.incidents) == (1, 3, 1)


@pytest.mark.parametrize("digits", [3, 1])
@pytest.mark.parametrize("exact_first", [True, False])
def test_a_copy_with_rounded_stamps_is_the_same_incident(
    catalogue: Catalogue, journal: Journal, exact_first: bool, digits: int
) -> None:
    """Its identity has the exact kernel time of the fault, whichever copy comes first; one that was
    raised under the rounded time is joined.
    """
    exact = [line.replace(b"00] ", b"37] ") for line in (RELEASE, FAULT, *REST, END)]
    stamp = re.compile(rb"\.(\d{%d})\d{%d}\]" % (digits, 6 - digits))
    shown = b".\\g<1>" + b"0" * (6 - digits) + b"]"
    rounded = [stamp.sub(shown, line) for line in exact]
    pipeline = watch(catalogue, journal)
    for lines in (exact, rounded) if exact_first else (rounded, exact):
        pipeline.handle([Lines(*lines)], 1)
    pipeline.finish(2)
    alone = open_journal(":memory:")
    with closing(alone):
        watch(catalogue, alone).handle([Lines(*exact)], 1)
        (expected,) = alone.history().incidents()
    (row,) = journal.history().incidents()
    assert row.id == expected.id
    assert journal.history().totals().matches == 3


def test_counts_that_are_only_told_wait_for_the_end_or_until_they_are_many(
    catalogue: Catalogue, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost either way, and nothing is stored."""
    for limit, told_before_the_end in ((service.TOLD_AT_ONCE, []), (1, [2, 1])):
        monkeypatch.setattr(service, "TOLD_AT_ONCE", limit)
        told: list[int] = []
        pipeline = watch(
            catalogue,
            journal,
            Hooks(noise=lambda rows, told=told: told.extend(row.count for row in rows)),
        )
        pipeline.keeps_noise = False
        pipeline.handle([Lines(NOISE, NOISE)], 1)
        pipeline.handle([Lines(NOISE)], 2)
        assert told == told_before_the_end
        pipeline.finish(3)
        assert sum(told) == 3
    assert journal.history().noise().rows == []
