"""Members are named by declarations, by use, by callers; what cannot be known is not named."""

from __future__ import annotations

import pytest

from detector.member.layout import Layouts
from detector.member.naming import flow_of, name_access
from detector.member.values import Basis
from detector.symbols.btf import Btf
from detector.symbols.table import SymbolTable
from tests.member.demo_kernel import kernel
from tests.symbols.btf_writer import BtfWriter


def named(arch, function, offset, **changed):
    """The access at function+offset of the demo kernel."""
    demo = kernel(arch, **changed)
    (start,) = demo.symbols.addresses_of(function)
    return name_access(demo, start + offset)


@pytest.mark.parametrize(("arch", "offset"), [("x86_64", 3), ("arm64", 4)])
def test_a_member_is_named_through_a_member_of_an_argument(arch, offset):
    """Declared on every path; the chain says where the pointer is from."""
    access = named(arch, "demo_lookup", offset)
    expected = "struct demo_sock", "net", 0x30, 8
    assert (access.struct, access.member, access.offset, access.size) == expected
    assert access.basis == Basis.DECLARED
    assert access.chain == ("argument 1 `table`", "struct demo_table.first")
    assert access.base == ("rax" if arch == "x86_64" else "x1")


@pytest.mark.parametrize(("arch", "offset"), [("x86_64", 7), ("arm64", 8)])
def test_the_second_pointer_of_a_chain_is_followed(arch, offset):
    """From a member of a member."""
    access = named(arch, "demo_lookup", offset)
    assert (access.struct, access.member) == ("struct demo_net", "hash")


@pytest.mark.parametrize(("arch", "offset"), [("x86_64", 13), ("arm64", 20)])
def test_a_container_is_known_by_what_its_pointer_is_passed_as(arch, offset):
    """container_of: the node is in a list, its container is passed on."""
    access = named(arch, "demo_walk", offset)
    assert (access.struct, access.member, access.offset) == ("struct demo_sock", "net", 0x30)
    assert (access.basis, access.displacement) == (Basis.USE, -0x38)
    assert access.use == "passed to demo_use"


@pytest.mark.parametrize("arch", ["x86_64", "arm64"])
def test_an_access_asked_for_alone_is_that_of_the_whole_function(arch):
    """The last round that follows only what leads to the instruction changes nothing."""
    demo = kernel(arch)
    count = 0
    for start in demo.symbols.addresses:
        if (function := demo.function_at(start)) is not None:
            every = flow_of(demo, function).analyse()
            count += len(every)
            for address in range(start, start + len(function.code)):
                assert flow_of(demo, function).access_at(address) == every.get(address)
    assert count > 5


def test_a_union_s_members_are_listed():
    """Which of them is meant, types do not say."""
    access = named("x86_64", "demo_union", 0)
    assert {access.member, *access.aliases} == {"port", "pair"}


def test_a_private_area_is_not_named_inside():
    """`cb[48]` belongs to whoever owns the object at the time."""
    access = named("x86_64", "demo_private", 0)
    assert (access.member, access.private) == (None, "cb")


def test_pointers_to_nothing_known_are_a_private_area_too():
    """`void *__ctx[]` is room for another layer's struct."""
    access = named("x86_64", "demo_context", 0, demo_context=bytes.fromhex("488b4718 c3"))
    assert (access.member, access.private) == (None, "__ctx")


def test_an_array_of_void_pointers_without_a_length_is_private_by_its_kind():
    """Whatever it is called (`__crt_ctx` of struct crypto_tfm): its end is another layer's."""
    btf = BtfWriter()
    room = btf.array(btf.pointer(0), 0)
    number = btf.integer("unsigned long", 8)
    fixed = btf.array(btf.pointer(0), 4)
    outer = btf.struct("demo_tfm", 8, ("refs", number, 0), ("__crt_room", room, 8))
    plain = btf.struct("demo_slots", 40, ("refs", number, 0), ("slots", fixed, 8))
    layouts = Layouts(Btf(bytes(btf)))
    assert layouts.place(outer, 0x10, 8, None) is None
    assert layouts.private_area(outer, 0x10) == "__crt_room"
    assert layouts.place(plain, 0x10, 8, None).text == "slots[1]"


def test_a_hole_is_named_by_its_neighbours():
    """Where a struct has no member; one that reaches into the next is no access of it."""
    demo = named("x86_64", "demo_union", 0, demo_union=bytes.fromhex("488b4750 c3"))
    assert (demo.struct, demo.member, demo.private) == ("struct demo_sock", None, None)
    assert demo.neighbours == ("net (to 0x38)", "node (from 0x68)")
    code = bytes.fromhex("488b4764 c3")  # mov rax, [rdi+0x64]
    assert named("x86_64", "demo_union", 0, demo_union=code) is None


def test_a_caller_says_the_type_of_an_argument():
    """Where a function has no prototype: never more than on some paths."""
    access = named("x86_64", "demo_hidden", 0)
    assert (access.struct, access.member) == ("struct demo_table", "mask")
    assert access.basis == Basis.SOME_PATHS
    assert "typed by its caller demo_caller" in access.chain[0]


@pytest.mark.parametrize(
    "code",
    [
        "488b06 c3",  # mov rax, [rsi]: a number, by its declaration
        "488b8700100000 c3",  # mov rax, [rdi+0x1000]: beyond the struct
        "488b442408 c3",  # mov rax, [rsp+8]: the stack
        "c3",
        "06 488b4708 c3",  # no instruction of x86-64 in front
    ],
)
def test_what_types_do_not_lead_to_is_not_named(code):
    """Silence."""
    assert named("x86_64", "demo_lookup", 0, demo_lookup=bytes.fromhex(code)) is None


def test_the_only_container_that_fits_is_named():
    """Of those that embed what the pointer is declared as."""
    access = named("x86_64", "demo_fit", 0)
    assert (access.struct, access.member) == ("struct demo_key", "flags")
    assert access.basis == Basis.ONLY_FIT


def test_a_bit_of_a_long_fits_too_so_nothing_is_the_only_one():
    """One bit is tested by its byte: the byte may be a part of a long, or a member of its own."""
    code = bytes.fromhex("f6471102 c3")  # test byte [rdi+0x11], 2; ret
    assert named("x86_64", "demo_fit", 0, demo_fit=code) is None


def test_paths_that_disagree_name_nothing():
    """One path holds a socket, the other a table."""
    # test rsi, rsi; je +3; mov rdi, [rdi]; mov rax, [rdi+8]; ret
    code = bytes.fromhex("4885f6 7403 488b3f 488b4708 c3")
    assert named("x86_64", "demo_lookup", 8, demo_lookup=code) is None


def test_a_name_that_functions_share_is_less_sure():
    """Its prototype may be another function's."""
    demo = kernel()
    table = demo.symbols
    names = [name.replace("demo_private", "demo_union") for name in table.names]
    demo.symbols = SymbolTable(names, table.kinds, table.addresses)
    first, _ = demo.symbols.addresses_of("demo_union")
    assert name_access(demo, first).basis == Basis.SOME_PATHS
