import re
from random import Random

import pytest

from detector.simulate import SimulationPlan, background
from detector.simulate.fleet import KERNELS, build

ALARMING = re.compile(
    r"^(Unable to handle|BUG:|Oops|general protection|WARNING:|IPv4: Attempt|kernel "
    r"BUG|Internal error|INFO: task|rcu: INFO)"
    r"|segfault at|unhandled (level|exception|signal)|^traps: |User process fault|Alignment trap"
)


@pytest.mark.parametrize("arch", sorted({kernel.arch for kernel in KERNELS}))
def test_ordinary_lines_take_two_numbers_and_alarm_nobody(arch):
    """Every template renders with two integers and says nothing that a fault would say."""
    for level, template in background.templates(arch):
        text = template % (7, 4711)
        assert 4 <= level <= 6
        assert "%" not in text
        assert not ALARMING.search(text)


def test_ordinary_lines_vary():
    """Forty sorts of lines and more, of about a hundred characters."""
    texts = [template % (7, 4711) for _, template in background.templates("arm64")]
    assert len(set(texts)) > 40
    assert 70 < sum(map(len, texts)) / len(texts) < 130


def test_banner_begins_at_zero_and_names_the_kernel():
    """A boot begins with kernel time 0; arm64 names the processor first, then every kernel its
    version.
    """
    for host in build(SimulationPlan(hosts=60), Random(1)).hosts:
        lines = background.banner(host, Random(2))
        texts = [text for _, _, text in lines]
        assert lines[0][0] == 0
        assert [moment for moment, _, _ in lines] == sorted(moment for moment, _, _ in lines)
        assert len(lines) >= 20
        assert any(text.startswith(f"Linux version {host.kernel.release} ") for text in texts[:2])
        assert texts[0].startswith("Booting Linux on physical CPU") == (
            host.kernel.arch in ("arm64", "arm")
        )
