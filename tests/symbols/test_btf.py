"""BTF: types by number and by name; damage is refused."""

from __future__ import annotations

import random

import pytest

from detector.symbols import UnreadableImageError
from detector.symbols.btf import Btf, Kind, find_btf
from tests.support.kernel_image import assert_one_line
from tests.symbols.btf_writer import CONST, TYPEDEF, UNION, BtfWriter


@pytest.fixture
def written():
    """A list node in a struct, a union, a flexible array, a function."""
    btf = BtfWriter()
    number = btf.integer("unsigned long", 8)
    to_node = btf.pointer(0)
    node = btf.struct("list_head", 16, ("next", to_node, 0), ("prev", to_node, 8))
    btf.point(to_node, node)
    either = btf.struct("", 8, ("bytes", number, 0), ("owner", to_node, 0), kind=UNION)
    flexible = btf.array(number, 0)
    page = btf.struct("page", 24, ("lru", node, 0), ("", either, 16), ("tail", flexible, 24))
    name = btf.add(TYPEDEF, "page_t", btf.add(CONST, value=page))
    btf.function("free_page", 0, ("page", btf.pointer(name)), ("order", number))
    return bytes(btf), {"number": number, "node": node, "page": page, "name": name}


def test_types_are_decoded(written):
    """Names, sizes, members, prototypes."""
    data, numbers = written
    btf = Btf(data)
    assert btf.struct("page") == numbers["page"]
    assert [(m.name, m.offset) for m in btf.members(numbers["page"])] == [
        ("lru", 0),
        ("", 16),
        ("tail", 24),
    ]
    assert btf.bare(numbers["name"]) == numbers["page"]
    assert btf.size(numbers["name"]) == 24
    (prototype,) = btf.prototypes("free_page")
    parameters = btf.parameters(prototype)
    assert [(name, btf.name(kind)) for name, kind in parameters] == [
        ("page", "page_t *"),
        ("order", "unsigned long"),
    ]
    assert btf.kind(numbers["node"]) == Kind.STRUCT
    assert btf.prototypes("nobody") == frozenset()


def test_the_kernel_s_types_are_found_in_its_image(written):
    """By their header, and the largest."""
    data, _ = written
    image = b"\x9f\xeb\x01\x00\x18\x00\x00\x00" * 3 + b"xx" + data + b"yy"
    assert find_btf(image) == data
    assert find_btf(image[:-20]) is None


def test_damaged_types_are_read_or_refused(written):
    """Changed bytes raise UnreadableImageError, at once or when a type is asked for."""
    data, _ = written
    rng = random.Random(3)
    for _ in range(400):
        changed = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            changed[rng.randrange(len(data))] = rng.randrange(256)
        try:
            btf = Btf(bytes(changed))
            for number in range(len(btf)):
                btf.name(number), btf.size(number), btf.members(number)
        except UnreadableImageError as error:
            assert_one_line(error)
    with pytest.raises(UnreadableImageError, match="cut"):
        Btf(data[:-1])
