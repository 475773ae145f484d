"""The page of one incident: what broke first, then why it was raised, what it means, what
to do, and what became of it.

In: an incident's id, or a beginning that no other has. Out: a page; as JSON the object that
`oopswatch incidents show --json` prints, with what became of it. Joined incidents are shown, and
lead to where they go on.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from fastapi import Request

from detector.catalogue import Catalogue
from detector.correlate import boot_name
from detector.model import Diagnosis, Match
from detector.render.objects import headline as headline_of
from detector.render.units import exact_seconds
from detector.serve import charts
from detector.serve.deps import catalogue, history, store_option
from detector.serve.pages import formatting, highlight, silences
from detector.serve.pages.rendering import PageContent, missing, now_us
from detector.store import History, IncidentDetail
from detector.store.query.detail_item import detail_item
from detector.store.query.notifications import notifications_of

PLACE = "/incidents"
SIMILAR = 8
SHOWN_LINES = 400
SHOWN_CHARACTERS = 2_000
SHOWN_HOSTS = 50
_PROMPTS = ("crash", "host")
_ACTS = {
    "open": (("acknowledge", "Acknowledge"), ("resolve", "Resolve"), ("note", "Add note")),
    "acknowledged": (("resolve", "Resolve"), ("reopen", "Reopen"), ("note", "Add note")),
    "resolved": (("reopen", "Reopen"), ("note", "Add note")),
}


def incident(request: Request) -> PageContent:
    """One incident."""
    identity = request.path_params["identity"]
    reading = history(request)
    last_change = reading.last_change()
    detail = reading.incident(identity)
    if detail is None:
        return missing(
            f"incident {identity[:100]}",
            PLACE,
            "An incident's id, or a beginning that no other has, stands behind /incidents/.",
        )
    known = catalogue(request)
    became = _became(reading, detail)
    headline = headline_of(detail.row.title, detail.incident)
    data = detail_item(detail) | became
    view = _view(detail, known, headline) | became | {"last_change": last_change}
    view["commands"] = _commands(detail, store_option(request))
    view |= silences.of_incident(reading, detail.row, now_us(request))
    return PageContent("incident.html", headline, PLACE, view, data, became["changes"])


def title_of(match: Match, known: Catalogue) -> str:
    """Returns what a line is in its signature's words; the signature's id where the pattern
    files no longer have it.
    """
    signature = known.signature(match.signature)
    return signature.title if signature else match.signature


def _at(match: Match, detail: IncidentDetail) -> int:
    """A match's time on the basis that the incident was decided by."""
    at = match.kernel_time_us if detail.row.time_basis == "kernel" else match.wall_time_us
    return at if at is not None else match.wall_time_us or match.kernel_time_us or 0


def _became(reading: History, detail: IncidentDetail) -> dict[str, Any]:
    """Returns what became of it, who was told, what is like it."""
    identity, fingerprint = detail.row.id, detail.row.fingerprint
    return {
        "changes": reading.changes_of(identity),
        "notifications": notifications_of(reading, identity),
        "similar": reading.similar(identity, SIMILAR),
        "problem": _problem(reading, fingerprint) if fingerprint else None,
        "advice": reading.advice(fingerprint) if fingerprint else [],
    }


def _problem(reading: History, fingerprint: str) -> Any:
    problem = reading.problem(fingerprint)
    return problem.row if problem else None


def _view(detail: IncidentDetail, known: Catalogue, headline: str) -> dict[str, Any]:
    row, rule = detail.row, formatting.rule_of(known, detail.row.rule)
    diagnosis = detail.diagnosis or Diagnosis()
    lines = detail.block.lines[:SHOWN_LINES] if detail.block else ()
    left = len(detail.block.lines) - len(lines) if detail.block else 0
    return {
        "row": row,
        "headline": headline,
        "report": _Report(detail.report or {}),
        "rule": rule,
        "rule_words": formatting.rule_words(rule) if rule else "",
        "window_words": f"the rule's window of {rule.timespan_us / 1_000_000:g} s"
        if rule
        else "the rule's window",
        "timeline": _timeline(detail, known, rule.timespan_us if rule else 0),
        "evidence": [_evidence(match, detail, known) for match in detail.incident.evidence],
        "statements": diagnosis.statements,
        "issue": formatting.issue_of(known, diagnosis.known_issue),
        "issue_confidence": diagnosis.known_issue_confidence,
        "known_bugs": detail.known_bugs,
        "next_steps": [_step(step) for step in diagnosis.next_steps],
        "block": detail.block,
        "spread": detail.incident.spread,
        "shown_hosts": SHOWN_HOSTS,
        "lines": lines,
        "more_lines": f"{left:,} more lines are not shown." if left else "",
        "actions": () if row.joined_into else _ACTS.get(row.state, ()),
        "facts": _facts(detail),
    }


class _Report(dict[str, Any]):
    """A report as it was stored; what an older version did not store is empty."""

    def __missing__(self, name: str) -> Any:
        return {} if name == "registers" else [] if name == "frames" else None


def _timeline(detail: IncidentDetail, known: Catalogue, window_us: int) -> Any:
    """The time line; on wall time it is drawn from the earliest line on."""
    shown = [
        detail.incident.anchor,
        *(match for match in detail.incident.evidence if match != detail.incident.anchor),
    ][:60]
    basis = 0 if detail.row.time_basis == "kernel" else min(_at(item, detail) for item in shown)
    moments = [
        charts.TimelineMark(
            _at(item, detail) - basis,
            item.cls,
            item == detail.incident.anchor,
            title_of(item, known),
        )
        for item in sorted(shown, key=lambda item: _at(item, detail))
    ]
    other = detail.incident.nearest
    spoken = (
        (
            f"{exact_seconds(detail.row.gap_us)} between {title_of(other, known)} and "
            f"{title_of(detail.incident.anchor, known)}"
        )
        if other
        else title_of(detail.incident.anchor, known)
    )
    return charts.timeline(moments, window_us, detail.row.gap_us, f"Time line: {spoken}")


def _evidence(match: Match, detail: IncidentDetail, known: Catalogue) -> dict[str, Any]:
    signature = known.signature(match.signature)
    text, rest = match.text[:SHOWN_CHARACTERS], match.text[SHOWN_CHARACTERS:]
    return {
        "anchor": match == detail.incident.anchor,
        "stamp": formatting.kernel_time(match.kernel_time_us)
        if match.kernel_time_us is not None
        else formatting.stamp(match.wall_time_us),
        "pieces": highlight.pieces(text, match.fields, signature.regex if signature else None),
        "rest": rest,
        "rest_length": len(rest),
        "fields": sorted(match.fields.items()),
        "signature": match.signature,
        "wall_us": match.wall_time_us,
        "source": match.source,
        "number": match.number,
    }


def _step(text: str) -> dict[str, str]:
    """A step as a command to copy and why, where it says at what prompt it is typed; else as a
    sentence.
    """
    place, _, command = text.partition(": ")
    if place not in _PROMPTS or not command or command.startswith("check "):
        return {"place": "", "command": text, "why": ""}
    typed, bracket, why = command.partition(" (")
    plain = not bracket or not why.endswith(")")
    return {
        "place": place,
        "command": command if plain else typed,
        "why": "" if plain else why.removesuffix(")"),
    }


def _facts(detail: IncidentDetail) -> Sequence[tuple[str, str]]:
    report, anchor = _Report(detail.report or {}), detail.incident.anchor
    pairs = [
        ("boot", detail.row.boot or boot_name(anchor)),
        ("function", report["display_function"] or detail.row.function),
        ("module", detail.row.module),
        ("process", report["comm"] and f"{report['comm']} (pid {report['pid']})"),
        ("CPU", report["cpu"]),
        ("hardware", report["hardware"]),
        ("tainted", report["tainted"]),
        ("fault address", report["fault_address"]),
        ("fingerprint", detail.row.fingerprint),
        ("joined", ", ".join(detail.incident.joined)),
    ]
    return [(name, str(value)) for name, value in pairs if value not in (None, "")]


def _commands(detail: IncidentDetail, store: str) -> list[str]:
    """Returns what shows the same in a terminal, in any folder; names that a log gave are quoted
    for the shell.
    """
    show = f"oopswatch incidents show {detail.row.id} {store}"
    source = detail.incident.anchor.source
    if source.startswith("/") and source.isprintable():
        return [show, f"oopswatch explain {shlex.quote(source)}"]
    lines = f"{show} --json | jq -r '.report_lines[]' | oopswatch explain -"
    return [show, lines] if detail.block else [show]
