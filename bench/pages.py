"""Pages and API over a history of full size, each address asked over HTTP while `oopswatch scan
--store` writes into the file.

    python -m bench.pages

The history has 10,000,000 matches, 1,000,000 incidents and 100,000 hosts (see `bench.history`) and
is kept with the corpora. The server has one core, the writer the other. Times are those of a client
on loopback, after one request that is not counted.
"""

from __future__ import annotations

import http.client
import math
import os
import shlex
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import quote

from bench import options
from bench.corpora import HOSTS, SHARES, corpora
from bench.figures import Goal, Results
from bench.history import LARGEST, fill
from bench.machine import BROKER_CORE, facts, keep
from bench.processes import threads_cpu_ms
from bench.running import FailedError, pinned

REQUESTS = 40
STARTS = 5
PORT = 18_470
GOAL_MS, GOAL_KB, GOAL_START_S = 100.0, 51.2, 1.0
_WITHIN_S = 60
SIZE = min(1.0, options.BYTES / options.OFFICIAL_BYTES)
FILTERS = (
    "",
    "host=db-8",
    "host=db-*",
    "host=*99",
    "since=24h",
    "function=stamped_fn_00000",
    "text=paging",
    "text=caller_path_12*",
    "kernel=5.4..6.8&state=open",
    "module=stamped_mod_03&rule=tcp-release-and-memory-fault&severity=warning",
    "known_issue=tcp-listener-race",
    "host=web-*&state=open&text=paging",
)
FAULTS = (
    "",
    "host=db-8",
    "host=db-*",
    "host=*99",
    "since=24h",
    "since=2023-01-01&until=2023-02-01",
    "function=stamped_fn_00000",
    "function=stamped_fn_02999",
    "kernel=5.4..6.8",
    "class=oops",
    "signature=kernel.scsi-dead-device",
    "severity=warning",
    "host=web-*&class=memory-fault&kernel=6.12.17",
    "host=nowhere-*",
    f"problem={LARGEST}&host=db-*",
)
NOISE = (
    "",
    "since=24h",
    "since=7d",
    "host=db-8",
    "host=*99",
    "process=program-0",
    "process=program-399",
    "process=nginx",
)


def addresses(history: Path) -> list[str]:
    """Every kind of page and every query of the API, with what is slow to ask."""
    with closing(sqlite3.connect(f"file:{history}?mode=ro", uri=True)) as db:
        (identity,) = db.execute(
            "SELECT id FROM incidents WHERE place IS NOT NULL ORDER BY place DESC LIMIT 1 "
            "OFFSET 1000"
        ).fetchone()
        (largest,) = db.execute(
            "SELECT fingerprint FROM problems ORDER BY incidents DESC LIMIT 1"
        ).fetchone()
    asked = [f"?{one}" if one else "" for one in FILTERS]
    noise = [f"?{one}" if one else "" for one in NOISE]
    pages = [
        "/",
        "/hosts/db-8",
        "/rules",
        "/signatures",
        "/signatures/kernel.paging-request",
        "/silences",
        "/fleet",
        "/fleet?by=hardware",
        "/fleet?since=2021-12-01",
        f"/incidents/{identity}",
        f"/problems/{quote(largest)}",
    ]
    faults = [f"?{one}" if one else "" for one in FAULTS]
    pages += [f"/faults{one}" for one in faults]
    pages += [f"/{place}{one}" for place in ("incidents", "problems", "hosts") for one in asked] + [
        f"/noise{one}" for one in noise
    ]
    api = [
        f"/{place}{one}"
        for place in ("incidents", "problems", "hosts", "facets", "histogram")
        for one in asked
    ]
    api += [f"/noise{one}" for one in (*noise, "?by=process")] + [
        "/noise/hours",
        "/stats/overview",
        "/hosts/db-8",
    ]
    api += [f"/faults{one}" for one in faults] + ["/fleet", "/fleet?by=hardware"]
    api += [
        f"/incidents/{identity}",
        f"/incidents/{identity}/similar",
        f"/incidents/{identity}/changes",
        f"/problems/{quote(largest)}",
    ]
    return pages + [f"/api/v1{one}" for one in api]


@dataclass(frozen=True, slots=True)
class Served:
    """A server of pages: its process, a connection to it, and the seconds until it answered."""

    pid: int
    connection: http.client.HTTPConnection
    seconds: float

    def cpu_ms(self) -> float:
        """The processor's time of all its threads so far."""
        return threads_cpu_ms(self.pid)


@contextmanager
def server(history: Path, number: int = 0) -> Iterator[Served]:
    """`oopswatch serve`. Each of several at a time has a number."""
    limits = {
        "OOPSWATCH_SERVE_REQUESTS_PER_SECOND": "10000",
        "OOPSWATCH_SERVE_REQUEST_BURST": "100000",
    }
    environment = {**os.environ, **limits, "OOPSWATCH_STORE_PATH": str(history)}
    words = pinned([_command(), "serve", "--port", str(PORT + number)])
    begun = time.perf_counter()
    process = subprocess.Popen(
        words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    connection = http.client.HTTPConnection("127.0.0.1", PORT + number, timeout=_WITHIN_S)
    try:
        while True:
            try:
                connection.request("GET", "/healthz")
                connection.getresponse().read()
                break
            except OSError:
                connection.close()
                if process.poll() is not None or time.perf_counter() - begun > _WITHIN_S:
                    raise FailedError(
                        f"oopswatch serve --port {PORT + number} did not start: {process.poll()}"
                    ) from None
                time.sleep(0.005)
        yield Served(process.pid, connection, time.perf_counter() - begun)
    finally:
        connection.close()
        process.terminate()
        process.wait(_WITHIN_S)


@contextmanager
def writer(history: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`oopswatch scan --store`, again and again, on the other core."""
    scan = shlex.join([_command(), "scan", "--json", "--store", str(history), str(log)])
    words = pinned(["sh", "-c", f"while :; do {scan} > /dev/null; done"], BROKER_CORE)
    process = subprocess.Popen(words, start_new_session=True, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        os.killpg(process.pid, 15)
        process.wait(_WITHIN_S)


def ask(connection: http.client.HTTPConnection, address: str) -> tuple[float, int]:
    """Milliseconds and bytes of one answer. Raises FailedError for one that is no answer."""
    begun = time.perf_counter()
    connection.request("GET", address)
    answer = connection.getresponse()
    body = answer.read()
    taken = (time.perf_counter() - begun) * 1_000
    if answer.status != 200:
        raise FailedError(f"{address} answered {answer.status}: {body[:200]!r}")
    return taken, len(body)


def p95(taken: list[float]) -> float:
    """The least time that 95 % of the requests stay within."""
    return sorted(taken)[math.ceil(len(taken) * 0.95) - 1]


def main() -> int:
    """Measures and keeps the results."""
    history = options.CORPORA / f"fleet-{SIZE:g}.db"
    if not history.exists():
        print(f"  filling a history of {10_000_000 * SIZE:,.0f} matches …", flush=True)
        options.CORPORA.mkdir(parents=True, exist_ok=True)
        fill(history, SIZE)
    (corpus,) = corpora([(HOSTS[-1], SHARES[-1])])
    results = Results("pages", facts())
    started = []
    for _ in range(STARTS):
        with server(history) as served:
            started.append(served.seconds)
    slowest: dict[str, tuple[float, str]] = {}
    largest = (0.0, "")
    with server(history) as served, writer(history, corpus.path) as writing:
        connection = served.connection
        time.sleep(2)  # The writer begins after its own start-up.
        for address in addresses(history):
            ask(connection, address)
            taken, size = zip(*(ask(connection, address) for _ in range(REQUESTS)), strict=True)
            kind = "API" if address.startswith("/api/") else "pages"
            slowest[kind] = max(slowest.get(kind, (0.0, "")), (p95(list(taken)), address))
            largest = max(largest, (max(size) / 1_000, address)) if kind == "pages" else largest
            told = (
                f"`{address}`: p50 {median(taken):.1f} ms, p95 {p95(list(taken)):.1f} ms, "
                f"{max(size) / 1_000:.1f} kB"
            )
            results.notes.append(told)
            print(f"  {told}", flush=True)
        if writing.poll() is not None:
            raise FailedError("the writer ended while pages were asked for")
    for kind, (figure, address) in slowest.items():
        results.goals.append(
            Goal(
                f"{kind}, the slowest of all addresses (`{address}`), p95",
                GOAL_MS,
                figure,
                "at most",
                "ms",
            )
        )
    results.goals.append(
        Goal(f"the largest first page (`{largest[1]}`)", GOAL_KB, largest[0], "at most", "kB")
    )
    results.goals.append(
        Goal(
            "start of `oopswatch serve` to its first answer",
            GOAL_START_S,
            median(started),
            "at most",
            "s",
        )
    )
    keep(results)
    return 0


def _command() -> str:
    return str(Path(sys.executable).with_name("oopswatch"))


if __name__ == "__main__":
    raise SystemExit(main())
