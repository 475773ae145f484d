"""Boots: what proves two of them, and what does not."""

from __future__ import annotations

from dataclasses import replace

from detector.boots import Boots, same_boot
from detector.model import Boot, Line
from tests.test_correlate import SECOND, match

LINE = Line(text="some line", source="kmsg/0", number=1, host="db-1", transport="dmesg")


def place(boots: Boots, *lines: tuple[float | None, str]) -> list[int]:
    """The counts of boot that lines of one stream are placed in: (kernel time in seconds, text)."""
    return [
        boots.place(
            replace(LINE, kernel_time_us=None if t is None else round(t * SECOND), text=text)
        ).count
        for t, text in lines
    ]


def test_journald_ids_decide_alone() -> None:
    """Equal ids are one boot and different ids are two, whatever the clocks say."""
    one = match("tcp-state", 100.0, boot=Boot(id="a", epoch_us=0))
    assert same_boot(one, match("memory-fault", 100.5, boot=Boot(id="a", epoch_us=9_000 * SECOND)))
    assert not same_boot(one, match("memory-fault", 100.5, boot=Boot(id="b", epoch_us=0)))


def test_starts_within_the_tolerance_are_one_boot_at_a_long_uptime() -> None:
    """Clocks drift, late readers stamp minutes late: ten minutes are allowed, not eleven."""
    one = match("tcp-state", 61_817_741.0, boot=Boot(epoch_us=0))
    assert same_boot(one, match("memory-fault", 61_817_742.0, boot=Boot(epoch_us=599 * SECOND)))
    assert not same_boot(one, match("memory-fault", 61_817_742.0, boot=Boot(epoch_us=660 * SECOND)))


def test_a_quick_reboot_within_the_tolerance_is_two_boots() -> None:
    """A boot that began after the other's line was printed is another one, though the starts are
    but two minutes apart.
    """
    one = match("tcp-state", 100.0, boot=Boot(epoch_us=0))
    other = match("memory-fault", 103.0, boot=Boot(epoch_us=130 * SECOND))
    assert not same_boot(one, other)
    assert not same_boot(other, one)


def test_whole_seconds_of_syslog_do_not_split_an_early_boot() -> None:
    """Rounding of both stamps is not a reboot."""
    assert same_boot(
        match("tcp-state", 0.4, boot=Boot(epoch_us=0)),
        match("memory-fault", 0.9, boot=Boot(epoch_us=SECOND)),
    )


def test_nothing_known_is_no_proof_of_two() -> None:
    """Halves in two files without wall time may join; in one file the counts decide."""
    one = match("tcp-state", 100.0, boot=Boot(stream="day1", count=0))
    assert same_boot(one, match("memory-fault", 101.0, boot=Boot(stream="day2", count=3)))
    assert not same_boot(one, match("memory-fault", 101.0, boot=Boot(stream="day1", count=1)))


def test_a_banner_begins_a_boot_once() -> None:
    """arm64 prints two banners, with nothing or with lines of time zero between them: one boot."""
    banners = [
        (0.0, "Booting Linux on physical CPU 0x0"),
        (0.0, "Linux version 5.15.0 (builder@host)"),
        (0.0, "KERNEL supported cpus:"),
    ]
    lines = [*banners, (100.0, "x"), *banners, (103.0, "y")]
    assert place(Boots(), *lines) == [0, 0, 0, 0, 1, 1, 1, 1]


def test_a_fall_of_the_kernel_time_begins_a_boot_but_jitter_does_not() -> None:
    """A minute back is a reboot, half a minute is the shipper."""
    assert place(Boots(), (500.0, "x"), (470.0, "y"), (501.0, "z"), (1.0, "w"), (503.0, "v")) == [
        0,
        0,
        0,
        1,
        1,
    ]


def test_user_space_cannot_begin_a_boot() -> None:
    """A process that prints the banner is no reboot."""
    boots = Boots()
    boots.place(replace(LINE, kernel_time_us=5))
    forged = replace(LINE, text="Linux version 6.6", trust="user", kernel_time_us=6)
    assert boots.place(forged).count == 0


def test_hosts_and_sources_have_streams_of_their_own() -> None:
    """One host's reboot says nothing of another."""
    boots = Boots()
    place(boots, (500.0, "x"), (0.0, "Linux version 6.6"))
    assert boots.place(replace(LINE, host="db-2")).count == 0
    assert boots.place(replace(LINE, source="kmsg/1")).count == 0


def test_a_copy_takes_its_stream_back_to_the_boot_it_was_in() -> None:
    """A file read again from its start, with a line more at its end: that line is of the old
    boot.
    """
    boots = Boots()
    first = replace(LINE, kernel_time_us=100 * SECOND)
    known = boots.place(first)
    place(boots, (0.0, "Linux version 6.6"))
    boots.settle(first, known)
    assert place(boots, (101.0, "new")) == [known.count]


def test_wall_time_and_kernel_time_give_the_start() -> None:
    """The start of a boot is wall − kernel time; a boot id is kept beside it."""
    line = replace(LINE, kernel_time_us=5 * SECOND, wall_time_us=105 * SECOND, boot_id="b")
    assert Boots().place(line) == Boot(id="b", epoch_us=100 * SECOND)


def test_the_counts_go_on_after_a_restart() -> None:
    """Streams are plain data that a new instance goes on from."""
    before = Boots()
    place(before, (500.0, "x"))
    assert place(Boots(before.changed().get), (1.0, "y")) == [1]
