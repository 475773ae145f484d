"""What clocks, names and dumps do, they do between the halves of a pair, and nothing else."""

from __future__ import annotations

from collections import Counter

import pytest

from detector.simulate import CLOCKS, SimulationPlan, simulate
from detector.simulate.clocks import DOMAIN
from detector.simulate.delivery import other_half
from detector.simulate.fleet import SECOND

SIMULATION = simulate(SimulationPlan(seed=8, hosts=25, lines=4_000, duration_s=14_400, incidents=9))
ENTRIES = list(SIMULATION.entries())


def changed(name: str) -> list:
    """The entries as hosts with such clocks ship them."""
    return list(CLOCKS[name](iter(ENTRIES), SIMULATION.truth))


@pytest.mark.parametrize("name", ["ntp", "paused", "daylight-saving", "local-time", "no-battery"])
def test_a_clock_changes_the_wall_time_of_one_half_alone(name):
    """The halves of each incident lie apart by the wall clock as they never do by the kernel's."""
    by_line = {(entry.boot.id, entry.kernel_us, entry.text): entry for entry in changed(name)}
    assert len(by_line) == len({(e.boot.id, e.kernel_us, e.text) for e in ENTRIES})
    for incident in SIMULATION.truth.incidents:
        first, second = (
            by_line[incident.boot, half.kernel_time_us, half.text]
            for half in (incident.halves[0], other_half(incident))
        )
        apart = abs(second.wall_us - first.wall_us)
        assert apart > 600 * SECOND
        assert abs(second.kernel_us - first.kernel_us) < 10 * SECOND


def test_names_change_and_stay_the_host_s():
    """`localhost` before the second half; spellings that all name the same host."""
    assert {entry.host.name for entry in changed("named-late")} > {"localhost"}
    for before, after in zip(ENTRIES, changed("spelled"), strict=True):
        assert after.host.name.lower().rstrip(".").removesuffix(f".{DOMAIN}") == before.host.name


def test_dumps_are_read_after_the_next_boot_has_begun():
    """Nothing is lost; what a crashed boot printed last comes behind a banner."""
    late = changed("late-dumps")
    assert Counter((e.boot.id, e.kernel_us, e.text) for e in late) == Counter(
        (e.boot.id, e.kernel_us, e.text) for e in ENTRIES
    )
    moved = [entry for entry in late if entry not in set(ENTRIES)]
    assert moved
    assert all(entry.wall_us >= entry.boot.ends_us + 660 * SECOND for entry in moved)


def test_copies_are_rounded_to_milliseconds():
    """Each line twice, the copy with its last three digits gone."""
    lines = changed("rounded-copies")
    assert lines[::2] == ENTRIES
    assert all(entry.kernel_us % 1_000 == 0 for entry in lines[1::2])
