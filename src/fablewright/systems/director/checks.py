"""Invariants of the director, for `fablewright doctor`."""

from fablewright.core.system import Check

CHECKS = (
    Check(
        "director.one_beat_waits",
        """SELECT d.world_id, 'the director is ' || CASE WHEN d.enabled THEN 'on' ELSE 'off' END
                  || ' and ' || count(t.id) || ' beats wait'
           FROM directors d
           LEFT JOIN timers t ON t.world_id = d.world_id AND t.kind = 'director.beat'
                            AND t.data ->> 'version' = d.version::text
           GROUP BY d.world_id, d.enabled
           HAVING count(t.id) <> d.enabled::int""",
    ),
)
