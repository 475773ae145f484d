"""Explains objects whose state is wrong: reference counts, lists, slab, pages, copies to
user space.

In: a report of one of those classes, or a warning that a `refcount_t` or ODEBUG line precedes. Out:
statements; every value is read from the line. Formats: lib/refcount.c (4.11 to 6.x),
arch/x86/mm/extable.c (4.13 to 5.4), lib/list_debug.c, mm/slub.c, mm/page_alloc.c bad_page(),
mm/memory.c print_bad_pte(), mm/usercopy.c, lib/debugobjects.c, lib/ubsan.c (4.x to 6.x).

Formats: fs/dcache.c umount_check(), fs/super.c generic_shutdown_super(), fs/open.c filp_close(),
net/core/dev.c netdev_wait_allrefs(), kernel/fork.c check_mm() (3.x to 6.x).
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator

from detector.explain.block_text import first, head_of, quoted
from detector.explain.decode.machine import machine_of
from detector.explain.decode.poison import byte_poison, pointer_poison
from detector.lazy_regex import lazy_regex
from detector.model import CrashReport, Statement

_REFCOUNT = lazy_regex(
    r"refcount_t: (?P<what>saturated|underflow|addition on 0|increment on 0|decrement hit 0|hit "
    r"zero|"
    r"overflow)"
)
_COUNTS = {
    "saturated": "A reference count was outside of its range, or left it with this step, and is "
    "now "
    "pinned: the object will never be freed. Taken too often without being given back, "
    "overwritten, or pinned before by an earlier fault.",
    "underflow": "A reference was given back that was not there: the count was zero already, or "
    "fell below it. The object was put more often than taken, is free already (use after free), or "
    "its count was overwritten or never set up.",
    "addition on 0": "A reference was taken when the count was zero: the object was being freed, "
    "or "
    "was free already (use after free), or its count had never been set up.",
    "increment on 0": "A reference was taken when the count was zero: the object was being "
    "freed, or "
    "was free already (use after free), or its count had never been set up.",
    "decrement hit 0": "The last reference was dropped by a call that must not drop the last one: "
    "nobody frees the object.",
    "hit zero": "The last reference was dropped by a call that must not drop the last one.",
    "overflow": "A reference was taken although the count was at its limit.",
}
_LIST = lazy_regex(r"list_(?:add|del|replace_init)(?:_valid)? (?:corruption|double add)")
_SHOULD = lazy_regex(
    r".*corruption\.? (?:(?P<field>\w+->\w+) )?should be (?:\w+ "
    r")?\(?(?P<should>[0-9a-f]{8,16})\)?, "
    r"but was (?P<was>[0-9a-f]{8,16}|NULL|\(null\))"
)
_MARKED = lazy_regex(
    r".*corruption, (?P<entry>[0-9a-f]{8,16})->(?P<field>next|prev) is "
    r"(?P<what>LIST_POISON[12]|NULL)"
)
_DOUBLE = lazy_regex(
    r"list_add double add: new=(?P<new>[0-9a-f]+), prev=(?P<prev>[0-9a-f]+), next="
)
_SLAB = lazy_regex(r"BUG (?P<cache>\S+)(?: \(.*?\))?: +(?P<what>.{3,80}?)\s*$")
_SLAB_WORDS: tuple[tuple[str, str], ...] = (
    ("Object already free", "an object was freed that is free already"),
    ("Right Redzone overwritten", "bytes behind the end of an object were overwritten"),
    ("Left Redzone overwritten", "bytes before an object were overwritten"),
    ("Redzone overwritten", "bytes behind the end of an object were overwritten"),
    ("Poison overwritten", "a freed object was written to (use after free)"),
    ("Object padding overwritten", "the padding of an object was overwritten"),
    ("adding overwritten", "the padding of a slab page was overwritten"),
    ("Freepointer corrupt", "the pointer to the next free object was overwritten"),
    ("Freechain corrupt", "the list of free objects was overwritten"),
    ("Invalid object pointer", "a pointer was freed that is no object of the cache"),
    ("Objects remaining", "the cache was destroyed while objects of it are in use: they leak"),
    ("Wrong object count", "the count of objects of a slab page does not fit what lies in it"),
)
_BYTE = lazy_regex(
    r"(?:INFO: |\[[\w ]{3,40} overwritten\] )?(?:0x)?[0-9a-f]{8,16}-(?:0x)?[0-9a-f]{8,16}\.?"
    r"(?: @offset=\d+\.?)? First byte 0x(?P<was>[0-9a-f]{1,2}) instead of "
    r"0x(?P<should>[0-9a-f]{1,2})"
)
_PAGE = lazy_regex(
    r"(?:BUG: )?Bad page (?P<what>state|map|cache) in process (?P<comm>.{1,24}?) "
    r"+(?:pfn|pte):(?P<value>[0-9a-f]+)"
)
_PAGE_WORDS = {
    "state": "A page was freed, or handed out, in a state that it must not have then",
    "map": "A page-table entry of a process does not fit the page that it points to",
    "cache": "A page was taken out of the page cache in a state that it must not have then",
}
_DUMPED = lazy_regex(r"page dumped because: (?P<why>.{3,120})")
_CHECKED = lazy_regex(r"PAGE_FLAGS_CHECK_AT_(?P<when>FREE|PREP) ")
_WHEN = {"FREE": "freed", "PREP": "handed out"}
_USERCOPY = lazy_regex(
    r"usercopy: [kK]ernel memory (?P<what>exposure|overwrite) attempt detected (?:from|to) "
    r"(?P<to>.{1,120})"
)
_ODEBUG = lazy_regex(
    r"ODEBUG: (?P<what>\w+) (?P<state>active|not available|initialized|destroyed|inactive|not "
    r"initialized)\b.*object(?: type|: [0-9a-f]+ object type): (?P<type>\S+)(?: hint: "
    r"(?P<hint>\S+))?"
)


def explain_refcount(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """Returns which way a reference count went wrong."""
    del skip
    matched = first(report.lines, _REFCOUNT)
    if matched is None:
        text = "A reference counter left its range; the line that says which way is not here."
        return [Statement(text, "certain", (head_of(report),))]
    return [Statement(_COUNTS[matched["what"]], "certain", (quoted(matched),))]


def explain_list(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """Returns what a list's check found, and what the wrong value is."""
    del skip
    matched = first(report.lines, _LIST)
    text = (
        "A list's neighbours do not point at each other: an entry was freed, deleted twice, added "
        "twice, or overwritten. The function that is named found it; it need not have done it."
    )
    evidence = (quoted(matched),) if matched is not None else (head_of(report),)
    return [Statement(text, "certain", evidence), *_list_value(report)]


def _list_value(report: CrashReport) -> Iterator[Statement]:
    if (marked := first(report.lines, _MARKED)) is not None:
        if marked["what"] == "NULL":
            text = (
                f"The entry's {marked['field']} pointer is NULL: its memory was cleared, or "
                f"it was never on a list."
            )
            yield Statement(text, "likely", (quoted(marked),))
            return
        yield Statement(
            f"The entry's {marked['field']} pointer is {marked['what']}, which list_del() leaves "
            "there: the entry was deleted before, so this is the second time.",
            "certain",
            (quoted(marked),),
        )
    if (double := first(report.lines, _DOUBLE)) is not None:
        beside = "its own successor" if double["new"] != double["prev"] else "its own predecessor"
        yield Statement(
            f"The entry is being added where it is already: it would become {beside}.",
            "certain",
            (quoted(double),),
        )
    if (wrong := first(report.lines, _SHOULD)) is not None:
        yield from _value(report, wrong)


def _value(report: CrashReport, wrong: re.Match[str]) -> Iterator[Statement]:
    """Yields what the value is that stands where a pointer to the neighbour should."""
    if not wrong["was"].isalnum() or wrong["was"] == "NULL" or int(wrong["was"], 16) == 0:
        text = "The pointer found there is NULL: that neighbour's memory was cleared."
        yield Statement(text, "likely", (quoted(wrong),))
        return
    machine = machine_of(report)
    was, should = int(wrong["was"], 16), int(wrong["should"], 16)
    if machine is not None and (
        poison := pointer_poison(was, machine) or byte_poison(was, machine)
    ):
        yield Statement(
            f"Found instead, {was:#x}: {poison.text[0].lower()}{poison.text[1:]}",
            "likely",
            (quoted(wrong), f"{was:#x} = {poison.arithmetic}"),
        )
        return
    hashed = machine is not None and machine.bits == 64 and should < 1 << 32
    if not hashed and (was ^ should).bit_count() == 1:
        yield Statement(
            f"The pointer found there differs from the right one in a single bit, bit "
            f"{(was ^ should).bit_length() - 1}: a bit flipped in memory. Suspect the RAM.",
            "likely",
            (quoted(wrong), f"{was:#x} ^ {should:#x} = {was ^ should:#x}"),
        )


def explain_slab(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """Returns what the slab allocator found changed."""
    del skip
    matched, byte = first(report.lines, _SLAB), first(report.lines, _BYTE)
    if matched is None:
        # print_trailer() serves KASAN too (up to 4.8), and caches destroyed with objects in them.
        text = (
            "The slab allocator shows one of its objects; what is wrong with it stands in the "
            "report's head, which is lost."
        )
        return [Statement(text, "certain", (head_of(report),))]
    what = next((words for phrase, words in _SLAB_WORDS if phrase in matched["what"]), None)
    text = f"In the slab cache {matched['cache']} " + (what or f"this was found: {matched['what']}")
    statements = [Statement(f"{text}.", "certain", (quoted(matched),))]
    if byte is not None:
        was, should = int(byte["was"], 16), int(byte["should"], 16)
        text = f"The first byte that is wrong is {was:#04x} instead of {should:#04x}"
        flipped = (was ^ should).bit_count() == 1
        statements.append(
            Statement(
                text + (": a single bit differs. Where it is the only wrong byte, suspect the RAM."
                        if flipped else "."),
                "certain",
                (quoted(byte),),
            )
        )  # fmt: skip
    return statements


def explain_bad_page(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """Returns which page is wrong, and the reason that the kernel prints."""
    del skip
    matched, why = first(report.lines, _PAGE), first(report.lines, _DUMPED)
    if matched is None:
        text = (
            "A page's bookkeeping contradicts itself: memory was overwritten, or references "
            "are off."
        )
        return [Statement(text, "certain", (head_of(report),))]
    number = (
        f"page-table entry {matched['value']}"
        if "pte:" in matched[0]
        else f"page frame {matched['value']}"
    )
    words = _PAGE_WORDS[matched["what"]]
    if why is not None and (at := first((why["why"],), _CHECKED)) is not None:
        words = words.replace("freed, or handed out,", _WHEN[at["when"]])
    text = f"{words} ({number}, process {matched['comm']})"
    text += f"; the kernel's reason: {why['why'].strip()}." if why is not None else "."
    evidence = tuple(quoted(item) for item in (matched, why) if item is not None)
    return [Statement(text, "certain", evidence)]


def explain_usercopy(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """Returns which copy was refused."""
    del skip
    matched = first(report.lines, _USERCOPY)
    if matched is None:
        text = "A copy between kernel and user space would have left the bounds of an object."
        return [Statement(text, "certain", (head_of(report),))]
    way = "to user space from" if matched["what"] == "exposure" else "from user space to"
    text = (
        f"A copy {way} {matched['to'].strip('! ')} was refused: it does not lie within an object "
    )
    text += "that may be copied so."
    return [Statement(text, "certain", (quoted(matched),))]


def names_usercopy(report: CrashReport) -> bool:
    """Returns whether the line is there that says which copy was refused."""
    return first(report.lines, _USERCOPY) is not None


def explain_odebug(report: CrashReport) -> list[Statement]:
    """A timer or work item that was freed, or used, in the wrong state; none without such a
    line.
    """
    matched = first(report.lines, _ODEBUG)
    if matched is None:
        return []
    acts = {"free": "freed", "init": "initialised", "activate": "activated", "destroy": "destroyed"}
    act = acts.get(matched["what"], f"used ({matched['what']})")
    named = matched["hint"] and not matched["hint"].startswith("0x")
    hint = f"; its function is {matched['hint'].partition('/')[0]}" if named else ""
    text = f'An object of type {matched["type"]} was {act} in the state "{matched["state"]}"{hint}.'
    return [Statement(text, "certain", (quoted(matched),))]


_DENTRY = lazy_regex(
    r"BUG: Dentry .{1,200} still in use \((?P<count>-?\d+)\) *\[unmount of (?P<what>[^\]]{1,80})\]"
)
_INODES = lazy_regex(r"VFS: Busy inodes after unmount of (?P<what>\S+?)[. ]")
_CLOSED = lazy_regex(r"VFS: Close: file count is 0")
_NETDEV = lazy_regex(
    r"unregister_netdevice: waiting for (?P<device>\S{1,32}) to become free\. "
    r"Usage count = (?P<count>-?\d+)"
)
_RSS = lazy_regex(
    r"BUG: Bad rss-counter state mm:\S+ (?:idx|type):(?P<type>\w+) val:(?P<value>-?\d+)"
)
_TABLES = lazy_regex(r"BUG: non-zero (?P<what>\w+) on freeing mm: (?P<value>-?\d+)")


def explain_vfs_busy(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """A file system that goes while in use, or a file that was closed once too often."""
    del skip
    if (closed := first(report.lines, _CLOSED)) is not None:
        text = (
            "A file was closed that nobody holds open any more: its count was 0 (use after free)."
        )
        return [Statement(text, "certain", (quoted(closed),))]
    text = (
        "A file system was unmounted while objects of it were in use: references were not "
        "given back."
    )
    if (dentry := first(report.lines, _DENTRY)) is not None:
        text = (
            f"The file system {dentry['what']} was unmounted while a directory entry of it was in "
            f"use (count {dentry['count']}): references were not given back."
        )
        return [Statement(text, "certain", (quoted(dentry),))]
    if (inodes := first(report.lines, _INODES)) is not None:
        text = (
            f"The file system on {inodes['what']} was unmounted while inodes of it were in use: "
            "references were not given back, and what still uses them uses freed memory."
        )
        return [Statement(text, "certain", (quoted(inodes),))]
    return [Statement(text, "certain", (head_of(report),))]


def explain_netdev(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """A network device that cannot go."""
    del skip
    matched = first(report.lines, _NETDEV)
    if matched is None:
        text = "A network device cannot go away, since somebody still holds a reference to it."
        return [Statement(text, "certain", (head_of(report),))]
    text = (
        f"The network device {matched['device']} cannot go away: its count of references is "
        f"{matched['count']}."
    )
    return [Statement(text, "certain", (quoted(matched),))]


def _counted(kind: str) -> str:
    """Returns which pages are meant; include/linux/mm_types_task.h (2.6.34 to 6.x): the order of
    the first three never changed.
    """
    words = ("pages of files", "anonymous pages", "entries in swap")
    known = words[int(kind)] if kind.isdecimal() and int(kind) < len(words) else None
    return f"{known} (type {kind})" if known else f"pages of type {kind}"


def explain_mm_teardown(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """A process's memory that was torn down with counters left over."""
    del skip
    rss, tables = first(report.lines, _RSS), first(report.lines, _TABLES)
    if rss is not None:
        text = (
            f"A process's memory was torn down, and its count of {_counted(rss['type'])} was "
            f"{rss['value']} instead of 0: pages were leaked, or counted wrongly."
        )
        return [Statement(text, "certain", (quoted(rss),))]
    if tables is not None:
        text = (
            f"A process's memory was torn down, and its {tables['what']} was {tables['value']} "
            "instead of 0: page tables were leaked, or counted wrongly."
        )
        return [Statement(text, "certain", (quoted(tables),))]
    text = "A process's memory was torn down with counters left over."
    return [Statement(text, "certain", (head_of(report),))]
