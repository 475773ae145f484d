"""The forms of reports: how a head reads, what its title is, and where its guilty function stands.

Data, asked in order: the first form whose head fits the line (and whose body fits the block, where one is given) names the report. Titles
follow syzbot's spelling, so that a search for one finds the public reports. `{function}` is the guilty function, other names are groups of
head or body. Texts of heads are the kernel's own; the file that prints each is named in the pattern files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from detector.crash.frames import SYMBOL
from detector.crash.guilty import PC, STACK, TRACE, Part, Recipe


@dataclass(frozen=True, slots=True)
class Form:
    """One way a report begins; `body` is searched in the whole text from the head on."""

    kind: str
    head: re.Pattern[str]
    title: str
    recipes: tuple[Recipe, ...] = ()
    body: re.Pattern[str] | None = None


def _form(kind: str, head: str, title: str, *recipes: Recipe, body: str | None = None) -> Form:
    return Form(kind, re.compile(head), title, recipes, re.compile(body) if body is not None else None)


def _recipe(*parts: Part, skip: str = "", choose: str = "", plain: bool = False) -> Recipe:
    return Recipe(parts, re.compile(skip) if skip else None, choose, plain)


def _warning(skip: str = "") -> tuple[Recipe, Recipe]:
    """A trap's own stack starts below the frame that it interrupted; older kernels print just the stack."""
    return (_recipe(_TRAPPED, STACK, skip=skip), _recipe(TRACE, STACK, skip=skip))


_FN = r"(?P<fn>[A-Za-z_$][\w$.]*)(?:\+0x(?P<off>[0-9a-f]+)/0x(?P<size>[0-9a-f]+)(?: \[(?P<mod>\w+)[^\]]*\])?)?"
_AT = re.compile(r"\bat: (?:\[<[0-9a-f]+>\] *)?" + SYMBOL)
_LOCK_AT = re.compile(r"\bat: (?:\[<[0-9a-f]+>\] *)?" + _FN)
_ADDRESS_FN = re.compile(r"\[<[0-9a-f]+>\] +" + SYMBOL)
_TRAPPED: Part = PC
_HW_TAGS = "kernel_fault|tag_check|mem_abort|^el1_|^el1h_"
_USB = "usb_submit_urb|usb_start_wait_urb|usb_bulk_msg|usb_interrupt_msg|usb_control_msg"
_ODEBUG = "debug_|rcu|hrtimer_|timer_|work_|percpu_|vunmap|vfree|__free_|debug_check|kobject_"
_KMSAN = "alloc_skb|netlink_ack|netlink_rcv_skb|_encrypt$|^(?:crypto|cipher|drbg|rng)_"
_LEAK = "kmemleak|mmap|kmem|slab|alloc|create_object|idr_get|list_lru_init|kasprintf|kvasprintf|pcpu_create|strdup|strndup|memdup"
_PAGES = "(?:free|put|get|update|release)_page|free_unref|^_*folio|truncate_inode_pages|page_frag_free|alloc|vmap|page_owner"

_FAULT = _recipe(PC, TRACE, STACK)
_TRACE = _recipe(TRACE, STACK)
_ONLY_PC = _recipe(PC)
_LOOP = _recipe(PC, TRACE, STACK, choose="stall")
_STALL = (
    _recipe(re.compile("apic_timer_interrupt"), PC, STACK, skip="apic_timer_interrupt|rcu", choose="stall"),
    _recipe(re.compile("apic_timer_interrupt|Exception stack|el1h_64_irq"), STACK, skip="apic_timer_interrupt|rcu", choose="stall"),
)
_NAMED_KASAN = re.compile(r"BUG: KASAN: [a-z -]+? in " + _FN)
_NAMED_KFENCE = re.compile(r"BUG: KFENCE: [a-z -]+? in " + _FN)
_KASAN = _recipe(_NAMED_KASAN, TRACE, STACK, skip=_HW_TAGS)
_KFENCE = _recipe(_NAMED_KFENCE, STACK)
_KASAN_FREE = _recipe(_NAMED_KASAN, TRACE, STACK, skip="slab_|kfree|vunmap|vfree")
_TAKES = _recipe(re.compile("takes"), _LOCK_AT, plain=True)
_ACQUIRES = _recipe(re.compile("is trying to acquire"), _LOCK_AT, plain=True)

_SANITISERS = (
    _form("kasan", r"BUG: KASAN: (?P<what>[a-z-]+) in ", "KASAN: {what} {access} in {function}", _KASAN,
          body=r"\n.*(?P<access>Read|Write) (?:of size|at addr) [0-9a-f]+"),
    _form("kasan", r"BUG: KASAN: (?:double-free or invalid-free|double-free|invalid-free) in ", "KASAN: invalid-free in {function}", _KASAN_FREE),
    _form("kasan", r"BUG: KASAN: (?P<what>[a-z -]+) on address", "KASAN: {what} {access}", body=r"\n.*(?P<access>Read|Write) of size [0-9]+"),
    _form("kasan", r"BUG: KASAN: (?P<what>[a-z-]+) in ", "KASAN: {what} in {function}", _KASAN),
    _form("kmsan", r"BUG: KMSAN: kernel-usb-infoleak in ", "KMSAN: kernel-usb-infoleak in {function}", _recipe(STACK, skip="alloc_skb|" + _USB)),
    _form("kmsan", r"BUG: KMSAN: (?P<what>[a-z-]+) in ", "KMSAN: {what} in {function}", _recipe(STACK, skip=_KMSAN)),
    _form("kcsan", r"BUG: KCSAN: (?P<what>data-race|assert: race) in (?P<where>.*)", "KCSAN: {what} in {where}",
          _recipe(re.compile(r"BUG: KCSAN: (?:data-race|assert: race) in " + _FN), plain=True)),
    _form("kfence", r"BUG: KFENCE: (?P<what>(?:use-after-free|out-of-bounds|invalid) (?:read|write)|invalid free|memory corruption) in ",
          "KFENCE: {what} in {function}", _KFENCE),
    _form("ubsan", r"UBSAN: Undefined behaviour in", "UBSAN: undefined-behaviour in {function}", _recipe(TRACE, STACK, skip="ubsan|overflow")),
    _form("ubsan", r"UBSAN: (?P<what>.*?) in", "UBSAN: {what} in {function}", _recipe(TRACE, STACK, skip="ubsan|overflow")),
    _form("memory-leak", r"BUG: memory leak", "memory leak in {function}",
          _recipe(re.compile(r"backtrace(?: \(crc [0-9a-f]*\))?:"), STACK, skip=_LEAK)),
)  # fmt: skip

_PAGING = r"unable to handle (?:kernel paging request|page fault for address)|Unable to handle kernel (?:unknown paging fault|data access|instruction fetch)"
_FAULTS = (
    _form("memory-fault", "BUG: (?:" + _PAGING + ")", "BUG: unable to handle kernel paging request in {function}", _FAULT),
    _form("memory-fault", r"BUG: (?:unable to handle kernel|[kK]ernel) NULL pointer dereference",
          "BUG: unable to handle kernel NULL pointer dereference in {function}", _FAULT),
    _form("memory-fault", r"BUG: [uU]nable to handle kernel", "BUG: unable to handle kernel in {function}", _FAULT),
    _form("memory-fault", r"Unable to handle kernel (?P<what>paging request|NULL pointer dereference|access to user memory|execution of user memory"
          r"|read from unreadable memory|write to read-only memory|execute from non-executable memory|pointer dereference)",
          "BUG: unable to handle kernel {what} in {function}", _FAULT),
    _form("memory-fault", r"general protection fault.*:", "general protection fault in {function}", _FAULT),
    _form("memory-fault", r"Unhandled (?:fault|prefetch abort):", "Unhandled fault in {function}", _FAULT),
    _form("memory-fault", r"Alignment trap:", "Alignment trap in {function}", _FAULT),
    _form("kernel-trap", r"stack segment: ", "stack segment fault in {function}", _FAULT),
    _form("double-fault", r"PANIC: double fault|double fault: 0", "PANIC: double fault in {function}", _ONLY_PC, _TRACE),
    _form("stack-overflow", r"BUG: .*stack guard page was hit at", "BUG: stack guard page was hit in {function}", _LOOP, _FAULT),
    _form("kernel-bug", r"[kK]ernel BUG at mm/usercopy\.c", "BUG: bad usercopy in {function}", _recipe(TRACE, STACK, skip="usercopy|__check")),
    _form("kernel-bug", r"[kK]ernel BUG at lib/list_debug\.c", "BUG: corrupted list in {function}", _TRACE),
    _form("kernel-bug", r"[kK]ernel BUG (?:at|\[)", "kernel BUG in {function}", _recipe(PC, TRACE, STACK, skip="^skb_")),
    _form("divide-error", r"divide[ _]error: ", "divide error in {function}", _ONLY_PC, _TRACE),
    _form("invalid-opcode", r"invalid opcode: ", "invalid opcode in {function}", _ONLY_PC, _TRACE),
    _form("kernel-trap", r"int3: ", "int3 in {function}", _FAULT),
    _form("oops", r"Internal error: ", "Internal error in {function}", _FAULT),
    _form("kernel-trap", r"^(?P<what>illegal operation|monitor event|[a-z]+ (?:operation|exception)|Kernel bug detected"
          r"|[A-Z][a-z ]+ (?:access|in kernel code))[:\[]", "{what} in {function}", _FAULT),
    _form("oops", r"Oops(?: - (?P<what>[\w ()-]+?))?(?::| ?\[)", "kernel oops in {function}", _FAULT),
    _form("memory-fault", r"Kernel attempted to (?:read|write|access) user page", "BUG: unable to handle kernel access to user memory in {function}", _FAULT),
)  # fmt: skip

_BUGS = (
    _form("spinlock-bug", r"BUG: (?P<lock>spinlock|rwlock) (?P<what>lockup suspected|already unlocked|recursion|cpu recursion|bad magic|wrong owner"
          r"|wrong CPU|trylock failure on UP)", "BUG: {lock} {what} in {function}", _recipe(TRACE, STACK, skip="spin_|_lock|_unlock")),
    _form("soft-lockup", r"BUG: soft lockup", "BUG: soft lockup in {function}", _LOOP, _FAULT),
    _form("hard-lockup", r"[hH]ard LOCKUP|detected LOCKUP", "BUG: hard lockup in {function}", _LOOP, _FAULT),
    _form("lockdep", r"BUG: .*still has locks held!", "BUG: still has locks held in {function}", _recipe(_ADDRESS_FN, plain=True)),
    _form("atomic-sleep", r"(?:BUG: )?scheduling while atomic", "BUG: scheduling while atomic in {function}", _recipe(TRACE, STACK, skip="schedule")),
    _form("lockdep", r"BUG: lock held when returning to user space", "BUG: lock held when returning to user space in {function}",
          _recipe(re.compile("leaving the kernel with locks still held"), _LOCK_AT, plain=True)),
    _form("lockdep", r"BUG: bad unlock balance detected!", "BUG: bad unlock balance in {function}", _recipe(_ADDRESS_FN, TRACE, STACK)),
    _form("lockdep", r"BUG: held lock freed!", "BUG: held lock freed in {function}", _recipe(_ADDRESS_FN, plain=True)),
    _form("mm-teardown", r"BUG: (?P<what>Bad rss-counter state|non-zero nr_ptes on freeing mm|non-zero nr_pmds on freeing mm)", "BUG: {what}"),
    _form("vfs-busy", r"BUG: Dentry .* still in use", "BUG: Dentry still in use in {function}",
          _recipe(re.compile(r"still in use \([0-9]+\) *\[(?P<fn>unmount) of "), plain=True)),
    _form("bad-page", r"BUG: Bad page (?P<what>state|cache)", "BUG: Bad page {what} in {function}",
          _recipe(re.compile("page last allocated"), STACK, skip=_PAGES)),
    _form("bad-page", r"BUG: Bad page map", "BUG: Bad page map"),
    _form("workqueue-lockup", r"BUG: workqueue lockup", "BUG: workqueue lockup"),
    _form("atomic-sleep", r"BUG: sleeping function called from invalid context at",
          "BUG: sleeping function called from invalid context in {function}", _TRACE),
    _form("preemptible", r"BUG: using (?P<call>[a-z_]+)\(\) in preemptible", "BUG: using {call}() in preemptible code in {function}",
          _recipe(TRACE, STACK, skip="dump_stack|preemption|preempt|debug_|processor_id|this_cpu")),
    _form("workqueue-leak", r"BUG: workqueue leaked (?:lock or atomic|atomic, lock or RCU)", "BUG: workqueue leaked lock or atomic in {function}",
          _recipe(re.compile(r"last function: (?P<fn>\w+)"), plain=True)),
    _form("lockdep", r"BUG: Invalid wait context", "WARNING: locking bug in {function}", _recipe(TRACE, STACK, skip="lock_sock|release_sock")),
    _form("slab", r"BUG kmalloc-.*: Object already free", "BUG: Object already free"),
    _form("slab", r"BUG \S+ .*: (?P<what>.*overwritten|Invalid object pointer|Objects remaining.*|Freepointer corrupt)", "BUG: {what} in {function}", _TRACE),
    _form("netdev-reference", r"unregister_netdevice: waiting for .* to become free", "unregister_netdevice: waiting for DEV to become free"),
    _form("vfs-busy", r"VFS: Close: file count is 0", "VFS: Close: file count is zero (use-after-free)"),
    _form("vfs-busy", r"VFS: Busy inodes after unmount", "VFS: Busy inodes after unmount (use-after-free)"),
)  # fmt: skip

_SRC = r"[a-zA-Z0-9-_/.]+\.[a-z]+:[0-9]+"
_WARNINGS = (
    _form("warning", r"WARNING: .*lib/debugobjects\.c.* (?:debug_print|debug_check|at)", "WARNING: ODEBUG bug in {function}", *_warning(_ODEBUG)),
    _form("warning", r"WARNING: .*mm/usercopy\.c.* (?:usercopy_warn|at)", "WARNING: bad usercopy in {function}", *_warning("usercopy|__check")),
    _form("warning", r"WARNING: .*lib/kobject\.c.* (?:kobject_|at)", "WARNING: kobject bug in {function}", *_warning("kobject_")),
    _form("warning", r"WARNING: .*fs/proc/generic\.c.* (?:proc_register|at)", "WARNING: proc registration bug in {function}", *_warning("proc_")),
    _form("warning", r"WARNING: .*lib/refcount\.c.* (?:refcount_|at)", "WARNING: refcount bug in {function}", *_warning("refcount|kobject_")),
    _form("warning", r"WARNING: .*kernel/locking/lockdep\.c.*lock_", "WARNING: locking bug in {function}", *_warning("lock_sock|release_sock")),
    _form("lockdep", r"WARNING: .*still has locks held!", "WARNING: still has locks held in {function}", _recipe(_AT, plain=True)),
    _form("lockdep", r"WARNING: Nested lock was not taken", "WARNING: nested lock was not taken in {function}", *_warning()),
    _form("lockdep", r"WARNING: lock held when returning to user space", "WARNING: lock held when returning to user space in {function}",
          _recipe(re.compile("leaving the kernel with locks still held"), _LOCK_AT, plain=True)),
    _form("warning", r"WARNING: .*mm/.*\.c.* k?.?malloc", "WARNING: kmalloc bug in {function}", *_warning("kmalloc|krealloc|slab|kmem")),
    _form("warning", r"WARNING: .*mm/vmalloc.c.*__vmalloc_node", "WARNING: zero-size vmalloc in {function}", *_warning()),
    _form("warning", r"WARNING: .* usb_submit_urb", "WARNING in {function}/usb_submit_urb", *_warning(_USB)),
    _form("warning", rf"WARNING: (?:.* at {_SRC}|(?:\[.*\] )?{_SRC} at )", "WARNING in {function}", *_warning()),
    _form("warning", rf"WARNING: at {_SRC}|BUG: warning at |Badness ", "WARNING in {function}", *_warning()),
    _form("unwinder", r"WARNING: kernel stack regs at [0-9a-f]+ in [^ ]* has bad '(?P<what>[^']+)' value",
          "WARNING: kernel stack regs has bad '{what}' value"),
    _form("unwinder", r"WARNING: kernel stack frame pointer at [0-9a-f]+ in [^ ]* has bad value",
          "WARNING: kernel stack frame pointer has bad value"),
    _form("unwinder", r"WARNING: kernel stack (?:regs|frame pointer) .* has bad (?:'bp' )?value", "WARNING: kernel stack regs has bad value"),
)  # fmt: skip

_LOCKDEP = (
    _form("lockdep", r"WARNING: possible circular locking dependency detected", "possible deadlock in {function}",
          _recipe(_AT, _AT, STACK, skip="process_one_work|flush_workqueue|drain_workqueue|destroy_workqueue"), body=r"is trying to acquire lock"),
    _form("lockdep", r"WARNING: possible irq lock inversion dependency detected", "possible deadlock in {function}",
          _recipe(re.compile("just changed the state of lock"), _LOCK_AT, plain=True)),
    _form("lockdep", r"WARNING: .*-safe -> .*-unsafe lock order detected", "possible deadlock in {function}",
          _recipe(re.compile("which became .* at:"), STACK)),
    _form("lockdep", r"WARNING: possible recursive locking detected", "possible deadlock in {function}", _ACQUIRES),
    _form("lockdep", r"WARNING: inconsistent lock state", "inconsistent lock state in {function}", _TRACE),
    _form("suspicious-rcu", r"WARNING: suspicious RCU usage", "WARNING: suspicious RCU usage in {function}", _recipe(TRACE, STACK, skip="rcu|kmem|slab")),
    _form("lockdep", r"WARNING: bad unlock balance detected!", "WARNING: bad unlock balance in {function}", _recipe(_ADDRESS_FN, TRACE, STACK), _TRACE),
    _form("lockdep", r"WARNING: held lock freed!", "WARNING: held lock freed in {function}", _recipe(_AT, plain=True)),
    _form("lockdep", r"INFO: possible circular locking dependency detected", "possible deadlock in {function}", _ACQUIRES),
    _form("lockdep", r"INFO: possible irq lock inversion dependency detected", "possible deadlock in {function}",
          _recipe(re.compile("just changed the state of lock"), _LOCK_AT, plain=True)),
    _form("lockdep", r"INFO: \w+-safe -> \w+-unsafe lock order detected", "possible deadlock in {function}", _ACQUIRES),
    _form("lockdep", r"INFO: possible recursive locking detected", "possible deadlock in {function}", _ACQUIRES),
    _form("lockdep", r"INFO: inconsistent lock state", "inconsistent lock state in {function}", _TAKES),
    _form("lockdep", r"INFO: trying to register non-static key", "INFO: trying to register non-static key in {function}",
          _recipe(TRACE, STACK, skip="stack|lock|IRQ")),
    _form("suspicious-rcu", r"INFO: suspicious (?:RCU usage|rcu_dereference)", "INFO: suspicious RCU usage in {function}",
          _recipe(TRACE, STACK, skip="rcu|kmem|slab")),
)  # fmt: skip

_HANGS = (
    _form("rcu-stall", r"INFO: rcu\w* (?:self-)?detected (?:expedited )?stall", "INFO: rcu detected stall in {function}", *_STALL),
    _form("hung-task", r"INFO: task .* blocked (?:in I/O wait )?for more than [0-9]+ seconds", "INFO: task hung in {function}",
          _recipe(TRACE, STACK, choose="hung")),
    _form("hung-task", r"INFO: task .* can't die for more than .* seconds", "INFO: task can't die in {function}", _recipe(TRACE, STACK, skip="schedule")),
)  # fmt: skip

_PANICS = (
    _form("panic", r"Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: (?:\S+\.|[A-Za-z_]\w*\+)",
          "kernel panic: stack is corrupted in {function}", _recipe(re.compile(r"is corrupted in: " + _FN), plain=True)),
    _form("panic", r"Kernel panic - not syncing: stack-protector:", "kernel panic: stack is corrupted in {function}",
          _recipe(re.compile(r"is corrupted in: " + _FN.replace("[A-Za-z_$]", "(?![0-9a-f]{8})[A-Za-z_$]")), plain=True),
          _recipe(TRACE, STACK, skip="stack_chk")),
    _form("panic", r"Kernel panic - not syncing: corrupted stack end", "kernel panic: corrupted stack end in {function}",
          _recipe(TRACE, STACK, skip="schedule|retint_kernel", choose="stall")),
    _form("stack-overflow", r"Kernel panic - not syncing: kernel stack overflow", "kernel stack overflow in {function}",
          _recipe(TRACE, STACK, skip="bad_stack", choose="stall")),
    _form("panic", r"Kernel panic - not syncing: Attempted to kill init!", "kernel panic: Attempted to kill init!"),
    _form("panic", r"Kernel panic - not syncing: Couldn't open N_TTY ldisc for [^ ]+ --- error -[0-9]+", "kernel panic: Couldn't open N_TTY ldisc"),
    _form("panic", r"Kernel panic(?: - not syncing)?: (?P<what>.*)", "kernel panic: {what}"),
    _form("firmware-panic", r"trusty: panic.* ASSERT FAILED.*?\): (?P<what>.+)", "trusty: ASSERT FAILED: {what}"),
    _form("firmware-panic", r"trusty: panic \(.*?\): (?P<what>.+)", "trusty: panic: {what}"),
)  # fmt: skip

FORMS: tuple[Form, ...] = (*_SANITISERS, *_FAULTS, *_BUGS, *_WARNINGS, *_LOCKDEP, *_HANGS, *_PANICS)

ANNOUNCES = re.compile(
    r"refcount_t: |list_(?:add|del|replace)|usercopy: |ODEBUG: |kernel tried to execute |Kernel attempted to |Insufficient stack space|Bad mode in |SError Interrupt on CPU|Unhandled (?:64|32)-bit "
    r"|kernel stack overflow \(|Oops: stack guard page|.*detected (?:buffer overflow|field-spanning|out-of-bounds)|CFI failure"
)
"""Heads that only announce: the report's own head follows within a few lines."""
