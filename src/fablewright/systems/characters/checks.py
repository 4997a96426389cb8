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
        "characters.energy_not_ahead_of_clock",
        """SELECT c.world_id,
                  'character ' || c.id || ' has energy of world time ' || c.energy_at || ', still to come'
           FROM characters c
           JOIN worlds w ON w.id = c.world_id
           WHERE c.energy_at > w.anchor_world_ms + 1000 * greatest(1, w.rate)
                 + CASE WHEN w.paused OR w.advance_id IS NOT NULL THEN 0
                   ELSE greatest(0, extract(epoch FROM clock_timestamp()) * 1000 - w.anchor_real_ms) * w.rate
                   END""",
    ),
)
