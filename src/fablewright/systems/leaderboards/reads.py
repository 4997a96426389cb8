"""The best of a board, asked for by many: one look-up for all who wait, and the bytes of an unchanged board.

Questions that wait while a look-up of their kind is under way are answered together by the next one, which began
after they had arrived: nobody is told anything older than the question. The look-up reads the caller's roles, the
window's version and the position of the log as one moment. If the version is known, the encoded answer is, too;
the version is read from the database each time, so the bytes are right on every node.
"""

import gzip
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import orjson

from fablewright.core.batching import Batcher, Place
from fablewright.core.database import Database
from fablewright.core.refusal import Refused
from fablewright.systems.leaderboards import views
from fablewright.systems.leaderboards.views import HERE, Here

MOST_KEPT: Final = 256
"""Answers that a process keeps: at about 150 bytes for an entry, at most some megabytes."""
GZIP_FROM: Final = 1_024


@dataclass(slots=True)
class Kept:
    """An encoded answer, all but its position in the log; and the last one that was sent, compressed."""

    here: Here
    body: bytes
    packed_seq: int = -1
    packed: bytes = b""

    def at(self, seq: int) -> bytes:
        """The answer for a position of the log."""
        return b'%s,"seq":%d}' % (self.body, seq)

    def packed_at(self, seq: int) -> bytes:
        """The same, compressed."""
        if self.packed_seq != seq:
            self.packed, self.packed_seq = gzip.compress(self.at(seq), compresslevel=3, mtime=0), seq
        return self.packed


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks for the best of which window."""

    user_id: UUID
    key: str
    number: int | None
    limit: int


@dataclass(frozen=True, slots=True)
class Found:
    """The role of who asks (None for strangers), and the answer, or what refuses it."""

    role: int | None
    kept: Kept | None
    seq: int
    refused: Refused | None = None


class Tops:
    """Answers for the best of boards. One per process."""

    def __init__(self, database: Database, most_waiting: int):
        self._database = database
        self._kept: OrderedDict[tuple[UUID, int, int], Kept] = OrderedDict()
        self._batcher: Batcher[Question, Found] = Batcher(self._answer, most_waiting, most_waiting)

    async def ask(self, world_id: UUID, question: Question) -> Found:
        """The best of a board, as it is after this was called. Refuses `queue_full`."""
        place = f"{question.key}\n{question.number}\n{question.limit}"
        return await self._batcher.submit((world_id, place), question)

    async def _answer(self, place: Place, questions: list[Question]) -> list[Found | BaseException]:
        world_id, question = place[0], questions[0]
        users = list(dict.fromkeys(q.user_id for q in questions))
        async with self._database.reading() as connection:
            row = await connection.fetchrow(HERE, world_id, question.key, question.number, users)
        roles: dict[UUID, int] = dict(zip(users, row["roles"] if row else (), strict=False))
        refused, kept, seq = None, None, 0
        if any(roles.values()):
            try:
                here = views.here_of(row, question.key, question.number)
                kept, seq = await self._kept_for(world_id, here, question)
            except Refused as problem:
                refused = problem
        return [Found(roles.get(q.user_id) or None, kept, seq, refused) for q in questions]

    async def _kept_for(self, world_id: UUID, here: Here, question: Question) -> tuple[Kept, int]:
        place = (here.board_id, here.window.number, question.limit)
        kept = self._kept.get(place)
        if kept is not None and _same(kept.here, here):
            self._kept.move_to_end(place)
            return kept, here.seq
        async with self._database.reading(snapshot=True) as connection:
            row = await connection.fetchrow(HERE, world_id, question.key, question.number, [])
            here = views.here_of(row, question.key, question.number)
            entries = await views.top(connection, world_id, here, question.limit)
        kept = Kept(here, orjson.dumps({**here.told(), "entries": entries}, default=str)[:-1])
        if here.version is not None:
            self._kept[place] = kept
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return kept, here.seq


def _same(one: Here, other: Here) -> bool:
    """Whether nothing that is shown has changed between two moments."""
    return one.version == other.version and one.closed == other.closed and one.spec is other.spec
