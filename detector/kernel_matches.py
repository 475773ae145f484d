"""Keeps kernel matches and has them correlated, or counts them where they repeat.

In: lines that a kernel signature claims, blocks as they end. Out: what is in the journal; `on_new`
gets each match that was not there before, `on_repeats` the counts of a batch. What raises is a step
of the isolation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from detector.assemble import Assembler
from detector.catalogue import Signature
from detector.correlate import StoredMatch
from detector.isolation import Isolation, RecordPlace, place_of
from detector.keeper import Correlating, PipelineKeeper
from detector.model import Block, Boot, Match, Record
from detector.repeat_runs import Repeat, RepeatCount, RepeatKey
from detector.repeats import Repeats, shape_of

MakeRepeats = Callable[[Callable[[Match], int]], Repeats]
"""Makes what counts; it is given what keeps a match whole and returns its id."""
SaveRepeats = Callable[
    [Sequence[RepeatCount], Sequence[tuple[RepeatKey, Repeat]], Sequence[int]], None
]


class KernelMatches:
    """The matches of a pipeline: heads of open reports, and what repeats (None: nothing is
    counted).
    """

    def __init__(
        self,
        journal: PipelineKeeper,
        correlator: Correlating,
        isolation: Isolation,
        assembler: Assembler,
        on_new: Callable[[StoredMatch], None],
        on_repeats: Callable[[Sequence[RepeatCount]], None],
        repeats: MakeRepeats | None,
    ) -> None:
        self._journal = journal
        self._correlator = correlator
        self._isolation = isolation
        self._assembler = assembler
        self._on_new = on_new
        self._on_repeats = on_repeats
        self.repeats = repeats(self._keep_held) if repeats else None
        self._heads: dict[tuple[str, int, str], int] = {}
        self._copies: set[int | None] = set()
        self._kept = 0
        self._stored = frozenset[int]()  # the heads of the blocks that the journal holds as open

    def restore(self) -> list[Block]:
        """Goes back to the open blocks that the journal holds, and returns them."""
        kept = self._journal.open_blocks()
        self._heads = {_head(block.head): match_id for match_id, block in kept}
        self._copies.clear()
        self._kept = self._assembler.turn
        self._stored = frozenset(match_id for match_id, _ in kept)
        self._forget()
        return [block for _, block in kept]

    def mark(self) -> None:
        """The state is good as it is now."""
        self._marked = (dict(self._heads), set(self._copies), self._kept, self._stored)

    def rewind(self) -> None:
        """Goes back to the state at the last mark."""
        self._heads, self._copies, self._kept, self._stored = self._marked
        self._forget()
        self.mark()

    def add(self, match: Match, signature: Signature, place: RecordPlace | Record) -> Boot | None:
        """Keeps a match, or counts it. Returns its boot as it stands where it was there before,
        None else.
        """
        repeats, key = self.repeats, None
        if repeats is not None and repeats.policy.is_anchor(match):
            repeats.anchor(match.host)
        spacing_us = repeats.policy.spacing_us(signature) if repeats is not None else None
        if repeats is not None and spacing_us is not None:
            shape = shape_of(match.text.encode(errors="surrogatepass"))
            key = match.host, match.signature, shape
            if taken := repeats.takes(key, match, spacing_us):
                return taken if isinstance(taken, Boot) else None
        stored, new = self._keep(match, place)
        if repeats is not None and key is not None:
            repeats.kept(key, match, stored.id)
        return None if new else stored.match.boot

    def report(self, block: Block) -> None:
        """A block is whole, or as whole as it gets: reads it, and says more of the incidents that
        it anchors.
        """
        if block.head.origin == "user":
            return
        match_id = self._heads.pop(_head(block.head), None)
        alone = match_id in self._copies and len(block.lines) == 1
        self._copies.discard(match_id)
        # A copy of one line, such as a syslogd wall, says nothing that its report did not say.
        if match_id is None or alone:
            return
        step = partial(self._correlator.report, match_id, block)
        self._isolation.step(place_of(block.head), step)

    def keep_open(self) -> None:
        """Stores the blocks that are still open, and forgets the heads of all others."""
        heads = (_head(head) for head in self._assembler.heads())
        opened = {head: self._heads[head] for head in heads if head in self._heads}
        moved = self._assembler.open_blocks(since=self._kept)
        changed = [
            (opened[_head(block.head)], block) for block in moved if _head(block.head) in opened
        ]
        self._heads = opened
        self._kept = self._assembler.turn
        self._copies.intersection_update(opened.values())
        self._isolation.stage = "store"
        if self._isolation.careful:
            for match_id, block in changed:
                work = partial(self._journal.save_open_blocks, [(match_id, block)], opened.values())
                self._isolation.step(place_of(block.head), work)
            changed = []
        still = frozenset(opened.values())
        self._journal.save_open_blocks(changed, None if self._stored <= still else still)
        self._stored = still

    def store_counts(self, save: SaveRepeats) -> int:
        """Stores what was counted; returns how many matches were."""
        if self.repeats is None:
            return 0
        counts, changed, needless = self.repeats.drain()
        if counts or changed or needless:
            save(counts, changed, needless)
            self._isolation.say(self._on_repeats, counts)
        counted, self.repeats.counted = self.repeats.counted, 0
        return counted

    def _keep(self, match: Match, place: RecordPlace | Record) -> tuple[StoredMatch, bool]:
        self._isolation.stage = "store"
        stored, new = self._journal.add_match(match)
        self._heads[_head(match)] = stored.id
        if new:
            self._on_new(stored)
        else:
            self._copies.add(stored.id)
        if new or stored.refined:  # an incident's identity has the exact time of its fault
            self._isolation.stage = "correlate"
            self._isolation.step(place, partial(self._correlator.add, stored))
        return stored, new

    def _keep_held(self, match: Match) -> int:
        return self._keep(match, place_of(match))[0].id

    def _forget(self) -> None:
        if self.repeats is not None:
            self.repeats.forget()


def _head(match: Match) -> tuple[str, int, str]:
    return match.source, match.number, match.text
