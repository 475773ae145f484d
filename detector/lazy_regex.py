"""Regular expressions that are compiled when they are first used.

A command imports some four hundred and uses a few dozen; compiling all of them took a fifth of the
time in which a small file is scanned. In: what `re.compile` takes. Out: an object with its methods.
A method is looked up once and then kept, so a call costs what it costs on a compiled one.
"""

from __future__ import annotations

import re
from typing import Any, AnyStr, cast


class _LazyRegex:
    """An expression that compiles itself at the first access to an attribute of a pattern."""

    def __init__(self, source: str | bytes, flags: int) -> None:
        self._source = source
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what `copy` and the like ask for is no business of a pattern
            raise AttributeError(name)
        value = getattr(re.compile(self._source, self._flags), name)
        setattr(self, name, value)
        return value

    def __repr__(self) -> str:
        return f"lazy_regex({self._source!r})"


def lazy_regex(source: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Returns what stands for `re.compile(source, flags)`, compiled at its first use."""
    return cast("re.Pattern[AnyStr]", _LazyRegex(source, flags))
