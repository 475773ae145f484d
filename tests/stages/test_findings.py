from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.finding_schema import page
from detector.findings import (
    CountersFinding,
    FindingError,
    KernelErrorFinding,
    LineFinding,
    MatchFinding,
    NoiseFinding,
    RejectedFinding,
    ReportFinding,
    UnclaimedFinding,
    from_json,
    to_json,
)
from detector.model import Boot, Match, Rejected
from detector.noise import NoiseCount

HERE = Path(__file__).parent
KINDS = (
    CountersFinding,
    KernelErrorFinding,
    LineFinding,
    MatchFinding,
    NoiseFinding,
    RejectedFinding,
    ReportFinding,
    UnclaimedFinding,
)
# What version 1 wrote. It is never changed: what it says has to be read for ever.
VERSION_1 = (HERE / "findings-v1.ndjson").read_bytes().splitlines()
TIMES = st.none() | st.integers(0, 1 << 62)


def test_findings_of_version_1_are_read() -> None:
    """Every kind, and all of it: what was read says the same when it is written."""
    read = [from_json(line) for line in VERSION_1]
    assert {type(one) for one in read} == set(KINDS)
    for line, one in zip(VERSION_1, read, strict=True):
        said = json.loads(to_json(one))
        assert json.loads(line).items() <= said.items()


def test_fields_that_are_not_known_are_left_out() -> None:
    """A finding with more than this version knows is read as far as it knows."""
    line = json.loads(VERSION_1[0]) | {"colour": "red"}
    read = from_json(json.dumps(line).encode())
    assert isinstance(read, MatchFinding)
    assert read == from_json(VERSION_1[0])


def test_a_later_version_is_refused() -> None:
    """Its fields may mean something else: the error says what to upgrade."""
    line = json.loads(VERSION_1[0]) | {"v": 2}
    with pytest.raises(FindingError, match=r"^v: 2 was written by a later oopswatch.*`archive`"):
        from_json(json.dumps(line).encode())


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (b"\xff", "finding: Invalid JSON"),
        (b"{}", "finding: Unable to extract tag"),
        (b'{"kind":"later"}', "finding: Input tag 'later'"),
        (b'{"kind":"noise","count":{"count":"many"}}', "noise.count.source: Field required"),
    ],
)
def test_what_is_no_finding_is_said_with_its_field(value: bytes, where: str) -> None:
    """One line, with the field that is wrong."""
    with pytest.raises(FindingError, match=where.replace(".", r"\.")):
        from_json(value)


@pytest.mark.parametrize("count", [-5, 1 << 49, 1 << 200])
def test_a_count_that_no_stage_makes_is_refused(count: int) -> None:
    """It would take from what is counted, or be too large for the history."""
    noise = next(json.loads(line) for line in VERSION_1 if b'"kind":"noise"' in line)
    noise["count"]["count"] = count
    with pytest.raises(FindingError, match=r"noise\.count\.count: no stage counts"):
        from_json(json.dumps(noise).encode())


@pytest.mark.parametrize("field", ["records", "bytes", "counts.text_cut"])
@pytest.mark.parametrize("count", [-7, 1 << 70])
def test_a_counter_that_no_stage_makes_is_refused(field: str, count: int) -> None:
    """A counter never goes back, and a negative one would end the archive."""
    counters: dict[str, object] = {"kind": "counters", "v": 1, "counts": {}}
    name, _, key = field.partition(".")
    counters[name] = {key: count} if key else count
    with pytest.raises(FindingError, match=f"counters.{field}: no stage counts {count}"):
        from_json(json.dumps(counters).encode())


@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"])), kernel=TIMES, wall=TIMES)
def test_matches_come_back_as_they_were(text: str, kernel: int | None, wall: int | None) -> None:
    """Whatever their texts and times."""
    match = Match(
        "s", "memory-fault", "kernel", "critical", text, {"a": text}, "k/0", 1, text,
        Boot(text or None, wall), kernel, wall,
    )  # fmt: skip
    assert from_json(to_json(MatchFinding(match, ordinal=3))) == MatchFinding(match, ordinal=3)


@given(value=st.binary(), key=st.none() | st.binary())
def test_bytes_of_rejected_records_come_back_as_they_were(value: bytes, key: bytes | None) -> None:
    """They need not be text."""
    row = RejectedFinding(Rejected("k/0", 1, "parse", "why", value, key))
    assert from_json(to_json(row)) == row


def test_noise_comes_back_as_it_was() -> None:
    """Also where times are unknown."""
    row = NoiseFinding(NoiseCount("k/0", "h", "p", "s", 0, 7, None, 5, 1, 2))
    assert from_json(to_json(row)) == row


def test_the_schema_of_the_documentation_is_the_code_s() -> None:
    """`make docs` writes it."""
    assert (HERE.parents[1] / "docs" / "finding.schema.json").read_text() == page()
