"""The checker that `make truth` runs: it finds what is false, and nothing in the project's own
logs.
"""

from __future__ import annotations

import copy
import shutil

import pytest

from tests.explain.logs import diagnosed, stamped
from tests.explain.truth.__main__ import ROOT, logs
from tests.explain.truth.arithmetic import false_sums
from tests.explain.truth.check import Counts, check
from tests.explain.truth.disassembly import NEEDED, plain

pytestmark = pytest.mark.debian
LOG = """
BUG: unable to handle page fault for address: ffffc90000eb0018
#PF: error_code(0x0002) - not-present page
Oops: 0002 [#1] PREEMPT SMP NOPTI
CPU: 0 PID: 12 Comm: demo Not tainted 5.15.0 #1
RIP: 0010:demo_set+0x6/0x10
Code: 48 89 f8 48 89 d1 <48> 89 47 18 0f 1f 80
RDX: 0000000000001000 RSI: ffff888100000000 RDI: ffffc90000eb0000
"""


@pytest.fixture(scope="module", autouse=True)
def programs(tmp_path_factory):
    """The disassemblers that the product does not use."""
    absent = [name for name in NEEDED if shutil.which(name) is None]
    if absent:
        pytest.skip(f"{', '.join(absent)} not found: install binutils and llvm")


def differences(log, statements):
    """What the checker says of these statements."""
    counts = Counts()
    check(log, "x86_64", statements, counts)
    return counts.differences


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("+ 0x18", "+ 0x20"),
        ("rdi = 0xffffc90000eb0000", "rdi = 0xffffc90000eb1000"),
        ("qword ptr [rdi + 0x18]", "qword ptr [rsi + 0x18]"),
        ("demo_set+0x6", "demo_get+0x6"),
        ("0x0002", "0x0003"),
        ("A write by", "A read by"),
        ("bit 1 set", "bit 1 clear"),
        ("no page is mapped there", "the page is mapped and forbids it"),
    ],
)
def test_a_lie_is_found(old, new):
    """One word or digit changed, and the checker says so; unchanged, it says nothing."""
    log = stamped(LOG)
    ((family, statements),) = diagnosed(log)
    assert family == "x86_64"
    assert differences(log, statements) == []
    lies = copy.deepcopy(statements)
    for statement in lies:
        statement["text"] = statement["text"].replace(old, new)
        statement["evidence"] = [text.replace(old, new) for text in statement["evidence"]]
    assert lies != statements
    assert differences(log, lies)


def test_sums():
    """What occurs in evidence: sums, remainders, shifts, exclusive or, what is rounded, poison."""
    true = (
        "x19 = 0x194db; 0x194db + 0x30 = 0x1950b",
        "0x6b % 8 = 3",
        "(0xdffffc0000000001 - 0xdffffc0000000000) << 3 = 0x8",
        "0x1a68 >> 3 = 845",
        "0xdead000000000110 = LIST_POISON1 (0xdead000000000100) + 0x10",
        "0x0 - 0x8 = 0xfffffffffffffff8",
        "x0 = 0x1043; 0x1043, rounded down to 64 bytes, = 0x1040",
    )
    false = (
        "0x194db + 0x30 = 0x1950c",
        "0x6b % 8 = 4",
        "0xdead000000000110 = LIST_POISON1 (0xdead000000000100) + 0x18",
        "0x1a68 >> 3 = 846",
    )
    assert [text for text in true if list(false_sums(text))] == []
    assert [text for text in false if not list(false_sums(text))] == []


def test_a_sentence_may_show_its_own_sum():
    """A number that a sentence computes in itself is the sum's, if the sum comes out; it wraps as
    the processor's does.
    """
    log = "r12 = 000f888200000030, r14 = ffff888000000000"
    shown = "0xf888200000030 + 0xffff888000000000 = {}"
    for result, good in (("0xf110200000030", True), ("0xf110200000031", False)):
        statement = {"text": shown.format(result), "evidence": [], "confidence": "likely"}
        assert (differences(log, [statement]) == []) is good


def test_two_ways_of_writing_one_instruction():
    """Sizes, blanks and the base of numbers are no difference; registers are."""
    assert plain("mov rax, qword ptr [rbx + 0x10]") == plain("mov    rax,QWORD PTR [rbx+0x10]")
    assert plain("ldr x3, [x19, #0x30]") == plain("ldr x3, [x19, #48]")
    assert plain("ldr x3, [x19, #0x30]") != plain("ldr x3, [x20, #48]")


def test_the_projects_own_logs_are_explained_truly():
    """Every number and instruction of every explanation of the logs that tests are made of."""
    counts = Counts()
    for path in [
        *sorted((ROOT / "tests" / "explain" / "cases").glob("*.toml")),
        *sorted((ROOT / "tests" / "golden").glob("*/log*")),
        ROOT / "docs" / "example.log",
    ]:
        for _, log in logs(path):
            for family, statements in diagnosed(log):
                check(log, family, statements, counts)
    assert counts.differences == []
    assert counts.explanations > 70
    assert counts.instructions > 20


REPEATED = """
BUG: stack guard page was hit at ffffc900054afff8 (stack is ffffc900054b0000..ffffc900054b8000)
CPU: 0 PID: 311 Comm: demo Not tainted 5.16.0 #1
Call Trace:
 demo_set+0x128/0xe40
 demo_set+0x128/0xe40
 demo_set+0x128/0xe40
 demo_ioctl+0x20/0x60
"""


def test_counts_are_made_again():
    """A count that is one too many is found."""
    log = stamped(REPEATED)
    _, statements = diagnosed(log)[0]
    assert any("3 times in a row" in one["text"] for one in statements)
    assert differences(log, statements) == []
    for one in statements:
        one["text"] = one["text"].replace("3 times in a row", "4 times in a row")
    assert any("3 times in a row, not 4" in one for one in differences(log, statements))
