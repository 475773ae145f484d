"""Kernel images: every container, every layout of kallsyms, and what damage is answered with."""

from __future__ import annotations

import random
import struct

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.symbols import UnreadableImageError
from detector.symbols import unpack as unpacking
from detector.symbols.image import read_image, read_types
from detector.symbols.kallsyms import decode_kallsyms
from tests.support.kernel_image import CODE, OWN, assert_one_line, types
from tests.symbols.images import (
    ARM_TEXT,
    PACKED,
    TEXT,
    arm64_image,
    bzimage,
    elf,
    kallsyms,
    many,
    padded,
    vmlinux,
    zboot,
)


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("container", [bzimage, bytes])
def test_an_image_is_unpacked_and_read(container, packed):
    """Release, build, code, symbols and types come out, whatever packs the kernel."""
    image = read_image(container(PACKED[packed](vmlinux(CODE, OWN, types()))))
    assert (image.arch, image.release) == ("x86_64", "6.1.0-demo")
    assert image.build.endswith("#1 SMP Example 1")
    assert [(one.address, one.data) for one in image.code] == [(TEXT, CODE)]
    assert image.symbols.addresses_of("tcp_v4_rcv") == [TEXT + 16]
    assert image.symbols.names_at(TEXT + 640) == (OWN[1][2],)
    assert image.symbols.end_of(TEXT + 16) == TEXT + 640
    assert image.btf == types()


@pytest.mark.parametrize("packed", ["zstd", "gzip"])
def test_a_zboot_image_of_arm64_is_read(packed):
    """Where relocations are left to the boot, calls say where the code begins."""
    code = bytearray(b"\x1f\x20\x03\xd5" * 1024)
    at = {64 * n: 128 + 64 * (n * 7 % 50) for n in range(1, 60)}
    for position, target in at.items():  # bl
        word = 0x94000000 | ((target - position) // 4 & 0x3FFFFFF)
        code[position : position + 4] = word.to_bytes(4, "little")
    symbols = [(ARM_TEXT + target, "T", f"called_{target}") for target in at.values()]
    plain = arm64_image(bytes(code), symbols, types())
    for image in (read_image(zboot(PACKED[packed](plain))), read_image(plain)):
        assert image.arch == "arm64"
        assert image.code[0].data == bytes(code)
        assert image.symbols.addresses_of("called_128") == [ARM_TEXT + 128]
        assert image.btf == types()


@pytest.mark.parametrize("layout", ["5.4", "5.4+percpu", "6.2", "6.2+percpu", "6.5", "6.5+percpu"])
def test_symbols_of_every_layout_are_decoded(layout):
    """Offsets in front or behind, sequence numbers, per-CPU symbols, names of over 127 bytes."""
    symbols = [*many(TEXT), *OWN]
    if "percpu" in layout:
        symbols += [(0, "A", "fixed_percpu_data"), (0x1000, "A", "cpu_tss_rw")]
    noise = random.Random(layout).randbytes(5000)
    table = decode_kallsyms(padded(noise) + kallsyms(symbols, TEXT, layout) + noise)
    assert len(table) == len(symbols)
    expected = sorted((address, name) for address, _, name in symbols)
    assert sorted(zip(table.addresses, table.names, strict=True)) == expected
    assert table.kinds[-1] == "t"


def test_absolute_addresses_are_decoded():
    """Kernels before 6.11 may be built without CONFIG_KALLSYMS_BASE_RELATIVE."""
    table = decode_kallsyms(b"\0" * 64 + kallsyms(many(TEXT), TEXT, "absolute"))
    assert table.addresses_of("tcp_helper__3_0123456789") == [TEXT + 48]


@given(st.integers(600, 1500), st.integers(1, 200), st.integers(0, 63))
@settings(max_examples=25, deadline=None)
def test_symbols_come_back_whatever_their_number(count, step, shift):
    """Names, addresses and kinds are those that were written."""
    symbols = many(TEXT, count, step)
    data = b"\xff" * (8 * shift) + kallsyms(symbols, TEXT, "6.5")
    table = decode_kallsyms(data)
    assert list(zip(table.addresses, table.kinds, table.names, strict=True)) == symbols


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no kernel image"),
        (b"#!/bin/sh\n" * 100, "no kernel image"),
        (b"BZh91AY" + b"x" * 99, "packed by bzip2"),
        (PACKED["gzip"](b"text" * 100), "neither an ELF file nor an Image"),
        (PACKED["xz"](vmlinux(CODE, OWN))[:-500], "does not unpack"),
        (PACKED["zstd"](vmlinux(CODE, OWN))[:-50], "does not unpack"),
        (bzimage(PACKED["gzip"](vmlinux(CODE, OWN)))[:9000], "it is cut"),
        (vmlinux(CODE, OWN)[:-4096], "no table of symbols|it is cut"),
        (vmlinux(CODE, OWN, machine=243), "its machine is 243"),
        (elf((TEXT, CODE)), "no kernel's banner"),
        (elf((TEXT, b"Linux version 6.1.0 (a@b) #1\n\0")), "no table of symbols"),
        (types(), "types alone"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} bytes",
)
def test_what_is_no_image_is_refused_in_one_line(data, why):
    """The line says what is wrong."""
    with pytest.raises(UnreadableImageError, match=why) as caught:
        read_image(data)
    assert "\n" not in str(caught.value)


def test_an_image_that_unpacks_without_end_is_refused(monkeypatch):
    """A bomb costs no more than the bound."""
    monkeypatch.setattr(unpacking, "MAX_IMAGE", 4 << 20)
    bomb = PACKED["gzip"](vmlinux(CODE, OWN) + bytes(64 << 20))
    with pytest.raises(UnreadableImageError, match="unpacks to more than 4 MB"):
        read_image(bomb)


def test_damaged_images_are_read_or_refused():
    """Bytes that are changed, cut or doubled raise nothing else."""
    source, rng = vmlinux(CODE, OWN, types()), random.Random(11)
    for packed in (bytes, PACKED["gzip"], PACKED["zstd"], PACKED["lz4"], PACKED["xz"]):
        whole = packed(source)
        for _ in range(30):
            data = bytearray(whole)
            for _ in range(rng.randint(1, 30)):
                data[rng.randrange(len(data))] = rng.choice((0, 255, rng.randrange(256)))
            cut = data[: rng.randrange(len(data))] if rng.random() < 0.3 else data
            try:
                read_image(bytes(cut))
            except UnreadableImageError as error:
                assert_one_line(error)


def test_symbols_that_nearly_agree_everywhere_cost_bounded_time():
    """Words that are a count and a name of eight bytes at once agree wherever a walk begins."""
    count, tables = 0xC807, kallsyms(many(TEXT), TEXT)
    words = struct.pack("<Q", count) * (count + 20_000)
    markers = struct.pack("<201I", *range(0, 201 * 2048, 2048))
    tokens = tables.index(b"\0tcp_\0__\0")
    hostile = words + bytes(16) + padded(markers) + tables[tokens:]
    with pytest.raises(UnreadableImageError, match="cannot be told apart"):
        decode_kallsyms(hostile)


def test_types_alone_are_read_with_their_release():
    """Layouts without code."""
    image = read_types(types(), "6.1.0-demo")
    assert (image.release, image.code, len(image.symbols)) == ("6.1.0-demo", (), 0)
    with pytest.raises(UnreadableImageError, match="--release is for types alone"):
        read_types(vmlinux(CODE, OWN), "6.1.0-demo")


def test_a_zstd_frame_that_claims_a_huge_content_is_refused():
    """No size that is claimed reserves memory unchecked: the appended one, the frame's own."""
    content = vmlinux(CODE, OWN)
    frame = zstandard.compress(content)
    size = len(content).to_bytes(4, "little")
    descriptor = frame[4]
    fields = (1, 2, 4, 8)[descriptor >> 6]
    single = descriptor & 0x20
    start = 5 if single else 6
    huge = frame[:4] + b"\xe0" + (1 << 60).to_bytes(8, "little") + frame[start + fields :]
    assert zstandard.frame_content_size(huge) == 1 << 60
    with pytest.raises(UnreadableImageError) as caught:
        read_image(bzimage(huge + size))
    assert_one_line(caught.value)
