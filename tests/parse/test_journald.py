"""journald's JSON: times, messages of every kind, and who wrote them."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from detector.model import Line, Unparsed

KERNEL = {
    "__REALTIME_TIMESTAMP": "1771960870500000",
    "__MONOTONIC_TIMESTAMP": "12500034",
    "_SOURCE_MONOTONIC_TIMESTAMP": "12000034",
    "_BOOT_ID": "5F0C4D6E-8a1b-4c2d-9e3f-0a1b2c3d4e5f",
    "_HOSTNAME": "lab-3",
    "_TRANSPORT": "kernel",
    "SYSLOG_FACILITY": "0",
    "SYSLOG_IDENTIFIER": "kernel",
    "PRIORITY": "2",
    "MESSAGE": "  ESR = 0x1",
}


def entry(**fields: object) -> str:
    """A kernel entry with some fields changed; None takes one out."""
    return json.dumps(
        {name: value for name, value in (KERNEL | fields).items() if value is not None}
    )


def test_a_kernel_entry(line: Callable[..., Line]):
    """Every fact; the kernel's indentation stays; the wall time is moved to the moment the kernel
    stamped.
    """
    found = line(entry())
    assert (found.text, found.host, found.trust, found.level, found.facility) == (
        "  ESR = 0x1",
        "lab-3",
        "kernel",
        2,
        0,
    )
    assert (found.kernel_time_us, found.wall_time_us) == (12_000_034, 1_771_960_870_000_000)
    assert (found.boot_id, found.transport) == ("5f0c4d6e8a1b4c2d9e3f0a1b2c3d4e5f", "journald")


@pytest.mark.parametrize("delay", [0, 1, 286_000, 60_000_000])
def test_the_boot_has_one_epoch(line: Callable[..., Line], delay: int):
    """However late journald read the record, wall − kernel time is the same."""
    found = line(
        entry(
            __REALTIME_TIMESTAMP=str(1_771_960_870_000_000 + delay),
            __MONOTONIC_TIMESTAMP=str(12_000_034 + delay),
        )
    )
    assert found.wall_time_us is not None
    assert found.wall_time_us - found.kernel_time_us == 1_771_960_870_000_000 - 12_000_034


@pytest.mark.parametrize("stamp", [None, "0", "", "x", "9" * 40, -5, 1.5, [], True])
def test_without_the_kernels_stamp(line: Callable[..., Line], stamp: object):
    """The moment journald read the record stands in."""
    found = line(entry(_SOURCE_MONOTONIC_TIMESTAMP=stamp))
    assert (found.kernel_time_us, found.wall_time_us) == (12_500_034, 1_771_960_870_500_000)


def test_without_any_stamp(line: Callable[..., Line]):
    """Times stay open."""
    found = line(
        entry(
            _SOURCE_MONOTONIC_TIMESTAMP=None, __MONOTONIC_TIMESTAMP=None, __REALTIME_TIMESTAMP=None
        )
    )
    assert (found.kernel_time_us, found.wall_time_us) == (None, None)


@pytest.mark.parametrize(
    ("message", "texts"),
    [
        ([72, 105], ["Hi"]),
        ([0xC3, 0xA9, 0xFF], ["é\ufffd"]),
        (["one", "two"], ["one", "two"]),
        ([[72, 105], "two"], ["Hi", "two"]),
        ("one\n  two", ["one", "  two"]),
        ("\x1b[1mone\x1b[0m  ", ["one"]),
    ],
)
def test_messages_of_every_kind(read: Callable[..., list[Line]], message: object, texts: list[str]):
    """Byte arrays where it is not UTF-8, lists where the field came twice, several lines in one."""
    said = read(entry(MESSAGE=message))
    assert [found.text for found in said] == texts
    assert {found.trust for found in said} == {"kernel"}


@pytest.mark.parametrize("message", [None, [], {}, 7])
def test_no_message(read: Callable[..., list[Unparsed]], message: object):
    """A message that journald left out as too long is counted."""
    value = json.dumps(KERNEL | {"MESSAGE": message})
    assert [found.reason for found in read(value)] == ["json-no-message"]


@pytest.mark.parametrize(
    "forged",
    [
        {"_TRANSPORT": "syslog"},
        {"_TRANSPORT": "journal"},
        {"_TRANSPORT": "stdout"},
        {"_TRANSPORT": "audit"},
        {"SYSLOG_FACILITY": "1"},
        {"SYSLOG_FACILITY": "3", "SYSLOG_IDENTIFIER": "udevd"},
        {"SYSLOG_IDENTIFIER": "app"},
        {"_PID": "77"},
        {"_COMM": "app", "_TRANSPORT": None},
    ],
)
@pytest.mark.parametrize(
    "message",
    [
        "BUG: forged",
        "[    1.000000] BUG: forged",
        "Feb 24 19:21:10 lab-3 kernel: BUG: forged",
        '{"_TRANSPORT":"kernel"}',
    ],
)
def test_what_user_space_wrote(
    line: Callable[..., Line], forged: dict[str, str | None], message: str
):
    """One field of user space is enough, and the message is not read for stamps or tags; user space
    may write to /dev/kmsg as well.
    """
    found = line(entry(**forged, MESSAGE=message))
    assert (found.trust, found.text) == ("user", message)


def test_fields_that_anyone_may_set_prove_nothing(line: Callable[..., Line]):
    """Without `_TRANSPORT` only SYSLOG_FACILITY and SYSLOG_IDENTIFIER are left, which a process
    sets as it likes.
    """
    assert line(entry(_TRANSPORT=None)).trust == "unknown"


def test_a_message_with_a_vendors_prefix(line: Callable[..., Line]):
    """Vendors' kernels print it into the message itself."""
    assert (
        line(entry(MESSAGE="[2031:07:04 16:55:26][pid:77,cpu1,loadgen]demo[7]: up")).text
        == "demo[7]: up"
    )
