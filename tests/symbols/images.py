"""Builds small kernel images: code, kallsyms in every layout, BTF, in the containers that boot
loaders are given.
"""

from __future__ import annotations

import gzip
import lzma
import random
import struct

import lz4.block
import zstandard

TEXT = 0xFFFFFFFF81000000
ARM_TEXT = 0xFFFF800080000000
BANNER = b"Linux version {} (builder@example) (gcc 12) #1 SMP Example {}\n\0"


def padded(data, alignment=8):
    """The bytes with zeros behind them."""
    return data + b"\0" * (-len(data) % alignment)


def kallsyms(symbols, base, layout="6.5"):
    """The tables of (address, kind, name). `layout`: "5.4" offsets first; "6.2" with sequence
    numbers behind the markers; "6.5" offsets last; "absolute": addresses first; with "+percpu"
    small addresses are those of per-CPU symbols.
    """
    layout, _, percpu = layout.partition("+")
    symbols = sorted(symbols)
    words = [bytes((c,)) if 32 < c < 127 else b"" for c in range(256)]
    words[1], words[2] = b"tcp_", b"__"
    words[3:] = [word or b"unused" for word in words[3:]]
    names, markers = bytearray(), []
    for number, (_, kind, name) in enumerate(symbols):
        if number % 256 == 0:
            markers.append(len(names))
        text = (kind + name).encode().replace(b"tcp_", b"\1").replace(b"__", b"\2")
        size = len(text)
        names += bytes((size,)) if size < 128 else bytes((size & 127 | 128, size >> 7))
        names += text
    index, table = [], b""
    for word in words:
        index.append(len(table))
        table += word + b"\0"
    if layout == "absolute":
        offsets = struct.pack(f"<{len(symbols)}Q", *(address for address, _, _ in symbols))
        relative = b""
    else:
        values = [
            (address if address < 1 << 31 else base - 1 - address) if percpu else address - base
            for address, _, _ in symbols
        ]
        offsets = padded(struct.pack(f"<{len(symbols)}{'i' if percpu else 'I'}", *values))
        relative = struct.pack("<Q", 0 if layout == "arm64" else base)
    head = struct.pack("<Q", len(symbols)) + padded(bytes(names))
    head += padded(struct.pack(f"<{len(markers)}I", *markers))
    if layout == "6.2":
        shuffled = random.Random(1).sample(range(len(symbols)), len(symbols))
        head += padded(b"".join(number.to_bytes(3, "big") for number in shuffled))
    head += padded(table) + padded(struct.pack("<256H", *index))
    if layout in ("6.5", "arm64"):
        return head + offsets + relative
    return offsets + relative + head


def many(base, count=900, step=16):
    """So many functions that the tables have several markers."""
    return [(base + step * n, "t", f"tcp_helper__{n}_0123456789") for n in range(count)]


def bounds(symbols, base, size):
    """The symbols with those that say where the code begins and ends."""
    return [*symbols, (base, "T", "_text"), (base, "T", "_stext"), (base + size, "T", "_etext")]


def elf(*segments, machine=62):
    """An ELF file with loaded segments of (address, bytes)."""
    start = 64 + 56 * len(segments)
    heads, body = b"", b""
    for address, data in segments:
        offset = start + len(body)
        heads += struct.pack(
            "<IIQQQQQQ", 1, 5, offset, address, address, len(data), len(data), 4096
        )
        body += padded(data)
    ident = b"\x7fELF\x02\x01\x01" + b"\0" * 9
    head = struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0, 64, 0, 0, 64, 56, len(segments), 0, 0, 0)
    return ident + head + heads + body


def vmlinux(code, symbols, btf=b"", release="6.1.0-demo", layout="6.5", build="1", machine=62):
    """An x86-64 kernel as it was linked: code, and tables in the segment behind it."""
    base = TEXT
    everything = bounds([*symbols, *many(base + len(code) + 4096)], base, len(code))
    banner = BANNER.decode().format(release, build).encode()
    data = padded(banner) + padded(btf) + kallsyms(everything, base, layout)
    return elf((base, code), (base + 0x100000, data), machine=machine)


def arm64_image(code, symbols, btf=b"", release="6.1.0-demo", head=0x10000):
    """An arm64 Image whose relocations are not applied and whose symbols are those of code alone:
    `head` bytes stand in front of the code.
    """
    everything = [
        *symbols,
        (ARM_TEXT, "T", "_stext"),
        (ARM_TEXT + len(code), "T", "_etext"),
        *many(ARM_TEXT + len(code) + 4096, step=1004),
    ]
    banner = padded(BANNER.decode().format(release, "1").encode())
    start = bytearray(b"MZ".ljust(0x38, b"\0") + b"ARM\x64").ljust(head, b"\0")
    data = banner + padded(btf) + kallsyms(everything, ARM_TEXT, "arm64")
    return bytes(start) + padded(code, 4096) + data


def _lz4(data):
    blocks = b"".join(
        struct.pack("<I", len(packed)) + packed
        for packed in (
            lz4.block.compress(data[start : start + (8 << 20)], store_size=False)
            for start in range(0, len(data), 8 << 20)
        )
    )
    return b"\x02\x21\x4c\x18" + blocks + struct.pack("<I", len(data))


PACKED = {
    "gzip": gzip.compress,
    "xz": lambda data: lzma.compress(data, lzma.FORMAT_XZ, lzma.CHECK_CRC32),
    "zstd": lambda data: zstandard.ZstdCompressor(write_content_size=False).compress(data),
    "lz4": _lz4,
}


def bzimage(payload):
    """An x86 boot image around a packed kernel (boot protocol 2.15)."""
    head = bytearray(5 * 512)
    head[:2] = b"MZ"
    head[0x1F1] = 4
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", head, 0x248, 64, len(payload))
    return bytes(head) + b"\x90" * 64 + payload + b"\0" * 100


def zboot(payload, name=b"zstd"):
    """An EFI zboot image around a packed arm64 Image."""
    head = struct.pack("<2s2x4sII8x32s", b"MZ", b"zimg", 0x200, len(payload), name)
    return head.ljust(0x200, b"\0") + payload
