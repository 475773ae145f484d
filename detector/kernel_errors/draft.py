"""Writes the frame of a signature from a template of kernel errors.

In: examples of lines that have the template. Out: TOML that the catalogue reads and whose tests
pass, with the sentences that only a person can write marked as such. The regex follows the parts
that `template` tells apart: what varies becomes a named group of bounded length.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from detector.kernel_errors.template import BETWEEN, parts_of
from detector.lazy_regex import lazy_regex
from detector.toml_tables import toml_string

_WRITE = "WRITE: "
# Characters that some JSON writer escapes, and those beyond ASCII: none may stand in a literal.
_UNSAFE = lazy_regex(r"[^ -~]|[\"'`\\/<>&=+]")
_SHORTEST = 4
# What the sort of a varying part may be spelled with, the narrowest that fits first, and its name.
_SORTS = (
    (lazy_regex(r"\d{1,20}"), r"\d{1,20}", "number"),
    (lazy_regex(r"0[xX][0-9a-fA-F]{1,32}"), r"0[xX][0-9a-fA-F]{1,32}", "value"),
    (lazy_regex(r"[0-9a-fA-F.:/ -]{1,200}"), r"[0-9a-fA-F.:/ -]{1,200}", "address"),
    (lazy_regex(r"/\S{1,255}"), r"/\S{1,255}", "path"),
    (lazy_regex(r"\S{1,64}"), r"\S{1,64}", "device"),
)


class DraftError(ValueError):
    """A template that no signature can be made of: it says why."""


def draft(identity: str, samples: Sequence[str]) -> str:
    """A `[[signature]]` table. Raises DraftError where no part that stays is long enough to be
    searched for.
    """
    pieces = _pieces(samples[0])
    literal = _literal(pieces)
    slug = re.sub(r"[^a-z0-9]+", "-", literal.lower()).strip("-")[:40].strip("-")
    name = f"kernel.{slug or 'error'}-{identity[:4]}"
    regex = "^" + "".join(_spelled(pieces))
    examples = [sample for sample in samples if re.match(regex, sample) and literal in sample]
    return "\n".join(
        (
            "[[signature]]",
            f"id       = {toml_string(name)}",
            f"class    = {toml_string(slug or 'error')}",
            'origin   = "kernel"',
            'severity = "error"',
            f"title    = {toml_string(_WRITE + 'what happened, in a few words')}",
            f"literal  = {toml_string(literal)}",
            f"regex    = {toml_string(regex)}",
            f"source   = {toml_string(_WRITE + 'file of the kernel or driver, and its versions')}",
            f"meaning  = {toml_string(_WRITE + 'a sentence for a tired person')}",
            f"match    = [{', '.join(map(toml_string, examples))}]",
            f"reject   = [{toml_string(_unlike(samples[0], literal))}]",
            "",
        )
    )


def _pieces(sample: str) -> list[tuple[bool, str]]:
    """The parts of a line; numbers next to each other, with what parts them, are one that
    varies.
    """
    merged: list[tuple[bool, str]] = []
    for varies, text in parts_of(sample):
        bridged = len(merged) >= 2 and varies and merged[-2][0] and _is_bridge(merged[-1])
        if bridged:
            (_, first), (_, between) = merged[-2:]
            merged[-2:] = [(True, first + between + text)]
        else:
            merged.append((varies, text))
    return merged


def _is_bridge(piece: tuple[bool, str]) -> bool:
    return not piece[0] and re.fullmatch(BETWEEN, piece[1]) is not None


def _literal(pieces: Sequence[tuple[bool, str]]) -> str:
    """The longest text that stays and that every shipper writes as it is."""
    fixed = (run for varies, text in pieces if not varies for run in _UNSAFE.split(text))
    literal = max(fixed, key=lambda run: len(run.strip()), default="")
    literal = literal.strip() if len(literal.strip()) >= _SHORTEST else ""
    if not re.search("[a-z]", literal):
        raise DraftError("no part that stays is long enough to be searched for")
    return literal


def _spelled(pieces: Sequence[tuple[bool, str]]) -> list[str]:
    """The pieces as parts of a regex."""
    spelled: list[str] = []
    names: dict[str, int] = {}
    for varies, text in pieces:
        if not varies:
            spelled += [_blanks(part) for part in re.split(r"( +)", text)]
            continue
        pattern, name = next(
            ((pattern, name) for fits, pattern, name in _SORTS if fits.fullmatch(text)),
            (r".{1,200}?", "rest"),
        )
        names[name] = names.get(name, 0) + 1
        spelled.append(f"(?P<{name}{names[name] if names[name] > 1 else ''}>{pattern})")
    return spelled


def _blanks(part: str) -> str:
    """A fixed text; blanks that align columns may be more or fewer."""
    if part.startswith("  "):
        return " {1,20}"
    return re.escape(part).replace(r"\ ", " ")


def _unlike(sample: str, literal: str) -> str:
    """A line that looks alike and is not meant: the same, but for one letter of its literal."""
    place = next(k for k, char in enumerate(literal) if char.islower())
    other = "b" if literal[place] == "a" else "a"
    return sample.replace(literal, literal[:place] + other + literal[place + 1 :])
