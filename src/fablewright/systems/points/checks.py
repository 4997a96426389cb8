"""Invariants of standings, for `fablewright doctor`. Those of balances are the ledger's."""

from typing import Final

from fablewright.core.system import Check
from fablewright.systems.points.rules import DEFAULT_CURVE

_DEFAULT: Final = ",".join(map(str, DEFAULT_CURVE.thresholds))

CHECKS: Final = (
    Check(
        "points.levels_follow_what_was_earned",
        f"""WITH curves AS (
               SELECT world_id,
                      ARRAY(SELECT t::bigint FROM jsonb_array_elements_text(levels -> 'thresholds') AS t) AS thresholds
               FROM points_settings
           )
           SELECT s.world_id, 'character ' || s.character_id || ' has earned ' || s.earned || ', but is on level '
                  || s.level
           FROM standings s LEFT JOIN curves c ON c.world_id = s.world_id
           WHERE s.level <> 1 + width_bucket(s.earned, coalesce(c.thresholds, '{{{_DEFAULT}}}'::bigint[]))""",  # noqa: S608
    ),
    Check(
        "points.streaks_have_a_day",
        """SELECT world_id, 'character ' || character_id || ' has a streak of ' || streak || ' without a day'
           FROM standings WHERE streak > 0 AND streak_day IS NULL""",
    ),
)  # fmt: skip
