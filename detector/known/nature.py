"""The nature of a fault: what a report complains of, apart from where.

In: a report's kind and title, and whether it faulted near NULL. Out: a short word by which reports
are compared over detectors and releases, and how well two of them may be one bug seen twice: a use
after free shows as KASAN's report on one kernel and as a wild address on another.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from detector.lazy_regex import lazy_regex

HEADLESS = "?"
"""The kind of a trace whose head says nothing that is read."""

STUCK = "stuck"
"""The nature of a CPU that loops: lockups and stalls."""

BYSTANDERS = frozenset({"hung", "memory-leak", "kcsan"})
"""Natures whose trace is not of who is at fault: a hung task waits for what another task holds
(kernel/hung_task.c), kmemleak prints who allocated (mm/kmemleak.c), and a data race is between two
accesses to a place that has no name (kernel/kcsan/report.c)."""

_MEMORY = frozenset({"memory-fault", "kasan", "kfence", "oops", "slab", "bad-page", "kernel-trap"})
_NAMES: Mapping[str, str] = {
    "invalid-opcode": "bug",
    "kernel-bug": "bug",
    "kernel-bug-message": "bug",
    "odebug": "warning",
    "soft-lockup": STUCK,
    "hard-lockup": STUCK,
    "rcu-stall": STUCK,
    "hung-task": "hung",
    "workqueue-lockup": STUCK,
    "divide-error": "divide",
}
_ALIKE: Mapping[frozenset[str], float] = {
    frozenset(pair): weight
    for *pair, weight in (
        ("null", "wild", 0.75),
        ("freed", "wild", 0.9),
        ("freed", "null", 0.5),
        ("freed", "bounds", 0.7),
        ("bounds", "wild", 0.9),
        ("bounds", "null", 0.4),
        ("slab", "freed", 0.8),
        ("bounds", "ubsan", 0.6),
        ("freed", "refcount", 0.6),
        ("freed", "list", 0.6),
        ("refcount", "warning", 0.6),
        ("bug", "list", 0.6),
        ("wild", "list", 0.5),
        ("freed", "bug", 0.4),
    )
}

_ACCESS = lazy_regex(r"\b(read|write|invalid-free)\b", re.IGNORECASE)
_PLACE = lazy_regex(r" in [^ ]+(?: */ *[^ ]+)?$")


def nature(kind: str, title: str | None, *, near_null: bool = False) -> str:
    """Returns what the report complains of: "null", "freed", "bounds", "wild", "warning",
    "lockdep" … A fault near NULL is one whatever the title says.
    """
    text = (title or "").lower()
    if kind in _MEMORY:
        return _memory(kind, text, near_null=near_null)
    if "refcount" in text:
        return "refcount"
    if "divide error" in text:
        return "divide"
    if "list" in text and kind in {"list-corruption", "kernel-bug"}:
        return "list"
    return _NAMES.get(kind, kind)


def _memory(kind: str, text: str, *, near_null: bool) -> str:
    if kind == "kasan" and "bad access" in text:
        return HEADLESS  # the line that says which kind is lost
    if near_null or "null" in text or "user-memory-access" in text:
        return "null"
    if any(word in text for word in ("use-after-free", "invalid-free", "double-free")):
        return "freed"
    if "out-of-bounds" in text or "out of bounds" in text:
        return "bounds"
    return "slab" if kind in {"slab", "bad-page"} else "wild"


def access(title: str | None) -> str | None:
    """Returns whether the report is of a read, a write, or a free, where its title says so."""
    matched = _ACCESS.search(title or "")
    return matched[1].lower() if matched else None


def complaint(kind: str, title: str | None, *, near_null: bool = False) -> str:
    """The nature; for what is no memory fault with the title's own words, without the place."""
    what = nature(kind, title, near_null=near_null)
    if kind in _MEMORY or what in {"refcount", "divide", "list"}:
        return what
    return f"{what}: {_PLACE.sub('', (title or '').lower())}"


def likeness(first: str, second: str) -> float:
    """Returns how well two natures may be one bug: 1 for the same, 0 for two that never are."""
    if HEADLESS in {first, second}:
        return 0.8
    return 1.0 if first == second else _ALIKE.get(frozenset((first, second)), 0.0)
