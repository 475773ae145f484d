"""How many records a poll brings where they are dear, and where they are cheap again."""

from __future__ import annotations

import pytest

from detector.sources.kafka.pace import BATCH_S, LEAST, Pace


def settled(each_us: float, pace: Pace) -> float:
    """The seconds of a batch once the pace is used to records that cost so much each."""
    for _ in range(30):
        took_s = pace.records * each_us / 1e6
        pace.note(took_s)
    return pace.records * each_us / 1e6


def test_usual_records_come_as_the_settings_say() -> None:
    """At 0.3 µs each nothing holds them back."""
    pace = Pace(50_000)
    settled(0.3, pace)
    assert pace.records == 50_000


@pytest.mark.parametrize("each_us", [50, 300, 2_000])
def test_dear_records_come_in_batches_of_half_a_second(each_us: int) -> None:
    """A storm's records; and the usual size again when it is over."""
    pace = Pace(50_000)
    assert settled(each_us, pace) <= BATCH_S
    assert pace.records * each_us / 1e6 >= BATCH_S / 4
    settled(0, pace)
    assert pace.records == 50_000


def test_there_is_an_end_to_how_small_batches_are() -> None:
    """No batch is of nothing, whatever it costs; less than the least may be set."""
    for most, least in ((50_000, LEAST), (7, 7)):
        pace = Pace(most)
        for _ in range(30):
            pace.note(60.0)
        assert pace.records == least
