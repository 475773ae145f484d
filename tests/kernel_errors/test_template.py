"""What of a line varies, and what its template keeps."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.kernel_errors.template import LONGEST, parts_of, template_id, template_of

CASES = (
    (
        "EXT4-fs problem (device dm-3): ext4_lookup:1234: inode #131: comm nginx: deleted: 77",
        "EXT4-fs problem (device *): ext4_lookup:*: inode #*: comm *: deleted: *",
    ),
    ("ata3.00: cmd 61/08:00:a0:f3:2b/00:00:0a:00:00/40 tag 0", "ata*: cmd * tag *"),
    ("sd 0:0:0:0: [sda] tag#23 write failed", "sd * [*] tag#* write failed"),
    ("sd 12:0:3:1: [sdbc] tag#7 write failed", "sd * [*] tag#* write failed"),
    ("mlx5_core 0000:5e:00.1: port 1 is down", "mlx5_core *: port * is down"),
    ("e1000e 0000:00:19.0 eno1: hang", "e1000e *: hang"),
    ("docker0: port 1(veth1a2b3c4) is blocked", "*: port *(*) is blocked"),
    ("i2c i2c-0: sendbytes: NAK", "i2c i2c-*: sendbytes: NAK"),
    ("tunnel from fe80::1ff:fe23:4567:890a to 10.2.3.4:443", "tunnel from * to *"),
    ("md/raid1:md0: disk failure on sdb1, 3f2504e0-4f89-41d3-9a0c-0305e82c3301",
     "md/raid*: disk failure on *"),
    ("overlay: upperdir=/var/lib/x/ab12cd/diff is in use", "overlay: upperdir=* is in use"),
    ("bad word ffffffff81234567 at 0x1f", "bad word * at *"),
    ("bond0: aa:bb:cc:dd:ee:ff   moved", "*: * moved"),
    ("quux: crc is aecbcacb, not DEADBEEF", "quux: crc is *, not *"),
    ("a facade, defaced by abed", "a facade, defaced by abed"),
    ("read/write is one word", "read/write is one word"),
)  # fmt: skip
HOSTILE = ("a", "0", ":", "f:", "/a", "ab ", "en", "sd", "* ", "1.", "eno1", "-", "ab/", "0x", "1a")


@pytest.mark.parametrize(("text", "template"), CASES)
def test_what_varies_is_masked(text, template):
    """Addresses, numbers, devices, paths and names of processes."""
    assert template_of(text) == template


@given(st.text(max_size=600))
def test_any_text_has_parts_and_a_template(text):
    """The parts of a line are the line; its template is no longer than it."""
    assert "".join(part for _, part in parts_of(text)) == text[:LONGEST]
    assert len(template_of(text)) <= LONGEST
    assert len(template_id(template_of(text))) == 12


@given(
    st.lists(st.integers(0, 10**12), min_size=3, max_size=3),
    st.lists(st.integers(0, 10**12), min_size=3, max_size=3),
)
def test_numbers_alone_make_no_other_template(first, second):
    """Lines that differ in numbers are one template."""
    text = "acme {}: queue {:#x} has {} entries"
    assert template_of(text.format(*first)) == template_of(text.format(*second))


@pytest.mark.parametrize("run", HOSTILE)
def test_hostile_line_costs_little(run):
    """What repeats in a long line takes no time of its own."""
    text = run * (LONGEST // len(run)) + "\x7f"
    begun = time.process_time()
    for _ in range(20):
        template_of(text)
    assert time.process_time() - begun < 0.2
