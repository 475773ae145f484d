"""The grammar of kernel reports' lines: the kind, the part and the architecture of each.

In: a line's text. Out: a `Shape`. Every format here is a printk of the kernel; what no entry fits
is foreign to a report: the ordinary chatter of a host. It keeps no state: which report a line
belongs to is the owner's question, what it says is `crash`'s.

Sources, 2.6 to 6.17: show_regs, show_trace and die of arch/*/kernel/{traps,process,dumpstack}.c,
arch/*/mm/fault.c, lib/dump_stack.c, kernel/panic.c, mm/{kasan,kmsan,kfence}/report.c,
kernel/kcsan/report.c, lib/ubsan.c, mm/{slub,page_alloc,show_mem,debug,oom_kill,kmemleak}.c,
kernel/locking/lockdep.c, kernel/rcu/tree_stall.h, kernel/{hung_task,watchdog,workqueue}.c,
kernel/sched/core.c, lib/nmi_backtrace.c.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from detector.assemble.phrases import COMMON, DUMPS, PROSE
from detector.lazy_regex import lazy_regex

LineKind = Literal["frame", "trace", "label", "text", "blank", "foreign"]


@dataclass(frozen=True, slots=True)
class LineShape:
    """The shape of a line: its kind, name, sentences, architecture and style.

    `kind`: a frame of a trace, the line that starts one, a line that names itself (`label`), prose
    of a report (`text`), nothing (`blank`), or no line of a report (`foreign`). `name` is a label's
    own name, `prose` the kinds whose sentences read so; empty for text that all print. `arch` is
    set where only one architecture prints so; `style` is how a frame is written.
    """

    kind: LineKind
    name: str | None = None
    arch: str | None = None
    style: tuple[int, str, bool] | None = None
    prose: frozenset[str] = frozenset()


_SYM = r"\.?[A-Za-z_$][\w$.]*"
_OFF = r"\+0x[0-9a-f]+/0x[0-9a-f]+"
# An address in brackets; of one in angle brackets a web page may show the square ones alone.
_AT = r"(?:\[(?:<?(?:0x)?[0-9a-f]{8,16}>?)?\]\s*){1,2}"
_STACKS = r"(?:</?[#A-Z][A-Z/\d ]*> *)"
_FRAME = lazy_regex(
    rf"(?P<indent>\s*)(?P<stack>{_STACKS}+)?"
    rf"(?:\(?(?P<at>{_AT})?\(?(?:\? +)?(?:\d+:)?{_SYM}{_OFF}(?P<rest>[\s)\[(].*)?$"
    rf"|{_AT}\(?(?:\? +)?(?:0x[0-9a-f]+|\(null\)|{_SYM})\)?(?: \(unreliable\)| \[[\w ]+\]| from "
    rf".*)?\s*$"
    rf"|(?:\? )?0x[0-9a-f]{{8,16}}\s*$"
    rf"|(?:{_AT})?\(?{_SYM}(?:{_OFF})?(?: \[\w+\])?\)? from "
    rf"(?:{_AT})?\(?(?:{_SYM}{_OFF}|0x[0-9a-f]+).*$"
    rf"|(?:\? )?{_SYM} \(?(?:\./)?[\w./-]+\.[chSs]:\d+.*$"
    r"|---? (?:interrupt|Exception): \w+.*$|LR = .*$|--- Exception: .*$)"
)
# Where a stack begins: what system calls, interrupts from user space, new threads and idle CPUs
# start with.
_BOTTOM = lazy_regex(
    r"(?!.*\? ).*\b(?:entry_SYSCALL\w*|entry_SYSENTER\w*|entry_INT80\w*|sysenter_past_esp"
    r"|syscall_call|system_call_fastpath|system_call"
    r"|ret_from_fork(?:_asm)?|ret_from_kernel_thread|secondary_startup_64\w*|startup_32_smp"
    r"|el0t?_(?:64_|32_)?(?:sync|svc|irq)(?:_compat|_naked)?"
    r"|ret_fast_syscall|ret_to_user|ret_from_exception|syscall_common"
    r"|ret_from_syscall)(?:\.\w+)*(?:\+0x|\)? from )"
    r"|\s*</TASK>\s*$"
)
_STACK_MARK = lazy_regex(rf"{_STACKS}+$")
_TRACE = lazy_regex(
    r"(?:[0-9a-f\s]{8,}(?=Call))?(?:Call [Tt]race|[Bb]acktrace|stack backtrace|Stack "
    r"traceback|Trace)\b[^:]{0,24}:"
)
_ENDS = lazy_regex(r"(?:---\[|-{12}\[|8<--- cut here|={16,}|-{16,}|_{16,}|\*{3} )")

# A line that is all hexadecimal: stack words, code, shadow and object dumps.
_DATA = lazy_regex(
    r"(?:"
    r"(?:<d> ?)?(?:\(?[0-9a-f]{8,16}[\s)]+)*\(?[0-9a-f]{8,16}[\s)]*$"  # stack words, code words
    r"|[>#*]?(?:0x)?[0-9a-f]{8,16}: [0-9a-f \[<>]{2}.{0,120}$"  # shadow, objects, s390's code
    r"|[0-9a-f]{4}:? +(?:(?:[0-9a-f]{16}|[0-9a-f]{8}|[?*]{8}) )*[0-9a-f?*]{8,16}$"  # arm's stack
    r"|(?:r\d{1,2}:[0-9a-f]{8} )*r\d{1,2}:[0-9a-f]{8}$"  # arm's registers within a trace
    r"|(?:[0-9a-f]{2} {1,2}){7,}.{0,40}$"  # kmemleak's hex dump
    r"|(?:[0-9a-f]{8} +){3,}[<(]?[0-9a-f]{0,8}[>)]?.{0,40}$"
    r"|\^$)"
)

_LABEL = lazy_regex(r"\s*(?:\[[0-9a-f]+\] \*?)?([A-Za-z_][\w -]{0,30}?) ?[:=]")


def _any(fragments: Iterable[str]) -> str:
    return "|".join(fragments)


# One expression for all lines that name themselves; the group that matched says whose they are.
_OWN = lazy_regex(
    _any(f"(?P<{arch}>{_any(fragments)})" for arch, fragments in DUMPS.items())
    + f"|(?P<all>{_any(COMMON)})"
)
_SAYS = {kind: lazy_regex(_any(fragments)) for kind, fragments in PROSE.items()}
_MARKS_OF_FRAMES = ("+0x", " from ", "0x", ".c:", ".h:", ".S:", ".rs:", "] ", "---", "LR = ")

_LONGEST = 600
"""Characters of a line that are looked at; names of functions have up to 512
(include/linux/kallsyms.h)."""

# The lines of a storm are the same on all its hosts, but for registers and addresses.
_KNOWN_TEXTS = 4096

_BLANK = LineShape("blank")
_FOREIGN = LineShape("foreign")


def shape(text: str, kinds: Iterable[str] = PROSE) -> LineShape:
    """Returns a line's shape; of prose, only the `kinds` given are looked for."""
    return _shape(text[:_LONGEST], tuple(kinds))


@lru_cache(_KNOWN_TEXTS)
def _shape(text: str, kinds: Sequence[str]) -> LineShape:
    text = restored(text).rstrip()
    if not text:
        return _BLANK
    if any(mark in text for mark in _MARKS_OF_FRAMES) and (frame := _FRAME.match(text)):
        return LineShape(
            "frame", style=(len(frame["indent"]), _range(frame["at"]), " from " in text)
        )
    words = text.lstrip()
    if _TRACE.match(words) is not None:
        return LineShape("trace", "Call Trace")
    if words[0] == "<" and _STACK_MARK.match(words) is not None:
        return LineShape("frame")
    if (own := _OWN.match(words)) is not None:
        arch = own.lastgroup
        return LineShape("label", label(text), arch if arch != "all" else None)
    if _ENDS.match(words) is not None or _DATA.match(words) is not None:
        return LineShape("text")
    prose = frozenset(kind for kind in kinds if _SAYS[kind].match(words) is not None)
    return LineShape("text", prose=prose) if prose else _FOREIGN


def restored(text: str) -> str:
    """The text with the `0x` that a web page's editor made a multiplication sign of."""
    return text.replace("0\u00d7", "0x")


def is_bottom(text: str) -> bool:
    """Returns whether a frame is the lowest one of its stack."""
    return _is_bottom(text[:_LONGEST])


@lru_cache(_KNOWN_TEXTS)
def _is_bottom(text: str) -> bool:
    return _BOTTOM.match(text) is not None


def _range(address: str | None) -> str:
    """Where the kernel of an architecture lies, by the first digit of an address: x86 and arm64 at
    the top, powerpc at c and d, s390 at the bottom.
    """
    digits = address.lstrip("[<(").removeprefix("0x") if address else ""
    return digits[:1].replace("d", "c")


def label(text: str) -> str | None:
    """Returns the name that a line gives itself, of lines that a report prints only once.
    Examples: `CPU`, `Mem abort info`, `x29`, `pgd`. None for frames and prose.
    """
    matched = _LABEL.match(text)
    return matched[1] if matched else None
