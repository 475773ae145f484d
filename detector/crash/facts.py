"""Facts that stand in lines of their own: CPU, pid, comm, taint, release, hardware, fault
address, error codes, panic.

In: the lines of a block. Out: a `BlockFacts` value; of each fact the first that is said. Process
names may hold anything: blanks, `#`, `/`, `:`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest

from detector.lazy_regex import lazy_regex

# Red Hat's kernels print the flags of their own among dashes, one place for each: `G           OE
# ------------ T`, `G --L------------`, `--------- -t -`.
_TAINT = r"(?:Not tainted|Tainted: )(?P<taint>(?:[A-Z][A-Z() ]*+)?(?: *+-[-A-Za-z() ]*+)?)"
_COMM = r"(?P<comm>(?s:.{0,64}))"  # a process may put a line end into its name
_RELEASE = r"\(?(?P<release>\d+\.\d+[^\s)]*)"

_LINES = tuple(
    lazy_regex(pattern)
    for pattern in (
        # lib/dump_stack.c dump_stack_print_info, from 3.10 on; UID from 6.11 on
        rf"CPU: (?P<cpu>\d+) (?:UID: \d+ )?PID: (?P<pid>\d+) Comm: {_COMM} {_TAINT}\s*{_RELEASE}",
        rf"CPU: (?P<cpu>\d+) (?:UID: \d+ )?PID: (?P<pid>\d+) Comm: {_COMM} {_TAINT}\s*$",
        # the same to 3.9, and arm
        (
            rf"Pid: (?P<pid>\d+), comm: +{_COMM} {_TAINT}\s*{_RELEASE}(?: #\S+ "
            rf"(?P<hardware>\S.*?)\s*$)?"
        ),
        rf"CPU: (?P<cpu>\d+) +{_TAINT}\s*{_RELEASE}",
        r"CPU:? +(?P<cpu>\d+)\s*$",
        rf"EIP: +0060:\[<[0-9a-f]+>\] +{_TAINT}",
        rf"EFLAGS: [0-9a-f]{{8}} +{_RELEASE}",
        # kernel/locking/lockdep.c print_kernel_ident; kernel/hung_task.c
        rf"(?P<release>\d+\.\d+\S*)(?: #\S+)?(?: SMP)?(?: PREEMPT\S*)? {_TAINT}\s*$",
        rf"\s*{_TAINT}\s*{_RELEASE}",
        # the same to 3.1: print_kernel_version()
        r"(?P<release>\d+\.\d+\.\d+\S*) #\d\S*\s*$",
        # dump_stack's line, cut at its front, or without some of its characters
        rf"[^a-z]{{0,12}}?(?:D: |i?d: )(?P<pid>\d+),? [Cc]omm: {_COMM} {_TAINT}\s*{_RELEASE}",
        rf"CPU: (?P<cpu>\d+) PID: (?!\d+ )\S{{0,12}} Comm: {_COMM}(?<! ) ?{_TAINT}\s*{_RELEASE}",
        rf"CPU: (?P<cpu>\d+) PID: (?P<pid>\d+) Comm: {_COMM}(?<! ){_TAINT}\s*{_RELEASE}",
        rf"(?:\d{{0,10}}[ ,]{{1,2}})?[Cc]omm: {_COMM} {_TAINT}\s*{_RELEASE}",
        # Debian's LINUX_PACKAGE_ID, after the release and the build's number
        rf".* {_TAINT}\s*\d+\.\d+\S* #\S+ +(?P<package>Debian \d\S*)",
        # kernel/panic.c __warn, both generations
        r"WARNING: CPU: (?P<cpu>\d+) PID: (?P<pid>\d+) at ",
        r"WARNING: .* at \S+, CPU#(?P<cpu>\d+): (?P<comm>.+)/(?P<pid>\d+)\s*$",
        # kernel/watchdog.c, kernel/hung_task.c, mm/kasan/report.c, kernel/sched/core.c,
        # arch/*/kernel/process.c
        (
            r"(?:\S+ )?(?:\S+ )?BUG: soft lockup -? ?CPU#(?P<cpu>\d+),? stuck for \d+s! "
            r"\[(?P<comm>.*):(?P<pid>\d+)\]"
        ),
        r"INFO: task (?P<comm>.+):(?P<pid>\d+) (?:blocked|can't die)",
        (
            r"(?:Read|Write) (?:of size \d+ )?at addr (?P<address>[0-9a-f]{8,16}) by task "
            r"(?P<comm>.+)/(?P<pid>\d+)\s*$"
        ),
        # mm/page_alloc.c warn_alloc, kernel/locking/lockdep.c lockdep_print_held_locks
        r"(?P<comm>(?s:.{1,64}?)): (?:page|vmalloc)(?: |: )(?:\S+ ){0,3}?(?:failure|error)[:,]",
        r"(?:\d+ locks?|no locks) held by (?P<comm>.+)/(?P<pid>\d+)[:.]",
        r"in_atomic\(\): .*pid: (?P<pid>\d+), name: (?P<comm>.+?)\s*$",
        r"BUG: scheduling while atomic: (?P<comm>.+)/(?P<pid>\d+)/0x",
        r"Process (?P<comm>.+) \(pid: (?P<pid>\d+),",
        r"(?:\S+: )?Watchdog detected hard LOCKUP on cpu (?P<cpu>\d+)",
        r"Hardware name: (?P<hardware>.+?)\s*$",
        # arch/*/mm/fault.c
        r"(?:CPU \d+ )?Unable to handle kernel .* at virtual address (?P<address>[0-9a-f]{8,16})",
        (
            r"Unable to handle kernel paging request (?:for \w+ )?at address "
            r"(?:0x)?(?P<address>[0-9a-f]+)"
        ),
        (
            r"BUG: unable to handle kernel .* at(?: virtual address)? "
            r"+(?:(?P<null>\(null\))|(?P<address>[0-9a-f]+))"
        ),
        r"BUG: unable to handle page fault for address: +(?P<address>[0-9a-f]+)",
        r"BUG: kernel NULL pointer dereference, address: (?P<address>[0-9a-f]+)",
        (
            r"BUG: (?:Kernel NULL pointer dereference|Unable to handle kernel \w+ \w+)(?: on "
            r"\w+)? at (?:0x)?(?P<address>[0-9a-f]+)"
        ),
        (
            r"(?:Oops: )?general protection fault, .*address 0x(?P<address>[0-9a-f]+): "
            r"(?P<error_code>[0-9a-f]{4})"
        ),
        r"Failing address: (?P<address>[0-9a-f]{8,16}) TEID",
        (
            r"Unhandled (?:fault|prefetch abort): .{1,60} \(0x(?P<error_code>[0-9a-f]+)\) at "
            r"0x(?P<address>[0-9a-f]{8,16})"
        ),
        r"#PF: error_code\(0x(?P<error_code>[0-9a-f]+)\)",
        r"(?:Oops: )*(?:Oops|\w+(?: \w+){0,2}): (?P<error_code>[0-9a-f]{4}) (?:ilc:\d )?\[#",
        r"\s+ESR = 0x(?P<esr>[0-9a-f]+)",
        r"Internal error: .*?:? (?P<error_code>[0-9a-f]{1,16}) \[#",
        r"Kernel panic(?: - not syncing)?: (?P<panic>.*?)\s*$",
    )
)
_OF_TASK = frozenset({"cpu", "pid", "comm"})
"""What a line says of one task: from two tasks' lines it would name a third that does not exist."""

_ALL_LOCKS = "Showing all locks held"  # kernel/locking/lockdep.c debug_show_all_locks

_IN_COMM = lazy_regex(r"CPU: \d+ (?:UID: \d+ )?PID: \d+ Comm: |Pid: \d+, comm: ")


@dataclass(frozen=True, slots=True)
class BlockFacts:
    """Facts that the lines state; None where they do not."""

    cpu: int | None = None
    pid: int | None = None
    comm: str | None = None
    tainted: str | None = None
    kernel: str | None = None
    hardware: str | None = None
    fault_address: int | None = None
    error_code: int | None = None
    esr: int | None = None
    panic: str | None = None
    package: str | None = None


def facts(lines: Sequence[str]) -> BlockFacts:
    """Collects the facts of a block."""
    facts_given: dict[str, str] = {}
    of_all = False  # lockdep's list is of every task's locks
    for text in _joined(lines):
        of_all = of_all or text.startswith(_ALL_LOCKS)
        for result in _parts(text):
            another = (of_all and " held by " in text) or _is_another(facts_given, result)
            for name, value in result.items():
                if not (another and name in _OF_TASK):
                    facts_given.setdefault(name, value)
    return BlockFacts(
        cpu=_decimal(facts_given.get("cpu")),
        pid=_decimal(facts_given.get("pid")),
        comm=_without_kdump(facts_given.get("comm")),
        tainted=facts_given.get("tainted"),
        kernel=facts_given.get("release"),
        hardware=facts_given.get("hardware"),
        fault_address=_hexadecimal(facts_given.get("address")),
        error_code=_hexadecimal(facts_given.get("error_code")),
        esr=_hexadecimal(facts_given.get("esr")),
        panic=facts_given.get("panic") or None,
        package=facts_given.get("package"),
    )


def _is_another(known: Mapping[str, str], result: Mapping[str, str]) -> bool:
    """Returns whether a line is of another task than the one known, by pid or else by name."""
    if "pid" in known and "pid" in result:
        return known["pid"] != result["pid"]
    if "comm" in known and "comm" in result:
        return _without_kdump(known["comm"]) != _without_kdump(result["comm"])
    return False


def _joined(lines: Sequence[str]) -> Iterator[str]:
    """The lines; one that ends within a process's name with the line after it."""
    for text, after in zip_longest(lines, lines[1:], fillvalue=""):
        cut = ""
        if _IN_COMM.match(text) is not None:
            if "ainted" not in text and "ainted" in after:
                cut = f"\n{after}"
            elif text.endswith(" Not tainted") and after[:1].isdigit():
                cut = f" {after}"
        yield text + cut


# Lines are cut to some hundred characters before they come here.
@lru_cache(4096)
def _parts(text: str) -> Sequence[Mapping[str, str]]:
    parts: list[Mapping[str, str]] = []
    for pattern in _LINES:
        matched = pattern.match(text)
        if matched is None:
            continue
        values = {name: value for name, value in matched.groupdict().items() if value is not None}
        if "null" in values:
            values["address"] = "0"
        if "ainted" in text and "taint" in pattern.groupindex:
            values["tainted"] = "".join(char for char in values.pop("taint", "") if char.isupper())
        parts.append(values)
    return parts


def _without_kdump(comm: str | None) -> str | None:
    """`Kdump: loaded` stands between the name and the taint where a crash kernel is loaded
    (kernel/printk.c, from 4.15 on).
    """
    return comm.removesuffix(" Kdump: loaded") if comm is not None else None


def _decimal(text: str | None) -> int | None:
    return int(text) if text is not None and len(text) <= 10 else None


def _hexadecimal(text: str | None) -> int | None:
    return int(text, 16) if text else None


TAINTS: Mapping[str, str] = {
    "G": "no proprietary module is loaded",
    "P": "a proprietary module is loaded",
    "F": "a module was loaded by force",
    "S": "the CPU or the mainboard is used outside of its specification",
    "R": "a module was unloaded by force",
    "M": "the processor reported a machine check",
    "B": "a page of memory was found in a bad state",
    "U": "user space asked for the taint",
    "D": "the kernel has died before: an oops or BUG came earlier",
    "A": "an ACPI table was overridden",
    "W": "the kernel has warned before",
    "C": "a staging driver is loaded",
    "I": "a bug in the firmware is worked around",
    "O": "a module from outside of the kernel tree is loaded",
    "E": "an unsigned module is loaded",
    "L": "a soft lockup came earlier",
    "K": "the kernel is live-patched",
    "X": "an auxiliary taint that the distribution defines",
    "T": "the kernel was built with randomised structures",
    "N": "an in-kernel test has run",
    "J": "firmware was changed through fwctl",
}
"""Letter → meaning. `G` stands where `P` would."""
