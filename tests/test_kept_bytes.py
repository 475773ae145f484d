"""What is kept from one start to the next gives what is made without it."""

from __future__ import annotations

from contextlib import closing

import pytest

from detector.catalogue import CatalogueError, read
from detector.settings import settings_of
from detector.settings.loading import pattern_files
from detector.store import Journal, open_journal, upgrade
from tests.support.nouns import match


class Kept(dict[str, bytes]):
    """A place that keeps bytes."""

    def load(self, key: str) -> bytes | None:
        return self.get(key)

    def save(self, key: str, data: bytes) -> None:
        self[key] = data


def test_a_kept_catalogue_is_the_one_that_is_read_without() -> None:
    """Entries, lines of the files and numbers with a fraction are the same; a changed file is read
    anew.
    """
    files, kept = pattern_files(settings_of(None)[0]), Kept()
    plain = read(files, prove=False)
    assert read(files, prove=False, kept=kept) == plain
    assert len(kept) == 1
    assert read(files, prove=False, kept=kept) == plain
    path = next(path for path, text in files.items() if "[[rule]]" in text)
    fewer = {name: text for name, text in files.items() if name != path}
    assert read(fewer, prove=False, kept=kept) == read(fewer, prove=False) != plain
    moved = {**files, path: "\n" + files[path]}
    assert read(moved, prove=False, kept=kept).rules != plain.rules


def test_faults_are_the_same_at_each_start() -> None:
    """What is no TOML is not kept; what is no pattern is refused again, at the same lines."""
    for text in ('[[rule]]\nid = "a"\n\nlevel = 1', "[[rule]\n"):
        kept, messages = Kept(), set()
        for _ in range(2):
            with pytest.raises(CatalogueError) as caught:
                read({"own.toml": text}, kept=kept)
            messages.add(str(caught.value))
        assert len(messages) == 1


def schema_of(journal: Journal) -> list[tuple[object, ...]]:
    """Every table, index and trigger, the version, and the migrations."""
    queries = (
        "SELECT type, name, sql FROM sqlite_master ORDER BY name",
        "SELECT name FROM _sqlite_migrations ORDER BY name",
        "PRAGMA user_version",
        "PRAGMA application_id",
        "PRAGMA auto_vacuum",
        "PRAGMA foreign_keys",
    )
    return [tuple(row) for query in queries for row in journal.db.execute(query)]


def test_a_blank_history_from_its_image_is_a_blank_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second start applies no migration, and stores what the first does."""
    kept, schemas = Kept(), []
    for _ in range(2):
        with closing(open_journal(":memory:", images=kept)) as journal:
            schemas.append(schema_of(journal))
            with journal.transaction():
                journal.add_match(match())
            assert journal.db.execute("SELECT count(*) FROM matches").fetchone()[0] == 1
        monkeypatch.setattr(upgrade, "apply", None)
    assert schemas[0] == schemas[1]
    assert len(kept) == 1


def test_a_file_is_never_made_of_an_image(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A history that stays has an identity of its own."""
    kept = Kept()
    open_journal(tmp_path_factory.mktemp("image") / "history.db", images=kept).close()
    assert not kept
