"""All checks of an installation, in the order in which the parts depend on each other.

In: settings, the time. Out: results, as they come. Reads only; sends no message.
"""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

from detector.app import build
from detector.app.alerting import routing_of
from detector.app.known import index_file
from detector.clock import DAY_US
from detector.doctor.result import CheckResult
from detector.doctor.topic import judge_compacted, judge_findings, judge_topic
from detector.errors import UserError
from detector.model import Position
from detector.render.units import several
from detector.settings import Origins, Settings
from detector.sources.kafka.survey import TopicSurvey, survey
from detector.store import open_history
from detector.store.ingest.positions import read_positions

_LEAST_FREE = 1 << 30  # bytes
_LEAST_FILES = 4096
_NO_SHARED_MEMORY = frozenset(("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "lustre", "ceph"))
# adjtimex(2) returns TIME_ERROR while the clock is not synchronised.
_TIME_ERROR = 5


def check_machine(history: Path) -> Iterator[CheckResult]:
    """Yields what there is to say of the machine that keeps the history at this path."""
    yield check_clock()
    yield from check_disk(history)
    yield check_limits()
    yield check_locale(sys.getfilesystemencoding())


def check_clock() -> CheckResult:
    """Says whether the kernel's clock is kept by NTP, as adjtimex(2) tells."""
    # struct timex of the kernel is 208 bytes on 64 bit; modes 0 asks and changes nothing.
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(1024))
    if state != _TIME_ERROR:
        return CheckResult("ok", "clock", "synchronised")
    return CheckResult(
        "note",
        "clock",
        "no NTP keeps it, or a container hides that",
        "run chrony or systemd-timesyncd: reports and silences go by this clock",
    )


def check_disk(history: Path) -> Iterator[CheckResult]:
    """Says whether the history's folder can be written, has room, and lies on a local disk."""
    folder = history.parent.absolute()
    if not folder.is_dir():
        yield CheckResult("fault", "disk", f"{folder} is not there", f"mkdir -p {folder}")
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        yield CheckResult(
            "fault",
            "disk",
            f"{folder} cannot be written",
            "give it to the user that runs oopswatch",
        )
    free = shutil.disk_usage(folder).free
    size = history.stat().st_size if history.is_file() else 0
    text = f"{free / (1 << 30):.1f} GiB free at {folder}, history {size / (1 << 20):.0f} MiB"
    if free < max(_LEAST_FREE, size // 10):
        yield CheckResult(
            "fault", "disk", text, "make room, or shorten retention (`oopswatch keep --help`)"
        )
    else:
        yield CheckResult("ok", "disk", text)
    kind = file_system(folder, Path("/proc/self/mounts").read_text("utf-8", "replace"))
    if kind in _NO_SHARED_MEMORY:
        yield CheckResult(
            "fault",
            "disk",
            f"{folder} is on {kind}: SQLite's write-ahead log needs a local disk",
            "put store.path on a local disk",
        )


def file_system(folder: Path, mounts: str) -> str | None:
    """Returns the type of the file system of a folder, by the text of /proc/self/mounts."""
    kinds = {}
    for line in mounts.splitlines():
        _, point, kind, *_ = line.split(" ")
        kinds[point.encode().decode("unicode_escape")] = kind
    for parent in (folder, *folder.parents):
        if str(parent) in kinds:
            return kinds[str(parent)]
    return None


def check_limits() -> CheckResult:
    """Says whether enough files may be open for pages, brokers and receivers."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= _LEAST_FILES:
        return CheckResult("ok", "limits", f"{soft} open files")
    return CheckResult(
        "note",
        "limits",
        f"only {soft} open files: `serve` refuses connections when they are used up",
        "LimitNOFILE=65536 in the unit, or ulimit -n 65536",
    )


def check_locale(encoding: str) -> CheckResult:
    """Says whether names of files and output are UTF-8."""
    if encoding.lower().replace("-", "") == "utf8":
        return CheckResult("ok", "locale", encoding)
    return CheckResult(
        "note",
        "locale",
        f"{encoding}: characters outside of it are spelled out in output",
        "set LC_ALL=C.UTF-8",
    )


_OLD_INDEX_US = 90 * DAY_US


def check_everything(settings: Settings, origins: Origins, now_us: int) -> Iterator[CheckResult]:
    """Yields the result of each check; one that fails does not keep the others from running."""
    yield from check_machine(settings.store.path)
    yield from _patterns(settings)
    yield from _index(settings, origins, now_us)
    positions: dict[str, Position] = {}
    yield from _history(settings, positions)
    yield from _receivers(settings)
    stages = any(
        name.startswith("fleet.") and origin != "default" for name, origin in origins.items()
    )
    results = list(_topics(settings, positions, now_us, stages=stages))
    yield from results
    away = all(result.subject == "kafka" for result in results)
    if stages or not away:
        yield from _fleet_topics(settings, positions, demanded=stages)


def _patterns(settings: Settings) -> Iterator[CheckResult]:
    try:
        catalogue = build.catalogue_of(settings, prove=True)
    except UserError as error:
        for line in str(error).splitlines():
            yield CheckResult(
                "fault", "patterns", line, "mend the file; `oopswatch patterns check`"
            )
        return
    text = (
        f"{several(len(catalogue.signatures), 'signature')}, "
        f"{several(len(catalogue.rules), 'rule')}"
    )
    yield CheckResult("ok", "patterns", text)


def _index(settings: Settings, origins: Origins, now_us: int) -> Iterator[CheckResult]:
    faults: list[str] = []
    file = index_file(settings, faults.append)
    index, used = file.current(), file.used()
    place = f"{origins['known.index']}: " if settings.known.index is not None else ""
    for fault in faults:
        yield CheckResult(
            "fault", "known bugs", f"{place}{fault}", "`oopswatch known update --from PATH`"
        )
    if used is None:
        yield CheckResult(
            "note",
            "known bugs",
            "no index: crashes are not compared with known bugs",
            "`oopswatch known update --from PATH`",
        )
        return
    age_us = now_us - used.stat().st_mtime_ns // 1_000
    text = f"{several(len(index.bugs), 'bug')} with a trace, {age_us // DAY_US} days old: {used}"
    if age_us > _OLD_INDEX_US:
        advice = "newer fixes are not in it: `oopswatch known update --from PATH`"
        yield CheckResult("note", "known bugs", text, advice)
    else:
        yield CheckResult("ok", "known bugs", text)


def _history(settings: Settings, positions: dict[str, Position]) -> Iterator[CheckResult]:
    path = settings.store.path
    if not path.exists():
        yield CheckResult("note", "history", f"{path} is not there yet: `run` makes it")
        return
    try:
        with closing(open_history(path)):
            positions.update(read_positions(path))
    except UserError as error:
        yield CheckResult("fault", "history", str(error), "docs/positions.md says what can be done")
        return
    yield CheckResult("ok", "history", f"{path} can be read, {several(len(positions), 'position')}")


def _receivers(settings: Settings) -> Iterator[CheckResult]:
    try:
        routing = routing_of(settings)
    except UserError as error:
        for line in str(error).splitlines():
            yield CheckResult("fault", "receivers", line, "mend the file; `oopswatch notify check`")
        return
    if not routing.receivers:
        yield CheckResult(
            "note",
            "receivers",
            "none: nobody is notified of incidents",
            "write a routing file and set alert.file (docs/alerts.md)",
        )
        return
    yield CheckResult(
        "ok",
        "receivers",
        f"{several(len(routing.receivers), 'receiver')}, {several(len(routing.routes), 'route')}; "
        "`oopswatch notify --test` sends each a message",
    )


def _topics(
    settings: Settings, positions: Mapping[str, Position], now_us: int, *, stages: bool
) -> Iterator[CheckResult]:
    """Judges the topics of logs."""
    for topic in settings.kafka.topics:
        surveyed = _surveyed(settings, topic, "kafka.topics")
        if isinstance(surveyed, CheckResult):
            yield surveyed
        else:
            own = _positions_in(surveyed, positions)
            later = settings.fleet.assemble_in_archive
            yield from judge_topic(surveyed, own, now_us, stages=stages, assembled_later=later)


def _fleet_topics(
    settings: Settings, positions: Mapping[str, Position], *, demanded: bool
) -> Iterator[CheckResult]:
    """Judges the topics of `detect` and `archive`: where a setting of [fleet] is made
    (`demanded`), or where any of the topics that are named without one is there.
    """
    fleet = settings.fleet
    names = ("findings_topic", "noise_topic", "incidents_topic", "acts_topic")
    surveyed = {
        name: _surveyed(settings, topic, f"fleet.{name}")
        for name in names
        if (topic := getattr(fleet, name)) is not None
    }
    if not demanded and all(isinstance(item, CheckResult) for item in surveyed.values()):
        return
    for name, item in surveyed.items():
        if isinstance(item, CheckResult):
            yield item
        elif name in {"incidents_topic", "acts_topic"}:
            yield from judge_compacted(item, "incidents" if name == "incidents_topic" else "acts")
        else:
            yield from judge_findings(item, _positions_in(item, positions))


def _surveyed(settings: Settings, topic: str, setting: str) -> TopicSurvey | CheckResult:
    try:
        return survey(settings.kafka, topic, setting)
    except UserError as error:
        servers = ", ".join(settings.kafka.bootstrap_servers)
        advice = f"mend {setting} or [kafka] in the settings, or the brokers at {servers}"
        return CheckResult("fault", "kafka", str(error), advice)


def _positions_in(
    surveyed: TopicSurvey, positions: Mapping[str, Position]
) -> dict[int, Position | None]:
    return {number: positions.get(f"{surveyed.topic}/{number}") for number in surveyed.logs}
