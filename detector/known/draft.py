"""Writes the frame of a hand-written known issue from a bug's record.

In: a bug. Out: TOML that the catalogue reads and whose tests pass, with the sentences that only a
person can write marked as such. What the index knows is filled in: releases, commits, functions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from detector.known.bug import Bug, Trace
from detector.known.nature import HEADLESS

_LONGEST_ID = 48
_WRITE = "WRITE: "


def draft(bug: Bug) -> str:
    """A `[[known-issue]]` table and its sub-tables."""
    return "\n".join((*_head(bug), *_fixes(bug), *_conditions(bug), *_tests(bug))) + "\n"


def _head(bug: Bug) -> Iterator[str]:
    yield "[[known-issue]]"
    yield f"id = {_text(_slug(bug))}"
    yield f"title = {_text(bug.subject or bug.id)}"
    yield f"summary = {_text(_WRITE + 'what goes wrong, in one sentence.')}"
    yield f"explanation = {_text(_WRITE + 'why it goes wrong, and why it shows where it shows.')}"
    if bug.affected and bug.affected[0][0] != "0.0":
        yield f"since = {_text(bug.affected[0][0])}"
    if fixed := next((fix.release for fix in bug.fixes if _is_mainline(fix.release)), None):
        yield f"fixed = {_text(fixed)}"
    yield f"covers = [{_text(bug.id)}]"
    yield f"mitigation = {_text(_WRITE + 'what helps until the fix runs.')}"
    words = f'{bug.id}, "{bug.subject}"' if bug.subject else bug.id
    check = f"host: check the vendor's changelog for {words}"
    yield f"vendor-check = {_text(check)}"
    yield f"next-steps = [{_text('host: ' + _WRITE + 'what to look at.')}]"
    if bug.id.startswith("CVE-"):
        yield f"references-to = [{_text(f'https://nvd.nist.gov/vuln/detail/{bug.id}')}]"


def _fixes(bug: Bug) -> Iterator[str]:
    if bug.main is not None:
        yield from ("", "[[known-issue.fixed-by]]", f"hash = {_text(bug.main)}")
        if bug.subject:
            yield f"title = {_text(bug.subject)}"
    for fix in bug.fixes:
        if not _is_mainline(fix.release):
            source = f"{bug.id}, commit {fix.commit}" if fix.commit else bug.id
            yield from (
                *("", "[[known-issue.stable]]"),
                f"release = {_text(fix.release)}",
                f"source = {_text(source)}",
            )


def _conditions(bug: Bug) -> Iterator[str]:
    trace = _best(bug)
    yield from ("", "[[known-issue.when]]", 'confidence = "likely"')
    if trace.kind != HEADLESS:
        yield f"kinds = [{_text(trace.kind)}]"
    yield f"functions = [{_text(trace.function or _WRITE + 'the guilty function')}]"
    if callers := _callers(trace):
        yield f"path = [{', '.join(map(_text, callers))}]"
    yield 'releases = ["affected", "vendor", "unknown"]'
    yield from ("", "[[known-issue.lookalike]]")
    yield f"what = {_text(_WRITE + 'another bug that prints the same')}"
    yield f"told-by = {_text(_WRITE + 'what tells it apart')}"


def _tests(bug: Bug) -> Iterator[str]:
    trace = _best(bug)
    crash = [
        *([] if trace.kind == HEADLESS else [f"kind = {_text(trace.kind)}"]),
        f"path = [{', '.join(map(_text, _callers(trace)))}]",
    ]
    function = f"function = {_text(trace.function or _WRITE + 'the guilty function')}"
    cases = [
        ("the trace of the fix", function, bug.affected[-1][0] if bug.affected else None, True)
    ]
    cases.append(("the same path, another function", 'function = "other_function"', None, False))
    if bug.fixes and bug.affected:
        cases.append(("a release with the fix", function, bug.fixes[-1].release, False))
    for title, guilty, kernel, named in cases:
        yield from ("", "[[known-issue.test]]", f"title = {_text(title)}", guilty, *crash)
        if kernel is not None:
            yield f"kernel = {_text(kernel)}"
        yield f"expect = {_text('likely' if named else 'none')}"


def _best(bug: Bug) -> Trace:
    traces = sorted(bug.traces, key=lambda trace: (trace.kind == HEADLESS, -len(trace.frames)))
    return traces[0] if traces else Trace(HEADLESS, None, None, ())


def _callers(trace: Trace) -> list[str]:
    return [name for name in trace.frames if name != trace.function][:2]


def _is_mainline(release: str) -> bool:
    return release.count(".") == 1


def _slug(bug: Bug) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", (bug.subject or bug.id).lower()).strip("-")
    return words[:_LONGEST_ID].strip("-") or bug.id.lower()


def _text(value: str) -> str:
    """A TOML basic string: JSON's, which escapes everything that TOML's needs escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
