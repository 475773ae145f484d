"""What pages name is there: every command with its options, every setting, variable and metric."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from detector.cli import oopswatch
from detector.settings.declared import Settings
from detector.settings.loading import NAMES
from detector.telemetry import METRICS

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "patterns/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "deploy").rglob("*.md")),
]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
# What Prometheus makes of a counter and of a histogram.
SUFFIXES = ("_bucket", "_sum", "_count", "_total", "_created")

# What is spelled like a setting and is none: an address that Kubernetes hands in, a token of
# Grafana's, an attribute of OpenTelemetry.
OTHERS = {"OOPSWATCH_PORT", "OOPSWATCH_TOKEN", "log.iostream"}


def commands_in(text: str) -> list[str]:
    """Every command line that a page shows: lines of blocks, indented ones, and code in a
    sentence.
    """
    blocks = "\n".join(re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE))
    prose = re.sub(r"^ *```\w*\n.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)
    lines = re.findall(r"^\s*(?:\$ )?(oopswatch [a-z].*)$", blocks, re.MULTILINE)
    indented = re.findall(r"^ {4,}(oopswatch [a-z].*)$", prose, re.MULTILINE)
    codes = (code for line in prose.splitlines() for code in re.findall(r"`([^`]+)`", line))
    inline = (re.match(r"(?:.*\| )?(oopswatch [a-z].*)", code) for code in codes)
    return [*lines, *indented, *(each[1] for each in inline if each)]


def complaint(line: str) -> str | None:
    """What of a command line is not there; None where all of it is."""
    line = re.split(r"\s(?:[|>#&]|#)", line)[0]
    try:
        words = shlex.split(line)[1:]
    except ValueError:
        words = line.split()[1:]
    command: click.Command = oopswatch
    context = click.Context(oopswatch)
    while isinstance(command, click.Group) and words and re.fullmatch(r"[a-z][a-z-]*", words[0]):
        following = command.get_command(context, words[0])
        if following is None:
            return f"{line}: no command {words[0]}"
        command, words = following, words[1:]
    known = {name for option in command.get_params(context) for name in option.opts}
    known |= {name for option in command.params for name in option.secondary_opts}
    given = {word.partition("=")[0] for word in words if re.match(r"--[a-z]", word)}
    missing = sorted(name.rstrip(",.;:") for name in given if name.rstrip(",.;:") not in known)
    return f"{line}: {', '.join(missing)}" if missing else None


@each_page
def test_commands_and_options_exist(page):
    """Each that a page shows can be given."""
    lines = commands_in(page.read_text())
    assert [fault for line in lines if (fault := complaint(line))] == []


def test_a_wrong_command_would_be_noticed():
    """The check above can fail."""
    assert complaint("oopswatch scan --jsn FILE") == "oopswatch scan --jsn FILE: --jsn"
    assert complaint("oopswatch incidents lst") == "oopswatch incidents lst: no command lst"
    assert complaint("oopswatch scan --json FILE | jq .") is None


@each_page
def test_settings_and_their_variables_exist(page):
    """`group.name` of a group of settings, and OOPSWATCH_GROUP_NAME."""
    text = page.read_text()
    variables = {f"OOPSWATCH_{name.replace('.', '_').upper()}" for name in NAMES}
    named = set(re.findall(r"\bOOPSWATCH_[A-Z0-9_]+\b(?!…)", text))
    unknown = named - variables - OTHERS
    groups = "|".join(Settings.model_fields)
    # What ends like a file is one: `kafka.py`, `alert.md`.
    settings = re.findall(rf"`(?:\[)?((?:{groups})\.[a-z0-9_]+)`", text)
    files = re.compile(r"\.(md|py|toml|db|json|yml|yaml|sql|html|csv)$")
    wrong = {name for name in settings if not files.search(name)} - NAMES - OTHERS
    assert (unknown, wrong) == (set(), set())


@each_page
def test_metrics_exist(page):
    """Each metric that a page names is declared."""
    declared = {without_suffix(metric.name) for metric in METRICS}
    named = set(re.findall(r"`(oopswatch_[a-z0-9_]+)(?:\{[^`]*)?`", page.read_text()))
    assert {name for name in named if without_suffix(name) not in declared} == set()


def without_suffix(name: str) -> str:
    """The metric that a sample is of."""
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return name
