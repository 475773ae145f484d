"""Record bytes → Lines: the one door to all formats.

Comes in: records in the order of their source, and the time now. Goes out: Lines and Unparsed,
never an exception: log lines are written by whoever crashes. It keeps what formats need between
records (fragments, record numbers, parts of dumps), bounded. It reads no clock, does no IO and
decides nothing about what a line means.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, tzinfo
from functools import lru_cache

from detector.lazy_regex import lazy_regex
from detector.model import Line, Record, Unparsed
from detector.parse import fast_path, journald, json_records, lines
from detector.parse.draft import LINE_BOUND, Context, Draft, is_rule, is_text
from detector.parse.host_names import HostForm, Spellings
from detector.parse.netconsole import Fragments, Sequences, StreamId
from detector.parse.pstore import Parts
from detector.parse.stamps import uptime, wall
from detector.trust_policy import TrustPolicy

JSON_FORMATS = (
    "journald",
    "dmesg-json",
    "rsyslog",
    "fluent-bit",
    "beats",
    "vector",
    "otel",
    "json",
)
FORMATS: tuple[str, ...] = (*lines.READERS, *JSON_FORMATS)
"""The names that `format` takes: "auto" tells them apart, record by record; of the JSON names each
reads any JSON."""

TEXT_BOUND = 8_192
"""Characters of a Line's text. An extended console's message is at most 8,192 (PRINTK_MESSAGE_MAX's
forerunner CONSOLE_EXT_LOG_MAX)."""
SAMPLE_BOUND = 200
LONGEST_NAME = 255
_RECORD_BOUND = 64 << 20
_DUMP_BOUND = 1_000
_OF_CONSOLES = ("dmesg", "console")
_OF_DUMPS = ("dmesg", "text", "pstore")
_HOST_NAME = lazy_regex(r"[\w.:%-]{1,255}")
_Drafted = Draft | str | None


class Parser:
    """Reads records of every format.

    `host` overrides what lines say of their host, `form` is the one form of hosts' names; `format`
    names one of FORMATS and then nothing else is read; `zone` is meant by stamps without one;
    `policy` is what the site trusts. Raises ValueError for an unknown format. A Parser is not
    shared between threads.
    """

    def __init__(
        self,
        *,
        host: str | None = None,
        format: str = "auto",  # noqa: A002
        zone: tzinfo = UTC,
        policy: TrustPolicy | None = None,
        form: HostForm | None = None,
    ) -> None:
        if format not in FORMATS:
            raise ValueError(f"unknown format {format!r}, expected one of {', '.join(FORMATS)}")
        self.spellings = Spellings()
        self._form = form or HostForm()
        self._host = self._form.name(host) if host else None
        self._format = format
        self._reader = lines.READERS.get(format)
        self._context = Context(zone=zone, policy=policy or TrustPolicy())
        self._counts = self._context.counts
        self._last_source: str | None = None
        self._fragments = Fragments()
        self._sequences = Sequences()
        self._consoles: dict[str, int] = {}
        self._dumps: dict[tuple[str, bytes | None], Parts] = {}
        self.mark()

    @property
    def overrides(self) -> bool:
        """Returns whether every line has the host that was set, whatever it says."""
        return self._host is not None

    @property
    def counts(self) -> Mapping[str, int]:
        """Returns what was met, by name.

        sequence_gap (holes), sequence_missing (records), fragment (pieces), fragments_lost
        (messages), host_disagreement, printk_dropped, glued, pstore_header, text_cut, rows_cut,
        dictionary, blank, impossible_time, and `unparsed:<reason>`.
        """
        return self._counts

    def mark(self) -> None:
        """The state is good as it is now: `rewind` goes back to it."""
        self._fragments.mark()
        self._sequences.mark()
        dumps = {stream: parts.copy() for stream, parts in self._dumps.items()}
        self._marked = (self._context.after_kmsg, self._last_source, dict(self._counts), dumps)

    def rewind(self) -> None:
        """Goes back to the state at the last mark, to read the same records again."""
        self._fragments.rewind()
        self._sequences.rewind()
        self._context.after_kmsg, self._last_source, counts, self._dumps = self._marked
        self._counts.clear()
        self._counts.update(counts)
        self.mark()

    def feed(self, record: Record, now_us: int) -> list[Line | Unparsed]:
        """The lines of a record, and of earlier ones that waited for it; the first reason of a part
        of it that cannot be read. Nothing, when all it holds is counted or waits itself.
        """
        context = self._context
        context.now_us, context.cut = now_us, 0
        context.after_kmsg = context.after_kmsg and self._last_source == record.source
        self._last_source = record.source
        if (
            self._format == "auto"
            and not self._fragments
            and not self._dumps
            and (line := self._plain(record)) is not None
        ):
            return [line]
        context.console_us = self._consoles.get(record.source) if _is_of_file(record) else None
        ready = self.overdue(now_us)
        unread = False
        try:
            for part in self._parts(record.value):
                if isinstance(part, Draft) and _is_readable(part):
                    ready += self._settled(part, record, now_us)
                elif not unread:
                    reason = "not-text" if isinstance(part, Draft) else part
                    # Counts are of records: a record of thousands of bad parts is one.
                    ready.append(self._unparsed(reason or f"not-{self._format}", record))
                    unread = True
        except Exception as error:  # noqa: BLE001
            ready.append(self._unparsed(f"error-{type(error).__name__}", record))
        return ready

    def overdue(self, now_us: int) -> list[Line | Unparsed]:
        """Returns what has waited too long for its rest, as far as it came."""
        ready: list[Line | Unparsed] = []
        if self._fragments:
            ready += self._lost(self._fragments.overdue(now_us))
        for stream in [stream for stream, parts in self._dumps.items() if parts.is_due(now_us)]:
            ready += self._dumps.pop(stream).release()
        return ready

    def waiting(self) -> dict[str, int]:
        """The number of the first record of which a part still waits, by source. Nearly always
        there is none.
        """
        first: dict[str, int] = {}
        held = [(stream[0], parts.first) for stream, parts in self._dumps.items()]
        for source, number in (*self._fragments.waiting(), *held):
            if number is not None:
                first[source] = min(number, first.get(source, number))
        return first

    def flush(self) -> list[Line | Unparsed]:
        """Returns what still waits, as far as it came: messages with missing fragments, dumps
        whose parts were being ordered.
        """
        ready: list[Line | Unparsed] = self._lost(self._fragments.flush())
        for parts in self._dumps.values():
            ready += parts.release()
        self._dumps.clear()
        return ready

    def _plain(self, record: Record) -> Line | None:
        """The line of a record that one look reads; None for all others."""
        value = record.value
        fields = fast_path.read(value.decode("ascii"), self._context) if value.isascii() else None
        if fields is None:
            return None
        self._context.after_kmsg = False
        text, named, kernel_us, wall_us = fields
        host = self._host_of(named, record)
        return Line(
            text,
            record.source,
            record.number,
            host,
            "syslog",
            self._possible(kernel_us, uptime),
            self._possible(wall_us, wall),
            trust="kernel",
        )

    def _parts(self, value: bytes) -> Iterable[_Drafted]:
        """A record's parts: Drafts, reasons for what is unreadable, None for a line that is not of
        the format that was set.
        """
        if len(value) > _RECORD_BOUND:
            return ("too-long",)
        if value[:1] in _BEFORE_TEXT:
            value = _without_marks(value)
        if (
            len(value) > LINE_BOUND
            and value[:1] not in (b"{", b"[", b"@", b" ")
            and b"\n" not in value
        ):
            self._counts["text_cut"] += 1
            self._context.cut += 1
            value = value[:LINE_BOUND]
        if value.startswith(journald.HEAD) and (self._reader is None or self._format == "auto"):
            return json_records.of_fields(journald.entries(value), self._context)
        text = value.decode("utf-8", "replace")
        if self._reader is None:
            return json_records.read(text, self._context) if json_records.is_json(text) else (None,)
        if self._format == "auto" and text[:1] in _JSON_STARTS and json_records.is_json(text):
            return json_records.read(text, self._context)
        return lines.read_all(text, self._context, self._reader)

    def _settled(self, draft: Draft, record: Record, now_us: int) -> Iterable[Line]:
        """A part of a record → what can go on now."""
        if draft.sequence is not None:
            stream = (record.source, record.key, draft.host)
            self._compare(stream, draft, record.number)
            if draft.fragment is not None:
                self._counts["fragment"] += 1
                whole = self._fragments.add(stream, draft, record, now_us)
                return self._finished(whole[1], whole[0]) if whole else ()
        if draft.part is not None or (
            self._dumps
            and draft.transport in _OF_DUMPS
            and (record.source, record.key) in self._dumps
        ):
            return self._ordered(draft, record, now_us)
        return self._finished(draft, record)

    def _compare(self, stream: StreamId, draft: Draft, number: int) -> None:
        """Counts the records that the kernel numbered and that never came."""
        missing = self._sequences.missing(stream, draft.sequence or 0, number)
        if missing:
            self._counts["sequence_gap"] += 1
            self._counts["sequence_missing"] += missing

    def _ordered(self, draft: Draft, record: Record, now_us: int) -> list[Line]:
        """Lines of a pstore dump, in the order of its parts."""
        stream = (record.source, record.key)
        if len(self._dumps) >= _DUMP_BOUND and stream not in self._dumps:
            return self._finished(draft, record)
        parts = self._dumps.setdefault(stream, Parts(now_us))
        if draft.part is not None:
            self._counts["pstore_header"] += 1
            return parts.begin(*draft.part, now_us, record.number)
        draft.transport = "pstore"
        return [line for own in self._finished(draft, record) for line in parts.add(own)]

    def _finished(self, draft: Draft, record: Record) -> list[Line]:
        """A Draft → its Lines: one, unless the message itself holds line ends."""
        host = self._host_of(draft.host, record)
        if draft.trust == "unknown":
            self._note_console(draft, record)
            draft.trust = self._context.policy.unproven
        if "\n" not in draft.text:
            return [self._line(draft.text, host, draft, record)]
        own_lines: list[Line] = []
        for piece in draft.text.split("\n"):
            own_lines.append(self._line(piece, host, draft, record))
            draft.inner = draft.inner or not is_rule(piece)
        return own_lines

    def _note_console(self, draft: Draft, record: Record) -> None:
        """A file with lines that begin with stamps, and that say nothing of their writer, is a
        console's log: there the kernel prints into daemons' lines.
        """
        if (
            draft.kernel_time_us is not None
            and draft.transport in _OF_CONSOLES
            and _is_of_file(record)
        ):
            self._consoles[record.source] = draft.kernel_time_us
            if len(self._consoles) > _DUMP_BOUND:
                del self._consoles[next(iter(self._consoles))]

    def _line(self, text: str, host: str, draft: Draft, record: Record) -> Line:
        text = text.rstrip()
        if len(text) > TEXT_BOUND:
            known = self._context.cut > 0
            self._context.cut -= known
            self._counts["text_cut"] += not known
            text = text[:TEXT_BOUND]
        return Line(
            text,
            record.source,
            record.number,
            host,
            draft.transport,
            self._possible(draft.kernel_time_us, uptime),
            self._possible(draft.wall_time_us, wall),
            draft.boot_id,
            draft.level,
            draft.facility,
            draft.trust,
            draft.caller,
            draft.continuation,
            draft.inner,
        )

    def _possible(self, time_us: int | None, clock: Callable[[int], int | None]) -> int | None:
        """A time that its clock can show; any other is counted and taken for none."""
        if time_us is None or (shown := clock(time_us)) is not None:
            return time_us
        self._counts["impossible_time"] += 1
        return shown

    def _host_of(self, named: str | None, record: Record) -> str:
        """The host: as set, else from the body, the key, the file's path, else the source, in the
        one form. A body and a key that differ are counted.
        """
        key = _host_of_key(record.key) if record.key else ""
        if named and key and named != key and _label(named) != _label(key):
            self._counts["host_disagreement"] += 1
        if self._host is not None:
            return self._host
        return self.host_named((named or key)[:LONGEST_NAME] if named or key else "", record.source)

    def host_named(self, written: str, source: str) -> str:
        """The host that a line or its key names, in the one form; else that of its source."""
        name = self._form.name(written) if written else self._form.of_path(source)
        if name is None:
            return source[:LONGEST_NAME]
        if name != written:
            self.spellings.note(name, written or source[:LONGEST_NAME])
        return name

    def passes(self, source: str, now_us: int) -> Context | None:
        """Returns the context by which raw lines are read past the parser; None where they may not.
        They may where nothing waits for a line of the source, and no setting would need the parser.
        """
        held = self._fragments or self._dumps or self._host is not None
        if held or self._format != "auto" or self._context.after_kmsg:
            return None
        self._context.now_us, self._last_source = now_us, source
        return self._context

    def _lost(self, incomplete: list[tuple[Record, Draft]]) -> list[Line | Unparsed]:
        """Messages of which fragments are missing, with the text that came."""
        if incomplete:
            self._counts["fragments_lost"] += len(incomplete)
        return [line for record, draft in incomplete for line in self._finished(draft, record)]

    def _unparsed(self, reason: str, record: Record) -> Unparsed:
        self._counts[f"unparsed:{reason}"] += 1
        return Unparsed(reason, record.value[:SAMPLE_BOUND], record.source, record.number)


def _is_of_file(record: Record) -> bool:
    """Returns whether a record is a line of a file: one source, one log.

    Topics mix the lines of many.
    """
    return record.key is None and record.arrival_us is None


def _is_readable(draft: Draft) -> bool:
    """Returns whether a line is one of a known form, or text."""
    return draft.transport != "text" or is_text(draft.text)


def _without_marks(value: bytes) -> bytes:
    """A record's text without what stands before it: byte order marks, and the hole of any
    length that a lost power or a truncation under the writer left.
    """
    while (shorter := value.lstrip(b"\0").removeprefix(BOM_UTF8)) != value:
        value = shorter
    return value


def _label(name: str) -> str:
    """The first label of a host's name, as names are compared."""
    return name.split(".", maxsplit=1)[0].lower()


@lru_cache(maxsize=4096)
def _host_of_key(key: bytes) -> str:
    """A record's key as a host's name, empty if it cannot be one."""
    name = key[:1024].decode("utf-8", "replace").strip('" ')
    return name if _HOST_NAME.fullmatch(name) else ""


_BEFORE_TEXT = (b"\0", BOM_UTF8[:1])
_JSON_STARTS = frozenset(("{", "[", "@", " ", "\t", "\r", "\n"))
