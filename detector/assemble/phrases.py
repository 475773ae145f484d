"""Beginnings of the lines of kernel reports: register dumps by architecture, what all
print, the prose of each kind.

Data: fragments of regular expressions, matched after any indentation. Sources: see `grammar`.
"""

from __future__ import annotations

DUMPS: dict[str, tuple[str, ...]] = {
    "x86": (
        r"R[ISB]P(?:: |  ?[<\[])", "R[A-D]X: ", "R[SD]I: ", r"R\d\d: ", "E[A-D]X: ",
        "E[SDB][IP]: ", "EIP(?:: | is at )", "EFLAGS: ", "e[a-d]x: ", "es[ip]: ", "ds: ",
        "FS:  ?[0-9a-f]{8}", "CS:  ?[0-9a-f]{4}", "DS: [0-9a-f]{4}", "CR[0-4]: ", "DR[0-7]: ",
        "PKRU: ", "PGD ", "P4D ", "PUD ", "PMD ", "PTE ", r"\*p[dgmtu]\w* ?=",
        r"IP: (?:\[<|[A-Za-z_0])", r"RIP  ?[\[:]", "#PF:? ", "ORIG_RAX", "Thread overran stack",
        "SS:ESP ", "SS: ", "Stack guard",
        "last sysfs file: ", "BUG: stack guard",
    ),
    "arm64": (
        r"x\d{1,2} ?: [0-9a-f]{16}", "pstate: ", "Mem abort info:", "Data abort info:", "ESR = ",
        "EC = ", "Exception class = ", "SET = ", "EA = ", "FSC = ", "ISV = ", "CM = ", "GCS = ",
        "user pgtable: ", "swapper pgtable: ", "pmr_save: ", "FAR: ", "Task stack: ",
        "IRQ stack: ", "Overflow stack: ",
    ),
    "arm": (
        r"r\d{1,2} ?: [0-9a-f]{8}", "psr: ", "Flags: [nN][zZ]", "Control: [0-9a-f]{8}",
        r"Register r\d{1,2} information", r"Register p \w+", "xPSR: ", r"Stack: \(0x",
        "sp : [0-9a-f]{8}  ip",
    ),
    "ppc": (
        "NIP:? ", r"LR \[", "REGS: ", "MSR: ", "CFAR: ", r"GPR\d\d: ", "DAR: ", "XER: ",
        "Faulting instruction address", "Instruction dump", "SMP NR_CPUS",
        "[LB]E (?:PAGE_SIZE|SMP)", "CTR: ", "TASK = ", "IRQMASK: ", "Unrecoverable",
        "PREEMPT SMP NR_CPUS", "---- interrupt",
    ),
    "s390x": (
        "Krnl (?:PSW|GPRS|Code)", "Failing address: ", "Fault in ", "AS:[0-9a-f]",
        r"R\d?:[0-9a-f]", r"R:\d T:\d", "Last Breaking-Event", "User (?:PSW|GPRS)",
    ),
    "riscv": (
        "epc : ", "ra : [A-Za-z_]", r" ?(?:epc|gp|tp|t\d|s\d{1,2}|a\d) : ?[0-9a-f]{8}",
        "status: [0-9a-f]{8}", r"Current \S+ pgtable",
    ),
    "loongarch": (
        r"(?:pc|ra|a\d|t\d|u0|s\d) [0-9a-f]{16}", "ERA: ", "CRMD: ", "PRMD: ", "EUEN: ", "ECFG: ",
        "ESTAT: ", "BADV: ", "PRID: ", "ra: [0-9a-f]{16}",
    ),
    "mips": (
        r"\$ ?\d+ *: ", "Hi +: ", "Lo +: ", "Acx +: ", "epc   : ", "ra    : ", "Status *: ",
        "Cause *: ", "BadVA *: ", "PrId *: ",
    ),
    "sparc": (
        "TSTATE: ", "TPC: ", "RPC: ", r"[goli]\d: ", "I7: ", r"Caller\[", "Disabling lock",
        "PSR: ", "PSTATE",
    ),
    "parisc": (
        "YZrvW", "PSW: ", r"[rs]r?\d\d-\d\d", "IASQ: ", r"IAOQ\[", "IIR: ", "ORIG_R28",
        r"RP\(r2\)", "IR: ",
    ),
}  # fmt: skip
"""Registers and what stands with them, by the architecture that alone prints it."""

COMMON: tuple[str, ...] = (
    r"Exception stack\(", r"CPU: *\d", r"[^a-z]{0,12}(?:(?:D|i?d): )?\d+,? [Cc]omm: ",
    r"CPU \d+(?:\s*$|:? (?:Modules|Pid))", r"Pid: \d",
    "Hardware name: ", "Tainted: ", "Not tainted", "Workqueue: ", "Sched_ext: ",
    "Modules linked in:", r"\[last unloaded", "Code: ", "Code : ", "Stack ?:", r"task: ?\S",
    r"Process \S.* \(pid: ", "ti: ", "Kernel Offset: ", "PHYS_OFFSET: ", "CPU features: ",
    "Memory Limit: ", "Dumping ftrace buffer", r"\(ftrace buffer empty\)", "Rebooting in ",
    r"note: .{1,40}\[\d+\] exited", "Fixing recursive fault", "SMP: (?:stopping|failed)",
    "Starting crashdump kernel", "Bye!", "Disabling lock debugging", "irq event stamp: ",
    "(?:hard|soft)irqs last", "INFO: lockdep is turned off", "Preemption disabled at",
    r"in_atomic\(\)", "preempt_count", "RCU nest depth", "NMI backtrace for cpu", "Sending NMI ",
    "Showing all locks held", "Kernel panic", "pc ?: ", "lr ?: ", "sp ?: ", "PC is at", "LR is at",
    "pgd = ", "pgd=", r"\[[0-9a-f]{8,16}\] \*?(?:pgd|pmd|pud|address)", "pointer ", "slab ",
    "non-paged memory", "non-slab", r"\(stack is not available\)", "<Same stack as", "caller is ",
    "Shutting down cpus", "Rebooting", "kernel tried to execute", "Internal error: ",
    r"Oops[:\[ ]", "KASAN: ", "kasan: ", "Bad address in", "Insufficient stack",
    "unable to execute", "Unable to handle", "Kernel Fault", r"CPU#\d+ Utilization",
    r"#\d+: +\d+% ", "Fatal exception", "ra: ", "printk: console", r"\*\*\s", "Modules",
    "Current ", "Mem abort", "Internal",
)  # fmt: skip
"""Lines that name themselves, on more than one architecture."""

PROSE: dict[str, tuple[str, ...]] = {
    "kasan": (
        "(?:Read|Write) (?:of size|at addr)", "Free of addr", "The buggy address", "which belongs",
        "The buggy", r"located \d+ bytes", r"(?:Allocated|Freed)(?: by task \d+.*)?:",
        "Last potentially related", "Second to last", "Memory state around",
        r"addr \S+ is located in stack", "this frame has", r"\[\d+, \d+\) '", "Object at ",
        "Pointer tag: ", "Memory tag: ", "Bad access happened", "The Virtual", "These are",
        r"allocated \d+-byte", r"freed \d+-byte", "which was", r"\(no stack", "Allocation ",
        "Freed in", "Stack backtrace", r"\d+-byte region", r"PID = \d",
    ),
    "page": (
        r"page: ?\S*(?:refcount|count|ffff|0x|00)", "flags: ?0x", "raw: [0-9a-f]", r"head: ?\S",
        "memcg:", "page dumped because", "page_owner ", "page last ", "page allocated via",
        "page has ", "bad because of", "addr:[0-9a-f(]", r"file:\S+ ", "anon flags: ",
        "page_type: ", "ksm flags", "mapping:", "pte:", "prep_new_page", "order:",
    ),
    "kmsan": (
        "Uninit was ", "Local variable .*created at", r"Bytes? \d+(?:-\d+)? of \d+",
        "Memory access of size", "Data copied to", "<chained",
    ),
    "kcsan": (
        r"(?:read|write|read-write|race)(?:\)? \(?[\w-]+\)?)? (?:to|at) (?:0x|unknown)",
        "value changed: ", "Reported by Kernel Concurrency", "no locks held by", "assert no ",
    ),
    "kfence": (
        "(?:Use-after-free|Out-of-bounds|Invalid|Corrupted memory).{0,40}(?:at|of) 0x",
        r"kfence-#\d", r"(?:allocated|freed) by task \d", "which was", "rcu_freeing",
    ),
    "ubsan": (
        r"index \S+ is out of range", "shift exponent ", "left shift of ",
        "signed integer overflow", "unsigned integer overflow", "division of ",
        "member access within", "load of ", "store to ", "null pointer", "negation of ",
        "pointer (?:index|overflow)", r"\S+ [*+-] \S+ cannot be", r"which requires \d+ byte",
        "with insufficient space", "implicit conversion", "addition of ", "subtraction",
        "reference binding",
    ),
    "slab": (
        "INFO: (?:Slab|Object|Allocated|Freed|0x[0-9a-f]+-0x) ?", "Slab 0x", "Object 0x",
        "Bytes b4",
        r"Object *(?:\(|[0-9a-f]{8}|0x)", r"Redzone *(?:\(|[0-9a-f]{8})",
        r"Padding *(?:\(|[0-9a-f]{8})", "Object padding", r"FIX \S", "0x[0-9a-f]+-0x[0-9a-f]+ @",
        r"\[[\w ]+ overwritten\] 0x",
        "Freed in", "Allocated in", "First byte",
    ),
    "memory-leak": (
        "unreferenced object", 'comm "', "hex dump", r"jiffies \d+ \(age", "min_count",
        "backtrace",
    ),
    "lockdep": (
        ".{0,80} is (?:trying to (?:acquire|release)|freeing memory|exiting with)",
        ".{0,60}(?:just changed the state|is leaving the kernel|leaving the kernel)",
        "but (?:task is|there are no|this lock|this new|this task)", "which lock already",
        "the (?:existing|shortest|dependencies|code is)", r"-> #\d", r"-> \(", "other info that",
        "Possible (?:unsafe|interrupt)", "Chain exists", "CPU0", r"-{4}(?:\s|$)", r"u?n?lock\(",
        r"rlock\(", "<Interrupt>", r"\*\*\* ", r"\d+ locks? held by", "no locks held", r"#\d+: ",
        "and (?:this task|interrupts)", "which would create", r"\.\.\. ", r"to an? \S+-irq-unsafe",
        r"\{[A-Z][\w-]*\} (?:state|usage|->)", r"inconsistent \{", ".{0,80} takes:",
        "possible reason", "[A-Z][A-Z-]+ at:", "INITIAL ", "May be due", "rcu_scheduler_active",
        r"\S+:\d+ (?:suspicious|RCU|Illegal)", r"lock: \S+, \.magic", r"and \S+-irq-unsafe lock",
        "local_irq_", r", at: \[", r"(?:\S.{0,60}? --> )+", "this may ", "last function: ",
        "do not call blocking", "lock is on", "you didn't", "turning off the", r"\}",
        r"(?:\S+ )?\(.{1,80}\)\{", r"[0-9a-f]{8,16} \(.{1,80}\)\{", "use-after-", "maybe ",
        r"\d+\.\d+\.\d+\S* (?:#\S+ )?(?:Not tainted|Tainted)", r"context-\{", "stack backtrace",
        "release count", "restore", "syscall", r".{0,60}/\d+ \[HC\d", r".{0,40}/\d+ is ",
        r".{0,40}/\d+:?$", "swapper/", "init/1 ", r"preempt=0x[0-9a-f]{8} lock=",
    ),
    "rcu-stall": (
        (r"(?:rcu: )?\s*(?:\d+-[.?!oNOD]|\(detected by|\(t=\d|Tasks? (?:dump|blocked)|blocking "
        r"rcu_node|All QSes|Unless |Possible timer|RCU grace-period|rcu_\w+ kthread|INFO: "
        r"(?:rcu|Stall)|Stack dump where|RCU GP|l=\d|P\d+)"),
        "Task dump for", r"\d+: \(", r"\(\d+ ticks",
    ),
    "hung-task": (
        '"echo 0 > ', r"task:\S.*state:", "Not tainted", "Blocked by ", "INFO: task .* blocked on",
        "Future hung", r"\S.{0,15} +[RSDTtXZPI][ +]? *(?:running task|[0-9a-f]{8,16}|\d+)",
        r"\(not blocked", r"\(blocked", "Showing ",
    ),
    "memory": (
        "Mem-Info", "active_anon", r"Node \d+ ", "lowmem_reserve",
        r"\d+ (?:total pagecache|pages )", "pages? (?:RAM|in)", "Swap cache", "Free swap",
        "Total swap", "Tasks state", r"\[ *pid *\]", r"\[ *\d+\] +\d+ +\d+ ", "oom-kill:",
        "Out of memory", "Memory cgroup", "Unreclaimable", "Name +Used", r"\S+ +\d+KB +\d+KB",
        ".{1,15} cpuset=", r"memory(?:\+swap)?: usage", "swap: usage", "kmem: usage", "Task in ",
        "oom_reaper: ", "Killed process", r"\S+ per-cpu", r"CPU +\d+: hi",
        r"(?:DMA|DMA32|Normal|HighMem|Movable)\d* ?(?:free|per-cpu|:)", "active_file", "inactive_",
        "unevictable", "slab_", "mapped:", "free:", "free_pcp", r"(?:\d+\*\d+kB ?)+",
        r"\([CHMRUEI]+\)\s", r"= \d+kB", r"Node \d+\s*$", "mems_allowed", "kernel_misc",
        r"anon(?:_thp)? \d", r"file \d", r"kernel_stack \d", r"pagetables \d", r"sock \d",
        r"shmem \d", r"pgfault \d", "workingset_", "SLUB: Unable", "cache: ", r"node \d+: ",
    ),
    "workqueue-lockup": (
        "Showing (?:busy|backtraces|freezable)", r"workqueue \S+: flags", r"pwq \d+", "pending: ",
        "in-flight: ", "inactive: ", "delayed: ", r"pool \d+",
    ),
    "rust-panic": (
        "index out of bounds", "called `", "attempt to ", "assertion ", "explicit panic",
        "misaligned", "range ",
    ),
}  # fmt: skip
"""Sentences and tables, by the kind of report whose they are: see `shape.speaks`."""
