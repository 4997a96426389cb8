"""`/openapi.json` and `/docs`: what the server offers, for programs and for people."""

from typing import Any, Final

import orjson
from fastapi import APIRouter, Request, Response

from fablewright.gateway import docs
from fablewright.gateway.front import SECURITY_HEADERS, security_headers

router = APIRouter(tags=["documents"])
PUBLIC: Final[dict[str, Any]] = {"security": []}


@router.get(
    "/openapi.json", response_class=Response, openapi_extra=PUBLIC,
    responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}},
)  # fmt: skip
async def openapi_json(request: Request) -> Response:
    """This document."""
    return Response(orjson.dumps(request.app.state.document()), media_type="application/json")


@router.get(
    "/docs", response_class=Response, openapi_extra=PUBLIC,
    responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}},
)  # fmt: skip
async def docs_page(request: Request) -> Response:
    """The same for people: one page without scripts."""
    settings = request.app.state.runtime.settings
    request.scope["state"][SECURITY_HEADERS] = security_headers(settings, docs.POLICY)
    return Response(docs.render(request.app.state.document()), media_type="text/html; charset=utf-8")
