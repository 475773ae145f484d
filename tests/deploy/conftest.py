"""Fixtures for what is deployed: the programs that check it, and the files themselves."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def program() -> Callable[[str, str], str]:
    """Finds a program that a Debian package brings; a test that misses it says so and is skipped,
    under OOPSWATCH_STRICT=1 it fails.
    """

    def find(name: str, package: str) -> str:
        path = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"]))
        if path is not None:
            return path
        missing = f"{name} is not installed (Debian: package {package})"
        if os.environ.get("OOPSWATCH_STRICT") == "1":
            pytest.fail(missing)
        pytest.skip(missing)

    return find


@pytest.fixture(scope="session")
def deploy() -> Path:
    """The folder of what is deployed."""
    return Path(__file__).parents[2] / "deploy"
