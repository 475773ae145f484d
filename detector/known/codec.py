"""The index as bytes: zstd over JSON lines, a header first, then one bug a line.

In: bugs. Out: bytes, equal for equal bugs whatever their order; and back. The header names the
format, how many bugs follow, the newest release with a fix, and a digest of the lines. What is
damaged, cut or of another format raises `IndexFault` with the reason.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import zstandard

from detector.explain.release import KernelRelease
from detector.known.bug import Bug, Fix, Trace

FORMAT = 1
_LEVEL = 19
_LARGEST = 256 * 1024 * 1024  # bytes that an index may unpack to
_DIGITS = re.compile(r"\d+")


class IndexFault(ValueError):
    """Bytes that are no index that can be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Header:
    """What an index holds: `newest` is the latest release that a fix in it came with; `version`
    names its content.
    """

    version: str
    bugs: int
    traced: int
    newest: str


def encode(bugs: Iterable[Bug]) -> bytes:
    """The index of these bugs."""
    ordered = sorted(bugs, key=_order)
    body = "".join(_line(_item(bug)) for bug in ordered)
    head = {
        "format": FORMAT,
        "version": hashlib.blake2b(body.encode(), digest_size=8).hexdigest(),
        "bugs": len(ordered),
        "traced": sum(1 for bug in ordered if bug.traces),
        "newest": _newest(ordered),
    }
    return zstandard.ZstdCompressor(level=_LEVEL).compress((_line(head) + body).encode())


def header(data: bytes) -> Header:
    """The header alone, for those who only show it."""
    return _header(_unpacked(data).partition(b"\n")[0])


def decode(data: bytes) -> tuple[Header, list[Bug]]:
    """The header and every bug; the digest is compared."""
    first, _, body = _unpacked(data).partition(b"\n")
    head = _header(first)
    if hashlib.blake2b(body, digest_size=8).hexdigest() != head.version:
        raise IndexFault("its content does not match its header: it is damaged")
    try:
        bugs = [_bug(json.loads(line)) for line in body.splitlines()]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise IndexFault(f"an entry cannot be read ({error})") from error
    if len(bugs) != head.bugs:
        raise IndexFault(f"it holds {len(bugs)} bugs where its header says {head.bugs}")
    return head, bugs


def _unpacked(data: bytes) -> bytes:
    try:
        return zstandard.ZstdDecompressor().decompress(
            data, max_output_size=_LARGEST, allow_extra_data=False
        )
    except zstandard.ZstdError as error:
        raise IndexFault("it is no index, or is cut") from error


def _header(line: bytes) -> Header:
    try:
        fields = json.loads(line)
        number = fields["format"]
        head = Header(
            str(fields["version"]), int(fields["bugs"]), int(fields["traced"]), str(fields["newest"])
        )
    except (ValueError, KeyError, TypeError) as error:
        raise IndexFault("it has no header") from error
    if number != FORMAT:
        raise IndexFault(f"it is of format {number}; this version reads format {FORMAT}")
    return head


def _order(bug: Bug) -> tuple[bool, tuple[int, ...], str]:
    """CVE ids by year and number, then everything else by name."""
    return not bug.id.startswith("CVE-"), tuple(map(int, _DIGITS.findall(bug.id)[:2])), bug.id


def _newest(bugs: Sequence[Bug]) -> str:
    releases = (
        release for bug in bugs for fix in bug.fixes if (release := KernelRelease.parse(fix.release))
    )
    newest = max(releases, default=None)
    return "" if newest is None else f"{newest.major}.{newest.minor}" + (
        f".{newest.patch}" if newest.patch else ""
    )


def _line(item: Mapping[str, Any]) -> str:
    return json.dumps(item, separators=(",", ":"), ensure_ascii=True) + "\n"


def _item(bug: Bug) -> dict[str, Any]:
    fields = {
        "id": bug.id,
        "subject": bug.subject,
        "main": bug.main,
        "affected": bug.affected,
        "fixes": [[fix.release, fix.commit] if fix.commit else [fix.release] for fix in bug.fixes],
        "files": bug.files,
        "named": bug.named,
        "traces": [_trace_item(trace) for trace in bug.traces],
    }
    return {name: value for name, value in fields.items() if value}


def _trace_item(trace: Trace) -> dict[str, Any]:
    """A trace; of the list without inlined frames only where it departs from the other."""
    fields = {
        "kind": trace.kind,
        "title": trace.title,
        "fn": trace.function,
        "frames": trace.frames,
        "plain": trace.plain,
        "module": trace.module,
        "allocated": trace.allocated,
        "freed": trace.freed,
    }
    kept = {name: value for name, value in fields.items() if value}
    return kept if trace.offset is None else {**kept, "offset": trace.offset}


def _bug(item: Mapping[str, Any]) -> Bug:
    return Bug(
        id=item["id"],
        subject=item.get("subject", ""),
        main=item.get("main"),
        affected=tuple((since, until) for since, until in item.get("affected", ())),
        fixes=tuple(Fix(*fix) for fix in item.get("fixes", ())),
        files=tuple(item.get("files", ())),
        named=tuple(item.get("named", ())),
        traces=tuple(_trace(trace) for trace in item.get("traces", ())),
    )


def _trace(item: Mapping[str, Any]) -> Trace:
    return Trace(
        kind=item["kind"],
        title=item.get("title"),
        function=item.get("fn"),
        frames=tuple(item.get("frames", ())),
        plain=tuple(item.get("plain", ())),
        module=item.get("module"),
        offset=item.get("offset"),
        allocated=tuple(item.get("allocated", ())),
        freed=tuple(item.get("freed", ())),
    )
