"""Turns the log lines that people quote in commit messages back into lines as kernels
print them.

In: prose. Out: lines without quote marks, stamps and caller ids, heads as the kernel spells them.
Authors wrap long heads, leave out the first line, run traces through scripts/decode_stacktrace.sh.

The lines go through the same matcher, assembler and reader as a log's.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from detector import crash
from detector.assemble import Assembler
from detector.catalogue import Catalogue, Opens
from detector.lazy_regex import lazy_regex
from detector.match import Matcher
from detector.model import Boot, CrashReport, Line
from detector.parse.printk import STAMP

_QUOTE = lazy_regex(r"(?:\s{0,16}[|>#](?=\s|[|>#]|$)){0,4}\s{0,64}")
_CALLER = lazy_regex(r"\[ {0,8}[TC]?\d{1,10}(?:\.\d{1,6})?\]\s?(?:\[ {0,8}[TC]\d{1,10}\]\s?)?")
# What syslog puts before a line: `Feb 21 09:47:35 host kernel: `, or what is left of it.
_TAG = lazy_regex(r"(?:[^+<>]{0,60}\s)?kernel:(?:\s|$)")
_LEVEL = lazy_regex(r"<\d>")
_LONGEST_LINE = 512
_MOST_LINES = 2_000

# A detector names an inlined function first and the one it was inlined into in the next head.
_INLINED_HEAD = lazy_regex(r"(?:BUG: K\w{1,6}SAN: |WARNING: |[RE]IP: ).{0,300}\[inline\]\s*$")
_WRAPPED = lazy_regex(
    r"(?:general protection fault, .{0,60}|BUG: unable to handle .{0,60}|Unable to handle kernel "
    r".{0,60}|CPU: \d+ .{0,120})(?:address:?|for|at|virtual|ainted|[A-Z])$"
)
# decode_stacktrace.sh moves the place behind the symbol: `WARNING: CPU: 0 PID: 1 at f+0x1/0x2
# mm/slab.c:1`; abbreviated heads lack the CPU that the kernel prints from 6.17 on.
_MOVED = lazy_regex(
    r"WARNING: (CPU: \d+ PID: \d+ )?at ([\w.]{1,100}(?:\+0x[0-9a-f]+/0x[0-9a-f]+)?(?: \[\w+\])?) "
    r"\(?(\S{1,160}:\d+)\)?"
)
_WITHOUT_CPU = lazy_regex(r"(WARNING: [\w./-]{1,200}:\d+ at [^\s,]{1,200}(?: \[[^\]]{1,80}\])?)$")
_LEAK = lazy_regex(r"(?:kmemleak: )?unreferenced object 0x")
_LEAK_HEAD = "BUG: memory leak"
_PROTECTION = lazy_regex(
    r"KASAN: (?:maybe |probably )?(?:null-ptr-deref|wild-memory-access|user-memory-access) in "
    r"range "
    r"\[(?:0x)?([0-9a-f]{8,16})-"
)
_PROTECTION_HEAD = lazy_regex(r"(?:Oops: )?general protection fault|BUG: |kasan: GPF")
_NEAR = 3  # lines before a hint in which its head stands

_KASAN_SHADOW = 0xDFFF_FC00_0000_0000  # arch/x86/include/asm/kasan.h KASAN_SHADOW_OFFSET
_WORD = (1 << 64) - 1


def quoted_lines(text: str) -> list[str]:
    """The lines as the kernel printed them, as far as that can be told; blank ones are left
    out.
    """
    lines = (_unquoted(line[:_LONGEST_LINE]) for line in text.split("\n", _MOST_LINES))
    return list(_with_heads(_joined(line for line in lines if line.strip())))


def without_inlined_heads(lines: Iterable[str]) -> list[str]:
    """The lines without the heads of a decoded report that name inlined functions."""
    return [line for line in lines if not _INLINED_HEAD.match(line)]


def _unquoted(text: str) -> str:
    rest = text
    for mark in (_QUOTE, _TAG, _LEVEL):
        rest = rest[matched.end() :] if (matched := mark.match(rest)) else rest
    for pattern in (STAMP, _CALLER):
        if (matched := pattern.match(rest)) is not None:
            return rest[matched.end() :].rstrip()
    return rest.rstrip()


def _joined(lines: Iterable[str]) -> Iterator[str]:
    """Heads that were wrapped, in one line again."""
    begun: str | None = None
    for line in lines:
        text = line if begun is None else f"{begun} {line}"
        begun = text if _WRAPPED.fullmatch(text) and begun is None else None
        if begun is None:
            yield text
    if begun is not None:
        yield begun


def _with_heads(lines: Iterable[str]) -> Iterator[str]:
    """Heads spelt as the kernel does, and those that its next line proves."""
    before: list[str] = []
    for line in lines:
        if _INLINED_HEAD.match(line):
            continue
        for text in _spelt(line, before):
            yield text
            before = [*before[-_NEAR + 1 :], text]


def _spelt(line: str, before: list[str]) -> Iterator[str]:
    if (moved := _MOVED.match(line)) is not None:
        yield f"WARNING: {moved[1] or ''}at {moved[3]} {moved[2]}"
    elif _WITHOUT_CPU.match(line):
        yield f"{line}, CPU#0: quoted/0"
    elif _LEAK.match(line) and not any(text.startswith(_LEAK_HEAD) for text in before):
        yield _LEAK_HEAD
        yield line
    elif (hint := _PROTECTION.match(line)) and not any(map(_PROTECTION_HEAD.match, before)):
        shadow = ((int(hint[1], 16) >> 3) + _KASAN_SHADOW) & _WORD
        yield f"general protection fault, probably for non-canonical address {shadow:#x}: 0000 [#1]"
        yield line
    else:
        yield line


_WORTH = lazy_regex(r"\+0x[0-9a-f]+/0x|[Cc]all [Tt]race|BUG: |WARNING: |INFO: |\.c:\d")

_BARE_HEAD = lazy_regex(
    r"(?:Call [Tt]race|Backtrace|.{0,80}[Cc]all (?:trace|stack|path|chain).{0,80}:$)"
)
_BARE = lazy_regex(r"(?:\d{1,3}[.)]\s*|->\s*|=>\s*|\?\s*|#\d{1,3} )?([a-z_]\w{4,80})(?:\(\))?$")
_CALLED = lazy_regex(r"\b([a-z_][a-z0-9_]{3,80})\(")


@dataclass(frozen=True, slots=True)
class MessageReader:
    """The parts that read a log: made once, used for every message."""

    matcher: Matcher
    opening: Mapping[str, Opens]
    generic: Container[str]

    @classmethod
    def of(cls, catalogue: Catalogue, generic: Container[str]) -> MessageReader:
        """A reader with the signatures of a catalogue."""
        return cls(Matcher(catalogue), catalogue.opening, generic)

    def reports(self, lines: Sequence[str]) -> list[CrashReport]:
        """Every report that the lines hold."""
        assembler, blocks = Assembler(self.opening), []
        for number, text in enumerate(lines, 1):
            line = Line(text, "message", number, "host", "message")
            claim = self.matcher.claim(line)
            match = assembler.match_of(claim, line, Boot()) if claim else None
            blocks += assembler.feed(line, match, 0)
        return [crash.read(block, self.generic) for block in (*blocks, *assembler.flush())]


def worth_reading(text: str) -> bool:
    """Returns whether there may be a report or a trace in the text at all."""
    return _WORTH.search(text) is not None


def bare_trace(lines: Sequence[str]) -> list[str]:
    """The functions under a `Call trace:` that was written down without offsets."""
    return list(_bare(lines))


def _bare(lines: Sequence[str]) -> Iterator[str]:
    inside = False
    for line in lines:
        text = line.strip()
        if _BARE_HEAD.match(text):
            inside = True
        elif inside and (matched := _BARE.match(text)):
            yield matched[1]
        elif inside and text and not text.startswith(("<", "...")):
            inside = False


def mentioned(text: str, generic: Container[str], most: int = 24) -> tuple[str, ...]:
    """Functions that the prose names, `like_this()`."""
    names = dict.fromkeys(name for name in _CALLED.findall(text) if name not in generic)
    return tuple(names)[:most]
