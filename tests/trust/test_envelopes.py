"""Kernel or forged, by the table of envelopes: no forged match, no hidden fault."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.model import Line, Record
from detector.parse import Parser
from detector.trust_policy import TrustPolicy
from tests.trust.envelopes import ENVELOPES, FAULT, PAGE, page, rows

NOW_US = 1_772_366_400_000_000
ROWS = list(rows())


def lines(record: str, **options: object) -> list[Line]:
    """What a parser makes of one record."""
    parser = Parser(**options)
    found = parser.feed(Record(record.encode(), "t/0", 1), NOW_US) + parser.flush()
    return [line for line in found if isinstance(line, Line)]


def faults(record: str, **options: object) -> list[Line]:
    """The lines of a record that the matcher would take for the kernel's fault."""
    return [
        line
        for line in lines(record, **options)
        if line.trust != "user" and not line.inner and line.text.startswith(FAULT)
    ]


def test_the_table_is_large_enough():
    """At least 25 envelopes, each with all three lines."""
    assert len(ENVELOPES) >= 25
    assert all(envelope.kernel and envelope.process for envelope in ENVELOPES)
    assert len({envelope.name for envelope in ENVELOPES}) == len(ENVELOPES)
    assert all(bool(envelope.unknowable) <= bool(envelope.setting) for envelope in ENVELOPES)


def test_every_envelope_names_what_it_was_read_from():
    """A version, a commit or a standard, with the file; or that a manual is all there is."""
    named = re.compile(r"\d+\.\d|\([0-9a-f]{8}\)|[0-9a-f]{8}\)|RFC \d{4}|manuals? alone")
    assert [envelope.name for envelope in ENVELOPES if not named.search(envelope.source)] == []


@pytest.mark.parametrize(
    ("kind", "name", "record"), ROWS, ids=[f"{kind} {k}" for k, (kind, *_) in enumerate(ROWS)]
)
def test_a_row(kind: str, name: str, record: str):
    """The kernel's line is found, a process's is not; what cannot be known is taken as the
    settings say.
    """
    found = faults(record)
    assert bool(found) == (not kind.startswith("process")), (name, record, lines(record))


@pytest.mark.parametrize("record", [record for kind, _, record in ROWS if kind == "unknowable"])
def test_what_cannot_be_known_can_be_refused(record: str):
    """With `unproven = "user"` only a header within the text is still believed."""
    found = faults(record, policy=TrustPolicy(unproven="user"))
    assert all("kernel: [" in record and line.trust == "kernel" for line in found)


def test_a_tag_that_the_site_trusts():
    """rsyslog's imfile ships crash dumps under a tag of its own."""
    policy = TrustPolicy(tags=frozenset({"vmcore-dmesg"}))
    record = f"<134>Feb 24 19:21:10 lab-3 vmcore-dmesg: [   12.000034] {FAULT}"
    assert not faults(record)
    (line,) = faults(record, policy=policy)
    assert (line.trust, line.kernel_time_us) == ("kernel", 12_000_034)
    named = (
        '{"syslogtag": "vmcore-dmesg:", "syslogfacility": "16", "inputname": "imfile", '
        f'"msg": " {FAULT}"}}'
    )
    assert not faults(named)
    assert [line.trust for line in faults(named, policy=policy)] == ["kernel"]


def test_files_of_a_site():
    """Any file may be named as one of kernel lines, and none need be."""
    record = f'{{"log.file.path": "/data/host7/all.log", "message": "{FAULT}"}}'
    assert not faults(record)
    assert faults(record, policy=TrustPolicy(files=("/data/host*",)))
    assert faults(record, policy=TrustPolicy(other_files="unknown"))


def test_the_page_is_the_tables():
    """`python -m tests.trust.envelopes > docs/trust.md` writes it."""
    assert PAGE.read_text(encoding="utf-8") == page()


@pytest.mark.parametrize(
    "behind",
    [
        "<0>",
        "<0>[   12.000034] ",
        "0,12,12000034,-;",
        "Feb 24 19:21:10 lab-3 kernel: [   12.000034] ",
    ],
)
@pytest.mark.parametrize(
    "envelope",
    [
        '{"ddsource":"nginx","service":"web","message":"%s"}',
        '{"logGroup":"web","logStream":"i-0","logEvents":[{"id":"1","timestamp":1,"message":"%s"}]}',
    ],
)
def test_a_header_behind_a_line_end_of_a_programs_message_is_the_programs(
    envelope: str, behind: str
):
    """What a program writes into its message forges no second one."""
    assert not faults(envelope % f"[   12.000034] hello\\n{behind}{FAULT}")
    assert not faults(envelope % f"hello\\n{behind}{FAULT}")


WITNESSES = [
    ("_PID", "77"),
    ("_COMM", "x"),
    ("_TRANSPORT", "stdout"),
    ("_SYSTEMD_UNIT", "x.service"),
    ("log.iostream", "stdout"),
    ("k8s.pod.name", "p"),
    ("service.name", "s"),
    ("inputname", "imuxsock"),
    ("syslogfacility", "3"),
    ("SYSLOG_IDENTIFIER", "app"),
    ("container_id", "abc"),
    ("log.file.path", "/srv/x.log"),
]


@settings(deadline=None)
@given(
    st.sampled_from(WITNESSES),
    st.sampled_from(["{}", "_{}", "__{}", "x.{}", "x_{}", "journal__{}", "a.b.{}", "{}"]),
    st.sampled_from([str, str.lower, str.upper, lambda name: name.replace(".", "_").lstrip("_")]),
    st.booleans(),
)
def test_no_spelling_hides_a_witness(witness, prefix, spell, nest):
    """One field of user space, however it is spelled, makes the line a process's."""
    import json

    name, value = witness
    spelled = prefix.format(spell(name))
    fields = {"outer": {spelled: value}} if nest else {spelled: value}
    record = json.dumps({"message": f"Feb 24 19:21:10 lab-3 kernel: {FAULT}", **fields})
    assert faults(record) == []
