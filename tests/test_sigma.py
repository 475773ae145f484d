"""Rules of Sigma, out and in: what is written is Sigma, what is read are patterns, and what each
backend finds of planted pairs is what the page says.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from sigma.backends.elasticsearch import ESQLBackend, LuceneBackend
from sigma.backends.loki import LogQLBackend
from sigma.backends.splunk import SplunkBackend
from sigma.backends.sqlite import sqliteBackend
from sigma.collection import SigmaCollection
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaFeatureNotSupportedByBackendError

from bench import sigma
from detector.catalogue import read
from detector.cli import oopswatch

PAGE = Path(__file__).parents[1] / "docs" / "sigma.md"
DETECTION = """
title: A pump stops
logsource: {product: linux, service: kernel}
detection:
%s
level: high
"""


def said(*arguments: str, code: int = 0) -> str:
    """What a command prints on standard output."""
    result = CliRunner().invoke(oopswatch, list(arguments))
    assert result.exit_code == code, result.output
    return result.stdout


@pytest.fixture(scope="module")
def whole() -> str:
    """Every rule that Sigma can express."""
    return said("patterns", "to-sigma")


def test_rules_are_read_by_sigmas_own_library(whole: str) -> None:
    """Every document without an error, ids apart, and every reference in order before its rule."""
    collection = SigmaCollection.from_yaml(whole)
    assert not collection.errors
    assert len({rule.id for rule in collection.rules}) == len(collection.rules)
    correlations = [each for each in collection.rules if isinstance(each, SigmaCorrelationRule)]
    assert "oopswatch_tcp_release_and_memory_fault" in {each.name for each in correlations}
    assert said("patterns", "to-sigma") == whole


def test_what_sigma_has_no_word_for_is_named() -> None:
    """Rules that count hosts of a fingerprint: left out of all, refused by name."""
    result = CliRunner().invoke(oopswatch, ["patterns", "to-sigma"])
    assert "left out: outbreak: " in result.stderr
    refused = CliRunner().invoke(oopswatch, ["patterns", "to-sigma", "outbreak"])
    assert refused.exit_code == 2
    assert "in no log" in refused.stderr


# What a backend has no query for, by type of rule; docs/sigma.md says so.
REFUSED = {
    SplunkBackend: {"temporal_ordered"},
    ESQLBackend: {"temporal_ordered"},
    LogQLBackend: {"temporal_ordered", "event_count"},
}


@pytest.mark.parametrize("backend", [SplunkBackend, ESQLBackend, LogQLBackend, sqliteBackend])
def test_every_rule_converts_or_is_refused(backend, whole: str) -> None:
    """Into one query each; a backend refuses types of rules, never writes half of them."""
    rules = [each for each in yaml.safe_load_all(whole) if "correlation" in each]
    named = {each["name"]: each for each in yaml.safe_load_all(whole)}
    refused = set()
    for rule in rules:
        parts = [named[name] for name in rule["correlation"]["rules"]]
        try:
            assert len(backend().convert(SigmaCollection.from_dicts([*parts, rule]))) == 1
        except (NotImplementedError, SigmaFeatureNotSupportedByBackendError):
            refused.add(rule["correlation"]["type"])
    assert refused == REFUSED.get(backend, set())


def test_signatures_convert_where_correlations_do_not() -> None:
    """Asterisks of a phrase are no wildcards."""
    text = said("patterns", "to-sigma", "kernel.paging-request")
    (query,) = LuceneBackend().convert(SigmaCollection.from_yaml(text))
    assert query == r"message:*Unable\ to\ handle\ kernel\ paging\ request*"


def test_page_says_what_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is what the bench computes; SQLite runs its query, the product its scan."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("RSIGMA", raising=False)
    page = PAGE.read_text().splitlines()
    rows = list(sigma.rows())
    assert [row for row in rows if row not in page] == []
    judged = {row.split("|")[1].strip(): row.split("|")[2:-1] for row in rows}
    assert judged["oopswatch"] == judged["to be raised"]


def test_other_draws_agree_with_the_page() -> None:
    """SQLite's window misses none of another seed's pairs, buckets some: by the gap's length."""
    text, cases = sigma.documents(), sigma.planted(7)
    by_sqlite = sigma.raised(sigma.by_sqlite, text, cases)
    by_bucket = sigma.raised(sigma.by_splunk, text, cases)
    assert by_sqlite is not None
    assert by_bucket is not None
    assert (by_sqlite["pair"], by_sqlite["far"], by_sqlite["late"]) == (200, 0, 0)
    halves = zip(cases["pair"][::2], cases["pair"][1::2], strict=True)
    gaps = [abs(first.wall_us - second.wall_us) for first, second in halves]
    expected = sum(1 - gap / 10_000_000 for gap in gaps)
    assert abs(by_bucket["pair"] - expected) < 28  # four standard deviations


def test_rules_come_back(tmp_path: Path) -> None:
    """The founding rule, out and in again, raises the same planted pairs."""
    text = sigma.documents()
    (tmp_path / "rules.yml").write_text(text)
    tables = said("patterns", "from-sigma", str(tmp_path / "rules.yml"))
    catalogue = read({"kernel/back.toml": tables})
    assert [entry.id for entry in catalogue.signatures] == [
        "kernel.tcp-state",
        "kernel.memory-fault",
    ]
    (rule,) = catalogue.rules
    assert (rule.type, rule.timespan_us, rule.severity) == ("temporal", 10_000_000, "critical")
    assert [test.expect for test in rule.tests] == [1, 0]


def claims(tmp_path: Path, detection: str, lines: list[str]) -> list[bool]:
    """Which of the lines the signature of a detection claims."""
    indented = "\n".join(f"  {line}" for line in detection.strip().splitlines())
    (tmp_path / "rule.yml").write_text(DETECTION % indented)
    tables = said("patterns", "from-sigma", str(tmp_path / "rule.yml"))
    (signature,) = read({"kernel/read.toml": tables}).signatures
    import regex

    return [
        any(literal in line for literal in signature.literals)
        and regex.match(signature.regex, line) is not None
        for line in lines
    ]


@pytest.mark.parametrize(
    ("detection", "claimed", "others"),
    [
        ("keywords: [pump stopped]\ncondition: keywords", ["a pump stopped at 3"], ["pump stops"]),
        (
            "s: {message|contains|all: [pump, valve seized]}\ncondition: s",
            ["valve seized beside the pump", "pump: valve seized"],
            ["pump", "valve seized"],
        ),
        (
            "s: {msg|startswith: 'pump '}\nf: {message|contains: spare}\ncondition: s and not f",
            ["pump 3 stopped"],
            ["the pump 3 stopped", "pump 3, a spare one"],
        ),
        (
            "s: {message|endswith: [' stopped', ' seized']}\ncondition: s",
            ["pump stopped", "valve seized"],
            ["stopped pump"],
        ),
        (
            "k: ['pump*stopped', 'valve ? seized']\ncondition: k",
            ["pump 3 has stopped", "valve 7 seized"],
            ["stopped pump", "valve 17 seized"],
        ),
        (
            "a: [alpha]\nb: [beta]\nc: [gamma]\ncondition: not (not a and not b) and not c",
            ["an alpha", "a beta", "alpha beta"],
            ["alpha gamma", "delta"],
        ),
        (
            "k: ['100\\* of pump (a.b)']\ncondition: k",
            ["100* of pump (a.b)"],
            ["1000 of pump (aab)"],
        ),
    ],
)
def test_conditions_mean_the_same(
    tmp_path: Path, detection: str, claimed: list[str], others: list[str]
) -> None:
    """A signature claims what its rule would, in the letters written."""
    verdicts = claims(tmp_path, detection, claimed + others)
    assert verdicts == [True] * len(claimed) + [False] * len(others)


def test_any_text_is_toml(tmp_path: Path) -> None:
    """Of a title and a description, beyond the first plane and right to left; what a terminal would
    act on is spelled out.
    """
    hostile = 'a \U0001f4a9 \u202e pump\'s "end" \\\\ \x85'
    rule = {
        "title": hostile,
        "description": hostile,
        "logsource": {"product": "linux"},
        "detection": {"k": ["pump \u202e stopped"], "condition": "k"},
    }
    (tmp_path / "rule.yml").write_text(yaml.safe_dump(rule, allow_unicode=False))
    tables = said("patterns", "from-sigma", str(tmp_path / "rule.yml"))
    (signature,) = read({"kernel/read.toml": tables}).signatures
    assert signature.title == " ".join(hostile.split())
    assert "\u202e" not in tables


@pytest.mark.parametrize(
    ("detection", "reason"),
    [
        ("s: {Image|endswith: /bin/sh}\ncondition: s", "the field Image is none"),
        ("s: {message|re: 'pump.*'}\ncondition: s", "regular expression: only texts"),
        ("k: [abc]\ncondition: k", "no fixed text of 4 characters"),
        ("k: {message: ''}\ncondition: k", "an empty text"),
        ("k: [alpha]\ncondition: not k", "no fixed text of 4 characters"),
        ("k: [alpha]\ncondition: k and not k", "no line that satisfies it"),
    ],
)
def test_what_no_signature_can_say_is_refused(tmp_path: Path, detection: str, reason: str) -> None:
    """In one line with file, rule and reason; the other rules of the file are written."""
    indented = "\n".join(f"  {line}" for line in detection.splitlines())
    sound = DETECTION % "  k: [valve seized]\n  condition: k"
    (tmp_path / "rules.yml").write_text(f"{DETECTION % indented}---{sound}")
    result = CliRunner().invoke(oopswatch, ["patterns", "from-sigma", str(tmp_path / "rules.yml")])
    assert result.exit_code == 2
    assert reason in result.stderr.splitlines()[0]
    assert len(read({"kernel/read.toml": result.stdout}).signatures) == 1


@pytest.mark.parametrize(
    "text",
    [
        "a: [", "title: x", "\x00", "- 1", "", "title: x\ndetection: {k: [a], condition: q}",
        "[" * 20_000, "a: " + "{b: " * 3_000, "#" * 4_000_001,
    ],
)  # fmt: skip
def test_no_rules_are_one_line(tmp_path: Path, text: str) -> None:
    """A file that is none, is too deep or too large, or holds nothing is refused by name."""
    (tmp_path / "rules.yml").write_text(text)
    result = CliRunner().invoke(oopswatch, ["patterns", "from-sigma", str(tmp_path / "rules.yml")])
    assert result.exit_code == 2, result.output
    assert "rules.yml: " in result.stderr
    assert len(result.stderr.splitlines()) <= 2
    assert "Traceback" not in result.output


def test_correlations_become_rules(tmp_path: Path) -> None:
    """By name or id; a count, an order; what groups otherwise is refused."""
    detections = [DETECTION.replace("A pump", name) % f"  k: [{name} stops]\n  condition: k"
                  for name in ("alpha", "beta")]  # fmt: skip
    correlation = """
title: Both of %s
correlation:
  type: %s
  rules: [%s]
  group-by: [%s]
  timespan: 1m
  condition: {gte: 3}
level: critical
"""
    named = [
        each.replace("title: ", f"name: {name}\ntitle: ", 1)
        for each, name in zip(detections, ("first", "second"), strict=True)
    ]
    wanted = itertools.starmap(
        lambda *values: correlation % values,
        [
            ("ordered", "temporal_ordered", "first, second", "host.name"),
            ("counted", "event_count", "first", "hostname"),
            ("users", "temporal", "first, second", "user"),
        ],
    )
    ordered, counted, users = (
        each.replace("  condition: {gte: 3}\n", "") if "event_count" not in each else each
        for each in wanted
    )
    (tmp_path / "r.yml").write_text("---".join([*named, ordered, counted, users]))
    result = CliRunner().invoke(oopswatch, ["patterns", "from-sigma", str(tmp_path / "r.yml")])
    assert "rules here group by host, not by user" in result.stderr
    rules = {rule.id: rule for rule in read({"kernel/r.toml": result.stdout}).rules}
    assert rules["both-of-ordered"].classes == ("first", "second")
    assert rules["both-of-ordered"].type == "temporal_ordered"
    assert (rules["both-of-counted"].gte, rules["both-of-counted"].timespan_us) == (3, 60_000_000)


def test_without_the_library_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install; the rest of the commands needs none of it."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    result = CliRunner().invoke(oopswatch, ["patterns", "to-sigma"])
    assert result.exit_code == 2
    assert "pip install 'oopswatch[sigma]'" in result.stderr


CORRELATION = """
title: Both
correlation:
  type: %s
  rules: [first, second]
%s
"""
BY_HOST = "  group-by: [host]\n  timespan: %s\n"


@pytest.mark.parametrize(
    ("kind", "rest", "reason"),
    [
        ("event_count", BY_HOST % "1m" + "  condition: {lt: 3}", "not lt"),
        ("event_count", BY_HOST % "1m" + "  condition: {eq: 3}", "not eq"),
        ("event_count", BY_HOST % "1m" + "  condition: {gte: 0}", "1 to 16"),
        ("event_count", BY_HOST % "1m" + "  condition: {gte: 99999999999}", "1 to 16"),
        ("event_count", BY_HOST % "1m" + "  condition: {gte: 17}", "1 to 16"),
        ("temporal", BY_HOST % "1m" + "  condition: {gte: 1}", "need all 2"),
        ("temporal", BY_HOST % "1m" + "  condition: first and not second", "extended"),
        ("temporal", BY_HOST % "30d", "longer than 999,999 s"),
        ("temporal", "  timespan: 1m", "groups by nothing"),
        ("temporal", "  group-by: [host]", "timespan"),
    ],
)
def test_correlations_that_mean_something_else(
    tmp_path: Path, kind: str, rest: str, reason: str
) -> None:
    """They are refused in one line with the reason; the signatures are written all the same."""
    named = [
        f"name: {name}" + DETECTION.replace("A pump", name) % f"  k: [{name} stops]\n  condition: k"
        for name in ("first", "second")
    ]
    (tmp_path / "r.yml").write_text("\n---\n".join([*named, CORRELATION % (kind, rest)]))
    result = CliRunner().invoke(oopswatch, ["patterns", "from-sigma", str(tmp_path / "r.yml")])
    assert result.exit_code == 2
    assert reason in result.stderr.splitlines()[0]
    assert len(read({"kernel/r.toml": result.stdout}).signatures) == 2


def test_more_than_is_from_one_more(tmp_path: Path) -> None:
    """`gt: 3` of Sigma is reached by the fourth line."""
    detection = f"name: first{DETECTION % '  k: [pump stops]%s  condition: k' % chr(10)}"
    correlation = CORRELATION % ("event_count", BY_HOST % "1m" + "  condition: {gt: 3}")
    (tmp_path / "r.yml").write_text(f"{detection}\n---\n{correlation.replace(', second', '')}")
    (rule,) = read({"kernel/r.toml": said("patterns", "from-sigma", str(tmp_path / "r.yml"))}).rules
    assert rule.gte == 4


def test_a_rule_with_a_fault_does_not_cost_the_others(tmp_path: Path) -> None:
    """An unknown modifier is refused by its rule's title; its neighbour is written."""
    sound = DETECTION % "  k: [valve seized]\n  condition: k"
    bad = DETECTION % "  k: {message|frobnicate: valve}\n  condition: k"
    (tmp_path / "r.yml").write_text(f"{sound}\n---\n{bad}")
    result = CliRunner().invoke(oopswatch, ["patterns", "from-sigma", str(tmp_path / "r.yml")])
    assert result.exit_code == 2
    assert "frobnicate" in result.stderr.splitlines()[0]
    assert len(read({"kernel/r.toml": result.stdout}).signatures) == 1


def test_a_correlation_finds_its_rules_in_a_file_before(tmp_path: Path) -> None:
    """Rules that no file has cost that correlation alone; a last `---` begins no rule."""
    for name in ("alpha", "beta"):
        text = DETECTION.replace("A pump", name) % f"  k: [{name} stops]\n  condition: k"
        (tmp_path / f"{name}.yml").write_text(f"name: {name}{text}---\n")
    both = """
title: Both of %s
correlation:
  type: temporal
  rules: [alpha, %s]
  group-by: [host]
  timespan: 10s
  condition: {gte: 2}
"""
    (tmp_path / "both.yml").write_text(f"{both % (1, 'beta')}---{both % (2, 'gamma')}")
    names = [str(tmp_path / f"{name}.yml") for name in ("alpha", "beta", "both")]
    result = CliRunner().invoke(oopswatch, ["patterns", "from-sigma", *names])
    assert result.exit_code == 2
    assert "Both of 2: not read: gamma is no rule that was read" in result.stderr
    made = read({"kernel/r.toml": result.stdout})
    assert (len(made.signatures), [rule.title for rule in made.rules]) == (2, ["Both of 1"])


def test_rules_without_a_line_between_them(tmp_path: Path) -> None:
    """YAML would take the last and drop the first without a word: the line is named."""
    sound = DETECTION.strip() % "  k: [valve seized]\n  condition: k"
    (tmp_path / "r.yml").write_text(f"{sound}\n{sound}\n")
    result = CliRunner().invoke(oopswatch, ["patterns", "from-sigma", str(tmp_path / "r.yml")])
    assert result.exit_code == 2
    line = len(sound.splitlines()) + 1
    assert f"line {line}: title stands twice: write --- between" in result.stderr


def test_two_rules_with_one_id_are_not_written(tmp_path: Path) -> None:
    """The second is named with the first: a pattern file with both would not load."""
    path = tmp_path / "rules.yml"
    detection = "{keywords: ['pump stopped at once'], condition: keywords}"
    rule = "title: %s\nlogsource: {product: linux}\ndetection: " + detection + "\n"
    path.write_text("---\n".join(rule % title for title in ("水泵停了", "阀门坏了")))
    done = CliRunner().invoke(oopswatch, ["patterns", "from-sigma", str(path)])
    assert done.exit_code == 2
    assert done.stdout.count("[[signature]]") == 1
    assert (
        f"{path}: 阀门坏了: not read: its id is kernel.sigma, as that of {path}: 水泵停了"
        in done.stderr
    )
