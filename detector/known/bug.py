"""The values of the known-bug index, and the same as JSON types.

All of them are facts: ids, commit hashes, releases, paths, function names, titles that this
project's own reader gives, and the subject line of the fixing commit. No prose of anybody.

What cannot be read as one raises ValueError, KeyError, TypeError or AttributeError.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fix:
    """The first release of a series that has the fix, and the commit that brought it there.

    `release` is "6.6.59" for a stable series, "6.12" for mainline; `commit` is None where the
    record does not say which of its commits went into that release.
    """

    release: str
    commit: str | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """One published report of a bug, as far as crashes are compared by it.

    `kind` and `title` are those of the crash reader; `frames` hold what is left of the call trace
    without generic and entry functions, top first; `plain` is the same without inlined frames, as
    hosts print it, where that differs. `offset` is how far from NULL the fault was, where it was
    near; `allocated` and `freed` are the stacks that detectors print beside the trace.
    """

    kind: str
    title: str | None
    function: str | None
    frames: tuple[str, ...]
    plain: tuple[str, ...] = ()
    module: str | None = None
    offset: int | None = None
    allocated: tuple[str, ...] = ()
    freed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bug:
    """A fixed bug.

    `affected` are the releases with it, as intervals [since, until) in the order of releases;
    `main` is the fixing commit of mainline; `named` are functions that the commit's message
    mentions, kept only where a trace alone does not tell (uninitialised data).
    """

    id: str
    subject: str
    main: str | None = None
    affected: tuple[tuple[str, str], ...] = ()
    fixes: tuple[Fix, ...] = ()
    files: tuple[str, ...] = ()
    traces: tuple[Trace, ...] = ()
    named: tuple[str, ...] = ()

    @property
    def commits(self) -> tuple[str, ...]:
        """Every commit that fixes it, mainline's first."""
        commits = [self.main, *(fix.commit for fix in self.fixes)]
        return tuple(dict.fromkeys(commit for commit in commits if commit))


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
