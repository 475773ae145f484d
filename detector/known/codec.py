"""The index as bytes: two zstd frames of JSON lines, a header first, then one bug a line.

In: bugs. Out: bytes, equal for equal bugs whatever their order; and back. The first frame holds the
header and the bugs with a trace, which is all that recognising needs; the second the other bugs,
for those who ask about a fix. The header holds the tables by which bugs are found, so that a
process that looks one crash up reads only the bugs that it may be. It names the format, how many
bugs there are, the newest release with a fix, and digests of both parts. Bytes that are damaged,
cut or of another format raise `UnreadableIndexError`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import zstandard

from detector.known.bug import Bug, Fix, Trace
from detector.known.index import Index, IndexTables
from detector.known.releases import spelled
from detector.release import KernelRelease

FORMAT = 1
_LEVEL = 19
_LARGEST = 256 * 1024 * 1024  # bytes that a part may unpack to
_DIGITS = re.compile(r"\d{1,9}")
_ID = re.compile(rb'\{"id":"([^"\\]{1,64})"')


class UnreadableIndexError(ValueError):
    """Bytes that are no index that can be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Header:
    """What an index holds: `newest` is the latest release that a fix in it came with; `version`
    names the content, `parts` are the digests of its two parts.
    """

    version: str
    bugs: int
    traced: int
    newest: str
    parts: tuple[str, str]


def encode(bugs: Iterable[Bug]) -> bytes:
    """The index of these bugs."""
    ordered = sorted(bugs, key=_order)
    traced = "".join(_line(bug_item(bug)) for bug in ordered if bug.traces)
    others = "".join(_line(bug_item(bug)) for bug in ordered if not bug.traces)
    parts = [_digest(part.encode()) for part in (traced, others)]
    head = {
        "format": FORMAT,
        "version": _digest("".join(parts).encode()),
        "bugs": len(ordered),
        "traced": traced.count("\n"),
        "newest": _newest(ordered),
        "parts": parts,
        **_tables_item(IndexTables.of([bug for bug in ordered if bug.traces])),
    }
    return _packed(_line(head) + traced) + _packed(others)


def decode(data: bytes, *, whole: bool = False) -> tuple[Header, list[Bug]]:
    """The header and the bugs with a trace; `whole` adds all others."""
    frames = zstandard.ZstdDecompressor().decompressobj()
    first, _, traced = _unpacked(frames, data).partition(b"\n")
    head = _header(first)
    bugs = _bugs(traced, head.parts[0])
    if len(bugs) != head.traced:
        raise UnreadableIndexError(
            f"it holds {len(bugs)} traced bugs where its header says {head.traced}"
        )
    if whole:
        rest = zstandard.ZstdDecompressor().decompressobj()
        bugs += _bugs(_unpacked(rest, frames.unused_data), head.parts[1])
        if len(bugs) != head.bugs:
            raise UnreadableIndexError(
                f"it holds {len(bugs)} bugs where its header says {head.bugs}"
            )
    return head, bugs


def open_index(data: bytes) -> Index:
    """The index of the bugs with a trace, which are read when they are asked for; bytes that an
    older version wrote, without tables, are read whole.
    """
    first, _, traced = _unpacked(zstandard.ZstdDecompressor().decompressobj(), data).partition(
        b"\n"
    )
    head, tables = _header(first), _tables(first)
    if tables is None:
        return Index.of(decode(data)[1], head.version)
    if _digest(traced) != head.parts[0]:
        raise UnreadableIndexError("its content does not match its header: it is damaged")
    lines = traced.splitlines()
    there = range(len(lines))
    lost = any(place not in there for places in tables.functions.values() for place in places)
    if lost or len(lines) != head.traced:
        raise UnreadableIndexError("its tables do not match its content: it is damaged")
    ids = [_ID.match(line) for line in lines]
    return Index.made(
        [found[1].decode() if found else "" for found in ids],
        lambda place: _bug(json.loads(lines[place])),
        tables,
        head.version,
    )


def _tables_item(tables: IndexTables) -> dict[str, Any]:
    """The tables as JSON types, and their digest; names that stand in equally many bugs
    together.
    """
    names: dict[str, list[str]] = {}
    for name, count in sorted(tables.counts.items()):
        names.setdefault(str(count), []).append(name)
    item = {
        "functions": dict(sorted(tables.functions.items())),
        "hot": sorted(tables.hot),
        "counts": dict(sorted(names.items())),
    }
    return {"tables": item, "tables_digest": _digest(json.dumps(item).encode())}


def _tables(line: bytes) -> IndexTables | None:
    """The tables of a header; None where it has none."""
    fields = json.loads(line)
    item = fields.get("tables")
    if item is None:
        return None
    if _digest(json.dumps(item).encode()) != fields.get("tables_digest"):
        raise UnreadableIndexError("its tables do not match its header: it is damaged")
    try:
        counts = {name: int(count) for count, names in item["counts"].items() for name in names}
        return IndexTables(item["functions"], frozenset(item["hot"]), counts)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableIndexError(f"its tables cannot be read ({error})") from error


def traced_size(data: bytes) -> int:
    """Bytes of the first part."""
    frames = zstandard.ZstdDecompressor().decompressobj()
    _unpacked(frames, data)
    return len(data) - len(frames.unused_data)


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def _packed(text: str) -> bytes:
    return zstandard.ZstdCompressor(level=_LEVEL).compress(text.encode())


def _unpacked(frames: zstandard.ZstdDecompressionObj, data: bytes) -> bytes:
    """One frame. Its size is read before a byte is unpacked: what unpacks to more is no index."""
    try:
        if not 0 <= zstandard.get_frame_parameters(data).content_size <= _LARGEST:
            raise UnreadableIndexError("a part of it is larger than any index")
        unpacked = frames.decompress(data)
    except zstandard.ZstdError as error:
        raise UnreadableIndexError("it is no index of known bugs, or is damaged") from error
    if not frames.eof:
        raise UnreadableIndexError("it is cut")
    return unpacked


def _header(line: bytes) -> Header:
    try:
        fields = json.loads(line)
        number = fields["format"]
        if number == FORMAT:
            first, second = map(str, fields["parts"])
            return Header(
                str(fields["version"]),
                int(fields["bugs"]),
                int(fields["traced"]),
                str(fields["newest"]),
                (first, second),
            )
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableIndexError("it has no header") from error
    raise UnreadableIndexError(f"it is of format {number}; this version reads format {FORMAT}")


def _bugs(body: bytes, digest: str) -> list[Bug]:
    if _digest(body) != digest:
        raise UnreadableIndexError("its content does not match its header: it is damaged")
    try:
        # In one piece: a third of the time that the lines take one by one.
        return [_bug(item) for item in json.loads(b"[" + b",".join(body.splitlines()) + b"]")]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableIndexError(f"an entry cannot be read ({error})") from error


def _order(bug: Bug) -> tuple[bool, tuple[int, ...], str]:
    """CVE ids by year and number, then everything else by name."""
    return not bug.id.startswith("CVE-"), tuple(map(int, _DIGITS.findall(bug.id)[:2])), bug.id


def _newest(bugs: Sequence[Bug]) -> str:
    releases = (
        release
        for bug in bugs
        for fix in bug.fixes
        if (release := KernelRelease.parse(fix.release))
    )
    newest = max(releases, default=None)
    return spelled(newest) if newest is not None else ""


def _line(item: Mapping[str, Any]) -> str:
    return json.dumps(item, separators=(",", ":"), ensure_ascii=True) + "\n"


def bug_item(bug: Bug) -> dict[str, Any]:
    """A bug as JSON types; what it does not have is left out."""
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
    fields = {
        "kind": trace.kind,
        "title": trace.title,
        "function": trace.function,
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
        function=item.get("function"),
        frames=tuple(item.get("frames", ())),
        plain=tuple(item.get("plain", ())),
        module=item.get("module"),
        offset=item.get("offset"),
        allocated=tuple(item.get("allocated", ())),
        freed=tuple(item.get("freed", ())),
    )
