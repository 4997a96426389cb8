"""What the commands about leaderboards do, and how scores come onto boards."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson

from fablewright.core.conditions import Holds, compiled
from fablewright.core.definitions import Definitions
from fablewright.core.messages import matches
from fablewright.core.refusal import Refused
from fablewright.core.transaction import Request, Transaction
from fablewright.systems.leaderboards import ranks, rules, seasons
from fablewright.systems.leaderboards.commands import (
    MOST_BOARDS,
    BoardSpec,
    DefineBoard,
    LiftBan,
    OfEvents,
    PointsEarned,
    RemoveBoard,
    RemoveEntries,
    RestoreEntries,
    SubmitScore,
    Submitted,
)
from fablewright.systems.leaderboards.events import (
    BanLifted,
    BoardDefined,
    BoardRemoved,
    EntriesRemoved,
    EntriesRestored,
    RemovedEntry,
    ScoreSubmitted,
)
from fablewright.systems.leaderboards.rules import Place, Sheet, Window, score_of, standing_of

POINTS_AWARDED: Final = "points.awarded"
POINTS_REVERSED: Final = "points.reversed"
MOST_TOLD: Final = 100
"""Removed entries that an event names; the trace in the table holds them all."""

LOCK: Final = """
SELECT id FROM boards WHERE world_id = $1 AND id = ANY($2::uuid[]) ORDER BY id FOR NO KEY UPDATE
"""
LOCK_ALL: Final = "SELECT id FROM boards WHERE world_id = $1 ORDER BY id FOR NO KEY UPDATE"

# -- definitions ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BoardState:
    """A board as it is defined, and how it listens to events: `on` is None for one that takes submissions.

    `takes_back` is the type of event that takes back what one of `on` has counted.
    """

    id: UUID
    key: str
    spec: BoardSpec
    on: str | None = None
    holds: Holds | None = None
    field: str | None = None
    subject: str | None = None
    takes_back: str | None = None


@dataclass(slots=True)
class Boards:
    """The boards of a world."""

    by_key: dict[str, BoardState] = field(default_factory=dict)
    by_id: dict[UUID, BoardState] = field(default_factory=dict)
    _by_type: dict[str, tuple[BoardState, ...]] = field(default_factory=dict)

    def listening(self, event_type: str) -> tuple[BoardState, ...]:
        """The boards for which events of a type may count."""
        found = self._by_type.get(event_type)
        if found is None:
            found = tuple(
                b for b in self.by_id.values()
                if b.on is not None and (matches(b.on, event_type) or b.takes_back == event_type)
            )  # fmt: skip
            if len(self._by_type) < 10_000:  # types are finite, but worlds may register many
                self._by_type[event_type] = found
        return found

    def get(self, key: str) -> BoardState:
        """The board with a key. Refuses `board_not_found`."""
        found = self.by_key.get(key)
        if found is None:
            raise rules.BOARD_NOT_FOUND(key=key)
        return found

    def chosen(self, key: str | None) -> list[BoardState]:
        """The board with a key, or all. Refuses `board_not_found`."""
        return list(self.by_id.values()) if key is None else [self.get(key)]


def board_of(board_id: UUID, key: str, spec: BoardSpec) -> BoardState:
    """A board from its definition."""
    metric = spec.metric
    if isinstance(metric, PointsEarned):
        own = seasons.reference(board_id)

        def holds(data: Mapping[str, Any]) -> bool:
            """Awards in its currency, but not what the board itself paid for a season."""
            return data.get("currency") == metric.currency and not (data.get("reference") or "").startswith(
                own
            )

        return BoardState(
            board_id, key, spec, POINTS_AWARDED, holds, "amount", "character_id", POINTS_REVERSED
        )
    if isinstance(metric, OfEvents):
        where = compiled(metric.where)
        return BoardState(board_id, key, spec, metric.on, where, metric.field, metric.subject)
    return BoardState(board_id, key, spec)


async def _load_boards(tx: Transaction) -> Boards:
    rows = await tx.fetch(
        "SELECT id, key, spec::text AS spec FROM boards WHERE world_id = $1 ORDER BY id", tx.world_id
    )
    found = Boards()
    for row in rows:
        board = board_of(row["id"], row["key"], BoardSpec.model_validate_json(row["spec"]))
        found.by_key[board.key] = found.by_id[board.id] = board
    return found


DEFINITIONS: Final = Definitions(_load_boards)


# -- scores --------------------------------------------------------------------------------------------------


class Score(NamedTuple):
    """A score on its way onto a board. `by` is the request that submits it, if one does."""

    board: BoardState
    subject_id: UUID
    score: float
    by: Request | None = None
    given_at: int | None = None
    """When what this takes back was counted, world ms; None if it takes back nothing."""


class Counted(NamedTuple):
    """What became of a score: the subject's score after it, whether it stands differently, and in which window."""

    score: float
    improved: bool
    number: int


async def record(tx: Transaction, scores: Sequence[Score]) -> list[Counted | Refused]:
    """Let scores count, in their order: one lock, one load and one write for them all.

    Refuses each by itself: `character_not_found`, `out_of_scope`, `subject_banned`, `score_out_of_range`.
    """
    by_id = {s.board.id: s.board for s in scores}
    boards = [by_id[i] for i in sorted(by_id)]
    await tx.execute(LOCK, tx.world_id, [b.id for b in boards])
    due = [rules.calendar_window(b.spec.window, tx.world.calendar, tx.now) for b in boards]
    pairs = list(dict.fromkeys((s.board.id, s.subject_id) for s in scores))
    found = await ranks.load(
        tx, [b.id for b in boards], [w.number if w else None for w in due], [b.spec.scope.tag for b in boards], pairs,
    )  # fmt: skip
    pages = {b.id: _page(b, window, found.last[b.id], tx.now) for b, window in zip(boards, due, strict=True)}
    for (board_id, subject_id), place in found.places.items():
        page = pages[board_id]
        if not page.new:
            page.sheet.before[subject_id] = place
    done = [_count(s, found, pages[s.board.id], tx.now) for s in scores]
    for page in pages.values():
        if page.new and page.sheet.after:
            await _open(tx, page)
    await ranks.write(tx, {(i, page.window.number): page.sheet for i, page in pages.items()})
    return done


@dataclass(slots=True)
class Page:
    """A board in the window in which scores of now count. `new` if nobody has counted there yet."""

    board: BoardState
    window: Window
    new: bool
    sheet: Sheet
    by: Request | None = None


def _page(board: BoardState, due: Window | None, found: tuple[Window, int] | None, now: int) -> Page:
    last, next_tie = found or (None, 0)
    window = rules.window_for(due, last, board.spec.length_ms, now)
    new = last is None or window.number != last.number
    return Page(board, window, new, Sheet(0 if new else next_tie))


async def _open(tx: Transaction, page: Page) -> None:
    if page.board.spec.season is None:
        await ranks.open_window(tx, page.board.id, page.window)
    else:
        await seasons.open_season(tx, page.board.id, page.board.key, page.window, page.by)


def _stands(at: int, page: Page, subject: UUID) -> bool:
    """Whether what was counted at a time can stand in the window of now."""
    starts = page.window.starts_at
    return page.sheet.place(subject) is not None and (starts is None or at >= starts)


def _count(score: Score, found: ranks.Found, page: Page, now: int) -> Counted | Refused:
    board, subject = score.board, score.subject_id
    spec, pair = board.spec, (board.id, subject)
    if subject not in found.living:
        return rules.SUBJECT_NOT_FOUND(subject_id=str(subject))
    if pair in found.outside:
        return rules.OUT_OF_SCOPE(f"The board is for characters with the tag {spec.scope.tag!r}.")
    if pair in found.banned:
        return rules.SUBJECT_BANNED()
    if score.given_at is not None and not _stands(score.given_at, page, subject):
        return rules.NO_ENTRY()
    try:
        improved = page.sheet.count(subject, spec.mode, standing_of(score.score, spec.order), now)
    except Refused as refused:
        return refused
    place = page.sheet.place(subject)
    assert place is not None
    page.by = page.by or score.by
    return Counted(score_of(place.standing, spec.order), improved, page.window.number)


async def submit(tx: Transaction, requests: Sequence[Request]) -> list[dict[str, Any] | Refused]:
    """Take in scores of game servers; many cost little more than one."""
    boards = await DEFINITIONS.of(tx)
    results: list[Any] = [None] * len(requests)
    scores: list[tuple[int, Score]] = []
    for index, request in enumerate(requests):
        command: SubmitScore = request.command  # type: ignore[assignment]
        board = boards.by_key.get(command.key)
        if board is None:
            results[index] = rules.BOARD_NOT_FOUND(key=command.key)
        elif not isinstance(board.spec.metric, Submitted):
            results[index] = rules.NO_SUBMISSIONS(metric=board.spec.metric.kind)
        else:
            scores.append((index, Score(board, command.subject_id, command.score, request)))
    done = await record(tx, [s for _, s in scores]) if scores else []
    for (index, score), counted in zip(scores, done, strict=True):
        results[index] = counted if isinstance(counted, Refused) else _told(tx, score, counted)
    return results


def _told(tx: Transaction, score: Score, counted: Counted) -> dict[str, Any]:
    key, subject = score.board.key, score.subject_id
    event = ScoreSubmitted(
        key=key, subject_id=subject, score=score.score, standing=counted.score, improved=counted.improved,
        number=counted.number,
    )  # fmt: skip
    tx.emit(event, by=score.by)
    return {
        "key": key, "subject_id": str(subject), "score": counted.score, "improved": counted.improved,
        "number": counted.number,
    }  # fmt: skip


# -- boards --------------------------------------------------------------------------------------------------


async def define(tx: Transaction, command: DefineBoard) -> dict[str, Any]:
    """Make a board or change one. Refuses `board_in_use`, `too_many_boards`."""
    rows = await tx.fetch(
        "SELECT id, key, spec::text AS spec FROM boards WHERE world_id = $1 ORDER BY id FOR NO KEY UPDATE",
        tx.world_id,
    )
    spec, old = command.spec, next((row for row in rows if row["key"] == command.key), None)
    if old is None and len(rows) >= MOST_BOARDS:
        raise rules.TOO_MANY_BOARDS(f"A world has {MOST_BOARDS} leaderboards at most.", most=MOST_BOARDS)
    board_id = old["id"] if old else tx.new_id()
    tx.definitions_changed = True
    await tx.execute(
        "INSERT INTO boards (world_id, id, key, spec) VALUES ($1, $2, $3, $4::jsonb) "
        "ON CONFLICT (world_id, key) DO UPDATE SET spec = excluded.spec",
        tx.world_id, board_id, command.key, spec.model_dump_json(),
    )  # fmt: skip
    tx.emit(BoardDefined(key=command.key, spec=spec.model_dump(mode="json")))
    same = old is not None and spec.counts_like(BoardSpec.model_validate_json(old["spec"]))
    before = 0
    if old is not None and not same:
        before = await _start_anew(tx, board_id)
    if spec.season is not None and not same:
        # Numbers go on, so that no season's rewards share the references of another's.
        season = replace(rules.next_season(None, spec.length_ms, tx.now), number=before + 1)
        await seasons.open_season(tx, board_id, command.key, season)
    await tx.execute(
        "UPDATE board_windows SET version = version + 1 WHERE world_id = $1 AND board_id = $2",
        tx.world_id, board_id,
    )  # fmt: skip
    return {"key": command.key, **spec.model_dump(mode="json")}


async def _start_anew(tx: Transaction, board_id: UUID) -> int:
    """Forget the windows of a board that shall count something else; the highest number they had.

    Refuses `board_in_use`.
    """
    row = await tx.fetchrow(
        "SELECT sum(entries) AS entries, max(number) AS number FROM board_windows "
        "WHERE world_id = $1 AND board_id = $2",
        tx.world_id, board_id,
    )  # fmt: skip
    if row["entries"]:
        raise rules.BOARD_IN_USE(entries=int(row["entries"]))
    await _forget(tx, board_id)
    return int(row["number"] or 0)


async def _forget(tx: Transaction, board_id: UUID) -> None:
    """Remove all that is kept for a board, but not the board."""
    for table in ("board_entries", "board_ranges", "board_windows"):
        await tx.execute(
            f"DELETE FROM {table} WHERE world_id = $1 AND board_id = $2",  # noqa: S608  fixed names only
            tx.world_id, board_id,
        )  # fmt: skip
    await seasons.cancel(tx, board_id)


async def remove_board(tx: Transaction, command: RemoveBoard) -> None:
    """Remove a board with all that is kept for it. Refuses `board_not_found`."""
    board = (await DEFINITIONS.of(tx)).get(command.key)
    await tx.execute(LOCK, tx.world_id, [board.id])
    await _forget(tx, board.id)
    await tx.execute("DELETE FROM boards WHERE world_id = $1 AND id = $2", tx.world_id, board.id)
    tx.definitions_changed = True
    tx.emit(BoardRemoved(key=command.key))


# -- entries that go, and entries that come back -------------------------------------------------------------

STANDS_IN: Final = f"""
SELECT w.board_id, w.number, e.standing, e.tie, e.at
FROM board_windows w CROSS JOIN LATERAL ({ranks.entry_of("w.board_id", "w.number", "$3")}) e
WHERE w.world_id = $1 AND w.board_id = ANY($2::uuid[])
  AND ($4 OR NOT (w.closed OR coalesce(w.ends_at <= $5, false)))
ORDER BY w.board_id, w.number
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
    for slot, place in standing:
        board = by_id[slot[0]]
        traces[board.id].append(RemovedEntry(
            key=board.key, number=slot[1], rank=await ranks.rank(tx, tx.world_id, slot, place),
            score=score_of(place.standing, board.spec.order), at=place.at,
        ))  # fmt: skip
    await ranks.remove(tx, [(slot, command.subject_id) for slot, _ in standing])
    kept = [b for b in boards if traces[b.id] or command.ban]
    await tx.execute(
        "INSERT INTO board_removals (world_id, id, board_id, subject_id, reason, banned, entries, at) "
        "SELECT $1, v.id, v.board_id, $4, $5, $6, v.entries::jsonb, $7 "
        "FROM unnest($2::uuid[], $3::uuid[], $8::text[]) AS v (id, board_id, entries)",
        tx.world_id, [tx.new_id() for _ in kept], [b.id for b in kept], command.subject_id, command.reason,
        command.ban, tx.now,
        [orjson.dumps([e.model_dump(exclude={"key"}) for e in traces[b.id]]).decode() for b in kept],
    )  # fmt: skip
    removed = [entry for b in boards for entry in traces[b.id]]
    tx.emit(EntriesRemoved(
        subject_id=command.subject_id, reason=command.reason,
        banned=sorted(b.key for b in kept) if command.ban else [], entries=removed[:MOST_TOLD],
    ))  # fmt: skip
    return {"removed": len(removed), "entries": [e.model_dump() for e in removed[:MOST_TOLD]]}


async def lift_ban(tx: Transaction, command: LiftBan) -> dict[str, Any]:
    """Take a character's scores again. Refuses `board_not_found`, `not_banned`."""
    boards = {b.id: b for b in (await DEFINITIONS.of(tx)).chosen(command.key)}
    await tx.execute(LOCK, tx.world_id, sorted(boards))
    rows = await tx.fetch(
        "UPDATE board_removals SET banned = false "
        "WHERE world_id = $1 AND board_id = ANY($2::uuid[]) AND subject_id = $3 AND banned RETURNING board_id",
        tx.world_id, list(boards), command.subject_id,
    )  # fmt: skip
    if not rows:
        raise rules.NOT_BANNED(subject_id=str(command.subject_id))
    keys = sorted({boards[row["board_id"]].key for row in rows})
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
    boards = await _locked(tx)
    for subject in subject_ids:
        slots = [slot for slot, _ in await stands_in(tx, boards.by_id.values(), subject, past=True)]
        await tx.execute(
            "UPDATE board_windows w SET version = w.version + 1 FROM unnest($2::uuid[], $3::bigint[]) AS v (b, n) "
            "WHERE w.world_id = $1 AND w.board_id = v.b AND w.number = v.n",
            tx.world_id, [s[0] for s in slots], [s[1] for s in slots],
        )  # fmt: skip


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
