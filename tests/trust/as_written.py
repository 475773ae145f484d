"""Records as shippers write them, field by field: each function names the version and the file of
the shipper that it follows. Every one takes what the kernel or a process said, and gives JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

Fields = dict[str, object]
Entry = Mapping[str, str]
"""A journal's entry as `journalctl -o json` prints it."""

EPOCH = 1771960870.5
RFC3339 = "2026-02-24T19:21:10.500034+00:00"
DEVICE = {"_KERNEL_SUBSYSTEM": "pci", "_KERNEL_DEVICE": "+pci:0000:00:1f.6"}
LOGGED = {
    "_TRANSPORT": "syslog", "_PID": "77", "_UID": "1000", "_GID": "1000", "_COMM": "logger",
    "_EXE": "/usr/bin/logger", "_CMDLINE": "logger -t kernel", "SYSLOG_FACILITY": "1",
    "_SYSTEMD_UNIT": "user@1000.service", "SYSLOG_TIMESTAMP": "Feb 24 19:21:10 ",
}  # fmt: skip
"""What an entry has besides where a process wrote it to /dev/log."""
WRITTEN_TO_KMSG = {"SYSLOG_FACILITY": "3", "SYSLOG_IDENTIFIER": "kernel", "SYSLOG_PID": "1"}
"""The same where a process wrote it to /dev/kmsg: the transport is the kernel's
(src/journal/journald-kmsg.c), the facility is not.
"""


def vector_journald(entry: Entry) -> str:
    """Vector 0.57.0, src/sources/journald.rs: the message and the host have names of their own."""
    kept = {name: value for name, value in entry.items() if name not in {"MESSAGE", "_HOSTNAME"}}
    own = {"host": entry["_HOSTNAME"], "message": entry["MESSAGE"], "source_type": "journald"}
    return json.dumps(kept | own | {"timestamp": "2026-02-24T19:21:10.500Z"})


def fluent_bit_systemd(entry: Entry, *, strip: bool = False) -> str:
    """Fluent Bit 5.1.1, plugins/in_systemd/systemd.c and plugins/out_kafka/kafka.c: the entry's
    data, of which `strip_underscores` takes one underscore, and the output's time.
    """
    data = {name: value for name, value in entry.items() if not name.startswith("__")}
    if strip:
        data = {name.removeprefix("_"): value for name, value in data.items()}
    return json.dumps({"@timestamp": EPOCH, **data})


def fluent_bit_kmsg(message: str) -> str:
    """Fluent Bit 5.1.1, plugins/in_kmsg/in_kmsg.c: the level alone of the priority, and all that
    one read of /dev/kmsg gives behind the header: its dictionary too.
    """
    read = {"priority": 1, "sequence": 7, "sec": 12, "usec": 34, "msg": message}
    return json.dumps({"@timestamp": EPOCH, **read, "host": "lab-3"})


def rsyslog_jsonmesg(
    message: str, inputname: str, tag: str, facility: int, *, raw: str = "", more: object = None
) -> str:
    """rsyslog 8.2608.0, runtime/msg.c, msgGetJSONMESG; imklog and imkmsg (contrib/imkmsg/imkmsg.c)
    give each line the tag `kernel:`, and imkmsg puts what it read into `$!`.
    """
    name, _, pid = tag.rstrip(":]").partition("[")
    return json.dumps(
        {
            "msg": message, "rawmsg": raw or message, "timereported": RFC3339, "hostname": "lab-3",
            "syslogtag": tag, "inputname": inputname, "fromhost": "lab-3",
            "fromhost-ip": "127.0.0.1", "fromhost-port": "", "pri": str(facility * 8 + 1),
            "syslogfacility": str(facility), "syslogseverity": "1", "timegenerated": RFC3339,
            "programname": name, "protocol-version": "0", "structured-data": "-", "app-name": name,
            "procid": pid or "-", "msgid": "-", "uuid": None, "$!": more,
        }
    )  # fmt: skip


def syslog_ng(
    message: str, transport: str, facility: str, *, program: str = "kernel", **more: object
) -> str:
    """syslog-ng 4.11.0, lib/value-pairs/value-pairs.c: the scopes selected-macros and nv-pairs,
    which format-json has where none is named; TRANSPORT is what read the line.
    """
    return json.dumps(
        {
            "TRANSPORT": transport, "TAGS": ".source.s_sys", "SOURCE": "s_sys", "SEQNUM": "1",
            "PROGRAM": program, "PRIORITY": "alert", "MESSAGE": message, "HOST_FROM": "lab-3",
            "HOST": "lab-3", "FACILITY": facility, "DATE": "Feb 24 19:21:10", **more,
        }
    )  # fmt: skip


_BEATS = {
    "_HOSTNAME": "host.hostname", "_MACHINE_ID": "host.id", "_BOOT_ID": "journald.host.boot_id",
    "_TRANSPORT": "systemd.transport", "_PID": "journald.pid", "_UID": "journald.uid",
    "_GID": "journald.gid", "_COMM": "journald.process.name",
    "_EXE": "journald.process.executable", "_CMDLINE": "journald.process.command_line",
    "_SYSTEMD_UNIT": "systemd.unit", "SYSLOG_IDENTIFIER": "syslog.identifier",
    "SYSLOG_PID": "syslog.pid", "SYSLOG_FACILITY": "log.syslog.facility.code",
    "PRIORITY": "log.syslog.priority", "_KERNEL_SUBSYSTEM": "journald.kernel.subsystem",
    "_KERNEL_DEVICE": "journald.kernel.device", "MESSAGE": "message",
}  # fmt: skip
_BEATS_DROPS = {"_SOURCE_MONOTONIC_TIMESTAMP", "_SOURCE_REALTIME_TIMESTAMP"}
_NUMBERS = {"log.syslog.facility.code", "log.syslog.priority", "journald.pid", "journald.uid"}


def filebeat_journald(entry: Entry) -> str:
    """Filebeat (elastic/beats 0375571e), filebeat/input/journald/input.go and
    pkg/journalfield/default.go: the kernel's stamp is dropped, other fields are journald.custom.
    """
    fields: Fields = {
        "@timestamp": "2026-02-24T19:21:10.500Z",
        "@metadata": {"beat": "filebeat", "type": "_doc", "version": "9.3.0"},
        "agent": {"name": "lab-3", "type": "filebeat", "version": "9.3.0"},
        "ecs": {"version": "8.0.0"},
        "event": {"kind": "event", "created": "2026-02-24T19:21:11.000Z"},
        "input": {"type": "journald"},
        "host": {"name": "lab-3"},
    }
    for name, value in entry.items():
        if name in _BEATS_DROPS or name.startswith("__"):
            continue
        path = _BEATS.get(name, f"journald.custom.{name.strip('_').lower()}")
        _put(fields, path, int(value) if path in _NUMBERS else value)
    return json.dumps(fields)


def _put(fields: Fields, path: str, value: object) -> None:
    *folders, last = path.split(".")
    for folder in folders:
        nested = fields.setdefault(folder, {})
        assert isinstance(nested, dict)
        fields = nested
    fields[last] = value


def vector_syslog(message: str, facility: str, **changed: object) -> str:
    """Vector 0.57.0, src/sources/syslog.rs."""
    fields: Fields = {
        "appname": "kernel", "facility": facility, "host": "lab-3", "hostname": "lab-3",
        "message": message, "severity": "alert", "source_ip": "192.0.2.7",
        "source_type": "syslog", "timestamp": "2026-02-24T19:21:10.500Z",
    }  # fmt: skip
    return json.dumps(fields | changed)


def vector_docker(message: str) -> str:
    """Vector 0.57.0, src/sources/docker_logs/mod.rs."""
    return json.dumps(
        {
            "container_created_at": "2026-02-24T19:00:00Z", "container_id": "9b6247364a03",
            "container_name": "web", "host": "lab-3", "image": "nginx:1", "message": message,
            "source_type": "docker_logs", "stream": "stdout",
            "timestamp": "2026-02-24T19:21:10.500Z",
        }
    )  # fmt: skip


def vector_kubernetes(message: str) -> str:
    """Vector 0.57.0, src/sources/kubernetes_logs/mod.rs and pod_metadata_annotator.rs."""
    pod = {"pod_name": "web-0", "pod_namespace": "shop", "pod_node_name": "n1", "pod_uid": "u"}
    return json.dumps(
        {
            "file": "/var/log/pods/shop_web-0_u/web/0.log", "kubernetes": pod, "message": message,
            "source_type": "kubernetes_logs", "stream": "stderr",
            "timestamp": "2026-02-24T19:21:10.500Z",
        }
    )  # fmt: skip


def promtail_journal(entry: Entry, *labels: str, as_json: bool = False) -> str:
    """Loki 3.7.6, clients/pkg/promtail/targets/journal/journaltarget.go: labels are those that a
    relabelling keeps of `__journal_…`; with `json: true` the line is the entry.
    """
    kept = {name.strip("_").lower(): entry[name] for name in labels if name in entry}
    fields = {name: value for name, value in entry.items() if not name.startswith("__")}
    line = json.dumps(fields) if as_json else entry["MESSAGE"]
    stream = {
        "stream": {"job": "systemd-journal", **kept},
        "values": [["1771960870500000000", line]],
    }
    return json.dumps({"streams": [stream]})


def graylog_syslog(message: str, facility: int, name: str, **more: object) -> str:
    """Graylog 7.1.7, graylog2-server/…/inputs/codecs/SyslogCodec.java, as its GELF output sends
    it on: additional fields begin with an underscore.
    """
    return json.dumps(
        {
            "version": "1.1", "host": "lab-3", "short_message": message, "timestamp": EPOCH,
            "level": 1, "_facility": name, "_facility_num": facility,
            "_source": "lab-3", **more,
        }
    )  # fmt: skip
