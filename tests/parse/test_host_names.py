"""Names of hosts in one form, spellings that are followed, and names in the paths of files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.model import VMCORE, Line, Record
from detector.parse import HostForm, Parser
from detector.parse.host_names import SPELLINGS_BOUND, SPELLINGS_OF_ONE, Spellings
from detector.trust_policy import TrustPolicy

FORM = HostForm(
    ["example.com", "fra.example.com"], {"10.0.0.12": "web-12", "old-12.example.com": "WEB-12"}
)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("web-12", "web-12"),
        ("WEB-12", "web-12"),
        ("Web-12.", "web-12"),
        ("web-12.example.com", "web-12"),
        ("WEB-12.Example.COM.", "web-12"),
        ("web-12.fra.example.com", "web-12"),
        ("web-12.ams.example.com", "web-12.ams"),
        ("web-12.example.org", "web-12.example.org"),
        ("example.com", "example.com"),
        ("10.0.0.12", "web-12"),
        ("old-12", "web-12"),
        ("OLD-12.example.com", "web-12"),
        (".", "."),
    ],
)
def test_one_host_has_one_name(written: str, name: str) -> None:
    """Case, the dot at the end, the site's domains and its aliases; nothing else is cut."""
    assert FORM.name(written) == name


@given(st.text(max_size=40))
def test_a_name_in_the_one_form_stays_as_it_is(written: str) -> None:
    """The form of a form is itself."""
    plain = HostForm()
    assert plain.name(plain.name(written)) == plain.name(written)


@pytest.mark.parametrize(
    ("pattern", "path", "host"),
    [
        ("/var/crash/{host}/", "/var/crash/web-12/vmcore-dmesg.txt", "web-12"),
        ("/var/crash/{host}/", "/var/crash/WEB-12/127.0.0.1-2026-01-10/vmcore-dmesg.txt", "web-12"),
        ("/var/crash/{host}/", "/var/crash/127.0.0.1-2026-01-10-03:13:05/vmcore-dmesg.txt", None),
        ("/var/crash/{host}/", "/var/crash/202601101302/dmesg.202601101302", None),
        ("/var/crash/{host}/", "/srv/var/crash/web-12/dmesg", None),
        ("crash/{host}/", "/srv/crash/web-12/dmesg", "web-12"),
        ("crash/{host}/", "/srv/mycrash/web-12/dmesg", None),
        ("/nfs/*/{host}-2*/", "/nfs/fra/web-12-2026-01-10/dmesg", "web-12"),
        ("/nfs/*/{host}-2*/", "/nfs/fra/x/web-12-2026-01-10/dmesg", None),
        ("/logs/{host}.log", "/logs/web-12.log", "web-12"),
    ],
)
def test_a_path_names_the_host(pattern: str, path: str, host: str | None) -> None:
    """Where the site says so; folders that are dates or addresses are no names."""
    assert HostForm(paths=[pattern]).of_path(path) == host


@pytest.mark.parametrize("pattern", ["/var/crash/", "{host}/{host}/"])
def test_a_path_without_one_place_for_the_host_is_refused(pattern: str) -> None:
    """In words."""
    with pytest.raises(ValueError, match="does not name"):
        HostForm(paths=[pattern])


def only(parser: Parser, value: bytes, source: str = "logs/0", key: bytes | None = None) -> Line:
    """The one line of a record."""
    (line,) = parser.feed(Record(value, source, 1, key), 0)
    assert isinstance(line, Line)
    return line


def test_the_body_comes_before_the_key_the_path_and_the_source() -> None:
    """Each in the one form, but a source that is no name stays a source."""
    parser = Parser(form=HostForm(paths=["/var/crash/{host}/"]))
    syslog = b"Jan  3 10:11:12 WEB-12. kernel: [    1.000000] text"
    path = "/var/crash/DB-1/dmesg"
    assert only(parser, syslog, path, b"other").host == "web-12"
    assert only(parser, b"[    1.000000] text", path, b"OTHER").host == "other"
    assert only(parser, b"[    1.000000] text", path).host == "db-1"
    assert only(parser, b"[    1.000000] text", "/tmp/LOG").host == "/tmp/LOG"
    assert Parser(host="WEB-1.").feed(Record(b"text", "x", 1), 0)[0].host == "web-1"  # type: ignore[union-attr]
    assert parser.spellings.of(["web-12", "db-1"]) == {"web-12", "WEB-12.", "db-1", path}


def test_spellings_are_bounded() -> None:
    """The hosts that were met last, and of each a few."""
    spellings = Spellings()
    for number in range(SPELLINGS_BOUND + 5):
        spellings.note(f"h{number}", f"H{number}")
    for number in range(100):
        spellings.note("h9", f"H9.{number}.")
    assert spellings.of(["h0"]) == {"h0"}
    assert spellings.of(["h99"]) == {"h99", "H99"}
    assert len(spellings.of(["h9"])) == SPELLINGS_OF_ONE + 1
    assert "H9.99." in spellings.of(["h9"])


VMCORE_LINES = [
    b"Jan  3 10:11:12 db-1 vmcore-dmesg: [ 5003.200000] BUG: x",
    b"<133>Jan  3 10:11:12 db-1 vmcore-dmesg: [ 5003.200000] BUG: x",
    b"<133>1 2026-01-03T10:11:12Z db-1 vmcore-dmesg - - - [ 5003.200000] BUG: x",
    (
        b'{"ts":"2026-01-03T10:11:12Z","host":"db-1","syslogtag":"vmcore-dmesg:","priority":133,'
        b'"message":"[ 5003.200000] BUG: x"}'
    ),
]


@pytest.mark.parametrize("value", VMCORE_LINES)
def test_a_tag_is_the_kernel_s_where_the_site_trusts_it(value: bytes) -> None:
    """The log of a vmcore through rsyslog's imfile, facility local0: by setting alone."""
    assert only(Parser(), value).trust == "user"
    line = only(Parser(policy=TrustPolicy(tags=frozenset(["vmcore-dmesg"]))), value)
    assert (line.trust, line.transport, line.kernel_time_us) == ("kernel", VMCORE, 5_003_200_000)
    assert line.text == "BUG: x"


@pytest.mark.parametrize(
    "value",
    [
        b"Jan  3 10:11:12 db-1 vmcore-dmesg[7]: [ 5003.200000] BUG: x",
        b"Jan  3 10:11:12 db-1 vmcore-dmesg2: [ 5003.200000] BUG: x",
        b'{"host":"db-1","syslogtag":"vmcore-dmesg:","container_id":"a","message":"[ 3.2] BUG: x"}',
    ],
)
def test_nothing_near_a_trusted_tag_is_trusted(value: bytes) -> None:
    """A process with that name, another tag, a container's output."""
    assert only(Parser(policy=TrustPolicy(tags=frozenset(["vmcore-dmesg"]))), value).trust == "user"
