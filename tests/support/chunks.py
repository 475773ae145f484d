"""Chunks of lines, as a source hands them on."""

from __future__ import annotations

from detector.model import Record


class Lines:
    """A chunk of lines, for tests."""

    def __init__(self, *lines: bytes) -> None:
        self.source = "test"
        self.data = b"\n".join(lines)
        self.end = len(self.data)
        self.count = len(lines)

    def record_at(self, offset: int) -> tuple[Record, int, int]:
        """The line around `offset`."""
        start = self.data.rfind(b"\n", 0, offset) + 1
        end = self.data.find(b"\n", offset)
        end = len(self.data) if end < 0 else end
        return (
            Record(self.data[start:end], "test", self.data.count(b"\n", 0, start) + 1),
            start,
            end + 1,
        )
