"""The store's nouns as JSON objects, and their models for OpenAPI, made from the same fields: an
answer cannot drift from its description.

In: a frozen dataclass, or values of one. Out: a pydantic model, or a dictionary of JSON types. A
field keeps its name; a wall time `…_us` stands beside its RFC 3339 text in UTC (`started_us` and
`started`). A field that a noun gets, the API gets; none is ever taken away.
"""

from __future__ import annotations

import typing
from collections.abc import Container, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import BaseModel, create_model

from detector.render.objects import moment

# Of all `…_us` these are distances, or times since boot.
_NO_WALL_TIME = frozenset({"gap_us", "uptime_us", "kernel_time_us", "time_us"})
_MODELS: dict[type[Any], type[BaseModel]] = {}


def as_object(value: Any) -> Any:
    """A value as JSON has it; dataclasses, also inside of others, are objects."""
    if is_dataclass(value) and not isinstance(value, type):
        found: dict[str, Any] = {
            one.name: as_object(getattr(value, one.name)) for one in fields(value)
        }
        for name in filter(is_wall_time, tuple(found)):
            found[moment_name(name, found)] = moment(found[name])
        return found
    if isinstance(value, Mapping):
        return {str(name): as_object(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_object(one) for one in value]
    return value


def is_wall_time(name: str) -> bool:
    """Whether a field is a wall time in µs."""
    return name.endswith("_us") and "kernel" not in name and name not in _NO_WALL_TIME


def moment_name(name: str, taken: Container[str]) -> str:
    """What the text beside a wall time is called: `first_us` → `first`; where a field has that
    name, as `state_us`, it is `state_at`.
    """
    short = name.removesuffix("_us")
    return f"{short}_at" if short in taken else short


def model_of(noun: type[Any]) -> type[BaseModel]:
    """The model of what `as_object` makes of a noun: one for each."""
    if noun in _MODELS:
        return _MODELS[noun]
    hints = typing.get_type_hints(noun)
    members: dict[str, Any] = {}
    for one in fields(noun):
        members[one.name] = (_json_type(hints[one.name]), ...)
        if is_wall_time(one.name):
            members[moment_name(one.name, hints)] = (str | None, ...)
    _MODELS[noun] = create_model(noun.__name__, __doc__=noun.__doc__, **members)
    return _MODELS[noun]


def _json_type(hint: Any) -> Any:
    """A type's counterpart in JSON."""
    if isinstance(hint, type) and is_dataclass(hint):
        return model_of(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is None or origin is typing.Literal:
        return hint
    inner = tuple(_json_type(one) for one in arguments if one is not Ellipsis)
    if origin in {tuple, list, frozenset, set} or origin.__name__ in {"Sequence", "Iterable"}:
        return list[inner[0]]  # type: ignore[valid-type]
    if origin is dict or origin.__name__ == "Mapping":
        return dict[str, inner[-1]]  # type: ignore[valid-type]
    return typing.Union[inner]  # of a tuple of types  # noqa: UP007
