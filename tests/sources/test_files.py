from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import sys
from pathlib import Path
from threading import Thread

import pytest
import zstandard

from detector.sources import FileSource, SourceError

LINES = [
    b"Nov 22 10:00:%02d db-7 kernel: [%5d.%06d] eth0: link is up" % (n % 60, n, n * 7 % 1_000_000)
    for n in range(30_000)
]
TEXT = b"\n".join(LINES) + b"\n"

PACKERS = {
    "log": bytes,
    "gz": gzip.compress,
    "xz": lzma.compress,
    "zst": zstandard.compress,
    "bz2": bz2.compress,
}


def read(source: FileSource) -> list[tuple[str, int, bytes]]:
    """Source, number and value of every record."""
    found = []
    for batch in source.batches():
        for chunk in batch:
            position = 0
            while position < len(chunk.data):
                record, _, position = chunk.record_at(position)
                found.append((record.source, record.number, record.value))
    return found


def values(*paths: Path | str) -> list[bytes]:
    """What the records of some paths hold."""
    return [value for _, _, value in read(FileSource([str(path) for path in paths]))]


@pytest.mark.parametrize("packed", PACKERS)
def test_every_compression_gives_the_same_lines(tmp_path: Path, packed: str) -> None:
    """Told by the first bytes: the name may say anything."""
    path = tmp_path / "kern.log.1"
    path.write_bytes(PACKERS[packed](TEXT))
    source = FileSource([str(path)])
    assert read(source) == [(str(path), number, line) for number, line in enumerate(LINES, 1)]
    assert source.problems == []


@pytest.mark.parametrize("packed", ["gz", "xz", "zst"])
def test_a_damaged_file_is_read_as_far_as_it_goes(tmp_path: Path, packed: str) -> None:
    """Cut in the middle: what comes before counts, the damage is said once, the next file is
    read.
    """
    noise = random.Random(7)
    lines = [noise.randbytes(40).hex().encode() for _ in range(40_000)]
    data = PACKERS[packed](b"\n".join(lines))
    (tmp_path / "a").write_bytes(data[: len(data) // 2])
    (tmp_path / "b").write_bytes(b"after\n")
    source = FileSource([str(tmp_path)])
    found = [value for _, _, value in read(source)]
    assert 15_000 < len(found) < 25_000
    assert found[:15_000] == lines[:15_000]
    assert found[-1] == b"after"
    (problem,) = source.problems
    assert f"{tmp_path / 'a'}: damaged: " in str(problem)
    assert source.failed


def test_a_small_damaged_file_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    """Also where the damage lies within the head that tells what the file is; said once."""
    path = tmp_path / "kern.log.gz"
    path.write_bytes(gzip.compress(TEXT[:20_000])[:-200])
    source = FileSource([str(path)])
    found = [value for _, _, value in read(source)]
    assert len(found) > 50
    assert found[:-1] == LINES[: len(found) - 1]
    (problem,) = source.problems
    assert "damaged: " in str(problem)


def test_plain_text_under_the_name_of_a_compressed_file_is_said(tmp_path: Path) -> None:
    """It is read, and nothing is missed: no failure."""
    path = tmp_path / "kern.log.gz"
    path.write_bytes(b"garbage\n")
    source = FileSource([str(path)])
    assert [value for _, _, value in read(source)] == [b"garbage"]
    assert [str(problem) for problem in source.problems] == [
        f"{path}: not gzip data, whatever its name says: read as plain text"
    ]
    assert not source.failed


def test_folders_are_gone_through_in_order_and_files_read_once(tmp_path: Path) -> None:
    """Subfolders too; a second name of a file, or naming it twice, does not read it twice."""
    (tmp_path / "web" / "old").mkdir(parents=True)
    (tmp_path / "web" / "kern.log").write_bytes(b"2\n")
    (tmp_path / "web" / "old" / "kern.log").write_bytes(b"3\n")
    (tmp_path / "db.log").write_bytes(b"1\n")
    (tmp_path / "latest").symlink_to("db.log")
    assert values(tmp_path, tmp_path / "db.log") == [b"1", b"2", b"3"]


def test_globs_are_expanded(tmp_path: Path) -> None:
    """Also where the shell left them as they are; a file whose name looks like one is itself."""
    for name in ("kern.log", "kern.log.1", "mail.log", "kern[1].log"):
        (tmp_path / name).write_bytes(name.encode())
    assert values(tmp_path / "kern.log*") == [b"kern.log.1", b"kern.log"]
    assert values(tmp_path / "kern[1].log") == [b"kern[1].log"]


@pytest.mark.parametrize(
    "names",
    [
        ("kern.log.10.gz", "kern.log.2.gz", "kern.log.1", "kern.log"),
        ("kern.log-20251231", "kern.log-20260101.gz", "kern.log"),
        ("kern-20251231.log", "kern-20260101.log", "kern.log"),
        ("kern.2.log", "kern.1.log", "kern.log"),
    ],
)
def test_a_rotated_log_is_read_oldest_first(tmp_path: Path, names: tuple[str, ...]) -> None:
    """As a folder, as the shell's glob and as ours; other logs keep their places."""
    (tmp_path / "auth.log").write_bytes(b"auth")
    for name in names:
        (tmp_path / name).write_bytes(name.encode())
    oldest_first = [name.encode() for name in names]
    assert values(tmp_path) == [b"auth", *oldest_first]
    assert values(*sorted(tmp_path.glob("kern*"))) == oldest_first
    assert values(tmp_path / "kern*") == oldest_first


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("absent.log", "absent.log: no such file or folder"),
        ("absent*.log", "absent*.log: no file matches"),
        ("circle", "circle: cannot be read: Too many levels of symbolic links"),
        ("nothing", "nothing: no files in this folder"),
        ("shot.png", "shot.png: not a log but a PNG image"),
        ("vmlinux", "vmlinux: not a log but an ELF file"),
        ("blob", "blob: not a log: binary data"),
        ("wide.log", "wide.log: not a log but UTF-16 text: convert it to UTF-8 first"),
        ("wide2.log", "wide2.log: not a log but UTF-16 text: convert it to UTF-8 first"),
        (
            "head.gz",
            (
                "head.gz: cannot be read: Compressed file ended before the end-of-stream "
                "marker was reached"
            ),
        ),
    ],
)
def test_what_cannot_be_read_is_said_and_stops_nothing_else(
    tmp_path: Path, name: str, text: str
) -> None:
    """One clear line each, and the good file beside it is read."""
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "nothing").mkdir()
    (tmp_path / "shot.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)))
    (tmp_path / "vmlinux").write_bytes(b"\x7fELF\2\1\1" + bytes(500))
    (tmp_path / "blob").write_bytes(random.Random(3).randbytes(5000))
    (tmp_path / "wide.log").write_bytes("kernel: hello\n".encode("utf-16"))
    (tmp_path / "wide2.log").write_bytes("kernel: hello\n".encode("utf-16-le") * 9)
    (tmp_path / "head.gz").write_bytes(gzip.compress(b"x")[:9])
    (tmp_path / "good.log").write_bytes(b"good\n")
    source = FileSource([str(tmp_path / name), str(tmp_path / "good.log")])
    assert [value for _, _, value in read(source)] == [b"good"]
    (problem,) = source.problems
    assert str(problem).startswith(f"{tmp_path}/{text}")
    assert source.failed


def test_a_binary_in_a_folder_of_logs_is_left_out(tmp_path: Path) -> None:
    """It is said, but a folder like /var/log holds some, and nothing that was asked for is
    missed.
    """
    (tmp_path / "kern.log").write_bytes(b"good\n")
    (tmp_path / "wtmp").write_bytes(random.Random(3).randbytes(5000))
    source = FileSource([str(tmp_path)])
    assert len(read(source)) == 1
    assert [str(problem) for problem in source.problems] == [
        f"{tmp_path}/wtmp: not a log: binary data"
    ]
    assert not source.failed


def test_a_folder_that_cannot_be_entered_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one inside another, whose other files are read."""
    (tmp_path / "closed").mkdir()
    (tmp_path / "kern.log").write_bytes(b"good\n")
    look = os.scandir

    def closed(path: str) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", path)
        return look(path)

    monkeypatch.setattr(os, "scandir", closed)
    for path in (tmp_path, tmp_path / "closed"):
        source = FileSource([str(path)])
        assert len(read(source)) == (path == tmp_path)
        assert [str(problem) for problem in source.problems] == [
            f"{tmp_path}/closed: cannot be read: Permission denied"
        ]
        assert source.failed


def test_a_folder_without_logs_is_a_failure(tmp_path: Path) -> None:
    """Binaries alone are no logs."""
    (tmp_path / "wtmp").write_bytes(random.Random(3).randbytes(5000))
    source = FileSource([str(tmp_path)])
    assert read(source) == []
    assert str(source.problems[-1]) == f"{tmp_path}: no logs in this folder"
    assert source.failed


def test_an_empty_file_is_said_and_is_no_failure(tmp_path: Path) -> None:
    """A log that was just rotated is empty: nothing is missed."""
    (tmp_path / "kern.log").write_bytes(b"")
    source = FileSource([str(tmp_path / "kern.log")])
    assert read(source) == []
    assert [str(problem) for problem in source.problems] == [
        f"{tmp_path}/kern.log: empty: nothing to read"
    ]
    assert not source.failed


def test_nul_runs_and_odd_bytes_are_still_a_log(tmp_path: Path) -> None:
    """A machine that lost its power leaves NULs behind; Latin-1, colours and carriage returns are
    text too.
    """
    path = tmp_path / "console.log"
    path.write_bytes(bytes(100_000) + b"\x1b[1;31m[    1.0] caf\xe9\x1b[0m\r\n" * 9)
    assert len(values(path)) == 9


def test_binary_data_in_the_middle_of_a_log_costs_only_itself(tmp_path: Path) -> None:
    """What comes before and after is read."""
    path = tmp_path / "kern.log"
    path.write_bytes(TEXT[:3000] + random.Random(5).randbytes(30_000) + b"\n" + TEXT[-3000:])
    found = values(path)
    assert found[:20] == LINES[:20]
    assert found[-20:] == LINES[-20:]


def test_a_byte_order_mark_alone_is_no_utf_16(tmp_path: Path) -> None:
    """What follows decides: UTF-16 has NULs beside its ASCII characters."""
    path = tmp_path / "kern.log"
    path.write_bytes(b"\xff\xfe\x80\x81" + TEXT[:3000])
    assert values(path)[1:20] == LINES[1:20]


def test_the_name_of_a_file_cannot_forge_a_message(tmp_path: Path) -> None:
    """Control characters of a name are escaped."""
    source = FileSource([str(tmp_path / "a\nb\x1b2J")])
    assert str(source.problems[0]) == f"{tmp_path}/a\\nb\\x1b2J: no such file or folder"


def test_a_line_of_ten_megabytes_is_one_record(tmp_path: Path) -> None:
    """Longer than a block, shorter than the bound."""
    path = tmp_path / "kern.log"
    path.write_bytes(b"a\n" + b"x" * 10_000_000 + b"\nb\n")
    assert [len(value) for value in values(path)] == [1, 10_000_000, 1]


def test_standard_input_comes_as_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe gives what it has, without waiting for a block to be full; compressed input works
    too.
    """
    for pack in (bytes, gzip.compress):
        reader, writer = os.pipe()
        with os.fdopen(reader, "rb") as stdin, os.fdopen(writer, "wb") as out:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stdin))
            out.write(pack(b"first\n"))
            out.flush()
            if pack is gzip.compress:
                out.close()
            batches = FileSource(["-"]).batches()
            (chunk,) = next(batches)
            assert chunk.record_at(0)[0].value == b"first"
            assert chunk.source == "-"
            if pack is bytes:
                out.write(b"last")
                out.close()
                assert [chunk.data for batch in batches for chunk in batch] == [b"last"]


def test_a_fifo_is_read(tmp_path: Path) -> None:
    """As the shell's <(…) hands it over."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writing = Thread(target=lambda: fifo.write_bytes(TEXT))
    writing.start()
    assert values(fifo) == LINES
    writing.join()


def test_progress_is_told_in_bytes_on_the_disk(tmp_path: Path) -> None:
    """Of compressed files as well, and it ends at the total."""
    (tmp_path / "a.gz").write_bytes(gzip.compress(TEXT))
    (tmp_path / "b").write_bytes(TEXT * 2)
    told: list[tuple[int, int | None]] = []
    read(FileSource([str(tmp_path)], on_progress=lambda done, total: told.append((done, total))))
    total = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (total, total)
    assert {of for _, of in told} == {total}


def test_a_stop_ends_the_reading(tmp_path: Path) -> None:
    """After the chunk at hand."""
    for name in "ab":
        (tmp_path / name).write_bytes(b"x\n")
    source = FileSource([str(tmp_path)])
    for _ in source.batches():
        source.stop()
        break
    assert list(source.batches()) == []


def test_pstore_parts_are_one_log_oldest_first(tmp_path: Path) -> None:
    """Part 1 holds the newest text; the headers are not log; two dumps, and a file that is no part,
    stay apart.
    """
    for part, text in (
        (1, b"<4>[   12.9] newest\n"),
        (2, b"<4>[   12.5] middle"),
        (3, b"<4>[   12.1] oldest\n"),
    ):
        (tmp_path / f"dmesg-efi-17637300{part:02}001").write_bytes(
            b"Panic#1 Part%d\n" % part + text
        )
    (tmp_path / "dmesg-efi-1763739901001").write_bytes(b"Panic#1 Part1\n<4>[   77.0] other crash\n")
    (tmp_path / "dmesg.txt").write_bytes(b"plain\n")
    found = read(FileSource([str(tmp_path)]))
    dump = f"{tmp_path}/Panic#1"
    assert found == [
        (dump, 1, b"<4>[   12.1] oldest"),
        (dump, 2, b"<4>[   12.5] middle"),
        (dump, 3, b"<4>[   12.9] newest"),
        (dump, 1, b"<4>[   77.0] other crash"),
        (f"{tmp_path}/dmesg.txt", 1, b"plain"),
    ]


def test_standard_input_cannot_be_followed() -> None:
    """It is read as it comes anyway."""
    with pytest.raises(SourceError, match="--follow"):
        FileSource(["-"], follow=True)


def test_small_files_share_a_batch_and_a_pipe_waits_for_none(tmp_path: Path) -> None:
    """A batch is a transaction: half a megabyte of small files is one, a large chunk its own."""
    for number in range(200):
        (tmp_path / f"{number:03d}.log").write_bytes(b"a line of a small file\n" * 9)
    (tmp_path / "large.log").write_bytes(b"a line of a large file\n" * 60_000)
    batches = list(FileSource([str(tmp_path)]).batches())
    assert len(batches) <= 4
    assert sum(len(batch) for batch in batches) == 202
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    Thread(target=pipe.write_bytes, args=(b"a line\n",), daemon=True).start()
    first = next(iter(FileSource([str(pipe), str(tmp_path / "000.log")]).batches()))
    assert len(first) == 1
