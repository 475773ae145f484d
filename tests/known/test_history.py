"""Known bugs where the history is read: lists, filters, incidents, hosts, pages, alerts; a newer
index names old crashes, also those that a running server shows.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from detector.alert.subject import known_bug_of, subject_of
from detector.app.known import history_of
from detector.cli import terminal
from detector.known import Bug
from detector.known.words import checks
from detector.settings import Settings
from detector.store import open_history
from detector.store.query.filters import Filter, FilterError, parse
from tests.known.fleet import FIX, HOSTS, fleet, oops, records
from tests.support.shipped import shipped
from tests.support.visiting import client_of

BUG = "CVE-2024-00007"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A history that knows no bug, and records to be read."""
    path = tmp_path_factory.mktemp("known")
    fleet(path)
    records(path)
    return path


@pytest.fixture(scope="module")
def known(folder):
    """The same with an index beside it."""
    update(folder)
    return folder / "history.db"


def update(folder: Path) -> None:
    """Reads the records into the index of the folder's history."""
    oops(
        "known", "update", "--from", folder / "records", "--fewer", "--store", folder / "history.db"
    )


def reading(path: Path):
    """The history with the index that is beside it."""
    return history_of(Settings.model_validate({"store": {"path": str(path)}}), terminal.say_fault)


def test_an_index_that_comes_later_names_old_crashes(tmp_path):
    """A server goes on running: before there is nothing, after the update names, no restart."""
    path = fleet(tmp_path)
    client = client_of(path)

    def seen() -> list[str]:
        rows = client.get("/api/v1/problems").json()["problems"]
        return [bug["id"] for row in rows for bug in row["known_bugs"]]

    assert seen() == []
    records(tmp_path)
    update(tmp_path)
    assert seen() == [BUG]
    records(tmp_path, files=["arch/x86/demo/pump.c"])
    update(tmp_path)
    assert seen() == []  # the fix is said to be one of another architecture now
    index = tmp_path / "known-bugs.zst"
    index.write_bytes(b"damaged")
    os.utime(index, ns=(1, 1))
    assert seen() == []  # the shipped index takes its place, and knows no demo driver


def test_an_incident_tells_why(known):
    """Id, how sure, how many frames, the fix of the host's own series, a sentence."""
    identity = next(row.id for row in reading(known).search(Filter()).rows if row.host == "db-1")
    item = json.loads(oops("incidents", "show", identity, "--json", "--store", known).output)
    (bug,) = item["known_bugs"]
    assert {name: bug[name] for name in ("id", "subject", "confidence", "status", "fixed_in")} == {
        "id": BUG,
        "subject": FIX,
        "confidence": "likely",
        "status": "affected",
        "fixed_in": "6.1.20",
    }
    assert bug["common"] == bug["of"] >= 5
    assert bug["standing"].startswith("6.1.7 has the bug (it came with 5.4); fixed in 6.1.20 by ")
    said = oops("incidents", "show", identity, "--store", known).output
    assert f"known bug   {BUG} (likely): {FIX}; fixed in 6.1.20" in said


def test_lists_show_it(known):
    """On the command line beside the count, in the API as an object."""
    said = oops("problems", "list", "--store", known).output
    assert BUG in said
    rows = client_of(known).get("/api/v1/problems").json()["problems"]
    assert [bug["fixable"] for row in rows for bug in row["known_bugs"]] in ([True], [False])


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--known", "any"], 1),
        (["--known", "likely"], 1),
        (["--known", BUG], 1),
        (["--known", BUG.lower()], 1),
        (["--known", "dead"], None),
        (["--known", "CVE-2024-50126"], 0),
        (["--known", "0" * 40], 0),
        (["--known", "any", "--host", "db-1"], 1),
        (["--known", "any", "--host", "web-*"], 0),
        (["--known", "any", "--problem", "1:0"], 0),
        (["--fixable", "no"], None),
    ],
)
def test_the_filters(known, options, found):
    """Problems by a bug, by any, by its commit; a word that is none is refused with what may stand
    there.
    """
    if found is None:
        assert (
            f"{options[0]}: " in oops("problems", "list", *options, "--store", known, code=2).output
        )
        return
    lines = oops("problems", "list", *options, "--json", "--store", known).output.splitlines()
    assert len(lines) == found
    incidents = oops("incidents", "list", *options, "--json", "--store", known).output.splitlines()
    assert bool(incidents) == bool(found)


def test_fixable_is_said_of_plain_releases(tmp_path):
    """Where the latest crash was on 6.1.7, 6.1.20 mends it; without a fix in 6.1 nothing does."""
    path = fleet(tmp_path)
    for stable, found in ((["6.1.20"], {"6.1.7": 1}), (["5.10.9"], {})):
        records(tmp_path, stable=stable)
        update(tmp_path)
        rows = reading(path).problems(Filter(fixable=("yes",))).rows
        latest = {
            bug.status: bug.fixable
            for row in reading(path).problems(Filter()).rows
            for bug in row.known_bugs
        }
        assert len(rows) == sum(latest.values()) <= 1
        if not found:
            assert rows == []


def test_a_filter_without_an_index_is_refused(known):
    """Nothing is left out in silence."""
    with pytest.raises(FilterError, match="no index"):
        open_history(known).problems(Filter(known=("any",)))
    with pytest.raises(FilterError, match="neither any, likely"):
        parse({"known": ["CVE-1"]}, 0)


def test_hosts_by_how_their_kernels_stand(known):
    """Affected, fixed, a vendor's of which nobody knows, with the command that tells."""
    said = oops("known", "hosts", BUG, "--store", known).output
    assert "has the bug: 2 hosts" in said
    assert "6.1.7: db-1, db-2" in said
    assert "has the fix: 1 host" in said
    assert "cannot be told: a vendor's build of a series with the bug: 1 host" in said
    assert f"on the host: its changelog tells: zgrep -hF -e {BUG}" in said
    items = [
        json.loads(line)
        for line in oops("known", "hosts", BUG, "--json", "--store", known).output.splitlines()
    ]
    assert {item["host"]: item["status"] for item in items} == {
        "db-1": "affected",
        "db-2": "affected",
        "deb-1": "vendor",
        "new-1": "fixed",
    }


BUILDS = {
    # host: (release, what the banner prints after the compiler, how it stands)
    "deb-old": ("6.1.0-1-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.4-1 (2023-01-07)", "vendor"),
    "deb-new": (
        "6.1.0-28-amd64",
        "#1 SMP PREEMPT_DYNAMIC Debian 6.1.119-1 (2024-11-22)",
        "vendor-fixed",
    ),
    "ubuntu": (
        "6.1.0-1036-oem",
        "#36-Ubuntu SMP PREEMPT_DYNAMIC Thu May 2 (Ubuntu 6.1.0-1036.36-oem 6.1.90)",
        "vendor-fixed",
    ),
    "bare": ("6.1.0-28-amd64", "#1 SMP PREEMPT_DYNAMIC", "vendor"),
    "foreign": ("6.1.0-28-amd64", "#1 SMP Debian 5.10.9-1", "vendor"),
}


def test_a_package_tells_the_base_of_its_kernel(tmp_path):
    """Where the banner names it; else the whole series counts, and the command tells."""
    path = fleet(tmp_path)
    records(tmp_path)
    update(tmp_path)
    log = tmp_path / "banners.log"
    log.write_text(
        "".join(
            f"Nov  2 10:00:00 {host} kernel: [    0.000000] Linux version {release} "
            f"(debian-kernel@lists.debian.org) (gcc-12 (Debian 12.2.0-14) 12.2.0) {build}\n"
            for host, (release, build, _) in BUILDS.items()
        )
    )
    oops("scan", "--store", path, log)
    lines = oops("known", "hosts", BUG, "--json", "--store", path).output.splitlines()
    items = {item["host"]: item for item in map(json.loads, lines)}
    assert {host: items[host]["status"] for host in BUILDS} == {
        host: status for host, (_, _, status) in BUILDS.items()
    }
    assert (items["deb-new"]["kernel"], items["deb-new"]["package"]) == (
        "6.1.0-28-amd64",
        "Debian 6.1.119-1",
    )
    assert items["bare"]["package"] is None
    said = oops("known", "hosts", BUG, "--store", path).output
    assert "6.1.0-28-amd64 (Debian 6.1.119-1): deb-new" in said
    assert "6.1.0-1036-oem (Ubuntu 6.1.0-1036.36-oem 6.1.90): ubuntu" in said
    assert "6.1.0-28-amd64: bare, deb-1" in said


def test_each_sort_of_package_has_its_command():
    """One command for Red Hat's and SUSE's kernels, one for Debian's and Ubuntu's."""
    kernels = ("5.14.0-503.el9.x86_64", "6.1.0-28-amd64", "6.4.0-150600.21-default")
    rpm, dpkg = checks(Bug(BUG, FIX), kernels).items()
    assert "rpm -q --changelog kernel" in rpm[0]
    assert rpm[1] == [kernels[0], kernels[2]]
    assert "zgrep" in dpkg[0]
    assert dpkg[1] == [kernels[1]]


def test_hosts_are_named_for_crashes_that_were_seen(known, folder):
    """A bug that no crash looks like names nobody: a list of missing fixes helps no one."""
    (folder / "records" / "8.json").write_text(
        (folder / "records" / "7.json")
        .read_text()
        .replace("00007", "00008")
        .replace("demo_", "other_")
    )
    update(folder)
    done = oops("known", "hosts", "CVE-2024-00008", "--store", known, code=1)
    assert "no crash of this history looks like it" in done.output


def test_the_record_names_the_problems(known):
    """`known CVE` leads to what was seen here."""
    (fingerprint,) = {row.fingerprint for row in reading(known).problems(Filter()).rows}
    assert f"problem    {fingerprint}" in oops("known", BUG, "--store", known).output
    item = json.loads(oops("known", BUG, "--json", "--store", known).output)
    assert item["problems"] == [fingerprint]


def test_pages(known):
    """The incident's, the problem's with its hosts, the list and its filter."""
    client = client_of(known)
    listed = client.get("/problems?known=any")
    assert listed.status_code == 200
    assert f'<a href="/problems?known={BUG}">{BUG}</a>' in listed.text
    assert "Nothing matches" in client.get("/problems?known=CVE-2024-99999").text
    assert client.get("/problems?known=nonsense").status_code == 422
    (row,) = client.get("/api/v1/problems").json()["problems"]
    problem = client.get(f"/problems/{row['fingerprint']}").text
    assert "Known bug" in problem
    assert f"Who runs a kernel with {BUG}" in problem
    assert "db-1, db-2" in problem
    incident = client.get("/api/v1/incidents?known=likely").json()["incidents"][0]["id"]
    page = client.get(f"/incidents/{incident}").text
    assert FIX in page
    assert "calls from the guilty function on are the same" in page


def test_alerts_tell_what_is_likely(known):
    """One line; nothing of what is only possible."""
    history = reading(known)
    row = next(row for row in history.search(Filter()).rows if row.host == "db-1")
    subject = subject_of(history, shipped(), row.id)
    assert subject.known_bug == f"{BUG} (likely): {FIX}; fixed in 6.1.20"
    (bug,) = history.incident(row.id).known_bugs
    assert known_bug_of([]) is None
    possible = type(bug)(
        **{name: getattr(bug, name) for name in bug.__slots__} | {"confidence": "possible"}
    )
    assert known_bug_of([possible]) is None
    assert known_bug_of([bug, bug]) == f"{BUG} or {BUG} (likely one of them)"


def test_scan_and_explain_tell_it(known, tmp_path):
    """Without a history, by the index that the settings name."""
    settings = tmp_path / "own.toml"
    settings.write_text(f'[known]\nindex = "{known.parent / "known-bugs.zst"}"\n')
    log = known.parent / "kern.log"
    items = [
        json.loads(line)
        for line in oops("scan", "--json", log, "--config", settings, code=1).output.splitlines()
    ]
    incidents = [item for item in items if item["type"] == "incident"]
    assert len(incidents) == len(HOSTS)
    assert all(item["known_bugs"][0]["id"] == BUG for item in incidents)
    reports = [item for item in items if item["type"] == "match" and "report" in item]
    assert all(item["known_bugs"][0]["id"] == BUG for item in reports)
    said = oops("scan", log, "--config", settings, code=1).output
    assert f"known bug   {BUG} (likely): {FIX}" in said
    said = oops("explain", log, "--config", settings).output
    assert "KNOWN BUG" in said
    assert f"It looks like {BUG}" in said


def test_faults_tell_it(known):
    """A fault's page and object, and the list's filter."""
    client = client_of(known)
    rows = client.get(f"/api/v1/faults?known={BUG}").json()["faults"]
    assert len(rows) == len(HOSTS)
    item = client.get(f"/api/v1/faults/{rows[0]['id']}").json()
    assert item["explanation"]["known_bugs"][0]["id"] == BUG
    assert FIX in client.get(f"/faults/{rows[0]['id']}").text
    said = oops("faults", "show", rows[0]["id"], "--store", known).output
    assert f"known bug   {BUG} (likely)" in said
