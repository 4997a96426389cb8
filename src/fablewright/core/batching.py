"""Many hot commands in one set-based transaction.

Commands that wait while a commit of their kind is in flight go together into the next one. There is no timer
and no added delay: an idle world answers a single command as fast as ever, a busy one commits larger batches. When as
many wait as are in flight, the next batch begins beside it: one is decided here while PostgreSQL writes the other.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar
from uuid import UUID

from fablewright.core.refusal import UNAVAILABLE, Refusal

MOST_BESIDE: Final = 2
"""How many batches of one place are in flight at a time."""

QUEUE_FULL = Refusal(
    "queue_full", UNAVAILABLE, "Too many commands wait for this world. Try again in a moment."
)

A = TypeVar("A")
R = TypeVar("R")
Place = tuple[UUID, str]


@dataclass(slots=True)
class _Queue(Generic[A, R]):
    """What waits at a place, how many batches are in flight there, and the size of the one begun last.

    A batch is gathering until its task runs: what arrives meanwhile still goes with it.
    """

    waiting: deque[tuple[A, Hashable | None, asyncio.Future[R]]] = field(default_factory=deque)
    in_flight: int = 0
    last: int = 0
    gathering: bool = False


class Batcher(Generic[A, R]):
    """Gathers asks per place (world and command type) and runs each gathering as one.

    `run(place, asks)` returns an answer or an exception for each ask, in order. A second batch begins beside one in
    flight if at least `beside_from` asks wait, and as many as are in flight; with None, never.
    """

    def __init__(
        self,
        run: Callable[[Place, list[A]], Awaitable[list[R | BaseException]]],
        max_batch: int,
        max_queue: int,
        beside_from: int | None = None,
    ):
        self._run = run
        self._max_batch = max_batch
        self._max_queue = max_queue
        self._beside_from = beside_from
        self._queues: dict[Place, _Queue[A, R]] = {}
        self._workers: set[asyncio.Task[None]] = set()

    async def submit(self, place: Place, ask: A, unique: Hashable | None = None) -> R:
        """Run an ask with its neighbours. Two with the same `unique` value never share a batch.

        Refuses `queue_full`.
        """
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        queue = self._queues.get(place)
        if queue is None:
            queue = self._queues[place] = _Queue()
        elif len(queue.waiting) >= self._max_queue:
            raise QUEUE_FULL(retry_after_seconds=1, max_queue=self._max_queue)
        queue.waiting.append((ask, unique, future))
        if self._may_begin(queue):
            self._begin(place, queue)
        return await future

    @property
    def busy(self) -> bool:
        """Whether anything waits or is under way."""
        return bool(self._workers)

    async def idle(self) -> None:
        """Wait until nothing waits or is under way."""
        while self._workers:
            await asyncio.wait(tuple(self._workers))

    def _may_begin(self, queue: _Queue[A, R]) -> bool:
        """Whether another batch shall begin now."""
        if not queue.in_flight:
            return bool(queue.waiting)
        if queue.gathering or self._beside_from is None:
            return False
        return queue.in_flight < MOST_BESIDE and len(queue.waiting) >= max(self._beside_from, queue.last)

    def _begin(self, place: Place, queue: _Queue[A, R]) -> None:
        queue.in_flight += 1
        queue.gathering = True
        worker = asyncio.create_task(self._work(place, queue))
        self._workers.add(worker)
        worker.add_done_callback(self._workers.discard)

    async def _work(self, place: Place, queue: _Queue[A, R]) -> None:
        """Run what waits as a batch, then begin the next; a place where nobody waits costs nothing."""
        try:
            batch = self._take(queue.waiting)
            queue.gathering, queue.last = False, len(batch)
            await self._settle(place, batch)
        finally:
            queue.in_flight -= 1
        if self._may_begin(queue):
            self._begin(place, queue)
        elif not queue.in_flight:
            del self._queues[place]

    async def _settle(self, place: Place, batch: list[tuple[A, Hashable | None, asyncio.Future[R]]]) -> None:
        """Run a batch and hand out its answers."""
        try:
            answers = await self._run(place, [ask for ask, _, _ in batch])
        except BaseException as error:
            for _, _, future in batch:
                if not future.done():
                    future.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for (_, _, future), answer in zip(batch, answers, strict=True):
            if future.done():  # its caller was cancelled; the command was done all the same
                continue
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)

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
