"""`oopswatch explain`: every step of a line is told, and every block and stray line of a log is explained once."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from detector.cli import oopswatch

FAULT = "Unable to handle kernel paging request at virtual address 0001950b"
STRAY = "[  500.000000] IPv4: Attempt to release TCP socket in state 10 ffff80001234a000\n"


def explain(*arguments: str) -> str:
    """What the command prints."""
    done = CliRunner().invoke(oopswatch, ["explain", *arguments], catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_a_line_is_told_step_by_step() -> None:
    """Transport, host, time, writer, the signature, and what follows from it."""
    said = explain(f"Aug  1 10:00:00 db-1 kernel: [   12.345678] {FAULT}")
    for part in ("syslog", "host db-1", "12.345678 s after boot", "the kernel", "kernel.paging-request", "class memory-fault"):
        assert part in said


def test_a_line_of_user_space_is_told_to_be_none_of_the_kernels() -> None:
    """The same text behind another tag."""
    said = explain(f"Aug  1 10:00:00 db-1 app[1]: {FAULT}")
    assert "written by user space" in said
    assert "claimed by none" in said


def test_a_block_and_a_stray_line_are_two_stories(tmp_path: Path) -> None:
    """What lies minutes from a block is no part of its story, and is not forgotten either."""
    path = tmp_path / "kern.log"
    path.write_text(f"[  100.000000] {FAULT}\n[  100.000010] pc : my_poll+0x10/0x80\n" + STRAY)
    items = [json.loads(line) for line in explain("--json", str(path)).splitlines()]
    stories = [item for item in items if item["type"] == "explanation"]
    assert [story["report"] and story["report"]["function"] for story in stories] == ["my_poll", None]
    assert "TCP_LISTEN" not in json.dumps(stories[0]["diagnosis"])
    assert "TCP_LISTEN" in json.dumps(stories[1]["diagnosis"])


def test_hostile_text_is_shown_inert() -> None:
    """No escape sequence of a log line reaches the terminal."""
    assert "\x1b" not in explain("Aug  1 10:00:00 db-1 app[1]: \x1b]0;owned\x07 \u202e text")
