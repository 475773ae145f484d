"""The command itself: what it lists is there, and listing it imports nothing of it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click import Context

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
