"""Pages of a history whose crashes look like known bugs, with the shipped index and without one.

    python -m bench.known_pages FILE [--reports 100000]

FILE is a history that `oopswatch scan --store` fills with crashes made from the traces of the
shipped index, on two thousand hosts; one that is there already is used again. Two servers, one with
the shipped index and one with an empty one, are asked in turn. Prints p50 and p95 of every address
in ms, with and without, and what start-up takes.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from bench.pages import REQUESTS, ask, p95, server
from bench.running import Command, run
from detector.app.known import shipped_path
from detector.known import Bug, Trace
from detector.known.codec import encode
from detector.sources.known.index_file import read

HOSTS = 2_000
STARTS = 15
LISTS = (
    "problems",
    "problems?known=any",
    "problems?known=likely",
    "problems?fixable=yes",
    "faults",
)
_TCP = "IPv4: Attempt to release TCP socket in state 10 00000000a1b2c3d4"
_HOUR_S = 3_600


def seen(bugs: Sequence[Bug]) -> list[tuple[str, Trace]]:
    """Traces that a plain fault can show, each with a release that has the bug."""
    return [
        (bug.affected[-1][0] + (".0" if bug.affected[-1][0].count(".") == 1 else ""), trace)
        for bug in bugs
        for trace in bug.traces
        if bug.affected and trace.function and len(trace.frames) > 2 and trace.kind != "?"
    ]


def crash(kernel: str, trace: Trace) -> Iterator[str]:
    """The lines of one crash on arm64 (arch/arm64/mm/fault.c, kernel/process.c), after what makes
    it an incident.
    """
    null = trace.offset is not None
    address = trace.offset if trace.offset is not None else 0xFFFF_0000_1234_5678
    what = "NULL pointer dereference" if null else "paging request"
    yield _TCP
    yield f"Unable to handle kernel {what} at virtual address {address:016x}"
    yield "Internal error: Oops: 0000000096000004 [#1] SMP"
    yield f"CPU: 1 PID: 321 Comm: pump Not tainted {kernel} #1"
    yield "Hardware name: Demo board"
    yield f"pc : {trace.function}+0x10/0x80"
    yield "lr : frob_caller+0x20/0x100"
    yield "Call trace:"
    frames = trace.plain or trace.frames
    for name in frames if trace.function in frames else (trace.function, *frames):
        yield f" {name}+0x10/0x80"
    yield "---[ end trace 0000000000000000 ]---"


def log(path: Path, reports: int) -> None:
    """Writes the crashes as syslog has them, one host after the other every hour."""
    traces = seen(read(shipped_path())[1])
    with path.open("w") as file:
        for number in range(reports):
            host, hour = number % HOSTS, number // HOSTS + 1
            day, clock = divmod(hour, 24)
            for place, text in enumerate(crash(*traces[number % len(traces)])):
                file.write(
                    f"Nov {day + 1:2} {clock:02}:00:00 host-{host} kernel: "
                    f"[{hour * _HOUR_S}.{place:06}] {text}\n"
                )


def fill(history: Path, reports: int) -> None:
    """Makes the history."""
    lines = history.with_suffix(".log")
    log(lines, reports)
    words = [_command(), "scan", "--json", "--store", str(history), str(lines)]
    subprocess.run(words, stdout=subprocess.DEVNULL, check=False)
    lines.unlink()


def addresses(connection: http.client.HTTPConnection) -> list[str]:
    """The lists, an incident, a fault and a problem."""
    found = {}
    for name in ("incidents", "faults", "problems"):
        connection.request("GET", f"/api/v1/{name}")
        found[name] = json.loads(connection.getresponse().read())[name][0]
    return [
        *(f"/{name}" for name in LISTS),
        f"/incidents/{found['incidents']['id']}",
        f"/faults/{found['faults']['id']}",
        f"/problems/{found['problems']['fingerprint']}",
    ]


def compare(history: Path, empty: Path) -> None:
    """Asks both servers in turn."""
    with ExitStack() as stack:
        indexes = (shipped_path(), empty)
        servers = []
        for number, index in enumerate(indexes):
            os.environ["OOPSWATCH_KNOWN_INDEX"] = str(index)
            servers.append(stack.enter_context(server(history, number))[0])
        for connection in servers:
            connection.close()  # it waited while the other server started
        for address in addresses(servers[0]):
            taken: list[list[float]] = [[], []]
            for connection in servers:
                first, _ = ask(connection, address)
                print(f"  {address}: the first {first:.1f} ms")
            for _ in range(REQUESTS):
                for times, connection in zip(taken, servers, strict=True):
                    times.append(ask(connection, address)[0])
            told = " | ".join(f"p50 {median(one):.1f} ms, p95 {p95(one):.1f} ms" for one in taken)
            ratio = median(taken[0]) / median(taken[1])
            print(f"  {address}: {told} | ratio {ratio:.2f}", flush=True)


def starts(small: Path, empty: Path) -> None:
    """What commands take with either index, in turn."""
    for words in (["--version"], ["scan", str(small)]):
        taken: list[list[float]] = [[], []]
        for _ in range(STARTS):
            for times, index in zip(taken, (shipped_path(), empty), strict=True):
                environment = {"OOPSWATCH_KNOWN_INDEX": str(index)}
                made = Command([_command(), *words], fine=(0, 1), environment=environment)
                times.append(run(made).seconds * 1_000)
        told = " | ".join(f"{median(one):.0f} ms" for one in taken)
        print(f"  {' '.join(words)}: {told} | {median(taken[0]) - median(taken[1]):+.0f} ms")


def main() -> None:
    """Fills and measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("history", type=Path)
    parser.add_argument("--reports", type=int, default=100_000)
    chosen = parser.parse_args()
    if not chosen.history.exists():
        begun = time.perf_counter()
        fill(chosen.history, chosen.reports)
        print(f"  {chosen.reports:,} reports stored in {time.perf_counter() - begun:.0f} s")
    empty = chosen.history.with_name("no-bugs.zst")
    empty.write_bytes(encode([]))
    small = chosen.history.with_name("small.log")
    log(small, 1)
    starts(small, empty)
    compare(chosen.history, empty)


def _command() -> str:
    return str(Path(sys.executable).with_name("oopswatch"))


if __name__ == "__main__":
    main()
