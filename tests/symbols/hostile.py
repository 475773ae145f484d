"""Hostile images of real size: `make symbols-hostile`, or python -m tests.symbols.hostile [CASE …].

Each case is a file that is made to cost time or memory: what unpacks without end, tables that lead
into themselves, counts and names that no kernel has, sections that overlap. `oopswatch symbols add`
reads it in a process of its own. Whatever happens, it is a pack or one line, within SECONDS of CPU
time and MEGABYTES.
"""

from __future__ import annotations

import gzip
import lzma
import multiprocessing
import os
import random
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import zstandard

from tests.member.demo_kernel import RELEASE, types, x86_image
from tests.symbols.images import BANNER, PACKED, TEXT, bzimage, elf, many, vmlinux
from tests.symbols.modules import module

SECONDS, MEGABYTES = 5, 200
_MOST = 96 << 20  # bytes that a file may have
_HEAD = elf((TEXT, b"")) + BANNER.decode().format(RELEASE, 1).encode()
_LARGE = 2 << 30
_MOST_MEMORY = 2 << 30  # what a case may take before it is ended


def filled(pattern, size=_MOST - 16_384, head=_HEAD):
    """An ELF file of a size, full of a pattern."""
    return head + (pattern * (size // len(pattern) + 1))[:size]


def pieces(size):
    """The beginning of an ELF file, and zeros behind it."""
    yield _HEAD
    for _ in range(size >> 20):
        yield bytes(1 << 20)


def bomb(compressor):
    """So many zeros, packed."""
    packed = [compressor.compress(piece) for piece in pieces(_LARGE)]
    return bzimage(b"".join((*packed, compressor.flush())))


def xz_of_a_large_window():
    """A dictionary of 128 MB, which the kernel's own xz may have, filled."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 128 << 20}]
    packer = lzma.LZMACompressor(lzma.FORMAT_XZ, lzma.CHECK_CRC32, filters=filters)
    part = random.Random(1).randbytes(1 << 20)
    body = [packer.compress(_HEAD), *(packer.compress(part) for _ in range(97)), packer.flush()]
    return bzimage(b"".join(body))


def hardly_packed(size):
    """An image that is as large packed as it is unpacked."""
    data = filled(random.Random(2).randbytes(1 << 20), size)
    return bzimage(gzip.compress(data, 0))


def btf(kinds, strings):
    """Types of these bytes."""
    header = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(kinds), len(kinds), len(strings))
    return header + kinds + strings


def many_types(count):
    """So many functions, each with a name of its own."""
    names = b"".join(b"\0f%07d" % number for number in range(1, count + 1)) + b"\0"
    kinds = b"".join(struct.pack("<III", 1 + 9 * n, 12 << 24, 0) for n in range(count))
    return btf(kinds, names)


def long_names(count, size):
    """So many functions whose names run to the end of so many bytes."""
    kinds = b"".join(struct.pack("<III", 1 + n, 12 << 24, 0) for n in range(count))
    return btf(kinds, b"\0" + b"a" * size + b"\0")


def image_of(code, types_, symbols=(), size=0):
    """A kernel of this code and these types, at least so large."""
    image = vmlinux(code, list(symbols), types_)
    return image + bytes(max(0, size - len(image)))


def tokens(words):
    """The table of 256 tokens, and its index."""
    index, table = [], b""
    for word in words:
        index.append(len(table))
        table += word + b"\0"
    return table + bytes(-len(table) % 8) + struct.pack("<256H", *index)


def of_letter(letter):
    """Tokens of digits, and of one letter else."""
    return [bytes((c,)) if 48 <= c < 58 else letter for c in range(256)]


def marker_runs():
    """What looks like the markers of kallsyms, everywhere, in front of four tables of tokens."""
    run = struct.pack("<IIII", 0, 512, 1024, 1536)
    return filled(run, 80 << 20) + (bytes(4096) + tokens(of_letter(b"q"))) * 4


def walks():
    """Numbers of names in front of markers, everywhere: each may be the head of the table."""
    run = struct.pack("<II", 700, 0) + b"\1\1" * 4
    markers = struct.pack("<III", 0, 512, 1024)
    parts = (run * 8192 + markers) * 200
    return _HEAD + (bytes(4096) + parts + tokens(of_letter(b"q"))) * 4


def long_symbols(count=100_000, length=500):
    """A table of names whose every name is of 500 tokens of 50 letters."""
    name = bytes((length & 127 | 128, length >> 7)) + b"\xff" * length
    markers = [256 * number * len(name) for number in range(-(-count // 256))]
    names = name * count
    head = struct.pack("<Q", count) + names + bytes(-len(names) % 8)
    head += struct.pack(f"<{len(markers)}I", *markers) + bytes(-4 * len(markers) % 8)
    head += tokens(of_letter(b"q" * 50))
    offsets = struct.pack(f"<{count}I", *range(0, 16 * count, 16)) + struct.pack("<Q", TEXT)
    banner = BANNER.decode().format(RELEASE, 1).encode()
    banner += bytes(-len(banner) % 8)
    return elf((TEXT, bytes(4096)), (TEXT + 0x100000, banner + head + offsets))


def many_symbols():
    """More symbols than a kernel has, and all that may stand beside them."""
    return vmlinux(bytes(4096), many(TEXT + 4096, 390_000), types())


def as_large_as_may_be():
    """More than any kernel has of each: code, types, symbols."""
    code, others = random.Random(3).randbytes(39 << 20), many(TEXT + (40 << 20), 300_000)
    return image_of(code, many_types(350_000), others, _MOST - 4096)


def overlapping_sections():
    """A module whose 65,000 sections are each all of its 60 MB."""
    body = bytes(60 << 20)
    count = 65_000
    header = struct.pack("<IIQQQQIIQQ", 0, 1, 6, 0, 0, len(body), 0, 0, 16, 0)
    ident = b"\x7fELF\x02\x01\x01" + b"\0" * 9
    fields = 1, 62, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64, count, count - 1
    return ident + struct.pack("<HHIQQQIHHHHHH", *fields) + body + header * count


def module_with(name, data):
    """The demo's module with another content of one section."""
    image = bytearray(module())
    (table,) = struct.unpack_from("<Q", image, 40)
    _, count, names_at = struct.unpack_from("<HHH", image, 58)
    (names,) = struct.unpack_from("<Q", image, table + 64 * names_at + 24)
    for number in range(count):
        (at,) = struct.unpack_from("<I", image, table + 64 * number)
        if image[names + at :].startswith(name + b"\0"):
            struct.pack_into("<QQ", image, table + 64 * number + 24, len(image), len(data))
    return bytes(image) + data


def endless_names():
    """Symbols whose names have no end but that of 20 MB."""
    table = b"".join(struct.pack("<IBBHQQ", n, 2, 0, 0, 0, 0) for n in range(490_000))
    image = module_with(b".symtab", table)
    names = b"a" * (20 << 20) + b"\0"
    start = bytearray(image)
    (sections,) = struct.unpack_from("<Q", start, 40)
    struct.pack_into("<QQ", start, sections + 64 * 6 + 24, len(start), len(names))
    return bytes(start) + names


def relocations(count):
    """So many places that a loader fills in."""
    return module_with(b".rela.text", struct.pack("<QQq", 3, 1 << 32 | 2, -4) * count)


def fast(filters):
    """An xz packer without much effort."""
    return lzma.LZMACompressor(lzma.FORMAT_XZ, lzma.CHECK_CRC32, filters=filters)


CASES = {
    "a bomb of gzip": lambda: bzimage(gzip.compress(b"".join(pieces(400 << 20)), 1)),
    "a bomb of xz": lambda: bomb(fast([{"id": lzma.FILTER_LZMA2, "preset": 0}])),
    "a bomb of zstd": lambda: bomb(
        zstandard.ZstdCompressor(write_content_size=False).compressobj()
    ),
    "a bomb of lz4": lambda: bzimage(PACKED["lz4"](b"".join(pieces(400 << 20)))),
    "xz with a window of 128 MB": xz_of_a_large_window,
    "90 MB that unpack to 90": lambda: hardly_packed(90 << 20),
    "40 MB that unpack to 40": lambda: hardly_packed(40 << 20),
    "banners without an end": lambda: filled(b"Linux version 1.1 ("),
    "digits everywhere": lambda: filled(b"".join(b"%d\0" % digit for digit in range(10))),
    "markers everywhere": marker_runs,
    "tables of names everywhere": walks,
    "long symbols": long_symbols,
    "390,000 symbols": many_symbols,
    "heads of types everywhere": lambda: image_of(
        bytes(4096), b"\x9f\xeb\x01\x00\x18\x00\x00\x00" * (11 << 20)
    ),
    "4 million types": lambda: image_of(bytes(4096), btf(bytes(12) * 3_900_000, bytes(8))),
    "2 million functions": lambda: image_of(bytes(4096), many_types(2_000_000)),
    "names of 20 MB": lambda: image_of(bytes(4096), long_names(1_000_000, 20 << 20)),
    "as large as may be": as_large_as_may_be,
}
TYPES = {
    "4 million types alone": lambda: btf(bytes(12) * 3_900_000, bytes(8)),
    "2 million functions alone": lambda: many_types(2_000_000),
}
MODULES = {
    "sections that overlap": overlapping_sections,
    "490,000 symbols without an end": endless_names,
    "2.5 million relocations": lambda: relocations(2_500_000),
    "500,000 relocations": lambda: relocations(500_000),
}


def added(folder, *arguments):
    """(exit code, CPU seconds, MB, errors) of `symbols add` with these arguments."""
    command = [Path(sys.executable).with_name("oopswatch"), "symbols", "add", *arguments]
    started = subprocess.Popen(
        ["prlimit", f"--as={_MOST_MEMORY}", "--", *command, "--to", folder],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    errors = started.stderr.read().decode()
    _, status, usage = os.wait4(started.pid, 0)
    started.returncode = os.waitstatus_to_exitcode(status)
    spent = usage.ru_utime + usage.ru_stime
    return started.returncode, spent, usage.ru_maxrss // 1024, errors


def write(folder, name):
    """Writes the file of a case."""
    (folder / "vmlinuz").write_bytes((CASES | TYPES).get(name, x86_image)())
    if name in MODULES:
        (folder / "modules").mkdir()
        (folder / "modules" / "demo-mod.ko").write_bytes(MODULES[name]())


def tried(folder, name):
    """What comes of a case. Its file is made by a process of its own: a child begins with the
    memory of its parent, as the system counts it.
    """
    writer = multiprocessing.get_context("fork").Process(target=write, args=(folder, name))
    writer.start()
    writer.join()
    assert writer.exitcode == 0
    more = ["--release", RELEASE] if name in TYPES else []
    more += ["--modules", folder / "modules"] if name in MODULES else []
    return added(folder, folder / "vmlinuz", *more)


def main():
    """Prints what came of each; 1 where anything but a pack or a line did, or it cost too much."""
    names = sys.argv[1:] or [*CASES, *TYPES, *MODULES]
    faults = 0
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            code, spent, megabytes, errors = tried(Path(folder), name)
        is_quiet = errors.count("\n") == (1 if code else 0)
        good = code in (0, 2) and is_quiet and spent <= SECONDS and megabytes <= MEGABYTES
        faults += not good
        said = errors.strip().rsplit(": ", 1)[-1][-90:] if errors else "a pack"
        mark = "" if good else "  <- FAULT"
        print(f"{name}: {spent:.1f} s, {megabytes} MB, exit {code}, {said}{mark}", flush=True)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
