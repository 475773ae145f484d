"""The reports of logs, each alone: its lines as shipped and what it says whole.

In: logs as they stand. Out: `WholeReport` values. Logs are read as `scan` reads files: by shape,
parser, pipeline; each log is a file and a host of its own.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from detector.app import build
from detector.correlate import StoredMatch
from detector.drive import run
from detector.hooks import Hooks
from detector.model import CrashReport, Line, Record
from detector.parse import Parser
from detector.settings import settings_of
from detector.sources import FileSource
from detector.store import open_journal
from tests.support.shipped import shipped

_LONGEST = 1_000
"""Lines after a report's head in which its own are looked for."""


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a scan says of one log: the texts of its matches, its reports in the order of their
    heads.
    """

    matches: tuple[str, ...]
    reports: tuple[CrashReport, ...]


@dataclass(frozen=True)
class WholeReport:
    """A report with nothing lost: `rows` as they were shipped, `texts` as the kernel printed them,
    and what is read in it.
    """

    name: str
    rows: tuple[str, ...]
    texts: tuple[str, ...]
    read: CrashReport

    @cached_property
    def marks(self) -> re.Pattern[str] | None:
        """The function that it names, as its line prints it; None where it names none."""
        name = self.read.display_function
        if name is None:
            return None
        at = f"\\+0x{self.read.offset:x}/" if self.read.offset is not None else r"(?![\w.])"
        return re.compile(rf"(?<![\w.]){re.escape(name)}{at}")

    def names_function(self, texts: Iterable[str]) -> bool:
        """Whether a line that names the function is among these."""
        return self.marks is not None and any(map(self.marks.search, texts))


def scanned(logs: Sequence[str]) -> list[Scanned]:
    """What a scan of each log says."""
    matches: dict[int, list[StoredMatch]] = {number: [] for number in range(len(logs))}
    reports: dict[int, CrashReport] = {}
    settings, _ = settings_of(None)
    with tempfile.TemporaryDirectory() as folder:
        for number, log in enumerate(logs):
            Path(folder, f"{number:06}.log").write_text(
                log, encoding="utf-8", errors="surrogateescape"
            )
        told = Hooks(
            match=lambda one: matches[int(Path(one.match.source).stem)].append(one),
            report=reports.__setitem__,
        )
        with closing(open_journal(":memory:")) as journal, closing(FileSource([folder])) as source:
            watch = build.watch_of(settings, journal, shipped(), hooks=told, keeps_noise=False)
            run(source, watch, lambda: 0)
            watch.finish(0)
            assert watch.totals.rejected == 0
    return [
        Scanned(
            tuple(one.match.text for one in found if one.match.origin == "kernel"),
            tuple(reports[one.id] for one in found if one.id in reports),
        )
        for found in matches.values()
    ]


def whole_reports(logs: Sequence[tuple[str, str]]) -> list[WholeReport]:
    """Every report of the logs that still reads the same when it stands alone."""
    candidates = [
        (name, *alone)
        for (name, log), said in zip(logs, scanned([log for _, log in logs]), strict=True)
        for read in said.reports
        if (alone := _alone(log, read)) is not None
    ]
    again = scanned(["\n".join(rows) + "\n" for _, rows, _ in candidates])
    return [
        WholeReport(name, rows, texts, said.reports[0])
        for (name, rows, texts), said in zip(candidates, again, strict=True)
        if len(said.reports) == 1
    ]


def _alone(log: str, read: CrashReport) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """The rows of a log that hold a report, and their texts; None where its head is not found."""
    rows = log.split("\n")
    wanted, place = list(read.lines), 0
    kept: list[int] = []
    texts: list[str] = []
    for line in _parsed(rows):
        if place == len(wanted) or (kept and line.number - kept[0] > _LONGEST):
            break
        if line.text[:1_024] == wanted[place][:1_024] and (kept or line.text):
            kept.append(line.number)
            texts.append(line.text)
            place += 1
        elif kept and _is_piece(line, wanted[place - 1]):
            kept.append(line.number)
            texts.append(line.text)
    if not kept:
        return None
    return tuple(rows[number - 1] for number in dict.fromkeys(kept)), tuple(texts)


def _is_piece(line: Line, whole: str) -> bool:
    """Whether a line was joined to the one before it."""
    return line.continuation and line.text in whole


def _parsed(rows: Sequence[str]) -> list[Line]:
    parser = Parser(host="host")
    records = [
        Record(row.encode(errors="surrogateescape"), "log", number)
        for number, row in enumerate(rows, 1)
    ]
    found = [line for record in records for line in parser.feed(record, 0)] + parser.flush()
    return [line for line in found if isinstance(line, Line)]


def logs_of(path: Path) -> list[tuple[str, str]]:
    """(name, log) of each case of a CASES file, or of the one log that a file is."""
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    if path.suffix != ".jsonl":
        return [(path.stem, text)]
    return [(case["name"], case["log"]) for case in map(json.loads, text.splitlines())]
