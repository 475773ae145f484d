"""When a template is news."""

from __future__ import annotations

from dataclasses import replace

import pytest

from detector.clock import DAY_US
from detector.kernel_errors.news import Seen, reason_of

LEARNED = 100 * DAY_US
OLD = Seen(at_us=120 * DAY_US, learned_us=LEARNED, first_us=95 * DAY_US, hosts=3, before=(3, 2))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"first_us": 119 * DAY_US}, "new"),
        ({"first_us": 119 * DAY_US, "learned_us": 121 * DAY_US}, None),
        ({"first_us": 101 * DAY_US}, None),
        ({"hosts": 12}, "spread"),
        ({"hosts": 9}, None),
        ({"hosts": 40, "before": (11,)}, None),
        ({"hosts": 12, "learned_us": 121 * DAY_US}, None),
    ],
)
def test_reason(changes, reason):
    """Learned first; new for two weeks; suddenly many."""
    assert reason_of(replace(OLD, **changes)) == reason


@pytest.mark.parametrize(
    ("first_day", "hosts", "reason"), [(115, 3, "release"), (115, 2, None), (109, 3, None)]
)
def test_release(first_day, hosts, reason):
    """A known template on a release that was learned without it, on a few of its hosts."""
    seen = replace(
        OLD,
        release_learned_us=110 * DAY_US,
        release_first_us=first_day * DAY_US,
        release_hosts=hosts,
    )
    assert reason_of(seen) == reason
