"""A storm of crashes: thousands of hosts print a report each within ten seconds. `python -m
bench.storm [HOSTS]`.

Each host says that a socket was released and prints a fault of 60 lines, its lines between those of
all others (round after round a line of each). Meanwhile other hosts plant a pair every 100 ms.
Measured are how long it takes until every incident of the storm stands in the history with its
whole report, how long until the first message is with a receiver, and how late the incidents of the
other hosts are. The broker has one core, the service the other.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import quantiles
from threading import Thread
from typing import Any

from bench import options
from bench.broker import PARTITIONS, broker
from bench.figures import Goal, Results
from bench.machine import BROKER_CORE, facts, keep
from bench.processes import cpu_s
from bench.running import FailedError, pinned
from bench.service import Service, service

HOSTS, LINES, SPAN_S, FUNCTIONS = 5_000, 60, 10.0, 40
PAIR_EVERY_S = 0.1
STORED_S, FIRST_S, OTHERS_S = 15.0, 5.0, 2.0
WITHIN_S = 300
TOPIC = "storm"
_LOOK_S = 0.02
_TICK_S = 0.01

_HEAD = (
    "IPv4: Attempt to release TCP socket in state 10 ffff8881{host:08x}",
    "Unable to handle kernel paging request at virtual address ffff8000{host:08x}",
    "Mem abort info:",
    "  ESR = 0x0000000096000004",
    "  EC = 0x25: DABT (current EL), IL = 32 bits",
    "Internal error: Oops: 0000000096000004 [#1] SMP",
    "Modules linked in: storm_mod nfsv4 dm_mod",
    "CPU: 3 PID: 2817 Comm: worker/u16:2 Not tainted 6.1.0 #1",
    "Hardware name: Demo Computing RK-8 (DT)",
    "pstate: 60400009 (nZCv daif +PAN -UAO)",
    "pc : storm_fn_{function:03}+0x40/0x1c0 [storm_mod]",
    "lr : storm_caller_{function:03}+0x64/0xd0 [storm_mod]",
    "sp : ffff80001f0bbc10",
    *(f"x{n} : 00000000000000{n:02x} x{n - 1} : 0000000000000000" for n in range(29, 0, -2)),
    "Call trace:",
    " storm_fn_{function:03}+0x40/0x1c0 [storm_mod]",
    " storm_caller_{function:03}+0x64/0xd0 [storm_mod]",
)
_TAIL = (
    " worker_thread+0x70/0x410",
    " kthread+0x11c/0x128",
    " ret_from_fork+0x10/0x20",
    "Code: aa0003f3 b4000140 f9400013 b4000113 (f9401a63)",
    "---[ end trace 0000000000000000 ]---",
)
BLOCK = (
    *_HEAD,
    *(
        f" storm_path_{n:02}+0x1{n:x}/0x90 [storm_mod]"
        for n in range(LINES - len(_HEAD) - len(_TAIL))
    ),
    *_TAIL,
)


def storm_line(host: int, number: int) -> bytes:
    """Line `number` of a host's crash, as it leaves the host now."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    text = BLOCK[number].format(host=host, function=host % FUNCTIONS)
    return f"<2>1 {stamp} storm-{host} kernel - - - [{4000 + host}.{number:06}] {text}".encode()


def pair(number: int) -> tuple[str, list[bytes]]:
    """Both halves of an incident on a host that has no part in the storm."""
    host, stamp = f"other-{number}", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    texts = (
        f"IPv4: Attempt to release TCP socket in state 10 ffff8056{number:08x}",
        "BUG: kernel NULL pointer dereference, address: 0000000000000030",
    )
    return host, [
        f"<2>1 {stamp} {host} kernel - - - [{9000 + number}.{place:06}] {text}".encode()
        for place, text in enumerate(texts)
    ]


def produce(bootstrap: str, hosts: int) -> None:
    """The producer, a process of its own: prints when it began and when the broker appended each
    host's last line, as JSON.
    """
    from confluent_kafka import Producer

    settings = {"compression.type": "lz4", "linger.ms": 5, "acks": "1"}
    producer = Producer({"bootstrap.servers": bootstrap, **settings})
    appended: dict[str, float] = {}
    begun, sent, pairs, total = time.time(), 0, 0, hosts * LINES
    while sent < total:
        passed = time.time() - begun
        for place in range(sent, min(total, int(passed / SPAN_S * total))):
            number, host = divmod(place, hosts)
            producer.produce(TOPIC, storm_line(host, number), f"storm-{host}")
            sent = place + 1
            if not place % 1000:
                producer.poll(0)
        if passed >= pairs * PAIR_EVERY_S:
            pairs += 1
            host_name, halves = pair(pairs)
            for half in halves:
                producer.produce(TOPIC, half, host_name, on_delivery=_note(appended, host_name))
        producer.poll(0)
        time.sleep(_TICK_S)
    producer.flush(60)
    print(json.dumps({"begun": begun, "seconds": time.time() - begun, "appended": appended}))


def _note(appended: dict[str, float], host: str) -> Any:
    def told(_error: object, message: Any) -> None:
        appended[host] = message.timestamp()[1] / 1000

    return told


@contextmanager
def receiver() -> Iterator[tuple[str, list[tuple[float, str]]]]:
    """A receiver of messages on loopback: its address, and when which message came."""
    came: list[tuple[float, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            came.append((time.time(), body.decode()))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", came
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def main(arguments: list[str]) -> int:
    """Measures once and keeps the results."""
    hosts = int(arguments[0]) if arguments else HOSTS
    results = Results("storm", facts())
    with (
        broker() as kafka,
        tempfile.TemporaryDirectory(prefix="oopswatch-bench-") as scratch,
        receiver() as (url, came),
    ):
        kafka.create_topic(TOPIC, PARTITIONS, {"message.timestamp.type": "LogAppendTime"})
        routing = Path(scratch) / "notify.toml"
        routing.write_text(
            f'[[receiver]]\nname = "hook"\nkind = "webhook"\nurl = "{url}"\n'
            '[[route]]\nreceivers = ["hook"]\n'
        )
        settings = {"OOPSWATCH_ALERT_FILE": str(routing)}
        with service(Path(scratch), kafka.bootstrap, TOPIC, settings) as running:
            while running.began() is None:
                time.sleep(0.1)
            before = cpu_s(running.process.pid)
            words = [sys.executable, "-m", "bench.storm", "produce", kafka.bootstrap, str(hosts)]
            producer = subprocess.Popen(
                pinned(words, BROKER_CORE), stdout=subprocess.PIPE, cwd=options.ROOT
            )
            stored, others = _watch(running, hosts)
            used = cpu_s(running.process.pid) - before
            told = json.loads(producer.stdout.read() if producer.stdout else b"{}")
    _conclude(results, told, stored, others, [at for at, body in came if "storm-" in body])
    results.notes.append(
        f"{hosts:,} hosts, {hosts * LINES:,} lines sent within {told['seconds']:.1f} s; "
        f"{used:.1f} s of CPU, {used / hosts * 1000:.1f} ms a report; "
        f"{len(came)} messages to the receiver"
    )
    keep(results)
    return 0


def _watch(running: Service, hosts: int) -> tuple[float, dict[str, float]]:
    """When the last incident of the storm stood in the history with its whole report; when each of
    the other hosts' was first to be read. Raises FailedError.
    """
    seen: dict[str, float] = {}
    deadline, rowid, storm, whole = time.monotonic() + WITHIN_S, 0, 0, 0
    while storm < hosts or whole < hosts:
        for at, host in running.ask(
            "SELECT rowid, host FROM incidents WHERE rowid > ? ORDER BY rowid", rowid
        ):
            rowid = int(str(at))
            seen.setdefault(str(host), time.time())
            storm += str(host).startswith("storm-")
        if storm >= hosts:
            ((count,),) = running.ask("SELECT count(*) FROM reports WHERE complete") or ((0,),)
            whole = int(str(count))
        if time.monotonic() > deadline or running.process.poll() is not None:
            raise FailedError(f"{storm:,} of {hosts:,} incidents, {whole:,} reports are whole")
        time.sleep(_LOOK_S)
    stored = time.time()
    return stored, {host: at for host, at in seen.items() if host.startswith("other-")}


def _conclude(
    results: Results,
    told: dict[str, Any],
    stored: float,
    others: dict[str, float],
    messages: list[float],
) -> None:
    late = [others.get(host, stored) - appended for host, appended in told["appended"].items()]
    cuts = quantiles(late, n=100)
    results.goals += [
        Goal("storm: the first append to all incidents stored", STORED_S, stored - told["begun"],
             "at most", "s"),
        Goal("storm: the first append to the first message", FIRST_S,
             min(messages, default=float("inf")) - told["begun"], "at most", "s"),
        Goal("storm: incidents of other hosts meanwhile, p99", OTHERS_S, cuts[98], "at most", "s"),
    ]  # fmt: skip
    results.notes.append(
        f"{len(late)} incidents of other hosts: p50 {cuts[49]:.2f} s, p90 {cuts[89]:.2f} s, "
        f"p99 {cuts[98]:.2f} s"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["produce"]:
        produce(sys.argv[2], int(sys.argv[3]))
        raise SystemExit(0)
    raise SystemExit(main(sys.argv[1:]))
