from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.release import KernelRelease, status, within


def parsed(text):
    """A release that must parse."""
    found = KernelRelease.parse(text)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "base", "vendor"),
    [
        ("4.14.0-115.el7a.0.1.aarch64", (4, 14, 0), True),
        ("4.19.36-vhulk1907.1.0.h475.eulerosv2r8.aarch64", (4, 19, 36), True),
        ("4.19.90-25.37.v2101.ky10.x86_64", (4, 19, 90), True),
        ("5.4.0-42-generic", (5, 4, 0), True),
        ("4.9.33-v7+", (4, 9, 33), True),
        ("4.19.219", (4, 19, 219), False),
        ("5.9.0-rc1-syzkaller", (5, 9, 0), False),
        ("6.8.0-rc1+", (6, 8, 0), False),
        ("6.13.0-04048-g4f561a87745a", (6, 13, 0), False),
        ("5.10.0-next-20201223", (5, 10, 0), False),
        ("5.13.0-rc7-dirty", (5, 13, 0), False),
        ("6.6.58-talos", (6, 6, 58), False),
        ("6.12.8-arch1-1", (6, 12, 8), False),
        ("6.12.8-arch1-1-frob", (6, 12, 8), True),
        ("6.1.0-28-amd64", (6, 1, 0), True),
    ],
)
def test_vendors_and_plain_releases(text, base, vendor):
    """What the kernel's own build adds is not a vendor's; anything else may carry patches."""
    release = parsed(text)
    assert (release.major, release.minor, release.patch) == base
    assert release.vendor is vendor


def test_order():
    """Candidates come before their release, patch levels in numeric order."""
    texts = [
        "4.9.207",
        "4.9.208",
        "4.14.0",
        "4.19.93-rc1",
        "4.19.93",
        "4.19.219",
        "5.5-rc2",
        "5.5-rc3",
        "5.5",
        "5.10.1",
    ]
    assert sorted(map(parsed, reversed(texts))) == [parsed(text) for text in texts]


@pytest.mark.parametrize("text", ["", "linux", "4", "1234.5", "x4.19", "four.nineteen"])
def test_no_release(text):
    """Text that is no release is None."""
    assert KernelRelease.parse(text) is None


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        ("4.6.7", "before"),
        ("3.10.0-1160.el7.x86_64", "unknown"),
        ("4.7.0", "affected"),
        ("4.9.207", "affected"),
        ("4.9.208", "fixed"),
        ("4.14.0-115.el7a.0.1.aarch64", "vendor"),
        ("4.14.161", "affected"),
        ("4.14.162", "fixed"),
        ("4.18.20", "affected"),
        ("4.18.0-147.el8.x86_64", "vendor"),
        ("4.19.93-rc1", "affected"),
        ("4.19.219", "fixed"),
        ("4.19.219-acme", "vendor-fixed"),
        ("5.3.18-150300.59.93-default", "vendor"),
        ("5.4.7", "affected"),
        ("5.4.8", "fixed"),
        ("5.5.0", "fixed"),
        ("6.1.0-13-amd64", "vendor-fixed"),
        ("4.4.0-210-generic", "unknown"),
        ("4.14.161-talos", "affected"),
        ("5.4.8-arch1-1", "fixed"),
    ],
)
def test_standing_to_the_listener_race(catalogue, kernel, expected):
    """Stable series, mainline, vendors, older kernels."""
    issue = next(issue for issue in catalogue.known_issues if issue.id == "tcp-listener-race")
    assert status(parsed(kernel), issue) == expected
    assert status(None, issue) == "unknown"


@pytest.mark.parametrize(
    ("text", "package", "base"),
    [
        ("6.1.0-28-amd64", "Debian 6.1.119-1", (6, 1, 119)),
        ("4.9.0-7-amd64", "Debian 4.9.110-3+deb9u6", (4, 9, 110)),
        ("6.12.6+bpo-amd64", "Debian 6.12.6-1~bpo12+1", (6, 12, 6)),
        ("6.1.0-28-amd64", "Debian 5.10.209-2", (6, 1, 0)),
        ("6.1.0-28-amd64", "Ubuntu", (6, 1, 0)),
        ("6.1.0-28-amd64", None, (6, 1, 0)),
    ],
)
def test_debians_package_names_the_base(text, package, base):
    """The release stays what `uname -r` says; ranges are compared with what it is built on."""
    release = KernelRelease.of(text, package)
    assert (release.base.major, release.base.minor, release.base.patch) == base
    assert str(release) == text
    assert release.vendor
    assert within(release, "6.1.100", "6.1.120") is (base == (6, 1, 119))


def test_nothing_is_no_release():
    """A package alone names no running kernel."""
    assert KernelRelease.of(None, "Debian 6.1.119-1") is None


def test_debians_base_reaches_the_known_issue(catalogue):
    """Debian's 5.4.8 has the fix though its release says 5.4.0."""
    issue = next(issue for issue in catalogue.known_issues if issue.id == "tcp-listener-race")
    assert status(KernelRelease.of("5.4.0-4-arm64"), issue) == "vendor"
    assert status(KernelRelease.of("5.4.0-4-arm64", "Debian 5.4.19-1"), issue) == "vendor-fixed"


def test_within():
    """The start belongs to a range, the end does not, and a vendor's build counts by its base."""
    assert within(parsed("4.14.0-115.el7a"), "4.4", "5.5")
    assert within(parsed("4.4.0"), "4.4", "5.5")
    assert not within(parsed("5.5.0"), "4.4", "5.5")
    assert within(parsed("6.6"), "4.4", None)


@given(st.text(max_size=40))
def test_any_text(text):
    """Whatever a log puts where a release stands, it is a release or None, and prints again."""
    release = KernelRelease.parse(text)
    assert release is None or KernelRelease.parse(str(release)) == release
