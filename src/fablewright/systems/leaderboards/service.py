"""What the commands about leaderboards do, and how scores come onto boards."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple
from uuid import UUID

from fablewright.core.conditions import Holds, compiled, reader
from fablewright.core.definitions import Definitions
from fablewright.core.messages import matches
from fablewright.core.refusal import Refused
from fablewright.core.transaction import Request, Transaction
from fablewright.systems.leaderboards import ranks, rules, seasons
from fablewright.systems.leaderboards.commands import (
    MOST_BOARDS,
    BoardSpec,
    DefineBoard,
    OfEvents,
    PointsEarned,
    RemoveBoard,
    SubmitScore,
    Submitted,
)
from fablewright.systems.leaderboards.events import (
    BoardDefined,
    BoardRemoved,
    ScoreSubmitted,
)
from fablewright.systems.leaderboards.rules import Sheet, Window, score_of, standing_of

POINTS_AWARDED: Final = "points.awarded"
POINTS_REVERSED: Final = "points.reversed"

LOCK: Final = """
SELECT id FROM boards WHERE world_id = $1 AND id = ANY($2::uuid[]) ORDER BY id FOR NO KEY UPDATE
"""

# -- definitions ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BoardState:
    """A board as it is defined, and how it listens to events: `on` is None for one that takes submissions.

    `number` reads the score from the data of an event (None: each counts 1), `subject` whose it is (None: the first
    whom the event is about). `takes_back` is the type of event that takes back what one of `on` has counted. Replayed
    events count from behind the position `since` of the log.
    """

    id: UUID
    key: str
    spec: BoardSpec
    on: str | None = None
    holds: Holds | None = None
    number: Callable[[Any], Any] | None = None
    subject: Callable[[Any], Any] | None = None
    takes_back: str | None = None
    since: int = 0


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
            board_id, key, spec, POINTS_AWARDED, holds, reader("amount"), takes_back=POINTS_REVERSED
        )
    if isinstance(metric, OfEvents):
        number, subject = (None if path is None else reader(path) for path in (metric.field, metric.subject))
        return BoardState(board_id, key, spec, metric.on, compiled(metric.where), number, subject)
    return BoardState(board_id, key, spec)


async def _load_boards(tx: Transaction) -> Boards:
    rows = await tx.fetch(
        "SELECT id, key, spec::text AS spec, since_seq FROM boards WHERE world_id = $1 ORDER BY id",
        tx.world_id,
    )
    found = Boards()
    for row in rows:
        board = board_of(row["id"], row["key"], BoardSpec.model_validate_json(row["spec"]))
        found.by_key[board.key] = found.by_id[board.id] = replace(board, since=row["since_seq"])
    return found


DEFINITIONS: Final = Definitions(_load_boards)


# -- scores --------------------------------------------------------------------------------------------------


class Score(NamedTuple):
    """A score on its way onto a board. `by` is the request that submits it, if one does."""

    board: BoardState
    subject_id: UUID
    score: float
    by: Request | None = None
    happened_at: int | None = None
    """When what this counts happened, world ms, if not now: it counts if the window of now was open already."""
    takes_back: bool = False
    """Whether it takes back what was counted."""


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


def _unfit(score: Score, found: ranks.Found, page: Page) -> Refused | None:
    """Why a score cannot count, if so."""
    board, subject = score.board, score.subject_id
    if subject not in found.living:
        return rules.SUBJECT_NOT_FOUND(subject_id=str(subject))
    if (board.id, subject) in found.outside:
        return rules.OUT_OF_SCOPE(f"The board is for characters with the tag {board.spec.scope.tag!r}.")
    if (board.id, subject) in found.banned:
        return rules.SUBJECT_BANNED()
    starts = page.window.starts_at
    over = score.happened_at is not None and starts is not None and score.happened_at < starts
    if over or (score.takes_back and page.sheet.place(subject) is None):
        return rules.NO_ENTRY()
    return None


def _count(score: Score, found: ranks.Found, page: Page, now: int) -> Counted | Refused:
    spec, subject = score.board.spec, score.subject_id
    if (refused := _unfit(score, found, page)) is not None:
        return refused
    try:
        improved = page.sheet.count(subject, spec.mode, standing_of(score.score, spec.order), now)
    except Refused as out_of_range:
        return out_of_range
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
    same = old is not None and spec.counts_like(BoardSpec.model_validate_json(old["spec"]))
    tx.definitions_changed = True
    await tx.execute(
        "INSERT INTO boards (world_id, id, key, spec, since_seq) "
        "VALUES ($1, $2, $3, $4::jsonb, coalesce((SELECT seq FROM world_heads WHERE world_id = $1), 0)) "
        "ON CONFLICT (world_id, key) DO UPDATE SET spec = excluded.spec, "
        "since_seq = CASE WHEN $5 THEN boards.since_seq ELSE excluded.since_seq END",
        tx.world_id, board_id, command.key, spec.model_dump_json(), same,
    )  # fmt: skip
    tx.emit(BoardDefined(key=command.key, spec=spec.model_dump(mode="json")))
    if old is None:
        await _keep_off(tx, board_id)
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


async def _keep_off(tx: Transaction, board_id: UUID) -> None:
    """Ban from a new board who is banned from boards to come."""
    rows = await tx.fetch(
        "SELECT subject_id, min(reason) AS reason FROM board_removals "
        "WHERE world_id = $1 AND board_id IS NULL AND banned GROUP BY 1 ORDER BY 1",
        tx.world_id,
    )
    if rows:
        await tx.execute(
            "INSERT INTO board_removals (world_id, id, board_id, subject_id, reason, banned, entries, at) "
            "SELECT $1, v.id, $5, v.subject_id, v.reason, true, '[]', $6 "
            "FROM unnest($2::uuid[], $3::uuid[], $4::text[]) AS v (id, subject_id, reason)",
            tx.world_id, [tx.new_id() for _ in rows], [row["subject_id"] for row in rows],
            [row["reason"] for row in rows], board_id, tx.now,
        )  # fmt: skip


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
