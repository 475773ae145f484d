"""A reader of messages over the shipped catalogue."""

from __future__ import annotations

from functools import cache

from detector.app.known import reader_of
from detector.known.quotes import MessageReader
from tests.support.shipped import shipped


@cache
def reader() -> MessageReader:
    """A reader with the shipped signatures."""
    return reader_of(shipped())
