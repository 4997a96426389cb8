"""Invariants of relations between factions, for `fablewright doctor`."""

from fablewright.core.system import Check

CHECKS = (
    Check(
        "diplomacy.truce_has_timer",
        """SELECT r.world_id, 'the truce of relation ' || r.id || ' has no timer that ends it'
           FROM relations r
           WHERE r.status = 'truce' AND NOT EXISTS (
               SELECT 1 FROM timers t
               WHERE t.world_id = r.world_id AND t.kind = 'diplomacy.truce_ends'
                 AND t.data @> jsonb_build_object('low_id', r.low_id, 'high_id', r.high_id))""",
    ),
    Check(
        "diplomacy.opinion_has_relation",
        """SELECT o.world_id, 'opinion ' || o.id || ' is about a faction its holder has no relation with'
           FROM opinions o
           WHERE o.ended_at IS NULL AND NOT EXISTS (
               SELECT 1 FROM relations r
               WHERE r.world_id = o.world_id AND r.low_id = least(o.holder_id, o.about_id)
                 AND r.high_id = greatest(o.holder_id, o.about_id))""",
    ),
    Check(
        "diplomacy.opinion_tells_its_event",
        """SELECT o.world_id, 'opinion ' || o.id || ' names no event that is in the log'
           FROM opinions o
           WHERE o.event_id IS NULL OR NOT EXISTS (
               SELECT 1 FROM events e WHERE e.world_id = o.world_id AND e.id = o.event_id)""",
    ),
    Check(
        "diplomacy.few_modifiers",
        """SELECT world_id, 'faction ' || holder_id || ' has ' || count(*) || ' reasons for its opinion of ' || about_id
           FROM opinions WHERE ended_at IS NULL GROUP BY world_id, holder_id, about_id HAVING count(*) > 32""",
    ),
)
