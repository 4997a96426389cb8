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
           HAVING count(t.id) > d.enabled::int OR (count(t.id) = 0 AND d.enabled AND EXISTS (
               SELECT 1 FROM characters c WHERE c.world_id = d.world_id AND c.kind = 'npc' AND c.user_id IS NULL
                      AND c.deleted_at IS NULL AND c.status IN ('active', 'asleep')))""",
    ),
    Check(
        "director.one_council_waits",
        """SELECT d.world_id, 'councils are '
                  || CASE WHEN d.enabled AND d.council_days IS NOT NULL THEN 'on' ELSE 'off' END
                  || ' and ' || count(t.id) || ' wait'
           FROM directors d
           LEFT JOIN timers t ON t.world_id = d.world_id AND t.kind = 'director.council'
                            AND t.data ->> 'version' = d.version::text
           GROUP BY d.world_id, d.enabled, d.council_days
           HAVING count(t.id) <> (d.enabled AND d.council_days IS NOT NULL)::int""",
    ),
    Check(
        "director.needs_of_the_living",
        """SELECT n.world_id, 'the needs of ' || c.name || ' are kept, who is gone'
           FROM needs n JOIN characters c ON c.world_id = n.world_id AND c.id = n.id
           WHERE c.deleted_at IS NOT NULL""",
    ),
    Check(
        "director.arcs_hold_together",
        """SELECT a.world_id, 'the arc ' || a.id || ' (' || a.kind || ') ' || CASE
                  WHEN a.first_id = a.second_id THEN 'is of one character with itself'
                  WHEN (a.stage = 'resolved') <> (a.outcome IS NOT NULL) THEN 'has no outcome, or one too early'
                  WHEN a.others && ARRAY[a.first_id, a.second_id] THEN 'drew in one of its two'
                  ELSE 'is open, but one of its two is gone' END
           FROM arcs a
           WHERE a.first_id = a.second_id OR (a.stage = 'resolved') <> (a.outcome IS NOT NULL)
              OR a.others && ARRAY[a.first_id, a.second_id]
              OR (a.resolved_at IS NULL AND EXISTS (
                  SELECT 1 FROM characters c WHERE c.world_id = a.world_id AND c.id IN (a.first_id, a.second_id)
                         AND c.deleted_at IS NOT NULL))""",
    ),
    Check(
        "director.arcs_are_few",
        """SELECT world_id, count(*) || ' arcs are open'
           FROM arcs WHERE resolved_at IS NULL GROUP BY world_id HAVING count(*) > 250""",
    ),
)
