"""Symbols packs: what goes in comes out; damage is said."""

from __future__ import annotations

import hashlib
import json
import random

import pytest
import zstandard

from detector.symbols import UnreadablePackError
from detector.symbols.image import read_image
from detector.symbols.pack import MAGIC, encode_pack, open_pack
from tests.support.kernel_image import CODE, OWN, assert_one_line, types
from tests.symbols.images import TEXT, vmlinux


@pytest.fixture(scope="module")
def pack():
    """The pack of a small kernel."""
    return encode_pack(read_image(vmlinux(CODE, OWN, types())))


def test_a_pack_holds_the_kernel(pack):
    """Code, symbols and types come out; the same kernel gives the same bytes."""
    opened = open_pack(pack)
    opened.check()
    assert (opened.header.release, opened.header.arch) == ("6.1.0-demo", "x86_64")
    assert [(one.address, one.data) for one in opened.code] == [(TEXT, CODE)]
    assert opened.symbols.addresses_of("tcp_v4_rcv") == [TEXT + 16]
    assert opened.types.prototypes("tcp_v4_rcv")
    assert encode_pack(read_image(vmlinux(CODE, OWN, types()))) == pack


def test_another_build_of_a_release_has_another_digest(pack):
    """Its code tells them apart."""
    other = encode_pack(read_image(vmlinux(CODE[::-1], OWN, types())))
    assert open_pack(other).header.digest != open_pack(pack).header.digest


def test_a_kernel_without_types_says_so():
    """It has symbols and code all the same."""
    opened = open_pack(encode_pack(read_image(vmlinux(CODE, OWN))))
    opened.check()
    assert not opened.has_types
    with pytest.raises(UnreadablePackError, match="built without types"):
        _ = opened.types


def test_every_damage_is_found(pack):
    """A changed byte, a cut, an addition: one line."""
    rng = random.Random(5)
    for _ in range(200):
        changed = bytearray(pack)
        changed[rng.randrange(len(pack))] ^= 1 << rng.randrange(8)
        try:
            opened = open_pack(bytes(changed))
            opened.check()
        except UnreadablePackError as error:
            assert_one_line(error)
        else:  # a change of the header's words alone
            assert opened.code == open_pack(pack).code or opened.header != open_pack(pack).header
    for damaged in (pack[:-1], pack + b"x", pack[:40], b"", b"text"):
        with pytest.raises(UnreadablePackError):
            open_pack(damaged).check()


def _rewritten(pack: bytes, parts: dict[str, bytes] | None = None, **header: object) -> bytes:
    """The pack with other header words and parts whose digests are right."""
    opened = open_pack(pack)
    contents = {
        "names": "\n".join(opened.symbols.names).encode(),
        "kinds": opened.symbols.kinds.encode(),
        "addresses": b"\0" * 8 * len(opened.symbols),
        "types": b"",
        "code": b"".join(part.data for part in opened.code),
    } | (parts or {})
    frames = {name: zstandard.compress(data) for name, data in contents.items()}
    end = pack.index(b"\n", len(MAGIC))
    item = json.loads(pack[len(MAGIC) : end])
    item["parts"] = [
        [name, len(frames[name]), len(data), hashlib.sha256(data).hexdigest()]
        for name, data in contents.items()
    ]
    return MAGIC + json.dumps(item | header).encode() + b"\n" + b"".join(frames.values())


@pytest.mark.parametrize(
    ("parts", "header"),
    [
        ({"names": b"\xff"}, {}),
        ({"kinds": b"\xff"}, {}),
        ({"addresses": b"\0" * 7}, {}),
        ({"addresses": b"\xff" * 16, "names": b"a\nb", "kinds": b"tt"}, {"symbols": 2}),
        ({"types": b"\x9f\xeb\x01\x00" + b"\xff" * 60}, {}),
        ({}, {"symbols": 10**300}),
        ({}, {"symbols": float("inf")}),
        ({}, {"code": [[TEXT, 10**9]]}),
        ({}, {"code": [[TEXT, -5], [TEXT, len(CODE) + 5]]}),
    ],
)
def test_a_pack_with_right_digests_and_wrong_content_is_refused(pack, parts, header):
    """One line, whatever a stranger wrote into it."""
    open_pack(_rewritten(pack)).check()
    with pytest.raises(UnreadablePackError) as caught:
        open_pack(_rewritten(pack, parts, **header)).check()
    assert_one_line(caught.value)


def test_a_header_without_end_is_refused():
    """Deep nesting ends the reader of JSON, not the program."""
    with pytest.raises(UnreadablePackError, match="header cannot be read"):
        open_pack(MAGIC + b"[" * 60_000 + b"\n")


def test_a_frame_that_claims_a_huge_content_is_refused(pack):
    """A size in a frame's own header reserves no memory: the pack's header says how much."""
    opened = open_pack(pack)
    frame = zstandard.compress(b"x" * 100)
    # RFC 8878: descriptor 0xE0 has a content size of eight bytes, in a single segment.
    huge = frame[:4] + b"\xe0" + (1 << 60).to_bytes(8, "little") + frame[6:]
    assert zstandard.frame_content_size(huge) == 1 << 60
    opened._frames["kinds"] = huge, 100, hashlib.sha256(b"x" * 100).hexdigest()
    with pytest.raises(UnreadablePackError, match="it is damaged") as caught:
        opened.check_parts()
    assert_one_line(caught.value)
