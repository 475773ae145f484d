"""The service behind `oopswatch listen`: netconsole's datagrams in, records of a topic out."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detector import clock
from detector.cli.stopping import StoppedEarly, Stopping, stop_early
from detector.errors import UserError

if TYPE_CHECKING:
    from detector.app.relay import Relay
    from detector.settings import Settings
    from detector.sources.netconsole import DatagramSocket

_LOOK_S = 0.5
# After a signal: enough to empty the socket's buffer, and an end under a flood.
_LAST_BATCHES = 500


def relay_datagrams(stopping: Stopping, config_path: Path | None, **overrides: object) -> None:
    """Sends datagrams on to Kafka until a signal comes."""
    from detector import telemetry
    from detector.app.metrics_hooks import serve_metrics
    from detector.app.relay import Relay, producer_of
    from detector.cli.service_settings import service_settings
    from detector.sources.netconsole import DatagramSocket, sender_names

    settings = service_settings(config_path, **overrides)
    names = sender_names(settings.netconsole.hosts_file, settings.hosts.aliases)
    sent = lost = 0
    # Opened first: what comes while brokers are waited for stays in the socket's buffer.
    with closing(DatagramSocket(settings.netconsole.address, settings.netconsole.port)) as opened:
        serve_metrics(settings)
        try:
            stopping.then(stop_early)
            _demand_topic(settings)
            relay = Relay(settings, producer_of(settings), names, clock.now_us)
            stopping.then(lambda: None)
        except StoppedEarly:
            pass
        else:
            telemetry.say("listening", port=opened.port, topic=relay.topic, names=len(names))
            _pass_on(opened, relay, stopping)
            sent, lost = relay.sent, relay.lost
    telemetry.say("listen_stopped", reason=stopping.signal, sent=sent, lost=lost)


def _pass_on(opened: DatagramSocket, relay: Relay, stopping: Stopping) -> None:
    """Sends on what comes until a signal, then what lies in the socket's buffer."""
    try:
        while stopping.signal is None:
            relay.take(opened.receive(_LOOK_S), opened.dropped())
        for _ in range(_LAST_BATCHES):
            if not (last := opened.receive(0)):
                break
            relay.take(last, opened.dropped())
    finally:
        relay.close()


def _demand_topic(settings: Settings) -> None:
    """Waits for brokers. Raises UserError where they do not have the topic."""
    from detector.app.relay import topic_of
    from detector.sources.kafka.connect import wait_for_brokers
    from detector.sources.kafka.reach import client_settings

    topic = topic_of(settings)
    options = client_settings(settings.kafka)
    with closing(wait_for_brokers(settings.kafka, options, _log)) as consumer:
        if not consumer.partitions_for_topic(topic):
            raise UserError(f"netconsole.topic: the brokers have no topic {topic}: create it first")


def _log(event: str, fields: Mapping[str, Any]) -> None:
    from detector import telemetry

    telemetry.say(event, **fields)
