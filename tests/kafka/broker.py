"""A Kafka broker for the tests: a real one wherever it can be had.

`KAFKA_BOOTSTRAP_SERVERS` if that is set; else Apache Kafka in KRaft mode, started here; else
librdkafka's mock cluster, which says so and is refused where `OOPSWATCH_STRICT=1`. By hand: `python
-m tests.kafka.broker start` runs a broker until Ctrl-C, `python -m tests.kafka.broker jars` only
fetches it.
"""

from __future__ import annotations

import base64
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError

from tests.kafka.jars import TOOLS, VERSION, UnavailableError, jars, java

HERE = Path(__file__).resolve().parent
READY_WITHIN_S = 90
USER, PASSWORD = "oopswatch", "kernel-panic"
KEYSTORE_PASSWORD = "keystore"


class Broker:
    """A broker that is there. `client` holds settings that every kafka-python client needs to talk
    to it, `producer` those of a producer.

    `owned` is True for one that these tests may stop, kill and start again, and that has `tls`,
    `sasl` and `sasl_tls` listeners.
    """

    owned = False

    def __init__(self, bootstrap: str, name: str) -> None:
        self.bootstrap = bootstrap
        self.name = name
        self.client: dict[str, Any] = {}
        self.producer_settings: dict[str, Any] = {}

    def create_topic(
        self, name: str | None = None, partitions: int = 1, config: Mapping[str, str] | None = None
    ) -> str:
        """Makes a topic (with a name that nobody else has, if none is given) and waits until it can
        be used.
        """
        name = name or f"kmsg-{uuid.uuid4().hex[:12]}"
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap, **self.client)
        try:
            admin.create_topics([NewTopic(name, partitions, 1, topic_configs=dict(config or {}))])
            wait_for(lambda: _has_leaders(admin, name, partitions), f"topic {name}", 30)
        finally:
            admin.close()
        return name

    def delete_topic(self, name: str) -> None:
        """Deletes a topic and waits until the broker no longer names it."""
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap, **self.client)
        try:
            admin.delete_topics([name])
            wait_for(lambda: name not in admin.list_topics(), f"the end of topic {name}", 30)
        finally:
            admin.close()

    def producer(self, **settings: Any) -> KafkaProducer:
        """A producer; its owner closes it."""
        return KafkaProducer(
            bootstrap_servers=self.bootstrap,
            **{**self.client, **self.producer_settings, **settings},
        )

    def send(
        self,
        topic: str,
        records: Iterable[tuple[bytes | None, bytes | None]],
        partition: int | None = None,
        **settings: Any,
    ) -> None:
        """Writes (key, value) records, in order, and waits until all are stored."""
        producer = self.producer(**settings)
        try:
            futures = [
                producer.send(topic, value=value, key=key, partition=partition)
                for key, value in records
            ]
            producer.flush()
            for future in futures:
                future.get(30)
        finally:
            producer.close()

    def stop(self) -> None:
        """Ends what was started; does nothing to a broker that was given."""


class Mock(Broker):
    """librdkafka's mock cluster: the protocol without a broker. Topics have 4 partitions, there are
    no transactions.
    """

    def __init__(self, brokers: int = 1) -> None:
        from confluent_kafka import Producer

        settings = {"bootstrap.servers": "unused", "test.mock.num.brokers": brokers}
        self._cluster = Producer(settings)
        broker, *_ = self._cluster.list_topics(timeout=10).brokers.values()
        super().__init__(
            f"{broker.host}:{broker.port}", "librdkafka's mock cluster (NOT a real Kafka)"
        )
        self.client = {
            "api_version": (2, 0)
        }  # it answers newer versions in a way that kafka-python cannot decode
        self.producer_settings = {"enable_idempotence": False}

    def create_topic(
        self, name: str | None = None, partitions: int = 1, config: Mapping[str, str] | None = None
    ) -> str:
        """A topic comes into being when it is asked for, always with 4 partitions and the mock's
        own settings.
        """
        name = name or f"kmsg-{uuid.uuid4().hex[:12]}"
        self._cluster.list_topics(name, timeout=10)
        return name

    def leaders(self, topic: str) -> set[int]:
        """The brokers that lead the topic's partitions."""
        found = self._cluster.list_topics(topic, timeout=10).topics[topic]
        return {partition.leader for partition in found.partitions.values()}


class ApacheKafka(Broker):
    """Apache Kafka, one node in KRaft mode, in a process group of its own with its data in a
    temporary folder.
    """

    owned = True

    def __init__(self) -> None:
        self.java, self._jars = java(), jars()
        self._home = Path(tempfile.mkdtemp(prefix="oopswatch-kafka-"))
        self._ports = dict(
            zip(("plain", "controller", "tls", "sasl", "sasl_tls"), free_ports(5), strict=True)
        )
        self.log = self._home / "broker.log"
        self.ca_file = TOOLS / "broker.pem"
        self._process: subprocess.Popen[bytes] | None = None
        super().__init__(f"localhost:{self._ports['plain']}", f"Apache Kafka {VERSION}")
        try:
            self._format()
            self.start()
        except BaseException:
            self.stop()
            raise

    @property
    def tls(self) -> str:
        """A TLS listener; its certificate is for `localhost` alone and signed by itself
        (`ca_file`).
        """
        return f"localhost:{self._ports['tls']}"

    @property
    def sasl(self) -> str:
        """A listener that demands SASL (PLAIN or SCRAM-SHA-256, `USER` and `PASSWORD`), without
        TLS.
        """
        return f"localhost:{self._ports['sasl']}"

    @property
    def sasl_tls(self) -> str:
        """The same over TLS."""
        return f"localhost:{self._ports['sasl_tls']}"

    def start(self) -> None:
        """Starts the broker, again on the same ports and data; returns when it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command("kafka.Kafka", heap="512m"), str(self._home / "server.properties")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        began = time.monotonic()
        wait_for(self._answers, f"the broker (its log: {self.log})", READY_WITHIN_S)
        self.name = (
            f"Apache Kafka {VERSION} on {self.bootstrap}, started in "
            f"{time.monotonic() - began:.1f} s"
        )

    def halt(self, *, kill: bool = False) -> None:
        """Stops the broker, in order or by SIGKILL; `start` brings it back with its data."""
        if self._process is None:
            return
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL if kill else signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(30)
        self._process = None

    def log_of(self, topic: str, partition: int = 0) -> Path:
        """The file that holds a partition's records, while they are few."""
        return self._home / "data" / f"{topic}-{partition}" / f"{0:020}.log"

    def logs_of(self, topic: str, partition: int) -> list[Path]:
        """All files that hold a partition's records."""
        return sorted((self._home / "data" / f"{topic}-{partition}").glob("*.log"))

    def pause(self) -> None:
        """Stops the broker's process where it stands (SIGSTOP); `resume` lets it go on."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Lets a paused broker go on."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGCONT)

    def stop(self) -> None:
        """Ends the broker for good and removes its data."""
        self.halt(kill=True)
        shutil.rmtree(self._home, ignore_errors=True)

    def _command(self, main: str, heap: str) -> list[str]:
        small = [f"-Xmx{heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        return [
            str(self.java),
            *small,
            f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}",
            "-cp",
            f"{self._jars}/*",
            main,
        ]

    def _format(self) -> None:
        """Writes the configuration and makes the data folder."""
        keystore = keystore_of(self.java, self.ca_file)
        settings = (
            (HERE / "server.properties")
            .read_text()
            .format(
                home=self._home,
                keystore=keystore,
                password=KEYSTORE_PASSWORD,
                user=USER,
                user_password=PASSWORD,
                **self._ports,
            )
        )
        (self._home / "server.properties").write_text(settings)
        # A name that begins with "-" would be read as an option.
        cluster = base64.urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
        scram = f"SCRAM-SHA-256=[name={USER},password={PASSWORD}]"
        done = subprocess.run(
            [*self._command("kafka.tools.StorageTool", heap="128m"), "format", "-t", cluster, "-c",
                str(self._home / "server.properties"),
             "--add-scram", scram],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        if done.returncode:
            raise UnavailableError(
                "Kafka's data folder cannot be formatted: "
                f"{(done.stderr or done.stdout).strip()[-500:]}"
            )

    def _answers(self) -> bool:
        """Whether a metadata request is answered; raises where the process has ended."""
        if self._process is None or self._process.poll() is not None:
            raise UnavailableError(
                f"the broker has ended: {self.log.read_text(errors='replace')[-2000:]}"
            )
        try:
            socket.create_connection(("localhost", self._ports["plain"]), 1).close()
        except OSError:
            return False
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap, bootstrap_timeout_ms=5000)
        try:
            return len(admin.describe_cluster()["brokers"]) == 1
        finally:
            admin.close()


def obtain() -> Broker:
    """The best broker that can be had here; raises `UnavailableError` in strict mode where that is
    only the mock.
    """
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if given:
        return Broker(given, f"the broker at {given}")
    try:
        return ApacheKafka()
    except UnavailableError as reason:
        if os.environ.get("OOPSWATCH_STRICT") == "1":
            raise
        print(f"no real Kafka: {reason}; librdkafka's mock cluster takes its place", flush=True)
        return Mock()


def _has_leaders(admin: KafkaAdminClient, topic: str, partitions: int) -> bool:
    (told,) = admin.describe_topics([topic])
    return len([one for one in told["partitions"] if one["leader_id"] >= 0]) == partitions


def wait_for(done: Any, what: str, within_s: float) -> None:
    """Asks every 0.1 s until it is so."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            if done():
                return
        except (KafkaError, OSError) as error:
            logging.getLogger(__name__).debug("not yet: %s", error)
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} was not there within {within_s} s")
        time.sleep(0.1)


def free_ports(count: int) -> list[int]:
    """So many ports of this machine that nobody has."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def keystore_of(java: Path, ca_file: Path) -> Path:
    """A self-signed certificate for `localhost`, made once by the keytool beside Java; `ca_file`
    becomes its PEM form.
    """
    keystore = ca_file.with_suffix(".p12")
    if not (keystore.exists() and ca_file.exists()):
        with tempfile.TemporaryDirectory(dir=ca_file.parent) as scratch:
            made = Path(scratch) / "broker.p12"
            common = [
                "-keystore",
                str(made),
                "-storetype",
                "PKCS12",
                "-storepass",
                KEYSTORE_PASSWORD,
                "-alias",
                "broker",
            ]
            names = [
                "-dname",
                "CN=localhost",
                "-ext",
                "san=dns:localhost",
                "-ext",
                "bc=ca:true",
                "-validity",
                "3650",
            ]
            keytool = str(java.with_name("keytool"))
            subprocess.run(
                [keytool, "-genkeypair", *common, *names, "-keyalg", "EC"],
                check=True,
                capture_output=True,
                timeout=60,
            )
            told = subprocess.run(
                [keytool, "-exportcert", "-rfc", *common],
                check=True,
                capture_output=True,
                timeout=60,
            )
            made.replace(keystore)
            ca_file.write_bytes(told.stdout)
    return keystore


def main(arguments: list[str]) -> int:
    """`start` or `jars`."""
    if arguments == ["jars"]:
        print(jars())
        return 0
    if arguments != ["start"]:
        print("usage: python -m tests.kafka.broker start|jars", file=sys.stderr)
        return 2
    broker = obtain()
    print(f"{broker.name}; KAFKA_BOOTSTRAP_SERVERS={broker.bootstrap}; Ctrl-C ends it", flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        signal.pause()
    except KeyboardInterrupt:
        broker.stop()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
