"""`oopswatch known`: known kernel bugs: a record, who runs a kernel with it, a new index."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from detector.app import build
from detector.app.known import history_of, index_file, own_path, reader_of
from detector.cli import terminal
from detector.cli.options import NameParam
from detector.cli.settings_options import config_option, patterns_option, settings_of, store_option
from detector.known.bug import Bug, bug_item
from detector.known.draft import draft as draft_of
from detector.known.words import EXPOSURE, checks, record_lines, title
from detector.render.escape import inert
from detector.render.units import several
from detector.store.query.known_bugs import Exposure, RunningKernel, is_named
from detector.store.query.results import ProblemRow

if TYPE_CHECKING:
    from detector.known.codec import Header
    from detector.known.update import Gathered
    from detector.settings import Settings

_NOTHING_KNOWN = 1
_EVERY_S = 10.0  # seconds between two lines of progress where there is no terminal
_HOSTS_SHOWN = 20


class _Known(click.Group):
    """A group whose first word may be an id or a commit: `known CVE-2024-50126`."""

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The subcommand of that name, else `show`."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["show", *args]
        return super().resolve_command(context, args)


@click.group(
    cls=_Known,
    epilog="""\b
Examples:
  oopswatch known CVE-2024-50126
  oopswatch known 22e9f71072fa
  oopswatch known update --from vulns.tar.xz
Exit: 0, 1 nothing known, 2 usage or input that cannot be read.""",
)
def known() -> None:
    """Known kernel bugs: the record of one, who runs a kernel with it, a new index of them."""


@known.command()
@click.argument("bug", metavar="CVE|COMMIT", type=NameParam())
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@store_option
@config_option
def show(bug: str, as_json: bool, store_path: Path | None, config_path: Path | None) -> None:
    """The record of one bug: which releases have it, which fix it, how it was seen, and which
    problems of the history look like it.
    """
    settings, _ = settings_of(config_path, store__path=store_path)
    for entry in _bugs_named(settings, bug):
        problems = _problems(settings, entry)
        if as_json:
            prints = [row.fingerprint for row in problems]
            click.echo(json.dumps({"type": "known_bug", **bug_item(entry), "problems": prints}))
            continue
        click.echo("\n".join(inert(line) for line in record_lines(entry)))
        for row in problems:
            click.echo(inert(f"  problem    {row.fingerprint} {row.title}, {row.incidents:,} ×"))


def _problems(settings: Settings, bug: Bug) -> list[ProblemRow]:
    """The problems of the history that look like it; none where there is no history."""
    if not bug.traces or not settings.store.path.is_file():
        return []
    with closing(history_of(settings, terminal.say_fault)) as history:
        return history.problems_with(bug)


@known.command(
    epilog="""\b
Examples:
  oopswatch known hosts CVE-2024-50126
  oopswatch known hosts 22e9f71072fa --json"""
)
@click.argument("bug", metavar="CVE|COMMIT", type=NameParam())
@click.option("--json", "as_json", is_flag=True, help="NDJSON: one object a host.")
@store_option
@config_option
def hosts(bug: str, as_json: bool, store_path: Path | None, config_path: Path | None) -> None:
    """Lists the hosts whose kernel has a bug that was seen here, and those that have the fix.
    Hosts of which it cannot be told are a list of their own. The kernel is that of each host's last
    boot that named one.
    """
    settings, _ = settings_of(config_path, store__path=store_path)
    for entry in _bugs_named(settings, bug):
        with closing(history_of(settings, terminal.say_fault)) as history:
            if not history.problems_with(entry):
                click.echo(
                    f"{inert(entry.id)}: no crash of this history looks like it, so no host is "
                    f"named",
                    err=True,
                )
                sys.exit(_NOTHING_KNOWN)
            exposed = history.exposure(entry)
        if as_json:
            _say_hosts_json(entry, exposed)
        else:
            _say_hosts(entry, exposed)


def _say_hosts_json(bug: Bug, exposed: Exposure) -> None:
    for status, kernels in exposed.kernels.items():
        for kernel, names in kernels.items():
            for name in names:
                item = {"type": "exposure", "bug": bug.id, "host": name, "kernel": kernel.release}
                click.echo(json.dumps(item | {"status": status, "package": kernel.package}))


def _say_hosts(bug: Bug, exposed: Exposure) -> None:
    click.echo(inert(title(bug)))
    for status, meaning in EXPOSURE.items():
        count = exposed.count(status)
        if not count:
            continue
        click.echo(f"  {meaning}: {several(count, 'host')}")
        kernels = exposed.kernels[status]
        if not status.startswith("vendor"):
            _say_kernels(kernels)
            continue
        for command, these in checks(bug, kernels).items():
            _say_kernels({kernel: kernels[kernel] for kernel in these})
            click.echo(inert(f"    on the host: {command}"))


def _say_kernels(kernels: Mapping[RunningKernel, Sequence[str]]) -> None:
    for kernel, names in kernels.items():
        shown = ", ".join(names[:_HOSTS_SHOWN])
        more = f" and {len(names) - _HOSTS_SHOWN:,} more" if len(names) > _HOSTS_SHOWN else ""
        click.echo(inert(f"    {kernel}: {shown}{more}"))


@known.command()
@click.argument("bug", metavar="CVE|COMMIT", type=NameParam())
@store_option
@config_option
def draft(bug: str, store_path: Path | None, config_path: Path | None) -> None:
    """Prints the frame of a known issue in TOML, for a file of patterns/known-issues/."""
    settings, _ = settings_of(config_path, store__path=store_path)
    for entry in _bugs_named(settings, bug):
        click.echo(draft_of(entry))


def _bugs_named(settings: Settings, name: str) -> list[Bug]:
    """The bugs of that name; the command ends where there is none."""
    path, header, bugs = index_file(settings, terminal.say_fault).whole()
    bugs = find(bugs, name)
    if not bugs:
        text = f"oopswatch: {inert(name)}: not among the {header.bugs:,} bugs of {path}"
        click.echo(text, err=True)
        sys.exit(_NOTHING_KNOWN)
    return bugs


def find(bugs: list[Bug], name: str) -> list[Bug]:
    """The bugs of an id, or those that a commit fixes; its hash may be shortened or whole."""
    identity = name.strip().lower()
    return [bug for bug in bugs if is_named(bug, (identity,))]


@known.command(
    epilog="""\b
Sources: a copy of the kernel's vulns.git or of cvelistV5 (a folder, tar or zip), a kernel \
checkout. Nothing is fetched."""
)
@click.option(
    "--from",
    "sources",
    type=click.Path(path_type=Path),
    multiple=True,
    required=True,
    metavar="PATH",
    help="Folder, tar or zip of CVE records, or a kernel checkout with its tags. May be given "
    "again.",
)
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write; default from the settings.",
)
@click.option(
    "--fewer",
    is_flag=True,
    help="Accept an index with less than half of the bugs of the present one.",
)
@store_option
@patterns_option
@config_option
def update(
    sources: tuple[Path, ...],
    target: Path | None,
    fewer: bool,
    store_path: Path | None,
    folders: tuple[Path, ...],
    config_path: Path | None,
) -> None:
    """Reads published fixes and writes a new index; a running service takes it by itself."""
    from detector.known.codec import encode
    from detector.sources.known import gather
    from detector.sources.known.index_file import write

    settings, _ = settings_of(config_path, store__path=store_path, patterns__directories=folders)
    path = target or own_path(settings)
    reader = reader_of(build.catalogue_of(settings))
    with _progress() as progress:
        gathered = gather(sources, reader, progress)
    if not fewer:
        _refuse_to_shrink(index_file(settings).path, len(gathered.bugs))
    data = encode(gathered.bugs.values())
    header = write(path, data)
    _say(header, path, len(data), gathered)


def _refuse_to_shrink(present: Path | None, bugs: int) -> None:
    """A copy that lacks most records would silently forget bugs."""
    from detector.sources import SourceError
    from detector.sources.known.index_file import read

    if present is None:
        return
    try:
        header, _ = read(present)
    except SourceError:
        return
    if bugs * 2 < header.bugs:
        raise SourceError(
            f"only {bugs:,} bugs were found, {present} has {header.bugs:,}: is a part missing? "
            "(--fewer accepts it)"
        )


def _say(header: Header, path: Path, size: int, gathered: Gathered) -> None:
    click.echo(
        f"{path}: {several(header.bugs, 'bug')}, {header.traced:,} with a trace; newest fix in "
        f"{header.newest or 'no release'}; {size / 1_000_000:.2f} MB, version {header.version}"
    )
    for reason, count in gathered.left_out.most_common():
        first = gathered.first.get(reason)
        click.echo(
            inert(f"left out: {count:,} × {reason}" + (f" (first {first})" if first else ""))
        )


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, a line now and then elsewhere; both on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    if not sys.stderr.isatty():
        yield _lines_of_progress()
        return
    columns = (TextColumn("reading"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("read", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines_of_progress() -> Callable[[int, int], None]:
    told_s = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal told_s
        if time.monotonic() - told_s >= _EVERY_S:
            told_s = time.monotonic()
            click.echo(f"reading: {100 * done // max(total, 1)} %", err=True)

    return tell
