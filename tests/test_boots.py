"""Lines are placed in boots: what begins one, and what does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.boots import Boots, LineStream, Recall, start_us
from detector.model import Boot, Line
from tests.support.matches import SECOND

HOUR = 3_600 * SECOND
DAY = 24 * HOUR
NOW = 1_790_000_000 * SECOND
LINE = Line(text="some line", source="kmsg/0", number=1, host="db-1", transport="dmesg")
BANNER = "Linux version 5.15.0 (builder@host)"


def line(seconds: float | None, wall_us: int | None = None, **changes: object) -> Line:
    """A line at a kernel time in seconds, and a wall time in µs."""
    time = None if seconds is None else round(seconds * SECOND)
    return replace(LINE, kernel_time_us=time, wall_time_us=wall_us, **changes)  # type: ignore[arg-type]


def place(boots: Boots, *lines: tuple[float | None, str]) -> list[int]:
    """The counts of boot that lines of one stream are placed in: (kernel time in seconds, text)."""
    return [
        boots.place(line(t, text=text), banner=text == BANNER or text.startswith("Booting")).count
        for t, text in lines
    ]


def walls(*lines: tuple[float, float, bool]) -> list[tuple[int, bool]]:
    """The counts, and whether they are of a boot before, of lines of one stream: (kernel time,
    seconds after `NOW`, whether it is a banner).
    """
    boots = Boots()
    placed = [
        boots.place(line(t, NOW + round(wall * SECOND)), banner=banner) for t, wall, banner in lines
    ]
    return [(boot.count, boot.before) for boot in placed]


def test_a_banner_begins_a_boot_once() -> None:
    """arm64 prints two banners, with nothing or with lines of time zero between them: one boot."""
    banners = [
        (0.0, "Booting Linux on physical CPU 0x0"),
        (0.0, BANNER),
        (0.0, "KERNEL supported cpus:"),
    ]
    lines = [*banners, (100.0, "x"), *banners, (103.0, "y")]
    assert place(Boots(), *lines) == [0, 0, 0, 0, 1, 1, 1, 1]


def test_a_fall_of_the_kernel_time_begins_a_boot_but_jitter_does_not() -> None:
    """A minute back is a reboot, half a minute is the shipper."""
    lines = [(500.0, "x"), (470.0, "y"), (501.0, "z"), (1.0, "w"), (503.0, "v")]
    assert place(Boots(), *lines) == [0, 0, 0, 1, 1]


def test_banners_of_a_quiet_host_that_lie_days_apart_are_two_boots() -> None:
    """Nothing but banners is read of most hosts; a banner that comes twice at once is one boot."""
    day = DAY / SECOND
    lines = [(0.0, 0.0, True), (0.0, 2.0, True), (0.0, 17 * day, True), (0.0, 17 * day, True)]
    assert walls(*lines) == [(0, False), (0, False), (1, False), (1, False)]


def test_a_banner_that_was_overtaken_does_not_count_its_boot_again() -> None:
    """The first line of a boot came before its banner: its fall of the kernel time told the boot
    already.
    """
    lines = [(500.0, "x"), (4.0, "y"), (0.0, BANNER), (5.0, "z"), (0.0, BANNER), (6.0, "w")]
    assert place(Boots(), *lines) == [0, 1, 1, 1, 2, 2]


def test_a_line_that_only_begins_like_a_banner_is_none() -> None:
    """A program that calls itself `Linux version 5` crashes: only a signature makes a banner."""
    boots = Boots()
    boots.place(line(5.0))
    text = "Linux version 5[77]: segfault at 0 ip 0 sp 0 error 4"
    assert boots.place(line(6.0, text=text)).count == 0


def test_user_space_moves_no_stream() -> None:
    """What a process wrote is no reboot, whatever time or text it has."""
    boots = Boots()
    boots.place(line(500.0))
    boots.place(line(1.0, text=BANNER, trust="user"), banner=True)
    assert boots.place(line(501.0)).count == 0


def test_a_board_without_clock_is_parted_by_its_banner() -> None:
    """Both boots begin at one wall time; the banner between them is what counts."""
    assert walls((5, 5, False), (0, 0, True), (7, 7, False)) == [(0, False), (1, False), (1, False)]


def test_a_clock_that_steps_within_a_stream_keeps_the_boot() -> None:
    """The kernel time goes on while the wall clock jumps, and no banner was read."""
    steps = [(0, 0, True), (100, 100, False), (103, 763, False), (200, 200, False)]
    assert walls(*steps) == [(0, False)] * 4


def test_a_reboot_without_a_banner_is_told_by_both_clocks() -> None:
    """The wall clock went on and the kernel time fell; a line that is late falls on both."""
    lines = [(500, 500, False), (480, 480, False), (3, 560, False), (490, 490, False)]
    assert walls(*lines) == [(0, False), (0, False), (1, False), (1, True)]


def test_a_line_that_is_only_stamped_late_begins_no_boot() -> None:
    """Its start lies before the last line that was printed: no boot can have begun then."""
    lines = [(5_000, 5_000, False), (5_600, 5_600, False), (5_003, 5_663, False)]
    assert walls(*lines, (5_700, 5_700, False)) == [(0, False)] * 4


def test_a_dump_that_is_read_after_the_reboot_is_of_the_boot_before() -> None:
    """The log of a vmcore is stamped eleven minutes late, after the next boot's banner; that boot
    goes on behind it.
    """
    lines = [(5_000, 0, False), (0, 120, True), (20, 140, False), (5_003, 660, False)]
    assert walls(*lines, (560, 680, False)) == [
        (0, False),
        (1, False),
        (1, False),
        (1, True),
        (1, False),
    ]


def test_a_dump_shows_more_uptime_than_the_boot_can_have() -> None:
    """Nothing of the crashed boot came before: hours of uptime, minutes after the banner."""
    lines = [(0, 0, True), (20, 20, False), (19_400, 570, False), (19_409, 19_409, False)]
    assert walls(*lines) == [(0, False), (0, False), (0, True), (0, False)]


def test_a_dump_named_by_its_transport_moves_nothing() -> None:
    """Also where its uptime could be one of the running boot, and its own banner counts nothing."""
    boots = Boots()
    boots.place(line(100.0, NOW))
    boots.place(line(0.0, NOW + 120 * SECOND), banner=True)
    late = NOW + 660 * SECOND
    assert boots.place(line(0.0, late, transport="vmcore"), banner=True).before
    dump = boots.place(line(103.0, late, transport="pstore"))
    assert (dump.count, dump.before) == (1, True)
    assert boots.place(line(561.0, late + 20 * SECOND)).count == 1


def test_lines_that_overtake_the_banner_of_the_next_boot_stay_in_theirs() -> None:
    """Jitter around a reboot: an old line after the banner, a new line before it."""
    assert walls((500, 500, False), (3, 538, False), (0, 535, True), (501, 501, False)) == [
        (0, False),
        (1, False),
        (1, False),
        (1, True),
    ]


def test_a_wall_clock_alone_tells_late_lines_from_those_of_the_boot() -> None:
    """Syslog without the kernel's stamp: what is dated before the banner is of a boot before it."""
    boots = Boots()
    boots.place(line(None, NOW))
    boots.place(line(None, NOW + 30 * SECOND), banner=True)
    assert boots.place(line(None, NOW + 3 * SECOND)).before
    assert boots.place(line(None, NOW + 33 * SECOND)) == Boot(stream="kmsg/0 db-1", count=1)


def test_a_clock_that_shows_the_uptime_in_another_year_tells_no_start() -> None:
    """A syslog date without a year, of a board that began at 1970 and has run for two years."""
    uptime, shown = 61_817_741, 1_703_000_000
    placed = Boots().place(line(uptime, (shown - shown % 86_400 + uptime % 86_400) * SECOND))
    assert placed.epoch_us is not None  # the same time of another day
    day = 1_734_435_341  # 17 December 2024, as 715 days after 1970 are 17 December 1971
    assert Boots().place(line(uptime, day * SECOND)).epoch_us is None


@pytest.mark.parametrize("start_us", [5 * SECOND, 946_684_800 * SECOND, 1_767_225_600 * SECOND])
def test_a_clock_that_was_never_set_tells_no_start(start_us: int) -> None:
    """1970, and 1 January of any year: what real-time clocks without a battery begin at."""
    assert Boots().place(line(7.0, start_us + 7 * SECOND)).epoch_us is None


def test_hosts_and_sources_have_streams_of_their_own() -> None:
    """One host's reboot says nothing of another."""
    boots = Boots()
    place(boots, (500.0, "x"), (0.0, BANNER))
    assert boots.place(replace(LINE, host="db-2")).count == 0
    assert boots.place(replace(LINE, source="kmsg/1")).count == 0


def test_a_copy_takes_its_stream_back_to_the_boot_it_was_in() -> None:
    """A file read again from its start, with a line more at its end: that line is of the old
    boot.
    """
    boots = Boots()
    first = line(100.0)
    known = boots.place(first)
    place(boots, (0.0, BANNER))
    boots.place(first)
    boots.settle(first, known)
    assert place(boots, (101.0, "new"), (0.0, BANNER)) == [known.count, known.count + 1]


def test_wall_time_and_kernel_time_give_the_start() -> None:
    """The start of a boot is wall − kernel time; a boot id is kept beside it."""
    boot = Boots().place(line(5.0, NOW + 5 * SECOND, boot_id="b"))
    assert boot == Boot("b", NOW, "kmsg/0 db-1", 0)


def test_the_counts_go_on_after_a_restart() -> None:
    """Streams are plain data that a new instance goes on from."""
    before = Boots()
    place(before, (500.0, "x"))
    kept = before.changed()
    assert place(Boots(lambda _names: kept), (1.0, "y")) == [1]


def test_a_stream_that_only_goes_on_is_kept_once_a_minute() -> None:
    """Lines of noise by the thousand do not write a row each."""
    boots = Boots()
    boots.follow(line(100.0, NOW))
    assert boots.changed() == {
        "kmsg/0 db-1": LineStream(0, 100 * SECOND, False, False, None, NOW, NOW - 100 * SECOND)
    }
    for seconds in range(60):
        boots.follow(line(100.0 + seconds, NOW + seconds * SECOND))
    assert boots.changed() == {}
    boots.follow(line(161.0, NOW + 61 * SECOND))
    assert len(boots.changed()) == 1


def test_no_number_is_too_large() -> None:
    """Times from outside may be of any size."""
    for wall in (10**30, -(10**30), 2**63, 253_402_300_799 * SECOND):
        assert start_us(line(1.0, wall)) == (wall - SECOND if wall > 0 else None)


raw_lines = st.tuples(
    st.sampled_from(["db-1", "db-2", "db-3"]),
    st.sampled_from([0, 1, 30, 100, 5_000]),
    st.sampled_from([0, 3, 90, 20_000]),
    st.sampled_from([None, "one", "two"]),
    st.sampled_from(["raw", "follow", "place", "changed"]),
)


def recalling(kept: dict[str, LineStream]) -> Recall:
    """The streams of a store."""
    return lambda names: {name: replace(kept[name]) for name in names if name in kept}


@settings(deadline=None)
@given(st.lists(raw_lines, max_size=30))
def test_raw_lines_move_streams_on_as_others_do(
    lines: list[tuple[str, int, int, str | None, str]],
) -> None:
    """Whether their stream is held, stored or new, whatever else comes of it in between."""
    kept: dict[str, LineStream] = {}
    others: dict[str, LineStream] = {}
    raw, whole = Boots(recalling(kept), limit=0), Boots(recalling(others), limit=0)
    for host, uptime, later, boot_id, way in lines:
        kernel_us, wall_us = uptime * SECOND, NOW + (uptime + later) * SECOND
        one = line(uptime, wall_us, host=host, boot_id=boot_id, trust="kernel")
        if way == "place":
            assert raw.place(one) == whole.place(one)
            continue
        whole.follow(one)
        if way == "follow":
            raw.follow(one)
        else:
            raw.follow_raw((one.source, host), kernel_us, wall_us, boot_id)
        if way == "changed":
            kept.update(raw.changed())
            others.update(whole.changed())
    kept.update(raw.changed())
    others.update(whole.changed())
    assert kept == others
