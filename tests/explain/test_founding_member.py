"""The founding case by types alone: its instructions, in an image of the tests' own, whose structs
have the offsets of include/net/sock.h (4.14). No 4.14 kernel for arm64 that has types is to be had.
"""

from __future__ import annotations

import json
import struct

import pytest
from click.testing import CliRunner

from detector.catalogue import Catalogue
from detector.cli import oopswatch
from detector.explain import explain
from detector.member.kernel import KernelBuild
from detector.symbols.btf import Btf
from detector.symbols.image import CodeRange
from detector.symbols.table import SymbolTable
from tests.support.crashes import FOUNDING
from tests.symbols.btf_writer import UNION, BtfWriter
from tests.symbols.images import ARM_TEXT, arm64_image

LOG = f"""\
Unable to handle kernel paging request at virtual address {FOUNDING.fault_address:08x}
Mem abort info:
  Exception class = DABT (current EL), IL = 32 bits
  SET = 0, FnV = 0
  EA = 0, S1PTW = 0
Internal error: Oops: 96000007 [#1] SMP
CPU: 12 PID: 0 Comm: swapper/12 Not tainted {FOUNDING.kernel} #1
PC is at __inet_lookup_listener+0xac/0x2a8
LR is at tcp_v4_rcv+0x348/0xb34
pc : [<ffff00000873ce54>] lr : [<ffff00000875f1c8>] pstate: 80400009
sp : ffff00000a46fb00
x19: 00000000000194db x18: 0000000000000010
x1 : ffff000008f21b80 x0 : 0000000000019543
Call trace:
[<ffff00000873ce54>] __inet_lookup_listener+0xac/0x2a8
[<ffff00000875f1c8>] tcp_v4_rcv+0x348/0xb34
Code: eb01001f 54000260 d101a013 b4000253 (f9401a63)
---[ end trace 0000000000000000 ]---
"""
NAME, SIZE = "__inet_lookup_listener", 0x2A8
NOP = 0xD503201F
WORDS = {
    0x00: 0xA9BD7BFD,  # stp x29, x30, [sp, #-48]!
    0x04: 0xF9000BF3,  # str x19, [sp, #16]
    0x08: 0xAA0003F5,  # mov x21, x0: argument 1, the namespace
    0x0C: 0xF9401020,  # ldr x0, [x1, #0x20]: the first node of a list of argument 2
    0x10: 0xAA0203E1,  # mov x1, x2
    0x9C: 0xEB01001F,  # cmp x0, x1: from here on as the log prints it
    0xA0: 0x54000260,  # b.eq 0xec
    0xA4: 0xD101A013,  # sub x19, x0, #0x68
    0xA8: 0xB4000253,  # cbz x19, 0xf0
    0xAC: 0xF9401A63,  # ldr x3, [x19, #0x30]
    0xB0: 0xEB15007F,  # cmp x3, x21
    0xB4: 0x540001E0,  # b.eq 0xf0
    0xB8: 0xF9403660,  # ldr x0, [x19, #0x68]: the next node
    0xBC: 0x17FFFFF8,  # b 0x9c
    0xEC: 0xAA1F03F3,  # mov x19, xzr
    0xF0: 0xAA1303E0,  # mov x0, x19
    0xF4: 0xF9400BF3,  # ldr x19, [sp, #16]
    0xF8: 0xA8C37BFD,  # ldp x29, x30, [sp], #48
    0xFC: 0xD65F03C0,  # ret
}


def types(net_at=0x30):
    """What of include/net/sock.h and inet_hashtables.h the function uses."""
    btf = BtfWriter()
    number = btf.integer("unsigned long", 8)
    to_node = btf.pointer(0)
    node = btf.struct("hlist_node", 16, ("next", to_node, 0), ("pprev", to_node, 8))
    btf.point(to_node, node)
    head = btf.struct("hlist_head", 8, ("first", to_node, 0))
    net = btf.struct("net", 16, ("count", number, 0))
    to_net = btf.pointer(net)
    possible = btf.struct("possible_net_t", 8, ("net", to_net, 0))
    chain = btf.struct("hlist_nulls_node", 16, ("next", to_node, 0), ("pprev", to_node, 8))
    either = btf.struct("", 16, ("skc_node", node, 0), ("skc_nulls_node", chain, 0), kind=UNION)
    common = btf.struct("sock_common", 0x88, ("skc_net", possible, net_at), ("", either, 0x68))
    sock = btf.struct("sock", 0x300, ("__sk_common", common, 0), ("sk_lock", number, 0x88))
    bucket = btf.struct("inet_listen_hashbucket", 16, ("lock", number, 0), ("head", head, 8))
    table = btf.struct("inet_hashinfo", 0x60, ("listening_hash", btf.array(bucket, 4), 0x18))
    parameters = ("net", to_net), ("hashinfo", btf.pointer(table)), ("skb", btf.pointer(0))
    btf.function(NAME, btf.pointer(sock), *parameters)
    return bytes(btf)


def code():
    """The function, as long as the log says, with nothing where it does not matter; behind it one
    that calls it.
    """
    words = [WORDS.get(place, NOP) for place in range(0, SIZE, 4)]
    calls = [0x94000000 | (-(SIZE + place) // 4 & 0x3FFFFFF) for place in range(0, 64, 4)]
    return b"".join(struct.pack("<I", word) for word in (*words, *calls, WORDS[0xFC]))


def symbols():
    """The function and what follows it."""
    return [(ARM_TEXT, "t", NAME), (ARM_TEXT + SIZE, "t", "inet_next")]


def kernel(net_at=0x30):
    """The kernel, without its image."""
    parts = [CodeRange(ARM_TEXT, code())]
    return KernelBuild("arm64", parts, SymbolTable.of(symbols()), Btf(types(net_at)))


@pytest.fixture
def settings(tmp_path):
    """Settings with a pack of that kernel."""
    path = tmp_path / "own.toml"
    path.write_text(f'[store]\npath = "{tmp_path / "history.db"}"\n')
    image = tmp_path / "Image"
    image.write_bytes(arm64_image(code(), symbols(), types(), FOUNDING.kernel))
    done = CliRunner().invoke(oopswatch, ["symbols", "add", str(image), "--config", str(path)])
    assert done.exit_code == 0, done.output
    return path


def test_both_numbers_come_of_types_and_code_alone():
    """A catalogue without known issues, layouts, signatures and rules."""
    bare = Catalogue(kernels=lambda _: (kernel(),))
    assert (bare.structs, bare.known_issues) == ((), ())
    named = [part for part in explain(FOUNDING, (), bare).statements if "struct sock" in part.text]
    first, second = named
    assert first.text == (
        "The instruction touched member __sk_common.skc_net.net: "
        "8 bytes at offset 0x30 of struct sock."
    )
    assert "by what the function does with the pointer: it is returned" in first.evidence[0]
    assert first.evidence[1] == "x19 is struct sock *, from: several paths"  # first or next node
    assert second.text.startswith("The struct sock would begin at 0x194db: ")
    assert second.evidence == ("0x1950b - 0x30 = 0x194db",)
    assert {part.confidence for part in named} == {"likely"}


def test_other_types_give_other_words():
    """No rule says it: where the namespace stands elsewhere, nothing is read."""
    bare = Catalogue(kernels=lambda _: (kernel(net_at=0x38),))
    texts = [part.text for part in explain(FOUNDING, (), bare).statements]
    assert not any("skc_net" in text for text in texts)


def test_the_command_says_it_of_the_log(settings):
    """`oopswatch explain` with the pack: the member, and both numbers."""
    log = settings.with_name("crash.txt")
    log.write_text(LOG)
    arguments = ["explain", str(log), "--json", "--config", str(settings)]
    done = CliRunner().invoke(oopswatch, arguments)
    assert done.exit_code == 0, done.output
    items = [json.loads(line) for line in done.output.splitlines()]
    diagnoses = [item["diagnosis"] for item in items if item["type"] == "explanation"]
    parts = [part for diagnosis in diagnoses for part in diagnosis]
    text = "\n".join(f"{part['text']} {part['evidence']}" for part in parts)
    assert "read member __sk_common.skc_net.net: 8 bytes at offset 0x30 of struct sock" in text
    assert "0x1950b - 0x30 = 0x194db" in text
