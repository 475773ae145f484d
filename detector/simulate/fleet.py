"""The hosts of a simulated fleet: architecture, kernel, hardware, name, boots.

In: a `SimulationPlan` and a random generator. Out: a `Fleet` of frozen facts. It writes no lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Literal, NamedTuple

from detector.simulate.plan import SimulationPlan

Arch = Literal["arm64", "x86_64", "ppc64le", "s390x", "riscv64", "arm"]
SECOND = 1_000_000
DAY = 86_400 * SECOND
FAULTING: tuple[Arch, ...] = ("arm64", "x86_64")
_SAME_UPTIME_FIRST_S = 90


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel build.

    `generation` is (major, minor): it decides what the kernel prints; `build` is what follows
    the release.
    """

    arch: Arch
    release: str
    build: str
    generation: tuple[int, int]
    hardware: str
    pointers_hashed: bool = True


@dataclass(frozen=True, slots=True)
class SimulatedBoot:
    """One run of a host's kernel. `epoch_us` is the wall time at which the kernel clock was 0,
    `ends_us` that of its last line.
    """

    id: str
    epoch_us: int
    ends_us: int


@dataclass(frozen=True, slots=True)
class Host:
    """One machine with its boots, oldest first."""

    name: str
    kernel: Kernel
    cpus: int
    boots: tuple[SimulatedBoot, ...]
    number: int


class LogEntry(NamedTuple):
    """One log entry before any transport has shaped it. `program` is None for what the kernel
    itself says.

    `via` says how user space wrote: "syslog" (the socket) or "kmsg" (into /dev/kmsg). `wall_us` is
    what the host's clock says.
    """

    wall_us: int
    kernel_us: int
    host: Host
    boot: SimulatedBoot
    level: int
    text: str
    program: str | None = None
    via: Literal["syslog", "kmsg"] = "syslog"


@dataclass(frozen=True, slots=True)
class Fleet:
    """All hosts, and those that reboot: cleanly, for a same-uptime pair, within seconds, or
    because an incident ends in a panic.
    """

    hosts: Sequence[Host]
    rebooting: Sequence[Host]
    same_uptime: Sequence[Host]
    fast_rebooting: Sequence[Host]
    panicking: Sequence[Host]


KERNELS: tuple[Kernel, ...] = (
    Kernel(
        "arm64",
        "4.14.0-115.el7a.0.1.aarch64",
        "#1 SMP Sun Nov 25 20:54:21 UTC 2018",
        (4, 14),
        "Kunlun RX4220/KX920B, BIOS 1.22 03/14/2019",
        False,
    ),
    Kernel(
        "arm64",
        "4.19.90-2003.4.0.0036.oe1.aarch64",
        "#1 SMP Mon Mar 23 19:06:43 UTC 2020",
        (4, 19),
        "Kunlun RX4220/KX920D, BIOS 1.35 04/30/2020",
    ),
    Kernel(
        "arm64",
        "5.4.0-1103-aws",
        "#111-Ubuntu SMP Tue May 23 20:04:43 UTC 2023",
        (5, 4),
        "Amazon EC2 m6g.4xlarge/, BIOS 1.0 11/1/2018",
    ),
    Kernel(
        "arm64",
        "5.15.0-91-generic",
        "#101-Ubuntu SMP Tue Nov 14 13:29:11 UTC 2023",
        (5, 15),
        "Ampere Altra R1202/MT13-HD0, BIOS F31n 09/30/2022",
    ),
    Kernel(
        "arm64",
        "6.1.0-18-arm64",
        "#1 SMP Debian 6.1.76-1 (2024-02-01)",
        (6, 1),
        "Ampere Altra R1202/MT13-HD0, BIOS F34 02/16/2023",
    ),
    Kernel(
        "arm64",
        "6.12.9-200.fc41.aarch64",
        "#1 SMP PREEMPT_DYNAMIC Thu Jan  9 15:41:36 UTC 2025",
        (6, 12),
        "QEMU KVM Virtual Machine, BIOS edk2-20241117 11/17/2024",
    ),
    Kernel(
        "x86_64",
        "4.18.0-193.el8.x86_64",
        "#1 SMP Fri Mar 27 14:35:58 UTC 2020",
        (4, 18),
        "Tyrell TS-2288/P77QA, BIOS 2.4.8 11/26/2019",
    ),
    Kernel(
        "x86_64",
        "5.4.0-169-generic",
        "#187-Ubuntu SMP Thu Nov 23 14:52:28 UTC 2023",
        (5, 4),
        "OpenStack Foundation OpenStack Nova, BIOS 1.15.0-1 04/01/2014",
    ),
    Kernel(
        "x86_64",
        "5.15.0-113-generic",
        "#123-Ubuntu SMP Mon Jun 10 08:16:17 UTC 2024",
        (5, 15),
        "Tyrell TS-740/0R8H2, BIOS 1.10.2 02/23/2023",
    ),
    Kernel(
        "x86_64",
        "6.1.0-25-amd64",
        "#1 SMP PREEMPT_DYNAMIC Debian 6.1.106-3 (2024-08-26)",
        (6, 1),
        "Orion Systems A+ 1114S/H12SSW, BIOS 2.7 10/25/2023",
    ),
    Kernel(
        "x86_64",
        "6.12.10-200.fc41.x86_64",
        "#1 SMP PREEMPT_DYNAMIC Fri Jan 17 18:05:24 UTC 2025",
        (6, 12),
        "QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.3-2 04/01/2014",
    ),
    Kernel(
        "ppc64le",
        "5.14.0-427.13.1.el9_4.ppc64le",
        "#1 SMP Wed Apr 10 10:04:02 EDT 2024",
        (5, 14),
        "IBM,9009-42A POWER9 (raw) 0x4e0202 hv:phyp pSeries",
    ),
    Kernel(
        "s390x",
        "5.14.0-427.13.1.el9_4.s390x",
        "#1 SMP Wed Apr 10 10:04:05 EDT 2024",
        (5, 14),
        "IBM 8561 T01 703 (KVM/Linux)",
    ),
    Kernel(
        "riscv64",
        "6.6.21-starfive",
        "#2 SMP Tue Mar 12 09:14:55 UTC 2024",
        (6, 6),
        "StarFive VisionFive 2 v1.3B (DT)",
    ),
    Kernel("arm", "5.10.103-v7l+", "#1529 SMP Tue Mar 8 12:24:00 GMT 2022", (5, 10), "BCM2711"),
)
_FAULTING_KERNELS = tuple(kernel for kernel in KERNELS if kernel.arch in FAULTING)
_OTHER_KERNELS = tuple(kernel for kernel in KERNELS if kernel.arch not in FAULTING)
_ROLES = ("web", "db", "cache", "node", "edge", "store", "build", "queue")


def build(plan: SimulationPlan, random: Random) -> Fleet:
    """The fleet that `plan` asks for. About one host in ten is of an architecture on which only
    user faults are planted.
    """
    order = iter(random.sample(range(plan.hosts), plan.hosts))
    rebooting = set(islice(order, plan.reboots))
    same_uptime = set(islice(order, plan.same_uptime_pairs))
    fast = set(islice(order, plan.reboot_pairs))
    panicking = set(islice(order, plan.incidents // 3))
    steady = set(random.sample(range(plan.hosts), min(plan.hosts, max(2, plan.hosts // 2))))
    faulting = same_uptime | fast | panicking | steady
    hosts: list[Host] = []
    for number in range(plan.hosts):
        faults = number in faulting or random.random() < 0.7
        kernel = random.choice(_FAULTING_KERNELS if faults else _OTHER_KERNELS)
        if number in same_uptime:
            boots = _same_uptime_boots(plan, random)
        elif number in rebooting | fast | panicking:
            boots = _two_boots(plan, random, fast=number in fast)
        else:
            boots = (SimulatedBoot(_boot_id(random), _long_ago(plan, random), plan.end),)
        name = f"{random.choice(_ROLES)}-{kernel.arch.replace('_', '-')}-{number:04d}"
        hosts.append(Host(name, kernel, random.choice((4, 8, 32, 64, 96)), boots, number))
    parts = (
        [hosts[number] for number in sorted(part)]
        for part in (rebooting, same_uptime, fast, panicking)
    )
    return Fleet(hosts, *parts)


def _boot_id(random: Random) -> str:
    return f"{random.getrandbits(128):032x}"


def _long_ago(plan: SimulationPlan, random: Random) -> int:
    """A boot between two hours and 716 days before the start."""
    return plan.start - random.randrange(2 * 3600 * SECOND, 716 * DAY)


def _two_boots(plan: SimulationPlan, random: Random, *, fast: bool) -> tuple[SimulatedBoot, ...]:
    """A reboot in the middle of the plan: down for half a minute to three minutes, or (kexec)
    for less than two seconds.
    """
    ends = plan.start + int(random.uniform(0.3, 0.7) * (plan.end - plan.start))
    down = (
        random.randrange(900_000, 1_900_000)
        if fast
        else random.randrange(30 * SECOND, 180 * SECOND)
    )
    return SimulatedBoot(_boot_id(random), _long_ago(plan, random), ends), SimulatedBoot(
        _boot_id(random), ends + down, plan.end
    )


def _same_uptime_boots(plan: SimulationPlan, random: Random) -> tuple[SimulatedBoot, ...]:
    """Two boots of which the second reaches the uptime that the first had early in the plan."""
    half = plan.start + (plan.end - plan.start) // 2
    first = plan.start - random.randrange(30 * SECOND, _SAME_UPTIME_FIRST_S * SECOND)
    return SimulatedBoot(_boot_id(random), first, half), SimulatedBoot(
        _boot_id(random), half + random.randrange(30 * SECOND, 90 * SECOND), plan.end
    )
