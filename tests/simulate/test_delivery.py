from collections import Counter, defaultdict
from random import Random

import pytest

from detector.simulate import DELIVERIES, SimulationPlan, halves_apart, simulate
from detector.simulate.fleet import DAY, SECOND

SIMULATION = simulate(SimulationPlan(seed=8, hosts=25, lines=10_000, duration_s=14_400))
ENTRIES = list(SIMULATION.entries())


def arrived(name, seed=1):
    """The entries as that delivery brings them."""
    return list(DELIVERIES[name](iter(ENTRIES), Random(seed)))


@pytest.mark.parametrize("name", ["in-order", "jitter", "late-hosts"])
def test_nothing_is_lost_and_nothing_added(name):
    """Slow networks permute, and do nothing else."""
    assert Counter(arrived(name)) == Counter(ENTRIES)


@pytest.mark.parametrize("name", ["jitter", "duplicated"])
def test_chance_is_the_seeds(name):
    """The same seed brings the same order, another one another."""
    assert arrived(name) == arrived(name)
    assert arrived(name) != arrived(name, seed=2)


def test_in_order_is_as_written():
    """Nothing happens to an orderly delivery."""
    assert arrived("in-order") == ENTRIES


def test_jitter_brings_lines_out_of_order_by_half_a_minute_at_most():
    """Lines of one host overtake each other, but not by more than the jitter."""
    latest, overtaken = defaultdict(int), 0
    for entry in arrived("jitter"):
        overtaken += entry.wall_us < latest[entry.host.name]
        assert latest[entry.host.name] - entry.wall_us <= 30 * SECOND
        latest[entry.host.name] = max(latest[entry.host.name], entry.wall_us)
    assert overtaken > 50


def test_late_hosts_come_an_hour_late_in_their_own_order():
    """Some hosts lag by an hour; each host's own lines keep their order."""
    by_host = defaultdict(list)
    lag, latest = 0, 0
    for entry in arrived("late-hosts"):
        by_host[entry.host.name].append(entry.wall_us)
        latest = max(latest, entry.wall_us)
        lag = max(lag, latest - entry.wall_us)
    assert all(walls == sorted(walls) for walls in by_host.values())
    assert 3_590 * SECOND < lag <= 3_600 * SECOND


def test_clocks_ahead_change_the_wall_time_alone():
    """One host in five is a day ahead by its own clock, and nothing else differs."""
    changed = Counter()
    for before, after in zip(ENTRIES, arrived("clock-ahead"), strict=True):
        assert after.wall_us - before.wall_us in (0, DAY)
        assert after._replace(wall_us=before.wall_us) == before
        changed[after.wall_us != before.wall_us] += 1
    assert 0.1 < changed[True] / len(ENTRIES) < 0.3


def test_duplicates_are_one_in_twenty():
    """Every entry arrives, some twice, none more often."""
    counts = Counter(arrived("duplicated"))
    assert set(counts) == set(ENTRIES)
    doubled = sum(counts.values()) - sum(Counter(ENTRIES).values())
    assert 0.03 < doubled / len(ENTRIES) < 0.07


def test_twice_is_everything_and_then_everything_again():
    """A shipper that begins anew."""
    assert arrived("twice") == ENTRIES + ENTRIES


def test_halves_apart_puts_no_pair_into_one_part():
    """Both parts together are everything; each part holds one half of every incident."""
    parts = halves_apart(iter(ENTRIES), SIMULATION.truth)
    assert Counter(parts[0]) + Counter(parts[1]) == Counter(ENTRIES)
    lines = [{(entry.host.name, entry.kernel_us, entry.text) for entry in part} for part in parts]
    for one in SIMULATION.truth.incidents:
        sorts = [
            {half.part for half in one.halves if (one.host, half.kernel_time_us, half.text) in part}
            for part in lines
        ]
        assert sorts == [{one.halves[0].part}, {"release", "fault"} - {one.halves[0].part}]
