"""Frames of a call trace, in every form that kernels print them.

In: a line's text, or the lines of a block. Out: `Frame` values. Which of them is guilty is not
decided here.

Forms (lib/vsprintf.c symbol_string prints `name+0xoffset/0xsize [module buildid]` everywhere; the
rest is each architecture's): x86 ≤ 4.8 `[<addr>] ? name+0x1/0x2`, later without the address; arm64
`[<addr>]` ≤ 4.14, none later, `name+0x1/0x2 (P)` from 6.14; arm `[<addr>] (name) from [<addr>]
(name+0x1/0x2)`, later `name from name+0x1/0x2`; powerpc `[sp] [addr] .name+0x1/0x2 (unreliable)`;
s390 `([<addr>] name+0x1/0x2)`; and, after scripts/decode_stacktrace.sh, `name (net/core/dev.c:12)`
and `[inline]`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from detector.lazy_regex import lazy_regex
from detector.model import Frame

SYMBOL = (
    r"\.?(?P<fn>[A-Za-z_$][\w$]*(?:\.[\w$]+)*)\+0x(?P<off>[0-9a-f]+)/0x(?P<size>[0-9a-f]+)(?: "
    r"?\[(?P<mod>\w+)[^\]]*\])?"
)
"""A symbol as symbol_string prints it; a dot before the name is powerpc's (ELFv1 entry points)."""

# Of an address in angle brackets a web page may show the square brackets alone.
_ADDRESS = r"(?:\[?<?(?:0x)?(?P<addr>[0-9a-f]{8,16})>?\]|\[\])"
_PLAIN = lazy_regex(
    r"[\s(]*(?:</?[#A-Z/\d "
    rf"]+>\s+)*(?:\[[0-9a-f]{{8,"
    rf"16}}\]\s+)?(?:{_ADDRESS}\s*)?\(?(?P<doubt>\?\s+)?(?:\d+:)?{SYMBOL}(?P<rest>.*)"
)
_ARM = lazy_regex(
    r"\s*(?:\[<(?P<addr>[0-9a-f]{8})>\] "
    r")?\(?(?P<fn>[A-Za-z_$][\w$.]*)(?:\+0x(?P<off>[0-9a-f]+)/0x(?P<size>[0-9a-f]+))?"
    r"(?: \[(?P<mod>\w+)[^\]]*\])?\)? from (?:\[<[0-9a-f]{8}>\] )?\(?"
    + SYMBOL.replace("?P<", "?P<up_")
    + r"\)?"
)
_DECODED = lazy_regex(
    rf"\s*(?:{_ADDRESS}\s*)?(?P<doubt>\?\s+)?(?P<fn>[A-Za-z_$][\w$.]*) "
    r"\(?(?:\./)?[\w./-]+\.[chS]:\d+(?P<rest>.*)"
)

TRACE_START = lazy_regex(
    r"(?:[0-9a-f\s]{8,}(?=Call))?\s*(?:Call [Tt]race|Backtrace|backtrace|stack backtrace|Stack "
    r"traceback|Trace)(?: "
    r"\(crc [0-9a-f]+\))?\s*:"
)
"""The line above the frames of the crashing context; x86 to 4.9 glued it to the last stack word
(show_stack_log_lvl in arch/x86/kernel/dumpstack_64.c ends no line)."""

_OTHER_TRACE = lazy_regex(
    r"\s*(?:(?:Allocated|Freed)(?: by task \d+(?: on cpu \d+)?.*)?:|Uninit was "
    r"(?:created|stored to memory) at:"
    r"|Local variable .* created at:|(?:Last|Second to last) potentially related work "
    r"creation:|(?:allocated|freed) by task \d"
    r"|page last (?:allocated|free)"
    r"|-> #\d+ |the existing dependency chain|Kernel panic - not syncing|---\[ |NMI "
    r"backtrace for cpu|Showing all locks held"
    r"|Last Breaking-Event-Address|read to 0x|write to 0x|stack depth|hardirqs last|Task "
    r"dump for CPU)"
)

_ORIGIN = lazy_regex(
    r"\s*(?:Uninit was |Local variable .* created at:|(?:Allocated|Freed)(?: by task "
    r"\d+.*)?:|(?:allocated|freed) by task \d)"
)
"""Headings of stacks that tell of an object's past. Where the report's own trace is lost they are
not it."""

_BYSTANDER = lazy_regex(r"(?:rcu: )?RCU grace-period kthread stack dump:")
"""RCU shows its own thread before the CPU that stalls (rcu_check_gp_kthread_starvation, 4.16
on)."""


def frames_of(text: str) -> Sequence[Frame]:
    """The frames that a line holds: none for most lines, one, or two in arm's `x from y`.

    The upper one of the two comes first.
    """
    if "+0x" not in text and ".c:" not in text and ".h:" not in text and ".S:" not in text:
        return ()
    return _frames_of(text)


# Many crashes have their frames in common; a line is cut long before it comes here.
@lru_cache(4096)
def _frames_of(text: str) -> Sequence[Frame]:
    if (matched := _ARM.match(text)) is not None:
        upper = Frame(
            matched["up_fn"],
            int(matched["up_off"], 16),
            int(matched["up_size"], 16),
            matched["up_mod"],
        )
        return (_frame(matched, reliable=True), upper)
    if (matched := _PLAIN.match(text)) is not None:
        doubtful = matched["doubt"] is not None or "(unreliable)" in matched["rest"]
        return (_frame(matched, reliable=not doubtful, inlined="[inline]" in matched["rest"]),)
    if (matched := _DECODED.match(text)) is not None:
        inlined = "[inline]" in matched["rest"]
        address = matched["addr"]
        where = int(address, 16) if address else None
        doubtful = matched["doubt"] is not None
        return (Frame(matched["fn"], address=where, reliable=not doubtful, inlined=inlined),)
    return ()


def trace(lines: Sequence[str]) -> tuple[Frame, ...]:
    """The first call trace of a block, without the traces of others: who allocated, who freed,
    other CPUs, a panic's own.
    """
    return tuple(_trace(lines))


def trace_start(lines: Sequence[str]) -> int | None:
    """The number of the line above the frames that `trace` reads; None where no line says so."""
    skipped: int | None = None
    for number, text in enumerate(lines):
        if not TRACE_START.match(text):
            continue
        if not any(map(_BYSTANDER.match, lines[max(number - 3, 0) : number])):
            return number
        skipped = number
    if skipped is None:
        return None
    # Only a bystander's trace has a head: the other one begins where the next dump does.
    after = range(skipped + 1, len(lines))
    return next((number for number in after if _OTHER_TRACE.match(lines[number])), None)


def _trace(lines: Sequence[str]) -> Iterator[Frame]:
    # arm without an unwinder and riscv print the frames under no head
    start = trace_start(lines) or 0
    below: Frame | None = None
    past = False
    for text in lines[start:]:
        past = _ORIGIN.match(text) is not None or (past and bool(frames_of(text)))
        if past and below is None:
            continue
        if TRACE_START.match(text) or _OTHER_TRACE.match(text):
            if below is not None:
                return
            continue
        matched = frames_of(text)
        if len(matched) == 2 and below is not None and _same(below, matched[0]):
            matched = matched[1:]
        yield from matched
        below = matched[-1] if matched else below


def _same(below: Frame, again: Frame) -> bool:
    """Returns whether arm names the caller of the line above once more: `a from b`, then `b
    from c`.
    """
    return below.function == again.function and again.offset in (None, 0, below.offset)


def _frame(matched: re.Match[str], *, reliable: bool, inlined: bool = False) -> Frame:
    offset, size, address = matched["off"], matched["size"], matched["addr"]
    return Frame(
        function=matched["fn"],
        offset=int(offset, 16) if offset else None,
        size=int(size, 16) if size else None,
        module=matched["mod"],
        address=int(address, 16) if address else None,
        reliable=reliable,
        inlined=inlined,
    )
