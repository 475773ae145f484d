"""One line of any text format → Draft: the first character chooses the readers, each says
None to what is not its own.

Comes in: decoded text without its line end. Goes out: a Draft, always in the automatic mode. It
keeps no state; joining, ordering and the host are the parser's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from detector.parse import console, kmsg, prefixes, printk, pstore, syslog
from detector.parse.draft import LINE_BOUND, ROWS_BOUND, Context, Draft, cleaned, trust_of

LineReader = Callable[[str, Context], Draft | None]

_WHOLE = ("syslog", "rfc5424")
_JOURNAL_INDENT = 20
_DMESG_INDENT = 15


def pieces(text: str, context: Context) -> Iterable[str]:
    """A text's lines: cleaned, cut at the bound, glued fragments apart; blank ones are counted
    and left out.
    """
    if "\n" in text or "ncfrag=" in text or len(text) > LINE_BOUND:
        return _rows(text, context)
    text = cleaned(text)
    if text:
        return (text,)
    context.counts["blank"] += 1
    return ()


def _rows(text: str, context: Context) -> Iterator[str]:
    rows = kmsg.packets(text) if "ncfrag=" in text else iter(text.split("\n", ROWS_BOUND))
    for row in islice(rows, ROWS_BOUND):
        if len(row) > LINE_BOUND:
            context.counts["text_cut"] += 1
            context.cut += 1
        piece = row[:LINE_BOUND] if "ncfrag=" in row[:512] else cleaned(row[:LINE_BOUND])
        if piece:
            yield piece
        else:
            context.counts["blank"] += 1
    if next(rows, None) is not None:
        context.counts["rows_cut"] += 1


def read_all(text: str, context: Context, reader: LineReader) -> Iterable[Draft | None]:
    """Every line of a text; None for a line that is not of the reader's form, nothing for a
    record's dictionary.

    Bare text after a syslog message of the kernel is that message's own. What user space sent with
    a PRI goes on until the next PRI, and a whole syslog message to the
    end of its record: a process may write line ends into its message and a forged line after them.
    """
    if "\n" in text or "ncfrag=" in text or len(text) > LINE_BOUND:
        return _read_many(text, context, reader)
    text = cleaned(text)
    if not text or kmsg.is_dictionary(text, context):
        context.counts["dictionary" if text else "blank"] += 1
        return ()
    draft = reader(text, context)
    context.after_kmsg = draft is not None and draft.sequence is not None
    return (draft,) if draft is None else console.unglued(draft, context)


def _read_many(text: str, context: Context, reader: LineReader) -> Iterator[Draft | None]:
    hand: str | None = None
    message = False
    for piece in pieces(text, context):
        if kmsg.is_dictionary(piece, context):
            context.counts["dictionary"] += 1
            continue
        if hand in _WHOLE or (hand and piece[0] != "<"):
            yield Draft(piece, hand, "user")
            continue
        draft = reader(piece, context)
        if draft is not None:
            draft.inner = draft.inner or (message and draft.transport == "text")
            message = draft.transport in _WHOLE or (message and draft.transport == "text")
        hand = (
            draft.transport
            if draft is not None and draft.trust == "user" and piece[0] == "<"
            else None
        )
        context.after_kmsg = draft is not None and draft.sequence is not None
        yield from (None,) if draft is None else console.unglued(draft, context)


def read(text: str, context: Context) -> Draft:
    """A line of whatever form."""
    first = text[0]
    if first == "[":
        draft = (
            printk.bracketed(text, context)
            or prefixes.bracketed(text, context, read)
            or prefixes.sent(text, context, read)
        )
    elif first == "<":
        draft = prioritised(text, context)
    elif first.isdigit():
        draft = (
            kmsg.read(text)
            or printk.dated(text, context)
            or printk.headless(text)
            or prioritised(text, context)
            or prefixes.clocked(text, context, read)
            or _dated(text, context)
            or prefixes.sent(text, context, read)
            or syslog.tagged(text)
        )
    elif first in " \t":
        return _indented(text, context)
    else:
        draft = (
            _dated(text, context) or _worded(text, context) or prefixes.sent(text, context, read)
        )
    return draft or console.read(text, context)


def _dated(text: str, context: Context) -> Draft | None:
    """A syslog daemon's line, or what a console mixed into one."""
    draft = syslog.read(text, context)
    if draft is not None and draft.trust == "user" and context.console_us is not None:
        return console.mixed(text, context) or draft
    return draft


def prioritised(text: str, context: Context) -> Draft | None:
    """A line that begins with `<PRI>`: RFC 5424, RFC 3164, dmesg -r, pstore, or an old kernel's
    bare priority.
    """
    priority = syslog.priority(text)
    if priority is None:
        return None
    pri, rest = priority
    draft = syslog.rfc5424(rest, context, pri) or (
        syslog.read(rest, context, pri) if rest else None
    )
    return draft or _levelled(pri, rest)


def _levelled(pri: int, rest: str) -> Draft:
    """Returns what follows the `<6>` of dmesg -r, pstore, /proc/kmsg or an old kernel."""
    draft = printk.raw(pri, rest.lstrip(" ")) or syslog.tagged(rest, pri >> 3)
    if draft is None:
        draft = Draft(rest.lstrip(), "dmesg", trust_of(pri >> 3))
    draft.level, draft.facility = pri & 7, pri >> 3
    return draft


def _indented(text: str, context: Context) -> Draft:
    """A line that begins with blanks: a build service's clock, any form after a paste, or the
    further lines of journalctl's messages.

    journalctl indents those by the width of date, host and tag, so bare text that far to the right
    continues what some process wrote; dmesg by the width of its stamp (print_record() in util-linux
    sys-utils/dmesg.c), so that it continues some message.
    """
    rest = printk.without_build_clock(text)
    rest = (text if rest is None else rest).lstrip()
    if not rest:
        return Draft("", "text")
    draft = read(rest, context)
    indent = len(text) - len(rest)
    if draft.transport == "text" and indent >= _DMESG_INDENT and rest != "^":  # KASAN's mark
        draft.inner = True
        if indent >= _JOURNAL_INDENT:
            draft.trust = "user"
    return draft


def _worded(text: str, context: Context) -> Draft | None:
    """A line that begins with a word: dmesg -x, a terminal's copy, a pstore header, a console
    without brackets.
    """
    return (
        printk.decoded(text, context)
        or syslog.paired(text, context)
        or syslog.tagged(text)
        or pstore.header(text)
        or prefixes.crashed(text)
        or printk.without_brackets(text)
    )


def _netconsole(text: str, context: Context) -> Draft:
    """Basic netconsole sends the console's text, extended netconsole records."""
    draft = (
        kmsg.read(text)
        or printk.bracketed(text, context)
        or prioritised(text, context)
        or console.read(text, context)
    )
    draft.transport = "netconsole"
    return draft


def _dmesg(text: str, context: Context) -> Draft:
    """Any output of dmesg; a line without a stamp is the rest of a message of many lines, or
    `dmesg -t`.
    """
    draft = (
        printk.bracketed(text, context)
        or printk.dated(text, context)
        or printk.decoded(text, context)
    )
    if draft is None and (priority := syslog.priority(text)):
        draft = _levelled(*priority)
    draft = draft or Draft(text.lstrip(), "dmesg")
    draft.transport = "dmesg"
    return draft


def _console(text: str, context: Context) -> Draft:
    draft = (
        printk.bracketed(text, context)
        or printk.without_brackets(text)
        or prioritised(text, context)
        or console.read(text, context)
    )
    draft.transport = "console"
    return draft


def _pstore(text: str, context: Context) -> Draft:
    draft = pstore.header(text) or _dmesg(text, context)
    draft.transport = "pstore"
    return draft


def _rfc5424(text: str, context: Context) -> Draft | None:
    priority = syslog.priority(text)
    return syslog.rfc5424(priority[1], context, priority[0]) if priority else None


def _syslog(text: str, context: Context) -> Draft | None:
    priority = syslog.priority(text)
    pri, rest = priority or (None, text)
    if not rest:
        return None
    return syslog.read(rest, context, pri) or syslog.tagged(rest, None if pri is None else pri >> 3)


def _text(text: str, _context: Context) -> Draft:
    return Draft(text.lstrip(), "text")


READERS: dict[str, LineReader] = {
    "auto": read,
    "dmesg": _dmesg,
    "kmsg": kmsg.read,
    "netconsole": _netconsole,
    "syslog": _syslog,
    "rfc5424": _rfc5424,
    "pstore": _pstore,
    "console": _console,
    "text": _text,
}
"""The readers by the name that `--format` takes."""
