from __future__ import annotations

import json
from dataclasses import replace

import pytest

from detector.explain import explain, with_instruction
from detector.explain.terminal_text import WIDTH, as_json, headline, text_lines
from detector.model import Frame
from tests.support.crashes import FOUNDING, STABLE, fault, frames, match, release


def said(diagnosis):
    """All sentences and their evidence."""
    return "\n".join(" ".join((one.text, *one.evidence)) for one in diagnosis.statements)


def test_founding_case(catalogue):
    """State, place, instruction with its sum, member, slot, race, commits and commands are all
    said.
    """
    diagnosis = explain(FOUNDING, [release(10), fault()], catalogue)
    text = said(diagnosis)
    for part in (
        "TCP_LISTEN",
        "`ldr x3, [x19, #0x30]`",
        "__inet_lookup_listener+0xac",
        "0x194db + 0x30 = 0x1950b",
        "sk->sk_net (skc_net of struct sock_common)",
        "slot 51873",
        "x0 = 0x19543",
        "8dbd76e79a16",
        "tcp/dccp: fix possible race __inet_lookup_established()",
        "3b24d854cb35",
        "Linked by the original analysis: 28f0d54dbed848d231c9af37737ddd00968caaac",
        "4.9.208, 4.14.162 (likely), 4.19.93",
        "only its changelog says",
        "level 3 translation fault",
        "network driver mlx5_core → packet receive → IPv4 input → TCP input → listener lookup",
    ):
        assert part in text
    assert (diagnosis.known_issue, diagnosis.known_issue_confidence) == (
        "tcp-listener-race",
        "likely",
    )
    steps = "\n".join(diagnosis.next_steps)
    for step in (
        "dis -l __inet_lookup_listener+0xac",
        "struct sock_common -o",
        "struct sock ffff805624a7b800",
        "crash: bt",
        "crash: log",
        "mitigation: ",
    ):
        assert step in steps
    assert "check the vendor's changelog for" in steps
    assert with_instruction(FOUNDING).instruction == "ldr x3, [x19, #0x30]"


def test_the_same_race_on_a_stable_kernel_is_certain(catalogue):
    """x86_64, another function, another slot, a plain release: everything agrees."""
    diagnosis = explain(
        STABLE,
        [release(10, "00000000deadbea7"), match(STABLE.title or "", "memory-fault")],
        catalogue,
    )
    assert (diagnosis.known_issue, diagnosis.known_issue_confidence) == (
        "tcp-listener-race",
        "certain",
    )
    assert "slot 12345" in said(diagnosis)
    assert "cmp r14, qword ptr [r13 + 0x30]" in said(diagnosis)
    assert "no page is mapped there" in said(diagnosis)
    assert any("take the address from a register" in step for step in diagnosis.next_steps)
    assert not any("deadbea7" in step for step in diagnosis.next_steps)


@pytest.mark.parametrize(
    ("change", "states", "expect"),
    [
        ({}, (10,), ("tcp-listener-race", "certain")),
        ({"kernel": "4.19.219"}, (10,), (None, None)),
        ({"kernel": "4.19.219-vendor"}, (10,), (None, None)),
        ({"kernel": "5.10.0"}, (10,), (None, None)),
        ({"kernel": "4.4.60"}, (10,), (None, None)),
        ({"kernel": None}, (10,), ("tcp-listener-race", "likely")),
        ({"kernel": "4.18.0-147.el8.x86_64"}, (10,), ("tcp-listener-race", "likely")),
        ({"kernel": "4.18.0-147.el8.x86_64"}, (), ("tcp-listener-race", "likely")),
        ({}, (1,), ("tcp-listener-race", "possible")),
        ({"code": (), "code_mark": None}, (10,), ("tcp-listener-race", "likely")),
        (
            {"code": (), "code_mark": None, "fault_address": None},
            (10,),
            ("tcp-listener-race", "possible"),
        ),
        ({"function": "tcp_v4_rcv"}, (10,), (None, None)),
        (
            {
                "function": "tcp_md5_do_lookup",
                "fault_address": 0x990,
                "code": (),
                "code_mark": None,
            },
            (10,),
            (None, None),
        ),
        (
            {
                "function": "ipv6_sock_mc_close",
                "fault_address": 0x58,
                "code": (),
                "code_mark": None,
            },
            (10, 10),
            (None, None),
        ),
        (
            {
                "fault_address": 0x40000001,
                "registers": {"r13": 0x3FFFFFD1},
                "kernel": "4.19.93-rc1",
            },
            (),
            ("tcp-listener-half-backport", "likely"),
        ),
        ({"fault_address": 0x603C, "registers": {"r13": 0x600C}}, (1,), (None, None)),
    ],
)
def test_lookalikes(catalogue, change, states, expect):
    """Each variant of the race gets its name, and what only resembles it gets none."""
    evidence = [
        *(release(state, f"{0xFFFF800000000000 + index:x}") for index, state in enumerate(states)),
        match("BUG: unable", "memory-fault"),
    ]
    diagnosis = explain(replace(STABLE, **change), evidence, catalogue)
    assert (diagnosis.known_issue, diagnosis.known_issue_confidence) == expect


def test_half_backport_in_the_lookup_of_its_candidate_is_certain(catalogue):
    """4.19.93-rc1: the mark is the listener table's own."""
    report = replace(
        STABLE,
        function="__inet_lookup_listener",
        kernel="4.19.93-rc1",
        fault_address=0x40000001,
        registers={"r13": 0x3FFFFFD1},
    )
    diagnosis = explain(report, [], catalogue)
    assert (diagnosis.known_issue, diagnosis.known_issue_confidence) == (
        "tcp-listener-half-backport",
        "certain",
    )
    assert "LISTENING_NULLS_BASE (1 << 29) + 28" in said(diagnosis)


def test_sockets_released_without_a_crash(catalogue):
    """SCTP, sockmap and MPTCP are named by their own traces; the line alone names none of them."""
    warning = replace(
        STABLE,
        kind="warning",
        function="__tcp_transmit_skb",
        kernel="6.0.0",
        fault_address=None,
        code=(),
        code_mark=None,
    )
    sockmap = replace(
        warning,
        title="WARNING: refcount bug in __tcp_transmit_skb",
        frames=frames("tcp_write_xmit", "tcp_bpf_push"),
    )
    counter = match("refcount_t: addition on 0; use-after-free.", "refcount")
    sctp = replace(warning, function="sctp_close", kernel="5.6.2", frames=frames("inet_release"))
    assert (
        explain(sockmap, [release(1), counter], catalogue).known_issue
        == "sockmap-repeated-sock-put"
    )
    assert explain(sctp, [release(1)], catalogue).known_issue == "sctp-association-restart"
    assert explain(None, [release(3), release(10)], catalogue).known_issue == "mptcp-clone-failure"
    assert (
        explain(
            None, [release(3, "00000000a1b2c3d4"), release(10, "00000000a1b2c3d5")], catalogue
        ).known_issue
        is None
    )
    assert explain(None, [release(1)], catalogue).known_issue is None
    assert explain(None, [release(10)], catalogue).known_issue is None


def test_a_vendor_kernel_is_never_called_fixed(catalogue):
    """Whatever a vendor's release is built on, no sentence says that it has or lacks the fix."""
    for kernel in (
        "4.14.0-115.el7a.0.1.aarch64",
        "4.19.36-vhulk1907.1.0.aarch64",
        "4.19.90-25.37.v2101.ky10.aarch64",
    ):
        text = said(explain(replace(FOUNDING, kernel=kernel), [release(10), fault()], catalogue))
        assert "only its changelog says" in text
        assert "without the fix" not in text
        assert "has this fix" not in text


def test_nothing_to_say(catalogue):
    """No report and no evidence: no statement, no issue, no step."""
    diagnosis = explain(None, [], catalogue)
    assert (diagnosis.statements, diagnosis.known_issue, diagnosis.next_steps) == ((), None, ())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"kind": "soft-lockup", "title": "BUG: soft lockup in foo"},
            "did not let another task run",
        ),
        ({"kind": "warning", "title": "WARNING: refcount bug in foo"}, "reference counter"),
        ({"kind": "rcu-stall", "title": "INFO: rcu detected stall in foo"}, "quiescent state"),
        ({"kind": "panic", "title": "kernel panic: out of memory"}, "stopped for good"),
        ({"function": "kmem_cache_alloc", "frames": ()}, "into a freed object"),
    ],
)
def test_kinds(catalogue, change, expected):
    """Reports without an address, and allocators that ran into one, say what they mean."""
    assert expected in said(explain(replace(STABLE, **change), [], catalogue))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"fault_address": 0, "registers": {"rip": 0}},
            "It jumped there through a NULL function pointer",
        ),
        (
            {"fault_address": 0x1234567, "registers": {"rip": 0x1234567}},
            "through a bad function pointer",
        ),
        ({"fault_address": None}, "the report gives no address, the operand is at r13 = 0x600b"),
        ({"fault_address": 0x777777}, "its operand is not the fault address (r13 = 0x600b"),
        ({"registers": {}}, "the registers that its operand needs are not in the report"),
        ({"code": ("0f", "0b"), "code_mark": 0}, "`ud2`; it touches no memory by itself"),
        (
            {"frames": (*frames("x"), Frame("inet_diag_dump_icsk", 435))},
            "The instruction that faulted is `cmp r14, qword ptr [r13 + 0x30]`",
        ),
        (
            {
                "title": "general protection fault in f",
                "registers": {"r13": 0xDEAD4EAD00000000, "cr2": 0x603B},
            },
            (
                "its operand is no canonical address, hence the trap: r13 = "
                "0xdead4ead00000000; 0xdead4ead00000000 + 0x30"
            ),
        ),
        (
            {
                "title": "general protection fault in f",
                "code": ("c3",),
                "code_mark": 0,
                "fault_address": None,
            },
            "the stack was overwritten",
        ),
    ],
)
def test_how_the_address_came_about(catalogue, change, expected):
    """Jumps, missing addresses and registers, traps without an address, callers of something
    generic.
    """
    assert expected in said(explain(replace(STABLE, **change), [], catalogue))


def test_a_lockup_does_not_speak_of_a_faulting_instruction(catalogue):
    """A watchdog's registers explain no address, whatever they hold."""
    report = replace(STABLE, kind="soft-lockup", title="BUG: soft lockup in inet_diag_dump_icsk")
    assert "fault address" not in said(explain(report, [], catalogue))


def test_the_headline_gives_an_offset_to_the_function_that_it_is_of():
    """Titles leave prefixes and suffixes out; an offset counts from the symbol as printed."""
    report = replace(
        STABLE,
        title="BUG: soft lockup in smp_call_function",
        function="smp_call_function",
        display_function="smp_call_function_single",
        offset=0x302,
    )
    assert headline(report, []) == (
        "BUG: soft lockup in smp_call_function, at smp_call_function_single+0x302."
    )


def test_layout_leads_with_one_sentence_and_keeps_the_width(catalogue):
    """The order is what, where, why, issue, steps, evidence; the gap is exact; no line is too
    wide.
    """
    evidence = [release(10), fault()]
    lines = text_lines(FOUNDING, evidence, explain(FOUNDING, evidence, catalogue))
    assert " ".join(lines[:2]).endswith(
        "at offset 0xac, 0.492317 s after a socket was released in state 10 (TCP_LISTEN)."
    )
    titles = [line for line in lines if line.isupper() and not line.startswith(" ")]
    assert titles == ["WHERE", "WHY", "KNOWN ISSUE", "WHAT TO DO", "EVIDENCE"]
    assert max(map(len, lines)) <= WIDTH


def test_layout_makes_log_text_inert(catalogue):
    """Escapes, direction marks and line ends of a crash reach no terminal; a comm reaches no
    command.
    """
    evil = "\x1b]0;owned\x07\u202e$(reboot)\r\n"
    report = replace(
        FOUNDING,
        comm=evil,
        title=evil,
        hardware=evil,
        display_function="`reboot`",
        module="x;reboot",
    )
    diagnosis = explain(report, [match(evil, "memory-fault")], catalogue)
    lines = text_lines(report, [match(evil, "memory-fault")], diagnosis)
    assert all(line.isprintable() for line in lines)
    assert "reboot" not in "".join(diagnosis.next_steps)


def test_layout_without_a_report(catalogue):
    """A line alone, and nothing at all, are laid out too."""
    evidence = [release(10)]
    assert text_lines(None, evidence, explain(None, evidence, catalogue))[0].startswith(
        "The kernel reported: IPv4: Attempt"
    )
    assert text_lines(None, [], explain(None, [], catalogue)) == ["Nothing here is a kernel fault."]


def test_json_holds_what_the_text_says(catalogue):
    """The dictionary survives JSON and names the issue with its confidence."""
    evidence = [release(10), fault()]
    item = json.loads(
        json.dumps(as_json(FOUNDING, evidence, explain(FOUNDING, evidence, catalogue)))
    )
    assert item["known_issue"] == {"id": "tcp-listener-race", "confidence": "likely"}
    assert {"text", "confidence", "evidence"} == set(item["statements"][0])
