"""Sources of records: every layout gives the same index, damage leaves one line."""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from detector.app.known import reader_of
from detector.known.codec import encode
from detector.sources import SourceError
from detector.sources.known import gather
from detector.sources.known.archive import LARGEST
from tests.known.records import as_bytes, record
from tests.support.shipped import shipped

FOREIGN = (
    b'{"dataType": "CVE_RECORD", "cveMetadata": {"cveId": "CVE-2024-99999", "state": '
    b'"PUBLISHED"}, "containers": {"cna": {"affected": [{"vendor": "Demo", "product": "Pump"}]}}}'
)
FILES = {
    "cves/2024/0xxx/CVE-2024-00001.json": as_bytes(record(1)),
    "cves/2024/0xxx/CVE-2024-00002.json": as_bytes(record(2, text="demo: no trace here")),
    "cves/2024/99xxx/CVE-2024-99999.json": FOREIGN,
    "cves/delta.json": b'{"numberOfChanges": 3}',
    "cves/2024/0xxx/CVE-2024-00003.json": b'{"dataType": "CVE_RE',
    "README.md": b"no record",
}


def folder(path: Path) -> Path:
    """The files in a folder."""
    for name, data in FILES.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def plain_tar() -> bytes:
    """The files in a tar."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, data in FILES.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return raw.getvalue()


def plain_zip() -> bytes:
    """The files in a zip."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        for name, data in reversed(FILES.items()):
            archive.writestr(name, data)
    return raw.getvalue()


def zip_in_zip() -> bytes:
    """cvelistV5's daily release: a zip in a zip."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        archive.writestr("cves.zip", plain_zip())
    return raw.getvalue()


ARCHIVES: dict[str, Callable[[], bytes]] = {
    "a.tar": plain_tar,
    "a.tar.gz": lambda: gzip.compress(plain_tar()),
    "a.tar.xz": lambda: lzma.compress(plain_tar()),
    "a.zip": plain_zip,
    "a.zip.zip": zip_in_zip,
}


def gathered(path: Path):
    """What a source yields."""
    return gather([path], reader_of(shipped()))


@pytest.mark.parametrize("name", ARCHIVES)
def test_every_layout_gives_the_same_index(tmp_path, name):
    """A folder, tars, zips: byte-equal, and the same reasons for what is left out."""
    archive = tmp_path / name
    archive.write_bytes(ARCHIVES[name]())
    packed, unpacked = gathered(archive), gathered(folder(tmp_path / "folder"))
    assert encode(packed.bugs.values()) == encode(unpacked.bugs.values())
    assert sorted(packed.bugs) == ["CVE-2024-00001", "CVE-2024-00002"]
    assert packed.left_out == unpacked.left_out
    assert dict(packed.left_out) == {
        "not about the Linux kernel": 1,
        "not a CVE record": 1,
        "not JSON": 1,
    }
    assert packed.first["not JSON"].endswith("CVE-2024-00003.json")


def test_a_record_by_itself(tmp_path):
    """One JSON file is a source too; a second copy in a folder counts as such."""
    (tmp_path / "one.json").write_bytes(as_bytes(record(1)))
    assert list(gathered(tmp_path / "one.json").bugs) == ["CVE-2024-00001"]
    (tmp_path / "two.json").write_bytes(as_bytes(record(1)))
    assert dict(gathered(tmp_path).left_out) == {"a second record of one id": 1}


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("cut.tar", lambda: plain_tar()[:5000], "cut"),
        ("cut.tar", lambda: plain_tar()[: 512 * 8], "cut"),
        ("cut.tar.xz", lambda: lzma.compress(plain_tar())[:-40], "cut"),
        ("cut.tar.gz", lambda: gzip.compress(plain_tar())[:-4], "cut"),
        ("cut.zip", lambda: plain_zip()[:-30], "cut"),
        ("bad.tar.gz", lambda: gzip.compress(plain_tar())[:300] + b"\0" * 300, "damaged"),
        ("noise.tar", lambda: bytes(range(256)) * 20, "no folder, tar, zip or JSON"),
        ("empty.tar", lambda: b"", "no folder, tar, zip or JSON|neither|cut"),
        ("log.txt", lambda: b"Jan 1 host kernel: Call Trace:\n" * 99, "no folder, tar, zip"),
        ("other.json", lambda: FOREIGN, "no record of a bug of the Linux kernel"),
        ("other.json", lambda: b"\xff\xfe", "no record .* not JSON"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(tmp_path, name, data, words):
    """Damaged, cut, foreign: the path, what is wrong."""
    path = tmp_path / name
    path.write_bytes(data())
    with pytest.raises(SourceError, match=words) as caught:
        gathered(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_what_is_not_there_is_told(tmp_path):
    """No such path; an empty folder, with what to hand over instead."""
    with pytest.raises(SourceError, match="is not there"):
        gathered(tmp_path / "nothing")
    with pytest.raises(SourceError, match=r"vulns.git"):
        gathered(tmp_path)


def test_a_file_larger_than_any_record_is_not_read(tmp_path):
    """Counted, not loaded."""
    (tmp_path / "a.json").write_bytes(as_bytes(record(1)))
    with (tmp_path / "b.json").open("wb") as file:
        file.truncate(LARGEST + 1)
    assert dict(gathered(tmp_path).left_out) == {"larger than any record": 1}
