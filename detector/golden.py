"""Golden cases: folders of one log and what a scan of it must say, run by the project's
tests and by `oopswatch patterns test FOLDER`.

In: folders that hold `expected.json` and a log (`log`, or `log` with any extension), and a way to
scan. Out: the differences, as lines that people can read. A case gives incidents, matches and
noise, each list exact in number and order, each item by the keys that matter. How a log is scanned,
and against which catalogue, is the caller's business.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detector.errors import UserError
from detector.parse import FORMATS
from detector.render.objects import Item

EXPECTED = "expected.json"
LISTS = {"incidents": "incident", "matches": "match", "noise": "noise"}
OPTIONS = frozenset({"host", "format", "timezone"})
_SHOWN = 100
# What a new item is expected by; an item that stands in the file keeps its keys.
_KEYS = {
    "incidents": ("rule", "host", "gap_us", "function"),
    "matches": ("signature", "function"),
    "noise": ("process", "signature", "count"),
}

Scan = Callable[[Path, Mapping[str, str]], Sequence[Item]]


class CaseError(UserError):
    """A case that cannot be run, in one line that says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class GoldenCase:
    """One golden case: why it is there, its log, the options of the scan, and the items that
    must come out, by list.
    """

    why: str
    log: Path
    options: Mapping[str, str] = field(default_factory=dict)
    expected: Mapping[str, Sequence[Item]] = field(default_factory=dict)


def case_folders(folder: Path) -> list[Path]:
    """The folders from `folder` down that hold a case, sorted."""
    return sorted(path.parent for path in folder.rglob(EXPECTED))


def differences(folder: Path, scan: Scan) -> list[str]:
    """Returns what a scan of the case's log says otherwise than the case; empty where they
    agree. What cannot be run is a difference too.
    """
    try:
        case = read_case(folder)
        items = scan(case.log, case.options)
    except CaseError as error:
        return [str(error)]
    return compare(case.expected, items)


def read_case(folder: Path) -> GoldenCase:
    """The case of a folder. Raises CaseError where it is not one log and one well-formed
    `expected.json`.
    """
    logs = [
        path
        for path in sorted(folder.iterdir())
        if path.name == "log" or path.name.startswith("log.")
    ]
    if len(logs) != 1:
        raise CaseError(
            f"{len(logs)} logs; a case holds one file called log, or log with an extension"
        )
    try:
        expected_items = json.loads((folder / EXPECTED).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CaseError(f"{EXPECTED}: {error}") from error
    if not isinstance(expected_items, dict) or not isinstance(expected_items.get("why"), str):
        raise CaseError(f'{EXPECTED}: not an object with a "why"')
    if unknown := sorted(expected_items.keys() - {"why", "options", *LISTS}):
        raise CaseError(f"{EXPECTED}: unknown: {', '.join(unknown)}")
    return GoldenCase(
        expected_items["why"],
        logs[0],
        _options(expected_items.get("options", {})),
        {name: _items(name, expected_items.get(name, [])) for name in LISTS},
    )


def compare(expected: Mapping[str, Sequence[Item]], items: Sequence[Item]) -> list[str]:
    """Returns where the items of a scan are not what is expected: other numbers, or other
    values under the keys that are given.
    """
    differences_read = []
    for name, kind in LISTS.items():
        expected_ones, given = (
            expected.get(name, ()),
            [item for item in items if item["type"] == kind],
        )
        if len(expected_ones) != len(given):
            extra = "".join(f"; {_named(item)}" for item in given)
            differences_read.append(f"{len(given)} {name}, not {len(expected_ones)}{extra}")
            continue
        for place, (expected_item, item) in enumerate(zip(expected_ones, given, strict=True)):
            differences_read += [
                (
                    f"{name}[{place}].{key}: {_short(_value(item, key))}, not "
                    f"{_short(expected_item[key])}"
                )
                for key in expected_item
                if _value(item, key) != expected_item[key]
            ]
    return differences_read


def updated(folder: Path, scan: Scan) -> bool:
    """Writes what a scan of the case's log says into its `expected.json`; whether it changed.

    Why, options and the keys of items that stand there are kept. Raises CaseError.
    """
    case = read_case(folder)
    items = scan(case.log, case.options)
    expected_items: dict[str, object] = {"why": case.why}
    if case.options:
        expected_items["options"] = case.options
    for name, kind in LISTS.items():
        given = [item for item in items if item["type"] == kind]
        if given or name in case.expected:
            expected_items[name] = _reduced(name, given, case.expected.get(name, ()))
    path = folder / EXPECTED
    if expected_items == json.loads(path.read_text(encoding="utf-8")):
        return False
    path.write_text(_as_text(expected_items), encoding="utf-8")
    return True


def _reduced(name: str, items: Sequence[Item], expected: Sequence[Item]) -> list[Item]:
    """Items by the keys of the expected item in the same place, else by those that have a value
    among the usual ones.
    """
    reduced = []
    for place, item in enumerate(items):
        if place < len(expected):
            keys = list(expected[place])
        else:
            keys = [key for key in _KEYS[name] if _value(item, key) is not None]
        reduced.append({key: _value(item, key) for key in keys})
    return reduced


def _as_text(expected_items: Mapping[str, object]) -> str:
    """The file as people write it: a line for each item."""
    parts = []
    for key, value in expected_items.items():
        text = json.dumps(value, ensure_ascii=False)
        if key in LISTS and isinstance(value, list) and value:
            lines = ",\n".join(f"    {json.dumps(item, ensure_ascii=False)}" for item in value)
            text = f"[\n{lines}\n  ]"
        parts.append(f"  {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _value(item: Item, key: str) -> Any:
    """Returns what an item says under a key; function, title, kernel … are looked up in its
    report.
    """
    return item[key] if key in item else (item.get("report") or {}).get(key)


def _options(options: object) -> Mapping[str, str]:
    if not isinstance(options, dict) or not all(
        isinstance(value, str) for value in options.values()
    ):
        raise CaseError(f"{EXPECTED}: options: not an object of strings")
    if unknown := sorted(options.keys() - OPTIONS):
        raise CaseError(
            f"{EXPECTED}: options: unknown: {', '.join(unknown)}; there are "
            f"{', '.join(sorted(OPTIONS))}"
        )
    if options.get("format", FORMATS[0]) not in FORMATS:
        raise CaseError(
            f"{EXPECTED}: options: format: {options['format']!r}; there are {', '.join(FORMATS)}"
        )
    return options


def _items(name: str, items: object) -> Sequence[Item]:
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise CaseError(f"{EXPECTED}: {name}: not a list of objects")
    return items


def _named(item: Item) -> str:
    """An item in few words, for people who look for the one too many."""
    expected_items = (
        _value(item, key) for key in ("rule", "process", "signature", "count", "text")
    )
    return _short(" ".join(str(entry) for entry in expected_items if entry is not None))


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
