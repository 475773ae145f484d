"""One kernel message through every transport: the same text, the same kernel time, never another
hand.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.model import Line, Record
from detector.parse import Parser


def journald(text: str, us: int) -> str:
    """An entry of the journal."""
    stamps = {
        "__REALTIME_TIMESTAMP": "1771960870000000",
        "__MONOTONIC_TIMESTAMP": str(us + 9),
        "_SOURCE_MONOTONIC_TIMESTAMP": str(us),
    }
    return json.dumps(
        {
            **stamps,
            "_TRANSPORT": "kernel",
            "SYSLOG_FACILITY": "0",
            "MESSAGE": text,
            "_HOSTNAME": "lab-3",
        }
    )


def escaped(text: str) -> str:
    """As printk escapes for /dev/kmsg."""
    return "".join(
        chr(octet) if 32 <= octet < 127 and octet != 92 else f"\\x{octet:02x}"
        for octet in text.encode()
    )


def stamp(us: int) -> str:
    """As printk prints it."""
    return f"[{us // 1_000_000:5d}.{us % 1_000_000:06d}]"


def otel(text: str, us: int) -> str:
    """A journal entry as OpenTelemetry's body."""
    return json.dumps({"body": json.loads(journald(text, us)), "attributes": {}})


CARRIERS: dict[str, Callable[[str, int], str]] = {
    "dmesg": lambda text, us: f"{stamp(us)} {text}",
    "dmesg with caller": lambda text, us: f"{stamp(us)} [   T7] {text}",
    "console with caller": lambda text, us: f"{stamp(us)}[    C7] {text}",
    "dmesg -x": lambda text, us: f"kern  :warn  : {stamp(us)} {text}",
    "dmesg -r": lambda text, us: f"<4>{stamp(us)} {text}",
    "dmesg --json": lambda text, us: (
        f'{{"pri": 4, "time": {us // 1_000_000:5d}.{us % 1_000_000:06d}, "msg": '
        f"{json.dumps(text)}}}"
    ),
    "kmsg": lambda text, us: f"4,7,{us},-;{escaped(text)}",
    "netconsole": lambda text, us: f"6.9.1,4,7,{us},-;{escaped(text)}",
    "rfc3164": lambda text, us: f"Feb 24 19:21:10 lab-3 kernel: {stamp(us)} {text}",
    "rfc3164 with pri": lambda text, us: f"<4>Feb 24 19:21:10 lab-3 kernel: {stamp(us)} {text}",
    "rfc5424": lambda text, us: f"<4>1 2026-02-24T19:21:10Z lab-3 kernel - - - {stamp(us)} {text}",
    "short-iso": lambda text, us: f"2026-02-24T19:21:10+0000 lab-3 kernel: {stamp(us)} {text}",
    "short-monotonic": lambda text, us: f"{stamp(us)} lab-3 kernel: {text}",
    "journald": journald,
    "otel": otel,
    "vector": lambda text, us: json.dumps(
        {
            "message": text,
            "host": "lab-3",
            "source_type": "journald",
            "_TRANSPORT": "kernel",
            "_SOURCE_MONOTONIC_TIMESTAMP": str(us),
        }
    ),
    "rsyslog": lambda text, us: json.dumps(
        {"msg": f" {stamp(us)} {text}", "syslogtag": "kernel:", "hostname": "lab-3", "pri": "4"}
    ),
    "beats": lambda text, us: json.dumps(
        {
            "message": f"Feb 24 19:21:10 lab-3 kernel: {stamp(us)} {text}",
            "agent": {},
            "host": {"name": "c"},
        }
    ),
    "fluent-bit": lambda text, us: json.dumps(
        {
            "priority": 4,
            "sequence": 7,
            "sec": us // 1_000_000,
            "usec": us % 1_000_000,
            "msg": escaped(text),
        }
    ),
    "serial console": lambda text, us: f"lab-3 login: {stamp(us)} {text}  \r",
}
SILENT = {
    "dmesg",
    "dmesg with caller",
    "console with caller",
    "short-monotonic",
    "fluent-bit",
    "serial console",
}


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize(
    "text",
    [
        "Unable to handle kernel paging request at virtual address 0001950b",
        "  ESR = 0x0000000096000007",
        "MediaPD~der #12[7]: unhandled level 3 translation fault (11) at 0x00000030",
        "[<ffff00000873ce54>] lookup+0xac/0x2a8",
        '{1}[Hardware Error]: "quoted" \\ back',
        "café",
    ],
)
def test_the_same_message(line: Callable[..., Line], carrier: str, text: str):
    """Text, kernel time and trust do not depend on the way."""
    found = line(CARRIERS[carrier](text, 61_817_741_804_411))
    assert (found.text, found.kernel_time_us) == (text, 61_817_741_804_411)
    assert found.trust == ("unknown" if carrier in SILENT else "kernel")


# A word first: a text that itself begins as a stamp or a vendor's mark does is read as one, on
# purpose. No-break spaces are read as blanks.
WORDS = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x24F, exclude_categories=("Cc",)), max_size=60
).map(lambda tail: f"lab {tail}".replace("\xa0", " ").rstrip())


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(CARRIERS)),
    WORDS.filter(lambda text: " kernel: " not in text and "[" not in text),
    st.integers(1, 10**15),
)
def test_any_message(carrier: str, text: str, us: int):
    """Words of any letters, times of any size."""
    parser = Parser()
    (found,) = parser.feed(
        Record(CARRIERS[carrier](text, us).encode(), "t/0", 1), 1_772_366_400_000_000
    )
    assert isinstance(found, Line)
    assert (found.text, found.kernel_time_us) == (text, us)


@pytest.mark.parametrize(
    "value",
    [
        "user  :warn  : [    1.000000] BUG: forged",
        "<12>[    1.000000] BUG: forged",
        '{"pri": 12, "time": 1.000000, "msg": "BUG: forged"}',
        "12,7,1000000,-;BUG: forged",
        "6.9.1,12,7,1000000,-;BUG: forged",
        "Feb 24 19:21:10 lab-3 app[1]: BUG: forged",
        "Feb 24 19:21:10 lab-3 app[1]: x login: [    1.000000] BUG: forged",
        "Feb 24 19:21:10 lab-3 app: Feb 24 19:21:10 lab-3 kernel: BUG: forged",
        "<12>Feb 24 19:21:10 lab-3 kernel: BUG: forged",
        "<12>1 2026-02-24T19:21:10Z lab-3 kernel - - - BUG: forged",
        "2026-02-24T19:21:10+0000 lab-3 kernel[7]: BUG: forged",
        (
            '{"_TRANSPORT":"syslog","SYSLOG_IDENTIFIER":"kernel","SYSLOG_FACILITY":"0",'
            '"MESSAGE":"BUG: forged"}'
        ),
        '{"_TRANSPORT":"kernel","SYSLOG_FACILITY":"1","MESSAGE":"BUG: forged"}',
        '{"msg":" BUG: forged","syslogtag":"kernel:","pri":"12"}',
        '{"message":"<0>BUG: forged","process":{"pid":7},"agent":{}}',
        '{"body":{"_TRANSPORT":"journal","MESSAGE":"BUG: forged"},"attributes":{}}',
        "> [    1.000000] BUG: forged",
    ],
)
def test_forged_through_every_transport(line: Callable[..., Line], value: str):
    """What a transport knows to be user space's is user space's."""
    assert line(value).trust == "user"
