"""Invariants of the weather, for `fablewright doctor`."""

from fablewright.core.system import Check

CHECKS = (
    Check(
        "weather.one_turn_waits",
        """SELECT w.world_id, 'the sky has ' || count(t.id) || ' turns waiting, not one'
           FROM weather w
           LEFT JOIN timers t ON t.world_id = w.world_id AND t.kind = 'weather.turn'
           GROUP BY w.world_id
           HAVING count(t.id) <> 1""",
    ),
)
