"""Simulated fleets through the whole pipeline: whatever the format and however it arrives, exactly
the true incidents and noise counts.
"""

import json

import pytest
from click.testing import CliRunner

from detector.cli import oopswatch
from detector.simulate import (
    CLOCKS,
    DELIVERIES,
    FORMATS,
    NO_WALL_CLOCK,
    SimulationPlan,
    compare,
    halves_apart,
    records,
    render,
    simulate,
    to_folder,
)
from detector.simulate.clocks import DOMAIN

PLAN = SimulationPlan(
    seed=4,
    hosts=24,
    lines=9_000,
    incidents=12,
    noise_share=0.02,
    half_signatures=9,
    reboots=2,
    forged=5,
    far_pairs=3,
)
FLEETS = {name: simulate(PLAN) for name in FORMATS}
REPEATED = ("duplicated", "twice")  # lines that come again are counted again: noise is not compared


def scan(*arguments):
    """What `oopswatch scan --json` says, by type."""
    result = CliRunner().invoke(
        oopswatch, ["scan", "--json", *map(str, arguments)], catch_exceptions=False
    )
    assert result.exit_code == 1, result.output
    said = {"match": [], "incident": [], "noise": [], "summary": []}
    for line in result.stdout.splitlines():
        item = json.loads(line)
        said[item["type"]].append(item)
    return said


def agree(truth, said, *, noise=True):
    """Exactly the true incidents, nothing unparsed, and the noise to the last count."""
    comparison = compare(truth, said["incident"], said["noise"] if noise else None)
    assert comparison.missed == ()
    assert comparison.false == ()
    assert comparison.noise == {}
    assert said["summary"][0]["unparsed"] == 0


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_in_order(name, tmp_path):
    """A file a host, in the order written: all incidents, nothing else, the noise counted
    exactly.
    """
    fleet = FLEETS[name]
    to_folder(records(fleet, format=name), tmp_path / "fleet")
    agree(fleet.truth, scan(tmp_path / "fleet"))


@pytest.mark.parametrize("name", ["journald", "rsyslog", "rfc3164", "rfc5424"])
@pytest.mark.parametrize("delivery", sorted(set(DELIVERIES) - {"in-order"}))
def test_order_of_arrival_never_matters(name, delivery, tmp_path):
    """Jitter, late hosts, clocks ahead, duplicates, everything twice: the same incidents."""
    fleet = FLEETS[name]
    to_folder(records(fleet, format=name, delivery=delivery), tmp_path / "fleet")
    agree(fleet.truth, scan(tmp_path / "fleet"), noise=delivery not in REPEATED)


@pytest.mark.parametrize("name", ["journald", "rsyslog", "rfc3164-wall"])
@pytest.mark.parametrize("delivery", ["in-order", "late-hosts"])
def test_all_hosts_in_one_file(name, delivery, tmp_path):
    """One stream of the whole fleet, as a log server keeps it."""
    fleet = FLEETS[name]
    path = tmp_path / "fleet.log"
    path.write_bytes(
        b"".join(record + b"\n" for _, record in records(fleet, format=name, delivery=delivery))
    )
    agree(fleet.truth, scan(path))


@pytest.mark.parametrize("name", sorted(NO_WALL_CLOCK))
@pytest.mark.parametrize("delivery", ["jitter", "duplicated", "twice"])
def test_kernel_time_without_wall_time(name, delivery, tmp_path):
    """The kernel's clock alone is enough, also when lines overtake each other or come twice."""
    fleet = FLEETS[name]
    to_folder(records(fleet, format=name, delivery=delivery), tmp_path / "fleet")
    agree(fleet.truth, scan(tmp_path / "fleet"), noise=delivery not in REPEATED)


@pytest.mark.parametrize("name", ["journald", "rsyslog", "rfc3164"])
@pytest.mark.parametrize("first", [0, 1])
def test_halves_in_two_files_read_on_two_days(name, first, tmp_path):
    """One half is read today and kept in the history, the other tomorrow, in either order: the
    second day finds every incident.
    """
    fleet = FLEETS[name]
    days = halves_apart(fleet.entries(), fleet.truth)
    store = tmp_path / "fleet.db"
    for number, entries in enumerate((days[first], days[1 - first])):
        folder = tmp_path / f"day-{number}"
        to_folder(render(entries, name), folder)
        said = scan("--store", store, folder)
        if number == 0:
            assert said["incident"] == []
    agree(fleet.truth, said, noise=False)


def test_nothing_but_what_was_planted_is_matched(tmp_path):
    """Ordinary lines match no signature: every fault that is told was planted, as a half or inside
    a planted block.
    """
    fleet = FLEETS["rsyslog"]
    to_folder(records(fleet, format="rsyslog"), tmp_path / "fleet")
    planted = {(entry.host.name, entry.kernel_us, entry.text) for entry in fleet.planted}
    matches = scan(tmp_path / "fleet")["match"]
    assert {(match["host"], match["kernel_time_us"], match["text"]) for match in matches} <= planted
    halves = [half for one in (*fleet.truth.incidents, *fleet.truth.decoys) for half in one.halves]
    told = {match["text"] for match in matches}
    forged = {
        half.text
        for one in fleet.truth.decoys
        if one.kind.startswith("forged-") and one.kind != "forged-comm"
        for half in one.halves
    }
    assert {half.text for half in halves} - told == forged


# What a format must tell for a case to be one: a name in its lines, a boot id, the kernel's time.
CLOCKED = {
    "ntp": ("rsyslog", "rfc3164"),
    "paused": ("journald", "rfc5424"),
    "daylight-saving": ("rfc3164", "vector"),
    "local-time": ("rsyslog", "fluent-bit"),
    "no-battery": ("rfc3164", "rfc5424"),
    "named-late": ("journald",),
    "spelled": ("rsyslog", "rfc3164"),
    "late-dumps": ("rfc5424", "rsyslog"),
    "rounded-copies": ("rsyslog", "dmesg"),
}


@pytest.mark.parametrize(
    ("clock", "name"), [(clock, name) for clock, names in CLOCKED.items() for name in names]
)
def test_clocks_names_and_dumps_never_matter(clock, name, tmp_path, monkeypatch):
    """Whatever lies between the halves of a pair: the same incidents, one stream for all hosts."""
    assert set(CLOCKED) == set(CLOCKS) - {"right"}
    monkeypatch.setenv("OOPSWATCH_HOSTS_DOMAINS", DOMAIN)
    fleet = FLEETS[name]
    shipped = list(records(fleet, format=name, clock=clock))
    if name in NO_WALL_CLOCK:
        to_folder(shipped, tmp_path / "fleet")
    else:
        (tmp_path / "fleet").write_bytes(b"".join(record + b"\n" for _, record in shipped))
    agree(fleet.truth, scan(tmp_path / "fleet"), noise=False)
