"""A phrase of a fault that nobody claims is counted by reason, with a sample and its place."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.catalogue import Catalogue, Signature
from detector.cli import oopswatch
from detector.match import Matcher
from detector.model import Line, Record, Unparsed
from detector.review import KNOWN_LINES, Review
from detector.unclaimed import (
    REASONS,
    UnclaimedCount,
    UnclaimedTally,
    folded,
    unclaimed_summary,
)
from tests.support.shipped import shipped

FAULT = "Unable to handle kernel paging request at virtual address 0001950b"
LINES = {
    "user-space": f"Aug  1 10:00:00 db-1 app[7]: {FAULT}",
    "copy": f"> [   12.345678] {FAULT}",
    "prefix": f"[   12.345678] mystery words: {FAULT}",
    "differs": "[   12.345678] WARNING: CPU: 5 PID: unknown",
    "inner": f"4,7,12000034,-;process '/tmp/x\\x0a{FAULT}",
    "not-read": json.dumps({"words": FAULT}),
}


def review() -> Review:
    """Over the shipped catalogue."""
    return Review(Matcher(shipped()), shipped().lists[KNOWN_LINES])


def line(text: str, **told: object) -> Line:
    """A line of a console."""
    return Line(text, "k", 1, "h", "dmesg", **told)


def scan(path: Path, *options: str) -> str:
    """What the command prints."""
    return CliRunner().invoke(oopswatch, ["scan", *options, str(path)]).output


@pytest.mark.parametrize("reason", LINES)
def test_a_scan_counts_by_reason(tmp_path: Path, reason: str):
    """In the summary, with the first line and its place; and in the last words, for people."""
    log = tmp_path / "web.log"
    log.write_text(f"[    1.000000] eth0: up\n{LINES[reason]}\n{LINES[reason]}\n")
    summary = json.loads(scan(log, "--json").splitlines()[-1])
    assert summary["matches"] == 0
    assert summary["unclaimed"] == 2
    (sample,) = summary["unclaimed_reasons"].items()
    assert sample[0] == reason
    assert (sample[1]["count"], sample[1]["line_number"]) == (2, 2)
    assert sample[1]["source"].endswith("web.log")
    last = scan(log).splitlines()[-1]
    assert last.startswith("2 lines hold the phrase of a kernel fault and were not understood")
    assert f"(2 {REASONS[reason]})" in last
    assert "web.log:2: " in last
    assert last.endswith("oopswatch explain says why")


def test_a_scan_of_what_is_understood_says_nothing_of_it(tmp_path: Path):
    """Faults, their reports' lines, noise and known lines are none of these."""
    log = tmp_path / "web.log"
    log.write_text(
        f"[   12.345678] {FAULT}\n[   12.345679] Internal error: Oops: 96000004 [#1] SMP\n"
        f"[   12.345680] page:0 Kernel BUG at mm/x.c within a report\n"
        "[   20.000000] EDAC MC: Ver: 3.0.0\n[   21.000000] logger: !@Boot_DEBUG: start\n"
        "[   22.000000] Unable to handl[7]: segfault at 10 ip 00000000 sp 00000000 error 4 in "
        "x[4+1]\n"
        f"[   23.000000] audit: type=1123 audit(1.2:3): pid=8 msg='cmd=\"grep {FAULT}\"'\n"
    )
    summary = json.loads(scan(log, "--json").splitlines()[-1])
    assert (summary["unclaimed"], summary["unclaimed_reasons"]) == (0, {})
    assert "phrase of a kernel fault" not in scan(log)


def test_a_signature_that_runs_out_of_its_time():
    """Its lines are counted as such, also when it is switched off."""
    slow = Signature(
        id="kernel.slow",
        cls="slow",
        origin="kernel",
        severity="error",
        title="t",
        literals=("demo ",),
        regex="^(?:demo )?(?:a|a|b)*(?:a|b|b)*(?:a|b)*$",
    )
    matcher = Matcher(Catalogue((slow,)), timeout_s=0.005, strikes=1)
    poison = line("demo " + "ab" * 2_000 + "!")
    assert matcher.claim(poison) is None
    assert matcher.switched_off
    assert Review(matcher).why(poison) == ("timeout", "kernel.slow")


def test_the_nearest_signature_is_named():
    """The one that would claim the text behind its prefix."""
    assert review().why(line(f"{{1}}noise | {FAULT}")) == ("prefix", "kernel.paging-request")
    assert review().why(line("a healthy line")) is None
    assert review().why(line("Linux version 6.1 in some words")) is None


@settings(deadline=None)
@given(st.text(max_size=200), st.sampled_from([FAULT, "BUG: ", "Out of memory", ""]))
def test_any_text_has_a_reason_or_none(before: str, phrase: str):
    """Nothing raises, and a reason is one that is declared."""
    why = review().why(line(before + phrase))
    assert why is None or why[0] in REASONS


def count(reason: str, number: int = 1, total: int = 1) -> UnclaimedCount:
    """A count with a sample."""
    return UnclaimedCount(reason, total, "kernel.oops", "web.log", number, "h", "x")


def test_counts_are_added_and_the_first_sample_stays():
    """Within a batch, and over batches."""
    tally = UnclaimedTally()
    for number in (5, 6):
        tally.add(("prefix", "kernel.oops"), "web.log", number, "h", "x" * 500)
    (row,) = tally.drain()
    assert (row.count, row.number, len(row.sample)) == (2, 5, 200)
    assert tally.drain() == []
    both = folded({"prefix": row}, [count("prefix", 9, 3), count("copy")])
    assert [(one.count, one.number) for one in both.values()] == [(5, 5), (1, 1)]


def test_the_sentence_shows_what_may_be_missed():
    """A sample of the kernel's before one of a program's; a single line is one line."""
    said = unclaimed_summary([count("user-space", 3, 9), count("prefix", 31, 3)])
    assert said is not None
    assert said.startswith("12 lines hold the phrase of a kernel fault and were not understood")
    assert "first web.log:31: " in said
    assert unclaimed_summary([]) is None
    assert "1 line holds" in (unclaimed_summary([count("prefix")]) or "")


def test_the_history_keeps_counts_and_the_newest_sample(tmp_path: Path):
    """Two scans into one history; the first page says it."""
    store, log = tmp_path / "h.db", tmp_path / "web.log"
    for text in (LINES["prefix"], f"\n{LINES['prefix']}\n{LINES['user-space']}"):
        log.write_text(f"{text}\n")
        scan(log, "--store", str(store))
    from detector.store import open_history
    from tests.support.visiting import client_of

    history = open_history(store)
    rows = {row.reason: row for row in history.unclaimed()}
    history.close()
    assert {reason: row.count for reason, row in rows.items()} == {"prefix": 2, "user-space": 1}
    assert rows["prefix"].number == 2
    with client_of(store) as client:
        assert "3 lines hold the phrase of a kernel fault" in client.get("/").text
        page = client.get("/overview.json").json()
    assert {row["reason"]: row["count"] for row in page["unclaimed"]} == {
        "prefix": 2,
        "user-space": 1,
    }


@pytest.mark.parametrize("many", [False, True])
def test_explain_says_why(tmp_path: Path, many: bool):
    """Of a few lines each, of many those that were not understood."""
    log = tmp_path / "web.log"
    others = "".join(f"[    1.{k:06d}] eth0: up\n" for k in range(30 if many else 2))
    log.write_text(f"{others}{LINES['prefix']}\n")
    said = CliRunner().invoke(oopswatch, ["explain", str(log)]).output
    assert "not understood: unknown prefix; nearest is kernel.paging-request" in said


def test_a_record_of_many_unread_parts_is_searched_and_counted_once() -> None:
    """Thousands of parts of one record cost one look at it, wherever in it the phrase stands."""
    matcher = Matcher(shipped())
    review = Review(matcher)
    text = "x" * 5_000 + FAULT
    record = Record(text.encode(), "t/0", 7)
    part = Unparsed("not-text", b"x", "t/0", 7)
    assert [review.count_unread(part, record) for _ in range(3)] == [True, False, False]
    assert [row.count for row in review.tally.drain()] == [1]
    assert review.count_unread(part, replace(record, number=8))
