"""The reference of the API, without anything from other servers."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from sgmn.service.docs_page.page import read_style, render_page

router = APIRouter(include_in_schema=False)
_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"


@router.get("/docs")
def docs(request: Request) -> HTMLResponse:
    """The page."""
    headers = {"Content-Security-Policy": _POLICY}
    return HTMLResponse(render_page(request.app.openapi()), headers=headers)


@router.get("/docs/style.css")
def style() -> Response:
    """The style sheet of the page."""
    return Response(read_style(), media_type="text/css")
