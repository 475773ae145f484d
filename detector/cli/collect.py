"""`oopswatch collect`: what a dead kernel left on disk, into the topic."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click

from detector.cli.settings_options import config_option
from detector.cli.streams import print_error
from detector.errors import UserError
from detector.render.escape import inert

_SENT = Path("/var/lib/oopswatch/collected")
# Where kafka.start_wait_s sets no bound.
_WITHIN_S = 60


@click.command(
    epilog="""\b
Examples:
  oopswatch collect --bootstrap kafka-1:9092 --topic kernel-logs      at boot, on each host
  oopswatch collect --topic kernel-logs /var/crash/202611300312/vmcore-dmesg.txt
  oopswatch collect --list
Exit: 0 when everything is in Kafka, 2 when something is not: it is sent next time."""
)
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--bootstrap", help="Brokers to begin with, host:port, with commas between them.")
@click.option("--topic", help="Topic to write to. Default: the first of kafka.topics.")
@click.option("--host", help="Name of this host, the key of its records. Default: its own.")
@click.option(
    "--sent",
    "sent_path",
    default=_SENT,
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File that remembers what was sent.",
)
@click.option("--list", "only_list", is_flag=True, help="Say what would be sent, and send nothing.")
@config_option
def collect(
    files: tuple[Path, ...],
    bootstrap: str | None,
    topic: str | None,
    host: str | None,
    sent_path: Path,
    only_list: bool,
    config_path: Path | None,
) -> None:
    """Sends what the last kernel left in pstore and kdump's folders to Kafka, once, keyed by
    host.
    """
    from detector.settings import settings_of

    settings, _ = settings_of(config_path, kafka__bootstrap_servers=bootstrap, kafka__topics=topic)
    waiting = list(_waiting(files, _read_sent(sent_path)))
    if not waiting:
        click.echo("nothing new: no file of pstore or kdump that was not sent")
        return
    key = (host or platform.node()).lower().encode()
    if only_list:
        for path, content, _ in waiting:
            click.echo(f"{path}  {len(content):,} bytes, of host {key.decode()}")
        return
    from detector.app.topic_producer import TopicProducer

    within_s = settings.kafka.start_wait_s or _WITHIN_S
    topic_name = settings.kafka.topics[0]
    with closing(TopicProducer(settings.kafka, topic_name, within_s, print_error)) as producer:
        for path, content, digest in waiting:
            producer.send_text(key, content)
            _remember(sent_path, digest, path)
            click.echo(f"{path}  {len(content):,} bytes, sent to {topic_name}")


def _waiting(files: tuple[Path, ...], sent: set[str]) -> Iterator[tuple[Path, bytes, str]]:
    """Each file that was not sent, with its text and its digest. What lies there and is no log, or
    cannot be read, is said; where a person named it, it is an error.
    """
    from detector.sources.dumps import content_of, digest_of, dump_files

    for path in files or dump_files():
        try:
            content, damage = content_of(path)
        except UserError as error:
            if files:
                raise
            print_error(f"{error}; it is left out")
            continue
        if content and (digest := digest_of(content)) not in sent:
            if damage:
                print_error(f"{path}: damaged ({damage}): what came before that is taken")
            yield path, content, digest


def _read_sent(path: Path) -> set[str]:
    """The digests of what was sent."""
    try:
        return {
            line.split()[0]
            for line in path.read_text("utf-8", "replace").splitlines()
            if line.strip()
        }
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise UserError(f"--sent: {path} cannot be read: {error.strerror}") from error


def _remember(path: Path, digest: str, file: Path) -> None:
    """Notes that a file was sent."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8", errors="surrogateescape") as opened:
            opened.write(f"{digest} {inert(str(file))}\n")
    except OSError as error:
        raise UserError(
            f"--sent: {path} cannot be written: {error.strerror}: {file} was sent, and would be "
            "sent again"
        ) from error
