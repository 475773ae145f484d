"""Two matches may be of one boot: what parts them, and what does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from detector.model import Boot, Match
from detector.same_boot import Banner, BootEvidence, same_boot
from tests.support.matches import SECOND, match

DAY = 86_400 * SECOND
NOW = 1_790_000_000 * SECOND


def half(cls: str, seconds: float, start_s: float, **changes: object) -> Match:
    """A match whose boot began so many seconds after `NOW` by its wall clock."""
    boot = Boot(epoch_us=NOW + round(start_s * SECOND), **changes)  # type: ignore[arg-type]
    made = match(cls, seconds, boot=boot)
    return replace(made, wall_time_us=NOW + round((start_s + seconds) * SECOND))


def test_journald_ids_decide_alone() -> None:
    """Equal ids are one boot and different ids are two, whatever the clocks say."""
    one = match("tcp-state", 100.0, boot=Boot(id="a", epoch_us=0))
    assert same_boot(one, match("memory-fault", 100.5, boot=Boot(id="a", epoch_us=9 * DAY)))
    assert not same_boot(one, match("memory-fault", 100.5, boot=Boot(id="b", epoch_us=0)))


@pytest.mark.parametrize("uptime", [2.0, 100.0, 61_817_741.0])
@pytest.mark.parametrize("step_s", [-660, 660, 1_200, 3_600, -8 * 3_600])
def test_a_wall_clock_that_steps_does_not_part_a_boot(uptime: float, step_s: float) -> None:
    """NTP, a paused machine, daylight saving, a clock in local time: the kernel time goes on."""
    one = half("tcp-state", uptime, 0)
    other = half("memory-fault", uptime + 0.5, step_s)
    assert same_boot(one, other)
    assert same_boot(other, one)


def test_the_same_uptime_on_two_days_is_two_boots() -> None:
    """Without a banner the wall clock is the evidence of last resort, from half a day on."""
    one = half("tcp-state", 100.0, 0)
    assert same_boot(one, half("memory-fault", 103.0, 11 * 3_600))
    assert not same_boot(one, half("memory-fault", 103.0, 24 * 3_600))


def test_nothing_known_is_no_proof_of_two() -> None:
    """Halves in two files without wall time may join; in one file the counts decide."""
    one = match("tcp-state", 100.0, boot=Boot(stream="day1", count=0))
    assert same_boot(one, match("memory-fault", 101.0, boot=Boot(stream="day2", count=3)))
    assert not same_boot(one, match("memory-fault", 101.0, boot=Boot(stream="day1", count=1)))


def test_a_late_line_is_of_any_boot_before_the_count() -> None:
    """What came after a banner, but was printed before it, joins no line of that boot or a later
    one.
    """
    late = match("memory-fault", 101.0, boot=Boot(stream="s", count=2, before=True))
    for count in (0, 1):
        assert same_boot(late, match("tcp-state", 100.0, boot=Boot(stream="s", count=count)))
    for count in (2, 3):
        assert not same_boot(match("tcp-state", 100.0, boot=Boot(stream="s", count=count)), late)
    assert same_boot(late, replace(late, boot=Boot(stream="s", count=5, before=True)))


def test_banners_of_other_streams_part_too() -> None:
    """A host's lines are spread over partitions: the banner in a third one lies between."""
    release, fault = half("tcp-state", 100.0, 0), half("memory-fault", 103.0, 300)
    boots = BootEvidence(banners=(Banner(NOW + 300 * SECOND),))
    assert not boots.same_boot(release, fault)
    assert not boots.same_boot(fault, release)
    assert boots.same_boot(release, half("memory-fault", 103.0, 0))
    assert boots.same_boot(half("tcp-state", 99.0, 310), fault)


@pytest.mark.parametrize("step_s", [660, -660, 1_200, 3_600])
def test_a_boot_s_own_banner_does_not_part_it_where_the_clock_steps(step_s: float) -> None:
    """The banner lies before both halves, and the next boot's after both."""
    boots = BootEvidence(banners=(Banner(NOW), Banner(NOW + 10_000 * SECOND)))
    release, fault = half("tcp-state", 5_000, 0), half("memory-fault", 5_003, step_s)
    assert boots.same_boot(release, fault)
    assert boots.same_boot(fault, release)


def test_a_dump_in_another_stream_joins_the_boot_that_crashed_alone() -> None:
    """Stamped when it was read: after the reboot's banner, whose own lines it does not join."""
    boots = BootEvidence(banners=(Banner(NOW + 120 * SECOND),))
    dump = half("memory-fault", 5_003, -4_343, before=True)
    assert boots.same_boot(half("tcp-state", 5_000, -5_000), dump)
    assert not boots.same_boot(dump, half("tcp-state", 5_000, 120))
    early = half("memory-fault", 103, 557, before=True)
    assert boots.same_boot(half("tcp-state", 100, -100), early)
    assert not boots.same_boot(half("tcp-state", 100, 120), early)
