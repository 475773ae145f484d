"""Nouns as CSV, the same from every door: the columns are the names of their JSON, each
row one line, and no cell begins a formula.

In: rows. Out: text. Lists and objects inside of a row are JSON.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, TextIO

from detector.render.escape import inert
from detector.render.objects import is_wall_time, moment_name


def columns_of(noun: type[Any]) -> list[str]:
    """The names that `as_object` gives the fields of a dataclass, in its order."""
    names = [field.name for field in fields(noun)]
    for name in filter(is_wall_time, tuple(names)):
        names.append(moment_name(name, names))
    return names


def write_csv(out: TextIO, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Writes a line of names and a line for each row."""
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)


def _cell(value: object) -> object:
    """A cell that a spreadsheet reads as text: an apostrophe stands before what would begin a
    formula.
    """
    if isinstance(value, list | dict):
        value = json.dumps(value)
    if not isinstance(value, str):
        return value
    return inert(f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value)
