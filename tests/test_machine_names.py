"""Two names are of one machine where the kernel says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from detector.model import Boot
from detector.same_boot import known_name, one_machine
from tests.support.matches import SECOND, match


@pytest.mark.parametrize(
    ("name", "boot", "other", "other_boot", "one"),
    [
        ("localhost", Boot("a"), "web-12", Boot("a"), True),
        ("localhost", Boot("a"), "web-12", Boot("b"), False),
        ("localhost", Boot(), "web-12", Boot("a"), False),
        ("web-11", Boot("a"), "web-12", Boot("a"), False),
        ("web-12", Boot("a"), "web-12.example.com", Boot("a"), True),
        ("web-12", Boot("a"), "web-12.example.com", Boot("b"), False),
        ("web-12", Boot(epoch_us=0), "web-12.example.com", Boot(epoch_us=30 * SECOND), True),
        ("web-12", Boot(epoch_us=0), "web-12.example.com", Boot(epoch_us=90 * SECOND), False),
        ("web-12", Boot(), "web-12.example.com", Boot(), False),
        ("web-1", Boot(epoch_us=0), "web-12.example.com", Boot(epoch_us=0), False),
        ("web.a", Boot(epoch_us=0), "web.b", Boot(epoch_us=0), False),
        ("10", Boot(epoch_us=0), "10.0.0.1", Boot(epoch_us=0), False),
    ],
)
def test_a_boot_joins_names_that_may_be_one(
    name: str, boot: Boot, other: str, other_boot: Boot, one: bool
) -> None:
    """A name that comes late, a short and a full name; copies of one memory keep theirs."""
    a = replace(match("tcp-state", 1.0), host=name, boot=boot)
    b = replace(match("memory-fault", 1.0), host=other, boot=other_boot)
    assert one_machine(a, b) is one
    assert one_machine(b, a) is one


def test_a_machine_is_known_by_the_name_that_says_something() -> None:
    """Its own, unless that is nobody's."""
    assert known_name("web-1", ["web-2"]) == "web-1"
    assert known_name("localhost", ["localhost", "web-2"]) == "web-2"
    assert known_name("localhost", ["localhost"]) == "localhost"
