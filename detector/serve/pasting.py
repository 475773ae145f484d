"""Explains a log that a visitor pasted, for the page and the API.

In: text. Out: an object with matches, explanations, the problems that resemble them. Bounded: two
at once, and as much text as `LONGEST`.
"""

from __future__ import annotations

import threading

from fastapi import Request

from detector.render.objects import Item, as_object, match_item
from detector.serve.deps import bugs, catalogue, history
from detector.serve.http.errors import HttpError

LONGEST = 256 * 1_024
# Reading a pasted log is the dearest thing that a visitor can ask for.
_AT_ONCE = threading.BoundedSemaphore(2)
_SOURCE = "-"


def decided(request: Request, text: str, host: str | None) -> Item:
    """Matches, explanations with what resembles them, what could not be read. Raises HttpError
    where others have logs explained.
    """
    if not _AT_ONCE.acquire(timeout=5):
        raise HttpError(
            429, "others have a log explained just now: try again", headers={"Retry-After": "5"}
        )
    try:
        return _decided(request, text, host)
    finally:
        _AT_ONCE.release()


def _decided(request: Request, text: str, host: str | None) -> Item:
    # Imported here: a start need not wait for what reads and explains logs.
    from detector import diagnose
    from detector.app.standing import alike_of
    from detector.parse import Parser
    from detector.sources.files.paste import records_of

    known, settings = catalogue(request), request.app.state.settings
    parser = Parser(
        host=host or settings.parse.host,
        format=settings.parse.format,
        zone=settings.parse.timezone,
        policy=settings.trust.policy(),
    )
    records = records_of(_SOURCE, text.encode("utf-8", "backslashreplace"))
    lines, unread = diagnose.read_lines(records, parser, request.app.state.clock())
    lines_read, blocks = diagnose.decide(lines, known)
    explanations = [
        diagnose.explanation_item(story, known, bugs(request))
        | {"similar": as_object(alike_of(story, known, history(request)))}
        for story in diagnose.stories(blocks, lines_read)
    ]
    return {
        "lines": len(lines),
        "matches": [match_item(item) for item in lines_read],
        "explanations": explanations,
        "unread": [{"line_number": item.number, "reason": item.reason} for item in unread],
    }
