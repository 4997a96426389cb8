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
    Check(
        "points.what_waits_has_a_hold",
        """SELECT v.world_id, 'verdict ' || v.id || ' is ' || v.state || ', but its hold is '
                  || coalesce(h.state, 'missing')
           FROM abuse_verdicts v LEFT JOIN ledger_holds h ON h.world_id = v.world_id AND h.id = v.hold_id
           WHERE v.outcome = 'quarantine' AND (v.state = 'open') <> (coalesce(h.state, '') = 'open')
           UNION ALL
           SELECT h.world_id, 'hold ' || h.id || ' waits, but for no verdict'
           FROM ledger_holds h
           WHERE h.state = 'open' AND h.kind LIKE 'points.%' AND NOT EXISTS (
               SELECT 1 FROM abuse_verdicts v WHERE v.world_id = h.world_id AND v.hold_id = h.id)""",
    ),
)  # fmt: skip
