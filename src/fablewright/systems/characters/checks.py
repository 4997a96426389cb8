"""Invariants of characters, for `fablewright doctor`."""

from fablewright.core.system import Check

CHECKS = (
    Check(
        "characters.controller_is_member",
        """SELECT c.world_id,
                  'character ' || c.id || ' is controlled by user ' || c.user_id || ', who is no member'
           FROM characters c
           LEFT JOIN world_members m ON m.world_id = c.world_id AND m.user_id = c.user_id
           WHERE c.user_id IS NOT NULL AND m.user_id IS NULL""",
    ),
    Check(
        "characters.only_the_living_are_somewhere",
        """SELECT w.world_id, 'character ' || w.id || ' is placed, but it is missing or deleted'
           FROM whereabouts w
           LEFT JOIN characters c ON c.world_id = w.world_id AND c.id = w.id AND c.deleted_at IS NULL
           WHERE c.id IS NULL""",
    ),
    Check(
        "characters.state_not_ahead_of_clock",
        """SELECT c.world_id, 'character ' || c.id || ' has energy or emotion of world time '
                  || greatest(c.energy_at, c.emotion_at) || ', still to come'
           FROM characters c
           JOIN worlds w ON w.id = c.world_id
           WHERE greatest(c.energy_at, c.emotion_at) > w.anchor_world_ms + 1000 * greatest(1, w.rate)
                 + CASE WHEN w.paused OR w.advance_id IS NOT NULL THEN 0
                   ELSE greatest(0, extract(epoch FROM clock_timestamp()) * 1000 - w.anchor_real_ms) * w.rate
                   END""",
    ),
)
