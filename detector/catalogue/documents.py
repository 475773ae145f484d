"""The documents of pattern files, parsed once and kept from one start to the next.

In: path → TOML text, and a place that keeps bytes. Out: each file's document and the places of its
tables, or the faults of what is no TOML. What is kept is a function of the texts alone, under a
name made of them; it is checked like a file that was just parsed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from hashlib import sha256
from typing import Any

from detector.kept_bytes import KeptBytes
from detector.toml_tables import BadTomlError, LocatedFault, TomlPlaces, parse_toml

Document = tuple[dict[str, Any], TomlPlaces]
"""What a file holds, and where in it."""

# The key under which JSON holds a number with a fraction; TOML refuses it in a bare key.
_DECIMAL = "\0decimal"


def documents(
    files: Mapping[str, str], kept: KeptBytes | None, faults: list[LocatedFault]
) -> dict[str, Document]:
    """Path → document of each file that is TOML, in the order of the paths; the faults of the
    others are added to `faults`.
    """
    key = _key(files)
    if kept is not None and (data := kept.load(key)):
        return _decoded(data, files)
    parsed: dict[str, Document] = {}
    for path in sorted(files):
        try:
            document = parse_toml(files[path], parse_float=Decimal)
        except BadTomlError as error:
            faults.append(LocatedFault(path, error.line, str(error)))
        else:
            parsed[path] = document, TomlPlaces(files[path])
    if kept is not None and not faults and (encoded := _encoded(parsed)):
        kept.save(key, encoded)
    return parsed


def _key(files: Mapping[str, str]) -> str:
    """Returns a name for these texts and for how they are kept."""
    texts = json.dumps(sorted(files.items())).encode()
    return f"pattern documents 1 {sha256(texts).hexdigest()}"


def _encoded(parsed: Mapping[str, Document]) -> bytes | None:
    """Returns the documents as JSON; None where one holds what JSON does not."""
    try:
        return json.dumps(
            {path: (document, places.outline()) for path, (document, places) in parsed.items()},
            default=_decimal,
        ).encode()
    except TypeError:
        return None


def _decoded(data: bytes, files: Mapping[str, str]) -> dict[str, Document]:
    entries = json.loads(data, object_hook=_number)
    return {
        path: (document, TomlPlaces(files[path], outline))
        for path, (document, outline) in entries.items()
    }


def _decimal(value: object) -> dict[str, str]:
    if isinstance(value, Decimal):
        return {_DECIMAL: str(value)}
    raise TypeError(value)


def _number(table: dict[str, Any]) -> Any:
    return Decimal(table[_DECIMAL]) if _DECIMAL in table else table
