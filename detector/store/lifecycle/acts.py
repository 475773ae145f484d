"""Acts of people between a history and a topic.

It says which are still to be sent, and applies those of the topic to a history that lacks them.

In: a connection inside a transaction. Out: acts, or whether one was applied. What the history holds
already changes nothing, so that every act may come any number of times, in any order. Of two states
the newer one of a person holds: what the history did by itself meanwhile, say reopen an incident
while it was built anew, gives way to it.

Acts on incidents are rows of the log of changes. States of problems, advice and silences are marked
where they change (`act_marks`), and read when they are sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from sqlite3 import Connection, Row
from typing import Any

from detector.store.lifecycle import changes
from detector.store.lifecycle.changes import ITSELF
from detector.store.lifecycle.shared_acts import (
    STATES,
    AdviceAct,
    IncidentAct,
    ProblemAct,
    SharedAct,
    SilenceAct,
    act_from_json,
    act_to_json,
)
from detector.store.query import search_index
from detector.store.rows import NAME_LIMIT, clean

_UNSENT = "SELECT * FROM unsent_acts ORDER BY id LIMIT ?"
_CHANGES = "SELECT * FROM changes WHERE id > ? ORDER BY id LIMIT ?"
_KNOWN = "SELECT 1 FROM changes WHERE incident_id = ? AND at_us = ? AND what = ? AND actor = ?"
_NEWER = (
    "SELECT 1 FROM changes WHERE incident_id = ? AND at_us > ? AND actor <> ? AND what IN "
    "('acknowledged', 'resolved', 'reopened')"
)
_PROBLEM = (
    "UPDATE problems SET state = ?, state_us = ?, state_by = ?, fixed_in = ? WHERE fingerprint = ?"
)
_SAME_SILENCE = (
    "SELECT id, expired_us FROM silences WHERE created_us = ? AND starts_us = ? AND author = ? "
    "AND host IS ? AND rule IS ? AND fingerprint IS ?"
)
_SILENCE = (
    "INSERT INTO silences (created_us, starts_us, author, host, rule, fingerprint, ends_us, "
    "comment, expired_us, expired_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_WAIT = "INSERT OR REPLACE INTO waiting_acts (name, subject, at_us, act) VALUES (?, ?, ?, ?)"
_READY = (
    "SELECT name, act FROM waiting_acts w WHERE EXISTS (SELECT 1 FROM incidents WHERE id = "
    "w.subject) OR EXISTS (SELECT 1 FROM problems WHERE fingerprint = w.subject) "
    "ORDER BY at_us, name"
)


def of_changes(connection: Connection, after: int, limit: int) -> tuple[int, list[IncidentAct]]:
    """The acts on incidents among the changes behind a change, and the id of the last of those."""
    rows = connection.execute(_CHANGES, (after, limit)).fetchall()
    acts = [_incident_act(row) for row in rows if row["what"] in STATES]
    return (rows[-1]["id"] if rows else after), acts


def unsent(connection: Connection, limit: int) -> list[tuple[int, SharedAct | None]]:
    """Acts beside those on incidents that are to be sent, each with the id of its mark.

    They are as they are now; None for what is gone since.
    """
    rows = connection.execute(_UNSENT, (limit,)).fetchall()
    return [(row["id"], _OF_MARK[row["kind"]](connection, row)) for row in rows]


def sent(connection: Connection, marks: Sequence[int]) -> None:
    """Removes marks of what is sent; what changed again since has another one."""
    connection.executemany("DELETE FROM unsent_acts WHERE id = ?", [(mark,) for mark in marks])


def apply(connection: Connection, act: SharedAct) -> bool:
    """Applies an act of the topic, unless the history holds it.

    Where its incident or problem is not there yet, it waits. Returns whether the history changed.
    """
    if isinstance(act, SilenceAct):
        return _apply_silence(connection, act)
    if not _is_there(connection, act):
        row = (act.name, act.subject, act.at_us, act_to_json(act).decode())
        connection.execute(_WAIT, row)
        return False
    if isinstance(act, IncidentAct):
        return _apply_to_incident(connection, act)
    if isinstance(act, ProblemAct):
        return _apply_to_problem(connection, act)
    return _apply_advice(connection, act)


def apply_waiting(connection: Connection) -> None:
    """Applies the acts whose incident or problem is there by now, in the order of their times."""
    for row in connection.execute(_READY).fetchall():
        apply(connection, act_from_json(row["act"]))
        connection.execute("DELETE FROM waiting_acts WHERE name = ?", (row["name"],))


def _is_there(connection: Connection, act: SharedAct) -> bool:
    table, column = (
        ("incidents", "id") if isinstance(act, IncidentAct) else ("problems", "fingerprint")
    )
    query = f"SELECT 1 FROM {table} WHERE {column} = ?"  # noqa: S608
    return connection.execute(query, (act.subject,)).fetchone() is not None


def _incident_act(row: Row) -> IncidentAct:
    return IncidentAct(
        row["incident_id"], row["what"], row["at_us"], row["actor"], row["reason"], row["request"]
    )


def _apply_to_incident(connection: Connection, act: IncidentAct) -> bool:
    actor = clean(act.actor, NAME_LIMIT)
    if connection.execute(_KNOWN, (act.incident, act.at_us, act.what, actor)).fetchone():
        return False
    state = STATES[act.what]
    query = "SELECT state FROM incidents WHERE id = ?"
    is_so = connection.execute(query, (act.incident,)).fetchone()["state"] == state
    newer = connection.execute(_NEWER, (act.incident, act.at_us, ITSELF)).fetchone()
    if act.actor == ITSELF and (is_so or newer):
        return False  # what the history does by itself, it did again, or somebody decided since
    taken = act.request and changes.of_request(connection, act.request)
    changes.record(
        connection, act.incident, act.at_us, act.what,
        actor=actor, reason=act.reason, request=None if taken else act.request,
        state=None if newer else state,
    )  # fmt: skip
    search_index.index(connection, act.incident)
    return True


def _apply_to_problem(connection: Connection, act: ProblemAct) -> bool:
    query = "SELECT state, state_us, state_by FROM problems WHERE fingerprint = ?"
    row = connection.execute(query, (act.fingerprint,)).fetchone()
    newer = row["state_us"] is not None and row["state_us"] >= act.at_us
    if newer and (row["state_by"] != ITSELF or act.actor == ITSELF):
        return False
    facts = (act.state, act.at_us, clean(act.actor, NAME_LIMIT))
    fixed_in = act.fixed_in and clean(act.fixed_in, NAME_LIMIT)
    connection.execute(_PROBLEM, (*facts, fixed_in, act.fingerprint))
    return True


def _apply_advice(connection: Connection, act: AdviceAct) -> bool:
    place = (act.fingerprint, act.about)
    query = "SELECT at_us FROM problem_advice WHERE fingerprint = ? AND about = ?"
    row = connection.execute(query, place).fetchone()
    if (row is not None and row["at_us"] >= act.at_us) or (row is None and not act.text):
        return False
    facts = (*place, clean(act.text), clean(act.actor, NAME_LIMIT), act.at_us)
    if act.text:
        connection.execute("INSERT OR REPLACE INTO problem_advice VALUES (?, ?, ?, ?, ?)", facts)
    else:
        connection.execute("DELETE FROM problem_advice WHERE fingerprint = ? AND about = ?", place)
    return True


def _apply_silence(connection: Connection, act: SilenceAct) -> bool:
    names = [name and clean(name, NAME_LIMIT) for name in (act.host, act.rule, act.fingerprint)]
    identity = (act.at_us, act.starts_us, clean(act.author, NAME_LIMIT), *names)
    expired = (act.expired_us, act.expired_by and clean(act.expired_by, NAME_LIMIT))
    row = connection.execute(_SAME_SILENCE, identity).fetchone()
    if row is None:
        connection.execute(_SILENCE, (*identity, act.ends_us, clean(act.comment), *expired))
        return True
    if act.expired_us is None or row["expired_us"] is not None:
        return False
    ended = "UPDATE silences SET expired_us = ?, expired_by = ? WHERE id = ?"
    connection.execute(ended, (*expired, row["id"]))
    return True


def _problem_act(connection: Connection, mark: Row) -> SharedAct | None:
    query = "SELECT state, state_us, state_by, fixed_in FROM problems WHERE fingerprint = ?"
    row = connection.execute(query, (mark["subject"],)).fetchone()
    if row is None or row["state_us"] is None:
        return None
    return ProblemAct(
        mark["subject"], row["state"], row["state_us"], row["state_by"] or ITSELF, row["fixed_in"]
    )


def _advice_act(connection: Connection, mark: Row) -> SharedAct | None:
    place = (mark["subject"], mark["about"])
    query = "SELECT * FROM problem_advice WHERE fingerprint = ? AND about = ?"
    row = connection.execute(query, place).fetchone()
    if row is None:
        return AdviceAct(*place, "", mark["at_us"], mark["actor"] or ITSELF)
    return AdviceAct(*place, row["text"], row["at_us"], row["author"])


def _silence_act(connection: Connection, mark: Row) -> SharedAct | None:
    query = "SELECT * FROM silences WHERE id = ?"
    row = connection.execute(query, (int(mark["subject"]),)).fetchone()
    if row is None:
        return None
    names = ("starts_us", "ends_us", "author", "comment", "host", "rule", "fingerprint")
    ended: dict[str, Any] = {name: row[name] for name in ("expired_us", "expired_by")}
    return SilenceAct(at_us=row["created_us"], **{name: row[name] for name in names}, **ended)


_OF_MARK: dict[str, Callable[[Connection, Row], SharedAct | None]] = {
    "problem": _problem_act,
    "advice": _advice_act,
    "silence": _silence_act,
}
