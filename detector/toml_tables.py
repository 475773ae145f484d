"""TOML files that people write: their tables with line numbers, faults by file and line,
and what a misspelt word was meant to be.

In: the text of a file. Out: the document; line numbers (from 1) of the n-th `[[kind]]` header, of a
key in it, of a value in its array; `LocatedFault`s. tomllib tells no lines: a place that cannot be
found (inline tables, say) falls back to the nearest enclosing one.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from detector.lazy_regex import lazy_regex

_HEADER = lazy_regex(r"\s*(\[{1,2})\s*([A-Za-z0-9_.-]+)\s*\]{1,2}\s*(?:#.*)?$")
_KEY = lazy_regex(r"""\s*["']?([A-Za-z0-9_-]+)["']?\s*=""")
_TOKEN = lazy_regex(r"""'''|\"\"\"|'[^']*'|"(?:\\.|[^"\\])*"|\#.*""")


# Control, format and private characters, separators of lines, what is no character.
_UNSEEN = lazy_regex(
    r"[\x80-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_PLACE = lazy_regex(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$")
_NAMED = 20  # names that a fault lists


@dataclass(frozen=True, slots=True, order=True)
class LocatedFault:
    """One thing that is wrong in a file. `line` counts from 1; 0: the file as a whole."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        """`path:line: message`, as compilers print it."""
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place}: {self.message}"


class BadTomlError(ValueError):
    """A text that is no TOML: `line` and what is wrong there."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def parse_toml(text: str, parse_float: Callable[[str], Any] = float) -> dict[str, Any]:
    """Returns the document. Raises BadTomlError with the line of the first fault."""
    try:
        return tomllib.loads(text, parse_float=parse_float)
    except tomllib.TOMLDecodeError as error:
        place = _PLACE.search(str(error))
        what = str(error)[: place.start()] if place else str(error)
        if place is None or place[1] is None:
            last = text.count("\n") + 1
            raise BadTomlError(last, f"bad TOML: {what} at the end of the file") from error
        raise BadTomlError(int(place[1]), f"bad TOML: {what} (column {place[2]})") from error
    except (RecursionError, ArithmeticError) as error:
        message = "bad TOML: nested too deeply, or a number without sense"
        raise BadTomlError(1, message) from error


def tables_by_kind(
    document: Mapping[str, Any], kinds: Iterable[str], fault: Callable[[str, str], None]
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yields the `[[kind]]` tables of each known kind; `fault` is called with the name and
    what is wrong with it for all others.
    """
    for kind, tables in document.items():
        if kind not in kinds:
            fault(kind, f'unknown table "{kind}"{suggestion(kind, kinds)}')
        elif not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            fault(kind, f"write [[{kind}]], with two brackets, once for each")
        else:
            yield kind, tables


def key_fault(kind: str, message: str, key: str, keys: Iterable[str]) -> str:
    """Words a fault that pydantic found at a key: `kind` and `message` are its `type` and
    `msg`.
    """
    if kind == "missing":
        return f'missing key "{key}"'
    if kind == "extra_forbidden":
        return f'unknown key "{key}"{suggestion(key, keys)}'
    text = message.removeprefix("Value error, ")
    return f'key "{key}": {text[:1].lower()}{text[1:]}' if key else text


def suggestion(word: str, known: Iterable[str]) -> str:
    """Returns what a misspelt word was meant to be, else which words there are."""
    names = sorted(known)
    if close := get_close_matches(word, names, n=1):
        return f', did you mean "{close[0]}"?'
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"; there are {', '.join(names[:_NAMED]) or 'none'}{more}"


Outline = tuple[list[tuple[str, int]], list[tuple[int, str]]]
"""Headers and keys of a text, each with its line."""


class TomlPlaces:
    """The headers and keys of one TOML text, walked once; what stands inside multi-line
    strings is skipped.
    """

    def __init__(self, text: str, outline: Outline | None = None) -> None:
        self._lines = text.split("\n")
        self._headers: list[tuple[str, int]] = []
        self._keys: list[tuple[int, str]] = []
        if outline is None:
            self._walk()
        else:
            self._headers, self._keys = outline

    def outline(self) -> Outline:
        """Returns what the walk over the text has found."""
        return self._headers, self._keys

    def _walk(self) -> None:
        closing: str | None = None
        for number, line in enumerate(self._lines, 1):
            if closing is None:
                self._note(number, line)
            closing = _open_string_after(line, closing)

    def _note(self, number: int, line: str) -> None:
        if header := _HEADER.match(line):
            self._headers.append((header[2], number))
        elif key := _KEY.match(line):
            self._keys.append((number, key[1]))

    def table(self, kind: str, index: int) -> int:
        """Line of the header of the `index`-th `[[kind]]`, else of the first key called so, else
        1.
        """
        lines = [line for name, line in self._headers if name == kind]
        return lines[index] if index < len(lines) else self.top(kind)

    def top(self, name: str) -> int:
        """Line where the top-level name `name` first stands, else 1."""
        lines = [line for header, line in self._headers if header.split(".")[0] == name]
        lines += [line for line, key in self._keys if key == name]
        return min(lines, default=1)

    def child(self, kind: str, index: int, sub: str, sub_index: int) -> int:
        """Line of the `sub_index`-th `[[kind.sub]]` that belongs to the `index`-th `[[kind]]`."""
        start = self.table(kind, index)
        end = self._end(kind, start)
        lines = [
            line for name, line in self._headers if name == f"{kind}.{sub}" and start < line < end
        ]
        return lines[sub_index] if sub_index < len(lines) else start

    def key(self, start: int, name: str) -> int:
        """Line of the key `name` in the table whose header stands at `start`, else `start`."""
        end = min((line for _, line in self._headers if line > start), default=len(self._lines) + 1)
        return next((line for line, key in self._keys if start < line < end and key == name), start)

    def value(self, start: int, text: str) -> int:
        """Line at or after `start` (a key's line) that spells the string `text`, else `start`."""
        end = min((line for _, line in self._headers if line > start), default=len(self._lines) + 1)
        spellings = (f"'{text}'", json.dumps(text, ensure_ascii=False))
        for number in range(start, end):
            if any(spelling in self._lines[number - 1] for spelling in spellings):
                return number
        return start

    def _end(self, kind: str, start: int) -> int:
        return min(
            (line for name, line in self._headers if name == kind and line > start),
            default=len(self._lines) + 1,
        )


def _open_string_after(line: str, closing: str | None) -> str | None:
    """The delimiter of the multi-line string that is still open after `line`, given the one
    open before it.
    """
    position = 0
    while True:
        if closing is not None:
            end = line.find(closing, position)
            if end < 0:
                return closing
            position, closing = end + 3, None
        token = _TOKEN.search(line, position)
        if token is None:
            return None
        position = token.end()
        if token[0] in ("'''", '"""'):
            closing = token[0]


def toml_string(value: str) -> str:
    """Writes a TOML string; what a terminal or an editor would act on is spelled out."""
    text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return _UNSEEN.sub(_spelled_out, text)


def _spelled_out(unseen: re.Match[str]) -> str:
    code = ord(unseen[0])
    return f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"
