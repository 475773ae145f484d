"""Between nouns and rows: matches, incidents and JSON as the tables hold them, and hostile text made inert.

In: nouns of `model.py`, rows of the tables. Out: the one as the other. Executes no SQL.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from sqlite3 import Row
from typing import Any, cast

from detector.model import Boot, Incident, Match

# A kernel's line has some 1,000 bytes (LOG_LINE_MAX, kernel/printk/printk.c); beyond this a text is cut, and says so.
TEXT_LIMIT = 16_384
# Captured fields, host and source names.
NAME_LIMIT = 1_024
# SQLite's integers have 64 bits; half of that leaves room for adding time spans.
_INTEGER_LIMIT = 1 << 62

INSERT_MATCH = """
INSERT INTO matches (key, host, kernel_time_us, wall_time_us, boot_id, epoch_us, stream, boot_count,
                     signature, class, severity, text, fields, caller, source, number)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def inert(text: str, limit: int = TEXT_LIMIT) -> str:
    r"""Text as it is stored: bounded, valid UTF-8 (a lone surrogate is spelled `\udc80`), NUL spelled `\x00` as /dev/kmsg does."""
    if len(text) > limit:
        text = f"{text[:limit]}… ({len(text)} characters)"
    if "\0" in text:
        text = text.replace("\0", "\\x00")
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def inert_match(match: Match) -> Match:
    """The match as the store keeps it: itself, unless its text, names or numbers are hostile."""
    boot = match.boot
    clean = {
        "text": inert(match.text),
        "host": inert(match.host, NAME_LIMIT),
        "source": inert(match.source, NAME_LIMIT),
        "signature": inert(match.signature, NAME_LIMIT),
        "caller": match.caller and inert(match.caller, NAME_LIMIT),
        "kernel_time_us": storable(match.kernel_time_us),
        "wall_time_us": storable(match.wall_time_us),
        "boot": Boot(boot.id and inert(boot.id, NAME_LIMIT), storable(boot.epoch_us), inert(boot.stream, NAME_LIMIT), boot.count),
        "fields": {inert(name, NAME_LIMIT): inert(value, NAME_LIMIT) for name, value in match.fields.items()},
    }
    if all(getattr(match, name) == value for name, value in clean.items()):
        return match
    return replace(match, **cast(Any, clean))


def match_key(match: Match) -> int:
    """64 bits that equal lines share: host, time (kernel time, else wall time, else the place) and text. `same_line` tells collisions."""
    time = f"k{match.kernel_time_us}"
    if match.kernel_time_us is None:
        time = f"w{match.wall_time_us}" if match.wall_time_us is not None else f"p{match.source} {match.number}"
    digest = hashlib.blake2b(f"{match.host}\0{time}\0{match.text}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def match_row(match: Match, key: int) -> tuple[Any, ...]:
    """The parameters of `INSERT_MATCH`."""
    boot = match.boot
    captured = json.dumps(dict(match.fields), ensure_ascii=False) if match.fields else "{}"
    return (
        key, match.host, match.kernel_time_us, match.wall_time_us, boot.id, boot.epoch_us, boot.stream, boot.count,
        match.signature, match.cls, match.severity, match.text, captured, match.caller, match.source, match.number,
    )  # fmt: skip


def read_match(row: Row) -> Match:
    """A row of `matches`; only kernel matches are stored."""
    return Match(
        signature=row["signature"],
        cls=row["class"],
        origin="kernel",
        severity=row["severity"],
        text=row["text"],
        fields=json.loads(row["fields"]),
        source=row["source"],
        number=row["number"],
        host=row["host"],
        boot=Boot(row["boot_id"], row["epoch_us"], row["stream"], row["boot_count"]),
        kernel_time_us=row["kernel_time_us"],
        wall_time_us=row["wall_time_us"],
        caller=row["caller"],
    )


def read_incident(row: Row, anchor: Match, evidence: tuple[Match, ...], joined: tuple[str, ...]) -> Incident:
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
    )


def to_json(value: Any) -> str:
    """A noun as JSON: dataclasses as objects, mappings of any kind as objects; any text inside is safe as ASCII."""
    return json.dumps(value, default=_plain)


def lines_to_json(lines: Sequence[str]) -> str:
    """Verbatim lines as a JSON array: a line may hold a line feed of its own."""
    return json.dumps([inert(line) for line in lines], ensure_ascii=False)


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def storable(number: int | None) -> int | None:
    """A time that no clock can show is no time."""
    return None if number is None or abs(number) >= _INTEGER_LIMIT else number
