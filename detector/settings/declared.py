"""Every setting, declared once: its name, type, default, unit, bounds and meaning.

Nothing is read here; `loading` makes the values out of file, environment and command line, `page`
the documentation.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self

from pydantic import DirectoryPath, Field, FilePath, model_validator
from pydantic.fields import FieldInfo

from detector.settings.fleet import FleetSettings
from detector.settings.group import Folders, Group, Listed, Networks, NewPath
from detector.settings.group import setting as _setting
from detector.settings.kafka import Kafka
from detector.settings.netconsole import NetconsoleSettings
from detector.settings.records import (
    Assemble,
    BootSettings,
    HostSettings,
    KernelErrorSettings,
    Matching,
    Parse,
    RuleSettings,
    TrustSettings,
)

# Where `serve` answers when `serve.port` is 0.
DEFAULT_PORT = 8470


class Store(Group):
    """The file of the history."""

    path: NewPath = _setting(
        Path("oopswatch.db"),
        "SQLite file, made when it is not there; on a local disk, never on a shared one",
    )


class Patterns(Group):
    """Patterns beside the shipped ones."""

    directories: Folders = _setting(
        (), "folders whose TOML files are added; one that is named like a shipped file replaces it"
    )


class Known(Group):
    """The index of known kernel bugs."""

    index: NewPath | None = _setting(
        None,
        (
            "file that `oopswatch known update` writes; without it known-bugs.zst beside the "
            "history, and while that is not there the one that came with oopswatch"
        ),
    )


class SymbolsSettings(Group):
    """Symbols packs: code, symbols and types of kernels, which name the member behind a fault."""

    directory: NewPath | None = _setting(
        None,
        (
            "folder of the packs that `oopswatch symbols add` writes; without it the folder "
            "`symbols` beside the history"
        ),
    )


class Alert(Group):
    """Notifications of incidents: the file of routes, and the times of messages.

    Receivers and routes are in a file of their own: docs/alerts.md.
    """

    file: NewPath | None = _setting(
        None, "routing file (TOML); without it nobody is told. Read again on SIGHUP"
    )
    templates: DirectoryPath | None = _setting(
        None, "folder of message templates, checked by `oopswatch patterns check`"
    )
    base_url: str = _setting(
        "",
        (
            "address of the pages as people reach it, for links in messages: "
            "https://oopswatch.example.com"
        ),
    )
    settle_ms: int = _setting(
        1_600,
        "longest wait for the end of a crash report before the first message",
        unit="ms",
        ge=0,
        le=60_000,
    )
    group_window_s: int = _setting(
        3_600,
        "incidents of one problem come to one group while the last one is so old",
        unit="s",
        ge=0,
    )
    group_interval_s: int = _setting(
        150,
        (
            "least time between two updates about a group; an hour at least where rules.outbreaks "
            "is on, which tells of further hosts"
        ),
        unit="s",
        ge=1,
    )
    give_up_s: int = _setting(
        86_400, "a message that nobody took for so long is given up, and counted", unit="s", ge=60
    )
    quiet_s: int = _setting(
        86_400, "an incident with nothing new for so long is resolved; 0: never", unit="s", ge=0
    )
    heartbeat_s: int = _setting(
        60, "so often receivers with heartbeat = true hear that oopswatch lives", unit="s", ge=1
    )
    silent_s: int = _setting(
        900, "an input without a record for so long is an incident; 0: never", unit="s", ge=0
    )
    lag_records: int = _setting(
        0,
        "more records than this that wait, for lag_s and not shrinking, are an incident; 0: never",
        ge=0,
    )
    lag_s: int = _setting(300, "see lag_records", unit="s", ge=1)


class Keep(Group):
    """Retention: the time that each kind of row is kept.

    What an incident rests on stays as long as the incident; problems keep their sums for ever.
    """

    incidents_days: int = _setting(
        1_826,
        "incidents, with their changes and what was said of them",
        unit="days; 0: for ever",
        ge=0,
        le=36_500,
    )
    matches_days: int = _setting(
        1_826, "matches that no incident rests on", unit="days; 0: for ever", ge=0, le=36_500
    )
    reports_days: int = _setting(
        731,
        "reports of faults that no incident rests on",
        unit="days; 0: for ever",
        ge=0,
        le=36_500,
    )
    changes_days: int = _setting(
        1_826,
        "changes of incidents, and the log of messages",
        unit="days; 0: for ever",
        ge=0,
        le=36_500,
    )
    noise_days: int = _setting(
        1_826,
        "counts of noise, of matches by signature and of kernel errors",
        unit="days; 0: for ever",
        ge=0,
        le=36_500,
    )
    noise_hours_days: int = _setting(
        92,
        (
            "those counts by the hour, and on which hosts a crash or a kernel error was seen on a "
            "day; later by the day"
        ),
        unit="days; 0: for ever",
        ge=0,
        le=36_500,
    )
    every_s: int = _setting(
        3_600, "how often `run` looks for what is too old; 0 never", unit="s", ge=0, le=604_800
    )


class LogSettings(Group):
    """The log of `run` and `serve` themselves, on standard error.

    It has one form from the first line to the last, also for what is wrong with settings (then
    `auto` unless `format` could be read as json). Usage errors, which come before any setting, and
    other commands' errors are plain lines.
    """

    level: Literal["debug", "info", "warning", "error"] = _setting(
        "info", "least level that is said"
    )
    format: Literal["auto", "console", "json"] = _setting(
        "auto", "auto is console on a terminal and json elsewhere"
    )


class Metrics(Group):
    """The address at which the figures of docs/metrics.md can be read."""

    address: str = _setting("127.0.0.1", "address to serve them at")
    port: int = _setting(0, "port to serve them at; 0 serves none", ge=0, le=65_535)


class Serve(Group):
    """Pages and API over HTTP. On a loopback address everyone on this machine may read and act;
    elsewhere access must be settled.
    """

    address: str = _setting(
        "127.0.0.1", "address to serve at; any but loopback needs tokens_file or trusted_proxies"
    )
    port: int = _setting(
        0, "port to serve at; 0: `run` serves nothing, and `serve` takes 8470", ge=0, le=65_535
    )
    hosts: Listed = _setting(
        (),
        (
            "names that clients may call this server by; without them loopback's on loopback, "
            "elsewhere any"
        ),
    )
    tokens_file: FilePath | None = _setting(
        None, "TOML file of bearer tokens with their roles; not readable by everyone"
    )
    trusted_proxies: Networks = _setting(
        (), "addresses or networks of proxies whose user_header is believed"
    )
    user_header: str = _setting(
        "X-Forwarded-User",
        "header in which a trusted proxy names the visitor",
        pattern=r"^[A-Za-z0-9-]+$",
        allowed="the name of a header: letters, digits and hyphens",
    )
    roles_header: str = _setting(
        "X-Forwarded-Roles",
        "header in which it names roles: read, act, sql",
        pattern=r"^[A-Za-z0-9-]+$",
        allowed="the name of a header: letters, digits and hyphens",
    )
    tls_certfile: FilePath | None = _setting(
        None, "own certificate with its chain, PEM; with it everything is https"
    )
    tls_keyfile: FilePath | None = _setting(None, "key of the own certificate, PEM")
    session_hours: int = _setting(
        12, "a log-in of a browser lasts so long", unit="h", ge=1, le=24 * 30
    )
    requests_per_second: int = _setting(50, "requests of one visitor, over time", unit="1/s", ge=1)
    request_burst: int = _setting(200, "requests of one visitor at once", ge=1)
    max_body_kib: int = _setting(1_024, "largest body of a request", unit="KiB", ge=1, le=65_536)
    max_connections: int = _setting(
        500,
        "most connections at once; beyond it one that has sent no request yet makes room",
        ge=10,
        le=60_000,
    )
    max_listeners: int = _setting(200, "most listeners of /api/v1/events at once", ge=1)
    sql_seconds: float = _setting(
        5.0, "longest time of one query of /api/v1/sql", unit="s", gt=0, le=600
    )
    sql_rows: int = _setting(10_000, "most rows of its answer", ge=1)
    sql_kib: int = _setting(8_192, "largest answer of it", unit="KiB", ge=1)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.tls_keyfile and not self.tls_certfile:
            raise ValueError("tls_keyfile is set without tls_certfile")
        return self


class Settings(Group):
    """All settings of one process."""

    kafka: Kafka = Field(default_factory=Kafka)
    netconsole: NetconsoleSettings = Field(default_factory=NetconsoleSettings)
    store: Store = Field(default_factory=Store)
    patterns: Patterns = Field(default_factory=Patterns)
    known: Known = Field(default_factory=Known)
    symbols: SymbolsSettings = Field(default_factory=SymbolsSettings)
    parse: Parse = Field(default_factory=Parse)
    trust: TrustSettings = Field(default_factory=TrustSettings)
    hosts: HostSettings = Field(default_factory=HostSettings)
    boots: BootSettings = Field(default_factory=BootSettings)
    match: Matching = Field(default_factory=Matching)
    assemble: Assemble = Field(default_factory=Assemble)
    rules: RuleSettings = Field(default_factory=RuleSettings)
    kernel_errors: KernelErrorSettings = Field(default_factory=KernelErrorSettings)
    alert: Alert = Field(default_factory=Alert)
    keep: Keep = Field(default_factory=Keep)
    log: LogSettings = Field(default_factory=LogSettings)
    metrics: Metrics = Field(default_factory=Metrics)
    serve: Serve = Field(default_factory=Serve)
    fleet: FleetSettings = Field(default_factory=FleetSettings)

    @property
    def symbols_directory(self) -> Path:
        """The folder of symbols packs: the one that is set, else `symbols` beside the history."""
        return self.symbols.directory or self.store.path.parent / "symbols"


def declared() -> Iterator[tuple[str, str, FieldInfo]]:
    """Every setting: its group, its name, its declaration."""
    for group, field in Settings.model_fields.items():
        table = field.annotation
        assert isinstance(table, type)
        assert issubclass(table, Group)
        for name, declaration in table.model_fields.items():
            yield group, name, declaration


NAMES = frozenset(f"{group}.{name}" for group, name, _ in declared())


def shipped_patterns_dir() -> Path:
    """The patterns that came with this package: inside it when it was installed, beside it in a
    checkout.
    """
    package = Path(__file__).parent.parent
    installed = package / "_patterns"
    return installed if installed.is_dir() else package.parent / "patterns"


def text(value: object) -> str:
    """A setting's value for people. Secrets are stars."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return ", ".join(f"{name}={part}" for name, part in value.items())
    return ", ".join(str(part) for part in value) if isinstance(value, tuple | list) else str(value)
