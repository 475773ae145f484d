"""The API, `/api/v1`: one module for each kind of thing. Fields and parameters are only ever added."""

from __future__ import annotations

from fastapi import APIRouter

from detector.serve.api import health

router = APIRouter()
router.include_router(health.router)
