"""Drain3 over the messages of a log: it learns templates, knows neither hosts nor time, and
correlates nothing. `python drain.py LOG`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from drain3 import TemplateMiner
from drain3.template_miner_config import TemplateMinerConfig


def main(log: str) -> None:
    """Every message into the miner."""
    miner = TemplateMiner(config=TemplateMinerConfig())
    with Path(log).open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            miner.add_log_message(line.partition("] ")[2].rstrip())
    print("templates", len(miner.drain.clusters))


if __name__ == "__main__":
    main(sys.argv[1])
