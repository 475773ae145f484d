"""The search index of incidents: upkeep, and the expressions that are asked of it.

Every live incident has a place, a number that sorts by time, and under it one set of words in
`incident_words`: the words of its evidence and of its reports, and one word for each of its facts
(host, rule, state …). So one index answers every filter and any mixture of them, newest first
without sorting. In: an incident's id, or values. Out: rows of the index, or expressions. Runs
inside the caller's transaction.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from sqlite3 import Connection, Row

from detector.lazy_regex import lazy_regex
from detector.store.query.filters import FilterError, words
from detector.store.rows import from_json, release_number

# The bits of a place below its time: incidents that begin in one microsecond differ in them.
PLACE_BITS = 11
# Evidence beyond this is kept and counted, but adds no words.
EVIDENCE_INDEXED = 200
WORDS_INDEXED = 4_000
# How many names a word that ends in * may stand for.
NAMES = 500
# Numbers and addresses: without end, and never asked for by how they begin.
_NUMBER = lazy_regex(r"\d+|0x[0-9a-f]*|[0-9a-f]{8,}")
_LATEST_US = (1 << 63 - PLACE_BITS) - 1_000_000
# A place that was taken is this far from the time at most, unless thousands begin in one
# microsecond.
_SLACK_US = 1_000

# Filter → column of `incidents`; the facts of evidence, class and signature, are words alone.
COLUMNS = {
    "host": "host",
    "rule": "rule",
    "severity": "severity",
    "state": "state",
    "problem": "fingerprint",
    "function": "function",
    "module": "module",
    "kernel": "kernel",
    "known_issue": "known_issue",
}
_FAMILY = """
SELECT i.*, coalesce(i.started_us, i.found_us) AS time_us FROM incidents i
WHERE i.id = (SELECT coalesce(joined_into, id) FROM incidents WHERE id = :id)
UNION ALL SELECT i.*, 0 FROM incidents i
WHERE i.joined_into = (SELECT coalesce(joined_into, id) FROM incidents WHERE id = :id)
"""
_EVIDENCE = """
SELECT m.id, m.class, m.signature, m.text, r.lines FROM matches m LEFT
  JOIN reports r ON r.match_id = m.id WHERE m.id IN
  (SELECT :anchor UNION SELECT * FROM
    (SELECT match_id FROM evidence WHERE incident_id IN (SELECT value
      FROM json_each(:family)) ORDER BY match_id LIMIT :limit))
"""
_NAMES = "SELECT word FROM vocabulary WHERE word >= ? AND word < ? LIMIT ?"


def index(connection: Connection, incident_id: str) -> None:
    """Brings what an incident is found by up to date, also after a change of its state or after
    others joined it, or it joined another.

    Costs one look where nothing changed. An unknown id is an error of the caller.
    """
    live, *joined = connection.execute(_FAMILY, {"id": incident_id}).fetchall()
    for row in joined:
        if row["place"] is not None:
            connection.execute("DELETE FROM incident_words WHERE rowid = ?", (row["place"],))
            connection.execute("UPDATE incidents SET place = NULL WHERE id = ?", (row["id"],))
    family = json.dumps([row["id"] for row in (live, *joined)])
    about = {"anchor": live["anchor_id"], "family": family, "limit": EVIDENCE_INDEXED}
    evidence = connection.execute(_EVIDENCE, about).fetchall()
    _write(connection, live, _facts(live, evidence), _words(evidence))


def index_all(connection: Connection) -> None:
    """Indexes every live incident that has no place yet: of a file that an older version wrote."""
    for (identity,) in connection.execute(
        "SELECT id FROM incidents WHERE joined_into IS NULL AND place IS NULL"
    ).fetchall():
        index(connection, identity)


def place_of(wall_us: int) -> int:
    """The least place of a time: incidents that begin then or later have this place or a
    greater one.
    """
    return min(max(wall_us, 0), _LATEST_US) << PLACE_BITS


def fact(field: str, value: str) -> str:
    """The word that stands for one fact of an incident: no text of a log can be mistaken for
    it, and any value has one.
    """
    digest = hashlib.blake2b(value.encode(errors="surrogatepass"), digest_size=8).hexdigest()
    return f"{field}_{digest}"


def any_fact(field: str, values: Iterable[str]) -> str:
    """The expression for incidents that have one of some values."""
    return "(" + " OR ".join(f'"{fact(field, value)}"' for value in values) + ")"


def any_text(connection: Connection, texts: Iterable[str]) -> str:
    """The expression for incidents in which all words of one of some texts occur.

    Nothing that a person writes is read as an operator.
    """
    return (
        "("
        + " OR ".join(
            "(" + " AND ".join(_any_name(connection, word) for word in words(text)) + ")"
            for text in texts
        )
        + ")"
    )


def _any_name(connection: Connection, word: str) -> str:
    """A word, or the names that begin with it: each by itself, since what begins alike is
    merged as a whole before the first is found.
    """
    if not word.endswith("*"):
        return f'"{word}"'
    stem = word[:-1]
    if _NUMBER.fullmatch(stem):
        raise FilterError(
            "text", f"{word!r}: numbers and addresses are searched for as a whole, without *"
        )
    names = [row[0] for row in connection.execute(_NAMES, (stem, stem + chr(0x10FFFF), NAMES + 1))]
    if len(names) > NAMES:
        raise FilterError("text", f"{word!r} stands for more than {NAMES} words: write more of it")
    # Where nothing begins so, the word itself is not there either.
    return "(" + " OR ".join(f'"{name}"' for name in names or [stem]) + ")"


def _facts(row: Row, evidence: Sequence[Row]) -> list[str]:
    facts = {
        fact(field, row[column]) for field, column in COLUMNS.items() if row[column] is not None
    }
    return sorted(
        facts
        | {fact("class", match["class"]) for match in evidence}
        | {fact("signature", match["signature"]) for match in evidence}
    )


def _words(evidence: Sequence[Row]) -> list[str]:
    """Each word once: a word occurs in an incident or it does not."""
    words_met: dict[str, None] = {}
    for match in evidence:
        for text in (match["text"], *from_json(match["lines"] or "[]")):
            words_met |= dict.fromkeys(words(text))
        if len(words_met) > WORDS_INDEXED:
            break
    return sorted({word.rstrip("*") for word in list(words_met)[:WORDS_INDEXED]})


def _write(
    connection: Connection, row: Row, facts: Sequence[str], words_met: Sequence[str]
) -> None:
    """Puts an incident in its place; a place that is still right stays, and words that are the
    same are not written again.
    """
    if row["kernel"] is not None:
        connection.execute(
            "INSERT OR IGNORE INTO kernels (kernel, release) VALUES (?, ?)",
            (row["kernel"], release_number(row["kernel"])),
        )
    place, document = row["place"], " ".join((*facts, *words_met))
    start = min(max(row["time_us"], 0), _LATEST_US)
    if place is None or not start <= place >> PLACE_BITS <= start + _SLACK_US:
        if place is not None:
            connection.execute("DELETE FROM incident_words WHERE rowid = ?", (place,))
        place = _free_place(connection, row["id"], start)
        connection.execute("UPDATE incidents SET place = ? WHERE id = ?", (place, row["id"]))
    else:
        known = connection.execute(
            "SELECT words FROM incident_words WHERE rowid = ?", (place,)
        ).fetchone()
        if known is not None and known[0] == document:
            return
    connection.execute(
        "INSERT OR REPLACE INTO incident_words (rowid, words) VALUES (?, ?)", (place, document)
    )
    # What a word with * may stand for.
    names = json.dumps([word for word in words_met if not _NUMBER.fullmatch(word)])
    connection.execute(
        "INSERT OR IGNORE INTO vocabulary (word) SELECT value FROM json_each(?)", (names,)
    )


def _free_place(connection: Connection, identity: str, start_us: int) -> int:
    """A place at a time that no other has: eight tries in each microsecond, at slots that the
    id chooses.
    """
    digest = hashlib.blake2b(identity.encode(), digest_size=16).digest()
    slots = [
        int.from_bytes(digest[at : at + 2], "big") >> 16 - PLACE_BITS for at in range(0, 16, 2)
    ]
    while True:
        for slot in slots:
            place = start_us << PLACE_BITS | slot
            if (
                connection.execute("SELECT 1 FROM incidents WHERE place = ?", (place,)).fetchone()
                is None
            ):
                return place
        start_us += 1
