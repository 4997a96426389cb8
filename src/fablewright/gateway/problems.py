"""Refusals and bugs as RFC 9457 problem+json."""

from collections.abc import Mapping
from math import ceil
from typing import Any, Final

import orjson
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from fablewright.core.refusal import Refusal, RefusalKind, Refused

PROBLEM: Final = "application/problem+json"
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

    type: str = Field(description="`urn:fablewright:refusal:` and the code.")
    title: str = Field(description="What is wrong, and what to do about it.")
    status: int = Field(description="The HTTP status.")
    code: str = Field(description="Stable; programs decide by it.")
    detail: str = Field(description="What is wrong this time.")


def status_of(refusal: Refusal) -> int:
    """The HTTP status of a refusal."""
    return STATUS[refusal.kind]


def problem_of(refused: Refused, status: int | None = None) -> dict[str, Any]:
    """A refusal as a problem document. Facts come first, so that they cannot replace a member of the standard.

    `status` stands for the one of its kind, where HTTP has a status of its own for it.
    """
    return refused.facts | {
        "type": f"urn:fablewright:refusal:{refused.code}",
        "title": refused.refusal.title,
        "status": status or status_of(refused.refusal),
        "code": refused.code,
        "detail": refused.detail,
    }


def problem_response(
    refused: Refused, *, status: int | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """The HTTP answer to a refused request, with `Retry-After` and `WWW-Authenticate` where they belong."""
    sent = dict(headers or {})
    if "retry_after_seconds" in refused.facts:
        sent["Retry-After"] = str(max(1, ceil(float(refused.facts["retry_after_seconds"]))))
    if refused.refusal.kind is RefusalKind.UNAUTHENTICATED:
        sent["WWW-Authenticate"] = "Bearer"
    problem = problem_of(refused, status)
    return Response(orjson.dumps(problem), problem["status"], sent, PROBLEM)
