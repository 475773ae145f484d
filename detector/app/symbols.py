"""The folder of symbols packs, as the settings say where it is, and the kernels in it.

In: settings. Out: the folder; kernels by release, read when a crash of that release is explained.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path

from detector.member.kernel import KernelBuild
from detector.settings import Settings
from detector.sources.errors import SourceError
from detector.sources.symbols.folder import SymbolsFolder, read_pack
from detector.symbols import UnreadableImageError, UnreadablePackError
from detector.symbols.btf import Btf
from detector.symbols.pack import SymbolsPack

_MODULES_KEPT = 4
_KEPT = 2  # kernels in memory, of 50 to 100 MB each


def symbols_folder(settings: Settings) -> SymbolsFolder:
    """The folder that `oopswatch symbols` writes and explanations read."""
    return SymbolsFolder(settings.symbols_directory)


class KernelShelf:
    """Kernels that are read from packs; the latest are kept. A pack that is damaged gives none."""

    def __init__(self, folder: SymbolsFolder) -> None:
        self._folder = folder
        self._kept: dict[tuple[Path, int], KernelBuild | None] = {}

    def of(self, release: str) -> list[KernelBuild]:
        """The kernels of a release, one for each build; none where there is no pack."""
        kernels = (self._kernel(path) for path in self._folder.paths_of(release))
        return [kernel for kernel in kernels if kernel is not None]

    def _kernel(self, path: Path) -> KernelBuild | None:
        try:
            key = path, path.stat().st_mtime_ns
        except OSError:
            return None
        if key not in self._kept:
            kernel = _read(path)
            while len(self._kept) >= _KEPT:
                self._kept.pop(next(iter(self._kept)), None)
            self._kept[key] = kernel
        return self._kept.get(key)


class _Modules:
    """The modules of one pack, read when a crash in one is explained; the latest are kept."""

    def __init__(self, path: Path, pack: SymbolsPack) -> None:
        self._path, self._pack = path, pack
        self.named = lru_cache(maxsize=_MODULES_KEPT)(self._named)

    def _named(self, name: str) -> KernelBuild | None:
        try:
            module = self._pack.module(name)
            if module is None or not module.has_types:
                return None
            types = Btf(module.split_types, self._pack.types)
            code, symbols, relocated = module.code, module.symbols, module.relocated
            arch = self._pack.header.arch
            return KernelBuild(arch, code, symbols, types, relocated=relocated)
        except (UnreadablePackError, UnreadableImageError) as error:
            _say_fault(f"{self._path}: module {name}: {error}")
        return None


def kernel_of_pack(path: Path, pack: SymbolsPack) -> KernelBuild | None:
    """The kernel of an opened pack; None where it has no types. Raises UnreadablePackError."""
    if not pack.has_types:
        return None
    modules = _Modules(path, pack)
    return KernelBuild(pack.header.arch, pack.code, pack.symbols, pack.types, modules=modules.named)


def _read(path: Path) -> KernelBuild | None:
    """The kernel of a pack; None where it is damaged, or has no types."""
    try:
        return kernel_of_pack(path, read_pack(path))
    except SourceError as error:
        _say_fault(str(error))
    except UnreadablePackError as error:
        _say_fault(f"{path}: {error}; `oopswatch symbols add IMAGE` makes a new one")
    return None


def _say_fault(text: str) -> None:
    """A service logs it; a command says it on standard error, apart from what it prints."""
    from detector import telemetry

    if telemetry.is_logging():
        telemetry.say("symbols_pack_refused", fault=text)
    else:
        sys.stderr.write(f"oopswatch: {text}\n")
