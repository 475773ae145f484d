"""The lines of one crash as records: release, fault, rest of the report, noise."""

from __future__ import annotations

RELEASE = b"[  100.100000] IPv4: Attempt to release TCP socket in state 10 ffff80001234a000"


FAULT = b"[  100.600000] Unable to handle kernel paging request at virtual address 0000000000012345"


REST = [
    b"[  100.600010] Internal error: Oops: 96000004 [#1] SMP",
    b"[  100.600020] pc : my_driver_poll+0x10/0x80 [mydrv]",
]


END = b"[  100.600090] ---[ end trace 0123456789abcdef ]---"


NOISE = (
    b"[  100.200000] python[77]: segfault at 10 ip 00007f0000000000 sp 00007ffc00000000 error 4 "
    b"in libc.so[7f0000000000+1000]"
)
