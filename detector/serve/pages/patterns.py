"""Rules and signatures: what they match, in their own words and lines, and how often a
signature was seen.

In: the catalogue, and counts of the history. Out: pages. Patterns are changed in their files, not
here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from fastapi import Request

from detector.catalogue import Catalogue, Rule, Signature
from detector.clock import HOUR_US
from detector.serve.deps import catalogue, history
from detector.serve.pages import formatting, highlight, histograms, query
from detector.serve.pages.rendering import PageContent, missing, now_us
from detector.store.query.filters import Filter
from detector.store.query.results import row_number

RULES = "/rules"
SIGNATURES = "/signatures"
FAULTS = 10
# Signatures of a page, so that it stays small on a telephone.
PAGE = 120
HITS_US = 30 * 24 * HOUR_US


def rules(request: Request) -> PageContent:
    """Every rule."""
    known = catalogue(request)
    view = {"rules": [_rule(rule) | {"members": _members(rule, known)} for rule in known.rules]}
    rows = [_rule(rule) for rule in known.rules]
    return PageContent("rules.html", "Rules", RULES, view, {"rules": rows}, rows)


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "title": rule.title,
        "severity": rule.severity,
        "type": rule.type,
        "classes": list(rule.classes),
        "signatures": list(rule.signatures),
        "anchor": rule.anchor,
        "group_by": list(rule.group_by),
        "timespan_us": rule.timespan_us,
        "gte": rule.gte,
        "times_usual": rule.times_usual,
        "setting": rule.switch,
        "words": formatting.rule_words(rule),
        "reasoning": rule.reasoning,
    }


def _members(rule: Rule, known: Catalogue) -> list[tuple[str, list[str]]]:
    if rule.signatures:
        return [("signatures", list(rule.signatures))]
    return [
        (name, [item.id for item in known.signatures if item.cls == name]) for name in rule.classes
    ]


def signatures(request: Request) -> PageContent:
    """Signatures by class, the kernel's first; whole classes make a page, all are in its JSON."""
    known = sorted(
        catalogue(request).signatures,
        key=lambda item: (item.origin == "user", item.marker, item.cls, item.id),
    )
    groups = [
        {"cls": cls, "signatures": list(members)}
        for cls, members in groupby(known, key=lambda item: item.cls)
    ]
    number = row_number(request.query_params.get("page", "1"))
    pages = list(_pages(groups))
    at = 1 if number is None else min(number, len(pages))
    rows = [_signature(item) for item in known]
    view = {
        "groups": pages[max(at, 1) - 1],
        "previous": f"{SIGNATURES}?page={at - 1}" if at > 1 else None,
        "next": f"{SIGNATURES}?page={at + 1}" if at < len(pages) else None,
    }
    return PageContent(
        "signatures.html", "Signatures", SIGNATURES, view, {"signatures": rows}, rows
    )


def _pages(groups: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Groups in pages of at least `PAGE` signatures, none parted."""
    page: list[dict[str, Any]] = []
    for group in groups:
        page.append(group)
        if sum(len(item["signatures"]) for item in page) >= PAGE:
            yield page
            page = []
    if page:
        yield page


def _signature(item: Signature) -> dict[str, Any]:
    return {
        "id": item.id,
        "class": item.cls,
        "origin": item.origin,
        "severity": item.severity,
        "title": item.title,
        "literals": list(item.literals),
        "regex": item.regex,
        "source": item.source,
        "meaning": item.meaning,
    }


def signature(request: Request) -> PageContent:
    """One signature."""
    identity = request.path_params["identity"]
    known = catalogue(request)
    signature_given = known.signature(identity)
    if signature_given is None:
        return missing(
            f"signature {identity[:100]}",
            SIGNATURES,
            "It may have been taken out of the pattern files since.",
        )
    now = now_us(request)
    hits = history(request).signature_hits(signature_given.id, now - HITS_US, now)
    criteria = Filter(signature=(signature_given.id,))
    faults = (
        history(request).faults(criteria, known.opening, limit=FAULTS).rows
        if signature_given.origin == "kernel" and not signature_given.marker
        else []
    )
    view = {
        "one": signature_given,
        "rules": [
            rule.id
            for rule in known.rules
            if signature_given.id in rule.signatures or signature_given.cls in rule.classes
        ],
        "faults": faults,
        "examples": [
            highlight.pieces(text, {}, signature_given.regex) for text in signature_given.examples
        ],
        "chart": histograms.histogram(
            histograms.spread(hits, now - HITS_US, now, HOUR_US),
            "line",
            lambda start, end: _faults(signature_given, start, end),
            now_us=now,
        ),
    }
    data = _signature(signature_given) | {
        "examples": list(signature_given.examples),
        "rejects": list(signature_given.rejects),
        "hits": hits,
        "faults": faults,
    }
    return PageContent("signature.html", signature_given.title, SIGNATURES, view, data, hits)


def _faults(item: Signature, start_us: int, end_us: int) -> str:
    return (
        f"/faults?signature={item.id}&since={query.spelled(start_us)}&until={query.spelled(end_us)}"
    )
