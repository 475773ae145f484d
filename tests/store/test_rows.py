"""Hostile text and numbers: stored bounded and inert, read back as stored."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.boots import LineStream
from detector.model import Block, Boot, CrashReport, Diagnosis, Statement
from detector.store import open_history, open_journal
from detector.store.rows import (
    COUNT_LIMIT,
    NAME_LIMIT,
    TEXT_LIMIT,
    _has_long_text,
    clean,
    release_number,
    to_json,
)
from tests.support.nouns import SECOND, incident, match, noise

HOSTILE = [
    "a\0b",
    "\udcff\ud800",
    "'; DROP TABLE matches; --",
    '"',
    "%s {0} %(x)s",
    "\x1b[31m",
    "\u202e",
    "x" * 10_000_000,
    "\0" * 100_000,
    "é" * 99,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_stays_inert_everywhere(tmp_path: Path, text: str) -> None:
    """As text, host, field, source, process, report or diagnosis it is stored, found again and
    costs no more than its bound.
    """
    path = tmp_path / "history.db"
    hostile = match(
        text=text,
        host=text,
        source=text,
        caller=text,
        boot=Boot(text, None, text),
        fields={text: text},
        signature=text,
    )
    open_journal(path).close()
    empty = path.stat().st_size
    with closing(open_journal(path)) as journal, journal.transaction():
        stored, new = journal.add_match(hostile)
        half, _ = journal.add_match(match("tcp-state", 6, host=text, boot=Boot(text)))
        assert new
        assert journal.add_match(hostile) == (stored, False)
        assert [one.id for one in journal.neighbours(stored, 10 * SECOND)] == [half.id]
        report = CrashReport("memory-fault", title=text, function=text, kernel=text, comm=text)
        journal.add_report(stored.id, Block(stored.match, (text, "next"), True), report, "1:x")
        made = incident(stored, half)
        journal.save_incident(
            made, [stored.id, half.id], Diagnosis((Statement(text, "certain", (text,)),)), report
        )
        journal.count_noise([noise(text, text, signature=text)] * 2)
        journal.set_positions({text: 1})
        journal.add_counts({text: 1})
    with closing(open_history(path)) as history:
        detail = history.incident(made.id)
        assert detail is not None
        assert detail.incident == made
        assert detail.block == Block(stored.match, (clean(text), "next"), True)
        assert [row.count for row in history.noise().rows] == [2]
        assert history.totals().matches == 2
    assert len(stored.match.text) <= TEXT_LIMIT
    assert len(stored.match.host) <= NAME_LIMIT
    assert path.stat().st_size - empty < 1_000_000


@settings(max_examples=200)
@given(st.text(st.characters() | st.sampled_from("\0\ud800\udfff\x1b'\"")))
def test_clean_text_is_valid_and_stays_as_it_is(text: str) -> None:
    """Any text becomes UTF-8 without NUL; what is clean already is not touched, and cleaning twice
    is cleaning once.
    """
    cleaned = clean(text)
    assert "\0" not in cleaned
    assert cleaned.encode().decode() == cleaned
    assert clean(cleaned) == cleaned
    if "\0" not in text and not any(0xD800 <= ord(one) < 0xE000 for one in text):
        assert cleaned == text


def test_a_cut_text_says_how_long_it_was() -> None:
    """The bound is a bound, whatever comes."""
    cut = clean("x" * 20_000)
    assert cut.endswith("xxx… (20000 characters)")
    assert len(cut) == TEXT_LIMIT
    assert clean(cut) == cut
    assert len(clean("\0" * 1_000, NAME_LIMIT)) == NAME_LIMIT


def test_numbers_beyond_any_clock_are_no_times() -> None:
    """A stamp of thirty digits is forgotten, the line is kept; equal stamps of that kind still fold
    by the place.
    """
    huge = match(kernel_time_us=10**30, wall_time_us=-(10**30), boot=Boot("b1", 10**25))
    with closing(open_journal(":memory:")) as journal, journal.transaction():
        stored, _ = journal.add_match(huge)
        again, new = journal.add_match(huge)
        journal.count_noise([noise(hour_us=10**30, first_us=10**30, last_us=10**30)])
    assert (stored.match.kernel_time_us, stored.match.wall_time_us, stored.match.boot.epoch_us) == (
        None,
        None,
        None,
    )
    assert (again, new) == (stored, False)


def test_releases_sort_as_kernels_do() -> None:
    """A candidate comes before its release, a patch after it, a vendor's suffix changes nothing."""
    kernels = [
        "4.14.0-115.el7a.aarch64",
        "4.14.193",
        "5.5-rc3",
        "5.5",
        "5.10.9",
        "5.10.209-vendor+",
        "6.1",
    ]
    numbers = [release_number(kernel) for kernel in kernels]
    assert numbers == sorted(numbers, key=lambda number: number or 0)
    assert release_number("5.5-rc3") == 5_005_000_003
    assert release_number("vmlinux") is None


NUMBERS = st.one_of(
    st.integers(min_value=-(1 << 70), max_value=1 << 70),
    st.sampled_from(
        [sign * (1 << bits) + more for bits in (31, 62, 63, 64) for sign in (1, -1) for more in (-1,
            0, 1)]
        + [10**30, -(10**30)]
    ),
)  # fmt: skip


@given(numbers=st.lists(NUMBERS, min_size=12, max_size=12))
@settings(deadline=None, max_examples=60)
def test_any_number_is_stored_within_its_bound(numbers: list[int]) -> None:
    """Times, counts and streams beyond what SQLite or a date can hold never raise, and what is
    read back is an integer.
    """
    kernel, wall, epoch, hour, *others = numbers
    with closing(open_journal(":memory:")) as journal:
        with journal.transaction():
            hostile = match(kernel_time_us=kernel, wall_time_us=wall, boot=Boot(None, epoch))
            stored, _ = journal.add_match(hostile)
            half, _ = journal.add_match(match("tcp-state", 6, boot=Boot(None, epoch)))
            journal.neighbours(stored, 10 * SECOND)
            journal.neighbours(half, 10 * SECOND)
            journal.note_boot(hostile)
            journal.count_noise(
                [noise(hour_us=hour, first_us=others[0], last_us=others[1]), noise(hour_us=0)]
            )
            journal.count_noise([noise(first_kernel_us=others[2], last_kernel_us=others[3])])
            journal.save_streams({"serial": LineStream(3, others[4], fresh=False)})
            for number in numbers:
                journal.add_counts({"sequence_missing": number})
        history = journal.history()
        rows = history.noise().rows
        (detail,) = journal.db.execute("SELECT * FROM streams").fetchall()
        assert sum(row.count for row in rows) == 3
        assert all(type(count) is int for count in history.counters().values())
        assert type(detail["latest_kernel_us"]) is int


def test_counters_that_add_up_stop_at_their_bound() -> None:
    """63-bit numbers, added up, become no floating-point number that a table refuses."""
    with closing(open_journal(":memory:")) as journal:
        for _ in range(4):
            with journal.transaction():
                journal.add_counts({"sequence_missing": (1 << 63) - 1, "sequence_gap": 1})
        assert journal.history().counters() == {"sequence_gap": 4, "sequence_missing": COUNT_LIMIT}


TEXTS = st.one_of(
    st.text(st.characters(), max_size=8),
    st.sampled_from(["\0", '"', "\\", '\\"', "\ud800", "\\u0000", "é"]).flatmap(
        lambda part: st.integers(0, 2 * NAME_LIMIT).map(lambda times: part * times)
    ),
    st.sampled_from(["x" * NAME_LIMIT, "x" * (NAME_LIMIT + 1), "x" * (TEXT_LIMIT + 1)]),
)


@given(TEXTS, TEXTS, TEXTS)
def test_json_holds_clean_texts_alone(name: str, one: str, two: str) -> None:
    """Whatever the texts, each is stored as `clean` spells it, in objects and in arrays."""
    stored = to_json({name: one, "list": [one, {"x": two}], "number": 1, "none": None})
    expected = {
        clean(name, NAME_LIMIT): clean(one),
        "list": [clean(one), {"x": clean(two)}],
        "number": 1,
        "none": None,
    }
    assert json.loads(stored) == expected
    stored.encode()


@pytest.mark.parametrize("size", [NAME_LIMIT - 1, NAME_LIMIT, NAME_LIMIT + 1])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_text_is_long_wherever_it_stands(size: int, place: int) -> None:
    """One text beyond the limit is seen between short ones, first and last."""
    texts = ["a" * 700, "b" * 700]
    texts.insert(place, "c" * size)
    stored = json.loads(to_json({"lines": texts}))["lines"]
    assert stored == texts
    assert _has_long_text(json.dumps(texts)) == (size > NAME_LIMIT)
