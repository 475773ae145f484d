"""The tables of pattern files as pydantic models: the shapes that TOML may have.
Their meaning is checked later.

In: tables as tomllib reads them (floats as Decimal). Out: validated models; `reading` turns them
into frozen entries.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from detector.catalogue.entries import RuleSwitch, RuleType
from detector.catalogue.known_issues import KnownIssueTable, StructTable
from detector.lazy_regex import lazy_regex
from detector.model import Origin, Severity

_UNITS_US = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000}
_LONGEST_UPTIME_S = 10**10  # some three centuries
# Of a crowd the store shows the nearest matches of a signature: no count may need more of them.
MOST_EVENTS = 16
# Hours and hosts of a rule that counts hosts: so many are looked at again for every new host.
MOST_HOURS = 168
MOST_HOSTS = 1_000
_TIMESPAN = lazy_regex(r"([1-9][0-9]{0,5})([smh])")


def timespan_us(text: str) -> int:
    """Microseconds of "10s", "5m" or "1h"; raises ValueError on anything else."""
    matched = _TIMESPAN.fullmatch(text)
    if matched is None:
        raise ValueError(
            f'bad timespan "{text}": write a whole number and s, m or h, as in "10s", "5m", "1h"'
        )
    return int(matched[1]) * _UNITS_US[matched[2]]


def _timespan_checked(text: str) -> str:
    timespan_us(text)
    return text


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _as_given(value: Any) -> Any:
    """One [signature-or-class, host, seconds] of a rule's test; seconds whole or with decimals,
    never a float.
    """
    if isinstance(value, list) and len(value) == 3:
        name, host, seconds = value
        number = (isinstance(seconds, Decimal) and seconds.is_finite()) or (
            isinstance(seconds, int) and not isinstance(seconds, bool)
        )
        if (
            isinstance(name, str)
            and isinstance(host, str)
            and number
            and 0 <= seconds < _LONGEST_UPTIME_S
        ):
            return (name, host, int(seconds * 1_000_000))
    raise ValueError('write each as ["signature or class", "host", seconds]')


NonEmptyText = Annotated[str, Field(min_length=1)]
CatalogueId = Annotated[str, Field(pattern=r"^[a-z0-9]+([._-][a-z0-9]+)*$")]
OneOrMore = Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)]


class CatalogueTable(BaseModel):
    """The base of all tables: no key is silently ignored, no value silently converted."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=False)


class SignatureTable(CatalogueTable):
    """One `[[signature]]`."""

    id: CatalogueId
    cls: CatalogueId = Field(alias="class")
    origin: Origin
    severity: Severity
    title: NonEmptyText
    opens: Literal["report", "rest"] | None = None
    alone: CatalogueId | None = None
    alone_when: str | None = Field(default=None, alias="alone-when")
    marker: bool = False
    fallback: bool = False
    literal: OneOrMore
    regex: NonEmptyText
    source: NonEmptyText
    meaning: NonEmptyText
    runbook: str = ""
    match: list[str] = []
    reject: list[str] = []


class RuleTestTable(CatalogueTable):
    """One `[[rule.test]]`."""

    name: NonEmptyText
    given: list[Annotated[tuple[str, str, int], BeforeValidator(_as_given)]] = Field(min_length=1)
    expect: Annotated[int, Field(ge=0)]


class RuleConditionTable(CatalogueTable):
    """The `condition` of a counting rule: "greater than or equal", of which field's values."""

    gte: Annotated[int, Field(ge=1, le=MOST_HOSTS)]
    field: Literal["host"] | None = None
    times_usual: int | None = Field(default=None, alias="times-usual", ge=2, le=100)


class RuleTable(CatalogueTable):
    """One `[[rule]]`: it names classes or signatures, not both."""

    id: CatalogueId
    title: NonEmptyText
    type: RuleType
    classes: list[str] = []
    signatures: list[str] = []
    anchor: str | None = None
    group_by: list[Literal["host", "fingerprint", "process", "kernel-error"]] = Field(
        alias="group-by", min_length=1
    )
    timespan: Annotated[str, AfterValidator(_timespan_checked)]
    severity: Severity
    reasoning: NonEmptyText
    resolve_on_reboot: bool = Field(default=False, alias="resolve-on-reboot")
    condition: RuleConditionTable | None = None
    setting: RuleSwitch | None = None
    test: list[RuleTestTable] = []

    @model_validator(mode="after")
    def _counts(self) -> RuleTable:
        if self.type != "value_count":
            if self.group_by != ["host"]:
                raise ValueError(f'{self.type} is about one host: write group-by = ["host"]')
            if self.condition and (self.condition.field or self.condition.times_usual):
                raise ValueError(f"{self.type} counts matches: its condition has nothing but gte")
            return self
        if self.condition is None or self.condition.field is None or self.condition.gte < 2:
            raise ValueError('value_count needs condition = { field = "host", gte = 2 } or more')
        if self.group_by not in (["fingerprint"], ["process"], ["kernel-error"]):
            raise ValueError(
                'value_count needs group-by = ["fingerprint"], ["process"] or ["kernel-error"]'
            )
        if self.classes or self.signatures or self.anchor:
            raise ValueError("value_count names no classes, no signatures and no anchor")
        hours, rest = divmod(timespan_us(self.timespan), _UNITS_US["h"])
        if rest or hours > MOST_HOURS:
            raise ValueError(f"value_count counts by the hour: timespan is 1h to {MOST_HOURS}h")
        if self.condition.times_usual and (self.group_by, hours) != (["process"], 24):
            raise ValueError('times-usual needs group-by = ["process"] and timespan = "24h"')
        return self

    @model_validator(mode="after")
    def _names(self) -> RuleTable:
        if self.type == "value_count":
            return self
        if bool(self.classes) == bool(self.signatures):
            raise ValueError('write either "classes" or "signatures"')
        names = self.classes or self.signatures
        if self.type == "event_count":
            if self.condition is None:
                raise ValueError('event_count needs a condition, as in "condition = { gte = 3 }"')
            if self.condition.gte > MOST_EVENTS:
                raise ValueError(f"event_count takes gte = 1 to {MOST_EVENTS}")
            if self.anchor is not None:
                raise ValueError("event_count has no anchor: the earliest match is it")
            return self
        if self.condition is not None:
            raise ValueError(f"{self.type} has no condition: it asks for every name once")
        if len(set(names)) < 2:
            raise ValueError("a rule needs two different names or more")
        if self.anchor is not None and self.anchor not in names:
            raise ValueError(f'anchor "{self.anchor}" is none of the rule\'s own names')
        return self


class ListTable(CatalogueTable):
    """One `[[list]]`: names and regexes that cover whole names."""

    id: CatalogueId
    title: str = ""
    source: str = ""
    entries: list[str] = []
    regexes: list[str] = []

    @model_validator(mode="after")
    def _filled(self) -> ListTable:
        if not self.entries and not self.regexes:
            raise ValueError('a list needs "entries" or "regexes"')
        return self


TABLES: dict[str, type[BaseModel]] = {
    "signature": SignatureTable,
    "rule": RuleTable,
    "list": ListTable,
    "known-issue": KnownIssueTable,
    "struct": StructTable,
}
