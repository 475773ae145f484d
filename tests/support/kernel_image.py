"""A kernel image made up, with its code and types."""

from __future__ import annotations

import random

from tests.symbols.btf_writer import BtfWriter
from tests.symbols.images import (
    TEXT,
)

CODE = random.Random(7).randbytes(8192)


OWN = [(TEXT + 16, "T", "tcp_v4_rcv"), (TEXT + 640, "t", "__inet_lookup" + "_long" * 40)]


def assert_one_line(error):
    """What people read is one line."""
    assert "\n" not in str(error)


def types():
    """A struct and a function of it."""
    btf = BtfWriter()
    number = btf.integer("unsigned long", 8)
    sock = btf.struct("sock", 16, ("first", number, 0), ("second", number, 8))
    btf.function("tcp_v4_rcv", 0, ("sk", btf.pointer(sock)))
    return bytes(btf)
