"""Refusals and bugs as RFC 9457 problem+json."""

from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from fablewright.core.refusal import Refusal, RefusalKind, Refused

STATUS = {
    RefusalKind.INVALID: 422,
    RefusalKind.UNAUTHENTICATED: 401,
    RefusalKind.FORBIDDEN: 403,
    RefusalKind.NOT_FOUND: 404,
    RefusalKind.CONFLICT: 409,
    RefusalKind.TOO_LARGE: 413,
    RefusalKind.TOO_MANY: 429,
    RefusalKind.UNAVAILABLE: 503,
}


class Problem(BaseModel):
    """RFC 9457 problem details, with the stable `code` of a refusal and the facts that go with it."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: str
    detail: str


def status_of(refusal: Refusal) -> int:
    """The HTTP status of a refusal."""
    return STATUS[refusal.kind]


def problem_of(refused: Refused) -> dict[str, Any]:
    """A refusal as a problem document. Facts come first, so that they cannot replace a member of the standard."""
    return refused.facts | {
        "type": f"urn:fablewright:refusal:{refused.code}",
        "title": refused.refusal.title,
        "status": status_of(refused.refusal),
        "code": refused.code,
        "detail": refused.detail,
    }


def problem_response(refused: Refused) -> Response:
    """The HTTP answer to a refused request, with `Retry-After` and `WWW-Authenticate` where they belong."""
    headers = {}
    if "retry_after_seconds" in refused.facts:
        headers["Retry-After"] = str(max(1, round(float(refused.facts["retry_after_seconds"]))))
    if refused.refusal.kind is RefusalKind.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = "Bearer"
    problem = problem_of(refused)
    return Response(orjson.dumps(problem), problem["status"], headers, "application/problem+json")
