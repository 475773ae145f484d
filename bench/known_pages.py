"""Pages of a history whose crashes look like known bugs, with the shipped index and without one.

    python -m bench.known_pages FILE [--reports 100000]

FILE is a history like that of `bench.history` whose reports are made from the traces of the shipped
index; one that is there already is used again. Two servers, one with
the shipped index and one with an empty one, are asked in turn. Prints p50 and p95 of every address
in ms, with and without, and what start-up takes.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import resource
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from bench.crashes import Crash
from bench.history import Fleet, fill
from bench.pages import REQUESTS, ask, p95, server
from bench.running import Command, run
from detector.app.known import shipped_path
from detector.known import Bug, Trace
from detector.known.codec import encode
from detector.known.nature import HEADLESS
from detector.sources.known.index_file import read

STARTS = 15
# Each is read by the pipeline once.
TRACES = 1_000
LISTS = (
    "problems",
    "problems?known=any",
    "problems?known=likely",
    "problems?fixable=yes",
    "faults",
)
_TCP = "IPv4: Attempt to release TCP socket in state 10 00000000a1b2c3d4"


class CrashedFleet(Fleet):
    """The made-up fleet, whose reports are crashes with the bugs of the shipped index."""

    def made(self) -> Iterator[tuple[str, str, Crash]]:
        """The crashes, with traces of the index in turn."""
        traces = seen(read(shipped_path())[1])
        traces = traces[:: max(1, len(traces) // TRACES)]
        for number, (_, _, one) in enumerate(super().made()):
            kernel, trace = traces[number % len(traces)]
            text = "\n".join(crash(kernel, trace))
            yield text.replace("{", "{{").replace("}", "}}"), kernel, one


def seen(bugs: Sequence[Bug]) -> list[tuple[str, Trace]]:
    """Traces that a plain fault can show, each with a release that has the bug."""
    return [
        (bug.affected[-1][0] + (".0" if bug.affected[-1][0].count(".") == 1 else ""), trace)
        for bug in bugs
        for trace in bug.traces
        if bug.affected and trace.function and len(trace.frames) > 2 and trace.kind != HEADLESS
    ]


def crash(kernel: str, trace: Trace) -> Iterator[str]:
    """The lines of one crash on arm64 (arch/arm64/mm/fault.c, kernel/process.c)."""
    null = trace.offset is not None
    address = trace.offset if trace.offset is not None else 0xFFFF_0000_1234_5678
    what = "NULL pointer dereference" if null else "paging request"
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


def small_log(path: Path) -> None:
    """Writes one crash that is an incident, as syslog has it."""
    ((kernel, trace), *_) = seen(sorted(read(shipped_path())[1], key=lambda bug: bug.id))
    with path.open("w") as file:
        for place, text in enumerate((_TCP, *crash(kernel, trace))):
            file.write(f"Nov  1 10:00:00 host-1 kernel: [3600.{place:06}] {text}\n")


def addresses(connection: http.client.HTTPConnection) -> list[str]:
    """The lists, an incident, a fault and a problem."""
    found = {}
    connection.close()
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
            servers.append(stack.enter_context(server(history, number)).connection)
        for address in addresses(servers[0]):
            taken: list[list[float]] = [[], []]
            for connection in servers:
                connection.close()  # the server ends one that waits for the other's answer
                first, _ = ask(connection, address)
                print(f"  {address}: the first {first:.1f} ms")
            for _ in range(REQUESTS):
                for times, connection in zip(taken, servers, strict=True):
                    times.append(ask(connection, address)[0])
            told = " | ".join(f"p50 {median(one):.1f} ms, p95 {p95(one):.1f} ms" for one in taken)
            ratio = median(taken[0]) / median(taken[1])
            print(f"  {address}: {told} | ratio {ratio:.2f}", flush=True)


def starts(small: Path, empty: Path) -> None:
    """CPU time of commands with either index, in turn."""
    for words in (["--version"], ["scan", str(small)]):
        taken: list[list[float]] = [[], []]
        for _ in range(STARTS):
            for times, index in zip(taken, (shipped_path(), empty), strict=True):
                environment = {"OOPSWATCH_KNOWN_INDEX": str(index)}
                before = cpu_ms()
                run(Command([_command(), *words], fine=(0, 1), environment=environment))
                times.append(cpu_ms() - before)
        told = " | ".join(f"{median(one):.0f} ms" for one in taken)
        print(f"  {' '.join(words)}: {told} | {median(taken[0]) - median(taken[1]):+.0f} ms")


def cpu_ms() -> float:
    """CPU time of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1_000


def main() -> None:
    """Fills and measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("history", type=Path)
    parser.add_argument("--reports", type=int, default=100_000)
    chosen = parser.parse_args()
    if not chosen.history.exists():
        fill(chosen.history, chosen.reports / 1_000_000, CrashedFleet)
    empty = chosen.history.with_name("no-bugs.zst")
    empty.write_bytes(encode([]))
    small = chosen.history.with_name("small.log")
    small_log(small)
    starts(small, empty)
    compare(chosen.history, empty)


def _command() -> str:
    return str(Path(sys.executable).with_name("oopswatch"))


if __name__ == "__main__":
    main()
