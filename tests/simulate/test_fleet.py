from random import Random

from detector.simulate import SimulationPlan
from detector.simulate.fleet import FAULTING, SECOND, build

PLAN = SimulationPlan(hosts=60, reboots=5, same_uptime_pairs=3, reboot_pairs=4, incidents=9)


def test_names_are_unique():
    """No two hosts share a name, and no two boots an id."""
    fleet = build(PLAN, Random(1))
    assert len({host.name for host in fleet.hosts}) == 60
    boots = [boot.id for host in fleet.hosts for boot in host.boots]
    assert len(set(boots)) == len(boots)


def test_each_role_has_its_hosts():
    """Every reboot of the plan has a host of its own; one incident in three takes its host down."""
    fleet = build(PLAN, Random(2))
    roles = [fleet.rebooting, fleet.same_uptime, fleet.fast_rebooting, fleet.panicking]
    assert [len(role) for role in roles] == [5, 3, 4, 3]
    assert len({host.name for role in roles for host in role}) == 15
    assert all(
        (len(host.boots) == 2) == any(host in role for role in roles) for host in fleet.hosts
    )


def test_kernels_fault_where_faults_are_planted():
    """Hosts with a role that needs a kernel fault run an architecture whose block is known."""
    fleet = build(PLAN, Random(3))
    assert all(
        host.kernel.arch in FAULTING
        for host in (*fleet.same_uptime, *fleet.fast_rebooting, *fleet.panicking)
    )


def test_boots_of_a_host_do_not_overlap_and_begin_far_apart():
    """Boots follow each other, and their epochs differ by more than wall clocks drift."""
    for host in build(PLAN, Random(4)).hosts:
        for earlier, later in zip(host.boots, host.boots[1:], strict=False):
            assert earlier.ends_us < later.epoch_us
            assert later.epoch_us - earlier.epoch_us > 1_200 * SECOND
