"""`oopswatch`, killed by itself at a numbered point of a batch: OOPSWATCH_KILL="POINT:PASSAGE".

The points lie where a batch may break: 1 before a poll, 2 before the transaction, 3 before its end,
4 after it, 5 after the commit to the group was sent.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from typing import Any

from detector.cli import main
from detector.pipeline import Pipeline
from detector.sources.kafka.consumer import KafkaSource

POINTS = 5


def passing(point: int, passed: Counter[int], target: tuple[int, int]) -> None:
    """Counts a passage with work in hand, and ends the process at the one that was ordered."""
    passed[point] += 1
    if (point, passed[point]) == target:
        os.kill(os.getpid(), signal.SIGKILL)


def around(owner: type, name: str, before: Callable[..., None], after: Callable[..., None]) -> None:
    """Puts calls around a method."""
    method = getattr(owner, name)

    def wrapped(self: Any, *arguments: Any) -> Any:
        before(*arguments)
        result = method(self, *arguments)
        after(*arguments)
        return result

    setattr(owner, name, wrapped)


def arm(target: tuple[int, int]) -> None:
    """Places the points."""
    passed: Counter[int] = Counter()

    def at(point: int) -> Callable[..., None]:
        return lambda *arguments: (
            passing(point, passed, target) if not arguments or arguments[0] else None
        )

    def nothing(*_: object) -> None:
        return None

    around(KafkaSource, "_poll", at(1), nothing)
    around(Pipeline, "handle", at(2), at(4))
    around(KafkaSource, "confirm", nothing, at(3))
    around(KafkaSource, "commit", nothing, at(5))


if __name__ == "__main__":
    point, _, passage = os.environ.get("OOPSWATCH_KILL", "0:0").partition(":")
    arm((int(point), int(passage)))
    main()
