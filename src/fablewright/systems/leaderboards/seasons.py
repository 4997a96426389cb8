"""Seasons: they open, end by a timer, and pay their best.

Ending and paying are two timers of the same moment. The first locks the board, freezes the standings and opens the
next season. The second pays; it needs no lock of the board, since frozen standings do not change, and so takes the
locks of accounts before those of boards, as every award does. Many ranks are paid in several commits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol
from uuid import UUID

from fablewright.core.refusal import Refused
from fablewright.core.transaction import Request, Timer, Transaction
from fablewright.systems.characters.views import ALIVE
from fablewright.systems.leaderboards import ranks, rules
from fablewright.systems.leaderboards.commands import BoardSpec
from fablewright.systems.leaderboards.events import (
    RewardTold,
    SeasonEnded,
    SeasonOpened,
    SeasonRewarded,
    TopEntry,
)
from fablewright.systems.leaderboards.rules import Prize, Window, score_of
from fablewright.systems.points import service as points

ENDS: Final = "leaderboards.season_ends"
PAYS: Final = "leaderboards.season_pays"
MOST_TOP: Final = 10
PAID_AT_ONCE: Final = 100
"""Ranks per commit, so that the event stays small and accounts are not locked for long."""


class Defined(Protocol):
    """What seasons need to know of a board."""

    @property
    def key(self) -> str: ...

    @property
    def spec(self) -> BoardSpec: ...


async def open_season(
    tx: Transaction, board_id: UUID, key: str, window: Window, by: Request | None = None
) -> None:
    """Begin a season on a locked board, and let a timer end it."""
    assert window.starts_at is not None and window.ends_at is not None
    await ranks.open_window(tx, board_id, window)
    await _let_end(tx, board_id, window.number, window.ends_at)
    tx.emit(
        SeasonOpened(key=key, number=window.number, starts_at=window.starts_at, ends_at=window.ends_at), by=by
    )


async def _let_end(tx: Transaction, board_id: UUID, number: int, ends_at: int) -> None:
    await tx.schedule(ENDS, max(ends_at, tx.now), {"board_id": str(board_id), "number": number})


async def cancel(tx: Transaction, board_id: UUID) -> None:
    """Nothing of a board falls due any more."""
    for kind in (ENDS, PAYS):
        await tx.cancel_timers(kind, board_id=str(board_id))


async def settle_restored(tx: Transaction, board_id: UUID, number: int) -> None:
    """After a season was put back: it has a timer if it is open, and the empty one before it makes way."""
    rows = await tx.fetch(
        "SELECT number, ends_at, closed, entries FROM board_windows "
        "WHERE world_id = $1 AND board_id = $2 AND (NOT closed OR number = $3)",
        tx.world_id, board_id, number,
    )  # fmt: skip
    for row in rows:
        await tx.cancel_timers(ENDS, board_id=str(board_id), number=row["number"])
        if row["number"] < number and not row["entries"]:
            for table in ("board_ranges", "board_windows"):
                await tx.execute(
                    f"DELETE FROM {table} WHERE world_id = $1 AND board_id = $2 AND number = $3",  # noqa: S608
                    tx.world_id, board_id, row["number"],
                )  # fmt: skip
        elif not row["closed"] and row["ends_at"] is not None:
            await _let_end(tx, board_id, row["number"], row["ends_at"])


# -- the end -------------------------------------------------------------------------------------------------

FREEZE: Final = """
UPDATE board_windows SET closed = true, version = version + 1
WHERE world_id = $1 AND board_id = $2 AND number = $3 AND NOT closed
RETURNING starts_at, ends_at, entries
"""
NEWEST: Final = """
SELECT max(number) FROM board_windows WHERE world_id = $1 AND board_id = $2
"""


async def end(tx: Transaction, boards: Mapping[UUID, Defined], timers: Sequence[Timer]) -> None:
    """Freeze the seasons whose timers have fired, open the next ones, and let them pay."""
    due = sorted((UUID(t.data["board_id"]), int(t.data["number"])) for t in timers)
    await tx.execute(
        "SELECT id FROM boards WHERE world_id = $1 AND id = ANY($2::uuid[]) ORDER BY id FOR NO KEY UPDATE",
        tx.world_id, [board_id for board_id, _ in due],
    )  # fmt: skip
    for board_id, number in due:
        board = boards.get(board_id)
        frozen = await tx.fetchrow(FREEZE, tx.world_id, board_id, number) if board else None
        if board is None or frozen is None:
            continue
        top = await ranks.top(tx, tx.world_id, (board_id, number), MOST_TOP)
        order = board.spec.order
        tx.emit(SeasonEnded(
            key=board.key, number=number, entries=frozen["entries"],
            top=[TopEntry(rank=e.rank, subject_id=e.subject_id, score=score_of(e.standing, order)) for e in top],
        ))  # fmt: skip
        if await tx.fetchval(NEWEST, tx.world_id, board_id) == number:
            last = Window(number, frozen["starts_at"], frozen["ends_at"])
            await open_season(tx, board_id, board.key, rules.next_season(last, board.spec.length_ms, tx.now))
        if frozen["entries"] and board.spec.prizes:
            await _let_pay(tx, _payment(board_id, number, board))


def _payment(board_id: UUID, number: int, board: Defined) -> dict[str, Any]:
    """What a timer that pays carries: the rewards as they were when the season ended, and how far it is."""
    assert board.spec.season is not None
    rewards = [r.model_dump(mode="json") for r in board.spec.season.rewards]
    return {
        "board_id": str(board_id), "number": number, "key": board.key, "name": board.spec.name,
        "rewards": rewards, "rank": 1, "standing": None, "tie": None,
    }  # fmt: skip


async def _let_pay(tx: Transaction, data: dict[str, Any]) -> None:
    await tx.schedule(PAYS, tx.now, data)


# -- paying --------------------------------------------------------------------------------------------------

LIVING: Final = f"SELECT id FROM characters WHERE world_id = $1 AND id = ANY($2::uuid[]) AND {ALIVE}"  # noqa: S608
BELOW: Final = """
SELECT subject_id, standing, tie FROM board_entries
WHERE world_id = $1 AND board_id = $2 AND number = $3 AND (standing, tie) < ($4::float8, $5::bigint)
ORDER BY standing DESC, tie DESC LIMIT $6
"""


@dataclass(frozen=True, slots=True)
class Due:
    """A reward for somebody: `place` is where it stands in the board's list of rewards."""

    rank: int
    subject_id: UUID
    prize: Prize
    place: int


async def pay(tx: Transaction, timers: Sequence[Timer]) -> None:
    """Reward the next ranks of seasons that are over."""
    for timer in timers:
        await _pay(tx, timer.data)


async def _pay(tx: Transaction, data: dict[str, Any]) -> None:
    prizes = [Prize(**reward) for reward in data["rewards"]]
    first = int(data["rank"])
    many = min(PAID_AT_ONCE, rules.last_rank(prizes) - first + 1)
    board_id, number = UUID(data["board_id"]), int(data["number"])
    standing = float("inf") if data["standing"] is None else data["standing"]
    tie = ranks.BEST_TIE if data["tie"] is None else data["tie"]
    rows = await tx.fetch(BELOW, tx.world_id, board_id, number, standing, tie, many)
    due = [
        Due(rank, row["subject_id"], prize, place)
        for rank, row in enumerate(rows, first)
        for place, prize in enumerate(prizes)
        if prize.from_rank <= rank <= prize.to_rank
    ]
    told = await _give(tx, data, due)
    if told:
        tx.emit(SeasonRewarded(key=data["key"], number=number, rewards=told))
    if len(rows) == many and first + many <= rules.last_rank(prizes):
        await _let_pay(
            tx, {**data, "rank": first + many, "standing": rows[-1]["standing"], "tie": rows[-1]["tie"]}
        )


def reference(board_id: UUID | str, number: int | str = "") -> str:
    """How the references of a board's rewards begin, or of those of one season."""
    return f"season:{board_id}:{number}"


async def _give(tx: Transaction, data: Mapping[str, Any], due: Sequence[Due]) -> list[RewardTold]:
    """Pay amounts and grant titles; what each rank got, and what could not be given to it.

    The ledger pays each reference once, whatever happens to timers.
    """
    number, name = data["number"], data["name"]
    begin = reference(data["board_id"], number)
    paid = [d for d in due if d.prize.amount]
    done = await points.award_many(tx, [
        points.AwardAsk(
            d.subject_id, amount=d.prize.amount, currency=d.prize.currency, guarded=False,
            reason=f"{name}, season {number}: rank {d.rank}",
            reference=f"{begin}:{d.place}:{d.subject_id}",
        )
        for d in paid
    ])  # fmt: skip
    refused = {id(d): r.code for d, r in zip(paid, done, strict=True) if isinstance(r, Refused)}
    again = {id(d) for d, r in zip(paid, done, strict=True) if not isinstance(r, Refused) and r.replayed}
    rows = await tx.fetch(LIVING, tx.world_id, sorted({d.subject_id for d in due}))
    living = {row["id"] for row in rows}
    titles = [(d.subject_id, d.prize.title) for d in due if d.prize.title and d.subject_id in living]
    await points.grant_titles(tx, [(who, title, begin) for who, title in titles])
    return [
        RewardTold(
            rank=d.rank, subject_id=d.subject_id, amount=0 if id(d) in again else d.prize.amount,
            currency=d.prize.currency,
            title=d.prize.title,
            refused=refused.get(id(d)) or (None if d.subject_id in living else rules.SUBJECT_NOT_FOUND.code),
        )
        for d in due
    ]  # fmt: skip
