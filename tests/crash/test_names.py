"""Names as identity."""

from __future__ import annotations

import pytest

from detector.crash.identity import base, identity, title
from detector.model import Frame


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("listening_get_next.isra.36", "listening_get_next"),
        ("frob.constprop.0", "frob"),
        ("frob.part.0.cold", "frob"),
        (".eeh_dev_check_failure", "eeh_dev_check_failure"),
        ("frob", "frob"),
    ],
)
def test_base(symbol: str, name: str) -> None:
    """Compiler suffixes and powerpc's dot go."""
    assert base(symbol) == name


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("__arm64_sys_rt_sigreturn", "sys_rt_sigreturn"),
        ("SyS_futex", "futex"),
        ("__se_sys_bpf", "bpf"),
        ("ksys_read", "read"),
        ("sysfs_add", "sysfs_add"),
    ],
)
def test_identity(symbol: str, name: str) -> None:
    """One prefix goes, the longest that fits."""
    assert identity(Frame(symbol)) == name


def test_title_is_printable_and_short() -> None:
    """Whatever a line holds, a title is one short line of plain characters."""
    assert title("BUG: \x1b[31mfrob\t\tfrob\n" + "x" * 500).startswith("BUG: [31mfrob frob")
    assert len(title("y " * 500)) <= 120
