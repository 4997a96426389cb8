"""Invariants of ties, for `fablewright doctor`."""

from fablewright.core.system import Check

CHECKS = (
    Check(
        "relationships.tie_between_living",
        """SELECT t.world_id, 'tie ' || t.id || ' joins a character that is missing or deleted'
           FROM ties t
           LEFT JOIN characters s ON s.world_id = t.world_id AND s.id = t.source_id AND s.deleted_at IS NULL
           LEFT JOIN characters o ON o.world_id = t.world_id AND o.id = t.target_id AND o.deleted_at IS NULL
           WHERE s.id IS NULL OR o.id IS NULL""",
    ),
    Check(
        "relationships.interactions_counted_both_ways",
        """SELECT t.world_id, 'tie ' || t.id || ' counts ' || t.interaction_count
                  || ' interactions, its opposite ' || coalesce(o.interaction_count, 0)
           FROM ties t
           LEFT JOIN ties o
             ON o.world_id = t.world_id AND o.source_id = t.target_id AND o.target_id = t.source_id
           WHERE t.interaction_count <> coalesce(o.interaction_count, 0)""",
    ),
)
