"""The pages: what a person asks of the history, rendered on the server. `router` holds them all."""

from __future__ import annotations

from fastapi import APIRouter

from detector.serve.pages import files

router = APIRouter(include_in_schema=False)
router.include_router(files.router)
