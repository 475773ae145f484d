"""Judges a topic by its survey. Pure: no IO, no clock.

Source of the defaults: Kafka's topic configuration (`retention.ms`, `message.timestamp.type`,
`message.timestamp.after.max.ms`), 3.6 to 4.x.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from detector.clock import DAY_US, HOUR_US, SECOND_US
from detector.doctor.result import CheckResult
from detector.model import Position
from detector.render.units import several
from detector.sources.kafka.survey import TopicSurvey

_LEAST_RETENTION_US = DAY_US
_SHOWN = 3


def judge_topic(
    survey: TopicSurvey,
    positions: Mapping[int, Position | None],
    now_us: int,
    *,
    stages: bool = False,
    assembled_later: bool = False,
) -> Iterator[CheckResult]:
    """Yields what there is to say of a topic of logs, for a reader at these positions by
    partition.

    `stages` says that `detect` reads it: then pairs do not need keys, and reports do only where
    each `detect` assembles them, not `archive` (`assembled_later`).
    """
    yield _size(survey)
    if not stages:
        yield from _keys(survey)
    elif not assembled_later:
        yield from _torn_reports(survey)
    yield from _stamps(survey, now_us)
    yield from _retention(survey)
    yield from _lag(survey, positions)


def judge_findings(
    survey: TopicSurvey, positions: Mapping[int, Position | None]
) -> Iterator[CheckResult]:
    """Yields what there is to say of a topic of findings or noise, for an archive at these
    positions.
    """
    records = sum(log.end - log.beginning for log in survey.logs.values())
    text = f"{several(len(survey.logs), 'partition')}, {several(records, 'record')}"
    yield CheckResult("ok", _subject(survey), text)
    yield from _retention(survey)
    yield from _lag(survey, positions, "archive")


def judge_compacted(survey: TopicSurvey, content: str) -> Iterator[CheckResult]:
    """Yields what there is to say of a topic that keeps the latest of each incident or act.

    `content` names them.
    """
    text = several(len(survey.logs), "partition")
    if not survey.config or "compact" in survey.config.get("cleanup.policy", ""):
        yield CheckResult("ok", _subject(survey), text)
        return
    yield CheckResult(
        "note",
        _subject(survey),
        f"{text}, not compacted: old {content} are removed by retention",
        f"kafka-configs.sh --alter --topic {survey.topic} --add-config cleanup.policy=compact",
    )


def _subject(survey: TopicSurvey) -> str:
    return f"topic {survey.topic}"


def _size(survey: TopicSurvey) -> CheckResult:
    records = sum(log.end - log.beginning for log in survey.logs.values())
    text = f"{several(len(survey.logs), 'partition')}, {several(records, 'record')}"
    if records:
        return CheckResult("ok", _subject(survey), text)
    return CheckResult(
        "note",
        _subject(survey),
        f"{text}: nothing was written yet, or retention removed it",
        "check that the shippers write to this topic (deploy/shippers/README.md)",
    )


def _keys(survey: TopicSurvey) -> Iterator[CheckResult]:
    """A host's records belong on one partition: by key, hashed alike by every shipper."""
    if len(survey.logs) == 1 or not survey.sampled:
        return
    if survey.unkeyed:
        yield CheckResult(
            "fault",
            _subject(survey),
            f"{survey.unkeyed} of {several(survey.sampled, 'sampled record')} have no key: a "
            f"host's "
            "records lie on several partitions, and two processes of a group lose pairs",
            "set the host name as key in the shippers, or read with one process "
            "(deploy/shippers/README.md)",
        )
    if survey.spread:
        names = ", ".join(islice(survey.spread, _SHOWN))
        more = len(survey.spread) - _SHOWN
        yield CheckResult(
            "fault",
            _subject(survey),
            f"{several(len(survey.spread), 'key')} on more than one partition ({names}"
            f"{f' and {more} more' if more > 0 else ''}): the shippers hash keys differently, or "
            "partitions were added",
            "give all shippers one partitioner, murmur2_random in librdkafka "
            "(deploy/shippers/README.md)",
        )
    if not survey.unkeyed and not survey.spread:
        text = f"{several(survey.sampled, 'sampled record')}: keyed, each key on one partition"
        yield CheckResult("ok", _subject(survey), text)


def _torn_reports(survey: TopicSurvey) -> Iterator[CheckResult]:
    """A host's lines on several partitions: a report may lie in those of several `detect`."""
    if len(survey.logs) > 1 and (survey.unkeyed or survey.spread):
        yield CheckResult(
            "note",
            _subject(survey),
            f"of {several(survey.sampled, 'sampled record')} {survey.unkeyed} have no key, "
            f"{several(len(survey.spread), 'key')} lie on more than one partition: reports whose "
            "lines several `detect` read are torn",
            "set fleet.assemble_in_archive = true for `detect` (docs/fleet.md)",
        )


def _stamps(survey: TopicSurvey, now_us: int) -> Iterator[CheckResult]:
    """Records stamped by their shippers are removed by retention when a host's clock is slow."""
    ahead_us = (survey.newest_us or 0) - now_us
    by_broker = survey.config.get("message.timestamp.type") == "LogAppendTime"
    if by_broker and abs(ahead_us) > 5 * SECOND_US and ahead_us > 0:
        yield CheckResult(
            "fault",
            "clock",
            f"the broker's newest stamp is {ahead_us / SECOND_US:.0f} s ahead of this machine",
            "set the clocks by NTP, here and on the brokers",
        )
    if survey.config and not by_broker:
        yield CheckResult(
            "note",
            _subject(survey),
            "records carry their shipper's time (message.timestamp.type=CreateTime): those of a "
            "host with a slow clock are removed by retention before they are read, those of a fast "
            "one refused",
            f"kafka-configs.sh --alter --topic {survey.topic} "
            "--add-config message.timestamp.type=LogAppendTime",
        )


def _retention(survey: TopicSurvey) -> Iterator[CheckResult]:
    retention_ms = int(survey.config.get("retention.ms", "-1"))
    if 0 <= retention_ms * 1_000 < _LEAST_RETENTION_US:
        yield CheckResult(
            "note",
            _subject(survey),
            f"retention.ms is {retention_ms * 1_000 / HOUR_US:g} h: what is not read by then is "
            f"lost",
            "keep records for longer than the longest outage that you plan for",
        )
    if "compact" in survey.config.get("cleanup.policy", ""):
        yield CheckResult(
            "fault",
            _subject(survey),
            "cleanup.policy is compact: Kafka keeps only the last record of each host",
            f"kafka-configs.sh --alter --topic {survey.topic} --add-config cleanup.policy=delete",
        )


def _lag(
    survey: TopicSurvey, positions: Mapping[int, Position | None], command: str = "run"
) -> Iterator[CheckResult]:
    read = {number: position for number, position in positions.items() if position is not None}
    if not read:
        return
    lag = lost = 0
    for number, position in read.items():
        log = survey.logs.get(number)
        if log is None:
            continue
        lag += max(0, log.end - position.offset)
        lost += max(0, log.beginning - position.offset)
    if lost:
        yield CheckResult(
            "fault",
            _subject(survey),
            f"{several(lost, 'record')} that were not read are removed by retention",
            f"start `oopswatch {command}`, and raise retention.ms or the number of processes",
        )
    yield CheckResult("ok", _subject(survey), f"lag {several(lag, 'record')}")
