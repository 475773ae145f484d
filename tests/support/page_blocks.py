"""The code blocks of the pages: fenced and indented ones, with the place of each line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "patterns/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "deploy").rglob("*.md")),
]
SHELL = ("sh", "console")
# Languages that a parser reads.
DATA = ("toml", "yaml", "json", "python", "jinja")
# What a command line begins with.
PROGRAMS = (
    *("oopswatch", "make", "pip", "pipx", "python3", "docker", "kubectl", "kafka-topics.sh"),
    *("modprobe", "grafana", "spark-submit", "datasette", "curl", "apt"),
)
_FENCE = re.compile(r"^( *)```([^\n]*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
# An indented block begins after an empty line, or after a heading (CommonMark 0.31, 4.4).
_INDENTED = re.compile(r"(?:(?<=\n\n)|(?<=[^\n]\n\n))(?:(?: {4}[^\n]*|[ \t]*)\n)+", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One block: its page, the number of its first line, its language ("" where none is named)."""

    page: str
    line: int
    language: str
    text: str

    def commands(self) -> Iterator[tuple[str, str]]:
        """(place, command line) of a block of shell commands; the lines that a console printed are
        left out.
        """
        for number, line in enumerate(self.text.splitlines(), self.line):
            command = line.strip()
            if self.language == "console":
                if not command.startswith("$ "):
                    continue
                command = command[2:]
            if command and not command.startswith("#"):
                yield f"{self.page}:{number}", command


def blocks_of(page: str, text: str) -> list[Block]:
    """All blocks of a page, in order."""
    found = [
        Block(page, _line(text, each.start(3)), _language(each[2].strip(), each[3]), each[3])
        for each in _FENCE.finditer(text)
    ]
    prose = _FENCE.sub(lambda each: "\n" * each[0].count("\n"), text)
    for each in _INDENTED.finditer(prose):
        body = dedent(each[0].strip("\n"))
        if body.strip():
            start = each.start() + len(each[0]) - len(each[0].lstrip("\n"))
            found.append(Block(page, _line(prose, start), _language("", body), body + "\n"))
    return sorted(found, key=lambda block: block.line)


def blocks() -> list[Block]:
    """Those of all pages."""
    return [
        block
        for path in PAGES
        for block in blocks_of(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))
    ]


def _language(named: str, body: str) -> str:
    """The language that a fence names, or that the first line of a block without one shows."""
    if named not in {"", "text"}:
        return named
    first = body.strip().splitlines()[0] if body.strip() else ""
    if first.split()[:1] and first.split()[0] in PROGRAMS:
        return "sh"
    if first.startswith("[["):
        return "toml"
    return "json" if first.startswith("{") else named


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
