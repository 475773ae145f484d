"""The state machine: lines and time in, blocks out.

A head (a match of a signature that opens a report) opens a block on its host; `owner` tells which
block a later line belongs to. What does not look like a report's line (`grammar`) is in none, and
some of it in a row ends a report. A block closes at its end mark, at the next head of its context
where its own trace is not being printed, at a gap in the stamps, at a boot, at a bound, at a
deadline. Lines that user space wrote are never part of a report, and those of a user fault that
breaks into one are kept out of it. Not here: what the lines mean, and who asks for them to be
decoded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from detector.assemble import shape, turns
from detector.assemble.grammar import LineShape
from detector.assemble.grammar import shape as shape_of
from detector.assemble.open_reports import AssemblyLimits, OpenReports
from detector.assemble.opened import Opened, prose_of
from detector.assemble.owner import by_caller, give_back, joined, newest, owner
from detector.catalogue import Opens
from detector.match import Claim
from detector.model import Block, Boot, Line, Match


class Assembler:
    """Collects the lines of kernel reports.
    `opening` names the signatures that open one, or what is left of one.
    """

    searched: Sequence[bytes] = ()  # what selects records beside the literals of signatures

    def __init__(self, opening: Mapping[str, Opens], limits: AssemblyLimits | None = None) -> None:
        self._opening = opening
        self._limits = limits or AssemblyLimits()
        self._reports = OpenReports(self._limits)
        self._counts = self._reports.counts
        self._turn = 0
        self._next_tick_us = 0
        self.mark()

    @property
    def following(self) -> bool:
        """Returns whether a report is open anywhere, so that every line is needed."""
        return self._reports.count > 0

    def takes(self, line: Line) -> bool:
        """Returns whether a line that no signature claims may be one of an open report's."""
        return self.is_open(line.host)

    def is_open(self, host: str) -> bool:
        """Returns whether a host has an open report."""
        return host in self._reports.by_host

    @property
    def hosts(self) -> frozenset[str]:
        """The hosts with an open report: the same object until it changes."""
        return self._reports.hosts

    @property
    def turn(self) -> int:
        """Counts the lines looked at: `open_blocks` returns what has changed after that."""
        return self._turn

    @property
    def size(self) -> int:
        """The characters of all open reports."""
        return self._reports.size

    @property
    def counts(self) -> Mapping[str, int]:
        """Counts of reports and lines by what became of them.
        The names are `opened`, `complete`, `incomplete`, `folded`, `foreign`, and `cut:<why>` for
        what cut a report short.
        """
        return self._counts

    def mark(self) -> None:
        """The state is good as it is now: `rewind` goes back to it."""
        self._reports.mark()
        self._marked = (self._turn, self._next_tick_us)

    def rewind(self) -> None:
        """Goes back to the state at the last mark."""
        self._reports.rewind()
        self._turn, self._next_tick_us = self._marked

    def match_of(self, claim: Claim, line: Line, boot: Boot) -> Match | None:
        """The match of what claims a line, by what is open on its host; None where the line is one
        from within a report that is open.
        """
        signature = claim.signature
        if signature.opens != "rest" and signature.alone is None:
            return claim.match(line, boot)
        near = [
            opened
            for opened in self._reports.on(line.host)
            if not opened.shadow and self._is_near(opened, line)
        ]
        if signature.opens == "rest":
            known = by_caller(near, line) or (
                signature.cls != shape.REQUESTED and self._requested(line)
            )
            return None if known else claim.match(line, boot)
        copied = any(opened.repeats(line) or opened.holds(line) for opened in near)
        alone = not copied and joined(near, line, signature.cls, self._turn) is None
        return claim.match(line, boot, alone=alone)

    def _requested(self, line: Line) -> bool:
        """Returns whether traces that were asked for are being printed on the line's host."""
        mine = [item for item in self._reports.on(line.host) if self._is_near(item, line)]
        return any(item.head.cls == shape.REQUESTED for item in mine)

    def feed(self, line: Line, match: Match | None, now_us: int) -> list[Block]:
        """Takes the next line; returns the blocks that it closed."""
        mine = self._reports.by_host.get(line.host)
        opens = match is not None and match.signature in self._opening and match.origin == "kernel"
        if (mine is None and not opens) or line.trust == "user":
            return []
        self._reports.keep(line.host)
        closed = self._close_finished(line, mine) if mine else []
        near = [opened for opened in self._reports.on(line.host) if self._is_near(opened, line)]
        self._turn += 1
        if opens and match is not None:
            self._head(line, match, near, now_us, closed)
        else:
            self._body(line, match, near, now_us, closed)
        return closed

    def tick(self, now_us: int) -> list[Block]:
        """Closes what has been silent for `idle_us` or open for `age_us`; looks at most ten times a
        second.
        """
        if not self._reports.count or now_us < self._next_tick_us:
            return []
        self._next_tick_us = now_us + 100_000
        closed: list[Block] = []
        for opened in self._reports.all():
            quiet = self._limits.linger_us if opened.lingering else self._limits.idle_us
            if (
                now_us - opened.touched_us >= quiet
                or now_us - opened.opened_us >= self._limits.age_us
            ):
                closed += self._reports.close(opened, "deadline", cut=True)
        return closed

    def flush(self) -> list[Block]:
        """Closes every block: the end of input."""
        return [
            block
            for opened in self._reports.all()
            for block in self._reports.close(opened, "flush", cut=True)
        ]

    def open_blocks(self, since: int = -1) -> list[Block]:
        """The open reports with a line after the turn `since`, as far as they have come, for a
        store; `restore` takes them back.
        """
        return [
            opened.block(cut=True)
            for opened in self._reports.all()
            if not opened.shadow and opened.turn > since
        ]

    def heads(self) -> list[Match]:
        """The heads of the open reports."""
        return [opened.head for opened in self._reports.all() if not opened.shadow]

    def since(self) -> dict[str, int]:
        """By source, the first record of what is open: read again from there, the open reports come
        out the same.
        """
        first: dict[str, int] = {}
        for opened in self._reports.all():
            for source, number in opened.since.items() if opened.role != "shadow" else ():
                first[source] = min(number, first.get(source, number))
        return first

    def restore(self, blocks: Iterable[Block], now_us: int) -> None:
        """Opens again what `open_blocks` said was open; deadlines count from `now_us`."""
        for block in blocks:
            self._reports.add(Opened.resume(block, now_us))

    def _head(
        self, line: Line, match: Match, near: Sequence[Opened], now_us: int, closed: list[Block]
    ) -> None:
        """Opens a report, unless the head is a copy, a replay, or one more line of the report that
        is open in its context.
        """
        copied = next(
            (opened for opened in near if opened.repeats(line) or opened.holds(line)), None
        )
        if copied is not None:
            copied.repeated = copied.repeated or copied.repeats(line)
            self._counts["folded"] += 1
            return
        looks = shape_of(line.text)
        if match.cls in (shape.WITHIN, shape.REQUESTED):
            self._orphan(line, match, looks, near, now_us, closed)
            return
        before = joined(
            [opened for opened in near if not opened.shadow], line, match.cls, self._turn
        )
        if before is not None:
            if before.replays_head(line):
                before.head = match
            before.lingering, before.latest = False, match.cls
            self._append(before, line, looks, now_us, closed)
            return
        closed += self._cut_by(line, match, near)
        orphan = next((item for item in by_caller(near, line) if item.role == "orphan"), None)
        opened = Opened.at(match, line, now_us)
        opened.add(line, looks, now_us, self._turn)
        if orphan is not None:
            self._end_orphan(orphan, opened)
        if shape.is_end(line.text, match.cls):
            opened.ended = opened.lingering = True
        self._counts["opened"] += 1
        closed += self._reports.make_room(line.host)
        turns.begin(self._reports.on(line.host), opened)
        self._reports.add(opened)
        closed += self._reports.shrink()

    def _end_orphan(self, orphan: Opened, opened: Opened) -> None:
        """Closes what had no head when a report opens: it is the report's beginning where that lost
        its own, and no part of it where it was asked for.
        """
        lost = opened.head.cls == "panic" or self._opening.get(opened.head.signature) == "rest"
        opened.begin_with(orphan, lost=lost and orphan.head.cls != shape.REQUESTED)
        self._reports.close(orphan, "orphan", cut=True)

    def _orphan(
        self,
        line: Line,
        match: Match,
        looks: LineShape,
        near: Sequence[Opened],
        now_us: int,
        closed: list[Block],
    ) -> None:
        """Follows a register dump or a trace that nothing has announced; in one that is followed,
        it is a line like others.
        """
        known = by_caller(near, line)
        if match.cls == shape.REQUESTED:  # more that was asked for: what came before is over
            for old in known:
                self._reports.close(old, "orphan", cut=True)
            known = []
        if known:
            self._append(known[0], line, looks, now_us, closed)
            return
        orphan = Opened.at(match, line, now_us, role="orphan")
        orphan.add(line, looks, now_us, self._turn)
        self._reports.add(orphan)

    def _cut_by(self, line: Line, match: Match, near: Sequence[Opened]) -> list[Block]:
        """Closes the report that a head which is none of its lines shows to be over: that of the
        same context, if it has no trace of its own that may go on below. Two CPUs may report at one
        time.
        """
        before = newest(
            [opened for opened in by_caller(near, line, head=True) if not opened.shadow]
        )
        if before is None or shape.is_one_line(match.cls):
            return []
        over = line.caller is not None or before.ended or before.lingering
        if before.tracing and not shape.is_one_line(before.head.cls):
            over = False
        if over or shape.follows_its_like(before.head.cls, match.cls):
            return self._reports.close(before, "head", cut=False)
        return []

    def _body(
        self,
        line: Line,
        match: Match | None,
        near: Sequence[Opened],
        now_us: int,
        closed: list[Block],
    ) -> None:
        """Gives the line to the report that it belongs to, if there is one."""
        if any(opened.holds(line) for opened in near):
            self._counts["folded"] += 1
            return
        if match is not None and match.origin == "user":
            self._aside(line, match, near, now_us, closed)
            return
        if near and shape.tells_no_fault(line.text):
            self._shadow(line, _stand_in(line, near[0].head), now_us)
            return
        looks = shape_of(line.text, prose_of(near))
        plain = line.continuation or looks.kind == "blank"
        if plain:
            taker = turns.blank(near) or newest(by_caller(near, line))
        else:
            taker = owner(near, line, looks, self._turn)
        if taker is None:
            self._foreign(line, by_caller(near, line), closed)
        elif taker.lingering and not shape.continues_after_end(line.text):
            self._foreign(line, (taker,), closed)
        elif looks.kind != "blank" or not taker.strangers:
            if looks.kind == "label" and len(near) > 1:
                give_back(near, taker, line)
            self._append(taker, line, looks, now_us, closed)
            if len(near) > 1:
                turns.resume(near, line)

    def _foreign(self, line: Line, near: Sequence[Opened], closed: list[Block]) -> None:
        """A line of nobody's: some of them in a row end a report, few where its end mark has come,
        the stamps go on or nothing but its head did, more where they do not.
        """
        self._counts["foreign"] += 1
        next_one = None if shape.is_chatter(line.text) else turns.due(near)
        taker = next_one or newest(near)
        if next_one is not None:
            next_one.turn = self._turn
        for opened in list(near):
            opened.pass_by(line, unknown=opened is taker and not shape.is_chatter(line.text))
            if opened.strangers >= self._patience(opened, line):
                closed += self._reports.close(opened, "foreign", cut=False)

    def _patience(self, opened: Opened, line: Line) -> int:
        """After how many lines of nobody's in a row a report is over."""
        if opened.lingering:
            return self._limits.strangers
        if len(opened.lines) == 1:
            return self._limits.foreign_after_head
        if opened.after_us(line) > self._limits.pause_us:
            return self._limits.foreign
        return self._limits.foreign_at_once

    def _aside(
        self,
        line: Line,
        match: Match,
        near: Sequence[Opened],
        now_us: int,
        closed: list[Block],
    ) -> None:
        """A user fault breaks into a report."""
        taker = newest(by_caller(near, line))
        if taker is not None:
            self._counts["foreign"] += 1
            self._user_fault(line, match, taker, now_us, closed)

    def _user_fault(
        self, line: Line, match: Match, taker: Opened, now_us: int, closed: list[Block]
    ) -> None:
        """A user fault ends the wait for a panic; beside a report that is still being printed it is
        followed, to keep its lines apart.
        """
        if taker.lingering:
            closed += self._reports.close(taker, "end", cut=False)
        else:
            self._shadow(line, match, now_us)

    def _shadow(self, line: Line, match: Match, now_us: int) -> None:
        """Follows what is no report, to keep its lines out of those that are."""
        if any(opened.role == "shadow" for opened in self._reports.on(line.host)):
            return
        shadow = Opened.at(match, line, now_us, role="shadow")
        shadow.add(line, shape_of(line.text), now_us, self._turn)
        self._reports.shadow(shadow)

    def _append(
        self, opened: Opened, line: Line, looks: LineShape, now_us: int, closed: list[Block]
    ) -> None:
        before = opened.size
        opened.add(line, looks, now_us, self._turn)
        self._reports.size += opened.size - before
        if looks.kind == "trace":
            closed += self._supersede(opened, line)
        lines = self._limits.user_lines if opened.shadow else self._limits.lines
        if len(opened.lines) >= lines:
            closed += self._reports.close(opened, "lines", cut=True)
        elif opened.size >= self._limits.size:
            closed += self._reports.close(opened, "size", cut=True)
        closed += self._reports.shrink()

    def _supersede(self, opened: Opened, line: Line) -> list[Block]:
        """The trace of a report begins: others of its context that have had theirs are over, unless
        a line of them comes yet.
        """
        closed: list[Block] = []
        for other in by_caller(self._reports.on(line.host), line):
            if other is opened or other.shadow or not other.traced:
                continue
            if other.superseded:
                closed += self._reports.close(other, "head", cut=False)
            other.superseded = True
        return closed

    def _is_near(self, opened: Opened, line: Line) -> bool:
        """Whether the stamps allow the line in the report."""
        gap_us = self._limits.gap_us
        return opened.before_head(line) <= gap_us and opened.after_us(line) <= gap_us

    def _close_finished(self, line: Line, mine: Sequence[Opened]) -> list[Block]:
        """Closes what a boot before this line, or a gap in the stamps, has ended. A gap is believed
        after some lines: two hosts whose names nobody shipped may take turns.
        """
        boot = shape.is_banner(line.text)
        closed: list[Block] = []
        for opened in list(mine):
            after_us = opened.after_us(line)
            if boot or opened.is_over(line, self._limits.linger_us):
                closed += self._reports.close(opened, "boot" if boot else "gap", cut=False)
            elif after_us > self._limits.gap_us:
                opened.away += 1
                if opened.away >= self._limits.strangers:
                    closed += self._reports.close(opened, "gap", cut=False)
        return closed


def _stand_in(line: Line, head: Match) -> Match:
    """A head for what is no report: that of a match of user space."""
    return replace(
        head,
        signature="",
        cls="",
        origin="user",
        text=line.text,
        fields={},
        number=line.number,
        kernel_time_us=line.kernel_time_us,
        wall_time_us=line.wall_time_us,
        caller=line.caller,
    )
