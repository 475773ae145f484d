"""Settings of how records are read and judged: format, host, boots, reports, trust, rules."""

from __future__ import annotations

from typing import Literal
from zoneinfo import ZoneInfo

from detector.settings.group import Aliases, Group, Listed, PathPatterns, setting
from detector.trust_policy import KERNEL_FILES, TrustPolicy

# The formats of `detector/parse`, which settings do not import: a test holds them together.
Format = Literal[
    "auto",
    "dmesg",
    "kmsg",
    "netconsole",
    "syslog",
    "rfc5424",
    "pstore",
    "console",
    "text",
    "journald",
    "dmesg-json",
    "rsyslog",
    "fluent-bit",
    "beats",
    "vector",
    "otel",
    "json",
]


class Parse(Group):
    """The reading of records: their format, host and time zone."""

    format: Format = setting("auto", "transport format; auto tells each record by itself")
    host: str | None = setting(
        None, "host of every record, whatever the record says: for one host's logs only"
    )
    timezone: ZoneInfo = setting(
        ZoneInfo("UTC"), "zone of stamps that carry none, as Europe/Berlin"
    )


class BootSettings(Group):
    """The bound that tells the boots of a host apart."""

    tolerance_s: int = setting(
        43_200,
        (
            "lines at one uptime whose wall clocks tell starts further apart are of two boots even "
            "where no boot banner lies between; wall clocks may step by less"
        ),
        unit="s",
        ge=1,
        le=604_800,
    )


class Matching(Group):
    """The time that a pattern may take."""

    timeout_ms: int = setting(
        50, "longest time for one regex on one line", unit="ms", ge=1, le=10_000
    )
    strikes: int = setting(3, "timeouts after which a signature is switched off", ge=1)


class Assemble(Group):
    """The bounds of a crash report that is still being printed."""

    deadline_s: int = setting(
        5,
        "a report that got no line for so long is cut and marked incomplete",
        unit="s",
        ge=1,
        le=3_600,
    )
    max_age_s: int = setting(
        60,
        "a report that is open for so long is cut, whatever still comes",
        unit="s",
        ge=1,
        le=3_600,
    )
    max_lines: int = setting(1_000, "most lines of one report", unit="lines", ge=10)
    max_characters: int = setting(
        65_536, "most characters of one report", unit="characters", ge=1_024
    )
    max_open_per_host: int = setting(8, "most reports open at once on one host", ge=1)
    max_open: int = setting(10_000, "most reports open at once in all", ge=1)


class HostSettings(Group):
    """The names of hosts, in one form: lower case, no dot at the end."""

    domains: Listed = setting(
        (), "domains that are cut off: with example.com, web-12.example.com is web-12"
    )
    aliases: Aliases = setting(
        {},
        'other names of hosts, a table: { "10.0.0.12" = "web-12" }; in one word 10.0.0.12=web-12',
    )
    unnamed: Listed = setting(
        ("localhost", "localhost.localdomain", "(none)"),
        (
            "names of a machine that has not got its own yet: under one boot id its lines are "
            "those of the host that it becomes"
        ),
    )
    paths: PathPatterns = setting(
        ("/var/crash/{host}/",),
        (
            "where the path of a file names the host of its lines, which name none: {host} is a "
            "name that begins with a letter, * anything within one folder's name"
        ),
    )


class TrustSettings(Group):
    """The owner of a line where the line itself cannot prove it: docs/trust.md."""

    kernel_files: Listed = setting(
        KERNEL_FILES,
        "files of which a shipper's lines may be the kernel's: patterns with * (log.file.path …)",
    )
    other_files: Literal["user", "unknown"] = setting(
        "user", "whose a line is that a shipper read from any other file"
    )
    kernel_tags: Listed = setting(
        (), "syslog tags that are the kernel's as `kernel` is, as vmcore-dmesg of rsyslog's imfile"
    )
    unproven: Literal["unknown", "user"] = setting(
        "unknown",
        "whose a line is that says nothing of its writer: unknown lines are matched, user's never",
    )

    def policy(self) -> TrustPolicy:
        """Returns what the parser trusts."""
        return TrustPolicy(
            files=self.kernel_files,
            other_files=self.other_files,
            tags=frozenset(self.kernel_tags),
            unproven=self.unproven,
        )


class RuleSettings(Group):
    """Shipped rules that are off until a site switches them on.

    `oopswatch rules test` says beforehand what a rule would have raised.
    """

    lone_faults: bool = setting(
        False,
        (
            "a kernel panic, oops or use-after-free alone is an incident; where a pair rests on "
            "the "
            "same fault, it is part of the pair's"
        ),
    )

    outbreaks: bool = setting(
        False,
        "one crash (fingerprint) on five hosts within 24 hours is one incident of all of them",
    )
    noise_bursts: bool = setting(
        False,
        (
            "a program that crashes in user space on 20 hosts within an hour, or on five times as "
            "many hosts a day as usual, is an incident, once"
        ),
    )
    kernel_errors: bool = setting(
        False,
        (
            "a kernel error that no signature claims, new or suddenly frequent, on 20 hosts within "
            "24 hours is an incident, once"
        ),
    )

    def switched_on(self) -> frozenset[str]:
        """The names of the settings that are on, as rules name them."""
        return frozenset(f"rules.{name}" for name, on in self if on)


class KernelErrorSettings(Group):
    """Kernel errors that no signature claims, where the transport says the priority.
    `rules.kernel_errors` sends a message of new ones on many hosts.
    """

    count: bool = setting(
        True, "they are counted by template, host and day; `oopswatch kernel-errors` lists them"
    )
    learning_days: int = setting(
        7,
        (
            "what a fleet, or a new kernel release, prints in its first days is taken for "
            "ordinary, and is not listed as new"
        ),
        unit="days",
        ge=0,
        le=90,
    )
