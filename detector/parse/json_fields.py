"""Which of a JSON object's fields say what: the names that shippers use for message, host, time,
level, facility, tag and process.

Comes in: a decoded object. Goes out: its fields by dotted name, and a Plan of those that it has. A
shipper writes the same fields in every object, so plans are remembered. It reads no values.

Sources: rsyslog's property replacer and jsonmesg, Beats' exported fields (log.syslog, journald,
systemd), Vector's journald, syslog and socket sources, syslog-ng's format-json, OpenTelemetry's
syslog receiver, systemd.journal-fields(7).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

Object = dict[str, object]
FieldNames = tuple[str, ...]

_NESTED = frozenset(("host", "log", "journald", "systemd", "syslog", "event", "process", "body"))
_DEPTH = 5
_KEYS_BOUND = 128

_MESSAGES = (
    "MESSAGE",
    "message",
    "msg",
    "body",
    "log",
    "event.original",
    "rawmsg-after-pri",
    "rawmsg",
)
_HOSTS = (
    "_HOSTNAME",
    "log.syslog.hostname",
    "hostname",
    "host.hostname",
    "host.name",
    "HOST",
    "host",
    "fromhost",
)
_TIMES = (
    *(
        "timereported",
        "timestamp",
        "@timestamp",
        "timeUnixNano",
        "time_unix_nano",
        "ISODATE",
        "DATE",
        "ts",
        "time",
        "date",
        "timegenerated",
    ),
    *("observedTimeUnixNano", "event.created"),
)
_FACILITIES = (
    *(
        "SYSLOG_FACILITY",
        "syslogfacility",
        "syslogfacility-text",
        "facility",
        "FACILITY",
        "log.syslog.facility.code",
    ),
    *("log.syslog.facility.name", "syslog.facility", "syslog_facility"),
)
_LEVELS = (
    *(
        "priority",
        "PRIORITY",
        "syslogseverity",
        "syslogseverity-text",
        "severity",
        "log.syslog.severity.code",
        "log.syslog.severity.name",
    ),
    *("log.syslog.priority", "syslog.priority", "level", "severity_text", "severityText"),
)
_TAGS = (
    *(
        "syslogtag",
        "programname",
        "SYSLOG_IDENTIFIER",
        "app-name",
        "appname",
        "log.syslog.appname",
        "PROGRAM",
        "ident",
    ),
    *("syslog.identifier", "process.name", "process.program"),
)
_TRANSPORTS = ("_TRANSPORT", "systemd.transport", "journald.transport")
_BOOTS = ("_BOOT_ID", "journald.host.boot_id")
_PROCESS = frozenset(
    (
        *(
            "_PID",
            "_COMM",
            "_EXE",
            "_UID",
            "stream",
            "kubernetes",
            "docker",
            "container",
            "container_id",
            "container_name",
        ),
        *("logger", "logger_name", "thread", "journald.pid", "journald.process.pid", "process.pid"),
    )
)
_RSYSLOG = frozenset(
    (
        "syslogtag",
        "programname",
        "timereported",
        "syslogfacility",
        "syslogfacility-text",
        "rawmsg",
        "pri-text",
    )
)
_JOURNAL = frozenset(
    (
        *(
            "_TRANSPORT",
            "_BOOT_ID",
            "__REALTIME_TIMESTAMP",
            "__MONOTONIC_TIMESTAMP",
            "_SOURCE_MONOTONIC_TIMESTAMP",
            "__CURSOR",
        ),
        *("systemd.transport", "journald.host.boot_id"),
    )
)
_BEATS = frozenset(("agent", "beat", "ecs", "input", "journald.host.boot_id", "systemd.transport"))


@dataclass(frozen=True, slots=True)
class FieldPlan:
    """The fields of one shape of object by what they say, the likeliest first, and what the shape
    alone tells.

    `by_process`: only the output of a process has such fields. `by_journal`: journald's fields are
    among them. `by_claim`: of a journal's fields only those are there that any process may set (no
    underscore in front). `by_kmsg`: Fluent Bit's kernel log.
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
    by_process: bool
    by_journal: bool
    by_claim: bool
    by_kmsg: bool


def plan(fields: Object) -> FieldPlan:
    """The plan of an object's fields."""
    names = tuple(fields)
    return (
        _remembered(names)
        if len(names) <= _KEYS_BOUND and sum(map(len, names)) < 32 * _KEYS_BOUND
        else _planned(names)
    )


def flat(item: Object) -> Object:
    """Fields by dotted names: the nested objects that shippers use are unfolded, a field's own
    dotted name wins.
    """
    if _NESTED.isdisjoint(item):
        return item
    fields: Object = {}
    for name in _NESTED.intersection(item):
        if isinstance(nested := item[name], dict):
            _unfold(name, nested, fields, _DEPTH)
    return fields | {
        name: value
        for name, value in item.items()
        if name not in _NESTED or not isinstance(value, dict)
    }


def _unfold(prefix: str, nested: Object, fields: Object, depth: int) -> None:
    for name, value in nested.items():
        if isinstance(value, dict) and depth:
            _unfold(f"{prefix}.{name}", value, fields, depth - 1)
        else:
            fields[f"{prefix}.{name}"] = value


def _planned(names: FieldNames) -> FieldPlan:
    held = frozenset(names)
    by_journal, by_kmsg = not held.isdisjoint(_JOURNAL), held.issuperset(("sec", "usec", "msg"))

    def known(candidates: FieldNames) -> FieldNames:
        return tuple(name for name in candidates if name in held)

    return FieldPlan(
        shipper=_shipper(held, by_journal, by_kmsg),
        messages=known(_MESSAGES),
        hosts=known(_HOSTS),
        times=known(_TIMES),
        facilities=known(_FACILITIES),
        levels=known(_LEVELS),
        tags=known(_TAGS),
        transports=known(_TRANSPORTS),
        boots=known(_BOOTS),
        by_process=not held.isdisjoint(_PROCESS),
        by_journal=by_journal,
        by_claim=by_journal and held.isdisjoint(_TRANSPORTS),
        by_kmsg=by_kmsg,
    )


_remembered = lru_cache(maxsize=512)(_planned)


def _shipper(held: frozenset[str], by_journal: bool, by_kmsg: bool) -> str:
    """The name of the format, by the fields that only it writes."""
    if "source_type" in held:
        return "vector"
    if by_kmsg:
        return "fluent-bit"
    if not held.isdisjoint(_BEATS):
        return "beats"
    if by_journal:
        return "journald"
    return "json" if held.isdisjoint(_RSYSLOG) else "rsyslog"
