"""Health and metrics."""

from typing import Any, Final, Literal

import asyncpg
from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from fablewright.core.database import Database
from fablewright.core.doorbell import Doorbell
from fablewright.core.refusal import Refused
from fablewright.gateway import metrics
from fablewright.gateway.api import Caller

router = APIRouter(tags=["health"])


PUBLIC: Final[dict[str, Any]] = {"security": []}


class Live(BaseModel):
    """The process runs."""

    status: Literal["live"] = "live"


class Ready(BaseModel):
    """Whether the process can serve."""

    status: Literal["ready", "not ready"]
    problems: list[str] = Field(description="What keeps it from serving; empty when it is ready.")


async def problems(database: Database, doorbell: Doorbell) -> list[str]:
    """What keeps this process from serving; empty when it is ready."""
    found = []
    try:
        async with database.reading() as connection:
            await connection.fetchval("SELECT 1 FROM worlds LIMIT 1")
    except (Refused, asyncpg.PostgresError) as error:
        found.append(f"database: {error}")
    if not doorbell.listening:
        found.append("doorbell: not listening; events of other processes arrive late")
    return found


@router.get("/health/live", openapi_extra=PUBLIC)
async def health_live() -> Live:
    """The process runs."""
    return Live()


@router.get(
    "/health/ready", openapi_extra=PUBLIC,
    responses={503: {"model": Ready, "description": "Not ready; `problems` says why."}},
)  # fmt: skip
async def health_ready(caller: Caller, response: Response) -> Ready:
    """The process can serve."""
    found = await caller.runtime.ready()
    if found:
        response.status_code = 503
    return Ready(status="not ready" if found else "ready", problems=found)


@router.get(
    "/metrics", response_class=Response, openapi_extra=PUBLIC,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)  # fmt: skip
async def prometheus_metrics() -> Response:
    """Counters and gauges in the Prometheus text format."""
    body, content_type = metrics.render()
    return Response(body, media_type=content_type)
