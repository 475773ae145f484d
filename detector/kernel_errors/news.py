"""Decides which templates of kernel errors are news.

News is new to the fleet, new to a kernel release, or suddenly on many hosts.

In: since when errors are counted, when a template was first seen, on how many hosts by day and
release. Out: a reason, or None. A fleet is learned first: what it prints in its first days is
ordinary, and so is what a release prints in the first days that it runs. No IO, no clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from detector.clock import DAY_US

NewsReason = Literal["new", "release", "spread"]
# A template that is news is listed as such for so many days.
NEWS_DAYS = 14
# Hosts of one release: a template that is rare on others may well meet one or two by chance.
RELEASE_HOSTS = 3
# Hosts of a day, and how many times those of any of the days before it.
MANY_HOSTS = 10
TIMES = 4


@dataclass(frozen=True, slots=True)
class Seen:
    """The past of a template that is seen on one more host; times are µs since 1970.

    `learned_us` is when the fleet's errors are known, `release_learned_us` when those of the host's
    release are, None where that is unknown. `first_us` is when the template was first seen,
    `release_first_us` when on this release, on `release_hosts` hosts by now. `hosts` are those of
    the day, `before` those of each day of the two weeks before it.
    """

    at_us: int
    learned_us: int
    first_us: int
    hosts: int
    before: Sequence[int] = ()
    release_learned_us: int | None = None
    release_first_us: int | None = None
    release_hosts: int = 0


def reason_of(seen: Seen) -> NewsReason | None:
    """Returns why a template is news now; None where it is not."""
    if seen.at_us < seen.learned_us:
        return None
    if seen.first_us >= max(seen.learned_us, seen.at_us - NEWS_DAYS * DAY_US):
        return "new"
    if (
        seen.release_learned_us is not None
        and seen.release_first_us is not None
        and seen.release_first_us >= max(seen.release_learned_us, seen.learned_us)
        and seen.release_hosts >= RELEASE_HOSTS
    ):
        return "release"
    if seen.hosts >= max(MANY_HOSTS, TIMES * max(seen.before, default=0)):
        return "spread"
    return None
