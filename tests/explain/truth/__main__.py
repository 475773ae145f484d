"""Recomputes every explanation of the logs that are given: `make truth`.

usage: python -m tests.explain.truth [--show] LOG|CASES.jsonl|CASES.toml ...
Without arguments: the project's own logs, and ../shared/data where it is there.
Exit: 0 no difference, 1 some, 2 a disassembler is missing.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tests.explain.logs import diagnosed, stamped
from tests.explain.truth.check import Counts, check
from tests.explain.truth.disassembly import missing

ROOT = Path(__file__).parents[3]


def default_paths() -> list[Path]:
    """The logs of the project, and those beside it."""
    shared = ROOT.parent / "shared" / "data"
    if not shared.exists():
        shared = ROOT.parents[1] / "shared" / "data"
    return [
        *sorted((ROOT / "tests" / "explain" / "cases").glob("*.toml")),
        *sorted((ROOT / "tests" / "golden").glob("*/log*")),
        ROOT / "docs" / "example.log",
        *sorted(shared.glob("*.jsonl")),
        *sorted((shared / "failing").glob("*.log")),
    ]


def logs(path: Path) -> Iterator[tuple[str, str]]:
    """(name, text) of each log in a file."""
    text = path.read_text(encoding="utf-8", errors="replace")
    if path.suffix == ".jsonl":
        for line in text.splitlines():
            case = json.loads(line)
            yield case["name"], case["log"]
    elif path.suffix == ".toml":
        for case in tomllib.loads(text)["case"]:
            yield case["name"], stamped(case["log"])
    else:
        yield str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name), text


def main(arguments: list[str]) -> int:
    """Checks and prints; the exit code."""
    if absent := missing():
        sys.stderr.write(f"truth: {', '.join(absent)} not found: install binutils and llvm\n")
        return 2
    counts = Counts()
    for path in [Path(one) for one in arguments if not one.startswith("-")] or default_paths():
        for name, log in logs(path):
            before = len(counts.differences)
            for family, statements in diagnosed(log):
                check(log, family, statements, counts)
            for difference in counts.differences[before:]:
                sys.stdout.write(f"{name}: {difference}\n")
    sys.stdout.write(
        f"{counts.explanations} explanations, {counts.statements} statements: {counts.numbers} "
        "numbers, "
        f"{counts.sums} sums, {counts.instructions} instructions, {counts.codes} codes, "
        f"{counts.symbols} "
        f"symbols; {len(counts.differences)} differences\n"
    )
    return 1 if counts.differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
