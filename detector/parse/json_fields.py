"""Meanings of the fields of a JSON object: the names that shippers use for message, host,
time, level, facility, tag and process.

Comes in: a decoded object. Goes out: its fields by dotted name, and a FieldPlan of those that it
has. A shipper writes the same fields in every object, so plans are remembered. It reads no values.

Sources: rsyslog's property replacer and jsonmesg, Beats' exported fields (log.syslog, journald,
systemd), Vector's journald, syslog and socket sources, syslog-ng's format-json, OpenTelemetry's
syslog receiver, systemd.journal-fields(7), Graylog's GELF, Splunk's HEC.

Comes in: a decoded object. Goes out: the records in it, each an object with the wrapper's own facts
as fields, or a text. It judges no field and reads no text.

Sources: Kafka Connect's JsonConverter (schemas.enable); Loki's push API, its query results and
promtail; CloudWatch Logs' subscriptions, FilterLogEvents and EC2's GetConsoleOutput;
Elasticsearch's hits; Azure's diagnostic records.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from detector.parse.origin import JsonObject, Witnesses, canonical, ends, witnesses

FieldNames = tuple[str, ...]

_DEPTH = 5
_KEYS_BOUND = 128
_FIELDS_BOUND = 2_000


def _ranked(names: str) -> Mapping[str, int]:
    """Canonical names, the likeliest first."""
    return {name: rank for rank, name in enumerate(names.split())}


_MESSAGES = _ranked(
    "message msg full_message short_message body log text_payload line event_original event"
    " rawmsg_after_pri rawmsg log_message raw_message exec"
)
_HOSTS = _ranked(
    "log_syslog_hostname hostname host_hostname host_name host fromhost source_host computer"
    " nodename resource_name log_stream log_stream_name instance_id"
)
_TIMES = _ranked(
    "timereported timestamp time_unix_nano isodate date ts time timegenerated"
    " observed_time_unix_nano event_created event_time"
)
_FACILITIES = _ranked(
    "syslog_facility syslogfacility syslogfacility_text facility facility_code facility_name"
    " facility_label facility_text facility_num syslog_facility_value"
)
_LEVELS = _ranked(
    "priority syslogseverity syslogseverity_text severity severity_code severity_name"
    " syslog_priority level severity_text"
)
_TAGS = _ranked(
    "syslogtag programname syslog_identifier syslog_tag app_name appname program ident"
    " process_name process_program application_name source_name"
)
_TRANSPORTS = _ranked("transport")
_BOOTS = _ranked("boot_id")
_CLOCK = ("source_monotonic_timestamp", "monotonic_timestamp", "realtime_timestamp")
_OTHERS = frozenset(("http", "url", "observer", "client", "destination", "server", "kafka"))
_NOT_MESSAGES = frozenset(("error", "exception", "stack", "kubernetes", "labels", "http", "url"))
_RSYSLOG = frozenset(
    (
        *("syslogtag", "programname", "timereported", "syslogfacility", "syslogfacility-text"),
        *("rawmsg", "pri-text", "inputname"),
    )
)
_JOURNAL = frozenset(("boot_id", *_CLOCK))
_JOURNAL_NAMES = frozenset(
    ("_TRANSPORT", "TRANSPORT", "__CURSOR", "systemd.transport", "journald.transport")
)
# syslog-ng's /dev/kmsg: microseconds (4.11.0, modules/linux-kmsg-format/linux-kmsg-format.c).
_KMSG_US = frozenset(("linux.timestamp", "_linux.timestamp", ".linux.timestamp"))
_BEATS = frozenset(("agent", "beat", "ecs", "input"))


@dataclass(frozen=True, slots=True)
class FieldPlan:
    """The fields of one shape of object by what they say, the likeliest first, and what the
    shape alone tells.

    `clock` names journald's times: the kernel's own, its monotonic and its wall clock. `kmsg_us`
    names a kernel time of /dev/kmsg. `witnesses` tell who wrote the line. `by_journal`: journald's
    fields are among them. `by_kmsg`: Fluent Bit's kernel log.
    """

    shipper: str
    messages: FieldNames
    hosts: FieldNames
    times: FieldNames
    facilities: FieldNames
    levels: FieldNames
    tags: FieldNames
    transports: FieldNames
    boots: FieldNames
    clock: tuple[str | None, ...]
    kmsg_us: str | None
    witnesses: Witnesses
    by_journal: bool
    by_kmsg: bool


def plan(fields: JsonObject) -> FieldPlan:
    """The plan of an object's fields."""
    names = tuple(fields)
    return (
        _remembered(names)
        if len(names) <= _KEYS_BOUND and sum(map(len, names)) < 32 * _KEYS_BOUND
        else _planned(names)
    )


def flat(item: JsonObject) -> JsonObject:
    """Fields by dotted names: nested objects are unfolded, a field's own dotted name wins."""
    for value in item.values():
        if isinstance(value, dict):
            break
    else:
        return item
    fields: JsonObject = {}
    for name, value in item.items():
        if isinstance(value, dict):
            _unfold(name, value, fields, _DEPTH)
    return fields | {
        name: value for name, value in item.items() if not value or not isinstance(value, dict)
    }


def _unfold(prefix: str, nested: JsonObject, fields: JsonObject, depth: int) -> None:
    for name, value in nested.items():
        if len(fields) >= _FIELDS_BOUND:
            return
        if isinstance(value, dict) and depth:
            _unfold(f"{prefix}.{name}", value, fields, depth - 1)
        else:
            fields[f"{prefix}.{name}"] = value


def _planned(names: FieldNames) -> FieldPlan:
    held = frozenset(names)
    spelled = [(name, canonical(name)) for name in names]
    clock = tuple(next(iter(_ending(spelled, _ranked(name))), None) for name in _CLOCK)
    by_journal = not held.isdisjoint(_JOURNAL_NAMES) or any(
        end in _JOURNAL for _, name in spelled for end in ends(name)
    )
    by_kmsg = held.issuperset(("sec", "usec", "msg"))
    return FieldPlan(
        shipper=_shipper(held, by_journal, by_kmsg),
        messages=_messages(spelled),
        hosts=_ending(spelled, _HOSTS, whole=True),
        times=_ending([each for each in spelled if each[0] not in _KMSG_US], _TIMES, whole=True),
        facilities=_ending(spelled, _FACILITIES),
        levels=_ending(spelled, _LEVELS),
        tags=_ending(spelled, _TAGS),
        transports=_ending(spelled, _TRANSPORTS),
        boots=_ending(spelled, _BOOTS),
        clock=clock,
        kmsg_us=next(iter(_KMSG_US & held), None),
        witnesses=witnesses(names),
        by_journal=by_journal,
        by_kmsg=by_kmsg,
    )


_remembered = lru_cache(maxsize=512)(_planned)


def _ending(
    spelled: list[tuple[str, str]], ranks: Mapping[str, int], *, whole: bool = False
) -> FieldNames:
    """The names that are, or end like, one of some canonical names: whole ones first, then by
    rank.
    """
    places: list[tuple[bool, int, int, str]] = []
    for place, (name, spelling) in enumerate(spelled):
        end = next((end for end in ends(spelling) if end in ranks), None)
        if end is None or (whole and end != spelling and name.split(".")[0] in _OTHERS):
            continue
        if end == spelling or not whole or "." in name or name[0] == "_":
            places.append((end != spelling, ranks[end], place, name))
    return tuple(name for *_, name in sorted(places))


def _messages(spelled: list[tuple[str, str]]) -> FieldNames:
    """The names of messages: as they stand, or the last part of a nested name; a journal's own
    in capitals before all others.
    """
    places: list[tuple[bool, int, int, str]] = []
    for place, (name, spelling) in enumerate(spelled):
        folders, _, last = name.rpartition(".")
        rank = _MESSAGES.get(spelling)
        if rank is None and not _NOT_MESSAGES.isdisjoint(canonical(folders).split("_")):
            continue
        nested = rank is None
        rank = _MESSAGES.get(canonical(last)) if rank is None else rank
        if rank is None and spelling.endswith(("_message", "_msg")):
            rank = len(_MESSAGES)
        if rank is not None:
            places.append((nested, -1 if last == "MESSAGE" else rank, place, name))
    return tuple(name for *_, name in sorted(places))


def _shipper(held: frozenset[str], by_journal: bool, by_kmsg: bool) -> str:
    """The name of the format, by the fields that only it writes."""
    if "source_type" in held:
        return "vector"
    if by_kmsg:
        return "fluent-bit"
    if any(name.split(".")[0] in _BEATS for name in held):
        return "beats"
    if by_journal:
        return "journald"
    return "json" if held.isdisjoint(_RSYSLOG) else "rsyslog"


WrappedText = dict[str, object] | str

_MESSAGE_KEYS = frozenset(("message", "MESSAGE", "msg", "log", "body", "line"))
_LOG_GROUP = ("logGroup", "logStream", "logGroupName", "logStreamName")


def unwrap(item: dict[str, object]) -> Iterator[WrappedText] | None:
    """The records in a wrapper, in order; None for an object that is a record itself."""
    if "payload" in item and "schema" in item:
        payload = item["payload"]
        return iter((payload,)) if isinstance(payload, (dict, str)) else iter(())
    if not _MESSAGE_KEYS.isdisjoint(item):
        return None
    if isinstance(source := item.get("_source"), dict):
        return iter((source,))
    for name in ("streams", "result"):
        if isinstance(streams := item.get(name), list):
            return _streams(streams)
    for name in ("logEvents", "events"):
        if isinstance(events := item.get(name), list):
            return _events(events, item)
    if isinstance(output := item.get("Output"), str) and "InstanceId" in item:
        # Its Timestamp is that of the request, not of a line.
        return iter(({"host": item["InstanceId"], "message": output},))
    for name in ("hits", "records"):
        if isinstance(rows := item.get(name), list):
            return (row for row in rows if isinstance(row, dict))
    for name in ("hits", "data"):
        if isinstance(inner := item.get(name), dict) and unwrap(inner) is not None:
            return iter((inner,))
    return None


def _streams(streams: list[object]) -> Iterator[WrappedText]:
    """Loki: each stream's labels, and its lines with their time in nanoseconds."""
    for stream in streams:
        if not isinstance(stream, dict) or not isinstance(rows := stream.get("values"), list):
            continue
        labels = stream.get("stream")
        for row in rows:
            if isinstance(row, list) and len(row) >= 2 and isinstance(row[1], str):
                extra = row[2] if len(row) > 2 and isinstance(row[2], dict) else {}
                yield {"timestamp": row[0], "labels": labels, "metadata": extra, "line": row[1]}


def _events(events: list[object], outer: dict[str, object]) -> Iterator[WrappedText]:
    """CloudWatch: each event with its group and stream."""
    place = {name: outer[name] for name in _LOG_GROUP if name in outer}
    for event in events:
        if isinstance(event, dict):
            yield place | event
