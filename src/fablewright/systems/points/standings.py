"""What a character's standing is to awards, and how it is loaded and stored with what the guards remember.

Beside `service.py`, since awards and reviews both need it.
"""

from dataclasses import dataclass
from typing import Any, Final

from fablewright.systems.points.guards import NO_SIZES, Distribution

# Standings are locked, characters only looked at. Who has none yet gets one with the first award; two first ones at
# once fail on its key, and one of them runs again. (OFFSET 0: one look into the index for each, whatever young
# statistics say.)
STANDINGS: Final = """
SELECT c.id, s.earned, s.level, s.streak, s.streak_day, s.recent, s.awards, s.mean, s.spread
FROM unnest($2::text::uuid[]) AS v (id)
CROSS JOIN LATERAL (
    SELECT id FROM characters WHERE world_id = $1 AND id = v.id AND num_nulls(deleted_at) = 1 OFFSET 0
) c
LEFT JOIN LATERAL (
    SELECT * FROM standings WHERE world_id = $1 AND character_id = v.id FOR NO KEY UPDATE
) s ON true
"""
_STANDINGS: Final = (
    "unnest($2::text::uuid[], $3::text::bigint[], $4::text::int[], $5::text::int[], $6::text::bigint[], $7::text[], "
    "$8::text::bigint[], $9::text::float8[], $10::text::float8[]) "
    "AS v (character_id, earned, level, streak, streak_day, recent, awards, mean, spread)"
)
CHANGE_STANDINGS: Final = f"""
UPDATE standings s
SET earned = s.earned + v.earned, level = v.level, streak = v.streak, streak_day = v.streak_day,
    recent = v.recent::bigint[], awards = v.awards, mean = v.mean, spread = v.spread
FROM {_STANDINGS} WHERE s.world_id = $1 AND s.character_id = v.character_id
"""  # noqa: S608
ADD_STANDINGS: Final = f"""
INSERT INTO standings (world_id, character_id, earned, level, streak, streak_day, recent, awards, mean, spread)
SELECT $1, character_id, earned, level, streak, streak_day, recent::bigint[], awards, mean, spread
FROM {_STANDINGS} ORDER BY character_id
"""  # noqa: S608
MEMORIES: Final = """
SELECT a.character_id, a.action, a.times, a.last_at, a.day, a.day_count, a.day_amount
FROM unnest($2::uuid[], $3::text[]) AS v (character_id, action)
JOIN action_states a ON a.world_id = $1 AND a.character_id = v.character_id AND a.action = v.action
ORDER BY a.character_id, a.action FOR NO KEY UPDATE OF a
"""
_MEMORIES: Final = (
    "unnest($2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[]) "
    "AS v (character_id, action, times, last_at, day, day_count, day_amount)"
)
CHANGE_MEMORIES: Final = f"""
UPDATE action_states a
SET times = v.times::bigint[], last_at = v.last_at, day = v.day, day_count = v.day_count, day_amount = v.day_amount
FROM {_MEMORIES} WHERE a.world_id = $1 AND a.character_id = v.character_id AND a.action = v.action
"""  # noqa: S608
ADD_MEMORIES: Final = f"""
INSERT INTO action_states (world_id, character_id, action, times, last_at, day, day_count, day_amount)
SELECT $1, character_id, action, times::bigint[], last_at, day, day_count, day_amount
FROM {_MEMORIES} ORDER BY character_id, action
"""  # noqa: S608
STATISTICS: Final = """
SELECT action, awards, mean, spread FROM action_statistics
WHERE world_id = $1 AND action = ANY($2::text[]) ORDER BY action FOR NO KEY UPDATE
"""
CHANGE_STATISTICS: Final = """
UPDATE action_statistics s SET awards = v.awards, mean = v.mean, spread = v.spread
FROM unnest($2::text[], $3::bigint[], $4::float8[], $5::float8[]) AS v (action, awards, mean, spread)
WHERE s.world_id = $1 AND s.action = v.action
"""
ADD_STATISTICS: Final = """
INSERT INTO action_statistics (world_id, action, awards, mean, spread)
SELECT $1, * FROM unnest($2::text[], $3::bigint[], $4::float8[], $5::float8[]) AS v ORDER BY 2
"""


@dataclass(slots=True)
class Standing:
    """A standing as it is after the awards of the batch so far."""

    there: bool
    earned: int = 0
    level: int = 1
    streak: int = 0
    streak_day: int | None = None
    recent: tuple[int, ...] = ()
    sizes: Distribution = NO_SIZES
    more: int = 0
    """How much of `earned` this batch has added."""
    touched: bool = False


def standing_of(row: Any) -> Standing:
    """A standing from a row of `STANDINGS`."""
    if row[1] is None:
        return Standing(False)
    return Standing(True, row[1], row[2], row[3], row[4], tuple(row[5]), Distribution(row[6], row[7], row[8]))
