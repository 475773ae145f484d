"""What a message says, and what of it stays when there is little room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.alert.message import SHORT_LIMIT, TITLE_LIMIT, compose, cut, headline, plain
from detector.store.query.advice import Advice
from detector.store.query.standing import ProblemStanding
from tests.support.notices import FORBIDDEN, NOW, SECOND, hostile, notice, storm

EXAMPLE = (
    "[critical] db-17: TCP socket released while listening, then paging fault in "
    "__inet_lookup_listener, 0.49 s apart"
)


def test_title_says_the_symptom_first() -> None:
    """Severity, host, what happened in order, how far apart."""
    assert compose(notice()).title == EXAMPLE


def test_short_title_keeps_the_fault() -> None:
    """Where 80 characters are all there is, the last thing that happened stays whole."""
    short = compose(notice()).short
    assert short == "[critical] db-17: paging fault in __inet_lookup_listener, after TCP socket…"
    assert len(short) <= SHORT_LIMIT


@pytest.mark.parametrize(
    ("changes", "limit", "said"),
    [
        ({"host": "db-17.rack4.example.com"}, 113, EXAMPLE),
        ({"host": "10.1.2.3"}, 200, EXAMPLE.replace("db-17", "10.1.2.3")),
        ({"what_happened": ("hung task",), "gap_us": 5}, 80, "[critical] db-17: hung task"),
        ({"what_happened": (), "title": "BUG: it broke"}, 80, "[critical] db-17: BUG: it broke"),
        ({"what_happened": ("a", "b", "c", "d")}, 80, "[critical] db-17: a, then d, 0.49 s apart"),
        (
            {"function": "f" * 60, "what_happened": ("oops in " + "f" * 60,)},
            80,
            f"[critical] db-17: oops in {'f' * 29}…",
        ),
        ({"host": "x" * 200}, 80, "[critical] " + "x" * 68 + "…"),
    ],
)
def test_titles_are_shortened_sensibly(changes: dict[str, object], limit: int, said: str) -> None:
    """A domain goes before the gap, the gap before the first half, a function's end before the
    host.
    """
    assert headline(notice(**changes), limit) == said


@pytest.mark.parametrize(
    ("action", "start"),
    [
        ("fire", "[critical]"),
        ("update", "[critical, update]"),
        ("acknowledge", "[critical, acknowledged]"),
        ("resolve", "[resolved]"),
    ],
)
def test_title_tells_what_became_of_it(action: str, start: str) -> None:
    """An update, an acknowledgement and an end are told apart from an alarm at a glance."""
    assert compose(notice(action)).title.startswith(f"{start} db-17: ")


def test_body_says_what_on_call_needs() -> None:
    """Place, times, both lines verbatim, function, known issue, history, other hosts, first
    commands, links, reason.
    """
    said = plain(compose(notice()))
    for line in (
        "Why now: this is a test, nothing has happened",
        "Host: db-17, up 715 d 11 h, boot example",
        "Started: 2026-09-21 14:11:50 UTC",
        "Function: __inet_lookup_listener, kernel 4.19.90-example",
        "Known issue: tcp-listener-race (likely)",
        (
            "    [61817740.819777] IPv4: Attempt to release TCP socket in state 10 "
            "ffff805624a7b800   kernel-logs/3:41"
        ),
        "    14th time, 9 hosts, first 2026-08-22 14:13:20 UTC, last 2026-09-21 14:11:50 UTC",
        "    regression: kernel 4.19.93 was said to hold the fix",
        "    other hosts in the last hour: db-3, db-9",
        "    oopswatch incidents show 0123456789abcdef",
        "Incident: https://oopswatch.example.com/incidents/0123456789abcdef",
        "Runbook: https://runbooks.example.com/tcp-listener-race",
    ):
        assert line in said.splitlines()


def test_a_message_that_may_be_a_second_one_says_so() -> None:
    """An attempt without an answer may have arrived."""
    assert "may have been sent before" in plain(compose(notice(repeated=True)))
    assert "may have been sent before" not in plain(compose(notice()))


def test_the_end_says_how_long_it_lasted() -> None:
    """From the first line to the resolution."""
    assert "Lasted: 2 h 5 min" in plain(compose(notice("resolve", started_us=NOW - 7_500 * SECOND)))


def test_wall_clock_order_is_a_caution() -> None:
    """Lines without kernel time may have happened in another order."""
    assert "Caution: The times are wall clock" in plain(compose(notice(time_basis="wall")))


def test_a_runbook_that_is_no_address_is_said() -> None:
    """The catalogue's runbooks are sentences."""
    message = compose(notice(runbook="State 10 is TCP_LISTEN."))
    assert message.runbook is None
    assert "Runbook: State 10 is TCP_LISTEN." in plain(message)


@pytest.mark.parametrize(
    ("standing", "said"),
    [
        (ProblemStanding(1, 1, NOW, NOW, True), "new: this problem has not been seen before"),
        (
            ProblemStanding(4_000, 3_900, NOW, NOW, True),
            "new: first of 4,000 incidents on 3,900 hosts since 2026-09-21 14:13:20 UTC",
        ),
        (ProblemStanding(2, 1, NOW, NOW, False), "2nd time, 1 host, first"),
        (ProblemStanding(3, 1, NOW, NOW, False, ""), "regression: it was resolved before"),
        (ProblemStanding(1, 3, NOW, NOW, False, reports=9), "1st incident of 9 reports, 3 hosts"),
        (
            ProblemStanding(
                2, 1, NOW, NOW, False, advice=(Advice("workaround", "reuse\n= 0", "ann", NOW),)
            ),
            "Workaround, as known: reuse = 0 (ann, 2026-09-21 14:13:20 UTC)",
        ),
    ],
)
def test_new_and_known_problems_are_told_apart(standing: ProblemStanding, said: str) -> None:
    """On-call decides by it whether to look anything up."""
    assert said in plain(compose(notice(standing=standing)))


def test_a_storm_is_one_message_with_its_hosts() -> None:
    """How many, the first twenty, and how many more."""
    said = plain(compose(storm()))
    assert compose(storm()).title.startswith("[critical] 5,000 hosts: TCP socket released")
    assert "node-0020 and 4,980 more" in said
    assert "node-0021" not in said.split("5,000 incidents:")[0]
    assert "    and 4,990 more" in said.splitlines()


def test_many_incidents_of_one_host_are_counted() -> None:
    """A host that crashes again and again."""
    assert compose(notice(total=14)).title.startswith("[critical] db-17 (14 incidents): ")


@pytest.mark.parametrize("action", ["fire", "update", "acknowledge", "resolve"])
def test_hostile_text_is_inert(action: str) -> None:
    """No control character, no direction mark, no mention, no line end of a log; every line and
    title bounded.
    """
    message = compose(hostile(action))
    lines = [line for part in message.parts for line in (part.label, *part.lines)]
    for text in (message.title, message.short, *lines):
        assert text.isprintable()
        assert len(text) <= 1_000
        assert not any(bad in text for bad in FORBIDDEN)
    assert len(message.title) <= TITLE_LIMIT
    assert len(message.short) <= SHORT_LIMIT


def test_what_is_cut_says_how_much_and_where() -> None:
    """Whole lines, then the number of those that are missing, and the link."""
    assert cut(["a" * 10] * 40, 60, "https://x") == [
        "a" * 10,
        "a" * 10,
        "a" * 10,
        "… 37 more lines: https://x",
    ]
    assert cut(["a", "b"], 3, None) == ["a", "b"]
    assert cut(["a" * 100], 60, "https://x") == ["a" * 30 + "…", "… the line is cut: https://x"]


@given(
    st.lists(st.text("ab<&\u20ac", max_size=50), max_size=30),
    st.integers(40, 400),
    st.sampled_from([None, "https://x.example/i"]),
)
def test_cut_never_exceeds_its_limit(lines: list[str], limit: int, link: str | None) -> None:
    """Whatever a receiver counts, the result fits, holds whole lines in order, and misses none
    silently.
    """

    def size(text: str) -> int:
        return len(text.replace("&", "&amp;").replace("<", "&lt;"))

    kept = cut(lines, limit, link, size)
    assert sum(size(line) + 1 for line in kept) - 1 <= limit
    if kept != lines:
        assert kept[-1].startswith("… ")
        assert kept[:-1] == lines[: len(kept) - 1] or len(kept) == 2
