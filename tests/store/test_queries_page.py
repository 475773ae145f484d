"""`docs/queries.md` says what the filter language is: every field with its meaning, and examples
that are understood.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from urllib.parse import parse_qs

from click.testing import CliRunner

from detector.cli import oopswatch
from detector.store.query import faults, filters, search_index, survey
from detector.store.query import noise as noise_queries
from detector.store.query.filters import FIELDS, parse
from tests.support.queries import NOW_US, fill

DOCUMENT = (Path(__file__).parents[2] / "docs" / "queries.md").read_text()


def test_every_field_is_told() -> None:
    """Names and meanings are those of the code, in its order."""
    table = re.findall(r"^\| `(\w+)` \| (.+) \|$", DOCUMENT, re.MULTILINE)
    assert table == list(FIELDS.items())


def test_bounds_are_those_of_the_code() -> None:
    """Each number that the page says."""
    text = " ".join(DOCUMENT.split())
    for phrase in (
        f"the {faults.LOOKED[-1]:,} newest of what its most telling field leads to",
        f"are those of the {faults.LOOKED_ALIKE:,} newest such faults",
        f"of the newest {survey.SURVEYED:,} incidents of a filter",
        f"are those of the newest {survey.SURVEYED:,} incidents of the filter",
        (
            f"the newest {noise_queries.LOOKED:,} hourly counts of noise by host, or "
            f"{noise_queries.LOOKED_PROGRAMS:,} over all hosts"
        ),
        f"a name that ends in * stands for {search_index.NAMES} words at most",
        (
            f"{filters.VALUES_LIMIT} values of one field, {filters.LENGTH_LIMIT:,} characters "
            f"of one value, {filters.WORDS_LIMIT} words"
        ),
    ):
        assert phrase in text


def test_addresses_are_understood() -> None:
    """Every query string of the page is one."""
    addresses = re.findall(r"^    \S*\?(\S+)$", DOCUMENT, re.MULTILINE)
    assert len(addresses) >= 2
    for address in addresses:
        parse(parse_qs(address, strict_parsing=True), NOW_US)


def test_commands_run(tmp_path: Path) -> None:
    """Every command of the page does what it is told, over a history that has something of each
    kind.
    """
    path = tmp_path / "history.db"
    fill(path)
    commands = re.findall(r"^    (oopswatch .+)$", DOCUMENT, re.MULTILINE)
    assert len(commands) >= 5
    for line in commands:
        arguments = shlex.split(line)[1:]
        result = CliRunner().invoke(oopswatch, [*arguments, "--store", str(path)])
        assert result.exit_code == 0, (line, result.output)
