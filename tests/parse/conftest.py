"""Parsing in one call: bytes or text in, what the parser says out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from detector.model import Line, Record, Unparsed
from detector.parse import Parser

NOW_US = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()) * 1_000_000

Read = Callable[..., list[Line | Unparsed]]


@pytest.fixture
def now_us() -> int:
    """Noon of 1 March 2026."""
    return NOW_US


@pytest.fixture
def read() -> Read:
    """Feeds values, one record each, to one parser, and flushes it: `read(value, …, key=…,
    **options of Parser)`.
    """

    def run(
        *values: bytes | str,
        key: bytes | None = None,
        now_us: int = NOW_US,
        source: str = "kern.log",
        **options: object,
    ):
        parser = Parser(**options)
        said: list[Line | Unparsed] = []
        for number, value in enumerate(values, start=1):
            octets = value if isinstance(value, bytes) else value.encode()
            said += parser.feed(Record(octets, source, number, key), now_us)
        return said + parser.flush()

    return run


@pytest.fixture
def line(read: Read) -> Callable[..., Line]:
    """The only Line of a value."""

    def run(value: bytes | str, **options: object) -> Line:
        said = read(value, **options)
        assert len(said) == 1, said
        assert isinstance(said[0], Line), said
        return said[0]

    return run
