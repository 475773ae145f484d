"""Which bugs a crash is given the name of, and which it is not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.known import Bug, Fix, Trace
from detector.known.index import BugTrace, Index
from detector.known.match import COMPARED, compare, named
from detector.release import KernelRelease

FRAMES = (
    "demo_read",
    "demo_turn",
    "demo_work",
    "demo_ioctl",
    "dev_ioctl",
    "vfs_ioctl",
    "sys_ioctl",
)
TITLE = "KASAN: slab-use-after-free Read in demo_read"
TRACE = Trace("kasan", TITLE, "demo_read", FRAMES)
BUG = Bug(
    "CVE-2024-00001",
    "demo: hold the valve",
    "0123456789ab",
    (("5.4", "6.1.20"), ("6.2", "6.5")),
    (Fix("6.1.20", "aaaaaaaaaaaa"), Fix("6.5", "0123456789ab")),
    ("drivers/demo/pump.c",),
    (TRACE,),
)
OTHERS = [
    Bug(f"CVE-2023-{number:05d}", "", traces=(Trace("kasan", "t", f"f{number}", (f"f{number}",)),))
    for number in range(200)
]


def names(crash: Trace, kernel: str = "6.1.7", *bugs: Bug, arch: str | None = "x86_64"):
    """(id, confidence) of the bugs that the crash is given the name of."""
    index = Index.of([*(bugs or (BUG,)), *OTHERS])
    found = named(crash, KernelRelease.parse(kernel), arch, index)
    return [(one.bug.id, one.confidence) for one in found]


LIKELY = [("CVE-2024-00001", "likely")]
POSSIBLE = [("CVE-2024-00001", "possible")]


def test_the_same_report_is_likely_the_same_bug():
    """The same complaint in the same function, the same calls."""
    assert names(TRACE) == LIKELY


@pytest.mark.parametrize(
    ("crash", "expected"),
    [
        (replace(TRACE, frames=FRAMES[:4]), LIKELY),
        (replace(TRACE, frames=FRAMES[:3]), POSSIBLE),
        (replace(TRACE, frames=FRAMES[:2]), []),
        (replace(TRACE, frames=(*FRAMES[:3], "other", *FRAMES[4:])), LIKELY),
        (replace(TRACE, frames=("demo_read", "other", "path", "to_it", *FRAMES[5:])), []),
        (replace(TRACE, frames=tuple(reversed(FRAMES))), []),
        (replace(TRACE, function="demo_turn"), []),
        (replace(TRACE, title="KASAN: use-after-free Read in demo_read"), LIKELY),
        (replace(TRACE, title="KASAN: slab-use-after-free Write in demo_read"), POSSIBLE),
        (replace(TRACE, title="KASAN: slab-out-of-bounds Read in demo_read"), []),
        (
            Trace("memory-fault", "general protection fault in demo_read", "demo_read", FRAMES),
            POSSIBLE,
        ),
        (
            replace(
                Trace("memory-fault", "general protection fault in demo_read", "demo_read", FRAMES),
                offset=8,
            ),
            [],
        ),
        (Trace("warning", "WARNING in demo_read", "demo_read", FRAMES), []),
        (Trace("hung-task", "INFO: task hung in demo_read", "demo_read", FRAMES), []),
        (Trace("kasan", None, None, ()), []),
    ],
)
def test_how_much_must_agree(crash, expected):
    """Fewer frames, another path, another function, another nature of the fault."""
    assert names(crash) == expected


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        ("6.1.19", LIKELY),
        ("6.1.20", []),
        ("6.6.1", []),
        ("5.3.9", []),
        ("6.5.0-rc2", LIKELY),
        ("5.15.0-112-generic", LIKELY),
        ("6.1.119-1-generic", POSSIBLE),
        ("4.18.0-513.el8.x86_64", POSSIBLE),
        ("no release", POSSIBLE),
    ],
)
def test_the_release_must_have_the_bug(kernel, expected):
    """Releases with the fix or older than the bug are given no name; what cannot be told is less
    sure.
    """
    assert names(TRACE, kernel) == expected


def test_a_vendors_kernel_with_the_fix_is_never_named_on_half_the_evidence():
    """Possible at most, and nothing where the evidence alone would say possible."""
    assert names(replace(TRACE, frames=FRAMES[:3]), "6.1.119-1-generic") == []


def test_another_architecture_or_module_is_another_bug():
    """A fix under arch/arm64 is none for x86; two drivers may name a function alike."""
    arm = replace(BUG, files=("arch/arm64/kernel/demo.c",))
    assert names(TRACE, "6.1.7", arm) == []
    assert names(TRACE, "6.1.7", arm, arch="arm64") == LIKELY
    assert names(TRACE, "6.1.7", replace(arm, files=(*arm.files, "lib/demo.c"))) == LIKELY
    module = replace(BUG, traces=(replace(TRACE, module="pump"),))
    assert names(replace(TRACE, module="valve"), "6.1.7", module) == []
    assert names(replace(TRACE, module="pump"), "6.1.7", module) == LIKELY


def test_memory_that_others_freed_is_another_object():
    """The stacks that KASAN prints beside the trace must not contradict."""
    freed = replace(BUG, traces=(replace(TRACE, freed=("demo_close", "demo_exit")),))
    assert names(replace(TRACE, freed=("demo_close", "other")), "6.1.7", freed) == LIKELY
    assert names(replace(TRACE, freed=("rmmod_demo",)), "6.1.7", freed) == POSSIBLE
    assert names(TRACE, "6.1.7", freed) == LIKELY


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        ("hung-task", "INFO: task hung in demo_read"),
        ("memory-leak", "memory leak in demo_read"),
        ("kcsan", "KCSAN: data-race in demo_read / demo_turn"),
    ],
)
def test_a_trace_of_a_bystander_is_possible_at_most(kind, title):
    """Who waits, who allocated, one of two accesses: none of them is who is at fault."""
    trace = Trace(kind, title, "demo_read", FRAMES)
    assert names(trace, "6.1.7", replace(BUG, traces=(trace,))) == POSSIBLE


def test_memory_of_a_stranger_is_less_sure():
    """A buffer of another part of the kernel: the pointer was stale or out of range."""
    assert names(replace(TRACE, freed=("audit_free", "audit_exit"))) == POSSIBLE
    assert names(replace(TRACE, freed=("__demo_free", "audit_exit"))) == LIKELY
    owned = replace(BUG, traces=(replace(TRACE, freed=("audit_free",)),))
    assert names(replace(TRACE, freed=("audit_free", "audit_exit")), "6.1.7", owned) == LIKELY


def test_the_same_member_of_a_struct_counts_as_a_frame():
    """Three calls and the same distance from NULL; no distance, or another one, is nothing."""
    fault = Trace("memory-fault", "general protection fault in demo_read", "demo_read", FRAMES[:3])
    bug = replace(BUG, traces=(replace(fault, offset=520),))
    assert names(replace(fault, offset=520), "6.1.7", bug) == LIKELY
    assert names(replace(fault, offset=528), "6.1.7", bug) == POSSIBLE
    null = replace(fault, offset=0)
    assert names(null, "6.1.7", replace(BUG, traces=(null,))) == POSSIBLE


def test_functions_that_crash_for_others_need_more():
    """Guilty in three bugs of two subsystems: six frames, not four."""
    crash = replace(TRACE, frames=FRAMES[:5])
    more = [
        replace(BUG, id=f"CVE-2022-0000{n}", files=(f"{folder}/x.c",), traces=(other,))
        for n, folder, other in (
            (1, "net/core/a", replace(TRACE, frames=("demo_read", "a", "b", "c"))),
            (2, "fs/ext4/a", replace(TRACE, frames=("demo_read", "d", "e", "f"))),
        )
    ]
    assert names(crash, "6.1.7", BUG) == LIKELY
    assert names(crash, "6.1.7", BUG, *more) == POSSIBLE
    assert names(TRACE, "6.1.7", BUG, *more) == LIKELY


def test_bugs_that_cannot_be_told_apart_are_named_together():
    """Two or three are named as such; of four nothing is said."""
    twins = [replace(BUG, id=f"CVE-2024-0000{number}") for number in range(1, 5)]
    assert {bug for bug, _ in names(TRACE, "6.1.7", *twins[:3])} == {bug.id for bug in twins[:3]}
    assert names(TRACE, "6.1.7", *twins) == []


def test_uninitialised_data_needs_its_origin():
    """Who reads it is seldom who forgot it."""
    trace = Trace("kmsan", "KMSAN: uninit-value in demo_read", "demo_read", FRAMES)
    born = replace(trace, allocated=("demo_alloc", "demo_open"))
    bug = replace(BUG, traces=(born,))
    assert names(born, "6.1.7", bug) == LIKELY
    assert names(trace, "6.1.7", bug) == []
    assert names(trace, "6.1.7", replace(bug, named=("demo_read",))) == LIKELY


def test_inlined_frames_are_seen_or_not():
    """A published trace is decoded, a host's is not: both are the same."""
    decoded = ("demo_read", "demo_inlined", *FRAMES[1:])
    bug = replace(BUG, traces=(replace(TRACE, frames=decoded, plain=FRAMES),))
    assert names(TRACE, "6.1.7", bug) == LIKELY
    assert names(replace(TRACE, frames=decoded, plain=FRAMES), "6.1.7", BUG) == LIKELY


def test_a_trace_without_its_head_is_possible_at_most():
    """Many frames in order, but nobody knows what was complained of; on either side, or on both."""
    rest = replace(TRACE, kind="?", title=None)
    bug = replace(BUG, traces=(rest,))
    assert names(TRACE, "6.1.7", bug) == POSSIBLE
    assert names(rest, "6.1.7", bug) == POSSIBLE
    assert names(rest, "6.1.7", BUG) == POSSIBLE
    assert names(replace(rest, frames=FRAMES[:3]), "6.1.7", BUG) == []
    lost = replace(TRACE, title="KASAN: bad access in demo_read")
    assert names(lost, "6.1.7", BUG) == POSSIBLE
    assert names(lost, "6.1.7", replace(BUG, traces=(lost,))) == POSSIBLE


names_of_frames = st.lists(st.sampled_from([f"f{n}" for n in range(9)]), unique=True, min_size=3)


@given(names_of_frames, st.sets(st.integers(0, 8)), st.lists(st.integers(0, 40), min_size=9))
def test_of_two_whole_alignments_the_heavier_counts(made, inlined, counts):
    """A trace beside itself, however rare its functions are and whatever part of it was inlined:
    rounding does not prefer the lighter one.
    """
    shared = [
        Bug(f"CVE-2020-{10 * number + copy:05d}", "", traces=(Trace("kasan", "t", name, (name,)),))
        for number, name in enumerate(f"f{n}" for n in range(9))
        for copy in range(min(counts[number], 9))
    ]
    plain = tuple(name for place, name in enumerate(made) if place == 0 or place not in inlined)
    trace = Trace("kasan", TITLE, made[0], tuple(made), plain)
    bug = replace(BUG, traces=(trace,))
    index = Index.of([bug, *OTHERS, *shared])
    like = compare(trace, BugTrace(bug, trace), KernelRelease.parse("6.1.7"), index)
    heaviest = max(
        sum(index.weight(name) * 0.85**place for place, name in enumerate(side[:COMPARED]))
        for side in (made, plain)
    )
    assert like.overlap == pytest.approx(1.0)
    assert like.weight == pytest.approx(heaviest)


frames = st.lists(st.sampled_from(["demo_read", *FRAMES, "a", "b", "c"]), max_size=9).map(tuple)


@given(frames, frames, st.sampled_from(["6.1.7", "6.1.20", "5.15.0-1-generic", "x"]))
def test_no_name_without_reason(mine, theirs, kernel):
    """Whatever the traces: who is named shares at least three frames in order, and its release may
    have the bug.
    """
    crash = replace(TRACE, frames=mine)
    bug = replace(BUG, traces=(replace(TRACE, frames=theirs),))
    found = named(crash, KernelRelease.parse(kernel), None, Index.of([bug, *OTHERS]))
    for one in found:
        assert one.common >= (4 if one.confidence == "likely" else 3)
        assert one.common <= one.of
        assert one.standing.status not in {"fixed", "before"}
