"""What is kept between starts comes back whole, or not at all."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import pytest

from detector.app.cache_folder import KEPT, CacheFolder, cache_folder
from detector.literal_search import search_of

LITERALS = [b"Unable to handle kernel", b"soft lockup"]
DATA = b"x Unable to handle kernel y\nBUG: soft lockup\n"


def kept_files(folder: Path) -> list[Path]:
    """The files in a folder."""
    return sorted(folder.glob("*.kept"))


def test_what_was_saved_is_loaded_and_nothing_else(tmp_path: Path) -> None:
    """By its key; another key has nothing."""
    kept = CacheFolder(tmp_path / "new" / "folder")
    kept.save("a", b"bytes")
    assert (kept.load("a"), kept.load("b")) == (b"bytes", None)


@pytest.mark.parametrize("damage", [b"", b"short", b"\x00" * 4096])
def test_a_damaged_file_is_as_good_as_none_and_is_replaced(tmp_path: Path, damage: bytes) -> None:
    """The search is made anew, and finds the same."""
    kept = CacheFolder(tmp_path)
    expected = search_of(LITERALS, (), kept)(DATA)
    for file in kept_files(tmp_path):
        file.write_bytes(damage)
    assert search_of(LITERALS, (), kept)(DATA) == expected
    assert all(file.read_bytes() != damage for file in kept_files(tmp_path))
    assert search_of(LITERALS, (), CacheFolder(tmp_path))(DATA) == expected


def test_bytes_of_another_engine_are_not_used(tmp_path: Path) -> None:
    """A whole file whose bytes are no database."""
    kept = CacheFolder(tmp_path)
    expected = search_of(LITERALS, (), kept)(DATA)

    class Foreign(CacheFolder):
        def load(self, key: str) -> bytes | None:
            data = super().load(key)
            return data and b"\x00" * len(data)

    assert search_of(LITERALS, (), Foreign(tmp_path))(DATA) == expected


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    """A file stands in its place."""
    (tmp_path / "file").write_bytes(b"")
    kept = CacheFolder(tmp_path / "file" / "folder")
    kept.save("a", b"bytes")
    assert kept.load("a") is None
    assert search_of(LITERALS, (), kept)(DATA)


def test_what_others_could_have_written_is_not_read(tmp_path: Path) -> None:
    """A file or a folder that the group or everybody may write."""
    kept = CacheFolder(tmp_path)
    kept.save("a", b"bytes")
    kept_files(tmp_path)[0].chmod(0o666)
    assert kept.load("a") is None
    kept_files(tmp_path)[0].chmod(0o600)
    tmp_path.chmod(0o777)
    assert kept.load("a") is None
    tmp_path.chmod(0o700)
    assert kept.load("a") == b"bytes"


def test_several_may_save_at_once(tmp_path: Path) -> None:
    """Each file is whole at any time, and none is left half written."""
    kept = CacheFolder(tmp_path)

    def work(number: int) -> None:
        for _ in range(20):
            kept.save("a", bytes([number]) * 10_000)
            assert len(set(kept.load("a") or b"")) == 1

    threads = [Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [file.name for file in tmp_path.iterdir()] == [kept_files(tmp_path)[0].name]


def test_the_oldest_files_go(tmp_path: Path) -> None:
    """The folder does not grow with each catalogue that somebody tries."""
    kept = CacheFolder(tmp_path)
    for number in range(KEPT + 5):
        kept.save(str(number), b"x")
    assert len(kept_files(tmp_path)) == KEPT


def test_the_folder_is_where_the_system_keeps_such_things(tmp_path: Path) -> None:
    """systemd's CACHE_DIRECTORY first, then XDG_CACHE_HOME."""
    shared = {"XDG_CACHE_HOME": str(tmp_path / "xdg")}
    cache_folder(shared).save("a", b"1")
    cache_folder({**shared, "CACHE_DIRECTORY": f"{tmp_path / 'own'}:/other"}).save("a", b"2")
    assert kept_files(tmp_path / "xdg" / "oopswatch")
    assert kept_files(tmp_path / "own")
