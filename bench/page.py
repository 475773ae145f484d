"""docs/performance.md from what was measured last. `python -m bench.page` prints it; rendering is
pure.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from statistics import median

from bench import options
from bench.causes import cause
from bench.figures import Goal, Results, Row

ORDER = ("files", "kafka", "storm", "latency", "growth", "memory", "pages")
HEAD = """# Performance

Written by `make bench`, which generates its corpora with the simulator and runs everything on one \
machine, side by side and in turn
(A B C A B C …). Figures are medians; ratios are the median over the rounds of what ran in the \
same round. Other machines give other
figures: compare ratios, and run it yourself (`BENCH_SIZE=50M make bench` for a small run).

Lines have 140 bytes on average, in the traditional syslog format that every peer reads. "Hits" \
are the lines that hold a literal of the
catalogue: at 0.01 % an ordinary day, at 2 % a fleet with programs that crash in loops. oopswatch \
always does its whole job: all
signatures and rules, crash reports, diagnoses, noise by program, the history. What each peer \
does, and does not, stands beside its row.
"""
TITLES = {
    "files": "Files, one core",
    "kafka": "Kafka, one process on one core, the broker on the other",
    "storm": "A storm of crashes",
    "latency": "From the broker to the row",
    "growth": "Growth",
    "memory": "Memory",
    "pages": "Pages and API over a full history, while a scan writes into it",
}
ABOUT = {
    "files": (
        "Each is its user's command, start-up included. oopswatch and ripgrep read the whole "
        "corpus, the peers its beginning."
    ),
    "kafka": "lz4, batches of up to 256 KiB, 4 partitions. oopswatch is timed from its assignment "
    "until every position is stored; slow "
    "contenders read a part. Clients that do no work are not charged their start-up.",
    "storm": (
        "5,000 hosts (or as many as the note says) print a report of 60 lines each within ten "
        "seconds, a line of each in turn; the broker has one core, the service the other."
    ),
    "latency": (
        "Broker time of the append against the moment at which the incident can be read from "
        "the history by another process."
    ),
    "growth": (
        "Input: the seconds that the scan itself reports. History: the same new matches into "
        "histories of different sizes."
    ),
    "memory": "The kernel's VmHWM of the process.",
    "pages": "10,000,000 matches, 1,000,000 incidents, 100,000 hosts over five years (a share of "
    "that in small runs). Each address 40 "
    "times over loopback after one request that is not counted, while `oopswatch scan "
    "--store` writes into the same file at full speed.",
}


def page(measured: Sequence[Results]) -> str:
    """The page."""
    parts = [HEAD, *_machine(measured), *_goals([goal for one in measured for goal in one.goals])]
    for one in measured:
        parts += _section(one)
    return "\n".join(parts).rstrip() + "\n"


def figure(value: float) -> str:
    """A figure with as many digits as it deserves."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _machine(measured: Sequence[Results]) -> Iterator[str]:
    facts = {name: value for one in measured for name, value in one.machine.items()}
    yield "## The machine\n"
    yield "| | |\n| --- | --- |"
    yield from (f"| {name} | {value} |" for name, value in facts.items())
    yield ""


def _goals(goals: Sequence[Goal]) -> Iterator[str]:
    yield "## Goals\n"
    yield "| | goal | measured | |\n| --- | --- | --- | --- |"
    for goal in goals:
        sign, verdict = "≤" if goal.sense == "at most" else "≥", "met" if goal.met else "**missed**"
        yield (
            f"| {goal.what} | {sign} {figure(goal.limit)} {goal.unit} | {figure(goal.figure)} "
            f"{goal.unit} | {verdict} |"
        )
    yield ""
    missed = [goal for goal in goals if not goal.met]
    if missed:
        yield "Why some are missed:\n"
        yield from (
            f"- {goal.what}: {goal.cause or cause(goal.what) or 'not yet explained.'}"
            for goal in missed
        )
        yield ""


def _section(one: Results) -> Iterator[str]:
    yield f"## {TITLES[one.name]}\n"
    yield ABOUT[one.name] + "\n"
    for group, rows in groupby(one.rows, key=lambda row: row.group):
        yield from _table(group, list(rows))
    for title, lines in (
        ("What was found, before anything was timed", one.checks),
        ("Not run", [f"{name}: {reason}" for name, reason in one.not_run.items()]),
        ("", one.notes),
    ):
        if lines:
            yield (
                (f"{title}:\n\n" if title else "")
                + "\n".join(f"- {_inert(line)}" for line in lines)
                + "\n"
            )


def _table(group: str, rows: Sequence[Row]) -> Iterator[str]:
    yield f"### {group[0].upper()}{group[1:]}\n"
    unit, notes = rows[0].unit, any(row.note for row in rows)
    yield f"| | {unit}/s | min – max | {unit} read | seconds |{' it does |' if notes else ''}"
    yield f"| --- | --: | --: | --: | --: |{' --- |' if notes else ''}"
    for row in rows:
        spread = f"{min(row.rates):,.0f} – {max(row.rates):,.0f}"
        cells = [
            row.name,
            f"{row.rate:,.0f}",
            spread,
            f"{row.amount:,}",
            f"{median(row.seconds):.2f}",
        ]
        yield f"| {' | '.join(cells + ([row.note] if notes else []))} |"
    yield ""


def _inert(line: str) -> str:
    """Messages of other programs as text: one line, no markup."""
    return " ".join(line.split()).replace("<", "&lt;").replace("|", "\\|")


def measured_last(folder: Path) -> list[Results]:
    """What is kept in a folder, in the page's order."""
    paths = (folder / f"{name}.json" for name in ORDER)
    return [Results.of_json(path.read_text(encoding="utf-8")) for path in paths if path.exists()]


if __name__ == "__main__":
    found = measured_last(options.RESULTS)
    if not found:
        raise SystemExit("bench.page: nothing has been measured yet: run `make bench`")
    sys.stdout.write(page(found))
