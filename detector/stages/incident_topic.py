"""Writes every state of an incident to a topic, keyed by the incident's id.

Kafka Connect, Flink or a SIEM may read it.

In: the history's log of changes, behind a cursor that the history keeps for each topic. Out: one
record for each incident that changed, as `incidents show --json` prints it, with its changes. The
cursor moves on once the brokers have the records: after a kill some are written again, which a
compacted topic forgets. While they do not take them, nothing waits but the cursor. An incident that
is larger than the brokers take goes without its longest parts, which `left_out` names; so no
incident keeps the others waiting.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from kafka import KafkaProducer
from kafka import errors as kafka_errors

from detector.render.escape import inert
from detector.render.objects import Item, as_object
from detector.stages.topic_writer import WAIT_MS, TopicWriter
from detector.store import Journal
from detector.store.query.detail_item import detail_item
from detector.store.query.history import History

# Changes that are looked at in one turn.
MOST = 500
# Parts of an incident that grow with what a kernel printed and what people did, longest first.
_LONG_PARTS = ("report_lines", "report", "changes", "diagnosis")
_TOO_LARGE = (kafka_errors.MessageSizeTooLargeError, kafka_errors.RecordListTooLargeError)


class IncidentTopic:
    """One topic that the incidents of one history are written to."""

    def __init__(self, journal: Journal, topic: str, writer: TopicWriter) -> None:
        self._journal = journal
        self._history: History = journal.history()
        self._topic = topic
        self._name = f"incidents_topic:{topic}"
        self._cursor = journal.cursor(self._name)
        self._writer = writer

    def turn(self) -> None:
        """Writes what changed since the last turn, unless the brokers refused a moment ago."""
        if self._writer.paused:
            return
        changes = self._history.changes(self._cursor, MOST)
        identities = dict.fromkeys(change.incident_id for change in changes)
        if not changes or not self._writer.write(partial(self._write, identities)):
            return
        self._cursor = changes[-1].id
        with self._journal.transaction():
            self._journal.save_cursor(self._name, self._cursor)

    def _write(self, identities: Iterable[str], producer: KafkaProducer) -> None:
        sent = []
        for identity in identities:
            detail = self._history.incident(identity)
            if detail is not None:
                changes = [as_object(change) for change in self._history.changes_of(identity)]
                forms = shorter_forms(detail_item(detail) | {"changes": changes})
                sent.append((identity, forms, self._send(producer, identity, next(forms))))
        producer.flush(WAIT_MS / 1_000)
        for identity, forms, future in sent:
            self._acknowledge(producer, identity, forms, future)

    def _send(self, producer: KafkaProducer, identity: str, item: Item) -> Any:
        value = json.dumps(item).encode()
        return producer.send(self._topic, value=value, key=identity.encode())

    def _acknowledge(
        self, producer: KafkaProducer, identity: str, forms: Iterator[Item], future: Any
    ) -> None:
        """Waits for the brokers' answer; what is too large for them is sent again, shorter."""
        while True:
            try:
                future.get(WAIT_MS / 1_000)
                return
            except _TOO_LARGE as error:
                shorter = next(forms, None)
                if shorter is None:
                    self._writer.failed(f"{identity} was left out: {inert(str(error))[:200]}")
                    return
                future = self._send(producer, identity, shorter)


def shorter_forms(item: Item) -> Iterator[Item]:
    """Yields an incident whole, then without its longest parts, one after another.

    `left_out` names them.
    """
    yield item
    left_out: list[str] = []
    for name in _LONG_PARTS:
        item = {key: value for key, value in item.items() if key != name}
        left_out.append(name)
        yield item | {"left_out": list(left_out)}
