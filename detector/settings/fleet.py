"""The settings of `[fleet]`: the two stages `detect` and `archive`."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from detector.settings.group import Group, Topic, setting


class FleetSettings(Group):
    """The two stages, `oopswatch detect` and `oopswatch archive`: docs/fleet.md.

    `run` does without them.
    """

    findings_topic: Topic = setting(
        "oopswatch.findings", "topic of matches, reports and rejected records, keyed by host"
    )
    noise_topic: Topic = setting(
        "oopswatch.noise", "topic of counts: noise keyed by host, and what else is summed"
    )
    incidents_topic: Topic | None = setting(
        None,
        (
            "topic that `archive` writes every state of an incident to, keyed by its id; "
            "best compacted"
        ),
    )
    acts_topic: Topic | None = setting(
        None,
        (
            "compacted topic that `archive` writes acts of people to (acknowledgements, closings, "
            "notes, advice, silences) and reads them from, so that a lost history gets them back"
        ),
    )
    member: str | None = setting(
        None,
        (
            "name of this `detect` in its group, the same after a restart; without it the "
            "machine's: two on one machine need names"
        ),
        pattern=r"^[A-Za-z0-9._-]{1,100}$",
    )
    assemble_in_archive: bool = setting(
        False,
        (
            "`detect` sends the lines of reports, and `archive` assembles them: where a host's "
            "lines lie in several partitions (no keys, or shippers with different partitioners)"
        ),
    )
    transaction_s: int = setting(
        5,
        "a transaction of a `detect` that died, or lost its broker, is given up after so long",
        unit="s",
        ge=1,
        le=10,
    )
    counts_s: int = setting(
        60,
        "noise and counters are summed for so long before they are sent; after a kill, so much is "
        "read again",
        unit="s",
        ge=0,
        le=600,
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        optional = [topic for topic in (self.incidents_topic, self.acts_topic) if topic]
        topics = [self.findings_topic, self.noise_topic, *optional]
        if len(set(topics)) < len(topics):
            raise ValueError(
                "findings_topic, noise_topic, incidents_topic and acts_topic must be different "
                "topics"
            )
        return self
