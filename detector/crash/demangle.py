"""Mangled names of Rust and C++ → the path that a reader knows: `_RNvCs1_7foo3bar` →
`foo::bar`.

In: a symbol as the kernel prints it. Out: the path without crate hashes and parameters, or the
symbol itself where it is not mangled or not understood. The grammar is that of Rust's RFC 2603
(v0); of the older scheme, which is C++'s (Itanium ABI 5.1), names and nested names are read.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from detector.lazy_regex import lazy_regex

_BASIC = {
    "a": "i8", "b": "bool", "c": "char", "d": "f64", "e": "str", "f": "f32", "h": "u8",
    "i": "isize", "j": "usize", "l": "i32",
    "m": "u32", "n": "i128", "o": "u128", "p": "_", "s": "i16", "t": "u16", "u": "()", "v": "...",
    "x": "i64", "y": "u64", "z": "!",
}  # fmt: skip
_POINTERS = {"R": "&", "Q": "&mut ", "P": "*const ", "O": "*mut "}
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_HASH = lazy_regex(r"h[0-9a-f]{16}")
_NESTED = lazy_regex(r"_ZN?[KLrV]*(?=\d)")
_DEEPEST = 24
_LONGEST = 512
"""Longer names are kept as they are: KSYM_NAME_LEN is 512 since 6.1 (include/linux/kallsyms.h)."""


def demangled(symbol: str) -> str:
    """The path that a mangled symbol stands for, else the symbol."""
    if len(symbol) > _LONGEST:
        return symbol
    try:
        if symbol.startswith("_R"):
            return _V0(symbol[2:]).path() or symbol
        if (start := _NESTED.match(symbol)) is not None:
            return _nested(symbol, start.end())
    except (IndexError, ValueError):
        pass
    return symbol


def _nested(symbol: str, at: int) -> str:
    """`_ZN3foo3barE`: names with their lengths, up to the first that is not plain."""
    names = []
    while (length := re.compile(r"\d{1,3}").match(symbol, at)) is not None:
        at = length.end() + int(length[0])
        names.append(symbol[length.end() : at])
        if not symbol.startswith("_ZN"):
            break
    if at > len(symbol) or not all(names):
        raise ValueError(symbol)
    if len(names) > 1 and _HASH.fullmatch(names[-1]):
        names.pop()
    return "::".join(names)


class _V0:
    """A reader of one v0 name; `text` is what follows `_R`."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def path(self, *, value: bool = True) -> str:
        """A path; `value` says that generic arguments need `::` before them."""
        return self._deeper(lambda: self._path(value=value))

    def _path(self, *, value: bool) -> str:
        tag = self._take()
        if tag == "C":
            return self._identifier()[0]
        if tag in "MX":
            self._disambiguator()
            self.path()
        if tag == "M":
            return f"<{self._type()}>"
        if tag in "XY":
            return f"<{self._type()} as {self.path(value=False)}>"
        if tag == "N":
            return self._member(self._take(), self.path(value=value))
        if tag == "I":
            outer = self.path(value=value)
            arguments = ", ".join(filter(None, self._until_end(self._argument)))
            return f"{outer}{'::' if value else ''}<{arguments}>"
        if tag == "B":
            return self._again(lambda: self.path(value=value))
        raise ValueError(tag)

    def _member(self, namespace: str, outer: str) -> str:
        name, number = self._identifier()
        if namespace.islower():
            return f"{outer}::{name}" if name else outer
        kind = {"C": "closure", "S": "shim"}.get(namespace, namespace)
        return f"{outer}::{{{kind}{':' + name if name else ''}#{number}}}"

    def _identifier(self) -> tuple[str, int]:
        number = self._disambiguator()
        puny = self._if("u")
        length = 0
        while self._text[self._at].isdigit():
            length = length * 10 + int(self._take())
            if not length:
                break
        self._if("_")
        name = self._text[self._at : self._at + length]
        self._at += length
        if len(name) < length:
            raise ValueError(name)
        return (f"punycode{{{name}}}" if puny else name), number

    def _type(self) -> str:
        return self._deeper(self._any_type)

    def _any_type(self) -> str:
        tag = self._text[self._at]
        if tag in _BASIC:
            return _BASIC[self._take()]
        if tag in "CMXYNI":
            return self.path(value=False)
        self._take()
        if tag in _POINTERS:
            if tag in "RQ" and self._if("L"):
                self._number()
            return _POINTERS[tag] + self._type()
        if tag == "S":
            return f"[{self._type()}]"
        if tag == "A":
            return f"[{self._type()}; {self._constant()}]"
        if tag == "T":
            return f"({', '.join(self._until_end(self._type))})"
        if tag == "F":
            return self._signature()
        if tag == "D":
            return self._dynamic()
        if tag == "B":
            return self._again(self._type)
        raise ValueError(tag)

    def _signature(self) -> str:
        if self._if("G"):
            self._number()
        self._if("U")
        if self._if("K") and not self._if("C"):
            self._identifier()
        arguments = ", ".join(self._until_end(self._type))
        returned = self._type()
        return f"fn({arguments})" + ("" if returned == "()" else f" -> {returned}")

    def _dynamic(self) -> str:
        if self._if("G"):
            self._number()
        traits = self._until_end(self._trait)
        if self._if("L"):
            self._number()
        return "dyn " + " + ".join(traits)

    def _trait(self) -> str:
        name = self.path(value=False)
        while self._if("p"):
            self._identifier()
            self._type()
        return name

    def _argument(self) -> str:
        if self._if("L"):
            self._number()
            return ""
        return self._constant() if self._if("K") else self._type()

    def _constant(self) -> str:
        if self._if("B"):
            return self._again(self._constant)
        if self._type() == "_":
            return "_"
        sign = "-" if self._if("n") else ""
        end = self._text.index("_", self._at)
        digits, self._at = self._text[self._at : end], end + 1
        return f"{sign}{int(digits or '0', 16)}"

    def _until_end(self, read: Callable[[], str]) -> list[str]:
        names = []
        while not self._if("E"):
            names.append(read())
        return names

    def _again(self, read: Callable[[], str]) -> str:
        """Returns what stands at the place that a back reference names; it always lies
        before it.
        """
        here = self._at - 1
        place = self._number()
        if place >= here:
            raise ValueError(place)
        back, self._at = self._at, place
        names = self._deeper(read)
        self._at = back
        return names

    def _deeper(self, read: Callable[[], str]) -> str:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError(self._depth)
        names = read()
        self._depth -= 1
        return names

    def _disambiguator(self) -> int:
        return self._number() + 1 if self._if("s") else 0

    def _number(self) -> int:
        end = self._text.index("_", self._at)
        digits, self._at = self._text[self._at : end], end + 1
        value = 0
        for digit in digits:
            value = value * 62 + _DIGITS.index(digit)
        return value + 1 if digits else 0

    def _if(self, tag: str) -> bool:
        if self._text.startswith(tag, self._at):
            self._at += 1
            return True
        return False

    def _take(self) -> str:
        tag = self._text[self._at]
        self._at += 1
        return tag
