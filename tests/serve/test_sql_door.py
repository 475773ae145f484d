"""The SQL door: it reads, and nothing that a query says makes it do anything else, or for long."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from detector.serve.sql_door import RefusedQuery, SqlDoor
from tests.support import queries
from tests.support.pages import ENDLESS
from tests.support.visiting import client_of, csrf


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    """The history of the table of queries."""
    made = tmp_path_factory.mktemp("sql") / "history.db"
    queries.fill(made)
    return made


def door(path: Path, seconds: float = 20.0, rows: int = 100, size: int = 1 << 20) -> SqlDoor:
    """A door with bounds."""
    return SqlDoor(path, seconds=seconds, rows=rows, size=size)


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT count(*) FROM incidents", ((7,),)),
        (
            "SELECT host, count(*) AS n FROM incidents GROUP BY host ORDER BY n DESC, host LIMIT 1",
            (("db-1", 2),),
        ),
        (
            "WITH x AS (SELECT 1 AS a) SELECT a, NULL, 1.5, x'00ff', 9e999 FROM x",
            ((1, None, 1.5, "00ff", "inf"),),
        ),
        ("VALUES (1), (2)", ((1,), (2,))),
        (
            (
                "SELECT json_extract(fields, '$.fault_address') FROM matches WHERE class = "
                "'memory-fault' LIMIT 1"
            ),
            (("dead000000000100",),),
        ),
        ("SELECT count(*) FROM incident_words WHERE incident_words MATCH 'lookup_marker'", ((3,),)),
    ],
)
def test_questions_are_answered(path, query, rows):
    """What analysts ask, in values that JSON has."""
    assert door(path).ask(query).rows == rows


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM incidents",
        "UPDATE incidents SET state = 'resolved'",
        "INSERT INTO counters VALUES ('x', 1)",
        "REPLACE INTO counters VALUES ('x', 1) RETURNING 1",
        "DROP TABLE incidents",
        "CREATE TABLE x (a)",
        "CREATE TEMP TABLE x (a)",
        "ALTER TABLE incidents ADD COLUMN x",
        "ATTACH 'x.db' AS x",
        "DETACH main",
        "VACUUM INTO 'x.db'",
        "PRAGMA query_only = OFF",
        "PRAGMA writable_schema = ON",
        "SELECT * FROM pragma_database_list",
        "SELECT load_extension('x')",
        "SELECT readfile('/etc/passwd')",
        "SELECT zeroblob(1000000000)",
        "SELECT hex(randomblob(100000000))",
        "BEGIN IMMEDIATE",
        "SAVEPOINT x",
        "REINDEX",
        "ANALYZE",
        "EXPLAIN DELETE FROM incidents",
        "SELECT 1; DELETE FROM incidents",
        "SELECT 1;;SELECT 2",
        "INSERT INTO incident_words (incident_words) VALUES ('delete-all')",
        "",
        "-- nothing",
        "SELECT",
        "SELECT * FROM nothing",
        "SELECT \x00 1",
        "SELECT '\ud800'",
        "SELECT ?",
        "SELECT " + "(" * 1_000 + "1" + ")" * 1_000,
    ],
)
def test_everything_else_is_refused(path, query):
    """In one line, and the file stays as it was."""
    with closing(sqlite3.connect(path)) as connection:
        before = list(connection.iterdump())
    with pytest.raises(RefusedQuery) as refusal:
        door(path).ask(query)
    assert "\n" not in str(refusal.value)
    with closing(sqlite3.connect(path)) as connection:
        assert list(connection.iterdump()) == before
    assert [one.name for one in path.parent.iterdir() if one.name.startswith("x")] == []


@pytest.mark.parametrize(
    "query",
    [
        ENDLESS,
        (
            "SELECT count(*) FROM matches a, matches b, matches c, matches d, matches e, "
            "matches f, matches g"
        ),
    ],
)
def test_time_is_bounded(path, query):
    """What runs too long is ended, and said."""
    with pytest.raises(RefusedQuery, match=r"ran longer than 0.05 s"):
        door(path, seconds=0.05).ask(query)


def test_time_is_bounded_inside_of_one_function_call(path):
    """SQLite asks no handler while printf pads: the process is ended from outside."""
    query = "SELECT count(*) FROM (VALUES (1), (2), (3), (4)) WHERE printf('%.*c', 2147483647, 'a')"
    begun = time.monotonic()
    with pytest.raises(RefusedQuery, match=r"ran longer than|too big|memory"):
        door(path, seconds=0.2).ask(f"{query} OR ({query}) OR ({query})")
    assert time.monotonic() - begun < 8


def test_closing_ends_what_runs(path):
    """Nobody waits for an endless query at the end."""
    one = door(path, seconds=60)
    refused: list[str] = []

    def ask() -> None:
        try:
            one.ask(ENDLESS)
        except RefusedQuery as error:
            refused.append(str(error))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 30
    while len(one._running) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    one.close()
    for thread in threads:
        thread.join(10)
    assert len(refused) == 4


def test_answers_are_bounded(path):
    """By rows and by bytes; the answer says what cut it."""
    numbers = (
        "WITH RECURSIVE n (a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n LIMIT 1000) SELECT a, "
        "{} FROM n"
    )
    table = door(path, rows=10).ask(numbers.format("1"))
    assert (len(table.rows), table.truncated, table.columns) == (10, "rows", ("a", "1"))
    table = door(path, rows=1_000, size=10_000).ask(numbers.format("printf('%1000d', a)"))
    assert (len(table.rows), table.truncated) == (9, "bytes")
    with pytest.raises(RefusedQuery, match="too big"):
        door(path).ask("SELECT replace(printf('%1000000d', 1), ' ', 'xxxx')")


def test_few_run_at_once(path):
    """One more than may run is told to come again, and does."""
    one = door(path)
    for _ in range(4):
        assert one._free.acquire(blocking=False)
    with pytest.raises(RefusedQuery) as refusal:
        one.ask("SELECT 1")
    assert refusal.value.busy
    one._free.release()
    assert one.ask("SELECT 1").rows == ((1,),)


def test_over_http(path):
    """By address and by body; what is refused is a problem about `sql`."""
    client = client_of(path, sql_rows=3)
    table = client.get("/api/v1/sql", params={"sql": "SELECT id FROM incidents ORDER BY id"}).json()
    assert (table["columns"], len(table["rows"]), table["truncated"]) == (["id"], 3, "rows")
    assert client.post("/api/v1/sql", json={"sql": "SELECT 1"}, headers=csrf(client)).json()[
        "rows"
    ] == [[1]]
    refused = client.post(
        "/api/v1/sql", json={"sql": "DELETE FROM incidents"}, headers=csrf(client)
    )
    assert (refused.status_code, refused.json()["field"]) == (422, "sql")
