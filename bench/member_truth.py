"""What DWARF says of registers: which pointer to a struct sits in one, in what range of the code.

In: a vmlinux with debug information. Out: for each source file its functions with the variables and
arguments, inlined ones too, whose value is a register, or a register plus a constant. For judging
alone: the product reads no debug information.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.dwarf.descriptions import describe_form_class
from elftools.dwarf.dwarf_expr import DWARFExprParser
from elftools.dwarf.locationlists import BaseAddressEntry
from elftools.dwarf.ranges import BaseAddressEntry as RangeBase
from elftools.elf.elffile import ELFFile

_X86 = ["rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp"]
_X86 += [f"r{number}" for number in range(8, 16)]
_ARM64 = [*(f"x{number}" for number in range(31)), "sp"]
_ALIASES = ("DW_TAG_typedef", "DW_TAG_const_type", "DW_TAG_volatile_type", "DW_TAG_restrict_type")
_VARIABLES = ("DW_TAG_variable", "DW_TAG_formal_parameter")


@dataclass(frozen=True, slots=True)
class Holding:
    """From `begin` to `end` a variable of type `struct *` is the register minus `distance`."""

    begin: int
    end: int
    register: str
    distance: int
    struct: str
    size: int


@dataclass(frozen=True, slots=True)
class TrueFunction:
    """A function's ranges of code and what its registers hold."""

    ranges: tuple[tuple[int, int], ...]
    holdings: tuple[Holding, ...]


class Truth:
    """The source files of a kernel, by name; addresses are those of a build whose code begins at
    `first` (_stext).
    """

    def __init__(self, path: Path, first: int) -> None:
        elf = ELFFile(path.open("rb"))
        (own,) = elf.get_section_by_name(".symtab").get_symbol_by_name("_stext")
        self._shift = first - own["st_value"]
        self._registers = _ARM64 if elf["e_machine"] == "EM_AARCH64" else _X86
        self._dwarf = elf.get_dwarf_info(relocate_dwarf_sections=False, follow_links=False)
        self._locations = self._dwarf.location_lists()
        self._ranges = self._dwarf.range_lists()
        self._pointed: dict[int, tuple[str, int] | None] = {}
        self._units = {unit.get_top_DIE().get_full_path(): unit for unit in self._dwarf.iter_CUs()}

    def files(self) -> list[str]:
        """The names of the source files in C."""
        return sorted(name for name in self._units if name.endswith(".c"))

    def functions(self, file: str) -> Iterator[TrueFunction]:
        """The functions of a file that have code."""
        unit = self._units[file]
        self._base = _number(unit.get_top_DIE(), "DW_AT_low_pc") or 0
        self._parser = DWARFExprParser(unit.structs)
        for entry in unit.iter_DIE_children(unit.get_top_DIE()):
            if entry.tag == "DW_TAG_subprogram" and (ranges := self._code_of(entry)):
                yield TrueFunction(tuple(ranges), tuple(self._holdings(entry)))

    def _code_of(self, entry: Any) -> list[tuple[int, int]]:
        if "DW_AT_low_pc" in entry.attributes:
            low, high = entry.attributes["DW_AT_low_pc"], entry.attributes.get("DW_AT_high_pc")
            if high is None:
                return []
            is_size = describe_form_class(high.form) == "constant"
            end = high.value + (low.value if is_size else 0)
            return [(low.value + self._shift, end + self._shift)]
        if "DW_AT_ranges" not in entry.attributes:
            return []
        found, base = [], self._base
        at = entry.attributes["DW_AT_ranges"].value
        for item in self._ranges.get_range_list_at_offset(at, cu=entry.cu):
            if isinstance(item, RangeBase):
                base = item.base_address
            else:
                shift = self._shift + (0 if item.is_absolute else base)
                found.append((item.begin_offset + shift, item.end_offset + shift))
        return found

    def _holdings(self, entry: Any) -> Iterator[Holding]:
        for child in entry.iter_children():
            if child.tag in _VARIABLES:
                yield from self._of_variable(child)
            elif child.tag in ("DW_TAG_inlined_subroutine", "DW_TAG_lexical_block"):
                yield from self._holdings(child)

    def _of_variable(self, entry: Any) -> Iterator[Holding]:
        place = entry.attributes.get("DW_AT_location")
        pointed = self._struct_of(entry) if place is not None else None
        if pointed is None or place.form not in ("DW_FORM_loclistx", "DW_FORM_sec_offset"):
            return
        base = self._base
        for item in self._locations.get_location_list_at_offset(place.value, die=entry):
            if isinstance(item, BaseAddressEntry):
                base = item.base_address
                continue
            held = self._register(item.loc_expr)
            if held is not None:
                shift = self._shift + (0 if item.is_absolute else base)
                span = item.begin_offset + shift, item.end_offset + shift
                yield Holding(*span, *held, *pointed)

    def _register(self, expression: Any) -> tuple[str, int] | None:
        """(register, distance): the value is the register plus the distance."""
        steps = self._parser.parse_expr(expression)
        first = steps[0].op_name if steps else ""
        name = first.removeprefix("DW_OP_breg").removeprefix("DW_OP_reg")
        if not name.isdigit() or int(name) >= len(self._registers):
            return None
        if len(steps) == 1 and first.startswith("DW_OP_reg"):
            return self._registers[int(name)], 0
        is_sum = len(steps) == 2 and steps[1].op_name == "DW_OP_stack_value"
        if is_sum and first.startswith("DW_OP_breg"):
            return self._registers[int(name)], steps[0].args[0]
        return None

    def _struct_of(self, entry: Any) -> tuple[str, int] | None:
        """(name, size) of the struct or union that a variable points to."""
        while "DW_AT_type" not in entry.attributes:
            if "DW_AT_abstract_origin" not in entry.attributes:
                return None
            entry = entry.get_DIE_from_attribute("DW_AT_abstract_origin")
        kind = entry.get_DIE_from_attribute("DW_AT_type")
        if kind.offset not in self._pointed:
            self._pointed[kind.offset] = _pointed(kind)
        return self._pointed[kind.offset]


def _pointed(kind: Any) -> tuple[str, int] | None:
    pointer = _bare(kind)
    if pointer is None or pointer.tag != "DW_TAG_pointer_type":
        return None
    if "DW_AT_type" not in pointer.attributes:
        return None
    target = _bare(pointer.get_DIE_from_attribute("DW_AT_type"))
    if target is None or target.tag not in ("DW_TAG_structure_type", "DW_TAG_union_type"):
        return None
    name, size = target.attributes.get("DW_AT_name"), _number(target, "DW_AT_byte_size")
    return None if name is None or not size else (name.value.decode(), size)


def _bare(entry: Any) -> Any:
    """The type without names and qualifiers; None for void."""
    while entry.tag in _ALIASES:
        if "DW_AT_type" not in entry.attributes:
            return None
        entry = entry.get_DIE_from_attribute("DW_AT_type")
    return entry


def _number(entry: Any, name: str) -> int | None:
    attribute = entry.attributes.get(name)
    return None if attribute is None else int(attribute.value)
