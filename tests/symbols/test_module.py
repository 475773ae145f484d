"""Modules: code as the loader leaves it, split types, and one line where a file is none."""

from __future__ import annotations

import lzma
import random

import pytest

from detector.member.kernel import KernelBuild
from detector.member.naming import name_access
from detector.symbols import UnreadableImageError
from detector.symbols.btf import Btf
from detector.symbols.module import read_module
from tests.member.demo_kernel import types
from tests.symbols.btf_writer import BtfWriter
from tests.symbols.modules import module


def build(data):
    """The module, as the analysis sees it."""
    read = read_module(data)
    image = read.image
    kinds = Btf(image.btf, Btf(types()))
    return KernelBuild(image.arch, image.code, image.symbols, kinds, relocated=read.relocated)


@pytest.mark.parametrize("packed", [bytes, lambda data: lzma.compress(data, lzma.FORMAT_XZ)])
def test_a_member_of_the_kernel_is_named_in_a_module(packed):
    """Through a struct of the module, whose types go on from the kernel's."""
    demo = build(packed(module()))
    (start,) = demo.symbols.addresses_of("mod_find")
    access = name_access(demo, start + 11)
    assert (access.struct, access.member) == ("struct demo_sock", "net")
    assert access.chain == ("argument 1 `priv`", "struct mod_priv.sk")


def test_calls_lead_to_names_and_what_the_loader_fills_in_is_known():
    """Names that other code defines; eight bytes of two relocations."""
    demo = build(module())
    (start,) = demo.symbols.addresses_of("mod_find")
    assert demo.callers(*demo.symbols.addresses_of("demo_use")) == (start + 15,)
    filled = [at for at in range(20) if demo.is_relocated(start + at)]
    assert filled == [3, 4, 5, 6, 16, 17, 18, 19]


def test_types_of_another_build_are_not_these():
    """Names of the kernel begin elsewhere in its strings."""
    own, other = Btf(types()), BtfWriter()
    assert Btf(read_module(module()).image.btf, own).belongs_to(own)
    for number in range(200):
        other.struct(f"a{number}", 8)
    base = Btf(bytes(other))
    assert not Btf(read_module(module()).image.btf, base).belongs_to(base)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "no kernel image"),
        (module()[:300], "cut"),
        (module(machine=8), "no module of x86-64 or arm64"),
        (module().replace(b"vermagic=", b"vermagik="), "no kernel module"),
        (module().replace(b".symtab", b".symtub"), "stripped"),
    ],
)
def test_what_is_no_module_is_one_line(data, text):
    """It says why."""
    with pytest.raises(UnreadableImageError, match=text):
        read_module(data)


def test_damaged_modules_end_in_an_error_or_in_a_module():
    """Two thousand files with bytes changed."""
    draw = random.Random(5)
    sound = module()
    for _ in range(2000):
        data = bytearray(sound)
        for _ in range(draw.randint(1, 6)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        try:
            demo = build(bytes(data))
            for address in set(demo.symbols.addresses):
                name_access(demo, address)
        except UnreadableImageError:
            continue
