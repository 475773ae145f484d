"""Compares the inside of kafka-python with what was read when code was built upon it.

In: functions and classes with the SHA-256 of their source (kafka-python 3.0.12). Out: the names of
those that a release has changed: somebody reads them again and notes the new hashes, and until
then what builds upon them is left out.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from typing import Any

Pinned = Mapping[str, tuple[Any, str]]


def changes(pinned: Pinned) -> list[str]:
    """Returns the names whose source is not as it was; none where all is as it was."""
    return [name for name, (what, known) in pinned.items() if source_hash(what) != known]


def source_hash(what: Any) -> str:
    """The hash of the source of a class or function; empty where its source is not at hand."""
    try:
        return hashlib.sha256(inspect.getsource(what).encode()).hexdigest()
    except (OSError, TypeError):
        return ""
