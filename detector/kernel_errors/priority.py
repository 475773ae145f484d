"""Selects records that the kernel wrote with priority err or worse, by their bytes.

In: nothing. Out: expressions that the scan searches for beside the literals, and the test of a line
that was read. The expressions are generous: what they select is read, and `is_kernel_error`
decides.

Sources: include/linux/kern_levels.h; RFC 5424, RFC 3164; Documentation/ABI/testing/dev-kmsg;
sys-utils/dmesg.c of util-linux (2.41) for `dmesg -x`, `dmesg -r` and `dmesg --json`;
systemd.journal-fields(7); rsyslog's property replacer; the names of levels in `parse.json_fields`.
"""

from __future__ import annotations

from detector.model import Line

# LOGLEVEL_ERR of include/linux/kern_levels.h; worse ones are smaller.
ERR = 3

_WORDS = rb"(?:emerg|panic|alert|crit|err)"
PRIORITIES: tuple[bytes, ...] = (
    # <3> of syslog and `dmesg -r`: facility 0 is the kernel's.
    rb"<[0-3]>",
    # /dev/kmsg and extended netconsole: priority, sequence, time, flag.
    rb"[0-3],[0-9]{1,20},[0-9]{1,18},[-c+][,;]",
    # Fields of JSON that hold a level, or facility and level in one, which is the level alone where
    # the facility is the kernel's.
    (
        rb'(?i:priority|severity|severity[_-]?(?:code|name|text)|level|pri)"[ \t]{0,4}:[ \t]{0,4}'
        rb'"?(?:[0-3][",} \t\r\n]|(?i:emerg|panic|alert|crit|err))'
    ),
    # `dmesg -x`, and the facility and level that a syslog daemon was told to write.
    rb"kern {1,4}:(?:emerg|alert|crit|err)",
    rb"kern\." + _WORDS,
    rb" (?:EMERG|PANIC|ALERT|CRIT|ERR|ERROR) kernel:",
)


def is_kernel_error(line: Line) -> bool:
    """Tells whether a line is a kernel error, as its transport proves it. What
    stands behind a line end within a message has no priority of its own.
    """
    return (
        line.level is not None
        and line.level <= ERR
        and line.trust == "kernel"
        and not line.inner
        and not line.continuation
    )
