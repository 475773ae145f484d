"""Damages every report of the logs that are given in every way, and says how much is still read.

usage: python -m tests.assemble.mutilation [--show[=KIND]] [LOG|CASES.jsonl ...] Without arguments:
the project's own reports, and the real ones beside the project where they are there.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.assemble.mutilation.judge import QUESTIONS, Figures, judged
from tests.assemble.mutilation.kinds import damaged
from tests.assemble.mutilation.reports import logs_of, scanned, whole_reports

ROOT = Path(__file__).parents[3]
OWN = sorted((ROOT / "tests" / "crash" / "blocks").glob("*.log"))


def default_paths() -> list[Path]:
    """The reports of the project, and the real ones where they are at hand."""
    shared = next(
        (path for up in (1, 2) if (path := ROOT.parents[up - 1] / "shared" / "data").exists()), None
    )
    return OWN + ([shared / "real.jsonl", shared / "syzkaller.jsonl"] if shared else [])


def table(by_kind: dict[str, Figures]) -> str:
    """The figures as lines of text: asked and good, in percent."""
    rows = [f"{'':34}" + "".join(f"{question:>16}" for question in QUESTIONS)]
    for kind, figures in sorted(by_kind.items()):
        cells = (
            f"{figures.share(question):9.1f} /{figures.asked[question]:5}" for question in QUESTIONS
        )
        rows.append(f"{kind:34}" + "".join(cells))
    return "\n".join(rows) + "\n"


def main(arguments: list[str]) -> int:
    """Damages, scans, prints; always 0: the figures are to be read."""
    shown = next((one.partition("=") for one in arguments if one.startswith("--show")), None)
    paths = [Path(one) for one in arguments if not one.startswith("-")] or default_paths()
    reports = whole_reports([log for path in paths for log in logs_of(path)])
    logs = list(damaged(reports))
    by_kind = judged(logs, scanned([one.log for one in logs]))
    sys.stdout.write(f"{len(reports)} reports, {len(logs)} damaged logs\n")
    sys.stdout.write(table(by_kind))
    for kind, figures in sorted(by_kind.items()):
        if shown is not None and kind.startswith(shown[2]):
            for question, why, log in figures.failed:
                sys.stdout.write(f"{kind}: {log.of[0].name}: {question}: {why[:300]}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
