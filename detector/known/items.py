"""A bug of the index as JSON types, and back.

In: a `Bug`. Out: a dictionary that names what the bug has; of a dictionary, the bug. What cannot be
read as one raises ValueError, KeyError, TypeError or AttributeError.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from detector.known.bug import Bug, Fix, Trace


def bug_item(bug: Bug) -> dict[str, Any]:
    """A bug as JSON types; what it does not have is left out."""
    fields = {
        "id": bug.id,
        "subject": bug.subject,
        "main": bug.main,
        "affected": bug.affected,
        "fixes": [[fix.release, fix.commit] if fix.commit else [fix.release] for fix in bug.fixes],
        "files": bug.files,
        "named": bug.named,
        "traces": [_trace_item(trace) for trace in bug.traces],
    }
    return {name: value for name, value in fields.items() if value}


def _trace_item(trace: Trace) -> dict[str, Any]:
    fields = {
        "kind": trace.kind,
        "title": trace.title,
        "function": trace.function,
        "frames": trace.frames,
        "plain": trace.plain,
        "module": trace.module,
        "allocated": trace.allocated,
        "freed": trace.freed,
    }
    kept = {name: value for name, value in fields.items() if value}
    return kept if trace.offset is None else {**kept, "offset": trace.offset}


def item_bug(item: Mapping[str, Any]) -> Bug:
    """The bug of such a dictionary."""
    return Bug(
        id=item["id"],
        subject=item.get("subject", ""),
        main=item.get("main"),
        affected=tuple((since, until) for since, until in item.get("affected", ())),
        fixes=tuple(Fix(*fix) for fix in item.get("fixes", ())),
        files=tuple(item.get("files", ())),
        named=tuple(item.get("named", ())),
        traces=tuple(_trace(trace) for trace in item.get("traces", ())),
    )


def _trace(item: Mapping[str, Any]) -> Trace:
    return Trace(
        kind=item["kind"],
        title=item.get("title"),
        function=item.get("function"),
        frames=tuple(item.get("frames", ())),
        plain=tuple(item.get("plain", ())),
        module=item.get("module"),
        offset=item.get("offset"),
        allocated=tuple(item.get("allocated", ())),
        freed=tuple(item.get("freed", ())),
    )
