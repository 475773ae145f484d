"""CVE records read into facts, and into bugs with their traces."""

from __future__ import annotations

from contextlib import suppress
from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.known.cve import UnusableError, published
from detector.known.nature import HEADLESS, nature
from detector.known.quotes import quoted_lines
from detector.known.update import bug_of
from tests.known.records import TRACE, hash_of, record
from tests.support.message_reader import reader


def traces(text: str):
    """The traces that a message yields."""
    return bug_of(published(record(text=text)), reader()).traces


def test_facts_of_a_record():
    """Id, subject, intervals, each release with its own commit, mainline's commit, the files."""
    facts = published(record())
    assert facts.id == "CVE-2024-00001"
    assert facts.subject == "demo: pump: hold the valve while it is open"
    assert facts.affected == (("5.4", "5.10.50"), ("5.11", "6.1.20"), ("6.2", "6.5"))
    assert [(fix.release, fix.commit) for fix in facts.fixes] == [
        ("5.10.50", hash_of(1)[:12]),
        ("6.1.20", hash_of(2)[:12]),
        ("6.5", hash_of(3)[:12]),
    ]
    assert facts.main == hash_of(3)[:12]
    assert facts.files == ("drivers/demo/pump.c",)


def test_a_bug_that_lived_in_stable_alone():
    """Backported intervals, and a mainline commit whose release the record does not name."""
    facts = published(
        record(
            mainline=None,
            stable=(),
            local=[("4.19.103", "4.19.114"), ("5.4.19", "5.4.29")],
            commits=[hash_of(1), hash_of(2), hash_of(3)],
        )
    )
    assert facts.affected == (("4.19.103", "4.19.114"), ("5.4.19", "5.4.29"))
    assert [fix.commit for fix in facts.fixes] == [hash_of(1)[:12], hash_of(2)[:12]]
    assert facts.main == hash_of(3)[:12]


def test_commits_that_cannot_be_paired_are_not():
    """More commits than releases: only mainline's is certain."""
    facts = published(record(commits=[hash_of(i) for i in range(1, 6)]))
    assert [fix.commit for fix in facts.fixes] == [None, None, hash_of(5)[:12]]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda r: r.update(dataType="SOMETHING"), "not a CVE record"),
        (lambda r: r["cveMetadata"].update(cveId="CVE-2024-x"), "no CVE id"),
        (lambda r: r["cveMetadata"].update(state="REJECTED"), "not published"),
        (lambda r: r["containers"].pop("cna"), "no container"),
        (lambda r: r["containers"]["cna"].update(affected=[]), "not about the Linux kernel"),
        (
            lambda r: [e.update(vendor="Other") for e in r["containers"]["cna"]["affected"]],
            "not about the Linux kernel",
        ),
        (
            lambda r: r["containers"]["cna"]["affected"][1]["versions"][2].update(version="6.x"),
            "releases in a form",
        ),
    ],
)
def test_other_records_say_why_they_are_left_out(change, reason):
    """Each with a reason that does not depend on the record."""
    made = deepcopy(record())
    change(made)
    with pytest.raises(UnusableError, match=reason):
        published(made)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=20,
)
KEYS = ("containers", "cna", "affected", "versions", "cveMetadata", "descriptions", "programFiles")


@given(st.sampled_from(KEYS), json_like)
def test_any_json_is_read_or_refused(key, value):
    """A record whose part is something else entirely: facts or a reason, nothing worse."""

    def replaced(node):
        if isinstance(node, dict):
            return {name: value if name == key else replaced(one) for name, one in node.items()}
        return [replaced(one) for one in node] if isinstance(node, list) else node

    with suppress(UnusableError):
        assert published(replaced(record())).id


def test_the_trace_of_a_message():
    """Title, function, the frames that tell it apart, who allocated, who freed; no prose."""
    (trace,) = traces(TRACE)
    assert trace.title == "KASAN: slab-use-after-free Read in demo_read_valve"
    assert trace.function == "demo_read_valve"
    assert trace.frames == (
        "demo_read_valve",
        "demo_turn",
        "demo_pump_work",
        "demo_pump_ioctl",
        "demo_dev_ioctl",
        "sys_ioctl",
    )
    assert trace.allocated == ("demo_open_valve", "demo_setup")
    assert trace.freed == ("demo_close_valve", "demo_teardown")


def test_who_keeps_the_stack_is_not_who_allocated():
    """mm/kasan/common.c of 5.12 and later has set_alloc_info above the allocation."""
    kept = " kasan_save_stack+0x1e/0x40\n"
    (trace,) = traces(TRACE.replace(kept, f"{kept} set_alloc_info+0x11/0x50\n"))
    assert trace.allocated == ("demo_open_valve", "demo_setup")


@pytest.mark.parametrize(
    "quote",
    [
        "    {}",
        "> {}",
        "| {}",
        ">  | {}",
        "[   12.345678] {}",
        "[  T123] {}",
        "[   12.345678][  T123] {}",
        "<4>[   12.345678] {}",
        "kernel: {}",
        " kernel: {}",
        "Feb 21 09:47:35 host-1 kernel: {}",
        "> Feb 21 09:47:35 host kernel: [   12.345678] {}",
        "[   12.345678] host kernel: {}",
    ],
)
def test_quoting_changes_nothing(quote):
    """Marks, stamps, levels and caller ids before every line."""
    quoted = "\n".join(quote.format(line) for line in TRACE.splitlines())
    assert traces(quoted) == traces(TRACE)


def test_decoded_heads_name_the_function_that_was_not_inlined():
    """decode_stacktrace.sh repeats the head for inlined functions, and moves a warning's place."""
    head = "BUG: KASAN: slab-use-after-free in demo_read_valve+0x10/0x80"
    decoded = TRACE.replace(
        head,
        "BUG: KASAN: slab-use-after-free in atomic_read include/linux/atomic.h:32 [inline]\n"
        f"{head} drivers/demo/pump.c:12",
    )
    assert traces(decoded)[0].title == traces(TRACE)[0].title
    lines = quoted_lines(
        "WARNING: CPU: 0 PID: 7 at demo_turn drivers/demo/pump.c:11 [inline]\n"
        "WARNING: CPU: 0 PID: 7 at demo_turn+0x1/0x20 drivers/demo/pump.c:12"
    )
    assert lines == ["WARNING: CPU: 0 PID: 7 at drivers/demo/pump.c:12 demo_turn+0x1/0x20"]


def test_heads_that_authors_cut_are_whole_again():
    """A wrapped head; a hint whose head was left out; a leak as kmemleak's file has it."""
    wrapped = quoted_lines(
        "general protection fault, probably for non-canonical address\n0xdffffc0000000001: 0000 "
        "[#1]"
    )
    assert wrapped == [
        "general protection fault, probably for non-canonical address 0xdffffc0000000001: 0000 [#1]"
    ]
    hint = "KASAN: null-ptr-deref in range [0x0000000000000028-0x000000000000002f]"
    head, same = quoted_lines(hint)
    assert same == hint
    assert head.startswith(
        "general protection fault, probably for non-canonical address 0xdffffc0000000005:"
    )
    assert quoted_lines(f"{wrapped[0]}\n{hint}") == [wrapped[0], hint]
    assert (
        quoted_lines("unreferenced object 0xffff888012345678 (size 64):")[0] == "BUG: memory leak"
    )


def test_a_null_pointer_is_one_whatever_the_head_says():
    """KASAN's check of a NULL pointer's shadow is a protection fault; the offset is the
    pointer's.
    """
    text = (
        "KASAN: null-ptr-deref in range [0x0000000000000028-0x000000000000002f]\n"
        "RIP: 0010:demo_read_valve+0x10/0x80\nCall Trace:\n demo_turn+0x20/0x100\n"
    )
    assert traces(text)[0].offset == 0x28


def test_a_trace_without_offsets_is_a_trace():
    """Names under `Call trace:`, as authors shorten them."""
    (trace,) = traces(
        "It crashes:\n\nCall trace:\n demo_one\n demo_two()\n -> demo_three\n\nFix it."
    )
    assert (trace.kind, trace.frames) == ("?", ("demo_one", "demo_two", "demo_three"))


def test_a_report_without_its_head_is_known_by_its_frames():
    """Only registers, trace and end mark are quoted; a head that names no function is as good. The
    frames tell that KASAN reported, and not what.
    """
    frames = TRACE[TRACE.index("Call Trace:") : TRACE.index("Allocated by")]
    registers = "RIP: 0010:demo_read_valve+0x10/0x80\n"
    cut = traces(f"It oopses:\n\n{registers}{frames}---[ end trace 0f4b7d2c5a6e9d10 ]---\n")
    short = traces(f"WARNING: CPU: 1 PID: 7 at <snip>/drivers/demo/pump.c:11\n{frames}")
    assert (short[0].kind, short[0].title) == ("?", None)
    assert (cut[0].kind, cut[0].title) == ("kasan", "KASAN: bad access in demo_read_valve")
    assert nature(cut[0].kind, cut[0].title) == HEADLESS
    for (trace,) in (cut, short):
        assert trace.function == "demo_read_valve"
        assert trace.frames[:2] == ("demo_read_valve", "demo_turn")


def test_prose_alone_is_no_trace():
    """Nothing is made of a message that quotes no report."""
    assert traces("demo: fix a leak\n\ndemo_open() forgets to call demo_close().") == ()


@given(st.text(max_size=400))
@settings(deadline=None)  # the first one makes the reader
def test_no_text_makes_reading_raise(text):
    """Descriptions are anybody's text."""
    traces(text + "\nCall Trace:\n" + text)
