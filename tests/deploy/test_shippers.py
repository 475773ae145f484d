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


def test_every_sample_has_its_row(deploy):
    """The page on shippers names each file."""
    page = (deploy / "shippers" / "README.md").read_text()
    files = {path.name for path in (deploy / "shippers").iterdir()} - {"README.md"}
    assert {name for name in files if f"({name})" not in page} == set()
