"""Receivers that fail in every way, and kills of the process at every point: nothing is lost, and
nothing comes twice without saying so.
"""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from detector.store import open_actions, open_journal
from tests.alert import children
from tests.support.outboxes import World
from tests.support.receivers import Receiver, answer, http_receiver, raw, reset
from tests.support.waiting import wait_for

INCIDENTS = 1_000
RESOLVED = 100
KILLS = 8


def routing_file(folder: Path, url: str, **more: Any) -> Path:
    """A routing that tells a webhook of everything."""
    path = folder / "notify.toml"
    options = "".join(f"{name} = {value}\n" for name, value in more.items())
    path.write_text(
        f'[[receiver]]\nname = "hook"\nkind = "webhook"\nurl = "{url}"\n{options}[[route]]\n'
        'receivers = ["hook"]\n'
    )
    return path


class Unruly:
    """A receiver that answers in every way, and kills who asks. `took` holds what it may have taken
    in: (key, action, repeated).
    """

    def __init__(self, receiver: Receiver, seed: int) -> None:
        self.receiver = receiver
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.took: list[tuple[str, str, bool]] = []
        self.ways: Counter[str] = Counter()
        self.kill: Callable[[], None] | None = None

    def behave(self, handler: BaseHTTPRequestHandler) -> None:
        """One request. Only what is answered with 2xx, or never answered, may have been taken."""
        body = self.receiver.requests[-1].json
        with self.lock:
            if self.kill and self.random.random() < 0.04:
                way = self.random.choice(["kill before", "kill after"])
            else:
                weights = {"ok": 95, "500": 1, "429": 1, "reset": 1, "cut": 1, "slow": 1}
                way = self.random.choices(list(weights), list(weights.values()))[0]
            self.ways[way] += 1
            if way not in ("500", "429"):
                self.took.append((body["alert_uid"], body["action"], body["may_be_repeated"]))
            kill, self.kill = self.kill, (None if way.startswith("kill") else self.kill)
        if way == "kill before" and kill:
            kill()
        ways = {
            "500": answer(500),
            "429": answer(429, Retry_After="0"),
            "reset": reset,
            "cut": raw(b"HTTP/1.1 200 OK\r\nContent-Le"),
        }
        if way == "slow":
            self.receiver.over.wait(0.05)
        ways.get(way, answer(200, "ok"))(handler)
        if way == "kill after" and kill:
            kill()


def settled(path: Path) -> Counter[str]:
    """How many messages are in which state."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as history:
        return Counter(
            dict(
                history.execute("SELECT state, count(*) FROM deliveries GROUP BY state").fetchall()
            )
        )


def test_a_thousand_incidents_through_kills_and_a_receiver_that_fails(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Each is taken once for each state; a second time only flagged, under the same key; the log
    agrees.
    """
    path = tmp_path / "history.db"
    world = World(path)
    world.outbox.store.close()
    world.now = time.time_ns() // 1_000
    with http_receiver() as receiver:
        unruly = Unruly(receiver, seed=5)
        receiver.behave = unruly.behave
        routing = routing_file(tmp_path, receiver.url, timeout_s=5)
        running = [children.start(path, routing)]
        request.addfinalizer(lambda: [(one.kill(), one.join()) for one in running])
        identities: list[str] = []
        for batch in range(KILLS):
            unruly.kill = running[-1].kill
            with world.journal.transaction():
                for number in range(INCIDENTS // KILLS):
                    name = f"{batch}-{number}"
                    identities.append(world.write_crash(f"host-{name}", fingerprint=f"1:{name}"))
            if batch % 2:  # in the middle of whatever it does
                enough = len(unruly.took) + 20
                wait_for(
                    partial(
                        lambda enough: len(unruly.took) > enough or not running[-1].is_alive(),
                        enough,
                    ),
                    "some messages",
                )
                running[-1].kill()
            wait_for(lambda: not running[-1].is_alive(), "a kill")
            running.append(children.start(path, routing))
        unruly.kill = None
        for identity in identities[:RESOLVED]:
            world.actions.act(identity, "resolve", actor="ann")
        wait_for(
            lambda: settled(path)["delivered"] == INCIDENTS + RESOLVED,
            f"all delivered: {settled(path)}",
            90,
        )
    fires = [(key, action) for key, action, _ in unruly.took if action == "fire"]
    assert {key for key, _ in fires} == {f"oopswatch/{identity}" for identity in identities}, (
        "nothing is lost"
    )
    assert {key for key, action, _ in unruly.took if action == "resolve"} == {
        f"oopswatch/{one}" for one in identities[:RESOLVED]
    }
    seen: Counter[tuple[str, str]] = Counter()
    for key, action, repeated in unruly.took:
        assert repeated or not seen[key, action], f"{key} {action} came twice and did not say so"
        seen[key, action] += 1
    assert set(unruly.ways) == {
        "ok",
        "500",
        "429",
        "reset",
        "cut",
        "slow",
        "kill before",
        "kill after",
    }, "every way was tried"
    assert settled(path) == {"delivered": INCIDENTS + RESOLVED}
    world.journal.close()
    world.actions.close()


def test_a_receiver_that_is_down_and_comes_back(tmp_path: Path) -> None:
    """Nobody listens; then somebody does, at the same port: everything arrives, once."""
    path = tmp_path / "history.db"
    world = World(path)
    world.now = time.time_ns() // 1_000
    with http_receiver() as receiver:
        url, behave = receiver.url, answer(503)
        receiver.behave = behave
        told: list[str] = []
        dispatcher = children.dispatcher(
            path, routing_file(tmp_path, url), lambda name, _: told.append(name)
        )
        dispatcher.start()
        identities = [world.crash(f"db-{number}", fingerprint=f"1:{number}") for number in range(5)]
        dispatcher.wake()
        wait_for(lambda: "receiver_failing" in told, "a failure")
        receiver.behave = answer(200)
        wait_for(lambda: settled(path)["delivered"] == 5, "all delivered")
        dispatcher.stop()
        taken = [request.json["alert_uid"] for request in receiver.requests[-5:]]
        assert sorted(taken) == sorted(f"oopswatch/{one}" for one in identities)
        assert "receiver_back" in told
    world.close()


def test_a_receiver_that_never_answers_delays_no_other(tmp_path: Path) -> None:
    """One hangs; the other has all messages long before the first one's time is up. Stopping does
    not wait for it.
    """
    path = tmp_path / "history.db"
    world = World(path)
    world.now = time.time_ns() // 1_000
    with http_receiver() as hanging, http_receiver() as quick:
        hanging.behave = lambda _: hanging.over.wait(30) and None
        routing = tmp_path / "notify.toml"
        tables = "".join(
            f'[[receiver]]\nname = "{name}"\nkind = "webhook"\nurl = "{one.url}"\ntimeout_s = 20\n'
            for name, one in (("hanging", hanging), ("quick", quick))
        )
        routing.write_text(tables + '[[route]]\nreceivers = ["hanging", "quick"]\n')
        dispatcher = children.dispatcher(path, routing)
        dispatcher.start()
        for number in range(20):
            world.crash(f"db-{number}", fingerprint=f"1:{number}")
        dispatcher.wake()
        wait_for(lambda: len(quick.requests) == 20, "the quick one's messages", 15)
        wait_for(lambda: settled(path)["delivered"] == 20, "their record", 15)
        assert len(hanging.requests) == 1
        began = time.monotonic()
        dispatcher.stop(patience_s=0.5)
        assert time.monotonic() - began < 5
        assert settled(path)["attempting"] == 1, "the next start says that it may come twice"
    world.close()


def test_a_routing_file_is_read_again_without_a_gap(tmp_path: Path) -> None:
    """A bad file keeps the old one and says so; a good one takes over; what waits for a new
    receiver goes to it.
    """
    path = tmp_path / "history.db"
    world = World(path)
    world.now = time.time_ns() // 1_000
    told: list[tuple[str, dict[str, Any]]] = []
    with http_receiver() as old, http_receiver() as new:
        routing = routing_file(tmp_path, old.url)
        dispatcher = children.dispatcher(
            path, routing, lambda name, fields: told.append((name, fields))
        )
        dispatcher.start()
        world.crash("db-1", fingerprint="1:a")
        dispatcher.wake()
        wait_for(lambda: len(old.requests) == 1, "the first message")
        routing.write_text("[[route]]\nreceivers = ['nobody']\n")
        dispatcher.reload()
        wait_for(lambda: any(name == "routing_refused" for name, _ in told), "the refusal")
        (faults,) = [fields["faults"] for name, fields in told if name == "routing_refused"]
        assert faults == [f'{routing}:2: route: unknown receiver "nobody"; there are none']
        world.crash("db-2", fingerprint="1:b")
        dispatcher.wake()
        wait_for(lambda: len(old.requests) == 2, "the second message, by the old routes")
        routing_file(tmp_path, new.url)
        dispatcher.reload()
        wait_for(lambda: any(name == "routing_loaded" for name, _ in told), "the new file")
        world.crash("db-3", fingerprint="1:c")
        dispatcher.wake()
        wait_for(lambda: len(new.requests) == 1, "the third message, by the new routes")
        dispatcher.stop()
        assert len(old.requests) == 2
    world.close()


def test_the_act_of_another_process_is_told(tmp_path: Path) -> None:
    """`incidents ack` writes into the file; nobody wakes the dispatcher, and the message comes all
    the same.
    """
    path = tmp_path / "history.db"
    with closing(open_journal(path)):
        pass
    world = World(path)
    world.now = time.time_ns() // 1_000
    with http_receiver() as receiver:
        dispatcher = children.dispatcher(path, routing_file(tmp_path, receiver.url))
        dispatcher.start()
        identity = world.crash()
        wait_for(lambda: settled(path)["delivered"] == 1, "the first message", 10)
        with closing(open_actions(path)) as actions:
            actions.act(identity, "acknowledge", actor="ann", reason="mine")
        wait_for(lambda: len(receiver.requests) == 2, "the second message", 10)
        assert receiver.requests[-1].json["action"] == "acknowledge"
        dispatcher.stop()
    world.close()


def test_the_heartbeat_goes_on_while_the_pipeline_lives(tmp_path: Path) -> None:
    """An Alertmanager hears it again and again; when the pipeline stands still it hears nothing
    more.
    """
    path = tmp_path / "history.db"
    with closing(open_journal(path)):
        pass
    alive, asked = [True], list[int]()

    def lives(now: int) -> bool:
        asked.append(now)
        return alive[0]

    with http_receiver() as receiver:
        routing = tmp_path / "notify.toml"
        routing.write_text(
            f'[[receiver]]\nname = "am"\nkind = "alertmanager"\nurls = ["{receiver.url}"]\n'
            "heartbeat = true\n"
        )
        dispatcher = children.dispatcher(path, routing, alive=lives)
        dispatcher.start()
        wait_for(lambda: len(receiver.requests) >= 3, "three heartbeats", 20)
        alive[0] = False
        asked.clear()
        wait_for(lambda: len(asked) > 3, "heartbeats that are held back", 20)
        heard = len(receiver.requests)
        wait_for(lambda: len(asked) > 6, "more of them", 20)
        dispatcher.stop()
        assert len(receiver.requests) == heard
    assert {
        alert["labels"]["alertname"] for request in receiver.requests for alert in request.json
    } == {"OopswatchHeartbeat"}
