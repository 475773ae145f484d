"""Reads rules of Sigma as tables of signatures and rules, in TOML that the catalogue takes.

In: rules as pySigma has parsed them. Out: TOML, with what was lost as comments. A detection rule
becomes a signature, a correlation rule a rule over the classes of those. Raises
`NotASignatureError` with the reason where a rule asks for what no line of a kernel log has.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.correlations import (
    SigmaCorrelationCondition,
    SigmaCorrelationConditionOperator,
    SigmaCorrelationRule,
)
from sigma.rule import SigmaRule
from sigma.types import SigmaString, SpecialChars

from detector.catalogue.tables import MOST_EVENTS
from detector.model import Severity
from detector.toml_tables import toml_string

# Fields that hold the text of a line, by the names that shippers give it.
_MESSAGE = frozenset({"message", "msg", "log", "body", "text", "event.original", "raw"})
_HOST = frozenset({"host", "hostname", "host.name", "_hostname", "computer", "host.hostname"})
_SEVERITIES: Mapping[str, Severity] = {
    "critical": "critical",
    "high": "error",
    "medium": "warning",
    "low": "info",
    "informational": "info",
}
# Characters that some JSON writer escapes, and those beyond ASCII: none may stand in a literal.
_UNSAFE = re.compile(r"[^ -~]|[\"'`\\/<>&=+]")
_SHORTEST = 4
_MOST_WAYS = 64
_LONGEST_S = 999_999  # what a rule's timespan can say
_RULE_TYPES = frozenset({"temporal", "temporal_ordered", "event_count"})


class NotASignatureError(ValueError):
    """A rule of Sigma that says what no signature or rule can; says why."""


@dataclass(frozen=True, slots=True)
class ConditionText:
    """A text of a condition: where it must stand, and whether it must be absent."""

    value: SigmaString
    whole: bool
    absent: bool = False


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way to satisfy a condition: what to search for, a regex, a line that satisfies it."""

    literal: str
    pattern: str
    example: str


def signature_of(rule: SigmaRule) -> str:
    """The table of a detection rule. Raises NotASignatureError."""
    conditions = rule.detection.parsed_condition
    ways = [way for each in conditions for way in _ways(each.parse(), absent=False)]
    branches = dict.fromkeys(map(_way, ways))
    level = rule.level.name.lower() if rule.level else "medium"
    slug, title = class_of(rule), _title(rule)
    patterns = [way.pattern for way in branches]
    pattern = patterns[0] if len(patterns) == 1 else f"(?:{'|'.join(patterns)})"
    return "\n".join(
        (
            "# From a rule of Sigma: letters of both cases were the same there, here they are not.",
            "[[signature]]",
            f"id       = {toml_string(id_of(rule))}",
            f"class    = {toml_string(slug)}",
            'origin   = "kernel"',
            f"severity = {toml_string(_SEVERITIES[level])}",
            f"title    = {toml_string(title)}",
            f"literal  = {_listed(way.literal for way in branches)}",
            f"regex    = {toml_string(f'^{pattern}')}",
            f"source   = {toml_string(f'Sigma rule {rule.id or title}')}",
            f"meaning  = {toml_string(' '.join((rule.description or title).split()))}",
            f"match    = {_listed(way.example for way in branches)}",
            f"reject   = {_listed(_unlike(way.example, branches) for way in branches)}",
            "",
        )
    )


def rule_of(rule: SigmaCorrelationRule, classes: Mapping[str, str]) -> str:
    """The table of a correlation rule. Raises NotASignatureError.
    `classes` maps the names and ids of detection rules to the class that their signatures have.
    """
    title, kind = _title(rule), rule.type.name.lower()
    if kind not in _RULE_TYPES:
        raise NotASignatureError(f"no rule here is of the type {kind}")
    names = []
    for reference in rule.rules or ():
        if reference.reference not in classes:
            raise NotASignatureError(f"{reference.reference} is no rule that was read")
        names.append(classes[reference.reference])
    if kind != "event_count" and len(set(names)) < 2:
        raise NotASignatureError("a rule needs two different rules or more")
    if not rule.group_by:
        raise NotASignatureError("rules here group by host, and it groups by nothing")
    fields = [name for name in rule.group_by if name.lower() not in _HOST]
    if fields:
        raise NotASignatureError(f"rules here group by host, not by {', '.join(fields)}")
    seconds = rule.timespan.seconds
    if seconds > _LONGEST_S:
        raise NotASignatureError(f"its timespan is longer than {_LONGEST_S:,} s")
    return _rule_table(rule, title, names, _count_of(rule.condition, kind, len(names)))


def _count_of(condition: Any, kind: str, rules: int) -> int:
    """How many events raise the rule. Raises NotASignatureError where the condition is another."""
    if not isinstance(condition, SigmaCorrelationCondition):
        raise NotASignatureError("an extended condition is not read")
    count = condition.count
    if condition.op is SigmaCorrelationConditionOperator.GT:
        count += 1
    elif condition.op is not SigmaCorrelationConditionOperator.GTE:
        raise NotASignatureError(f"rules here count gte or gt, not {condition.op.name.lower()}")
    if kind != "event_count" and count != rules:
        raise NotASignatureError(f"rules here need all {rules} of its rules, not {count}")
    if not 1 <= count <= MOST_EVENTS:
        raise NotASignatureError(f"it counts {count} events: 1 to {MOST_EVENTS} are read")
    return count


def class_of(rule: SigmaRule) -> str:
    """The class that the signatures of a detection rule have."""
    return _slug(rule.name or _title(rule))


def id_of(rule: SigmaRule | SigmaCorrelationRule) -> str:
    """The id that a rule gets here: of a detection that of its signature."""
    slug = _slug(rule.name or _title(rule))
    return slug if isinstance(rule, SigmaCorrelationRule) else f"kernel.{slug}"


def _ways(node: Any, *, absent: bool) -> list[list[ConditionText]]:
    """Every way to satisfy a condition, each a list of texts; negations are moved inwards."""
    if isinstance(node, ConditionNOT):
        return _ways(node.args[0], absent=not absent)
    if isinstance(node, ConditionAND | ConditionOR):
        parts = [_ways(each, absent=absent) for each in node.args]
        if isinstance(node, ConditionOR) != absent:
            ways = [way for part in parts for way in part]
        else:
            ways = [list(itertools.chain(*choice)) for choice in itertools.product(*parts)]
        if len(ways) > _MOST_WAYS:
            raise NotASignatureError(f"more than {_MOST_WAYS} ways to satisfy the condition")
        return ways
    return [[_text_of(node, absent=absent)]]


def _text_of(node: Any, *, absent: bool) -> ConditionText:
    field = None
    if isinstance(node, ConditionFieldEqualsValueExpression):
        field = node.field
        if field.lower() not in _MESSAGE:
            raise NotASignatureError(f"the field {field} is none of a kernel log's line")
    elif not isinstance(node, ConditionValueExpression):
        raise NotASignatureError(f"a condition of the kind {type(node).__name__} is not read")
    if not isinstance(node.value, SigmaString):
        kind = re.sub("^Sigma", "", type(node.value).__name__)
        kind = re.sub("(?<=[a-z])(?=[A-Z])", " ", kind).lower()
        raise NotASignatureError(f"{kind}: only texts and wildcards are read")
    if not node.value.s:
        raise NotASignatureError("an empty text is in every line")
    return ConditionText(node.value, field is not None, absent)


def _way(texts: Sequence[ConditionText]) -> Alternative:
    """One way to satisfy a condition as a part of a signature."""
    present = [text for text in texts if not text.absent]
    # What must begin the line comes first, so that the example of all of them is one.
    present.sort(key=lambda text: not text.whole or _is_wild(text.value.s[0]))
    literal = max((run for text in present for run in _runs(text)), key=len, default="")
    if not re.search("[A-Za-z]", literal):
        raise NotASignatureError(f"a way to satisfy it has no fixed text of {_SHORTEST} characters")
    pattern = "".join(map(_lookahead, texts))
    example = " ".join(map(_example, present))
    if example.isupper():  # a line all in capitals is never matched
        example += " x"
    if not re.match(pattern, example) or literal not in example:
        raise NotASignatureError("no line that satisfies it could be made")
    return Alternative(literal, pattern, example)


def _runs(text: ConditionText) -> Iterator[str]:
    """The fixed parts of a text that every shipper writes as they are."""
    for part in text.value.s:
        for run in _UNSAFE.split(part) if isinstance(part, str) else ():
            bare = run.strip()
            literal = bare if len(bare) >= _SHORTEST else run
            if len(literal) >= _SHORTEST:
                yield literal


def _lookahead(text: ConditionText) -> str:
    parts = list(text.value.s)
    starts = text.whole and not _is_wild(parts[0])
    ends = text.whole and not _is_wild(parts[-1])
    inner = "".join(_part(part) for part in _trimmed(parts))
    before, after = "" if starts else ".{0,4000}?", "$" if ends else ""
    return f"(?{'!' if text.absent else '='}{before}{inner}{after})"


def _trimmed(parts: list[Any]) -> list[Any]:
    """The parts without the asterisks around them, which lookaheads need not match."""
    first = 1 if _is_wild(parts[0]) else 0
    return parts[first:-1] if len(parts) > first + 1 and _is_wild(parts[-1]) else parts[first:]


def _part(part: Any) -> str:
    if isinstance(part, str):
        return re.escape(part).replace(r"\ ", " ")
    return ".{0,200}?" if _is_wild(part) else "."


def _is_wild(part: Any) -> bool:
    return part is SpecialChars.WILDCARD_MULTI


def _example(text: ConditionText) -> str:
    return "".join(part if isinstance(part, str) else "x" for part in _trimmed(list(text.value.s)))


def _unlike(sample: str, ways: Iterable[Alternative]) -> str:
    """A line that looks alike and is not meant: a letter of each literal in it differs."""
    for literal in (way.literal for way in ways):
        place = re.search("[A-Za-z]", literal)
        assert place is not None
        other = "q" if place[0] not in "qQ" else "x"
        sample = sample.replace(
            literal, literal[: place.start()] + other + literal[place.start() + 1 :]
        )
    return sample


def _rule_table(rule: SigmaCorrelationRule, title: str, names: Sequence[str], count: int) -> str:
    kind, seconds = rule.type.name.lower(), rule.timespan.seconds
    level = rule.level.name.lower() if rule.level else "high"
    events = list(names) if kind != "event_count" else [names[0]] * count
    lines = [
        "# From a correlation of Sigma: times are the kernel's here, and a boot parts them.",
        "[[rule]]",
        f"id        = {toml_string(id_of(rule))}",
        f"title     = {toml_string(title)}",
        f"type      = {toml_string(kind)}",
        f"classes   = {_listed(names)}",
        'group-by  = ["host"]',
        f"timespan  = {toml_string(f'{seconds}s')}",
        f"severity  = {toml_string(_SEVERITIES[level])}",
        f"reasoning = {toml_string(' '.join((rule.description or title).split()))}",
    ]
    if kind == "event_count":
        lines.append(f"condition = {{ gte = {count} }}")
    within = [[name, "h1", 100 + number / 10] for number, name in enumerate(events)]
    lines += _test("all within the timespan", within, 1)
    if len(events) > 1:
        apart = [*within[:-1], [events[-1], "h1", 101 + len(events) + seconds]]
        lines += _test("the last too late", apart, 0)
    return "\n".join([*lines, ""])


def _test(name: str, given: Sequence[object], expect: int) -> list[str]:
    return [
        "",
        "[[rule.test]]",
        f"name   = {toml_string(name)}",
        f"given  = {json.dumps(given)}",
        f"expect = {expect}",
    ]


def _title(rule: SigmaRule | SigmaCorrelationRule) -> str:
    return " ".join(str(rule.title or rule.name or rule.id).split())


def _slug(text: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower().removeprefix("oopswatch_")).strip("-")
    return slug.removeprefix("class-")[:60].strip("-") or "sigma"


def _listed(values: Iterable[str]) -> str:
    return f"[{', '.join(map(toml_string, dict.fromkeys(values)))}]"
