"""Finds the form of a block, and the line that it begins at.

In: the lines of a block, the text and the class of its head. Out: a `Heading`. A head that only
announces (`refcount_t: …`) gives way to the report's own; where a memory fault's own line is lost,
the class says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from detector.crash.forms import ANNOUNCES, FORMS, UNNAMED_FAULT, Form

LONGEST_HEAD = 320
"""Characters of a head that are read."""


@dataclass(frozen=True, slots=True)
class Heading:
    """`start` is the line from which the report is read, `groups` what head and body capture
    for the title.
    """

    form: Form | None = None
    start: int = 0
    groups: dict[str, str] = field(default_factory=dict)


def heading(lines: Sequence[str], head: str, head_class: str) -> Heading:
    """The form of a block."""
    matched = _search(lines, head)
    kind = matched.form.kind if matched.form is not None else None
    if lines and head_class == "memory-fault" and kind in (None, "oops"):
        return Heading(UNNAMED_FAULT, matched.start)
    return matched


def _search(lines: Sequence[str], head: str) -> Heading:
    announced = bool(lines) and ANNOUNCES.match(lines[0]) is not None
    if announced:
        places = range(len(lines))
    else:  # what came before the head of a report that lost its first lines is read as well
        places = (
            range(lines.index(head), lines.index(head) + 1)
            if head in lines
            else range(len(lines[:1]))
        )
    for place in places:
        text = lines[place][:LONGEST_HEAD]
        for form in FORMS:
            matched = form.head.search(text)
            if matched is None:
                continue
            body = form.body.search("\n".join(lines[place:])) if form.body is not None else None
            if form.body is not None and body is None:
                continue
            groups = matched.groupdict(default="")
            groups |= body.groupdict(default="") if body is not None else {}
            return Heading(form, place if announced else 0, groups)
    return Heading()
