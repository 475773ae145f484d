"""OpenTelemetry's log records → the flat fields that envelopes reads.

Comes in: a decoded object, OTLP's (resourceLogs) or a single record. Goes out: one flat object a
log record. A body that is a map (journald's fields) becomes fields itself; attributes and the
resource's attributes fill what the body does not say.

Source: opentelemetry/proto/logs/v1/logs.proto and the OTLP JSON encoding (1.5).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

OtelObject = dict[str, object]

_SCALARS = ("stringValue", "string_value", "intValue", "int_value", "boolValue", "doubleValue")


def is_batch(item: OtelObject) -> bool:
    """Returns whether an object is OTLP's batch of log records."""
    return "resourceLogs" in item or "resource_logs" in item


def is_record(item: OtelObject) -> bool:
    """Returns whether an object is a single log record of OpenTelemetry's data model."""
    return "body" in item and (
        "attributes" in item
        or "resource" in item
        or "timeUnixNano" in item
        or "observedTimeUnixNano" in item
    )


def records(batch: OtelObject) -> Iterator[OtelObject]:
    """The log records of a batch, each flat."""
    for resource_logs in _objects(batch.get("resourceLogs") or batch.get("resource_logs")):
        scopes = (
            resource_logs.get("scopeLogs")
            or resource_logs.get("scope_logs")
            or resource_logs.get("instrumentationLibraryLogs")
        )
        for scope in _objects(scopes):
            for record in _objects(
                scope.get("logRecords") or scope.get("log_records") or scope.get("logs")
            ):
                yield flat(record, resource_logs.get("resource"))


def flat(record: OtelObject, resource: object = None) -> OtelObject:
    """One log record as flat fields, `body` its message."""
    resource = resource or record.get("resource")
    fields: OtelObject = {}
    if isinstance(resource, dict):
        fields |= _attributes(resource.get("attributes", resource))
    fields |= _attributes(record.get("attributes"))
    fields |= {
        name: value
        for name, value in record.items()
        if name not in ("attributes", "resource", "body", "severityNumber")
    }
    body = _value(record.get("body"))
    if isinstance(body, dict):
        fields |= body
    else:
        fields["body"] = body
    return fields


def _objects(value: object) -> list[OtelObject]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _attributes(value: object) -> OtelObject:
    """Attributes, as OTLP's list of keys and values or as a plain map."""
    if isinstance(value, dict):
        return {str(name): _value(item) for name, item in value.items()}
    return {
        name: _value(item.get("value"))
        for item in _objects(value)
        if isinstance(name := item.get("key"), str)
    }


def _value(value: object) -> object:
    """OTLP's AnyValue, or a plain value, as a plain value."""
    if not isinstance(value, dict):
        return value
    for name in _SCALARS:
        if name in value:
            return value[name]
    if isinstance(octets := value.get("bytesValue"), str):
        try:
            return base64.b64decode(octets).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            return None
    if isinstance(pairs := value.get("kvlistValue"), dict):
        return _attributes(pairs.get("values"))
    if isinstance(array := value.get("arrayValue"), dict) and isinstance(
        items := array.get("values"), list
    ):
        return [_value(item) for item in items]
    return {name: _value(item) for name, item in value.items()}
