"""What a dead kernel left on disk: files are found once, and cut behind lines."""

from __future__ import annotations

import gzip
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import UserError
from detector.sources import dumps
from detector.sources.dumps import content_of, dump_files, records_of


@given(
    lines=st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), max_size=30),
    size=st.integers(1, 40),
)
def test_records_are_the_content_cut_behind_lines(lines, size):
    """Nothing is lost, no record is larger than the bound, and only a longer line is cut."""
    content = b"\n".join(lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dumps, "RECORD_BYTES", size)
        records = list(records_of(content))
    assert b"".join(records) == content
    assert all(0 < len(record) <= size for record in records)
    for record in records[:-1]:
        assert record.endswith(b"\n") or b"\n" not in record


def test_files_of_several_places_come_once_and_the_oldest_first(tmp_path):
    """A file that two patterns fit is one file; folders are none."""
    names = ["a/vmcore-dmesg.txt", "b/dmesg.202611300312", "b/vmcore-dmesg.txt"]
    for age, name in enumerate(names):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
        os.utime(path, (1_000 - age, 1_000 - age))
    (tmp_path / "c" / "vmcore-dmesg.txt").mkdir(parents=True)
    patterns = [f"{tmp_path}/*/{name}" for name in ("vmcore-dmesg.txt", "dmesg.*", "vm*.txt")]
    assert dump_files(patterns) == [tmp_path / name for name in reversed(names)]


def test_what_is_no_log_is_refused(tmp_path, monkeypatch):
    """A file beyond the bound, and one that cannot be read, are one line."""
    monkeypatch.setattr(dumps, "MOST_BYTES", 3)
    path = tmp_path / "vmcore-dmesg.txt"
    path.write_text("four")
    with pytest.raises(UserError, match=r"vmcore-dmesg\.txt: larger than"):
        content_of(path)
    with pytest.raises(UserError, match="cannot be read"):
        content_of(tmp_path / "missing")


def test_compressed_logs_are_read_as_far_as_they_go(tmp_path):
    """A damaged one gives what came before the damage, and says that; what the kernel left packed
    is no log.
    """
    text = b"".join(b"[  100.%06d] usb 1-1: new device\n" % at for at in range(5_000))
    path = tmp_path / "dmesg.202611300312.gz"
    path.write_bytes(gzip.compress(text))
    assert content_of(path) == (text, None)
    path.write_bytes(path.read_bytes()[:-2_000])
    content, damage = content_of(path)
    assert (text.startswith(content), 0 < len(content) < len(text)) == (True, True)
    assert damage == "Compressed file ended before the end-of-stream marker was reached"
    path.write_bytes(b"\x1f\x8b\x08\x00damaged")
    with pytest.raises(UserError, match=r"gz: (cannot be read|not a log)"):
        content_of(path)
    path.write_bytes(bytes(range(1, 250)))
    with pytest.raises(UserError, match="not a log: binary data"):
        content_of(path)
