"""Why no broker answers: one line that names the setting to mend.

In: the options of a client that failed. It knocks at each server with plain sockets, as far as the
options go: name, port, TLS, Kafka.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Mapping
from typing import Any

KNOCK_S = 3.0
# ApiVersions, version 0: the one request that every broker answers before it knows who asks.
API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, 1, -1)
HOSTNAME_MISMATCH = 62  # X509_V_ERR_HOSTNAME_MISMATCH
ADDRESS_MISMATCH = 64  # X509_V_ERR_IP_ADDRESS_MISMATCH


def why_unreachable(options: Mapping[str, Any]) -> str:
    """The reason, for each server where one is seen; nothing where all of them answer a first
    question.
    """
    return "; ".join(
        filter(None, (_why(server, options) for server in options["bootstrap_servers"]))
    )


def _why(server: str, options: Mapping[str, Any]) -> str | None:
    host, port = _address(server)
    try:
        knocking = socket.create_connection((host, port), KNOCK_S)
    except socket.gaierror as error:
        return f"kafka.bootstrap_servers: {server}: the name {host} is not known ({error.strerror})"
    except TimeoutError:
        return f"kafka.bootstrap_servers: {server} does not answer"
    except OSError as error:
        return f"kafka.bootstrap_servers: {server}: {error.strerror or error}"
    with knocking:
        knocking.settimeout(KNOCK_S)
        if options["security_protocol"].endswith("SSL"):
            return _why_no_tls(knocking, server, host, options["ssl_context"])
        if _answers(knocking):
            return None
    return _why_no_plain(server, host, port, options["security_protocol"])


def _why_no_tls(
    knocking: socket.socket, server: str, host: str, context: ssl.SSLContext
) -> str | None:
    try:
        with context.wrap_socket(knocking, server_hostname=host) as greeted:
            return None if _answers(greeted) else _no_broker(server)
    except ssl.SSLCertVerificationError as error:
        if error.verify_code in {HOSTNAME_MISMATCH, ADDRESS_MISMATCH}:
            return (
                f"kafka.ssl_check_hostname: the certificate of {server} is for another name: "
                f"{error.verify_message}"
            )
        return (
            f"kafka.ssl_cafile: the certificate of {server} is not trusted: {error.verify_message}"
        )
    except OSError:
        return (
            f"kafka.security_protocol: {server} does not speak TLS; without it say PLAINTEXT or "
            "SASL_PLAINTEXT"
        )


def _why_no_plain(server: str, host: str, port: int, protocol: str) -> str:
    """It took the connection and answered nothing: perhaps it waits for a TLS greeting."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), KNOCK_S) as knocking,
            context.wrap_socket(knocking),
        ):
            instead = "SASL_SSL" if protocol.startswith("SASL") else "SSL or SASL_SSL"
            return (
                f"kafka.security_protocol: {server} speaks TLS, and the setting is {protocol}; "
                f"say {instead}"
            )
    except OSError:
        return _no_broker(server)


def _no_broker(server: str) -> str:
    return f"kafka.bootstrap_servers: {server} does not answer as a Kafka broker does"


def _answers(knocking: socket.socket) -> bool:
    """Whether what listens there answers the first request of Kafka's protocol, whose answer begins
    with its length and our number.
    """
    try:
        knocking.sendall(API_VERSIONS)
        return knocking.recv(8)[4:8] == b"\0\0\0\1"
    except OSError:
        return False


def _address(server: str) -> tuple[str, int]:
    host, colon, port = server.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = server, "9092"
    return host.strip("[]"), int(port)
