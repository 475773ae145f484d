"""What everybody looks for, from the shipped catalogue: so that every peer is asked for the same
phrases.

Out: all literals, for ripgrep; the phrases of the two halves of the timed rule and of user-space
noise, for what correlates or counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from detector.catalogue import Catalogue, read
from detector.match import Matcher
from detector.settings import shipped_patterns_dir

RULE = "tcp-release-and-memory-fault"
WINDOW_S = 10


@cache
def catalogue() -> Catalogue:
    """The shipped pattern files, read once."""
    root = shipped_patterns_dir()
    return read(
        {
            str(path.relative_to(root)): path.read_text(encoding="utf-8")
            for path in sorted(root.rglob("*.toml"))
        }
    )


@cache
def literals() -> tuple[str, ...]:
    """Every literal that oopswatch scans for."""
    return Matcher(catalogue()).literals


def phrases(name: str) -> tuple[str, ...]:
    """The phrases that begin a line of class `name`: of each literal only what no shorter one
    covers.
    """
    found = {
        literal
        for signature in catalogue().signatures
        if signature.cls == name
        for literal in signature.literals
    }
    return tuple(
        sorted(
            one
            for one in found
            if not any(other != one and one.startswith(other) for other in found)
        )
    )


def noise_phrases() -> tuple[str, ...]:
    """The phrases of user-space faults."""
    found = {
        literal
        for signature in catalogue().signatures
        if signature.origin == "user"
        for literal in signature.literals
    }
    return tuple(sorted(found))


def alternation(texts: Iterable[str]) -> str:
    """One regular expression that every dialect in use here reads (Python, Perl, PCRE, RE2,
    Rust).
    """
    return "|".join(re.sub(r"([][().*+?{}|^$\\])", r"\\\1", text) for text in texts)


def write_literals(path: Path) -> Path:
    """The literals, one a line, for `rg -F -f`."""
    path.write_text("".join(f"{literal}\n" for literal in literals()), encoding="utf-8")
    return path
