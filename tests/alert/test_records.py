"""Incidents as OpenTelemetry log records and as ECS documents, held to the schemas of both."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from detector.alert.ecs import ECS_VERSION, ecs_document
from detector.alert.notice import Notice
from detector.alert.otlp import log_record, logs_request
from detector.alert.senders import sender_of
from detector.alert.senders.webhook import notice_key
from detector.cli import oopswatch
from tests.support.notices import FORBIDDEN, NOW, hostile, notice, storm
from tests.support.queries import fill
from tests.support.receivers import answer as answering
from tests.support.receivers import http_receiver

PAGE = Path(__file__).parents[2] / "docs" / "records.md"
# Attributes of semantic conventions 1.44, model/*/registry.yaml.
CONVENTIONS = {
    "service.name",
    "service.version",
    "host.name",
    "os.type",
    "log.record.uid",
    "code.function.name",
    "url.full",
}


def otlp_of(given: Notice) -> dict[str, Any]:
    """What a notice's leading incident is as a request."""
    lead = given.subjects[0]
    record = log_record(lead, observed_us=given.at_us, uid="u", action="fire", link=given.link)
    return logs_request(lead, record)


def ecs_of(given: Notice) -> dict[str, Any]:
    """What it is as a document."""
    lead = given.subjects[0]
    return ecs_document(lead, created_us=given.at_us, uid="u", action="fire", link=given.link)


def parsed(request: Any) -> ExportLogsServiceRequest:
    """A request as the protocol's own schema reads it; an unknown field is an error."""
    return json_format.Parse(json.dumps(request), ExportLogsServiceRequest())


NOTICES = pytest.mark.parametrize(
    "given",
    [
        notice(),
        notice("resolve"),
        hostile(),
        storm(),
        notice(started_us=None, uptime_us=None, kernel=None, function=None, lines=()),
        notice(started_us=-1),
        notice(started_us=2**70),
    ],
    ids=["usual", "resolve", "hostile", "storm", "bare", "before-1970", "far-future"],
)


@NOTICES
def test_request_is_read_by_the_schema_of_the_protocol(given: Notice) -> None:
    """One record of one resource, its attributes by name once, no trace behind it."""
    (resource_logs,) = parsed(otlp_of(given)).resource_logs
    (scope_logs,) = resource_logs.scope_logs
    (record,) = scope_logs.log_records
    names = [pair.key for pair in (*resource_logs.resource.attributes, *record.attributes)]
    assert len(names) == len(set(names))
    assert {name for name in names if not name.startswith("oopswatch.")} <= CONVENTIONS
    assert record.event_name == "oopswatch.incident"
    assert (record.trace_id, record.span_id) == (b"", b"")
    assert record.observed_time_unix_nano == given.at_us * 1_000


def test_record_says_what_the_incident_is() -> None:
    """Time, severity, host and rule in the places where others look for them."""
    lead = notice().subjects[0]
    (resource_logs,) = parsed(otlp_of(notice())).resource_logs
    record = resource_logs.scope_logs[0].log_records[0]
    resource = {pair.key: pair.value.string_value for pair in resource_logs.resource.attributes}
    attributes = {pair.key: pair.value for pair in record.attributes}
    assert resource["host.name"] == lead.host
    assert record.time_unix_nano == lead.started_us * 1_000
    assert (record.severity_number, record.severity_text) == (21, "critical")
    assert record.body.string_value.startswith(f"{lead.host}: ")
    assert attributes["oopswatch.rule.id"].string_value == lead.rule
    assert attributes["oopswatch.incident.gap_us"].int_value == lead.gap_us
    lines = attributes["oopswatch.incident.lines"].array_value.values
    assert [line.string_value for line in lines] == list(lead.lines)


@pytest.mark.parametrize(
    ("severity", "numbers"), [("critical", 21), ("error", 17), ("warning", 13), ("info", 9)]
)
def test_severities_are_those_of_the_data_model(severity: str, numbers: int) -> None:
    """FATAL, ERROR, WARN, INFO begin at these numbers."""
    request = parsed(otlp_of(notice(severity=severity)))
    assert request.resource_logs[0].scope_logs[0].log_records[0].severity_number == numbers


def ecs_fields() -> dict[str, tuple[str, bool, frozenset[str]]]:
    """The fields of ECS: type, whether it is an array, the values allowed."""
    table = (Path(__file__).parent / "fixtures" / "ecs-fields.tsv").read_text()
    rows = [line.split("\t") for line in table.splitlines() if not line.startswith("#")]
    return {
        name: (kind, shape == "array", frozenset(filter(None, allowed.split(","))))
        for name, kind, shape, allowed in rows
    }


def flat(document: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a document by their dotted names."""
    for name, value in document.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def fits(kind: str, value: Any) -> bool:
    """Whether Elasticsearch indexes a value as this type, as it stands."""
    if kind == "date":
        return bool(datetime.fromisoformat(value))
    return isinstance(value, int if kind == "long" else str)


@NOTICES
def test_document_holds_fields_of_the_schema(given: Notice) -> None:
    """Each is there in 9.4, of its type, an array where it is one, with a value that is allowed;
    the rest is under the product's own name.
    """
    fields = ecs_fields()
    leaves = dict(flat(ecs_of(given)))
    assert leaves["ecs.version"] == ECS_VERSION
    assert leaves["@timestamp"]
    for name, value in leaves.items():
        if name.startswith("oopswatch."):
            continue
        kind, array, allowed = fields[name]
        assert isinstance(value, list) == array, name
        for item in value if array else [value]:
            assert fits(kind, item), name
            assert not allowed or item in allowed, name


def test_document_says_what_the_incident_is() -> None:
    """An alert about a host, by a rule."""
    lead = notice().subjects[0]
    leaves = dict(flat(ecs_of(notice())))
    assert (leaves["event.kind"], leaves["event.category"]) == ("alert", ["host"])
    assert (leaves["host.name"], leaves["host.os.kernel"]) == (lead.host, lead.kernel)
    assert (leaves["rule.id"], leaves["rule.name"]) == (lead.rule, lead.rule_title)
    assert leaves["oopswatch.lines"] == list(lead.lines)


@pytest.mark.parametrize("of", [otlp_of, ecs_of])
def test_hostile_texts_print(of: Any) -> None:
    """What does not print is spelled out, and the whole is bounded."""
    text = json.dumps(of(hostile()), ensure_ascii=False)
    assert len(text) < 100_000
    assert not [bad for bad in FORBIDDEN[:10] if bad in text]


def test_webhook_posts_either(tmp_path: Path) -> None:
    """Signed and keyed like the documented object; a second attempt has the same id."""
    secret = tmp_path / "secret"
    secret.write_text("between-us")
    with http_receiver() as receiver:
        for kind in ("otlp", "ecs"):
            table = {"kind": "webhook", "url": f"{receiver.url}/v1/logs", "format": kind}
            outcome = sender_of(table | {"secret_file": str(secret)}, "w").send(notice(), NOW)
            assert outcome.verdict == "delivered"
    otlp, ecs = receiver.requests
    assert otlp.headers["Content-Type"] == "application/json"
    assert "Oopswatch-Signature" in otlp.headers
    attributes = parsed(otlp.json).resource_logs[0].scope_logs[0].log_records[0].attributes
    uid = {pair.key: pair.value.string_value for pair in attributes}["log.record.uid"]
    assert uid == ecs.json["event"]["id"] == notice_key(notice())
    assert ecs.json["event"]["action"] == "fire"


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ('{"partialSuccess":{}}', "delivered"),
        ('{"partialSuccess":{"rejectedLogRecords":"0","errorMessage":"slow"}}', "delivered"),
        ('{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"too big"}}', "refused"),
        ('{"partialSuccess": {"rejectedLogRecords": 1}}', "refused"),
    ],
)
def test_rejected_record_is_not_delivered(answer: str, verdict: str) -> None:
    """A collector answers 200 and says in the body that it rejected the record."""
    with http_receiver(answering(200, answer)) as receiver:
        table = {"kind": "webhook", "url": receiver.url, "format": "otlp"}
        assert sender_of(table, "w").send(notice(), NOW).verdict == verdict


def test_export_writes_a_record_a_line(tmp_path: Path) -> None:
    """Of every incident of the filter; the same again has the same ids."""
    path = tmp_path / "history.db"
    fill(path)

    def lines(kind: str) -> list[Any]:
        arguments = ["export", "--format", kind, "--host", "db-*", "--store", str(path)]
        result = CliRunner().invoke(
            oopswatch, arguments, env={"OOPSWATCH_ALERT_BASE_URL": "https://oops.example.com/"}
        )
        assert result.exit_code == 0, result.output
        return [json.loads(line) for line in result.output.splitlines()]

    whole, otlp, ecs = lines("ndjson"), lines("otlp"), lines("ecs")
    records = [parsed(line).resource_logs[0].scope_logs[0].log_records[0] for line in otlp]
    by_name = [{pair.key: pair.value.string_value for pair in each.attributes} for each in records]
    wanted = [item["id"] for item in whole]
    assert len(wanted) == 4
    assert [each["oopswatch.incident.id"] for each in by_name] == wanted
    assert [each["oopswatch"]["incident"]["id"] for each in ecs] == wanted
    assert [each["url.full"] for each in by_name] == [each["event"]["url"] for each in ecs]
    assert by_name[0]["url.full"] == f"https://oops.example.com/incidents/{wanted[0]}"
    assert len({each["event"]["id"] for each in ecs}) == 4
    assert lines("ecs") == ecs


def test_every_name_is_documented() -> None:
    """The page has a row for each attribute and field, and no other."""
    resource_logs = otlp_of(notice(known_bug="x", module="m"))["resourceLogs"][0]
    record = resource_logs["scopeLogs"][0]["logRecords"][0]
    attributes = [*resource_logs["resource"]["attributes"], *record["attributes"]]
    names = {pair["key"] for pair in attributes} | {"oopswatch.spread.hosts"}
    leaves = {name for name, _ in flat(ecs_of(notice(known_bug="x", module="m")))}
    leaves |= {"oopswatch.spread.field", "oopswatch.spread.hosts"}
    table = PAGE.read_text().partition("| OpenTelemetry | ECS |")[2]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| ")]
    otlp_column, ecs_column = (
        {name for row in rows for name in re.findall(r"`([^`]+)`", row[side])} for side in (1, 2)
    )
    top = set(record) - {"attributes"}
    assert otlp_column == names | top
    assert ecs_column == leaves


def test_an_incident_that_retention_removes_meanwhile_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export of years goes on beside the service."""
    path = tmp_path / "history.db"
    fill(path)
    monkeypatch.setattr("detector.app.incident_records.subject_of", lambda *_: None)
    result = CliRunner().invoke(oopswatch, ["export", "--format", "ecs", "--store", str(path)])
    assert (result.exit_code, result.output) == (0, "")
