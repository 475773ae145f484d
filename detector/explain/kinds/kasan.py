"""Explains KASAN and KFENCE reports: the access, the object, who allocated and who freed
it.

In: a report of class `kasan` or `kfence`, and the list of generic functions. Out: statements of
what stands in the block; what the block does not hold is not spoken of. Formats: mm/kasan/report.c,
report_generic.c (4.x to 6.x), mm/kfence/report.c (5.12 to 6.x).
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator

from detector.crash.identity import base
from detector.explain.block_text import distinctive, first, head_of, place, quoted, stack_after
from detector.explain.call_path import context, interrupted
from detector.explain.kinds.kasan_frame import frame_of
from detector.lazy_regex import lazy_regex
from detector.model import CrashReport, Frame, Statement

_HEAD = lazy_regex(r"BUG: KASAN: (?P<what>[a-z-]+(?: [a-z-]+)*?)(?: in | on address |$)")
_OLD_ACCESS = lazy_regex(
    r"(?P<access>Read|Write) of size (?P<size>\d+) by task (?P<comm>.{1,40})/(?P<pid>\d+)"
)  # 4.9 and before, where the head ends in `at addr`
_AT = lazy_regex(r"BUG: KASAN: .* at addr (?P<address>[0-9a-f]{8,16})")
_ACCESS = lazy_regex(
    r"(?P<access>Read|Write|Free) (?:of size (?P<size>\d+) )?(?:at|of) addr "
    r"(?P<address>[0-9a-f]{8,16}) "
    r"by task (?P<comm>.{1,40})/(?P<pid>\d+)"
)
_ALLOCATED = lazy_regex(r"Allocated(?: by task (?P<pid>\d+).*)?:")
_FREED = lazy_regex(r"Freed(?: by task (?P<pid>\d+).*)?:")
_QUEUED = lazy_regex(r"Last (?:potentially related work creation|call_rcu\(\)):")
_CACHE = lazy_regex(r"\s*which belongs to the cache (?P<cache>\S+) of size (?P<size>\d+)")
_OBJECT = lazy_regex(
    r"Object at (?P<start>[0-9a-f]+), in cache (?P<cache>\S+) size: (?P<size>\d+)"  # 4.9 and before
)
_INSIDE = lazy_regex(
    r"The buggy address is located (?P<bytes>\d+) bytes (?P<where>inside of|to the "
    r"(?:right|left) of)"
)
_VARIABLE = lazy_regex(r"The buggy address belongs to the variable:")
_SYMBOL = lazy_regex(
    r"\s*(?P<name>[A-Za-z_$][\w$.]*)\+0x(?P<offset>[0-9a-f]+)/0x(?P<size>[0-9a-f]+)"
)
_TAGS = lazy_regex(
    r"Pointer tag: \[(?P<pointer>[0-9a-f]{2})\], memory tag: \[(?P<memory>[0-9a-f]{2})\]"
)
_NATIVE_TAG = 0xFF  # KASAN_TAG_KERNEL: memory without a tag of its own
_NEGATIVE = 1 << 63
_FREED_TAG = 0xFE  # KASAN_TAG_INVALID, mm/kasan/kasan.h (5.0 to 6.x)
_STACK = lazy_regex(r"The buggy address belongs to stack of task (?P<task>.{1,40}/\d+)")
_KFENCE = lazy_regex(
    r"BUG: KFENCE: (?P<what>use-after-free (?:read|write)|out-of-bounds (?:read|write)|"
    r"invalid (?:read|write)|invalid free|memory corruption)"
)
_KFENCE_OBJECT = lazy_regex(
    r"kfence-#(?P<number>\d+)[:\s].*size=(?P<size>\d+), cache=(?P<cache>[^\s\]]+)"
)
_KFENCE_INVALID = lazy_regex(r"Invalid free of 0x(?P<address>[0-9a-f]+) ")
_KFENCE_RANGE = lazy_regex(r"kfence-#\d+:? \[?0x(?P<start>[0-9a-f]+)-0x")
_KFENCE_ASIDE = lazy_regex(
    r"Out-of-bounds \w+ at \S+ \((?P<bytes>\d+)B (?P<side>left|right) of kfence-#\d+\)"
)
_KFENCE_ALLOCATED = lazy_regex(r"(?:kfence-#\d+.*\] )?allocated by task (?P<pid>\d+)\b.*:")
_KFENCE_FREED = lazy_regex(r"freed by task (?P<pid>\d+)\b.*:")

# The marks are those of valid memory, in whole or in part.
_NO_CLASS = (
    "of a kind that it could not tell: by the time it looked its marks there named neither freed "
    "memory nor a border"
)
# What each kind of bug means; mm/kasan/report_generic.c get_shadow_bug_type(), get_wild_bug_type().
_BUGS: tuple[tuple[str, str], ...] = (
    ("null-ptr-deref", "through a NULL pointer"),
    ("user-memory-access", "to an address of user space, by code that must not touch it so"),
    ("wild-memory-access", "to an address where no memory is: the pointer is garbage"),
    ("vmalloc-out-of-bounds", "outside of its area of vmalloc memory"),
    ("slab-out-of-bounds", "in slab memory that reaches beyond what was allocated there"),
    ("global-out-of-bounds", "outside of a global variable"),
    (
        "stack-out-of-bounds",
        "that touches what is marked as the border of a variable on a kernel stack",
    ),
    ("alloca-out-of-bounds", "outside of a variable-length array on the stack"),
    ("use-after-scope", "of a variable on the stack whose scope had ended"),
    ("use-after-free", "of memory that had been freed"),
    ("use after free", "of memory that had been freed"),
    ("out-of-bounds", _NO_CLASS),
    ("invalid-access", "with a pointer whose tag is not that of the memory (freed, or another's)"),
)
_FREES = (
    ("double-free or invalid-free", "was freed twice, or is none that was allocated"),
    ("double-free", "was freed twice"),
    ("invalid-free", "is none that was allocated, or not its beginning"),
)

# What stands innermost in every stack that was saved: mm/kasan/common.c, mm/slub.c, mm/slab.c.
_BOOKKEEPING = (
    "save_stack",
    "stack_trace_save",
    "set_track",
    "set_alloc_info",
    "set_free_info",
    "kasan_",
    "__kasan_",
    "____kasan_",
    "poison_slab",
    "poison_kmalloc",
    "unpoison_slab",
    "slab_",
    "__cache_free",
    "___cache_free",
    "do_slab_free",
    "call_rcu",
    "__call_rcu",
    "kvfree_call_rcu",
    "kfree_call_rcu",
    "insert_work",
)


_CALLBACKS = frozenset(
    {"rcu_do_batch", "rcu_core", "rcu_process_callbacks", "rcu_nocb_kthread", "rcu_nocb_cb_kthread"}
)
# What runs the callbacks: kernel/rcu/tree.c, kernel/softirq.c.
_OF_RCU = ("rcu_", "__rcu_", "kfree", "__kfree", "kmem_cache_free", "kvfree", "vfree",
           "__do_softirq", "handle_softirqs", "__softirqentry_text_start", "process_one_work",
           "worker_thread", "kthread", "ret_from_fork")  # fmt: skip


def explain_kasan(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """The access and its fault, then the object as far as the block holds it."""
    head = first(report.lines, _HEAD)
    access = first(report.lines, _ACCESS) or first(report.lines, _OLD_ACCESS)
    what = head["what"] if head is not None else ""
    evidence = tuple(quoted(result) for result in (head, access) if result is not None)
    statements = [Statement(_bug(report, what, access), "certain", evidence or (head_of(report),))]
    statements += _tags(report)
    statements += _object(report, outside="out-of-bounds" in what, access=access)
    statements += frame_of(report, access)
    inside = first(report.lines, _INSIDE)
    tags = first(report.lines, _TAGS)
    in_use = tags is not None and int(tags["memory"], 16) != _FREED_TAG
    statements += _history(
        report,
        skip,
        _ALLOCATED,
        _FREED,
        access,
        uses_freed="out-of-bounds" not in what and not in_use,
        nearest=inside is not None and inside["where"] != "inside of",
    )
    return statements


def _bug(report: CrashReport, what: str, access: re.Match[str] | None) -> str:
    if what == "double-free or invalid-free" and _freed_before(report):
        return (
            "KASAN reported a bad free: the pointer is an object's beginning, and was freed before."
        )
    if (freed := next((words for name, words in _FREES if name in what), None)) is not None:
        return f"KASAN reported a bad free: the pointer {freed}."
    where = next((words for name, words in _BUGS if name in what), None)
    if what == "out-of-bounds":
        where = _unclassed(report, access, where)
    if access is None:
        return (
            f"KASAN saw an access {where}."
            if where
            else "KASAN saw a bad access to memory, or a bad release of it."
        )
    size = access["size"]
    of = f" of {size} byte{'s' if size != '1' else ''}" if size else ""
    at = f" at {access['address']}" if "address" in access.groupdict() else ""
    return (
        f"KASAN saw a {access['access'].lower()}{of}{at} by task {access['comm']} (pid "
        f"{access['pid']})" + (f" {where}." if where else ".")
    )


def _unclassed(report: CrashReport, access: re.Match[str] | None, words: str | None) -> str | None:
    """Returns the words for `out-of-bounds` alone: a negative length (5.8 on), or memory tags,
    which name no kind of border (mm/kasan/report.c, tags_report.c get_bug_type()).
    """
    if access is not None and int(access["size"] or 0) >= _NEGATIVE:
        return "with a length that is a negative number"
    return None if first(report.lines, _TAGS) is not None else words


def _freed_before(report: CrashReport) -> bool:
    """Returns whether the address is an object's first byte, and a free of it is recorded."""
    inside = first(report.lines, _INSIDE)
    at_start = inside is not None and (inside["bytes"], inside["where"]) == ("0", "inside of")
    freed = first(report.lines, _FREED)
    return at_start and freed is not None and bool(stack_after(report.lines, freed))


def _tags(report: CrashReport) -> Iterator[Statement]:
    """The two tags that differ: what the pointer carries, and what the memory has."""
    if (tags := first(report.lines, _TAGS)) is None:
        return
    freed = int(tags["memory"], 16) == _FREED_TAG
    yield Statement(
        f"The pointer carries the tag {tags['pointer']}, the memory has {tags['memory']}"
        + (
            ", which marks memory that is freed or was never given out."
            if freed
            else ": memory that is in use, given out with another tag than the pointer's."
            if int(tags["memory"], 16) != _NATIVE_TAG
            else "."
        ),
        "certain",
        (quoted(tags),),
    )


def _object(
    report: CrashReport, *, outside: bool, access: re.Match[str] | None
) -> Iterator[Statement]:
    """Yields where the address lies: in or beside which object, variable or stack."""
    cache = first(report.lines, _CACHE) or first(report.lines, _OBJECT)
    inside = first(report.lines, _INSIDE)
    if cache is not None:
        where, sums = _beside(report, cache)
        if inside is not None:
            where = f"{inside['bytes']} bytes {inside['where']}"
            where = where.replace("to the right of", "behind").replace("to the left of", "before")
        lines = tuple(quoted(result) for result in (inside, cache) if result is not None)
        text = f"The address lies {where} an object of {cache['size']} bytes of the slab cache "
        text += f"{cache['cache']}"
        if outside and inside is not None and inside["where"] == "inside of":
            text += _end_of(int(inside["bytes"]), int(cache["size"]), access)
        yield Statement(f"{text}.", "certain", lines if inside is not None else (*lines, *sums))
    elif (stack := first(report.lines, _STACK)) is not None:
        text = f"The address lies on the kernel stack of task {stack['task']}."
        yield Statement(text, "certain", (quoted(stack),))
    elif (variable := first(report.lines, _VARIABLE)) is not None:
        at = next(at for at, text in enumerate(report.lines) if text is variable.string)
        symbol = first(report.lines[at + 1 : at + 2], _SYMBOL)
        if symbol is not None:
            yield Statement(
                f"The address lies {int(symbol['offset'], 16)} bytes behind the start of the "
                f"global symbol {symbol['name']}; the next symbol begins "
                f"{int(symbol['size'], 16)} bytes behind that start.",
                "certain",
                (quoted(symbol),),
            )


_NO_SIZE = 1 << 31  # a negative number that was taken for a size


def _end_of(start: int, slot: int, access: re.Match[str] | None) -> str:
    """Returns where an access that begins inside of an object and is out of its bounds ends:
    behind it, or in what was not asked for of it (describe_object_addr() prints the size of the
    cache's objects; mm/kasan/report.c, 4.x to 6.x).
    """
    if access is None or not access["size"] or int(access["size"]) >= _NO_SIZE:
        return ""
    over = start + int(access["size"]) - slot
    if over > 0:
        return f"; the access ends {over} byte{'s' if over != 1 else ''} behind it"
    return ", of which fewer bytes were asked for"


def _beside(report: CrashReport, cache: re.Match[str]) -> tuple[str, tuple[str, ...]]:
    """Returns where the address of the head lies to an object whose start and size are
    printed, and the sums that say so.
    """
    at = first(report.lines, _AT)
    if at is None or "start" not in cache.groupdict():
        return "near", ()
    address, start, size = int(at["address"], 16), int(cache["start"], 16), int(cache["size"])
    distance = address - start
    if distance < 0:
        return f"{-distance} bytes before", (f"{start:#x} - {address:#x} = {-distance}",)
    sums = [f"{address:#x} - {start:#x} = {distance}"]
    if distance < size:
        return f"{distance} bytes inside of", tuple(sums)
    return f"{distance - size} bytes behind", (*sums, f"{distance} - {size} = {distance - size}")


def _history(
    report: CrashReport,
    skip: Container[str],
    allocated: re.Pattern[str],
    freed: re.Pattern[str],
    access: re.Match[str] | None,
    *,
    uses_freed: bool = True,
    nearest: bool = False,
) -> Iterator[Statement]:
    """Yields who allocated the object, who freed it, who asked for the free to be done later.

    A place in memory keeps the record of its last free while a new object lives there: only a use
    after free says that this object was freed.
    """
    pid = access["pid"] if access is not None else None
    for verb, pattern in (("allocated", allocated), ("freed", freed)):
        if (matched := first(report.lines, pattern)) is None:
            continue
        stack = stack_after(report.lines, matched)
        if not stack:
            continue
        by = f"{_by(matched['pid'], pid, context(report), stack)}{_place(stack, skip)}"
        which = (
            "The object nearest to it, which need not be the one meant,"
            if nearest
            else "The object"
        )
        text = f"{which} was {verb}{by}."
        if verb == "freed" and not uses_freed:
            text = f"The last free recorded there was made{by}: it may be an earlier object's."
        yield Statement(
            text,
            "certain",
            (quoted(matched), " < ".join(place(frame) for frame in stack[:8])),
        )
    queued = first(report.lines, _QUEUED)
    if queued is not None and (stack := stack_after(report.lines, queued)):
        yield Statement(
            # Up to 6.7 or so the record outlives an allocation (mm/kasan/generic.c aux_stack).
            f"The last work or RCU callback recorded there was queued in {_chain(stack, skip)}: it "
            "may be an earlier object's.",
            "certain",
            (quoted(queued), " < ".join(place(frame) for frame in stack[:8])),
        )


def _by(pid: str | None, accessed: str | None, where: str | None, stack: tuple[Frame, ...]) -> str:
    """Returns who it was: the task, or an interrupt that struck while the task ran."""
    if pid is None:
        return ""
    if (struck := interrupted(stack)) is not None:
        return f" in {'an' if struck[0] in 'iN' else 'a'} {struck}, while pid {pid} ran,"
    if pid == accessed and where in ("soft interrupt", "interrupt", "NMI"):
        return f" by pid {pid}, the task that the {where} of this access struck,"
    if pid == accessed:
        return f" by pid {pid}, which made this access too,"
    return f" by the task with pid {pid}"


def _place(stack: tuple[Frame, ...], skip: Container[str]) -> str:
    """Returns in which functions; RCU's own where only they are there: a callback."""
    names = [base(frame.function) for frame in stack]
    if any(name in _CALLBACKS for name in names) and all(
        name in skip or name.startswith((*_BOOKKEEPING, *_OF_RCU)) for name in names
    ):
        return " by an RCU callback"
    return f" in {_chain(stack, skip)}"


def _chain(stack: tuple[Frame, ...], skip: Container[str]) -> str:
    """The innermost functions of a stack that are not the allocator's or KASAN's: two, since
    the first is often a helper. A function of a module is none of the generic ones, be it a test's.
    """
    own = tuple(frame for frame in stack if not base(frame.function).startswith(_BOOKKEEPING))
    named = tuple(frame for frame in own if frame.module or distinctive((frame,), skip))
    shown = named[:2] or own[:1] or stack[:1]
    if len(shown) == 2 and shown[1] is not stack[stack.index(shown[0]) + 1]:
        return " below ".join(map(place, shown))
    return ", called from ".join(map(place, shown))


def _kfence_freed_before(report: CrashReport) -> bool:
    """Returns whether the pointer freed is an object's beginning, and that object is free: its last
    free is printed only then (mm/kfence/report.c kfence_print_object(), 5.12 to 6.x).
    """
    freed, thing = first(report.lines, _KFENCE_INVALID), first(report.lines, _KFENCE_RANGE)
    same = freed is not None and thing is not None and freed["address"] == thing["start"]
    return same and first(report.lines, _KFENCE_FREED) is not None


def explain_kfence(report: CrashReport, skip: Container[str]) -> list[Statement]:
    """KFENCE's finding and the object's history."""
    head, thing = first(report.lines, _KFENCE), first(report.lines, _KFENCE_OBJECT)
    words = {
        "use-after-free": "an access to memory that had been freed",
        "out-of-bounds": "an access outside of an object",
        "invalid read": "a read of memory that is no object's",
        "invalid write": "a write to memory that is no object's",
        "invalid free": "a second free of an object"
        if _kfence_freed_before(report)
        else "a free of a pointer that is none that was allocated, or was freed before",
        "memory corruption": "bytes beside an object that were changed before it was freed",
    }
    what = head["what"] if head is not None else ""
    result = next((text for name, text in words.items() if what.startswith(name)), None)
    aside = first(report.lines, _KFENCE_ASIDE)
    text = f"KFENCE, which samples allocations, saw {result or 'a bad access'}"
    text += f", {aside['bytes']} bytes {aside['side']} of it." if aside is not None else "."
    if thing is not None:
        text += f" The object has {thing['size']} bytes, of the slab cache {thing['cache']}."
    evidence = tuple(quoted(item) for item in (head, aside, thing) if item is not None)
    statements = [Statement(text, "certain", evidence or (head_of(report),))]
    return statements + list(_history(report, skip, _KFENCE_ALLOCATED, _KFENCE_FREED, None))
