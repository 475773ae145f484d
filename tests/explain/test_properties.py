from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from detector.explain import explain
from detector.explain.decode.hash_nulls import WALKS
from detector.explain.decode.machine import machine_of
from detector.explain.terminal_text import WIDTH, as_json, text_lines
from detector.model import CrashReport, Frame
from tests.support.crashes import STABLE, match, release, shipped

CATALOGUE = shipped()
ARCHES = (
    "arm64",
    "aarch64",
    "x86_64",
    "i386",
    "arm",
    "ppc64",
    "s390x",
    "riscv64",
    "mips",
    "klingon",
    None,
)
NAMES = [f"x{n}" for n in range(31)] + [
    "sp",
    "lr",
    "pc",
    "rax",
    "rbx",
    "rcx",
    "rdi",
    "r13",
    "r0",
    "r9",
    "eax",
    "ecx",
    "rip",
    "rsp",
    "gs",
    "cr2",
    "fp",
]
WORDS = st.one_of(
    st.integers(0, 255).map(lambda byte: f"{byte:02x}"),
    st.integers(0, (1 << 32) - 1).map(lambda word: f"{word:08x}"),
    st.text(max_size=10),
)
VALUES = st.one_of(
    st.integers(0, (1 << 64) - 1),
    st.integers(0, 0x100000),
    st.sampled_from(
        [
            0xDEAD000000000100,
            0x6B6B6B6B6B6B6B6B,
            0xDFFFFC0000000000,
            (1 << 64) - 2,
            0x194DB,
            0x1950B,
        ]
    ),
)
FUNCTIONS = st.one_of(
    st.none(),
    st.sampled_from([*sorted(WALKS), "tcp_v4_rcv", "sctp_close", "kmem_cache_alloc"]),
    st.text(max_size=30),
)
KERNELS = st.one_of(
    st.none(),
    st.text(max_size=20),
    st.sampled_from(["4.14.0-115.el7a.0.1.aarch64", "4.19.60", "4.19.93-rc1", "6.1.36", "5.4.7"]),
)
REPORTS = st.builds(
    CrashReport,
    kind=st.one_of(
        st.just("memory-fault"),
        st.sampled_from(["warning", "soft-lockup", "double-fault", "panic"]),
        st.text(max_size=10),
    ),
    title=st.one_of(st.none(), st.just("general protection fault in f"), st.text(max_size=60)),
    function=FUNCTIONS,
    display_function=FUNCTIONS,
    offset=st.one_of(st.none(), st.integers(0, 1 << 20)),
    module=st.one_of(st.none(), st.text(max_size=8)),
    kernel=KERNELS,
    arch=st.sampled_from(ARCHES),
    comm=st.one_of(st.none(), st.text(max_size=16)),
    fault_address=st.one_of(st.none(), VALUES),
    error_code=st.one_of(st.none(), VALUES),
    esr=st.one_of(st.none(), VALUES),
    code=st.lists(WORDS, max_size=20).map(tuple),
    code_mark=st.one_of(st.none(), st.integers(-2, 22)),
    registers=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=20),
    frames=st.lists(
        st.builds(
            Frame,
            function=st.one_of(FUNCTIONS.map(lambda name: name or "f")),
            reliable=st.booleans(),
        ),
        max_size=8,
    ).map(tuple),
    complete=st.booleans(),
)
EVIDENCE = st.lists(
    st.one_of(
        st.builds(release, st.integers(0, 20)),
        st.builds(
            match, st.text(max_size=80), st.sampled_from(["memory-fault", "tcp-state", "refcount"])
        ),
    ),
    max_size=6,
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.none(), REPORTS), EVIDENCE)
def test_random_crashes_never_break_the_explainer(report, evidence):
    """Whatever the registers and the code hold: a diagnosis comes out, certain sentences have
    evidence, and it can be shown.
    """
    diagnosis = explain(report, evidence, CATALOGUE)
    assert all(one.evidence for one in diagnosis.statements if one.confidence == "certain")
    assert (diagnosis.known_issue is None) == (diagnosis.known_issue_confidence is None)
    lines = text_lines(report, evidence, diagnosis)
    assert all(len(line) <= WIDTH and line.isprintable() for line in lines)
    json.dumps(as_json(report, evidence, diagnosis))
    assert all(step.isprintable() for step in diagnosis.next_steps)


@settings(max_examples=300, deadline=None)
@given(REPORTS, EVIDENCE)
def test_an_operand_is_claimed_only_where_the_sum_is_right(report, evidence):
    """A sentence that says the operand is the fault address quotes a sum that ends in it; an issue
    is certain only with a decoded mark.
    """
    machine = machine_of(report)
    diagnosis = explain(report, evidence, CATALOGUE)
    for one in diagnosis.statements:
        if (
            one.text.startswith("The instruction")
            and "operand is the fault address:" in one.text
            and machine is not None
        ):
            total = int(one.evidence[1].rpartition("= ")[2], 16)
            assert (report.fault_address - total) & machine.mask < 64
    if diagnosis.known_issue_confidence == "certain":
        assert "decoded from the address" in " ".join(
            line for one in diagnosis.statements for line in one.evidence
        )


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "fault_address": st.one_of(VALUES, st.integers(0, 1 << 20)),
        "registers": st.dictionaries(st.just("r13"), st.integers(0, 1 << 20)),
        "code": st.just(("4d", "3b", "75", "38")),
        "code_mark": st.one_of(st.none(), st.integers(0, 8)),
        "function": FUNCTIONS,
        "kernel": KERNELS,
        "kind": st.sampled_from(["memory-fault", "warning"]),
    },
)


@settings(max_examples=300, deadline=None)
@given(CHANGES, st.sets(st.sampled_from([1, 3, 7, 10]), max_size=2))
def test_certainty_needs_every_part(change, states):
    """Take the surest case apart: it stays certain only while state, release, function and the
    decoded mark are all there.
    """
    report = replace(STABLE, **change)
    diagnosis = explain(report, [release(state) for state in states], CATALOGUE)
    if diagnosis.known_issue_confidence == "certain":
        assert (diagnosis.known_issue, states) == ("tcp-listener-race", {10})
        assert report.function in WALKS
        assert report.kind == "memory-fault"
        assert report.fault_address == report.registers["r13"] + 0x30
        assert report.kernel in ("4.19.60", "5.4.7", "4.19.93-rc1")
        assert report.registers["r13"] + 0x68 & 1


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, 255), min_size=1, max_size=15),
    st.sampled_from(["x86_64", "i386"]),
    VALUES,
)
def test_random_x86_bytes(code, arch, address):
    """Any bytes behind the mark, all registers known."""
    registers = dict.fromkeys(
        (
            "rax",
            "rcx",
            "rdx",
            "rbx",
            "rsp",
            "rbp",
            "rsi",
            "rdi",
            "r8",
            "r15",
            "rip",
            "eax",
            "ecx",
            "esp",
            "gs",
        ),
        address,
    )
    report = CrashReport(
        "memory-fault",
        arch=arch,
        code=tuple(f"{byte:02x}" for byte in code),
        code_mark=0,
        registers=registers,
        fault_address=address,
    )
    assert explain(report, [], CATALOGUE).statements


@settings(max_examples=300, deadline=None)
@given(st.integers(0, (1 << 32) - 1), st.sampled_from(["arm64", "arm"]), VALUES)
def test_random_arm_words(word, arch, address):
    """Any word behind the mark, all registers known."""
    registers = dict.fromkeys(NAMES, address)
    report = CrashReport(
        "memory-fault",
        arch=arch,
        code=(f"({word:08x})",),
        registers=registers,
        fault_address=address,
    )
    explain(report, [], CATALOGUE)
