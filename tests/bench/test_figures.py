"""Medians, ratios, goals, and whether what was found is what was planted."""

from __future__ import annotations

import pytest

from bench.figures import (
    Goal,
    Results,
    Row,
    disagreement,
    paired_ratio,
    per_unit,
    printed_incidents,
)
from bench.options import size_of
from bench.wanted import alternation, literals, noise_phrases, phrases
from detector.simulate.truth import Half, TrueIncident


def incident(host: str, release_us: int, fault_us: int) -> TrueIncident:
    """A planted pair."""
    release, fault = (
        Half("release", release_us, release_us, "a"),
        Half("fault", fault_us, fault_us, "b"),
    )
    return TrueIncident(host, "boot", (release, fault), fault, fault_us - release_us, fault_us)


PLANTED = [
    incident("web-1", 100_000_000, 101_000_000),
    incident("web-1", 900_000_000, 902_000_000),
    incident("db-2", 5_000_000, 6_000_000),
]


def test_the_ratio_is_the_median_of_what_ran_side_by_side():
    """One slow round of the machine slows both, and moves nothing."""
    assert paired_ratio([2.0, 20.0, 2.2], [1.0, 10.0, 1.0]) == 2.0


def test_a_slice_compares_with_the_whole_by_time_for_each_unit():
    """A tenth that takes as long is ten times slower."""
    whole, part = Row("g", "a", 1_000, "lines", [1.0]), Row("g", "b", 100, "lines", [1.0])
    assert paired_ratio(per_unit(part), per_unit(whole)) == pytest.approx(10)
    assert whole.rate == 1_000


@pytest.mark.parametrize(
    ("figure", "sense", "met"),
    [
        (2.5, "at most", True),
        (2.6, "at most", False),
        (3, "at least", True),
        (2, "at least", False),
    ],
)
def test_a_goal_is_met_at_its_limit(figure, sense, met):
    """At most and at least."""
    assert Goal("w", 2.5, figure, sense).met is met


def test_results_are_kept_whole():
    """JSON and back."""
    kept = Results(
        "files",
        {"cpu": "x"},
        [Row("g", "a", 1, "lines", [0.5])],
        [Goal("w", 1, 2, "at most")],
        ["c"],
        {"sec": "no"},
        ["n"],
    )
    assert Results.of_json(kept.as_json()) == kept


def test_what_peers_print_is_read():
    """Three forms: seconds, syslog-ng's message, rsigma's JSON."""
    text = (
        "INCIDENT web-1 101.000000\nINCIDENT db-2 [    6.000000] BUG: x\nnoise\n"
        '{"correlation_type":"temporal","group_key":[["hostname","web-1"]]}\n'
    )
    assert printed_incidents(text) == [("web-1", 101_000_000), ("db-2", 6_000_000), ("web-1", None)]


def test_what_was_planted_and_found_agree():
    """Several reports of one incident are folded; without a time each counts once."""
    assert (
        disagreement(
            PLANTED,
            [
                ("web-1", 101_000_000),
                ("web-1", 100_500_000),
                ("web-1", 902_000_000),
                ("db-2", None),
            ],
        )
        == ""
    )
    assert disagreement(PLANTED, [("web-1", None), ("web-1", None), ("db-2", None)]) == ""


def test_what_is_missed_or_false_is_named():
    """By host."""
    wrong = disagreement(
        PLANTED, [("web-1", 101_000_000), ("web-1", 400_000_000), ("edge-3", None)]
    )
    assert wrong == "missed on web-1, db-2; false on edge-3, web-1"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1G", 1_000_000_000),
        ("50M", 50_000_000),
        ("1.5g", 1_500_000_000),
        ("700", 700),
        ("5MB", 5_000_000),
    ],
)
def test_sizes_are_read(text, size):
    """With and without a unit."""
    assert size_of(text) == size


def test_a_size_that_is_none_is_refused_in_words():
    """Names the variable."""
    with pytest.raises(ValueError, match="BENCH_SIZE=much"):
        size_of("much")


def test_everybody_is_asked_for_the_catalogues_phrases():
    """Shorter phrases stand for the longer ones that begin with them, and all are among the
    literals.
    """
    faults = phrases("memory-fault")
    assert "Unable to handle kernel " in faults
    assert "Unable to handle kernel paging request" not in faults
    assert {*faults, *phrases("tcp-state"), *noise_phrases()} <= set(literals())


def test_phrases_are_escaped_for_every_dialect():
    """What a regular expression would read as its own."""
    assert alternation(["a (b", "c+"]) == r"a \(b|c\+"
