"""Quix Streams doing the same join: both halves of a host in its state store, event time from the
line.

`python quix_job.py BOOTSTRAP TOPIC RECORDS RELEASE FAULT`. Prints `INCIDENT host seconds` and,
last, the seconds from the first record on.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
import uuid
from typing import Any

from quixstreams import Application, State

WINDOW_S = 10.0


def main(bootstrap: str, topic: str, records: str, release: str, fault: str) -> None:
    """Runs until all records have gone through, then ends the application."""
    head = re.compile(rb"^\w{3} [ \d]\d [\d:]{8} (\S+) kernel: \[ *(\d+\.\d+)\] ")
    halves = re.compile(f"(?:IPv4: )?(?:(?P<release>{release})|{fault})".encode())
    wanted, seen, begun = int(records), 0, 0.0

    def is_half(value: bytes) -> bool:
        nonlocal seen, begun
        begun = begun or time.perf_counter()
        seen += 1
        if seen == wanted:
            print(time.perf_counter() - begun, flush=True)
            application.stop()
        stamp = head.match(value)
        return stamp is not None and halves.match(value, stamp.end()) is not None

    def pair(value: bytes, state: State) -> None:
        stamp = head.match(value)
        assert stamp is not None
        half = halves.match(value, stamp.end())
        assert half is not None
        mine, other = ("release", "fault") if half["release"] else ("fault", "release")
        seconds = float(stamp[2])
        state.set(mine, seconds)
        if abs(seconds - float(state.get(other, -1e12))) <= WINDOW_S:
            print("INCIDENT", stamp[1].decode(), stamp[2].decode(), flush=True)

    with tempfile.TemporaryDirectory(prefix="oopswatch-quix-") as folder:
        application = Application(
            broker_address=bootstrap, consumer_group=f"quix-{uuid.uuid4().hex[:8]}",
            auto_offset_reset="earliest", state_dir=folder,
            loglevel="ERROR", consumer_extra_config={"enable.auto.commit": False},
        )  # fmt: skip
        lines: Any = application.dataframe(application.topic(topic, value_deserializer="bytes"))
        lines.filter(is_half).update(pair, stateful=True)
        application.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
