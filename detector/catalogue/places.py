"""Where things stand in a TOML text: tomllib says what a file holds, but not on which line.

In: the text of one pattern file. Out: line numbers (from 1) of the n-th `[[kind]]` header, of a key
in it, of an example in its array. A place that cannot be found (inline tables, say) falls back to
the nearest enclosing one.
"""

from __future__ import annotations

import json
import re

_HEADER = re.compile(r"\s*(\[{1,2})\s*([A-Za-z0-9_.-]+)\s*\]{1,2}\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*["']?([A-Za-z0-9_-]+)["']?\s*=""")
_TOKEN = re.compile(r"""'''|\"\"\"|'[^']*'|"(?:\\.|[^"\\])*"|\#.*""")


class TomlPlaces:
    """The headers and keys of one TOML text, walked once; what stands inside multi-line strings is
    skipped.
    """

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self._headers: list[tuple[str, int]] = []
        self._keys: list[tuple[int, str]] = []
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
        found = [line for name, line in self._headers if name == kind]
        return found[index] if index < len(found) else self.top(kind)

    def top(self, name: str) -> int:
        """Line where the top-level name `name` first stands, else 1."""
        lines = [line for header, line in self._headers if header.split(".")[0] == name]
        lines += [line for line, key in self._keys if key == name]
        return min(lines, default=1)

    def child(self, kind: str, index: int, sub: str, sub_index: int) -> int:
        """Line of the `sub_index`-th `[[kind.sub]]` that belongs to the `index`-th `[[kind]]`."""
        start = self.table(kind, index)
        end = self._end(kind, start)
        found = [
            line for name, line in self._headers if name == f"{kind}.{sub}" and start < line < end
        ]
        return found[sub_index] if sub_index < len(found) else start

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
    """The delimiter of the multi-line string that is still open after `line`, given the one open
    before it.
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
