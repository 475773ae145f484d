"""`docs/schema.md` says what the schema is: every table, column, type and index, in order."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

from sqlite_utils import Database

from detector.store import open_journal, schema

DOCUMENT = Path(__file__).parents[2] / "docs" / "schema.md"
Tables = dict[str, tuple[list[tuple[str, str, bool]], list[str]]]


def documented() -> Tables:
    """Columns (name, type, may be null) and indexes of each section of the document."""
    tables: Tables = {}
    for section in DOCUMENT.read_text().split("\n## ")[1:]:
        name, _, body = section.partition("\n")
        columns = [
            (column, kind, null == "yes")
            for column, kind, null in re.findall(
                r"^\| (\w+) \| ([A-Z]+|—) \| (yes|no) \| \S", body, re.MULTILINE
            )
        ]
        indexes = re.findall(
            r"`(\w+)`", "".join(line for line in body.splitlines() if line.startswith("Indexes:"))
        )
        tables[name] = (columns, indexes)
    return tables


def test_the_document_names_what_there_is() -> None:
    """Nothing is missing, nothing is invented."""
    actual: Tables = {}
    with closing(open_journal(":memory:")) as journal:
        for table in Database(journal.db).tables:
            if not table.name.startswith(("_", "incident_words_")):
                columns = [
                    (column.name, column.type or "—", not (column.notnull or column.is_pk))
                    for column in table.columns
                ]
                actual[table.name] = (
                    columns,
                    [
                        index.name
                        for index in table.indexes
                        if not index.name.startswith("sqlite_autoindex")
                    ],
                )
    actual = {name: (columns, sorted(indexes)) for name, (columns, indexes) in actual.items()}
    assert {
        name: (columns, sorted(indexes)) for name, (columns, indexes) in documented().items()
    } == actual


def test_the_document_names_the_application() -> None:
    """The number by which a file is known."""
    assert f"`0x{schema.APPLICATION_ID:X}`" in DOCUMENT.read_text()
    assert schema.APPLICATION_ID.to_bytes(4, "big") == b"oops"
