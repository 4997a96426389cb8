"""Invariants of memories, for `fablewright doctor`."""

from fablewright.core.system import Check

CHECKS = (
    Check(
        "memory.counted",
        """SELECT world_id, 'character ' || id || ' has ' || coalesce(n, 0) || ' memories, its mind counts '
                  || coalesce(memories, 0)
           FROM (SELECT world_id, character_id AS id, count(*) AS n FROM memories GROUP BY 1, 2) m
           FULL JOIN minds USING (world_id, id)
           WHERE coalesce(n, 0) <> coalesce(memories, 0)""",
    ),
    Check(
        "memory.of_the_living",
        """SELECT m.world_id, 'character ' || m.id || ' is deleted, but its mind is still there'
           FROM minds m
           JOIN characters c USING (world_id, id)
           WHERE c.deleted_at IS NOT NULL""",
    ),
    Check(
        "memory.told_by_others",
        """SELECT world_id, 'memory ' || id || ' has its owner among its tellers, or one teller twice'
           FROM memories
           WHERE character_id = ANY (tellers)
              OR cardinality(tellers) <> (SELECT count(DISTINCT t) FROM unnest(tellers) t)""",
    ),
    Check(
        "memory.heard_from_its_tellers",
        """SELECT world_id, 'memory ' || id || ' does not count all its tellers among those it was heard from'
           FROM memories
           WHERE NOT tellers <@ heard_from AND cardinality(heard_from) < 16""",
    ),
    Check(
        "memory.hearsay_is_less_than_sure",
        """SELECT t.world_id, 'memory ' || t.id || ' is hearsay, but surer than its teller and all witnesses'
           FROM memories t
           JOIN memories s
             ON s.world_id = t.world_id AND s.fact_id = t.fact_id
            AND s.character_id = t.tellers[cardinality(t.tellers)]
           WHERE t.kind = 'told' AND s.kind IN ('did', 'saw') AND cardinality(t.heard_from) = 1
             AND t.certainty > s.certainty""",
    ),
    Check(
        "memory.event_in_the_log",
        """SELECT m.world_id, 'memory ' || m.id || ' is of event ' || m.event_id || ', which the log does not have'
           FROM memories m
           LEFT JOIN events e ON e.world_id = m.world_id AND e.id = m.event_id
           WHERE m.event_id IS NOT NULL AND e.id IS NULL""",
    ),
    Check(
        "memory.reflections_have_evidence",
        """SELECT world_id, 'memory ' || id || ' is a reflection without evidence or subject, or evidence alone'
           FROM memories
           WHERE (kind = 'reflection') <> (cardinality(evidence) > 0)
              OR (kind = 'reflection' AND subject_id IS NULL)""",
    ),
)
