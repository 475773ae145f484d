"""What a run is asked for: the size of the corpora, the rounds, and where things are kept. Read
from the environment once.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TOOLS = HERE / ".tools"
RESULTS = HERE / ".results"
OFFICIAL_BYTES = 1_000_000_000
_UNITS = {"": 1, "K": 1_000, "M": 1_000_000, "G": 1_000_000_000}


def size_of(text: str) -> int:
    """`50M` → 50,000,000 bytes. Raises ValueError, in words, for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMG]?)B?", text.strip().upper())
    if found is None:
        raise ValueError(f"BENCH_SIZE={text}: a number with K, M or G is wanted, as 50M")
    return int(float(found[1]) * _UNITS[found[2]])


BYTES = size_of(os.environ.get("BENCH_SIZE", "1G"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
CORPORA = Path(os.environ.get("BENCH_CORPORA", HERE / ".corpora"))
