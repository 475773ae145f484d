"""The index of known bugs as the settings say where it is.

In: settings. Out: an `IndexFile`, which reads nothing before it is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from pathlib import Path

from detector.catalogue import Catalogue
from detector.known.message import Reader
from detector.settings import Settings, shipped_patterns_dir
from detector.sources.known.index_file import NAME, IndexFile

_GENERIC = "generic-functions"


def index_file(settings: Settings, on_fault: Callable[[str], None] | None = None) -> IndexFile:
    """The user's own index, else the one that came with the package."""
    return IndexFile((own_path(settings), shipped_path()), on_fault)


def own_path(settings: Settings) -> Path:
    """Where `oopswatch known update` writes."""
    return settings.known.index or settings.store.path.parent / NAME


def shipped_path() -> Path:
    """The index in the package, or in the checkout."""
    return shipped_patterns_dir() / "known-bugs" / NAME


def reader_of(catalogue: Catalogue) -> Reader:
    """A reader of quoted reports with the signatures of a catalogue."""
    return Reader.of(catalogue, generic_functions(catalogue))


def generic_functions(catalogue: Catalogue) -> Container[str]:
    """The functions that are never the guilty one."""
    return catalogue.lists.get(_GENERIC, frozenset[str]())
