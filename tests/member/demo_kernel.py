"""A small kernel with types, whose functions read lists of sockets: machine code by hand, since no
assembler is asked for.
"""

from __future__ import annotations

import struct

from detector.member.kernel import KernelBuild
from detector.symbols.btf import Btf
from detector.symbols.image import CodeRange
from detector.symbols.table import SymbolTable
from tests.symbols.btf_writer import UNION, BtfWriter
from tests.symbols.images import ARM_TEXT, TEXT, arm64_image, vmlinux

RELEASE = "6.1.0-demo"


def types():
    """struct demo_sock {…; net at 0x30; node at 0x68; cb[48] at 0x80}, and functions of it."""
    btf = BtfWriter()
    number = btf.integer("unsigned long", 8)
    byte = btf.integer("unsigned char", 1)
    to_node = btf.pointer(0)
    node = btf.struct("hlist_node", 16, ("next", to_node, 0), ("pprev", to_node, 8))
    btf.point(to_node, node)
    head = btf.struct("hlist_head", 8, ("first", to_node, 0))
    net = btf.struct("demo_net", 16, ("count", number, 0), ("hash", number, 8))
    either = btf.struct("", 8, ("port", number, 0), ("pair", number, 0), kind=UNION)
    area = btf.array(byte, 48)
    sock = btf.struct(
        "demo_sock",
        0xB0,
        ("refs", number, 0),
        ("", either, 8),
        ("net", btf.pointer(net), 0x30),
        ("node", node, 0x68),
        ("cb", area, 0x80),
    )
    table = btf.struct("demo_table", 16, ("first", btf.pointer(sock), 0), ("mask", number, 8))
    to_sock = btf.pointer(sock)
    to_table = btf.pointer(table)
    btf.function("demo_lookup", to_sock, ("table", to_table), ("hash", number))
    btf.function("demo_walk", 0, ("head", btf.pointer(head)))
    btf.function("demo_use", 0, ("sk", to_sock))
    btf.function("demo_union", number, ("sk", to_sock))
    btf.function("demo_private", number, ("sk", to_sock))
    btf.function("demo_caller", 0, ("table", to_table))
    reference = btf.struct("demo_ref", 8, ("count", number, 0))
    btf.struct("demo_key", 0x18, ("usage", reference, 0), ("flags", number, 0x10))
    btf.struct("demo_signal", 0x18, ("live", reference, 0), ("state", byte, 0x11))
    rest = btf.array(btf.pointer(0), 0)
    context = btf.struct("demo_desc", 8, ("tfm", number, 0), ("__ctx", rest, 8))
    btf.function("demo_context", 0, ("desc", btf.pointer(context)))
    btf.function("demo_fit", 0, ("ref", btf.pointer(reference)))
    return bytes(btf)


def assemble(parts, base, filler):
    """Places (name, code or a function of all addresses) at multiples of 64: code and symbols."""
    places = {name: base + 64 * number for number, name in enumerate(parts)}
    code, symbols = b"", []
    for name, part in parts.items():
        own = part(places) if callable(part) else part
        code += own + filler * ((64 - len(own)) // len(filler))
        symbols.append((places[name], "t", name))
    return code, symbols


def call(places, at, target, offset):
    """x86: call from an offset of one function to another."""
    return b"\xe8" + struct.pack("<i", places[target] - (places[at] + offset + 5))


X86 = {
    # mov rax, [rdi]; mov rdx, [rax+0x30]; cmp [rdx+8], rsi; ret
    "demo_lookup": bytes.fromhex("488b07 488b5030 48397208 c3"),
    # push rbx; mov rbx, [rdi]; lea rdi, [rbx-0x68]; call demo_use; mov rax, [rbx-0x38]; pop; ret
    "demo_walk": lambda at: (
        bytes.fromhex("53 488b1f 488d7b98")
        + call(at, "demo_walk", "demo_use", 8)
        + bytes.fromhex("488b43c8 5b c3")
    ),
    # mov qword [rdi], 0; ret
    "demo_use": bytes.fromhex("48c70700000000 c3"),
    # mov rax, [rdi+8]; ret
    "demo_union": bytes.fromhex("488b4708 c3"),
    # mov rax, [rdi+0x88]; ret
    "demo_private": bytes.fromhex("488b8788000000 c3"),
    # call demo_hidden; ret
    "demo_caller": lambda at: call(at, "demo_caller", "demo_hidden", 0) + b"\xc3",
    # mov rax, [rdi+8]; ret: no prototype, its caller says the type
    "demo_hidden": bytes.fromhex("488b4708 c3"),
    # mov rax, [rdi+0x10]; ret: behind the end of what the prototype says
    "demo_fit": bytes.fromhex("488b4710 c3"),
}
ARM64 = {
    # ldr x1, [x0]; ldr x2, [x1, #0x30]; str x1, [x2, #8]; ret
    "demo_lookup": struct.pack("<4I", 0xF9400001, 0xF9401822, 0xF9000441, 0xD65F03C0),
    # stp x29, x30, [sp, #-32]!; str x19, [sp, #16]; ldr x19, [x0]; sub x0, x19, #0x68;
    # bl demo_use; ldur x1, [x19, #-0x38]; ldr x19, [sp, #16]; ldp x29, x30, [sp], #32; ret
    "demo_walk": lambda at: struct.pack(
        "<9I",
        0xA9BE7BFD,
        0xF9000BF3,
        0xF9400013,
        0xD101A260,
        0x94000000 | ((at["demo_use"] - at["demo_walk"] - 16) // 4),
        0xF85C8261,
        0xF9400BF3,
        0xA8C27BFD,
        0xD65F03C0,
    ),
    # str xzr, [x0]; ret
    "demo_use": struct.pack("<2I", 0xF900001F, 0xD65F03C0),
}


def x86_image(release=RELEASE, **changed):
    """The image of the demo kernel."""
    code, symbols = assemble({**X86, **changed}, TEXT, b"\xcc")
    return vmlinux(code, symbols, types(), release)


def arm64_demo_image():
    """The same for arm64."""
    code, symbols = assemble(ARM64, ARM_TEXT, b"\x1f\x20\x03\xd5")
    return arm64_image(code, symbols, types())


def kernel(arch="x86_64", **changed):
    """The demo kernel, without its image."""
    parts, base, filler = (
        (X86, TEXT, b"\xcc") if arch == "x86_64" else (ARM64, ARM_TEXT, b"\x1f\x20\x03\xd5")
    )
    code, symbols = assemble({**parts, **changed}, base, filler)
    end = [(base + len(code), "T", "_etext")]
    return KernelBuild(arch, (CodeRange(base, code),), SymbolTable.of(symbols + end), Btf(types()))
