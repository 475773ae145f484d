"""Two incidents side by side: what is the same of them, and what differs.

In: the ids of two incidents. Out: a page of facts, call paths, registers and lines in two columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any

from fastapi import Request

from detector.render.units import exact_seconds, several, uptime
from detector.serve.deps import history
from detector.serve.pages import formatting
from detector.serve.pages.rendering import PageContent, missing
from detector.store import IncidentDetail

PLACE = "/incidents"
TITLE = "Two incidents"
_REPORTED = ("arch", "hardware", "comm", "cpu", "tainted", "fault_address", "instruction")


@dataclass(frozen=True, slots=True)
class Pair:
    """One thing of two incidents, each as text; empty where an incident has none."""

    name: str
    left: str
    right: str

    @property
    def same(self) -> bool:
        """True where both texts are equal."""
        return self.left == self.right


def compare(request: Request) -> PageContent:
    """Two incidents, `?id=` and `?id=`."""
    chosen = list(dict.fromkeys(request.query_params.getlist("id")))
    if len(chosen) != 2:
        return _refused(len(chosen))
    reading = history(request)
    details = [reading.incident(identity) for identity in chosen]
    left, right = details
    if left is None or right is None:
        gone = chosen[0] if left is None else chosen[1]
        return missing(f"incident {gone[:100]}", PLACE, "Select two in a list of incidents.")
    facts = _pairs(_facts(left), _facts(right))
    registers = _registers(left, right)
    path = _aligned(_path(left), _path(right))
    view: dict[str, Any] = {
        "left": left.row,
        "right": right.row,
        "alike": _alike(left, right, path),
        "facts": facts,
        "path": path,
        "registers": registers,
        "lines": list(_lines(left, right)),
    }
    data = {"ids": [left.row.id, right.row.id], "facts": facts, "path": path}
    return PageContent("compare.html", TITLE, PLACE, view, data | {"registers": registers}, facts)


def _refused(count: int) -> PageContent:
    verb = "is" if count == 1 else "are"
    text = f"Two incidents are compared; {several(count, 'incident')} {verb} selected."
    hint = "Select two in a list of incidents."
    view = {"text": text, "hint": hint, "back": PLACE, "back_words": "Back to the list"}
    return PageContent("message.html", TITLE, PLACE, view, status=422)


def _alike(left: IncidentDetail, right: IncidentDetail, path: Sequence[Pair]) -> str:
    """Returns in a sentence how much of two incidents is the same."""
    problem = left.row.fingerprint
    equal = problem is not None and problem == right.row.fingerprint
    words = "One problem: the fingerprints are equal." if equal else "Two problems."
    if not path:
        return words
    common = sum(pair.same for pair in path)
    shorter = min(sum(bool(pair.left) for pair in path), sum(bool(pair.right) for pair in path))
    return f"{words} {common} of {several(shorter, 'call')} are the same, in the same order."


def _facts(detail: IncidentDetail) -> dict[str, str]:
    row, report = detail.row, detail.report or {}
    gap = exact_seconds(row.gap_us) if row.gap_us else ""
    facts = {
        "severity": row.severity,
        "state": row.state,
        "rule": row.rule,
        "host": row.host,
        "kernel": row.kernel,
        "began (UTC)": formatting.stamp(row.started_us) if row.started_us is not None else "",
        "up": uptime(row.kernel_time_us),
        "gap": gap,
        "function": report.get("display_function") or row.function,
        "module": row.module,
        **{name.replace("_", " "): report.get(name) for name in _REPORTED},
        "known issue": row.known_issue,
        "known bugs": ", ".join(bug.id for bug in detail.known_bugs),
        "fingerprint": row.fingerprint,
    }
    return {name: "" if value is None else str(value) for name, value in facts.items()}


def _registers(left: IncidentDetail, right: IncidentDetail) -> list[Pair]:
    """The registers of one architecture; those of two have nothing in common but `sp`."""
    if (left.report or {}).get("arch") != (right.report or {}).get("arch"):
        return []
    return _pairs(*((detail.report or {}).get("registers") or {} for detail in (left, right)))


def _path(detail: IncidentDetail) -> list[str]:
    return [frame["function"] for frame in (detail.report or {}).get("frames") or ()]


def _pairs(left: dict[str, str], right: dict[str, str]) -> list[Pair]:
    """What at least one has, by name."""
    return [
        Pair(name, left.get(name, ""), right.get(name, ""))
        for name in dict.fromkeys((*left, *right))
        if left.get(name) or right.get(name)
    ]


def _aligned(left: Sequence[str], right: Sequence[str]) -> list[Pair]:
    """Two call paths, the innermost call first, with equal calls beside one another."""
    pairs: list[Pair] = []
    match = SequenceMatcher(None, left, right, autojunk=False)
    for _, begin, end, other, stop in match.get_opcodes():
        beside = zip_longest(left[begin:end], right[other:stop], fillvalue="")
        pairs += [Pair("", mine, theirs) for mine, theirs in beside]
    return pairs


def _lines(left: IncidentDetail, right: IncidentDetail) -> Iterator[Pair]:
    """The lines that each incident rests on, by signature."""
    texts = [
        {match.signature: match.text for match in reversed(detail.incident.evidence)}
        for detail in (left, right)
    ]
    yield from _pairs(*texts)
