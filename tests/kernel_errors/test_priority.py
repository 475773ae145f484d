"""Which records and lines show that the kernel wrote them with priority err or worse."""

from __future__ import annotations

import re

import pytest

from detector.kernel_errors.priority import PRIORITIES, is_kernel_error
from detector.model import Line, Record
from detector.parse import Parser
from detector.scan import Scanner
from detector.simulate import SimulationPlan, simulate
from detector.simulate.fleet import LogEntry
from detector.simulate.formats import FORMATS

SCANNER = Scanner(PRIORITIES)
# Formats that say no priority.
SILENT = ("rfc3164", "rfc3164-wall", "dmesg")
OTHERS = (
    b"<3>[   12.345678] acme 0000:3b:00.0: link is down",
    b"kern  :err   : [   12.345678] acme 0000:3b:00.0: link is down",
    b"Nov 22 10:00:00 db-1 kern.err kernel: [   12.345678] acme 0000:3b:00.0: link is down",
    b"2026-11-22T10:00:00 db-1 ERR kernel: [   12.345678] acme 0000:3b:00.0: link is down",
    b'{"message":"acme: link is down","syslogseverity-text":"err","syslogtag":"kernel:"}',
    b'{"MESSAGE":"acme: link is down","PRIORITY":"err","FACILITY":"kern","PROGRAM":"kernel"}',
)


def entry(level: int, program: str | None = None) -> LogEntry:
    """One entry of a simulated host."""
    some = next(simulate(SimulationPlan(hosts=12, lines=2_000, incidents=0)).entries())
    text = "acme 0000:3b:00.0: link is down"
    return some._replace(level=level, text=text, program=program, kernel_us=12_345_678)


def lines(value: bytes) -> list[Line]:
    """The lines of a record."""
    parser = Parser()
    found = [*parser.feed(Record(value, "test", 1), 0), *parser.flush()]
    return [line for line in found if isinstance(line, Line)]


@pytest.mark.parametrize("name", sorted(set(FORMATS) - set(SILENT)))
@pytest.mark.parametrize("level", range(8))
def test_every_format_with_a_priority(name, level):
    """An error is selected and taken for one; what is less than an error is not taken."""
    value = FORMATS[name](entry(level))
    assert [is_kernel_error(line) for line in lines(value)] == [level <= 3]
    if level <= 3:
        assert SCANNER.ends(value)


@pytest.mark.parametrize("name", sorted(set(FORMATS) - set(SILENT)))
def test_what_user_space_wrote_is_no_kernel_error(name):
    """Its facility, tag or transport says so."""
    assert not any(map(is_kernel_error, lines(FORMATS[name](entry(3, program="agent[77]")))))


@pytest.mark.parametrize("name", SILENT)
def test_format_without_priority_costs_nothing(name):
    """No record of it is selected."""
    assert SCANNER.ends(FORMATS[name](entry(3))) == []


@pytest.mark.parametrize("value", OTHERS)
def test_other_ways_to_write_a_priority(value):
    """Raw and decoded dmesg, a daemon's facility and level, JSON of other shippers."""
    assert SCANNER.ends(value)
    assert [is_kernel_error(line) for line in lines(value)] == [True]


@pytest.mark.parametrize(
    "value",
    [
        b"<6>[   12.345678] acme 0000:3b:00.0: link is up",
        b"<30>1 2026-11-22T10:00:00Z db-1 agent 7 - - done <4> of <5>",
        b"6,1234,12345678,-;acme 0000:3b:00.0: link is up",
        b'{"PRIORITY":"6","MESSAGE":"x"}',
        b'{"priority":30,"message":"x"}',
    ],
)
def test_lesser_priorities_are_not_selected(value):
    """Ordinary lines stay unread."""
    assert SCANNER.ends(value) == []


def test_expressions_are_the_same_without_hyperscan():
    """The alternation of `re` takes them as well."""
    pattern = re.compile(b"|".join(PRIORITIES))
    for value in OTHERS:
        assert pattern.search(value)
