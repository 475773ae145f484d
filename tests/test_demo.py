import json
import sys
from dataclasses import replace

import pytest
from click.testing import CliRunner
from kafka.admin import KafkaAdminClient

from detector import demo as demonstration
from detector.app import build
from detector.cli import oopswatch
from detector.demo import (
    DemoBroker,
    DemoError,
    SilentBrokerError,
    demo,
    embedded_broker,
    embedded_demo,
    read_back,
    tabulate,
)
from detector.settings import settings_of
from detector.settings.kafka import Kafka
from detector.simulate import simulate
from detector.simulate.plan import PLAN

SMALL = replace(PLAN, hosts=60, lines=20_000, incidents=9)


def watch(journal, told):
    """A pipeline with the settings' defaults."""
    settings, _ = settings_of(None)
    return build.watch_of(settings, journal, build.catalogue_of(settings), hooks=told)


def incident(host, halves):
    """An incident as the history tells of it."""
    return {
        "host": host,
        "evidence": [{"kernel_time_us": half.kernel_time_us, "text": half.text} for half in halves],
    }


def test_embedded_broker_runs_the_whole_path(tmp_path):
    """Through the mock cluster into a file: planted and found agree, and all records are told
    of.
    """
    heard = []
    outcome = embedded_demo(
        SMALL,
        Kafka(),
        watch,
        tmp_path / "demo.db",
        lambda stored, expected: heard.append((stored, expected)),
    )
    assert outcome.agrees
    assert all(row.expected == row.reported for row in outcome.rows)
    assert {row.kind: row.planted for row in outcome.rows}["incident"] == 9
    assert heard[-1] == (20_000, 20_000)
    assert len(read_back(tmp_path / "demo.db")[0]) == 9


@pytest.mark.kafka
def test_real_broker_gets_a_topic_and_loses_it_again(kafka, tmp_path):
    """The demo's topic is its own and is gone afterwards; planted and found agree."""
    broker = DemoBroker(
        kafka.name,
        Kafka(bootstrap_servers=(kafka.bootstrap,)),
        kafka.client,
        kafka.producer_settings,
    )
    assert demo(SMALL, broker, watch, tmp_path / "demo.db").agrees
    if not kafka.producer_settings:
        admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap, **kafka.client)
        assert not [topic for topic in admin.list_topics() if topic.startswith("oopswatch-demo-")]
        admin.close()


def test_without_its_broker_the_demo_says_what_to_install(monkeypatch):
    """One line with the command to give."""
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with (
        pytest.raises(DemoError, match=r"pip install 'oopswatch\[demo\]'"),
        embedded_broker(Kafka()),
    ):
        pass


def test_false_incidents_are_counted_with_the_decoy_they_rest_on():
    """What was raised of a decoy's lines stands in its row; of ordinary lines in a row of its
    own.
    """
    truth = simulate(SMALL).truth
    far = next(one for one in truth.decoys if one.kind == "far")
    stray = {"host": "nowhere", "evidence": [{"kernel_time_us": 1, "text": "x"}]}
    found = [incident(one.host, one.halves) for one in truth.incidents[1:]] + [
        incident(far.where[0][0], far.halves),
        stray,
    ]
    rows = {row.kind: row for row in tabulate(truth, found, [])}
    assert (rows["incident"].expected, rows["incident"].reported) == (9, 8)
    assert (rows["far"].planted, rows["far"].expected, rows["far"].reported) == (
        SMALL.far_pairs,
        0,
        1,
    )
    assert (rows["nothing planted"].planted, rows["nothing planted"].reported) == (0, 1)
    assert rows["noise"].reported == 0
    assert rows["cross-host"].reported == 0


def test_command_prints_the_table_and_where_the_history_is(tmp_path, monkeypatch):
    """Exit 0 and a file that `incidents list` reads."""
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    store = tmp_path / "demo.db"
    shown = CliRunner().invoke(
        oopswatch, ["demo", "--lines", "25000", "--store", str(store)], catch_exceptions=False
    )
    assert shown.exit_code == 0, shown.output
    assert "planted and found agree" in shown.output
    assert f" incidents list --store {store}" in shown.output
    listed = CliRunner().invoke(
        oopswatch, ["incidents", "list", "--store", str(store), "--json"], catch_exceptions=False
    )
    assert len([json.loads(line) for line in listed.stdout.splitlines()]) == PLAN.incidents


def test_command_leaves_an_existing_history_alone(tmp_path):
    """What was found before is not mixed with the demo's."""
    store = tmp_path / "history.db"
    store.write_bytes(b"precious")
    result = CliRunner().invoke(oopswatch, ["demo", "--store", str(store)])
    assert (result.exit_code, store.read_bytes()) == (2, b"precious")
    assert "is there already" in result.output


def test_command_names_a_broker_that_cannot_be_reached(tmp_path):
    """Exit 2 and one line with the setting to mend."""
    result = CliRunner().invoke(
        oopswatch, ["demo", "--bootstrap", "localhost:1", "--store", str(tmp_path / "demo.db")]
    )
    assert result.exit_code == 2
    assert (
        "oopswatch: demo: kafka.bootstrap_servers: localhost:1: Connection refused" in result.output
    )


def test_a_silent_broker_of_its_own_is_tried_once_more(tmp_path, monkeypatch):
    """The mock cluster is left for another one, and the history begun is made anew."""
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    once = demonstration.demo
    silent = [SilentBrokerError("the broker handed out nothing for 30 s")]

    def twice(plan, broker, watch, store, progress):
        if silent:
            store.write_text("begun")
            raise silent.pop()
        return once(plan, broker, watch, store, progress)

    monkeypatch.setattr(demonstration, "demo", twice)
    store = tmp_path / "demo.db"
    shown = CliRunner().invoke(oopswatch, ["demo", "--lines", "20000", "--store", str(store)])
    assert shown.exit_code == 0, shown.output
    assert "once more, with another one" in shown.output
