"""The objects of `detector/render/objects.py` as models: incidents with evidence, report
and diagnosis. Tests hold the two together.

In: nothing. Out: models for OpenAPI. Fields are only ever added.

A field keeps its name; a wall time `…_us` stands beside its RFC 3339 text in UTC (`started_us` and
`started`). A field that a noun gets, the API gets; none is ever taken away.
"""

from __future__ import annotations

import typing
from dataclasses import fields, is_dataclass
from typing import Any, Literal

from pydantic import BaseModel, Field, create_model

from detector.known.names import KnownBug
from detector.model import Confidence, Severity
from detector.render.objects import is_wall_time, moment_name
from detector.store.query.results import IncidentRow

_MODELS: dict[type[Any], type[BaseModel]] = {}


def model_of(noun: type[Any]) -> type[BaseModel]:
    """The model of what `as_object` makes of a noun: one for each."""
    if noun in _MODELS:
        return _MODELS[noun]
    hints = typing.get_type_hints(noun)
    members: dict[str, Any] = {}
    for field in fields(noun):
        members[field.name] = (_json_type(hints[field.name]), ...)
        if is_wall_time(field.name):
            members[moment_name(field.name, hints)] = (str | None, ...)
    _MODELS[noun] = create_model(noun.__name__, __doc__=noun.__doc__, **members)
    return _MODELS[noun]


def _json_type(hint: Any) -> Any:
    """A type's counterpart in JSON."""
    if isinstance(hint, type) and is_dataclass(hint):
        return model_of(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is None or origin is typing.Literal:
        return hint
    inner = tuple(_json_type(argument) for argument in arguments if argument is not Ellipsis)
    if origin in {tuple, list, frozenset, set} or origin.__name__ in {"Sequence", "Iterable"}:
        return list[inner[0]]  # type: ignore[valid-type]
    if origin is dict or origin.__name__ == "Mapping":
        return dict[str, inner[-1]]  # type: ignore[valid-type]
    return typing.Union[inner]  # of a tuple of types  # noqa: UP007


class KnownBugItem(model_of(KnownBug)):  # type: ignore[misc]  # made from the noun's fields
    """A known bug that a crash looks like, and how its kernel stands to it."""


class FrameItem(BaseModel):
    """One entry of a call trace."""

    function: str
    offset: int | None
    size: int | None
    module: str | None
    address: str | None
    reliable: bool
    inlined: bool


class ReportItem(BaseModel):
    """A crash report, parsed. Addresses and registers are hexadecimal."""

    title: str | None
    kind: str
    function: str | None
    display_function: str | None
    offset: int | None
    size: int | None
    module: str | None
    kernel: str | None
    arch: str | None
    hardware: str | None
    cpu: int | None
    pid: int | None
    comm: str | None
    tainted: str | None
    fault_address: str | None
    error_code: str | None
    esr: str | None
    instruction: str | None
    frames: list[FrameItem]
    registers: dict[str, str]
    panic: str | None
    complete: bool


class MatchItem(BaseModel):
    """A line that a signature claims. Times of the kernel are µs since boot."""

    type: Literal["match"]
    source: str
    line_number: int
    host: str
    boot: str
    kernel_time_us: int | None
    wall_time: str | None
    signature: str
    class_: str = Field(alias="class")
    origin: Literal["kernel", "user"]
    severity: Severity
    fields: dict[str, str]
    text: str
    report: ReportItem | None = None
    known_bugs: list[KnownBugItem] = []


class SpreadItem(BaseModel):
    """The hosts of an incident that many share: one `value` of a `field` (fingerprint,
    process) on so many `hosts`, of which `names` are the first.
    """

    field: str
    value: str
    hosts: int
    first_hour: str | None
    last_hour: str | None
    names: list[str]


class StatementItem(BaseModel):
    """One sentence of a diagnosis, with what it rests on."""

    text: str
    confidence: Confidence
    evidence: list[str]


class IncidentItem(model_of(IncidentRow)):  # type: ignore[misc]  # made from the row's fields
    """An incident, as the command line and the pages print it: its row in lists, and the rest."""

    type: Literal["incident"]
    source: str
    headline: str
    joined: list[str]
    anchor: MatchItem
    nearest: MatchItem | None
    evidence: list[MatchItem]
    report: ReportItem | None
    diagnosis: list[StatementItem]
    known_issue_confidence: Confidence | None
    known_bugs: list[KnownBugItem]
    next_steps: list[str]
    report_lines: list[str]
    spread: SpreadItem | None


class ExplanationItem(BaseModel):
    """A report, or matches without one, explained."""

    type: Literal["explanation"]
    report: ReportItem | None
    fingerprint: str | None
    diagnosis: list[StatementItem]
    known_issue: str | None
    known_issue_confidence: Confidence | None
    known_bugs: list[KnownBugItem]
    next_steps: list[str]
