"""The page `/docs`: Swagger UI over the OpenAPI document, all of it served by the hub."""

from typing import Final

from fastapi import APIRouter, Request, Response
from starlette.staticfiles import StaticFiles

from hub.errors import NotFound

router = APIRouter(include_in_schema=False)

# People paste their keys into this page, so no script of others may run on it.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
# Every address is relative, so that it is right under any prefix that a proxy adds.
_PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Notification hub: API</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
<div id="swagger-ui"></div>
<noscript>This page needs JavaScript. The document that it shows has the url: 'openapi.json'</noscript>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</html>
"""
_START: Final = """SwaggerUIBundle({
  dom_id: "#swagger-ui",
  url: "openapi.json",
  deepLinking: true,
  validatorUrl: null,
});
"""


_files = StaticFiles(packages=[("fastapi_swagger", "resources")])
_NAMES: Final = frozenset({"favicon-32x32.png", "swagger-ui-bundle.js", "swagger-ui.css"})


@router.get("/docs")
async def docs() -> Response:
    """The page."""
    return Response(_PAGE, headers={**_HEADERS, "Content-Security-Policy": _POLICY}, media_type="text/html")


@router.get("/docs/start.js")
async def start() -> Response:
    """What the page runs once it is loaded. A file of its own, because the page may hold no script."""
    return Response(_START, headers=_HEADERS, media_type="text/javascript")


@router.get("/docs/{name}")
async def part(name: str, request: Request) -> Response:
    """A file of Swagger UI, from the package that brings it."""
    if name not in _NAMES:
        raise NotFound("The documentation has no such file.")
    response = await _files.get_response(name, request.scope)
    response.headers.update(_HEADERS)
    return response
