"""Invariants of achievements, for `fablewright doctor`."""

from fablewright.core.system import Check

CHECKS = (
    Check(
        "achievements.every_unlock_is_told",
        """SELECT u.world_id, 'character ' || u.character_id || ' has tier ' || u.tier || ' of ' || a.key
                  || ', and no event tells of it'
           FROM achievement_unlocks u
           JOIN achievements a ON a.world_id = u.world_id AND a.id = u.achievement_id
           WHERE NOT EXISTS (SELECT FROM events e WHERE e.world_id = u.world_id AND e.id = u.event_id)""",
    ),
    Check(
        "achievements.what_counts_is_measured",
        """SELECT a.world_id, 'nothing is measured for achievement ' || a.key
           FROM achievements a
           LEFT JOIN measure_uses u ON u.world_id = a.world_id AND u.measure_id = a.measure_id
                AND u.system = 'achievements' AND u.user_id = a.id
           WHERE u.user_id IS NULL AND a.spec #>> '{criteria,kind}' <> 'manual'""",
    ),
    Check(
        "achievements.no_tier_is_skipped",
        """SELECT u.world_id, 'character ' || u.character_id || ' has tier ' || u.tier || ' of ' || a.key
                  || ', but not the one before'
           FROM achievement_unlocks u
           JOIN achievements a ON a.world_id = u.world_id AND a.id = u.achievement_id
           WHERE u.tier > 1 AND NOT EXISTS (
               SELECT FROM achievement_unlocks b
               WHERE b.world_id = u.world_id AND b.character_id = u.character_id
                 AND b.achievement_id = u.achievement_id AND b.repetition = u.repetition AND b.tier = u.tier - 1)""",
    ),
)
