"""Explains who holds memory when it ran out, by the kernel's table of tasks.

In: the lines of an OOM report. Out: statements in pages, as the table counts; the size of a page is
the machine's own. Formats: mm/oom_kill.c dump_tasks() (3.x to 6.x: the columns between rss and
swapents vary, so the header line is read), mm/show_mem.c (`pages RAM`; lib/show_mem.c to 6.3).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from detector.explain.block_text import first
from detector.lazy_regex import lazy_regex
from detector.model import Statement

_HEADER = lazy_regex(r"\[ *pid *\] +(?P<columns>uid +tgid +total_vm +rss .*\bname)\s*$")
_ROW = lazy_regex(r"\[ *(?P<pid>\d+)\] +(?P<values>\d+ +\d+ +\d+ +\d+ .*\S)")
_RAM = lazy_regex(r"(?P<pages>\d+) pages RAM\s*$")
_SHOWN = 3
_FEW = 0.5  # of RAM: below, the tasks do not explain it


def explain_consumers(lines: Sequence[str]) -> Iterator[Statement]:
    """Yields the tasks with the most resident pages, and whether the tasks explain it at all."""
    header = first(lines, _HEADER)
    if header is None:
        return
    columns = header["columns"].split()
    at = next(at for at, text in enumerate(lines) if text is header.string)
    tasks = [task for text in lines[at + 1 :] if (task := _task(text, columns)) is not None]
    if not tasks:
        return
    tasks.sort(key=lambda task: task[0], reverse=True)
    largest = ", ".join(f"{name} (pid {pid}) with {rss}" for rss, pid, name, _ in tasks[:_SHOWN])
    yield Statement(
        f"The largest tasks in the kernel's list, by resident pages: {largest}.",
        "certain",
        tuple(text for _, _, _, text in tasks[:_SHOWN]),
    )
    memory = first(lines, _RAM)
    total = sum(rss for rss, _, _, _ in tasks)
    if memory is not None and total < _FEW * int(memory["pages"]):
        text = (
            f"All {len(tasks)} tasks in the list together hold {total} of {memory['pages']} pages "
            "of RAM: look for the rest in shared memory (tmpfs), the page cache, and the kernel "
            "(slab, drivers)."
        )
        yield Statement(text, "likely", (memory.string.strip(), f"sum of the column rss: {total}"))


def _task(text: str, columns: Sequence[str]) -> tuple[int, str, str, str] | None:
    """(resident pages, pid, name, line) of a row; None for a line that is none."""
    matched = _ROW.match(text)
    if matched is None:
        return None
    values = matched["values"].split(maxsplit=len(columns) - 1)
    rss = values[columns.index("rss")]
    if len(values) != len(columns) or not rss.isdecimal():
        return None
    return int(rss), matched["pid"], values[-1].strip(), text.strip()
