"""Writes BTF, as pahole does for a kernel: types are added, and refer to each other by number."""

from __future__ import annotations

import struct

INT, PTR, ARRAY, STRUCT, UNION, FUNC, FUNC_PROTO, VAR = 1, 2, 3, 4, 5, 12, 13, 14
TYPEDEF, CONST = 8, 10


class BtfWriter:
    """`bytes()` of it is the section."""

    def __init__(self):
        self.types = []
        self.strings = bytearray(b"\0")

    def add(self, kind, name="", value=0, count=0, extra=b"", *, flag=False):
        """Adds a type; its number comes back."""
        head = kind << 24 | count | flag << 31
        self.types.append(struct.pack("<III", self.text(name), head, value) + extra)
        return len(self.types)

    def text(self, name):
        """The offset of a name."""
        if not name:
            return 0
        self.strings += name.encode() + b"\0"
        return len(self.strings) - len(name.encode()) - 1

    def integer(self, name, size):
        """An integer of some bytes."""
        return self.add(INT, name, size, extra=struct.pack("<I", size * 8))

    def pointer(self, target):
        """A pointer."""
        return self.add(PTR, value=target)

    def array(self, element, count):
        """An array."""
        return self.add(ARRAY, extra=struct.pack("<III", element, 1, count))

    def struct(self, name, size, *members, kind=STRUCT):
        """A struct of (name, type, offset in bytes)."""
        extra = b"".join(struct.pack("<III", self.text(n), t, o * 8) for n, t, o in members)
        return self.add(kind, name, size, len(members), extra)

    def point(self, number, target):
        """Lets a pointer that was added earlier lead to a later type."""
        self.types[number - 1] = self.types[number - 1][:8] + struct.pack("<I", target)

    def prototype(self, result, *parameters):
        """A prototype of (name, type)."""
        extra = b"".join(struct.pack("<II", self.text(n), t) for n, t in parameters)
        return self.add(FUNC_PROTO, value=result, count=len(parameters), extra=extra)

    def function(self, name, result, *parameters):
        """A function."""
        return self.add(FUNC, name, self.prototype(result, *parameters))

    def variable(self, name, kind):
        """A per-CPU variable."""
        return self.add(VAR, name, kind, extra=struct.pack("<I", 1))

    def __bytes__(self):
        types = b"".join(self.types)
        header = struct.pack(
            "<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(self.strings)
        )
        return header + types + bytes(self.strings)
