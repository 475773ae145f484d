"""`oopswatch explain`: every step of a line is told, and every block and stray line of a log is
explained once.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from detector.cli import oopswatch, terminal

FAULT = "Unable to handle kernel paging request at virtual address 0001950b"
STRAY = "[  500.000000] IPv4: Attempt to release TCP socket in state 10 ffff80001234a000\n"
BLOCK = [
    f"[  100.{number:06d}] {text}"
    for number, text in enumerate((FAULT, "PC is at demo_read+0x10/0x80", "Call trace:"))
]
DOCUMENT = {"dmesg": [{"pri": 1, "time": "T", "msg": line[15:]} for line in BLOCK]}


def explain(*arguments: str) -> str:
    """What the command prints."""
    done = CliRunner().invoke(oopswatch, ["explain", *arguments], catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_sentences_are_as_wide_as_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Narrower where it is narrow, no wider than can be read where it is wide; of one width in a
    pipe.
    """
    path = tmp_path / "crash.txt"
    ordinary = [f"[  {number}.000000] usb 1-1: new device" for number in range(11)]
    path.write_text("\n".join(ordinary + BLOCK))

    def longest() -> int:
        return max(map(len, explain(str(path)).splitlines()))

    assert 60 < longest() <= 100
    monkeypatch.setattr(terminal, "is_terminal", lambda: True)
    for columns, most in ((60, 60), (300, 100)):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert most - 20 < longest() <= most


def test_a_line_is_told_step_by_step() -> None:
    """Transport, host, time, writer, the signature, and what follows from it."""
    said = explain(f"Aug  1 10:00:00 db-1 kernel: [   12.345678] {FAULT}")
    for part in (
        "syslog",
        "host db-1",
        "12.345678 s after boot",
        "the kernel",
        "kernel.paging-request",
        "class memory-fault",
    ):
        assert part in said


def test_a_file_is_no_host_and_a_reports_lines_need_no_steps(tmp_path: Path) -> None:
    """A line that names no host has none; what the report below is read from is not said to be
    understood by nobody.
    """
    path = tmp_path / "crash.txt"
    last = "[  100.000009] usb 1-1: new device"
    path.write_text("\n".join((*BLOCK, " demo_read+0x10/0x80", last)))
    said = explain(str(path))
    assert "no host in the line" in said
    assert f"host {path}" not in said
    assert "text       usb 1-1: new device" in said
    assert "text        demo_read" not in said


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
    assert [story["report"] and story["report"]["function"] for story in stories] == [
        "my_poll",
        None,
    ]
    assert "TCP_LISTEN" not in json.dumps(stories[0]["diagnosis"])
    assert "TCP_LISTEN" in json.dumps(stories[1]["diagnosis"])


def test_hostile_text_is_shown_inert() -> None:
    """No escape sequence of a log line reaches the terminal."""
    assert "\x1b" not in explain("Aug  1 10:00:00 db-1 app[1]: \x1b]0;owned\x07 \u202e text")


def explained(what: Path | str) -> Result:
    """`oopswatch explain --json`."""
    return CliRunner().invoke(oopswatch, ["explain", "--json", str(what)], catch_exceptions=False)


def matches(result: Result) -> list[str]:
    """The texts of the matches."""
    items = [json.loads(line) for line in result.stdout.splitlines()]
    return [item["text"] for item in items if item["type"] == "match"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(
    "text",
    ["\n".join(BLOCK) + "\n", json.dumps(DOCUMENT, indent=3).replace('"T"', "    0.000001") + "\n"],
)
def test_a_file_of_any_kind(tmp_path: Path, pack: Callable[[bytes], bytes], text: str) -> None:
    """Compressed, or the document that dmesg --json writes over many lines."""
    path = tmp_path / "crash"
    path.write_bytes(pack(text.encode()))
    result = explained(path)
    assert (result.exit_code, result.stderr) == (0, "")
    assert matches(result) == [FAULT]


def test_a_carriage_return_ends_no_line(tmp_path: Path) -> None:
    """A process may write one into its message, and a kernel's line after it."""
    path = tmp_path / "crash"
    path.write_text("Nov 20 08:00:00 db-1 app[7]: hello\r" + "\r".join(BLOCK) + "\n", newline="")
    assert matches(explained(path)) == []


def test_what_is_no_log_is_said(tmp_path: Path) -> None:
    """One line on standard error, and exit code 2."""
    path = tmp_path / "shot"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 100)
    result = explained(path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"oopswatch: {path}: not a log but a PNG image\n"


@pytest.mark.parametrize("line", [BLOCK[0], BLOCK[0] + " " + "x" * 5_000])
def test_a_line_by_itself(line: str) -> None:
    """Also one that is longer than a path may be."""
    result = explained(line)
    assert result.exit_code == 0
    assert len(matches(result)) == 1


@pytest.mark.parametrize(
    "name", ["nosuchfile.log", "logs/crash", "./x.txt", "/var/log/none.gz", "nosuch", "x.log.1"]
)
def test_a_file_that_is_not_there_is_said(name: str) -> None:
    """And not explained as a line of a log; a line with a path in it still is."""
    done = CliRunner().invoke(oopswatch, ["explain", name])
    assert done.exit_code == 2
    assert f"{name}: no such file" in done.output
    line = f"EXT4-fs error (device sda1): reading {name}"
    assert "read as text" in explain(line)


def test_an_image_that_fails_is_no_program_that_crashed() -> None:
    """What is counted as noise is named by its kind."""
    shown = explain("blk_update_request: I/O error, dev loop0, sector 0 op 0x0:(READ)")
    assert "a mounted image or a network block device failed, no program, 1 ×" in shown
    assert "crashed" not in shown
    shown = explain("demo[7]: segfault at 8 ip 00005581 sp 00007ffd error 4 in demo[5581+1000]")
    assert "noise: demo crashed in user space, 1 ×" in shown


@pytest.mark.parametrize("options", [[], ["--json"], ["--host", "web-1"]])
@pytest.mark.parametrize("before", [True, False])
def test_a_line_that_begins_with_dashes_is_no_option(options: list[str], before: bool) -> None:
    """A list's dash before a line, with options on either side of it."""
    line = "- [  812.331901] Kernel panic - not syncing: Fatal exception"
    arguments = [*options, line] if before else [line, *options]
    result = CliRunner().invoke(oopswatch, ["explain", *arguments])
    assert result.exit_code == 0, result.output
    assert "kernel.panic" in result.output


def test_a_wrong_option_is_still_said() -> None:
    """It is no line."""
    result = CliRunner().invoke(oopswatch, ["explain", "--jsno", "x"])
    assert result.exit_code == 2
    assert "--jsno" in result.output
