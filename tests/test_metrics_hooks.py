"""Metrics that are read when Prometheus scrapes: the version, and what is open in the history."""

from __future__ import annotations

from contextlib import closing

from detector import __version__, telemetry
from detector.app.metrics_hooks import _repeats, describe_process
from detector.repeat_runs import RepeatCount
from detector.store import open_actions, open_journal
from tests.support.nouns import WALL, incident, match


def _unresolved() -> dict[tuple[str, ...], float]:
    """What a scrape says of incidents that are not resolved."""
    return {
        (sample.labels["state"], sample.labels["severity"]): sample.value
        for family in telemetry.REGISTRY.collect()
        if family.name == "oopswatch_incidents_open"
        for sample in family.samples
    }


def test_open_incidents_are_those_of_the_history_at_the_scrape(tmp_path):
    """An acknowledged incident moves, a resolved one goes, with no batch in between."""
    path = tmp_path / "h.db"
    with closing(open_journal(path, clock=lambda: WALL)) as journal:
        describe_process(path)
        assert _unresolved() == {}
        with journal.transaction():
            fault, _ = journal.add_match(match(seconds=5, wall=5))
            half, _ = journal.add_match(match("tcp-state", 4, wall=4))
            made = incident(fault, half)
            journal.save_incident(made, [fault.id, half.id])
        assert _unresolved() == {("open", made.severity): 1}
        with closing(open_actions(path, clock=lambda: WALL)) as actions:
            actions.act(made.id, "acknowledge", actor="ann")
            assert _unresolved() == {("acknowledged", made.severity): 1}
            actions.act(made.id, "resolve", actor="ann")
        assert _unresolved() == {}


def test_a_history_that_cannot_be_read_does_not_stop_the_scrape(tmp_path):
    """Other metrics are still served, with the version."""
    describe_process(tmp_path / "none.db")
    assert _unresolved() == {}
    assert telemetry.REGISTRY.get_sample_value(
        "oopswatch_build_info", {"version": __version__, "python": _python()}
    )


def _python() -> str:
    """The version of this Python, as the metric names it."""
    (family,) = [
        family for family in telemetry.REGISTRY.collect() if family.name == "oopswatch_build_info"
    ]
    return family.samples[0].labels["python"]


def test_lines_that_are_counted_are_matches_of_the_metric() -> None:
    """A line that is kept whole after all came as a match of its own: it is taken off the next."""
    said = _repeats()

    def lines(count: int) -> float:
        said([RepeatCount(1, "a.log", "kernel.repeated", 0, count)])
        return telemetry.MATCHES.labels("kernel.repeated")._value.get()

    assert [lines(count) for count in (40, -1, 30, 0)] == [40, 40, 69, 69]
