import re
from collections import defaultdict
from itertools import islice, pairwise

import pytest

from detector.simulate import SimulationPlan, simulate

PLAN = SimulationPlan(
    seed=11, hosts=30, lines=12_000, incidents=12, noise_share=0.01, half_signatures=12, forged=10
)
SIMULATION = simulate(PLAN)
RELEASE = re.compile(r"IPv4: Attempt to release TCP socket in state \d+ ")
FAULT = re.compile(
    r"Unable to handle kernel (paging request|NULL pointer)|BUG: unable to handle |BUG: "
    r"kernel NULL|(Oops: )?general protection fault[,:]"
)
WINDOW_US = 10_000_000


def clusters(lines):
    """(host, boot) → the release lines and fault heads of the kernel, by kernel time: told apart by
    nothing but their first words.
    """
    found = defaultdict(list)
    for entry in lines:
        part = (
            "release" if RELEASE.match(entry.text) else "fault" if FAULT.match(entry.text) else None
        )
        if part and entry.program is None:
            found[entry.host.name, entry.boot.id].append((entry.kernel_us, part, entry.text))
    return found


def pairs_by_brute_force(lines):
    """Every (host, kernel time, text) of a line that has its other half within the window on its
    boot.
    """
    return {
        (host, moment, text)
        for (host, _), marks in clusters(lines).items()
        for moment, part, text in marks
        if any(other != part and abs(when - moment) <= WINDOW_US for when, other, _ in marks)
    }


def test_same_plan_same_entries():
    """Two runs of a plan agree in every entry and in the truth; another seed does not."""
    again = simulate(PLAN)
    assert [entry[:2] + entry[5:] for entry in again.entries()] == [
        entry[:2] + entry[5:] for entry in SIMULATION.entries()
    ]
    assert again.truth == SIMULATION.truth
    other = simulate(SimulationPlan(seed=12, hosts=30, lines=12_000))
    assert [entry.text for entry in islice(other.entries(), 50)] != [
        entry.text for entry in islice(SIMULATION.entries(), 50)
    ]


def test_as_many_lines_as_asked_for_in_the_order_of_time():
    """The plan's count is kept to the line, and wall time never falls."""
    walls = [entry.wall_us for entry in SIMULATION.entries()]
    assert len(walls) == PLAN.lines
    assert walls == sorted(walls)
    assert PLAN.start <= walls[0]
    assert walls[-1] <= PLAN.end


def test_no_host_speaks_while_it_is_down_and_kernel_time_is_since_boot():
    """Every entry lies on one of its host's boots, at the kernel time that its wall time says."""
    for entry in SIMULATION.entries():
        assert entry.boot in entry.host.boots
        assert entry.boot.epoch_us <= entry.wall_us <= entry.boot.ends_us
        assert entry.kernel_us == entry.wall_us - entry.boot.epoch_us


@pytest.mark.parametrize("seed", range(5))
def test_truth_is_what_brute_force_finds(seed):
    """The planted incidents are all pairs there are, and nothing else is one: decoys and chance
    included.
    """
    simulation = simulate(
        SimulationPlan(
            seed=seed,
            hosts=25,
            lines=9_000,
            incidents=15,
            noise_share=0.02,
            half_signatures=10,
            forged=10,
        )
    )
    planted = {
        (one.host, half.kernel_time_us, half.text)
        for one in simulation.truth.incidents
        for half in one.halves
    }
    faults = {
        (host, moment)
        for host, moment, text in pairs_by_brute_force(simulation.entries())
        if FAULT.match(text)
    }
    assert {(host, moment) for host, moment, text in planted if FAULT.match(text)} >= faults
    assert pairs_by_brute_force(simulation.entries()) <= planted
    assert {(one.host, one.anchor.kernel_time_us) for one in simulation.truth.incidents} <= faults


def test_incidents_of_one_host_never_touch():
    """No two incidents of a boot are near enough to be taken for one."""
    spans = defaultdict(list)
    for one in SIMULATION.truth.incidents:
        spans[one.boot].append((one.halves[0].kernel_time_us, one.halves[-1].kernel_time_us))
    for found in spans.values():
        found.sort()
        assert all(later[0] - earlier[1] > 60_000_000 for earlier, later in pairwise(found))


def test_one_host_that_reboots_fills_its_lines():
    """While the only host is down time goes on, and still every line is written."""
    plan = SimulationPlan(
        hosts=1,
        lines=3_000,
        incidents=2,
        half_signatures=0,
        reboots=1,
        cross_host_pairs=0,
        same_uptime_pairs=0,
        reboot_pairs=0,
        forged=0,
    )
    assert sum(1 for _ in simulate(plan).entries()) == 3_000


def test_entries_come_as_they_are_taken():
    """The first lines of a long plan cost no more than themselves: the rest is not made before it
    is asked for.
    """
    simulation = simulate(SimulationPlan(lines=200_000_000, noise_share=0.0001))
    assert len(list(islice(simulation.entries(), 1_000))) == 1_000


def test_too_few_lines_for_what_is_planted_is_refused():
    """A plan whose blocks do not fit its lines is refused in words."""
    with pytest.raises(ValueError, match="more than the plan's 100"):
        simulate(SimulationPlan(lines=100))


def test_too_much_for_too_little_time_is_refused():
    """A plan that would need to plant things on top of each other is refused in words."""
    with pytest.raises(ValueError, match="too few for all that is to be planted"):
        simulate(SimulationPlan(hosts=8, lines=1_000_000, duration_s=3_600, incidents=400))
