"""Gates: they keep one hot world from taking all connections of the process."""

import asyncio
from uuid import UUID

from fablewright.core.database import OVERLOADED


class Gates:
    """For each world a gate that lets `width` transactions through at a time."""

    def __init__(self, width: int, wait_seconds: float):
        self._width, self._wait_seconds = width, wait_seconds
        self._gates: dict[UUID, Gate] = {}

    def __len__(self) -> int:
        """How many worlds have a gate just now; those that nobody uses have none."""
        return len(self._gates)

    def of(self, world_id: UUID) -> "Gate":
        """The gate of a world, as an async context manager. Entering refuses `overloaded` after the wait."""
        gate = self._gates.get(world_id)
        if gate is None:
            gate = self._gates[world_id] = Gate(self._gates, world_id, self._width, self._wait_seconds)
        return gate


class Gate:
    """A semaphore that forgets itself when nobody uses it. Refuses `overloaded` to those who wait too long."""

    def __init__(self, gates: dict[UUID, "Gate"], key: UUID, width: int, wait_seconds: float):
        self._gates, self._key, self._wait_seconds = gates, key, wait_seconds
        self._semaphore = asyncio.Semaphore(width)
        self._users = 0

    async def __aenter__(self) -> None:
        self._users += 1
        try:
            if not self._semaphore.locked():
                await self._semaphore.acquire()
                return
            async with asyncio.timeout(self._wait_seconds):
                await self._semaphore.acquire()
        except TimeoutError as error:
            self._leave()
            raise OVERLOADED(retry_after_seconds=1) from error
        except BaseException:
            self._leave()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._semaphore.release()
        self._leave()

    def _leave(self) -> None:
        self._users -= 1
        if self._users == 0 and self._gates.get(self._key) is self:
            del self._gates[self._key]
