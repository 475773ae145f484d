"""A topic is judged by its survey: keys, stamps, retention, lag."""

from __future__ import annotations

from dataclasses import replace

import pytest

from detector.doctor.topic import judge_compacted, judge_findings, judge_topic
from detector.model import Position
from detector.sources.kafka.placement import PartitionLog
from detector.sources.kafka.survey import TopicSurvey

NOW = 1_800_000_000_000_000
SOUND = TopicSurvey(
    topic="kernel-logs",
    logs={0: PartitionLog(0, 700, None), 1: PartitionLog(100, 400, None)},
    config={"message.timestamp.type": "LogAppendTime", "retention.ms": "604800000"},
    sampled=800,
    unkeyed=0,
    spread=(),
    newest_us=NOW - 1_000_000,
)


def judged(survey: TopicSurvey, positions: dict[int, Position | None] | None = None) -> list[str]:
    """What is said of a topic, as "level text"."""
    return [
        f"{result.level} {result.text}"
        for result in judge_topic(survey, positions or {0: None, 1: None}, NOW)
    ]


def test_a_sound_topic_has_no_fault():
    """Keyed, stamped by the broker, kept for a week: no note and no fault."""
    assert judged(SOUND) == [
        "ok 2 partitions, 1,000 records",
        "ok 800 sampled records: keyed, each key on one partition",
    ]


@pytest.mark.parametrize(
    ("change", "level", "phrase"),
    [
        ({"unkeyed": 3}, "fault", "3 of 800 sampled records have no key"),
        ({"spread": ("a", "b", "c", "d", "e")}, "fault", "(a, b, c and 2 more)"),
        ({"config": {"message.timestamp.type": "CreateTime"}}, "note", "CreateTime"),
        ({"newest_us": NOW + 90_000_000}, "fault", "90 s ahead"),
        ({"config": {**SOUND.config, "retention.ms": "3600000"}}, "note", "retention.ms is 1 h"),
        ({"config": {**SOUND.config, "cleanup.policy": "compact"}}, "fault", "compact"),
        ({"logs": {0: PartitionLog(9, 9, None)}, "sampled": 0}, "note", "nothing was written yet"),
    ],
)
def test_each_fault_is_said_with_what_to_do(change, level, phrase):
    """Each fault is one result, and has advice."""
    found = [
        result for result in judge_topic(replace(SOUND, **change), {}, NOW) if phrase in result.text
    ]
    assert [result.level for result in found] == [level]
    assert found[0].advice


def test_a_topic_of_one_partition_needs_no_keys():
    """One partition holds all records of a host anyway."""
    one = replace(SOUND, logs={0: PartitionLog(0, 5, None)}, unkeyed=5, sampled=5)
    assert judged(one) == ["ok 1 partition, 5 records"]


def test_lag_and_what_retention_removed_are_counted():
    """Lag counts over all partitions with a position; what was removed unread is a fault."""
    positions = {0: Position(200, None, 200, None), 1: Position(40, None, 40, None)}
    assert judged(SOUND, positions)[-2:] == [
        "fault 60 records that were not read are removed by retention",
        "ok lag 860 records",
    ]


def test_keys_do_not_matter_to_two_stages():
    """Findings are keyed by host, so pairs meet; reports are torn unless the archive assembles."""
    torn = replace(SOUND, unkeyed=3)
    (note,) = [result for result in judge_topic(torn, {}, NOW, stages=True) if "key" in result.text]
    assert note.level == "note"
    assert "fleet.assemble_in_archive" in note.advice
    results = judge_topic(torn, {}, NOW, stages=True, assembled_later=True)
    assert not any("key" in result.text for result in results)
    assert not any("key" in one.text for one in judge_topic(SOUND, {}, NOW, stages=True))


def test_findings_that_retention_removed_are_a_fault():
    """The advice names the command that reads them; records without a key are in order."""
    read = {0: None, 1: Position(40)}
    results = list(judge_findings(replace(SOUND, unkeyed=9), read))
    (fault,) = [result for result in results if result.level == "fault"]
    assert fault.text.startswith("60 records that were not read")
    assert "oopswatch archive" in fault.advice


@pytest.mark.parametrize(("policy", "level"), [("compact", "ok"), ("delete", "note")])
def test_the_topic_of_incidents_is_best_compacted(policy, level):
    """Else retention removes old incidents from it."""
    (result,) = judge_compacted(replace(SOUND, config={"cleanup.policy": policy}), "incidents")
    assert result.level == level
