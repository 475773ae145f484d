"""The parts of every table of settings: its base class, a setting, lists as one word.

Nothing is declared or read here.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    DirectoryPath,
    Field,
    IPvAnyNetwork,
)

from detector.settings.allowed import Allowed

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

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
