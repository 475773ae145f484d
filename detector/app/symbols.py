"""The folder of symbols packs, as the settings say where it is."""

from __future__ import annotations

from detector.settings import Settings
from detector.sources.symbols.folder import SymbolsFolder

NAME = "symbols"
"""What the folder is called where no setting names another."""


def symbols_folder(settings: Settings) -> SymbolsFolder:
    """The folder that `oopswatch symbols` writes and explanations read."""
    return SymbolsFolder(settings.symbols.directory or settings.store.path.parent / NAME)
