"""Acts of people on incidents and problems: acknowledge, resolve, reopen, note, silence.

Each is kept with who did it, when and why.

In: an incident's id (or a beginning that no other has), an act, an actor. Out: the change that it
made. A connection of its own, so that it works beside a running service, which notices the change
by itself. Evidence is never written here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from sqlite3 import Connection, Error, Row

from detector.clock import now_us
from detector.store.connection import connect_writing
from detector.store.errors import StoreError, explained
from detector.store.lifecycle import act_marks, changes
from detector.store.lifecycle.changes import Change
from detector.store.lifecycle.states import Act, RefusedError, step
from detector.store.query import search_index
from detector.store.query.advice import TEXT_LIMIT, AdviceKind
from detector.store.query.filters import checked_release
from detector.store.rows import NAME_LIMIT, clean
from detector.store.turns import begin_writing

__all__ = ["ActionRefused", "Actions", "Change", "open_actions"]

_SILENCE = """
INSERT INTO silences (host, rule, fingerprint, starts_us, ends_us, author, comment, created_us)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id
"""
_PROBLEM = (
    "UPDATE problems SET state = ?, state_us = ?, state_by = ?, fixed_in = ? WHERE fingerprint "
    "= ? RETURNING fingerprint"
)
_ADVISE = "INSERT OR REPLACE INTO problem_advice VALUES (?, ?, ?, ?, ?)"
_FORGET = "DELETE FROM problem_advice WHERE fingerprint = ? AND about = ?"
_OPEN_OF_PROBLEM = (
    "SELECT id FROM incidents WHERE fingerprint = ? AND joined_into IS NULL AND state <> "
    "'resolved' ORDER BY id"
)


class UnknownIncidentError(StoreError):
    """There is no incident of that id, or no more."""


class ActionRefused(StoreError):  # noqa: N818
    """An act that does not fit the state of the incident, problem or silence.

    The message says why.
    """


def open_actions(path: str | Path, clock: Callable[[], int] = now_us) -> Actions:
    """Opens an existing history for acts of people.

    Raises `StoreError` where there is none, or it cannot be written.
    """
    if not Path(path).is_file():
        raise StoreError(
            f"{path}: there is no such history: name the file that `oopswatch run` writes"
        )
    return Actions(connect_writing(str(path)), str(path), clock)


# So much of an id is needed to change an incident.
_LEAST_PREFIX = 4


class Actions:
    """A short-lived writing connection for acts.

    Every method is one transaction, and raises `StoreError` where it cannot be done.
    """

    def __init__(self, db: Connection, path: str, clock: Callable[[], int] = now_us) -> None:
        self._db = db
        self._path = path
        self._clock = clock
        self._connection = db

    def act(
        self,
        identity: str,
        what: Act,
        *,
        actor: str,
        reason: str | None = None,
        request: str | None = None,
    ) -> Change:
        """Does one thing with one incident. The same `request` again changes nothing, and returns
        the change that it made.

        Raises `ActionRefused` where the incident's state does not allow it, or it became part of
        another.
        """
        if what == "note" and not (reason or "").strip():
            raise ActionRefused("a note needs a text")
        with self._transaction():
            row = self._incident(identity)
            if request and (known := changes.of_request(self._connection, request)):
                if known.incident_id != row["id"]:
                    raise ActionRefused(
                        f"request {request} was made for incident {known.incident_id}: give "
                        "each request an id of its own"
                    )
                return known
            return self._act(row, what, actor, reason, request)

    def resolve_problem(
        self,
        fingerprint: str,
        *,
        actor: str,
        fixed_in: str | None = None,
        reason: str | None = None,
        request: str | None = None,
    ) -> list[Change]:
        """Says that a problem is solved, from the kernel release `fixed_in` on; its open incidents
        are resolved. Returns their changes.

        An incident of the problem that begins later, on no older release, is a regression. Without
        `fixed_in` the release said earlier stays. Raises `ActionRefused` for a problem that is
        resolved already, unless another release is said; `FilterError` for what is no release.
        """
        if fixed_in is not None:
            checked_release("fixed_in", fixed_in)
        with self._transaction():
            if request and self._was_made(request):
                return []
            row = self._state_of_problem(fingerprint)
            if row["state"] == "resolved" and fixed_in in {None, row["fixed_in"]}:
                known = f", fixed in {row['fixed_in']}" if row["fixed_in"] else ""
                raise ActionRefused(
                    f"problem {fingerprint} is resolved already{known}: reopen it, or name another "
                    "release that has the fix"
                )
            fixed_in = fixed_in or row["fixed_in"]
            self._problem(fingerprint, "resolved", actor, fixed_in)
            why = reason or (
                f"the problem is fixed in {fixed_in}" if fixed_in else "the problem is resolved"
            )
            rows = self._connection.execute(_OPEN_OF_PROBLEM, (fingerprint,)).fetchall()
            return [
                self._act(
                    self._incident(row["id"]),
                    "resolve",
                    actor,
                    why,
                    request and f"{request} {row['id']}",
                )
                for row in rows
            ]

    def reopen_problem(self, fingerprint: str, *, actor: str, request: str | None = None) -> None:
        """Says that a problem is not solved after all; its incidents stay as they are. Saying it
        again changes nothing.
        """
        del request
        with self._transaction():
            self._problem(fingerprint, "open", actor, None)

    def acknowledge_problem(
        self, fingerprint: str, *, actor: str, reason: str | None = None
    ) -> list[Change]:
        """Says that somebody looks after every open incident of a problem; returns their
        changes.
        """
        with self._transaction():
            rows = self._connection.execute(_OPEN_OF_PROBLEM, (fingerprint,)).fetchall()
            unresolved = [self._incident(row["id"]) for row in rows]
            return [
                self._act(row, "acknowledge", actor, reason, None)
                for row in unresolved
                if row["state"] == "open"
            ]

    def advise(self, fingerprint: str, about: AdviceKind, text: str, *, actor: str) -> None:
        """Keeps what somebody knows of a problem in place of what was known; an empty text takes
        it away. The next incident of the problem, and its message, say it.
        """
        _check(actor)
        if len(text) > TEXT_LIMIT:
            raise ActionRefused(f"{about}: at most {TEXT_LIMIT:,} characters")
        facts = (fingerprint, about, clean(text.strip()), clean(actor, NAME_LIMIT), self._clock())
        with self._transaction():
            known = "SELECT 1 FROM problems WHERE fingerprint = ?"
            if self._connection.execute(known, (fingerprint,)).fetchone() is None:
                raise self._no_problem(fingerprint)
            self._connection.execute(*((_ADVISE, facts) if text.strip() else (_FORGET, facts[:2])))
            act_marks.mark_advice(self._connection, fingerprint, about, facts[4], facts[3])

    def silence(
        self,
        *,
        host: str | None = None,
        rule: str | None = None,
        fingerprint: str | None = None,
        starts_us: int,
        ends_us: int,
        author: str,
        comment: str,
    ) -> int:
        """Nobody is told of incidents that fit all that is given, while it lasts. `host` is a shell
        pattern. Returns the silence's id.
        """
        if not (host or rule or fingerprint):
            raise ActionRefused(
                "a silence needs a host, a rule or a fingerprint: one of everything would "
                "hide every crash"
            )
        now = self._clock()
        if ends_us <= max(starts_us, now):
            raise ActionRefused("a silence must end after it begins, and in the future")
        if not author.strip() or not comment.strip():
            raise ActionRefused("a silence needs an author and a comment that says why")
        names = [name and clean(name, NAME_LIMIT) for name in (host, rule, fingerprint)]
        facts = (
            *names,
            starts_us,
            ends_us,
            clean(author, NAME_LIMIT),
            clean(comment),
            now,
        )
        with self._transaction():
            silence_id = int(self._connection.execute(_SILENCE, facts).fetchone()[0])
            act_marks.mark_silence(self._connection, silence_id, now)
            return silence_id

    def expire_silence(self, silence_id: int, *, actor: str) -> None:
        """Ends a silence now."""
        _check(actor)
        now = self._clock()
        with self._transaction():
            row = self._connection.execute(
                "SELECT ends_us, expired_us FROM silences WHERE id = ?", (silence_id,)
            ).fetchone()
            if row is None:
                raise StoreError(
                    f"{self._path}: there is no silence {silence_id}; `oopswatch notify "
                    "silence list` names them"
                )
            if row["expired_us"] is not None or row["ends_us"] <= now:
                raise ActionRefused(f"silence {silence_id} is over already")
            self._connection.execute(
                "UPDATE silences SET expired_us = ?, expired_by = ? WHERE id = ?",
                (now, clean(actor, NAME_LIMIT), silence_id),
            )
            act_marks.mark_silence(self._connection, silence_id, now)

    def close(self) -> None:
        """Closes the connection."""
        self._db.close()

    def _act(
        self, row: Row, what: Act, actor: str, reason: str | None, request: str | None
    ) -> Change:
        _check(actor)
        if row["joined_into"]:
            raise ActionRefused(
                f"incident {row['id']} became part of {row['joined_into']}: name that one"
            )
        try:
            taken = step(row["state"], what)
        except RefusedError as refusal:
            raise ActionRefused(f"incident {row['id']} {refusal}") from refusal
        state = taken.state if taken.state != row["state"] else None
        change = changes.record(
            self._connection,
            row["id"],
            self._clock(),
            taken.what,
            actor=actor,
            reason=reason,
            request=request,
            state=state,
        )
        search_index.index(self._connection, row["id"])
        return change

    def _incident(self, identity: str) -> Row:
        """The incident of an id, or of a beginning of it that no other has and nobody types by
        mistake.
        """
        query = (
            "SELECT id, state, joined_into FROM incidents WHERE id >= ?1 AND id < ?1 || x'f4' "
            "ORDER BY id LIMIT 2"
        )
        rows: list[Row] = (
            self._connection.execute(query, (identity,)).fetchall() if identity else []
        )
        if not rows:
            raise UnknownIncidentError(
                f"{self._path}: no incident {identity}; `oopswatch incidents list` names them"
            )
        if len(identity) < _LEAST_PREFIX and rows[0]["id"] != identity:
            raise StoreError(
                f"{self._path}: {identity} is too little to name an incident: give at least "
                f"{_LEAST_PREFIX} characters of its id"
            )
        if len(rows) > 1 and rows[0]["id"] != identity:
            raise StoreError(
                f"{self._path}: more than one incident begins with {identity}: give more of its id"
            )
        return rows[0]

    def _was_made(self, request: str) -> bool:
        """Whether incidents were resolved with their problem by this request."""
        query = "SELECT 1 FROM changes WHERE request > ?1 || ' ' AND request < ?1 || '!' LIMIT 1"
        return self._connection.execute(query, (request,)).fetchone() is not None

    def _state_of_problem(self, fingerprint: str) -> Row:
        query = "SELECT state, fixed_in FROM problems WHERE fingerprint = ?"
        row: Row | None = self._connection.execute(query, (fingerprint,)).fetchone()
        if row is None:
            raise self._no_problem(fingerprint)
        return row

    def _problem(self, fingerprint: str, state: str, actor: str, fixed_in: str | None) -> None:
        _check(actor)
        facts = (
            state,
            self._clock(),
            clean(actor, NAME_LIMIT),
            fixed_in and clean(fixed_in, NAME_LIMIT),
            fingerprint,
        )
        if self._connection.execute(_PROBLEM, facts).fetchone() is None:
            raise self._no_problem(fingerprint)
        act_marks.mark_problem(self._connection, fingerprint, facts[1])

    def _no_problem(self, fingerprint: str) -> StoreError:
        return StoreError(
            f"{self._path}: no problem {fingerprint}; `oopswatch problems list` names them"
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with explained(self._path):
            begin_writing(self._connection, self._path)
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(Error):
                    self._db.rollback()
                raise


def _check(actor: str) -> None:
    """Raises ActionRefused for an act of nobody."""
    if not actor.strip():
        raise ActionRefused("an act needs the name of who does it (--actor)")
