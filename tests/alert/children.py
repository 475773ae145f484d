"""A dispatcher in a process of its own, for tests that kill it: `python -m tests.alert.children HISTORY ROUTING`, until it is killed."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from detector.alert.dispatcher import Dispatcher, Duties
from detector.alert.outbox import Outbox
from detector.alert.routing import Routing
from detector.alert.routing_file import load_routing
from detector.alert.teller import Teller
from detector.catalogue import Catalogue
from detector.store.journal import wall_clock_us
from detector.store.outbox import open_outbox
from tests.alert.outboxes import TIMING

ROOT = Path(__file__).parents[2]
# Retries come quickly, so that a test has many of them; the first message waits for nothing.
QUICK = replace(TIMING, retry_us=10_000, settle_us=0)


def start(history: Path, routing: Path) -> subprocess.Popen[bytes]:
    """Starts one; its owner kills it."""
    return subprocess.Popen([sys.executable, "-m", "tests.alert.children", str(history), str(routing)], cwd=ROOT)


def dispatcher(history: Path, routing: Path, tell: Any = lambda _name, _fields: None) -> Dispatcher:
    """A dispatcher over a history, with quick retries."""

    def opened(current: Routing) -> Outbox:
        tables = open_outbox(str(history))
        return Outbox(tables, current, Teller(tables, Catalogue()), QUICK, random.random, tell)

    duties = Duties(
        open=opened,
        routing=lambda: load_routing(routing),
        upkeep=lambda _outbox, _now: None,
        alive=lambda _now: True,
        heartbeat_s=0.2,
        clock=wall_clock_us,
        tell=tell,
    )
    return Dispatcher(load_routing(routing), duties)


if __name__ == "__main__":
    dispatcher(Path(sys.argv[1]), Path(sys.argv[2])).start()
    threading.Event().wait()
