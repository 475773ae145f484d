"""A dispatcher in a process of its own, for tests that kill it."""

from __future__ import annotations

import multiprocessing
import multiprocessing.process
import random
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from detector.alert.dispatcher import Dispatcher, Duties
from detector.alert.notifier import Notifier
from detector.alert.routing import Routing
from detector.alert.routing_file import load_routing
from detector.alert.subject import NoticeBuilder
from detector.catalogue import Catalogue
from detector.clock import now_us
from detector.store.alerts import open_alert_store
from tests.support.outboxes import TIMING

# Children come from a server that has imported everything: a test kills and starts many.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__])
# Retries come quickly, so that a test has many of them; the first message waits for nothing.
QUICK = replace(TIMING, retry_us=10_000, settle_us=0)


def start(history: Path, routing: Path) -> multiprocessing.process.BaseProcess:
    """Starts one; its owner kills it."""
    process = _CONTEXT.Process(target=forever, args=(history, routing), daemon=True)
    process.start()
    return process


def forever(history: Path, routing: Path) -> None:
    """A dispatcher, until it is killed."""
    dispatcher(history, routing).start()
    threading.Event().wait()


def dispatcher(
    history: Path,
    routing: Path,
    tell: Any = lambda _name, _fields: None,
    alive: Callable[[int], bool] = lambda _now: True,
) -> Dispatcher:
    """A dispatcher over a history, with quick retries."""

    def opened(current: Routing) -> Notifier:
        tables = open_alert_store(str(history))
        tables.db.execute(
            "PRAGMA synchronous = OFF"
        )  # a killed process loses nothing by that, only a power cut would
        return Notifier(
            tables,
            current,
            NoticeBuilder(tables.history(), Catalogue()),
            QUICK,
            random.random,
            tell,
        )

    duties = Duties(
        open=opened,
        routing=lambda: load_routing(routing),
        upkeep=lambda _outbox, _now: None,
        alive=alive,
        heartbeat_s=0.2,
        clock=now_us,
        tell=tell,
    )
    return Dispatcher(load_routing(routing), duties)
