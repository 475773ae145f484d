"""journald's entries: as journalctl -o export writes them, and the fields of all ways.

Comes in: an object's fields by name. Goes out: message texts and times. Who wrote a line is settled
with the other envelopes.

Sources: systemd.journal-fields(7); dev_kmsg_record() in src/journal/journald-kmsg.c, output_json()
in src/shared/logs-show.c (v257).

Comes in: the bytes of entries as they were exported, or of one entry that became a row (see
`sources.files.shapes`). Goes out: fields by name. Who wrote the line is settled with the other
envelopes.

Source: docs/JOURNAL_EXPORT_FORMATS.md of systemd: `KEY=text`, or `KEY`, a line end, the size as 64
bits little-endian, the bytes, a line end. A blank line ends an entry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from detector.lazy_regex import lazy_regex

JournalFields = Mapping[str, object]

_BYTES_BOUND = 1 << 20


def whole(value: object) -> int | None:
    """A number as JSON writers put it: digits in a string or an integer, of at most 19 digits;
    None for all else.
    """
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) < 20 else None
    return (
        value
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**19
        else None
    )


def messages(value: object) -> list[str]:
    """The texts of a MESSAGE: a string, a byte array where it is not UTF-8, or a list of either
    where the field came more than once.
    """
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not value:
        return []
    if isinstance(value[0], int):
        octets = [
            item for item in value[:_BYTES_BOUND] if isinstance(item, int) and 0 <= item < 256
        ]
        return [bytes(octets).decode("utf-8", "replace")]
    return [
        text
        for item in value
        if not isinstance(item, list) or (item and isinstance(item[0], int))
        for text in messages(item)
    ]


def clock(
    fields: JournalFields, source: str | None, monotonic: str | None, realtime: str | None
) -> tuple[int | None, int | None]:
    """(kernel time, wall time) in µs.

    The kernel's own stamp is preferred to the moment journald read the line, and the wall time
    is moved back by the same delay, so that wall − kernel time is the same for all lines of a
    boot.

    journald writes "0" or nothing where the record had no stamp. The names are those that the
    shipper gave the fields, None for one that is not there.
    """
    read_us = whole(fields.get(monotonic or ""))
    source_us = whole(fields.get(source or "")) or None
    wall_us = whole(fields.get(realtime or ""))
    if source_us is None:
        return read_us, wall_us
    if wall_us is not None and read_us is not None:
        wall_us += source_us - read_us
    return source_us, wall_us


HEAD = b"__CURSOR="
# In a row these stand for the line ends between fields and within one. A journal exports a field
# with control characters in the form with a size, so no text holds them.
BETWEEN = b"\x1f"
WITHIN = b"\x1e"
_KEY = lazy_regex(rb"([A-Za-z0-9_]{1,64})([=\n])")
_SIZE = 8
_FIELDS_BOUND = 1_024
_ENTRIES_BOUND = 100_000

ExportedFields = dict[str, object]


def entries(value: bytes) -> Iterator[ExportedFields]:
    """The fields of each entry, as far as they can be read; one that came twice has a list."""
    if b"\n" not in value.rstrip(b"\n"):
        yield _listed(_row(value.rstrip(b"\n")))
        return
    at = 0
    for _ in range(_ENTRIES_BOUND):
        fields: list[tuple[bytes, bytes]] = []
        while len(fields) < _FIELDS_BOUND and (field := _field(value, at)) is not None:
            fields.append(field[:2])
            at = field[2]
        if not fields:
            return
        yield _listed(fields)
        while value[at : at + 1] == b"\n":
            at += 1


def _row(value: bytes) -> list[tuple[bytes, bytes]]:
    pairs = (piece.partition(b"=") for piece in islice(value.split(BETWEEN), _FIELDS_BOUND))
    return [(name, text.replace(WITHIN, b"\n")) for name, _, text in pairs]


def _field(value: bytes, at: int) -> tuple[bytes, bytes, int] | None:
    """Name, value and where the next field begins; None where there is none."""
    key = _KEY.match(value, at)
    if not key:
        return None
    start = key.end()
    if key[2] == b"=":
        end = value.find(b"\n", start)
        end = len(value) if end < 0 else end
    else:
        size = int.from_bytes(value[start : start + _SIZE], "little")
        start += _SIZE
        end = min(start + size, len(value))
    return key[1], value[start:end], end + 1


def _listed(fields: list[tuple[bytes, bytes]]) -> ExportedFields:
    held: dict[str, list[str]] = {}
    for name, text in fields:
        held.setdefault(name.decode("ascii", "replace"), []).append(text.decode("utf-8", "replace"))
    return {name: values[0] if len(values) == 1 else list(values) for name, values in held.items()}
