"""journald's fields, as journalctl -o json, Vector, OpenTelemetry and Beats hand them on.

Comes in: an object's fields by name. Goes out: message texts and times. Who wrote a line is settled
with the other envelopes.

Sources: systemd.journal-fields(7); dev_kmsg_record() in src/journal/journald-kmsg.c, output_json()
in src/shared/logs-show.c (v257).
"""

from __future__ import annotations

from collections.abc import Mapping

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
