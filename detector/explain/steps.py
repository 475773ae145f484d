"""Chooses next steps: the commands to run on a dump, on the host, or on its debug
information.

In: the report, the matches around it, the issue named. Out: lines of text, each beginning with the
place where it is done. Which step can work is decided by `step_rules`. Names from the log are put
into a command only if they are plain symbols, so that nothing that a crash wrote can be a shell's
input.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from detector.explain.issues import Recognised
from detector.explain.step_facts import StepFacts, group_of, jit_tag
from detector.explain.step_rules import RULES
from detector.lazy_regex import lazy_regex
from detector.model import CrashReport, Match

_SYMBOL = lazy_regex(r"[A-Za-z_][A-Za-z0-9_.$]{0,127}")
_MODULE = lazy_regex(r"[A-Za-z0-9_-]{1,64}")
_RAW_POINTER = lazy_regex(r"[0-9a-f]{8,16}")


def next_steps(
    report: CrashReport | None,
    evidence: Sequence[Match],
    sockets: Iterable[str],
    named: Recognised | None,
) -> tuple[str, ...]:
    """Commands in the order in which they help, then what the known issue adds."""
    crash = StepFacts(report, evidence, tuple(sockets))
    steps = [
        step
        for rule in RULES
        if rule.holds(crash)
        for template in rule.steps
        if (step := _filled(template, crash)) is not None
    ]
    if report is not None or crash.evidence:
        steps += _sockets(crash)
    if named is not None:
        steps += named.issue.next_steps
        if named.status in ("vendor", "vendor-fixed", "unknown") and named.issue.vendor_check:
            steps.append(named.issue.vendor_check)
        if named.issue.mitigation:
            steps.append(f"mitigation: {named.issue.mitigation}")
    return tuple(dict.fromkeys(steps))


def _filled(template: str, crash: StepFacts) -> str | None:
    """The step with the crash's own names; None where it names what the report does not have."""
    missing = False

    def value(word: re.Match[str]) -> str:
        nonlocal missing
        result = _WORDS[word[0]](crash)
        missing = missing or result is None
        return result or ""

    step = _WORD.sub(value, template)
    return None if missing else step


def _dump_location(crash: StepFacts) -> str | None:
    report = crash.report
    if report is None or jit_tag(crash) is not None:
        return None
    names = {frame.function for frame in report.frames}
    if report.offset is None and report.display_function not in names:
        return None  # a word of the message, which need be no symbol
    return location_of(report)


def _source_location(crash: StepFacts) -> str | None:
    """`function+0xoffset/0xsize`, for a function of the kernel image or of a module."""
    report = crash.report
    if report is None or report.offset is None or report.size is None or jit_tag(crash):
        return None
    location = location_of(report)
    return None if location is None else f"{location}/{report.size:#x}"


def _image(crash: StepFacts) -> str:
    """The file whose debug information holds the function."""
    module = _module(crash)
    return f"{module}.ko" if module else "vmlinux"


def _module(crash: StepFacts) -> str | None:
    module = crash.report.module if crash.report is not None else None
    return module if module and _MODULE.fullmatch(module) else None


def _pid(crash: StepFacts) -> str | None:
    pid = crash.report.pid if crash.report is not None else None
    return None if pid is None else str(pid)


def _sockets(crash: StepFacts) -> Iterator[str]:
    """Yields how a socket that was released is found in a dump."""
    if not crash.sockets or not crash.dumped:
        return
    yield "crash: struct sock_common -o"
    # Up to 4.14 the line prints the address itself; later kernels print a hash of it, which no
    # dump knows.
    raw = [socket for socket in dict.fromkeys(crash.sockets) if _is_raw(socket)]
    yield from (f"crash: struct sock {socket}" for socket in raw)
    if not raw:
        yield (
            "crash: struct sock <socket address> (the log shows a hash of it; take the "
            "address from a register or from a list)"
        )


def location_of(report: CrashReport) -> str | None:
    """function+0xoffset, where the function is a plain symbol."""
    name = report.display_function or report.function
    if not name or not _SYMBOL.fullmatch(name):
        return None
    return name if report.offset is None else f"{name}+{report.offset:#x}"


def _is_raw(socket: str) -> bool:
    """A kernel address, not a hash: hashes of 64-bit kernels begin with eight zeros."""
    return bool(_RAW_POINTER.fullmatch(socket)) and not socket.startswith("00000000")


_WORDS: Mapping[str, Callable[[StepFacts], str | None]] = {
    "LOCATION": _dump_location,
    "SYMBOL": _source_location,
    "IMAGE": _image,
    "MODULE": _module,
    "PID": _pid,
    "GROUP": group_of,
    "TAG": jit_tag,
}
_WORD = lazy_regex(rf"\b(?:{'|'.join(_WORDS)})\b")
