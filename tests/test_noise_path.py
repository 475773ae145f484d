"""The short way of noise counts exactly what the pipeline counts, and moves boots as it does."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from functools import cache
from itertools import cycle
from typing import Any

import hypothesis
import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from detector.app import build
from detector.hooks import Hooks
from detector.noise import NoiseCount
from detector.noise_path import expression
from detector.parse import FORMATS
from detector.pipeline import Pipeline
from detector.scan import Chunk
from detector.settings import settings_of
from detector.sources.files.framing import FileChunk
from detector.sources.kafka.chunks import chunks_of
from detector.sources.kafka.whole_batches import BatchRecords
from detector.store import open_journal
from tests.sources.topics import PARTITION, READ_COMMITTED, SOURCE, Entry, Topic
from tests.support.shipped import shipped

NOW_US = 1_800_000_000_000_000
NOISE = [one for one in shipped().signatures if one.origin == "user"]
TEXTS = [text for one in NOISE for text in (*one.examples, *one.rejects)]
OTHERS = [
    "Unable to handle kernel paging request at virtual address ffff000000000008",
    "BUG: soft lockup - CPU#7 stuck for 23s! [kworker/7:1:3120]",
    "Linux version 5.10.0 (build@builder) (gcc) #1 SMP",
    "usb 1-1: new high-speed USB device number 5",
    "kernel: app[7]: segfault at 0 ip 0 sp 0 error 4",
]
BOOT = "0123456789abcdef" * 2


def shaped(shape: int, host: str, second: int, micro: int, text: str) -> bytes:
    """A line as a transport ships it; the kernel's clock began an hour before the wall's second."""
    minute, rest = divmod(second, 60)
    kernel = f"{3_600 + second}.{micro:06d}"
    stamp = f"2026-03-04T05:{minute:02d}:{rest:02d}"
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    kernel_us, wall_us = (3_600 + second) * 1_000_000 + micro, 1_772_600_400_000_000
    wall_us += second * 1_000_000 + micro
    return [
        f"Mar  4 05:{minute:02d}:{rest:02d} {host} kernel: [{kernel}] {text}",
        f"{stamp}.{micro:06d}+00:00 {host} kernel: [{kernel}] {text}",
        (
            f'{{"ts":"{stamp}.{micro:06d}+00:00","host":"{host}","syslogtag":"kernel:","priority":6,'
            f'"message":" [{kernel}] {quoted}"}}'
        ),
        (
            f'{{"__CURSOR":"s=0b;i=1;b={BOOT}","__REALTIME_TIMESTAMP":"{wall_us + 214}",'
            f'"__MONOTONIC_TIMESTAMP":"{kernel_us + 214}","_BOOT_ID":"{BOOT}","_HOSTNAME":"{host}",'
            f'"_TRANSPORT":"kernel","SYSLOG_FACILITY":"0","SYSLOG_IDENTIFIER":"kernel",'
            f'"_SOURCE_MONOTONIC_TIMESTAMP":"{kernel_us}","PRIORITY":"6","MESSAGE":"{quoted}"}}'
        ),
        f"[{kernel}] {text}",
        f"6,{second},{kernel_us},-;{text}",
        f"Mar  4 05:{minute:02d}:{rest:02d} {host} app[7]: {text}",
    ][shape].encode()


@cache
def catalogue_and_settings() -> Any:
    """Those of the commands, read once."""
    settings = settings_of(None)[0]
    return settings, build.catalogue_of(settings)


def batches(chunks: Sequence[Sequence[bytes]], keys: Sequence[bytes | None]) -> list[Chunk]:
    """The lines as a topic has them, a batch for each list: with keys in turn, and with headers and
    keys that hold literals.
    """
    topic = Topic()
    key = cycle(keys)
    for lines in chunks:
        headers = (("trace", b"segfault at 0"),)
        topic.add([Entry(next(key), line, headers) for line in lines], 3)
    records = BatchRecords(
        0, PARTITION, topic.records(), isolation_level=READ_COMMITTED, aborted_transactions=()
    )
    return list(chunks_of(SOURCE, records.take()))


def files(chunks: Sequence[Sequence[bytes]]) -> list[Chunk]:
    """The lines as a file has them."""
    made: list[Chunk] = []
    number = 1
    for lines in chunks:
        data = b"".join(line + b"\n" for line in lines)
        made.append(FileChunk("fleet.log", data, len(data), number))
        number += len(lines)
    return made


def outcome(chunks: Sequence[Chunk], *, short: bool) -> tuple[Any, ...]:
    """All that a pipeline says of some lines; and how many lines the short way took."""
    settings, catalogue = catalogue_and_settings()
    noise: list[NoiseCount] = []
    counts: list[Any] = []
    with closing(open_journal(":memory:")) as journal:
        watch = build.watch_of(
            settings,
            journal,
            catalogue,
            hooks=Hooks(noise=noise.extend, unclaimed=counts.extend),
            keeps_noise=False,
        )
        taken = _noticed(watch, short=short)
        for chunk in chunks:
            watch.handle([chunk], NOW_US)
        watch.finish(NOW_US)
        return (
            [repr(row) for row in noise],
            repr(watch.totals),
            sorted(map(repr, watch.boots._held.items())),
            dict(watch.parser.counts),
            repr(counts),
        ), sum(taken)


def _noticed(watch: Pipeline, *, short: bool) -> list[int]:
    """Counts what the short way takes; without `short` it takes nothing."""
    taken: list[int] = []
    path = watch._short
    assert path is not None
    if not short:
        watch._short = None
        return taken
    through = path.through

    def counted(*args: Any) -> Any:
        take = through(*args)

        def one(ends: Sequence[int], index: int) -> int:
            after = take(ends, index)
            taken.append(after >= 0)
            return after

        return one

    path.through = counted  # type: ignore[method-assign]
    return taken


lines = st.builds(
    shaped,
    st.integers(0, 6),
    st.sampled_from(["db-1", "db-2.example.org", "DB-1", "INFO", "kern.warning", "w_3"]),
    st.integers(0, 3_599),
    st.sampled_from([0, 1, 999_999]),
    st.one_of(
        st.sampled_from(TEXTS),
        st.sampled_from(TEXTS).map(str.upper),
        st.sampled_from(TEXTS).map(lambda text: f"{text} é"),
        st.sampled_from(TEXTS).map(lambda text: text + " x" * 600),
        st.sampled_from(TEXTS).flatmap(lambda text: st.integers(0, 30).map(lambda n: text[n:])),
        st.sampled_from(OTHERS),
    ),
)


@hypothesis.settings(deadline=None, max_examples=40)  # two histories are opened for each
@given(st.lists(st.lists(lines, min_size=1, max_size=40), min_size=1, max_size=3))
def test_both_ways_count_the_same(chunks: list[list[bytes]]) -> None:
    """Random lines of all shapes, hosts and times, in any order."""
    assert outcome(files(chunks), short=True)[0] == outcome(files(chunks), short=False)[0]


@hypothesis.settings(deadline=None, max_examples=12)
@given(
    st.lists(st.lists(lines, min_size=1, max_size=40), min_size=1, max_size=3),
    st.lists(st.sampled_from([None, b"", b"db-1", b"app[7]: segfault"]), min_size=1),
)
def test_both_ways_count_the_same_of_a_topic(
    chunks: list[list[bytes]], keys: list[bytes | None]
) -> None:
    """Values of batches, whose keys may name another host or hold a literal."""
    found = [outcome(batches(chunks, keys), short=short)[0] for short in (True, False)]
    assert found[0] == found[1]


@pytest.mark.parametrize("key", [None, b"db-1", b"db-2"])
def test_plain_noise_of_a_topic_takes_the_short_way(key: bytes | None) -> None:
    """Where the key names no other host; the next batch as well."""
    text = "python[7]: segfault at 30 ip 00007f sp 00007f error 4 in libc.so[7f+1000]"
    lines = [shaped(0, "db-1", second, 5, text) for second in range(40)]
    taken = outcome(batches([lines[:20], lines[20:]], [key]), short=True)[1]
    assert taken == (0 if key == b"db-2" else 40)


@pytest.mark.parametrize("shape", range(4))
def test_plain_noise_takes_the_short_way(shape: int) -> None:
    """The first line of a host as well."""
    text = "python[7]: segfault at 30 ip 00007f sp 00007f error 4 in libc.so[7f+1000]"
    lines = [shaped(shape, "db-1", second, 5, text) for second in range(40)]
    chunks = [lines[:20], lines[20:]]
    found, taken = outcome(files(chunks), short=True)
    assert found == outcome(files(chunks), short=False)[0]
    assert taken == 40


@pytest.mark.parametrize("one", NOISE, ids=lambda one: one.id)
def test_its_expressions_claim_what_the_catalogue_s_claim(one: Any) -> None:
    """`re` over bytes and `regex` over text find the same in every example."""
    match = expression(0, one).match
    for text in TEXTS:
        if not text.isascii():
            continue
        found, plain = match(text.encode()), regex.match(one.regex, text)
        assert (found is None) == (plain is None)
        if found is not None and plain is not None:
            assert {
                name: value and value.decode() for name, value in found.groupdict().items()
            } == plain.groupdict()


def test_a_set_format_or_host_takes_the_long_way() -> None:
    """What was set decides what a line says; the short way reads as the automatic mode does."""
    assert "dmesg" in FORMATS
    settings, catalogue = catalogue_and_settings()
    with closing(open_journal(":memory:")) as journal:
        watch = build.watch_of(settings, journal, catalogue, host="db-9")
        assert watch.parser.passes("fleet.log", NOW_US) is None
