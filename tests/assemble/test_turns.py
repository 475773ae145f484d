"""Two reports line by line in turns, without caller ids."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest

import pytest

from tests.assemble.stream import FAULT_TEXTS, stored, texts
from tests.support.feeding import blocks


def stamped(rows: Iterable[str]) -> str:
    """The rows as one console printed them, a line each 10 µs."""
    return "\n".join(f"[  700.{place * 10:06}] {text}" for place, text in enumerate(rows)) + "\n"


def in_turns(one: tuple[str, ...], two: tuple[str, ...]) -> str:
    """The lines of both, a line each in turns."""
    return stamped(text for pair in zip_longest(one, two) for text in pair if text is not None)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("warning-5.15-refcount", "kasan-6.6"),
        ("x86_64-6.14-gpf", "hung-task-6.1"),
        ("arm64-6.6", "lockdep-6.1"),
        ("soft-lockup-5.4", "x86_64-6.8"),
    ],
)
def test_two_reports_in_turns(one: str, two: str) -> None:
    """Each report has its lines, and none of the other's, after the shorter one's end too."""
    apart = texts(blocks(stored(one))) + texts(blocks(stored(two)))
    assert sorted(texts(blocks(in_turns(*apart)))) == sorted(apart)


def test_one_that_prints_alone_keeps_its_lines() -> None:
    """A head breaks into another report's dump, and one of the two prints on alone: no turns."""
    second = tuple(
        text.replace("0001950b", "ffffc04000004000").replace("12", "3") for text in FAULT_TEXTS
    )
    order = [*FAULT_TEXTS[:5], *second, *FAULT_TEXTS[5:]]
    found = texts(blocks(stamped(order)))
    assert sorted(found) == sorted([FAULT_TEXTS, second])


def test_a_lost_line_ends_no_turns() -> None:
    """A line of one of them is lost: the other lines still go where they belong."""
    apart = texts(blocks(stored("x86_64-6.14-gpf"))) + texts(blocks(stored("hung-task-6.1")))
    kept = in_turns(*apart).splitlines()
    at = next(place for place, row in enumerate(kept) if "RAX: " in row)
    lost = kept.pop(at).split("] ", 1)[1]
    wanted = [tuple(text for text in block if text != lost) for block in apart]
    assert sorted(texts(blocks("\n".join(kept)))) == sorted(wanted)
