"""Checks of a signature beyond its shape: literals, regex, examples, time on hostile
lines, and no line claimed twice.

In: `Signature` values, not yet trusted. Out: complaints (key, message, the value it is about);
`reading` gives them file and line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import regex

from detector.catalogue.entries import Signature

# Quotes, backslash and control characters are escaped by every JSON writer, `/` by PHP's, `<`, `>`
# and `&` by Go's, `=`, `'` by Gson's and `+` and the backtick by .NET's: a literal with one of them
# would not be found in the bytes as shipped. The same holds for non-ASCII.
_ESCAPED = frozenset("\"'`\\/<>&=+")
_SHORTEST_LITERAL = 4  # bytes; anything shorter hits too many lines to be worth a look
HOSTILE_LENGTH = 4096
NAME_LENGTH = 512  # include/linux/kallsyms.h: KSYM_NAME_LEN, since 6.1
BAD_REGEX = (
    regex.error,
    RecursionError,
    OverflowError,
    MemoryError,
)  # compiling absurd counts or depths ends in the latter three
BUDGET_S = 0.02  # for one hostile line; a sound pattern needs some 20 µs


@dataclass(frozen=True, slots=True)
class Complaint:
    """A fault of a table: what is wrong, at which key, and with which value of that key's
    array (None: the key as a whole).
    """

    key: str
    message: str
    value: str | None = None


def signature_complaints(signature: Signature) -> Iterator[Complaint]:
    """Yields everything that is wrong with this signature by itself."""
    yield from _literal_complaints(signature)
    if not signature.regex.startswith("^"):
        yield Complaint(
            "regex", "the regex must be anchored at the start of the message: begin it with ^"
        )
    if not signature.examples:
        yield Complaint("match", "no example in match: give a line that the kernel prints")
    if not signature.rejects:
        yield Complaint(
            "reject", "no example in reject: give a line that looks alike and is not meant"
        )
    try:
        pattern = regex.compile(signature.regex)
    except BAD_REGEX as error:
        yield Complaint("regex", f"bad regex: {error}")
        return
    slow = _slow(pattern.match, signature.examples, HOSTILE_LENGTH)
    if slow is not None:
        yield Complaint("regex", slow)
        return
    yield from _example_complaints(signature, pattern)


def list_complaints(regexes: Sequence[str]) -> Iterator[Complaint]:
    """Yields what is wrong with the regexes of a list."""
    for text in regexes:
        try:
            slow = _slow(regex.compile(text).fullmatch, ("__example_name.isra.0",), NAME_LENGTH)
        except BAD_REGEX as error:
            yield Complaint("regexes", f"bad regex: {error}", text)
        else:
            if slow is not None:
                yield Complaint("regexes", slow, text)


def double_claims(signatures: Sequence[Signature]) -> Iterator[tuple[str, Complaint]]:
    """(signature id, complaint) for every match example that another signature would claim too.

    A fallback may accept what others claim; nobody may claim what a fallback gives as its example.
    """
    compiled = [
        (signature, pattern)
        for signature in signatures
        if (pattern := _compiled(signature.regex)) is not None
    ]
    for owner, _ in compiled:
        for example in owner.examples:
            for other, pattern in compiled:
                if other.id == owner.id or (other.fallback and not owner.fallback):
                    continue
                if any(literal in example for literal in other.literals) and _accepts(
                    pattern, example
                ):
                    kind = "noise" if other.origin == "user" else "signature"
                    yield (
                        owner.id,
                        Complaint(
                            "match",
                            (
                                f'this example is claimed by {kind} "{other.id}" too '
                                f"({other.path}:{other.line})"
                            ),
                            example,
                        ),
                    )


def _literal_complaints(signature: Signature) -> Iterator[Complaint]:
    for literal in signature.literals:
        bad = sorted({char for char in literal if char in _ESCAPED or not " " <= char <= "~"})
        if bad:
            yield Complaint(
                "literal",
                f'literal "{literal}" holds {bad[0]!r}, which some JSON writers escape',
                literal,
            )
        if len(literal) < _SHORTEST_LITERAL:
            yield Complaint(
                "literal", f'literal "{literal}" is shorter than {_SHORTEST_LITERAL} bytes', literal
            )


def _example_complaints(signature: Signature, pattern: regex.Pattern[str]) -> Iterator[Complaint]:
    for example in signature.examples:
        if example.isupper():
            yield Complaint("match", f"a line all in capitals is never matched: {example}", example)
        elif not _accepts(pattern, example):
            yield Complaint("match", f"the regex does not match this example: {example}", example)
        elif not any(literal in example for literal in signature.literals):
            yield Complaint(
                "literal", f"no literal occurs in an example that the regex matches: {example}"
            )
        elif (without := _accepted_without_literal(signature, pattern, example)) is not None:
            yield Complaint(
                "literal", f"the regex also matches text that holds no literal: {without}"
            )
    for example in signature.rejects:
        if _accepts(pattern, example):
            yield Complaint(
                "reject", f"the regex matches an example that it should reject: {example}", example
            )


def _accepted_without_literal(
    signature: Signature, pattern: regex.Pattern[str], example: str
) -> str | None:
    """A text made from `example` by changing one character of a literal, that the regex still
    accepts though no literal is left in it.
    """
    for literal in signature.literals:
        start = example.find(literal)
        for place in range(start, start + len(literal)) if start >= 0 else ():
            for other in _others(example[place]):
                text = example[:place] + other + example[place + 1 :]
                if not any(each in text for each in signature.literals) and _accepts(pattern, text):
                    return text
    return None


def _others(char: str) -> tuple[str, ...]:
    """Characters of the same sort, that a class such as [0-9] or a flag such as (?i) would
    take for `char`.
    """
    if char.isdigit():
        return (str((int(char) + 1) % 10),)
    if char.isalpha():
        return (char.swapcase(), "b" if char == "a" else "a")
    return ("~",)


def _slow(match: Callable[..., object], examples: Sequence[str], length: int) -> str | None:
    """A complaint if matching takes more than its budget on a line that somebody may write to
    make it.
    """
    for line in _hostile_lines(examples, length):
        try:
            match(line, timeout=BUDGET_S)
        except TimeoutError:
            return (
                f"the regex takes more than {BUDGET_S * 1000:.0f} ms on a line of {len(line)} "
                f"characters that begins with {line[:60]!r}"
            )
    return None


def _hostile_lines(examples: Sequence[str], length: int) -> Iterator[str]:
    """Runs of what patterns repeat, alone and after each piece of the examples, with an end
    that fits nothing.
    """
    beginnings = {("", run) for run in (" ", "0", "f", "a ", "[", "]", "[0]", ": ", "(")} | {
        ("", example) for example in examples if example
    }
    for example in examples:
        for piece in re.finditer(r"\w+|\W", example):
            before = example[: piece.end()]
            beginnings |= {(before, before[-1]), (before, piece[0] + " ")}
    for before, run in beginnings:
        yield (before + run * (length // len(run) + 1))[:length] + "\x7f"


def _accepts(pattern: regex.Pattern[str], text: str) -> bool:
    try:
        return pattern.match(text, timeout=BUDGET_S) is not None
    except TimeoutError:
        return False


def _compiled(text: str) -> regex.Pattern[str] | None:
    try:
        return regex.compile(text)
    except BAD_REGEX:
        return None
