"""Live changes: over a real connection, with ids to come back with, shared among listeners,
bounded.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import httpx2
import pytest

from detector.serve.follower import BATCH, ChangeFollower
from detector.store import open_actions
from tests.support import queries
from tests.support.visiting import READ, bearer, served, tokens_file


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """The history of the table of queries, and its incidents by label."""
    path = tmp_path_factory.mktemp("events") / "history.db"
    return path, queries.fill(path)


def heard(lines: Iterator[str], count: int) -> list[tuple[int, dict]]:
    """The next events of a stream: id and object."""
    found, one = [], {}
    for line in lines:
        name, _, value = line.partition(": ")
        one[name] = value
        if not line and "data" in one:
            found.append((int(one["id"]), json.loads(one["data"])))
            one = {}
            if len(found) == count:
                return found
    raise AssertionError(f"the stream ended after {found}")


def test_changes_are_heard_live_and_again(filled):
    """A change that somebody makes is heard at once, with its incident; whoever comes back hears
    what they missed, once, in order.
    """
    path, ids = filled
    with served(path) as server, httpx2.Client(base_url=server.address, timeout=20) as client:
        with client.stream("GET", "/api/v1/events") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            lines = stream.iter_lines()
            assert next(lines) == "retry: 2000"
            with closing(open_actions(path)) as actions:
                made = actions.act(
                    ids["disk"], "acknowledge", actor="ann", reason="<b>\n\ndata: forged"
                )
            ((identity, data),) = heard(lines, 1)
        assert identity == made.id
        assert (data["what"], data["actor"], data["incident"]["id"], data["incident"]["state"]) == (
            "acknowledged",
            "ann",
            ids["disk"],
            "acknowledged",
        )
        assert data["reason"] == "<b>\n\ndata: forged"
        with client.stream(
            "GET", "/api/v1/events", headers={"Last-Event-ID": str(made.id - 2)}
        ) as stream:
            assert [one for one, _ in heard(stream.iter_lines(), 2)] == [made.id - 1, made.id]
        with client.stream("GET", "/api/v1/events?after=0") as stream:
            assert [one for one, _ in heard(stream.iter_lines(), made.id)] == list(
                range(1, made.id + 1)
            )


def test_listeners_are_bounded_and_let_go(filled, tmp_path):
    """One more than may listen is refused; a server that ends does not wait for them; strangers do
    not listen.
    """
    with (
        served(filled[0], max_listeners=1, tokens_file=str(tokens_file(tmp_path))) as server,
        httpx2.Client(base_url=server.address, timeout=20) as client,
    ):
        assert client.get("/api/v1/events").status_code == 401
        with client.stream("GET", "/api/v1/events", headers=bearer(READ)) as stream:
            lines = stream.iter_lines()  # kept: without it the stream would be closed
            assert next(lines) == "retry: 2000"
            assert client.get("/api/v1/events", headers=bearer(READ)).status_code == 503
            begun = time.monotonic()
            server.stop()
            assert time.monotonic() - begun < 5


@dataclass(frozen=True)
class One:
    """A change."""

    id: int


def test_one_look_serves_all_listeners():
    """Three who listen hear every change in order, for one look at the log each; who is far behind
    reads the past.
    """
    log = [One(number) for number in range(1, 4 * BATCH)]
    looks = []

    def read(after: int, limit: int) -> list[One]:
        looks.append(after)
        return [one for one in log if one.id > after][:limit]

    follower = ChangeFollower(read, lambda: log[-1].id, most=3, every_s=0.005)

    async def listen(after: int | None, count: int) -> list[int]:
        found = []
        async for one in follower.follow(after, 0.05):
            if one is not None:
                found.append(one.id)
            if len(found) == count:
                return found
        return found

    async def all_at_once() -> list[list[int]]:
        live = [asyncio.create_task(listen(None, 3)) for _ in range(2)]
        behind = asyncio.create_task(listen(5, 4 * BATCH - 6 + 3))
        while len(looks) < 6:
            await asyncio.sleep(0.001)
        assert follower.full
        before = len(looks)
        log.extend(One(4 * BATCH + number) for number in range(3))
        found = [*await asyncio.gather(*live), await behind]
        assert len(looks) - before < 20
        return found

    first, second, third = asyncio.run(all_at_once())
    assert first == second == [4 * BATCH, 4 * BATCH + 1, 4 * BATCH + 2]
    assert third == [*range(6, 4 * BATCH), *first]
    assert not follower.full


def test_quiet_streams_beat():
    """Nothing new is said by None; nothing is asked when nobody listens."""
    looks = []
    follower = ChangeFollower(
        lambda after, _limit: looks.append(after) or [], lambda: 7, most=1, every_s=0.001
    )

    async def two_beats() -> None:
        beats = 0
        stream = follower.follow(None, 0.01)
        async for one in stream:
            assert one is None
            beats += 1
            if beats == 2:
                break
        await stream.aclose()
        await asyncio.sleep(0.01)
        before = len(looks)
        await asyncio.sleep(0.02)
        assert len(looks) == before

    asyncio.run(two_beats())
