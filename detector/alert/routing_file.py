"""The routing file: TOML in, a `Routing` out, or everything that is wrong with it at once,
each with file and line.

In: the file's path and text. Out: receivers, routes, maintenance; the file's own tests are run
here, and a test that fails is a fault like any other. Nothing is sent, and of receivers only their
options are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from detector.alert.notice import Alive, Sender
from detector.alert.routing import Maintenance, Receiver, Route, Routing, RoutingFacts
from detector.alert.senders import sender_of
from detector.clock import SECOND_US
from detector.errors import UserError
from detector.model import Severity
from detector.toml_tables import (
    BadTomlError,
    LocatedFault,
    TomlPlaces,
    key_fault,
    parse_toml,
    suggestion,
    tables_by_kind,
)

_OWN_KEYS = frozenset({"name", "heartbeat", "group"})
# A topic is read by programs: it gets every incident as a record of its own.
_UNGROUPED = frozenset({"kafka"})
_RoutingT = TypeVar("_RoutingT", bound=BaseModel)

Many = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
]
Severities = Annotated[
    tuple[Severity, ...],
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
]
RouteName = Annotated[str, Field(pattern=r"^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$")]


class RoutingError(UserError, ValueError):
    """The routing file cannot be used: all faults, one line each."""

    def __init__(self, faults: tuple[LocatedFault, ...]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


class _RoutingTable(BaseModel):
    """No key is silently ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False)


class _RouteTable(_RoutingTable):
    """One `[[route]]`."""

    host: Many = ()
    rule: Many = ()
    severity: Severities = ()
    problem: Many = ()
    known_issue: Many = Field(default=(), alias="known-issue")
    receivers: tuple[RouteName, ...]
    team: str | None = None
    goes_on: bool = Field(default=False, alias="continue")


class _MaintenanceTable(_RoutingTable):
    """One `[[maintenance]]`."""

    host: Many = Field(min_length=1)
    comment: str = Field(min_length=1)
    begin: AwareDatetime | None = Field(default=None, alias="from")
    until: AwareDatetime | None = None


class _TestTable(_RoutingTable):
    """One `[[test]]`: who is told of such an incident."""

    name: str = Field(min_length=1)
    host: str
    rule: str
    severity: Severity = "critical"
    problem: str | None = None
    known_issue: str | None = Field(default=None, alias="known-issue")
    expect: tuple[str, ...]
    team: str | None = None


_KINDS = ("receiver", "route", "maintenance", "test")


def load_routing(path: Path) -> Routing:
    """The routing of a file. Raises `RoutingError` with all that is wrong."""
    try:
        text = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise RoutingError(
            (
                LocatedFault(
                    str(path), 0, f"cannot be read: {getattr(error, 'strerror', None) or error}"
                ),
            )
        ) from error
    return read_routing(str(path), text)


def read_routing(
    path: str, text: str, make: Callable[[Mapping[str, Any], str], Sender] = sender_of
) -> Routing:
    """The routing that a text says; `make` makes senders of tables.

    Raises `RoutingError` with all that is wrong.
    """
    reading = _RoutingText(path, text)
    receivers = dict(reading.receivers(make))
    routing = Routing(
        path, receivers, tuple(reading.routes(receivers)), tuple(reading.maintenances())
    )
    tests = list(reading.models("test", _TestTable))
    if not reading.faults:
        reading.faults += [
            fault
            for table, line in tests
            for fault in _failures(routing, table, LocatedFault(path, line, ""))
        ]
    if reading.faults:
        raise RoutingError(tuple(sorted(set(reading.faults))))
    return routing


class _RoutingText:
    """One text being read, and what is wrong with it so far."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.faults: list[LocatedFault] = []
        self._places = TomlPlaces(text)
        self._document: dict[str, Any] = {}
        try:
            self._document = parse_toml(text)
        except BadTomlError as error:
            self._fault(error.line, str(error))
        self._tables = dict(
            tables_by_kind(
                self._document,
                _KINDS,
                lambda kind, message: self._fault(self._places.top(kind), message),
            )
        )

    def tables(self, kind: str) -> Iterator[tuple[dict[str, Any], int]]:
        """The tables of a kind with their lines."""
        for index, table in enumerate(self._tables.get(kind, ())):
            yield table, self._places.table(kind, index)

    def models(self, kind: str, model: type[_RoutingT]) -> Iterator[tuple[_RoutingT, int]]:
        """The valid tables of a kind; what is wrong with the others is noted."""
        for table, line in self.tables(kind):
            try:
                yield model.model_validate(table), line
            except ValidationError as error:
                for problem in error.errors():
                    key = str(problem["loc"][0]) if problem["loc"] else ""
                    keys = [field.alias or name for name, field in model.model_fields.items()]
                    text = key_fault(problem["type"], problem["msg"], key, keys)
                    self._fault(self._places.key(line, key), f"{kind}: {text}")

    def receivers(
        self, make: Callable[[Mapping[str, Any], str], Sender]
    ) -> Iterator[tuple[str, Receiver]]:
        """The receivers by name."""
        seen: dict[str, int] = {}
        for table, line in self.tables("receiver"):
            name = table.get("name")
            if not isinstance(name, str) or not name:
                wrong = (
                    'missing key "name"'
                    if name is None
                    else 'key "name" must be a text that is not empty'
                )
                self._fault(line, f"receiver: {wrong}")
                continue
            if name in seen:
                self._fault(
                    line, f'receiver "{name}": this name stands already at line {seen[name]}'
                )
            seen[name] = line
            options = {key: value for key, value in table.items() if key not in _OWN_KEYS}
            try:
                sender = make(options, f'receiver "{name}"')
            except ValueError as error:
                for message in str(error).splitlines():
                    self._fault(line, message)
                continue
            heartbeat = self._flag(table, "heartbeat", False, line)
            if heartbeat and not isinstance(sender, Alive):
                at = self._places.key(line, "heartbeat")
                self._fault(
                    at,
                    (
                        f'receiver "{name}": key "heartbeat": a receiver of kind {sender.kind} '
                        "expects none"
                    ),
                )
            yield (
                name,
                Receiver(
                    name,
                    sender,
                    heartbeat,
                    self._flag(table, "group", sender.kind not in _UNGROUPED, line),
                ),
            )

    def _flag(self, table: Mapping[str, Any], key: str, default: bool, line: int) -> bool:
        value = table.get(key, default)
        if not isinstance(value, bool):
            self._fault(
                self._places.key(line, key),
                f'receiver "{table["name"]}": key "{key}": write true or false',
            )
        return value is True

    def routes(self, receivers: Mapping[str, Receiver]) -> Iterator[Route]:
        """The routes in their order."""
        declared = [str(table.get("name")) for table, _ in self.tables("receiver")]
        for table, line in self.models("route", _RouteTable):
            for name in table.receivers:
                if name not in receivers and name not in declared:
                    self._fault(
                        self._places.key(line, "receivers"),
                        f'route: unknown receiver "{name}"{suggestion(name, declared)}',
                    )
            matchers = {
                "hosts": table.host,
                "rules": table.rule,
                "severities": table.severity,
                "problems": table.problem,
            }
            yield Route(
                f"{self.path}:{line}",
                table.receivers,
                table.team,
                table.goes_on,
                known_issues=table.known_issue,
                **matchers,
            )

    def maintenances(self) -> Iterator[Maintenance]:
        """The hosts that are worked on."""
        for table, line in self.models("maintenance", _MaintenanceTable):
            if table.begin and table.until and table.until <= table.begin:
                self._fault(
                    self._places.key(line, "until"), "maintenance: it ends before it begins"
                )
            yield Maintenance(
                f"{self.path}:{line}", table.host, table.comment, _us(table.begin), _us(table.until)
            )

    def _fault(self, line: int, message: str) -> None:
        self.faults.append(LocatedFault(self.path, line, message))


def _failures(routing: Routing, table: _TestTable, at: LocatedFault) -> Iterator[LocatedFault]:
    facts = RoutingFacts(table.host, table.rule, table.severity, table.problem, table.known_issue)
    assigned = routing.assign(facts)
    receivers = sorted(item.receiver for item in assigned)
    if receivers != sorted(table.expect):
        why = ", ".join(sorted({item.place for item in assigned})) or routing.why_nobody(facts)
        text = (
            f'test "{table.name}": expected {", ".join(sorted(table.expect)) or "nobody"}, got '
            f"{', '.join(receivers) or 'nobody'} ({why})"
        )
        yield LocatedFault(at.path, at.line, text)
    elif table.team is not None and (teams := {item.team for item in assigned if item.team}) != {
        table.team
    }:
        yield LocatedFault(
            at.path,
            at.line,
            (
                f'test "{table.name}": expected team {table.team}, got '
                f"{', '.join(sorted(teams)) or 'none'}"
            ),
        )


def _us(time: datetime | None) -> int | None:
    return None if time is None else int(time.timestamp()) * SECOND_US
