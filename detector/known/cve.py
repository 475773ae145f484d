"""Reads a CVE record (JSON 5) of the Linux kernel into facts.

In: the parsed JSON of one record, as the kernel's CVE team publishes it and as cvelistV5 carries
it. Out: `Published` facts and the text in which a trace may stand. A record that is none of the
kernel's, or not published, or not of this form raises `UnusableError` with the reason to count it
by.

The ranges: an entry for product Linux with defaultStatus "affected" names the release that brought
the bug and those from which on it is fixed; one with defaultStatus "unaffected" names intervals in
stable series that got the bug by a backport. Commits stand in entries of versionType "git", in the
order of the releases.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from detector.known.bug import Fix
from detector.known.releases import merged, spelled
from detector.lazy_regex import lazy_regex
from detector.release import KernelRelease

_CVE = lazy_regex(r"CVE-\d{4}-\d{4,19}")
_COMMIT = lazy_regex(r"[0-9a-f]{12,64}")
_NUMBERS = lazy_regex(r"\d{1,3}(?:\.\d{1,3}){1,3}(?:-rc\d{1,2})?")
_NEVER = KernelRelease(999, 0)
_SHORT = 12  # characters of a commit hash that are kept: unique among the kernel's 1.4 million
_LONGEST_SUBJECT = 240


class UnusableError(ValueError):
    """A record that yields no bug; the text is the reason, the same for all such records."""


@dataclass(frozen=True, slots=True)
class Published:
    """The publication of one fixed bug, and the prose that may hold its trace."""

    id: str
    subject: str
    main: str | None
    affected: tuple[tuple[str, str], ...]
    fixes: tuple[Fix, ...]
    files: tuple[str, ...]
    text: str


def published(record: object) -> Published:
    """The facts of one record."""
    if not isinstance(record, Mapping) or record.get("dataType") != "CVE_RECORD":
        raise UnusableError("not a CVE record")
    meta, cna = record.get("cveMetadata"), _at(record, "containers", "cna")
    if not isinstance(meta, Mapping) or not _CVE.fullmatch(str(meta.get("cveId"))):
        raise UnusableError("no CVE id")
    if meta.get("state") != "PUBLISHED":
        raise UnusableError("not published (rejected or reserved)")
    if not isinstance(cna, Mapping):
        raise UnusableError("no container of the issuer")
    entries = [entry for entry in _rows(cna, "affected") if _is_linux(entry)]
    if not entries:
        raise UnusableError("not about the Linux kernel")
    affected, fixes, main = _history(entries)
    return Published(
        id=str(meta["cveId"]),
        subject=subject_line(str(cna.get("title") or "")),
        main=main,
        affected=affected,
        fixes=fixes,
        files=tuple(sorted({name for entry in entries for name in _names(entry)})),
        text="\n".join(
            str(row.get("value", ""))
            for row in _rows(cna, "descriptions")
            if str(row.get("lang", "en")).startswith("en")
        ),
    )


def subject_line(text: str) -> str:
    """A commit's subject: one printable line, bounded."""
    kept = "".join(char if char.isprintable() else " " for char in text[:_LONGEST_SUBJECT])
    return " ".join(kept.split())


def _at(value: object, *path: str) -> object:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _rows(value: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    rows = value.get(name)
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def _is_linux(entry: Mapping[str, Any]) -> bool:
    return entry.get("vendor") == "Linux" and entry.get("product") == "Linux"


def _names(entry: Mapping[str, Any]) -> Iterator[str]:
    names = entry.get("programFiles")
    for name in names if isinstance(names, list) else ():
        if isinstance(name, str) and re.fullmatch(r"[\w./+,@ -]{1,200}", name):
            yield name


def _history(
    entries: Sequence[Mapping[str, Any]],
) -> tuple[tuple[tuple[str, str], ...], tuple[Fix, ...], str | None]:
    """The affected intervals, the fixes with their commits, and mainline's commit."""
    ranges: list[tuple[KernelRelease, KernelRelease]] = []
    fixed: set[KernelRelease] = set()
    commits: list[str] = []
    for entry in entries:
        rows = _rows(entry, "versions")
        commits += [str(row["lessThan"]) for row in rows if _is_commit_range(row)]
        spans, ends = _numbers(entry.get("defaultStatus") == "affected", rows)
        ranges += spans
        fixed |= ends
    commits = [commit for commit in dict.fromkeys(commits) if _COMMIT.fullmatch(commit)]
    commits = [commit[:_SHORT] for commit in commits]
    return (
        tuple(merged(ranges)),
        _paired(sorted(fixed), commits),
        commits[-1] if commits else None,
    )


def _paired(releases: Sequence[KernelRelease], commits: Sequence[str]) -> tuple[Fix, ...]:
    """Fixed releases and commits stand in the same order, mainline last; where their numbers do
    not agree, only mainline's pair is certain. A bug that lived in release candidates only has a
    commit in mainline and no release there.
    """
    mainline = bool(releases) and not releases[-1].patch
    if not mainline and len(commits) == len(releases) + 1:
        commits = commits[:-1]
    pairs: list[str | None] = [None] * len(releases)
    if len(commits) == len(releases):
        pairs = list(commits)
    elif mainline and commits:
        pairs[-1] = commits[-1]
    return tuple(
        Fix(spelled(release), commit) for release, commit in zip(releases, pairs, strict=True)
    )


def _is_commit_range(row: Mapping[str, Any]) -> bool:
    return row.get("versionType") == "git" and row.get("status") == "affected" and "lessThan" in row


def _numbers(
    everywhere: bool, rows: Sequence[Mapping[str, Any]]
) -> tuple[list[tuple[KernelRelease, KernelRelease]], set[KernelRelease]]:
    """The affected intervals that one entry names by release numbers, and where fixes end them."""
    if not everywhere:
        ranges = [
            (since, until)
            for row in rows
            if row.get("versionType") == "semver" and row.get("status") == "affected"
            if (since := _release(row.get("version"))) and (until := _release(row.get("lessThan")))
        ]
        return ranges, {until for _, until in ranges if until.patch and until.major > 2}
    sound: list[tuple[KernelRelease, KernelRelease]] = []
    fixed: set[KernelRelease] = set()
    for row in rows:
        if row.get("versionType") == "git" or row.get("status") != "unaffected":
            continue
        since, until = _release(row.get("version")), _end(row)
        if since is None or until is None:
            continue
        sound.append((since, until))
        if since > KernelRelease(0, 0) and "lessThanOrEqual" in row:
            fixed.add(since)
    return between(sound) if rows else [], fixed


def between(
    sound: Sequence[tuple[KernelRelease, KernelRelease]],
) -> list[tuple[KernelRelease, KernelRelease]]:
    """Returns what lies between the intervals without the bug: the releases with it."""
    spans: list[tuple[KernelRelease, KernelRelease]] = []
    reached = KernelRelease(0, 0)
    for since, until in sorted(sound):
        if since > reached:
            spans.append((reached, since))
        reached = max(reached, until)
    return [*spans, (reached, _NEVER)] if reached < _NEVER else spans


def _end(row: Mapping[str, Any]) -> KernelRelease | None:
    """Returns where an unaffected interval ends: `lessThan`, or behind `lessThanOrEqual`
    (5.10.*, *).
    """
    if "lessThan" in row:
        return _release(row["lessThan"])
    last = str(row.get("lessThanOrEqual", ""))
    if last == "*":
        return _NEVER
    series = _release(last.removesuffix(".*")) if last.endswith(".*") else None
    return KernelRelease(series.major, series.minor + 1) if series is not None else None


def _release(text: object) -> KernelRelease | None:
    """A release as the records write it: "5.10.36", "6.12", "0"; None for the four parts of
    2.6.39.2, of which only mainline's three are compared.
    """
    if text == "0":
        return KernelRelease(0, 0)
    if not _NUMBERS.fullmatch(str(text)):
        raise UnusableError("releases in a form that is not known")
    release = KernelRelease.parse(str(text))
    return release if release is not None and not release.suffix else None
