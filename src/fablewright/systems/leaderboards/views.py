"""What is read of leaderboards: queries and response models. Ranks are exact at the `seq` that an answer states."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import orjson
from pydantic import Field

from fablewright.core.clock import Calendar, WorldClock
from fablewright.core.messages import View
from fablewright.systems.leaderboards import ranks, rules
from fablewright.systems.leaderboards.commands import BoardSpec, Metric, Scope, Season
from fablewright.systems.leaderboards.ranks import Entry, Slot
from fablewright.systems.leaderboards.rules import Order, Span, Window, score_of


class WindowView(View):
    """A span of world time for which a board is kept."""

    number: int = Field(
        description="0 for all time; days, weeks and months count from world time 0, seasons from 1."
    )
    starts_at: int | None = Field(description="World time (ms); null for all time.")
    ends_at: int | None
    closed: bool = Field(description="Whether it is over. A season is over when its timer has frozen it.")
    total: int = Field(description="How many stand on the board in this window.")


class BoardView(View):
    """A leaderboard, and the window that is open now."""

    key: str
    name: str
    description: str
    metric: Metric
    window: Span
    season: Season | None
    scope: Scope
    order: Order
    current: WindowView


class EntryView(View):
    """Somebody on a board."""

    rank: int = Field(description="From 1; of equal scores, the one reached earlier stands higher.")
    subject_id: UUID
    name: str | None = Field(description="The character's name.")
    score: int | float
    at: int = Field(description="World time (ms) at which this score was reached.")


class BoardAnswer(WindowView):
    """A board, or a part of it, at a position of the world's log."""

    key: str
    name: str
    order: Order
    entries: list[EntryView]
    seq: int = Field(
        description="All events up to this position of the log have been counted, and none after."
    )


class RankAnswer(EntryView):
    """Where a character stands."""

    key: str
    number: int
    total: int
    seq: int


class FriendEntry(EntryView):
    """Somebody a character has a tie with, or the character itself."""

    place: int = Field(description="From 1, among those listed here; `rank` is that among all.")


class FriendsAnswer(WindowView):
    """A board among those that a character has ties with."""

    key: str
    name: str
    order: Order
    entries: list[FriendEntry]
    seq: int


class RemovedView(View):
    """What a removed entry was."""

    number: int
    rank: int
    score: int | float
    at: int


class RemovalView(View):
    """That a character was taken off a board, and why."""

    id: UUID
    subject_id: UUID
    reason: str
    banned: bool = Field(description="Whether its scores are still not taken.")
    entries: list[RemovedView]
    at: int = Field(description="World time (ms).")


# -- where a question leads ----------------------------------------------------------------------------------

# The clock, the board and its newest window (or that of a number), and the roles of those who ask, as one moment.
HERE: Final = """
SELECT h.seq, w.anchor_world_ms, w.anchor_real_ms, w.rate, w.paused, w.advance_id IS NOT NULL AS advancing,
       (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS real_ms, w.calendar::text AS calendar,
       b.id, b.key, b.spec::text AS spec, n.number, n.starts_at, n.ends_at, n.closed, n.entries, n.version,
       ARRAY(SELECT coalesce(m.role, 0) FROM unnest($4::uuid[]) WITH ORDINALITY AS u (id, n)
             LEFT JOIN world_members m ON m.world_id = $1 AND m.user_id = u.id ORDER BY u.n) AS roles
FROM worlds w JOIN world_heads h ON h.world_id = w.id
LEFT JOIN boards b ON b.world_id = w.id AND b.key = $2
LEFT JOIN LATERAL (
    SELECT number, starts_at, ends_at, closed, entries, version FROM board_windows
    WHERE world_id = $1 AND board_id = b.id AND ($3::bigint IS NULL OR number = $3)
    ORDER BY number DESC LIMIT 1
) n ON true
WHERE w.id = $1
"""


@dataclass(frozen=True, slots=True)
class Here:
    """A board in a window, as a question finds it. `version` is None where nobody has counted yet."""

    board_id: UUID
    key: str
    spec: BoardSpec
    window: Window
    closed: bool
    total: int
    version: int | None
    seq: int

    @property
    def slot(self) -> Slot:
        return self.board_id, self.window.number

    def told(self) -> dict[str, Any]:
        """The fields of a `BoardAnswer` besides entries and position."""
        return {
            "key": self.key, "name": self.spec.name, "order": self.spec.order, **window_fields(self),
        }  # fmt: skip


def window_fields(here: Here) -> dict[str, Any]:
    """The fields of a `WindowView`."""
    window = here.window
    return {
        "number": window.number, "starts_at": window.starts_at, "ends_at": window.ends_at,
        "closed": here.closed, "total": here.total,
    }  # fmt: skip


@lru_cache(maxsize=512)
def spec_of(text: str) -> BoardSpec:
    """A definition from its JSON."""
    return BoardSpec.model_validate_json(text)


@lru_cache(maxsize=512)
def _calendar(text: str) -> Calendar:
    return Calendar(**orjson.loads(text))


def now_of(row: Any) -> int:
    """World time (ms) from a row of `HERE`."""
    clock = WorldClock(
        row["anchor_world_ms"], row["anchor_real_ms"], row["rate"], row["paused"], row["advancing"]
    )
    return clock.now(row["real_ms"])


def here_of(row: Any, key: str, number: int | None) -> Here:
    """What a row of `HERE` says. Refuses `board_not_found`, `window_not_found`."""
    if row["id"] is None:
        raise rules.BOARD_NOT_FOUND(key=key)
    spec, now = spec_of(row["spec"]), now_of(row)
    due = rules.calendar_window(spec.window, _calendar(row["calendar"]), now)
    newest = None if row["number"] is None else Window(row["number"], row["starts_at"], row["ends_at"])
    if number is None:
        window = rules.window_for(due, newest, spec.length_ms, now)
    elif newest is not None:
        window = newest
    elif due is not None and due.number == number:
        window = due
    else:
        raise rules.WINDOW_NOT_FOUND(number=number)
    if newest is None or newest.number != window.number:
        return Here(row["id"], key, spec, window, False, 0, None, row["seq"])
    closed = row["closed"] if spec.season is not None else window.over(now)
    return Here(row["id"], key, spec, newest, closed, row["entries"], row["version"], row["seq"])


def entry_fields(entry: Entry, order: Order) -> dict[str, Any]:
    """The fields of an `EntryView`."""
    return {
        "rank": entry.rank, "subject_id": entry.subject_id, "name": entry.name,
        "score": score_of(entry.standing, order), "at": entry.at,
    }  # fmt: skip


# -- answers, each inside one snapshot -----------------------------------------------------------------------


async def top(connection: Any, world_id: UUID, here: Here, limit: int) -> list[dict[str, Any]]:
    """The best, as fields of `EntryView`."""
    if here.version is None:
        return []
    return [entry_fields(e, here.spec.order) for e in await ranks.top(connection, world_id, here.slot, limit)]


async def rank(connection: Any, world_id: UUID, here: Here, subject_id: UUID) -> dict[str, Any]:
    """Where a character stands, as fields of `RankAnswer`. Refuses `no_entry`."""
    (entry,) = await _around(connection, world_id, here, subject_id, 0)
    return {
        "key": here.key, "number": here.window.number, "total": here.total, "seq": here.seq,
        **entry_fields(entry, here.spec.order),
    }  # fmt: skip


async def around(connection: Any, world_id: UUID, here: Here, subject_id: UUID, span: int) -> dict[str, Any]:
    """A character with those next to it, as fields of `BoardAnswer`. Refuses `no_entry`."""
    entries = await _around(connection, world_id, here, subject_id, span)
    return {
        **here.told(), "seq": here.seq, "entries": [entry_fields(e, here.spec.order) for e in entries]
    }  # fmt: skip


async def _around(connection: Any, world_id: UUID, here: Here, subject_id: UUID, span: int) -> list[Entry]:
    found = None
    if here.version is not None:
        found = await ranks.around(connection, world_id, here.slot, subject_id, span)
    if found is None:
        raise rules.NO_ENTRY(subject_id=str(subject_id), number=here.window.number)
    return found


FRIENDS: Final = f"""
SELECT {ranks.ENTRY} FROM (
    SELECT e.* FROM (
        SELECT target_id AS id FROM ties
        WHERE world_id = $1 AND source_id = $4 AND ($5::text IS NULL OR labels @> ARRAY[$5::text])
        UNION ALL SELECT $4
    ) t CROSS JOIN LATERAL (
        {ranks.entry_of("$2", "$3", "t.id", "subject_id, standing, tie, at")}
    ) e
    ORDER BY standing DESC, tie DESC LIMIT $6
) e {ranks.NAMED} ORDER BY e.standing DESC, e.tie DESC
"""  # noqa: S608  fixed texts only


async def friends(
    connection: Any, world_id: UUID, here: Here, character_id: UUID, label: str | None, limit: int
) -> dict[str, Any]:
    """A character among those it has ties with, as fields of `FriendsAnswer`."""
    rows = await connection.fetch(FRIENDS, world_id, *here.slot, character_id, label, limit)
    places = [rules.Place(row["standing"], row["tie"], row["at"]) for row in rows]
    found = await ranks.ranks(connection, world_id, here.slot, places) if places else []
    entries = [
        {**entry_fields(entry, here.spec.order), "rank": overall, "place": entry.rank}
        for entry, overall in zip(ranks.numbered(rows, 1), found, strict=True)
    ]
    return {**here.told(), "seq": here.seq, "entries": entries}


# -- lists ---------------------------------------------------------------------------------------------------

# As `HERE`, for the boards after a key.
BOARDS: Final = """
SELECT h.seq, w.anchor_world_ms, w.anchor_real_ms, w.rate, w.paused, w.advance_id IS NOT NULL AS advancing,
       (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS real_ms, w.calendar::text AS calendar,
       b.id, b.key, b.spec::text AS spec, n.number, n.starts_at, n.ends_at, n.closed, n.entries, n.version
FROM worlds w JOIN world_heads h ON h.world_id = w.id JOIN boards b ON b.world_id = w.id
LEFT JOIN LATERAL (
    SELECT number, starts_at, ends_at, closed, entries, version FROM board_windows
    WHERE world_id = $1 AND board_id = b.id ORDER BY number DESC LIMIT 1
) n ON true
WHERE w.id = $1 AND ($2::text IS NULL OR b.key COLLATE "C" > $2) ORDER BY b.key COLLATE "C" LIMIT $3
"""


async def list_boards(connection: Any, world_id: UUID, after: str | None, limit: int) -> list[BoardView]:
    """Up to `limit` boards after a key, each with the window that is open now."""
    rows = await connection.fetch(BOARDS, world_id, after, limit)
    found = []
    for row in rows:
        here = here_of(row, row["key"], None)
        fields = {name: getattr(here.spec, name) for name in BoardSpec.model_fields}
        found.append(
            BoardView.model_construct(
                key=here.key, current=WindowView.model_construct(**window_fields(here)), **fields
            )
        )
    return found


async def list_windows(
    connection: Any, world_id: UUID, here: Here, now: int, after: int | None, limit: int
) -> list[WindowView]:
    """Up to `limit` windows of a board, the newest first."""
    rows = await connection.fetch(
        "SELECT number, starts_at, ends_at, closed, entries FROM board_windows "
        "WHERE world_id = $1 AND board_id = $2 AND ($3::bigint IS NULL OR number < $3) "
        "ORDER BY number DESC LIMIT $4",
        world_id, here.board_id, after, limit,
    )  # fmt: skip
    season = here.spec.season is not None
    return [
        WindowView.model_construct(
            number=row["number"], starts_at=row["starts_at"], ends_at=row["ends_at"], total=row["entries"],
            closed=row["closed"] if season else row["ends_at"] is not None and now >= row["ends_at"],
        )
        for row in rows
    ]  # fmt: skip


async def list_removals(
    connection: Any, world_id: UUID, here: Here, after: tuple[int, UUID] | None, limit: int
) -> list[RemovalView]:
    """Up to `limit` removals from a board, the newest first."""
    at, last = after or (None, None)
    rows: Sequence[Any] = await connection.fetch(
        "SELECT id, subject_id, reason, banned, entries::text AS entries, at FROM board_removals "
        "WHERE world_id = $1 AND board_id = $2 AND ($3::bigint IS NULL OR (at, id) < ($3, $4::uuid)) "
        "ORDER BY at DESC, id DESC LIMIT $5",
        world_id, here.board_id, at, last, limit,
    )  # fmt: skip
    return [RemovalView.model_validate({**row, "entries": orjson.loads(row["entries"])}) for row in rows]
