"""Planted pairs, and which of them a rule finds after its conversion by Sigma's backends:

    python -m bench.sigma            # the table of docs/sigma.md
    RSIGMA=/path/to/rsigma python -m bench.sigma

SQLite runs the query that its backend writes; rsigma, where it is installed, reads the rules
themselves. Splunk, Elasticsearch and Loki cannot be had here: the windows that their queries name
(tumbling buckets, a range at each evaluation, none) are computed over the same events. oopswatch
scans the same events as journald's JSON. Everything follows from a seed.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import yaml
from click.testing import CliRunner
from sigma.backends.elasticsearch import EqlBackend, ESQLBackend, LuceneBackend
from sigma.backends.loki import LogQLBackend
from sigma.backends.splunk import SplunkBackend
from sigma.backends.sqlite import sqliteBackend
from sigma.collection import SigmaCollection

from detector.cli import oopswatch
from detector.render.objects import moment

RULE = "tcp-release-and-memory-fault"
SEED = 18
RELEASED = "IPv4: Attempt to release TCP socket in state 10 ffff805624a7b800"
FAULT = "Unable to handle kernel paging request at virtual address 0001950b00000030"
# 2026-03-01 12:00:00 UTC, in µs; on no edge of a bucket of ten seconds for most pairs.
START_US = 1_772_366_400_000_000
SECOND = 1_000_000
# How often Loki's ruler evaluates a rule unless it is set otherwise (docs: evaluation_interval).
LOKI_INTERVAL_S = 60


@dataclass(frozen=True)
class Event:
    """One line, with its shipper's wall time and the kernel's time, both in µs."""

    host: str
    text: str
    wall_us: int
    kernel_us: int
    boot: str
    by_kernel: bool = True


@dataclass(frozen=True)
class Case:
    """A sort of planted pairs: how many, and whether each is an incident."""

    name: str
    meaning: str
    count: int
    is_incident: bool
    plant: Callable[[random.Random, str], list[Event]]


def _pair(
    rng: random.Random,
    host: str,
    gap_s: tuple[float, float],
    *,
    late_s: float = 0,
    other: str | None = None,
) -> list[Event]:
    """Two lines in either order; `late_s`: the second was stamped so much later by its shipper."""
    start = START_US + rng.randrange(86_400 * SECOND)
    gap = round(rng.uniform(*gap_s) * SECOND)
    texts = [RELEASED, FAULT]
    rng.shuffle(texts)
    kernel = rng.randrange(1_000 * SECOND, 9_000_000 * SECOND)
    boot = f"{rng.getrandbits(128):032x}"
    first = Event(host, texts[0], start, kernel, boot)
    wall = start + gap + round(late_s * SECOND)
    return [first, Event(other or host, texts[1], wall, kernel + gap, boot)]


def _rebooted(rng: random.Random, host: str) -> list[Event]:
    first, second = _pair(rng, host, (4, 9))
    boot = f"{rng.getrandbits(128):032x}"
    return [first, Event(host, second.text, second.wall_us, 2_000_000, boot)]


def _forged(rng: random.Random, host: str) -> list[Event]:
    return [
        Event(event.host, event.text, event.wall_us, event.kernel_us, event.boot, by_kernel=False)
        for event in _pair(rng, host, (0.01, 9.9))
    ]


CASES = (
    Case("pair", "both lines within 10 s", 200, True, lambda r, h: _pair(r, h, (0.01, 9.9))),
    Case(
        "late",
        "the same, but the shipper read the second 30 s later and stamped it then",
        50,
        True,
        lambda r, h: _pair(r, h, (0.01, 9.9), late_s=30),
    ),
    Case("far", "11 to 30 s apart", 50, False, lambda r, h: _pair(r, h, (11, 30))),
    Case(
        "cross-host",
        "one line on each of two hosts",
        50,
        False,
        lambda r, h: _pair(r, h, (0.01, 9.9), other=f"{h}-other"),
    ),
    Case("reboot", "4 to 9 s apart, with a reboot between", 50, False, _rebooted),
    Case("forged", "both lines written by a program", 50, False, _forged),
)


def planted(seed: int = SEED) -> dict[str, list[Event]]:
    """The events of each case, every pair on a host of its own."""
    rng = random.Random(seed)
    return {
        case.name: [
            event for n in range(case.count) for event in case.plant(rng, f"{case.name}-{n:03}")
        ]
        for case in CASES
    }


def documents() -> str:
    """The rule as YAML, as the command writes it."""
    result = CliRunner().invoke(oopswatch, ["patterns", "to-sigma", RULE])
    assert result.exit_code == 0, result.output
    return result.output


def phrases(text: str) -> list[list[str]]:
    """The phrases of each of the rule's two detections, in lower case as Sigma compares them."""
    detections = [each for each in yaml.safe_load_all(text) if "detection" in each]
    return [
        [
            phrase.replace("\\", "").lower()
            for selection in each["detection"].values()
            if isinstance(selection, dict)
            for phrase in selection["message|contains"]
        ]
        for each in detections
    ]


Hits = list[tuple[int, str, int]]


def hits_of(events: Sequence[Event], text: str) -> Hits:
    """(which detection, host, wall time in µs) of each event that one of them matches."""
    wanted = phrases(text)
    return [
        (number, event.host, event.wall_us)
        for event in events
        for number, each in enumerate(wanted)
        if any(phrase in event.text.lower() for phrase in each)
    ]


def tumbling(events: Sequence[Event], text: str, span_s: int) -> set[str]:
    """Hosts with both halves in one bucket of whole spans since 1970."""
    seen: dict[tuple[int, str], set[int]] = {}
    for number, host, wall_us in hits_of(events, text):
        seen.setdefault((wall_us // (span_s * SECOND), host), set()).add(number)
    return {host for (_, host), halves in seen.items() if len(halves) > 1}


def evaluated(events: Sequence[Event], text: str, range_s: int, every_s: int) -> set[str]:
    """Hosts with both halves in the range before a moment at which the rule is evaluated."""
    seen: dict[tuple[int, str], set[int]] = {}
    for number, host, wall_us in hits_of(events, text):
        tick = -(-wall_us // (every_s * SECOND))
        while tick * every_s * SECOND - range_s * SECOND < wall_us:
            seen.setdefault((tick, host), set()).add(number)
            tick += 1
    return {host for (_, host), halves in seen.items() if len(halves) > 1}


def by_oopswatch(events: Sequence[Event], _text: str) -> set[str]:
    """Hosts of the incidents that a scan of the events finds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.json"
        path.write_text("".join(f"{json.dumps(_journal(event))}\n" for event in events))
        result = CliRunner().invoke(oopswatch, ["scan", "--json", str(path)])
    assert result.exit_code in (0, 1), result.output
    items = (json.loads(line) for line in result.output.splitlines())
    return {item["host"] for item in items if item["type"] == "incident"}


def _journal(event: Event) -> dict[str, str]:
    return {
        "__REALTIME_TIMESTAMP": str(event.wall_us),
        "_SOURCE_MONOTONIC_TIMESTAMP": str(event.kernel_us),
        "_BOOT_ID": event.boot,
        "_HOSTNAME": event.host,
        "_TRANSPORT": "kernel" if event.by_kernel else "syslog",
        "SYSLOG_IDENTIFIER": "kernel",
        "MESSAGE": event.text,
    }


def by_sqlite(events: Sequence[Event], text: str) -> set[str]:
    """Hosts that the query of the backend names, run by SQLite."""
    (query,) = sqliteBackend().convert(SigmaCollection.from_yaml(text))
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE logs (timestamp TEXT, host TEXT, message TEXT)")
        database.executemany(
            "INSERT INTO logs VALUES (?, ?, ?)",
            [(moment(event.wall_us), event.host, event.text) for event in events],
        )
        cursor = database.execute(query.replace("<TABLE_NAME>", "logs"))
        place = [column[0] for column in cursor.description].index("group_keys")
        return {json.loads(row[place])["host"] for row in cursor}


def by_splunk(events: Sequence[Event], text: str) -> set[str]:
    """By the buckets of the query: `bin _time span=10s`, then distinct rules by time and host."""
    (query,) = SplunkBackend().convert(SigmaCollection.from_yaml(text))
    span = re.search(r"bin _time span=(\d+)s\n\| stats dc\(event_type\).* by _time host", query)
    assert span is not None, query
    return tumbling(events, text, int(span[1]))


def by_esql(events: Sequence[Event], text: str) -> set[str]:
    """By the buckets of the query: `date_trunc(10seconds, @timestamp)`."""
    (query,) = ESQLBackend().convert(SigmaCollection.from_yaml(text))
    span = re.search(r"date_trunc\((\d+)seconds, @timestamp\)", query)
    assert span is not None, query
    return tumbling(events, text, int(span[1]))


def by_eql(events: Sequence[Event], text: str) -> set[str]:
    """By the query's `sample by host`, which holds no time: the time range of the search is all."""
    (query,) = EqlBackend().convert(SigmaCollection.from_yaml(text))
    assert query.startswith("sample by host"), query
    assert not re.search(r"maxspan|\d+ *s\b", query), query
    return tumbling(events, text, 10**9)


def by_loki(events: Sequence[Event], text: str) -> set[str]:
    """By the ranges of the query, `[10s]`, at each evaluation of the ruler."""
    (query,) = LogQLBackend().convert(SigmaCollection.from_yaml(text))
    spans = set(re.findall(r"\[(\w+)\]\)", query))
    assert spans == {"10s"}, query
    return evaluated(events, text, 10, LOKI_INTERVAL_S)


def by_lucene(_events: Sequence[Event], text: str) -> set[str] | None:
    """None: the backend refuses correlations."""
    try:
        LuceneBackend().convert(SigmaCollection.from_yaml(text))
    except NotImplementedError:
        return None
    raise AssertionError("Lucene's backend takes correlations now: judge what it writes")


Judge = Callable[[Sequence[Event], str], set[str] | None]
JUDGES: Mapping[str, Judge] = {
    "oopswatch": by_oopswatch,
    "SQLite (run)": by_sqlite,
    "Splunk": by_splunk,
    "Elasticsearch ES\\|QL": by_esql,
    "Elasticsearch EQL": by_eql,
    f"Loki, evaluated each {LOKI_INTERVAL_S} s": by_loki,
    "Elasticsearch Lucene": by_lucene,
}


def raised(judge: Judge, text: str, cases: Mapping[str, Sequence[Event]]) -> dict[str, int] | None:
    """How many pairs of each case a backend raises; None where it refuses the rule."""
    hosts = judge([event for events in cases.values() for event in events], text)
    if hosts is None:
        return None
    return {case.name: sum(host.startswith(f"{case.name}-") for host in hosts) for case in CASES}


def rows() -> Iterator[str]:
    """The lines of the table."""
    text, cases = documents(), planted()
    heads = [f"{case.name} ({case.count})" for case in CASES]
    yield f"| backend | {' | '.join(heads)} |"
    yield f"| --- |{' --: |' * len(heads)}"
    should = [str(case.count if case.is_incident else 0) for case in CASES]
    yield f"| to be raised | {' | '.join(should)} |"
    judges = dict(JUDGES)
    if binary := os.environ.get("RSIGMA") or shutil.which("rsigma"):
        judges["rsigma (run)"] = lambda events, given: by_rsigma(events, given, binary)
    for name, judge in judges.items():
        counts = raised(judge, text, cases)
        cells = ["refused" if counts is None else str(counts[case.name]) for case in CASES]
        yield f"| {name} | {' | '.join(cells)} |"


def by_rsigma(events: Sequence[Event], text: str, binary: str) -> set[str]:
    """Hosts of the correlations that rsigma reports, events in order of their time."""
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder) / "rules.yml"
        rules.write_text(text)
        lines = [
            json.dumps(
                {"timestamp": moment(event.wall_us), "host": event.host, "message": event.text}
            )
            for event in sorted(events, key=lambda event: event.wall_us)
        ]
        done = subprocess.run(
            [binary, "engine", "eval", "-r", str(rules)],
            input="\n".join(lines),
            capture_output=True,
            text=True,
            check=True,
        )
    results = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    return {dict(item["group_key"])["host"] for item in results if "group_key" in item}


if __name__ == "__main__":
    for line in rows():
        print(line)
