"""The pattern files that ship with the project, read once for all tests that need them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from detector.catalogue import Catalogue, read

ROOT = Path(__file__).parents[2] / "patterns"


@cache
def shipped_files() -> dict[str, str]:
    """Path below patterns/ → text."""
    return {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(ROOT.rglob("*.toml"))
    }


@cache
def shipped() -> Catalogue:
    """The shipped catalogue."""
    return read(shipped_files())
