"""Plants true incidents: a socket released in the wrong state, and a kernel fault within
the window, on one boot.

In: places, a pen, a random generator. Out: entries written and the truth of each.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from detector.simulate.crashes import refcount_warning
from detector.simulate.fleet import SECOND, Fleet
from detector.simulate.free_slots import FreeSlots, Slot
from detector.simulate.recorder import Pen
from detector.simulate.truth import Half, TrueIncident

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
