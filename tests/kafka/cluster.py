"""Three brokers of one cluster, each of which a test may kill, stop, pause and start again."""

from __future__ import annotations

import base64
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from kafka.admin import KafkaAdminClient, NewTopic

from tests.kafka.broker import (
    HERE,
    KEYSTORE_PASSWORD,
    PASSWORD,
    READY_WITHIN_S,
    USER,
    ApacheKafka,
    Broker,
    free_ports,
    keystore_of,
    wait_for,
)
from tests.kafka.jars import TOOLS, UnavailableError, jars, java

NODES = 3
PORTS = ("plain", "controller", "tls", "sasl", "sasl_tls")
# A topic's data are on all brokers, and two of them have what is acknowledged.
SAFE = {"min.insync.replicas": "2"}


class Node(ApacheKafka):
    """One broker, which is a controller too."""

    def __init__(self, number: int, ports: Mapping[str, int], voters: str, cluster: str) -> None:
        self.number = number
        self.java, self._jars = java(), jars()
        self._home = Path(tempfile.mkdtemp(prefix=f"oopswatch-kafka-{number}-"))
        self._ports = dict(ports)
        self.log = self._home / "broker.log"
        self.ca_file = TOOLS / "broker.pem"
        self._voters, self._cluster = voters, cluster
        self._process: subprocess.Popen[bytes] | None = None
        Broker.__init__(self, f"localhost:{self._ports['plain']}", f"broker {number}")
        self._format()

    def launch(self) -> None:
        """Starts the process, without waiting."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command("kafka.Kafka", heap="384m"), str(self._home / "server.properties")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def start(self) -> None:
        """Starts it, again on the same ports and data."""
        self.launch()

    def _format(self) -> None:
        settings = (
            (HERE / "server.properties")
            .read_text()
            .format(
                home=self._home,
                keystore=keystore_of(self.java, self.ca_file),
                password=KEYSTORE_PASSWORD,
                user=USER,
                user_password=PASSWORD,
                **self._ports,
            )
        )
        # Later lines win.
        settings += (
            f"\nnode.id={self.number}\ncontroller.quorum.voters={self._voters}\n"
            "offsets.topic.replication.factor=3\ntransaction.state.log.replication.factor=3\n"
            "transaction.state.log.min.isr=2\nmin.insync.replicas=2\n"
            "share.coordinator.state.topic.replication.factor=3\n"
            "transaction.abort.timed.out.transaction.cleanup.interval.ms=1000\n"
            "replica.lag.time.max.ms=3000\ncontroller.quorum.election.timeout.ms=1000\n"
            "controller.quorum.fetch.timeout.ms=2000\nunclean.leader.election.enable=false\n"
        )
        (self._home / "server.properties").write_text(settings)
        done = subprocess.run(
            [*self._command("kafka.tools.StorageTool", heap="128m"), "format", "-t", self._cluster,
             "-c", str(self._home / "server.properties")],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        if done.returncode:
            raise UnavailableError(f"no data folder: {(done.stderr or done.stdout)[-500:]}")


class Cluster(Broker):
    """Three brokers; every topic is on all of them."""

    owned = True

    def __init__(self) -> None:
        ports = free_ports(NODES * len(PORTS))
        each = [dict(zip(PORTS, ports[at::NODES], strict=True)) for at in range(NODES)]
        voters = ",".join(
            f"{number}@localhost:{mine['controller']}" for number, mine in enumerate(each, 1)
        )
        cluster = base64.urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
        self.nodes = [Node(number, mine, voters, cluster) for number, mine in enumerate(each, 1)]
        super().__init__(",".join(node.bootstrap for node in self.nodes), "three brokers")
        try:
            for node in self.nodes:
                node.launch()
            wait_for(self._all_answer, "three brokers", READY_WITHIN_S)
        except BaseException:
            self.stop()
            raise

    def create_topic(
        self, name: str | None = None, partitions: int = 1, config: Mapping[str, str] | None = None
    ) -> str:
        """Makes a topic on all brokers."""
        name = name or f"kmsg-{uuid.uuid4().hex[:12]}"
        made = NewTopic(name, partitions, NODES, topic_configs={**SAFE, **dict(config or {})})
        with closing(KafkaAdminClient(bootstrap_servers=self.bootstrap)) as admin:
            admin.create_topics([made])
        wait_for(lambda: self._is_whole(name), f"topic {name}", 60)
        return name

    def wait_whole(self, topics: list[str], within_s: float = 120) -> None:
        """Waits until every partition is in sync on all brokers again."""
        for topic in topics:
            wait_for(lambda topic=topic: self._is_whole(topic), f"{topic} on all", within_s)

    def stop(self) -> None:
        """Ends all brokers and removes their data."""
        for node in self.nodes:
            node.stop()
            shutil.rmtree(node._home, ignore_errors=True)

    def _is_whole(self, topic: str) -> bool:
        with closing(KafkaAdminClient(bootstrap_servers=self.bootstrap)) as admin:
            (told,) = admin.describe_topics([topic])
        parts = told["partitions"]
        return bool(parts) and all(
            one["leader_id"] > 0 and len(one["isr_nodes"]) == NODES for one in parts
        )

    def _all_answer(self) -> bool:
        for node in self.nodes:
            if node._process is None or node._process.poll() is not None:
                raise UnavailableError(node.log.read_text(errors="replace")[-2_000:])
        client = KafkaAdminClient(bootstrap_servers=self.bootstrap, bootstrap_timeout_ms=5_000)
        with closing(client) as admin:
            return len(admin.describe_cluster()["brokers"]) == NODES
