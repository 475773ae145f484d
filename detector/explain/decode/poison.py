"""Values that the kernel writes where nothing valid is left: poisoned pointers, poisoned
bytes, and KASAN's shadow of an address.

In: an address and the machine. Out: the poison it is near to. Source: include/linux/poison.h (3.x
to 6.x), include/uapi/linux/magic.h, include/linux/spinlock_types_raw.h, arch/*/Kconfig
KASAN_SHADOW_OFFSET; ILLEGAL_POINTER_VALUE is 0xdead000000000000 on 64-bit x86 and arm, 0 on 32 bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from detector.explain.decode.machine import Architecture
from detector.model import Confidence

_DELTA = 0xDEAD_0000_0000_0000
_NEAR = 0x800  # a member of an object whose pointer is the poison, or an object around it

_LOCK = "a lock was read as a pointer: the object is of another kind, or was freed and used again"
_LIST = "it belongs to a list entry that was deleted before (use after list_del, or deleted twice)"
# Offsets from the architecture's illegal pointer value. LIST_POISON moved from 0x100100/0x200200 to
# 0x100/0x200 in 4.3, its second half to 0x122 in 5.1; TIMER_ENTRY_STATIC is 0x300, TAIL_MAPPING
# 0x400, MUTEX_POISON_WW_CTX 0x500, SKB_LIST_POISON_NEXT 0x800 (6.3), NET_PTR_POISON 0x801 (6.8),
# BPF_PTR_POISON 0xeb9f (6.1), VFS_PTR_POISON 0xf5, STACK_DEPOT_POISON 0xd390, IO_URING_PTR_POISON
# 0x1091 (all in 6.19).
_POINTERS: tuple[tuple[int, str, str, str], ...] = (
    (0x100, "LIST_POISON1", "list-poison", _LIST),
    (0x122, "LIST_POISON2", "list-poison", _LIST),
    (0x200, "LIST_POISON2", "list-poison", _LIST),
    (0x300, "TIMER_ENTRY_STATIC", "timer-poison", "it belongs to a timer that is not pending"),
    (0x400, "TAIL_MAPPING", "page-poison", "it is the mapping of a compound page's tail"),
    (
        0x500,
        "MUTEX_POISON_WW_CTX",
        "mutex-poison",
        "it belongs to a wait/wound mutex that is not in its context any more",
    ),
    (
        0x800,
        "SKB_LIST_POISON_NEXT",
        "list-poison",
        "it belongs to a socket buffer that was taken off its list",
    ),
    (
        0x801,
        "NET_PTR_POISON",
        "net-poison",
        "it belongs to a network object that has left its device (a page pool, for one)",
    ),
    (0xF5, "VFS_PTR_POISON", "vfs-poison", "it belongs to a file system object that is gone"),
    (
        0xD390,
        "STACK_DEPOT_POISON",
        "stack-poison",
        "it belongs to a stored stack trace that is gone",
    ),
    (
        0x1091,
        "IO_URING_PTR_POISON",
        "io-uring-poison",
        "it belongs to an io_uring request that has been completed",
    ),
    (
        0xEB9F,
        "BPF_PTR_POISON",
        "bpf-poison",
        "BPF's verifier should have replaced it before anybody followed it",
    ),
    (0x100100, "LIST_POISON1", "list-poison", _LIST),
    (0x200200, "LIST_POISON2", "list-poison", _LIST),
)
_ABSOLUTE: tuple[tuple[int, str, str, str], ...] = (
    (
        0x57AC6E9D,
        "STACK_END_MAGIC",
        "stack-end",
        (
            "it is the word at the end of a kernel stack: the stack overflowed, or was read "
            "past its end"
        ),
    ),
    (0xDEAD4EAD_00000000, "SPINLOCK_MAGIC", "lock-magic", _LOCK),
    (0xDEAF1EED_00000000, "RWLOCK_MAGIC", "lock-magic", _LOCK),
    (
        0xDEADBEEF,
        "0xdeadbeef",
        "dead-marker",
        "drivers, ATM and the neighbour table mark with it what is gone",
    ),
    (0x74737461, "TIMER_ENTRY_STATIC", "timer-poison", "it belongs to a timer that is not pending"),
)
_BYTES: Mapping[int, tuple[str, str, str]] = {
    0x6B: (
        "POISON_FREE",
        "slab-poison",
        "the memory it was read from had been freed (slab poisoning): use after free",
    ),
    0x5A: (
        "POISON_INUSE",
        "slab-poison",
        "the memory it was read from was never initialised (slab poisoning)",
    ),
    0xA5: (
        "POISON_END",
        "slab-poison",
        "the memory it was read from was the end of a freed slab object",
    ),
    0xAA: (
        "PAGE_POISON",
        "page-poison",
        "the page it was read from had been freed (page poisoning): use after free",
    ),
    0xBB: (
        "SLUB_RED_INACTIVE",
        "slab-poison",
        "it was read from the red zone of a free slab object: an access out of bounds",
    ),
    0xCC: (
        "SLUB_RED_ACTIVE",
        "slab-poison",
        "it was read from a slab object's red zone, or from freed init memory",
    ),
    0xA7: (
        "POOL_POISON_FREED",
        "pool-poison",
        "the memory it was read from had been given back to its DMA pool: use after free",
    ),
    0xA9: (
        "POOL_POISON_ALLOCATED",
        "pool-poison",
        "the memory it was read from was fresh from a DMA pool, never initialised",
    ),
    0x5B: (
        "JBD_POISON_FREE",
        "jbd-poison",
        (
            "the memory it was read from was a journal head of ext3 that had been freed: use after "
            "free"
        ),
    ),
    0x5C: (
        "JBD2_POISON_FREE",
        "jbd-poison",
        (
            "the memory it was read from was a journal head of ext4 that had been freed: use after "
            "free"
        ),
    ),
    0xBD: (
        "KEY_DESTROY",
        "key-poison",
        "the memory it was read from was a key that had been destroyed: use after free",
    ),
    0x12: (
        "ATM_POISON_FREE",
        "atm-poison",
        "the memory it was read from was freed by an ATM driver: use after free",
    ),
    0x22: ("MUTEX_DEBUG_FREE", "mutex-poison", "it belongs to a mutex waiter that is gone"),
    0x11: (
        "MUTEX_DEBUG_INIT",
        "mutex-poison",
        "it belongs to a mutex waiter that was never initialised",
    ),
}
# On 32 bit the others are ordinary addresses of user space as well.
_USUAL = frozenset({0x5A, 0x6B, 0xA5, 0xAA})
# (offset, shift): arch/x86/Kconfig; arch/arm64/Kconfig of 5.11 and later, of 5.4 to 5.10, before
# 5.4 (48-bit addresses), with 39-bit addresses; the last two are software tags (KASAN_SW_TAGS),
# 5.11 and later and before, whose granule is 16 bytes.
_SHADOW_OFFSETS: Mapping[str, tuple[tuple[int, int], ...]] = {
    "x86_64": ((0xDFFF_FC00_0000_0000, 3),),
    "arm64": (
        (0xDFFF_8000_0000_0000, 3),
        (0xDFFF_A000_0000_0000, 3),
        (0xDFFF_2000_0000_0000, 3),
        (0xDFFF_FFC0_0000_0000, 3),
        (0xEFFF_8000_0000_0000, 4),
        (0xEFFF_9000_0000_0000, 4),
    ),
}


@dataclass(frozen=True, slots=True)
class Poison:
    """A poison value recognised: its mark for known issues, what it means, and how the address
    is made of it.
    """

    mark: str
    text: str
    arithmetic: str
    confidence: Confidence = "likely"


def pointer_poison(value: int, machine: Architecture) -> Poison | None:
    """The poisoned pointer that `value` is at or a little above; on 32 bit, where LIST_POISON
    is a small number, only the large ones.
    """
    wide = machine.bits == 64 and machine.family != "other"
    known = (
        [(_DELTA + offset, *rest) for offset, *rest in _POINTERS]
        if wide
        else [entry for entry in _POINTERS if entry[0] > 0x1000]
    )
    absolute = [entry for entry in _ABSOLUTE if entry[0] <= machine.mask]
    below = [entry for entry in (*known, *absolute) if -0x40 <= value - entry[0] < _NEAR]
    if not below:
        return None
    # A member lies at a multiple of its size, mostly a word: of two poisons that way one is it.
    base, name, mark, words = max(
        below, key=lambda entry: (entry[0] <= value, (value - entry[0]) % 8 == 0, entry[0])
    )
    distance = value - base
    sign = "-" if distance < 0 else "+"
    text = f"The pointer is {name}, a value that the kernel marks memory with: {words}."
    return Poison(str(mark), text, f"{name} ({base:#x}) {sign} {abs(distance):#x}")


def byte_poison(value: int, machine: Architecture) -> Poison | None:
    """The poison byte that `value` repeats, give or take the offset of a member."""
    for byte, (name, mark, words) in _BYTES.items():
        pattern = int.from_bytes(bytes([byte]) * (machine.bits // 8), "big")
        distance = value - pattern
        if -0x40 <= distance < _NEAR:
            sign = "-" if distance < 0 else "+"
            text = f"The pointer repeats the byte {byte:#04x}, {name}: {words}."
            usual = machine.bits == 64 or byte in _USUAL
            arithmetic = f"{pattern:#x} {sign} {abs(distance):#x}"
            return Poison(mark, text, arithmetic, "likely" if usual else "possible")
    return None


def kasan_shadow(
    address: int, machine: Architecture, held: AbstractSet[int | None]
) -> tuple[int, int, int] | None:
    """(shadow offset, shift, first address shadowed) where `address` is the shadow of something
    that is no kernel address; else None.

    `held` are the values of the operand's registers: with the offset among them it is a shadow,
    whatever the address shadowed.
    """
    for offset, shift in _SHADOW_OFFSETS.get(machine.family, ()):
        shadowed = address - offset << shift
        if shadowed >= 0 and (shadowed < machine.user_end or offset in held):
            return offset, shift, shadowed & machine.mask
    return None
