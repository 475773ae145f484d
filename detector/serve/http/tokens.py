"""The file of bearer tokens: who may come in, and what each may do.

In: a TOML file of `[[token]]` tables with `name`, `roles` and `sha256` (of the token) or `token`
itself. Out: the names and roles of a presented token. A file with mistakes is refused with all of
them at once; so is one that everyone on the machine can read.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from detector.serve.http.roles import Role
from detector.settings import SettingsError
from detector.toml_tables import BadTomlError, parse_toml

# A token that can be guessed is none.
_LEAST = 16
# Of a token that is made here.
_RANDOM_BYTES = 32


@dataclass(frozen=True, slots=True)
class Token:
    """One token: its holder's name, the roles, and the SHA-256 of what is presented."""

    name: str
    roles: frozenset[str]
    digest: bytes


class _TokenTable(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: str
    roles: Annotated[list[Role], Field(min_length=1)]
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    token: str | None = Field(default=None, min_length=_LEAST)

    @field_validator("name")
    @classmethod
    def _plain(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9@._-]{1,64}", name):
            raise ValueError("letters, digits and @ . _ - are allowed, 64 characters at most")
        return name

    @model_validator(mode="after")
    def _has_one_secret(self) -> Self:
        if (self.sha256 is None) == (self.token is None):
            raise ValueError("needs either sha256 or token")
        return self

    def made(self) -> Token:
        digest = bytes.fromhex(self.sha256) if self.sha256 else digest_of(self.token or "")
        return Token(self.name, frozenset(self.roles), digest)


def digest_of(token: str) -> bytes:
    """Returns what is kept of a token. It is long and random, so that a plain hash suffices."""
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
                _in_words(path, number, item["loc"], item["msg"])
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
    """The token that was presented.

    Every one is compared, in constant time, so that the time tells nothing.
    """
    digest = digest_of(presented)
    match = None
    for token in tokens:
        if hmac.compare_digest(token.digest, digest):
            match = token
    return match


def _in_words(path: Path, number: int, location: tuple[int | str, ...], message: str) -> str:
    place = ".".join(str(part) for part in location)
    return (
        f"{path}: token {number}{f', {place}' if place else ''}: "
        f"{message.removeprefix('Value error, ')}"
    )


def _count(tokens: list[Token], name: str) -> int:
    return sum(token.name == name for token in tokens)


def add_token(path: Path, name: str, roles: Iterable[str]) -> str:
    """Makes a random token and appends it to a file of tokens, by its hash alone; returns it.

    A missing file is created with mode 0600. Raises SettingsError for a file that is bad, a name
    that is taken, or what may not stand in a table; the file then stays as it was.
    """
    presented = secrets.token_urlsafe(_RANDOM_BYTES)
    listed = sorted(set(roles))
    fields = {"name": name, "roles": listed, "sha256": digest_of(presented).hex()}
    try:
        _TokenTable.model_validate(fields)
    except ValidationError as error:
        raise SettingsError(
            [
                _in_words(path, 1, item["loc"], item["msg"])
                for item in error.errors(include_url=False)
            ]
        ) from error
    existing = read_tokens(path) if path.exists() else ()
    if any(token.name == name for token in existing):
        raise SettingsError([f"{path}: there is a token named {name}: give another name"])
    rows = [f"{key} = {json.dumps(value)}" for key, value in fields.items()]
    text = "\n".join(["[[token]]", *rows, ""])
    try:
        opened = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(opened, "w", encoding="utf-8") as file:
            file.write(("\n" if existing else "") + text)
    except OSError as error:
        raise SettingsError([f"{path}: cannot be written: {error.strerror}"]) from error
    return presented
