"""Builds small kernel modules: an ELF file that is not linked, with relocations and split BTF."""

from __future__ import annotations

import struct

from detector.symbols.btf import Btf
from tests.member.demo_kernel import types
from tests.symbols.btf_writer import BtfWriter

CODE = bytes.fromhex("488b0500000000 488b4708 488b4030 e800000000 c3")
"""mov rax, [rip+demo_table]; mov rax, [rdi+8]; mov rax, [rax+0x30]; call demo_use; ret"""
RELOCATIONS = ((3, 2, 1, -4), (16, 4, 2, -4))  # offset, R_X86_64_PC32 or PLT32, symbol, addend


class SplitWriter(BtfWriter):
    """Types that go on from those of a kernel."""

    def __init__(self, base):
        super().__init__()
        self.base = Btf(base)
        self.strings = bytearray()

    def add(self, *arguments, **named):
        """Adds a type; its number comes back."""
        return super().add(*arguments, **named) + len(self.base) - 1

    def text(self, name):
        """The offset of a name, in the kernel's names where it is one of them."""
        found = self.base.strings.find(b"\0" + name.encode() + b"\0")
        if not name or found >= 0:
            return found + 1 if name else 0
        self.strings += name.encode() + b"\0"
        return len(self.base.strings) + len(self.strings) - len(name.encode()) - 1


def split_types(base=None):
    """struct mod_priv {number; sk}, and mod_find(priv)."""
    btf = SplitWriter(types() if base is None else base)
    number = next(n for n in range(1, len(btf.base)) if btf.base.info(n).name == "unsigned long")
    sock = btf.pointer(btf.base.struct("demo_sock"))
    private = btf.struct("mod_priv", 16, ("count", number, 0), ("sk", sock, 8))
    btf.function("mod_find", 0, ("priv", btf.pointer(private)))
    return bytes(btf)


def module(btf=None, release="6.1.0-demo", name="demo-mod", machine=62):
    """The file of a module whose one function is mod_find."""
    symbols = [("", 0, 0), ("demo_table", 0, 0), ("demo_use", 0, 0), ("mod_find", 1, 0)]
    strings, table = b"\0", b""
    for text, section, value in symbols:
        at = len(strings) if text else 0
        strings += text.encode() + b"\0" if text else b""
        table += struct.pack("<IBBHQQ", at, 0x12, 0, section, value, 0)
    info = f"name={name}\0vermagic={release} SMP mod_unload \0".encode()
    relocations = b"".join(
        struct.pack("<QQq", offset, symbol << 32 | kind, addend)
        for offset, kind, symbol, addend in RELOCATIONS
    )
    sections = [  # name, type, flags, info, bytes
        ("", 0, 0, 0, b""),
        (".text", 1, 6, 0, CODE),
        (".rela.text", 4, 0, 1, relocations),
        (".modinfo", 1, 2, 0, info),
        (".BTF", 1, 0, 0, split_types() if btf is None else btf),
        (".symtab", 2, 0, 0, table),
        (".strtab", 3, 0, 0, strings),
    ]
    names = b"".join(section[0].encode() + b"\0" for section in sections) + b".shstrtab\0"
    sections.append((".shstrtab", 3, 0, 0, names))
    body, headers = b"", b""
    for text, kind, flags, info_, data in sections:
        at = names.index(text.encode() + b"\0")
        header = at, kind, flags, 0, 64 + len(body), len(data), 0, info_, 16, 0
        headers += struct.pack("<IIQQQQIIQQ", *header)
        body += data
    ident = b"\x7fELF\x02\x01\x01" + b"\0" * 9
    count = len(sections)
    fields = 1, machine, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64, count, count - 1
    return ident + struct.pack("<HHIQQQIHHHHHH", *fields) + body + headers
