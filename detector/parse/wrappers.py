"""JSON objects that wrap log records: converters, search results, batches.

Comes in: a decoded object. Goes out: the records in it, each an object with the wrapper's own facts
as fields, or a text. It judges no field and reads no text.

Sources: Kafka Connect's JsonConverter (schemas.enable); Loki's push API, its query results and
promtail; CloudWatch Logs' subscriptions, FilterLogEvents and EC2's GetConsoleOutput;
Elasticsearch's hits; Azure's diagnostic records.
"""

from __future__ import annotations

from collections.abc import Iterator

WrappedText = dict[str, object] | str

_MESSAGES = frozenset(("message", "MESSAGE", "msg", "log", "body", "line"))
_LOG_GROUP = ("logGroup", "logStream", "logGroupName", "logStreamName")


def unwrap(item: dict[str, object]) -> Iterator[WrappedText] | None:
    """The records in a wrapper, in order; None for an object that is a record itself."""
    if "payload" in item and "schema" in item:
        payload = item["payload"]
        return iter((payload,)) if isinstance(payload, (dict, str)) else iter(())
    if not _MESSAGES.isdisjoint(item):
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
