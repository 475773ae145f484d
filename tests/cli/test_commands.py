"""The command itself: what it lists is there, and listing it imports nothing of it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from click import Context
from click.testing import CliRunner

from detector.cli import COMMANDS, oopswatch


@pytest.mark.parametrize("name", COMMANDS)
def test_a_listed_command_is_there_and_says_the_same(name: str) -> None:
    """The line in the list is how the command's own help begins."""
    command = oopswatch.get_command(Context(oopswatch), name)
    assert command is not None
    assert command.get_short_help_str(1_000).startswith(COMMANDS[name].removesuffix("."))


def test_help_imports_no_command() -> None:
    """`--help` leaves alone what it does not need."""
    code = (
        "import sys; from detector.cli import oopswatch; oopswatch(['--help'], "
        "standalone_mode=False); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Serves pages and API" in done.stdout
    imported = set(done.stdout.splitlines()[-1].split())
    assert not imported & {"detector.pipeline", "detector.store", "fastapi", "rich", "pydantic"}


def test_no_help_imports_what_the_commands_work_with() -> None:
    """Help and completion of every command come without models, engines and clients: the time
    they take is that of what is imported.
    """
    code = (
        "import importlib, sys; from detector.cli import COMMANDS; "
        '[importlib.import_module(f\'detector.cli.{name.replace("-", "_")}\') '
        "for name in COMMANDS]; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {
        *("pydantic", "hyperscan", "regex", "jinja2", "kafka", "sqlite_utils", "rich"),
        *("prometheus_client", "fastapi", "structlog", "zstandard", "capstone", "asyncio"),
        *("detector.pipeline", "detector.catalogue", "detector.settings.declared"),
    }


def test_a_scan_without_a_crash_starts_without_what_explains_one(tmp_path: Path) -> None:
    """Nor does it import what services log by, or what reads a history back."""
    log = tmp_path / "kern.log"
    log.write_text("[  100.000001] usb 1-1: new device\n")
    code = (
        "import atexit, sys; atexit.register(lambda: print(*sys.modules)); "
        f"from detector.cli import oopswatch; oopswatch(['scan', {str(log)!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = set(done.stdout.splitlines()[-1].split())
    assert "detector.pipeline" in imported
    assert not imported & {"detector.explain", "structlog", "detector.store.query.history"}


def test_reading_the_history_needs_no_pipeline() -> None:
    """Commands over the history start without what reads logs, and without the server."""
    code = "import sys, detector.cli.incidents, detector.cli.serve; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {
        "detector.pipeline",
        "detector.crash",
        "detector.parse",
        "fastapi",
    }


@pytest.mark.parametrize(
    ("words", "meant"),
    [(["incidnts"], "incidents"), (["problems", "lst"], "list"), (["xyzzy"], None)],
)
def test_a_misspelt_command_is_guessed(words: list[str], meant: str | None) -> None:
    """Of groups as well; what resembles none gets no guess."""
    result = CliRunner().invoke(oopswatch, words)
    assert result.exit_code == 2
    assert "No such command" in result.output
    assert ("Did you mean" in result.output) == (meant is not None)
    if meant:
        assert f"Did you mean '{meant}'?" in result.output


def test_a_known_issue_is_shown() -> None:
    """By its id, like signatures and rules."""
    result = CliRunner().invoke(oopswatch, ["patterns", "show", "tcp-listener-race"])
    assert result.exit_code == 0, result.output
    assert re.search(r"^fixed +5\.5$", result.output, re.MULTILINE)
