"""Pages, API and commands over a history of full size, beside a writer that keeps storing.

    python -m bench.history_size [FILE] [--page docs/history-size.md]

FILE is made by `bench.history` where it is not there (10,000,000 matches, 1,000,000 reports,
1,000,000 incidents, 100,000 hosts). Each address is asked in turn, round after round; beside the
time that the client waited stands the processor's time that the server took, which other work on
the machine changes less. A command's time is net of the same command over an empty history.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import RemoteDisconnected
from itertools import count as count_from
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path
from statistics import median
from urllib.parse import quote

from bench import options
from bench.growth import new_matches
from bench.history import LARGEST, fill
from bench.machine import BROKER_CORE, facts
from bench.pages import GOAL_KB, GOAL_MS, Served, addresses, ask, p95, server
from bench.running import Command, FailedError, pinned, run
from detector.store import open_journal

ROUNDS, COMMAND_ROUNDS = 20, 2
_FACTS = ("processor", "memory", "system")
# Lines that the writer reads at a time.
_LINES = 5_000
COMMANDS = (
    ("incidents", "list"),
    ("incidents", "list", "--host", "db-8"),
    ("incidents", "list", "--text", "paging", "--state", "open"),
    ("faults", "list", "--host", "db-8"),
    ("faults", "list", "--kernel", "5.4..6.8"),
    ("problems", "list"),
    ("problems", "list", "--host", "db-*"),
    ("problems", "show", LARGEST),
    ("hosts", "list", "--kernel", "4.8.90"),
    ("hosts", "show", "db-8"),
    ("fleet",),
    ("noise", "--host", "db-8"),
    ("stats",),
)


@dataclass(slots=True)
class Asked:
    """An address, and how long it took each time: waited, and the processor's time, in ms."""

    address: str
    waited: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    size: int = 0


def more_addresses(served: Served, history: Path) -> list[str]:
    """Every kind of page and query, and the pages of lists that lie deep down."""
    with closing(sqlite3.connect(f"file:{history}?mode=ro", uri=True)) as db:
        (fault,) = db.execute("SELECT max(id) - 5000 FROM faults WHERE reported").fetchone()
        row = db.execute("SELECT id FROM faults WHERE id >= ? AND reported", (fault,)).fetchone()
    served.connection.close()  # the server ends one that waits for seconds
    found = [*addresses(history), f"/faults/{row[0]}", f"/api/v1/faults/{row[0]}"]
    found += [
        f"/{place}?known={how}" for place in ("faults", "problems") for how in ("any", "likely")
    ]
    return [*found, *deep(served)]


def deep(served: Served) -> Iterator[str]:
    """The tenth thousandth row and those after it, of each list."""
    for place in ("incidents", "faults", "problems", "hosts"):
        address, after = f"/api/v1/{place}?limit=500", ""
        for _ in range(20):
            served.connection.request("GET", address + after)
            body = json_of(served)
            if body["next"] is None:
                break
            after = f"&after={quote(str(body['next']))}"
        yield f"/api/v1/{place}?limit=50{after}"
        yield f"/{place}?{after[1:]}"


def store_on(history: Path, ended: Event, stores: Event) -> None:
    """Stores lines that no earlier round held, until the end; says when the first are stored."""
    for number in count_from(int(time.time()) % 100_000):
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "kern.log"
            log.write_text("".join(new_matches(number)[:_LINES]), encoding="utf-8")
            words = [program(), "scan", "--json", "--store", str(history), str(log)]
            run(Command(pinned(words, BROKER_CORE), fine=(0, 1)))
        stores.set()
        if ended.is_set():
            return


@contextmanager
def storing(history: Path) -> Iterator[Event]:
    """A process that runs `oopswatch scan --store` again and again, on the other core; set once
    the first lines are stored.
    """
    context = get_context("spawn")
    ended, stores = context.Event(), context.Event()
    writer = context.Process(target=store_on, args=(history, ended, stores))
    writer.start()
    try:
        yield stores
    finally:
        ended.set()
        writer.join()


def program() -> str:
    """The command itself."""
    return str(Path(sys.executable).with_name("oopswatch"))


def json_of(served: Served) -> dict[str, object]:
    """The answer to the request that was sent."""
    read: dict[str, object] = json.loads(served.connection.getresponse().read())
    return read


def ask_all(served: Served, found: Sequence[str], rounds: int) -> list[Asked]:
    """Asks every address once, then all again."""
    asked = [Asked(address) for address in found]
    for number in range(rounds + 1):
        for one in asked:
            before = served.cpu_ms()
            try:
                waited, size = ask(served.connection, one.address)
            except RemoteDisconnected:
                served.connection.close()  # it waited for the one before for too long
                waited, size = ask(served.connection, one.address)
            if number:
                one.waited.append(waited)
                one.cpu.append(served.cpu_ms() - before)
                one.size = max(one.size, size)
        print(f"  round {number}", file=sys.stderr, flush=True)
    return asked


def command_ms(words: Sequence[str], store: Path) -> float:
    """The processor's time of a command over a history."""
    before = _children_ms()
    run(Command([program(), *words, "--store", str(store)], fine=(0, 1, 2)))
    return _children_ms() - before


def _children_ms() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1_000


def ask_commands(history: Path, rounds: int) -> Iterator[tuple[str, float, float]]:
    """Each command, its time over the history, and what of it is not start-up."""
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty.db"
        open_journal(empty).close()
        for words in COMMANDS:
            pairs = [(command_ms(words, history), command_ms(words, empty)) for _ in range(rounds)]
            whole, start = (median(times) for times in zip(*pairs, strict=True))
            print(f"  {' '.join(words)}", file=sys.stderr, flush=True)
            yield " ".join(words), whole, whole - start


def page(history: Path, asked: Sequence[Asked], commands: Sequence[tuple[str, float, float]],
         load: tuple[float, float], stored: int) -> Iterator[str]:  # fmt: skip
    """The page in Markdown."""
    with closing(sqlite3.connect(f"file:{history}?mode=ro", uri=True)) as db:
        counts = {
            table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("matches", "reports", "incidents", "hosts")
        }
    yield "# A history of full size\n"
    yield (
        "Written by `make history-size`: every page, query of the API and command over a history "
        "whose rows are those that the\nservice would have stored, while `oopswatch scan --store` "
        "writes into the same file without a pause. Asked round after round\nby one client.\n"
    )
    held = ", ".join(f"{rows:,} {table}" for table, rows in counts.items())
    size = history.stat().st_size / 1e9
    yield f"- The history: {held}; {size:.1f} GB. The writer stored {stored:,} matches meanwhile."
    yield from (f"- {name}: {value}" for name, value in facts().items() if name in _FACTS)
    yield (
        f"- Load of the machine (programs that want a core; it has {os.cpu_count()}): "
        f"{load[0]:.1f} at the beginning, {load[1]:.1f} at the end. CPU is\n  the processor's time "
        "of the server alone; waited is what the client saw, with what others took of the cores.\n"
    )
    slow = [one for one in asked if p95(one.cpu) > GOAL_MS]
    pages = [one for one in asked if not one.address.startswith("/api/")]
    large = [one for one in pages if one.size > GOAL_KB * 1_000]
    late = [one for one in asked if p95(one.waited) > GOAL_MS]
    yield "| goal | | |\n| --- | --- | --- |"
    yield (
        f"| every address: CPU p95 ≤ {GOAL_MS:.0f} ms | {len(asked) - len(slow)} of {len(asked)} | "
        f"{_verdict(slow)} |"
    )
    yield (
        f"| every address: waited p95 ≤ {GOAL_MS:.0f} ms | {len(asked) - len(late)} of "
        f"{len(asked)} | {_verdict(late)} |"
    )
    yield (
        f"| first pages ≤ {GOAL_KB:.1f} kB | {len(pages) - len(large)} of {len(pages)} | "
        f"{_verdict(large)} |\n"
    )
    yield "## Pages and API\n"
    yield "| address | CPU p50 | CPU p95 | waited p50 | waited p95 | kB |"
    yield "| --- | --: | --: | --: | --: | --: |"
    for one in sorted(asked, key=lambda one: -p95(one.cpu)):
        yield (
            f"| `{one.address.replace('|', '%7C')}` | {median(one.cpu):.1f} | {p95(one.cpu):.1f} | "
            f"{median(one.waited):.1f} | {p95(one.waited):.1f} | {one.size / 1_000:.1f} |"
        )
    yield "\n## Commands\n"
    yield "| `oopswatch …` | CPU, ms | of it over an empty history's |\n| --- | --: | --: |"
    for name, whole, net in commands:
        yield f"| `{name}` | {whole:.0f} | {net:+.0f} |"


def _verdict(missed: Sequence[Asked]) -> str:
    return f"**missed** by {len(missed)}" if missed else "met"


def count(history: Path) -> int:
    """How many matches a history has."""
    with closing(sqlite3.connect(f"file:{history}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT count(*) FROM matches").fetchone()[0])


def main() -> None:
    """Fills, asks, writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("history", type=Path, nargs="?", default=options.CORPORA / "fleet-1.db")
    parser.add_argument("--page", type=Path, default=Path("docs/history-size.md"))
    parser.add_argument("--size", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    chosen = parser.parse_args()
    if not chosen.history.exists():
        chosen.history.parent.mkdir(parents=True, exist_ok=True)
        fill(chosen.history, chosen.size)
    before, load = count(chosen.history), os.getloadavg()[0]
    with server(chosen.history) as served, storing(chosen.history) as stores:
        asked = ask_all(served, more_addresses(served, chosen.history), chosen.rounds)
        for one in sorted(asked, key=lambda one: -p95(one.cpu))[:20]:
            print(f"  {p95(one.cpu):.0f} ms CPU {one.address}", file=sys.stderr, flush=True)
        commands = list(ask_commands(chosen.history, COMMAND_ROUNDS))
        if not stores.is_set():
            raise FailedError("nothing was stored while pages were asked for")
    loads = (load, os.getloadavg()[0])
    stored = count(chosen.history) - before
    lines = page(chosen.history, asked, commands, loads, stored)
    chosen.page.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
