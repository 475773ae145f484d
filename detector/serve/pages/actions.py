"""Handles the forms of pages: acknowledge, resolve, reopen, note, silence.

Posted, done, and led back to the page (303).

In: a form whose CSRF token and role the gate has checked. Out: a redirect, or a page that says why
it was refused. The form carries an id of its own, so that sending it twice does it once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from starlette.datastructures import URL
from starlette.responses import RedirectResponse, Response

from detector.clock import HOUR_US
from detector.serve.deps import done, history
from detector.serve.http.access import require, visitor
from detector.serve.http.gate import fields_of
from detector.serve.http.login import inward
from detector.serve.pages.rendering import PageContent, as_html, now_us, problem_page, segment
from detector.serve.pages.silences import LENGTHS, of_each
from detector.store.lifecycle.actions import ActionRefused, Actions, UnknownIncidentError
from detector.store.lifecycle.states import Act
from detector.store.query.advice import ADVICE, TEXT_LIMIT

_MAY_ACT = [Depends(require("act"))]
_LONGEST_REASON = 2_000
_ACTS: Mapping[str, Act] = {
    "acknowledge": "acknowledge",
    "resolve": "resolve",
    "reopen": "reopen",
    "note": "note",
}

router = APIRouter(include_in_schema=False, dependencies=_MAY_ACT)


async def _fields(request: Request) -> Mapping[str, str]:
    return {name: value.strip() for name, value in fields_of(await request.body())}


async def _chosen(request: Request) -> Sequence[str]:
    """The incidents that are selected in a list."""
    return [value.strip() for name, value in fields_of(await request.body()) if name == "id"]


FormFields = Annotated[Mapping[str, str], Depends(_fields)]
Chosen = Annotated[Sequence[str], Depends(_chosen)]


@router.post("/incidents/{identity}/act")
def act(request: Request, identity: str, fields: FormFields) -> Response:
    """One act on an incident."""
    reason, back = (
        fields.get("reason", "")[:_LONGEST_REASON] or None,
        f"/incidents/{segment(identity)}",
    )
    if fields.get("what") == "silence":
        return _done(request, lambda actions: _silence(actions, request, fields), back, "silenced")
    what = _ACTS.get(fields.get("what", ""))
    if what is None:
        return _refused(request, f"An incident can be: {', '.join(_ACTS)}.", back)
    return _done(
        request,
        lambda actions: actions.act(
            identity, what, actor=visitor(request).name, reason=reason, request=_request(fields)
        ),
        back,
        what,
    )


@router.post("/incidents/{what}")
def act_on_many(request: Request, what: str, chosen: Chosen, back: str = "/incidents") -> Response:
    """Acknowledges or resolves the selected incidents that their state allows it for."""
    back = inward(back)
    if what not in {"acknowledge", "resolve"}:
        return _refused(request, "Selected incidents can be acknowledged or resolved.", back)
    if not chosen:
        return _refused(request, "No incident is selected.", back, hint="Select some in the list.")

    def order(actions: Actions) -> dict[str, int]:
        who = visitor(request).name
        acted = [_acted(actions, item, _ACTS[what], who) for item in dict.fromkeys(chosen)]
        return {"count": sum(acted), "left": len(acted) - sum(acted)}

    return _done(request, order, back, what)


def _acted(actions: Actions, identity: str, what: Act, who: str) -> bool:
    """Acts on one incident; False where its state does not allow it, or it is there no more."""
    try:
        actions.act(identity, what, actor=who)
    except (ActionRefused, UnknownIncidentError):
        return False
    return True


@router.post("/problems/{fingerprint}/act")
def act_on_problem(request: Request, fingerprint: str, fields: FormFields) -> Response:
    """Resolves or reopens a problem, or keeps what is known of it."""
    fingerprint = fingerprint.removesuffix(".html")
    who, back = visitor(request).name, problem_page(fingerprint)
    if fields.get("what") == "resolve":
        fixed = fields.get("fixed_in", "")[:60] or None
        return _done(
            request,
            lambda actions: actions.resolve_problem(
                fingerprint, actor=who, fixed_in=fixed, request=_request(fields)
            ),
            back,
            "resolve",
        )
    if fields.get("what") == "acknowledge":
        return _done(
            request,
            lambda actions: actions.acknowledge_problem(fingerprint, actor=who),
            back,
            "acknowledge",
        )
    if fields.get("what") == "silence":
        return _done(request, lambda actions: _silence(actions, request, fields), back, "silenced")
    if fields.get("what") == "reopen":
        return _done(
            request,
            lambda actions: actions.reopen_problem(
                fingerprint, actor=who, request=_request(fields)
            ),
            back,
            "reopen",
        )
    if fields.get("what") == "advise":
        return _done(
            request, lambda actions: _advise(actions, fingerprint, fields, who), back, "advised"
        )
    return _refused(
        request, "A problem can be acknowledged, resolved, reopened, silenced or advised on.", back
    )


def _advise(actions: Actions, fingerprint: str, fields: Mapping[str, str], who: str) -> None:
    """Keeps what changed of the three fields."""
    for about in ADVICE:
        if fields.get(about, "") != fields.get(f"{about}_before", ""):
            actions.advise(fingerprint, about, fields.get(about, "")[:TEXT_LIMIT], actor=who)


@router.post("/silences")
def silence(request: Request, fields: FormFields, chosen: Chosen) -> Response:
    """A new silence from now on, or one for each problem and host of the selected incidents."""
    each = of_each(history(request), chosen) if chosen else [fields]
    if not each:
        return _refused(request, "None of the selected incidents is there any more.", "/incidents")

    def order(actions: Actions) -> None:
        for covers in each:
            _silence(actions, request, {**fields, **covers})

    return _done(request, order, "/silences", "silenced")


def _silence(actions: Actions, request: Request, fields: Mapping[str, str]) -> None:
    """Adds the silence of a form."""
    begins = now_us(request)
    hours = next(
        (hours for hours, _ in LENGTHS if str(hours) == fields.get("hours")), LENGTHS[0][0]
    )
    covers = {name: fields.get(name, "")[:200] or None for name in ("host", "rule", "fingerprint")}
    actions.silence(
        **covers,
        starts_us=begins,
        ends_us=begins + hours * HOUR_US,
        author=visitor(request).name,
        comment=fields.get("comment", "")[:500],
    )


@router.post("/silences/{number}/expire")
def expire(request: Request, number: Annotated[int, Path(ge=1, lt=1 << 63)]) -> Response:
    """Ends a silence."""
    return _done(
        request,
        lambda actions: actions.expire_silence(number, actor=visitor(request).name),
        "/silences",
        "expired",
    )


def _request(fields: Mapping[str, str]) -> str | None:
    return fields.get("request", "")[:100] or None


def _done(request: Request, order: Callable[[Actions], Any], back: str, what: str) -> Response:
    """Does what a form orders and leads back, to where the form stood; an order that returns
    counts has them said.
    """
    try:
        counts = done(request, order)
    except UnknownIncidentError:
        return _refused(request, "There is no such incident, or it was removed.", back)
    except ActionRefused as refusal:
        return _refused(request, f"{str(refusal)[:1].upper()}{str(refusal)[1:]}.", back)
    result = {"done": what} | (counts if isinstance(counts, dict) else {})
    address = URL(back).remove_query_params(["done", "count", "left"])
    return RedirectResponse(f"{address.include_query_params(**result)}#acts", 303)


def _refused(
    request: Request,
    why: str,
    back: str,
    hint: str = "Somebody else may have been quicker: look at it again.",
) -> Response:
    view = {
        "text": why,
        "hint": hint,
        "back": back,
        "back_words": "Back",
    }
    return as_html(request, PageContent("message.html", "Not done", "", view, status=409))
