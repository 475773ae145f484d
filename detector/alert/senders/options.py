"""The options of a receiver: declared by each sender, read from one table of TOML, refused
with one clear line.

In: a table and the place that it is from. Out: frozen options; a secret is read from the file that
`<name>_file` names or the variable that `<name>_env` names, never from the table itself unless the
option says that it may be, and is hidden from every text.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, FilePath, SecretStr, ValidationError

from detector.alert.templates import Templates, check_file, load
from detector.render.escape import inert
from detector.toml_tables import suggestion

_REDACTED = "[hidden]"
_LEAST_SECRET = 4
# Who reads the table: `kind` chooses the sender.
_NOT_OPTIONS = frozenset({"kind", "name"})


class Options(BaseModel):
    """One table. Unknown names are mistakes, and no text of a fault holds what was given."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    timeout_s: float = Field(
        default=10.0, ge=0.05, le=120, description="longest time for one attempt, in seconds"
    )

    title_template: FilePath | None = Field(
        default=None, description="jinja2 file that words the title"
    )
    body_template: FilePath | None = Field(
        default=None, description="jinja2 file that words the body"
    )

    def secrets(self) -> tuple[str, ...]:
        """Returns what no text may show, the longest first: each secret, and the path of one
        that is a URL.
        """
        given = [
            value.get_secret_value()
            for value in self.__dict__.values()
            if isinstance(value, SecretStr)
        ]
        parts = [part for value in given if "://" in value for part in _telling_parts(value)]
        return tuple(
            sorted(
                {item for item in (*given, *parts) if len(item) >= _LEAST_SECRET},
                key=len,
                reverse=True,
            )
        )


class HttpOptions(Options):
    """Options of every sender that speaks HTTP."""

    ca_file: FilePath | None = Field(
        default=None,
        description="certificates of the authorities to trust, PEM; without it the system's",
    )
    proxy: str | None = Field(
        default=None,
        description="proxy to go through, as http://proxy:3128",
        pattern=r"^(https?|socks5h?)://\S+$",
    )


Declared = TypeVar("Declared", bound=Options)


def hidden(description: str, *, plain: bool = False, optional: bool = False) -> Any:
    """Declares a secret; `plain` says that it may stand in the table itself, as the URL of a
    webhook without a token may.
    """
    default = None if optional else ...
    return Field(default=default, description=description, json_schema_extra={"plain": plain})


def read(declared: type[Declared], table: Mapping[str, Any], where: str) -> Declared:
    """The options in a table.

    Raises ValueError with one line that names the place and the option, and says what to do.
    """
    given = {name: value for name, value in table.items() if name not in _NOT_OPTIONS}
    for name in secret_names(declared):
        _take_secret(declared, name, given, where)
    for name in given:
        if name not in declared.model_fields:
            raise ValueError(
                f"{where}: {name}: unknown option{suggestion(name, option_names(declared))}"
            )
    try:
        return declared.model_validate(given)
    except ValidationError as error:
        raise ValueError(
            f"{where}: "
            + "; ".join(_in_words(declared, item) for item in error.errors(include_url=False))
        ) from None


def secret_names(declared: type[Options]) -> list[str]:
    """The options of a sender that are secrets."""
    return [
        name
        for name, field in declared.model_fields.items()
        if isinstance(field.json_schema_extra, dict)
    ]


def option_names(declared: type[Options]) -> Iterator[str]:
    """Every name that the table of a sender may hold."""
    secrets = secret_names(declared)
    for name, field in declared.model_fields.items():
        extra = field.json_schema_extra
        if name not in secrets or (isinstance(extra, dict) and extra["plain"]):
            yield name
        if name in secrets:
            yield f"{name}_file"
            yield f"{name}_env"


def http_url(url: str, name: str, where: str) -> str:
    """The URL, where it is one of http or https with a host; else ValueError, which does not
    show it.
    """
    try:
        parts = urlsplit(url)
        sound = (
            parts.scheme in ("http", "https")
            and parts.hostname
            and (parts.port is None or parts.port > 0)
        )
    except ValueError:
        sound = False
    if not sound or not url.isprintable() or " " in url:
        raise ValueError(
            f"{where}: {name}: not an address that begins with https:// or http:// and a host"
        )
    return url


def templates_of(options: Options, where: str) -> Templates:
    """The templates that a receiver names. Raises ValueError with the first fault, file and
    line.
    """
    named = [path for path in (options.title_template, options.body_template) if path is not None]
    faults = [fault for path in named for fault in check_file(path)]
    if faults:
        raise ValueError(
            f"{where}: {faults[0]}" + (f" (and {len(faults) - 1} more)" if len(faults) > 1 else "")
        )
    title, body = (
        None if path is None else load(path)
        for path in (options.title_template, options.body_template)
    )
    return Templates(title, body)


def redacted(text: str, secrets: tuple[str, ...]) -> str:
    """The text without the secrets."""
    for secret in secrets:
        text = text.replace(secret, _REDACTED)
    return text


def tls_context(ca_file: Path | None, where: str) -> ssl.SSLContext:
    """A context that checks certificates and names, always.

    Raises ValueError for a file without certificates.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(
            f"{where}: ca_file: {ca_file} holds no certificates that can be used: "
            f"{error.strerror or error}"
        ) from error


def _take_secret(declared: type[Options], name: str, given: dict[str, Any], where: str) -> None:
    """Puts the secret in the place of the file or variable that names it."""
    extra = declared.model_fields[name].json_schema_extra
    assert isinstance(extra, dict)
    ways = [way for way in (name, f"{name}_file", f"{name}_env") if way in given]
    if len(ways) > 1:
        raise ValueError(f"{where}: {' and '.join(ways)} say the same thing twice: keep one")
    if name in given and not extra["plain"]:
        raise ValueError(
            f"{where}: {name}: a secret does not belong here; name a file in {name}_file or "
            f"a variable in {name}_env"
        )
    if not ways:
        if declared.model_fields[name].is_required():
            both = f"{name}_file or {name}_env"
            raise ValueError(f"{where}: {f'{name}, {both}' if extra['plain'] else both} is missing")
        return
    value = given.pop(ways[0])
    if not isinstance(value, str) or not value:
        raise ValueError(f"{where}: {ways[0]}: a text is wanted")
    given[name] = SecretStr(value if ways[0] == name else _fetched(value, ways[0], where))


def _fetched(value: str, way: str, where: str) -> str:
    if way.endswith("_env"):
        content = os.environ.get(value, "")
        if not content:
            raise ValueError(f"{where}: {way}: the environment has no {value}, or it is empty")
    else:
        try:
            content = Path(value).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(
                f"{where}: {way}: {value} cannot be read: "
                f"{getattr(error, 'strerror', None) or 'not UTF-8'}"
            ) from None
        if not content:
            raise ValueError(f"{where}: {way}: {value} is empty")
    if not content.isprintable() or not content.isascii():
        raise ValueError(f"{where}: {way}: what {value} holds is not one line of printable ASCII")
    return content


def _in_words(declared: type[Options], error: Any) -> str:
    name = ".".join(str(part) for part in error["loc"]) or "the table"
    message = error["msg"].removeprefix("Value error, ")
    description = declared.model_fields[name].description if name in declared.model_fields else None
    return inert(
        f"{name}: {message[:1].lower()}{message[1:]}"
        + (f" ({description})" if description and error["type"] == "missing" else "")
    )


def _telling_parts(url: str) -> Iterator[str]:
    """Yields what of a URL lets somebody in: its user, password, path and query."""
    parts = urlsplit(url)
    path = parts.path.strip("/")
    yield from (item for item in (parts.username, parts.password, path, parts.query) if item)
