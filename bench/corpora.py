"""The logs that everything is measured on: a simulated fleet's, in the traditional syslog format
that every peer reads.

In: hosts, share of hits, size. Out: a `Corpus`: a file of lines, its truth, and the beginning of
both for what is a hundred times slower. Made by `detector.simulate`, kept in a folder under a name
that says what decides the bytes. Ordinary texts are cut so that lines have 140 bytes on average.
The only reboots are those of panics and nothing is forged: peers know neither boots nor trust, and
would raise more.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from bench import options, wanted
from detector.simulate import (
    Simulation,
    SimulationPlan,
    Truth,
    read_ndjson,
    render,
    simulate,
    write_truth,
)
from detector.simulate.fleet import LogEntry
from detector.simulate.plan import NOISE_SHARE

LINE_BYTES = 140
TEXT_CHARACTERS = 82
FORMAT = "rfc3164"
HOSTS = (500, 100_000)
SHARES = (0.0001, 0.02)
CHECK_BYTES, CHECK_INCIDENTS = 20_000_000, 40
_SAMPLE = 100_000
_MAKER = 2  # a new number makes all corpora anew


@dataclass(frozen=True, slots=True)
class Corpus:
    """One log. `share` is the wanted share of lines that hold a literal; `incidents` are planted,
    as many as the size says if None.
    """

    hosts: int
    share: float
    size: int
    folder: Path
    incidents: int | None = None

    @property
    def name(self) -> str:
        """As in file names."""
        planted = "" if self.incidents is None else f"-{self.incidents}-incidents"
        megabytes = f"{self.size // 1_000_000}-mb"
        return f"{self.hosts}-hosts-{self.share * 100:g}-percent-{megabytes}{planted}-v{_MAKER}"

    @property
    def path(self) -> Path:
        """The lines, in the order of time."""
        return self.folder / f"{self.name}.log"

    @property
    def title(self) -> str:
        """As in text."""
        return f"{self.hosts:,} hosts, {self.share * 100:g} % hits"

    def truth(self) -> Truth:
        """What was planted."""
        with self.path.with_suffix(".truth.ndjson").open(encoding="utf-8") as file:
            return read_ndjson(file)

    def lines(self) -> int:
        """How many lines there are; counted once and kept."""
        kept = self.path.with_suffix(".lines")
        if not kept.exists():
            kept.write_text(str(line_count(self.path)))
        return int(kept.read_text())

    def beginning(self, lines: int) -> Path:
        """The first `lines` lines as a file of their own; the whole file where it has no more."""
        if lines >= self.lines():
            return self.path
        path = self.folder / f"{self.name}.first-{lines}.log"
        if not path.exists():
            _copy_lines(self.path, path, lines)
        return path


def check_corpus() -> Corpus:
    """A small log with many incidents: what correlates must find them all before it is timed on a
    large one.
    """
    one = Corpus(HOSTS[0], SHARES[1], CHECK_BYTES, options.CORPORA, CHECK_INCIDENTS)
    return one if one.path.exists() else _made([one])[0]


def corpora(
    which: Iterable[tuple[int, float]], size: int | None = None, folder: Path | None = None
) -> list[Corpus]:
    """Corpora by hosts and share of hits; those that are missing are made side by side."""
    return _made(
        [
            Corpus(hosts, share, size or options.BYTES, folder or options.CORPORA)
            for hosts, share in which
        ]
    )


def _made(wanted_: list[Corpus]) -> list[Corpus]:
    missing = [one for one in wanted_ if not one.path.exists()]
    if missing:
        begun = time.monotonic()
        print(f"making {len(missing)} corpora of {missing[0].size / 1e6:,.0f} MB …", flush=True)
        missing[0].folder.mkdir(parents=True, exist_ok=True)
        with ProcessPoolExecutor(2) as pool:
            list(pool.map(make, missing))
        print(f"… made in {time.monotonic() - begun:.0f} s", flush=True)
    return wanted_


def make(one: Corpus) -> None:
    """Writes lines and truth, whole or not at all."""
    lines = one.size // (LINE_BYTES + 1)
    simulation = planned(
        one.hosts,
        one.share,
        lines,
        max(3, lines // 200_000) if one.incidents is None else one.incidents,
    )
    scratch = one.path.with_suffix(".part")
    with scratch.open("wb", buffering=1 << 20) as file:
        file.writelines(line + b"\n" for _, line in render(trimmed(simulation), FORMAT))
    write_truth(simulation.truth, one.path.with_suffix(".truth.ndjson"))
    scratch.replace(one.path)


def planned(hosts: int, share: float, lines: int, incidents: int) -> Simulation:
    """A simulation of `lines` lines of which about `share` hold a literal. Noise makes up what
    incidents and decoys do not.
    """
    few = SimulationPlan(
        seed=7, hosts=hosts, lines=_SAMPLE, incidents=incidents, noise_share=NOISE_SHARE[0],
        forged=0, reboots=0,
        reboot_pairs=0, same_uptime_pairs=0, half_signatures=6, cross_host_pairs=3, far_pairs=3,
    )  # fmt: skip
    bare = hits(simulate(few).planted)
    noisy = hits(simulate(replace(few, noise_share=NOISE_SHARE[1])).planted)
    for_each_noise_line = (noisy - bare) / (_SAMPLE * (NOISE_SHARE[1] - NOISE_SHARE[0]))
    noise = max(1.0, (share * lines - bare) / for_each_noise_line)
    room = max(_SAMPLE, int(noise / NOISE_SHARE[1]))
    simulation = simulate(
        replace(few, lines=room, noise_share=min(NOISE_SHARE[1], max(NOISE_SHARE[0], noise / room)))
    )
    return replace(
        simulation, plan=replace(simulation.plan, lines=max(lines, len(simulation.planted)))
    )


def hits(entries: Iterable[LogEntry]) -> int:
    """How many entries hold a literal."""
    literals = wanted.literals()
    return sum(any(literal in entry.text for literal in literals) for entry in entries)


def trimmed(simulation: Simulation) -> Iterator[LogEntry]:
    """The entries in the order of time, ordinary texts cut to the length that makes the average
    line what it should be.
    """
    planted = iter(simulation.planted)
    due = next(planted, None)
    for entry in simulation.entries():
        if entry is due:
            due = next(planted, None)
            yield entry
        else:
            yield entry._replace(text=entry.text[:TEXT_CHARACTERS])


def line_count(path: Path) -> int:
    """Line ends in a file."""
    with path.open("rb", buffering=0) as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 24), b""))


def _copy_lines(source: Path, target: Path, lines: int) -> None:
    scratch = target.with_suffix(".part")
    with source.open("rb") as whole, scratch.open("wb") as part:
        for number, line in enumerate(whole):
            if number == lines:
                break
            part.write(line)
    scratch.replace(target)
