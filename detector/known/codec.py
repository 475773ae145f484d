"""The index as bytes: zstd frames, one after the other.

In: bugs. Out: bytes, equal for equal bugs whatever their order; and back. The first frame holds a
header of JSON and the tables by which bugs are found, the next ones the bugs with a trace, one a
line, in blocks; the last all other bugs, for those who ask about a fix. So a process that looks one
crash up unpacks the tables and the block of a bug that it may be. The header names the format, how
many bugs there are, the newest release with a fix, sizes and digests. Bytes that are damaged, cut
or of another format raise `UnreadableIndexError`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import zstandard

from detector.known.bug import Bug, bug_item, item_bug
from detector.known.index import Index, IndexTables, UnreadableIndexError
from detector.known.releases import spelled
from detector.known.tables import table_text, tables_over
from detector.lazy_regex import lazy_regex
from detector.release import KernelRelease

FORMAT = 2
_LEVEL = 19
_BLOCK = 512 * 1024  # bytes of a block: smaller ones are unpacked sooner and together take more
_LARGEST = 256 * 1024 * 1024  # bytes that a frame may unpack to
_DIGITS = lazy_regex(r"\d{1,9}")


@dataclass(frozen=True, slots=True)
class Header:
    """The contents of an index, as its header lists them.
    `newest` is the latest release that a fix in it came with; `version` names the content. `blocks`
    are the bytes and the bugs of each block with traces, `digests` those of all blocks and of the
    other bugs, `hot` the functions that crash for others.
    """

    version: str
    bugs: int
    traced: int
    newest: str
    hot: frozenset[str]
    blocks: tuple[tuple[int, int], ...]
    digests: tuple[str, str]


def encode(bugs: Iterable[Bug]) -> bytes:
    """The index of these bugs."""
    ordered = sorted(bugs, key=_order)
    # Bugs of one file are alike: side by side they take a tenth less.
    traced = sorted((bug for bug in ordered if bug.traces), key=lambda bug: bug.files[:1])
    blocks = list(_blocks(traced))
    others = "".join(_line(bug) for bug in ordered if not bug.traces)
    packed = [_packed(block) for block in blocks]
    rest = _packed(others)
    tables = IndexTables.of(traced)
    head = {
        "format": FORMAT,
        "version": _digest("".join((*blocks, others)).encode()),
        "bugs": len(ordered),
        "traced": len(traced),
        "newest": _newest(ordered),
        "hot": sorted(tables.hot),
        "blocks": [
            [len(data), block.count("\n")] for data, block in zip(packed, blocks, strict=True)
        ],
        "digests": [_digest(b"".join(packed)), _digest(rest)],
    }
    first = json.dumps(head, separators=(",", ":")) + "\n" + table_text(tables)
    return b"".join((_packed(first), *packed, rest))


def decode(data: bytes, *, whole: bool = False) -> tuple[Header, list[Bug]]:
    """The header and the bugs with a trace; `whole` adds all others."""
    header, table, blocks, rest = _parts(data)
    bugs = [bug for block in blocks for bug in _bugs(_unpacked(block)[0])]
    if len(bugs) != header.traced or table.decode() != table_text(IndexTables.of(bugs)):
        raise UnreadableIndexError("its tables do not match its content: it is damaged")
    if whole:
        if _digest(rest) != header.digests[1]:
            raise UnreadableIndexError("its content does not match its header: it is damaged")
        bugs += _bugs(_unpacked(rest)[0])
        if len(bugs) != header.bugs:
            raise UnreadableIndexError(
                f"it holds {len(bugs)} bugs where its header says {header.bugs}"
            )
    return header, bugs


def open_index(data: bytes) -> Index:
    """Opens the index of the bugs with a trace; a bug is unpacked when it is read first.
    What cannot be read then raises `UnreadableIndexError`.
    """
    header, table, blocks, _ = _parts(data)
    first = [0]
    for _, count in header.blocks:
        first.append(first[-1] + count)

    @cache
    def lines(number: int) -> list[bytes]:
        return _unpacked(blocks[number])[0].splitlines()

    def bug_at(place: int) -> Bug:
        number = next((at for at, end in enumerate(first[1:]) if 0 <= place < end), None)
        if number is None or place - first[number] >= len(lines(number)):
            raise UnreadableIndexError("its tables do not match its content: it is damaged")
        return _bugs(lines(number)[place - first[number]])[0]

    def mentioning(text: str) -> Iterator[Bug]:
        key = text.encode()
        for number in range(len(blocks)):
            yield from (_bugs(line)[0] for line in lines(number) if key in line)

    tables = tables_over(table, header.hot)
    return Index.made(header.traced, bug_at, tables, mentioning, header.version)


def traced_size(data: bytes) -> int:
    """Bytes of all but the bugs without a trace."""
    return len(data) - len(_parts(data)[3])


def _parts(data: bytes) -> tuple[Header, bytes, list[bytes], bytes]:
    """The header, the tables, the packed blocks, the packed other bugs."""
    first, following = _unpacked(data)
    line, _, table = first.partition(b"\n")
    header = _header(line)
    blocks, at = [], 0
    for size, _ in header.blocks:
        blocks.append(following[at : at + size])
        at += size
    if _digest(following[:at]) != header.digests[0]:
        raise UnreadableIndexError("its content does not match its header: it is damaged or cut")
    return header, table, blocks, following[at:]


def _blocks(bugs: Iterable[Bug]) -> Iterator[str]:
    """The lines of these bugs, so many that each block is as large as one may be."""
    lines: list[str] = []
    size = 0
    for bug in bugs:
        lines.append(_line(bug))
        size += len(lines[-1])
        if size >= _BLOCK:
            yield "".join(lines)
            lines, size = [], 0
    if lines:
        yield "".join(lines)


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def _packed(text: str) -> bytes:
    return zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(text.encode())


def _unpacked(data: bytes) -> tuple[bytes, bytes]:
    """One frame, and what follows it. Its size is read before a byte is unpacked: what unpacks to
    more is no index.
    """
    frames = zstandard.ZstdDecompressor().decompressobj()
    try:
        if not 0 <= zstandard.get_frame_parameters(data).content_size <= _LARGEST:
            raise UnreadableIndexError("a part of it is larger than any index")
        unpacked = frames.decompress(data)
    except zstandard.ZstdError as error:
        raise UnreadableIndexError("it is no index of known bugs, or is damaged") from error
    if not frames.eof:
        raise UnreadableIndexError("it is cut")
    return unpacked, frames.unused_data


def _header(line: bytes) -> Header:
    try:
        fields = json.loads(line)
        number = fields["format"]
        if number == FORMAT:
            traced, rest = map(str, fields["digests"])
            return Header(
                str(fields["version"]),
                int(fields["bugs"]),
                int(fields["traced"]),
                str(fields["newest"]),
                frozenset(map(str, fields["hot"])),
                tuple((_natural(size), _natural(count)) for size, count in fields["blocks"]),
                (traced, rest),
            )
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableIndexError("it has no header") from error
    raise UnreadableIndexError(f"it is of format {number}; this version reads format {FORMAT}")


def _natural(number: int) -> int:
    if number < 0:
        raise ValueError(number)
    return int(number)


def _bugs(body: bytes) -> list[Bug]:
    try:
        # In one piece: a third of the time that the lines take one by one.
        return [item_bug(item) for item in json.loads(b"[" + b",".join(body.splitlines()) + b"]")]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
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


def _line(bug: Bug) -> str:
    return json.dumps(bug_item(bug), separators=(",", ":"), ensure_ascii=True) + "\n"
