"""Invariants of journeys, for `fablewright doctor`."""

from fablewright.core.system import Check

CHECKS = (
    Check(
        "travel.who_travels_is_on_the_way",
        """SELECT j.world_id, 'character ' || j.character_id || ' is on a journey, but not on the way to its end'
           FROM journeys j
           LEFT JOIN whereabouts w ON w.world_id = j.world_id AND w.id = j.character_id
                AND w.place_id = j.from_place_id AND w.to_id = j.to_place_id AND w.arrives_at = j.arrives_at
           WHERE j.ended_at IS NULL AND w.id IS NULL""",
    ),
    Check(
        "travel.every_border_has_its_timer",
        """SELECT j.world_id, 'journey ' || j.id || ' has ' || count(t.id) || ' timers for its next border'
           FROM journeys j
           LEFT JOIN timers t ON t.world_id = j.world_id AND t.kind = 'travel.border'
                AND t.data ->> 'journey_id' = j.id::text
           WHERE j.ended_at IS NULL
           GROUP BY j.world_id, j.id
           HAVING count(t.id) <> (CASE WHEN j.crossed < cardinality(j.crossings) THEN 1 ELSE 0 END)""",
    ),
    Check(
        "travel.every_timer_has_its_journey",
        """SELECT t.world_id, 'a timer waits at a border for journey ' || coalesce(t.data ->> 'journey_id', '?')
                  || ', which is over'
           FROM timers t
           LEFT JOIN journeys j ON j.world_id = t.world_id AND j.id::text = t.data ->> 'journey_id'
                AND j.ended_at IS NULL
           WHERE t.kind = 'travel.border' AND j.id IS NULL""",
    ),
)
