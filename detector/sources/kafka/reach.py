"""The options of kafka-python clients, and why a broker cannot be reached.

In: the options of a client that failed. It knocks at each server with plain sockets, as far as the
options go: name, port, TLS, Kafka. A server that is away may come back, so waiting may help; one
that speaks another protocol will not.

Raises SourceError for certificates that cannot be used. Connects to nothing.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from detector.settings.kafka import Kafka
from detector.sources.errors import SourceError

KNOCK_S = 3.0
# ApiVersions, version 0: the one request that every broker answers before it knows who asks.
API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, 1, -1)
HOSTNAME_MISMATCH = 62  # X509_V_ERR_HOSTNAME_MISMATCH
ADDRESS_MISMATCH = 64  # X509_V_ERR_IP_ADDRESS_MISMATCH


@dataclass(frozen=True, slots=True)
class Obstacle:
    """An obstacle between a client and one server. `passing` says that waiting may mend it."""

    text: str
    passing: bool = False


def why_unreachable(options: Mapping[str, Any]) -> str:
    """The reason, for each server where one is seen; nothing where all of them answer a first
    question.
    """
    return "; ".join(obstacle.text for obstacle in obstacles(options))


def obstacles(options: Mapping[str, Any]) -> list[Obstacle]:
    """Returns what keeps a client from each server that does not answer a first question."""
    obstacles_read = (_obstacle(server, options) for server in options["bootstrap_servers"])
    return [obstacle for obstacle in obstacles_read if obstacle is not None]


def _obstacle(server: str, options: Mapping[str, Any]) -> Obstacle | None:
    host, port = _address(server)
    try:
        knocking = socket.create_connection((host, port), KNOCK_S)
    except socket.gaierror as error:
        text = f"{server}: the name {host} is not known ({error.strerror})"
        return Obstacle(f"kafka.bootstrap_servers: {text}", passing=True)
    except TimeoutError:
        return Obstacle(f"kafka.bootstrap_servers: {server} does not answer", passing=True)
    except OSError as error:
        text = f"kafka.bootstrap_servers: {server}: {error.strerror or error}"
        return Obstacle(text, passing=True)
    with knocking:
        knocking.settimeout(KNOCK_S)
        if options["security_protocol"].endswith("SSL"):
            return _why_no_tls(knocking, server, host, options["ssl_context"])
        if _answers(knocking):
            return None
    return _why_no_plain(server, host, port, options["security_protocol"])


def _why_no_tls(
    knocking: socket.socket, server: str, host: str, context: ssl.SSLContext
) -> Obstacle | None:
    try:
        with context.wrap_socket(knocking, server_hostname=host) as greeted:
            return None if _answers(greeted) else _no_broker(server)
    except ssl.SSLCertVerificationError as error:
        if error.verify_code in {HOSTNAME_MISMATCH, ADDRESS_MISMATCH}:
            return Obstacle(
                f"kafka.ssl_check_hostname: the certificate of {server} is for another name: "
                f"{error.verify_message}"
            )
        return Obstacle(
            f"kafka.ssl_cafile: the certificate of {server} is not trusted: {error.verify_message}"
        )
    except TimeoutError:
        return _no_broker(server)
    except OSError:
        return Obstacle(
            f"kafka.security_protocol: {server} does not speak TLS; without it say PLAINTEXT or "
            "SASL_PLAINTEXT"
        )


def _why_no_plain(server: str, host: str, port: int, protocol: str) -> Obstacle:
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
            return Obstacle(
                f"kafka.security_protocol: {server} speaks TLS, and the setting is {protocol}; "
                f"say {instead}"
            )
    except OSError:
        return _no_broker(server)


def _no_broker(server: str) -> Obstacle:
    """Passing: a proxy before brokers that are still starting takes connections, and hangs up."""
    text = f"kafka.bootstrap_servers: {server} does not answer as a Kafka broker does"
    return Obstacle(text, passing=True)


def _answers(knocking: socket.socket) -> bool:
    """Returns whether what listens there answers the first request of Kafka's protocol, whose
    answer begins with its length and our number.
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


def client_settings(kafka: Kafka) -> dict[str, Any]:
    """Options for KafkaConsumer, KafkaProducer and KafkaAdminClient alike."""
    options: dict[str, Any] = {
        "bootstrap_servers": list(kafka.bootstrap_servers),
        "client_id": kafka.client_id,
        "security_protocol": kafka.security_protocol,
    }
    if kafka.security_protocol.endswith("SSL"):
        options["ssl_context"] = _tls(kafka)
    if kafka.security_protocol.startswith("SASL"):
        options["sasl_mechanism"] = kafka.sasl_mechanism
        options["sasl_plain_username"] = kafka.sasl_username
        options["sasl_plain_password"] = (
            kafka.sasl_password.get_secret_value() if kafka.sasl_password else None
        )
    return options


def _tls(kafka: Kafka) -> ssl.SSLContext:
    """Certificates are checked, always; names where the settings do not say otherwise."""
    try:
        context = ssl.create_default_context(cafile=kafka.ssl_cafile)
    except (OSError, ssl.SSLError) as error:
        raise SourceError(
            f"kafka.ssl_cafile: {kafka.ssl_cafile} holds no certificates that can be used: "
            f"{_reason(error)}"
        ) from error
    context.check_hostname = kafka.ssl_check_hostname
    if kafka.ssl_certfile:
        try:
            # A key with a passphrase would make OpenSSL ask on the terminal: a service has none, so
            # the passphrase is given as empty.
            context.load_cert_chain(kafka.ssl_certfile, kafka.ssl_keyfile, password="")
        except (OSError, ssl.SSLError) as error:
            names = (
                f"{kafka.ssl_certfile} and {kafka.ssl_keyfile}"
                if kafka.ssl_keyfile
                else str(kafka.ssl_certfile)
            )
            raise SourceError(
                f"kafka.ssl_certfile: {names} hold no certificate with its key, "
                f"unencrypted: {_reason(error)}"
            ) from error
    return context


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
