"""The forms of reports: how a head reads, what its title is, and where its guilty function
stands.

Data, asked in order: the first form whose head fits the line (and whose body fits the block, where
one is given) names the report. Titles follow syzbot's spelling, so that a search for one finds the
public reports. `{function}` is the guilty function, other names are groups of head or body. Texts
of heads are the kernel's own; the file that prints each is named in the pattern files.
"""

from __future__ import annotations

from detector.crash.forms.bugs import BUGS, WARNINGS
from detector.crash.forms.faults import FAULTS
from detector.crash.forms.form import Form
from detector.crash.forms.hangs import HANGS, LOCKS
from detector.crash.forms.rest import (
    INTERRUPTED,
    PANICKED,
    PRINTED,
    RESTS,
    UNNAMED,
    UNNAMED_FAULT,
    UNNAMED_NULL,
)
from detector.crash.forms.sanitisers import SANITISERS
from detector.lazy_regex import lazy_regex

__all__ = [
    "ANNOUNCES",
    "FORMS",
    "INTERRUPTED",
    "PANICKED",
    "PRINTED",
    "UNNAMED",
    "UNNAMED_FAULT",
    "UNNAMED_NULL",
    "Form",
]

FORMS: tuple[Form, ...] = (*SANITISERS, *FAULTS, *BUGS, *WARNINGS, *LOCKS, *HANGS, *RESTS)

ANNOUNCES = lazy_regex(
    r"refcount_t: |list_(?:add|del|replace)|usercopy: |ODEBUG: |kernel tried to execute "
    r"|Kernel attempted to |Insufficient stack space"
    r"|kernel stack overflow \(|Oops: stack guard page|(?:\S+: )?detected (?:buffer "
    r"overflow|field-spanning|out-of-bounds)|CFI failure"
    r"|Bad kernel stack pointer |Unrecoverable (?:exception|FP|VMX|VSX) "
    r"|Bad mode in |SError Interrupt on CPU|Unhandled (?:64|32)-bit |unable to execute "
    r"userspace code|Ignoring spurious kernel translation"
    r"|(?:traps: )?Missing ENDBR: "
)
"""Heads that only announce: the report's own head follows."""
