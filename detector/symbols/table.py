"""The symbols of a kernel, looked up by name and by address.

In: (address, kind, name). Out: a `SymbolTable`. `kind` is nm's letter ("t", "T": code).
"""

from __future__ import annotations

import bisect
from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, lru_cache

_MOST_KEPT = 4_096  # addresses whose names are kept: those of what is called are asked for often


class SymbolTable:
    """Names, kinds and addresses of equal length, ascending by address.

    `names_at` gives the names of exactly an address.
    """

    def __init__(self, names: list[str], kinds: str, addresses: array[int]) -> None:
        self.names = names
        self.kinds = kinds
        self.addresses = addresses
        self.names_at = lru_cache(maxsize=_MOST_KEPT)(self._names_at)

    @classmethod
    def of(cls, symbols: Iterable[tuple[int, str, str]]) -> SymbolTable:
        """The table of (address, kind, name), in any order."""
        names: list[str] = []
        kinds, addresses = bytearray(), array("Q")
        for address, kind, name in symbols:
            names.append(name)
            kinds += kind[:1].encode("ascii", "replace") or b"?"
            addresses.append(address)
        # By address alone first: a tuple for each symbol would take as much memory as all of them.
        order = sorted(range(len(names)), key=addresses.__getitem__)
        for start, end in _equal_runs(order, addresses):
            order[start:end] = sorted(order[start:end], key=lambda n: (kinds[n], names[n]))
        return cls(
            [names[place] for place in order],
            bytes(kinds[place] for place in order).decode(),
            array("Q", map(addresses.__getitem__, order)),
        )

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def _by_name(self) -> tuple[dict[str, int], dict[str, list[int]]]:
        """The first place of each name, and the further ones of the few that several share."""
        first: dict[str, int] = {}
        further: dict[str, list[int]] = {}
        for place, name in enumerate(self.names):
            if first.setdefault(name, place) != place:
                further.setdefault(name, []).append(place)
        return first, further

    def addresses_of(self, name: str) -> list[int]:
        """The addresses of a name: functions of several files may share one."""
        first, further = self._by_name
        if name not in first:
            return []
        return [self.addresses[place] for place in (first[name], *further.get(name, ()))]

    def _names_at(self, address: int) -> tuple[str, ...]:
        first = bisect.bisect_left(self.addresses, address)
        last = bisect.bisect_right(self.addresses, address, first)
        return tuple(self.names[first:last])

    def end_of(self, address: int) -> int:
        """The address of the next symbol, as the kernel computes a function's size
        (kernel/kallsyms.c get_symbol_pos()); the address itself behind the last one.
        """
        place = bisect.bisect_right(self.addresses, address)
        return self.addresses[place] if place < len(self.addresses) else address

    def containing(self, address: int) -> int | None:
        """The greatest address of a symbol that is not above this one."""
        place = bisect.bisect_right(self.addresses, address)
        return self.addresses[place - 1] if place else None


def _equal_runs(order: Sequence[int], addresses: array[int]) -> Iterator[tuple[int, int]]:
    """Where symbols of one address begin and end, of those that share it."""
    start = 0
    for place in range(1, len(order) + 1):
        if place == len(order) or addresses[order[place]] != addresses[order[start]]:
            if place - start > 1:
                yield start, place
            start = place
