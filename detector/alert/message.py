"""Content of a message, before any receiver's markup: the symptom first, then what on-call
needs to act.

In: a notice. Out: a `Message` of titles and parts whose lines are inert: printable, no line ends,
each at most `LINE_LIMIT` characters. A sender makes its receiver's markup of them and cuts them
with `cut`. No IO, no clock, no markup here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from textwrap import shorten

from detector.alert.notice import Action, Notice, Subject
from detector.alert.wording import clock, duration, gap, harmless, inert_line, ordinal
from detector.model import Severity
from detector.render.escape import inert
from detector.store.query.standing import ProblemStanding

TITLE_LIMIT = 150
SHORT_LIMIT = 80
HOSTS_SHOWN = 20
INCIDENTS_SHOWN = 10
_FUNCTION_LIMIT = 30


@dataclass(frozen=True, slots=True)
class MessagePart:
    """Lines under a label. `code`: lines of a log or commands, to be shown in a fixed width and
    never read as markup.
    """

    label: str
    lines: tuple[str, ...]
    code: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `title` has at most `TITLE_LIMIT` characters, `short` at most `SHORT_LIMIT`;
    both begin with the symptom.
    """

    title: str
    short: str
    action: Action
    severity: Severity
    parts: tuple[MessagePart, ...]
    link: str | None
    runbook: str | None


def compose(notice: Notice) -> Message:
    """All that a message about this notice says."""
    lead = notice.subjects[0]
    parts = [
        _reason(notice),
        *_facts(notice, lead),
        *_lines(lead),
        *_standing(notice),
        *_advice(notice),
        *_others(notice),
        *_next(lead),
    ]
    runbook = (
        inert(lead.runbook)
        if lead.runbook and lead.runbook.startswith(("https://", "http://"))
        else None
    )
    link = inert(notice.link) if notice.link else None
    return Message(
        headline(notice, TITLE_LIMIT),
        headline(notice, SHORT_LIMIT),
        notice.action,
        lead.severity,
        tuple(parts),
        link,
        runbook,
    )


def headline(notice: Notice, limit: int) -> str:
    """The symptom on one line of at most `limit` characters; the longest of several wordings
    that fits, else the last one, cut.
    """
    wordings = tuple(_wordings(notice, limit))
    fitting = next((wording for wording in wordings if len(wording) <= limit), None)
    return fitting or wordings[-1][: limit - 1].rstrip(" ,") + "…"


def summary(subject: Subject) -> str:
    """Host and what happened there on one line, for programs that file an incident as a record."""
    happened = ", then ".join(subject.what_happened) or subject.title
    return inert_line(f"{subject.host}: {happened}")


def _wordings(notice: Notice, limit: int) -> Iterator[str]:
    """Ever shorter: the host's first label, no gap, the last thing first, that alone, its
    function in short.
    """
    lead = notice.subjects[0]
    happened = [harmless(item) for item in lead.what_happened] or [harmless(lead.title)]
    if len(happened) > 3:
        happened = [happened[0], happened[-1]]
    chain = ", then ".join(happened)
    apart = f", {gap(lead.gap_us)} apart" if len(happened) > 1 else ""
    word = _word(notice)
    place, near = _place(notice, lead.host), _place(notice, _first_label(lead.host))
    yield f"[{word}] {place}: {chain}{apart}"
    yield f"[{word}] {near}: {chain}{apart}"
    yield f"[{word}] {near}: {chain}"
    if len(happened) > 1:
        after = f"[{word}] {near}: {happened[-1]}, after "
        yield after + shorten(happened[0], max(limit - len(after), 1), placeholder="…")
    yield f"[{word}] {near}: {happened[-1]}"
    if lead.function and len(lead.function) > _FUNCTION_LIMIT:
        function = harmless(lead.function)
        yield (
            f"[{word}] {near}: "
            f"{happened[-1].replace(function, function[: _FUNCTION_LIMIT - 1] + '…')}"
        )


def _word(notice: Notice) -> str:
    """Returns what comes first: how bad it is, or that it is over."""
    if notice.action == "resolve":
        return "resolved"
    severity = notice.subjects[0].severity
    return (
        severity
        if notice.action == "fire"
        else f"{severity}, {'acknowledged' if notice.action == 'acknowledge' else 'update'}"
    )


def _place(notice: Notice, host: str) -> str:
    if notice.host_count > 1:
        return f"{notice.host_count:,} hosts"
    return f"{harmless(host)} ({notice.total:,} incidents)" if notice.total > 1 else harmless(host)


def _first_label(host: str) -> str:
    """A host name without its domain; an address stays whole."""
    first = host.partition(".")[0]
    return host if not first or first.isdecimal() else first


def _reason(notice: Notice) -> MessagePart:
    reason = harmless(notice.reason)
    lines = (
        [reason, "This message may have been sent before: an earlier attempt had no answer."]
        if notice.repeated
        else [reason]
    )
    return MessagePart("Why now", tuple(lines))


def _facts(notice: Notice, lead: Subject) -> Iterator[MessagePart]:
    """Yields where and when, and what is known of it; one short line each."""
    started = lead.started_us if lead.started_us is not None else lead.found_us
    up = f", up {duration(lead.uptime_us)}" if lead.uptime_us is not None else ""
    if lead.spread is None:
        yield MessagePart("Host", (harmless(f"{lead.host}{up}, boot {lead.boot}"),))
    else:
        yield MessagePart("First host", (harmless(lead.host),))
    yield MessagePart(
        "Started",
        (
            clock(started)
            + (
                ""
                if lead.started_us is not None
                else " (when it was found: its lines carry no wall time)"
            ),
        ),
    )
    if notice.action == "resolve":
        yield MessagePart("Lasted", (duration(max(notice.at_us - started, 0)),))
    if lead.time_basis == "wall" and lead.spread is None:
        yield MessagePart(
            "Caution",
            (
                (
                    "The times are wall clock: a line carries no kernel time, so order and gap "
                    "are estimated."
                ),
            ),
        )
    where = [
        lead.function and f"{lead.function}{f' [{lead.module}]' if lead.module else ''}",
        lead.kernel and f"kernel {lead.kernel}",
    ]
    if any(where):
        yield MessagePart("Function", (harmless(", ".join(filter(None, where))),))
    if lead.known_issue:
        yield MessagePart(
            "Known issue",
            (harmless(f"{lead.known_issue} ({lead.known_issue_confidence or 'possible'})"),),
        )
    if lead.known_bug:
        yield MessagePart("Known bug", (harmless(lead.known_bug),))
    yield MessagePart(
        "Rule",
        (harmless(f"{lead.rule}: {lead.rule_title}" if lead.rule_title else lead.rule),),
    )


def _lines(lead: Subject) -> Iterator[MessagePart]:
    if lead.lines:
        yield MessagePart("Log", tuple(map(harmless, lead.lines)), code=True)


def _standing(notice: Notice) -> Iterator[MessagePart]:
    if notice.standing is not None:
        yield MessagePart(
            "History", tuple(harmless(line) for line in history_lines(notice.standing))
        )


def _advice(notice: Notice) -> Iterator[MessagePart]:
    """Yields what people said of the problem before, who and when."""
    for item in notice.standing.advice if notice.standing is not None else ():
        label = item.about.capitalize()
        yield MessagePart(
            f"{label}, as known",
            (harmless(f"{' '.join(item.text.split())} ({item.author}, {clock(item.at_us)})"),),
        )


def history_lines(standing: ProblemStanding) -> Iterator[str]:
    """Yields what the history knows: new, or how often, on how many hosts, since when; a
    regression; other hosts lately.
    """
    if standing.new and standing.count == 1:
        yield "new: this problem has not been seen before"
    elif standing.new:
        yield (
            f"new: first of {standing.count:,} incidents on {standing.hosts:,} hosts since "
            f"{clock(standing.first_us)}"
        )
    else:
        hosts = "1 host" if standing.hosts == 1 else f"{standing.hosts:,} hosts"
        which = (
            f"{ordinal(standing.count)} incident of {standing.reports:,} reports"
            if standing.reports > standing.count
            else f"{ordinal(standing.count)} time"
        )
        yield (
            f"{which}, {hosts}, first {clock(standing.first_us)}, last {clock(standing.last_us)}"
        )
    if standing.regression_of is not None:
        fix = (
            f"kernel {standing.regression_of} was said to hold the fix"
            if standing.regression_of
            else "it was resolved before"
        )
        yield f"regression: {fix}"
    if standing.hosts_last_hour:
        yield (
            "other hosts in the last hour: "
            f"{listed(standing.hosts_last_hour, len(standing.hosts_last_hour))}"
        )


def _others(notice: Notice) -> Iterator[MessagePart]:
    """Yields of a storm: how many, on which hosts, the incidents at hand."""
    if notice.total <= 1 and notice.host_count <= 1:
        return
    yield MessagePart(
        "Hosts",
        (harmless(f"{notice.host_count:,}: {listed(notice.hosts, notice.host_count)}"),),
    )
    if notice.total <= 1:
        return
    shown = notice.subjects[:INCIDENTS_SHOWN]
    lines = [
        (
            f"{clock(item.started_us if item.started_us is not None else item.found_us)}  "
            f"{item.host}  {item.id}"
        )
        for item in shown
    ]
    if notice.total > len(shown):
        lines.append(f"and {notice.total - len(shown):,} more")
    yield MessagePart(f"{notice.total:,} incidents", tuple(map(harmless, lines)))


def listed(names: Sequence[str], total: int) -> str:
    """The first names, and how many more: "db-1, db-2 and 4,980 more"."""
    shown = ", ".join(map(harmless, names[:HOSTS_SHOWN]))
    more = total - min(len(names), HOSTS_SHOWN)
    return f"{shown} and {more:,} more" if more > 0 else shown


def _next(lead: Subject) -> Iterator[MessagePart]:
    """The first things to do; a runbook that is no address is a sentence of the catalogue."""
    if lead.next_steps:
        yield MessagePart("Next", tuple(map(harmless, lead.next_steps)))
    if lead.runbook and not lead.runbook.startswith(("https://", "http://")):
        yield MessagePart("Runbook", (harmless(lead.runbook),))


def plain(message: Message, *, title: bool = True, limit: int | None = None) -> str:
    """The message as text of at most `limit` characters, lines ended by a line feed."""
    lines = [message.title, ""] if title else []
    for part in message.parts:
        if len(part.lines) == 1 and not part.code:
            lines.append(f"{part.label}: {part.lines[0]}")
        else:
            lines += [f"{part.label}:", *(f"    {line}" for line in part.lines)]
    lines += [
        f"{label}: {link}"
        for label, link in (("Incident", message.link), ("Runbook", message.runbook))
        if link
    ]
    return "\n".join(lines if limit is None else cut(lines, limit, message.link))


def cut(
    lines: Sequence[str], limit: int, link: str | None, size: Callable[[str], int] = len
) -> list[str]:
    """The whole lines that fit `limit` with a line end each, and a last one that says how many
    more there are, and where.

    `size` measures a line as the receiver does. Where not even the first line fits, it is cut
    itself.
    """
    sizes = [size(line) + 1 for line in lines]
    if sum(sizes) <= limit + 1:
        return list(lines)
    kept, used = 0, 0
    where = f": {link}" if link and size(link) < limit // 2 else ""
    while (
        kept < len(lines)
        and used + sizes[kept] + size(_more(len(lines) - kept - 1, where)) <= limit
    ):
        used += sizes[kept]
        kept += 1
    if kept > 1 and lines[kept - 1].endswith(":"):  # a label of nothing
        kept -= 1
    if kept:
        return [*lines[:kept], _more(len(lines) - kept, where)]
    last = _more(len(lines) - 1, where) if len(lines) > 1 else f"… the line is cut{where}"
    return [*_shortened(lines[0], limit - size(last) - 1, size), last]


def _more(count: int, where: str) -> str:
    return f"… {count:,} more {'line' if count == 1 else 'lines'}{where}"


def _shortened(line: str, limit: int, size: Callable[[str], int]) -> list[str]:
    """The line's beginning that fits, as a list of one; of none where nothing does."""
    length = min(len(line), limit - 1)
    while length > 0 and size(line[:length]) + 1 > limit:
        length -= max(1, (size(line[:length]) + 1 - limit) // 6)
    return [line[:length] + "…"] if length > 0 else []
