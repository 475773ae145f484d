"""Writes acts of people to a compacted topic, from which a lost history gets them back.

In: the history's log of changes, behind a cursor that the history keeps for each topic, and its
marks of what else changed. Out: one record for each act, keyed by the act's name. Cursor and marks
move once the brokers have the records: after a kill some are written again, under the same names.
`detector/stages/archive_input.py` reads the topic.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from kafka import KafkaProducer

from detector.stages.topic_writer import WAIT_MS, TopicWriter
from detector.store import Journal
from detector.store.lifecycle import acts
from detector.store.lifecycle.shared_acts import SharedAct, act_to_json

# Acts that are written in one turn.
MOST = 1_000


class ActTopic:
    """One topic that the acts of one history are written to."""

    def __init__(self, journal: Journal, topic: str, writer: TopicWriter) -> None:
        self._journal = journal
        self._topic = topic
        self._name = f"acts_topic:{topic}"
        self._cursor = journal.cursor(self._name)
        self._writer = writer

    def turn(self) -> None:
        """Writes what was done since the last turn, unless the brokers refused a moment ago."""
        if self._writer.paused:
            return
        last, changed = acts.of_changes(self._journal.db, self._cursor, MOST)
        marked = acts.unsent(self._journal.db, MOST)
        rows = [*changed, *(act for _, act in marked if act is not None)]
        if rows and not self._writer.write(partial(self._write, rows)):
            return
        self._cursor = last
        if rows or marked:
            with self._journal.transaction():
                self._journal.save_cursor(self._name, last)
                acts.sent(self._journal.db, [number for number, _ in marked])

    def close(self) -> None:
        """Lets the producer go."""
        self._writer.close()

    def _write(self, rows: Sequence[SharedAct], producer: KafkaProducer) -> None:
        sent = [
            producer.send(self._topic, value=act_to_json(act), key=act.name.encode())
            for act in rows
        ]
        producer.flush(WAIT_MS / 1_000)
        for future in sent:
            future.get(WAIT_MS / 1_000)
