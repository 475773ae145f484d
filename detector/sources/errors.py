"""Errors of sources, one clear line each."""

from __future__ import annotations

from dataclasses import dataclass

from detector.errors import UserError


class SourceError(UserError):
    """The source cannot be used as asked; the message is one line that names the setting or the
    path to mend.
    """


class LostPartitionsError(Exception):
    """The source may no longer own what was read last: it is not to be stored here."""


@dataclass(frozen=True, slots=True)
class SourceProblem:
    """An input that was not read, or not wholly.

    `fatal` is False for what misses nothing: an empty file, a binary in a folder of logs.
    """

    path: str
    text: str
    fatal: bool = True

    def __str__(self) -> str:
        """One line, whatever the name of the file holds."""
        path = self.path if self.path.isprintable() else ascii(self.path)[1:-1]
        return f"{path}: {self.text}"
