"""The frame of a known issue: what the catalogue reads, with tests that hold."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.app.known import shipped_path
from detector.catalogue import read
from detector.explain.issues import failing_tests
from detector.known import Bug, Fix, Trace
from detector.known.codec import decode
from detector.known.cve import published
from detector.known.draft import draft
from detector.known.update import bug_of
from tests.known.records import record
from tests.support.message_reader import reader


def issue(text: str):
    """The issue of a draft, checked as the catalogue checks it."""
    (found,) = read({"known-issues/draft.toml": text}).known_issues
    return found


def test_the_record_is_filled_in():
    """Releases, commits, functions, and what the draft covers."""
    found = issue(draft(bug_of(published(record()), reader())))
    assert (found.since, found.fixed, found.covers) == ("5.4", "6.5", ("CVE-2024-00001",))
    assert [stable.release for stable in found.stable] == ["5.10.50", "6.1.20"]
    assert found.when[0].functions == ("demo_read_valve",)
    assert found.when[0].path == ("demo_turn", "demo_pump_work")
    assert failing_tests(found) == ()


def test_any_bug_of_the_index_gives_a_sound_draft():
    """Every hundredth shipped bug with a trace."""
    _, bugs = decode(shipped_path().read_bytes())
    for bug in bugs[::100]:
        assert failing_tests(issue(draft(bug))) == (), bug.id


words = st.text(max_size=30)


@given(words, words, st.lists(words, max_size=3).map(tuple))
def test_any_text_is_quoted(subject, function, frames):
    """Subjects and names are anybody's text."""
    bug = Bug(
        "CVE-2024-00001",
        subject,
        "0123456789ab",
        (("5.4", "6.5"),),
        (Fix("6.5"),),
        traces=(Trace("kasan", None, function, frames),),
    )
    (table,) = tomllib.loads(draft(bug))["known-issue"]
    assert table["title"] == (subject or bug.id)


@pytest.mark.parametrize("bug", [Bug("0123456789ab", ""), Bug("CVE-2024-00001", "x", traces=())])
def test_a_bug_without_a_trace(bug):
    """A frame all the same."""
    assert tomllib.loads(draft(bug))["known-issue"][0]["covers"] == [bug.id]
