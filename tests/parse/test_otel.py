"""OpenTelemetry's log records."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from detector.model import Line


def value(item: object) -> dict[str, object]:
    """A plain value as OTLP's AnyValue."""
    if isinstance(item, dict):
        return {
            "kvlistValue": {
                "values": [{"key": name, "value": value(inner)} for name, inner in item.items()]
            }
        }
    if isinstance(item, list):
        return {"arrayValue": {"values": [value(inner) for inner in item]}}
    return {"stringValue": item} if isinstance(item, str) else {"intValue": str(item)}


JOURNAL = {
    "MESSAGE": "  ESR = 0x1",
    "_TRANSPORT": "kernel",
    "_HOSTNAME": "lab-3",
    "PRIORITY": "4",
    "_SOURCE_MONOTONIC_TIMESTAMP": "12000034",
    "_BOOT_ID": "ab" * 16,
}


def batch(*bodies: object, **resource: str) -> str:
    """An OTLP batch of one resource."""
    records = [
        {"timeUnixNano": "1771960870000012999", "body": value(body), "attributes": []}
        for body in bodies
    ]
    attributes = [
        {"key": name.replace("_", "."), "value": value(text)} for name, text in resource.items()
    ]
    return json.dumps(
        {
            "resourceLogs": [
                {
                    "resource": {"attributes": attributes},
                    "scopeLogs": [{"scope": {}, "logRecords": records}],
                }
            ]
        }
    )


def test_a_batch_of_journal_entries(read: Callable[..., list[Line]]):
    """A body that is a map of journald's fields."""
    first, second = read(
        batch(JOURNAL, JOURNAL | {"_TRANSPORT": "stdout", "MESSAGE": "[    1.000000] BUG: forged"})
    )
    assert (first.text, first.trust, first.kernel_time_us, first.wall_time_us) == (
        "  ESR = 0x1",
        "kernel",
        12_000_034,
        1_771_960_870_000_012,
    )
    assert (first.host, first.level, first.boot_id, first.transport) == (
        "lab-3",
        4,
        "ab" * 16,
        "otel",
    )
    assert (second.trust, second.text) == ("user", "[    1.000000] BUG: forged")


def test_a_batch_of_texts(read: Callable[..., list[Line]]):
    """A body that is a line: the resource names the host."""
    said = read(batch("[   12.000034] one", "Feb 24 19:21:10 lab-9 kernel: two", host_name="lab-3"))
    assert [(found.text, found.host, found.trust) for found in said] == [
        ("one", "lab-3", "unknown"),
        ("two", "lab-9", "kernel"),
    ]


@pytest.mark.parametrize(
    "record",
    [
        {"body": JOURNAL, "timeUnixNano": "1771960870000012999", "attributes": {}},
        {
            "body": value(JOURNAL),
            "timeUnixNano": "1771960870000012999",
            "resource": {"attributes": {"host.name": "other"}},
        },
        {"body": "  ESR = 0x1", "attributes": JOURNAL, "resource": {"host.name": "other"}},
    ],
)
def test_a_single_record(line: Callable[..., Line], record: dict[str, object]):
    """As an object of its own; the entry's own host before the collector's."""
    found = line(json.dumps(record))
    assert (found.text, found.trust, found.host, found.kernel_time_us) == (
        "  ESR = 0x1",
        "kernel",
        "lab-3",
        12_000_034,
    )


def test_syslog_attributes(line: Callable[..., Line]):
    """The syslog receiver: facts as attributes, the body the raw line."""
    attributes = {"appname": "app", "facility": 1, "hostname": "lab-3", "priority": 12}
    found = line(
        json.dumps(
            {"body": "<12>Feb 24 19:21:10 lab-3 kernel: BUG: forged", "attributes": attributes}
        )
    )
    assert found.trust == "user"


@pytest.mark.parametrize(
    "resource_logs",
    [
        None,
        7,
        [7],
        [{"scopeLogs": 7}],
        [{"scopeLogs": [{"logRecords": [7]}]}],
        [{"resource": 7, "scopeLogs": [{"logRecords": [{"body": 7}]}]}],
    ],
)
def test_batches_of_the_wrong_shape(read: Callable[..., list[object]], resource_logs: object):
    """Nothing is made up of them, and nothing raised."""
    assert all(
        not isinstance(found, Line) for found in read(json.dumps({"resourceLogs": resource_logs}))
    )


def test_bytes(line: Callable[..., Line]):
    """A body of bytes."""
    assert line(json.dumps({"body": {"bytesValue": "SGk="}, "attributes": []})).text == "Hi"
