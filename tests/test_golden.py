"""Golden cases, a log each and what a scan of it must say: the shipped catalogue passes them, and a
case that differs is told clearly.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from detector import golden
from detector.cli import oopswatch
from detector.cli.pattern_tests import scanned
from tests.support.shipped import shipped

ROOT = Path(__file__).parent / "golden"
PAIR = """\
[  100.100000] IPv4: Attempt to release TCP socket in state 10 ffff80001234a000
[  100.600000] Unable to handle kernel paging request at virtual address 0000000000012345
[  100.700000] demo[7]: segfault at 10 ip 000000000040113a sp 00007ffd1c2b3a40 error 4
"""
SAYS = {
    "why": "The pair.",
    "options": {"host": "db-1"},
    "incidents": [{"rule": "tcp-release-and-memory-fault", "gap_us": 500_000, "host": "db-1"}],
    "matches": [
        {"signature": "kernel.tcp-release-state"},
        {"signature": "kernel.paging-request", "kind": "memory-fault", "pid": None},
    ],
    "noise": [{"process": "demo", "signature": "user.segfault", "count": 1}],
}

Write = Callable[..., Path]


def run(*arguments: str | Path) -> Result:
    """The command, in this process."""
    return CliRunner().invoke(oopswatch, ["patterns", "test", *map(str, arguments)])


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes the case of the pair, with other words for some keys of what is expected."""

    def case(log: str | bytes = PAIR, name: str = "log", **said: Any) -> Path:
        folder = tmp_path / "cases" / "pair"
        folder.mkdir(parents=True)
        (folder / name).write_bytes(log if isinstance(log, bytes) else log.encode())
        (folder / "expected.json").write_text(json.dumps({**SAYS, **said}))
        return tmp_path / "cases"

    return case


@pytest.mark.parametrize("folder", golden.case_folders(ROOT), ids=lambda folder: folder.name)
def test_golden_case(folder: Path) -> None:
    """A scan says exactly what the case says: incidents, matches, noise."""
    why = golden.read_case(folder).why
    assert (
        golden.differences(folder, lambda log, options: scanned(log, options, shipped())) == []
    ), why


def test_every_folder_is_a_case() -> None:
    """None is left out for want of its expectation, and each says why it is there in a sentence of
    its own.
    """
    folders = [path for path in ROOT.iterdir() if path.is_dir()]
    assert sorted(folders) == golden.case_folders(ROOT)
    whys = [golden.read_case(folder).why for folder in folders]
    assert len(set(whys)) == len(whys) >= 16
    assert all(why.endswith(".") and len(why) > 40 for why in whys)


def test_the_founding_pair_is_one_incident_in_every_transport() -> None:
    """The same crash shipped in five ways, or twice, has one identity and one fingerprint."""
    said = [
        item
        for folder in (*ROOT.glob("founding-*"), ROOT / "every-line-twice")
        for item in scanned(*_log_and_options(folder), shipped())
        if item["type"] == "incident"
    ]
    assert len(said) == 6
    assert len({(item["id"], item["fingerprint"]) for item in said}) == 1


def test_items_are_those_of_scan() -> None:
    """What cases are held to is what `scan --json` prints."""
    log, options = _log_and_options(ROOT / "founding-dmesg")
    printed = CliRunner().invoke(oopswatch, ["scan", "--json", "--host", options["host"], str(log)])
    items = [json.loads(line) for line in printed.output.splitlines()]
    assert items[:-1] == json.loads(json.dumps(scanned(log, options, shipped())))


def test_a_case_that_agrees(write: Write) -> None:
    """One line, exit 0."""
    done = run(write())
    assert (done.exit_code, done.output.split()[0], len(done.output.splitlines())) == (0, "ok", 1)


def test_a_compressed_log(write: Write) -> None:
    """The log's extension is free."""
    assert run(write(gzip.compress(PAIR.encode()), "log.gz")).exit_code == 0


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"noise": []}, '1 noise, not 0; "demo user.segfault 1"'),
        ({"incidents": []}, '1 incidents, not 0; "tcp-release-and-memory-fault"'),
        ({"matches": SAYS["matches"][:1]}, "2 matches, not 1"),
        (
            {"matches": SAYS["matches"][::-1]},
            'matches[0].signature: "kernel.tcp-release-state", not "kernel.paging-request"',
        ),
        ({"incidents": [{"gap_us": 500_001}]}, "incidents[0].gap_us: 500000, not 500001"),
        ({"noise": [{"proces": "demo"}]}, 'noise[0].proces: null, not "demo"'),
        ({"options": {"host": "db-2"}}, 'incidents[0].host: "db-2", not "db-1"'),
        ({"options": {"hots": "db-2"}}, "options: unknown: hots; there are format, host, timezone"),
        ({"options": {"format": "demsg"}}, "options: format: 'demsg'; there are auto, dmesg"),
        (
            {"options": {"timezone": "Mars/Base"}},
            "parse.timezone = Mars/Base: it must be",
        ),
        ({"options": {"host": 3}}, "options: not an object of strings"),
        ({"incident": []}, "unknown: incident"),
        ({"why": None}, 'not an object with a "why"'),
        ({"noise": {}}, "noise: not a list of objects"),
    ],
)
def test_a_case_that_differs(write: Write, said: dict[str, Any], told: str) -> None:
    """One line that says what is otherwise, exit 1."""
    done = run(write(**said))
    (line,) = done.output.splitlines()
    assert done.exit_code == 1
    assert line.startswith("differs ")
    assert told in line


def test_an_expectation_that_is_no_json(write: Write) -> None:
    """Is a difference of that case, with its place, and no trace of Python's."""
    folder = write()
    (folder / "pair" / "expected.json").write_text('{"why": }')
    done = run(folder)
    assert done.exit_code == 1
    assert "expected.json: Expecting value: line 1 column 9" in done.output


def test_a_case_of_no_log_or_of_two(write: Write) -> None:
    """Neither can be run."""
    folder = write()
    (folder / "pair" / "log.txt").write_text(PAIR)
    assert "2 logs; a case holds one" in run(folder).output
    for path in (folder / "pair").glob("log*"):
        path.unlink()
    assert "0 logs; a case holds one" in run(folder).output


def test_a_log_that_is_none(write: Write) -> None:
    """A picture is not a log without faults."""
    done = run(write(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", incidents=[], matches=[], noise=[]))
    assert done.exit_code == 1
    assert "not a log" in done.output


def test_a_folder_without_cases(tmp_path: Path) -> None:
    """Is a mistake of whoever called, not a success."""
    done = run(tmp_path)
    assert done.exit_code == 2
    assert "no cases" in done.output


def test_cases_run_against_the_users_patterns(write: Write, tmp_path: Path) -> None:
    """A signature of the user's own counts in the cases too."""
    folder = write(
        PAIR + "[  101.000000] ourdrv: bad thing\n",
        matches=[*SAYS["matches"], {"signature": "our.thing"}],
    )
    assert run(folder).exit_code == 1
    own = tmp_path / "patterns"
    own.mkdir()
    (own / "our.toml").write_text(OUR)
    assert run("--patterns", own, folder).exit_code == 0


def test_a_line_and_standard_input_are_asked_as_ever() -> None:
    """What is no folder is a message; `-` are many."""
    assert run(
        "IPv4: Attempt to release TCP socket in state 10 ffff80001234a000"
    ).output.startswith("kernel.tcp-release-state ")
    done = CliRunner().invoke(
        oopswatch,
        ["patterns", "test", "-"],
        input="nothing\nBUG: unable to handle kernel paging request at 0000000000031a07\n",
    )
    assert done.exit_code == 0
    assert [line.split()[0] for line in done.output.splitlines()] == [
        "no",
        "kernel.x86-paging-request",
    ]


def _log_and_options(folder: Path) -> tuple[Path, Any]:
    case = golden.read_case(folder)
    return case.log, case.options


OUR = """
[[signature]]
id = "our.thing"
class = "our-class"
origin = "kernel"
severity = "warning"
title = "Our driver says that something is bad"
literal = "ourdrv: bad"
regex = '''^ourdrv: bad'''
source = "our driver"
meaning = "The driver is in a bad state."
match = ["ourdrv: bad thing"]
reject = ["ourdrv: good thing"]
"""


def test_update_writes_what_a_scan_says(write):
    """`--update` mends what differs, keeps why, options and keys, and then all cases agree."""
    folder = write(incidents=[{"rule": "wrong", "gap_us": 1}], matches=[], noise=[])
    assert run(folder).exit_code == 1
    done = run(folder, "--update")
    assert done.exit_code == 0, done.output
    assert done.output.startswith("updated")
    said = json.loads((folder / "pair" / "expected.json").read_text())
    assert said["why"] == SAYS["why"]
    assert said["options"] == {"host": "db-1"}
    assert said["incidents"] == [{"rule": "tcp-release-and-memory-fault", "gap_us": 500_000}]
    assert [item["signature"] for item in said["matches"]] == [
        "kernel.tcp-release-state",
        "kernel.paging-request",
    ]
    assert said["noise"] == [{"process": "demo", "signature": "user.segfault", "count": 1}]
    assert run(folder).exit_code == 0


def test_update_leaves_a_case_that_agrees(write):
    """A case that agrees keeps its file to the byte."""
    folder = write()
    before = (folder / "pair" / "expected.json").read_bytes()
    assert run(folder, "--update").output.startswith("ok")
    assert (folder / "pair" / "expected.json").read_bytes() == before


def test_update_needs_a_folder():
    """A line cannot be updated: said in one line, exit 2."""
    done = run("some line", "--update")
    assert done.exit_code == 2
    assert "--update needs a FOLDER" in done.output
