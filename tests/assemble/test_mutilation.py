"""Damaged reports, the short form of `make mutilate`: the project's own reports, damaged in every
way.
"""

from __future__ import annotations

from functools import cache

import pytest

from tests.assemble.mutilation.__main__ import OWN
from tests.assemble.mutilation.judge import QUESTIONS, Figures, judged
from tests.assemble.mutilation.kinds import LOST, WIDTHS, chatter, damaged
from tests.assemble.mutilation.reports import logs_of, scanned, whole_reports

# Least shares in percent: found, function kept where its line is left, nothing of others, all in
# one.
LEAST = {
    "wrapped": (100, 96, 100, 96),
    "last": (100, 96, 95, 100),
    "first": (80, 75, 100, 100),
    "every third lost, from line 1": (85, 80, 95, 100),
    "every third lost, from line 2": (100, 80, 100, 100),
    "every third lost, from line 3": (100, 95, 100, 100),
    "chatter": (100, 100, 100, 92),
    "interleaved, with callers": (100, 100, 100, 100),
    "interleaved": (94, 85, 65, 75),
}
"""Interleaved without callers: which of two frames belongs to which trace is often not to be
known.
"""


@cache
def figures() -> dict[str, Figures]:
    """The figures over the project's own reports."""
    reports = whole_reports([log for path in OWN for log in logs_of(path)])
    logs = list(damaged(reports))
    return judged(logs, scanned([one.log for one in logs]))


def test_every_kind_of_damage_is_done() -> None:
    """None is left out, and each damages many reports."""
    kinds = figures()
    assert len(kinds) == len(WIDTHS) + 2 * len(LOST) + 3 + 3 + 2
    assert all(one.asked["found"] >= 20 for one in kinds.values())


@pytest.mark.parametrize("kind", LEAST)
def test_what_is_read_in_spite_of_it(kind: str) -> None:
    """A fault is found; its function stays where its line is left; nothing of others is taken
    in.
    """
    kinds = {name: one for name, one in figures().items() if name.startswith(kind)}
    exact = {kind: kinds[kind]} if kind in kinds else kinds
    for name, one in exact.items():
        shares = {question: one.share(question) for question in QUESTIONS}
        for question, least in zip(QUESTIONS, LEAST[kind], strict=True):
            worst = [
                f"{log.of[0].name}: {why}" for asked, why, log in one.failed if asked == question
            ]
            assert shares[question] >= least, f"{name}, {question}: {shares}; {worst[:5]}"


def test_chatter_is_none_of_the_products_faults() -> None:
    """The chatter that the damage consists of is no match by itself."""
    (said,) = scanned(["\n".join(f"[  100.{n:06}] {text}" for n, text in enumerate(chatter(60)))])
    assert said.matches == ()
