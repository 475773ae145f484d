"""`oopswatch known`: a record by id or commit, a new index, what is said of damage."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import zstandard
from click.testing import CliRunner, Result

from detector.app.known import shipped_path
from detector.cli import oopswatch
from detector.known.codec import decode, traced_size
from tests.known.records import as_bytes, hash_of, record


def known(*arguments: object) -> Result:
    """What the command does."""
    return CliRunner().invoke(oopswatch, ["known", *map(str, arguments)])


@pytest.fixture
def source(tmp_path):
    """A folder with two records."""
    folder = tmp_path / "records"
    folder.mkdir()
    for number in (1, 2):
        (folder / f"{number}.json").write_bytes(as_bytes(record(number)))
    (folder / "bad.json").write_bytes(b"{")
    return folder


@pytest.fixture
def settings(tmp_path):
    """Settings with a history, and so an index, of their own."""
    path = tmp_path / "own.toml"
    path.write_text(f'[store]\npath = "{tmp_path / "history.db"}"\n')
    return path


def test_an_index_is_written_and_asked(source, settings, tmp_path):
    """Counts and reasons are said; the record is found by its id and by any fixing commit."""
    done = known("update", "--from", source, "--fewer", "--config", settings)
    assert done.exit_code == 0, done.output
    assert (
        f"{tmp_path / 'known-bugs.zst'}: 2 bugs, 2 with a trace; newest fix in 6.5" in done.output
    )
    assert "left out: 1 × not JSON (first bad.json)" in done.output
    said = known("CVE-2024-00001", "--config", settings)
    assert said.exit_code == 0
    for part in (
        "CVE-2024-00001 (demo: pump: hold the valve while it is open)",
        "affected   from 5.4, until 5.10.50",
        f"fixed      6.1.20 by {hash_of(2)[:12]}",
        "seen as    KASAN: slab-use-after-free Read in demo_read_valve",
        "demo_read_valve <- demo_turn",
    ):
        assert part in said.output
    for commit in (hash_of(2), hash_of(3)[:12], hash_of(1)[:9].upper()):
        assert "CVE-2024-00001" in known(commit, "--config", settings).output
    item = json.loads(known("cve-2024-00001", "--json", "--config", settings).output)
    assert (item["type"], item["id"], item["main"]) == (
        "known_bug",
        "CVE-2024-00001",
        hash_of(3)[:12],
    )


def test_an_index_is_reproducible(source, tmp_path):
    """Twice the same bytes."""
    paths = [tmp_path / "a.zst", tmp_path / "b.zst"]
    for path in paths:
        assert known("update", "--from", source, "--to", path, "--fewer").exit_code == 0
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_what_is_not_known_says_so(settings):
    """Exit code 1, and the words that were asked for made harmless."""
    for name in ("CVE-1999-0001", "0123456789abcdef", "\x1b[31m"):
        done = known(name, "--config", settings)
        assert done.exit_code == 1
        assert "not among the" in done.output
        assert "\x1b" not in done.output


@pytest.mark.parametrize("damage", [b"", b"noise", b"PK\x03\x04cut", b"\xfd7zXZ\0cut", b"{}"])
def test_damage_leaves_the_old_index(source, settings, tmp_path, damage):
    """One line, exit code 2, the index as it was."""
    assert known("update", "--from", source, "--fewer", "--config", settings).exit_code == 0
    index = tmp_path / "known-bugs.zst"
    before = index.read_bytes()
    bad = tmp_path / "bad"
    bad.write_bytes(damage)
    done = known("update", "--from", source, "--from", bad, "--fewer", "--config", settings)
    assert done.exit_code == 2
    assert done.output.count("\n") == 1
    assert str(bad) in done.output
    assert index.read_bytes() == before
    assert [path.name for path in tmp_path.glob(".known-bugs*")] == []


def test_a_source_that_lacks_most_is_not_taken_unasked(source, settings, tmp_path):
    """Two bugs instead of the shipped thousands."""
    done = known("update", "--from", source, "--config", settings)
    assert done.exit_code == 2
    assert "is a part missing? (--fewer accepts it)" in done.output
    assert not (tmp_path / "known-bugs.zst").exists()


def test_the_shipped_index():
    """Thousands of bugs with a trace, within its size, with NOTICE and licence beside it."""
    data = shipped_path().read_bytes()
    header, bugs = decode(data, whole=True)
    assert header.traced >= 4_000
    assert header.bugs == len(bugs) >= 14_000
    assert traced_size(data) <= 700_000
    folder: Path = shipped_path().parent
    assert "MITRE" in (folder / "NOTICE").read_text()
    assert "CVE Usage" in (folder / "LICENSES" / "cve-tou.txt").read_text()


def put_old(path: Path) -> None:
    """An index as the version before wrote it, as far as its header goes."""
    path.write_bytes(zstandard.compress(b'{"format":1,"version":"x","bugs":0}\n'))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (put_old, "it is of format 1; this version reads format 2; `oopswatch known update`"),
        (os.mkfifo, "is no file"),
        (Path.mkdir, "is no file"),
        (lambda path: path.write_bytes(b"junk"), "it is no index of known bugs, or is damaged"),
    ],
)
def test_an_index_of_no_use_is_told_and_the_shipped_one_answers(settings, tmp_path, make, reason):
    """One line, which names the file; nothing is waited for."""
    index = tmp_path / "known-bugs.zst"
    make(index)
    done = known("CVE-2024-50126", "--config", settings)
    assert done.exit_code == 0
    assert "CVE-2024-50126 (net: sched" in done.stdout
    (line,) = done.stderr.splitlines()
    assert str(index) in line
    assert reason in line
