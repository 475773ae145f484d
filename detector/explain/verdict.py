"""The known issue in words: why it is named, why it happens, what fixes it, and how the running kernel stands to that.

In: what `known.recognise` found. Out: statements, each no surer than the naming itself. A vendor's build is never called fixed or unfixed.
"""

from __future__ import annotations

from collections.abc import Iterator

from detector.explain.known import Recognised
from detector.known_issue import Commit, KnownIssue, ReleaseStatus, StableRelease
from detector.model import Statement

_STANDING: dict[ReleaseStatus, str] = {
    "affected": "The running release is one of those with the bug and without the fix.",
    "vendor": "The running kernel is a vendor's build on a release with the bug; only its changelog says whether the fix was added.",
    "vendor-fixed": "The running kernel is a vendor's build on a release that has the fix; only its changelog says whether it was kept.",
    "fixed": "The running release has this fix, so something else may be at work.",
    "before": "The running release is older than the bug is known to be.",
}


def explain_issue(named: Recognised | None) -> list[Statement]:
    """The statements about the issue that is named, or none."""
    if named is None:
        return []
    issue, confidence = named.issue, named.when.confidence
    said = [Statement(f"Known issue: {issue.title}. {issue.summary}", confidence, _reasons(named))]
    said.append(Statement(issue.explanation.strip(), confidence, issue.references_to))
    if fix := "; ".join(_fixes(issue)):
        said.append(Statement(f"Fix: {fix}.", "certain", tuple(_sources(issue))))
    said += [Statement(f"Linked by the original analysis: {_commit(commit)}.", "possible") for commit in issue.linked]
    if standing := _STANDING.get(named.status):
        said.append(Statement(standing, "certain" if named.status in ("affected", "fixed") else "likely"))
    said += [Statement(f"Related: {text}", "likely") for text in issue.related]
    said += [Statement(f"Not to be mixed up with: {other.what}; told apart by: {other.told_by}.", "likely") for other in issue.lookalike]
    return said


def _reasons(named: Recognised) -> tuple[str, ...]:
    when = named.when
    asked = {
        "function": when.functions,
        "path": when.path,
        "TCP state": when.states,
        "decoded": when.marks,
        "phrase": when.phrases,
        "kernel": when.kernels,
    }
    return tuple(f"{name}: {' or '.join(map(str, values))}" for name, values in asked.items() if values)


def _fixes(issue: KnownIssue) -> Iterator[str]:
    yield from (_commit(commit) for commit in issue.fixed_by)
    if issue.fixed:
        yield f"in mainline from {issue.fixed}"
    if issue.stable:
        yield "in stable from " + ", ".join(_stable(stable) for stable in issue.stable)
    yield from (f"the bug came with {_commit(commit)}" for commit in issue.introduced_by)


def _commit(commit: Commit) -> str:
    title = f' "{commit.title}"' if commit.title else ""
    return f"{commit.hash}{title}" + (f" ({commit.note})" if commit.note else "")


def _stable(stable: StableRelease) -> str:
    return stable.release if stable.certainty == "certain" else f"{stable.release} ({stable.certainty})"


def _sources(issue: KnownIssue) -> Iterator[str]:
    yield from (f"{stable.release}: {stable.source}" for stable in issue.stable if stable.source)
