"""TLS by the server itself: a real handshake with a certificate made here; plain text gets no
answer, what does not fit is said.
"""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx2
import pytest

from detector.serve.server import Server
from detector.settings import SettingsError
from tests.support import queries
from tests.support.certificates import certificate
from tests.support.visiting import served, settings_of

pytestmark = pytest.mark.debian


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The history of the table of queries."""
    made = tmp_path_factory.mktemp("tls") / "history.db"
    queries.fill(made)
    return made


def test_https_answers_and_http_does_not(path: Path, tmp_path: Path) -> None:
    """Who trusts the certificate gets pages that stay on https; who does not ends the handshake;
    plain text is never answered.
    """
    files = certificate(tmp_path, "own")
    with served(path, **files) as server:
        assert server.address == f"https://127.0.0.1:{server.port}"
        trusting = ssl.create_default_context(cafile=files["tls_certfile"])
        with httpx2.Client(base_url=server.address, verify=trusting, timeout=20) as client:
            answer = client.get("/incidents")
            assert answer.status_code == 200
            assert answer.headers["strict-transport-security"].startswith("max-age=")
            with (
                httpx2.Client(base_url=server.address, timeout=20) as stranger,
                pytest.raises(httpx2.ConnectError, match="self-signed"),
            ):
                stranger.get("/incidents")
            with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
                httpx2.get(f"http://127.0.0.1:{server.port}/incidents", timeout=20)
            assert client.get("/healthz").status_code == 200


def test_a_key_of_another_certificate_is_one_line(path: Path, tmp_path: Path) -> None:
    """The setting, the file, what is wrong; nothing is bound afterwards."""
    files = certificate(tmp_path, "own") | {
        "tls_keyfile": certificate(tmp_path, "other")["tls_keyfile"]
    }
    with pytest.raises(SettingsError) as caught:
        Server(settings_of(path, **files), port=0)
    (fault,) = caught.value.faults
    assert fault.startswith(
        f"serve.tls_certfile: {files['tls_certfile']} with its key cannot be used: "
    )
    assert "\n" not in fault
