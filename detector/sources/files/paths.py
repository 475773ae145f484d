"""The paths that a person names → the inputs to read, in order.

In: files, folders, globs and "-". Out: `Input`s and, for what is not there, `SourceProblem`s.
Folders are gone through in sorted order; a file that is named twice, or by two names, is read once.
What logrotate made of one log is read oldest first, so that a report goes on from one file into the
next; the parts of one pstore dump become one input, oldest text first. Reads no file but the first
line of those that are named like pstore's.
"""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from detector.lazy_regex import lazy_regex
from detector.sources.errors import SourceProblem
from detector.sources.files.decompress import STDIN

# fs/pstore/platform.c pstore_dump(): "%s#%d Part%u\n", the reasons by kmsg_dump_reason_str(); part
# 1 holds the newest text.
PART = lazy_regex(rb"([A-Z][a-z]+)#(\d+) Part(\d+)\r?\n")
# drivers/firmware/efi/efi-pstore.c names a record by its second, two digits of part, three of
# count: parts of one dump share the second.
EFI_NAME = lazy_regex(r"dmesg-efi\w*-(\d+?)\d{5}$")
# logrotate: kern.log.2.gz, or with dateext kern.log-20261122 and, with `extension`, kern.1.log and
# kern-20261122.log.
ROTATED = lazy_regex(
    r"(.+?)(?:\.(\d{1,4})|-(\d{8}(?:-?\d{1,10})?))(\.log)?(?:\.(?:gz|xz|bz2|zst))?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Input:
    """One log to read: `files` one after the other are one log that is called `name`; of each,
    `skip` bytes are not log text.

    `named` is True where the person named just this file, not a folder that holds it.
    """

    name: str
    files: tuple[str, ...]
    named: bool = True
    skip: tuple[int, ...] = (0,)


def expand(paths: Iterable[str]) -> tuple[list[Input], list[SourceProblem]]:
    """Returns what is to be read, and what cannot."""
    files: dict[object, tuple[str, bool]] = {}
    problems: list[SourceProblem] = []
    for path in paths:
        before = len(problems)
        seen = False
        for file, named in _files(path, problems):
            seen = True
            files.setdefault(_identity(file), (file, named))
        if not seen and len(problems) == before:
            problems.append(SourceProblem(path, _why_nothing(path)))
    return list(_joined(_oldest_first(files.values()))), problems


def _oldest_first(files: Iterable[tuple[str, bool]]) -> list[tuple[str, bool]]:
    """The same files; those that logrotate made of one log stand together, where the first of
    them stood, the log itself last.
    """
    logs: dict[str, list[tuple[tuple[int, ...], tuple[str, bool]]]] = {}
    for file in files:
        log, age = _rotation(file[0])
        logs.setdefault(log, []).append((age, file))
    return [
        file for rotated in logs.values() for _, file in sorted(rotated, key=lambda item: item[0])
    ]


def _rotation(file: str) -> tuple[str, tuple[int, ...]]:
    """The log that a file was rotated out of (itself, if it was not), and what sorts such files
    oldest first.
    """
    rotated = ROTATED.fullmatch(os.path.basename(file))  # Path takes 10 µs a file  # noqa: PTH119
    if rotated is None:
        return file, (1,)
    path = Path(file)
    stem, number, date, suffix = rotated.groups()
    age = (-int(number),) if number else tuple(int(part) for part in date.split("-"))
    return str(path.with_name(stem + (suffix or ""))), (0, *age)


def _files(path: str, problems: list[SourceProblem]) -> Iterator[tuple[str, bool]]:
    """The files of one path, and whether each was named itself."""
    if path == STDIN or (os.path.lexists(path) and not Path(path).is_dir()):
        yield path, True
    elif Path(path).is_dir():
        yield from ((file, False) for file in _inside(path, problems))
    else:
        for match in sorted(glob.glob(path, recursive=True)):  # Path.glob takes no absolute pattern  # noqa: PTH207
            if Path(match).is_dir():
                yield from ((file, False) for file in _inside(match, problems))
            else:
                yield match, True


def _inside(folder: str, problems: list[SourceProblem]) -> Iterator[str]:
    """The regular files of a folder and its subfolders.

    Subfolders by symbolic links are left out: they may lead in a circle.
    """

    def closed(error: OSError) -> None:
        problems.append(SourceProblem(str(error.filename), f"cannot be read: {error.strerror}"))

    for inner, folders, names in os.walk(folder, onerror=closed):
        folders.sort()
        base = str(Path(inner) / "_")[:-1]  # Path takes 10 µs a file
        for name in sorted(names):
            file = f"{base}{name}"
            try:
                regular = stat.S_ISREG(os.stat(file).st_mode)  # noqa: PTH116
            except OSError:
                regular = True  # opening it will say what is wrong
            if regular:
                yield file


def _why_nothing(path: str) -> str:
    if Path(path).is_dir():
        return "no files in this folder"
    return "no file matches" if glob.has_magic(path) else "no such file or folder"


def _identity(file: str) -> object:
    try:
        status = os.stat(file)  # Path takes 10 µs a file  # noqa: PTH116
    except OSError:
        return file
    return (
        file
        if file == STDIN or not stat.S_ISREG(status.st_mode)
        else (status.st_dev, status.st_ino)
    )


def _joined(files: Iterable[tuple[str, bool]]) -> Iterator[Input]:
    """The inputs; the parts of a pstore dump stand together, where its first part would."""
    dumps: dict[tuple[str, ...], list[tuple[int, str, int]]] = {}
    order: list[Input | tuple[str, ...]] = []
    for file, named in files:
        part = _pstore_part(file)
        if part is None:
            order.append(Input(file, (file,), named))
            continue
        dump, number, skip = part
        if dump not in dumps:
            order.append(dump)
        dumps.setdefault(dump, []).append((number, file, skip))
    for item in order:
        if isinstance(item, Input):
            yield item
        else:
            parts = sorted(dumps[item], key=lambda part: (-part[0], part[1]))
            yield Input(
                "/".join(item[:2]),
                tuple(file for _, file, _ in parts),
                True,
                tuple(skip for _, _, skip in parts),
            )


def _pstore_part(file: str) -> tuple[tuple[str, ...], int, int] | None:
    """(folder, reason and count, second), the part's number, the length of its first line;
    None for what is no part of a dump.
    """
    if "dmesg-" not in file:
        return None
    path = Path(file)
    if not path.name.startswith("dmesg-"):
        return None
    try:
        with path.open("rb") as opened:
            first = opened.readline(64)
    except OSError:
        return None
    matched = PART.fullmatch(first)
    if matched is None:
        return None
    named = EFI_NAME.fullmatch(path.name)
    dump = (str(path.parent), f"{matched[1].decode()}#{int(matched[2])}", named[1] if named else "")
    return dump, int(matched[3]), len(first)
