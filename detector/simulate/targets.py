"""Targets of simulated records: a stream, files in a folder, a Kafka topic; at full speed
or at a given rate.

In: a `Simulation` and how it is to look and arrive. Out: bytes written, the number of records, the
truth as a file beside them. Progress is told to a callable; nothing is printed here.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any, BinaryIO

from detector.simulate.clocks import CLOCKS
from detector.simulate.delivery import DELIVERIES, Simulation
from detector.simulate.fleet import LogEntry
from detector.simulate.formats import FORMATS, NO_HOST
from detector.simulate.truth import Truth, write_ndjson

Shipped = tuple[str, bytes]
SendProgress = Callable[[int], None]
TRUTH_FILE = "truth.ndjson"
_TELL_EVERY = 10_000
_BUFFER_BYTES = 1 << 16
_FLUSH_EVERY = 50_000
_FLUSH_S = 60


def records(
    simulation: Simulation,
    *,
    format: str = "rsyslog",  # noqa: A002
    delivery: str = "in-order",
    clock: str = "right",
) -> Iterator[Shipped]:
    """(host, record) in the order of arrival.

    Raises KeyError for a format, a delivery or a clock that there is not.
    """
    arrive = DELIVERIES[delivery]
    arrived = arrive(simulation.entries(), Random(f"{simulation.plan.seed} delivery"))
    return render(CLOCKS[clock](arrived, simulation.truth), format)


def render(entries: Iterable[LogEntry], format: str) -> Iterator[Shipped]:  # noqa: A002
    """(host, record) of each entry in its order.

    Raises KeyError for a format that there is not.
    """
    shape = FORMATS[format]
    return ((entry.host.name, shape(entry)) for entry in entries)


def paced(shipped: Iterable[Shipped], rate: float | None) -> Iterator[Shipped]:
    """The same records, no more than `rate` a second; None sets no limit."""
    if rate is None:
        yield from shipped
        return
    begun, slice_size = time.monotonic(), max(1, int(rate / 50))
    for number, record in enumerate(shipped):
        if number % slice_size == 0:
            time.sleep(max(0.0, begun + number / rate - time.monotonic()))
        yield record


def with_progress(shipped: Iterable[Shipped], progress: SendProgress | None) -> Iterator[Shipped]:
    """The same records; `progress` hears how many have gone by, every ten thousand and at the
    end.
    """
    number = 0
    for number, record in enumerate(shipped, start=1):
        yield record
        if progress is not None and number % _TELL_EVERY == 0:
            progress(number)
    if progress is not None:
        progress(number)


def to_stream(shipped: Iterable[Shipped], out: BinaryIO) -> int:
    """Every record with a line end; how many there were. Raises OSError as the stream does."""
    number = 0
    for number, (_, record) in enumerate(shipped, start=1):  # noqa: B007
        out.write(record + b"\n")
    return number


def to_folder(shipped: Iterable[Shipped], folder: Path) -> int:
    """A file `<host>.log` for each host in `folder`, which is made and must hold no logs; how
    many records there were.

    Raises FileExistsError where a log is in the way, OSError as the file system does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.glob("*.log")):
        raise FileExistsError(f"{folder} already holds logs")
    buffers: dict[str, bytearray] = defaultdict(bytearray)
    number = 0
    for number, (host, record) in enumerate(shipped, start=1):  # noqa: B007
        buffer = buffers[host]
        buffer += record + b"\n"
        if len(buffer) > _BUFFER_BYTES:
            _append(folder, host, buffer)
    for host, buffer in buffers.items():
        _append(folder, host, buffer)
    return number


def to_kafka(shipped: Iterable[Shipped], topic: str, client: Mapping[str, Any]) -> int:
    """Each record to `topic` with its host as key; how many there were, all acknowledged when
    this returns.

    `client` are KafkaProducer's options (`bootstrap_servers`, security). Raises
    kafka.errors.KafkaError when the broker does not take them.
    """
    from kafka import KafkaProducer

    options = {"compression_type": "lz4", "linger_ms": 20, "batch_size": 256 * 1024, **client}
    producer = KafkaProducer(**options)
    failed: list[Exception] = []
    number = 0
    try:
        for number, (host, record) in enumerate(shipped, start=1):
            producer.send(topic, value=record, key=host.encode()).add_errback(failed.append)
            if number % _FLUSH_EVERY == 0:
                producer.flush(timeout=_FLUSH_S)
            if failed:
                break
        producer.flush(timeout=_FLUSH_S)
    finally:
        producer.close(timeout=10)
    if failed:
        raise failed[0]
    return number


def write_truth(truth: Truth, path: Path) -> None:
    """The truth as NDJSON. Raises OSError as the file system does."""
    path.write_text("".join(f"{line}\n" for line in write_ndjson(truth)), encoding="utf-8")


def needs_a_file_per_host(format: str) -> bool:  # noqa: A002
    """Returns whether records of `format` say nothing of their host, so that many hosts in one
    stream could not be told apart.
    """
    return format in NO_HOST


def _append(folder: Path, host: str, buffer: bytearray) -> None:
    with (folder / f"{host}.log").open("ab") as file:
        file.write(buffer)
    buffer.clear()
