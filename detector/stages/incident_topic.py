"""Writes every state of an incident to a topic, keyed by the incident's id.

Kafka Connect, Flink or a SIEM may read it.

In: the history's log of changes, behind a cursor that the history keeps for each topic. Out: one
record for each incident that changed, as `incidents show --json` prints it, with its changes. The
cursor moves on once the brokers have the records: after a kill some are written again, which a
compacted topic forgets. While they do not take them, nothing waits but the cursor.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress

from kafka import KafkaProducer
from kafka import errors as kafka_errors

from detector.render.escape import inert
from detector.render.objects import as_object
from detector.settings.kafka import Kafka
from detector.sources.kafka.security import client_settings
from detector.store import Journal
from detector.store.query.detail_item import detail_item
from detector.store.query.history import History

# Changes that are looked at in one turn.
MOST = 500
# What did not work is tried again so much later.
PAUSE_S = 5.0
_WAIT_MS = 3_000


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
                value = json.dumps(detail_item(detail) | {"changes": changes}).encode()
                sent.append(self._producer.send(self._topic, value=value, key=identity.encode()))
        self._producer.flush(_WAIT_MS / 1_000)
        for future in sent:
            future.get(_WAIT_MS / 1_000)
