"""Bytes kept from one start to the next: a search, a catalogue, a blank history.

The floors that make such things hand them over as bytes and do no IO; `app/cache_folder.py` keeps
them.
"""

from __future__ import annotations

from typing import Protocol


class KeptBytes(Protocol):
    """Bytes that outlive the process. They may be lost at any time."""

    def load(self, key: str) -> bytes | None:
        """Returns the bytes kept under a key, or None."""
        ...

    def save(self, key: str, data: bytes) -> None:
        """Keeps some bytes under a key."""
        ...
