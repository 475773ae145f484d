"""The fleet of `oopswatch demo`."""

from __future__ import annotations

from detector.simulate.plan import SimulationPlan

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
