"""The values of the known-bug index: a fixed kernel bug, its fixes, the traces it was seen
with.

All of them are facts: ids, commit hashes, releases, paths, function names, titles that this
project's own reader gives, and the subject line of the fixing commit. No prose of anybody.
"""

from __future__ import annotations

from dataclasses import dataclass


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
