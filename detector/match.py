"""Line in, the match of the signature that claims it out.

In: a parsed `Line` and its `Boot`. Out: a `Match`, or None. A line that user space wrote is never
matched: what the kernel reports of a user process (origin "user") is printed by the kernel as well.
Nor is a line all in capitals: the kernel prints no fault so, but some consoles and services repeat
its lines that way. Candidates are found by their literals, then their regex decides, each under a
timeout; a signature that keeps running out of its time is switched off and reported, and the others
go on. Nothing is logged or counted here; assembling the lines after a match is the assembler's
part.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import regex

from detector.catalogue import Catalogue, Signature
from detector.model import Boot, Line, Match

# printk's own record is at most 1 KiB (kernel/printk/internal.h: PRINTKRB_RECORD_MAX,
# PRINTK_MESSAGE_MAX 2048): nothing that the kernel reports stands further right, and a bound keeps
# a pattern's time on a ten-megabyte line in hand.
_LONGEST = 4096
# Texts without any literal that are remembered: so many, and of so many characters.
_PLAIN_TEXTS = 4096
_LONGEST_PLAIN = 512
# Transport of a line without any stamp, tag or field around it.
BARE = "text"
# How many times longer the second try of a regex may take that ran out of its time.
_AGAIN = 10

# Where the kernel speaks of a process, its line begins with the name that the process chose (at
# most 15 characters, TASK_COMM_LEN in include/linux/sched.h): `%s[%d]: ` and `%s (%d): `
# everywhere, `%s invoked oom-killer` (mm/oom_kill.c), `%s: page allocation failure` (warn_alloc()
# in mm/page_alloc.c), `%s uses obsolete` (net/core/sock.c). x86's `Oops: 0000 [1] SMP` of 2.6 is
# none.
OF_PROCESS = (
    r".{0,15}?(?: ?\(\d{1,7}\)|\[\d{1,7}\](?! (?:SMP|PREEMPT|DEBUG|KASAN)|$)|/\d{1,7}(?=:)"
    r"|(?= invoked oom-killer|: page allocation |: vmalloc | uses obsolete ))"
)
_OF_PROCESS = regex.compile(OF_PROCESS)

Candidate = tuple[int, Signature]
"""A signature with its rank: the order in which signatures are asked."""


class Claim:
    """A signature that claims a line, with the fields that its regex captured."""

    __slots__ = ("_found", "signature")

    def __init__(self, signature: Signature, matched: regex.Match[str]) -> None:
        self.signature = signature
        self._found = matched

    @property
    def process(self) -> str | None:
        """The program that crashed, where the signature captures it."""
        return self._found["process"] if "process" in self._found.re.groupindex else None

    def match(self, line: Line, boot: Boot, *, alone: bool = False) -> Match:
        """The whole match, with all captured fields; `alone` says that no line of the same report
        came before it.
        """
        signature = self.signature
        cls = signature.cls
        if alone and signature.alone is not None:
            when = signature.alone_when
            cls = signature.alone if when is None or re.match(when, line.text) else cls
        return Match(
            signature=signature.id,
            cls=cls,
            origin=signature.origin,
            severity=signature.severity,
            text=line.text,
            fields={
                name: value for name, value in self._found.groupdict().items() if value is not None
            },
            source=line.source,
            number=line.number,
            host=line.host,
            boot=boot,
            kernel_time_us=line.kernel_time_us,
            wall_time_us=line.wall_time_us,
            caller=line.caller,
        )


class Matcher:
    """Asks the signatures of a catalogue which of them claims a line: noise first, then the
    kernel's, each in the catalogue's order, and fallbacks after all others.

    Noise comes first because its lines begin with a name that the process chose: fifteen characters
    spell the beginning of some kernel phrase, but no kernel phrase has the form of a line of noise
    (the catalogue checks that over all examples). `timeout_s` bounds each regex on each line, and
    ten times that a second try; after `strikes` timeouts a signature is out. `switched_off` maps
    its id to their number, and `take_switched_off` hands out each such id once, for whoever tells
    people.
    """

    def __init__(self, catalogue: Catalogue, *, timeout_s: float = 0.05, strikes: int = 3) -> None:
        ordered = sorted(
            catalogue.signatures,
            key=lambda signature: (signature.fallback, signature.origin == "kernel"),
        )
        candidates = list(enumerate(ordered))
        first = [
            candidate
            for candidate in candidates
            if candidate[1].origin == "user" and not candidate[1].fallback
        ]
        self._noise = tuple(_by_literal(first).items())
        self._others = _by_literal(candidates[len(first) :])
        self._by_word, self._wordless = _by_word(self._others)
        # Compiling all of them takes a quarter of a second, and most logs meet a handful.
        self._patterns: dict[int, regex.Pattern[str]] = {}
        self.timeout_s = timeout_s
        self._strikes = strikes
        self._timeouts: dict[str, int] = {}
        self._switched_off: dict[str, int] = {}
        self._untold: list[str] = []
        self._last: tuple[str, Sequence[Candidate]] = ("", ())
        self._plain: set[str] = set()

    @property
    def literals(self) -> tuple[str, ...]:
        """Every literal once: a text in which none occurs cannot match."""
        return tuple(dict.fromkeys((*(literal for literal, _ in self._noise), *self._others)))

    @property
    def noise(self) -> Sequence[tuple[str, Sequence[Candidate]]]:
        """The literals of noise, each with the signatures that have it."""
        return self._noise

    @property
    def others(self) -> Sequence[tuple[str, Sequence[Candidate]]]:
        """The literals of all that is no noise, each with the signatures that have it."""
        return tuple(self._others.items())

    @property
    def switched_off(self) -> Mapping[str, int]:
        """Ids of the signatures that are out, and after how many timeouts."""
        return MappingProxyType(self._switched_off)

    def take_switched_off(self) -> tuple[str, ...]:
        """Ids of the signatures that went out since the last call."""
        untold, self._untold = tuple(self._untold), []
        return untold

    def match(self, line: Line, boot: Boot) -> Match | None:
        """The match of the first signature that claims this line, or None."""
        claim = self.claim(line)
        return claim.match(line, boot) if claim else None

    def claim(self, line: Line) -> Claim | None:
        """The first signature that claims this line, without the match that most callers of a line
        of noise never look at.
        """
        if line.trust == "user" or line.inner or line.text.isupper():
            return None
        text = line.text if len(line.text) <= _LONGEST else line.text[:_LONGEST]
        if text in self._plain:
            return None
        noise = self._near_noise(text)
        if not noise and not self._near(text):
            self._note_plain(text)
            return None
        claim = self._first(noise, text) or self._first(self._near(text), text)
        if claim and claim.signature.origin == "kernel" and (named := _OF_PROCESS.match(text)):
            return self._first(self._behind(named.end(), text), text)
        if claim and claim.signature.fallback and line.transport == BARE:
            return None  # any program's output or change log may read so
        return claim

    def candidates(self, text: str) -> tuple[Signature, ...]:
        """The signatures whose literal occurs in `text`, in the order in which they are asked."""
        return tuple(signature for _, signature in (*self._near_noise(text), *self._near(text)))

    def near_faults(
        self, text: str, *, whole: bool = False
    ) -> Sequence[tuple[Signature, regex.Pattern[str]]]:
        """The kernel's signatures of faults whose literal occurs in `text`, with their regexes; in
        all of it where it is `whole`, a record rather than a line.
        """
        return [
            (signature, self._pattern(rank, signature))
            for rank, signature in self._near(text if whole else text[:_LONGEST])
            if signature.origin == "kernel" and not signature.marker
        ]

    def _first(self, candidates: Iterable[Candidate], text: str) -> Claim | None:
        for rank, signature in candidates:
            if (matched := self._try(signature, self._pattern(rank, signature), text)) is not None:
                return Claim(signature, matched)
        return None

    def _pattern(self, rank: int, signature: Signature) -> regex.Pattern[str]:
        """The compiled regex of a signature; compiled when it is first asked for."""
        pattern = self._patterns.get(rank)
        if pattern is None:
            pattern = self._patterns[rank] = regex.compile(signature.regex)
        return pattern

    def _near_noise(self, text: str) -> Sequence[Candidate]:
        """The signatures of noise, a handful, whose literal occurs: where programs crash in loops,
        nobody else need be asked.
        """
        return _ordered([candidates for literal, candidates in self._noise if literal in text])

    def _near(self, text: str) -> Sequence[Candidate]:
        """All others whose literal occurs. A line that nobody claims is asked for twice."""
        if text != self._last[0]:
            self._last = text, self._search(text)
        return self._last[1]

    def _note_plain(self, text: str) -> None:
        """Notes a text without any literal: the lines of reports come again from other hosts."""
        if len(self._plain) >= _PLAIN_TEXTS:
            self._plain.clear()
        if len(text) <= _LONGEST_PLAIN:
            self._plain.add(text)

    def _search(self, text: str) -> Sequence[Candidate]:
        hits = [self._others[literal] for literal in self._wordless if literal in text]
        for word in self._by_word.keys() & text.split(" "):
            hits += [self._others[literal] for literal in self._by_word[word] if literal in text]
        return _ordered(hits)

    def _behind(self, end: int, text: str) -> Sequence[Candidate]:
        """The candidates for a line about a process whose literal stands behind its name: no name
        spells them.
        """
        rest = text[end:]
        return [
            candidate
            for candidate in self._near(text)
            if any(literal in rest for literal in candidate[1].literals)
        ]

    def _try(
        self, signature: Signature, pattern: regex.Pattern[str], text: str
    ) -> regex.Match[str] | None:
        if signature.id in self._switched_off:
            return None
        try:
            return pattern.match(text, timeout=self.timeout_s)
        except TimeoutError:
            pass
        # The limit is of CPU time of the whole process: threads that work beside this one while
        # it waits for a core use it up as well, so one more try decides.
        try:
            return pattern.match(text, timeout=_AGAIN * self.timeout_s)
        except TimeoutError:
            count = self._timeouts[signature.id] = self._timeouts.get(signature.id, 0) + 1
            if count >= self._strikes:
                self._switched_off[signature.id] = count
                self._untold.append(signature.id)
            return None


def _by_literal(candidates: Iterable[Candidate]) -> dict[str, list[Candidate]]:
    matched: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        for literal in candidate[1].literals:
            matched.setdefault(literal, []).append(candidate)
    return matched


def _ordered(hits: Sequence[Sequence[Candidate]]) -> Sequence[Candidate]:
    """Candidates by rank, each once: one signature may be there by two literals. Ranks are unique:
    sorting never looks beyond them.
    """
    if len(hits) <= 1:
        return hits[0] if hits else ()
    return sorted(
        {candidate[0]: candidate for candidates in hits for candidate in candidates}.values()
    )


def _by_word(literals: Iterable[str]) -> tuple[Mapping[str, Sequence[str]], Sequence[str]]:
    """Literals by the longest word that they hold between blanks, and those that hold none.

    Where such a literal occurs, its word stands between blanks in the text too: a few look-ups by
    the words of a line take the place of hundreds of searches through it.
    """
    by_word: dict[str, list[str]] = {}
    wordless: list[str] = []
    for literal in literals:
        word = max(literal.split(" ")[1:-1], key=len, default="")
        if word:
            by_word.setdefault(word, []).append(literal)
        else:
            wordless.append(literal)
    return by_word, tuple(wordless)
