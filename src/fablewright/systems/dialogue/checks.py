"""Invariants of dialogue, for `fablewright doctor`."""

from fablewright.core.system import Check

CHECKS = (
    Check(
        "dialogue.interactions_counted_as_told",
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
    Check(
        "dialogue.mentions_have_a_chain",
        """WITH made AS (
               SELECT e.world_id, e.seq, m ->> 'id' AS memory_id
               FROM events e, jsonb_array_elements(e.data -> 'memories') m
               WHERE e.type = 'dialogue.interacted'
               UNION ALL
               SELECT world_id, seq, data ->> 'memory_id' FROM events
               WHERE type IN ('memory.planted', 'memory.reflected')
               UNION ALL
               SELECT e.world_id, e.seq, restored.memory_id
               FROM events e, jsonb_array_elements_text(e.data -> 'memory_ids') AS restored (memory_id)
               WHERE e.type = 'memory.restored'),
           known AS (SELECT world_id, memory_id, min(seq) AS since FROM made GROUP BY world_id, memory_id)
           SELECT e.world_id, 'event ' || e.seq || ' lets ' || (m ->> 'speaker_id') || ' speak of memory '
                  || (m ->> 'memory_id') || ', which it did not have'
           FROM events e
           CROSS JOIN jsonb_array_elements(e.data -> 'mentions') m
           LEFT JOIN known ON known.world_id = e.world_id AND known.memory_id = m ->> 'memory_id'
           WHERE e.type = 'dialogue.interacted' AND coalesce(known.since >= e.seq, true)""",
    ),
    Check(
        "dialogue.content_has_version",
        """SELECT DISTINCT world_id, 'own types or texts have no version'
           FROM (SELECT world_id FROM interaction_types UNION SELECT world_id FROM grammars) own
           WHERE NOT EXISTS (SELECT FROM dialogue_contents c WHERE c.world_id = own.world_id)""",
    ),
)
