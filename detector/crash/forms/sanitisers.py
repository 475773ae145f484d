"""Forms of the reports that detectors print: KASAN, KMSAN, KCSAN, KFENCE, UBSAN, kmemleak."""

from __future__ import annotations

from detector.crash.forms.form import NAME, form, recipe
from detector.crash.guilty import STACK, TRACE
from detector.lazy_regex import lazy_regex

_ENCRYPTS = "_encrypt$|^(?:crypto|cipher|drbg|rng)_"
"""Uninitialised data shows up here, and comes from the caller."""

_USB = "usb_submit_urb|usb_start_wait_urb|usb_bulk_msg|usb_interrupt_msg|usb_control_msg"
_ALLOCATES = (
    "kmemleak|mmap|kmem|slab|alloc|create_object|idr_get|list_lru_init|kasprintf|kvasprintf"
    "|pcpu_create|strdup|strndup|memdup"
)
_KASAN_NAMES = lazy_regex(r"BUG: KASAN: [a-z -]+? in " + NAME)
_KASAN = recipe(_KASAN_NAMES, TRACE, STACK, skip="kernel_fault|tag_check|mem_abort|^el1_|^el1h_")
_KASAN_FREE = recipe(_KASAN_NAMES, TRACE, STACK, skip="slab_|kfree|vunmap|vfree")
_KCSAN = recipe(lazy_regex(r"BUG: KCSAN: (?:data-race|assert: race) in " + NAME), plain=True)
_KFENCE = recipe(lazy_regex(r"BUG: KFENCE: [a-z -]+? in " + NAME), STACK)
LEAK = recipe(lazy_regex(r"backtrace(?: \(crc [0-9a-f]*\))?:"), STACK, skip=_ALLOCATES)
UBSAN = recipe(TRACE, STACK, skip="ubsan|overflow")
_KFENCE_SAYS = (
    "(?:use-after-free|out-of-bounds|invalid) (?:read|write)|invalid free|memory corruption"
)

SANITISERS = (
    form(
        "kasan",
        r"BUG: KASAN: (?P<what>[a-z-]+) in ",
        "KASAN: {what} {access} in {function}",
        _KASAN,
        body=r"\n.*(?P<access>Read|Write) (?:of size|at addr) [0-9a-f]+",
    ),
    form(
        "kasan",
        r"BUG: KASAN: (?:double-free or invalid-free|double-free|invalid-free) in ",
        "KASAN: invalid-free in {function}",
        _KASAN_FREE,
    ),
    form(
        "kasan",
        r"BUG: KASAN: (?P<what>[a-z -]+) on address",
        "KASAN: {what} {access}",
        body=r"\n.*(?P<access>Read|Write) of size [0-9]+",
    ),
    form("kasan", r"BUG: KASAN: (?P<what>[a-z-]+) in ", "KASAN: {what} in {function}", _KASAN),
    form("kasan", r"BUG: KASAN: (?P<what>.+)", "KASAN: {what}", _KASAN),
    form(
        "kmsan",
        r"BUG: KMSAN: kernel-usb-infoleak in ",
        "KMSAN: kernel-usb-infoleak in {function}",
        recipe(STACK, skip="alloc_skb|" + _USB),
    ),
    form(
        "kmsan",
        r"BUG: KMSAN: (?P<what>[a-z-]+) in ",
        "KMSAN: {what} in {function}",
        recipe(STACK, skip="alloc_skb|netlink_ack|netlink_rcv_skb|" + _ENCRYPTS),
    ),
    form(
        "kcsan",
        r"BUG: KCSAN: (?P<what>data-race|assert: race) in (?P<where>.*)",
        "KCSAN: {what} in {where}",
        _KCSAN,
    ),
    form("kcsan", r"BUG: KCSAN: (?P<what>.+)", "KCSAN: {what}", _KCSAN),
    form(
        "kfence",
        rf"BUG: KFENCE: (?P<what>{_KFENCE_SAYS}) in ",
        "KFENCE: {what} in {function}",
        _KFENCE,
    ),
    form(
        "ubsan",
        r"UBSAN: Undefined behaviour in",
        "UBSAN: undefined-behaviour in {function}",
        UBSAN,
    ),
    form("ubsan", r"UBSAN: (?P<what>.*?) in (?![a-z]+ )", "UBSAN: {what} in {function}", UBSAN),
    form(
        "memory-leak",
        r"BUG: memory leak",
        "memory leak in {function}",
        LEAK,
    ),
)
