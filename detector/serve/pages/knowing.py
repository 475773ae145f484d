"""The catalogue's words about a rule or a known issue, for pages.

In: the catalogue. Out: its entries by their ids, and rules as sentences. Pure.
"""

from __future__ import annotations

from detector.catalogue import Catalogue, Rule
from detector.catalogue.known_issues import KnownIssue
from detector.clock import HOUR_US
from detector.store.query.filters import Filter
from detector.store.query.problem_names import NamingProgress

# What a rule counts hosts of.
_COUNTED = {
    "fingerprint": "fingerprint",
    "process": "process in the noise",
    "kernel-error": "kernel error that is news",
}


def rule_of(known: Catalogue, identity: str) -> Rule | None:
    """The rule with this id, None where the pattern files no longer have it."""
    return next((rule for rule in known.rules if rule.id == identity), None)


def issue_of(known: Catalogue, identity: str | None) -> KnownIssue | None:
    """The known issue with this id."""
    return (
        next((issue for issue in known.known_issues if issue.id == identity), None)
        if identity
        else None
    )


def naming_words(criteria: Filter, progress: NamingProgress | None) -> str:
    """The notice over a list by known bugs while problems are still being named; else empty."""
    if progress is None or progress.is_whole or not (criteria.known or criteria.fixable):
        return ""
    return (
        f"Still naming older reports by known bugs: {progress.percent} % of "
        f"{progress.of:,} problems are done. Load the page again for the rest."
    )


def rule_words(rule: Rule) -> str:
    """A rule as a sentence: what must meet, in what order, where and within what time."""
    names = list(rule.classes or rule.signatures)
    if rule.counts_hosts:
        hours = rule.timespan_us // HOUR_US
        what = _COUNTED[rule.group_by[0]]
        within = "an hour" if hours == 1 else f"{hours} hours"
        return f"One {what} on {rule.gte} hosts or more within {within} of wall time."
    if rule.type == "event_count":
        listed = f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else names[0]
        what = "One" if rule.is_lone else f"{rule.gte} or more within {_span(rule)}"
        return f"{what} of {listed}, on one {' and '.join(rule.group_by)}."
    listed = f"{', '.join(names[:-1])} and {names[-1]}"
    order = "in this order" if rule.type == "temporal_ordered" else "in any order"
    return (
        f"{listed}, {order}, on one {' and '.join(rule.group_by)} within "
        f"{_span(rule)} of kernel time."
    )


def _span(rule: Rule) -> str:
    return f"{rule.timespan_us / 1_000_000:g} s"
