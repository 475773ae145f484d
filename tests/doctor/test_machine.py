"""The machine is judged by its disk, clock, limits and locale."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from detector.doctor import checks

MOUNTS = "/dev/sda1 / ext4 rw 0 0\ntmpfs /run tmpfs rw 0 0\nnas:/x /srv/my\\040logs nfs4 rw 0 0\n"


def test_the_nearest_mount_counts():
    """A folder is on the file system of its nearest mounted parent; blanks are spelled \\040."""
    assert checks.file_system(Path("/var/lib/oopswatch"), MOUNTS) == "ext4"
    assert checks.file_system(Path("/run/oopswatch"), MOUNTS) == "tmpfs"
    assert checks.file_system(Path("/srv/my logs/a"), MOUNTS) == "nfs4"


def test_a_missing_folder_is_a_fault(tmp_path):
    """The advice makes it."""
    (found,) = checks.check_disk(tmp_path / "none" / "history.db")
    assert (found.level, found.advice) == ("fault", f"mkdir -p {tmp_path / 'none'}")


def test_too_little_room_is_a_fault(tmp_path, monkeypatch):
    """Less than a gigabyte is too little."""
    monkeypatch.setattr(
        checks.shutil, "disk_usage", lambda _: checks.shutil._ntuple_diskusage(10, 9, 1)
    )
    levels = [found.level for found in checks.check_disk(tmp_path / "history.db")]
    assert "fault" in levels


def test_few_open_files_are_a_note(monkeypatch):
    """1,024 open files are noted, 65,536 are fine."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))
    assert checks.check_limits().level == "note"
    monkeypatch.setattr(resource, "getrlimit", lambda _: (65536, 65536))
    assert checks.check_limits().level == "ok"


@pytest.mark.parametrize(
    ("encoding", "level"), [("utf-8", "ok"), ("UTF8", "ok"), ("ascii", "note")]
)
def test_a_locale_without_utf8_is_a_note(encoding, level):
    """Anything but UTF-8 is noted."""
    assert checks.check_locale(encoding).level == level


def test_the_clock_is_asked_and_not_changed():
    """adjtimex answers; either answer is a result."""
    assert checks.check_clock().level in {"ok", "note"}
