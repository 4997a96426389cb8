"""Health, metrics, and the documentation page."""

from typing import Any

import asyncpg
from fastapi import APIRouter, Response
from pydantic import BaseModel

from fablewright.core.database import Database
from fablewright.core.doorbell import Doorbell
from fablewright.core.refusal import Refused
from fablewright.gateway import metrics
from fablewright.gateway.api import Caller

router = APIRouter(tags=["health"])


class Live(BaseModel):
    status: str = "live"


class Ready(BaseModel):
    status: str
    problems: list[str]


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


@router.get("/health/live")
async def live() -> Live:
    """The process runs."""
    return Live()


@router.get(
    "/health/ready", responses={503: {"model": Ready, "description": "Not ready; `problems` says why."}}
)
async def ready(caller: Caller, response: Response) -> Ready:
    """The process can serve."""
    found = await caller.runtime.ready()
    if found:
        response.status_code = 503
    return Ready(status="not ready" if found else "ready", problems=found)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def prometheus() -> Any:
    """Counters and gauges in the Prometheus text format."""
    body, content_type = metrics.render()
    return Response(body, media_type=content_type)
