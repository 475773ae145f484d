"""The lines of kernel reports: whether a text can be one, of what part, of which architecture.

In: a line's text. Out: a `Shape`. Every format here is a printk of the kernel; what no entry fits is
foreign to a report: the ordinary chatter of a host. It keeps no state: which report a line belongs to
is the owner's question, what it says is `crash`'s.

Sources, 2.6 to 6.17: show_regs, show_trace and die of arch/*/kernel/{traps,process,dumpstack}.c,
arch/*/mm/fault.c, lib/dump_stack.c, kernel/panic.c, mm/{kasan,kmsan,kfence}/report.c,
kernel/kcsan/report.c, lib/ubsan.c, mm/{slub,page_alloc,show_mem,debug,oom_kill,kmemleak}.c,
kernel/locking/lockdep.c, kernel/rcu/tree_stall.h, kernel/{hung_task,watchdog,workqueue}.c,
kernel/sched/core.c, lib/nmi_backtrace.c.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["frame", "trace", "label", "text", "blank", "foreign"]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a line looks like.

    `kind`: a frame of a trace, the line that starts one, a line that names itself (`label`), prose
    of a report (`text`), nothing (`blank`), or no line of a report (`foreign`). `name` is a label's
    own name, or the class whose prose it is. `arch` is set where only one architecture prints so;
    `style` is how a frame is written.
    """

    kind: Kind
    name: str | None = None
    arch: str | None = None
    style: tuple[int, bool, bool] | None = None


_SYM = r"\.?[A-Za-z_$][\w$.]*"
_OFF = r"\+0x[0-9a-f]+/0x[0-9a-f]+"
_AT = r"(?:\[<?(?:0x)?[0-9a-f]{8,16}>?\]\s*){1,2}"
_STACKS = r"(?:</?[#A-Z][A-Z/\d ]*>\s*)"
_FRAME = re.compile(
    rf"(?P<indent>\s*)(?P<stack>{_STACKS}+)?"
    rf"(?:\(?(?P<at>{_AT})?\(?(?:\? +)?(?:\d+:)?{_SYM}{_OFF}(?P<rest>[\s)\[(].*)?$"
    rf"|{_AT}\(?(?:\? +)?(?:0x[0-9a-f]+|\(null\)|{_SYM})\)?(?: \(unreliable\)| \[[\w ]+\]| from .*)?\s*$"
    rf"|(?:\? )?0x[0-9a-f]{{8,16}}\s*$"
    rf"|\(?{_SYM}(?:{_OFF})?\)? from (?:{_AT})?\(?(?:{_SYM}{_OFF}|0x[0-9a-f]+).*$"
    rf"|(?:\? )?{_SYM} \(?(?:\./)?[\w./-]+\.[chSs]:\d+.*$"
    r"|---? (?:interrupt|Exception): \w+.*$|LR = .*$|--- Exception: .*$)"
)
_STACK_MARK = re.compile(rf"\s*{_STACKS}+\s*$")
_TRACE = re.compile(
    r"(?:[0-9a-f]{8,16})?\s*(?:Call [Tt]race|[Bb]acktrace|stack backtrace|Stack traceback|Trace)\b[^:]{0,24}:"
)
_ENDS = re.compile(r"\s*(?:---\[|-{12}\[|8<--- cut here|={16,}|-{16,}|_{16,}|\*{3} )")

# A line that is all hexadecimal: stack words, code, shadow and object dumps.
_DATA = re.compile(
    r"\s*(?:"
    r"(?:<d> ?)?(?:\(?[0-9a-f]{8,16}[\s)]*)+$"  # stack words, code words
    r"|[>#* ]*[0-9a-f]{8,16}: (?:[0-9a-f]{2,16}[ \[\]]*|>|<){1,40}.{0,80}$"  # shadow, s390's code
    r"|[>#*]?(?:0x)?[0-9a-f]{8,16}: .{0,120}$"
    r"|[0-9a-f]{4}:? +(?:(?:[0-9a-f]{8}(?:[0-9a-f]{8})?|[?*]{8}) ?)+$"  # arm's stack and memory around registers
    r"|(?:r\d{1,2}:[0-9a-f]{8} ?)+$"  # arm's registers within a trace
    r"|(?:[0-9a-f]{2}[ ]{1,2}){7,}.{0,40}$"  # kmemleak's hex dump
    r"|(?:[0-9a-f]{8} +){3,}[<(]?[0-9a-f]{0,8}[>)]?.*$"
    r"|\^\s*$)"
)

_LABEL = re.compile(r"\s*(?:\[[0-9a-f]+\] \*?)?([A-Za-z_][\w -]{0,30}?) ?[:=]")

# Registers and what stands with them, by the architecture that prints it.
_DUMPS: tuple[tuple[str | None, str], ...] = (
    (
        "x86",
        r"R[ISB]P(?:: |  ?[<\[])|R[A-D]X: |R[SD]I: |R\d\d: |E[A-D]X: |E[SDB][IP]: |EIP(?:: | is at )|EFLAGS: |e[a-d]x: |es[ip]: |ds: "
        r"|FS:  ?[0-9a-f]{8}|CS:  ?[0-9a-f]{4}|DS: [0-9a-f]{4}|CR[0-4]: |DR[0-7]: |PKRU: |PGD |P4D |PUD |PMD |PTE |\*p[dgmtu]\w* ?="
        r"|IP: (?:\[<|[A-Za-z_0])|RIP  ?[\[:]|#PF:? |ORIG_RAX|Thread overran stack|SS:ESP |SS: |Process \S.* \(pid: \d+, (?:ti|threadinfo)|Stack guard"
        r"|Oops: |last sysfs file: |BUG: stack guard",
    ),
    (
        "arm64",
        r"x\d{1,2} ?: [0-9a-f]{16}|pstate: |Mem abort info:|Data abort info:|ESR = |EC = |Exception class = |SET = |EA = |FSC = |ISV = "
        r"|CM = |GCS = |user pgtable: |swapper pgtable: |pmr_save: |FAR: |Task stack: |IRQ stack: |Overflow stack: ",
    ),
    (
        "arm",
        r"r\d{1,2} ?: [0-9a-f]{8}|psr: |Flags: [nN][zZ]|Control: [0-9a-f]{8}|Register r\d{1,2} information|Register p \w+"
        r"|xPSR: |Stack: \(0x|sp : [0-9a-f]{8}  ip",
    ),
    (
        "ppc",
        r"NIP:? |LR \[|REGS: |MSR: |CFAR: |GPR\d\d: |DAR: |XER: |Faulting instruction address|Instruction dump|SMP NR_CPUS|[LB]E (?:PAGE_SIZE|SMP)|CTR: "
        r"|TASK = |IRQMASK: |Unrecoverable|PREEMPT SMP NR_CPUS|---- interrupt",
    ),
    (
        "s390x",
        r"Krnl (?:PSW|GPRS|Code)|Failing address: |Fault in |AS:[0-9a-f]|R\d?:[0-9a-f]|R:\d T:\d|Last Breaking-Event|User (?:PSW|GPRS)",
    ),
    (
        "riscv",
        r"epc : [0-9a-f]{8}| ?(?:epc|gp|tp|t\d|s\d{1,2}|a\d) : ?[0-9a-f]{8}|status: [0-9a-f]{8}|Current \S+ pgtable",
    ),
    (
        "loongarch",
        r"(?:pc|ra|a\d|t\d|u0|s\d) [0-9a-f]{16}|ERA: |CRMD: |PRMD: |EUEN: |ECFG: |ESTAT: |BADV: |PRID: |ra: [0-9a-f]{16}",
    ),
    (
        "mips",
        r"\$ ?\d+ *: |Hi +: |Lo +: |Acx +: |epc   : |ra    : |Status *: |Cause *: |BadVA *: |PrId *: ",
    ),
    (
        "sparc",
        r"TSTATE: |TPC: |RPC: |[goli]\d: |I7: |Caller\[|Disabling lock|PSR: |PSTATE",
    ),
    (
        "parisc",
        r"YZrvW|PSW: |[rs]r?\d\d-\d\d|IASQ: |IAOQ\[|IIR: |ORIG_R28|RP\(r2\)|IR: ",
    ),
)
_DUMP = tuple((arch, re.compile(rf"\s*(?:{pattern})")) for arch, pattern in _DUMPS)

_COMMON = re.compile(
    r"\s*(?:Exception stack\(|CPU: ?\d|CPU \d+(?:\s*$|:? (?:Modules|Pid))|Pid: \d|Hardware name: |Tainted: |Not tainted|Workqueue: |Sched_ext: |Modules linked in:|\[last unloaded"
    r"|Code: |Code : |Stack ?:|task: ?\S|Process \S.* \(pid: |ti: |Kernel Offset: |PHYS_OFFSET: |CPU features: |Memory Limit: |Dumping ftrace buffer"
    r"|\(ftrace buffer empty\)|Rebooting in |note: .{1,40}\[\d+\] exited|Fixing recursive fault|SMP: (?:stopping|failed)|Starting crashdump kernel|Bye!"
    r"|Disabling lock debugging|irq event stamp: |(?:hard|soft)irqs last|INFO: lockdep is turned off|Preemption disabled at|in_atomic\(\)|preempt_count|RCU nest depth"
    r"|NMI backtrace for cpu|Sending NMI |Showing all locks held|Kernel panic|pc ?: |lr ?: |sp ?: |PC is at|LR is at|pgd = |pgd=|\[[0-9a-f]{8,16}\] \*?(?:pgd|pmd|pud|address)"
    r"|pointer |slab |non-paged memory|non-slab|\(stack is not available\)|<Same stack as|caller is |Shutting down cpus|Rebooting|kernel tried to execute|Internal error: |Oops[:\[ ]|KASAN: |kasan: |Bad address in|Insufficient stack"
    r"|unable to execute|Unable to handle|Kernel Fault|CPU#\d+ Utilization|#\d+: +\d+% |Fatal exception|ra: |printk: console|\*\*\s|Modules|Current |Mem abort|Internal)"
)

_PROSE: tuple[tuple[str, str], ...] = (
    (
        "kasan",
        r"(?:Read|Write) (?:of size|at addr)|Free of addr|The buggy address|which belongs|The buggy|located \d+ bytes|(?:Allocated|Freed)(?: by task \d+.*)?:|Last potentially related"
        r"|Second to last|Memory state around|addr \S+ is located in stack|this frame has|\[\d+, \d+\) '|Object at |Pointer tag: |Memory tag: |Bad access happened|The Virtual|These are|allocated \d+-byte|freed \d+-byte"
        r"|which was|\(no stack|Allocation |Freed in|Stack backtrace|\d+-byte region|PID = \d",
    ),
    (
        "page",
        r"page: ?\S*(?:refcount|count|ffff|0x|00)|flags: ?0x|raw: [0-9a-f]|head: ?\S|memcg:|page dumped because|page_owner |page last |page allocated via|page has |bad because of|addr:[0-9a-f(]|file:\S+ |anon flags: |page_type: |ksm flags|mapping:|pte:"
        r"|prep_new_page|order:",
    ),
    (
        "kmsan",
        r"Uninit was |Local variable .*created at|Bytes? \d+(?:-\d+)? of \d+|Memory access of size|Data copied to|<chained",
    ),
    (
        "kcsan",
        r"(?:read|write|read-write|race)(?:\)? \(?[\w-]+\)?)? (?:to|at) (?:0x|unknown)|value changed: |Reported by Kernel Concurrency|no locks held by|assert no ",
    ),
    (
        "kfence",
        r"(?:Use-after-free|Out-of-bounds|Invalid|Corrupted memory).{0,40}(?:at|of) 0x|kfence-#\d|(?:allocated|freed) by task \d|which was|rcu_freeing",
    ),
    (
        "ubsan",
        r"index \S+ is out of range|shift exponent |left shift of |signed integer overflow|unsigned integer overflow|division of |member access within|load of |store to |null pointer|negation of |pointer (?:index|overflow)"
        r"|\S+ [*+-] \S+ cannot be|which requires \d+ byte|with insufficient space|implicit conversion|addition of |subtraction|reference binding",
    ),
    (
        "slab",
        r"INFO: (?:Slab|Object|Allocated|Freed) |Slab 0x|Object 0x|Bytes b4|Object *(?:\(|[0-9a-f]{8}|0x)|Redzone *(?:\(|[0-9a-f]{8})|Padding *(?:\(|[0-9a-f]{8})|Object padding|FIX \S|0x[0-9a-f]+-0x[0-9a-f]+ @|Freed in|Allocated in|First byte",
    ),
    (
        "memory-leak",
        r'unreferenced object|comm "|hex dump|jiffies \d+ \(age|min_count|backtrace',
    ),
    (
        "lockdep",
        r".{0,80} is (?:trying to (?:acquire|release)|freeing memory|exiting with)|.{0,60}(?:just changed the state|is leaving the kernel|leaving the kernel)|but (?:task is|there are no|this lock|this new|this task)|which lock already|the (?:existing|shortest|dependencies|code is)"
        r"|-> #\d|-> \(|other info that|Possible (?:unsafe|interrupt)|Chain exists|CPU0|-{4}(?:\s|$)|u?n?lock\(|rlock\(|<Interrupt>|\*\*\* |\d+ locks? held by|no locks held|#\d+: |and (?:this task|interrupts)|which would create|\.\.\. |to an? \S+-irq-unsafe"
        r"|\{[A-Z][\w-]*\} (?:state|usage|->)|inconsistent \{|.{0,80} takes:|possible reason|[A-Z][A-Z-]+ at:|INITIAL |May be due|rcu_scheduler_active|\S+:\d+ (?:suspicious|RCU|Illegal)|lock: \S+, \.magic|and \S+-irq-unsafe lock|local_irq_|, at: \[|(?:\S.{0,60}? --> )+|this may |last function: |do not call blocking|lock is on|you didn't|turning off the|\}|(?:\S+ )?\(.{1,80}\)\{|[0-9a-f]{8,16} \(.{1,80}\)\{"
        r"|use-after-|maybe |\d+\.\d+\.\d+\S* (?:#\S+ )?(?:Not tainted|Tainted)|context-\{|stack backtrace|release count|restore|syscall|.{0,60}/\d+ \[HC\d|.{0,40}/\d+ is |.{0,40}/\d+:?$|swapper/|init/1 ",
    ),
    (
        "rcu-stall",
        r"(?:rcu: )?\s*(?:\d+-[.?!oNOD]|\(detected by|\(t=\d|Tasks? (?:dump|blocked)|blocking rcu_node|All QSes|Unless |Possible timer|RCU grace-period|rcu_\w+ kthread|INFO: rcu|l=\d|P\d+)|Task dump for|\d+: \(|\(\d+ ticks",
    ),
    (
        "hung-task",
        r'"echo 0 > |task:\S.*state:|Not tainted|Blocked by |INFO: task .* blocked on|Future hung|\S.{0,15} +[RSDTtXZPI][ +]? *(?:running task|[0-9a-f]{8,16}|\d+)|\(not blocked|\(blocked|Showing ',
    ),
    (
        "memory",
        r"Mem-Info|active_anon|Node \d+ |lowmem_reserve|\d+ (?:total pagecache|pages )|pages? (?:RAM|in)|Swap cache|Free swap|Total swap|Tasks state|\[ *pid *\]|\[ *\d+\] +\d+ +\d+ |oom-kill:|Out of memory|Memory cgroup|Unreclaimable|Name +Used"
        r"|\S+ +\d+KB +\d+KB|.{1,15} cpuset=|memory(?:\+swap)?: usage|swap: usage|kmem: usage|Task in |oom_reaper: |Killed process|\S+ per-cpu|CPU +\d+: hi|(?:DMA|DMA32|Normal|HighMem|Movable)\d* ?(?:free|per-cpu|:)|active_file|inactive_|unevictable|slab_|mapped:|free:|free_pcp"
        r"|(?:\d+\*\d+kB ?)+|\([CHMRUEI]+\)\s|= \d+kB|Node \d+\s*$|mems_allowed|kernel_misc|anon(?:_thp)? \d|file \d|kernel_stack \d|pagetables \d|sock \d|shmem \d|pgfault \d|workingset_|SLUB: Unable|cache: |node \d+: ",
    ),
    (
        "workqueue-lockup",
        r"Showing (?:busy|backtraces|freezable)|workqueue \S+: flags|pwq \d+|pending: |in-flight: |inactive: |delayed: |pool \d+",
    ),
    (
        "rust-panic",
        r"index out of bounds|called `|attempt to |assertion |explicit panic|misaligned|range ",
    ),
)
_SAYS = tuple((name, re.compile(rf"\s*(?:{pattern})")) for name, pattern in _PROSE)

_BLANK = Shape("blank")
_FOREIGN = Shape("foreign")


def shape(text: str) -> Shape:
    """What a line looks like."""
    if not text or text.isspace():
        return _BLANK
    if (found := _FRAME.match(text)) is not None:
        return Shape("frame", style=(len(found["indent"]), bool(found["at"]), " from " in text))
    if _TRACE.match(text) is not None:
        return Shape("trace", "Call Trace")
    if _STACK_MARK.match(text) is not None:
        return Shape("frame")
    for arch, pattern in _DUMP:
        if pattern.match(text) is not None:
            return Shape("label", label(text), arch)
    if _COMMON.match(text) is not None:
        return Shape("label", label(text))
    if _ENDS.match(text) is not None or _DATA.match(text) is not None:
        return Shape("text")
    for name, pattern in _SAYS:
        if pattern.match(text) is not None:
            return Shape("text", name)
    return _FOREIGN


def label(text: str) -> str | None:
    """What a report prints once only names itself by: `CPU`, `Mem abort info`, `x29`, `pgd`; None
    for frames and prose.
    """
    found = _LABEL.match(text)
    return found[1] if found else None
