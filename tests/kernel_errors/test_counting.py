"""Kernel errors are counted once, bounded, and never at the cost of what else is read."""

from __future__ import annotations

from contextlib import closing

import pytest

from detector.clock import DAY_US
from detector.kernel_errors import priority
from detector.kernel_errors.tally import FOLDED, KernelErrorPolicy, KernelErrorTally, time_of
from detector.model import Line, Record
from detector.store import open_history
from detector.store.ingest import kernel_errors as ingest
from detector.store.query.filters import Filter, FilterError, parse
from tests.kernel_errors.shipping import START, booted, counting, day, ship, syslog

ERROR = Line("acme 7: gone", "test", 1, "h1", "kmsg", wall_time_us=START, level=3, trust="kernel")


def rows(watch, **asked: list[str]):
    """All rows of a filter."""
    with closing(open_history(watch.journal.path)) as history:
        return history.kernel_errors(parse(asked, day(30)), now_us=day(2)).rows


def test_lines_that_signatures_claim_and_those_of_reports_are_not_counted(tmp_path):
    """A fault and the lines of its report have their own place."""
    texts = (
        "Unable to handle kernel paging request at virtual address 0000000000012345",
        "Internal error: Oops: 96000004 [#1] SMP",
        "pc : acme_poll+0x10/0x80 [acme]",
        "Call trace:",
        " acme_poll+0x10/0x80 [acme]",
        "---[ end trace 0123456789abcdef ]---",
    )
    with counting(tmp_path / "x.db") as watch:
        ship(watch, [syslog("h1", day(0, k), text, 0) for k, text in enumerate(texts)])
        assert rows(watch) == []
        assert watch.totals.matches > 0


def test_replay_counts_nothing_twice(tmp_path):
    """Lines below the position up to which noise was counted are counted already."""
    lines = [syslog("h1", day(0), "acme 7: gone"), syslog("h2", day(0), "acme 8: gone")]
    with counting(tmp_path / "x.db") as watch:
        ship(watch, lines)
        ship(watch, lines)
        (row,) = rows(watch)
    assert (row.count, row.hosts) == (4, 2)


def test_setting_switches_it_off(tmp_path):
    """Then no record is selected for its priority."""
    with counting(tmp_path / "x.db", kernel_errors__count=False) as watch:
        ship(watch, [syslog("h1", day(0), "acme 7: gone")])
        assert watch.totals.hits == 0
        assert rows(watch) == []


def test_filters(tmp_path):
    """Host, pattern, kernel, range, words, time; others name themselves."""
    with counting(tmp_path / "x.db") as watch:
        ship(watch, [booted("db-1", day(0), "6.1.2-x"), booted("web-1", day(0), "6.12.1")])
        ship(
            watch,
            [
                syslog("db-1", day(0, 60), "acme 7: fan stopped"),
                syslog("web-1", day(1, 60), "acme 7: Link lost"),
            ],
        )
        fan, link = "acme *: fan stopped", "acme *: Link lost"
        for asked, templates in (
            ({}, {fan, link}),
            ({"host": ["db-1"]}, {fan}),
            ({"host": ["DB-*"]}, {fan}),
            ({"kernel": ["6.12.1"]}, {link}),
            ({"kernel": ["6.1..6.5"]}, {fan}),
            ({"text": ["link acme"]}, {link}),
            ({"text": ["fan", "link"]}, set()),
            ({"since": ["2026-09-29"]}, {link}),
            ({"until": ["2026-09-29"]}, {fan}),
        ):
            assert {row.template for row in rows(watch, **asked)} == templates, asked
        with pytest.raises(FilterError, match="class: kernel errors are not found by it"):
            rows(watch, **{"class": ["oops"]})


def test_pages_go_on_behind_the_last_row(tmp_path):
    """Every row comes once."""
    with counting(tmp_path / "x.db") as watch:
        texts = [f"acme: {chr(97 + k)}{chr(97 + n)} went" for k in range(5) for n in range(9)]
        ship(watch, [syslog("h1", day(0), text) for text in texts])
        with closing(open_history(watch.journal.path)) as history:
            after, seen = None, []
            while True:
                page = history.kernel_errors(Filter(), now_us=day(1), after=after, limit=7)
                seen += [row.template for row in page.rows]
                if (after := page.next) is None:
                    break
    assert sorted(seen) == sorted(texts)


def test_line_without_text_is_no_error(tmp_path):
    """A kernel prints empty lines between others: there is nothing to list of them."""
    with counting(tmp_path / "x.db") as watch:
        ship(watch, [syslog("h1", day(0), text) for text in ("", "   ", "acme: gone")])
        assert [row.template for row in rows(watch)] == ["acme: gone"]


def test_bounds(tmp_path, monkeypatch):
    """Templates, hosts of a template, templates that one host begins: what is beyond is counted."""
    monkeypatch.setattr(ingest, "HOSTS", 3)
    monkeypatch.setattr(ingest, "BEGUN", 2)
    monkeypatch.setattr(ingest, "TEMPLATES", 4)
    with counting(tmp_path / "x.db") as watch:
        ship(watch, [syslog(f"h{k}", day(0, k), "acme: gone") for k in range(8)])
        ship(watch, [syslog("bad", day(0, k), f"garbage {chr(97 + k)}") for k in range(9)])
        ship(watch, [syslog(f"h{k}", day(0, k), f"other {chr(97 + k)}") for k in range(9)])
        first, *others = rows(watch)
        assert (first.count, first.hosts, len(others)) == (8, 3, 3)
        with closing(open_history(watch.journal.path)) as history:
            assert history.counters()[FOLDED] == 9 - 2 + 9 - 1


def test_tally_is_bounded_and_rewinds():
    """What is beyond the keys is counted as folded; a rewind forgets what came after the mark."""
    tally = KernelErrorTally(KernelErrorPolicy(0), lambda: lambda _: (), keys=1)
    tally.count(ERROR, None)
    tally.mark()
    tally.count(ERROR, None)
    tally.count(Line("else", "test", 2, "h1", "kmsg", level=2, trust="kernel"), None)
    assert tally.folded == 1
    tally.rewind()
    assert (tally.folded, [row.count for row in tally.drain()]) == (0, [1])
    assert tally.drain() == []


def test_storm_of_errors_is_read_within_a_budget(tmp_path, monkeypatch):
    """What is beyond it is counted; a record that holds a literal is read all the same."""
    monkeypatch.setattr(priority, "RESERVE", 20)
    storm = [syslog("h1", day(0, k), "acme 7: gone") for k in range(1_000)]
    fault = "Kernel panic - not syncing: Fatal exception"
    with counting(tmp_path / "x.db") as watch:
        ship(watch, [*storm, syslog("h2", day(0), fault, 0)])
        ship(watch, [])
        (row,) = rows(watch)
        with closing(open_history(watch.journal.path)) as history:
            passed = history.counters()[FOLDED]
        assert watch.totals.matches == 1
    assert row.count + passed == 1_000
    assert 20 <= row.count < 100


@pytest.mark.parametrize(
    ("wall", "arrival", "counted"),
    [
        (START, None, START),
        (None, START, START),
        (None, None, 5),
        (-1, START, START),
        (START - 8 * DAY_US, START, START),
        (START - 6 * DAY_US, START, START - 6 * DAY_US),
    ],
)
def test_time_of_a_line(wall, arrival, counted):
    """Its own clock, unless that is far from its arrival."""
    record = Record(b"", "t/0", 1, None, arrival)
    line = Line("x", "t/0", 1, "h", "kmsg", wall_time_us=wall)
    assert time_of(line, record.arrival_us, 5) == counted
