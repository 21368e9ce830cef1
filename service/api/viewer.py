"""GET /: one page to drop a mammogram on. It talks to the same API as everybody else."""

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

PAGE = (Path(__file__).parents[1] / "static" / "index.html").read_text(encoding="utf-8")

HEADERS = {
    # Everything is in the page; nothing is fetched from, or sent to, anywhere else.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; img-src data:; connect-src 'self'",
    "Cache-Control": "no-store",
}


@router.get("/")
async def viewer() -> HTMLResponse:
    """Return the viewer page."""
    return HTMLResponse(PAGE, headers=HEADERS)
