"""Rows of crashes as the service stores them, a million times over.

Each crash of a few (kinds, kernels) is read by the pipeline once, and stamped out for other hosts,
functions, addresses and times: what depends on those is made as the service makes it, the rest is
the same text with other names in it.

In: a catalogue. Out: the log lines of a crash, and its rows. `tests/bench/test_history.py` holds
the rows to what the service stores of the lines.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from sqlite3 import Connection
from typing import Any

from detector.app import build
from detector.catalogue import Catalogue
from detector.correlate import boot_name, incident_id
from detector.model import Match
from detector.pipeline import Pipeline
from detector.settings import Settings
from detector.sources.files.framing import FileChunk
from detector.store import open_journal
from detector.store.query import search_index
from detector.store.rows import match_row, read_match

# What stands in a template for the names of a crash.
FUNCTION, PATH, MODULE, ADDRESS = "stamped_fn_00000", "path_000", "stamped_mod_00", "5ea1c0de"
# Kernel time of the first line of a host's first crash; each later one comes sooner after its
# boot, so that lines of two boots are told apart.
UPTIME_US, SOONER_US = 4_000_000_123, 1_000_003
# Lines that come alone after a crash are so far apart.
APART_US = 60_000_000
# A crash is found so long after it.
FOUND_US = 5_000_000
SOURCE = "fleet.log"
_BEGIN_US = 1_700_000_000_000_000
_HOST = "stamp-0"
_RELEASE = "IPv4: Attempt to release TCP socket in state 10 ffff88815ea1c0de"
_GAP_US = 1_483_000

_ARM64 = """
Unable to handle kernel paging request at virtual address ffff80005ea1c0de
Mem abort info:
  ESR = 0x0000000096000004
  EC = 0x25: DABT (current EL), IL = 32 bits
Internal error: Oops: 0000000096000004 [#1] SMP
Modules linked in: stamped_mod_00 nfsv4 dm_mod
CPU: 3 PID: 2817 Comm: worker/u16:2 Not tainted {kernel} #1
Hardware name: Demo Computing RK-8 (DT)
pstate: 60400009 (nZCv daif +PAN -UAO)
pc : stamped_fn_00000+0x40/0x1c0 [stamped_mod_00]
lr : caller_path_000+0x64/0xd0
sp : ffff80001f0bbc10
x29: ffff80001f0bbc10 x28: 0000000000000000
x27: 0000000000000001 x26: ffff000081b5e000
x3 : ffff80005ea1c0de x2 : 0000000000000000
Call trace:
 stamped_fn_00000+0x40/0x1c0 [stamped_mod_00]
 caller_path_000+0x64/0xd0
 way_path_000+0x1c/0x98
 process_one_work+0x1f4/0x4a0
 worker_thread+0x70/0x410
 kthread+0x11c/0x128
 ret_from_fork+0x10/0x20
Code: aa0003f3 b4000140 f9400013 b4000113 (f9401a63)
---[ end trace 0000000000000000 ]---
"""
_X86 = """
BUG: unable to handle page fault for address: ffffc9005ea1c0de
#PF: supervisor read access in kernel mode
#PF: error_code(0x0000) - not-present page
Oops: 0000 [#1] SMP PTI
CPU: 5 PID: 911 Comm: pump Not tainted {kernel} #1
Hardware name: Demo Systems X-2/X-2B, BIOS 1.4 03/01/2021
RIP: 0010:stamped_fn_00000+0x2f/0x120 [stamped_mod_00]
RSP: 0018:ffffc90000f3bcd8 EFLAGS: 00010246
RAX: 0000000000000000 RBX: ffff888103a1d800 RCX: 0000000000000000
RDX: ffffc9005ea1c0de RSI: 0000000000000001 RDI: ffff888103a1d800
CR2: ffffc9005ea1c0de CR3: 000000010a5b2000 CR4: 00000000003706e0
Call Trace:
 <TASK>
 caller_path_000+0x3b/0x90
 way_path_000+0x11/0x60
 do_syscall_64+0x3b/0x90
 entry_SYSCALL_64_after_hwframe+0x44/0xae
 </TASK>
---[ end trace 0000000000000000 ]---
"""
# One bug on many hosts, which has a known issue.
_KNOWN = (
    _ARM64.replace(
        "stamped_fn_00000+0x40/0x1c0 [stamped_mod_00]", "__inet_lookup_listener+0x40/0x1c0"
    )
    .replace("caller_path_000", "tcp_v4_rcv")
    .replace("way_path_000", "ip_local_deliver_finish")
    .replace("Demo Computing RK-8", "Demo Computing RK-9")
)
KINDS = (_ARM64, _X86, _KNOWN)


def is_stamped(text: str) -> bool:
    """Returns whether a text of a template holds a name that differs from crash to crash."""
    return FUNCTION in text or ADDRESS in text or PATH in text or MODULE in text


@dataclass(frozen=True, slots=True)
class Crash:
    """One crash: where and when, in which boot of its stream, and what is stamped into it."""

    number: int
    host: str
    function: int
    at_us: int
    boot: int
    state: str = "open"

    @property
    def uptime_us(self) -> int:
        """The kernel time of its first line."""
        return UPTIME_US - self.boot * SOONER_US

    def named(self, text: str) -> str:
        """A text of the template with the names of this crash."""
        if not is_stamped(text):
            return text
        return (
            text.replace(FUNCTION, f"stamped_fn_{self.function:05}")
            .replace(PATH, f"path_{self.function % 300:03}")
            .replace(MODULE, f"stamped_mod_{self.function % 60:02}")
            .replace(ADDRESS, f"{0x10000000 + self.number:08x}")
        )


@dataclass(frozen=True, slots=True)
class CrashRows:
    """What the service stores of one crash, by table; ids of matches begin at 1."""

    matches: list[tuple[Any, ...]]
    report: dict[str, Any]
    incident: dict[str, Any]
    evidence: list[int]
    changes: list[tuple[Any, ...]]
    boot: tuple[Any, ...]
    words: str
    facts: int


@dataclass(frozen=True, slots=True)
class Template:
    """A crash as the pipeline stored it, and the lines that come alone after it."""

    lines: Sequence[str]
    matches: Sequence[Match]
    report: dict[str, Any]
    incident: dict[str, Any]
    evidence: Sequence[int]
    changes: Sequence[dict[str, Any]]
    trace: Sequence[str]
    words: Sequence[str]
    stamped_words: Sequence[str]

    def rows(self, crash: Crash) -> CrashRows:
        """The rows of a crash."""
        matches = [self._match(match, crash) for match in self.matches]
        anchor = matches[self.incident["anchor_id"] - 1]
        found_us = crash.at_us + FOUND_US
        report = {name: self._text(value, crash) for name, value in self.report.items()}
        report["fingerprint"] = print_ = self.fingerprint(crash)
        incident = {name: self._text(value, crash) for name, value in self.incident.items()} | {
            "id": incident_id(self.incident["rule"], anchor),
            "host": crash.host,
            "boot": boot_name(anchor),
            "started_us": crash.at_us,
            "found_us": found_us,
            "changed_us": found_us,
            "fingerprint": print_,
            "state": crash.state,
        }
        changes = [
            (
                incident["id"],
                found_us,
                row["what"],
                row["actor"],
                row["reason"]
                and crash.named(row["reason"]).replace(self.report["fingerprint"], print_),
            )
            for row in self.changes
        ]
        times = [match.kernel_time_us for match in matches if match.kernel_time_us is not None]
        boot = (
            crash.host, anchor.boot.epoch_us, anchor.boot.stream, crash.boot, times[0], max(times),
        )  # fmt: skip
        facts = search_index._facts(  # noqa: SLF001
            incident,  # type: ignore[arg-type]
            [
                {"class": matches[at - 1].cls, "signature": matches[at - 1].signature}  # type: ignore[misc]
                for at in self.evidence
            ],
        )
        words = sorted((*self.words, *map(crash.named, self.stamped_words)))
        return CrashRows(
            [match_row(match) for match in matches],
            report, incident, list(self.evidence), changes, boot, " ".join((*facts, *words)),
            len(facts),
        )  # fmt: skip

    def fingerprint(self, crash: Crash) -> str:
        """The fingerprint of a crash: as `detector/crash/fingerprint.py` makes it."""
        function = self.report["function"]
        path = [name for name in self.trace if name != function][:2]
        return _fingerprint(tuple(map(crash.named, (self.report["kind"], function, *path))))

    def _match(self, match: Match, crash: Crash) -> Match:
        shift = crash.at_us - _BEGIN_US
        return replace(
            match,
            text=crash.named(match.text),
            fields={name: crash.named(value) for name, value in match.fields.items()},
            host=crash.host,
            boot=replace(
                match.boot,
                epoch_us=(match.boot.epoch_us or 0) + shift + UPTIME_US - crash.uptime_us,
                stream=match.boot.stream.replace(_HOST, crash.host),
                count=crash.boot,
            ),
            kernel_time_us=(match.kernel_time_us or 0) + crash.uptime_us - UPTIME_US,
            wall_time_us=(match.wall_time_us or 0) + shift,
        )

    def _text(self, value: Any, crash: Crash) -> Any:
        return crash.named(value) if isinstance(value, str) else value


@lru_cache(10_000)
def _fingerprint(subject: tuple[str, ...]) -> str:
    digest = hashlib.blake2b("\x1f".join(subject).encode(), digest_size=8).hexdigest()
    return f"1:{digest}"


def log_lines(lines: Sequence[str], lone: Sequence[str], crash: Crash) -> Iterator[str]:
    """A crash as syslog has it: the socket, the report a microsecond a line, lines alone."""
    times = [place + (_GAP_US if place else 0) for place in range(len(lines))]
    times += [APART_US * (place + 1) for place in range(len(lone))]
    for us, text in zip(times, (*lines, *lone), strict=True):
        wall, kernel = crash.at_us + us, crash.uptime_us + us
        stamp = datetime.fromtimestamp(wall // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        yield (
            f"{stamp}.{wall % 1_000_000:06}+00:00 {crash.host} kernel: "
            f"[{kernel // 1_000_000}.{kernel % 1_000_000:06}] {crash.named(text)}"
        )


def lone_texts(catalogue: Catalogue, count: int) -> list[str]:
    """The examples of signatures of the kernel that open no report."""
    texts = [
        signature.examples[0]
        for signature in catalogue.signatures
        if signature.origin == "kernel"
        and not (signature.opens or signature.alone or signature.marker or signature.fallback)
        and signature.cls != "tcp-state"
        and "\n" not in signature.examples[0]
    ]
    return texts[:: max(1, len(texts) // count)][:count]


def store(pipeline: Pipeline, lines: Sequence[str], now_us: int) -> None:
    """Has a pipeline read some lines to their end."""
    data = "".join(f"{line}\n" for line in lines).encode()
    pipeline.store([FileChunk(SOURCE, data, len(data), 1)], now_us, lambda: None)
    pipeline.finish(now_us)


def template(catalogue: Catalogue, kind: str, kernel: str, lone: Sequence[str]) -> Template:
    """Reads one crash, and some lines after it, by the pipeline."""
    crash = Crash(0x5EA1C0DE - 0x10000000, _HOST, 0, _BEGIN_US, 0)
    lines = [_RELEASE, *kind.strip("\n").format(kernel=kernel).split("\n")]
    now_us = _BEGIN_US + FOUND_US
    with closing(open_journal(":memory:", clock=lambda: now_us)) as journal:
        pipeline = build.watch_of(Settings(), journal, catalogue)
        store(pipeline, list(log_lines(lines, lone, crash)), now_us)
        return _read(journal.db, [*lines])


def _read(connection: Connection, lines: Sequence[str]) -> Template:
    def rows(query: str) -> list[dict[str, Any]]:
        return [dict(row) for row in connection.execute(query)]

    (report,), (incident,) = rows("SELECT * FROM reports"), rows("SELECT * FROM incidents")
    (trace,) = rows("SELECT trace FROM problems")
    evidence = [row["match_id"] for row in rows("SELECT * FROM evidence")]
    matches = [read_match(row) for row in connection.execute("SELECT * FROM matches ORDER BY id")]
    found = connection.execute(
        search_index._EVIDENCE,  # noqa: SLF001
        {"anchor": incident["anchor_id"], "family": json.dumps([incident["id"]]), "limit": 200},
    ).fetchall()
    words = search_index._words(found)  # noqa: SLF001
    return Template(
        lines, matches, report, incident, evidence,
        rows("SELECT * FROM changes ORDER BY id"), json.loads(trace["trace"]),
        [word for word in words if not is_stamped(word)],
        [word for word in words if is_stamped(word)],
    )  # fmt: skip
