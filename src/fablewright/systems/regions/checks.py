"""Invariants of places and whereabouts, for `fablewright doctor`."""

from fablewright.core.system import Check

CHECKS = (
    Check(
        "regions.every_walk_has_its_arrival",
        """SELECT w.world_id, 'character ' || w.id || ' is on the way, and ' || count(t.id)
                  || ' timers will let it arrive'
           FROM whereabouts w
           LEFT JOIN timers t ON t.world_id = w.world_id AND t.kind = 'regions.arrival'
                AND t.due_at = w.arrives_at AND t.data ->> 'character_id' = w.id::text
           WHERE w.to_id IS NOT NULL
           GROUP BY w.world_id, w.id
           HAVING count(t.id) <> 1""",
    ),
    Check(
        "regions.every_arrival_has_its_walk",
        """SELECT t.world_id, 'a timer waits for the arrival of character '
                  || coalesce(t.data ->> 'character_id', '?') || ', who is not on the way'
           FROM timers t
           LEFT JOIN whereabouts w ON w.world_id = t.world_id AND w.id::text = t.data ->> 'character_id'
                AND w.arrives_at = t.due_at
           WHERE t.kind = 'regions.arrival' AND w.id IS NULL""",
    ),
)
