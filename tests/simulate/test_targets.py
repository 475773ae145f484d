import io
import json

import pytest

from detector.simulate import (
    FORMATS,
    SimulationPlan,
    needs_a_file_per_host,
    paced,
    records,
    simulate,
    to_folder,
    to_kafka,
    to_stream,
    with_progress,
    write_truth,
)
from detector.simulate.truth import read_ndjson

SIMULATION = simulate(SimulationPlan(seed=2, hosts=20, lines=8_000))


@pytest.mark.parametrize("name", FORMATS)
def test_same_plan_same_bytes(name):
    """Every format is the same to the byte for the same plan, whatever the delivery."""
    again = simulate(SimulationPlan(seed=2, hosts=20, lines=8_000))
    assert list(records(again, format=name, delivery="jitter")) == list(
        records(SIMULATION, format=name, delivery="jitter")
    )


def test_stream_gets_a_line_a_record():
    """As many lines as the plan has, each with its end."""
    out = io.BytesIO()
    assert to_stream(records(SIMULATION), out) == 8_000
    assert out.getvalue().count(b"\n") == 8_000


def test_folder_gets_a_file_a_host(tmp_path):
    """Every host's lines are in its own file, in the order of arrival, and no line is elsewhere."""
    assert to_folder(records(SIMULATION, format="rsyslog"), tmp_path) == 8_000
    files = sorted(tmp_path.glob("*.log"))
    assert {file.stem for file in files} == {host.name for host in SIMULATION.fleet.hosts}
    for file in files:
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        assert {line["host"] for line in lines} == {file.stem}
        assert [line["ts"] for line in lines] == sorted(line["ts"] for line in lines)


def test_folder_with_logs_is_left_alone(tmp_path):
    """Nothing is mixed into logs that are already there."""
    (tmp_path / "kern.log").write_text("x\n")
    with pytest.raises(FileExistsError, match="already holds logs"):
        to_folder(records(SIMULATION), tmp_path)


def test_progress_hears_the_last_number():
    """Progress ends with the count of all records."""
    heard = []
    assert sum(1 for _ in with_progress(records(SIMULATION), heard.append)) == 8_000
    assert heard[-1] == 8_000


def test_rate_waits_as_the_clock_says(monkeypatch):
    """At a hundred a second, three hundred records wait three seconds less one step in all; the
    clock here is the test's.
    """
    clock = [0.0]
    monkeypatch.setattr("detector.simulate.targets.time.monotonic", lambda: clock[0])
    monkeypatch.setattr(
        "detector.simulate.targets.time.sleep",
        lambda seconds: clock.__setitem__(0, clock[0] + seconds),
    )
    assert len(list(paced([("h", b"x")] * 300, 100))) == 300
    assert clock[0] == pytest.approx(2.98)


def test_truth_lies_beside(tmp_path):
    """The truth's file can be read back."""
    write_truth(SIMULATION.truth, tmp_path / "truth.ndjson")
    assert read_ndjson((tmp_path / "truth.ndjson").read_text().splitlines()) == SIMULATION.truth


def test_formats_without_a_host_need_their_own_files():
    """The kernel's own interfaces do not say which host they are of."""
    assert {name for name in FORMATS if needs_a_file_per_host(name)} == {
        "kmsg",
        "netconsole",
        "dmesg",
    }


@pytest.mark.kafka
def test_kafka_gets_every_record_keyed_by_host(kafka):
    """All records are in the topic, and each host's are in one partition in their order."""
    from kafka import KafkaConsumer

    topic = kafka.create_topic(partitions=3)
    shipped = list(records(SIMULATION))
    assert (
        to_kafka(
            iter(shipped),
            topic,
            {"bootstrap_servers": kafka.bootstrap, **kafka.client, **kafka.producer_settings},
        )
        == 8_000
    )
    options = {
        "auto_offset_reset": "earliest",
        "enable_auto_commit": False,
        "consumer_timeout_ms": 20_000,
        **kafka.client,
    }
    consumer = KafkaConsumer(topic, bootstrap_servers=kafka.bootstrap, **options)
    seen = {}
    partitions = {}
    for number, record in enumerate(consumer, start=1):
        seen.setdefault(record.key.decode(), []).append(record.value)
        partitions.setdefault(record.key, set()).add(record.partition)
        if number == 8_000:
            break
    consumer.close()
    planned = {}
    for host, value in shipped:
        planned.setdefault(host, []).append(value)
    assert seen == planned
    assert all(len(found) == 1 for found in partitions.values())
