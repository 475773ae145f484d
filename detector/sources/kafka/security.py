"""The settings of Kafka → the options that every kafka-python client takes: where the
brokers are, how to talk to them.

Raises SourceError for certificates that cannot be used. Connects to nothing.
"""

from __future__ import annotations

import ssl
from typing import Any

from detector.settings.kafka import Kafka
from detector.sources.errors import SourceError


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
