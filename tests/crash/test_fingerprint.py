"""One bug, one fingerprint: whatever differs from host to host; and different bugs apart."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from detector.crash import fingerprint, read
from detector.model import CrashReport, Frame
from tests.support.feeding import blocks
from tests.support.shipped import shipped

FOLDER = Path(__file__).parent / "blocks"
BUGS = (
    "tx_reap",
    "rx_refill",
    "ctl_open",
    "ctl_close",
    "timeout",
    "fsync",
    "stats_show",
    "probe",
    "remove",
    "reset",
)


def fingerprint_of(log: str) -> str:
    """The fingerprint of the one block of a log."""
    skip = shipped().lists["generic-functions"]
    (block,) = blocks(log)
    return fingerprint(read(block, skip), skip)


def planted(kind: str, bug: str) -> str:
    """A log of a bug: the file of its kind, with functions of its own."""
    return re.sub(
        r"\bfrob_(\w+?)(?=[.+ \]])",
        rf"{bug}_\1",
        (FOLDER / f"{kind}.log").read_text(encoding="utf-8"),
    )


def elsewhere(log: str, chance: random.Random) -> str:
    """The same crash on another host and day: other stamps, addresses, CPU, process, build,
    suffixes, and the end of the trace gone.
    """
    shift = chance.randrange(10, 10**7)
    log = re.sub(r"(?m)^\[ *(\d+)\.", lambda stamp: f"[{int(stamp[1]) + shift:5}.", log)
    log = re.sub(r"ffff[0-9a-f]{12}", lambda _: f"ffff{chance.getrandbits(48):012x}", log)
    log = re.sub(r"CPU: \d+", f"CPU: {chance.randrange(128)}", log)
    log = re.sub(
        r"PID: \d+ Comm: .{1,15}? (Tainted|Kdump|Not)",
        rf"PID: {chance.randrange(1, 99999)} Comm: w/{chance.randrange(99)} \1",
        log,
    )
    log = re.sub(
        r"\+0x[0-9a-f]+/0x[0-9a-f]+",
        lambda _: f"+{chance.randrange(1, 512):#x}/{chance.randrange(512, 4096):#x}",
        log,
    )
    suffix = chance.choice(("", ".isra.0", ".constprop.3", ".part.0", ".cold"))
    log = re.sub(
        r"\b(\w+_(?:ring_write|cmd_done|lookup|req_done|ctx_put))(?:\.[a-z]+\.?\d*)*\+",
        rf"\1{suffix}+",
        log,
    )
    return log.replace(
        "6.8.0-45-generic", chance.choice(("6.8.0-45-generic", "6.8.0-51-generic", "6.8.12"))
    )


def test_a_thousand_variants_of_twenty_bugs() -> None:
    """1,000 crashes of 20 bugs on other hosts are 20 problems, each bug with one of its own."""
    chance = random.Random(20)
    seen: dict[tuple[str, str], set[str]] = {}
    for kind in ("x86_64-6.8", "arm64-4.14"):
        for bug in BUGS:
            log = planted(kind, bug)
            seen[kind, bug] = {fingerprint_of(elsewhere(log, chance)) for _ in range(50)}
    assert {len(names) for names in seen.values()} == {1}
    assert len(set.union(*seen.values())) == 20


def test_a_cut_tail_changes_nothing() -> None:
    """A trace that lost its last frame is the same problem, as long as the guilty function's
    nearest callers are there.
    """
    skip = shipped().lists["generic-functions"]
    whole, cut = [], []
    for path in sorted(FOLDER.glob("*.log")):
        (block,) = blocks(path.read_text(encoding="utf-8"))
        report = read(block, skip)
        if sum(frame.reliable and frame.function not in skip for frame in report.frames) > 4:
            whole.append(fingerprint(report, skip))
            cut.append(fingerprint(replace(report, frames=report.frames[:-1]), skip))
    assert len(whole) > 5
    assert cut == whole


def test_kinds_and_callers_part() -> None:
    """The same function in another kind of report, or reached by another way, is another
    problem.
    """
    frames = (Frame("frob_put"), Frame("frob_close"), Frame("frob_release"))
    other = (Frame("frob_put"), Frame("frob_timeout"), Frame("frob_worker"))
    fault = CrashReport("memory-fault", function="frob_put", frames=frames)
    assert (
        len(
            {
                fingerprint(fault),
                fingerprint(CrashReport("kasan", function="frob_put", frames=frames)),
            }
        )
        == 2
    )
    assert (
        len(
            {
                fingerprint(fault),
                fingerprint(CrashReport("memory-fault", function="frob_put", frames=other)),
            }
        )
        == 2
    )


def test_doubtful_and_generic_frames_do_not_count() -> None:
    """What the unwinder guessed, and what every path shares, tells no bugs apart."""
    plain = CrashReport(
        "memory-fault", function="frob_put", frames=(Frame("frob_put"), Frame("frob_close"))
    )
    guessed = (
        Frame("frob_put"),
        Frame("fput", reliable=False),
        Frame("kfree"),
        Frame("frob_close"),
    )
    assert fingerprint(plain, {"kfree"}) == fingerprint(
        CrashReport("memory-fault", function="frob_put", frames=guessed), {"kfree"}
    )


def test_version_stands_first() -> None:
    """A later algorithm can be told from this one."""
    assert re.fullmatch(
        r"1:[0-9a-f]{16}", fingerprint(CrashReport("panic", title="kernel panic: x"))
    )


@settings(max_examples=50)
@given(
    st.text(max_size=30),
    st.text(max_size=30),
    st.lists(st.text(min_size=1, max_size=20), max_size=6),
)
def test_any_report_has_one(kind: str, function: str, names: list[str]) -> None:
    """Whatever a report says, it has a fingerprint, and the same one each time."""
    report = CrashReport(kind, function=function, frames=tuple(Frame(name) for name in names))
    assert fingerprint(report) == fingerprint(report)
