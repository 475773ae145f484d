"""Explains KMSAN, KCSAN, UBSAN and kmemleak reports in their own values and places.

In: a report of one of those classes and the list of generic functions. Out: statements. Formats:
mm/kmsan/report.c (6.1 to 6.x), kernel/kcsan/report.c (5.8 to 6.x), lib/ubsan.c (4.5 to 6.x; up to
4.x and 5.x with "Undefined behaviour"), mm/kmemleak.c.
"""

from __future__ import annotations

from collections.abc import Container, Iterator

from detector.explain.block_text import (
    distinctive,
    every,
    first,
    head_of,
    place,
    quoted,
    stack_after,
)
from detector.lazy_regex import lazy_regex
from detector.model import CrashReport, Statement

_KMSAN = lazy_regex(r"BUG: KMSAN: (?P<what>[a-z-]+) in (?P<place>\S+)")
_ORIGIN = lazy_regex(r"Uninit was (?P<how>created|stored to memory) at:")
# Until 2021 clang's descriptor was `----name@function`; mm/kmsan/report.c (6.1) has the name alone.
_LOCAL = lazy_regex(r"Local variable (?:----)?(?P<name>[^\s@]+)(?:@\S+)? created at:")
_BYTES = lazy_regex(r"Bytes? (?P<range>\d+(?:-\d+)?) of (?P<size>\d+) (?:is|are) uninitialized")
_RACE = lazy_regex(
    r"\s*(?:race at unknown origin, with )?"
    r"(?P<what>read-write|read|write|assert no accesses|assert no writes) (?:\((?P<marked>[\w, "
    r"]+)\) )?"
    r"to 0x(?P<address>[0-9a-f]{8,16}) of (?P<size>\d+) bytes by (?P<who>task "
    r"(?P<pid>\d+)|interrupt)"
    r" on cpu (?P<cpu>\d+):"
)
_CHECKS = {
    "assert no accesses": "a check that nobody else touches it, made",
    "assert no writes": "a check that nobody else writes to it, made",
}
_CHANGED = lazy_regex(r"value changed: 0x(?P<old>[0-9a-f]+) -> 0x(?P<new>[0-9a-f]+)")
_UBSAN = lazy_regex(r"UBSAN: (?P<what>.{3,60}?) in (?P<place>\S+?:\d+)(?::\d+)?")
_OVERFLOW = lazy_regex(
    r"(?P<text>index -?\d+ is out of range for type .{1,120}|shift exponent -?\d+ .{1,120}"
    r"|-?\d+ [+*/-] -?\d+ cannot be represented in type .{1,80}|left shift of .{1,120}"
    r"|negation of -?\d+ .{1,80}|division (?:by zero|of -?\d+ by -1 .{1,80})"
    r"|load of value -?\d+ is not a valid value for type .{1,80}"
    r"|(?:member (?:access within|call on)|load of|store to|reference binding to|constructor "
    r"call on|"
    r"downcast \w+|upcast of|cast to virtual base of) (?:null pointer|misaligned "
    r"address|address) .{1,160}"
    r"|calling __builtin_unreachable\(\)|variable length array bound value .{1,80}"
    r"|signed integer overflow: .{1,120})\s*$"
)
_LEAK = lazy_regex(
    r"unreferenced object (?:\(.*\) )?0x(?P<address>[0-9a-f]+) \(size (?P<size>\d+)\):"
)
_BACKTRACE = lazy_regex(r"\s*backtrace(?: \(crc [0-9a-f]+\))?:")
_ALLOCATES = lazy_regex(
    r"_*k(?:mem|v|vm|z)?alloc|kmem_?(?:leak|cache|dup)|create_object|slab_|_*alloc|dev_alloc|"
    r"_*netdev_alloc|_*napi_alloc|kstrdup|kasprintf|kvasprintf"
)
_COMM = lazy_regex(r"\s*comm \"(?P<comm>[^\"]{0,40})\", pid (?P<pid>\d+), jiffies \d+")


def explain_kmsan(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """A use of memory that nobody wrote: where, which bytes, and where it came from."""
    matched, part = first(report.lines, _KMSAN), first(report.lines, _BYTES)
    text = "KMSAN saw a value used that was never initialised"
    if matched is not None and "infoleak" in matched["what"]:
        text = "KMSAN saw memory that was never initialised on its way out of the kernel"
    if part is not None:
        text += f": bytes {part['range']} of {part['size']}"
    evidence = tuple(quoted(item) for item in (matched, part) if item is not None)
    statements = [Statement(f"{text}.", "certain", evidence or (head_of(report),))]
    return statements + list(_origin(report, skip))


def _origin(report: CrashReport, skip: Container[str]) -> Iterator[Statement]:
    created = [item for item in every(report.lines, _ORIGIN) if item["how"] == "created"]
    if created and (stack := stack_after(report.lines, created[-1])):
        shown = distinctive(stack, skip)[:1] or stack[:1]
        yield Statement(
            f"That memory was allocated in {place(shown[0])}.",
            "certain",
            (quoted(created[-1]), " < ".join(place(frame) for frame in stack[:8])),
        )
    if (local := first(report.lines, _LOCAL)) is not None:
        stack = stack_after(report.lines, local)
        where = f" of {place(stack[0])}" if stack else ""
        text = f"It comes from the local variable {local['name']}{where}."
        yield Statement(text, "certain", (quoted(local),))


def explain_kcsan(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """Two accesses without an order between them: what, where, and how the value changed."""
    accesses = list(every(report.lines, _RACE))[:2]
    if not accesses:
        text = "KCSAN saw two accesses to a variable, or a change of it, without synchronisation."
        return [Statement(text, "certain", (head_of(report),))]
    shown = []
    for access in accesses:
        stack = stack_after(report.lines, access)
        frames = distinctive(stack, skip)[:1] or stack[:1]
        where = f" in {place(frames[0])}" if frames else ""
        what = _CHECKS.get(access["what"], f"a {access['what']}")
        shown.append(f"{what} by {access['who']} on CPU {access['cpu']}{where}")
    text = (
        f"KCSAN saw {accesses[0]['size']} bytes at {accesses[0]['address']} accessed by two at "
        f"once without synchronisation: {' and '.join(shown)}."
        if len(shown) == 2
        else f"KCSAN saw {shown[0]}, while the value was changed by somebody whom it did not see."
    )
    statements = [Statement(text, "certain", tuple(quoted(access) for access in accesses))]
    if (changed := first(report.lines, _CHANGED)) is not None:
        text = f"The value changed from 0x{changed['old']} to 0x{changed['new']} meanwhile."
        statements.append(Statement(text, "certain", (quoted(changed),)))
    return statements


def explain_ubsan(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """Returns what the C language leaves undefined was done: where, and the line with the
    values.
    """
    del skip
    matched, value = first(report.lines, _UBSAN), first(report.lines, _OVERFLOW)
    text = "UBSAN saw an operation that the C language does not define"
    if matched is not None:
        what = matched["what"]
        named = "" if what.lower().startswith("undefined") else f" ({what})"
        text += f"{named}, at {matched['place']}"
    if value is not None:
        text += f": {value['text'].strip()}"
    evidence = tuple(quoted(item) for item in (matched, value) if item is not None)
    return [Statement(f"{text}.", "certain", evidence or (head_of(report),))]


def explain_leak(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """An object to which kmemleak found no pointer: its size, and who allocated it."""
    matched, comm = first(report.lines, _LEAK), first(report.lines, _COMM)
    text = "kmemleak found no pointer to this memory in what it scans"
    if matched is not None:
        text += f": {matched['size']} bytes at {matched['address']}"
    if comm is not None:
        text += f", allocated by {comm['comm']} (pid {comm['pid']})"
    heading = first(report.lines, _BACKTRACE)
    stack = stack_after(report.lines, heading) if heading is not None else ()
    own = [frame for frame in distinctive(stack, skip) if not _ALLOCATES.match(frame.function)]
    text += f" in {place(own[0])}" if own else ""
    evidence = tuple(quoted(item) for item in (matched, comm) if item is not None)
    text += "; a pointer kept in another form, or where it does not look, does not count."
    return [Statement(text, "certain", evidence or (head_of(report),))]
