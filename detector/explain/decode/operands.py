"""A memory operand and its arithmetic: registers, factors and a displacement add up to an
address, wrapping as the machine does.

In: terms as the decoder finds them. Out: addresses, the sums in words. It decodes nothing and knows
no architecture.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Term:
    """One register of an address: `value` as it counts (after narrowing or sign extension),
    None where the report does not print it.
    """

    register: str
    value: int | None
    factor: int = 1


@dataclass(frozen=True, slots=True)
class Operand:
    """A memory operand of an instruction: the sum of `terms` and `displacement`, `width`
    bytes, in addresses of `bits` bits.

    `aligned` is the block a whole-line operation (`dc zva`) touches: the address is rounded down to
    it. `known_bits` is how many of the low bits the kernel reports of a fault address: 56 on arm64,
    where it clears or extends the tag in the top byte (untagged_addr, 5.3).
    """

    terms: tuple[Term, ...]
    displacement: int
    width: int
    bits: int
    aligned: int = 1
    known_bits: int = 64

    @property
    def address(self) -> int | None:
        """The address, or None where a register's value is not known."""
        total = self.displacement
        for term in self.terms:
            if term.value is None:
                return None
            total += term.value * term.factor
        return (total & ((1 << self.bits) - 1)) // self.aligned * self.aligned

    @property
    def base(self) -> Term | None:
        """The first register, which holds the pointer in what compilers emit."""
        return self.terms[0] if self.terms else None

    def covers(self, address: int) -> bool:
        """Returns whether a fault that is reported at `address` is this access, as far as the
        kernel tells the address.
        """
        return self._holds(address, (1 << min(self.bits, self.known_bits)) - 1)

    def spans(self, address: int) -> bool:
        """Returns whether the access holds exactly this address."""
        return self._holds(address, (1 << self.bits) - 1)

    def _holds(self, address: int, mask: int) -> bool:
        """Its first byte, or a later one where the access runs into the next page."""
        start = self.address
        if start is None:
            return False
        distance = (address - start) & mask
        return distance == 0 or (
            distance < self.width and (self.aligned > 1 or address & 0xFFF == 0)
        )

    def arithmetic(self) -> str:
        """The sum in words: `x19 = 0x194db; 0x194db + 0x30 = 0x1950b`."""
        known = "; ".join(f"{term.register} = {_hex(term.value)}" for term in self.terms)
        parts = [
            _hex(term.value) + (f" * {term.factor}" if term.factor != 1 else "")
            for term in self.terms
        ]
        if (
            len(self.terms) == 1
            and self.terms[0].factor == 1
            and not self.displacement
            and self.aligned == 1
        ):
            return known
        total = " + ".join(parts)
        if self.displacement or not parts:
            sign = (" - " if self.displacement < 0 else " + ") if parts else ""
            shown = abs(self.displacement) if parts else self.displacement & ((1 << self.bits) - 1)
            total = f"{total}{sign}{shown:#x}"
        if not self.terms and self.aligned == 1:
            return _hex(self.address)
        rounded = f", rounded down to {self.aligned} bytes," if self.aligned > 1 else ""
        return f"{known}{'; ' if known else ''}{total}{rounded} = {_hex(self.address)}"


def _hex(value: int | None) -> str:
    return "?" if value is None else f"{value:#x}"
