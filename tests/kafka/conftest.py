"""What holds for all tests that talk to a broker."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The client forgets to close the sockets of connections that failed; they are closed when they are collected."""
    for item in items:
        if item.get_closest_marker("kafka"):
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <:ResourceWarning"))


@pytest.fixture(autouse=True)
def forgotten_sockets() -> Iterator[None]:
    """They are collected before the next test, which knows nothing of them."""
    yield
    gc.collect()
