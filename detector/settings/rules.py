"""The settings that put shipped rules in force."""

from __future__ import annotations

from detector.settings.group import Group, setting


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
        "a program that crashes in user space on 20 hosts within an hour is an incident, once",
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
