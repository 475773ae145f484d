"""From the append at the broker to the incident's row, at 200,000 records a second. `python -m
bench.latency`.

A producer sends ordinary lines at that pace and, after 2 s, every 50 ms both halves of a pair on a
host of its own. The broker stamps what it appends; this process looks for new incidents in the
history every 2 ms and takes the wall clock's difference: it is never shorter than the truth.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path
from statistics import quantiles

from bench import options
from bench.broker import PARTITIONS, broker
from bench.corpora import HOSTS, SHARES, corpora
from bench.figures import Goal, Results
from bench.machine import BROKER_CORE, facts, keep
from bench.running import FailedError, pinned
from bench.service import Service, service

RATE = 200_000
PAIR_EVERY_S = 0.05
WARM_S = 2
SECONDS = 22 if options.BYTES >= options.OFFICIAL_BYTES else 7
TOPIC = "paced"
_SLICE_S = 0.01
_LOOK_S = 0.002
_ORDINARY = 200_000
_MOST = RATE // 20  # … at once: one that lags still looks up to plant its pairs


def produce(bootstrap: str, log: str) -> None:
    """The producer, a process of its own: prints the achieved rate and, by host, when the broker
    appended the later half, as JSON.
    """
    from confluent_kafka import Producer

    with Path(log).open("rb") as file:
        lines = cycle([line[:-1] for line in islice(file, _ORDINARY)])
    settings = {
        "compression.type": "lz4",
        "linger.ms": 5,
        "acks": "1",
        "queue.buffering.max.messages": 1_000_000,
    }
    producer = Producer({"bootstrap.servers": bootstrap, **settings})
    appended: dict[str, int] = {}
    begun, sent, pairs = time.perf_counter(), 0, 0
    while (passed := time.perf_counter() - begun) < SECONDS:
        for line in islice(lines, min(int(passed * RATE) - sent, _MOST)):
            producer.produce(TOPIC, line)
            sent += 1
        if passed >= WARM_S + pairs * PAIR_EVERY_S:
            pairs += 1
            _plant(producer, f"pair-{pairs:05d}", pairs, appended)
        producer.poll(0)
        time.sleep(_SLICE_S)
    producer.flush(60)
    print(json.dumps({"rate": sent / (time.perf_counter() - begun), "appended": appended}))


def _plant(producer: object, host: str, number: int, appended: dict[str, int]) -> None:
    """Both halves, a millisecond apart by the kernel's clock."""
    stamp = datetime.now(UTC).strftime("%b %e %H:%M:%S")
    release = (
        f"{stamp} {host} kernel: [{1000 + number}.000001] IPv4: Attempt to release TCP socket "
        f"in state 10 ffff8056{number:08x}"
    )
    fault = (
        f"{stamp} {host} kernel: [{1000 + number}.001001] BUG: kernel NULL pointer dereference, "
        "address: 0000000000000030"
    )

    def told(_error: object, message: object) -> None:
        appended[host] = message.timestamp()[1]  # type: ignore[attr-defined]

    producer.produce(TOPIC, release, host)  # type: ignore[attr-defined]
    producer.produce(TOPIC, fault, host, on_delivery=told)  # type: ignore[attr-defined]


def main() -> int:
    """Measures once, over some hundred incidents, and keeps the results."""
    results = Results("latency", facts())
    (one,) = corpora(((HOSTS[0], SHARES[0]),))
    with broker() as kafka, tempfile.TemporaryDirectory(prefix="oopswatch-bench-") as scratch:
        kafka.create_topic(TOPIC, PARTITIONS, {"message.timestamp.type": "LogAppendTime"})
        with service(Path(scratch), kafka.bootstrap, TOPIC) as running:
            while running.began() is None:
                time.sleep(0.1)
            words = [
                sys.executable,
                "-m",
                "bench.latency",
                "produce",
                kafka.bootstrap,
                str(one.path),
            ]
            producer = subprocess.Popen(
                pinned(words, BROKER_CORE), stdout=subprocess.PIPE, cwd=options.ROOT
            )
            seen = _watch(running, producer)
    told = json.loads(producer.stdout.read() if producer.stdout else b"{}")
    missing = sorted(told["appended"].keys() - seen.keys())
    if missing:
        raise FailedError(
            f"{len(missing)} of {len(told['appended'])} incidents were not raised within 30 "
            f"s, the first on {missing[0]}"
        )
    seconds = [seen[host] - appended / 1000 for host, appended in told["appended"].items()]
    cuts = quantiles(seconds, n=100)
    p50, p99 = cuts[49] * 1000, cuts[98] * 1000
    results.notes.append(
        f"{len(seconds)} incidents over {SECONDS} s at {told['rate']:,.0f} records/s: "
        f"fastest {min(seconds) * 1000:.0f} ms, "
        f"p50 {p50:.0f} ms, p90 {cuts[89] * 1000:.0f} ms, p99 {p99:.0f} ms, slowest "
        f"{max(seconds) * 1000:.0f} ms"
    )
    results.goals += [
        Goal("append at the broker to incident row, p50", 100, p50, "at most", "ms"),
        Goal("append at the broker to incident row, p99", 1000, p99, "at most", "ms"),
        Goal(
            "records a second while that was measured",
            RATE * 0.98,
            told["rate"],
            "at least",
            "records/s",
        ),
    ]
    keep(results)
    return 0


def _watch(running: Service, producer: subprocess.Popen[bytes]) -> dict[str, float]:
    """Host → wall time at which its incident was first to be read; until the producer has ended and
    nothing has come for 5 s.
    """
    seen: dict[str, float] = {}
    last, latest = 0, time.time()
    while producer.poll() is None or time.time() - latest < 5:
        rows = running.ask("SELECT rowid, host FROM incidents WHERE rowid > ? ORDER BY rowid", last)
        now = time.time()
        for rowid, host in rows:
            last, latest = int(str(rowid)), now
            seen.setdefault(str(host), now)
        time.sleep(_LOOK_S)
    return seen


if __name__ == "__main__":
    if sys.argv[1:2] == ["produce"]:
        produce(*sys.argv[2:])
        raise SystemExit(0)
    raise SystemExit(main())
