from __future__ import annotations

from itertools import pairwise

from hypothesis import assume, given
from hypothesis import strategies as st

from detector.sources.files.framing import FileChunk, Framer
from detector.sources.files.shapes import shape_of

DMESG_JSON = b"""{
   "dmesg": [
      {
         "pri": 6,
         "time":     0.000000,
         "msg": "Linux version 6.1.0 (build@farm) #1 SMP"
      },{
         "pri": 1,
         "time":    66.946362,
         "caller": "T3083",
         "msg": "a brace } and a quote \\" and {\\"pri\\": 0, are text"
      }
   ]
}
"""


def framed(pieces: list[bytes], longest: int = 1 << 24) -> list[tuple[int, bytes]]:
    """Number and value of every record, found one after the other."""
    framer = Framer("kern.log", longest)
    chunks = [chunk for piece in pieces for chunk in framer.feed(piece)] + framer.finish()
    return [found for chunk in chunks for found in records(chunk)]


def records(chunk: FileChunk) -> list[tuple[int, bytes]]:
    """All records of a chunk."""
    found = []
    position = 0
    while position < len(chunk.data):
        record, start, after = chunk.record_at(position)
        assert start == position < after
        assert record.source == chunk.source
        found.append((record.number, record.value))
        position = after
    return found


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """`data` in pieces."""
    return [
        data[a:b]
        for a, b in pairwise(sorted({0, len(data), *(place % (len(data) + 1) for place in places)}))
    ]


@given(
    st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"{"))),
    st.lists(st.integers(0, 1000)),
    st.booleans(),
)
def test_lines_are_the_same_however_the_bytes_come(
    lines: list[bytes], places: list[int], ended: bool
) -> None:
    """Every line once, with its number, whatever the pieces; a last line without an end counts."""
    data = b"\n".join(lines) + (b"\n" if ended and lines else b"")
    assume(shape_of(data) is None)
    expected = data.split(b"\n")[: -1 if data.endswith(b"\n") or not data else None]
    assert framed(cut(data, places)) == list(enumerate(expected, 1))


@given(st.lists(st.integers(0, 200), min_size=1))
def test_a_record_is_found_from_any_of_its_bytes_in_any_order(offsets: list[int]) -> None:
    """Start, next start and number depend on the offset alone, not on what was asked before."""
    data = b"".join(b"line %d\n" % number for number in range(1, 26))
    (chunk,) = Framer("kern.log").feed(data)
    for offset in (number % len(data) for number in offsets):
        record, start, after = chunk.record_at(offset)
        assert start <= offset < after
        assert data[start:after] == b"line %d\n" % record.number
    assert chunk.count == 25
    assert chunk.end == len(data)


def test_the_end_of_a_chunk_is_the_place_in_the_file() -> None:
    """Chunk after chunk covers the file; what waits for its line end is not in yet."""
    framer = Framer("kern.log")
    assert [chunk.end for chunk in framer.feed(b"one\ntw")] == [4]
    assert [(chunk.end, chunk.data) for chunk in framer.feed(b"o\n")] == [(8, b"two\n")]
    assert [(chunk.end, chunk.count) for chunk in (*framer.feed(b"three"), *framer.finish())] == [
        (13, 1)
    ]


def test_a_line_longer_than_the_bound_is_cut_and_counted() -> None:
    """It comes in pieces under one number, and memory holds no more than the bound and a piece."""
    framer = Framer("kern.log", longest=100)
    chunks = [chunk for _ in range(25) for chunk in framer.feed(b"x" * 10)] + framer.feed(
        b"\nnext\n"
    )
    assert [found for chunk in chunks for found in records(chunk)] == [
        (1, b"x" * 100),
        (1, b"x" * 100),
        (1, b"x" * 50),
        (2, b"next"),
    ]
    assert framer.cut == 2
    assert sum(chunk.count for chunk in chunks) == 2


@given(st.lists(st.integers(0, len(DMESG_JSON)), max_size=6))
def test_dmesg_json_gives_its_objects(places: list[int]) -> None:
    """One document over many lines: an object is a record, numbered by the line of its message,
    braces in strings or not.
    """
    first, second = framed(cut(DMESG_JSON, places))
    assert first == (
        6,
        (
            b'{          "pri": 6,          "time":     0.000000,          "msg": "Linux '
            b'version 6.1.0 (build@farm) #1 SMP"       }'
        ),
    )
    assert second[0] == 11
    assert second[1].endswith(
        b'"msg": "a brace } and a quote \\" and {\\"pri\\": 0, are text"       }'
    )


def test_dmesg_json_on_one_line_without_an_end() -> None:
    """The same document, minified."""
    assert framed([b'{"dmesg":[{"pri":6,"msg":"one"},{"pri":6,"msg":"two"}]}']) == [
        (1, b'{"pri":6,"msg":"one"}'),
        (1, b'{"pri":6,"msg":"two"}'),
    ]


def test_two_documents_in_one_file() -> None:
    """Appended a second time, the second's objects come too."""
    numbers = [number for number, _ in framed([DMESG_JSON + DMESG_JSON])]
    assert numbers == [6, 11, 6 + DMESG_JSON.count(b"\n"), 11 + DMESG_JSON.count(b"\n")]


def test_a_cut_document_keeps_its_last_piece() -> None:
    """What was being written when the machine died is handed on as lines."""
    found = framed([DMESG_JSON[:-40]])
    assert found[0][0] == 6
    assert b'"pri": 1' in b"\n".join(value for _, value in found[1:])


def test_plain_lines_after_a_document_are_lines() -> None:
    """A log that was appended to a document: every line of it, with its number."""
    found = framed([DMESG_JSON + b"[    1.0] plain {text}\n[    2.0] more\n"])
    number = DMESG_JSON.count(b"\n")
    assert found[-2:] == [(number + 1, b"[    1.0] plain {text}"), (number + 2, b"[    2.0] more")]


CR_LOG = b"[    1.000000] one\r[    2.000000] two\r[    3.000000] three"


@given(st.lists(st.integers(0, len(CR_LOG)), max_size=5), st.sampled_from([b"", b"\r", b"\n"]))
def test_cr_alone_ends_the_lines_of_a_file_without_lf(cuts: list[int], end: bytes) -> None:
    """However it comes in pieces, and whatever ends it."""
    places = [0, *sorted(cuts), len(CR_LOG)]
    pieces = [CR_LOG[start:stop] for start, stop in pairwise(places)] + [end]
    assert framed(pieces) == list(enumerate(CR_LOG.split(b"\r"), 1))


def test_a_cr_in_a_file_with_lf_is_part_of_its_line() -> None:
    """A progress bar, CRLF, and what a process wrote into the only message of a log."""
    for log in (
        b"[    1.000000] flash 1%\r2%\r3%\n[    2.000000] done\n",
        b"[    1.000000] one\r\n[    2.000000] two\r\n",
        b"[    1.000000] one\r\n",
        b"Nov 20 08:00:00 db-1 app[7]: hello\r[    2.000000] BUG: forged\n",
    ):
        assert [value for _, value in framed([log])] == log.removesuffix(b"\n").split(b"\n")


def test_a_large_file_is_decided_once_by_its_head() -> None:
    """A LF after that is one more line end."""
    log = b"[    1.000000] one\r" * 5_000
    assert len(framed([log[:70_000], log[70_000:], b"two\nthree"])) == 5_002
