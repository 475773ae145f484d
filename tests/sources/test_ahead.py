"""Processes that look ahead change nothing: whatever the files, what comes out of a scan is the
same with many jobs as with one.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path

import pytest
import zstandard
from click.testing import CliRunner

from detector.cli import oopswatch
from detector.scan import Scanner
from detector.sources import FileSource, SourceError
from detector.sources.files import prescan
from detector.sources.files import source as files

BLOCK = 2_000
LITERALS = ("Attempt to release", "Unable to handle", "segfault at", "Internal error")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a few lines, and few to a part: a short log is cut in many places."""
    monkeypatch.setattr(files, "BLOCK_SIZE", BLOCK)
    monkeypatch.setattr(prescan, "PART", 3)


def lines(seed: int, count: int) -> Iterator[bytes]:
    """A log of three hosts, with pairs, reports of several lines, user faults, reboots, lines of no
    form and odd lengths.
    """
    dice = random.Random(seed)
    uptime = dict.fromkeys(("db-1", "db-2", "web-1"), 100.0)
    for number in range(count):
        host = dice.choice(list(uptime))
        uptime[host] = 1.0 if dice.random() < 0.01 else uptime[host] + dice.random()
        stamp = (
            f"Nov 22 10:{number // 60 % 60:02}:{number % 60:02} {host} kernel: "
            f"[{uptime[host]:12.6f}] "
        )
        yield (
            (stamp + dice.choice(texts(dice))).encode()
            if dice.random() < 0.97
            else dice.randbytes(dice.choice((5, 300)))
        )


def texts(dice: random.Random) -> list[str]:
    """What a line may say: mostly nothing."""
    return [
        *["eth0: link is up"] * 20,
        "x" * dice.choice((1, 400, 3 * BLOCK)),
        f"IPv4: Attempt to release TCP socket in state 10 ffff8000{dice.randrange(99):08x}",
        f"Unable to handle kernel paging request at virtual address {dice.randrange(99):016x}",
        "Internal error: Oops: 96000004 [#1] SMP",
        "pc : my_driver_poll+0x10/0x80 [mydrv]",
        "---[ end trace 0123456789abcdef ]---",
        (
            f"worker-{dice.randrange(9)}[77]: segfault at 10 ip 00007f0000000000 sp "
            "00007ffc00000000 error 4 in libc.so[7f0000000000+1000]"
        ),
    ]


def scanned(jobs: int, *paths: Path) -> list[dict[str, object]]:
    """All that `scan --json` prints, but for the seconds."""
    result = CliRunner().invoke(
        oopswatch, ["scan", "--json", "--jobs", str(jobs), *map(str, paths)]
    )
    assert result.exit_code in (0, 1, 2), result.output
    items = [json.loads(line) for line in result.stdout.splitlines()]
    items[-1].pop("seconds")
    return items


@pytest.mark.parametrize("seed", range(3))
def test_a_scan_of_many_jobs_prints_what_a_scan_of_one_prints(tmp_path: Path, seed: int) -> None:
    """Byte for byte and in the same order: cuts within reports, halves in different parts and
    files, streams of boots, noise.
    """
    whole = list(lines(seed, 900))
    for name, part in (("a.log", whole[:400]), ("b.log", whole[400:800]), ("d.log", whole[800:])):
        (tmp_path / name).write_bytes(b"\n".join(part) + b"\n" * (seed % 2))
    (tmp_path / "c.log.gz").write_bytes(gzip.compress(b"\n".join(whole[300:600])))
    (tmp_path / "e.zst").write_bytes(zstandard.compress(b"\n".join(whole[:200])))
    alone = scanned(1, tmp_path)
    assert len({str(item["type"]) for item in alone}) == 4
    for jobs in (2, 3):
        assert scanned(jobs, tmp_path) == alone


def test_what_is_told_of_blocks_is_what_the_scanner_finds(tmp_path: Path) -> None:
    """Nearly every block of a plain file is looked through ahead; hits and counts are those of its
    bytes.
    """
    path = tmp_path / "kern.log"
    path.write_bytes(b"\n".join(lines(7, 600)) + b"\n")
    scanner = Scanner(LITERALS)
    told = 0
    with closing(FileSource([str(path)], jobs=2, literals=LITERALS)) as source:
        for chunk in chain.from_iterable(source.batches()):
            assert chunk.count == chunk.data.count(b"\n")
            if chunk.hits is not None:
                assert list(chunk.hits) == scanner.ends(chunk.data)
                told += 1
    assert told > 20


def test_damage_and_what_is_no_log_are_told_as_without_jobs(tmp_path: Path) -> None:
    """A compressed file that is cut, and one that holds a program: the same problems, and what came
    before the damage.
    """
    whole = gzip.compress(b"\n".join(lines(9, 2_000)))
    (tmp_path / "cut.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "program.gz").write_bytes(gzip.compress(b"\x7fELF" + bytes(range(256)) * 40))
    told = []
    for jobs in (1, 2):
        with closing(
            FileSource(
                [str(tmp_path / "cut.gz"), str(tmp_path / "program.gz")],
                jobs=jobs,
                literals=LITERALS,
            )
        ) as source:
            read = b"".join(chunk.data for chunk in chain.from_iterable(source.batches()))
            told.append((read, [(one.path, one.text, one.fatal) for one in source.problems]))
    assert told[0] == told[1]
    assert [text.split(":")[0] for _, text, _ in told[0][1]] == [
        "damaged",
        "not a log but an ELF file (a program or a kernel dump)",
    ]
    assert told[0][0]


def test_a_process_that_died_costs_time_only(tmp_path: Path) -> None:
    """What it would have told of a plain file is found by the one that reads."""
    path = tmp_path / "kern.log"
    path.write_bytes(b"\n".join(lines(3, 600)) + b"\n")
    with closing(FileSource([str(path)], jobs=2, literals=LITERALS)) as source:
        assert source._ahead is not None
        source._ahead.close()
        source._ahead._pipes = [gone() for _ in source._ahead._pipes]
        assert (
            b"".join(chunk.data for chunk in chain.from_iterable(source.batches()))
            == path.read_bytes()
        )


def gone() -> object:
    """The pipe of a process that is no more."""

    class Gone:
        def recv(self) -> object:
            raise EOFError

        def close(self) -> None: ...

    return Gone()


def test_files_that_grow_are_read_by_one_process(tmp_path: Path) -> None:
    """--follow and --jobs exclude each other, in one line."""
    with pytest.raises(SourceError, match="leave --jobs or --follow out"):
        FileSource([str(tmp_path)], follow=True, jobs=2)
