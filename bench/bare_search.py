"""The limit of every scan: a file read in blocks and searched for the literals, nothing else.

`python -m bench.bare_search FILE LITERALS` prints how many hits there are; LITERALS is a file with
one a line.
"""

from __future__ import annotations

import sys
from pathlib import Path

from detector.app.cache_folder import cache_folder
from detector.scan import Scanner

BLOCK = 1024 * 1024


def main(file: str, literals: str) -> int:
    """Searches one file."""
    scanner = Scanner(Path(literals).read_text(encoding="utf-8").splitlines(), cache_folder())
    with Path(file).open("rb", buffering=0) as opened:
        print(sum(len(scanner.ends(block)) for block in iter(lambda: opened.read(BLOCK), b"")))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
