"""Forms of WARN(): one for every file whose warnings are the caller's fault, and one for
all others; and the unwinder's own.
"""

from __future__ import annotations

from detector.crash.forms.form import form, recipe
from detector.crash.frames import SYMBOL
from detector.crash.guilty import PC, STACK, TRACE, Recipe
from detector.lazy_regex import lazy_regex

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


def _warned(skip: str = "") -> tuple[Recipe, ...]:
    """The function that warned, at the program counter; where that is generic, or the kernel
    too old to print it, the trace.
    """
    return (
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
