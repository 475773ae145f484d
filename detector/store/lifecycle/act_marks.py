"""Marks of acts that are still to be sent: on problems, their advice, and silences.

In: a connection inside the transaction that makes the act. Out: a row for each subject, however
often it changes; `detector/store/lifecycle/acts.py` reads what it is by then.
"""

from __future__ import annotations

from sqlite3 import Connection

# The row that it replaces never has the same id: what is being sent meanwhile is sent again.
_MARK = """
INSERT OR REPLACE INTO unsent_acts (id, kind, subject, about, at_us, actor)
VALUES ((SELECT coalesce(max(id), 0) + 1 FROM unsent_acts), ?, ?, ?, ?, ?)
"""


def mark_problem(connection: Connection, fingerprint: str, at_us: int) -> None:
    """Notes that the state of a problem changed."""
    connection.execute(_MARK, ("problem", fingerprint, "", at_us, ""))


def mark_advice(
    connection: Connection, fingerprint: str, about: str, at_us: int, actor: str
) -> None:
    """Notes that advice about a problem changed, or was taken away."""
    connection.execute(_MARK, ("advice", fingerprint, about, at_us, actor))


def mark_silence(connection: Connection, silence_id: int, at_us: int) -> None:
    """Notes that a silence was made or ended."""
    connection.execute(_MARK, ("silence", str(silence_id), "", at_us, ""))
