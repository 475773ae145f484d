"""Plan of a simulated fleet: how many hosts and lines, over what time, and what is planted
among the lines.

In: numbers. Out: a checked `SimulationPlan`. The same plan gives the same bytes. It writes no
lines.
"""

from __future__ import annotations

from dataclasses import dataclass

MIN_DURATION_S = 3600
NOISE_SHARE = (0.0001, 0.02)


@dataclass(frozen=True, slots=True)
class SimulationPlan:
    """The order for one simulation; `start` is wall time in µs since 1970-01-01 UTC,
    `duration_s` simulated seconds.

    `noise_share` is the share of `lines` that user faults print, with their blocks. The counts
    below it are of planted things: `incidents` are true; everything after is a decoy that must
    raise nothing. `half_signatures` are a release line or a fault alone, by turns;
    `cross_host_pairs` lie on two hosts within the window; `same_uptime_pairs` lie on two boots of
    one host at the same uptime; `reboot_pairs` have a reboot of seconds between their halves;
    `far_pairs` lie on one boot, further apart than the window; `forged` are pairs that user space
    wrote. Raises ValueError, in words, for a plan that cannot be carried out.
    """

    seed: int = 1
    hosts: int = 20
    lines: int = 100_000
    start: int = 1_767_225_600_000_000
    duration_s: int = 86_400
    incidents: int = 10
    noise_share: float = 0.002
    half_signatures: int = 6
    reboots: int = 2
    cross_host_pairs: int = 3
    same_uptime_pairs: int = 2
    reboot_pairs: int = 2
    forged: int = 5
    far_pairs: int = 3

    def __post_init__(self) -> None:
        """Refuse what cannot be planted, naming the field."""
        if self.hosts < 1 or self.lines < 1:
            raise ValueError("hosts and lines must be at least 1")
        if self.duration_s < MIN_DURATION_S:
            raise ValueError(
                f"duration_s must be at least {MIN_DURATION_S}: boots lie further apart "
                "than wall clocks drift"
            )
        low, high = NOISE_SHARE
        if not low <= self.noise_share <= high:
            raise ValueError(f"noise_share must lie between {low} and {high}")
        if min(self.planted_counts) < 0:
            raise ValueError("counts of planted things must not be negative")
        if self.booting_hosts > self.hosts:
            raise ValueError(
                f"{self.booting_hosts} hosts reboot (reboots, same_uptime_pairs, "
                f"reboot_pairs), but there are only {self.hosts}"
            )
        if self.cross_host_pairs and self.hosts < 2:
            raise ValueError("cross_host_pairs need at least 2 hosts")

    @property
    def planted_counts(self) -> tuple[int, ...]:
        """Every count of planted things."""
        decoys = (
            self.half_signatures,
            self.cross_host_pairs,
            self.same_uptime_pairs,
            self.reboot_pairs,
            self.forged,
            self.far_pairs,
        )
        return (self.incidents, self.reboots, *decoys)

    @property
    def booting_hosts(self) -> int:
        """Hosts whose reboot is fixed by the plan: one reboot for each."""
        return self.reboots + self.same_uptime_pairs + self.reboot_pairs

    @property
    def end(self) -> int:
        """The wall time in µs at which the last line may be written."""
        return self.start + self.duration_s * 1_000_000


PLAN = SimulationPlan(
    seed=1,
    hosts=200,
    lines=200_000,
    incidents=20,
    noise_share=0.02,
    half_signatures=12,
    reboots=6,
    forged=10,
)
