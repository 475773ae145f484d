"""Templates of the user's own: sandboxed, bounded, checked with file and line, and fed with inert
values.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from detector.alert.payload import notice_item
from detector.alert.senders.slack import escaped
from detector.alert.templates import BODY_LIMIT, Templates, check_file, check_folder, load
from detector.cli import oopswatch
from tests.support.notices import FORBIDDEN, hostile, notice


def template(folder: Path, text: str, name: str = "body.j2") -> Path:
    """A template file."""
    path = folder / name
    path.write_text(text)
    return path


def test_words_of_ones_own(tmp_path: Path) -> None:
    """The fields of the documented JSON are the variables; another file of the folder can be
    included.
    """
    template(tmp_path, "{{ incidents[0].host }}", "host.j2")
    path = template(
        tmp_path,
        (
            "{{ severity | upper }} on {% include 'host.j2' %}:\n{% for l in "
            "incidents[0].lines %}> {{ l }}\n{% endfor %}"
        ),
    )
    assert check_file(path) == []
    said = Templates(body=load(path)).rendered(
        notice_item(notice()), names={"title": "t", "body": "b"}
    )
    assert said["b"].splitlines()[0] == "CRITICAL on db-17:"
    assert said["b"].splitlines()[2].startswith("> [61817741.312094] Unable to handle")
    assert "t" not in said


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("fine\n{{ severity", 2, "unexpected end of template"),
        ("a\nb\n{% for x in hosts %}", 3, "Unexpected end of template"),
        ("a\n{{ sevrity }}", 2, "'sevrity' is undefined"),
        ("\n\n{{ incidents[7].host }}", 3, "has no element 7"),
        ("{{ history.count }}", 1, "has no attribute 'count'"),  # not every notice has a history
        ("{% include 'other.j2' %}", 1, "'other.j2' not found"),
        ("{{ 1 / 0 }}", 1, "ZeroDivisionError"),
        (
            "{{ ''.__class__.__mro__ }}",
            1,
            "access to attribute '__class__' of 'str' object is unsafe",
        ),
        ("{{ title.__init__.__globals__ }}", 1, "unsafe"),
        ("{{ hosts.append('x') }}", 1, "is unsafe"),
        ("{{ 'x' * 1000000000 }}", 1, "* is for small numbers here"),
        ("{{ 9 ** 9 ** 9 }}", 1, "** is not allowed here"),
        ("{% for x in range(1000000000) %}{% endfor %}", 1, "Range too big"),
    ],
)
def test_faults_name_file_and_line(tmp_path: Path, text: str, line: int, what: str) -> None:
    """What is wrong is said before anybody waits for a message."""
    path = template(tmp_path, text)
    (fault,) = check_file(path)
    assert fault.startswith(f"{path}:{line}: ")
    assert what in fault
    assert "\n" not in fault


def test_a_folder_is_checked_whole(tmp_path: Path) -> None:
    """Every template of it, and files that are no text."""
    template(tmp_path, "{{ title }}", "good.j2")
    template(tmp_path, "{{ nothing }}", "bad.j2")
    (tmp_path / "binary.j2").write_bytes(b"\xff\xfe")
    count, faults = check_folder(tmp_path)
    assert count == 3
    assert [fault.split(": ", 1)[1] for fault in faults] == ["'nothing' is undefined", "not UTF-8"]


def test_hostile_values_stay_values(tmp_path: Path) -> None:
    """A log line is never a template, and is escaped for the receiver; the template's own markup
    stands.
    """
    path = template(
        tmp_path,
        (
            "*{{ severity }}* <https://x|more>\n{% for l in incidents[0].lines %}{{ l }}\n{% "
            "endfor %}{{ title }}"
        ),
    )
    said = Templates(body=load(path)).rendered(
        notice_item(hostile()), names={"body": "b"}, escape=escaped
    )["b"]
    own, _, rest = said.partition("\n")
    assert own == "*critical* <https://x|more>"
    assert "{{ 7 * 7 }}" in rest
    assert "<" not in rest
    assert ">" not in rest
    assert "`" not in rest
    assert not any(bad in rest for bad in FORBIDDEN[:10])


def test_output_is_bounded(tmp_path: Path) -> None:
    """A template that says too much is not waited for."""
    path = template(
        tmp_path,
        (
            "{% for x in range(99999) %}{% for y in range(99999) %}{{ title }}\n{% endfor %}{% "
            "endfor %}"
        ),
    )
    began = time.monotonic()
    said = Templates(title=load(path), body=load(path)).rendered(
        notice_item(notice()), names={"title": "t", "body": "b"}
    )
    assert len(said["b"]) == BODY_LIMIT
    assert said["b"].endswith("…")
    assert len(said["t"]) == 150
    assert "\n" not in said["t"]
    assert time.monotonic() - began < 10


def test_a_template_that_fails_loses_no_message(tmp_path: Path) -> None:
    """The built-in words stand where the user's fail on a notice that the check did not think
    of.
    """
    path = template(tmp_path, "{{ hosts[40] }}")
    assert Templates(title=load(path)).rendered(notice_item(notice()), names={"title": "t"}) == {}


def test_patterns_check_tries_them(tmp_path: Path) -> None:
    """With the command's option or the setting; a fault is told beside those of patterns, and the
    exit code is 1.
    """
    good = CliRunner().invoke(
        oopswatch,
        ["patterns", "check", "--templates", str(template(tmp_path, "{{ title }}").parent)],
    )
    assert good.exit_code == 0
    assert good.output.rstrip().endswith(", 1 message template")
    bad = CliRunner().invoke(
        oopswatch,
        ["patterns", "check"],
        env={"OOPSWATCH_ALERT_TEMPLATES": str(template(tmp_path, "\n{{ x }}").parent)},
    )
    assert bad.exit_code == 1
    assert f"{tmp_path / 'body.j2'}:2: 'x' is undefined" in bad.output.splitlines()
