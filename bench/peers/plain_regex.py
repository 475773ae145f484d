"""The same job as a plain script: every line against a few regular expressions, the last halves of
each host in two dictionaries.

`python plain_regex.py LOG RELEASE FAULT NOISE`: the file, and the three alternations. Prints
`INCIDENT host seconds` and the noise counted.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

WINDOW_S = 10.0


def main(log: str, release: str, fault: str, noise: str) -> None:
    """Reads the log line by line, as such a script does."""
    head = re.compile(r"^\w{3} [ \d]\d [\d:]{8} (\S+) kernel: \[ *(\d+\.\d+)\] ")
    halves = re.compile(f"(?:IPv4: )?(?:(?P<release>{release})|{fault})")
    noise_line = re.compile(rf"(?:traps: )?(.{{0,15}}?)\[\d+(?=\]).*?(?:{noise})")
    releases: dict[str, float] = {}
    faults: dict[str, float] = {}
    programs: Counter[tuple[str, str]] = Counter()
    with Path(log).open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if (stamp := head.match(line)) is None:
                continue
            if half := halves.match(line, stamp.end()):
                host, seconds = stamp[1], float(stamp[2])
                mine, others = (releases, faults) if half["release"] else (faults, releases)
                mine[host] = seconds
                if abs(seconds - others.get(host, -1e12)) <= WINDOW_S:
                    print("INCIDENT", host, stamp[2])
            elif found := noise_line.match(line, stamp.end()):
                programs[stamp[1], found[1]] += 1
    print("noise", programs.total(), "of", len(programs), "programs")


if __name__ == "__main__":
    main(*sys.argv[1:])
