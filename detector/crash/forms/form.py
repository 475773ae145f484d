"""The form of a report, and the recipes that most forms share.

Data and helpers to write data; nothing is read here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from detector.crash.frames import SYMBOL
from detector.crash.guilty import PC, STACK, TRACE, Recipe, SearchPart
from detector.lazy_regex import lazy_regex


@dataclass(frozen=True, slots=True)
class Form:
    """One way a report begins.

    `head` is searched in the head line, `body` in the whole text from there on; their named groups,
    and `function`, fill the title.
    """

    kind: str
    head: re.Pattern[str]
    title: str
    recipes: tuple[Recipe, ...] = ()
    body: re.Pattern[str] | None = None


def form(kind: str, head: str, title: str, *recipes: Recipe, body: str | None = None) -> Form:
    """A form, with its patterns compiled."""
    return Form(
        kind, lazy_regex(head), title, recipes, lazy_regex(body) if body is not None else None
    )


def recipe(*parts: SearchPart, skip: str = "", choose: str = "", plain: bool = False) -> Recipe:
    """A recipe, with what else it skips compiled."""
    return Recipe(parts, lazy_regex(skip) if skip else None, choose, plain)


def after(line: str, symbol: re.Pattern[str]) -> Recipe:
    """The function that the first symbol after a line names, as it is."""
    return recipe(lazy_regex(line), symbol, plain=True)


NAME = (
    r"(?P<fn>[A-Za-z_$][\w$.]*)(?:\+0x(?P<off>[0-9a-f]+)/0x(?P<size>[0-9a-f]+)(?: "
    r"\[(?P<mod>\w+)[^\]]*\])?)?"
)
"""A function, with or without the offset."""

AT = lazy_regex(r"\bat: (?:\[<[0-9a-f]+>\] *)?" + SYMBOL)
LOCK_AT = lazy_regex(r"\bat: (?:\[<[0-9a-f]+>\] *)?" + NAME)
ADDRESS_AND_NAME = lazy_regex(r"\[<[0-9a-f]+>\] +" + SYMBOL)

FAULT = recipe(PC, TRACE, STACK)
"""The function at the program counter, or who called it."""

CALLERS = recipe(TRACE, STACK)
"""The first function of the call trace."""

ONLY_PC = recipe(PC)
LOOP = recipe(PC, TRACE, STACK, choose="stall")
"""A loop or an endless recursion: see anchors."""
