"""How well known bugs are named: `make known-eval`, or python -m bench.known_eval [CASES.jsonl …].

Cases are crashes whose bug was looked up (`log`, `expect`, `expect_certainty`). The index's own
traces are cases too: as they are, with a quarter of their frames gone, and each with its own bug
taken out of the index.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from detector import diagnose
from detector.app import build
from detector.app.known import index_file, known_bugs
from detector.catalogue import Catalogue
from detector.known import Bug, Trace
from detector.known.codec import traced_size
from detector.known.index import Index
from detector.known.lookup import KnownBugs
from detector.known.match import Named, named
from detector.known.nature import HEADLESS
from detector.model import Record
from detector.release import KernelRelease
from detector.settings import Settings, settings_of

CASES = Path(__file__).parents[2] / "shared" / "data" / "known_eval.jsonl"
FEWEST = 3  # frames of a trace that is held against itself
GONE = 0.25  # of its frames
SEED = 7

Case = Mapping[str, Any]
Names = Sequence[Named]


@dataclass(frozen=True, slots=True)
class Product:
    """The parts that read a log and look it up, as the product does."""

    settings: Settings
    catalogue: Catalogue
    known: KnownBugs

    @property
    def index(self) -> Index:
        """The index in force."""
        return self.known.index()

    def names(self, log: str) -> tuple[Names, float]:
        """The names that a log's reports are given, the likely ones before others, and the CPU
        seconds that looking up took.
        """
        parser = build.parser_of(self.settings, host="host")
        records = [
            Record(text.encode(), "case", number) for number, text in enumerate(log.split("\n"), 1)
        ]
        lines, _ = diagnose.read_lines(records, parser, 0)
        found, blocks = diagnose.decide(lines, self.catalogue)
        best: Names = ()
        spent = 0.0
        for story in diagnose.stories(blocks, found):
            report = diagnose.report_of(story, self.catalogue)
            if report is None:
                continue
            started = time.process_time()
            names = self.known.of(report)
            spent += time.process_time() - started
            if names and (
                not best or (names[0].confidence, best[0].confidence) == ("likely", "possible")
            ):
                best = names
        return best, spent


def verdict(names: Names, expected: Sequence[str]) -> tuple[str, str]:
    """("right" | "wrong" | "none", confidence)."""
    if not names:
        return "none", ""
    right = {one.bug.id for one in names} & set(expected)
    return ("right" if right else "wrong"), names[0].confidence


def expected_of(case: Case) -> tuple[str, ...]:
    """The bugs that a case is known to be; none where it is known to be no bug of the index."""
    return () if case["expect"] == "none" else tuple(case["expect"])


def cases(product: Product, paths: Sequence[Path]) -> Iterator[str]:
    """What crashes of other sources were named."""
    for path in paths:
        rows = [json.loads(line) for line in path.read_text().splitlines() if line]
        inside: Counter[tuple[str, str]] = Counter()
        outside: Counter[tuple[str, str]] = Counter()
        wrong, spent = [], 0.0
        for case in rows:
            names, seconds = product.names(case["log"])
            spent += seconds
            expected = expected_of(case)
            found = verdict(names, expected)
            known = any(one in product.index.bugs for one in expected)
            (inside if known else outside)[found] += 1
            if found[0] == "wrong":
                wrong.append(told_wrong(case, names))
        yield f"{path.name}: {len(rows)} crashes, {1000 * spent / len(rows):.2f} ms CPU a crash"
        yield shares("  bug in the index", inside)
        yield shares("  bug not in the index", outside)
        yield from wrong


def told_wrong(case: Case, names: Names) -> str:
    """A wrong name, with what is known of the case."""
    given = ", ".join(f"{one.bug.id} ({one.common} of {one.of})" for one in names)
    return (
        f"  wrong, {names[0].confidence}: {case['title']}: {given}; expected {case['expect']}"
        f" ({case['expect_certainty']})"
    )


def shares(label: str, counts: Counter[tuple[str, str]]) -> str:
    """Counts with their share of all."""
    total = sum(counts.values())
    parts = [
        f"{' '.join(filter(None, key))} {count} ({100 * count / max(total, 1):.1f} %)"
        for key, count in sorted(counts.items())
    ]
    return f"{label}: {total}: {', '.join(parts)}"


def own_traces(index: Index) -> list[tuple[Bug, Trace]]:
    """The first whole report of every bug."""
    found = []
    for bug in index.bugs.values():
        whole = (
            trace
            for trace in bug.traces
            if trace.kind != HEADLESS and trace.function and len(trace.frames) >= FEWEST
        )
        if (first := next(whole, None)) is not None:
            found.append((bug, first))
    return found


def without_frames(trace: Trace, chance: random.Random) -> Trace:
    """The trace with some of its frames gone."""
    kept = tuple(name for name in trace.frames if chance.random() >= GONE)
    return replace(trace, frames=kept, plain=tuple(name for name in trace.plain if name in kept))


def held(
    label: str, index: Index, made: Callable[[Trace], Trace], *, absent: bool = False
) -> Iterator[str]:
    """The index's own traces, changed by `made`; `absent` takes each one's bug out first."""
    counts: Counter[tuple[str, str]] = Counter()
    wrong = []
    for bug, trace in own_traces(index):
        kernel = KernelRelease.parse(bug.affected[-1][0]) if bug.affected else None
        arch = next((path.split("/")[1] for path in bug.files if path.startswith("arch/")), "x86")
        known = without(index, bug) if absent else index
        names = named(made(trace), kernel, arch, known)
        found = verdict(names, [bug.id])
        counts[found] += 1
        if found[0] == "wrong" and not absent:
            wrong.append(f"  wrong, {found[1]}: {bug.id} {trace.title}: {names[0].bug.id}")
    yield shares(label, counts)
    yield from wrong


def without(index: Index, bug: Bug) -> Index:
    """The index as if it had never heard of a bug."""
    functions = {trace.function for trace in bug.traces if trace.function}
    changed = {
        name: tuple(one for one in index.by_function[name] if one.bug.id != bug.id)
        for name in functions
    }
    return replace(index, by_function={**index.by_function, **changed})


def main() -> None:
    """Prints the figures."""
    settings, _ = settings_of(None)
    file = index_file(settings)
    started = time.process_time()
    catalogue = build.catalogue_of(settings)
    product = Product(settings, catalogue, known_bugs(settings, lambda: catalogue))
    bugs = len(product.index.bugs)
    spent = time.process_time() - started
    assert file.path is not None
    print(
        f"{file.path.name}: {bugs:,} bugs with a trace, "
        f"{traced_size(file.path.read_bytes()) / 1e6:.2f} MB; catalogue and index read in "
        f"{spent:.2f} s CPU"
    )
    paths = [Path(name) for name in sys.argv[1:]] or [CASES]
    chance = random.Random(SEED)
    for line in (
        *cases(product, [path for path in paths if path.exists()]),
        *held("own traces as they are", product.index, lambda trace: trace),
        *held(
            "a quarter of the frames gone", product.index, lambda one: without_frames(one, chance)
        ),
        *held("own bug taken out", product.index, lambda trace: trace, absent=True),
    ):
        print(line, flush=True)


if __name__ == "__main__":
    main()
