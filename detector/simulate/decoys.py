"""Things that look like an incident and are none: each must raise nothing.

In: a plan, places, a pen, a random generator. Out: entries written and, for each, what it is and
where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from random import Random

from detector.simulate.crashes import UNRELATED_BUGS
from detector.simulate.fleet import SECOND, Fleet, Host
from detector.simulate.free_slots import FreeSlots, Slot
from detector.simulate.incidents import GAPS_US, SPAN_US
from detector.simulate.plan import SimulationPlan
from detector.simulate.recorder import Pen, half
from detector.simulate.truth import Decoy, Half

_FAR_US = (12 * SECOND, 90 * SECOND)
_STATES = (10, 1, 3)
_FORGERIES = ("forged-syslog", "forged-kmsg", "forged-comm", "quoted-by-user", "quoted-by-kernel")
_FORGED_COMMS = {"arm64": "Unable to handl", "x86_64": "BUG: unable to"}
_FAULT = "Unable to handle kernel paging request at virtual address 00000000000c0ffe"
_RELEASE = "IPv4: Attempt to release TCP socket in state 10 00000000c0ffee11"
DecoyTask = tuple[int, Callable[[], Decoy]]


def place_decoys(
    plan: SimulationPlan, places: FreeSlots, fleet: Fleet, pen: Pen, random: Random
) -> Iterator[DecoyTask]:
    """Every decoy of `plan` as (wall time, what writes it)."""
    for host in fleet.same_uptime:
        yield _same_uptime(host, places, pen, random)
    for host in fleet.fast_rebooting:
        yield _reboot_between(host, places, pen, random)
    for number in range(plan.half_signatures):
        place = places.anywhere(SPAN_US)
        yield place.wall_us, partial(_half_alone, place, pen, number)
    for _ in range(plan.cross_host_pairs):
        yield _cross_host(places, pen, random)
    for number in range(plan.far_pairs):
        place, gap = places.anywhere(_FAR_US[1] + SPAN_US), random.randrange(*_FAR_US)
        yield place.wall_us, partial(_pair, "far", (place, place.later(gap)), pen, number % 2)
    for number in range(plan.forged):
        place = places.anywhere(SPAN_US)
        yield (
            place.wall_us,
            partial(
                _forged,
                place,
                pen,
                _FORGERIES[number % len(_FORGERIES)],
                random.randrange(*GAPS_US),
            ),
        )


def _same_uptime(host: Host, places: FreeSlots, pen: Pen, random: Random) -> DecoyTask:
    """One half on each boot, at uptimes less than the window apart."""
    first, second = host.boots
    lowest, highest = second.epoch_us - first.ends_us, first.ends_us - first.epoch_us
    uptime = random.randrange(max(lowest, highest // 3), highest * 2 // 3)
    earlier = places.at(host, first, first.epoch_us + uptime, SPAN_US)
    later = places.at(host, second, second.epoch_us + uptime + random.randrange(*GAPS_US), SPAN_US)
    return earlier.wall_us, partial(
        _pair, "same-uptime", (earlier, later), pen, random.randrange(2)
    )


def _reboot_between(host: Host, places: FreeSlots, pen: Pen, random: Random) -> DecoyTask:
    """One half in the last seconds of a boot, the other in the first seconds of the next,
    within the window by the wall clock.
    """
    first, second = host.boots
    earlier = places.at(host, first, first.ends_us - random.randrange(SECOND, 3 * SECOND), SPAN_US)
    later = places.at(
        host, second, second.epoch_us + random.randrange(2 * SECOND, 4 * SECOND), SPAN_US
    )
    return earlier.wall_us, partial(
        _pair, "reboot-between", (earlier, later), pen, random.randrange(2)
    )


def _cross_host(places: FreeSlots, pen: Pen, random: Random) -> DecoyTask:
    """One half on each of two hosts, within the window.

    Raises ValueError where no second host is free.
    """
    for _ in range(100):
        earlier = places.anywhere(SPAN_US)
        later = places.beside(earlier, earlier.wall_us + random.randrange(*GAPS_US), SPAN_US)
        if later is not None:
            return earlier.wall_us, partial(
                _pair, "cross-host", (earlier, later), pen, random.randrange(2)
            )
    raise ValueError("the hosts and the duration are too few for cross_host_pairs")


def _pair(kind: str, where: tuple[Slot, Slot], pen: Pen, fault_first: int) -> Decoy:
    fault, release = where if fault_first else (where[1], where[0])
    return _decoy(kind, where, (pen.fault(fault), pen.release(release)))


def _half_alone(place: Slot, pen: Pen, number: int) -> Decoy:
    if number % 2:
        return _decoy("fault-alone", (place,), (pen.fault(place, UNRELATED_BUGS),))
    return _decoy(
        "release-alone", (place,), (pen.release(place, _STATES[number // 2 % len(_STATES)]),)
    )


def _forged(place: Slot, pen: Pen, kind: str, gap_us: int) -> Decoy:
    """A pair that user space wrote or made the kernel repeat; where one half is real, the
    other is not.
    """
    later = place.later(gap_us)
    if kind in ("forged-syslog", "forged-kmsg"):
        via, program = (
            ("syslog", "test-runner[4242]")
            if kind == "forged-syslog"
            else ("kmsg", "kmsg-writer[77]")
        )
        pen.user(place, program, _RELEASE, "syslog" if via == "syslog" else "kmsg", level=3)
        pen.user(later, program, _FAULT, "syslog" if via == "syslog" else "kmsg", level=1)
        return _decoy(
            kind, (place,), (half("release", place, _RELEASE), half("fault", later, _FAULT))
        )
    real = pen.release(place)
    if kind == "forged-comm":
        pen.user_fault(later, _FORGED_COMMS[place.host.kernel.arch])
    elif kind == "quoted-by-user":
        pen.user(later, "grep-logs[311]", f"seen on another host: [ 4711.052233] {_FAULT}")
    else:
        pen.kernel(
            later,
            [
                (
                    5,
                    (
                        "audit: type=1123 audit(1767240000.118:904): pid=812 uid=0 "
                        f"msg='cmd=\"grep {_FAULT}\" res=success'"
                    ),
                )
            ],
        )
    return _decoy(kind, (place,), (real,))


def _decoy(kind: str, places: tuple[Slot, ...], halves: tuple[Half, ...]) -> Decoy:
    where = tuple(dict.fromkeys((place.host.name, place.boot.id) for place in places))
    return Decoy(kind, where, tuple(sorted(halves, key=lambda line: line.wall_us)))
