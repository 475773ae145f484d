"""`--version` names what came with the package: program, patterns, index of known bugs."""

from __future__ import annotations

import re
from pathlib import Path

from click.testing import CliRunner

import detector
from detector.app.versions import digest
from detector.cli import oopswatch


def test_versions_of_all_parts():
    """A line each, exit 0."""
    done = CliRunner().invoke(oopswatch, ["--version"])
    assert done.exit_code == 0
    program, patterns, bugs = done.output.splitlines()
    assert program == f"oopswatch {detector.__version__}"
    assert re.fullmatch(r"patterns [0-9a-f]{12}", patterns)
    assert re.fullmatch(r"known bugs [0-9a-f]{12}, [\d,]+ bugs with a trace", bugs)


def test_digest_of_patterns_tells_every_change(tmp_path: Path):
    """Names and bytes count, the order in which files were made does not."""
    for folder, names in (("a", ("x.toml", "k/y.toml")), ("b", ("k/y.toml", "x.toml"))):
        for name in names:
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"# {name}\n")
    same = digest(tmp_path / "a")
    assert same == digest(tmp_path / "b")
    (tmp_path / "b" / "x.toml").write_text("# x.toml \n")
    assert digest(tmp_path / "b") != same
    (tmp_path / "b" / "x.toml").write_text("# x.toml\n")
    (tmp_path / "b" / "x.toml").rename(tmp_path / "b" / "z.toml")
    assert digest(tmp_path / "b") != same
