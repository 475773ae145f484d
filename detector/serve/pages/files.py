"""The style sheet, the script and the icon, and the choice of a theme.

All files are read once, at the start.

In: a name. Out: the file, kept by the browser as long as its content is the same (an ETag). A name
that is none of these is not found: no path is ever made of what a client sent.
"""

from __future__ import annotations

from types import MappingProxyType

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from detector.serve.http.errors import HttpError
from detector.serve.http.login import inward
from detector.serve.pages.rendering import HERE, THEME_COOKIE, THEMES

router = APIRouter(include_in_schema=False)
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FILES = MappingProxyType(
    {
        path.name: (path.read_bytes(), _TYPES[path.suffix])
        for path in (HERE / "static").iterdir()
        if path.suffix in _TYPES
    }
)
_YEAR_S = 365 * 86_400


@router.get("/static/{name}")
def file(name: str) -> Response:
    """One file."""
    if name not in _FILES:
        raise HttpError(404, f"there is no file {name[:100]}")
    content, media_type = _FILES[name]
    return Response(content, media_type=media_type, headers={"Cache-Control": "no-cache"})


@router.get("/theme/{name}")
def theme(name: str, back: str = "/") -> Response:
    """Remembers how the visitor wants to see pages, and leads back. It changes nothing but
    colours, so that a link may do it.
    """
    if name not in THEMES:
        raise HttpError(404, f"there is no theme {name[:100]}: there are {', '.join(THEMES)}")
    response = RedirectResponse(inward(back), 303)
    if name == "auto":
        response.delete_cookie(THEME_COOKIE, samesite="lax", httponly=True)
    else:
        response.set_cookie(THEME_COOKIE, name, max_age=_YEAR_S, samesite="lax", httponly=True)
    return response
