"""The parts of every table of settings: its base class, a setting, lists as one word.

Nothing is declared or read here.

Comes in: a declaration. Goes out: "a whole number from 1 to 10", for messages. It checks nothing;
pydantic does.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, DirectoryPath, Field, IPvAnyNetwork
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


# No setting needs a greater number: so many seconds are 31 years.
GREATEST = 1_000_000_000


def _listed(value: object) -> object:
    """The environment and the command line write a list as one word with commas."""
    return (
        [part.strip() for part in value.split(",") if part.strip()]
        if isinstance(value, str)
        else value
    )


def _paired(value: object) -> object:
    """The environment and the command line write a table as one word: old=new,other=new."""
    if not isinstance(value, str):
        return value
    pairs = (part.partition("=") for part in value.split(",") if part.strip())
    return {name.strip(): other.strip() for name, _, other in pairs}


def _named(value: object) -> object:
    """An empty path would be the folder that the program was started in."""
    if isinstance(value, str | Path) and str(value).strip() in {"", "."}:
        raise ValueError("no path")
    return value


NewPath = Annotated[Path, BeforeValidator(_named), Allowed("a path that is not empty")]
"""A path of what need not be there."""

BrokerAddress = Annotated[
    str, Field(pattern=r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?$")
]
_TOPIC = "up to 249 letters, digits, dots, hyphens and underscores"
Topic = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$"), Allowed(f"a topic of {_TOPIC}")]
BrokerAddresses = Annotated[
    tuple[BrokerAddress, ...],
    BeforeValidator(_listed),
    Field(min_length=1),
    Allowed('a list of brokers, as ["kafka-1:9092"]'),
]
Topics = Annotated[
    tuple[Topic, ...],
    BeforeValidator(_listed),
    Field(min_length=1),
    Allowed(f"a list of topics, each of {_TOPIC}"),
]
Folders = Annotated[
    tuple[DirectoryPath, ...],
    BeforeValidator(_listed),
    Allowed("a list of folders that are there"),
]
Listed = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Aliases = Annotated[
    dict[str, str],
    BeforeValidator(_paired),
    Allowed('a table of names, as { "10.0.0.12" = "web-12" }'),
]
PathPatterns = Annotated[
    tuple[Annotated[str, Field(pattern=r"^[^{}]*\{host\}[^{}]*$")], ...],
    BeforeValidator(_listed),
    Allowed("a list of paths, each with {host} once and no other braces"),
]
Networks = Annotated[
    tuple[IPvAnyNetwork, ...],
    BeforeValidator(_listed),
    Allowed('a list of addresses or networks, as ["10.0.0.0/8"]'),
]


def setting(
    default: Any, description: str, *, unit: str = "", allowed: str = "", **limits: Any
) -> Any:
    """A setting with its default, its meaning, its unit and its bounds; `allowed` says in words
    what a pattern allows.
    """
    if isinstance(default, int) and not isinstance(default, bool):
        limits.setdefault("le", GREATEST)
    return Field(
        default=default,
        description=description,
        json_schema_extra={"unit": unit, "allowed": allowed},
        **limits,
    )


class Group(BaseModel):
    """One table of the file. Unknown names are mistakes."""

    # What checks values is built once, for all tables together, when settings are first read.
    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True
    )
