"""The file of bearer tokens: who may come in, and what each may do.

In: a TOML file of `[[token]]` tables with `name`, `roles` and `sha256` (of the token) or `token`
itself. Out: the names and roles of a presented token. A file with mistakes is refused with all of
them at once; so is one that everyone on the machine can read.
"""

from __future__ import annotations

import hashlib
import hmac
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from detector.settings import SettingsError
from detector.toml_tables import BadTomlError, parse_toml

Role = Literal["read", "act", "sql"]
ROLES: frozenset[str] = frozenset(get_args(Role))
# A token that can be guessed is none.
_LEAST = 16


@dataclass(frozen=True, slots=True)
class Token:
    """One token: its holder's name, the roles, and the SHA-256 of what is presented."""

    name: str
    roles: frozenset[str]
    digest: bytes


class _TokenTable(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: str = Field(pattern=r"^[A-Za-z0-9@._-]{1,64}$")
    roles: Annotated[list[Role], Field(min_length=1)]
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    token: str | None = Field(default=None, min_length=_LEAST)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.sha256 is None) == (self.token is None):
            raise ValueError("needs either sha256 or token")
        return self

    def made(self) -> Token:
        digest = bytes.fromhex(self.sha256) if self.sha256 else digest_of(self.token or "")
        return Token(self.name, frozenset(self.roles), digest)


def digest_of(token: str) -> bytes:
    """What is kept of a token. It is long and random, so that a plain hash suffices."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def read_tokens(path: Path) -> tuple[Token, ...]:
    """The tokens of a file. Raises SettingsError with every mistake, one line each."""
    try:
        if path.stat().st_mode & stat.S_IRWXO:
            raise SettingsError([f"{path}: everyone on this machine can use it: chmod o= {path}"])
        entries = parse_toml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise SettingsError([f"{path}: not a TOML file: it is not UTF-8"]) from error
    except BadTomlError as error:
        raise SettingsError([f"{path}:{error.line}: {error}"]) from error
    faults = [
        f"{path}: {name}: unknown table, there is [[token]] only"
        for name in entries
        if name != "token"
    ]
    tokens: list[Token] = []
    tables = entries.get("token", [])
    for number, table in enumerate(tables if isinstance(tables, list) else [tables], 1):
        try:
            tokens.append(_TokenTable.model_validate(table).made())
        except ValidationError as error:
            faults += [
                _told(path, number, item["loc"], item["msg"])
                for item in error.errors(include_url=False, include_input=False)
            ]
    faults += [
        f"{path}: two tokens are named {name}"
        for name in sorted({token.name for token in tokens if _count(tokens, token.name) > 1})
    ]
    if not tokens and not faults:
        faults.append(f"{path}: holds no [[token]]")
    if faults:
        raise SettingsError(faults)
    return tuple(tokens)


def find(tokens: Iterable[Token], presented: str) -> Token | None:
    """The token that was presented. Every one is compared, in constant time, so that the time tells
    nothing.
    """
    digest = digest_of(presented)
    found = None
    for token in tokens:
        if hmac.compare_digest(token.digest, digest):
            found = token
    return found


def _told(path: Path, number: int, location: tuple[int | str, ...], message: str) -> str:
    place = ".".join(str(part) for part in location)
    return (
        f"{path}: token {number}{f', {place}' if place else ''}: "
        f"{message.removeprefix('Value error, ')}"
    )


def _count(tokens: list[Token], name: str) -> int:
    return sum(token.name == name for token in tokens)
