"""Planted truth, and how detected incidents compare with it.

In: the planted facts, or their NDJSON; the incidents and noise counts that a detector reports. Out:
NDJSON, or a `Comparison`. It knows nothing of how a detector works: an incident is found when its
evidence names a true incident's lines on the same host.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import Any

RULE = "tcp-release-and-memory-fault"
NoiseKey = tuple[str, str]
TrueLine = tuple[str, int | None, str]


@dataclass(frozen=True, slots=True)
class Half:
    """One line that is evidence: what it says, and when by both clocks."""

    part: str
    kernel_time_us: int
    wall_us: int
    text: str


@dataclass(frozen=True, slots=True)
class TrueIncident:
    """A planted incident: its halves in time order, the first fault as anchor, and where in
    kernel time its last block ends.
    """

    host: str
    boot: str
    halves: tuple[Half, ...]
    anchor: Half
    gap_us: int
    ends_us: int
    rule: str = RULE


@dataclass(frozen=True, slots=True)
class TrueNoise:
    """Counts of a process's crashes on one host, by kind."""

    host: str
    process: str
    kind: str
    count: int


@dataclass(frozen=True, slots=True)
class Decoy:
    """A decoy, which looks like an incident and is none; `where` are the (host, boot) of its
    lines, `halves` the lines themselves.
    """

    kind: str
    where: tuple[tuple[str, str], ...]
    halves: tuple[Half, ...]


@dataclass(frozen=True, slots=True)
class Truth:
    """All that was planted."""

    incidents: tuple[TrueIncident, ...]
    noise: tuple[TrueNoise, ...]
    decoys: tuple[Decoy, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Result of a comparison: true incidents that were missed, reported ones that are not true
    (or are a second one for the same truth), and noise (planted, found).
    """

    missed: tuple[TrueIncident, ...]
    false: tuple[Mapping[str, Any], ...]
    noise: Mapping[NoiseKey, tuple[int, int]]

    @property
    def agrees(self) -> bool:
        """Returns whether planted and found are the same."""
        return not (self.missed or self.false or self.noise)


def write_ndjson(truth: Truth) -> Iterator[str]:
    """One JSON object a line, `type` first: incidents, then noise, then decoys."""
    for kind, items in (
        ("incident", truth.incidents),
        ("noise", truth.noise),
        ("decoy", truth.decoys),
    ):
        for item in items:
            record = asdict(item)
            if kind == "decoy":
                record["decoy"] = record.pop("kind")
            yield json.dumps({"type": kind, **record})


def read_ndjson(lines: Iterable[str]) -> Truth:
    """The truth that `write_ndjson` wrote. Raises ValueError or KeyError for anything else."""
    incidents, noise, decoys = [], [], []
    for line in lines:
        record = json.loads(line)
        kind = record.pop("type")
        if kind == "incident":
            halves = tuple(Half(**half) for half in record.pop("halves"))
            incidents.append(
                TrueIncident(halves=halves, anchor=Half(**record.pop("anchor")), **record)
            )
        elif kind == "noise":
            noise.append(TrueNoise(**record))
        else:
            where = tuple((host, boot) for host, boot in record["where"])
            decoys.append(
                Decoy(record["decoy"], where, tuple(Half(**half) for half in record["halves"]))
            )
    return Truth(tuple(incidents), tuple(noise), tuple(decoys))


# A report's lines follow its head within this time. Shipped before their head, they are evidence of
# the fault too, and no halves of their own.
_BLOCK_US = 5_000


def compare(
    truth: Truth,
    items: Iterable[Mapping[str, Any]],
    noise: Iterable[Mapping[str, Any]] | None = None,
) -> Comparison:
    """Planted against found: `items` are incidents with `host` and `evidence`, `noise` records
    with `host`, `process`, `count`.

    Without `noise` the noise is not compared. A host given as a path is the file's name without its
    endings.
    """
    lines: dict[TrueLine, set[int]] = defaultdict(set)
    for number, incident in enumerate(truth.incidents):
        for line in _lines(incident):
            lines[line].add(number)
    seen: set[int] = set()
    false: list[Mapping[str, Any]] = []
    for reported in items:
        named = [
            lines.get((host_name(reported["host"]), *_identity(match)), set())
            for match in reported["evidence"]
        ]
        open_ = set.intersection(*filter(None, named)) - seen if any(named) else set()
        strange = [
            match["kernel_time_us"]
            for match, numbers in zip(reported["evidence"], named, strict=True)
            if not numbers
        ]
        open_ = {item for item in open_ if _within_reports(truth.incidents[item], strange)}
        if open_:
            seen.add(min(open_))
        else:
            false.append(reported)
    missed = tuple(
        incident for number, incident in enumerate(truth.incidents) if number not in seen
    )
    return Comparison(
        missed, tuple(false), {} if noise is None else _noise_differences(truth, noise)
    )


def _within_reports(incident: TrueIncident, times_us: Sequence[int | None]) -> bool:
    """Returns whether each kernel time is of a line behind the head of one of the incident's
    reports.
    """
    heads = [half.kernel_time_us for half in incident.halves if half.part == "fault"]
    return all(
        time is not None and any(0 < time - head <= _BLOCK_US for head in heads)
        for time in times_us
    )


def host_name(host: str) -> str:
    """The host's name where a detector knew only the path of its file."""
    return (
        PurePath(host).name.split(".")[0]
        if "/" in host or host.endswith((".log", ".ndjson"))
        else host
    )


def _lines(incident: TrueIncident) -> Iterator[TrueLine]:
    for half in incident.halves:
        yield incident.host, half.kernel_time_us, half.text
        yield incident.host, None, half.text


def _identity(match: Mapping[str, Any]) -> tuple[int | None, str]:
    return match.get("kernel_time_us"), str(match["text"])


def _noise_differences(
    truth: Truth, noise: Iterable[Mapping[str, Any]]
) -> dict[NoiseKey, tuple[int, int]]:
    planted: Counter[NoiseKey] = Counter()
    for item in truth.noise:
        planted[item.host, item.process] += item.count
    counted: Counter[NoiseKey] = Counter()
    for record in noise:
        counted[host_name(record["host"]), str(record["process"])] += record["count"]
    keys = sorted(planted.keys() | counted.keys())
    return {key: (planted[key], counted[key]) for key in keys if planted[key] != counted[key]}
