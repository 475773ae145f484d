"""Shippers' JSON: facts, the message inside, and what it must not be able to change."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from detector.model import Line, Unparsed

WALL_US = int(datetime(2026, 2, 24, 19, 21, 10, tzinfo=UTC).timestamp()) * 1_000_000
ISO = "2026-02-24T19:21:10.000012Z"
TEXT = "  ESR = 0x1"

RSYSLOG_ALL = {
    "msg": f" [   12.000034] {TEXT}",
    "rawmsg": f"<4>kernel: [   12.000034] {TEXT}",
    "timereported": ISO,
    "hostname": "lab-3",
    "syslogtag": "kernel:",
    "inputname": "imkmsg",
    "fromhost": "lab-3",
    "pri": "4",
    "syslogfacility": "0",
    "syslogseverity": "4",
    "programname": "kernel",
    "$!": None,
}
STAMPED = f"[   12.000034] {TEXT}"
ENVELOPES = {
    "rsyslog, all properties": (RSYSLOG_ALL, "rsyslog"),
    "rsyslog, a list template": (
        {
            "message": " " + STAMPED,
            "host": "lab-3",
            "ts": ISO,
            "syslogtag": "kernel:",
            "priority": 4,
        },
        "rsyslog",
    ),
    "rsyslog, names of numbers": (
        {
            "msg": " " + STAMPED,
            "host": "lab-3",
            "timestamp": ISO,
            "syslogfacility-text": "kern",
            "syslogseverity-text": "warning",
        },
        "rsyslog",
    ),
    "syslog-ng": (
        {
            "PROGRAM": "kernel",
            "PRIORITY": "warning",
            "MESSAGE": STAMPED,
            "HOST": "lab-3",
            "FACILITY": "kern",
            "ISODATE": ISO,
        },
        "json",
    ),
    "Fluent Bit, syslog": (
        {"pri": "4", "time": ISO, "host": "lab-3", "ident": "kernel", "message": STAMPED},
        "json",
    ),
    "Beats, syslog": (
        {
            "@timestamp": ISO,
            "agent": {"type": "filebeat"},
            "host": {"name": "lab-3"},
            "log": {
                "syslog": {
                    "facility": {"code": 0, "name": "kernel"},
                    "severity": {"code": 4},
                    "appname": "kernel",
                }
            },
            "message": STAMPED,
        },
        "beats",
    ),
    "Beats, dotted": (
        {
            "@timestamp": ISO,
            "ecs": {},
            "host.hostname": "lab-3",
            "log.syslog.facility.code": 0,
            "log.syslog.priority": 4,
            "message": STAMPED,
        },
        "beats",
    ),
    "Vector, syslog": (
        {
            "appname": "kernel",
            "facility": "kern",
            "severity": "warning",
            "hostname": "lab-3",
            "host": "192.0.2.1",
            "message": STAMPED,
            "source_type": "syslog",
            "timestamp": ISO,
        },
        "vector",
    ),
}


@pytest.mark.parametrize("name", ENVELOPES)
def test_a_kernels_line_from_every_shipper(line: Callable[..., Line], name: str):
    """The facts are the envelope's, the kernel's stamp is the message's."""
    fields, transport = ENVELOPES[name]
    found = line(json.dumps(fields))
    assert (found.text, found.trust, found.kernel_time_us, found.wall_time_us) == (
        TEXT,
        "kernel",
        12_000_034,
        WALL_US + 12,
    )
    assert (found.host, found.level, found.facility, found.transport) == (
        "lab-3",
        4,
        found.facility and 0,
        transport,
    )


USER = {
    "tag": {"message": "x", "syslogtag": "app[7]:", "host": "lab-3"},
    "facility": {"message": "x", "syslogtag": "kernel:", "priority": 12},
    "facility by name": {"message": "x", "facility": "user"},
    "beats transport": {"message": "x", "systemd": {"transport": "stdout"}, "agent": {}},
    "kubernetes": {"log": "x", "stream": "stdout", "kubernetes": {"pod_name": "p"}},
    "logger": {"message": "x", "level": "info", "logger": "app.db"},
    "process": {"message": "x", "process": {"pid": 7}},
    "vector": {"message": "x", "source_type": "journald", "_TRANSPORT": "syslog"},
}


@pytest.mark.parametrize("name", USER)
@pytest.mark.parametrize(
    "message",
    [
        "BUG: forged",
        "[    1.000000] BUG: forged",
        "Feb 24 19:21:10 lab-3 kernel: BUG: forged",
        "<2>kernel: BUG: forged",
        "2,1,7,-;BUG: forged",
    ],
)
def test_nothing_in_a_users_message_counts(line: Callable[..., Line], name: str, message: str):
    """Stamps, tags, PRIs and records inside are text."""
    fields = {key: message if value == "x" else value for key, value in USER[name].items()}
    found = line(json.dumps(fields))
    assert (found.trust, found.text, found.kernel_time_us) == ("user", message, None)


def test_fields_inside_the_message_do_not_override(line: Callable[..., Line]):
    """JSON in a message is text."""
    inner = json.dumps(
        {"_TRANSPORT": "kernel", "SYSLOG_FACILITY": "0", "MESSAGE": "BUG: forged", "host": "other"}
    )
    found = line(json.dumps({"message": inner, "host": "lab-3", "syslogtag": "app:"}))
    assert (found.trust, found.text, found.host) == ("user", inner, "lab-3")
    found = line(json.dumps({"message": inner, "host": "lab-3"}))
    assert (found.text, found.host, found.trust) == (inner, "lab-3", "unknown")


@pytest.mark.parametrize(
    ("message", "host", "trust", "wall_time_us"),
    [
        (f"Feb 24 19:21:09 lab-9 kernel: {STAMPED}", "lab-9", "kernel", WALL_US - 1_000_000),
        (
            f"<4>1 2026-02-24T19:21:09Z lab-9 kernel - - - {STAMPED}",
            "lab-9",
            "kernel",
            WALL_US - 1_000_000,
        ),
        (f"Şub 24 19:21:09 lab-9 kernel: {STAMPED}", "lab-9", "kernel", WALL_US + 12),
        (f"<4>{STAMPED}", "collector", "kernel", WALL_US + 12),
        (f"4,1,12000034,-;{TEXT}", "collector", "kernel", WALL_US + 12),
        (STAMPED, "collector", "unknown", WALL_US + 12),
    ],
)
def test_a_shipped_line_of_any_format(
    line: Callable[..., Line], message: str, host: str, trust: str, wall_time_us: int
):
    """A shipper that only tails a file: the line says what it says, the envelope fills the rest."""
    fields = {
        "@timestamp": ISO,
        "host": {"name": "collector"},
        "log": {"file": {"path": "/var/log/kern.log"}},
        "agent": {},
        "message": message,
    }
    found = line(json.dumps(fields))
    assert (found.text, found.kernel_time_us, found.host, found.trust, found.wall_time_us) == (
        TEXT,
        12_000_034,
        host,
        trust,
        wall_time_us,
    )


def test_lines_within_a_message(read: Callable[..., list[Line]]):
    """A shipper that joins lines: each is read."""
    said = read(
        json.dumps({"message": "[    1.000000] one\n[    1.000001] two\n", "host": "lab-3"})
    )
    assert [(found.text, found.kernel_time_us, found.host) for found in said] == [
        ("one", 1_000_000, "lab-3"),
        ("two", 1_000_001, "lab-3"),
    ]


@pytest.mark.parametrize(
    "head",
    [
        "Feb 24 19:21:10 lab-3 app[7]: hello",
        "<14>Feb 24 19:21:10 lab-3 app: hello",
        f"<14>1 {ISO} lab-3 app 7 - - hello",
    ],
)
def test_a_process_cannot_end_its_message(read: Callable[..., list[Line]], head: str):
    """What follows a line end in a message that a process wrote is the process's, whatever header
    it spells.
    """
    forged = "Feb 24 19:21:11 lab-3 kernel: [   12.000034] Kernel panic - not syncing: no"
    said = read(json.dumps({"message": f"{head}\n{forged}\n<4>{forged}", "host": "lab-3"}))
    assert [line.trust for line in said] == ["user"] * 3


@pytest.mark.parametrize(
    "value",
    [
        '[{"message":"one","host":"a"},{"message":"two","host":"b"}]',
        '{"message":"one","host":"a"}\n{"message":"two","host":"b"}\n',
        ' [ {"message":"one","host":"a"} , {"message":"two","host":"b"} ]',
    ],
)
def test_many_objects(read: Callable[..., list[Line]], value: str):
    """An array, or one object a line."""
    assert [(found.text, found.host) for found in read(value)] == [("one", "a"), ("two", "b")]


def test_fluent_bits_kernel_log(line: Callable[..., Line]):
    """Its clock, the kernel's escapes, no facility (it keeps the level alone), the dictionary left
    out.
    """
    message = "  caf\\xc3\\xa9\n SUBSYSTEM=net\n DEVICE=n9"
    fields = {
        "@timestamp": 1771961000.5,
        "priority": 4,
        "sequence": 9,
        "sec": 61817741,
        "usec": 312094,
        "msg": message,
        "host": "lab-3",
    }
    found = line(json.dumps(fields))
    assert (found.text, found.kernel_time_us, found.wall_time_us) == (
        "  café",
        61_817_741_312_094,
        1_771_961_000_500_000,
    )
    assert (found.level, found.facility, found.trust, found.host, found.transport) == (
        4,
        None,
        "unknown",
        "lab-3",
        "fluent-bit",
    )


@pytest.mark.parametrize(
    "head", ["[1771961000, {", "[1771961000.000000000, {", "[[1771961000.000000000, {}], {"]
)
def test_fluent_bits_stdout(line: Callable[..., Line], head: str):
    """The form that its users paste."""
    found = line(
        f'[0] kernel: {head}"priority"=>4, "sequence"=>9, "sec"=>12, "usec"=>34, "msg"=>"a '
        f'\\"b\\"=> c"}}]'
    )
    assert (found.text, found.kernel_time_us, found.wall_time_us) == (
        'a "b"=> c',
        12_000_034,
        1_771_961_000_000_000,
    )


@pytest.mark.parametrize(
    ("value", "trust", "level"),
    [
        ('{"pri": 4, "time":    12.000034, "msg": "  ESR = 0x1"}', "kernel", 4),
        ('{"pri": 4, "time":    12.000034, "caller": "T9", "msg": "  ESR = 0x1"}', "kernel", 4),
        ('{"fac":"kern","pri":"warn", "time": 12.000034, "msg": "  ESR = 0x1"}', "kernel", 4),
        ('{"fac":"user","pri":"warn", "time": 12.000034, "msg": "  ESR = 0x1"}', "user", 4),
        ('{"pri": 12, "time": 12.000034, "msg": "  ESR = 0x1"}', "user", 4),
        (
            (
                '{\n  "dmesg": [\n    {\n "pri": 4,\n "time": 12.000034,\n "msg": "  ESR = '
                '0x1"\n }\n ]\n}'
            ),
            "kernel",
            4,
        ),
    ],
)
def test_dmesg_json(line: Callable[..., Line], value: str, trust: str, level: int):
    """Single objects and the whole document."""
    found = line(value)
    assert (found.text, found.kernel_time_us, found.trust, found.level, found.transport) == (
        TEXT,
        12_000_034,
        trust,
        level,
        "dmesg-json",
    )
    assert found.caller == ("T9" if "caller" in value else None)


def test_a_long_uptime_stays_exact(line: Callable[..., Line]):
    """No JSON number becomes a float."""
    assert line('{"pri":4,"time":999999999.999999,"msg":"x"}').kernel_time_us == 999_999_999_999_999


def test_cee_cookie(line: Callable[..., Line]):
    """Structured syslog's mark before the object."""
    assert line('@cee: {"msg":"x","host":"lab-3","programname":"kernel"}').host == "lab-3"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ('{"message": "x"', "json-bad"),
        ('{"message": "x"} trailing', "json-bad"),
        ("{}", "json-no-message"),
        ('{"message": {"a": 1}}', "json-no-message"),
        ('[{"message": "x"}, 7]', "json-shape"),
        ('{"a":' * 100_000, "json-deep"),
        ('{"message":"x","pri":' + "9" * 5000 + "}", "json-bad"),
    ],
)
def test_what_json_can_go_wrong(
    read: Callable[..., list[Line | Unparsed]], value: str, reason: str
):
    """Each fault has its own name and a short sample."""
    found = [part for part in read(value) if isinstance(part, Unparsed)]
    assert [part.reason for part in found] == [reason]
    assert len(found[0].sample) <= 200


@pytest.mark.parametrize("value", [10**30, -1, True, 1.5, [], {}, "x", "9" * 400, None])
@pytest.mark.parametrize(
    "field",
    [
        "pri",
        "priority",
        "facility",
        "severity",
        "timestamp",
        "time",
        "host",
        "syslogtag",
        "_BOOT_ID",
        "sec",
        "__REALTIME_TIMESTAMP",
    ],
)
def test_fields_of_the_wrong_kind_say_nothing(line: Callable[..., Line], field: str, value: object):
    """No kind of value in any field costs the line."""
    found = line(json.dumps({"message": "x", "msg": "x", "usec": 1, "sec": 1} | {field: value}))
    assert found.text == "x"
