"""The catalogue: pattern files in, one checked set of signatures, rules, known issues and
lists out.

`read` takes a mapping of path → TOML text and either returns a `Catalogue` or raises
`CatalogueError` with every fault, located. Nothing here opens a file: which folders are read, and
in what order one replaces another, is decided by the caller.
"""

from __future__ import annotations

from detector.catalogue.entries import (
    Catalogue,
    CatalogueError,
    NameList,
    Opens,
    Rule,
    RuleTest,
    Signature,
)
from detector.catalogue.reading import read

__all__ = [
    "Catalogue",
    "CatalogueError",
    "NameList",
    "Opens",
    "Rule",
    "RuleTest",
    "Signature",
    "read",
]
