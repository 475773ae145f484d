"""What is held in memory is bounded, whatever comes, and what is folded together is counted; work
is counted, not timed.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from detector.app import build
from detector.assemble import Assembler, AssemblyLimits
from detector.boots import Boots, LineStream
from detector.catalogue import Catalogue, Signature
from detector.match import Matcher
from detector.model import Line, Record
from detector.noise import HOUR_US, OTHERS, NoiseTally
from detector.parse import Parser
from detector.pipeline import Pipeline
from detector.settings import settings_of
from detector.sources.files.framing import FileChunk
from detector.store import Journal, open_journal
from tests.support.feeding import blocks

FAULT = "Unable to handle kernel paging request at virtual address 0000000000012345"
NOISE = (
    "python[77]: segfault at 10 ip 00007f0000000000 sp 00007ffc00000000 error 4 in "
    "libc.so[7f0000000000+1000]"
)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """The shipped one."""
    return build.catalogue_of(settings_of(None)[0])


@pytest.fixture
def journal() -> Iterator[Journal]:
    """A history that is not kept."""
    with closing(open_journal(":memory:")) as opened:
        yield opened


class CountingParser(Parser):
    """A parser that counts the records it reads."""

    fed = 0

    def feed(self, record: Record, now_us: int) -> list[Line]:  # type: ignore[override]
        """One more."""
        self.fed += 1
        return super().feed(record, now_us)  # type: ignore[return-value]


def watch(
    catalogue: Catalogue, journal: Journal, parser: Parser, limits: AssemblyLimits | None = None
) -> Pipeline:
    """A pipeline."""
    assembler = Assembler(catalogue.opening, limits)
    return Pipeline(
        catalogue, journal, parser, matcher=Matcher(catalogue), assembler=assembler, now_us=0
    )


def chunk(*lines: str) -> FileChunk:
    """A block of a file."""
    data = "".join(f"{line}\n" for line in lines).encode()
    return FileChunk("fleet.log", data, len(data), 1)


def line(host: str, number: int, text: str) -> str:
    """A line of syslog."""
    return (
        f"Nov 22 10:00:{number // 1000 % 60:02} {host} kernel: [{100 + number / 1000:13.6f}] {text}"
    )


def test_programs_beyond_the_limit_are_counted_together_by_host() -> None:
    """No more names than the limits say; every crash is counted once."""
    tally = NoiseTally(programs=3, hosts=2)
    for number in range(13):
        tally.count("log", f"db-{number}", f"p{number}", "user.x86-segfault", None, number)
    assert tally.held <= 3 + 3 + 2 + 9
    rows = {(row.host, row.process): row.count for row in tally.drain()}
    names = {(f"db-{n}", f"p{n}"): 1 for n in range(3)} | {
        (OTHERS, "p3"): 1,
        (OTHERS, "p4"): 1,
        (OTHERS, "p5"): 1,
        ("db-6", OTHERS): 1,
        ("db-7", OTHERS): 1,
        (OTHERS, OTHERS): 5,
    }
    assert (rows, tally.hosts_folded, tally.folded) == (names, 3, 7)


def test_few_programs_on_many_hosts_keep_their_names() -> None:
    """The host is given up before the program, and a batch that fails takes its counts back."""
    tally = NoiseTally(programs=100, hosts=10)
    for number in range(30_000):
        tally.count("log", f"w-{number}", f"p{number % 40}", "user.x86-segfault", None, number)
    assert (tally.folded, tally.hosts_folded) == (0, 29_900)
    tally.rewind()
    assert (tally.folded, tally.hosts_folded, len(tally)) == (0, 0, 0)


def test_other_programs_may_be_told_apart_an_hour_later() -> None:
    """A name that came too late is not folded for ever."""
    tally = NoiseTally(programs=1, hosts=1)
    found = []
    for now_us, process in (
        (0, "a"), (0, "c"), (1, "b"), (HOUR_US, "b"), (HOUR_US, "c"), (HOUR_US + 1, "a"),
    ):  # fmt: skip
        tally.renew(now_us)
        tally.count("log", "db-1", process, "user.x86-segfault", None, None)
        found += [row.process for row in tally.drain()]
    assert found == ["a", "c", OTHERS, "b", "c", OTHERS]


def test_streams_that_are_forgotten_are_recalled() -> None:
    """Many hosts without a clock, few of them held: the boots are counted as if all were."""
    kept: dict[str, LineStream] = {}
    few, all_of_them = Boots(lambda _names: kept, limit=5), Boots()
    for number in range(600):
        one = Line(
            "x",
            "serial",
            number,
            f"db-{number % 40}",
            "dmesg",
            kernel_time_us=(number * 7919 % 1000) * 1_000_000,
        )
        assert few.place(one) == all_of_them.place(one)
        if number % 10 == 9:
            kept.update(few.changed())
            assert few.held <= 5


def test_open_reports_share_their_characters() -> None:
    """Beyond the bound the oldest goes, cut and counted."""
    text = "\n".join(
        f"[  {100 + number}.000000] BUG: unable to handle page fault for address: {number:016x}"
        for number in range(3)
    )
    head = blocks(text)[0].head
    assembler = Assembler({head.signature: "report"}, AssemblyLimits(size_in_all=1_000))
    for number in range(50):
        one = Line("x" * 100, "log", number, f"db-{number}", "dmesg", kernel_time_us=1)
        match = type(head)(
            **{name: getattr(head, name) for name in head.__slots__}
            | {"host": one.host, "text": one.text}
        )
        assembler.feed(one, match, 0)
        assert assembler.size <= 1_000
    assert (len(assembler.open_blocks()), assembler.counts["cut:size_in_all"]) == (10, 40)


def test_an_open_report_costs_the_decoding_of_its_own_host_only(
    catalogue: Catalogue, journal: Journal
) -> None:
    """Lines of other hosts that hold nothing are passed over while it is open; all of its own lines
    are in it.
    """
    parser = CountingParser()
    pipeline = watch(catalogue, journal, parser)
    quiet = [line(f"web-{number % 90}", number, "eth0: link is up") for number in range(3_000)]
    own = [line("db-1", 100 + number, f"  frame_{number}+0x10/0x20") for number in range(20)]
    lines = [
        line("db-1", 99, FAULT),
        *(one for pair in zip(own, quiet, strict=False) for one in pair),
        *quiet[20:],
    ]
    pipeline.handle([chunk(*lines)], 1)
    (opened,) = pipeline.assembler.open_blocks()
    assert len(opened.lines) == 21
    assert parser.fed == 21


def test_many_open_reports_are_searched_for_at_once(catalogue: Catalogue, journal: Journal) -> None:
    """Beyond a few hosts the engine searches: each report has its lines, and nothing else is
    decoded.
    """
    parser = CountingParser()
    pipeline = watch(catalogue, journal, parser)
    pipeline.handle([chunk(*(line(f"db-{host:03}", host, FAULT) for host in range(40)))], 1)
    rest = [line(f"db-{host:03}", 50 + host, "  frame+0x10/0x20") for host in range(40)]
    quiet = [line(f"web-{number % 90}", number, "eth0: link is up") for number in range(1_000)]
    pipeline.handle([chunk(*quiet[:500], *rest, *quiet[500:])], 1)
    assert [len(block.lines) for block in pipeline.assembler.open_blocks()] == [2] * 40
    assert parser.fed == 80


def test_statements_of_a_batch_do_not_grow_with_its_noise(
    catalogue: Catalogue, journal: Journal
) -> None:
    """A crash-looping program: ten times the crashes, the same rows."""
    counted = []
    pipeline = watch(catalogue, journal, Parser())
    for crashes in (1, 100, 1_000):
        statements: list[str] = []
        journal.db.set_trace_callback(statements.append)
        pipeline.handle([chunk(*(line("db-1", number, NOISE) for number in range(crashes)))], 1)
        journal.db.set_trace_callback(None)
        counted.append(len(statements))
    assert counted[1] == counted[2] < 40


def test_few_regexes_are_tried_for_a_hit_and_none_for_other_lines(
    catalogue: Catalogue, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line is tried against the signatures whose phrase it holds, not against the catalogue."""
    tried: list[str] = []
    one_try = Matcher._try

    def counting(self: Matcher, signature: Signature, *rest: Any) -> Any:
        tried.append(signature.id)
        return one_try(self, signature, *rest)

    monkeypatch.setattr(Matcher, "_try", counting)
    quiet = [line("db-1", number, "eth0: link becomes ready") for number in range(500)]
    loud = [line("db-1", 500 + number, NOISE) for number in range(500)]
    watch(catalogue, journal, Parser()).handle([chunk(*quiet, *loud)], 1)
    assert 500 <= len(tried) <= 2 * 500


def test_a_storm_raises_its_incident_once_a_batch(catalogue: Catalogue, journal: Journal) -> None:
    """Faults and releases in turn, hundreds in a batch: one incident, saved once, that holds them
    all.
    """
    release = "IPv4: Attempt to release TCP socket in state 10 ffff8000{:08x}"
    texts = [
        (
            release
            if number % 2
            else "Unable to handle kernel paging request at virtual address {:016x}"
        ).format(number)
        for number in range(300)
    ]
    pipeline = watch(catalogue, journal, Parser())
    statements: list[str] = []
    journal.db.set_trace_callback(statements.append)
    pipeline.handle(
        [chunk(*(line("db-1", 10 * number, text) for number, text in enumerate(texts)))], 1
    )
    journal.db.set_trace_callback(None)
    saved = [one for one in statements if one.lstrip().startswith("INSERT INTO incidents")]
    (row,) = journal.history().incidents()
    detail = journal.history().incident(row.id)
    assert detail is not None
    assert (len(saved), len(detail.incident.evidence)) == (1, 300)


CHILD = """
import re, sys
from pathlib import Path
from detector.cli.scan import scan
try:
    scan.main(["--json", sys.argv[1]], standalone_mode=False)
except SystemExit:
    pass
peak = re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())  # ru_maxrss begins \
with what the parent had
print(peak[1], file=sys.stderr)
"""


def test_a_hundred_thousand_hosts_fit_in_two_hundred_megabytes(tmp_path: Path) -> None:
    """Each with a program that crashes under a name of its own, a thousand with an open report: a
    scan's resident memory, in a process.
    """
    path = tmp_path / "fleet.log"
    with path.open("w") as out:
        for number in range(101_000):
            text = FAULT if number % 101 == 0 else NOISE.replace("python", f"p{number}")
            out.write(line(f"host-{number:06}", number, text) + "\n")
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, check=True
    )
    assert '"noise": 100000, "noise_folded": 60000' in done.stdout.splitlines()[-1]
    assert int(done.stderr.split()[-1]) <= 200 * 1024
