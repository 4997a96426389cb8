"""Many hot commands in one set-based transaction.

Commands that wait while a commit of their kind is in flight go together into the next one. There is no timer
and no added delay: an idle world answers a single command as fast as ever, a busy one commits larger batches.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar
from uuid import UUID

from fablewright.core.refusal import UNAVAILABLE, Refusal

QUEUE_FULL = Refusal(
    "queue_full", UNAVAILABLE, "Too many commands wait for this world. Try again in a moment."
)

A = TypeVar("A")
R = TypeVar("R")
Place = tuple[UUID, str]


class Batcher(Generic[A, R]):
    """Gathers asks per place (world and command type) and runs each gathering as one.

    `run(place, asks)` returns an answer or an exception for each ask, in order.
    """

    def __init__(
        self,
        run: Callable[[Place, list[A]], Awaitable[list[R | BaseException]]],
        max_batch: int,
        max_queue: int,
    ):
        self._run = run
        self._max_batch = max_batch
        self._max_queue = max_queue
        self._waiting: dict[Place, deque[tuple[A, Hashable | None, asyncio.Future[R]]]] = {}
        self._workers: set[asyncio.Task[None]] = set()

    async def submit(self, place: Place, ask: A, unique: Hashable | None = None) -> R:
        """Run an ask with its neighbours. Two with the same `unique` value never share a batch.

        Refuses `queue_full`.
        """
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        queue = self._waiting.get(place)
        if queue is None:
            queue = self._waiting[place] = deque()
            queue.append((ask, unique, future))
            worker = asyncio.create_task(self._work(place, queue))
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)
        elif len(queue) >= self._max_queue:
            raise QUEUE_FULL(retry_after_seconds=1, max_queue=self._max_queue)
        else:
            queue.append((ask, unique, future))
        return await future

    @property
    def busy(self) -> bool:
        """Whether anything waits or is under way."""
        return bool(self._workers)

    async def idle(self) -> None:
        """Wait until nothing waits or is under way."""
        while self._workers:
            await asyncio.wait(tuple(self._workers))

    async def _work(self, place: Place, queue: deque[tuple[A, Hashable | None, asyncio.Future[R]]]) -> None:
        """Run batches until nobody waits; the place then has no worker and costs nothing."""
        while queue:
            batch = self._take(queue)
            try:
                answers = await self._run(place, [ask for ask, _, _ in batch])
            except BaseException as error:
                for _, _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                if not isinstance(error, Exception):
                    raise
                continue
            for (_, _, future), answer in zip(batch, answers, strict=True):
                if future.done():  # its caller was cancelled; the command was done all the same
                    continue
                if isinstance(answer, BaseException):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)
        del self._waiting[place]

    def _take(
        self, queue: deque[tuple[A, Hashable | None, asyncio.Future[R]]]
    ) -> list[tuple[A, Hashable | None, asyncio.Future[R]]]:
        batch: list[tuple[A, Hashable | None, asyncio.Future[R]]] = []
        seen: set[Hashable] = set()
        while queue and len(batch) < self._max_batch:
            if (unique := queue[0][1]) is not None:
                if unique in seen:
                    break
                seen.add(unique)
            batch.append(queue.popleft())
        return batch
