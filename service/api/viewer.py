"""GET /: a page to read mammograms on. It talks to the same API as everybody else."""

from pathlib import Path

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

router = APIRouter(include_in_schema=False)

STATIC = Path(__file__).parents[1] / "static"

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

HEADERS = {
    # Everything comes from this service and nothing goes anywhere else; no script or style stands
    # in a document. `blob:` are pictures that the page itself made.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; connect-src 'self'; worker-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

INDEX = (STATIC / "index.html").read_bytes()
PARTS = {
    path.name: (path.read_bytes(), MEDIA_TYPES[path.suffix])
    for path in sorted((STATIC / "page").iterdir())
    if path.suffix in MEDIA_TYPES
}
"""Of the page's files, content and media type by name: no caller's text ever becomes a path."""


@router.get("/")
async def page() -> Response:
    """Return the page."""
    return Response(INDEX, media_type=MEDIA_TYPES[".html"], headers=HEADERS)


@router.get("/page/{name}")
async def part(name: str) -> Response:
    """Return one of the page's modules or styles."""
    if name not in PARTS:
        raise HTTPException(404)
    content, media_type = PARTS[name]
    return Response(content, media_type=media_type, headers=HEADERS)
