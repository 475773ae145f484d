"""One table of questions with their answers, over one fixed history: command line, API and pages
must give the same.

`fill(path)` writes the history and returns label → incident id; `QUERIES` asks it, each with the
labels of the incidents that answer, newest first; `PROBLEMS` and `HOSTS` ask for those. `NOW_US` is
the time at which to ask: relative times depend on it.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from detector.model import Block, CrashReport, Diagnosis
from detector.store import open_actions, open_journal
from tests.support.nouns import HOUR, SECOND, incident, match, noise

DAY = 24 * HOUR
# 2026-11-20T12:00:00Z
NOW_US = 1_795_176_000 * SECOND
Params = dict[str, list[str]]


@dataclass(frozen=True)
class Planted:
    """One incident: how many hours ago, where, in what function, module and kernel, attributed to
    which known issue, in which state, and with what beside both halves.
    """

    label: str
    hours: float
    host: str
    function: str
    kernel: str
    module: str | None = None
    known_issue: str | None = None
    state: str = "open"
    other: str | None = None

    @property
    def fingerprint(self) -> str:
        """One problem for each function."""
        return f"1:{self.function}"


PLANTED = (
    Planted(
        "listener",
        1,
        "db-1",
        "__inet_lookup_listener",
        "4.14.0-115.el7a.0.1.aarch64",
        None,
        "tcp-listener-race",
    ),
    Planted(
        "listener again",
        30,
        "db-2",
        "__inet_lookup_listener",
        "4.19.90",
        None,
        "tcp-listener-race",
        "acknowledged",
    ),
    Planted(
        "listener long ago",
        24 * 40,
        "db-1",
        "__inet_lookup_listener",
        "4.14.0-115.el7a.0.1.aarch64",
        None,
        None,
        "resolved",
    ),
    Planted("disk", 2, "web-1", "nvme_irq", "5.4.210", "nvme", other="storage-timeout"),
    Planted("disk on rc", 3, "web-2", "nvme_irq", "5.5.0-rc3", "nvme", other="storage-timeout"),
    Planted("odd name", 4, "od[d]*-<b>", "kfree", "6.1.36"),
    Planted("quoted", 5, "db-10", "foo'\"; DROP TABLE incidents", "6.1.36", "m&m"),
)

QUERIES: tuple[tuple[Params, list[str]], ...] = (
    (
        {},
        [
            "listener",
            "disk",
            "disk on rc",
            "odd name",
            "quoted",
            "listener again",
            "listener long ago",
        ],
    ),
    ({"host": ["db-1"]}, ["listener", "listener long ago"]),
    ({"host": ["db-*"]}, ["listener", "quoted", "listener again", "listener long ago"]),
    (
        {"host": ["db-?", "web-[2-9]"]},
        ["listener", "disk on rc", "listener again", "listener long ago"],
    ),
    ({"host": ["od[[]d]*"]}, ["odd name"]),
    ({"host": ["nowhere-*"]}, []),
    ({"since": ["24h"]}, ["listener", "disk", "disk on rc", "odd name", "quoted"]),
    ({"since": ["7d"], "until": ["24h"]}, ["listener again"]),
    ({"until": ["2026-11-01"]}, ["listener long ago"]),
    ({"since": ["2026-11-20T10:30:00+01:00"]}, ["listener", "disk"]),
    (
        {"rule": ["pair"]},
        [
            "listener",
            "disk",
            "disk on rc",
            "odd name",
            "quoted",
            "listener again",
            "listener long ago",
        ],
    ),
    ({"rule": ["another"]}, []),
    ({"class": ["storage-timeout"]}, ["disk", "disk on rc"]),
    (
        {"class": ["storage-timeout", "tcp-state"], "until": ["24h"]},
        ["listener again", "listener long ago"],
    ),
    ({"signature": ["kernel.storage-timeout"]}, ["disk", "disk on rc"]),
    ({"severity": ["critical"], "function": ["kfree"]}, ["odd name"]),
    ({"severity": ["info", "warning"]}, []),
    ({"state": ["acknowledged"]}, ["listener again"]),
    ({"state": ["acknowledged", "resolved"]}, ["listener again", "listener long ago"]),
    ({"problem": ["1:nvme_irq"]}, ["disk", "disk on rc"]),
    ({"function": ["__inet_lookup_listener"], "state": ["open"]}, ["listener"]),
    ({"function": ["foo'\"; DROP TABLE incidents"]}, ["quoted"]),
    ({"module": ["nvme", "m&m"]}, ["disk", "disk on rc", "quoted"]),
    ({"kernel": ["4.19.90"]}, ["listener again"]),
    ({"kernel": ["4.19..5.4"]}, ["disk", "listener again"]),
    ({"kernel": ["..4.14", "6.1.36"]}, ["listener", "odd name", "quoted", "listener long ago"]),
    ({"kernel": ["5.5-rc1..5.5-rc9"]}, ["disk on rc"]),
    ({"known_issue": ["tcp-listener-race"]}, ["listener", "listener again"]),
    (
        {
            "known_issue": ["tcp-listener-race"],
            "host": ["db-2"],
            "kernel": ["4.19.."],
            "text": ["pc lookup_marker"],
        },
        ["listener again"],
    ),
    ({"text": ["LOOKUP_MARKER"]}, ["listener", "listener again", "listener long ago"]),
    ({"text": ["nvme_ir*", "kfree"]}, ["disk", "disk on rc", "odd name"]),
    ({"text": ["nvme_ir* nowhere_near*"]}, []),
    ({"text": ["severity_* state_*"]}, []),
    ({"text": ["marker_of_db-2 nothing"]}, []),
    ({"text": ['" OR * NEAR( pc']}, []),
    ({"text": ["storage timeout"]}, ["disk", "disk on rc"]),
)

PROBLEMS: tuple[tuple[Params, list[str]], ...] = (
    ({}, ["1:__inet_lookup_listener", "1:nvme_irq", "1:kfree", "1:foo'\"; DROP TABLE incidents"]),
    ({"host": ["web-*"]}, ["1:nvme_irq"]),
    ({"module": ["nvme"]}, ["1:nvme_irq"]),
    ({"kernel": ["4.19..4.19"]}, ["1:__inet_lookup_listener"]),
    ({"state": ["resolved"]}, []),
    ({"until": ["2026-11-01"]}, ["1:__inet_lookup_listener"]),
    ({"text": ["storage"]}, ["1:nvme_irq"]),
)

HOSTS: tuple[tuple[Params, list[str]], ...] = (
    ({}, ["db-1", "db-10", "db-2", "od[d]*-<b>", "web-1", "web-2"]),
    ({"host": ["db-*"]}, ["db-1", "db-10", "db-2"]),
    ({"since": ["150m"]}, ["db-1", "web-1"]),
    ({"module": ["nvme"]}, ["web-1", "web-2"]),
)

# What must be refused: parameters, and the field that the error names.
REFUSED: tuple[tuple[Params, str], ...] = (
    ({"since": ["yesterday"]}, "since"),
    ({"until": ["1d", "2d"]}, "until"),
    ({"severity": ["fatal"]}, "severity"),
    ({"state": ["closed"]}, "state"),
    ({"kernel": ["5.4..4.19"]}, "kernel"),
    ({"kernel": ["old..new"]}, "kernel"),
    ({"text": ["*** ---"]}, "text"),
    ({"color": ["red"]}, "color"),
)


def fill(path: Path) -> dict[str, str]:
    """Writes the history; returns label → incident id."""
    ids: dict[str, str] = {}
    for planted in sorted(PLANTED, key=lambda one: one.hours, reverse=True):
        at_us = NOW_US - round(planted.hours * HOUR)
        with (
            closing(open_journal(path, clock=lambda at_us=at_us: at_us)) as journal,
            journal.transaction(),
        ):
            ids[planted.label] = _plant(journal, planted, at_us)
        if planted.state != "open":
            what = {"acknowledged": "acknowledge", "resolved": "resolve"}[planted.state]
            with closing(open_actions(path, lambda at_us=at_us: at_us + SECOND)) as actions:
                actions.act(ids[planted.label], what, actor="ann", reason="seen")
    with closing(open_journal(path, clock=lambda: NOW_US)) as journal, journal.transaction():
        hour = NOW_US - NOW_US % HOUR - HOUR
        journal.count_noise(
            [
                noise("python", "web-1", count=7, hour_us=hour),
                noise("java", "db-1", count=3, hour_us=hour),
            ]
        )
    return ids


def _plant(journal, planted: Planted, at_us: int) -> str:
    facts = {"host": planted.host, "wall_time_us": at_us}
    fault, _ = journal.add_match(
        match(
            "memory-fault",
            planted.hours,
            **facts,
            text=f"Unable to handle {planted.hours} on {planted.host}",
        )
    )
    evidence = [fault, journal.add_match(match("tcp-state", planted.hours, **facts))[0]]
    if planted.other:
        text = f"{planted.other.replace('-', ' ')} {planted.hours}"
        evidence.append(
            journal.add_match(match(planted.other, planted.hours, **facts, text=text))[0]
        )
    title = f"BUG: unable to handle kernel paging request in {planted.function}"
    report = CrashReport(
        "memory-fault",
        title=title,
        function=planted.function,
        module=planted.module,
        kernel=planted.kernel,
    )
    marker = "lookup_marker" if "lookup" in planted.function else "marker"
    lines = (fault.match.text, f"pc : {planted.function}+0x10/0x20", f"lr : {marker}+0x1/0x2")
    journal.add_report(
        fault.id, Block(fault.match, lines, complete=True), report, planted.fingerprint
    )
    made = incident(*evidence)
    diagnosis = Diagnosis(
        known_issue=planted.known_issue,
        known_issue_confidence="likely" if planted.known_issue else None,
    )
    journal.save_incident(made, [one.id for one in evidence], diagnosis, report)
    return made.id
