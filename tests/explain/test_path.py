from __future__ import annotations

from dataclasses import replace

import pytest

from detector.explain.call_path import context, explain_path, stations
from detector.model import Frame
from tests.support.crashes import FOUNDING, STABLE, frames


def test_receive_path():
    """From the interrupt to the lookup; the driver is named by its module."""
    assert [words for words, _ in stations(FOUNDING.frames)] == [
        "soft interrupt",
        "NAPI poll",
        "network driver mlx5_core",
        "packet receive",
        "IPv4 input",
        "TCP input",
        "listener lookup",
    ]


def test_system_call_path():
    """A process walks the listeners over netlink; its comm and pid are said."""
    said = explain_path(STABLE)
    assert said[0].text == "It happened in process context, in a system call of ss (pid 4711)."
    assert "socket diagnostics" in said[1].text


@pytest.mark.parametrize(
    ("functions", "expected"),
    [
        (("foo", "__do_softirq", "do_syscall_64"), "soft interrupt"),
        (("foo", "handle_irq_event", "__do_softirq"), "interrupt"),
        (("foo", "do_syscall_64"), "system call"),
        (("foo", "el0_svc"), "system call"),
        (("foo", "worker_thread", "kthread"), "kernel thread"),
        (("foo", "end_repeat_nmi"), "NMI"),
        (("foo",), None),
        ((), None),
    ],
)
def test_context_is_the_innermost(functions, expected):
    """Where several contexts are stacked, the innermost one counts."""
    assert context(replace(STABLE, frames=frames(*functions))) == expected


def test_doubtful_frames_say_nothing():
    """A frame marked `?` is neither a context nor a station."""
    doubtful = tuple(replace(frame, reliable=False) for frame in FOUNDING.frames)
    assert explain_path(replace(FOUNDING, frames=doubtful)) == []


def test_a_module_outside_the_receive_path_is_just_a_module():
    """Only what stands between NAPI and the stack is called a network driver."""
    way = stations((Frame("foo_read", module="foo"), *frames("vfs_read", "do_syscall_64")))
    assert way[-1] == ("module foo", "foo_read")
