"""Entries, and exact ranks from counts per range of places.

A window's places are cut into ranges of some hundred entries each, and `board_ranges` holds how many each has. A rank
is the sum over the better ranges and a count inside one: exact, and as quick for a million entries as for a thousand.
Who writes holds the lock of the board, so ranges and entries change together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from fablewright.core.transaction import Transaction
from fablewright.systems.characters.views import ALIVE
from fablewright.systems.leaderboards.rules import Place, Sheet, Window

MOST_IN_RANGE: Final = 1_000
"""A range with more entries is cut into parts of `IN_NEW_RANGE`."""
IN_NEW_RANGE: Final = 500
LEAST_IN_RANGE: Final = 125
"""A range with fewer goes to its worse neighbour, unless it is the worst of all."""
WORST_TIE: Final = -(2**63)
BEST_TIE: Final = 2**63 - 1

Slot = tuple[UUID, int]
"""A board in a window: board id and number."""


def entry_of(board: str, number: str, subject: str, columns: str = "standing, tie, at") -> str:
    """SQL for the entry of a subject, given names or parameters of the board, the number and the subject.

    While statistics are young, the planner may think that the index of ranks serves as well, and read a whole board
    for it. An order that only the primary key has, over a span of one value, leaves it no choice.
    """
    return (
        f"SELECT {columns} FROM board_entries "  # noqa: S608  fixed texts only
        f"WHERE world_id = $1 AND board_id = {board} AND number = {number} "
        f"AND subject_id >= {subject} AND subject_id <= {subject} ORDER BY subject_id LIMIT 1"
    )


# For each board the newest window (or that of a number); of the subjects, who lives; of the pairs, by their number,
# where they stand, whose subject lacks the board's tag, and who is banned. It is one row of arrays, which cost far
# less to send and to read than a row for each pair. The LIMITs keep the planner to the primary keys, however few
# rows it believes there are.
LOAD: Final = f"""
WITH windows AS MATERIALIZED (
    SELECT b.id AS board_id, b.tag, b.n, w.* FROM unnest($2::uuid[], $3::bigint[], $4::text[])
        WITH ORDINALITY AS b (id, wanted, tag, n)
    LEFT JOIN LATERAL (
        SELECT number, starts_at, ends_at, next_tie FROM board_windows
        WHERE world_id = $1 AND board_id = b.id AND (b.wanted IS NULL OR number = b.wanted)
        ORDER BY number DESC LIMIT 1
    ) w ON true
), pairs AS MATERIALIZED (
    SELECT * FROM unnest($5::uuid[], $6::uuid[]) WITH ORDINALITY AS p (board_id, subject_id, n)
), living AS MATERIALIZED (
    SELECT s.id, c.tags FROM (SELECT DISTINCT subject_id AS id FROM pairs) s
    CROSS JOIN LATERAL (SELECT tags FROM characters WHERE world_id = $1 AND id = s.id AND {ALIVE} LIMIT 1) c
), entries AS (
    SELECT p.n, e.* FROM pairs p JOIN windows w ON w.board_id = p.board_id
    CROSS JOIN LATERAL ({entry_of("p.board_id", "w.number", "p.subject_id")}) e
), banned AS (
    SELECT board_id, subject_id FROM board_removals
    WHERE world_id = $1 AND board_id = ANY($2::uuid[]) AND subject_id = ANY($6::uuid[]) AND banned
)
SELECT w.numbers, w.starts, w.ends, w.next_ties, e.pairs, e.standings, e.ties, e.ats,
       ARRAY(SELECT id FROM living) AS living,
       ARRAY(SELECT p.n FROM windows w JOIN pairs p ON p.board_id = w.board_id JOIN living c ON c.id = p.subject_id
             WHERE w.tag IS NOT NULL AND NOT w.tag = ANY(c.tags)) AS outside,
       ARRAY(SELECT p.n FROM banned b JOIN pairs p ON p.board_id = b.board_id AND p.subject_id = b.subject_id) AS banned
FROM (SELECT array_agg(number ORDER BY n) AS numbers, array_agg(starts_at ORDER BY n) AS starts,
             array_agg(ends_at ORDER BY n) AS ends, array_agg(next_tie ORDER BY n) AS next_ties FROM windows) w,
     (SELECT array_agg(n) AS pairs, array_agg(standing) AS standings, array_agg(tie) AS ties, array_agg(at) AS ats
      FROM entries) e
"""  # noqa: S608  fixed texts only

# The worst range begins below everything.
OPEN: Final = """
WITH made AS (
    INSERT INTO board_windows (world_id, board_id, number, starts_at, ends_at) VALUES ($1, $2, $3, $4, $5)
)
INSERT INTO board_ranges (world_id, board_id, number, from_standing, from_tie, entries)
VALUES ($1, $2, $3, '-Infinity', -9223372036854775808, 0)
"""

# One statement writes the entries, what the windows count, and what the ranges count; it returns the ranges
# that have become too large or too small.
WRITE: Final = f"""
WITH v AS (
    SELECT * FROM unnest($2::uuid[], $3::bigint[], $4::uuid[], $5::float8[], $6::bigint[], $7::bigint[],
                         $8::float8[], $9::bigint[])
        AS v (board_id, number, subject_id, standing, tie, at, was_standing, was_tie)
), entries AS (
    INSERT INTO board_entries (world_id, board_id, number, subject_id, standing, tie, at)
    SELECT $1, board_id, number, subject_id, standing, tie, at FROM v
    ON CONFLICT (world_id, board_id, number, subject_id) DO UPDATE
    SET standing = excluded.standing, tie = excluded.tie, at = excluded.at
), windows AS (
    UPDATE board_windows w SET entries = w.entries + n.fresh, next_tie = n.next_tie, version = w.version + 1
    FROM unnest($10::uuid[], $11::bigint[], $12::bigint[], $13::bigint[]) AS n (board_id, number, fresh, next_tie)
    WHERE w.world_id = $1 AND w.board_id = n.board_id AND w.number = n.number
), changes AS (
    SELECT r.board_id, r.number, r.from_standing, r.from_tie, sum(p.change)::int AS change
    FROM (SELECT board_id, number, standing, tie, 1 AS change FROM v
          UNION ALL
          SELECT board_id, number, was_standing, was_tie, -1 FROM v WHERE was_tie IS NOT NULL) p
    CROSS JOIN LATERAL (
        SELECT board_id, number, from_standing, from_tie FROM board_ranges
        WHERE world_id = $1 AND board_id = p.board_id AND number = p.number
          AND (from_standing, from_tie) <= (p.standing, p.tie)
        ORDER BY from_standing DESC, from_tie DESC LIMIT 1
    ) r
    GROUP BY 1, 2, 3, 4 HAVING sum(p.change) <> 0
), ranges AS (
    UPDATE board_ranges r SET entries = r.entries + c.change FROM changes c
    WHERE r.world_id = $1 AND r.board_id = c.board_id AND r.number = c.number
      AND r.from_standing = c.from_standing AND r.from_tie = c.from_tie
    RETURNING r.board_id, r.number, r.from_standing, r.from_tie, r.entries
)
SELECT board_id, number, from_standing, from_tie, entries FROM ranges
WHERE entries > {MOST_IN_RANGE} OR (entries < {LEAST_IN_RANGE} AND from_standing > '-Infinity')
ORDER BY board_id, number, from_standing, from_tie
"""  # noqa: S608  fixed numbers only

REMOVE: Final = f"""
WITH v AS (
    SELECT * FROM unnest($2::uuid[], $3::bigint[], $4::uuid[]) AS v (board_id, number, subject_id)
), gone AS (
    DELETE FROM board_entries e USING (
        SELECT v.*, f.standing, f.tie FROM v CROSS JOIN LATERAL ({entry_of("v.board_id", "v.number", "v.subject_id")}) f
    ) v
    WHERE e.world_id = $1 AND e.board_id = v.board_id AND e.number = v.number AND e.subject_id = v.subject_id
      AND e.standing = v.standing AND e.tie = v.tie
    RETURNING e.board_id, e.number, e.standing, e.tie
), windows AS (
    UPDATE board_windows w SET entries = w.entries - n.many, version = w.version + 1
    FROM (SELECT board_id, number, count(*) AS many FROM gone GROUP BY 1, 2) n
    WHERE w.world_id = $1 AND w.board_id = n.board_id AND w.number = n.number
), changes AS (
    SELECT r.board_id, r.number, r.from_standing, r.from_tie, count(*)::int AS many
    FROM gone p CROSS JOIN LATERAL (
        SELECT board_id, number, from_standing, from_tie FROM board_ranges
        WHERE world_id = $1 AND board_id = p.board_id AND number = p.number
          AND (from_standing, from_tie) <= (p.standing, p.tie)
        ORDER BY from_standing DESC, from_tie DESC LIMIT 1
    ) r GROUP BY 1, 2, 3, 4
), ranges AS (
    UPDATE board_ranges r SET entries = r.entries - c.many FROM changes c
    WHERE r.world_id = $1 AND r.board_id = c.board_id AND r.number = c.number
      AND r.from_standing = c.from_standing AND r.from_tie = c.from_tie
    RETURNING r.board_id, r.number, r.from_standing, r.from_tie, r.entries
)
SELECT board_id, number, from_standing, from_tie, entries FROM ranges
WHERE entries < {LEAST_IN_RANGE} AND from_standing > '-Infinity'
ORDER BY board_id, number, from_standing, from_tie
"""  # noqa: S608  fixed numbers only

NEXT_BETTER: Final = """
SELECT from_standing, from_tie FROM board_ranges
WHERE world_id = $1 AND board_id = $2 AND number = $3 AND (from_standing, from_tie) > ($4, $5)
ORDER BY from_standing, from_tie LIMIT 1
"""
SPLIT: Final = f"""
WITH inside AS (
    SELECT standing, tie, row_number() OVER (ORDER BY standing, tie) - 1 AS n
    FROM board_entries
    WHERE world_id = $1 AND board_id = $2 AND number = $3
      AND (standing, tie) >= ($4::float8, $5::bigint) AND (standing, tie) < ($6::float8, $7::bigint)
), cut AS (
    SELECT part, count(*)::int AS entries, min(n) AS first FROM (
        SELECT n, least(n / {IN_NEW_RANGE}, (SELECT greatest(count(*) / {IN_NEW_RANGE} - 1, 0) FROM inside)) AS part
        FROM inside
    ) p GROUP BY part
), made AS (
    INSERT INTO board_ranges (world_id, board_id, number, from_standing, from_tie, entries)
    SELECT $1, $2, $3, i.standing, i.tie, c.entries FROM cut c JOIN inside i ON i.n = c.first WHERE c.part > 0
)
UPDATE board_ranges SET entries = coalesce((SELECT entries FROM cut WHERE part = 0), 0)
WHERE world_id = $1 AND board_id = $2 AND number = $3 AND from_standing = $4 AND from_tie = $5
"""  # noqa: S608  fixed numbers only

MERGE: Final = """
WITH gone AS (
    DELETE FROM board_ranges
    WHERE world_id = $1 AND board_id = $2 AND number = $3 AND from_standing = $4 AND from_tie = $5
    RETURNING entries
)
UPDATE board_ranges r SET entries = r.entries + gone.entries FROM gone, (
    SELECT from_standing, from_tie FROM board_ranges
    WHERE world_id = $1 AND board_id = $2 AND number = $3 AND (from_standing, from_tie) < ($4, $5)
    ORDER BY from_standing DESC, from_tie DESC LIMIT 1
) worse
WHERE r.world_id = $1 AND r.board_id = $2 AND r.number = $3
  AND r.from_standing = worse.from_standing AND r.from_tie = worse.from_tie
RETURNING r.from_standing, r.from_tie, r.entries
"""


FIND: Final = entry_of("$2", "$3", "$4")


# -- writing, under the lock of the board --------------------------------------------------------------------


Pair = tuple[UUID, UUID]
"""A board and a subject."""


@dataclass(frozen=True, slots=True)
class Found:
    """What there is for pairs of boards and subjects."""

    last: dict[UUID, tuple[Window, int] | None]
    """Each board's window and its next tie."""
    places: dict[Pair, Place]
    """Where the subjects stand there."""
    living: set[UUID]
    outside: set[Pair]
    """Whose subject lacks the tag of the board."""
    banned: set[Pair]


async def load(
    tx: Transaction, ids: Sequence[UUID], numbers: Sequence[int | None], tags: Sequence[str | None],
    pairs: Sequence[Pair],
) -> Found:  # fmt: skip
    """What stands on boards, in the newest window or that of a number, for pairs of them and subjects.

    `tags` are what each board wants its subjects to have.
    """
    boards, subjects = [p[0] for p in pairs], [p[1] for p in pairs]
    row = await tx.fetchrow(LOAD, tx.world_id, ids, numbers, tags, boards, subjects)
    windows = zip(row["numbers"], row["starts"], row["ends"], row["next_ties"], strict=True)
    places = zip(row["standings"] or (), row["ties"] or (), row["ats"] or (), strict=True)
    return Found(
        last={
            id_: None if number is None else (Window(number, starts, ends), tie)
            for id_, (number, starts, ends, tie) in zip(ids, windows, strict=True)
        },
        places={pairs[n - 1]: Place(*place) for n, place in zip(row["pairs"] or (), places, strict=True)},
        living=set(row["living"]),
        outside={pairs[n - 1] for n in row["outside"]},
        banned={pairs[n - 1] for n in row["banned"]},
    )


async def open_window(tx: Transaction, board_id: UUID, window: Window) -> None:
    """Make a window, empty."""
    await tx.execute(OPEN, tx.world_id, board_id, window.number, window.starts_at, window.ends_at)


async def write(tx: Transaction, sheets: Mapping[Slot, Sheet]) -> None:
    """Store what has changed on these sheets."""
    changed = {slot: sheet for slot, sheet in sheets.items() if sheet.after}
    if not changed:
        return
    nowhere = (None, None, None)
    rows = [
        (slot[0], slot[1], subject, *place, *(sheet.before.get(subject) or nowhere)[:2])
        for slot, sheet in changed.items() for subject, place in sheet.after.items()
    ]  # fmt: skip
    odd = await tx.fetch(
        WRITE, tx.world_id, *(list(column) for column in zip(*rows, strict=True)),
        [slot[0] for slot in changed], [slot[1] for slot in changed],
        [sheet.fresh for sheet in changed.values()], [sheet.next_tie for sheet in changed.values()],
    )  # fmt: skip
    await _mend(tx, odd)


async def remove(tx: Transaction, entries: Sequence[tuple[Slot, UUID]]) -> None:
    """Take subjects out of windows."""
    if entries:
        odd = await tx.fetch(
            REMOVE,
            tx.world_id,
            [e[0][0] for e in entries],
            [e[0][1] for e in entries],
            [e[1] for e in entries],
        )
        await _mend(tx, odd)


async def _mend(tx: Transaction, odd: Sequence[Any]) -> None:
    """Cut ranges that are too large, and give those that are too small to their worse neighbours.

    They come from the worst to the best, so a range that takes another in is mended after it if it was odd, too:
    its count is read anew.
    """
    for row in reversed(odd):
        place = (tx.world_id, row["board_id"], row["number"], row["from_standing"], row["from_tie"])
        many = await tx.fetchval(
            "SELECT entries FROM board_ranges WHERE world_id = $1 AND board_id = $2 AND number = $3 "
            "AND from_standing = $4 AND from_tie = $5",
            *place,
        )
        if many < LEAST_IN_RANGE and row["from_standing"] > float("-inf"):
            taker = await tx.fetchrow(MERGE, *place)
            place, many = (*place[:3], taker["from_standing"], taker["from_tie"]), taker["entries"]
        if many > MOST_IN_RANGE:
            better = await tx.fetchrow(NEXT_BETTER, *place)
            until = (better["from_standing"], better["from_tie"]) if better else (float("inf"), BEST_TIE)
            await tx.execute(SPLIT, *place, *until)


# -- reading, in one snapshot --------------------------------------------------------------------------------

# For each place: the range it lies in, the sum of the better ones, and who is better inside. The LIMITs keep the
# planner to the index, however few rows it believes there are.
RANKS: Final = """
WITH summed AS MATERIALIZED (
    SELECT from_standing, from_tie,
           coalesce(sum(entries) OVER (ORDER BY from_standing DESC, from_tie DESC
                    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS better,
           coalesce(lag(from_standing) OVER w, 'Infinity') AS to_standing,
           coalesce(lag(from_tie) OVER w, 9223372036854775807) AS to_tie
    FROM board_ranges WHERE world_id = $1 AND board_id = $2 AND number = $3
    WINDOW w AS (ORDER BY from_standing DESC, from_tie DESC)
)
SELECT 1 + r.better + (
    SELECT count(*) FROM board_entries
    WHERE world_id = $1 AND board_id = $2 AND number = $3
      AND (standing, tie) > (p.standing, p.tie) AND (standing, tie) < (r.to_standing, r.to_tie)
) AS rank
FROM unnest($4::float8[], $5::bigint[]) WITH ORDINALITY AS p (standing, tie, n)
CROSS JOIN LATERAL (
    SELECT * FROM summed WHERE (from_standing, from_tie) <= (p.standing, p.tie)
    ORDER BY from_standing DESC, from_tie DESC LIMIT 1
) r
ORDER BY p.n
"""


def _rank_of(board: str, number: str, standing: str, tie: str) -> str:
    """SQL for the rank of one place, given names or parameters of its board, number, standing and tie."""
    inside = f"world_id = $1 AND board_id = {board} AND number = {number}"
    return f"""
WITH own AS (
    SELECT from_standing, from_tie FROM board_ranges
    WHERE {inside} AND (from_standing, from_tie) <= ({standing}, {tie})
    ORDER BY from_standing DESC, from_tie DESC LIMIT 1
), better AS (
    SELECT coalesce(sum(r.entries), 0) AS many FROM own, board_ranges r
    WHERE r.world_id = $1 AND r.board_id = {board} AND r.number = {number}
      AND (r.from_standing, r.from_tie) > (own.from_standing, own.from_tie)
), until AS (
    SELECT n.from_standing, n.from_tie FROM own CROSS JOIN LATERAL (
        SELECT from_standing, from_tie FROM board_ranges
        WHERE {inside} AND (from_standing, from_tie) > (own.from_standing, own.from_tie)
        ORDER BY from_standing, from_tie LIMIT 1
    ) n
    UNION ALL SELECT 'Infinity', 9223372036854775807 LIMIT 1
)
SELECT 1 + better.many + (
    SELECT count(*) FROM board_entries
    WHERE {inside} AND (standing, tie) > ({standing}, {tie})
      AND (standing, tie) < (until.from_standing, until.from_tie)
) AS rank
FROM better, until
"""  # noqa: S608  fixed texts only


ONE_RANK: Final = _rank_of("$2", "$3", "$4::float8", "$5::bigint")
RANKS_ANYWHERE: Final = f"""
SELECT r.rank FROM unnest($2::uuid[], $3::bigint[], $4::float8[], $5::bigint[]) WITH ORDINALITY
    AS p (board_id, number, standing, tie, n)
CROSS JOIN LATERAL ({_rank_of("p.board_id", "p.number", "p.standing", "p.tie")}) r
ORDER BY p.n
"""  # noqa: S608  fixed texts only
ENTRY: Final = "e.subject_id, e.standing, e.tie, e.at, c.name"
NAMED: Final = """LEFT JOIN LATERAL (
    SELECT name FROM characters WHERE world_id = $1 AND id = e.subject_id LIMIT 1
) c ON true"""
"""The LIMIT keeps the planner from reading all characters."""
TOP: Final = f"""
SELECT {ENTRY} FROM (
    SELECT * FROM board_entries WHERE world_id = $1 AND board_id = $2 AND number = $3
    ORDER BY standing DESC, tie DESC LIMIT $4
) e {NAMED} ORDER BY e.standing DESC, e.tie DESC
"""  # noqa: S608  fixed texts only
AROUND: Final = f"""
SELECT {ENTRY} FROM (
    (SELECT * FROM board_entries
     WHERE world_id = $1 AND board_id = $2 AND number = $3 AND (standing, tie) >= ($4::float8, $5::bigint)
     ORDER BY standing, tie LIMIT $6 + 1)
    UNION ALL
    (SELECT * FROM board_entries
     WHERE world_id = $1 AND board_id = $2 AND number = $3 AND (standing, tie) < ($4::float8, $5::bigint)
     ORDER BY standing DESC, tie DESC LIMIT $6)
) e {NAMED} ORDER BY e.standing DESC, e.tie DESC
"""  # noqa: S608  fixed texts only


@dataclass(frozen=True, slots=True)
class Entry:
    """Somebody on a board. `rank` counts from 1."""

    rank: int
    subject_id: UUID
    name: str | None
    standing: float
    tie: int
    at: int


async def find(connection: Any, world_id: UUID, slot: Slot, subject_id: UUID) -> Place | None:
    """Where a subject stands."""
    row = await connection.fetchrow(FIND, world_id, *slot, subject_id)
    return Place(row["standing"], row["tie"], row["at"]) if row else None


async def rank(connection: Any, world_id: UUID, slot: Slot, place: Place) -> int:
    """The rank of a place that is on the board; read both in one snapshot."""
    return int(await connection.fetchval(ONE_RANK, world_id, *slot, place.standing, place.tie))


async def ranks(connection: Any, world_id: UUID, slot: Slot, places: Sequence[Place]) -> list[int]:
    """The ranks of places that are on the board, in their order."""
    rows = await connection.fetch(
        RANKS, world_id, *slot, [p.standing for p in places], [p.tie for p in places]
    )
    return [int(row["rank"]) for row in rows]


async def ranks_anywhere(connection: Any, world_id: UUID, places: Sequence[tuple[Slot, Place]]) -> list[int]:
    """The ranks of places on several boards and in several windows, in their order."""
    rows = await connection.fetch(
        RANKS_ANYWHERE, world_id, [slot[0] for slot, _ in places], [slot[1] for slot, _ in places],
        [p.standing for _, p in places], [p.tie for _, p in places],
    )  # fmt: skip
    return [int(row["rank"]) for row in rows]


async def top(connection: Any, world_id: UUID, slot: Slot, most: int) -> list[Entry]:
    """The best, up to `most` of them."""
    rows = await connection.fetch(TOP, world_id, *slot, most)
    return numbered(rows, 1)


async def around(
    connection: Any, world_id: UUID, slot: Slot, subject_id: UUID, span: int
) -> list[Entry] | None:
    """A subject with up to `span` who stand next above it, and next below; None if it has no entry."""
    place = await find(connection, world_id, slot, subject_id)
    if place is None:
        return None
    rows = await connection.fetch(AROUND, world_id, *slot, place.standing, place.tie, span)
    above = next(n for n, row in enumerate(rows) if row["subject_id"] == subject_id)
    return numbered(rows, await rank(connection, world_id, slot, place) - above)


def numbered(rows: Sequence[Any], first: int) -> list[Entry]:
    """Entries from rows of `ENTRY` in the order of their ranks, the first of which is given."""
    return [
        Entry(number, row["subject_id"], row["name"], row["standing"], row["tie"], row["at"])
        for number, row in enumerate(rows, first)
    ]
