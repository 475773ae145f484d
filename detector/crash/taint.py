"""Taint letters and what they say: data, from kernel/panic.c (taint_flags) and
Documentation/admin-guide/tainted-kernels.rst.
"""

from __future__ import annotations

from collections.abc import Mapping

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
