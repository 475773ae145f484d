"""One act of a visitor on the history: a writing connection that lives as long as the act,
beside a running service.

In: a request, on the thread that will write, and what to do. Out: what it gave. Who may act is the
gate's affair.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TypeVar

from fastapi import Request

from detector.store.lifecycle.actions import Actions, open_actions

Made = TypeVar("Made")


def done(request: Request, order: Callable[[Actions], Made]) -> Made:
    """Does one thing.

    Raises `ActionRefused` for what the state does not allow, `StoreError` for what is not
    there.
    """
    state = request.app.state
    with closing(open_actions(state.settings.store.path, state.clock)) as actions:
        return order(actions)
