"""Between nouns and rows: matches, incidents and JSON as the tables hold them, and hostile
text made clean.

In: nouns of `model.py`, rows of the tables. Out: the one as the other. Executes no SQL.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from sqlite3 import DatabaseError, Row
from typing import Any

from detector.correlate import nearest_half
from detector.model import Boot, Diagnosis, Incident, Line, Match, Spread, Statement
from detector.release import KernelRelease
from detector.render.objects import Item, diagnosis_item

# A kernel's line has some 1,000 bytes (LOG_LINE_MAX, kernel/printk/printk.c); beyond this a text is
# cut, and says so.
TEXT_LIMIT = 16_384
# Captured fields, host and source names.
NAME_LIMIT = 1_024
# The times that a date can show, in µs since 1970: the years 1 to 9999. Far within SQLite's 64
# bits, so that time spans can be added.
_EARLIEST_US = -62_135_596_800_000_000
_LATEST_US = 253_402_300_800_000_000
# A counter goes no further: the sum of two of them is still within 64 bits.
COUNT_LIMIT = (1 << 62) - 1

# Text stays readable in the file; `clean` has been over it before.
_ENCODER = json.JSONEncoder(ensure_ascii=False)
_DECODER = json.JSONDecoder()

INSERT_MATCH = """
INSERT INTO matches (key, host, kernel_time_us, wall_time_us, boot_id, epoch_us, stream, boot_count,
                     signature, class, severity, text, fields, caller, source, number, boot_before)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
# What `same_boot` never takes for one boot, left out while a table is read: a host in a boot loop
# has thousands at the same uptime.
MAYBE_SAME_BOOT = """(boot_id = :boot_id OR ((boot_id IS NULL OR :boot_id IS NULL)
  AND (epoch_us IS NULL OR :epoch IS NULL OR epoch_us BETWEEN :epoch - :tolerance AND :epoch +
    :tolerance)
  AND (stream <> :stream OR boot_count = :count OR boot_before OR :before OR :stream = '')))"""


def clean(text: str, limit: int = TEXT_LIMIT) -> str:
    r"""Text as it is stored: bounded, valid UTF-8 (a lone surrogate is spelled `\udc80`), NUL
    spelled `\x00` as /dev/kmsg does.

    What is clean stays as it is.
    """
    spelled = text[:limit].replace("\0", "\\x00")
    if not spelled.isascii():
        spelled = spelled.encode("utf-8", "backslashreplace").decode()
    if len(text) <= limit and len(spelled) <= limit:
        return spelled
    note = f"… ({len(text)} characters)"
    return spelled[: limit - len(note)] + note


def release_number(kernel: str | None, package: str | None = None) -> int | None:
    """A kernel release as a number that sorts: 5010209999 of 5.10.209-vendor, 5005000003 of
    5.5-rc3; None for what is no release. A package may name the release that it is built on.
    """
    named = KernelRelease.of(kernel, package)
    if named is None:
        return None
    release = named.base
    return ((release.major * 1_000 + release.minor) * 1_000 + release.patch) * 1_000 + min(
        release.candidate, 999
    )


def clean_line(line: Line) -> Line:
    """The line with texts and times as the store keeps those of a match."""
    host, source = clean(line.host, NAME_LIMIT), clean(line.source, NAME_LIMIT)
    return replace(
        line,
        text=clean(line.text),
        host=host,
        source=source,
        boot_id=line.boot_id and clean(line.boot_id, NAME_LIMIT),
        caller=line.caller and clean(line.caller, NAME_LIMIT),
        kernel_time_us=storable(line.kernel_time_us),
        wall_time_us=storable(line.wall_time_us),
    )


def clean_match(match: Match) -> Match:
    """The match as the store keeps it: itself, unless its text, names or numbers are hostile."""
    boot, captured = match.boot, match.fields
    texts = (
        match.text,
        match.host,
        match.source,
        match.signature,
        match.caller or "",
        boot.id or "",
        boot.stream,
        *captured,
        *captured.values(),
    )
    joined = "".join(texts)
    times = (match.kernel_time_us, match.wall_time_us, boot.epoch_us)
    if (
        joined.isascii()
        and "\0" not in joined
        and len(joined) <= NAME_LIMIT
        and all(time is storable(time) for time in times)
    ):
        return match
    return replace(
        match,
        text=clean(match.text),
        host=clean(match.host, NAME_LIMIT),
        source=clean(match.source, NAME_LIMIT),
        signature=clean(match.signature, NAME_LIMIT),
        caller=match.caller and clean(match.caller, NAME_LIMIT),
        kernel_time_us=storable(match.kernel_time_us),
        wall_time_us=storable(match.wall_time_us),
        boot=Boot(
            boot.id and clean(boot.id, NAME_LIMIT),
            storable(boot.epoch_us),
            clean(boot.stream, NAME_LIMIT),
            boot.count,
            boot.before,
        ),
        fields={
            clean(name, NAME_LIMIT): clean(value, NAME_LIMIT) for name, value in captured.items()
        },
    )


def match_key(match: Match) -> int | None:
    """Returns what equal lines without kernel time share, in 64 bits: host, wall time (else
    the place in the source) and text.

    None for a line with kernel time, which tells equal lines apart from others by itself.
    `same_line` tells collisions.
    """
    if match.kernel_time_us is not None:
        return None
    time = (
        f"w{match.wall_time_us}"
        if match.wall_time_us is not None
        else f"p{match.source} {match.number}"
    )
    digest = hashlib.blake2b(f"{match.host}\0{time}\0{match.text}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def match_row(match: Match) -> tuple[Any, ...]:
    """The parameters of `INSERT_MATCH`."""
    boot = match.boot
    captured = _ENCODER.encode(dict(match.fields)) if match.fields else "{}"
    return (
        match_key(match), match.host, match.kernel_time_us, match.wall_time_us, boot.id or None,
        boot.epoch_us, boot.stream, boot.count,
        match.signature, match.cls, match.severity, match.text, captured, match.caller,
        match.source, match.number,
        boot.before,
    )  # fmt: skip


def read_match(row: Row) -> Match:
    """A row that begins with the columns of `matches`; only kernel matches are stored.

    By place, since names cost on the hot path.
    """
    (
        _, _, host, kernel, wall, boot_id, epoch, stream, count,
        signature, cls, severity, text, captured, caller, source, number, before,
    ) = row[:18]  # fmt: skip
    return Match(
        signature, cls, "kernel", severity, text, from_json(captured), source, number, host,
        Boot(boot_id, epoch, stream, count, bool(before)), kernel, wall, caller,
    )  # fmt: skip


def read_incident(
    row: Row,
    anchor: Match,
    evidence: tuple[Match, ...],
    joined: tuple[str, ...],
    spread: Spread | None = None,
) -> Incident:
    """A row of `incidents` with what belongs to it."""
    return Incident(
        id=row["id"],
        rule=row["rule"],
        severity=row["severity"],
        host=row["host"],
        boot=row["boot"],
        time_basis=row["time_basis"],
        gap_us=row["gap_us"],
        started_us=row["started_us"],
        anchor=anchor,
        evidence=evidence,
        joined=joined,
        nearest=None if spread else nearest_half(anchor, evidence),
        spread=spread,
    )


def to_json(value: Item | Sequence[str]) -> str:
    """A JSON object or array as it is stored, its texts clean and bounded."""
    encoded = _ENCODER.encode(value)
    return encoded if _is_clean(encoded) else _ENCODER.encode(_cleaned(value))


def _is_clean(encoded: str) -> bool:
    """Returns whether `clean` leaves every text of a JSON text as it is; False where only a look
    at each would tell.
    """
    if '\\"' in encoded or "\\u0000" in encoded:
        return False
    # Between two quotes lies a whole text, or what stands between texts.
    if _has_long_text(encoded):
        return False
    try:
        return encoded.isascii() or bool(encoded.encode())
    except UnicodeEncodeError:
        return False


def _has_long_text(encoded: str) -> bool:
    """Returns whether more than `NAME_LIMIT` characters lie between two quotes, or before the
    first or after the last: from the last quote within reach to the next such one.
    """
    at = 0
    while len(encoded) - at > NAME_LIMIT:
        at = encoded.rfind('"', at, at + NAME_LIMIT + 1) + 1
        if not at:
            return True
    return False


def from_json(stored: str) -> Any:
    """Returns what a text of our own stands for.

    One that is no JSON was not written so: the file is damaged.
    """
    try:
        return _DECODER.decode(stored)
    except (TypeError, ValueError) as error:
        raise DatabaseError(f"stored text is no JSON: {error}") from error


def diagnosis_to_json(diagnosis: Diagnosis) -> str:
    """A diagnosis as it is stored."""
    return to_json(
        {
            "statements": diagnosis_item(diagnosis),
            "known_issue": diagnosis.known_issue,
            "known_issue_confidence": diagnosis.known_issue_confidence,
            "next_steps": diagnosis.next_steps,
        }
    )


def read_diagnosis(stored: str) -> Diagnosis:
    """The diagnosis of its stored JSON."""
    item = from_json(stored)
    statements = tuple(
        Statement(entry["text"], entry["confidence"], tuple(entry["evidence"]))
        for entry in item["statements"]
    )
    return Diagnosis(
        statements, item["known_issue"], item["known_issue_confidence"], tuple(item["next_steps"])
    )


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(name, NAME_LIMIT): _cleaned(item) for name, item in value.items()}
    return [_cleaned(entry) for entry in value] if isinstance(value, list | tuple) else value


def storable(time_us: int | None) -> int | None:
    """A time that no clock can show is no time."""
    return None if time_us is None or not _EARLIEST_US <= time_us < _LATEST_US else time_us
