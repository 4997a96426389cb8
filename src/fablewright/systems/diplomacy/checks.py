"""Invariants of relations between factions, for `fablewright doctor`."""

from typing import Final

from fablewright.core.clock import DAY
from fablewright.core.system import Check
from fablewright.systems.diplomacy.relations import MOST_HALF_LIVES
from fablewright.systems.diplomacy.rules import MOVES

LEGAL: Final = ", ".join(f"('{before}', '{after}')" for before, steps in MOVES.items() for after in steps)
# Game masters may set any status: such a step names the command that set it as its cause.
STEPS: Final = f"""
SELECT e.world_id, 'event ' || e.seq || ' tells of a step from ' || (e.data ->> 'before') || ' to '
       || (e.data ->> 'status') || ', which is none'
FROM events e
WHERE e.type = 'diplomacy.status_changed' AND (e.data ->> 'before', e.data ->> 'status') NOT IN ({LEGAL})
  AND NOT EXISTS (
    SELECT 1 FROM events c
    WHERE c.world_id = e.world_id AND c.seq BETWEEN e.seq - 2000 AND e.seq AND c.causation_id = e.causation_id
      AND c.command ->> 'type' IN ('diplomacy.set_relation', 'diplomacy.set_relations'))
"""  # noqa: S608  fixed texts only
TOLD: Final = """
SELECT r.world_id, 'relation ' || r.id || ' is ' || r.status || ', last told as ' || coalesce(t.status, 'nothing')
FROM relations r LEFT JOIN (
    SELECT DISTINCT ON (world_id, data ->> 'low_id', data ->> 'high_id') world_id, (data ->> 'low_id')::uuid AS low_id,
           (data ->> 'high_id')::uuid AS high_id, data ->> 'status' AS status
    FROM events WHERE type = 'diplomacy.status_changed'
    ORDER BY world_id, data ->> 'low_id', data ->> 'high_id', seq DESC
) t USING (world_id, low_id, high_id)
WHERE r.status <> coalesce(t.status, 'neutral')
"""
# What was told of an opinion when it last changed is what its modifiers sum to at that time; all are told without
# those that are secret. PostgreSQL's `least` passes over nulls: what never fades is told apart first.
SUMS: Final = f"""
SELECT t.world_id, 'the opinion of ' || t.holder_id || ' about ' || t.about_id || ' was told as ' || t.opinion
       || ', its parts sum to ' || p.opinion
FROM (
    SELECT DISTINCT ON (world_id, data ->> 'holder_id', data ->> 'about_id') world_id, at,
           (data ->> 'holder_id')::uuid AS holder_id, (data ->> 'about_id')::uuid AS about_id,
           (data ->> 'opinion')::float8 AS opinion, coalesce((data ->> 'secret')::bool, false) AS secret
    FROM events WHERE type = 'diplomacy.relationship_changed'
    ORDER BY world_id, data ->> 'holder_id', data ->> 'about_id', seq DESC
) t CROSS JOIN LATERAL (
    SELECT least(100, greatest(-100, coalesce(sum(o.amount * CASE WHEN o.half_life_days IS NULL THEN 1 ELSE
        power(2.0::float8, -least({MOST_HALF_LIVES}, greatest(0, t.at - o.at)::float8 / (o.half_life_days * {DAY})))
        END), 0))) AS opinion
    FROM opinions o
    WHERE o.world_id = t.world_id AND o.holder_id = t.holder_id AND o.about_id = t.about_id AND o.ended_at IS NULL
      AND (t.secret OR NOT o.secret)
) p
WHERE abs(p.opinion - t.opinion) > 0.001
"""  # noqa: S608  fixed texts only

CHECKS = (
    Check("diplomacy.every_step_is_legal", STEPS),
    Check("diplomacy.every_status_is_as_told", TOLD),
    Check("diplomacy.every_opinion_is_the_sum_of_its_parts", SUMS),
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
    Check(
        "diplomacy.judgement_has_its_reason",
        """SELECT k.world_id, 'faction ' || k.faction_id || ' knows of deed ' || k.deed_id
                  || ' by an event that is not in the log'
           FROM deeds_known k
           WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.world_id = k.world_id AND e.id = k.event_id)""",
    ),
    Check(
        "diplomacy.nobody_judges_itself",
        """SELECT k.world_id, 'faction ' || k.faction_id || ' judges deed ' || k.deed_id || ', which is its own'
           FROM deeds_known k JOIN deeds d ON d.world_id = k.world_id AND d.id = k.deed_id
           WHERE k.faction_id = d.doer_id OR k.faction_id = ANY(d.victim_ids)""",
    ),
    Check(
        "diplomacy.hearsay_has_tellers",
        """SELECT world_id, 'faction ' || faction_id || ' has heard of deed ' || deed_id || ' from nobody'
           FROM deeds_known WHERE how = 'heard' AND cardinality(tellers) = 0""",
    ),
)
