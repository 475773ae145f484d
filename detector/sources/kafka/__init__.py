"""Kafka as a source: a member of a consumer group that reads whole record batches.

`consumer` reads and commits, `connect` meets the brokers, `frames` reads their answers without
copies, `whole_batches` has the client hand out batches, `chunks` finds the records in them.
"""

from __future__ import annotations

from detector.sources.kafka.consumer import KafkaSource

__all__ = ["KafkaSource"]
