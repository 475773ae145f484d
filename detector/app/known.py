"""The index of known bugs at the place set for it, and the history that is read with it.

In: settings. Out: an `IndexFile`, which reads nothing before it is asked; `KnownBugs` over it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from detector.catalogue import Catalogue
    from detector.known.lookup import KnownBugs
    from detector.known.quotes import MessageReader
    from detector.settings import Settings
    from detector.sources.known.index_file import IndexFile
    from detector.store import History


def known_bugs(
    settings: Settings,
    catalogue: Callable[[], Catalogue] | None = None,
    on_fault: Callable[[str], None] | None = None,
) -> KnownBugs:
    """The known bugs of crash reports, by the index in force; without a catalogue at hand it is
    read when it is needed.
    """
    from detector.known.lookup import KnownBugs

    once = catalogue or cache(lambda: _catalogue(settings))
    return KnownBugs(index_file(settings, on_fault).current, once, on_fault)


def _catalogue(settings: Settings) -> Catalogue:
    # Imported here: the whole pipeline, which commands that only read the history do without.
    from detector.app import build

    return build.catalogue_of(settings)


def history_of(settings: Settings, on_fault: Callable[[str], None] | None = None) -> History:
    """The history for reading, with what is known of its crashes."""
    from detector.store import open_history
    from detector.store.query.problem_names import ProblemNames

    names = ProblemNames(known_bugs(settings, on_fault=on_fault))
    return open_history(settings.store.path, names)


def index_file(settings: Settings, on_fault: Callable[[str], None] | None = None) -> IndexFile:
    """The user's own index, else the one that came with the package."""
    from detector.sources.known.index_file import IndexFile

    setting = "known.index" if settings.known.index is not None else None
    return IndexFile((own_path(settings), shipped_path()), on_fault, setting)


def own_path(settings: Settings) -> Path:
    """Returns the path to which `oopswatch known update` writes."""
    from detector.sources.known.index_file import NAME

    return settings.known.index or settings.store.path.parent / NAME


def shipped_path() -> Path:
    """The index in the package, or in the checkout."""
    from detector.settings import shipped_patterns_dir
    from detector.sources.known.index_file import NAME

    return shipped_patterns_dir() / "known-bugs" / NAME


def reader_of(catalogue: Catalogue) -> MessageReader:
    """A reader of quoted reports with the signatures of a catalogue."""
    from detector.known.quotes import MessageReader

    return MessageReader.of(catalogue, catalogue.generic_functions)
