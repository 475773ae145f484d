"""How kernels stand to bugs, against what the records themselves say."""

from __future__ import annotations

import json
import random
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.known import Bug, Fix, standing
from detector.known.cve import Published, published
from detector.release import KernelRelease
from tests.known import oracle
from tests.known.records import numbers, record

SHARED = Path(__file__).parents[3] / "shared" / "data" / "linux-cve-json.tar.xz"
PLAIN = {"affected", "fixed", "before"}
VENDORS = {"vendor", "vendor-fixed", "vendor-before"}
_PATCHES = 400  # more than any stable series has
FLAVOURS = (
    "-28-amd64",  # Debian
    "-112-generic",  # Ubuntu
    "-513.el8.x86_64",  # Red Hat
    "-77.99.amzn2023.x86_64",  # Amazon
)


def bug_of(facts: Published) -> Bug:
    """The bug of a record, without its trace."""
    return Bug(facts.id, facts.subject, facts.main, facts.affected, facts.fixes, facts.files)


def kernels(record: dict, chance: random.Random) -> list[str]:
    """Ten kernels: mainline and stable around the record's own limits, and vendors' builds."""
    fixed = oracle.fixed_releases(record) or [(6, 1, 0)]
    major, minor, patch = chance.choice(fixed)
    before = f"{major}.{minor}.{patch - 1}" if patch else f"{major}.{max(minor - 1, 0)}.0"
    plain = [
        f"{major}.{minor}.0",
        before,
        f"{major}.{minor}.{patch}",
        f"{major}.{minor}.{patch + 1}",
        f"{chance.randint(3, 6)}.{chance.randint(0, 19)}.{chance.randint(0, 250)}",
        f"{chance.randint(4, 7)}.{chance.randint(0, 12)}",
    ]
    base = chance.choice(plain)
    return plain + [base + flavour for flavour in FLAVOURS]


def assert_agrees(record: dict, chance: random.Random) -> int:
    """Holds the verdict of ten kernels against the record; how many were compared."""
    bug = bug_of(published(record))
    names = kernels(record, chance)
    for name in names:
        kernel = KernelRelease.parse(name)
        assert kernel is not None
        found = standing(kernel, bug).status
        base = (kernel.major, kernel.minor, kernel.patch)
        if any(name.endswith(flavour) for flavour in FLAVOURS):
            assert found in VENDORS, (bug.id, name, found)
            series = [base] if base[2] else [(*base[:2], patch) for patch in range(_PATCHES)]
            affected = any(oracle.is_affected(record, one) for one in series)
            assert (found == "vendor") == affected, (bug.id, name, found)
            continue
        affected = oracle.is_affected(record, base)
        assert found in PLAIN, (bug.id, name, found)
        assert (found == "affected") == affected, (bug.id, name, found)
        fixed = any(
            base[:2] == one[:2] and base >= one if one[2] else base >= one
            for one in oracle.fixed_releases(record)
        )
        assert affected or (found == "fixed") == fixed or bug.affected == (), (bug.id, name, found)
    return len(names)


releases = st.tuples(st.integers(3, 6), st.integers(0, 19), st.integers(1, 200))


@given(
    since=st.tuples(st.integers(3, 4), st.integers(0, 19)),
    stable=st.lists(releases, max_size=5, unique_by=lambda one: one[:2]),
    local=st.lists(
        st.tuples(st.integers(0, 19), st.integers(1, 99), st.integers(1, 99)), max_size=3
    ),
    seed=st.integers(),
)
def test_any_record_is_read_as_it_is_written(since, stable, local, seed):
    """Made-up records of every shape: no verdict differs from the record's own entries."""
    made = record(
        since=".".join(map(str, since)),
        stable=[".".join(map(str, one)) for one in stable],
        mainline="6.20",
        local=[(f"3.{minor}.{low}", f"3.{minor}.{low + more}") for minor, low, more in local],
    )
    assert assert_agrees(made, random.Random(seed)) == 10


@pytest.mark.skipif(not SHARED.exists(), reason="needs the published records")
def test_published_records_are_read_as_they_are_written():
    """Two hundred of the kernel's own records, ten kernels each."""
    with tarfile.open(SHARED) as archive:
        names = sorted(name for name in archive.getnames() if name.endswith(".json"))
    chosen = set(random.Random(len(names)).sample(names, 200))
    with tarfile.open(SHARED) as archive:
        found = [
            json.load(file)
            for member in archive
            if member.name in chosen and (file := archive.extractfile(member))
        ]
    chance = random.Random(7)
    assert sum(assert_agrees(one, chance) for one in found) == 2000


BUG = bug_of(published(record(since="5.4", stable=["5.10.50", "6.1.20"], mainline="6.5")))


@pytest.mark.parametrize(
    ("kernel", "status", "fix"),
    [
        ("5.3.18", "before", "6.5"),
        ("5.4.200", "affected", "6.5"),
        ("5.10.49", "affected", "5.10.50"),
        ("5.10.50", "fixed", "5.10.50"),
        ("6.1.19", "affected", "6.1.20"),
        ("6.5", "fixed", "6.5"),
        ("6.9.4", "fixed", "6.5"),
        ("6.5.0-rc3", "development", "6.5"),
        ("5.4.0-rc3", "development", "6.5"),
        ("5.3.0+", "development", "6.5"),
        ("5.3.0-syzkaller-00001-gdeadbee", "development", "6.5"),
        ("6.4.0-rc2-next-20230601", "development", "6.5"),
        ("6.1.20-rc1", "development", "6.1.20"),
        ("6.1.19+", "affected", "6.1.20"),
        ("6.1.0-28-amd64", "vendor", "6.1.20"),
        ("6.1.119-1-custom", "vendor-fixed", "6.1.20"),
        ("6.1.119-talos", "fixed", "6.1.20"),
        ("6.1.7-arch1-1", "affected", "6.1.20"),
        ("6.5.0-1029-oem", "vendor-fixed", "6.5"),
        ("4.18.0-513.el8.x86_64", "vendor-before", "6.5"),
    ],
)
def test_each_sort_of_kernel(kernel, status, fix):
    """A plain release, a build from git, a vendor's: what is said, and which fix is the nearest."""
    found = standing(KernelRelease.parse(kernel), BUG)
    assert (found.status, found.fix and found.fix.release) == (status, fix)


@pytest.mark.parametrize(
    ("kernel", "package", "status"),
    [
        ("6.1.0-28-amd64", "Debian 6.1.119-1", "vendor-fixed"),
        ("6.1.0-3-amd64", "Debian 6.1.8-1", "vendor"),
        ("6.1.0-0.deb11.17-amd64", "Debian 6.1.69-1~bpo11+1", "vendor-fixed"),
        ("6.1.0-28-amd64", None, "vendor"),
        ("6.1.0-28-amd64", "Debian 5.10.46-4", "vendor"),
        ("6.1.0-28-amd64", "Debian sid", "vendor"),
        ("nonsense", "Debian 6.1.119-1", "unknown"),
        (None, None, "unknown"),
    ],
)
def test_a_package_tells_the_base(kernel, package, status):
    """Debian names a series' kernels 6.1.0-N; the package behind it has the stable release. It
    proves nothing by itself, and one of another series is not believed.
    """
    assert standing(KernelRelease.of(kernel, package), BUG).status == status


def test_a_series_that_got_the_bug_later_has_it():
    """A backport brought it to 4.19.100: a name without a patch number may stand for that."""
    bug = bug_of(published(record(local=[("4.19.100", "4.19.120")])))
    statuses = [
        standing(KernelRelease.parse(name), bug).status
        for name in ("4.19.0-5-amd64", "4.19.5-1-custom", "4.19.110-1-custom", "4.18.0-5-amd64")
    ]
    assert statuses == ["vendor", "vendor-before", "vendor", "vendor-before"]


def test_what_is_not_known_is_said():
    """No release, or a record without any."""
    assert standing(None, BUG).status == "unknown"
    assert standing(KernelRelease.parse("6.1.2"), Bug("CVE-2024-1", "")).status == "unknown"


def test_a_fix_without_a_beginning_is_known_to_be_there():
    """A commit that names no culprit: releases with the fix are fixed, of others nothing is
    known.
    """
    bug = Bug("0123456789ab", "", fixes=(Fix("6.1.20"), Fix("6.5")))
    statuses = [
        standing(KernelRelease.parse(name), bug).status for name in ("6.1.21", "6.1.19", "6.6")
    ]
    assert statuses == ["fixed", "unknown", "fixed"]


def test_order_of_releases_in_records_is_no_matter():
    """Versions are compared as numbers, not as text."""
    assert numbers("6.10") > numbers("6.9")
    facts = published(record(stable=["6.1.9", "6.1.10"], mainline="6.10"))
    assert [fix.release for fix in facts.fixes] == ["6.1.9", "6.1.10", "6.10"]
