"""Tracks the health of brokers: errors that waiting mends are said once, the rest end the
source.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from kafka import errors as kafka_errors

from detector.settings.kafka import Kafka
from detector.sources.errors import SourceError
from detector.sources.kafka.connect import RETRY_S, SourceLog, explained
from detector.sources.kafka.reach import why_unreachable

# So often an idle source asks whether the brokers are still there.
PROBE_S = 5.0
# … and one that knows them to be away.
RETRY_PROBE_S = 1.0

_AWAY = (
    kafka_errors.KafkaTimeoutError,
    kafka_errors.KafkaConnectionError,
    kafka_errors.NodeNotReadyError,
)


class BrokerHealth:
    """Health of the brokers: when one was heard, and since when they are away."""

    def __init__(self, kafka: Kafka, options: Mapping[str, Any], tell: SourceLog) -> None:
        self._servers = ", ".join(kafka.bootstrap_servers)
        self._options = options
        self._tell = tell
        self._away_since: float | None = None
        self._heard = self._asked = time.monotonic()

    @property
    def away(self) -> bool:
        """Returns whether no broker answers."""
        return self._away_since is not None

    def silent(self) -> bool:
        """Returns whether it is time to ask for a sign of life."""
        pause_s = RETRY_PROBE_S if self.away else PROBE_S
        return time.monotonic() - max(self._heard, self._asked) > pause_s

    def ask(self, question: Callable[[], None]) -> None:
        """Asks the brokers something, and notes whether they answered."""
        self._asked = time.monotonic()
        try:
            question()
        except kafka_errors.KafkaError as error:
            self.survive(error)
        else:
            self.hear()

    def hear(self) -> None:
        """A broker answered."""
        self._heard = time.monotonic()
        if self._away_since is not None:
            away_s = round(self._heard - self._away_since, 1)
            self._away_since = None
            self._tell("broker_back", {"servers": self._servers, "away_s": away_s})

    def survive(self, error: Exception) -> None:
        """Notes an error that waiting mends; raises SourceError for any other."""
        passing = getattr(error, "retriable", False)
        if not (passing or isinstance(error, kafka_errors.NodeNotReadyError)):
            raise SourceError(f"kafka: {explained(error)}") from error
        self._asked = time.monotonic()
        if self._away_since is None and isinstance(error, _AWAY):
            self._away_since = self._heard
            reason = why_unreachable(self._options) or explained(error)
            self._tell(
                "broker_away", {"servers": self._servers, "error": reason, "retry_s": RETRY_S}
            )
