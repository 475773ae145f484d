"""Every number of every format may be anything: what is read of it stays within what a clock can
show, and the line stays.
"""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.clock import DAY_US
from detector.model import Line, Record, Unparsed
from detector.parse import Parser
from detector.parse.stamps import UPTIME_BOUND_US, WALL_BOUND_US

NOW_US = 1_772_366_400_000_000
TEXT = "Unable to handle kernel paging request at virtual address 0000000000012345"

# A § stands for a number. Of a JSON format each value in turn is replaced.
LINES = {
    "dmesg": f"[§.§] {TEXT}",
    "dmesg-caller": f"[  100.000001][ T§] {TEXT}",
    "dmesg-cpu": f"[  100.000001@§] {TEXT}",
    "dmesg-raw": f"<§>[  100.000001] {TEXT}",
    "dmesg-date": f"[Tue Feb § 19:21:10 §] {TEXT}",
    "dmesg-iso": f"§-02-§T19:21:10,123456+01:00 {TEXT}",
    "dmesg-delta": f"[  100.000001 <    §.§>] {TEXT}",
    "kmsg": f"§,§,§,-,caller=T§;{TEXT}",
    "netconsole": f"§.§.1,§,§,§,-;{TEXT}",
    "netconsole-fragment": f"6.9.1,4,100,501000000,-,ncfrag=§/§;{TEXT}",
    "rfc3164": f"<§>Feb § 19:21:10 db-1 kernel: [  100.000001] {TEXT}",
    "rfc3164-plain": f"Feb § 19:21:10 db-1 kernel: [  §.000001] {TEXT}",
    "rfc3164-iso": f"§-02-24T19:21:10.§Z db-1 kernel: [  §.000001] {TEXT}",
    "rfc5424": f"<§>§ 2026-02-24T19:21:10.§Z db-1 kernel § - - [  §.000001] {TEXT}",
    "pstore": f"Panic#§ Part§\n<§>[  §.000001] {TEXT}",
    "ramoops": f"====§.§-D\n<2>[  100.000001] {TEXT}",
    "console": f"c  §.000001! {TEXT}",
    "console-dropped": f"** § printk messages dropped ** [  §.000001] {TEXT}",
    "console-vendor": f"<2>[  100.000001] [pid:§,cpu§,kworker]{TEXT}",
    "fluent-stdout": '[§] kmsg: [§.§, {"priority"=>§, "sequence"=>§, "sec"=>§, "usec"=>§, '
    f'"msg"=>"{TEXT}"}}]',
}
OBJECTS = {
    "journald": {
        "MESSAGE": TEXT,
        "_TRANSPORT": "kernel",
        "PRIORITY": "2",
        "SYSLOG_FACILITY": "0",
        "__REALTIME_TIMESTAMP": "1772366400000000",
        "__MONOTONIC_TIMESTAMP": "100000001",
        "_SOURCE_MONOTONIC_TIMESTAMP": "100000001",
    },
    "journald-bytes": {"MESSAGE": list(TEXT.encode()[:4]), "_TRANSPORT": "kernel"},
    "dmesg-json": {"dmesg": [{"fac": 0, "pri": 2, "time": 100.000001, "msg": TEXT}]},
    "rsyslog": {
        "msg": f" [  100.000001] {TEXT}",
        "syslogtag": "kernel:",
        "timereported": "2026-02-24T19:21:10Z",
        "syslogfacility": 0,
        "syslogseverity": 2,
        "pri": 2,
    },
    "fluent-bit": {"priority": 2, "sequence": 100, "sec": 100, "usec": 1, "msg": TEXT, "date": 1.5},
    "beats": {
        "message": TEXT,
        "@timestamp": 1772366400000,
        "log": {"syslog": {"priority": 2, "facility": {"code": 0}, "severity": {"code": 2}}},
        "agent": {},
    },
    "vector": {"message": TEXT, "source_type": "syslog", "timestamp": 1772366400, "severity": 2},
    "otel": {
        "resourceLogs": [
            {
                "scopeLogs": [
                    {
                        "logRecords": [
                            {
                                "timeUnixNano": "1772366400000000000",
                                "observedTimeUnixNano": 1772366400000000000,
                                "severityNumber": 21,
                                "body": {"stringValue": TEXT},
                                "attributes": [{"key": "facility", "value": {"intValue": 0}}],
                            }
                        ]
                    }
                ]
            }
        ]
    },
    "json": {"message": TEXT, "time": 1772366400, "level": 2, "facility": 0, "host": 7, "ts": 1.5},
}

HOSTILE = [
    *(str(sign * (1 << bits) + more) for sign in (1, -1) for bits in (31, 32, 53, 62, 63, 64)
      for more in (-1, 0, 1)),
    *("0", "-0", "007", "9" * 12, "9" * 18, "9" * 19, "9" * 20, "9" * 400, "9" * 5_000),
    *(str(10**30), "-1", "1e30", "1e400", "-1.5", "0.0000001", "1.0", "NaN", "Infinity", "-inf"),
    *("nan", "0x7fffffffffffffff", "१२३", "²", "", " ", "true", "null", '"NaN"', '"1e30"', "[]"),
]  # fmt: skip
QUOTED = re.compile(r'"(?:\d[\dTZ:.-]*|§)"|(?<=[ \[])\d+(?:\.\d+)?(?=[,}\]])')


def variants(template: str, number: str) -> list[str]:
    """The template with the number in each place in turn, the other places as a kernel fills them,
    and with it in all.
    """
    parts = template.split("§")
    found = []
    for place in range(len(parts) - 1):
        filled = [number if place == other else "7" for other in range(len(parts) - 1)]
        found.append("".join(a + b for a, b in zip(parts, [*filled, ""], strict=True)))
    return [*found, template.replace("§", number)]


def objects(item: object, number: str) -> list[str]:
    """An object with the number in place of each of its values in turn: bare, and as a string."""
    text = json.dumps(item)
    places = [found.span() for found in QUOTED.finditer(text)]
    return [
        text[:start] + token + text[end:]
        for start, end in places
        for token in (number or "0", json.dumps(number))
    ]


def read(parser: Parser, value: str) -> list[Line | Unparsed]:
    """What a parser says of a record between two plain ones of the same stream."""
    values = (f"4,1,1,-;{TEXT}", value, f"4,2,2,-;{TEXT}")
    return [
        found
        for number, text in enumerate(values)
        for found in parser.feed(Record(text.encode(), "logs/0", number), NOW_US)
    ] + parser.flush()


def check(value: str) -> None:
    """All lines that are read have possible times; nothing raised."""
    parser = Parser()
    found = read(parser, value)
    assert len(found) + parser.counts["blank"] >= 3, value
    for line in found:
        if isinstance(line, Unparsed):
            assert not line.reason.startswith("error"), (line.reason, value)
            continue
        assert line.kernel_time_us is None or type(line.kernel_time_us) is int, value
        assert line.wall_time_us is None or type(line.wall_time_us) is int, value
        assert 0 <= (line.kernel_time_us or 0) < UPTIME_BOUND_US, value
        assert -DAY_US <= (line.wall_time_us or 0) < WALL_BOUND_US, value


@pytest.mark.parametrize("template", LINES.values(), ids=LINES)
def test_any_number_in_a_line(template: str) -> None:
    """Of text formats: each number, and all of them at once."""
    assert "§" in template
    for number in HOSTILE:
        for value in variants(template, number):
            check(value)


@pytest.mark.parametrize("item", OBJECTS.values(), ids=OBJECTS)
def test_any_number_in_an_object(item: object) -> None:
    """Of JSON formats: each value, as a number and as a string."""
    assert objects(item, "1")
    for number in HOSTILE:
        for value in objects(item, number):
            check(value)


@given(
    template=st.sampled_from([*LINES.values()]),
    item=st.sampled_from([*OBJECTS.values()]),
    number=st.one_of(
        st.integers().map(str),
        st.integers(min_value=-(1 << 70), max_value=1 << 70).map(str),
        st.floats().map(str),
        st.decimals(allow_nan=True).map(str),
    ),
)
def test_numbers_that_nobody_thought_of(template: str, item: object, number: str) -> None:
    """The same with any integer, float or decimal."""
    for value in (*variants(template, number), *objects(item, number)):
        check(value)


@pytest.mark.parametrize(
    ("value", "kernel_us"),
    [
        (f"4,100,{UPTIME_BOUND_US - 1},-;{TEXT}", UPTIME_BOUND_US - 1),
        (f"4,100,{UPTIME_BOUND_US},-;{TEXT}", None),
        (f'{{"priority":2,"sequence":1,"sec":10000000000000,"usec":1,"msg":"{TEXT}"}}', None),
        (f"Feb 24 19:21:10 db-1 kernel: [999999999999.000001] {TEXT}", None),
    ],
)
def test_a_time_that_no_clock_shows_is_none_and_is_counted(
    value: str, kernel_us: int | None
) -> None:
    """The line itself stays."""
    parser = Parser()
    (line,) = parser.feed(Record(value.encode(), "logs/0", 1), NOW_US)
    assert isinstance(line, Line)
    assert (line.text, line.kernel_time_us) == (TEXT, kernel_us)
    assert parser.counts["impossible_time"] == (kernel_us is None)


def test_jumps_of_the_numbers_are_no_losses() -> None:
    """A hole is counted; a step that no kernel loses, or a number beyond 64 bits, is another
    run.
    """
    parser = Parser()
    for sequence in (100, 103, 1 << 62, 5, 8, (1 << 64) - 1, 1 << 64, 10**19, 9, 10):
        parser.feed(Record(f"4,{sequence},1,-;{TEXT}".encode(), "kmsg", 1), NOW_US)
    assert parser.counts["sequence_gap"] == 2
    assert parser.counts["sequence_missing"] == 4
