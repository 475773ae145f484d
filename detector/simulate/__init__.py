"""A fleet's kernel logs by a seed, with the ground truth beside them: for the demo, the
benchmarks and the tests.

In: a `SimulationPlan`. Out: records in the format of any transport, in the order of a delivery, to
a stream, a folder or a Kafka topic; and a `Truth` that `compare` holds against what was found. The
same plan gives the same bytes.
"""

from detector.simulate.clocks import CLOCKS
from detector.simulate.delivery import DELIVERIES, Simulation, halves_apart, simulate
from detector.simulate.formats import FORMATS, NO_WALL_CLOCK
from detector.simulate.plan import SimulationPlan
from detector.simulate.targets import (
    TRUTH_FILE,
    needs_a_file_per_host,
    paced,
    records,
    render,
    to_folder,
    to_kafka,
    to_stream,
    with_progress,
    write_truth,
)
from detector.simulate.truth import Comparison, Truth, compare, read_ndjson, write_ndjson

__all__ = [
    "CLOCKS",
    "DELIVERIES",
    "FORMATS",
    "NO_WALL_CLOCK",
    "TRUTH_FILE",
    "Comparison",
    "Simulation",
    "SimulationPlan",
    "Truth",
    "compare",
    "halves_apart",
    "needs_a_file_per_host",
    "paced",
    "read_ndjson",
    "records",
    "render",
    "simulate",
    "to_folder",
    "to_kafka",
    "to_stream",
    "with_progress",
    "write_ndjson",
    "write_truth",
]
