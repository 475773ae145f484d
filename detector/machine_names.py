"""Tells whether two matches under different host names are of one machine.

In: matches, the names that say nothing. Out: yes or no, and the name that a machine is known by.
Only what the kernel said joins two names: one boot id, or one start of the boot. Settings bring the
spellings of a name into one form before (`parse.host_names`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from detector.boots import FALL_US
from detector.model import Match

# What a machine is called before it has a name: systemd's fallback, Red Hat's, and the kernel's own
# (CONFIG_DEFAULT_HOSTNAME, init/version.c).
UNNAMED = frozenset(("localhost", "localhost.localdomain", "(none)"))


def one_machine(a: Match, b: Match, unnamed: Collection[str] = UNNAMED) -> bool:
    """Returns whether two matches are of one machine: by name, or by what joins a name to
    another.

    Under one boot id a machine that had no name gets one, and a short name is that of the full
    name. Memory snapshots run under one boot id with names of their own: those stay apart. Without
    ids a short and a full name are one where the boots began together.
    """
    if a.host == b.host:
        return True
    short = is_short_of(a.host, b.host) or is_short_of(b.host, a.host)
    if a.boot.id and b.boot.id:
        return a.boot.id == b.boot.id and (short or a.host in unnamed or b.host in unnamed)
    start, other = a.boot.epoch_us, b.boot.epoch_us
    return short and start is not None and other is not None and abs(start - other) <= FALL_US


def is_short_of(short: str, full: str) -> bool:
    """Returns whether a name is the first label of a full one; addresses have no labels."""
    label, dot, _ = full.partition(".")
    return bool(dot) and label == short and not full.replace(".", "").isdigit()


def known_name(host: str, others: Iterable[str], unnamed: Collection[str] = UNNAMED) -> str:
    """The name that a machine is known by: its own, unless that says nothing and another does."""
    if host not in unnamed:
        return host
    return next((name for name in others if name not in unnamed), host)
