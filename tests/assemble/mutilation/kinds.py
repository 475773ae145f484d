"""The kinds of damage that logs do to reports.

In: whole reports. Out: `Damaged` logs, each with the texts of every report that are left in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest

from tests.assemble.mutilation.reports import WholeReport

WIDTHS = (72, 80, 132)
LOST = (1, 2, 3, 5, 8)
CHATTER_LINES = 500
_STEP_US = 10
_FEWEST = 3
"""Lines that are left of a report, or it is none."""

_CHATTER = (
    "docker0: port {n}(veth{n:x}) entered forwarding state",
    "IPv6: ADDRCONF(NETDEV_CHANGE): veth{n:x}: link becomes ready",
    "EXT4-fs (dm-{n}): mounted filesystem with ordered data mode. Opts: (null)",
    "usb 1-{n}: new high-speed USB device number {n} using xhci_hcd",
    "audit: type=1400 audit(1700000{n:03}.123:{n}): apparmor=\"STATUS\" operation=\"profile_load\"",
    "e1000e 0000:00:1f.6 eth0: NIC Link is Up 1000 Mbps Full Duplex, Flow Control: Rx/Tx",
    "device veth{n:x} entered promiscuous mode",
    ("[UFW BLOCK] IN=eth0 OUT= MAC= SRC=192.0.2.{n} DST=198.51.100.7 LEN=40 TTL=244 ID={n} "
        "PROTO=TCP"),
    "systemd[1]: Started Session {n} of User demo.",
    "nf_conntrack: default automatic helper assignment has been turned off for security reasons",
    "kvm [{n}]: vcpu0, guest rIP: 0xffffffff810649b0 disabled perfctr wrmsr: 0xc2 data 0xffff",
    "XFS (dm-{n}): Ending clean mount",
    "sd 2:0:{n}:0: [sdb] Attached SCSI disk",
    ("perf: interrupt took too long (2501 > 2500), lowering kernel.perf_event_max_sample_rate to "
        "{n}000"),
    "random: crng init done",
    "br-{n:x}: port 1(veth0) entered blocking state",
    "input: demo keyboard as /devices/pci0000:00/0000:00:14.0/usb1/1-{n}/input/input{n}",
    "hrtimer: interrupt took {n}0443 ns",
)  # fmt: skip
"""What hosts print all day, in words of their own; none of it is a fault."""


@dataclass(frozen=True, slots=True)
class Damaged:
    """A damaged log: `of` are the reports in it, `left` the texts of each that are in it still."""

    kind: str
    log: str
    of: tuple[WholeReport, ...]
    left: tuple[tuple[str, ...], ...]


def damaged(reports: Sequence[WholeReport]) -> Iterator[Damaged]:
    """Every kind of damage to every report."""
    for report in reports:
        yield from _wrapped(report)
        yield from _lost(report)
        yield from _amid_chatter(report)
    families: dict[str | None, list[WholeReport]] = {}
    for report in reports:
        families.setdefault(report.read.arch, []).append(report)
    for family in families.values():
        for one, other in pairwise(family):
            if _differ(one, other):
                yield from _interleaved(one, other)


def chatter(count: int) -> list[str]:
    """So many lines of a host's chatter."""
    return [_CHATTER[n % len(_CHATTER)].format(n=n % 250 + 1) for n in range(count)]


def _wrapped(report: WholeReport) -> Iterator[Damaged]:
    """Each line broken at a terminal's width."""
    for width in WIDTHS:
        rows = [
            row[at : at + width] for row in report.rows for at in range(0, max(len(row), 1), width)
        ]
        yield Damaged(f"wrapped at {width}", _joined(rows), (report,), (report.texts,))


def _lost(report: WholeReport) -> Iterator[Damaged]:
    """The first lines, the last lines, or every third line is lost."""
    rows = report.rows
    if len(rows) != len(report.texts):
        return
    places = range(len(rows))
    for count in LOST:
        yield from _kept(f"first {count} lost", report, places[count:])
        yield from _kept(f"last {count} lost", report, places[:-count])
    for phase in range(3):
        kept = [place for place in places if place % 3 != phase]
        yield from _kept(f"every third lost, from line {phase + 1}", report, kept)


def _kept(kind: str, report: WholeReport, places: Sequence[int]) -> Iterator[Damaged]:
    if len(places) >= _FEWEST:
        rows = [report.rows[place] for place in places]
        left = tuple(report.texts[place] for place in places)
        yield Damaged(kind, _joined(rows), (report,), (left,))


def _amid_chatter(report: WholeReport) -> Iterator[Damaged]:
    """The host talks in the middle of a report, between its lines, and after it."""
    texts, talk = list(report.texts), chatter(CHATTER_LINES)
    middle = len(texts) // 2
    share = max(1, len(talk) // len(texts))
    spread = [
        text
        for place, own in enumerate(texts)
        for text in (own, *talk[place * share : (place + 1) * share])
    ]
    left = (report.texts,)
    inside = stamped([*texts[:middle], *talk, *texts[middle:]])
    yield Damaged("chatter inside", inside, (report,), left)
    yield Damaged("chatter between lines", stamped(spread), (report,), left)
    yield Damaged("chatter after", stamped([*texts, *talk]), (report,), left)


def _differ(one: WholeReport, other: WholeReport) -> bool:
    """Whether two reports begin so differently that one can tell which is which."""
    return one.texts[0] not in other.texts and other.texts[0] not in one.texts


def _interleaved(one: WholeReport, other: WholeReport) -> Iterator[Damaged]:
    """Two processors print line by line in turns; kernels with CONFIG_PRINTK_CALLER say which."""
    rows = [
        (caller, text)
        for pair in zip_longest(one.texts, other.texts)
        for caller, text in zip(("[   T11]", "[   T12]"), pair, strict=True)
        if text is not None
    ]
    reports, left = (one, other), (one.texts, other.texts)
    yield Damaged("interleaved", stamped([text for _, text in rows]), reports, left)
    named = stamped([f"{caller} {text}" for caller, text in rows]).replace("] [", "][")
    yield Damaged("interleaved, with callers", named, reports, left)


def stamped(texts: Sequence[str]) -> str:
    """The texts as dmesg prints them."""
    return _joined(
        f"[{100 + at // 1_000_000:5}.{at % 1_000_000:06}] {text}"
        for at, text in zip(range(0, len(texts) * _STEP_US, _STEP_US), texts, strict=True)
    )


def _joined(rows: Iterator[str] | Sequence[str]) -> str:
    return "\n".join(rows) + "\n"
