"""Samples for shippers that are not run here: each keys by host, and loses nothing in silence."""

from __future__ import annotations

import pytest
import yaml


@pytest.fixture
def sample(deploy):
    """A sample by its file's name, as the shipper reads it."""
    return lambda name: yaml.safe_load((deploy / "shippers" / name).read_text())


def test_fluent_bit_keys_by_host_as_java_does(sample):
    """The key's field is added, since the input has none; a full queue waits."""
    pipeline = sample("fluent-bit.yaml")["pipeline"]
    (output,) = pipeline["outputs"]
    (modifier,) = pipeline["filters"]
    assert modifier["record"] == f"{output['message_key_field']} ${{HOSTNAME}}"
    assert output["match"] == modifier["match"] == pipeline["inputs"][0]["tag"]
    assert output["rdkafka.partitioner"] == "murmur2_random"
    assert output["queue_full_retries"] == 0


def test_vector_keys_by_host_as_java_does(sample):
    """Only the kernel's lines, with acknowledgement and a buffer that blocks when it is full."""
    config = sample("vector.yaml")
    sink = config["sinks"]["kafka"]
    assert config["sources"][sink["inputs"][0]]["include_matches"] == {"_TRANSPORT": ["kernel"]}
    assert sink["key_field"] == "host"
    assert sink["librdkafka_options"] == {"partitioner": "murmur2_random"}
    assert sink["acknowledgements"]["enabled"]
    assert sink["buffer"]["when_full"] == "block"


def test_filebeat_has_a_topic_of_its_own(sample):
    """Its hash of keys is another than that of the rest."""
    output = sample("filebeat.yml")["output.kafka"]
    others = {
        sample("vector.yaml")["sinks"]["kafka"]["topic"],
        sample("fluent-bit.yaml")["pipeline"]["outputs"][0]["topics"],
    }
    assert output["topic"] not in others
    assert output["key"] == "%{[host.name]}"
    assert (output["max_retries"], output["required_acks"]) == (-1, -1)


def test_collector_keys_by_the_host_alone(sample):
    """The key is a hash of the resource, which holds the host and nothing else; JSON, its own
    topic, and nothing is dropped in silence.
    """
    config = sample("otel-collector.yaml")
    receiver, exporter = config["receivers"]["journald"], config["exporters"]["kafka"]
    assert receiver["matches"] == [{"_TRANSPORT": "kernel"}]
    assert [each["to"] for each in receiver["operators"]] == ['resource["host.name"]']
    (pipeline,) = config["service"]["pipelines"].values()
    assert pipeline == {"receivers": ["journald"], "exporters": ["kafka"]}
    assert exporter["partition_logs_by_resource_attributes"]
    assert exporter["record_partitioner"] == {"sticky_key": {"hasher": "murmur2"}}
    assert exporter["logs"]["encoding"] == "otlp_json"
    assert exporter["logs"]["topic"] not in {
        sample("vector.yaml")["sinks"]["kafka"]["topic"],
        sample("filebeat.yml")["output.kafka"]["topic"],
    }
    assert exporter["producer"]["required_acks"] == -1
    assert exporter["retry_on_failure"]["max_elapsed_time"] == 0
    assert exporter["sending_queue"]["block_on_overflow"]
    stored = {receiver["storage"], exporter["sending_queue"]["storage"]}
    assert stored == set(config["extensions"]) == set(config["service"]["extensions"])


def test_every_sample_has_its_row(deploy):
    """The page on shippers names each file."""
    page = (deploy / "shippers" / "README.md").read_text()
    files = {path.name for path in (deploy / "shippers").iterdir()} - {"README.md"}
    assert {name for name in files if f"({name})" not in page} == set()
