"""Hosts whose clocks, names and logs do what they do in the field, with the truth of each: how many
incidents there are.

In: a name and a random generator. Out: records in the order in which they arrive. Each history is
one function; its docstring says what happens to the host.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

SECOND = 1_000_000
HOUR = 3_600
DAY = 86_400
# 2 June 2026, 08:14:00: nothing here comes near a new year but what begins at one.
START = 1_780_388_040
RELEASE = "IPv4: Attempt to release TCP socket in state 10 00000000{:08x}"
FAULTS = (
    "BUG: kernel NULL pointer dereference, address: 0000000000000{:03x}",
    "Unable to handle kernel paging request at virtual address 00000000000{:05x}",
)
BANNER = "Linux version 6.1.0-umbra (build@umbra) (gcc 12.2.0) #1 SMP PREEMPT Mon Mar 20 2023"
NOISE = "tidewatch[{}]: segfault at 10 ip 00007f0000000000 sp 00007ffc00000000 error 4 in libc.so"
DOMAIN = "example.com"


@dataclass(frozen=True, slots=True)
class Shipped:
    """A record: when it arrives (seconds after `START`), where, its bytes and key."""

    at: float
    source: str
    value: bytes
    key: bytes | None = None


@dataclass(slots=True)
class Host:
    """A host that is being written: its records so far, and where they go.

    `wall` is the start of its clock: what it shows at uptime 0, in seconds after `START`.
    """

    name: str
    random: Random
    records: list[Shipped] = field(default_factory=list)
    partition: str = ""
    halves_told: int = 0

    def __post_init__(self) -> None:
        self.partition = f"logs/{self.random.randrange(3)}"

    def text(self, release: bool) -> str:
        """One half's text, unlike any other's."""
        phrase = RELEASE if release else self.random.choice(FAULTS)
        self.halves_told += 1
        return phrase.format(16 * self.random.randrange(1, 0xFF) + self.halves_told % 16)

    def halves(self) -> tuple[str, str]:
        """Both halves, in either order."""
        first = self.random.random() < 0.5
        return self.text(first), self.text(not first)

    def gap(self) -> float:
        """Seconds between two halves of one incident."""
        return round(self.random.uniform(0.01, 9.9), 6)

    def uptime(self) -> float:
        """Some uptime, from minutes to years."""
        return round(
            self.random.choice((200, 5_000, 400_000, 60_000_000)) * (1 + self.random.random()), 6
        )

    def say(self, uptime: float, wall: float, text: str, **how: object) -> None:
        """A line of the kernel: its uptime, what the wall clock shows, and how it is shipped."""
        shape = how.get("shape", iso)
        assert callable(shape)
        value = shape(
            str(how.get("name", self.name)), uptime, wall, text, str(how.get("tag", "kernel"))
        )
        key = self.name.encode() if shape is kmsg else None
        at = float(str(how.get("at", wall)))
        self.records.append(Shipped(at, str(how.get("source", self.partition)), value, key))


def iso(host: str, uptime: float, wall: float, text: str, tag: str) -> bytes:
    """Rsyslog's file format."""
    stamp = datetime.fromtimestamp(START + wall, UTC).isoformat(timespec="microseconds")
    return f"{stamp} {host} {tag}: [{uptime:12.6f}] {text}".encode()


def bsd(host: str, uptime: float, wall: float, text: str, tag: str) -> bytes:
    """The traditional format: whole seconds, and no year."""
    moment = datetime.fromtimestamp(int(START + wall), UTC)
    return (
        f"{moment:%b} {moment.day:2d} {moment:%H:%M:%S} {host} {tag}: [{uptime:12.6f}] {text}"
    ).encode()


def rsyslog(host: str, uptime: float, wall: float, text: str, tag: str) -> bytes:
    """Rsyslog's JSON; what imfile read has a facility of its own."""
    stamp = datetime.fromtimestamp(START + wall, UTC).isoformat(timespec="microseconds")
    return json.dumps(
        {
            "ts": stamp,
            "host": host,
            "syslogtag": f"{tag}:",
            "priority": 6 if tag == "kernel" else 133,
            "message": f" [{uptime:12.6f}] {text}",
        }
    ).encode()


def journald(boot: str) -> Callable[[str, float, float, str, str], bytes]:
    """The journal of one boot, as JSON."""

    def shape(host: str, uptime: float, wall: float, text: str, _tag: str) -> bytes:
        return json.dumps(
            {
                "_HOSTNAME": host,
                "_BOOT_ID": boot,
                "_TRANSPORT": "kernel",
                "_SOURCE_MONOTONIC_TIMESTAMP": str(round(uptime * SECOND)),
                "__REALTIME_TIMESTAMP": str(round((START + wall) * SECOND)),
                "MESSAGE": text,
            }
        ).encode()

    return shape


def kmsg(_host: str, uptime: float, _wall: float, text: str, _tag: str) -> bytes:
    """/dev/kmsg, as netconsole ships it: no wall clock, the host in the record's key."""
    return f"4,{round(uptime * 1000)},{round(uptime * SECOND)},-;{text}".encode()


def dmesg(_host: str, uptime: float, _wall: float, text: str, _tag: str) -> bytes:
    """The kernel's own stamp and nothing else."""
    return f"[{uptime:12.6f}] {text}".encode()


def boot_id(random: Random) -> str:
    """journald's name of a boot."""
    return f"{random.getrandbits(128):032x}"


History = Callable[[Host], int]
SHAPES = (iso, bsd, rsyslog)


def plain(host: Host) -> int:
    """Both halves, whatever the transport."""
    first, second = host.halves()
    uptime, shape = (
        host.uptime(),
        host.random.choice((*SHAPES, kmsg, journald(boot_id(host.random)))),
    )
    host.say(uptime, 0, first, shape=shape)
    gap = host.gap()
    host.say(uptime + gap, gap, second, shape=shape)
    return 1


def clock_steps(host: Host) -> int:
    """NTP, a pause, daylight saving or a clock in local time steps the wall clock between the
    halves; the boot's own banner may have been seen, and lines go on after it.
    """
    first, second = host.halves()
    step = host.random.choice((660, -660, 1_200, 3_600, -3_600, 8 * HOUR, -8 * HOUR))
    uptime, gap, shape = host.uptime(), host.gap(), host.random.choice(SHAPES)
    if host.random.random() < 0.5 and uptime < DAY:
        host.say(0, -uptime, BANNER, shape=shape)
    host.say(uptime, 0, first, shape=shape)
    host.say(uptime + gap, gap + step, second, shape=shape, at=gap)
    host.say(uptime + 400, 400 + step, NOISE.format(9), shape=shape, at=400)
    return 1


def clock_is_found(host: Host) -> int:
    """A board without a battery begins at 1970 and finds the time between the halves."""
    first, second = host.halves()
    uptime, gap, shape = host.uptime(), host.gap(), host.random.choice(SHAPES)
    if host.random.random() < 0.5:
        host.say(0, -START, BANNER, shape=shape, at=-uptime)
    host.say(uptime, uptime - START, first, shape=shape, at=0)
    host.say(uptime + gap, gap, second, shape=shape)
    return 1


def early(host: Host) -> int:
    """Halves at an uptime of two seconds, stamped when the syslog daemon began or the network
    came.
    """
    first, second = host.halves()
    shape, late = host.random.choice(SHAPES), host.random.uniform(0, 40)
    host.say(0, late, BANNER, shape=shape)
    host.say(2.0 + host.random.random(), late, first, shape=shape)
    host.say(3.5 + host.random.random(), late + host.random.uniform(3, 50), second, shape=shape)
    return 1


def boots_in_a_loop(host: Host) -> int:
    """Every boot crashes at the same uptime; each has its pair."""
    shape = host.random.choice((*SHAPES, kmsg))
    pairs = host.random.randrange(2, 5)
    for boot in range(pairs):
        begins = boot * 95.0
        first, second = host.halves()
        host.say(0, begins, BANNER, shape=shape)
        host.say(2.0 + boot / 1000, begins + 2, first, shape=shape)
        host.say(4.0 + boot / 1000, begins + 4, second, shape=shape)
    return pairs


def dump_is_read_late(host: Host) -> int:
    """The machine crashes; after the reboot its dump's log is read, stamped minutes late. The next
    boot has a half at the same uptime.
    """
    first, second = host.halves()
    shape, uptime, gap = (
        host.random.choice(SHAPES),
        3_000 + host.random.random() * 9_000,
        host.gap(),
    )
    tag = host.random.choice(("kernel", "vmcore-dmesg"))
    host.say(uptime, 0, first, shape=shape)
    down, read = host.random.uniform(60, 200), host.random.uniform(660, 1_500)
    host.say(0, down, BANNER, shape=shape)
    host.say(20, down + 20, NOISE.format(1), shape=shape)
    host.say(uptime + gap, read, second, shape=shape, tag=tag)
    host.say(read - down + 30, read + 30, NOISE.format(2), shape=shape)
    host.say(uptime + 1, down + uptime + 1, host.text("release" in first), shape=shape)
    return 1


def young_dump(host: Host) -> int:
    """The same of a machine that crashed two minutes after its boot: the trusted tag tells that the
    lines are a dump's.
    """
    first, second = host.halves()
    shape, uptime, gap = host.random.choice(SHAPES), host.random.uniform(90, 150), host.gap()
    host.say(0, -uptime, BANNER, shape=shape)
    host.say(uptime, 0, first, shape=shape)
    host.say(0, 100, BANNER, shape=shape)
    host.say(uptime + gap, 660, second, shape=shape, tag="vmcore-dmesg")
    host.say(uptime + 1, 100 + uptime + 1, host.text("release" in first), shape=shape, at=700)
    return 1


def dump_in_a_file(host: Host) -> int:
    """The dump is a file under a folder of the host's name, without any wall clock."""
    first, second = host.halves()
    uptime, gap = host.uptime(), host.gap()
    host.say(uptime, 0, first, shape=host.random.choice((*SHAPES, kmsg)))
    path = f"/var/crash/{host.name}/127.0.0.1-2026-06-02/vmcore-dmesg.txt"
    host.say(uptime + gap, 900, second, shape=dmesg, source=path)
    return 1


def dump_is_read_again(host: Host) -> int:
    """The dump holds the whole log, banner and all: copies of what came before the crash."""
    first, second = host.halves()
    shape, uptime, gap = (
        host.random.choice(SHAPES),
        3_000 + host.random.random() * 9_000,
        host.gap(),
    )
    host.say(uptime, 0, first, shape=shape)
    host.say(0, 100, BANNER, shape=shape)
    for number, (time, text) in enumerate([(0, BANNER), (uptime, first), (uptime + gap, second)]):
        host.say(time, 700 + number / 100, text, shape=shape)
    return 1


def name_comes_late(host: Host) -> int:
    """Lines of `localhost` are those of the host that has their boot id."""
    first, second = host.halves()
    shape = journald(boot_id(host.random))
    host.say(
        2, 2, first, shape=shape, name=host.random.choice(("localhost", "localhost.localdomain"))
    )
    host.say(6, 6, second, shape=shape)
    return 1


def names_vary(host: Host) -> int:
    """A short name, a full one, other case, a dot at the end."""
    first, second = host.halves()
    full = f"{host.name}.{DOMAIN}"
    names = [host.name, full, host.name.upper(), f"{host.name}.", f"{full}.", full.title()]
    uptime, gap, shape = host.uptime(), host.gap(), host.random.choice(SHAPES)
    one, other = host.random.sample(names, 2)
    host.say(uptime, 0, first, shape=shape, name=one)
    host.say(uptime + gap, gap, second, shape=shape, name=other, source="logs/0")
    return 1


def stamps_are_rounded(host: Host) -> int:
    """Another transport ships the same lines with milliseconds."""
    first, second = host.halves()
    uptime, gap = host.uptime(), host.gap()
    for late, source in host.random.sample([(0.2, "logs/0"), (30, "copies/0")], 2):
        for time, text in ((uptime, first), (uptime + gap, second)):
            shown = round(time, 3) if source == "copies/0" else time
            host.say(shown, shown - uptime, text, source=source, at=time - uptime + late)
    return 1


def halves_in_two_partitions(host: Host) -> int:
    """The host's lines are spread; its banners, before and after, came in a third partition."""
    first, second = host.halves()
    uptime, gap, step = 4_000 + host.random.random(), host.gap(), host.random.choice((0, 660, -660))
    host.say(0, -uptime, BANNER, source="logs/2")
    host.say(uptime, 0, first, source="logs/0")
    host.say(uptime + gap, gap + step, second, source="logs/1", at=host.random.choice((gap, -5)))
    host.say(0, 9_000, BANNER, source="logs/2")
    return 1


def late_half(host: Host) -> int:
    """One half comes an hour after the other, behind younger lines of its boot."""
    first, second = host.halves()
    uptime, gap, shape = host.uptime(), host.gap(), host.random.choice(SHAPES)
    host.say(uptime, 0, first, shape=shape)
    host.say(uptime + 1_800, 1_800, NOISE.format(3), shape=shape)
    host.say(uptime + gap, gap, second, shape=shape, at=3_600)
    return 1


def called_like_a_banner(host: Host) -> int:
    """A program that calls itself `Linux version 5` crashes between the halves."""
    first, second = host.halves()
    uptime, gap, shape = host.uptime(), host.gap(), host.random.choice((*SHAPES, kmsg))
    host.say(uptime, 0, first, shape=shape)
    text = NOISE.format(7).replace("tidewatch", "Linux version 5")
    host.say(uptime + gap / 2, gap / 2, text, shape=shape)
    host.say(uptime + gap, gap, second, shape=shape)
    return 1


def everything_twice(host: Host) -> int:
    """A shipper loses its position: two boots, and all of it again."""
    first, second = host.halves()
    shape = host.random.choice((*SHAPES, kmsg))
    for late in (0, 20_000):
        host.say(5_000, 0, NOISE.format(1), shape=shape, at=late)
        host.say(0, 100, BANNER, shape=shape, at=late + 100)
        host.say(3_000.5, 3_100.5, first, shape=shape, at=late + 3_100)
        host.say(3_002.5, 3_102.5, second, shape=shape, at=late + 3_102)
    return 1


def id_on_one_half(host: Host) -> int:
    """journald knows the boot, netconsole does not."""
    first, second = host.halves()
    uptime, gap = host.uptime(), host.gap()
    shapes = host.random.sample([journald(boot_id(host.random)), kmsg], 2)
    host.say(uptime, 0, first, shape=shapes[0])
    host.say(uptime + gap, gap, second, shape=shapes[1])
    return 1


def no_clock_two_boots(host: Host) -> int:
    """A board whose clock begins at one time in every boot: only the banner parts them."""
    first, second = host.halves()
    uptime, shape = host.random.choice((5.0, 45.0, 3_000.0)), host.random.choice(SHAPES)
    begins = host.random.choice((-START, -400 * DAY, 0))
    host.say(uptime, begins + uptime, first, shape=shape, at=0)
    host.say(0, begins, BANNER, shape=shape, at=60)
    host.say(uptime + 2, begins + uptime + 2, second, shape=shape, at=100 + uptime)
    return 0


def same_uptime_on_two_days(host: Host) -> int:
    """No banner is shipped."""
    first, second = host.halves()
    uptime, shape = host.random.choice((2.0, 300.0, 7_000.0)), host.random.choice(SHAPES)
    days = host.random.choice((1, 2, 9))
    host.say(uptime, 0, first, shape=shape)
    host.say(uptime + host.gap(), days * DAY, second, shape=shape)
    return 0


def reboot_within_minutes(host: Host) -> int:
    """The same uptime of two boots with a banner between, in one partition, in several, or without
    any wall clock; the second boot's clock may step.
    """
    first, second = host.halves()
    uptime = host.random.uniform(100, 400)
    begins = uptime + host.random.uniform(70, 300)
    spread = host.random.random() < 0.4
    shape = host.random.choice(SHAPES if spread else (*SHAPES, kmsg))
    sources = ("logs/0", "logs/1", "logs/2") if spread else (host.partition,) * 3
    step = 0 if spread else host.random.choice((0, 660, -660, 3_600))
    if abs(begins + step) < 120:  # then the line would be one of the first boot that came late
        step = 0
    host.say(uptime, uptime, first, shape=shape, source=sources[0])
    host.say(0, begins, BANNER, shape=shape, source=sources[1])
    wall = begins + uptime + 3
    host.say(uptime + 3, wall + step, second, shape=shape, source=sources[2], at=wall)
    return 0


def fall_without_a_banner(host: Host) -> int:
    """A program crashes in the second boot's first minute: the kernel time fell."""
    first, second = host.halves()
    shape = host.random.choice((*SHAPES, kmsg))
    host.say(500, 0, first, shape=shape)
    host.say(30, 120, NOISE.format(5), shape=shape)
    host.say(504, 594, second, shape=shape)
    return 0


def ids_differ(host: Host) -> int:
    """Two boots by journald's word, whatever the clocks say."""
    first, second = host.halves()
    uptime, gap = host.uptime(), host.gap()
    host.say(uptime, 0, first, shape=journald(boot_id(host.random)))
    host.say(uptime + gap, gap, second, shape=journald(boot_id(host.random)))
    return 0


def nobody_s_name(host: Host) -> int:
    """Two machines that call themselves `localhost`."""
    first, second = host.halves()
    uptime = host.uptime()
    for number, text in enumerate((first, second)):
        shape = journald(boot_id(host.random))
        host.say(uptime + number, number, text, shape=shape, name="localhost")
    return 0


def two_machines(host: Host) -> int:
    """One short name in two domains, and copies of one memory under names of their own."""
    first, second = host.halves()
    uptime, shape = host.uptime(), host.random.choice((*SHAPES, journald(boot_id(host.random))))
    host.say(uptime, 0, first, shape=shape, name=f"{host.name}.fra.example.net")
    host.say(uptime + 1, 1, second, shape=shape, name=f"{host.name}.ams.example.net")
    return 0


def too_far_apart(host: Host) -> int:
    """More than the rule's timespan of kernel time, though the wall clock stood still."""
    first, second = host.halves()
    uptime, shape = host.uptime(), host.random.choice(SHAPES)
    host.say(uptime, 0, first, shape=shape)
    host.say(uptime + 11, 0, second, shape=shape, at=11)
    return 0


HISTORIES: tuple[History, ...] = (
    plain, clock_steps, clock_is_found, early, boots_in_a_loop, dump_is_read_late, young_dump,
    dump_in_a_file, dump_is_read_again,
    name_comes_late, names_vary, stamps_are_rounded, halves_in_two_partitions, late_half,
    called_like_a_banner, everything_twice, id_on_one_half,
    no_clock_two_boots, same_uptime_on_two_days, reboot_within_minutes, fall_without_a_banner,
    ids_differ, nobody_s_name, two_machines, too_far_apart,
)  # fmt: skip


def fleet(
    hosts: int, seed: int, histories: Iterable[History] = HISTORIES
) -> tuple[list[Shipped], dict[str, tuple[str, int]]]:
    """Records of many hosts in the order in which they arrive, and by host the history that it had
    and its true incidents.
    """
    random = Random(seed)
    known = tuple(histories)
    records: list[Shipped] = []
    truth: dict[str, tuple[str, int]] = {}
    for number in range(hosts):
        host = Host(f"web-{number:04d}", Random(random.getrandbits(64)))
        history = known[number % len(known)]
        truth[host.name] = history.__name__, history(host)
        begins = random.uniform(0, 600)
        records += [
            Shipped(begins + one.at, one.source, one.value, one.key) for one in host.records
        ]
    return sorted(records, key=lambda one: one.at), truth
