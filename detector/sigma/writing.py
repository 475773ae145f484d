"""Writes signatures and rules as documents of Sigma 2, detections and correlations.

In: catalogue entries. Out: dictionaries that are YAML documents. A rule that names classes becomes
a detection rule for each class, with a selection for each of its signatures, and a correlation of
those. Raises `NotInSigmaError` for a rule that Sigma has no word for.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from detector.catalogue.entries import Catalogue, Rule, Signature
from detector.model import Severity

SigmaDocument = dict[str, Any]

# Made once, at random: ids of documents are derived from it and from the names here.
_NAMESPACE = uuid.UUID("5c0e4a3e-6d5f-4f0b-9f0e-8a2f6a4c7d11")
_LEVELS: dict[Severity, str] = {
    "critical": "critical",
    "error": "high",
    "warning": "medium",
    "info": "low",
}
_ONLY_THE_KERNEL = (
    "lines that a program writes: restrict the log source to what the kernel wrote "
    "(facility kern, _TRANSPORT=kernel)"
)
_SECOND_US = 1_000_000


class NotInSigmaError(ValueError):
    """A rule that no document of Sigma can express; says why."""


def detection_of(signature: Signature) -> SigmaDocument:
    """A signature as a detection rule.
    It asks for the phrases alone: the regexes here look around, which hardly any system's can.
    """
    return _detection(
        f"signature {signature.id}",
        _name(signature.id),
        signature.title,
        signature.meaning,
        signature.severity,
        [signature],
    )


def documents_of(rule: Rule, catalogue: Catalogue) -> list[SigmaDocument]:
    """A rule as detection rules and the correlation over them. Raises NotInSigmaError."""
    if rule.counts_hosts:
        raise NotInSigmaError(
            f"{rule.id}: it counts the hosts of one {rule.group_by[0]}, which is computed here and "
            "is in no log"
        )
    detections = list(_detections(rule, catalogue))
    correlation: SigmaDocument = {
        "type": rule.type,
        "rules": [document["name"] for document in detections],
        "group-by": ["host"],
        "timespan": _timespan(rule.timespan_us),
    }
    if rule.type == "event_count":
        correlation["condition"] = {"gte": rule.gte}
    return [
        *detections,
        {
            "title": rule.title,
            "id": _uuid(f"rule {rule.id}"),
            "name": _name(rule.id),
            "status": "stable",
            "description": " ".join(rule.reasoning.split()),
            "correlation": correlation,
            "level": _LEVELS[rule.severity],
        },
    ]


def _detections(rule: Rule, catalogue: Catalogue) -> Iterator[SigmaDocument]:
    for name in rule.classes:
        members = [entry for entry in catalogue.signatures if name in (entry.cls, entry.alone)]
        worst = min((entry.severity for entry in members), key=list(_LEVELS).index)
        yield _detection(
            f"class {name}",
            _name(f"class.{name}"),
            f"Kernel log: {name}",
            f"Any of the kernel's phrases for {name}.",
            worst,
            members,
        )
    for name in rule.signatures:
        signature = catalogue.signature(name)
        assert signature is not None  # the catalogue is checked
        yield detection_of(signature)


def _detection(
    identity: str,
    name: str,
    title: str,
    meaning: str,
    severity: Severity,
    members: Sequence[Signature],
) -> SigmaDocument:
    selections = {_name(entry.id): _selection(entry) for entry in members}
    condition = next(iter(selections)) if len(selections) == 1 else "1 of oopswatch_*"
    return {
        "title": title,
        "id": _uuid(identity),
        "name": name,
        "status": "stable",
        "description": " ".join(meaning.split()),
        "logsource": {"product": "linux", "service": "kernel"},
        "detection": {**selections, "condition": condition},
        "falsepositives": [_ONLY_THE_KERNEL],
        "level": _LEVELS[severity],
    }


def _selection(signature: Signature) -> SigmaDocument:
    return {"message|contains": list(map(_text, signature.literals))}


def _text(literal: str) -> str:
    """A literal text; Sigma takes asterisks and question marks for wildcards."""
    return re.sub(r"([*?\\])", r"\\\1", literal)


def _name(identity: str) -> str:
    return "oopswatch_" + re.sub(r"[^a-z0-9]+", "_", identity.lower())


def _uuid(identity: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, identity))


def _timespan(timespan_us: int) -> str:
    """Whole seconds, upwards; minutes and hours where they are whole."""
    seconds = -(-timespan_us // _SECOND_US)
    for unit, size in (("h", 3_600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
