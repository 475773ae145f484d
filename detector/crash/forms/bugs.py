"""Forms of reports in which the kernel finds its own state wrong: BUG: and WARN()."""

from __future__ import annotations

from detector.crash.forms.form import CALLERS, form, recipe
from detector.crash.frames import SYMBOL
from detector.crash.guilty import PC, STACK, TRACE, Recipe
from detector.lazy_regex import lazy_regex

_SPINLOCK = (
    r"BUG: (?P<lock>spinlock|rwlock) (?P<what>lockup suspected|already "
    r"unlocked|recursion|cpu recursion|bad magic|wrong owner|wrong CPU"
    r"|uninitialized|trylock failure on UP)"
)
_MM = (
    r"BUG: (?P<what>Bad rss-counter state|non-zero (?:nr_ptes|nr_pmds|pgtables_bytes) on "
    r"freeing mm)"
)
_PAGES = (
    "(?:free|put|get|update|release)_page|free_unref|^_*folio|truncate_inode_pages|page_frag_free"
    "|alloc|vmap|page_owner"
)
_SLAB = (
    r"BUG \S+ .*: (?P<what>.*overwritten|Invalid object pointer|Objects remaining|Freepointer "
    r"corrupt|Freechain corrupt)"
)
_UNMOUNT = recipe(lazy_regex(r"still in use \([0-9]+\) *\[(?P<fn>unmount) of "), plain=True)
_SLAB_ERROR = recipe(
    TRACE, STACK, skip="slab_error|cache_free_debugcheck|verify_redzone|kmem_cache_|^kfree"
)
_KOBJECT = recipe(TRACE, STACK, skip="^sysfs_|^kobject_|^kernfs_|^internal_create_|^device_add")
_HOLDS = "ref_tracker|alloc|^(?:netdev|dev|get_net|maybe_get_net)_?(?:hold|track|get)|dst_init"
_MSR = recipe(TRACE, STACK, skip="native_(?:read|write)_msr|_safe$|msr_(?:read|write)|rd?msr|wrmsr")
_SPL_PLACE = recipe(lazy_regex(r"[\w.-]+:\d+:(?P<fn>\w+)\(\)"), plain=True)
_LAST_FUNCTION = recipe(lazy_regex(r"(?:last function: |workfn=)(?P<fn>[A-Za-z_]\w*)"), plain=True)

SPINLOCK = recipe(TRACE, STACK, skip="spin_|_lock|_unlock")
PREEMPTIBLE = recipe(
    TRACE, STACK, skip="dump_stack|preemption|preempt|debug_|processor_id|this_cpu"
)
BAD_PAGE = (
    recipe(lazy_regex("page last allocated"), STACK, skip=_PAGES),
    recipe(TRACE, STACK, skip=_PAGES + "|bad_page"),
)

BUGS = (
    form(
        "spinlock-bug",
        _SPINLOCK,
        "BUG: {lock} {what} in {function}",
        SPINLOCK,
    ),
    form(
        "atomic-sleep",
        r"bad: scheduling from the idle thread!",
        "BUG: scheduling from the idle thread in {function}",
        recipe(TRACE, STACK, skip="schedule|_task"),
    ),
    form(
        "atomic-sleep",
        r"scheduling while atomic",
        "BUG: scheduling while atomic in {function}",
        recipe(TRACE, STACK, skip="schedule"),
    ),
    form(
        "atomic-sleep",
        r"sleeping function called from invalid context at",
        "BUG: sleeping function called from invalid context in {function}",
        CALLERS,
    ),
    form(
        "preemptible",
        r"BUG: using (?P<call>[a-z_]+)\(\) in preemptible",
        "BUG: using {call}() in preemptible code in {function}",
        PREEMPTIBLE,
    ),
    form(
        "lockdep-exhausted", r"BUG: (?P<table>MAX_\w+) too low!", "BUG: {table} too low!", CALLERS
    ),
    form("mm-teardown", _MM, "BUG: {what}"),
    form(
        "vfs-busy",
        r"BUG: Dentry .* still in use",
        "BUG: Dentry still in use in {function}",
        _UNMOUNT,
    ),
    form(
        "vfs-busy",
        r"VFS: Close: file count is 0",
        "VFS: Close: file count is zero (use-after-free)",
    ),
    form(
        "vfs-busy",
        r"VFS: Busy inodes after unmount",
        "VFS: Busy inodes after unmount (use-after-free)",
    ),
    form(
        "bad-page",
        r"Bad page (?P<what>state|cache)",
        "BUG: Bad page {what} in {function}",
        *BAD_PAGE,
    ),
    form(
        "filesystem-error",
        r"PANIC at [\w.-]+:\d+:\w+\(\)|\) SPL PANIC",
        "ZFS panic in {function}",
        _SPL_PLACE,
    ),
    form("bad-page", r"Bad page map", "BUG: Bad page map"),
    form("workqueue-lockup", r"BUG: workqueue lockup", "BUG: workqueue lockup"),
    form(
        "workqueue-leak",
        r"BUG: workqueue leaked (?:lock or atomic|atomic, lock or RCU)",
        "BUG: workqueue leaked lock or atomic in {function}",
        _LAST_FUNCTION,
    ),
    form("slab", r"BUG kmalloc-.*: Object already free", "BUG: Object already free"),
    form("slab", _SLAB, "BUG: {what} in {function}", CALLERS),
    form(
        "netdev-reference",
        r"unregister_netdevice: waiting for .* to become free",
        "unregister_netdevice: waiting for DEV to become free",
    ),
    form("slab", r"slab error in \w+\(\): ", "BUG: slab error in {function}", _SLAB_ERROR),
    form(
        "kobject",
        r"cannot create duplicate filename",
        "sysfs: name given twice in {function}",
        _KOBJECT,
    ),
    form(
        "kobject",
        r"is not initialized, yet kobject_|tried to init an initialized object",
        "kobject: object used or set up in the wrong order in {function}",
        _KOBJECT,
    ),
    form(
        "reference-leak",
        r"leaked reference|has \d+/\d+ users at|reference already released",
        "ref_tracker: leaked reference in {function}",
        recipe(STACK, skip=_HOLDS),
    ),
    form(
        "msr-access",
        r"unchecked MSR access error",
        "unchecked MSR access error in {function}",
        _MSR,
    ),
    form(
        "suspend-failed",
        r"tasks refusing to freeze",
        "tasks refuse to freeze in {function}",
        recipe(TRACE, STACK, choose="hung"),
    ),
    form(
        "suspend-failed",
        r"DPM device timeout",
        "DPM device timeout in {function}",
        recipe(TRACE, STACK, choose="hung"),
    ),
    form("driver-warning", r"^[a-z][\w-]+ \S+: (?P<what>WARNING: .*)", "{what}"),
)


# `WARNING: CPU: 0 PID: 1 at FILE:LINE SYMBOL`, `WARNING: at FILE:LINE SYMBOL`, `WARNING: FILE:LINE
# at SYMBOL, CPU#0: comm/1`
_WARN = r"WARNING: (?:CPU: \d+ PID: \d+ )?(?:at )?(?:\[[^\]]*\] )?\S*"
_TO = r"\S*:\d+ (?:at )?"
_PLACE = r"[a-zA-Z0-9-_/.]+\.[a-z]+:[0-9]+"
_USB = "usb_submit_urb|usb_start_wait_urb|usb_bulk_msg|usb_interrupt_msg|usb_control_msg"
_ODEBUG = "debug_|rcu|hrtimer_|timer_|work_|percpu_|vunmap|vfree|__free_|debug_check|kobject_"


_TRAPPED_AT = lazy_regex(r"--- (?:interrupt|Exception): 700 at " + SYMBOL)
"""powerpc: WARN() is a trap, and a panic of panic_on_warn shows only this of the function
(show_stack in arch/powerpc/kernel/process.c)."""


_WARNED_AT = lazy_regex(rf"{_WARN}{_TO}" + SYMBOL)
"""The caller of WARN() as the head names it (__warn in kernel/panic.c): it stands there also where
the trap's own handlers hide it in the trace."""


def _warned(skip: str = "") -> tuple[Recipe, ...]:
    """The function that warned, by the head, or at the program counter; where that is generic,
    or the kernel too old to print it, the trace.
    """
    return (
        recipe(_WARNED_AT, skip=skip),
        recipe(_TRAPPED_AT, STACK, skip=skip),
        recipe(PC, STACK, skip=skip),
        recipe(TRACE, STACK, skip=skip),
    )


WARNINGS = (
    form(
        "warning",
        rf"{_WARN}lib/debugobjects\.c{_TO}",
        "WARNING: ODEBUG bug in {function}",
        *_warned(_ODEBUG),
    ),
    form(
        "warning",
        rf"{_WARN}mm/usercopy\.c{_TO}",
        "WARNING: bad usercopy in {function}",
        *_warned("usercopy|__check"),
    ),
    form(
        "warning",
        rf"{_WARN}lib/kobject\.c{_TO}",
        "WARNING: kobject bug in {function}",
        *_warned("kobject_"),
    ),
    form(
        "warning",
        rf"{_WARN}fs/proc/generic\.c{_TO}",
        "WARNING: proc registration bug in {function}",
        *_warned("proc_"),
    ),
    form(
        "warning",
        rf"{_WARN}lib/refcount\.c{_TO}",
        "WARNING: refcount bug in {function}",
        *_warned("refcount|kobject_"),
    ),
    form(
        "warning",
        rf"{_WARN}kernel/locking/lockdep\.c{_TO}\w*lock_",
        "WARNING: locking bug in {function}",
        *_warned("lock_sock|release_sock"),
    ),
    form(
        "warning",
        rf"{_WARN}mm/\S*\.c{_TO}k?.?malloc",
        "WARNING: kmalloc bug in {function}",
        *_warned("kmalloc|krealloc|slab|kmem"),
    ),
    form(
        "warning",
        rf"{_WARN}mm/vmalloc\.c{_TO}__vmalloc_node",
        "WARNING: zero-size vmalloc in {function}",
        *_warned(),
    ),
    form(
        "warning",
        rf"{_WARN}{_TO}usb_submit_urb",
        "WARNING in {function}/usb_submit_urb",
        *_warned(_USB),
    ),
    form(
        "warning",
        rf"WARNING: (?:CPU: \d+ PID: \d+ |.* )?at {_PLACE}",
        "WARNING in {function}",
        *_warned(),
    ),
    form("warning", rf"WARNING: (?:\[.*\] )?{_PLACE} at ", "WARNING in {function}", *_warned()),
    form("warning", r"BUG: warning at |Badness ", "WARNING in {function}", *_warned()),
    form(
        "unwinder",
        r"WARNING: kernel stack regs at [0-9a-f]+ in [^ ]* has bad '(?P<what>[^']+)' value",
        "WARNING: kernel stack regs has bad '{what}' value",
    ),
    form(
        "unwinder",
        r"WARNING: kernel stack frame pointer at [0-9a-f]+ in [^ ]* has bad value",
        "WARNING: kernel stack frame pointer has bad value",
    ),
    form(
        "unwinder",
        r"WARNING: kernel stack (?:regs|frame pointer) .* has bad (?:'bp' )?value",
        "WARNING: kernel stack regs has bad value",
    ),
)
