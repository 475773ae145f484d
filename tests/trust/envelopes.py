"""The table of envelopes: for each transport and shipper the kernel's line, a process's, and both
with fields renamed or left out. The page docs/trust.md is made from it:

    python -m tests.trust.envelopes > docs/trust.md
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.trust.as_written import (
    DEVICE,
    WRITTEN_TO_KMSG,
    filebeat_journald,
    fluent_bit_kmsg,
    fluent_bit_systemd,
    graylog_syslog,
    promtail_journal,
    rsyslog_jsonmesg,
    syslog_ng,
    vector_docker,
    vector_journald,
    vector_kubernetes,
    vector_syslog,
)
from tests.trust.as_written import LOGGED as TO_DEV_LOG

FAULT = "Unable to handle kernel paging request at virtual address 0001950b"
STAMPED = f"[   12.000034] {FAULT}"
KERNEL_TAGGED = f"Feb 24 19:21:10 lab-3 kernel: {STAMPED}"
ISO = "2026-02-24T19:21:10Z"
PAGE = Path(__file__).parents[2] / "docs" / "trust.md"

Fields = dict[str, object]


@dataclass(frozen=True)
class Envelope:
    """One way of a line. `kernel` and `process` are whole records; `proof` is what tells them
    apart, in words. `unknowable` are records of a process that nothing tells from the kernel's:
    what the settings say of them stands in `setting`.
    """

    name: str
    proof: str
    kernel: tuple[str, ...]
    process: tuple[str, ...]
    unknowable: tuple[str, ...] = ()
    setting: str = ""
    source: str = ""
    renamed_kernel: tuple[str, ...] = field(default=())
    renamed_process: tuple[str, ...] = field(default=())


def journal(message: str, **changed: object) -> Fields:
    """An entry of the journal with some fields changed; None takes one out."""
    entry: Fields = {
        "__REALTIME_TIMESTAMP": "1771960870500000",
        "__MONOTONIC_TIMESTAMP": "12500034",
        "_SOURCE_MONOTONIC_TIMESTAMP": "12000034",
        "_BOOT_ID": "ab" * 16,
        "_HOSTNAME": "lab-3",
        "_TRANSPORT": "kernel",
        "SYSLOG_FACILITY": "0",
        "SYSLOG_IDENTIFIER": "kernel",
        "PRIORITY": "1",
        "MESSAGE": message,
    }
    return {name: value for name, value in (entry | changed).items() if value is not None}


LOGGED = {"_TRANSPORT": "syslog", "_PID": "77", "_UID": "1000", "_COMM": "logger"}
FORGED = journal(FAULT, **LOGGED)
FORGED_BARE = journal(FAULT, _TRANSPORT="journal")
OF_DEVICE = journal(FAULT, **DEVICE, _MACHINE_ID="cd" * 16)
TO_LOG = journal(FAULT, _SOURCE_MONOTONIC_TIMESTAMP=None, **TO_DEV_LOG)
TO_KMSG = journal(FAULT, **WRITTEN_TO_KMSG)
PROCESSES = (TO_LOG, TO_KMSG)


def stripped(fields: Fields) -> Fields:
    """Fluent Bit's strip_underscores, fluentd's fields_strip_underscores."""
    return {name.lstrip("_"): value for name, value in fields.items()}


def lowered(fields: Fields) -> Fields:
    """Fluent Bit's lowercase, fluentd's fields_lowercase."""
    return {name.lower(): value for name, value in fields.items()}


def nested(fields: Fields) -> Fields:
    """Under one name, as a parser or an enrichment puts them."""
    return {"journal": fields, "ingested": ISO}


def prefixed(fields: Fields) -> Fields:
    """Promtail's labels, or any prefix."""
    return {f"__journal_{name.lower()}": value for name, value in fields.items()}


RENAMINGS: tuple[Callable[[Fields], Fields], ...] = (
    stripped,
    lowered,
    nested,
    prefixed,
    lambda fields: lowered(stripped(fields)),
    lambda fields: nested(lowered(stripped(fields))),
    lambda fields: {f"fields.{name}": value for name, value in fields.items()},
)


def renamed(fields: Fields, message: str = "") -> tuple[str, ...]:
    """A record's fields under all names that shippers give them; `message` stays as it is named."""
    kept = {message: fields[message]} if message else {}
    others = {name: value for name, value in fields.items() if name != message}
    return tuple(json.dumps(rename(others) | kept) for rename in RENAMINGS)


def otlp(body: object, attributes: Fields, resource: Fields) -> str:
    """An OTLP batch of one record."""

    def pairs(fields: Fields) -> list[Fields]:
        return [{"key": name, "value": {"stringValue": value}} for name, value in fields.items()]

    value = (
        {"stringValue": body} if isinstance(body, str) else {"kvlistValue": {"values": pairs(body)}}
    )
    record = {"timeUnixNano": "1771960870000012999", "body": value, "attributes": pairs(attributes)}
    return json.dumps(
        {
            "resourceLogs": [
                {
                    "resource": {"attributes": pairs(resource)},
                    "scopeLogs": [{"scope": {}, "logRecords": [record]}],
                }
            ]
        }
    )


# pkg/stanza/operator/input/journald/journald_attr_mapping.go of opentelemetry-collector-contrib.
_CONVERTED = {"SYSLOG_FACILITY": "syslog.facility.code", "SYSLOG_IDENTIFIER": "syslog.identifier"}
_CONVERTED_RESOURCE = {
    "_HOSTNAME": "host.name",
    "_PID": "process.pid",
    "_EXE": "process.executable.path",
    "_CMDLINE": "process.command_line",
}
_COLLECTOR = "input.go and journald_attr_mapping.go of opentelemetry-collector-contrib 0.165.1"


def collected(*entries: Fields) -> str:
    """The collector's journald receiver, as its kafka exporter writes otlp_json: a map in each
    body, without the time that it took for the record's own.
    """
    records = [
        {
            "timeUnixNano": f"{entry['__REALTIME_TIMESTAMP']}000",
            "observedTimeUnixNano": "1771960871000000000",
            "body": {"kvlistValue": {"values": _pairs(entry, without="__REALTIME_TIMESTAMP")}},
        }
        for entry in entries
    ]
    return _batch(records, {"host.name": entries[0]["_HOSTNAME"]})


def converted(entry: Fields) -> str:
    """The same with convert_to_semantic_conventions: the message is the body, fields are
    attributes, numbers are numbers.
    """
    attributes, resource = {}, {}
    for name, value in entry.items():
        if name in _CONVERTED_RESOURCE:
            resource[_CONVERTED_RESOURCE[name]] = int(value) if name == "_PID" else value
        elif name not in {"MESSAGE", "PRIORITY", "__REALTIME_TIMESTAMP"}:
            number = name == "SYSLOG_FACILITY"
            attributes[_CONVERTED.get(name, f"journald.{name}")] = int(value) if number else value
    record = {
        "timeUnixNano": f"{entry['__REALTIME_TIMESTAMP']}000",
        "severityNumber": 19,
        "severityText": "alert",
        "body": {"stringValue": entry["MESSAGE"]},
        "attributes": _pairs(attributes),
    }
    return _batch([record], resource)


def _pairs(fields: Fields, without: str = "") -> list[Fields]:
    return [
        {
            "key": name,
            "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value},
        }
        for name, value in fields.items()
        if name != without
    ]


def _batch(records: list[Fields], resource: Fields) -> str:
    scoped = {"scope": {}, "logRecords": records}
    whole = {"resource": {"attributes": _pairs(resource)}, "scopeLogs": [scoped]}
    return json.dumps({"resourceLogs": [whole]})


def tailed(shipper: Callable[[str, str], Fields]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a shipper reads from a kernel log, and from a program's log in which somebody wrote the
    same lines.
    """
    texts = (STAMPED, KERNEL_TAGGED, f"<1>{STAMPED}")
    kernel = [shipper("/var/log/kern.log", text) for text in texts]
    process = [
        shipper(path, text)
        for path in ("/var/log/app/web.log", "/srv/x.log")
        for text in (*texts, FAULT)
    ]
    return tuple(map(json.dumps, kernel)), tuple(map(json.dumps, process))


def filebeat(path: str, text: str) -> Fields:
    """Filebeat's filestream input."""
    return {
        "@timestamp": ISO,
        "agent": {"type": "filebeat", "hostname": "lab-3"},
        "host": {"name": "lab-3"},
        "input": {"type": "filestream"},
        "log": {"file": {"path": path}, "offset": 7},
        "message": text,
    }


def vector_file(path: str, text: str) -> Fields:
    """Vector's file source."""
    return {"file": path, "host": "lab-3", "message": text, "source_type": "file", "timestamp": ISO}


def filelog(path: str, text: str) -> Fields:
    """OpenTelemetry's filelog receiver, as a single record."""
    return {"body": text, "attributes": {"log.file.path": path}, "resource": {"host.name": "lab-3"}}


def promtail(path: str, text: str) -> Fields:
    """Loki's push API, as promtail tails a file."""
    return {
        "streams": [
            {
                "stream": {"job": "varlogs", "filename": path, "host": "lab-3"},
                "values": [["1771960870000000000", text]],
            }
        ]
    }


def splunk(path: str, text: str) -> Fields:
    """Splunk's HEC."""
    return {
        "time": 1771960870,
        "host": "lab-3",
        "source": path,
        "sourcetype": "syslog",
        "event": text,
    }


def rsyslog(text: str, **changed: object) -> Fields:
    """rsyslog's jsonmesg."""
    return {
        "msg": f" {text}",
        "hostname": "lab-3",
        "syslogtag": "kernel:",
        "programname": "kernel",
        "inputname": "imklog",
        "syslogfacility": "0",
        "syslogseverity": "1",
        "timereported": ISO,
        **changed,
    }


def promtail_line(labels: Fields, line: str) -> str:
    """Loki's push API with one line."""
    return json.dumps({"streams": [{"stream": labels, "values": [["1771960870000000000", line]]}]})


# What a program may write to its own log.
LOOKS_LIKE_AN_ENTRY = json.dumps(
    journal(FAULT, labels={}, TRANSPORT="kernel") | {"x": {"_TRANSPORT": "kernel"}}
)


def vector_exec(command: object, text: str) -> Fields:
    """Vector's exec source."""
    return {
        "command": command,
        "host": "lab-3",
        "message": text,
        "pid": 77,
        "source_type": "exec",
        "stream": "stdout",
        "timestamp": ISO,
    }


def connect(fields: Fields | str) -> str:
    """Kafka Connect's JsonConverter."""
    return json.dumps({"schema": {"type": "string", "optional": False}, "payload": fields})


def cloudwatch(group: str, text: str) -> str:
    """A subscription of CloudWatch Logs."""
    event = {"id": "1", "timestamp": 1771960870000, "message": text}
    return json.dumps(
        {
            "messageType": "DATA_MESSAGE",
            "logGroup": group,
            "logStream": "i-0a1b2c",
            "logEvents": [event],
        }
    )


def graylog(**fields: object) -> str:
    """GELF, as Graylog and its inputs hand it on."""
    return json.dumps(
        {
            "version": "1.1",
            "host": "lab-3",
            "short_message": STAMPED,
            "timestamp": 1771960870.1,
            "level": 1,
            **fields,
        }
    )


def google(text: str, kind: str, log: str, **labels: str) -> str:
    """An entry of Google Cloud's logging."""
    return json.dumps(
        {
            "textPayload": text,
            "resource": {"type": kind, "labels": {"instance_id": "77", **labels}},
            "timestamp": ISO,
            "logName": f"projects/p/logs/{log}",
        }
    )


_JOURNAL_PROOF = (
    "`_TRANSPORT`; any field that only a process has (`_PID`, `_COMM`, `_SYSTEMD_UNIT` …)"
)
_FILE_PROOF = (
    "the file that it was read from, by `trust.kernel_files`; in a kernel log its tag, as syslog"
)
_HAND = "a process that is let write to /dev/kmsg, or to this console"

ENVELOPES = (
    Envelope(
        "/dev/kmsg, extended netconsole",
        "facility of the prefix: user space cannot set 0",
        (f"1,7,12000034,-;{FAULT}", f"6.9.1,1,7,12000034,-,caller=T7;{FAULT}"),
        (
            f"9,7,12000034,-;{FAULT}",
            f"30,7,12000034,-;{FAULT}",
            f"6.9.1,12,7,12000034,-;{FAULT}",
            f"4,7,12000034,-;process '/tmp/x\\x0a{FAULT}",
        ),
        source=("Linux 6.12, kernel/printk/printk.c (devkmsg_write, info_print_ext_header)"),
    ),
    Envelope(
        "`dmesg -r`, /proc/kmsg, pstore",
        "facility of the `<PRI>`",
        (f"<1>{STAMPED}",),
        (f"<9>{STAMPED}", f"<30>{STAMPED}"),
        source=(
            "Linux 6.12, kernel/printk/printk.c (print_syslog); util-linux 2.42.2, "
            "sys-utils/dmesg.c"
        ),
    ),
    Envelope(
        "`dmesg -x`",
        "the facility's name",
        (f"kern  :alert : {STAMPED}",),
        (f"user  :alert : {STAMPED}", f"daemon:alert : {STAMPED}"),
        source="util-linux 2.42.2, sys-utils/dmesg.c",
    ),
    Envelope(
        "`dmesg --json`",
        "facility of `pri`, or `fac`",
        (
            json.dumps({"pri": 1, "time": "12.000034", "msg": FAULT}),
            json.dumps({"fac": "kern", "pri": "alert", "time": "12.000034", "msg": FAULT}),
        ),
        (
            json.dumps({"pri": 9, "time": "12.000034", "msg": FAULT}),
            json.dumps({"fac": "user", "pri": "alert", "time": "12.000034", "msg": FAULT}),
            json.dumps({"pri": 4, "time": "12.000034", "msg": f"process '/tmp/x\n{FAULT}"}),
        ),
        source="util-linux 2.42.2, sys-utils/dmesg.c",
    ),
    Envelope(
        "`dmesg`, consoles, vmcore-dmesg",
        "nothing but copies: mail quotes, searches, text further right than a stamp",
        (STAMPED, f"lab-3 login: {STAMPED}"),
        (
            f"> {STAMPED}",
            f"kern.log:12:{STAMPED}",
            f'10:00:01 app: "{STAMPED}"',
            f"{' ' * 15}{FAULT}",
        ),
        (STAMPED,),
        f"`trust.unproven`: {_HAND}",
        source=(
            "Linux 6.12, kernel/printk/printk.c (print_time); util-linux 2.42.2, sys-utils/dmesg.c"
        ),
    ),
    Envelope(
        "RFC 3164",
        "tag `kernel` without a pid, facility of the `<PRI>`",
        (KERNEL_TAGGED, f"<1>{KERNEL_TAGGED}", f"2026-02-24T19:21:10+0000 lab-3 kernel: {STAMPED}"),
        (
            f"Feb 24 19:21:10 lab-3 app[7]: {STAMPED}",
            f"Feb 24 19:21:10 lab-3 kernel[7]: {STAMPED}",
            f"Feb 24 19:21:10 lab-3 app: {KERNEL_TAGGED}",
            f"<9>{KERNEL_TAGGED}",
            f"Feb 24 19:21:10 lab-3 {FAULT}",
            f"<14>Feb 24 19:21:10 lab-3 app[7]: x\n{KERNEL_TAGGED}",
            f"Feb 24 19:21:10 lab-3 kernel: process '/tmp/x\n{FAULT}",
        ),
        (KERNEL_TAGGED, f"Feb 24 19:21:10 lab-3 app[7]: x\n{KERNEL_TAGGED}"),
        (
            "none: who may write to /dev/log may call itself `kernel`; ship the facility, or "
            "journald's fields. Without `<PRI>` each line of a record is a message"
        ),
        source=(
            "RFC 3164, 4.1; rsyslog 8.2608.0, runtime/rsconf.c (RSYSLOG_TraditionalFileFormat)"
        ),
    ),
    Envelope(
        "RFC 5424",
        "app name `kernel`, facility of the `<PRI>`",
        (f"<1>1 {ISO} lab-3 kernel - - - {STAMPED}",),
        (
            f"<9>1 {ISO} lab-3 kernel - - - {STAMPED}",
            f"<1>1 {ISO} lab-3 app 7 - - {STAMPED}",
            f"<14>1 {ISO} lab-3 app - - - x\n<1>1 {ISO} lab-3 kernel - - - {STAMPED}",
        ),
        source=("RFC 5424, 6; rsyslog 8.2608.0, runtime/rsconf.c (RSYSLOG_SyslogProtocol23Format)"),
    ),
    Envelope(
        "`journalctl -o short-monotonic`",
        "the tag",
        (f"[   12.000034] lab-3 kernel: {FAULT}",),
        (f"[   12.000034] lab-3 app[7]: {FAULT}",),
        source="systemd (ce06aadd), src/shared/logs-show.c",
    ),
    Envelope(
        "journald: `journalctl -o json`, Vector, Fluent Bit's systemd",
        _JOURNAL_PROOF,
        (
            json.dumps(journal(FAULT)),
            # Older journals name no facility of the kernel's (systemd 03e334a1).
            json.dumps(journal(FAULT, SYSLOG_FACILITY=None)),
            *(vector_journald(entry) for entry in (journal(FAULT), OF_DEVICE)),
            *(fluent_bit_systemd(entry) for entry in (journal(FAULT), OF_DEVICE)),
            fluent_bit_systemd(OF_DEVICE, strip=True),
        ),
        (
            *(
                json.dumps(journal(FAULT, _TRANSPORT=way))
                for way in ("syslog", "journal", "stdout", "audit")
            ),
            json.dumps(FORGED),
            json.dumps(journal(FAULT, _TRANSPORT=None, _COMM="logger")),
            json.dumps(journal(FAULT, SYSLOG_FACILITY="1")),
            json.dumps(journal(f"process '/tmp/x\n{FAULT}")),
            *(write(entry) for entry in PROCESSES for write in (json.dumps, vector_journald)),
            *(fluent_bit_systemd(entry, strip=way) for entry in PROCESSES for way in (True, False)),
        ),
        (json.dumps(journal(FAULT, _TRANSPORT=None)),),
        "`trust.unproven`: only fields that any process may set are left",
        "systemd, src/journal/journald-kmsg.c; Vector 0.57.0, src/sources/journald.rs; Fluent Bit "
        "5.1.1, plugins/in_systemd/systemd.c",
        renamed(journal(FAULT)),
        (
            *renamed(FORGED),
            *renamed(FORGED_BARE),
            *renamed(journal(FAULT, _TRANSPORT=None, _PID="77")),
            # A process's own TRANSPORT beside the journal's, whose underscore went.
            json.dumps(stripped(FORGED_BARE))[:-1] + ', "TRANSPORT": "kernel"}',
        ),
    ),
    Envelope(
        "Fluent Bit's kmsg",
        "nothing: it keeps the level alone",
        (
            fluent_bit_kmsg(FAULT),
            fluent_bit_kmsg(f"{FAULT}\n SUBSYSTEM=pci\n DEVICE=+pci:0000:00:1f.6"),
        ),
        (fluent_bit_kmsg(f"process '/tmp/x\\x0a{FAULT}"),),
        (fluent_bit_kmsg(FAULT),),
        f"`trust.unproven`: {_HAND}",
        "Fluent Bit 5.1.1, plugins/in_kmsg/in_kmsg.c",
    ),
    Envelope(
        "rsyslog: jsonmesg, list templates",
        "`syslogtag`, `syslogfacility`; `inputname` imuxsock is /dev/log",
        (
            json.dumps(rsyslog(STAMPED)),
            json.dumps(rsyslog(STAMPED, inputname="imkmsg")),
            json.dumps(rsyslog(STAMPED, inputname="imtcp")),
            rsyslog_jsonmesg(STAMPED, "imklog", "kernel:", 0),
            rsyslog_jsonmesg(
                FAULT,
                "imkmsg",
                "kernel:",
                0,
                more={
                    "sequnum": 7,
                    "msg": FAULT,
                    "SUBSYSTEM": "pci",
                    "DEVICE": "+pci:0000:00:1f.6",
                },
            ),
            rsyslog_jsonmesg(FAULT, "imjournal", "kernel:", 0, more=journal(FAULT)),
        ),
        (
            rsyslog_jsonmesg(STAMPED, "imuxsock", "kernel:", 1, raw=f"<9>{KERNEL_TAGGED}"),
            rsyslog_jsonmesg(STAMPED, "imuxsock", "kernel:", 0, raw=f"<1>{KERNEL_TAGGED}"),
            rsyslog_jsonmesg(STAMPED, "imuxsock", "kernel[77]:", 1),
            rsyslog_jsonmesg(FAULT, "imkmsg", "kernel:", 1, more={"sequnum": 7, "msg": FAULT}),
            *(
                rsyslog_jsonmesg(FAULT, "imjournal", "kernel:", 0, more=entry)
                for entry in PROCESSES
            ),
            json.dumps(rsyslog(STAMPED, inputname="imuxsock")),
            json.dumps(
                rsyslog(STAMPED, syslogtag="app[7]:", programname="app", syslogfacility="1")
            ),
            json.dumps(rsyslog(STAMPED, syslogfacility="1")),
            json.dumps(rsyslog(STAMPED, procid="77")),
            json.dumps(
                rsyslog(
                    STAMPED,
                    syslogtag="vmcore-dmesg:",
                    programname="vmcore-dmesg",
                    inputname="imfile",
                    syslogfacility="16",
                )
            ),
        ),
        (),
        "",
        "rsyslog 8.2608.0, runtime/msg.c (msgGetJSONMESG), contrib/imkmsg",
        renamed(rsyslog(STAMPED), "msg"),
        (
            *renamed(rsyslog(STAMPED, inputname="imuxsock"), "msg"),
            *renamed(
                rsyslog(
                    STAMPED, syslogfacility="1", syslogtag=None, programname=None, inputname=None
                ),
                "msg",
            ),
        ),
    ),
    Envelope(
        "syslog-ng: format-json",
        "`PROGRAM`, `FACILITY`, `PID`; `TRANSPORT` local+unix-… is /dev/log",
        (
            syslog_ng(FAULT, "local+devkmsg", "kern", MSGID="7", MSGFORMAT="linux:devkmsg"),
            syslog_ng(FAULT, "local+devkmsg", "kern", _linux={"timestamp": "12000034"}),
            syslog_ng(STAMPED, "local+prockmsg", "kern"),
            syslog_ng(STAMPED, "rfc3164+udp", "kern"),
            syslog_ng(FAULT, "local+journal", "kern", _journald=journal(FAULT)),
            json.dumps(
                {
                    "PROGRAM": "kernel",
                    "PRIORITY": "alert",
                    "MESSAGE": STAMPED,
                    "HOST": "lab-3",
                    "FACILITY": "kern",
                    "ISODATE": ISO,
                }
            ),
        ),
        (
            syslog_ng(STAMPED, "local+unix-dgram", "kern"),
            syslog_ng(STAMPED, "local+unix-stream", "kern"),
            syslog_ng(FAULT, "local+devkmsg", "user", _linux={"timestamp": "12000034"}),
            syslog_ng(FAULT, "local+journal", "kern", PID="77"),
            *(syslog_ng(FAULT, "local+journal", "kern", _journald=entry) for entry in PROCESSES),
            json.dumps(
                {
                    "PROGRAM": "app",
                    "PID": "7",
                    "PRIORITY": "alert",
                    "MESSAGE": STAMPED,
                    "HOST": "lab-3",
                    "FACILITY": "user",
                }
            ),
            json.dumps(
                {
                    "PROGRAM": "kernel",
                    "PRIORITY": "alert",
                    "MESSAGE": STAMPED,
                    "HOST": "lab-3",
                    "FACILITY": "user",
                }
            ),
            json.dumps(
                {
                    "PROGRAM": "kernel",
                    "PID": "7",
                    "PRIORITY": "alert",
                    "MESSAGE": STAMPED,
                    "HOST": "lab-3",
                    "FACILITY": "kern",
                }
            ),
        ),
        unknowable=(syslog_ng(FAULT, "local+journal", "kern"),),
        setting="`trust.unproven`: local+journal without the fields of the journal",
        source="syslog-ng 4.11.0, lib/value-pairs/value-pairs.c, modules/affile/affile-source.c",
        renamed_process=renamed(
            {"PROGRAM": "app", "PID": "7", "MESSAGE": STAMPED, "FACILITY": "user"}, "MESSAGE"
        ),
    ),
    Envelope(
        "NXLog",
        "`SourceName`, `SyslogFacility`, `ProcessID`",
        (
            json.dumps(
                {
                    "SyslogFacility": "KERN",
                    "SyslogFacilityValue": 0,
                    "SourceName": "kernel",
                    "Hostname": "lab-3",
                    "Message": STAMPED,
                    "EventTime": "2026-02-24 19:21:10",
                }
            ),
        ),
        (
            json.dumps(
                {
                    "SyslogFacility": "USER",
                    "SyslogFacilityValue": 1,
                    "SourceName": "app",
                    "ProcessID": 7,
                    "Hostname": "lab-3",
                    "Message": STAMPED,
                }
            ),
        ),
        source="NXLog's manual alone (im_kernel, xm_json)",
    ),
    Envelope(
        "Filebeat: files",
        _FILE_PROOF,
        *tailed(filebeat),
        renamed_process=(
            json.dumps({"log.file.path": "/srv/x.log", "message": STAMPED}),
            json.dumps({"log_file_path": "/srv/x.log", "message": STAMPED}),
            json.dumps(
                {"fields": {"log": {"file": {"path": "/srv/x.log"}}}, "message": KERNEL_TAGGED}
            ),
            json.dumps({"source": "/srv/x.log", "message": STAMPED}),
        ),
        unknowable=(json.dumps({"agent": {"type": "filebeat"}, "message": STAMPED}),),
        setting=(
            "`trust.unproven`: without its path; `trust.other_files`, `trust.kernel_files` with it"
        ),
        source="Filebeat (elastic/beats 115ce4d0), libbeat/reader/readfile/metafields.go",
    ),
    Envelope(
        "Filebeat: journald, syslog, containers",
        "`systemd.transport`, `journald.pid`, `log.syslog.*`, `container.*`",
        (
            *(filebeat_journald(entry) for entry in (journal(FAULT), OF_DEVICE)),
            json.dumps(
                {
                    "agent": {},
                    "input": {"type": "journald"},
                    "systemd": {"transport": "kernel"},
                    "syslog": {"identifier": "kernel", "facility": 0},
                    "host": {"hostname": "lab-3"},
                    "message": FAULT,
                }
            ),
            json.dumps(
                {
                    "agent": {},
                    "input": {"type": "syslog"},
                    "cloud": {"service": {"name": "EC2"}},
                    "kubernetes": {"node": {"name": "n1"}},
                    "log": {
                        "syslog": {"appname": "kernel", "facility": {"code": 0, "name": "kernel"}}
                    },
                    "host": {"name": "lab-3"},
                    "message": STAMPED,
                }
            ),
        ),
        (
            *(filebeat_journald(entry) for entry in PROCESSES),
            json.dumps({"agent": {}, "systemd": {"transport": "stdout"}, "message": FAULT}),
            json.dumps(
                {
                    "agent": {},
                    "systemd": {"transport": "kernel"},
                    "process": {"pid": 7},
                    "message": FAULT,
                }
            ),
            json.dumps(
                {
                    "agent": {},
                    "log": {"syslog": {"appname": "app", "facility": {"code": 1}}},
                    "message": STAMPED,
                }
            ),
            json.dumps({"agent": {}, "container": {"id": "abc"}, "message": STAMPED}),
            json.dumps(
                {
                    "agent": {},
                    "input": {"type": "container"},
                    "stream": "stderr",
                    "message": STAMPED,
                }
            ),
            json.dumps(
                {"agent": {}, "kubernetes": {"pod": {"name": "p"}}, "message": KERNEL_TAGGED}
            ),
        ),
        source="Filebeat (elastic/beats 0375571e), filebeat/input/journald/input.go",
    ),
    Envelope(
        "Vector: file",
        _FILE_PROOF,
        *tailed(vector_file),
        renamed_process=(
            json.dumps({"path": "/srv/x.log", "message": STAMPED}),
            json.dumps({"metadata": {"file": "/srv/x.log"}, "message": KERNEL_TAGGED}),
        ),
        unknowable=(json.dumps({"source_type": "file", "message": STAMPED}),),
        setting="`trust.unproven`: without its path",
        source="Vector 0.57.0, src/sources/file.rs",
    ),
    Envelope(
        "Vector: exec",
        "`command`: only what reads the kernel's log may have a pid and a stream",
        (
            json.dumps(vector_exec(["dmesg", "--follow"], STAMPED)),
            json.dumps(vector_exec(["journalctl", "-kf"], KERNEL_TAGGED)),
            json.dumps(vector_exec(["cat", "/dev/kmsg"], f"1,7,12000034,-;{FAULT}")),
        ),
        (
            json.dumps(vector_exec(["my-app"], STAMPED)),
            json.dumps(vector_exec(["cat", "/srv/x.log"], STAMPED)),
            json.dumps(vector_exec(["dmesg", "-w"], STAMPED) | {"kubernetes": {"pod_name": "p"}}),
            json.dumps(vector_exec(["dmesg", "-w"], STAMPED) | {"source_type": "file"}),
        ),
        source="Vector 0.57.0, src/sources/exec/mod.rs",
    ),
    Envelope(
        "Vector: syslog, docker_logs, kubernetes_logs",
        "`appname`, `facility`, `procid`; `source_type`",
        (vector_syslog(STAMPED, "kern"),),
        (
            vector_syslog(STAMPED, "user"),
            vector_syslog(STAMPED, "kern", procid=77),
            vector_docker(STAMPED),
            vector_docker(KERNEL_TAGGED),
            vector_kubernetes(STAMPED),
            vector_kubernetes(KERNEL_TAGGED),
            json.dumps({"source_type": "docker_logs", "message": STAMPED}),
            json.dumps({"source_type": "kubernetes_logs", "message": KERNEL_TAGGED}),
        ),
        source="Vector 0.57.0, src/sources/syslog.rs, docker_logs, kubernetes_logs",
    ),
    Envelope(
        "OpenTelemetry: journald",
        f"in the body's map: {_JOURNAL_PROOF}",
        (
            otlp(journal(FAULT), {}, {"host.name": "lab-3"}),
            otlp(
                journal(FAULT),
                {},
                {"host.name": "lab-3", "service.name": "otelcol", "k8s.node.name": "n1"},
            ),
            collected(journal(FAULT) | {"__CURSOR": "s=1"}),
        ),
        (
            collected(FORGED | {"__CURSOR": "s=1"}),
            collected(FORGED_BARE | {"__CURSOR": "s=1"}, FORGED | {"__CURSOR": "s=2"}),
            otlp(FORGED, {}, {}),
            otlp(FORGED_BARE, {}, {}),
            otlp(journal(FAULT), {}, {"telemetry.sdk.language": "python"}),
            otlp(journal(FAULT), {}, {"k8s.pod.name": "p"}),
        ),
        source=_COLLECTOR,
    ),
    Envelope(
        "OpenTelemetry: journald, converted to semantic conventions",
        "`journald._TRANSPORT` and other attributes, `process.*` of the resource",
        (converted(journal(FAULT)), converted(journal(FAULT) | {"__CURSOR": "s=1"})),
        (
            converted(FORGED),
            converted(FORGED_BARE),
            converted(journal(FAULT, _PID="77")),
            converted(journal(FAULT, _COMM="logger", _UID="0")),
        ),
        source=_COLLECTOR,
    ),
    Envelope(
        "OpenTelemetry: text",
        (
            "`log.iostream`, `k8s.*` (but for the node's), `service.name`, `log.file.path`, "
            "`process.*`"
        ),
        (
            *tailed(filelog)[0],
            otlp(STAMPED, {"log.file.name": "kern.log"}, {"host.name": "lab-3"}),
            otlp(KERNEL_TAGGED, {}, {"host.name": "lab-3", "k8s.node.name": "n1"}),
        ),
        (
            *tailed(filelog)[1],
            otlp(STAMPED, {"log.iostream": "stdout"}, {}),
            otlp(KERNEL_TAGGED, {"log.iostream": "stderr"}, {}),
            otlp(STAMPED, {}, {"k8s.pod.name": "p"}),
            otlp(STAMPED, {}, {"k8s.container.name": "c", "k8s.namespace.name": "n"}),
            otlp(KERNEL_TAGGED, {}, {"service.name": "web"}),
            otlp(STAMPED, {"log.file.name": "web.log"}, {}),
            otlp(STAMPED, {"process.pid": "7"}, {}),
        ),
        (otlp(STAMPED, {}, {"host.name": "lab-3"}),),
        "`trust.unproven`",
        "collector-contrib 0.165.1, pkg/stanza/fileconsumer/attrs/attrs.go; semantic conventions",
        (),
        tuple(
            json.dumps({name: value, "message": KERNEL_TAGGED})
            for name, value in (
                ("log_iostream", "stdout"),
                ("iostream", "stderr"),
                ("attributes", {"log.iostream": "stdout"}),
                ("k8s_pod_name", "p"),
                ("resource_k8s_pod_name", "p"),
                ("k8s", {"container": {"name": "c"}}),
                ("service_name", "web"),
                ("serviceName", "web"),
                ("service", {"name": "web"}),
                ("resource", {"service.name": "web"}),
                ("labels", {"k8s-pod-name": "p"}),
            )
        ),
    ),
    Envelope(
        "Kubernetes and Docker: JSON files, Fluent Bit",
        "`stream`, `kubernetes`, `container_id`, `docker`",
        (json.dumps({"kubernetes": {"node_name": "n1"}, "message": KERNEL_TAGGED}),),
        (
            json.dumps({"log": f"{STAMPED}\n", "stream": "stdout", "time": ISO}),
            json.dumps({"log": STAMPED, "kubernetes": {"pod_name": "p", "namespace_name": "n"}}),
            json.dumps({"log": KERNEL_TAGGED, "container_id": "abc", "container_name": "/web"}),
            json.dumps({"log": STAMPED, "docker": {"container_id": "abc"}}),
            f"{ISO[:-1]}.000000001Z stdout F {STAMPED}",
            f"{ISO[:-1]}.000000001Z stderr P {KERNEL_TAGGED}",
        ),
        renamed_process=(
            json.dumps({"message": STAMPED, "kubernetes_pod_name": "p"}),
            json.dumps({"message": STAMPED, "containerName": "web"}),
            json.dumps({"message": STAMPED, "meta": {"k8s": {"podName": "p"}}}),
            json.dumps({"message": STAMPED, "container": {"image": {"name": "web"}}}),
        ),
        source=(
            "Docker (moby/moby 2200d938), "
            "daemon/logger/jsonfilelog/jsonlog/jsonlog.go; Kubernetes (81b7503c), "
            "pkg/kubelet/kuberuntime/logs/logs.go"
        ),
    ),
    Envelope(
        "Loki, promtail: files",
        _FILE_PROOF,
        *tailed(promtail),
        source="Loki 3.7.6, pkg/loghttp/push; promtail's label filename",
    ),
    Envelope(
        "Loki, promtail: the journal",
        "the labels `transport`, `unit`; with `json: true` the entry's fields",
        (
            promtail_journal(journal(FAULT), "_TRANSPORT", "_HOSTNAME"),
            promtail_journal(OF_DEVICE, "_HOSTNAME", as_json=True),
            json.dumps(
                {
                    "streams": [
                        {
                            "stream": {
                                "job": "systemd-journal",
                                "transport": "kernel",
                                "nodename": "lab-3",
                            },
                            "values": [["1771960870000000000", FAULT]],
                        }
                    ]
                }
            ),
            json.dumps(
                {
                    "labels": {"transport": "kernel", "host": "lab-3"},
                    "line": FAULT,
                    "timestamp": ISO,
                }
            ),
        ),
        (
            promtail_journal(TO_LOG, "_TRANSPORT"),
            promtail_journal(TO_LOG, "_SYSTEMD_UNIT", "_HOSTNAME"),
            *(promtail_journal(entry, as_json=True) for entry in PROCESSES),
            promtail_line({"container": "web"}, LOOKS_LIKE_AN_ENTRY),
            promtail_line({"filename": "/srv/x.log"}, LOOKS_LIKE_AN_ENTRY),
            json.dumps(
                {
                    "streams": [
                        {
                            "stream": {"transport": "stdout"},
                            "values": [["1771960870000000000", FAULT]],
                        }
                    ]
                }
            ),
            json.dumps(
                {
                    "streams": [
                        {
                            "stream": {"unit": "web.service"},
                            "values": [["1771960870000000000", STAMPED]],
                        }
                    ]
                }
            ),
            json.dumps(
                {
                    "streams": [
                        {
                            "stream": {"__journal__transport": "syslog"},
                            "values": [["1771960870000000000", FAULT]],
                        }
                    ]
                }
            ),
            json.dumps(
                {
                    "status": "success",
                    "data": {
                        "resultType": "streams",
                        "result": [
                            {"stream": {"pod": "p"}, "values": [["1771960870000000000", FAULT]]}
                        ],
                    },
                }
            ),
        ),
        (
            promtail_line({"job": "x"}, LOOKS_LIKE_AN_ENTRY),
            json.dumps(
                {
                    "streams": [
                        {
                            "stream": {"job": "systemd-journal"},
                            "values": [["1771960870000000000", FAULT]],
                        }
                    ]
                }
            ),
        ),
        "`trust.unproven`: without the label of the transport",
        "Loki 3.7.6, clients/pkg/promtail/targets/journal/journaltarget.go",
    ),
    Envelope(
        "GELF, Graylog",
        "`_facility`, `_facility_num`, `_application_name`, `_process_id`, `_container_id`",
        (
            graylog(_facility="kernel", _facility_num=0, _application_name="kernel"),
            graylog_syslog(STAMPED, 0, "kernel"),
            graylog(facility="kernel", application_name="kernel"),
        ),
        (
            graylog(_facility="user-level", _application_name="kernel"),
            graylog_syslog(STAMPED, 1, "user-level"),
            graylog_syslog(STAMPED, 0, "kernel", _application_name="kernel", _process_id="77"),
            graylog(_application_name="app", _process_id="7"),
            graylog(_container_id="abc"),
            graylog(_facility_num=1),
            graylog(_logger="db"),
        ),
        (graylog(),),
        "`trust.unproven`",
        "Graylog 7.1.7, SyslogCodec.java; GELF 1.1",
    ),
    Envelope(
        "Splunk's HEC",
        _FILE_PROOF,
        *tailed(splunk),
        source="Splunk's manual alone (format events for HTTP Event Collector)",
    ),
    Envelope(
        "Kafka Connect",
        "what the payload's own envelope says",
        (
            connect(KERNEL_TAGGED),
            connect(journal(FAULT)),
            connect(json.dumps(journal(FAULT))),
            connect(STAMPED),
        ),
        (
            connect(f"Feb 24 19:21:10 lab-3 app[7]: {STAMPED}"),
            connect(FORGED),
            connect(json.dumps(FORGED)),
            connect(f"<9>{KERNEL_TAGGED}"),
        ),
        (connect(STAMPED),),
        "`trust.unproven`: of the payload's text",
        "Kafka (1eb76443), connect/json/…/JsonSchema.java",
    ),
    Envelope(
        "CloudWatch Logs",
        "the group: a file's path, or a service's (/aws/, /ecs/)",
        (
            cloudwatch("/var/log/messages", KERNEL_TAGGED),
            cloudwatch("/var/log/kern.log", STAMPED),
            cloudwatch("hosts", KERNEL_TAGGED),
        ),
        (
            cloudwatch("/aws/lambda/f", KERNEL_TAGGED),
            cloudwatch("/ecs/web", STAMPED),
            cloudwatch("web", STAMPED),
            cloudwatch("/var/log/web.log", STAMPED),
        ),
        (cloudwatch("web", KERNEL_TAGGED),),
        "none: a syslog header in a group of any name is believed",
        source="AWS's manual alone (subscription filters)",
    ),
    Envelope(
        "EC2's console output",
        "nothing: a console",
        (
            json.dumps(
                {"InstanceId": "i-0a1b2c", "Output": f"boot\r\n{STAMPED}\r\n", "Timestamp": ISO}
            ),
        ),
        (json.dumps({"InstanceId": "i-0a1b2c", "Output": f"> {STAMPED}\r\n", "Timestamp": ISO}),),
        (json.dumps({"InstanceId": "i-0a1b2c", "Output": STAMPED}),),
        f"`trust.unproven`: {_HAND}",
        source="AWS's manual alone (GetConsoleOutput)",
    ),
    Envelope(
        "Google Cloud",
        "`resource.labels`: a pod's or a container's",
        (
            google(STAMPED, "gce_instance", "serialconsole.googleapis.com%2Fserial_port_1_output"),
            google(KERNEL_TAGGED, "gce_instance", "syslog"),
            json.dumps(
                {
                    "jsonPayload": {"message": FAULT, "_TRANSPORT": "kernel"},
                    "resource": {"type": "k8s_node", "labels": {"node_name": "n1"}},
                }
            ),
        ),
        (
            google(STAMPED, "k8s_container", "stdout", pod_name="p", container_name="c"),
            json.dumps({"jsonPayload": {"message": FAULT, "_TRANSPORT": "syslog"}}),
            json.dumps({"jsonPayload": {"message": FAULT, "_TRANSPORT": "kernel", "_PID": "7"}}),
        ),
        (google(STAMPED, "gce_instance", "app"),),
        "`trust.unproven`",
        source="googleapis (70402cea), google/logging/v2/log_entry.proto",
    ),
    Envelope(
        "A program's own JSON log",
        "`logger`, `thread`, `pid`, `service`, `file`",
        (json.dumps({"message": STAMPED, "host": "lab-3"}),),
        (
            json.dumps({"level": "info", "logger": "db", "message": KERNEL_TAGGED}),
            json.dumps(
                {"level": 30, "time": 1771960870000, "pid": 7, "hostname": "lab-3", "msg": STAMPED}
            ),
            json.dumps({"thread_name": "main", "logger_name": "x", "message": STAMPED}),
            json.dumps({"ddsource": "nginx", "service": "web", "message": STAMPED}),
            json.dumps({"file": "/srv/app/main.go", "message": KERNEL_TAGGED}),
        ),
        (json.dumps({"message": STAMPED, "host": "lab-3"}),),
        "`trust.unproven`: an object that names only message, host and time",
        source=("pino, Logstash's encoder for Logback, Datadog's agent: their manuals alone"),
    ),
)


def rows() -> Iterator[tuple[str, str, str]]:
    """Every record of the table: (what it is, the envelope's name, the record)."""
    for envelope in ENVELOPES:
        for kind, records in (
            ("kernel", envelope.kernel),
            ("kernel renamed", envelope.renamed_kernel),
            ("process", envelope.process),
            ("process renamed", envelope.renamed_process),
            ("unknowable", envelope.unknowable),
        ):
            yield from ((kind, envelope.name, record) for record in records)


HEAD = """# Who wrote a line: trust

Made from `tests/trust/envelopes.py`, which holds the records behind every row; the tests run all \
of them.

A line that user space wrote never makes a kernel match, whatever its text says. Each line has a \
trust:

- **kernel**: the transport proves it: facility 0, journald's `_TRANSPORT=kernel`, the tag `kernel`;
- **user**: the transport proves the contrary. Such lines that hold the phrase of a kernel fault \
are counted, with a sample (`written by user space`);
- **unknown**: the transport says nothing (plain `dmesg`, a console). Such a line is matched, \
unless `trust.unproven = "user"`.

Of an envelope, one field of user space is enough. Fields are known under any spelling: without \
underscores in front, in lower case, nested, behind any
prefix (`_TRANSPORT`, `TRANSPORT`, `transport`, `journal._TRANSPORT`, `__journal__transport`); a \
field that came twice counts by its worse value.

Within one message of the kernel, text behind a line end begins no fault: it may be a file's name. \
A line that begins with a process's name (`name[pid]:`,
`name (pid):`, `name invoked oom-killer`) is no fault that the name spells.

## The table

| envelope | the kernel's and a process's are told apart by | what cannot be told, and what is \
made of it | as written by |
| --- | --- | --- | --- |
"""
TAIL = """
## Settings

`[trust]` in [settings.md](settings.md): `kernel_files` are the files of which a shipper's lines \
may be the kernel's; lines of any other file are a process's
(`other_files`). `kernel_tags` are syslog tags that are the kernel's as `kernel` is, such as \
`vmcore-dmesg` where rsyslog's imfile ships crash dumps.
`unproven = "user"` takes only what is proved: for fleets whose shippers send facilities or \
journald's fields. Files that `oopswatch scan` reads itself are
whatever their lines say.
"""


def page() -> str:
    """docs/trust.md."""
    rows_ = [f"| {e.name} | {e.proof} | {e.setting} | {e.source} |" for e in ENVELOPES]
    return HEAD + "\n".join(rows_) + "\n" + TAIL


if __name__ == "__main__":
    sys.stdout.write(page())
