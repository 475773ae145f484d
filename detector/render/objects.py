"""The nouns as JSON objects, for `--json`, for stored reports, and for other programs.

In: values of `model`. Out: dictionaries of JSON types, `type` first, fields only ever added.
Addresses and register values are hexadecimal strings, since JSON readers lose integers beyond
2**53; times are integers of microseconds beside RFC 3339 text in UTC.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from detector.correlate import boot_name, gap
from detector.model import CrashReport, Diagnosis, Frame, Incident, Match, Rejected, Spread
from detector.noise import NoiseCount
from detector.render.units import exact_seconds
from detector.unclaimed import UnclaimedCount

if TYPE_CHECKING:
    from detector.catalogue import Rule


# Characters of the other half's line that a headline quotes.
QUOTED = 120


def headline(title: str | None, incident: Incident) -> str:
    """Returns the symptom first, then the distance to the nearest other half and its line."""
    what = title or incident.anchor.text
    half = incident.nearest
    apart = gap(half, incident.anchor) if half else None
    if half is None or apart is None:
        return what
    order = "after" if apart[0] >= 0 else "before"
    quoted = half.text if len(half.text) <= QUOTED else half.text[: QUOTED - 1] + "…"
    return f"{what}, {exact_seconds(abs(apart[0]))} {order}: {quoted}"


Item = dict[str, Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Of a record that was set aside so much is kept and shown.
SAMPLE_BYTES = 512


def moment(wall_us: int | None) -> str | None:
    """Returns a wall time in µs as RFC 3339 in UTC, "2026-03-01T12:00:00.123456Z".
    None for None or a year that no calendar holds.
    """
    if wall_us is None:
        return None
    try:
        when = (_EPOCH + timedelta(microseconds=wall_us)).replace(tzinfo=None)
    except OverflowError:
        return None
    # Not strftime: its %Y has no leading zeros with glibc.
    return f"{when.isoformat(timespec='microseconds')}Z"


# Of all `…_us` these are distances, or times since boot.
_NO_WALL_TIME = frozenset({"gap_us", "uptime_us", "kernel_time_us", "time_us"})


def as_object(value: Any) -> Any:
    """A value as JSON has it; dataclasses, also inside of others, are objects."""
    if is_dataclass(value) and not isinstance(value, type):
        members: dict[str, Any] = {
            field.name: as_object(getattr(value, field.name)) for field in fields(value)
        }
        for name in filter(is_wall_time, tuple(members)):
            members[moment_name(name, members)] = moment(members[name])
        return members
    if isinstance(value, Mapping):
        return {str(name): as_object(item_given) for name, item_given in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_object(item) for item in value]
    return value


def is_wall_time(name: str) -> bool:
    """Returns whether a field is a wall time in µs."""
    return name.endswith("_us") and "kernel" not in name and name not in _NO_WALL_TIME


def moment_name(name: str, taken: Container[str]) -> str:
    """Names the text beside a wall time: `first_us` → `first`.
    Where a field has that name, as beside `state_us`, it is `state_at`.
    """
    short = name.removesuffix("_us")
    return f"{short}_at" if short in taken else short


def match_item(
    match: Match,
    report: CrashReport | None = None,
    known_bugs: Sequence[Item] = (),
    repeats: int = 0,
) -> Item:
    """Makes a kernel match's object, with its report where its block has been read.
    The known bugs that the report looks like stand in it. A fault that the kernel panicked after is
    critical, whatever it began as. `repeats` lines like it were counted after it.
    """
    item: Item = {
        "type": "match",
        "source": match.source,
        "line_number": match.number,
        "host": match.host,
        "boot": boot_name(match),
        "kernel_time_us": match.kernel_time_us,
        "wall_time": moment(match.wall_time_us),
        "signature": match.signature,
        "class": match.cls,
        "origin": match.origin,
        "severity": "critical" if report is not None and report.panic else match.severity,
        "fields": dict(match.fields),
        "text": match.text,
    }
    if repeats:
        item["repeats"] = repeats
    if report is not None:
        item["report"] = report_item(report)
        item["known_bugs"] = list(known_bugs)
    return item


def report_item(report: CrashReport) -> Item:
    """A crash report; what the block does not say is null or empty."""
    return {
        "title": report.title,
        "kind": report.kind,
        "function": report.function,
        "display_function": report.display_function,
        "offset": report.offset,
        "size": report.size,
        "module": report.module,
        "kernel": report.kernel,
        "arch": report.arch,
        "hardware": report.hardware,
        "cpu": report.cpu,
        "pid": report.pid,
        "comm": report.comm,
        "tainted": report.tainted,
        "fault_address": _hexadecimal(report.fault_address),
        "error_code": _hexadecimal(report.error_code),
        "esr": _hexadecimal(report.esr),
        "instruction": report.instruction,
        "frames": [frame_item(frame) for frame in report.frames],
        "registers": {name: _hexadecimal(value) for name, value in report.registers.items()},
        "panic": report.panic,
        "complete": report.complete,
    }


def frame_item(frame: Frame) -> Item:
    """One entry of a call trace."""
    return {
        "function": frame.function,
        "offset": frame.offset,
        "size": frame.size,
        "module": frame.module,
        "address": _hexadecimal(frame.address),
        "reliable": frame.reliable,
        "inlined": frame.inlined,
    }


def unclaimed_item(rows: Sequence[UnclaimedCount]) -> Item:
    """The fields that a summary says of lines that no signature claims: how many, and for each
    reason the first with its place.
    """
    return {
        "unclaimed": sum(row.count for row in rows),
        "unclaimed_reasons": {
            row.reason: {
                "count": row.count,
                "signature": row.signature,
                "source": row.source,
                "line_number": row.number,
                "host": row.host,
                "sample": row.sample,
            }
            for row in rows
        },
    }


def diagnosis_item(diagnosis: Diagnosis) -> list[Item]:
    """The sentences of a diagnosis, each with its evidence and how sure it is."""
    return [
        {
            "text": statement.text,
            "confidence": statement.confidence,
            "evidence": list(statement.evidence),
        }
        for statement in diagnosis.statements
    ]


def incident_item(
    incident: Incident,
    fingerprint: str | None,
    report: CrashReport | Item | None,
    diagnosis: Diagnosis,
    title: str | None = None,
    known_bugs: Sequence[Item] = (),
) -> Item:
    """An incident with its evidence, the report of its anchoring fault, what it means and which
    known bugs it looks like.

    `title` is the report's where the report itself is not at hand.
    """
    if isinstance(report, CrashReport):
        report = report_item(report)
    title = title or (report or {}).get("title") or incident.anchor.text
    return {
        "type": "incident",
        "source": incident.anchor.source,
        "id": incident.id,
        "fingerprint": fingerprint,
        "rule": incident.rule,
        "severity": incident.severity,
        "host": incident.host,
        "boot": incident.boot,
        "time_basis": incident.time_basis,
        "gap_us": incident.gap_us,
        "started": moment(incident.started_us),
        "joined": list(incident.joined),
        "evidence": [match_item(match) for match in incident.evidence],
        "headline": headline(title, incident),
        "title": title,
        "anchor": match_item(incident.anchor),
        "nearest": match_item(incident.nearest) if incident.nearest else None,
        "started_us": incident.started_us,
        "spread": spread_item(incident.spread),
        "report": report,
        "diagnosis": diagnosis_item(diagnosis),
        "known_issue": diagnosis.known_issue,
        "known_issue_confidence": diagnosis.known_issue_confidence,
        "known_bugs": list(known_bugs),
        "next_steps": list(diagnosis.next_steps),
    }


def spread_item(spread: Spread | None) -> Item | None:
    """On which hosts an incident of many hosts was seen, from which hour to which; None for an
    incident of one host.
    """
    if spread is None:
        return None
    return {
        "field": spread.field,
        "value": spread.value,
        "hosts": spread.hosts,
        "first_hour": moment(spread.first_us),
        "last_hour": moment(spread.last_us),
        "names": list(spread.names),
    }


def noise_item(count: NoiseCount) -> Item:
    """One program's crashes in one way on one host, from one source."""
    return {
        "type": "noise",
        "source": count.source,
        "host": count.host,
        "process": count.process,
        "signature": count.signature,
        "count": count.count,
        "first": moment(count.first_us),
        "last": moment(count.last_us),
        "first_kernel_time_us": count.first_kernel_us,
        "last_kernel_time_us": count.last_kernel_us,
    }


def rule_item(rule: Rule) -> Item:
    """A rule as a JSON object."""
    return {
        "type": "rule",
        "id": rule.id,
        "title": rule.title,
        "kind": rule.type,
        "of": list(rule.classes or rule.signatures),
        "anchor": rule.anchor,
        "group_by": list(rule.group_by),
        "timespan_us": rule.timespan_us,
        "gte": rule.gte,
        "times_usual": rule.times_usual,
        "setting": rule.switch,
        "severity": rule.severity,
        "reasoning": " ".join(rule.reasoning.split()),
        "file": f"{rule.path}:{rule.line}",
    }


def rejected_item(row: Rejected) -> Item:
    """A record that was set aside; of its bytes the first."""
    return {
        "type": "rejected",
        "source": row.source,
        "number": row.number,
        "stage": row.stage,
        "reason": row.reason,
        "size": len(row.value),
        "sample": row.value[:SAMPLE_BYTES].decode(errors="backslashreplace"),
    }


def by_program(rows: Sequence[NoiseCount]) -> list[NoiseCount]:
    """Hourly rows folded to one for each source, host, process and signature."""
    folded: dict[tuple[str, str, str, str], NoiseCount] = {}
    for row in rows:
        key = (row.source, row.host, row.process, row.signature)
        if key in folded:
            folded[key].add(row)
        else:
            folded[key] = NoiseCount(
                *key,
                0,
                row.count,
                row.first_us,
                row.last_us,
                row.first_kernel_us,
                row.last_kernel_us,
            )
    return list(folded.values())


def _hexadecimal(value: int | None) -> str | None:
    return None if value is None else hex(value)
