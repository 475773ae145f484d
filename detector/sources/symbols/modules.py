"""Finds and reads the modules of a kernel: those of a folder, or some of them by name.

In: a folder such as /lib/modules/RELEASE, names as logs print them. Out: modules that belong to the
kernel. Errors are SourceErrors of one line that name the file.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from detector.lazy_regex import lazy_regex
from detector.sources.errors import SourceError
from detector.sources.symbols.files import read_file
from detector.symbols import MAX_MODULES, UnreadableImageError
from detector.symbols.btf import Btf
from detector.symbols.image import KernelImage
from detector.symbols.module import ModuleImage, read_module

_FILE = lazy_regex(r"([\w-]+)\.ko(?:\.gz|\.xz|\.zst)?")
_LARGEST = 64 * 1024 * 1024


def find_modules(folder: Path, names: Collection[str] = ()) -> list[Path]:
    """The files of the modules below a folder; with names, of these alone."""
    chosen = {_plain(name) for name in names}
    files = {
        _plain(match[1]): path
        for path in sorted(folder.rglob("*.ko*"))
        if (match := _FILE.fullmatch(path.name)) and (not chosen or _plain(match[1]) in chosen)
    }
    missing = sorted(chosen - set(files))
    if missing:
        raise SourceError(f"{folder}: no module {missing[0]} is below it")
    if not files:
        raise SourceError(f"{folder}: no modules (*.ko, *.ko.xz …) are below it")
    return [*files.values()]


def read_modules(paths: Sequence[Path], kernel: KernelImage) -> list[ModuleImage]:
    """Reads modules, which must be of this kernel's build."""
    base = Btf(kernel.btf) if kernel.btf else None
    modules, held = [], 0
    for path in paths:
        try:
            module = read_module(read_file(path, _LARGEST))
            _check(module, kernel, base)
        except UnreadableImageError as error:
            raise SourceError(f"{path}: {error}") from error
        modules.append(module)
        held += sum(len(part.data) for part in module.image.code) + len(module.image.btf)
        if held > MAX_MODULES:
            raise SourceError(
                f"{path}: with it the modules have more than {MAX_MODULES >> 20} MB: name those "
                "that are needed with --module NAME, as lsmod lists them"
            )
    return modules


def _check(module: ModuleImage, kernel: KernelImage, base: Btf | None) -> None:
    release = module.image.release
    if release != kernel.release:
        raise UnreadableImageError(f"it is a module of {release}, the image is {kernel.release}")
    if module.image.arch != kernel.arch:
        raise UnreadableImageError(f"it is of {module.image.arch}, the image of {kernel.arch}")
    if module.image.btf and (base is None or not Btf(module.image.btf, base).belongs_to(base)):
        raise UnreadableImageError("its types are not those of the image: it is of another build")


def _plain(name: str) -> str:
    """A module's name as logs print it."""
    return name.replace("-", "_")
