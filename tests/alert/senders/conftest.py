"""A receiver that speaks TLS: its certificate is for `localhost` alone, signed by itself, and in
the fixtures together with its key.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.receivers import http_receiver

CERTIFICATE = Path(__file__).parents[1] / "fixtures" / "localhost.pem"


@pytest.fixture
def ca_file() -> str:
    """The certificate that a client is to trust."""
    return str(CERTIFICATE)


@pytest.fixture
def https_port() -> Iterator[int]:
    """The port of a receiver that answers 200."""
    with http_receiver(certificate=CERTIFICATE) as receiver:
        yield receiver.port
