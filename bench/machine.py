"""What the figures were measured on: cores, processor, memory, versions; and where results are
kept.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from bench import options
from bench.figures import Results

BROKER_CORE, CLIENT_CORE = 0, 1


def facts() -> dict[str, str]:
    """Name → value, for the page."""
    cpu = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return {
        "processor": f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores",
        "memory": f"{int(memory[1]) / 1e6:.0f} GB" if memory else "unknown",
        "system": f"Linux {platform.release()}, Python {platform.python_version()}",
        "libraries": ", ".join(
            f"{name} {metadata.version(name)}"
            for name in ("hyperscan", "kafka-python", "confluent-kafka")
        ),
        "corpora": f"{options.BYTES / 1e6:,.0f} MB",
        "rounds": str(options.ROUNDS),
        "load (1, 5, 15 minutes)": ", ".join(f"{one:.1f}" for one in os.getloadavg()),
    }


def version(*command: str) -> str:
    """The first number with dots that a program prints of itself; empty where it cannot be run."""
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except OSError:
        return ""
    found = re.search(r"\d+\.\d+[\w.~-]*", told.stdout + told.stderr)
    return found[0] if found else ""


def keep(results: Results) -> None:
    """Writes the results where the page finds them, and says the goals."""
    options.RESULTS.mkdir(parents=True, exist_ok=True)
    (options.RESULTS / f"{results.name}.json").write_text(results.as_json(), encoding="utf-8")
    for goal in results.goals:
        print(
            (
                f"  {'met   ' if goal.met else 'MISSED'} {goal.what}: {goal.figure:.2f} "
                f"{goal.unit} ({goal.sense} {goal.limit:g})"
            ),
            flush=True,
        )
    sys.stdout.flush()
