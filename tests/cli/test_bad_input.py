"""Every mistake that a person can make is one clear line that names the thing, the right exit code,
and nothing lost.
"""

from __future__ import annotations

import gzip
import json
import os
import resource
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from detector.cli import oopswatch as cli
from tests.kafka.broker import ApacheKafka, Broker

PAIR = """\
[  100.100000] IPv4: Attempt to release TCP socket in state 10 ffff80001234a000
[  100.600000] Unable to handle kernel paging request at virtual address 0000000000012345
"""
SIGNATURE = """
[[signature]]
id = "our.thing"
class = "our-class"
origin = "kernel"
severity = "warning"
title = "Our driver says"
literal = "ourdrv: bad"
regex = '''{regex}'''
source = "our driver"
meaning = "Ours."
match = ["ourdrv: bad thing"]
reject = ["ourdrv: good thing"]
"""


def oopswatch(
    *arguments: str | Path, cwd: Path | None = None, limit: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs the command as a user does."""
    command = [sys.executable, "-c", "from detector.cli import main; main()", *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False, preexec_fn=limit
    )


def complaint(done: subprocess.CompletedProcess[str], code: int = 2) -> str:
    """The one line on standard error; the exit code must be `code`."""
    assert done.returncode == code, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in lines[0]
    return lines[0]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log with the pair in it."""
    path = tmp_path / "kern.log"
    path.write_text(PAIR)
    return path


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The path stands in the line."""
    assert str(tmp_path / "nothing.log") in complaint(oopswatch("scan", tmp_path / "nothing.log"))


def test_an_unreadable_file_is_named_and_the_others_are_read(log: Path) -> None:
    """/proc/self/mem gives an input/output error to everybody, root included."""
    done = oopswatch("scan", "/proc/self/mem", log)
    assert "/proc/self/mem" in complaint(done)
    assert "1 incident" in done.stdout


def test_an_empty_file_is_said_to_be_empty_and_is_no_error(tmp_path: Path) -> None:
    """An empty log holds no faults."""
    path = tmp_path / "empty.log"
    path.touch()
    assert "empty" in complaint(oopswatch("scan", path), code=0)


def test_faults_of_a_file_whose_name_is_not_utf_8_are_kept(tmp_path: Path) -> None:
    """The name is spelled in text; the fault is found and stored."""
    name = os.fsdecode(b"web-\xff.log")
    (tmp_path / name).write_text(PAIR)
    done = oopswatch("scan", "--store", "history.db", name, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "set aside" not in done.stderr
    with sqlite3.connect(tmp_path / "history.db") as history:
        assert history.execute("SELECT count(*) FROM incidents").fetchone() == (1,)
    history.close()


@pytest.mark.parametrize(
    "command", [["scan"], ["collect", "--list"], ["incidents", "list", "--store"]]
)
def test_a_text_option_that_is_not_utf_8_is_named(log: Path, command: list[str]) -> None:
    """Nothing is read, nothing set aside by the thousand."""
    done = oopswatch(*command, log, "--host", os.fsdecode(b"db-\xff"))
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.endswith("Error: Invalid value for '--host': db-\\udcff is not UTF-8.\n")


def test_a_directory_without_logs_is_named(tmp_path: Path) -> None:
    """Nothing to read is not the same as nothing found."""
    assert str(tmp_path) in complaint(oopswatch("scan", tmp_path))


def test_a_picture_is_not_a_log(tmp_path: Path) -> None:
    """A PNG, named on the command line."""
    path = tmp_path / "screen.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + zlib.compress(b"\x00" * 5000) + b"\x00\x01\x02\x03" * 500
    )
    assert str(path) in complaint(oopswatch("scan", path))


def test_a_broken_gzip_gives_what_came_before(tmp_path: Path) -> None:
    """The damage is named, the readable part is read."""
    path = tmp_path / "kern.log.gz"
    whole = gzip.compress((PAIR + os.urandom(200_000).hex()).encode())
    path.write_bytes(whole[:100_000])
    done = oopswatch("scan", path)
    assert str(path) in complaint(done)
    assert "1 incident" in done.stdout


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(log: Path, tmp_path: Path) -> None:
    """A text file given as history."""
    path = tmp_path / "history.db"
    path.write_text("this is not a database, but it is somebody's text\n" * 100)
    before = path.read_bytes()
    assert str(path) in complaint(oopswatch("scan", "--store", path, log))
    assert str(path) in complaint(oopswatch("incidents", "list", "--store", path))
    assert path.read_bytes() == before


def test_a_foreign_database_is_refused_and_left_as_it_is(log: Path, tmp_path: Path) -> None:
    """An SQLite file of another program."""
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE bookmarks (url TEXT)")
    other.close()
    before = path.read_bytes()
    assert str(path) in complaint(oopswatch("scan", "--store", path, log))
    assert path.read_bytes() == before


def test_a_damaged_history_is_one_line(log: Path, tmp_path: Path) -> None:
    """The first page is sound, the others are not."""
    path = tmp_path / "history.db"
    assert oopswatch("scan", "--store", path, log).returncode == 1
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)
    assert str(path) in complaint(oopswatch("scan", "--store", path, log))


def test_a_full_disk_is_one_line_and_what_was_stored_stays(log: Path, tmp_path: Path) -> None:
    """No byte more than the file has: the batch is rolled back whole."""
    path = tmp_path / "history.db"
    assert oopswatch("scan", "--store", path, "--host", "a", log).returncode == 1
    size = path.stat().st_size

    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    big = tmp_path / "big.log"
    big.write_text(
        "".join(
            f"[{n:5d}.000000] Unable to handle kernel paging request at virtual address {n:016x}\n"
            for n in range(5000)
        )
    )
    assert str(path) in complaint(
        oopswatch("scan", "--store", path, "--host", "b", big, limit=full)
    )
    kept = oopswatch("incidents", "list", "--store", path, "--json")
    assert kept.returncode == 0, kept.stderr
    assert len(kept.stdout.splitlines()) == 1
    assert oopswatch("scan", "--store", path, "--host", "b", big).returncode == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[kafka\n", "oopswatch.toml"),
        ('[kafka]\ntopic = "kmsg"\n', 'did you mean "topics"'),
        ('[kafk]\ntopics = ["kmsg"]\n', 'did you mean "kafka"'),
        ("[kafka]\npoll_ms = -1\n", "poll_ms"),
    ],
)
def test_a_mistake_in_the_settings_names_file_and_setting(
    tmp_path: Path, log: Path, text: str, said: str
) -> None:
    """Bad TOML, an unknown setting, an unknown table, a value out of range."""
    path = tmp_path / "oopswatch.toml"
    path.write_text(text)
    line = complaint(oopswatch("scan", "--config", path, log))
    assert str(path) in line
    assert said in line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[signature]\n", "TOML"),
        (SIGNATURE.format(regex="^ourdrv: bad (thing"), "regex"),
        (SIGNATURE.format(regex=r"^ourdrv: bad (?:(?:\w+\s?)*!|thing)"), "the regex takes"),
        (
            SIGNATURE.format(regex="^ourdrv: bad thing").replace("severity", "sverity"),
            'did you mean "severity"',
        ),
    ],
)
def test_a_mistake_in_a_pattern_names_file_and_line(
    tmp_path: Path, log: Path, text: str, said: str
) -> None:
    """Bad TOML, a bad regex, a catastrophic one, a misspelt key: `patterns check` exits with 1,
    `scan` with 2.
    """
    (tmp_path / "ours").mkdir()
    path = tmp_path / "ours" / "ours.toml"
    path.write_text(text)
    for done, code in (
        (oopswatch("patterns", "check", "--patterns", path.parent), 1),
        (oopswatch("scan", "--patterns", path.parent, log), 2),
    ):
        assert done.returncode == code, done.stderr
        said_lines = (done.stdout + done.stderr).splitlines()
        assert any(f"{path}:" in line and said in line for line in said_lines), said_lines
        assert "Traceback" not in done.stderr


def test_an_unknown_broker_is_named(tmp_path: Path) -> None:
    """Nobody listens there: it is waited for as long as the setting says, and no file is made."""
    config, store = tmp_path / "oopswatch.toml", tmp_path / "h.db"
    config.write_text('[kafka]\nbootstrap_servers = ["127.0.0.1:1"]\nstart_wait_s = 1\n')
    done = oopswatch("run", "--config", config, "--store", store)
    assert done.returncode == 2
    waiting, line = done.stderr.splitlines()
    assert '"event": "broker_away"' in waiting
    assert "127.0.0.1:1" in line
    assert not store.exists()


def test_a_missing_topic_is_named(kafka: Broker, tmp_path: Path) -> None:
    """The broker is there, the topic is not."""
    done = oopswatch(
        "run",
        "--bootstrap",
        kafka.bootstrap,
        "--topic",
        "no-such-topic",
        "--store",
        tmp_path / "h.db",
    )
    assert "no-such-topic" in complaint(done)


def test_tls_to_an_authority_nobody_knows_is_one_line(
    own_kafka: ApacheKafka, tmp_path: Path
) -> None:
    """The broker's certificate is signed by an authority that the system does not trust."""
    config = tmp_path / "oopswatch.toml"
    config.write_text(
        f'[kafka]\nbootstrap_servers = ["{own_kafka.tls}"]\nsecurity_protocol = "SSL"\n'
    )
    line = complaint(oopswatch("run", "--config", config, "--store", tmp_path / "h.db"))
    assert "certificate" in line.lower()
    assert "ssl_cafile" in line


def test_a_line_that_is_cut_is_counted_in_the_summary(tmp_path: Path) -> None:
    """Longer than 16 MiB: it comes in pieces, and the summary says so, for people and programs."""
    log = tmp_path / "long.log"
    log.write_bytes(b"x" * (17 << 20) + b"\n" + PAIR.encode())
    plain, as_json = oopswatch("scan", log), oopswatch("scan", "--json", log)
    assert "too long to be read whole: 1 line" in plain.stdout
    assert '"cut_lines": 1' in as_json.stdout.splitlines()[-1]
    assert plain.returncode == as_json.returncode == 1


def test_a_log_that_names_no_host_is_said_where_it_is_kept(tmp_path: Path) -> None:
    """Once, and only for a history: the same file under another path would be another host."""
    log, kept = tmp_path / "a.log", ("--store", tmp_path / "h.db")
    log.write_text(PAIR)
    said = complaint(oopswatch("scan", *kept, log), 1)
    assert said == f"oopswatch: no host is named in {log}; --host NAME says whose it is"
    assert oopswatch("scan", *kept, "--host", "db-1", log).stderr == ""
    assert oopswatch("scan", log).stderr == ""


def test_only_records_that_may_matter_are_counted_as_not_read(tmp_path: Path) -> None:
    """Of two records without a message, the one that holds a phrase; the summary says what it
    counts.
    """
    log = tmp_path / "app.json"
    log.write_text('{"a": "all is well"}\n{"a": "Kernel panic - not syncing"}\n')
    told = oopswatch("scan", log).stdout
    assert "not read: json-no-message: 1 × " in told
    assert "1 selected record not read" in " ".join(told.split())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["scan"], "Missing argument 'PATH...'"),
        (["faults", "show"], "Missing argument 'ID'"),
        (["faults", "show", "abc"], "'abc' is no such number: `oopswatch faults list` names them"),
        (["faults", "show", "9" * 23], "is no such number"),
        (["faults", "show", "-1"], "A negative number is no value here"),
        (["incidents", "list", "--limit", "x"], "Invalid value for '--limit'"),
        (["noise", "--top", "9" * 23], "Invalid value for '--top'"),
        (["notify", "log", "--limit", "9" * 23], "Invalid value for '--limit'"),
        (["notify", "silence", "expire", "9" * 23], "is no such number"),
        (["known", ""], "it is empty"),
        (["incidens"], "Did you mean 'incidents'?"),
    ],
)
def test_a_usage_error_names_what_is_wrong(arguments: list[str], told: str) -> None:
    """Usage, then the argument or option by name; exit code 2."""
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 2
    assert told in done.output.splitlines()[-1]


def test_a_scan_of_nothing_says_what_is_wrong_and_no_more(tmp_path: Path) -> None:
    """A summary of nothing would read as "0 incidents"; with --json the summary is the last line
    always.
    """
    done = oopswatch("scan", "no.log", cwd=tmp_path)
    assert (complaint(done), done.stdout) == ("oopswatch: no.log: no such file or folder", "")
    done = oopswatch("scan", "--json", "no.log", cwd=tmp_path)
    assert done.returncode == 2
    assert '"type": "summary"' in done.stdout
    (tmp_path / "a.log").write_text(PAIR)
    done = oopswatch("scan", "a.log", "no.log", cwd=tmp_path)
    assert done.returncode == 2
    assert "2 kernel matches" in done.stdout


def kept(folder: Path, text: str = PAIR) -> Path:
    """A history with what a log holds."""
    (folder / "a.log").write_text(text)
    oopswatch("scan", folder / "a.log", "--store", folder / "h.db")
    return folder / "h.db"


def test_times_are_of_this_calendar(tmp_path: Path) -> None:
    """So long ago that nothing was there yet is the beginning; a year that no log can have is
    named.
    """
    store = kept(tmp_path)
    for since in ("300000d", "99999999999999d", "1970-01-01"):
        done = oopswatch("incidents", "list", "--store", store, "--since", since)
        assert (done.returncode, "1 incident" in done.stdout) == (0, True), done.stderr
    for command in (("incidents", "list"), ("noise",)):
        done = oopswatch(*command, "--store", store, "--since", "0999-01-01")
        assert done.returncode == 2
        assert "'0999-01-01': the year must be between 1970 and 9998" in done.stderr


def test_columns_of_noise_are_counted_by_once(tmp_path: Path) -> None:
    """The same one again adds nothing; none is a mistake."""
    store = kept(tmp_path, "[    1.000000] python[7]: segfault at 0 ip 0 sp 0 error 4\n")
    done = oopswatch("noise", "--by", "process,process", "--store", store)
    assert done.stdout.splitlines()[1].split() == ["process", "last", "(UTC)", "count"]
    assert "--by is empty" in oopswatch("noise", "--by", " ,", "--store", store).stderr


def test_little_of_an_id_changes_no_incident(tmp_path: Path) -> None:
    """One character may fit the only incident of today, and another one tomorrow."""
    store = kept(tmp_path)
    listed = oopswatch("incidents", "list", "--store", store, "--json").stdout
    identity: str = json.loads(listed)["id"]
    for little in (identity[0], identity[:3]):
        done = oopswatch("incidents", "resolve", little, "--store", store)
        assert "give at least 4 characters of its id" in complaint(done)
    assert oopswatch("incidents", "resolve", identity[:4], "--store", store).returncode == 0


def test_a_rule_that_there_is_not_is_named_where_nothing_matches(tmp_path: Path) -> None:
    """An empty list is an answer only to a question that could have had one."""
    done = oopswatch("incidents", "list", "--rule", "lone-kernel-falt", "--store", kept(tmp_path))
    assert "did you mean lone-kernel-fault?" in complaint(done)
