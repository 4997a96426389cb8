"""Invariants of places, regions and whereabouts, for `fablewright doctor`."""

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
    Check(
        "regions.what_was_removed_is_off_the_map",
        """SELECT r.world_id, 'region ' || r.id || ' was removed, but ' || p.what || ' still belongs to it'
           FROM regions r
           JOIN LATERAL (
               SELECT 'place ' || id AS what FROM places WHERE world_id = r.world_id AND region_id = r.id
               UNION ALL
               SELECT 'border ' || id FROM borders WHERE world_id = r.world_id AND r.id IN (low_id, high_id)
           ) p ON true
           WHERE r.removed_at IS NOT NULL""",
    ),
    Check(
        "regions.resources_are_amounts",
        """SELECT r.world_id, 'region ' || r.id || ' brings forth ' || e.value || ' of ' || e.key
           FROM regions r, jsonb_each(r.resources) e
           WHERE jsonb_typeof(e.value) <> 'number' OR (e.value #>> '{}')::float8 < 0""",
    ),
)
