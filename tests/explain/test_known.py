from __future__ import annotations

import tomllib
from dataclasses import replace

import pytest
from pydantic import ValidationError

from detector.catalogue.known_issues import KnownIssue, StructLayout
from detector.explain import failing_tests
from detector.explain.issues import CrashFacts, judge
from detector.explain.tcp import STATES, explain_release, released, same_socket_twice
from tests.support.crashes import PATTERNS, match, release

SMALL = """
id = "x"
title = "t"
summary = "s"
explanation = "e"
[[when]]
confidence = "certain"
functions = ["f"]
[[test]]
title = "named"
function = "f"
expect = "certain"
[[test]]
title = "not named"
function = "g"
expect = "none"
"""


def issue(text=SMALL, **change):
    """An issue from TOML, with keys replaced."""
    return KnownIssue.model_validate({**tomllib.loads(text), **change})


@pytest.mark.parametrize(
    "name", sorted(path.name for path in (PATTERNS / "known-issues").glob("*.toml"))
)
def test_shipped_issues_pass_their_own_tests(catalogue, name):
    """Every test written inside a known issue comes out as written."""
    shipped = tomllib.loads((PATTERNS / "known-issues" / name).read_text())["known-issue"]
    for one in shipped:
        assert failing_tests(KnownIssue.model_validate(one)) == ()


def test_shipped_issues_say_what_they_must(catalogue):
    """Each has a unique id, look-alikes or a test that must not be named, and commits with hashes
    or references.
    """
    ids = [one.id for one in catalogue.known_issues]
    assert len(set(ids)) == len(ids) >= 5
    assert all(one.fixed_by or one.references_to for one in catalogue.known_issues)


def test_a_failing_test_is_told():
    """A test that expects otherwise is named with what came out."""
    wrong = tomllib.loads(SMALL)["test"]
    wrong[0]["expect"] = "likely"
    assert failing_tests(issue(test=wrong)) == (
        'known issue x, test "named": expected likely, got certain',
    )


@pytest.mark.parametrize(
    "change",
    [
        {"when": [{"confidence": "certain"}]},
        {"when": [{"confidence": "certain", "releases": ["affected"]}]},
        {"when": [{"confidence": "sure", "functions": ["f"]}]},
        {"when": []},
        {"test": []},
        {"test": [{"title": "a", "expect": "certain"}, {"title": "b", "expect": "likely"}]},
        {"since": "four"},
        {"id": "Not An Id"},
        {"unknown-key": 1},
        {"fixed-by": [{"hash": "xyz"}]},
    ],
)
def test_wrong_tables_are_refused(change):
    """An issue that would be named for everything, or that shows no case of either kind, is a
    fault; so is a misspelt key.
    """
    with pytest.raises(ValidationError):
        issue(**change)


def test_references_name_every_class():
    """The classes of conditions and tests, so that a misspelt one is found."""
    table = tomllib.loads(SMALL)
    table["when"][0]["classes"] = ["a"]
    table["unless"] = [{"without-classes": ["b"]}]
    table["test"][0]["classes"] = ["c"]
    built = KnownIssue.model_validate(table).build()
    assert set(built.references()) == {("classes", "a"), ("classes", "b"), ("classes", "c")}


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        ({"functions": ["f"]}, True),
        ({"functions": ["g"]}, False),
        ({"path": ["tcp_*"]}, True),
        ({"path": ["tcp_"]}, False),
        ({"states": [10]}, True),
        ({"states": [10], "only-states": True}, False),
        ({"states": [3, 10], "only-states": True}, True),
        ({"states": [1]}, False),
        ({"same-socket": True}, True),
        ({"same-socket": False}, False),
        ({"marks": ["a", "b"]}, True),
        ({"marks": ["c"]}, False),
        ({"phrases": ["on 0"]}, True),
        ({"phrases": ["on 1"]}, False),
        ({"classes": ["tcp-state", "x"]}, False),
        ({"without-classes": ["tcp-state"]}, False),
        ({"kinds": ["memory-fault"]}, True),
        ({"kernels": ["4.19.93-rc1"], "functions": ["f"]}, False),
    ],
)
def test_conditions(conditions, holds):
    """Each condition by itself."""
    facts = CrashFacts(
        "memory-fault",
        "f",
        frozenset({"f", "tcp_v4_rcv"}),
        frozenset({"tcp-state"}),
        frozenset({3, 10}),
        True,
        frozenset({"a"}),
        ("addition on 0",),
    )
    assert bool(judge(facts, issue(when=[{"confidence": "likely", **conditions}]))) is holds


def test_unless_wins():
    """What must not hold forbids the name, whatever else holds."""
    assert judge(CrashFacts(function="f"), issue()) is not None
    assert (
        judge(CrashFacts(function="f", marks=frozenset({"m"})), issue(unless=[{"marks": ["m"]}]))
        is None
    )


def test_layouts_are_checked():
    """A layout needs an architecture and releases."""
    assert StructLayout.model_validate(
        {
            "id": "a",
            "name": "s",
            "arches": ["arm64"],
            "since": "4.4",
            "members": {"m": 8},
            "source": "include/s.h",
        }
    ).build().members == {"m": 8}
    with pytest.raises(ValidationError):
        StructLayout.model_validate(
            {"id": "a", "name": "s", "arches": [], "since": "4.4", "members": {}, "source": ""}
        )


def test_tcp_states():
    """All names of include/net/tcp_states.h; a state is read from the match, not guessed."""
    assert [STATES[number] for number in (1, 3, 6, 7, 10, 12)] == [
        "TCP_ESTABLISHED",
        "TCP_SYN_RECV",
        "TCP_TIME_WAIT",
        "TCP_CLOSE",
        "TCP_LISTEN",
        "TCP_NEW_SYN_RECV",
    ]
    assert set(STATES) == set(range(1, 14))
    for text in ("", "x", "٣", "1234", "-1"):
        assert released([match("", "tcp-state", state=text)]) == ()
    assert "no TCP state that is known" in explain_release([release(99)])[0].text


def test_one_line_for_one_state():
    """Two sockets in one state are one statement; one socket in two states is a third one."""
    assert len(explain_release([release(10), release(10, "00000000a1b2c3d4")])) == 1
    twice = [release(3), release(10)]
    assert same_socket_twice(twice)
    assert len(explain_release(twice)) == 3
    assert not same_socket_twice([release(3), replace(release(10), fields={"state": "10"})])
