"""What holds for all tests that talk to a broker."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def forgotten_sockets() -> Iterator[None]:
    """The client forgets to close the sockets of connections that failed: they are collected before
    the next test runs short of them.
    """
    yield
    gc.collect()
