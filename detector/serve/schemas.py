"""The store's nouns as JSON objects, and their models for OpenAPI, made from the same
fields: an answer cannot drift from its description.

In: a frozen dataclass, or values of one. Out: a pydantic model, or a dictionary of JSON types. A
field keeps its name; a wall time `…_us` stands beside its RFC 3339 text in UTC (`started_us` and
`started`). A field that a noun gets, the API gets; none is ever taken away.
"""

from __future__ import annotations

import typing
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import BaseModel, create_model

from detector.render.objects import is_wall_time, moment_name

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
