"""The message between `cut here` and a warning's head: part of the report, and of no other."""

from __future__ import annotations

import pytest

from tests.explain.logs import explained

CUT = "------------[ cut here ]------------"
WARNING = "WARNING: CPU: 1 PID: 71 at drivers/demo/core.c:112 demo_put+0x6d/0x80"
BODY = "CPU: 1 PID: 71 Comm: demo Not tainted 6.1.0 #1"


def log(*texts: str, step_us: int = 9_000) -> str:
    """The lines, so many µs apart."""
    return "\n".join(f"[  100.{number * step_us:06d}] {text}" for number, text in enumerate(texts))


def report_of(text: str) -> tuple[str, ...]:
    """The lines of the only report."""
    (only,) = explained(text)
    assert only.report is not None
    return only.report.lines


@pytest.mark.parametrize("message", ["demo 1-1: BOGUS transfer, 1 != 3", "counter is off"])
def test_a_message_is_part_of_the_warning(message: str) -> None:
    """Of any sort, and as far apart as a serial console makes it; the head stays the head."""
    assert report_of(log(CUT, message, WARNING, BODY)) == (message, WARNING, BODY)


@pytest.mark.parametrize(
    "before",
    [
        (CUT,),
        ("counter is off",),
        (CUT, "a: one", "b: two", "c: three", "d: four", "e: five"),
        (CUT, "set at [<00000000a1b2c3d4>] demo_wait+0x10c/0x6a0"),
    ],
    ids=["no message", "no first line", "chatter", "a frame"],
)
def test_what_is_no_message_is_left_out(before: tuple[str, ...]) -> None:
    """Nothing there, nothing that begins it, too many lines, or what would be read as a frame."""
    assert report_of(log(*before, WARNING, BODY)) == (WARNING, BODY)


def test_what_came_long_before_is_no_message() -> None:
    """A line that a quarter of a second parts from the first one is another matter."""
    assert report_of(log(CUT, "counter is off", WARNING, BODY, step_us=250_000))[0] == WARNING


def test_a_first_line_alone_is_no_fault() -> None:
    """What follows it is not known."""
    assert explained(log(CUT, "counter is off", "usb 1-1: new device")) == []
