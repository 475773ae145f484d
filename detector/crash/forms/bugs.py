"""Forms of the reports in which a subsystem finds its own state to be wrong: `BUG:` and
its like, without an exception.
"""

from __future__ import annotations

from detector.crash.forms.form import CALLERS, form, recipe
from detector.crash.guilty import STACK, TRACE
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
_SPL_PLACE = recipe(lazy_regex(r"[\w.-]+:\d+:(?P<fn>\w+)\(\)"), plain=True)
_LAST_FUNCTION = recipe(lazy_regex(r"last function: (?P<fn>\w+)"), plain=True)

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
)
