"""What is made to cost time or memory is refused; `make symbols-hostile` is of real size."""

from __future__ import annotations

import struct

import pytest

from detector.symbols import UnreadableImageError, kallsyms, unpack
from detector.symbols import btf as kinds
from detector.symbols import image as images
from detector.symbols import module as modules
from detector.symbols.btf import Btf, find_btf
from detector.symbols.elf import read_sections
from detector.symbols.image import read_image
from detector.symbols.module import read_module
from tests.member.demo_kernel import types, x86_image
from tests.symbols.images import PACKED, bzimage
from tests.symbols.modules import module


def functions(count, strings):
    """So many functions whose names begin one byte apart."""
    head = b"".join(struct.pack("<III", 1 + number, 12 << 24, 0) for number in range(count))
    header = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(head), len(head), len(strings))
    return header + head + strings


def test_a_name_of_types_has_an_end():
    """Else each of many names may be all that stands behind it."""
    with pytest.raises(UnreadableImageError, match="a name has more than 512 bytes"):
        Btf(functions(3, b"\0" + b"a" * 600 + b"\0"))
    assert len(Btf(functions(3, b"\0" + b"a" * 500 + b"\0")).functions) == 3


def test_types_are_bounded(monkeypatch):
    """By number; what begins like types is looked at so many times."""
    monkeypatch.setattr(kinds, "_MOST_TYPES", 4)
    with pytest.raises(UnreadableImageError, match="more than 4 types"):
        Btf(functions(5, b"\0aaaaaaaa\0"))
    monkeypatch.setattr(kinds, "_MOST_HEADS", 3)
    assert find_btf(kinds.HEADER * 2 + types()) == types()
    assert find_btf(kinds.HEADER * 3 + types()) is None


@pytest.mark.parametrize(
    ("where", "name", "value", "said"),
    [
        (kallsyms, "_MOST_LETTERS", 100, "its symbols have more than"),
        (images, "_MOST_HELD", 1000, "its code has more than"),
        (unpack, "_LARGEST_PACKED", 100, "packed"),
        (unpack, "_LARGEST_BY_XZ", 1000, "it unpacks to more than"),
    ],
)
def test_an_image_is_bounded(monkeypatch, where, name, value, said):
    """Letters of symbols, what is held at once, what is packed, what xz unpacks."""
    image = bzimage(PACKED["xz"](x86_image()))
    assert read_image(image).arch == "x86_64"
    monkeypatch.setattr(where, name, value)
    with pytest.raises(UnreadableImageError, match=said):
        read_image(image)


def test_banners_are_looked_at_so_many_times(monkeypatch):
    """Each that has no end costs a search of its own."""
    monkeypatch.setattr(images, "_MOST_BANNERS", 2)
    image = x86_image()
    assert read_image(image + b"Linux version 1.1 (" * 9).release == "6.1.0-demo"
    with pytest.raises(UnreadableImageError, match="no kernel's banner"):
        read_image(image.replace(b"Linux version ", b"Linux version \0" * 2 + b"Linux version "))


def test_sections_do_not_overlap():
    """Else each of many may be all of the file."""
    image = bytearray(module())
    (table,) = struct.unpack_from("<Q", image, 40)
    for number in (1, 3):
        struct.pack_into("<QQ", image, table + 64 * number + 24, 0, len(image) - 100)
    with pytest.raises(UnreadableImageError, match="its sections overlap"):
        read_sections(bytes(image))


def test_what_a_loader_fills_in_is_bounded(monkeypatch):
    """By number."""
    monkeypatch.setattr(modules, "_MOST_RELOCATED", 1)
    with pytest.raises(UnreadableImageError, match="places that its loader fills in"):
        read_module(module())
