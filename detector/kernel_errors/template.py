"""Reduces a line of the kernel to its template, with a `*` for what varies.

In: a line's text. Out: its template, or its parts in order. Masked are numbers, addresses of every
sort, bytes in hexadecimal, UUIDs, paths, names of devices, interfaces and processes. Kept is the
name of the driver in front of a device's address, and the digits that belong to a name (EXT4-fs,
i2c, f2fs).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from detector.lazy_regex import lazy_regex

# A line's first characters: what follows in a longer one is a dump of values.
LONGEST = 400
MASK = "*"

_HEX = "[0-9a-fA-F]"
# Names of disks, interfaces and other devices as the kernel and udev give them.
_DEVICES = (
    r"(?:sd|hd|vd|xvd)[a-z]{1,3}\d{0,3}|(?:nvme|mmcblk)\d{1,4}(?:[a-z]{1,4}\d{1,4}){0,3}"
    r"|(?:en|wl|ww)(?:[opsx][0-9a-f]{1,12}){1,5}(?:np\d{1,3}|d\d{1,3}|v\d{1,3})?|br-[0-9a-f]{4,12}"
    r"|(?:veth|cali|lxc|tap|vnet|macvtap|docker|virbr|bond|team|tun|eth|wlan|dm-|md|loop|nbd|rbd"
    r"|zram|ib|can)[0-9][0-9a-zA-Z]{0,15}|(?:veth|cali|lxc|tap)[0-9a-f_]{6,15}"
)
_VARIABLE = lazy_regex(
    # UUID
    rf"(?<!\w)(?:{_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}}"
    # a path
    r"|(?<![\w)\]*.])/[^\s'\"<>,;:()\[\]]{1,255}"
    # bytes, as of a command or a MAC address
    rf"|{_HEX}{{2}}(?:[ /:-]{_HEX}{{2}}){{3,63}}(?!\w)"
    # addresses of PCI, SCSI, IPv4 and IPv6
    rf"|{_HEX}{{1,8}}(?::{_HEX}{{0,4}}){{2,7}}(?:\.\d{{1,3}})?(?!\w)"
    r"|\d{1,3}(?:\.\d{1,3}){3}(?![\w.])"
    rf"|0[xX]{_HEX}{{1,32}}"
    # eight letters from a to f and more are hexadecimal too: no word has nothing else
    rf"|{_HEX}{{8,64}}(?!\w)"
    rf"|(?:{_DEVICES})(?!\w))"
    # the name that a process chose
    r"|(?<=[Cc]omm[ =])[^\s:,()]{1,15}|(?<=[Cc]omm: )[^\s:,()]{1,15}"
    # digits that belong to a name are none: EXT4-fs, i2c
    r"|(?!(?<=[A-Za-z])\d(?:[-_][A-Za-z]{2}|[A-Za-z]))\d{1,40}",
    re.ASCII,
)
# `driver address: message` (dev_printk in drivers/base/core.c).
_DRIVER = lazy_regex(r"[A-Za-z][\w-]{1,31}(?= [0-9a-fA-F]{1,8}(?::[0-9a-fA-F.]{1,8}){1,4}:? )")
_BLANKS = lazy_regex(r"\s+")
# What may stand between the numbers of a list, whose length varies.
BETWEEN = r"(?:[,/.+-] ?|[ :])?"
_RUN = lazy_regex(rf"\*(?:{BETWEEN}\*)+")

Part = tuple[bool, str]
"""Whether a piece of a text varies, and the piece."""


def template_of(text: str) -> str:
    """Returns the template of a line; the same for all lines that differ only in what varies."""
    text = text[:LONGEST]
    driver = _DRIVER.match(text)
    start = driver.end() if driver else 0
    masked = text[:start] + _VARIABLE.sub(MASK, text[start:])
    return _RUN.sub(MASK, _BLANKS.sub(" ", masked)).strip()


def template_id(template: str) -> str:
    """Returns the identity of a template, across hosts and histories."""
    return hashlib.sha256(template.encode(errors="surrogatepass")).hexdigest()[:12]


def parts_of(text: str) -> Iterator[Part]:
    """Yields the pieces of a line in order; together they are its first `LONGEST` characters."""
    text = text[:LONGEST]
    driver = _DRIVER.match(text)
    place = 0
    for variable in _VARIABLE.finditer(text, driver.end() if driver else 0):
        if variable.start() > place:
            yield False, text[place : variable.start()]
        yield True, variable[0]
        place = variable.end()
    if place < len(text):
        yield False, text[place:]
