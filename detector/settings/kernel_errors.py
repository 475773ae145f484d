"""The settings of kernel errors that no signature claims."""

from __future__ import annotations

from detector.settings.group import Group, setting


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
