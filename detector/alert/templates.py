"""Messages in the user's own words: jinja2 templates in a sandbox, which the table of a
receiver names.

In: files, and the fields of a notice (`payload.notice_item`). Out: a title and a body, bounded. The
fields' values come inert and escaped for the receiver, so that no log line becomes markup; what the
template itself says is its author's. Faults name file and line.

Nothing in it is from a log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined, Template, TemplateError, TemplateSyntaxError
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from detector.alert.notice import Action, Notice, Subject
from detector.alert.payload import notice_item
from detector.clock import SECOND_US
from detector.render.escape import inert
from detector.store.query.standing import ProblemStanding

_SUBJECT = Subject(
    id="0123456789abcdef",
    rule="tcp-release-and-memory-fault",
    host="db-17",
    boot="example",
    severity="critical",
    title="BUG: unable to handle kernel paging request in __inet_lookup_listener",
    fingerprint="1:00112233445566aa",
    started_us=0,
    found_us=0,
    gap_us=492_317,
    time_basis="kernel",
    uptime_us=61_817_741_312_094,
    kernel="4.19.90-example",
    function="__inet_lookup_listener",
    module=None,
    lines=(
        (
            "[61817740.819777] IPv4: Attempt to release TCP socket in state 10 "
            "ffff805624a7b800   kernel-logs/3:41"
        ),
        (
            "[61817741.312094] Unable to handle kernel paging request at virtual address "
            "0001950b00000030   kernel-logs/3:44"
        ),
    ),
    what_happened=("TCP socket released while listening", "paging fault in __inet_lookup_listener"),
    known_issue="tcp-listener-race",
    known_issue_confidence="likely",
    next_steps=(
        "oopswatch incidents show 0123456789abcdef",
        "Look at the other hosts with this kernel.",
    ),
    state="open",
    rule_title="A TCP socket was released, then the kernel faulted",
    runbook="https://runbooks.example.com/tcp-listener-race",
)


def example_notice(
    at_us: int, action: Action = "fire", reason: str = "this is a test, nothing has happened"
) -> Notice:
    """One incident that began 90 s before `at_us`."""
    subject = replace(_SUBJECT, started_us=at_us - 90 * SECOND_US, found_us=at_us - 89 * SECOND_US)
    standing = ProblemStanding(
        14,
        9,
        at_us - 30 * 86_400 * SECOND_US,
        at_us - 90 * SECOND_US,
        False,
        "4.19.93",
        ("db-3", "db-9"),
    )
    link = "https://oopswatch.example.com/incidents/0123456789abcdef"
    return Notice(
        action,
        "oopswatch/test",
        (subject,),
        1,
        ("db-17",),
        1,
        standing,
        reason,
        at_us,
        "kernel",
        link,
    )


BODY_LIMIT = 20_000
_LIMITS = {"title": 150, "body": BODY_LIMIT}
_GREATEST_PRODUCT = 1_000_000
SUFFIX = ".j2"

Escape = Callable[[str], str]


class _Sandbox(ImmutableSandboxedEnvironment):
    """No access to Python's inside, nothing changed, no text or number blown up by `*` and
    `**`.
    """

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Small numbers are multiplied, and nothing else is."""
        small = all(
            isinstance(item, int | float) and abs(item) <= _GREATEST_PRODUCT
            for item in (left, right)
        )
        if operator == "**" or not small:
            raise SecurityError(
                f"{operator} is for small numbers here"
                if operator == "*"
                else "** is not allowed here"
            )
        return super().call_binop(context, operator, left, right)


@dataclass(frozen=True, slots=True)
class Templates:
    """The templates of one receiver: what replaces its title, its body, or neither."""

    title: Template | None = None
    body: Template | None = None

    def rendered(
        self, item: Mapping[str, Any], *, names: Mapping[str, str], escape: Escape | None = None
    ) -> dict[str, str]:
        """The texts of the templates there are, under the names that the caller gives "title" and
        "body".

        A template that fails is left out, so that a message is never lost to it: the built-in text
        stands instead.
        """
        given = item if escape is None else _escaped(item, escape)
        rendered = {}
        for part, template in (("title", self.title), ("body", self.body)):
            if template is not None and part in names:
                with suppress(Exception):
                    rendered[names[part]] = _render(template, given, part)
        return rendered


def load(path: Path) -> Template:
    """A template of a file; it may include others of its folder. Raises TemplateError or
    OSError.
    """
    environment = _Sandbox(
        loader=FileSystemLoader(path.parent), undefined=StrictUndefined, autoescape=False
    )
    return environment.get_template(path.name)


def check_folder(folder: Path) -> tuple[int, list[str]]:
    """Returns how many templates a folder holds, and their faults."""
    paths = sorted(folder.rglob(f"*{SUFFIX}"))
    return len(paths), [fault for path in paths for fault in check_file(path)]


def check_file(path: Path) -> list[str]:
    """Returns what is wrong with a template, as `file:line: what`: it is read, and tried with
    a first message, a resolution and a bare one.
    """
    try:
        template = load(path)
        for notice in _TRIALS:
            _render(template, notice_item(notice), "body")
    except TemplateSyntaxError as error:
        return [inert(f"{error.filename or path}:{error.lineno}: {error.message}")]
    except TemplateError as error:
        return [inert(f"{path}:{_line_of(error, path)}: {error.message or type(error).__name__}")]
    except UnicodeDecodeError:
        return [f"{path}:1: not UTF-8"]
    except OSError as error:
        return [f"{path}:1: cannot be read: {error.strerror}"]
    except Exception as error:  # noqa: BLE001
        return [inert(f"{path}:{_line_of(error, path)}: {type(error).__name__}: {error}")]
    return []


def _render(template: Template, item: Mapping[str, Any], part: str) -> str:
    """The text, cut at the part's limit; what a template goes on to say is not waited for.

    A title is one line.
    """
    limit, size, pieces = _LIMITS[part], 0, []
    for piece in template.generate(**item):
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            break
    lines = "".join(pieces).strip().splitlines()
    text = " ".join(map(inert, lines)) if part == "title" else "\n".join(map(inert, lines))
    return text if size <= limit and len(text) <= limit else text[: limit - 1] + "…"


def _escaped(value: Any, escape: Escape) -> Any:
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, Mapping):
        return {name: _escaped(item_given, escape) for name, item_given in value.items()}
    return [_escaped(item, escape) for item in value] if isinstance(value, list) else value


def _line_of(error: Exception, path: Path) -> int:
    """The line of the template that an error is from: the innermost frame that jinja2 ascribes
    to the file.
    """
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _bare() -> Notice:
    """A notice of which only the least is known."""
    notice = example_notice(0)
    subject = replace(
        notice.subjects[0], fingerprint=None, started_us=None, uptime_us=None, kernel=None,
        function=None, module=None, lines=(),
        what_happened=(), known_issue=None, known_issue_confidence=None, next_steps=(),
        rule_title=None, runbook=None,
    )  # fmt: skip
    return replace(notice, subjects=(subject,), standing=None, team=None, link=None)


_TRIALS = (example_notice(0), example_notice(0, "resolve"), _bare())
