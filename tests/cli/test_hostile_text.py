"""Log text is written by whoever crashes: nothing of it reaches a terminal, a spreadsheet or a
reader of lines as anything but text.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from detector.cli import oopswatch

EVIL = "=1+1\x1b[31m\u202e\x9b2J\u2028\x85\nx"
RECORDS = (
    (
        f"{EVIL[:4]}\x1b\u202e\x9b[77]: segfault at 0 ip 00007f11a2b3c4d5 sp 00007ffd1c2b3a40 "
        "error 4 in libdemo.so[7f11a2000000+800000]"
    ),
    "IPv4: Attempt to release TCP socket in state 10 ffff8a16c1d2e3f0",
    f"Unable to handle kernel paging request at virtual address 0001950b {EVIL[:-2]}",
)


def said(*arguments: str | Path) -> str:
    """What a command prints."""
    result = CliRunner().invoke(oopswatch, [str(one) for one in arguments], catch_exceptions=False)
    assert result.exit_code in (0, 1), result.output
    return result.stdout


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A pair and a user fault of one hostile host."""
    objects = [
        {
            "_HOSTNAME": EVIL,
            "_TRANSPORT": "kernel",
            "__MONOTONIC_TIMESTAMP": str(9_000_000 + number),
            "MESSAGE": text,
        }
        for number, text in enumerate(RECORDS)
    ]
    path = tmp_path / "kern.json"
    path.write_text("".join(json.dumps(one) + "\n" for one in objects))
    return path


@pytest.mark.parametrize(
    "command",
    [
        "incidents list",
        "incidents list --csv",
        "incidents list --json",
        "noise",
        "noise --csv",
        "noise --json",
    ],
)
def test_the_history_prints_nothing_but_lines(log: Path, tmp_path: Path, command: str) -> None:
    """No escape sequence, no direction mark, no line end of a log, in any form."""
    store = tmp_path / "history.db"
    said("scan", "--store", store, log)
    printed = said(*command.split(), "--store", store)
    assert printed.replace("\n", "").isprintable()
    assert len(printed.splitlines()) == printed.count("\n")


@pytest.mark.parametrize("options", [(), ("--json",)])
@pytest.mark.parametrize("command", ["scan", "explain"])
def test_what_is_said_of_a_log_is_nothing_but_lines(
    log: Path, command: str, options: tuple[str, ...]
) -> None:
    """JSON keeps the text as it was, spelled in ASCII."""
    printed = said(command, *options, log)
    assert printed.replace("\n", "").isprintable()
    if options:
        items = [json.loads(line) for line in printed.splitlines()]
        assert any("\u202e" in item.get("text", "") for item in items)


def test_a_spreadsheet_reads_no_formula(log: Path, tmp_path: Path) -> None:
    """A name that begins like one has an apostrophe in front."""
    store = tmp_path / "history.db"
    said("scan", "--store", store, log)
    (noise,) = csv.DictReader(said("noise", "--csv", "--store", store).splitlines())
    (incident,) = csv.DictReader(said("incidents", "list", "--csv", "--store", store).splitlines())
    assert noise["process"].startswith("'=1+1")
    assert incident["host"].startswith("'=1+1")
