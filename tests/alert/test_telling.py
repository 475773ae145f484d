"""From a history to the nouns of an alert, over a log that went through the whole pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from detector.alert.message import compose, plain
from detector.alert.notice import Notice
from detector.alert.subject import line_of, phrase, subject_of, what_happened
from detector.app import build
from detector.drive import run
from detector.model import Boot, Match
from detector.settings import settings_of
from detector.sources import FileSource
from detector.store import History, open_history, open_journal
from detector.store.query.standing import standing_of
from tests.support.shipped import shipped

LOG = Path(__file__).parents[1] / "golden" / "founding-journald" / "log.json"
BEGAN = 1_773_029_873_000_000
MINUTE = 60_000_000
HOUR = 60 * MINUTE


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """The founding crash on three hosts, one after the other."""
    folder = tmp_path_factory.mktemp("telling")
    settings, _ = settings_of(None)
    for number in range(3):
        log = folder / f"{number}.json"
        log.write_text(
            LOG.read_text()
            .replace("edge-114", f"edge-{number}")
            .replace("9d41f0c27a5b4e1d", f"9d41f0c27a5b4e{number:02}")
        )
        found_us = BEGAN + number * 40 * MINUTE
        with (
            closing(open_journal(folder / "h.db", clock=lambda now=found_us: now)) as journal,
            closing(FileSource([str(log)])) as source,
        ):
            watch = build.watch_of(settings, journal, shipped())
            run(source, watch, lambda: BEGAN)
            watch.finish(BEGAN)
    with closing(open_history(folder / "h.db")) as opened:
        yield opened


def identity(history: History, host: str) -> str:
    """The one incident of a host."""
    (row,) = history.incidents(host=host)
    return row.id


def test_subject_of_the_founding_crash(history: History) -> None:
    """Both lines verbatim, what happened in a few words, function, known issue, rule, kernel,
    uptime.
    """
    subject = subject_of(history, shipped(), identity(history, "edge-0"))
    assert subject is not None
    assert subject.what_happened == (
        "TCP socket released while listening",
        "paging fault in __inet_lookup_listener",
    )
    assert len(subject.lines) == 2
    assert subject.lines[1].startswith(
        "[5183921.133321] Unable to handle kernel paging request at virtual address "
    )
    assert "/0.json:" in subject.lines[1]
    assert (subject.host, subject.function, subject.known_issue) == (
        "edge-0",
        "__inet_lookup_listener",
        "tcp-listener-race",
    )
    assert (subject.kernel, subject.gap_us, subject.uptime_us) == (
        "4.14.113-acme.aarch64",
        731_204,
        5_183_921_133_321,
    )
    assert subject.rule_title is not None
    assert subject.next_steps
    assert subject.title == "BUG: unable to handle kernel paging request in __inet_lookup_listener"


def test_message_of_the_founding_crash(history: History) -> None:
    """What on-call reads in the end."""
    subject = subject_of(history, shipped(), identity(history, "edge-0"))
    standing = standing_of(history, identity(history, "edge-0"), BEGAN)
    assert subject is not None
    notice = Notice("fire", "k", (subject,), 1, (subject.host,), 1, standing, "new incident", BEGAN)
    message = compose(notice)
    said = (
        "[critical] edge-0: TCP socket released while listening, then paging fault in "
        "__inet_lookup_listener, 0.73 s apart"
    )
    assert message.title == said
    assert f"    {subject.lines[0]}" in plain(message).splitlines()
    assert "Known issue: tcp-listener-race" in plain(message)


def test_standing_counts_the_problem(history: History) -> None:
    """The first incident is new though others followed; the later ones are not."""
    now = BEGAN + 100 * MINUTE
    first, last = (
        standing_of(history, identity(history, host), now) for host in ("edge-0", "edge-2")
    )
    assert first is not None
    assert last is not None
    assert (first.count, first.hosts, first.new) == (3, 3, True)
    assert (last.count, last.hosts, last.new) == (3, 3, False)
    assert first.regression_of is None


@pytest.mark.parametrize(("later", "hosts"), [(0, ("edge-1", "edge-2")), (2 * HOUR, ())])
def test_other_hosts_of_the_last_hour(history: History, later: int, hosts: tuple[str, ...]) -> None:
    """By when it happened there, not by when it was found; the host itself is none of them."""
    standing = standing_of(history, identity(history, "edge-0"), BEGAN + later)
    assert standing is not None
    assert standing.hosts_last_hour == hosts


def test_what_the_history_does_not_have(history: History) -> None:
    """An id that nobody has."""
    assert subject_of(history, shipped(), "f" * 16) is None
    assert standing_of(history, "f" * 16, BEGAN) is None


def match(signature: str, cls: str, **fields: str) -> Match:
    """A match of a signature."""
    return Match(
        signature,
        cls,
        "kernel",
        "critical",
        "the text",
        fields,
        "log",
        7,
        "h",
        Boot(),
        1_500_000,
        None,
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            match("kernel.tcp-release-state", "tcp-state", state="1"),
            "TCP socket released while connected",
        ),
        (
            match("kernel.tcp-release-state", "tcp-state", state="7"),
            "TCP socket released while in use",
        ),
        (match("kernel.x86-null-pointer", "memory-fault"), "NULL pointer dereference"),
        (match("kernel.nvme-timeout", "storage-timeout"), "An NVMe command timed out"),
        (match("ours.gone", "ours"), "the text"),
    ],
)
def test_phrases(given: Match, said: str) -> None:
    """By what is known: the state, a short name, the catalogue's title, the line."""
    assert phrase(given, shipped()) == said


def test_lines_without_kernel_time_show_the_wall_clock() -> None:
    """Or that they have neither."""
    given = match("s", "c")
    assert line_of(given) == "[1.500000] the text   log:7"
    assert (
        line_of(replace(given, kernel_time_us=None, wall_time_us=BEGAN))
        == "[2026-03-09T04:17:53.000000Z] the text   log:7"
    )
    assert line_of(replace(given, kernel_time_us=None)) == "[no time] the text   log:7"


def test_equal_things_are_said_once(history: History) -> None:
    """A host that repeats itself fills no title."""
    detail = history.incident(identity(history, "edge-0"))
    assert detail is not None
    twice = replace(
        detail.incident, evidence=(*detail.incident.evidence[:1], *detail.incident.evidence)
    )
    assert len(list(what_happened(twice, shipped(), None))) == 2
