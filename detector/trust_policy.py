"""Policy of a site for lines that cannot prove that the kernel wrote them.

In: patterns of files and tags that a site named. Out: the trust of a line that a shipper read from
a file. No settings are read here: whoever makes a parser hands the policy over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fnmatch import translate
from functools import lru_cache
from typing import Literal

from detector.model import Trust

KERNEL_FILES = (
    "/dev/*",
    "/proc/kmsg",
    "/sys/fs/pstore/*",
    "/var/lib/systemd/pstore/*",
    "/var/crash/*",
    "/var/spool/abrt/*",
    "/var/log/messages*",
    "/var/log/syslog*",
    "/var/log/boot*",
    "/var/log/remote/*",
    "/var/log/rsyslog/*",
    "/var/log/syslog-ng/*",
    "/var/log/hosts/*",
    "*kern*",
    "*dmesg*",
    "*vmcore*",
    "*pstore*",
    "*netconsole*",
    "*console*",
    "*conserver*",
    "*serial*",
    "*ttyS*",
)
"""Files whose lines are the kernel's log, or that of a syslog daemon, which tells the kernel by its
tag."""
CONTAINER_FILES = (
    "/var/log/containers/*",
    "/var/log/pods/*",
    "/var/lib/docker/containers/*",
    "/var/lib/rancher/*",
)
"""Files of a container's output: a process's, whatever their names hold."""


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """Policy of a site for lines that cannot prove that the kernel wrote them.

    `files` are patterns of the files that a shipper may read kernel lines from, `other_files` the
    trust of a line from any other. `tags` are syslog tags that are the kernel's as `kernel` is.
    `unproven` is the trust of a line that says nothing of its writer.
    """

    files: tuple[str, ...] = KERNEL_FILES
    other_files: Literal["user", "unknown"] = "user"
    tags: frozenset[str] = frozenset()
    unproven: Literal["user", "unknown"] = "unknown"
    _known: dict[str, bool] = field(default_factory=dict, compare=False, repr=False)

    def of_file(self, path: str) -> Trust:
        """The trust of a line without a header of its own that a shipper read from a file."""
        known = self._known.get(path)
        if known is None:
            known = not _matches(CONTAINER_FILES, path) and _matches(self.files, path)
            if len(self._known) < _FILES_BOUND:
                self._known[path] = known
        return "unknown" if known else self.other_files


_FILES_BOUND = 10_000


@lru_cache(maxsize=64)
def _expressions(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, patterns)) or r"(?!)")


def _matches(patterns: tuple[str, ...], path: str) -> bool:
    """Returns whether a path is among the patterns; of a name without a folder the last parts
    are compared.
    """
    if "/" not in path:
        patterns = tuple(
            last for pattern in patterns if (last := pattern.rpartition("/")[2]) != "*"
        )
    return bool(_expressions(patterns).match(path[:4096]))
