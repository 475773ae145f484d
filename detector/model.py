"""The nouns that travel down the path: Record, Line, Match, Block, CrashReport, Incident.

Everything here is a frozen value: no behaviour beyond what a noun says of itself, no IO, no clock,
no settings. Times are integers: `*_us` is microseconds, since boot (`kernel_time_us`) or since
1970-01-01 UTC (`wall_time_us`, `arrival_us`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Origin = Literal["kernel", "user"]
Trust = Literal["kernel", "user", "unknown"]
Severity = Literal["critical", "error", "warning", "info"]
Confidence = Literal["certain", "likely", "possible"]
TimeBasis = Literal["kernel", "wall"]

# Transports of what a crashed kernel left: its lines are read in a later boot than the one that
# printed them. VMCORE is a dump's log behind a syslog tag that the site trusts.
VMCORE = "vmcore"
DUMPS = frozenset(("pstore", VMCORE))


@dataclass(frozen=True, slots=True)
class Record:
    """One log entry as shipped.

    `source` is a file path, "-" or "topic/partition"; `number` a line number from 1, or an
    offset.
    """

    value: bytes
    source: str
    number: int
    key: bytes | None = None
    arrival_us: int | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """The position of a history in one source: `offset` is the next to read, of the topic that
    Kafka knows by `topic_id` (None for files, and for brokers before 2.8).

    Noise below `counted` is counted already. `set_us` is when a person set the position, None once
    it has moved on.
    """

    offset: int
    topic_id: str | None = None
    counted: int = 0
    set_us: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A parsed record. `text` is the kernel's message alone: no stamps, no prefix, no line end,
    outer blanks on the right removed.

    `trust` says who wrote it: "kernel" where the transport proves it (facility 0,
    `_TRANSPORT=kernel`, tag `kernel`), "user" where it proves the contrary, "unknown" where it says
    nothing (plain dmesg). `caller` is printk's caller id ("T3083", "C0"). `continuation` marks a
    piece that KERN_CONT continues an earlier line with. `inner` marks text behind a line end within
    one message: it may be a name that a process chose, so no signature begins there.
    """

    text: str
    source: str
    number: int
    host: str
    transport: str
    kernel_time_us: int | None = None
    wall_time_us: int | None = None
    boot_id: str | None = None
    level: int | None = None
    facility: int | None = None
    trust: Trust = "unknown"
    caller: str | None = None
    continuation: bool = False
    inner: bool = False


@dataclass(frozen=True, slots=True)
class Unparsed:
    """A record or a part of one that no format reads: counted by `reason`, one `sample` (≤ 200
    bytes) kept.
    """

    reason: str
    sample: bytes
    source: str
    number: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that was set aside since a stage raised an error on it: where it is, which
    stage, what was raised, and the bytes themselves.
    """

    source: str
    number: int
    stage: str
    reason: str
    value: bytes
    key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Boot:
    """Evidence of a line's boot: journald's id; the boot's wall-clock start (wall − kernel
    time); the count within its stream.

    `before` says that it is an earlier boot than that count: the line came late, or from a dump
    that was read after the reboot.
    """

    id: str | None = None
    epoch_us: int | None = None
    stream: str = ""
    count: int = 0
    before: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """A line that a signature claims, with its captured fields. A match of origin "user" is
    noise.
    """

    signature: str
    cls: str
    origin: Origin
    severity: Severity
    text: str
    fields: Mapping[str, str]
    source: str
    number: int
    host: str
    boot: Boot
    kernel_time_us: int | None
    wall_time_us: int | None
    caller: str | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """The lines that one kernel fault printed, verbatim and in order; `head` is the match that
    opened it, `lines[k]` its texts.

    `complete` is False where the end was not seen: cut by a deadline, a bound, another report or
    the end of input.
    """

    head: Match
    lines: tuple[str, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """One entry of a call trace.

    `function` is as printed (with `.isra.0`); `reliable` is False for `?` and ppc's
    `(unreliable)`.
    """

    function: str
    offset: int | None = None
    size: int | None = None
    module: str | None = None
    address: int | None = None
    reliable: bool = True
    inlined: bool = False


@dataclass(frozen=True, slots=True)
class CrashReport:
    """The content of a report block.

    Every field is None or empty where the block does not say it.

    `title` is syzbot's spelling; `function` the guilty function without compiler suffixes
    (`display_function` keeps them); `kind` the sort of report ("memory-fault", "warning", "kasan"
    …); `code` the Code line's bytes or words as printed, `code_mark` the marked one's index;
    `registers` lower-case names → values (x0…x30, pc, lr, sp, pstate; rax…r15, rip, cr2, …);
    `frames` the trace of the crashing context; `pc` the function at the program counter, which need
    not be the guilty one; `lines` the block's text, for what only an explanation of its kind reads;
    `package` what a distribution prints behind the release ("Debian 6.1.119-1").
    """

    kind: str
    title: str | None = None
    function: str | None = None
    display_function: str | None = None
    offset: int | None = None
    size: int | None = None
    module: str | None = None
    kernel: str | None = None
    arch: str | None = None
    hardware: str | None = None
    cpu: int | None = None
    pid: int | None = None
    comm: str | None = None
    tainted: str | None = None
    fault_address: int | None = None
    error_code: int | None = None
    esr: int | None = None
    instruction: str | None = None
    code: tuple[str, ...] = ()
    code_mark: int | None = None
    registers: Mapping[str, int] = field(default_factory=dict)
    frames: tuple[Frame, ...] = ()
    panic: str | None = None
    complete: bool = False
    pc: Frame | None = None
    lines: tuple[str, ...] = ()
    package: str | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence of a diagnosis, with what it rests on (texts from the log or the arithmetic
    done) and how sure it is.
    """

    text: str
    confidence: Confidence
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The explanation of one incident or block: sentences, the known issue it names (id and
    confidence), and what to do next.
    """

    statements: tuple[Statement, ...] = ()
    known_issue: str | None = None
    known_issue_confidence: Confidence | None = None
    next_steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Spread:
    """The hosts on which one value was seen: `field` says what it is, "fingerprint" or
    "process".

    `first_us` and `last_us` are the beginnings of the first and the last hour (wall time, µs);
    `hosts` counts all hosts, `names` are the first of them by name.
    """

    field: str
    value: str
    first_us: int
    last_us: int
    hosts: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Incident:
    """A set of matches that belong together by a rule.

    `evidence` is in kernel-time order (wall-time order where there is none) and holds `anchor`.

    `nearest` is the other half that is nearest to the anchor fault, `gap_us` its distance; a fault
    alone has none, and 0. `joined` names incidents that became part of it. `spread` tells of the
    hosts where there are many; then `host` is where it was seen first.
    """

    id: str
    rule: str
    severity: Severity
    host: str
    boot: str
    time_basis: TimeBasis
    gap_us: int
    started_us: int | None
    anchor: Match
    evidence: tuple[Match, ...]
    joined: tuple[str, ...] = ()
    nearest: Match | None = None
    spread: Spread | None = None
