"""A fleet's kernel errors from its logs to the list: what is ordinary, and what is new."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing

from detector.pipeline import Pipeline
from detector.store import open_history
from detector.store.query.filters import Filter
from detector.store.query.kernel_errors import KernelErrorRow
from tests.kernel_errors.shipping import booted, counting, day, ship, syslog

HOSTS = 5_000
ORDINARY = (
    "acmesata{a}.00: link was slow for {b} ms",
    "acmefs (device dm-{a}): inode {b} has a wrong time",
    "acmeusb {a}-1: descriptor {b} cannot be read",
    "acmefw: symbol [\\_SB.PCI0.XHC.RHUB.HS{b:02}] is missing",
    "acmetherm: CPU{a} at {b} degrees",
    "acmenfs: server 10.0.{a}.{b} does not answer",
    "acmei2c i2c-{a}: transfer to 0x{b:02x} was not acknowledged",
    "acmetpm tpm{a}: command 0x{b:03x} was given up",
)
DRIVER = "acmenic 0000:{a:02x}:00.0 eth{a}: ring {a} lost its fence 0x{b:x} after {c} ms"
OLD, NEW = "6.1.140-fleet", "6.12.30-fleet"


def ordinary(number: int, lines: int, seed: int) -> list[bytes]:
    """Lines of one day, spread over the fleet."""
    chance = random.Random(seed)
    return [
        syslog(
            f"node-{chance.randrange(HOSTS)}",
            day(number, chance.randrange(86_400)),
            chance.choice(ORDINARY).format(a=chance.randrange(8), b=chance.randrange(256)),
        )
        for _ in range(lines)
    ]


def planted(number: int) -> Iterator[bytes]:
    """The rollout of a release to 400 hosts, and its driver's error on 40 of them."""
    for host in range(400):
        yield booted(f"node-{host}", day(number, host), NEW)
    for k in range(40):
        text = DRIVER.format(a=k % 12, b=7_919 * k, c=2_000 + k)
        yield syslog(f"node-{10 * k}", day(number, 3_600 + k), text)


def listed(watch: Pipeline, number: int, *, news: bool = False) -> list[KernelErrorRow]:
    """The first page of kernel errors at the end of a day."""
    with closing(open_history(watch.journal.path)) as history:
        return history.kernel_errors(Filter(), now_us=day(number, 86_399), news=news).rows


def test_new_error_of_a_driver_is_listed_first_with_hosts_and_release(tmp_path):
    """40 of 5,000 hosts print it after a rollout, among 50,000 ordinary error lines."""
    with counting(tmp_path / "fleet.db", rules__kernel_errors=True) as watch:
        ship(watch, (booted(f"node-{host}", day(0), OLD) for host in range(HOSTS)))
        for number in range(20):
            lines = ordinary(number, 2_500, number)
            lines += planted(number) if number == 17 else []
            ship(watch, lines, day(number))
        first, *others = listed(watch, 19)
        with closing(open_history(watch.journal.path)) as history:
            detail = history.kernel_error(first.id, day(19))
            incidents = history.incidents()
    assert first.template == "acmenic *: ring * lost its fence * after * ms"
    assert (first.news, first.hosts, first.count, first.news_kernel) == ("new", 40, 40, NEW)
    assert [row.news for row in others] == [None] * len(ORDINARY)
    assert [(one.kernel, one.hosts) for one in detail.releases] == [(NEW, 40)]
    assert {one.host for one in detail.last_hosts} == {f"node-{10 * k}" for k in range(40)}
    assert sum(row.count for row in others) == 50_000
    # One message of the lowest severity for all of them.
    assert [(one.rule, one.severity) for one in incidents] == [("new-kernel-error", "info")]


def test_fleet_without_it_has_nothing_new_after_two_weeks(tmp_path):
    """The same ordinary errors, a rollout, and a line that is rare: nothing is new."""
    with counting(tmp_path / "fleet.db", rules__kernel_errors=True) as watch:
        ship(watch, (booted(f"node-{host}", day(0), OLD) for host in range(HOSTS)))
        for number in range(28):
            rollout = [line for line in planted(number) if b"acmenic" not in line]
            lines = ordinary(number, 400, number)
            ship(watch, [*lines, *rollout] if number == 17 else lines, day(number))
            assert listed(watch, number, news=True) == []
        with closing(open_history(watch.journal.path)) as history:
            assert history.incidents() == []


def test_ordinary_error_on_many_hosts_at_once_is_news(tmp_path):
    """A template that a few hosts print each day, and then a hundred on one."""
    text = "acmedisk 0000:3b:00.0: write cache of port {} is off"
    with counting(tmp_path / "fleet.db") as watch:
        for number in range(12):
            hosts = 100 if number == 10 else 3
            ship(
                watch,
                (syslog(f"node-{k}", day(number, k), text.format(k)) for k in range(hosts)),
            )
            assert bool(listed(watch, number, news=True)) is (number >= 10)
        (row,) = listed(watch, 11)
    assert (row.news, row.hosts) == ("spread", 100)
