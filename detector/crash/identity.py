"""Names of functions as identity, and the fingerprint of a crash that is made of them.

In: a symbol as printed. Out: the name under which the same function meets itself on other kernels;
and titles without what varies.

Version 1 hashes the kind, the guilty function and up to three functions that called it: reliable
frames only, without what every path shares (generic functions, entry code), without offsets,
suffixes, modules' addresses. Few frames on purpose: deep callers differ between ways to the same
bug, and a truncated trace has lost them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container
from functools import lru_cache

from detector.crash.demangle import demangled
from detector.lazy_regex import lazy_regex
from detector.model import CrashReport, Frame

_SYSCALL_PREFIXES = (
    "SYSC_", "SyS_", "sys_", "__x64_", "__ia32_", "__arm64_", "____sys_", "___sys_", "__sys_",
    "__se_", "__se_sys_", "__do_sys_",
    "compat_SYSC_", "compat_SyS_", "ksys_",
)  # fmt: skip

# What varies from one crash to the next, and what syzbot's titles put in its place.
_VARIABLE = tuple(
    (lazy_regex(pattern), put)
    for pattern, put in (
        (r"syz-executor\.?[0-9]+(?:[/:][0-9]+)?", "syz-executor"),
        (r"syzkaller[0-9]+(?:[/:][0-9]+)?", "syzkaller"),
        (r"([^a-zA-Z0-9])(?:0x)?[0-9a-f]{6,}", r"\1ADDR"),
        (r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}", "IP"),
        (r"(\.\w+)(?::[0-9]+)+", r"\1:LINE"),
        (r"([a-zA-Z][a-zA-Z0-9_.]+)\+0x[0-9a-z]+/0x[0-9a-z]+", r"\1"),
        (r"CPU#[0-9]+", "CPU"),
        (r"(\W)\d+(?=\W|$)", r"\1NUM"),
        (r"\d{7,}", "NUM"),
    )
)
_LONGEST_TITLE = 120


@lru_cache(maxsize=4096)  # a report asks for each of its frames some twenty times
def base(symbol: str) -> str:
    """The function without compiler suffixes (`.isra.36`, `.constprop.0`, `.part.0`, `.cold`)
    and powerpc's leading dot; a Rust or C++ name as its path.
    """
    name = symbol.lstrip(".").split(".", 1)[0]
    return demangled(name) if name.startswith("_") else name


def identity(frame: Frame) -> str:
    """`base`, and without the prefixes by which system call entries differ between
    architectures and releases; no module has any.
    """
    name = base(frame.function)
    if frame.module is not None:
        return name
    return min(
        (name.removeprefix(prefix) for prefix in ("", *_SYSCALL_PREFIXES) if name != prefix),
        key=len,
    )


def title(text: str) -> str:
    """A title without addresses, numbers and offsets, printable, in one line."""
    for pattern, put in _VARIABLE:
        text = pattern.sub(put, text)
    kept = "".join(
        char if " " <= char <= "~" else " " if char == "\t" else ""
        for char in text[:_LONGEST_TITLE]
    )
    return " ".join(kept.split())


VERSION = 1
_CALLERS = 2


def fingerprint(report: CrashReport, skip: Container[str] = ()) -> str:
    """The versioned fingerprint; reports without any function meet by their title."""
    names = [
        identity(frame) for frame in report.frames if frame.reliable and frame.function not in skip
    ]
    names = [name for name in dict.fromkeys(names) if name not in skip]
    guilty = report.function
    if guilty in names:
        names = names[names.index(guilty) :]
    path = [name for name in names if name != guilty][:_CALLERS]
    subject = (
        [report.kind, guilty, *path]
        if guilty is not None
        else [report.kind, report.title or "", *path]
    )
    text = "\x1f".join(map(str, subject))
    return f"{VERSION}:{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"
