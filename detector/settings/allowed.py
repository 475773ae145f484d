"""The values that a setting allows, in words, for the message where it holds another.

Comes in: a declaration. Goes out: "a whole number from 1 to 10", for messages. It checks nothing;
pydantic does.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin
from zoneinfo import ZoneInfo

from pydantic.fields import FieldInfo
from pydantic.types import PathType

_KINDS: dict[object, str] = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    Path: "a path",
    ZoneInfo: "the name of a time zone, as Europe/Berlin",
}
_PATHS = {"file": "the path of a file that is there", "dir": "the path of a folder that is there"}
_BOUNDS = (("ge", "from"), ("gt", "above"), ("le", "up to"))


class Allowed(str):
    """The values that a type with a pattern allows, in words: part of its annotation."""

    __slots__ = ()


def allowed(declaration: FieldInfo) -> str:
    """The values that a setting allows, in words: "a whole number from 0 to 65,535"."""
    extra = declaration.json_schema_extra
    if isinstance(extra, dict) and extra.get("allowed"):
        return str(extra["allowed"])
    metadata = [*declaration.metadata, *_inner(declaration.annotation)]
    for item in metadata:
        if isinstance(item, Allowed):
            return str(item)
        if isinstance(item, PathType):
            return _PATHS[item.path_type]
    return f"{_kind(declaration.annotation)}{_bounds(declaration.metadata)}"


def _inner(annotation: object) -> Iterator[Any]:
    """What stands in the annotations of a type's parts: of `FilePath | None` the file's."""
    yield from getattr(annotation, "__metadata__", ())
    for part in get_args(annotation):
        if not isinstance(part, str):
            yield from _inner(part)


def _kind(annotation: object) -> str:
    if get_origin(annotation) is Literal:
        *most, last = map(str, get_args(annotation))
        return f"{', '.join(most)} or {last}"
    if get_origin(annotation) is tuple:
        return "a list of texts"
    if get_origin(annotation) is dict:
        return "a table of texts"
    if annotation in _KINDS:
        return _KINDS[annotation]
    parts = [part for part in get_args(annotation) if part is not NoneType]
    return _kind(parts[0]) if parts else "text"


def _bounds(metadata: list[Any]) -> str:
    if any(getattr(item, "min_length", None) for item in metadata):
        return " that is not empty"
    words = [
        f" {word} {bound:,}"
        for name, word in _BOUNDS
        for item in metadata
        if (bound := getattr(item, name, None)) is not None
    ]
    return "".join(words)
