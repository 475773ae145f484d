"""Syslog lines with priorities, and a pipeline that counts the errors among them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from detector.app import build
from detector.clock import DAY_US
from detector.pipeline import Pipeline
from detector.settings import settings_of
from tests.support.chunks import Lines
from tests.support.shipped import shipped

# A Monday, midnight UTC.
START = 1_790_553_600_000_000
BANNER = (
    "Linux version {release} (build@example) (gcc 12.2.0) #1 SMP PREEMPT_DYNAMIC "
    "Mon Jan 5 10:00:00 UTC 2026"
)


def syslog(host: str, at_us: int, text: str, priority: int = 3) -> bytes:
    """One line as RFC 5424 has it; a priority below 8 is the kernel's."""
    stamp = datetime.fromtimestamp(at_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    tag = "kernel" if priority < 8 else "agent"
    uptime = (at_us - START) // 1_000_000 + 1_000
    header = f"<{priority}>1 {stamp}.000000+00:00 {host} {tag} - - -"
    return f"{header} [{uptime:5d}.000001] {text}".encode()


def booted(host: str, at_us: int, release: str) -> bytes:
    """The banner of a boot."""
    stamp = datetime.fromtimestamp(at_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    header = f"<5>1 {stamp}.000000+00:00 {host} kernel - - -"
    return f"{header} [    0.000000] {BANNER.format(release=release)}".encode()


@contextmanager
def counting(path: Path, **settings: object) -> Iterator[Pipeline]:
    """A pipeline over a history of its own."""
    known, _ = settings_of(None, **settings)
    with closing(build.journal_of(known, path)) as journal:
        yield build.watch_of(known, journal, shipped())


def ship(watch: Pipeline, lines: Iterable[bytes], now_us: int = START) -> None:
    """One batch."""
    watch.handle([Lines(*lines)], now_us)


def day(number: int, second: int = 0) -> int:
    """A time on the n-th day from the start on, in µs."""
    return START + number * DAY_US + second * 1_000_000
