"""What findings cost an archive: python -m bench.archive_cost [FINDINGS].

Two mixes, of a simulated fleet: matches and reports of which none is in an incident, and such
with incidents that are explained. They are kept as JSON, as the topics hold them, and stored in
batches. Said are findings a CPU second, of the quickest of five runs each, and a digest of what
the history holds, so that two versions can be held against each other.
"""

from __future__ import annotations

import hashlib
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from detector.api import Detector, open_history, text_chunk, to_json
from detector.findings import COUNTS
from detector.simulate import SimulationPlan, records, simulate
from detector.sources.kafka.chunks import KafkaChunk
from detector.stages.archive import Archive
from detector.stages.archive_input import ArchiveInput

FINDINGS, BATCH, ROUNDS = 6_000, 500, 5
START_US = 1_776_000_000_000_000
NOW_US = START_US + 86_400_000_000
CLOCKS = "found_us"
TABLES = ("matches", "reports", "incidents", "evidence", "faults", "hosts", "boots", "problems")


class Polled:
    """A record as a consumer hands it out."""

    def __init__(self, offset: int, value: bytes) -> None:
        self.offset, self.timestamp, self.key, self.value = offset, 0, None, value


def found(findings: int, *, incidents: bool) -> list[bytes]:
    """Findings of a simulated fleet, in their JSON form."""
    some = findings // 2
    plan = SimulationPlan(
        seed=3, hosts=max(40, some // 8), lines=some * 36, start=START_US,
        incidents=some // 8 if incidents else 0, half_signatures=some,
        noise_share=0.0002, cross_host_pairs=0, same_uptime_pairs=0, reboot_pairs=0, far_pairs=0,
    )  # fmt: skip
    log = b"\n".join(value for _, value in records(simulate(plan), format="rsyslog"))
    detector = Detector()
    rows = detector.feed([text_chunk("kern.log", log)], NOW_US) + detector.finish(NOW_US)
    return [to_json(one) for one in rows if not isinstance(one, COUNTS)]


def chunks(values: Sequence[bytes]) -> Iterator[KafkaChunk]:
    """The findings as the consumer hands them on."""
    for at in range(0, len(values), BATCH):
        rows = enumerate(values[at : at + BATCH], at)
        yield KafkaChunk("findings/0", [Polled(*row) for row in rows])


def archive_s(values: Sequence[bytes], store: Path) -> float:
    """The CPU seconds of an archive that stores all findings."""
    batches = list(chunks(values))
    with closing(open_history(store)) as journal:
        stage = ArchiveInput(Archive(journal))
        begun = time.process_time()
        for batch in batches:
            stage.store([batch], NOW_US)
            stage.tell()
        return time.process_time() - begun


def digest(store: Path) -> str:
    """What a history holds, in few letters; clocks of this machine are left out."""
    told = hashlib.blake2b(digest_size=6)
    with closing(sqlite3.connect(store)) as history:
        for table in TABLES:
            rows = history.execute(f"SELECT * FROM {table} ORDER BY 1, 2")
            kept = [at for at, column in enumerate(rows.description) if column[0] != CLOCKS]
            for row in rows:
                told.update(repr([row[at] for at in kept]).encode())
    return told.hexdigest()


def main(arguments: list[str]) -> None:
    """Measures and prints."""
    count = int(arguments[0]) if arguments else FINDINGS
    with tempfile.TemporaryDirectory() as folder:
        for incidents in (False, True):
            values = found(count, incidents=incidents)
            stores = [Path(folder, f"{incidents}-{turn}.db") for turn in range(ROUNDS)]
            least = min(archive_s(values, store) for store in stores)
            sys.stdout.write(
                f"{len(values):,} findings, {'some' if incidents else 'none'} in incidents: "
                f"{len(values) / least:,.0f} a CPU second; history {digest(stores[0])}\n"
            )


if __name__ == "__main__":
    main(sys.argv[1:])
