import json
import re

import pytest

from detector.simulate import FORMATS, NO_WALL_CLOCK, SimulationPlan, simulate
from detector.simulate.fleet import SECOND

SIMULATION = simulate(SimulationPlan(seed=5, hosts=30, lines=8_000, noise_share=0.02))
ENTRIES = list(SIMULATION.entries())
KERNEL = next(entry for entry in SIMULATION.planted if entry.text.startswith("IPv4: Attempt"))
FORGED = {entry.via: entry for entry in SIMULATION.planted if entry.program is not None}
JSON = ("journald", "rsyslog", "fluent-bit", "vector")


@pytest.mark.parametrize("name", FORMATS)
def test_a_record_is_one_line_that_holds_its_text(name):
    """No format loses the text or breaks the line."""
    for entry in ENTRIES:
        record = FORMATS[name](entry)
        assert b"\n" not in record
        text = json.loads(record) if name in JSON else record.decode()
        text = (text.get("MESSAGE") or text.get("message") or text["msg"]) if name in JSON else text
        assert text.endswith(entry.text)


@pytest.mark.parametrize("name", sorted(set(FORMATS) - NO_WALL_CLOCK))
def test_host_is_in_the_record(name):
    """Formats that name their host name the right one."""
    assert KERNEL.host.name.encode() in FORMATS[name](KERNEL)


@pytest.mark.parametrize("name", sorted(NO_WALL_CLOCK))
def test_no_wall_clock_and_no_host_where_the_kernel_gives_none(name):
    """The kernel's own interfaces know neither."""
    later = KERNEL._replace(wall_us=KERNEL.wall_us + 3_600 * SECOND)
    assert FORMATS[name](KERNEL) == FORMATS[name](later)
    assert KERNEL.host.name.encode() not in FORMATS[name](KERNEL)


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("rfc3164", r"[A-Z][a-z]{2} [ 123]\d \d\d:\d\d:\d\d \S+ kernel: \[ *\d+\.\d{6}\] IPv4: "),
        ("rfc3164-wall", r"[A-Z][a-z]{2} [ 123]\d \d\d:\d\d:\d\d \S+ kernel: IPv4: "),
        (
            "rfc5424",
            (
                r"<3>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00 \S+ kernel - - - \[ "
                r"*\d+\.\d{6}\] IPv4: "
            ),
        ),
        ("kmsg", r"3,\d+,\d+,-;IPv4: "),
        ("netconsole", r"\d+\.\d+\.\S+?,3,\d+,\d+,-;IPv4: "),
        ("dmesg", r"\[ *\d+\.\d{6}\] IPv4: "),
    ],
)
def test_shape_of_text_formats(name, pattern):
    """Text formats look as the programs that write them print."""
    assert re.match(pattern, FORMATS[name](KERNEL).decode())


def test_kernel_time_is_exact_where_it_is_shipped():
    """Microseconds of the kernel's clock survive, also in JSON."""
    second, micros = divmod(KERNEL.kernel_us, SECOND)
    assert json.loads(FORMATS["journald"](KERNEL))["_SOURCE_MONOTONIC_TIMESTAMP"] == str(
        KERNEL.kernel_us
    )
    assert json.loads(FORMATS["vector"](KERNEL))["_SOURCE_MONOTONIC_TIMESTAMP"] == str(
        KERNEL.kernel_us
    )
    fluent = json.loads(FORMATS["fluent-bit"](KERNEL))
    assert (fluent["sec"], fluent["usec"]) == (second, micros)
    assert f"{second}.{micros:06d}] IPv4" in json.loads(FORMATS["rsyslog"](KERNEL))["message"]


def test_what_user_space_wrote_is_marked():
    """Facility 1 and a tag of its own, and journald's transport unless it went through
    /dev/kmsg.
    """
    socket, kmsg = FORGED["syslog"], FORGED["kmsg"]
    assert json.loads(FORMATS["journald"](socket))["_TRANSPORT"] == "syslog"
    through = json.loads(FORMATS["journald"](kmsg))
    assert (through["_TRANSPORT"], through["SYSLOG_FACILITY"], through["SYSLOG_IDENTIFIER"]) == (
        "kernel",
        "1",
        "kmsg-writer",
    )
    assert FORMATS["kmsg"](kmsg).startswith((b"9,", b"11,"))
    assert json.loads(FORMATS["rsyslog"](socket))["priority"] >= 8
    assert b" test-runner[4242]: " in FORMATS["rfc3164"](socket)
    assert FORMATS["rfc5424"](socket).startswith((b"<9>1 ", b"<11>1 "))
