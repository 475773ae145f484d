"""Known issues of a report: which fits, and in words why it is named and what fixes it.

In: `CrashFacts` (from a report, its evidence and what was decoded) and the known issues. Out: the
issue with the strongest case, or None; the outcome of an issue's own tests. It knows no issue
itself: all of that is in `patterns/known-issues/`.

A vendor's build is never called fixed or unfixed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from detector.catalogue.known_issues import (
    Conditions,
    FixCommit,
    IssueTest,
    KnownIssue,
    ReleaseStatus,
    StableRelease,
    When,
)
from detector.explain.tcp import released, same_socket_twice
from detector.model import CrashReport, Match, Statement
from detector.release import KernelRelease, status

_STRENGTH = {"certain": 3, "likely": 2, "possible": 1}


@dataclass(frozen=True, slots=True)
class CrashFacts:
    """Facts of a crash that known issues are held against.

    `path`: functions of the trace and of the program counter, without compiler suffixes;
    `texts`: the title and the evidence's lines.
    """

    kind: str = ""
    function: str | None = None
    path: frozenset[str] = frozenset()
    classes: frozenset[str] = frozenset()
    states: frozenset[int] = frozenset()
    same_socket: bool = False
    marks: frozenset[str] = frozenset()
    texts: tuple[str, ...] = ()
    kernel: KernelRelease | None = None


@dataclass(frozen=True, slots=True)
class Recognised:
    """An issue that is named, the conditions that did it, the facts that met them, and how the
    running kernel stands to it.
    """

    issue: KnownIssue
    when: When
    facts: CrashFacts
    status: ReleaseStatus


def facts_of(
    report: CrashReport | None, evidence: Sequence[Match], marks: Iterable[str]
) -> CrashFacts:
    """Gather what the conditions ask about."""
    title = (report.title,) if report is not None and report.title else ()
    functions = (
        [
            report.function,
            *(frame.function for frame in (report.pc, *report.frames) if frame and frame.reliable),
        ]
        if report is not None
        else []
    )
    return CrashFacts(
        kind=report.kind if report is not None else "",
        function=report.function if report is not None else None,
        path=frozenset(name.partition(".")[0] for name in functions if name),
        classes=frozenset(match.cls for match in evidence),
        states=frozenset(state for state, _, _ in released(evidence)),
        same_socket=same_socket_twice(evidence),
        marks=frozenset(marks),
        texts=(*title, *(match.text for match in evidence)),
        kernel=KernelRelease.of(report.kernel, report.package) if report is not None else None,
    )


def recognise(facts: CrashFacts, issues: Iterable[KnownIssue]) -> Recognised | None:
    """The issue whose strongest condition holds; of two equal ones the first in the catalogue."""
    named_issues = [named for issue in issues if (named := judge(facts, issue)) is not None]
    return max(named_issues, key=lambda named: _STRENGTH[named.when.confidence], default=None)


def judge(facts: CrashFacts, issue: KnownIssue) -> Recognised | None:
    """Whether, and how surely, this one issue is named."""
    stands = status(facts.kernel, issue)
    if any(_holds(conditions, facts, stands) for conditions in issue.unless):
        return None
    holding = [when for when in issue.when if _holds(when, facts, stands)]
    if not holding:
        return None
    return Recognised(
        issue, max(holding, key=lambda when: _STRENGTH[when.confidence]), facts, stands
    )


def _holds(conditions: Conditions, facts: CrashFacts, stands: ReleaseStatus) -> bool:
    """Whether all conditions are met: what is cheap to ask comes first, for a storm asks it of
    every issue and crash.
    """
    return (
        facts.classes.issuperset(conditions.classes)
        and (not conditions.kinds or facts.kind in conditions.kinds)
        and (not conditions.functions or facts.function in conditions.functions)
        and not facts.classes.intersection(conditions.without_classes)
        and (conditions.same_socket is None or conditions.same_socket == facts.same_socket)
        and (not conditions.marks or bool(facts.marks.intersection(conditions.marks)))
        and (not conditions.releases or stands in conditions.releases)
        and (
            not conditions.kernels
            or (facts.kernel is not None and str(facts.kernel) in conditions.kernels)
        )
        and facts.states.issuperset(conditions.states)
        and (not conditions.only_states or facts.states.issubset(conditions.states))
        and (not conditions.path or _on_path(conditions.path, facts.path))
        and (
            not conditions.phrases
            or any(phrase in text for phrase in conditions.phrases for text in facts.texts)
        )
    )


def _on_path(patterns: Iterable[str], path: frozenset[str]) -> bool:
    """Whether one of the functions is one of the patterns: whole names are looked up at once."""
    if not path.isdisjoint(patterns):
        return True
    begins = tuple(pattern[:-1] for pattern in patterns if pattern.endswith("*"))
    return bool(begins) and any(name.startswith(begins) for name in path)


def names(pattern: str, name: str) -> bool:
    """Returns whether a function's `name` is the pattern, or begins with it where it ends in
    `*`.
    """
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def failing_tests(issue: KnownIssue) -> tuple[str, ...]:
    """The tests of an issue that do not come out as written, each as a line of text."""
    return tuple(
        f'known issue {issue.id}, test "{case.title}": expected {case.expect}, got {outcome}'
        for case in issue.test
        if (outcome := _outcome(issue, case)) != case.expect
    )


def _outcome(issue: KnownIssue, case: IssueTest) -> str:
    facts = CrashFacts(
        kind=case.kind,
        function=case.function,
        path=frozenset(case.path) | ({case.function} if case.function else set()),
        classes=frozenset(case.classes),
        states=frozenset(case.states),
        same_socket=case.same_socket,
        marks=frozenset(case.marks),
        texts=case.texts,
        kernel=KernelRelease.parse(case.kernel or ""),
    )
    named = judge(facts, issue)
    return named.when.confidence if named else "none"


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
