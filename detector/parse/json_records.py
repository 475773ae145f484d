"""JSON around log lines: rsyslog, Fluent Bit, Beats, Vector, OpenTelemetry, journald,
dmesg --json and what else names a message.

Comes in: the text of a record. Goes out: Drafts, or the reason why there is none. An envelope's
fields come from the shipper and decide who wrote the line; the message inside is read again as
text, and nothing in it can make a user's line the kernel's.

Sources: those of fields; Fluent Bit plugins/in_kmsg/in_kmsg.c (v3); util-linux sys-utils/dmesg.c
(2.41).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice

from detector.lazy_regex import lazy_regex
from detector.model import Trust
from detector.parse import journald, json_fields, kmsg, lines, origin, otel, printk
from detector.parse.draft import Context, Draft, cleaned, is_rule, shipped_as, trust_of
from detector.parse.json_fields import FieldNames, FieldPlan
from detector.parse.origin import JsonObject
from detector.parse.stamps import any_time, micros


def _pairs(pairs: list[tuple[str, object]]) -> JsonObject:
    """An object; a field that came twice holds a list of its values, for a process may send a
    second `TRANSPORT` after the journal's own lost its underscore.
    """
    item = dict(pairs)
    if len(item) == len(pairs):
        return item
    several: dict[str, list[object]] = {}
    for name, value in pairs:
        several.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in several.items()}


# Decimals stay text: kernel times are exact.
_decode = json.JSONDecoder(parse_float=str, strict=False, object_pairs_hook=_pairs).decode
_STARTS = lazy_regex(r'\s*+(?:@cee: ?)?(?=\{\s*+(?:["}]|$)|\[\s*+\{)')
_FLUENT_STDOUT = lazy_regex(
    r"\[\d{1,9}\] \S{1,128}: \[\[?(\d{1,12}(?:\.\d{1,9})?)(?:, \{[^{}]{0,512}\}\])?, (\{.*\})\]$",
    re.ASCII,
)
_FLUENT_ARROW = lazy_regex(r'(?<!\\)"=>')
_SECONDS = lazy_regex(r"\d{1,12}(?:\.\d{1,9})?", re.ASCII)
_DMESG_FIELDS = frozenset(("fac", "pri", "time", "caller", "msg"))
_OBJECT_BOUND = 100_000
FieldValue = str | tuple[str, ...]
# syslog-ng's TRANSPORT, of the kernel's log and of networks (4.11.0, modules/affile/affile-source.c
# and modules/afsocket/transport-mapper-inet.c).
_SYSLOG_NG = lazy_regex(r"(?:local\+(?:dev|proc)kmsg|(?:rfc\d{4}|bsdsyslog)(?:\+[a-z-]+)?)$")
# systemd's src/libsystemd/sd-journal/journal-file.c, journal_field_valid.
_JOURNAL_NAME = lazy_regex(r"[A-Z0-9_]{1,64}$", re.ASCII)
_SURE = frozenset(("_TRANSPORT", "systemd.transport", "journald.transport"))


def is_json(text: str) -> bool:
    """Returns whether a text begins as JSON, or as Fluent Bit's stdout, which is nearly JSON.

    The kernel's `{1}[Hardware Error]` does not.
    """
    return bool(_STARTS.match(text)) or (text.startswith("[") and bool(_FLUENT_STDOUT.match(text)))


def read(text: str, context: Context) -> Iterator[Draft | str]:
    """The lines of a record's JSON, and for each part without one the reason: json-bad,
    json-deep, json-shape, json-no-message.
    """
    try:
        yield from _items(_decoded(text), context)
    except RecursionError:
        yield "json-deep"
    except ValueError:
        yield from _several(text, context)


def of_fields(entries: Iterable[JsonObject], context: Context) -> Iterator[Draft | str]:
    """The lines of a record whose objects were read from another form than JSON."""
    for held in entries:
        yield from _object(held, None, context)


def _decoded(text: str) -> object:
    if text.startswith("[") and (matched := _FLUENT_STDOUT.match(text)):
        item = _decode(_FLUENT_ARROW.sub('":', matched[2]))
        return item | {"@timestamp": matched[1]} if isinstance(item, dict) else item
    start = _STARTS.match(text)
    return _decode(text[start.end() :] if start else text)


def _several(text: str, context: Context) -> Iterator[Draft | str]:
    """A record that is no JSON as a whole: one object a line, or bad."""
    rows = [row for row in text.split("\n") if row.strip()]
    for row in islice(rows, _OBJECT_BOUND):
        try:
            if len(rows) > 1 and is_json(row):
                yield from _items(_decoded(row), context)
            else:
                yield "json-bad"
        except RecursionError:
            yield "json-deep"
        except ValueError:
            yield "json-bad"


def _items(item: object, context: Context) -> Iterator[Draft | str]:
    """Every log line of a decoded value: an array, dmesg's document, OTLP's batch, or one
    object.
    """
    if isinstance(item, list) and item:
        for element in islice(item, _OBJECT_BOUND):
            yield from _items(element, context) if isinstance(element, dict) else ("json-shape",)
    elif not isinstance(item, dict):
        yield "json-shape"
    elif isinstance(rows := item.get("dmesg"), list):
        yield from _items(rows, context)
    elif (wrapped := json_fields.unwrap(item)) is not None:
        yield from _unwrapped(wrapped, context)
    elif otel.is_batch(item):
        records = list(islice(otel.records(item), _OBJECT_BOUND))
        for record in records:
            yield from _object(record, "otel", context)
        if not records:
            yield "json-shape"
    elif otel.is_record(item):
        yield from _object(otel.flat(item), "otel", context)
    elif "msg" in item and _DMESG_FIELDS.issuperset(item):
        yield _dmesg(item)
    else:
        yield from _object(item, None, context)


def _unwrapped(
    wrapped: Iterator[json_fields.WrappedText], context: Context
) -> Iterator[Draft | str]:
    """The lines of a wrapper's records; a text that is JSON is a record that a converter wrote
    as text.
    """
    for inner in islice(wrapped, _OBJECT_BOUND):
        if not isinstance(inner, str):
            yield from _items(_with_entry(inner), context)
        elif is_json(inner):
            yield from _items(_decoded(inner), context)
        else:
            yield from (
                draft for draft in lines.read_all(inner, context, lines.read) if draft is not None
            )


def _with_entry(item: JsonObject) -> JsonObject:
    """Returns a line of Loki with the journal's entry that promtail wrote as its text (`json:
    true`), if it is one. Any program's line may look so: it is the kernel's by a label alone.
    """
    line = item.get("line")
    if not isinstance(line, str) or not line.startswith("{") or '"MESSAGE"' not in line:
        return item
    try:
        entry = _decode(line)
    except (ValueError, RecursionError):
        return item
    if not isinstance(entry, dict) or not isinstance(entry.get("MESSAGE"), (str, list)):
        return item
    labels = item.get("labels")
    proved = isinstance(labels, dict) and any(map(_is_transport, labels))
    fields = {
        name: value
        for name, value in entry.items()
        if _JOURNAL_NAME.match(name)
        and not isinstance(value, dict)
        and (proved or value != "kernel" or not _is_transport(name))
    }
    return fields | {name: value for name, value in item.items() if name != "line"}


def _is_transport(name: str) -> bool:
    return origin.canonical(name).endswith("transport")


def _dmesg(item: JsonObject) -> Draft:
    """One object of dmesg --json: `time` has the digits of the kernel's stamp, `pri` is level
    + 8 × facility, or a name with -x.
    """
    draft = Draft(printk.without_vendor(cleaned(str(item["msg"]))), "dmesg-json")
    draft.level, facility = _priority(item.get("pri"))
    named = item.get("fac")
    draft.facility = printk.FACILITIES.get(named, 1) if isinstance(named, str) else facility
    draft.trust = trust_of(draft.facility)
    draft.kernel_time_us = _uptime(item.get("time"))
    caller = item.get("caller")
    draft.caller = caller if isinstance(caller, str) else None
    return draft


def _uptime(value: object) -> int | None:
    seconds = str(value)
    return micros(*seconds.split(".")) if _SECONDS.fullmatch(seconds) else None


def _object(item: JsonObject, transport: str | None, context: Context) -> Iterable[Draft | str]:
    """One object of a shipper: its own facts first, then each line of its message."""
    held = json_fields.flat(item)
    plan = json_fields.plan(held)
    texts: list[str] = []
    for name in plan.messages:
        if texts := journald.messages(held[name]):
            break
    if not texts:
        return ("json-no-message",)
    outer, bare = _facts(held, plan, transport, context)
    if plan.by_kmsg:
        texts = [kmsg.unescaped(kmsg.without_dictionary(texts[0]))]
    return [
        draft.fill(outer) for text in texts for draft in _message(text, outer, bare, plan, context)
    ]


def _message(
    text: str, outer: Draft, bare: bool, plan: FieldPlan, context: Context
) -> Iterable[Draft]:
    """The lines of a message. Of a user's nothing is read; the kernel's lose their stamp; of an
    unknown hand each is read as a line, and what proves nothing is a process's where the envelope
    is one's (`bare`).

    The message of rsyslog begins with the blank after the tag; journald's and /dev/kmsg's texts
    begin with the kernel's own blanks.
    """
    if text.startswith(" ") and not plan.by_journal and not plan.by_kmsg:
        text = text[1:]
    if outer.trust == "user" or plan.by_kmsg:
        return _one_message(
            Draft(piece, outer.transport, outer.trust) for piece in lines.pieces(text, context)
        )
    if outer.trust == "kernel":
        return _one_message(printk.message(piece) for piece in lines.pieces(text, context))
    return _in_one_hand(
        (draft for draft in lines.read_all(text, context, lines.read) if draft is not None), bare
    )


def _one_message(drafts: Iterable[Draft]) -> Iterator[Draft]:
    """The lines of one message of the kernel: what stands behind a line end in it may be a
    file's name or a program's, so it begins nothing. A rule of `=====` is no first line.
    """
    behind = False
    for draft in drafts:
        draft.inner = behind
        behind = behind or not is_rule(draft.text)
        yield draft


def _in_one_hand(drafts: Iterable[Draft], bare: bool) -> Iterator[Draft]:
    """The lines of one message: once a syslog header says that a process wrote it, or a line of a
    process's envelope (`bare`) proves nothing, every line after that is the process's as well.
    """
    user = False
    for draft in drafts:
        if user or (bare and draft.trust == "unknown"):
            draft.trust = "user"
        user = user or (
            draft.trust == "user" and (bare or draft.transport in ("syslog", "rfc5424"))
        )
        yield draft


def _facts(
    held: JsonObject, plan: FieldPlan, transport: str | None, context: Context
) -> tuple[Draft, bool]:
    """Returns what an envelope says of its line; and whether text alone is a process's."""
    draft = Draft("", transport or plan.shipper)
    draft.kernel_time_us, draft.wall_time_us = _times(held, plan, context)
    draft.host = _first_text(held, plan.hosts)
    if boot := _first_text(held, plan.boots):
        draft.boot_id = boot.replace("-", "").lower()[:64]
    draft.level, draft.facility = _level(held, plan)
    user, bare = origin.by_process(held, plan.witnesses, context.policy)
    draft.trust = "user" if user else _claimed(held, plan, draft.facility, context)
    draft.transport = shipped_as(draft.transport, _first_text(held, plan.tags), draft.trust)
    if plan.by_kmsg:
        draft.sequence = journald.whole(held.get("sequence"))
    return draft, bare


def _claimed(held: JsonObject, plan: FieldPlan, facility: int | None, context: Context) -> Trust:
    """Returns who an envelope says wrote its line: facility, tags and a journal's transport."""
    ways = tuple((name, _hashable(held[name])) for name in plan.transports)
    tags = tuple(_hashable(held[name]) for name in plan.tags)
    trust = _weighed(ways, tags, facility, context.policy.tags, plan.by_journal)
    return "user" if trust != "kernel" and origin.serves(held, plan.witnesses) else trust


@lru_cache(maxsize=4096)
def _weighed(
    ways: tuple[tuple[str, FieldValue], ...],
    tags: tuple[FieldValue, ...],
    facility: int | None,
    trusted: frozenset[str],
    by_journal: bool,
) -> Trust:
    """Without its transport a journal's other fields prove nothing, for any process may set
    them; of values that differ, the one that is not the kernel's counts. `trusted` tags are the
    kernel's whatever the facility. syslog-ng's own TRANSPORT (`rfc3164+udp`) makes no journal.
    """
    names = [tag.rstrip(": ") for value in tags for tag in _texts(value) if tag != "-"]
    known = [
        way
        for name, value in ways
        for way in _texts(value)
        if way == "kernel" or way in origin.TRANSPORTS or name in _SURE
    ]
    foreign = next((name for name in names if name != "kernel" and name not in trusted), None)
    trust = trust_of(
        facility if trusted.isdisjoint(names) else None,
        foreign or ("kernel" if names else None),
        next((way for way in known if way != "kernel"), "kernel" if known else None),
    )
    journal = by_journal and (facility is None or not _is_syslog_ng(ways))
    return "unknown" if journal and not known and trust == "kernel" else trust


def _is_syslog_ng(ways: tuple[tuple[str, FieldValue], ...]) -> bool:
    """Returns whether all transports are syslog-ng's, of the kernel's log or of a network."""
    values = [way for _, value in ways for way in _texts(value)]
    return bool(values) and all(map(_SYSLOG_NG.match, values))


def _times(held: JsonObject, plan: FieldPlan, context: Context) -> tuple[int | None, int | None]:
    """(kernel time, wall time) of an envelope."""
    kernel_us, wall_us = journald.clock(held, *plan.clock) if plan.by_journal else (None, None)
    if plan.kmsg_us:
        kernel_us = journald.whole(held[plan.kmsg_us])
    if plan.by_kmsg:
        seconds, micro = journald.whole(held["sec"]), journald.whole(held["usec"])
        kernel_us = None if seconds is None or micro is None else seconds * 1_000_000 + micro
    for name in plan.times:
        if wall_us is not None:
            return kernel_us, wall_us
        wall_us = any_time(held[name], context)
    if (
        wall_us is None and kernel_us is None and "msg" in held
    ):  # an object of dmesg --json to which a shipper added fields
        kernel_us = _uptime(held.get("time"))
    return kernel_us, wall_us


def _hashable(value: object) -> FieldValue:
    """A field's value, if it is a text or (where it came twice) a list of some."""
    if isinstance(value, str):
        return value
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _texts(value: FieldValue) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) and value else tuple(filter(None, value))


def _first_text(held: JsonObject, names: FieldNames) -> str | None:
    for name in names:
        value = held[name]
        if isinstance(value, str) and value:
            return value
        if isinstance(value, list) and value and isinstance(value[0], str):
            return value[0]
    return None


def _priority(value: object) -> tuple[int | None, int | None]:
    """(level, facility) of a PRI: a number holds both, a name only the level."""
    number = journald.whole(value)
    if number is not None and number < 1024:
        return number & 7, number >> 3
    return (printk.LEVELS.get(value.lower()) if isinstance(value, str) else None), None


def _level(held: JsonObject, plan: FieldPlan) -> tuple[int | None, int | None]:
    """(level, facility), from `pri` or each from a field of its own; a priority above 7 holds
    both (Fluent Bit's is the level alone).
    """
    level, facility = _priority(held.get("pri"))
    for name in plan.levels:
        if level is not None:
            break
        level, upper = _priority(held[name])
        facility = upper or facility
    for name in plan.facilities:
        value = held[name]
        number = (
            printk.FACILITIES.get(value.lower())
            if isinstance(value, str) and not value.isdigit()
            else journald.whole(value)
        )
        if number is not None:
            facility = number
            if number:
                break
    return level, facility
