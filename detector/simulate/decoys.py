"""Plants true incidents, and decoys that look like them.

In: a plan, places, a pen, a random generator. Out: entries written and, for each, what it is and
where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from random import Random

from detector.simulate.crashes import UNRELATED_BUGS, refcount_warning
from detector.simulate.fleet import SECOND, Fleet, Host
from detector.simulate.free_slots import FreeSlots, Pen, Slot, half
from detector.simulate.plan import SimulationPlan
from detector.simulate.truth import Decoy, Half, TrueIncident

GAPS_US = (SECOND // 10, 99 * SECOND // 10)
SPAN_US = 20 * SECOND
_BLOCK_US = 10_000
_FORMS = ("release-first", "fault-first", "warning-between", "cascade", "two-releases")
IncidentTask = tuple[int, Callable[[], TrueIncident]]


def place_incidents(
    number: int, places: FreeSlots, fleet: Fleet, pen: Pen, random: Random
) -> list[IncidentTask]:
    """`number` incidents as (wall time, what writes it); the first of them take their hosts
    down, as a fault in an interrupt does.
    """
    tasks: list[IncidentTask] = []
    for index in range(number):
        gap = random.randrange(*GAPS_US)
        if index < len(fleet.panicking):
            host = fleet.panicking[index]
            begins = host.boots[0].ends_us - gap - _BLOCK_US
            place = places.at(host, host.boots[0], begins, SPAN_US)
            tasks.append((begins, _writer(pen, random, place, "panic", gap)))
        else:
            place = places.anywhere(SPAN_US)
            tasks.append(
                (place.wall_us, _writer(pen, random, place, _FORMS[index % len(_FORMS)], gap))
            )
    return tasks


def _writer(
    pen: Pen, random: Random, place: Slot, form: str, gap_us: int
) -> Callable[[], TrueIncident]:
    return lambda: _write(pen, random, place, form, gap_us)


def _write(pen: Pen, random: Random, place: Slot, form: str, gap_us: int) -> TrueIncident:
    """Both halves in the order that `form` says, and what lies between or after them."""
    if form == "fault-first":
        anchor = pen.fault(place)
        return _truth(place, anchor, [anchor, pen.release(place.later(gap_us))], pen)
    halves = [pen.release(place)]
    if form == "warning-between":
        pen.kernel(place.later(gap_us // 3), refcount_warning(place.host, random))
    if form == "two-releases":
        halves.append(pen.release(place.later(gap_us // 2)))
    anchor = pen.fault(place.later(gap_us), panics=form == "panic")
    halves.append(anchor)
    if form == "cascade":
        halves.append(pen.fault(place.later(gap_us + random.randrange(SECOND // 2, 4 * SECOND))))
    return _truth(place, anchor, halves, pen)


def _truth(place: Slot, anchor: Half, halves: list[Half], pen: Pen) -> TrueIncident:
    gap = min(
        abs(half.kernel_time_us - anchor.kernel_time_us)
        for half in halves
        if half.part == "release"
    )
    return TrueIncident(
        place.host.name, place.boot.id, tuple(halves), anchor, gap, pen.entries[-1].kernel_us
    )


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
