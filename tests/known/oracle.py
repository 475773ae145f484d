"""What a CVE record says of a kernel release, read from its version entries alone.

Written after the CVE record format's rules (docs/versions.md of cve-schema): the first entry that
holds a release decides, else `defaultStatus`; a product that is named twice is affected if either
says so. It shares no code with what it proves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Release = tuple[int, int, int]


def release(text: str) -> Release | None:
    """The numbers (6, 1, 20) of "6.1.20"; None for the four numbers of 2.6.39.1."""
    parts = [int(part) for part in text.split(".")]
    return None if len(parts) > 3 else (*parts, 0, 0)[:3]  # type: ignore[return-value]


def is_affected(record: Mapping[str, Any], kernel: Release) -> bool:
    """Whether the record calls this release affected."""
    return any(
        _status(entry, kernel) == "affected"
        for entry in record["containers"]["cna"]["affected"]
        if _numbered(entry)
    )


def names_releases(record: Mapping[str, Any]) -> bool:
    """Whether the record speaks of releases at all."""
    return any(_numbered(entry) for entry in record["containers"]["cna"]["affected"])


def fixed_releases(record: Mapping[str, Any]) -> list[Release]:
    """The releases from which on the record calls a series, or everything, sound; an interval
    that ends within its series ends with a fix.
    """
    ends = [
        row["version"] if "lessThanOrEqual" in row else row["lessThan"]
        for entry in record["containers"]["cna"]["affected"]
        for row in _numbered(entry)
        if (row["status"] == "unaffected" and "lessThanOrEqual" in row)
        or (row["status"] == "affected" and row.get("lessThan", "").count(".") == 2)
    ]
    found = map(release, ends)
    return [one for one in found if one is not None and one[0] > 2]


def _numbered(entry: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return [row for row in entry.get("versions", ()) if row.get("versionType") != "git"]


def _status(entry: Mapping[str, Any], kernel: Release) -> str:
    for row in _numbered(entry):
        if _holds(row, kernel):
            return str(row["status"])
    return str(entry["defaultStatus"])


def _holds(row: Mapping[str, Any], kernel: Release) -> bool:
    low = release(row["version"])
    if low is None:
        return False
    if "lessThan" in row:
        high = release(row["lessThan"])
        return high is not None and low <= kernel < high
    if "lessThanOrEqual" in row:
        last = row["lessThanOrEqual"]
        if last == "*":
            return low <= kernel
        major, minor, _ = last.split(".") if last.count(".") == 2 else (*last.split(".")[:1], 0, 0)
        if last.count(".") == 1:  # "2.*"
            return low <= kernel and kernel[0] == int(major)
        return low <= kernel and kernel[:2] == (int(major), int(minor))
    return kernel == low
