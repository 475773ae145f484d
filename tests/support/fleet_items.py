"""The incidents and noise of a history, as plain values."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path


def incidents(store: Path, *options: str) -> list[dict[str, object]]:
    """What the command says about the history."""
    command = [
        sys.executable,
        "-c",
        "from detector.cli import main; main()",
        "incidents",
        "list",
        "--json",
        "--store",
        str(store),
        *options,
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    return [json.loads(line) for line in said.splitlines()]


def noise(store: Path) -> list[tuple[object, ...]]:
    """How often each program of each host crashed in which way. Hours are left out: a running
    service folds those of old logs into days.
    """
    with closing(sqlite3.connect(store)) as history:
        return history.execute(
            "SELECT host, process, signature, sum(count) FROM noise GROUP BY 1, 2, 3 ORDER "
            "BY 1, 2, 3"
        ).fetchall()


def items(rows: list[tuple[object, ...]]) -> Iterator[dict[str, object]]:
    """Noise rows as `scan --json` says them."""
    return (
        {"type": "noise", "host": row[0], "process": row[1], "signature": row[2], "count": row[3]}
        for row in rows
    )
