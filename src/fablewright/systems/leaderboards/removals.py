"""Entries that go, because of cheating or with their characters, and entries that come back.

Apart from `service`, since none of it is what a board is there for.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import orjson

from fablewright.core.transaction import Transaction
from fablewright.systems.leaderboards import ranks, rules, seasons
from fablewright.systems.leaderboards.commands import LiftBan, RemoveEntries, RestoreEntries
from fablewright.systems.leaderboards.events import (
    BanLifted,
    BoardDefined,
    EntriesRemoved,
    EntriesRestored,
    RemovedEntry,
)
from fablewright.systems.leaderboards.rules import Place, Sheet, Window, score_of, standing_of
from fablewright.systems.leaderboards.service import DEFINITIONS, LOCK, Boards, BoardState

MOST_TOLD: Final = 100
"""Removed entries that an event names; the trace in the table holds them all."""
LOCK_ALL: Final = "SELECT id FROM boards WHERE world_id = $1 ORDER BY id FOR NO KEY UPDATE"
STANDS_IN: Final = f"""
SELECT w.board_id, w.number, e.standing, e.tie, e.at FROM board_windows w
CROSS JOIN LATERAL ({ranks.entry_of("w.board_id", "w.number", "$3")}) e
WHERE w.world_id = $1 AND w.board_id = ANY($2::uuid[]) AND ($4 OR NOT (w.closed OR coalesce(w.ends_at <= $5, false)))
ORDER BY w.board_id, w.number
"""  # noqa: S608  fixed texts only
RENAME: Final = f"""
UPDATE board_windows w SET version = version + 1 WHERE world_id = $1 AND (
    SELECT count(*) FROM unnest($2::uuid[]) s (id)
    CROSS JOIN LATERAL ({ranks.entry_of("w.board_id", "w.number", "s.id")}) e
) > 0
"""  # noqa: S608  fixed texts only


async def stands_in(
    tx: Transaction, boards: Iterable[BoardState], subject_id: UUID, *, past: bool
) -> list[tuple[ranks.Slot, Place]]:
    """The windows of locked boards in which a subject stands, and where; with `past`, those that are over, too."""
    rows = await tx.fetch(STANDS_IN, tx.world_id, [b.id for b in boards], subject_id, past, tx.now)
    return [((r["board_id"], r["number"]), Place(r["standing"], r["tie"], r["at"])) for r in rows]


async def remove_entries(tx: Transaction, command: RemoveEntries) -> dict[str, Any]:
    """Take a cheater off boards, and keep what it had. Refuses `board_not_found`, `nothing_to_remove`."""
    boards = (await DEFINITIONS.of(tx)).chosen(command.key)
    by_id = {b.id: b for b in boards}
    await tx.execute(LOCK, tx.world_id, sorted(by_id))
    standing = await stands_in(tx, boards, command.subject_id, past=command.past)
    if not standing and not command.ban:
        raise rules.NOTHING_TO_REMOVE(subject_id=str(command.subject_id))
    traces: dict[UUID, list[RemovedEntry]] = {b.id: [] for b in boards}
    places = await ranks.ranks_anywhere(tx, tx.world_id, standing) if standing else []
    for (slot, place), rank in zip(standing, places, strict=True):
        board = by_id[slot[0]]
        traces[board.id].append(RemovedEntry(
            key=board.key, number=slot[1], rank=rank, score=score_of(place.standing, board.spec.order), at=place.at,
        ))  # fmt: skip
    await ranks.remove(tx, [(slot, command.subject_id) for slot, _ in standing])
    kept = [b for b in boards if traces[b.id] or command.ban]
    await _trace(tx, command, {b.id: traces[b.id] for b in kept})
    removed = [entry for b in boards for entry in traces[b.id]]
    tx.emit(EntriesRemoved(
        subject_id=command.subject_id, reason=command.reason,
        banned=sorted(b.key for b in kept) if command.ban else [], entries=removed[:MOST_TOLD],
    ))  # fmt: skip
    return {"removed": len(removed), "entries": [e.model_dump() for e in removed[:MOST_TOLD]]}


async def _trace(
    tx: Transaction, command: RemoveEntries, traces: Mapping[UUID, Sequence[RemovedEntry]]
) -> None:
    """Keep what was removed from boards, and why; a ban from all of them holds for those to come, too."""
    rows: list[tuple[UUID | None, Sequence[RemovedEntry]]] = list(traces.items())
    if command.ban and command.key is None:
        rows.append((None, ()))
        tx.definitions_changed = True  # a board that is being defined meanwhile has to know of it
    await tx.execute(
        "INSERT INTO board_removals (world_id, id, board_id, subject_id, reason, banned, entries, at) "
        "SELECT $1, v.id, v.board_id, $4, $5, $6, v.entries::jsonb, $7 "
        "FROM unnest($2::uuid[], $3::uuid[], $8::text[]) AS v (id, board_id, entries)",
        tx.world_id, [tx.new_id() for _ in rows], [board_id for board_id, _ in rows], command.subject_id,
        command.reason, command.ban, tx.now,
        [orjson.dumps([e.model_dump(exclude={"key"}) for e in entries]).decode() for _, entries in rows],
    )  # fmt: skip


async def lift_ban(tx: Transaction, command: LiftBan) -> dict[str, Any]:
    """Take a character's scores again. Refuses `board_not_found`, `not_banned`."""
    boards = {b.id: b for b in (await DEFINITIONS.of(tx)).chosen(command.key)}
    await tx.execute(LOCK, tx.world_id, sorted(boards))
    rows = await tx.fetch(
        "UPDATE board_removals SET banned = false "
        "WHERE world_id = $1 AND (board_id = ANY($2::uuid[]) OR $4 AND board_id IS NULL) AND subject_id = $3 "
        "AND banned RETURNING board_id",
        tx.world_id, list(boards), command.subject_id, command.key is None,
    )  # fmt: skip
    if not rows:
        raise rules.NOT_BANNED(subject_id=str(command.subject_id))
    if command.key is None:
        tx.definitions_changed = True  # a board that is being defined meanwhile has to know of it
    keys = sorted({boards[row["board_id"]].key for row in rows if row["board_id"] is not None})
    tx.emit(BanLifted(subject_id=command.subject_id, keys=keys))
    return {"keys": keys}


async def forget_subjects(tx: Transaction, subject_ids: Sequence[UUID]) -> None:
    """Take characters who are gone off the boards of now; final standings keep their names."""
    boards = await _locked(tx)
    gone = [
        (slot, subject) for subject in subject_ids
        for slot, _ in await stands_in(tx, boards.by_id.values(), subject, past=False)
    ]  # fmt: skip
    await ranks.remove(tx, gone)


async def retag(tx: Transaction, changed: Mapping[UUID, Sequence[str]]) -> None:
    """Take characters off those boards of now whose tag they have no more."""
    boards = await _locked(tx)
    gone = []
    for subject, tags in changed.items():
        left = [
            b for b in boards.by_id.values() if b.spec.scope.tag is not None and b.spec.scope.tag not in tags
        ]
        gone += (
            [(slot, subject) for slot, _ in await stands_in(tx, left, subject, past=False)] if left else []
        )
    await ranks.remove(tx, gone)


async def rename(tx: Transaction, subject_ids: Sequence[UUID]) -> None:
    """Let the answers that show these characters be made anew."""
    if (await _locked(tx)).by_id:
        await tx.execute(RENAME, tx.world_id, subject_ids)


async def _locked(tx: Transaction) -> Boards:
    boards = await DEFINITIONS.of(tx)
    if boards.by_id:
        await tx.execute(LOCK_ALL, tx.world_id)
    return boards


async def restore(tx: Transaction, command: RestoreEntries) -> dict[str, Any]:
    """Put entries of a copied world back. Refuses `board_not_found`, `character_not_found`, `window_in_use`."""
    board = (await DEFINITIONS.of(tx)).get(command.key)
    await tx.execute(LOCK, tx.world_id, [board.id])
    slot = (board.id, command.number)
    await _restore_window(tx, board, command)
    pairs = [(board.id, e.subject_id) for e in command.entries]
    found = await ranks.load(tx, [board.id], [command.number], [None], pairs)
    last = found.last[board.id]
    sheet = Sheet(last[1] if last else 0)
    for entry, pair in zip(command.entries, pairs, strict=True):
        if entry.subject_id not in found.living:
            raise rules.SUBJECT_NOT_FOUND(subject_id=str(entry.subject_id))
        if (place := found.places.get(pair)) is not None:
            sheet.before[entry.subject_id] = place
        sheet.count(entry.subject_id, "latest", standing_of(entry.score, board.spec.order), entry.at)
    await ranks.write(tx, {slot: sheet})
    tx.emit(EntriesRestored(
        key=command.key, number=command.number, entries=len(command.entries), starts_at=command.starts_at,
        ends_at=command.ends_at, closed=command.closed,
    ))  # fmt: skip
    return {"entries": len(command.entries)}


async def _restore_window(tx: Transaction, board: BoardState, command: RestoreEntries) -> None:
    """Make the window if it is not there. The season with which a new board began gives way to it.

    Where the board was not defined by the same commit, what stands is final. Refuses `window_in_use`.
    """
    if not any(isinstance(r.event, BoardDefined) and r.event.key == board.key for r in tx.events):
        used = await tx.fetchval(
            "SELECT closed OR entries > 0 FROM board_windows WHERE world_id = $1 AND board_id = $2 AND number = $3",
            tx.world_id, board.id, command.number,
        )  # fmt: skip
        if used:
            raise rules.WINDOW_IN_USE(key=board.key, number=command.number)
    exists = await tx.fetchval(
        "UPDATE board_windows SET starts_at = $4, ends_at = $5, closed = $6 "
        "WHERE world_id = $1 AND board_id = $2 AND number = $3 RETURNING true",
        tx.world_id, board.id, command.number, command.starts_at, command.ends_at, command.closed,
    )  # fmt: skip
    if not exists:
        await ranks.open_window(tx, board.id, Window(command.number, command.starts_at, command.ends_at))
        await tx.execute(
            "UPDATE board_windows SET closed = $4 WHERE world_id = $1 AND board_id = $2 AND number = $3",
            tx.world_id, board.id, command.number, command.closed,
        )  # fmt: skip
    if board.spec.season is not None:
        await seasons.settle_restored(tx, board.id, command.number)
