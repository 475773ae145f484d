from __future__ import annotations

import socket
import ssl
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from detector.settings.kafka import Kafka
from detector.sources import SourceError
from detector.sources.kafka import KafkaSource, connect
from detector.sources.kafka.reach import client_settings
from tests.kafka.broker import PASSWORD, USER, ApacheKafka, Broker
from tests.kafka.reader import Reader, lines

pytestmark = pytest.mark.kafka

Settings = dict[str, Any]


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits ten seconds for a broker that is not there."""
    monkeypatch.setattr(connect, "CONNECT_MS", 1_500)


@pytest.fixture
def other_ca(tmp_path: Path, own_kafka: ApacheKafka) -> Path:
    """An authority that nobody's certificate is of."""
    keytool = str(own_kafka.java.with_name("keytool"))
    store = ["-keystore", str(tmp_path / "other.p12"), "-storepass", "password", "-alias", "other"]
    subprocess.run(
        [
            keytool,
            "-genkeypair",
            *store,
            "-dname",
            "CN=other",
            "-keyalg",
            "EC",
            "-ext",
            "bc=ca:true",
        ],
        check=True,
        capture_output=True,
    )
    told = subprocess.run([keytool, "-exportcert", "-rfc", *store], check=True, capture_output=True)
    (tmp_path / "other.pem").write_bytes(told.stdout)
    return tmp_path / "other.pem"


@pytest.fixture
def deaf() -> Iterator[str]:
    """A server that takes connections and says nothing a broker would say."""
    with socket.create_server(("localhost", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        thread = Thread(target=serve)
        thread.start()
        yield f"localhost:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


def refusal(**settings: Any) -> str:
    """What a source with these settings cannot do."""
    with pytest.raises(SourceError) as caught:
        KafkaSource(Kafka(**{"start_wait_s": 1} | settings), on_event=lambda *_: None)
    message = str(caught.value)
    assert "\n" not in message
    assert PASSWORD not in message
    return message


def sasl(user: str = USER, password: str = PASSWORD, mechanism: str = "PLAIN") -> Settings:
    """A login."""
    return {"sasl_mechanism": mechanism, "sasl_username": user, "sasl_password": password}


@pytest.mark.parametrize("way", ["tls", "plain login", "scram login", "scram login over tls"])
def test_every_way_to_talk_to_a_broker(own_kafka: ApacheKafka, way: str) -> None:
    """TLS, PLAIN, SCRAM: records come."""
    ca = own_kafka.ca_file
    settings: dict[str, Settings] = {
        "tls": {"bootstrap_servers": own_kafka.tls, "security_protocol": "SSL", "ssl_cafile": ca},
        "plain login": {
            "bootstrap_servers": own_kafka.sasl,
            "security_protocol": "SASL_PLAINTEXT",
            **sasl(),
        },
        "scram login": {
            "bootstrap_servers": own_kafka.sasl,
            "security_protocol": "SASL_PLAINTEXT",
            **sasl(mechanism="SCRAM-SHA-256"),
        },
        "scram login over tls": {
            "bootstrap_servers": own_kafka.sasl_tls,
            "security_protocol": "SASL_SSL",
            "ssl_cafile": ca,
            **sasl(mechanism="SCRAM-SHA-256"),
        },
    }
    topic = own_kafka.create_topic()
    own_kafka.send(topic, lines(3))
    with closing(Reader(own_kafka, topic, **settings[way])) as reader:
        assert reader.read(3) == [value for _, value in lines(3)]


@pytest.mark.usefixtures("hurry")
def test_an_unknown_name() -> None:
    """DNS knows nothing of it."""
    assert (
        "kafka.bootstrap_servers: kafka.invalid:9092: the name kafka.invalid is not known"
        in refusal(bootstrap_servers="kafka.invalid:9092")
    )


@pytest.mark.usefixtures("hurry")
def test_nobody_listens() -> None:
    """Each server is named; a port may be left out."""
    with socket.create_server(("localhost", 0)) as server:
        free = server.getsockname()[1]
    assert (
        refusal(bootstrap_servers=f"localhost:{free}")
        == f"kafka.bootstrap_servers: localhost:{free}: Connection refused"
    )


@pytest.mark.usefixtures("hurry")
def test_something_else_listens(deaf: str) -> None:
    """It takes the connection and is no broker."""
    assert f"kafka.bootstrap_servers: {deaf} does not answer as a Kafka broker does" in refusal(
        bootstrap_servers=deaf
    )


def test_a_topic_that_is_not_there(kafka: Broker) -> None:
    """Which it is, and which there are instead."""
    there = kafka.create_topic(f"aa-{uuid.uuid4().hex[:8]}")
    if "mock" in kafka.name:
        return  # there every topic comes into being when it is asked for
    message = refusal(bootstrap_servers=kafka.bootstrap, topics=(there, "absent"))
    assert message.startswith("kafka.topics: absent does not exist, or may not be read: there are ")
    assert there in message


@pytest.mark.usefixtures("hurry")
def test_tls_where_none_is_spoken(own_kafka: ApacheKafka) -> None:
    """The setting to mend is the protocol."""
    message = refusal(
        bootstrap_servers=own_kafka.bootstrap, security_protocol="SSL", ssl_cafile=own_kafka.ca_file
    )
    assert message == (
        f"kafka.security_protocol: {own_kafka.bootstrap} does not speak TLS; without it say "
        "PLAINTEXT or SASL_PLAINTEXT"
    )


@pytest.mark.usefixtures("hurry")
def test_no_tls_where_it_is_demanded(own_kafka: ApacheKafka) -> None:
    """The setting to mend is the protocol."""
    message = refusal(bootstrap_servers=own_kafka.tls)
    assert message == (
        f"kafka.security_protocol: {own_kafka.tls} speaks TLS, and the setting is "
        "PLAINTEXT; say SSL or SASL_SSL"
    )


@pytest.mark.usefixtures("hurry")
def test_an_authority_that_is_not_trusted(own_kafka: ApacheKafka, other_ca: Path) -> None:
    """The system's do not know it, nor does another one."""
    for settings in ({}, {"ssl_cafile": other_ca}):
        message = refusal(bootstrap_servers=own_kafka.tls, security_protocol="SSL", **settings)
        assert message.startswith(
            f"kafka.ssl_cafile: the certificate of {own_kafka.tls} is not trusted: "
        )


def test_a_certificate_for_another_name(
    own_kafka: ApacheKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reached by its address, it is not the broker that the certificate names; the check can be
    switched off.
    """
    server = own_kafka.tls.replace("localhost", "127.0.0.1")
    settings: Settings = {
        "bootstrap_servers": server,
        "security_protocol": "SSL",
        "ssl_cafile": own_kafka.ca_file,
    }
    assert "kafka.topics: absent" in refusal(
        **settings, ssl_check_hostname=False, topics=("absent",)
    )
    monkeypatch.setattr(connect, "CONNECT_MS", 1_500)
    assert refusal(**settings).startswith(
        f"kafka.ssl_check_hostname: the certificate of {server} is for another name: "
    )


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_a_login_that_is_refused(own_kafka: ApacheKafka, mechanism: str) -> None:
    """Who, never the password."""
    message = refusal(
        bootstrap_servers=own_kafka.sasl,
        security_protocol="SASL_PLAINTEXT",
        **sasl(password="wrong", mechanism=mechanism),
    )
    assert message.startswith(
        f"kafka.sasl_username: the login of {USER!r} by {mechanism} is refused"
    )
    assert "wrong" not in message


@pytest.mark.usefixtures("hurry")
def test_a_mechanism_that_the_broker_does_not_offer(own_kafka: ApacheKafka) -> None:
    """Named either way: whether the broker's answer or its hanging up is seen first is chance."""
    message = refusal(
        bootstrap_servers=own_kafka.sasl,
        security_protocol="SASL_PLAINTEXT",
        **sasl(mechanism="SCRAM-SHA-512"),
    )
    refused = f"kafka.sasl_username: the login of {USER!r} by SCRAM-SHA-512 is refused"
    assert message.startswith(("kafka.sasl_mechanism: SCRAM-SHA-512 is not taken: ", refused))


@pytest.mark.usefixtures("hurry")
def test_no_login_where_one_is_demanded(own_kafka: ApacheKafka) -> None:
    """The broker hangs up; the line says what to try."""
    message = refusal(bootstrap_servers=own_kafka.sasl)
    assert message.startswith(
        f"kafka.security_protocol: {own_kafka.sasl} hangs up on PLAINTEXT; does it demand a "
        "login (SASL_PLAINTEXT, SASL_SSL)?"
    )


def test_certificates_that_cannot_be_used(own_kafka: ApacheKafka, tmp_path: Path) -> None:
    """Said before any connection is made."""
    (tmp_path / "empty.pem").write_bytes(b"nothing")
    with pytest.raises(
        SourceError, match=r"kafka.ssl_cafile: .*empty.pem holds no certificates that can be used"
    ):
        client_settings(Kafka(security_protocol="SSL", ssl_cafile=tmp_path / "empty.pem"))
    with pytest.raises(
        SourceError, match=r"kafka.ssl_certfile: .*empty.pem hold no certificate with its key"
    ):
        client_settings(
            Kafka(
                security_protocol="SSL",
                ssl_cafile=own_kafka.ca_file,
                ssl_certfile=tmp_path / "empty.pem",
            )
        )


def test_client_settings_are_what_every_client_takes(own_kafka: ApacheKafka) -> None:
    """Names are checked unless the settings say otherwise."""
    options = client_settings(
        Kafka(
            bootstrap_servers="a:1,b:2",
            client_id="me",
            security_protocol="SASL_SSL",
            ssl_cafile=own_kafka.ca_file,
            **sasl("u", "p"),
        )
    )
    context = options.pop("ssl_context")
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert options == {
        "bootstrap_servers": ["a:1", "b:2"],
        "client_id": "me",
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": "u",
        "sasl_plain_password": "p",
    }
