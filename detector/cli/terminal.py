"""Terminal output: tables, progress, incidents.

Log text is data: control characters are escaped, markup is not read.

In: nouns and rows. Out: text on standard output (progress and warnings on standard error). Colour
only on a terminal and without NO_COLOR.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detector.correlate import StoredMatch
from detector.model import CrashReport, Rejected, Unparsed
from detector.noise import OTHERS, NoiseCount
from detector.render.csv_rows import columns_of, write_csv
from detector.render.escape import inert
from detector.render.objects import Item, as_object, moment
from detector.render.units import host_name, seconds, several, uptime
from detector.unclaimed import UnclaimedCount, unclaimed_summary

if TYPE_CHECKING:
    # The whole pipeline: most commands print without it.
    from rich.console import Console

    from detector.hooks import RunTotals

SHOWN = 20
SENTENCES = 7
# Of an incident of many hosts so many are named.
HOSTS = 10
STYLES = {"critical": "bold red", "error": "red", "warning": "yellow", "info": "cyan"}


def console() -> Console:
    """Returns standard output: as wide as the terminal, never folding a log line in a pipe."""
    # Imported here: a command's help prints without rich.
    from detector.cli.output import Output

    out = Output(highlight=False, soft_wrap=True)
    return out if out.is_terminal else Output(highlight=False, soft_wrap=True, width=200)


def is_terminal() -> bool:
    """True where standard output is a terminal."""
    return sys.stdout.isatty()


def width(most: int) -> int:
    """Returns how wide sentences are: as the terminal, at most `most`."""
    if not is_terminal():
        return most
    return max(40, min(most, shutil.get_terminal_size((most, 24)).columns))


def say_fault(text: str) -> None:
    """Says on standard error what is wrong with something that can be done without."""
    print(f"oopswatch: {inert(text)}", file=sys.stderr)  # noqa: T201


def say_entered(path: Path, percent: int | None) -> None:
    """Says how much of an older history is entered so far; nothing where all is."""
    if percent is not None:
        say_fault(
            f"{path}: still reading older reports: {percent} % is entered, the newest first; "
            "`oopswatch run` and `oopswatch keep run` go on"
        )


def switched_off(signature: str) -> str:
    """Returns what is said of a signature that keeps timing out."""
    return (
        f"oopswatch: {signature}: switched off: its regex timed out too often; lines that only "
        "it knows are missed"
    )


def say_scan(
    matches: Sequence[StoredMatch],
    reports: Mapping[int, CrashReport],
    opening: Container[str],
    repeats: Counter[int],
    findings: Sequence[Item],
    noise: Sequence[NoiseCount],
    unparsed: Mapping[str, tuple[int, Unparsed]],
    rejected: Sequence[Rejected],
    totals: RunTotals,
    elapsed: float,
) -> None:
    """All that a scan found: incidents, a crash summary, the noise by process, what could not
    be read, the totals.
    """
    from rich.text import Text

    out = console()
    for finding in findings:
        say_incident(out, finding, whole=False)
    _crashes(out, matches, reports, opening, repeats)
    _noise(out, noise)
    for reason, (count, sample) in unparsed.items():
        out.print(
            Text(
                f"not read: {reason}: {count} × (first {sample.source}:{sample.number}: "
                f"{inert(sample.sample.decode(errors='replace'))[:80]})"
            )
        )
    _set_aside(out, rejected, totals.rejected)
    rate = totals.records / elapsed if elapsed > 0 else 0
    out.print(
        f"{several(totals.records, 'line')}, {totals.bytes:,} bytes in {elapsed:.2f} s "
        f"({rate:,.0f} lines/s):"
        f" {several(len(findings), 'incident')}, "
        f"{several(totals.matches, 'kernel match', 'kernel matches')},"
        f" {several(totals.noise, 'user-space crash', 'user-space crashes')} (noise), "
        f"{several(totals.unparsed, 'selected record')} not read",
    )
    if totals.cut_lines:
        out.print(f"too long to be read whole: {several(totals.cut_lines, 'line')}")
    if totals.folded:
        out.print(
            "too many programs to name them all: "
            f"{several(totals.folded, 'crash', 'crashes')} counted as {OTHERS}"
        )


def _set_aside(out: Console, rejected: Sequence[Rejected], count: int) -> None:
    """The first records that a stage raised on, and how many more there are."""
    from rich.text import Text

    for row in rejected:
        text = f"set aside: {row.source}:{row.number}: {row.stage} raised {row.reason}"
        sample = row.value[:80].decode(errors="replace")
        out.print(Text(inert(f"{text} ({sample})")))
    if count > len(rejected):
        out.print(f"… and {count - len(rejected):,} more set aside")


def repeated(text: str, times: int) -> str:
    """Returns a line with how often it was printed, where that is more than once."""
    return f"{text} ({times:,} times)" if times > 1 else text


def say_unclaimed(rows: Sequence[UnclaimedCount]) -> None:
    """The last words of a scan: lines that hold the phrase of a fault and were not understood."""
    from rich.text import Text

    if (summary := unclaimed_summary(rows)) is not None:
        console().print(Text(f"{inert(summary)}; oopswatch explain says why"))


def _incident_rows(item: Item) -> list[tuple[str, str]]:
    """Returns the labelled facts of an incident; an empty value is left out."""
    report = item["report"] or {}
    host, boot = item["host"], item["boot"].replace(f"{item['host']}#", "#", 1)
    return [
        ("incident", f"{item['id']}   rule {item['rule']}   state {item.get('state', 'open')}"),
        (
            "host",
            f"{shown_host(host)}, up {uptime(item['anchor']['kernel_time_us'])}, boot {boot}",
        ),
        ("started", f"{item['started'] or 'unknown'} (UTC)"),
        (
            "kernel",
            " ".join(
                filter(None, (report.get("kernel"), report.get("arch"), report.get("hardware")))
            ),
        ),
        (
            "compared by",
            "wall clock: at least one line carries no kernel time"
            if item["time_basis"] == "wall" and not item.get("spread")
            else "",
        ),
        ("joined", ", ".join(item.get("joined", ()))),
        ("hosts", _hosts(item.get("spread"))),
    ]


def shown_host(host: str) -> str:
    """Names a host for people: one that is known by its log's path alone, by the file's name."""
    name = host_name(host)
    return host if name == host else f"{name} (names no host)"


def _hosts(spread: Item | None) -> str:
    """The hosts of an incident of many: how many, the first by name, from when to when."""
    if spread is None:
        return ""
    shown = ", ".join(spread["names"][:HOSTS])
    more = spread["hosts"] - min(len(spread["names"]), HOSTS)
    rest = f" and {more:,} more" if more else ""
    hours = f"hours {spread['first_hour'][:13]} to {spread['last_hour'][:13]} (UTC)"
    return f"{spread['hosts']:,}, {hours}: {shown}{rest}"


def say_incident(out: Console, item: Item, *, whole: bool = True) -> None:
    """One incident: what, where, both lines, what it means, which bug; `whole` adds all
    sentences and what to do.
    """
    from rich.text import Text

    out.print(
        Text.assemble(
            (f"[{item['severity']}] ", STYLES.get(item["severity"], "")),
            (inert(f"{shown_host(item['host'])}: {item['headline']}"), "bold"),
        )
    )
    for label, value in _incident_rows(item):
        if value:
            out.print(Text(f"  {label:<12}{inert(value)}"))
    for entry in item["evidence"]:
        stamp = (
            seconds(entry["kernel_time_us"])
            if entry["kernel_time_us"] is not None
            else entry["wall_time"] or "-"
        )
        out.print(
            Text.assemble(
                f"  {'line':<12}",
                (f"[{stamp}] {inert(entry['text'])}", "bold"),
                f"   {inert(entry['source'])}:{entry['line_number']}",
            )
        )
    for sentence in item["diagnosis"] if whole else item["diagnosis"][:SENTENCES]:
        out.print(Text(wrapped(sentence["confidence"], sentence["text"])))
    if item["known_issue"]:
        out.print(
            Text(
                f"  {'known issue':<12}{item['known_issue']} ({item['known_issue_confidence']})",
                "bold",
            )
        )
    for bug in item.get("known_bugs", ()):
        out.print(Text(wrapped("known bug", known_bug(bug)), "bold"))
    if not whole and len(item["diagnosis"]) > SENTENCES:
        out.print(Text(f"  {'more':<12}oopswatch explain {inert(item['source'])}"))
    for step in item["next_steps"] if whole else ():
        out.print(Text(wrapped("next", step)))
    out.print()


def known_bug(bug: Item) -> str:
    """A known bug on one line: id, how sure, what the fix says, where it is fixed."""
    among = f", one of {bug['alike']} that fit" if bug["alike"] > 1 else ""
    fixed = f"; fixed in {bug['fixed_in']}" if bug["fixed_in"] else ""
    return f"{bug['id']} ({bug['confidence']}{among}): {bug['subject']}{fixed}"


def wrapped(label: str, sentence: str) -> str:
    """A labelled sentence, folded so that the eye finds the labels."""
    return textwrap.fill(
        inert(sentence),
        width(110),
        initial_indent=f"  {label:<12}",
        subsequent_indent=" " * 14,
        break_on_hyphens=False,
    )


def _crashes(
    out: Console,
    matches: Sequence[StoredMatch],
    reports: Mapping[int, CrashReport],
    opening: Container[str],
    repeats: Counter[int],
) -> None:
    """A row for each sort of fault; lines that were counted count to the line before them.

    A head that opens reports and got none of its own is a line of the report before it.
    """
    counted: Counter[tuple[str, str, str]] = Counter()
    for stored in matches:
        report = reports.get(stored.id)
        if report is None and stored.match.signature in opening:
            continue
        what = (report.title if report and report.title else None) or stored.match.text
        counted[
            inert(what)[:100], stored.match.signature, (report.kernel if report else None) or ""
        ] += 1 + repeats[stored.id]
    rows = [
        (what, signature, inert(kernel), f"{count:,}")
        for (what, signature, kernel), count in counted.most_common(SHOWN)
    ]
    say_table(out, "Kernel faults", ("what", "signature", "kernel", "count"), rows, len(counted))


def _noise(out: Console, noise: Sequence[NoiseCount]) -> None:
    counted: Counter[tuple[str, str, str]] = Counter()
    for row in noise:
        counted[inert(row.process), row.signature, inert(row.host)] += row.count
    rows = [
        (process, signature, shown_host(host), f"{count:,}")
        for (process, signature, host), count in counted.most_common(SHOWN)
    ]
    say_table(
        out,
        "Noise: faults of programs and of mounted images",
        ("process", "signature", "host", "count"),
        rows,
        len(counted),
    )


def say_table(
    out: Console,
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    in_all: int | None = None,
) -> None:
    """A table, if there is a row; says how many rows it leaves out.

    Columns named like numbers are right-aligned.
    """
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return
    table = Table(
        title=title,
        title_justify="left",
        box=None,
        pad_edge=False,
        header_style="bold",
        title_style="bold",
    )
    for column in columns:
        table.add_column(
            column, justify="right" if column in {"count", "gap"} else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    out.print(table)
    if in_all is not None and in_all > len(rows):
        out.print(f"… and {in_all - len(rows):,} more (--json lists all)")
    out.print()


def say_csv(noun: type[Any], rows: Iterable[Any]) -> None:
    """Rows as CSV, with the columns of their JSON; log text stays text in a spreadsheet."""
    write_csv(sys.stdout, columns_of(noun), map(as_object, rows))


def when(wall_us: int | None) -> str:
    """A wall time for a table, to the second, in UTC."""
    return (moment(wall_us) or "-")[:19].replace("T", " ")
