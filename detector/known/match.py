"""Finds the known bugs that a crash looks like: ordered frames compared, then rules that
decide.

In: a `Trace` of the crash, its release and architecture, an `Index`. Out: the bugs that are named,
each "likely" or "possible" and with what speaks for it; several where several fit alike; none where
nothing does. No weights are learned: the thresholds are rules, and `make known-eval` shows what
they cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from detector.known.bug import Bug, Fix, Trace
from detector.known.index import BugTrace, Index
from detector.known.names import BugConfidence
from detector.known.nature import (
    BYSTANDERS,
    HEADLESS,
    STUCK,
    access,
    complaint,
    likeness,
    nature,
)
from detector.known.releases import ReleaseStanding, standing
from detector.release import KernelRelease

COMPARED = 7
"""Frames that are compared, from the guilty one on."""
_FADE = 0.85  # each frame further down says less
_ALIKE = 0.9  # scores this near the best cannot be told from it
_OWNERS = 3  # functions that tell whose memory it is, from the one that allocates or frees
_MOST_ALIKE = 3  # more bugs than this that fit alike name nothing

_SILENT = frozenset({"fixed", "before"})
_UNSURE = frozenset({"unknown", "vendor-before", "vendor-fixed"})


@dataclass(frozen=True, slots=True)
class Likeness:
    """Result of comparing a crash with a published trace.

    `common` frames of `of` that were compared stand in the same order; `overlap` is their weight
    over the smaller side's; `weight` is that of the common frames.
    """

    bug: Bug
    trace: Trace
    same_complaint: bool
    nature: float
    common: tuple[str, ...]
    of: int
    overlap: float
    weight: float
    standing: ReleaseStanding

    @property
    def score(self) -> float:
        """The order among several that are named."""
        return self.nature * (0.35 + 0.65 * self.overlap) * min(1.0, self.weight / 1.5)


@dataclass(frozen=True, slots=True)
class Named:
    """A bug that a crash looks like: `common` of the `of` frames that were compared stand in
    the same order; `same` where both reports complain of the same. `alike` bugs are named
    together.
    """

    bug: Bug
    confidence: BugConfidence
    common: int
    of: int
    same: bool
    standing: ReleaseStanding
    alike: int = 1

    @property
    def fix(self) -> Fix | None:
        """The fix for the kernel's own series, else mainline's."""
        return self.standing.fix


def named(
    crash: Trace, kernel: KernelRelease | None, arch: str | None, index: Index
) -> tuple[Named, ...]:
    """The bugs that this crash looks like, best first."""
    best: dict[str, tuple[BugConfidence, Likeness]] = {}
    for candidate in index.by_function.get(crash.function or "", ()):
        if not _possible(candidate, crash, arch):
            continue
        like = compare(crash, candidate, kernel, index)
        confidence = _confidence(like, crash, hot=crash.function in index.hot)
        if confidence is None:
            continue
        known = best.get(candidate.bug.id)
        if known is None or _rank((confidence, like)) > _rank(known):
            best[candidate.bug.id] = confidence, like
    return _together(sorted(best.values(), key=_rank, reverse=True))


def _rank(likenesses: tuple[BugConfidence, Likeness]) -> tuple[bool, float, str]:
    return likenesses[0] == "likely", likenesses[1].score, likenesses[1].bug.id


def _together(likenesses: Sequence[tuple[BugConfidence, Likeness]]) -> tuple[Named, ...]:
    """The best, and those that cannot be told from it; nothing where that would be too many."""
    if not likenesses:
        return ()
    confidence, best = likenesses[0]
    alike = [
        like
        for sure, like in likenesses
        if sure == confidence and like.score >= _ALIKE * best.score
    ]
    if len(alike) > _MOST_ALIKE:
        return ()
    return tuple(
        Named(
            like.bug,
            confidence,
            len(like.common),
            like.of,
            like.same_complaint,
            like.standing,
            len(alike),
        )
        for like in alike
    )


def _possible(candidate: BugTrace, crash: Trace, arch: str | None) -> bool:
    """Returns what excludes a candidate at once: another nature, another architecture, another
    module.
    """
    known = candidate.trace
    if likeness(_nature(known), _nature(crash)) == 0:
        return False
    if known.module and crash.module and known.module != crash.module:
        return False
    arches = {_arch_of(path) for path in candidate.bug.files}
    return arch is None or None in arches or not arches or _folder(arch) in arches


def _nature(trace: Trace) -> str:
    return nature(trace.kind, trace.title, near_null=trace.offset is not None)


def _arch_of(path: str) -> str | None:
    """The architecture that a file of the kernel belongs to; None for what all share."""
    parts = path.split("/")
    return parts[1] if parts[0] == "arch" and len(parts) > 2 else None


def _folder(arch: str) -> str:
    """The folder of an architecture under `arch/`."""
    return {"x86_64": "x86", "i386": "x86", "ppc": "powerpc", "s390x": "s390"}.get(arch, arch)


def compare(
    crash: Trace, candidate: BugTrace, kernel: KernelRelease | None, index: Index
) -> Likeness:
    """The better of the two alignments: with inlined frames, as a decoded trace has them, and
    without.
    """
    trace = candidate.trace
    sides = {
        (mine, theirs)
        for mine in (crash.frames, crash.plain or crash.frames)
        for theirs in (trace.frames, trace.plain or trace.frames)
    }
    aligned = max(
        (
            _align(_compared(mine, crash), _compared(theirs, trace), index)
            for mine, theirs in sorted(sides)
        ),
        key=lambda item: (round(item[1], 9), item[2]),
    )
    common, overlap, weight, of = aligned
    alike = likeness(_nature(crash), _nature(trace))
    return Likeness(
        candidate.bug,
        trace,
        _same_complaint(crash, trace),
        alike,
        common,
        of,
        overlap,
        weight,
        standing(kernel, candidate.bug),
    )


def _same_complaint(crash: Trace, known: Trace) -> bool:
    """Returns whether both reports complain of the same in the same function."""
    if HEADLESS in {_nature(crash), _nature(known)} or _complaint(crash) != _complaint(known):
        return False
    accesses = {access(crash.title), access(known.title)} - {None}
    return len(accesses) < 2


def _complaint(trace: Trace) -> str:
    return complaint(trace.kind, trace.title, near_null=trace.offset is not None)


def _compared(frames: tuple[str, ...], trace: Trace) -> tuple[str, ...]:
    """The frames from the guilty one on; it comes first where the trace lacks it. A CPU that is
    stuck is known by what it does below the guilty function, which is the one that loops: its trace
    is compared from the top.
    """
    function = trace.function
    if function is None or (function in frames and _nature(trace) == STUCK):
        return frames[:COMPARED]
    if function in frames:
        return frames[frames.index(function) :][:COMPARED]
    return (function, *frames)[:COMPARED]


def _align(
    mine: Sequence[str], theirs: Sequence[str], index: Index
) -> tuple[tuple[str, ...], float, float, int]:
    """The heaviest common subsequence: its names, its weight over the smaller side's, its
    weight, and how many frames could have been common.
    """
    weights = [index.weight(name) * _FADE**place for place, name in enumerate(mine)]
    best = _table(mine, theirs, weights)
    common: list[str] = []
    row = column = 0
    while row < len(mine) and column < len(theirs):
        if (
            mine[row] == theirs[column]
            and best[row][column] <= weights[row] + best[row + 1][column + 1] + 1e-9
        ):
            common.append(mine[row])
            row, column = row + 1, column + 1
        elif best[row + 1][column] >= best[row][column + 1]:
            row += 1
        else:
            column += 1
    other = sum(index.weight(name) * _FADE**place for place, name in enumerate(theirs))
    sides = (sum(weights), other)
    short = min(len(mine), len(theirs)) < 3
    whole = max(sides) if short else min(sides)
    weight = best[0][0] if mine and theirs else 0.0
    return tuple(common), weight / max(whole, 1e-9), weight, min(len(mine), len(theirs))


def _table(
    mine: Sequence[str], theirs: Sequence[str], weights: Sequence[float]
) -> list[list[float]]:
    best = [[0.0] * (len(theirs) + 1) for _ in range(len(mine) + 1)]
    for row in range(len(mine) - 1, -1, -1):
        for column in range(len(theirs) - 1, -1, -1):
            both = weights[row] + best[row + 1][column + 1] if mine[row] == theirs[column] else 0.0
            best[row][column] = max(best[row + 1][column], best[row][column + 1], both)
    return best


def _confidence(like: Likeness, crash: Trace, *, hot: bool) -> BugConfidence | None:
    """The rules.

    A hot function needs more frames; what a read of uninitialised data shows is not who forgot
    it; a release that proves nothing, a trace that is not of who is at fault, and memory of a
    stranger make the name less sure.
    """
    if like.standing.status in _SILENT or not _tells_origin(like, crash):
        return None
    frames = len(like.common)
    counted = frames + _same_member(like.trace, crash)
    sure: BugConfidence | None = None
    headless = HEADLESS in {_nature(like.trace), _nature(crash)}
    if (
        like.same_complaint
        and frames >= like.of - 1
        and counted >= (6 if hot else 4)
        and like.overlap >= 0.84
        and like.weight >= 1.8
    ):
        sure = "likely"
    elif like.same_complaint and like.overlap >= 0.6 and like.weight >= 1.4 and frames >= 3:
        sure = "possible" if not hot or (frames >= 5 and like.overlap >= 0.84) else None
    elif (
        (like.nature >= 0.9 or (headless and like.overlap >= 0.84))
        and frames >= 4
        and like.overlap >= 0.8
        and like.weight >= 1.8
    ):
        sure = "possible" if not hot else None
    if sure == "likely":
        return "possible" if _is_unsure(like, crash) else sure
    return (
        None if like.standing.status == "vendor-fixed" or _other_object(like.trace, crash) else sure
    )


def _same_member(known: Trace, crash: Trace) -> bool:
    """Returns whether both faults are the same number of bytes from NULL, the same member of a
    struct: it counts as one more frame. 0 is the offset of too many.
    """
    return bool(crash.offset) and crash.offset == known.offset


def _is_unsure(like: Likeness, crash: Trace) -> bool:
    """Returns whether something beside the trace takes away from the name."""
    return (
        like.standing.status in _UNSURE
        or _nature(crash) in BYSTANDERS
        or _other_object(like.trace, crash)
        or _strangers_memory(like.trace, crash)
    )


def _strangers_memory(known: Trace, crash: Trace) -> bool:
    """Returns whether the memory belongs to a part of the kernel that is not in the trace:
    then the pointer was stale or out of range, which more than one bug brings about. A part is
    told by the first word of its functions. Where the published report shows the same owner it
    is the same object.
    """
    owners = {*crash.allocated[:_OWNERS], *crash.freed[:_OWNERS]}
    if not owners or owners & {*known.allocated, *known.freed}:
        return False
    return not _parts(owners) & _parts(_compared(crash.frames, crash))


def _parts(names: Iterable[str]) -> set[str]:
    return {name.lstrip("_").partition("_")[0] for name in names}


def _other_object(known: Trace, crash: Trace) -> bool:
    """Returns whether the memory was allocated or freed in another place than in the published
    report.
    """
    return any(
        bool(mine and theirs) and not set(mine) & set(theirs)
        for mine, theirs in ((crash.allocated, known.allocated), (crash.freed, known.freed))
    )


def _tells_origin(like: Likeness, crash: Trace) -> bool:
    """For uninitialised data, whose reader is seldom who forgot it: whether it was created in
    the same place, or the fix's message speaks of the functions at hand.
    """
    if crash.kind != "kmsan":
        return True
    if set(crash.allocated) & set(like.trace.allocated):
        return True
    return bool({crash.function, *like.common[:3]} & set(like.bug.named))
