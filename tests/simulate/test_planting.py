from collections import Counter, defaultdict

import pytest

from detector.simulate import SimulationPlan, simulate

PLAN = SimulationPlan(
    seed=3,
    hosts=40,
    lines=40_000,
    incidents=15,
    half_signatures=12,
    forged=10,
    far_pairs=4,
    cross_host_pairs=5,
)
SIMULATION = simulate(PLAN)
ENTRIES = list(SIMULATION.entries())
DECOYS = defaultdict(list)
for decoy in SIMULATION.truth.decoys:
    DECOYS[decoy.kind].append(decoy)
WINDOW_US = 10_000_000


def entries_of(half):
    """The entries that a half of the truth names."""
    return [
        entry
        for entry in ENTRIES
        if (entry.kernel_us, entry.wall_us, entry.text)
        == (half.kernel_time_us, half.wall_us, half.text)
    ]


def test_every_kind_is_planted_as_often_as_planned():
    """The plan's counts are kept, kind by kind."""
    assert {kind: len(found) for kind, found in DECOYS.items()} == {
        "release-alone": 6, "fault-alone": 6, "cross-host": 5, "same-uptime": 2,
        "reboot-between": 2, "far": 4,
        "forged-syslog": 2, "forged-kmsg": 2, "forged-comm": 2, "quoted-by-user": 2,
        "quoted-by-kernel": 2,
    }  # fmt: skip
    assert len(SIMULATION.truth.incidents) == 15


def test_every_half_is_a_line_that_was_written():
    """What the truth names stands in the log once, word for word."""
    halves = [
        half
        for one in (*SIMULATION.truth.incidents, *SIMULATION.truth.decoys)
        for half in one.halves
    ]
    assert all(len(entries_of(half)) == 1 for half in halves)


def test_incidents_lie_within_the_window_on_one_boot():
    """Gap and boot of each incident are as told, the anchor is its first fault, both orders
    occur.
    """
    orders = Counter(one.halves[0].part for one in SIMULATION.truth.incidents)
    assert set(orders) == {"fault", "release"}
    for one in SIMULATION.truth.incidents:
        releases = [half for half in one.halves if half.part == "release"]
        assert one.anchor == next(half for half in one.halves if half.part == "fault")
        assert one.gap_us == min(
            abs(half.kernel_time_us - one.anchor.kernel_time_us) for half in releases
        )
        assert 0 < one.gap_us < WINDOW_US
        assert {entry.boot.id for half in one.halves for entry in entries_of(half)} == {one.boot}
    assert any(
        sum(half.part == "fault" for half in one.halves) == 2 for one in SIMULATION.truth.incidents
    )


def test_cross_host_halves_lie_on_two_hosts_within_the_window():
    """By the wall clock it would be an incident."""
    for one in DECOYS["cross-host"]:
        assert len({host for host, _ in one.where}) == 2
        assert abs(one.halves[0].wall_us - one.halves[1].wall_us) < WINDOW_US


def test_same_uptime_halves_lie_on_two_boots():
    """By the kernel's clock it would be an incident."""
    for one in DECOYS["same-uptime"]:
        assert len({host for host, _ in one.where}) == 1
        assert len({boot for _, boot in one.where}) == 2
        assert abs(one.halves[0].kernel_time_us - one.halves[1].kernel_time_us) < WINDOW_US


def test_a_reboot_lies_between_halves_that_are_close():
    """By the wall clock it would be an incident."""
    for one in DECOYS["reboot-between"]:
        assert len({boot for _, boot in one.where}) == 2
        assert abs(one.halves[0].wall_us - one.halves[1].wall_us) < WINDOW_US


def test_far_halves_are_on_one_boot_and_further_apart_than_the_window():
    """Nothing but the distance keeps them from being an incident, also in whole seconds."""
    for one in DECOYS["far"]:
        assert len(one.where) == 1
        assert (
            abs(one.halves[0].kernel_time_us - one.halves[1].kernel_time_us)
            >= WINDOW_US + 2_000_000
        )


@pytest.mark.parametrize(("kind", "via"), [("forged-syslog", "syslog"), ("forged-kmsg", "kmsg")])
def test_forged_pairs_are_written_by_user_space(kind, via):
    """Both halves are there, within the window, and the kernel wrote neither."""
    for one in DECOYS[kind]:
        assert {half.part for half in one.halves} == {"release", "fault"}
        assert {entry.via for half in one.halves for entry in entries_of(half)} == {via}
        assert all(entry.program for half in one.halves for entry in entries_of(half))


@pytest.mark.parametrize("kind", ["forged-comm", "quoted-by-user", "quoted-by-kernel"])
def test_a_real_half_has_a_false_one_near(kind):
    """Beside the real release line stands a line that carries the words of a fault and is none."""
    for one in DECOYS[kind]:
        assert [half.part for half in one.halves] == ["release"]
        (real,) = entries_of(one.halves[0])
        near = [
            entry
            for entry in ENTRIES
            if entry.boot is real.boot and 0 < entry.kernel_us - real.kernel_us < WINDOW_US
        ]
        assert any(
            "Unable to handl" in entry.text or "BUG: unable to" in entry.text for entry in near
        )


def test_noise_counts_are_the_heads_in_the_log():
    """As many user crashes as the truth counts, found by the words of their heads."""
    words = (
        "unhandled level",
        "unhandled exception",
        "segfault",
        "traps: ",
        "User process fault",
        "unhandled signal",
        "Alignment trap",
        "unhandled page",
    )
    heads = Counter(
        entry.host.name for entry in ENTRIES if any(word in entry.text for word in words)
    )
    planted = Counter()
    for one in SIMULATION.truth.noise:
        planted[one.host] += one.count
    assert heads == planted


def test_faults_of_a_boot_are_counted_on():
    """The kernel's own counter of faults grows with each on a boot: `[#1]`, `[#2]` …"""
    seen = defaultdict(list)
    for entry in ENTRIES:
        if entry.program is None and " [#" in entry.text:
            seen[entry.boot.id].append(int(entry.text.split("[#")[1].split("]")[0]))
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in seen.values())
    assert max(map(len, seen.values())) > 1


def test_second_boots_begin_with_a_banner():
    """Every reboot inside the plan is announced at kernel time 0."""
    banners = {
        entry.boot.id
        for entry in ENTRIES
        if entry.kernel_us == 0 and entry.text.startswith("Linux version ")
    }
    assert banners == {boot.id for host in SIMULATION.fleet.hosts for boot in host.boots[1:]}
