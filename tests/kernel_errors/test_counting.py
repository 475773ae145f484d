"""Kernel errors are counted once, bounded, and never at the cost of what else is read."""

from __future__ import annotations

from contextlib import closing

import pytest

from detector.clock import DAY_US
from detector.kernel_errors import priority
from detector.kernel_errors.tally import (
    FOLDED,
    REMOVED,
    KernelErrorPolicy,
    KernelErrorTally,
    time_of,
)
from detector.model import Line, Record
from detector.store import open_history
from detector.store.ingest import kernel_errors as ingest
from detector.store.query import kernel_errors as query
from detector.store.query.filters import Filter, FilterError, parse
from tests.kernel_errors.shipping import BANNER, START, booted, counting, day, ship, syslog

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
    monkeypatch.setattr(ingest, "ROOM", 0)
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


def garbage(host: str, second: int, count: int) -> list[bytes]:
    """Errors of one host that are all of another template."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = (letters[n // 26 % 26] + letters[n % 26] + letters[n // 676 % 26] for n in range(count))
    return [syslog(host, day(0, second + n), f"{host}zz {word}") for n, word in enumerate(words)]


def test_garbage_of_many_hosts_keeps_no_error_out(tmp_path, monkeypatch):
    """Where all templates are taken, those of one host make room; those of a fleet stay."""
    monkeypatch.setattr(ingest, "TEMPLATES", 40)
    monkeypatch.setattr(ingest, "ROOM", 5)
    fleet = [syslog(f"f{n}", day(0, n), "acme 7: gone") for n in range(3)]
    with counting(tmp_path / "x.db") as watch:
        ship(watch, fleet)
        for host in ("a", "b", "c"):
            ship(watch, garbage(host, 60, 30))
        later = [syslog(f"f{n}", day(20, n), "pump 3 stopped") for n in range(3)]
        ship(watch, later, day(20))
        found = rows(watch)
        with closing(open_history(watch.journal.path)) as history:
            counters = history.counters()
            news = history.kernel_errors(Filter(), news=True, now_us=day(20)).rows
    assert [row.template for row in news][:1] == ["pump * stopped"]
    assert "acme *: gone" in {row.template for row in found}
    assert len(found) <= 40
    assert counters[REMOVED] >= 50
    assert FOLDED not in counters


def test_learning_is_not_begun_again_where_the_first_templates_are_removed(tmp_path, monkeypatch):
    """What is new after the first week is news, though no day of that week is left."""
    monkeypatch.setattr(ingest, "TEMPLATES", 10)
    monkeypatch.setattr(ingest, "ROOM", 10)
    with counting(tmp_path / "x.db") as watch:
        ship(watch, garbage("a", 0, 10))
        ship(watch, [syslog("b", day(20), "pump 3 stopped")], day(20))
        with closing(open_history(watch.journal.path)) as history:
            (row,) = history.kernel_errors(Filter(), now_us=day(20)).rows
    assert (row.template, row.news) == ("pump * stopped", "new")


def test_release_is_known_where_banners_have_no_kernel_stamp(tmp_path):
    """Plain syslog: the banner's wall time is when the boot began."""
    banner = BANNER.format(release="6.8.0-45")
    lines = [
        b"<5>1 2026-09-28T00:00:00.000000+00:00 h1 kernel - - - " + banner.encode(),
        b"<3>1 2026-09-28T00:10:00.000000+00:00 h1 kernel - - - acme 7: gone",
    ]
    with counting(tmp_path / "x.db") as watch:
        ship(watch, lines)
        with closing(open_history(watch.journal.path)) as history:
            (row,) = history.kernel_errors(Filter(), now_us=day(2)).rows
            detail = history.kernel_error(row.id, day(2))
            rates = history.crash_rates("kernel", now_us=day(2)).rows
    assert [release.kernel for release in detail.releases] == ["6.8.0-45"]
    assert [rate.name for rate in rates] == ["6.8.0-45"]


def test_pattern_that_means_many_hosts(tmp_path, monkeypatch):
    """Hosts beyond what an index is asked for are looked at by template."""
    monkeypatch.setattr(query, "_HOSTS", 2)
    lines = [syslog(f"node-{n}", day(0, n), "acme 7: gone") for n in range(5)]
    with counting(tmp_path / "x.db") as watch:
        ship(watch, [*lines, syslog("web-1", day(0, 9), "pump 3 stopped")])
        assert [row.template for row in rows(watch, host=["node-*"])] == ["acme *: gone"]
        assert len(rows(watch, host=["node-*", "web-1"])) == 2
        assert rows(watch, host=["db-*"]) == []


def test_hosts_beyond_those_that_are_kept_are_said(tmp_path, monkeypatch):
    """`more_hosts` says that the number is a bound."""
    monkeypatch.setattr(ingest, "HOSTS", 3)
    monkeypatch.setattr(query, "HOSTS", 3)
    with counting(tmp_path / "x.db") as watch:
        ship(watch, [booted(f"h{n}", day(0), f"6.{n % 2}.0") for n in range(3)])
        ship(watch, [syslog(f"h{n}", day(0, 60 + n), "acme: gone") for n in range(9)])
        ship(watch, [syslog("h1", day(0, 99), "pump 3 stopped")])
        first, second = rows(watch)
    assert (first.hosts, first.more_hosts, first.kernels) == (3, True, ("6.0.0", "6.1.0"))
    assert (second.hosts, second.more_hosts, second.kernels) == (1, False, ("6.1.0",))
