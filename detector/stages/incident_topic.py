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
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

from kafka import KafkaProducer
from kafka import errors as kafka_errors

from detector.render.escape import inert
from detector.render.objects import Item, as_object
from detector.settings.kafka import Kafka
from detector.sources.kafka.reach import client_settings
from detector.store import Journal
from detector.store.query.detail_item import detail_item
from detector.store.query.history import History

# Changes that are looked at in one turn.
MOST = 500
# What did not work is tried again so much later.
PAUSE_S = 5.0
_WAIT_MS = 3_000
# Parts of an incident that grow with what a kernel printed and what people did, longest first.
_LONG_PARTS = ("report_lines", "report", "changes", "diagnosis")
_TOO_LARGE = (kafka_errors.MessageSizeTooLargeError, kafka_errors.RecordListTooLargeError)


class IncidentTopic:
    """One topic that the incidents of one history are written to.

    `failed` gets the brokers' error in one line; the producer is made at the first change.
    """

    def __init__(
        self,
        journal: Journal,
        kafka: Kafka,
        topic: str,
        *,
        elapsed_s: Callable[[], float],
        failed: Callable[[str], None],
    ) -> None:
        self._journal = journal
        self._history: History = journal.history()
        self._kafka = kafka
        self._topic = topic
        self._elapsed_s = elapsed_s
        self._failed = failed
        self._name = f"incidents_topic:{topic}"
        self._cursor = journal.cursor(self._name)
        self._after_s = 0.0
        self._producer: KafkaProducer | None = None

    def turn(self) -> None:
        """Writes what changed since the last turn, unless the brokers refused a moment ago."""
        if self._elapsed_s() < self._after_s:
            return
        changes = self._history.changes(self._cursor, MOST)
        if not changes:
            return
        try:
            self._write(dict.fromkeys(change.incident_id for change in changes))
        except (kafka_errors.KafkaError, OSError, ValueError, AssertionError) as error:
            self._after_s = self._elapsed_s() + PAUSE_S
            self._failed(inert(" ".join(str(error).split()))[:200] or type(error).__name__)
            self.close()
            return
        self._cursor = changes[-1].id
        with self._journal.transaction():
            self._journal.save_cursor(self._name, self._cursor)

    def close(self) -> None:
        """Lets the producer go."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(kafka_errors.KafkaError):
                producer.close(timeout=0)

    def _write(self, identities: Iterable[str]) -> None:
        if self._producer is None:
            self._producer = KafkaProducer(
                **client_settings(self._kafka),
                acks="all",
                max_block_ms=_WAIT_MS,
                bootstrap_timeout_ms=_WAIT_MS,
                allow_auto_create_topics=False,
            )
        sent = []
        for identity in identities:
            detail = self._history.incident(identity)
            if detail is not None:
                changes = [as_object(change) for change in self._history.changes_of(identity)]
                forms = shorter_forms(detail_item(detail) | {"changes": changes})
                sent.append((identity, forms, self._send(identity, next(forms))))
        self._producer.flush(_WAIT_MS / 1_000)
        for identity, forms, future in sent:
            self._acknowledge(identity, forms, future)

    def _send(self, identity: str, item: Item) -> Any:
        assert self._producer is not None
        value = json.dumps(item).encode()
        return self._producer.send(self._topic, value=value, key=identity.encode())

    def _acknowledge(self, identity: str, forms: Iterator[Item], future: Any) -> None:
        """Waits for the brokers' answer; what is too large for them is sent again, shorter."""
        while True:
            try:
                future.get(_WAIT_MS / 1_000)
                return
            except _TOO_LARGE as error:
                shorter = next(forms, None)
                if shorter is None:
                    self._failed(f"{identity} was left out: {inert(str(error))[:200]}")
                    return
                future = self._send(identity, shorter)


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
