"""Fleets whose clocks, names and logs do what they do in the field: exactly the true incidents."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.assemble import Assembler
from detector.boots import Boots
from detector.match import Matcher
from detector.model import Record
from detector.parse import HostForm, Parser
from detector.pipeline import Pipeline
from detector.store import open_journal
from detector.trust_policy import TrustPolicy
from tests.support.boot_histories import DAY, HISTORIES, SECOND, START, History, Shipped, fleet
from tests.support.shipped import shipped

NOW_US = (START + 30 * DAY) * SECOND
FORM = HostForm(paths=["/var/crash/{host}/"])
POLICY = TrustPolicy(tags=frozenset(["vmcore-dmesg"]))


class Records:
    """A chunk of records of one source; each is at the offset of its number."""

    def __init__(self, source: str, first: int, shipped: Sequence[Shipped]) -> None:
        self.source, self.end, self.count = source, first + len(shipped), len(shipped)
        self._first, self._shipped = first, shipped
        self.data = b"\n".join(one.value for one in shipped)
        self._starts = [0]
        for one in shipped:
            self._starts.append(self._starts[-1] + len(one.value) + 1)

    def record_at(self, offset: int) -> tuple[Record, int, int]:
        """The record around `offset`."""
        at = bisect_right(self._starts, offset) - 1
        one = self._shipped[at]
        record = Record(one.value, self.source, self._first + at, one.key)
        return record, self._starts[at], self._starts[at + 1]


def chunks(records: Sequence[Shipped], size: int) -> Iterator[list[Records]]:
    """The records in batches, as partitions and files bring them."""
    numbers: Counter[str] = Counter()
    for start in range(0, len(records), size):
        batch = records[start : start + size]
        by_source: dict[str, list[Shipped]] = {}
        for one in batch:
            by_source.setdefault(one.source, []).append(one)
        yield [Records(source, numbers[source], part) for source, part in by_source.items()]
        numbers.update({source: len(part) for source, part in by_source.items()})


def found(records: Sequence[Shipped], size: int = 50, restart: bool = False) -> Counter[str]:
    """How many incidents the pipeline raises by host; `restart` forgets all streams between
    batches.
    """
    catalogue = shipped()
    with closing(open_journal(":memory:")) as journal:
        pipeline = Pipeline(
            catalogue,
            journal,
            Parser(form=FORM, policy=POLICY),
            matcher=Matcher(catalogue, timeout_s=5.0),
            assembler=Assembler(catalogue.opening),
            now_us=NOW_US,
        )
        for batch in chunks(records, size):
            pipeline.handle(batch, NOW_US)
            if restart:
                pipeline.boots = Boots(journal.stored_streams)
        pipeline.finish(NOW_US)
        rows = journal.db.execute("SELECT host FROM incidents WHERE joined_into IS NULL")
        return Counter(short(row[0]) for row in rows)


def short(host: str) -> str:
    """A host's name in the form of the truth."""
    return host.split(".", maxsplit=1)[0]


def differences(
    truth: dict[str, tuple[str, int]], raised: Counter[str]
) -> dict[str, tuple[str, int, int]]:
    """Hosts that do not have their true number of incidents: (history, true, raised)."""
    hosts = truth.keys() | raised.keys()
    known = {host: truth.get(host, ("nobody", 0)) for host in hosts}
    return {
        host: (name, true, raised[host])
        for host, (name, true) in known.items()
        if true != raised[host]
    }


@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: history.__name__)
def test_each_history_has_its_true_incidents(history: History) -> None:
    """Forty hosts that went through it."""
    records, truth = fleet(40, 11, [history])
    assert differences(truth, found(records)) == {}


def test_a_thousand_hosts_with_an_incident_and_others_without() -> None:
    """All histories at once: none missed, none false."""
    records, truth = fleet(1_500, 2026)
    assert sum(true > 0 for _, true in truth.values()) >= 1_000
    assert differences(truth, found(records, 500)) == {}


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 1 << 32),
    size=st.sampled_from([1, 7, 60, 10_000]),
    restart=st.booleans(),
    histories=st.lists(st.sampled_from(HISTORIES), min_size=1, max_size=25, unique=True),
)
def test_any_fleet_in_any_batches_has_exactly_its_true_incidents(
    seed: int, size: int, restart: bool, histories: list[History]
) -> None:
    """Whatever hosts there are, however records are batched, and over restarts."""
    records, truth = fleet(30, seed, histories)
    assert differences(truth, found(records, size, restart)) == {}


if "OOPSWATCH_FLEETS" in os.environ:  # slow: make fleets runs it, a seed for each fleet

    @pytest.mark.parametrize("seed", range(int(os.environ["OOPSWATCH_FLEETS"])))
    def test_many_fleets_have_exactly_their_true_incidents(seed: int) -> None:
        """A thousand hosts and more for each seed, in batches of any size, with and without
        restarts.
        """
        random = Random(seed)
        records, truth = fleet(1_500, 7_919 * seed)
        size, restart = random.choice((1, 13, 200, 5_000)), random.random() < 0.5
        assert differences(truth, found(records, size, restart)) == {}, (size, restart)
