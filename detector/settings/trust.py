"""The settings of trust: whose a line is that cannot prove it by itself."""

from __future__ import annotations

from typing import Literal

from detector.settings.group import Group, Listed, setting
from detector.trust_policy import KERNEL_FILES, TrustPolicy


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
