"""The live feed (being written)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.websockets import WebSocket

from fablewright.gateway.runtime import Runtime


@asynccontextmanager
async def open_hub(runtime: Runtime) -> AsyncIterator[Any]:
    yield None


async def socket(websocket: WebSocket) -> None:
    await websocket.close()
