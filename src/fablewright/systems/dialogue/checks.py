"""Invariants of dialogue, for `fablewright doctor`."""

from fablewright.core.system import Check

CHECKS = (
    Check(
        "dialogue.ties_as_last_told",
        """WITH told AS (
               SELECT DISTINCT ON (e.world_id, t ->> 'source_id', t ->> 'target_id')
                      e.world_id, (t ->> 'source_id')::uuid AS source_id,
                      (t ->> 'target_id')::uuid AS target_id,
                      (t ->> 'interaction_count')::bigint AS interaction_count
               FROM events e, jsonb_array_elements(e.data -> 'ties') t
               WHERE e.type = 'dialogue.interacted'
               ORDER BY e.world_id, t ->> 'source_id', t ->> 'target_id', e.seq DESC)
           SELECT t.world_id, 'tie ' || t.id || ' counts ' || t.interaction_count
                  || ' interactions, the log ' || told.interaction_count
           FROM told
           JOIN ties t USING (world_id, source_id, target_id)
           WHERE t.interaction_count <> told.interaction_count""",
    ),
)
