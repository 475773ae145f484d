"""The known issue in words: why it is named, why it happens, what fixes it, and how the
running kernel stands to that.

In: what `known.recognise` found. Out: statements, each no surer than the naming itself. A vendor's
build is never called fixed or unfixed.
"""

from __future__ import annotations

from collections.abc import Iterator

from detector.catalogue.known_issues import FixCommit, KnownIssue, ReleaseStatus, StableRelease
from detector.explain.issues import Recognised, names
from detector.model import Statement

_STANDING: dict[ReleaseStatus, str] = {
    "affected": "The running release is one of those with the bug and without the fix.",
    "vendor": (
        "The running kernel is a vendor's build on a release with the bug; only its changelog "
        "says whether the fix was added."
    ),
    "vendor-fixed": (
        "The running kernel is a vendor's build on a release that has the fix; only its "
        "changelog says whether it was kept."
    ),
    "fixed": "The running release has this fix, so something else may be at work.",
    "before": "The running release is older than the bug is known to be.",
}

OPENING = "Known issue: "
"""How the first of the issue's statements begins."""


def explain_issue(named: Recognised | None) -> list[Statement]:
    """The statements about the issue that is named, or none."""
    if named is None:
        return []
    issue, confidence = named.issue, named.when.confidence
    statements = [
        Statement(f"{OPENING}{issue.title}. {issue.summary}", confidence, tuple(_reasons(named)))
    ]
    statements.append(Statement(issue.explanation.strip(), confidence, issue.references_to))
    if fix := "; ".join(_fixes(issue)):
        statements.append(
            Statement(
                f"Fix: {fix}.",
                "certain",
                tuple(_sources(issue)) or issue.references_to or (issue.id,),
            )
        )
    statements += [
        Statement(f"Linked by the original analysis: {_commit(commit)}.", "possible")
        for commit in issue.linked
    ]
    if standing := _STANDING.get(named.status):
        running = (str(named.facts.kernel),) if named.facts.kernel is not None else ()
        statements.append(
            Statement(
                standing, "certain" if running and named.status == "affected" else "likely", running
            )
        )
    if issue.related:
        statements.append(Statement("Related bugs, which are others.", "likely", issue.related))
    if issue.lookalike:
        others = tuple(f"{other.what}: {other.told_by}" for other in issue.lookalike)
        statements.append(Statement("Others print the same and are told apart.", "likely", others))
    return statements


def _reasons(named: Recognised) -> Iterator[str]:
    """The facts that the conditions asked for."""
    when, facts = named.when, named.facts
    if when.functions:
        yield f"the function is {facts.function}"
    if when.path:
        called = sorted(
            name for name in facts.path if any(names(pattern, name) for pattern in when.path)
        )
        yield f"in the trace: {', '.join(called)}"
    if when.states:
        yield f"released in TCP state {' and '.join(map(str, when.states))}" + (
            ", one socket" if when.same_socket else ""
        )
    if when.marks:
        yield f"decoded from the address: {', '.join(sorted(facts.marks.intersection(when.marks)))}"
    if when.phrases:
        yield from (text for text in facts.texts if any(phrase in text for phrase in when.phrases))
    if facts.kernel is not None:
        yield f"the kernel is {facts.kernel}"


def _fixes(issue: KnownIssue) -> Iterator[str]:
    yield from (_commit(commit) for commit in issue.fixed_by)
    if issue.fixed:
        yield f"in mainline from {issue.fixed}"
    if issue.stable:
        yield "in stable from " + ", ".join(_stable(stable) for stable in issue.stable)
    yield from (f"the bug came with {_commit(commit)}" for commit in issue.introduced_by)


def _commit(commit: FixCommit) -> str:
    title = f' "{commit.title}"' if commit.title else ""
    return f"{commit.hash}{title}" + (f" ({commit.note})" if commit.note else "")


def _stable(stable: StableRelease) -> str:
    return (
        stable.release
        if stable.certainty == "certain"
        else f"{stable.release} ({stable.certainty})"
    )


def _sources(issue: KnownIssue) -> Iterator[str]:
    yield from (f"{stable.release}: {stable.source}" for stable in issue.stable if stable.source)
