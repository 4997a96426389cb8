"""Invariants of factions, for `fablewright doctor`."""

from fablewright.core.system import Check

CHECKS = (
    Check(
        "factions.leader_is_the_ruler_and_belongs",
        """SELECT f.world_id, 'faction ' || f.id || ' is led by ' || f.leader_id || ', who is not its ruler'
           FROM factions f
           LEFT JOIN faction_members m ON m.world_id = f.world_id AND m.faction_id = f.id
                AND m.character_id = f.leader_id AND m.left_at IS NULL AND m.role = 'ruler'
           WHERE f.leader_id IS NOT NULL AND m.id IS NULL""",
    ),
    Check(
        "factions.nobody_else_is_the_ruler",
        """SELECT m.world_id, 'character ' || m.character_id || ' is ruler of faction ' || m.faction_id
                  || ', but does not lead it'
           FROM faction_members m JOIN factions f ON f.world_id = m.world_id AND f.id = m.faction_id
           WHERE m.left_at IS NULL AND m.role = 'ruler' AND f.leader_id IS DISTINCT FROM m.character_id""",
    ),
    Check(
        "factions.members_have_known_ranks_and_roles",
        """SELECT m.world_id, 'character ' || m.character_id || ' has a rank or role that faction ' || f.id
                  || ' does not know: ' || m.rank || coalesce(', ' || m.role, '')
           FROM faction_members m JOIN factions f ON f.world_id = m.world_id AND f.id = m.faction_id
           WHERE m.left_at IS NULL
             AND (m.rank <> ALL (f.ranks) OR (m.role IS NOT NULL AND NOT f.roles ? m.role))""",
    ),
    Check(
        "factions.the_dissolved_have_nobody_and_hold_nothing",
        """SELECT f.world_id, 'faction ' || f.id || ' was dissolved, but has members or holds regions'
           FROM factions f
           WHERE f.dissolved_at IS NOT NULL
             AND (EXISTS (SELECT FROM faction_members m
                          WHERE m.world_id = f.world_id AND m.faction_id = f.id AND m.left_at IS NULL)
                  OR EXISTS (SELECT FROM regions r
                             WHERE r.world_id = f.world_id AND r.controller_id = f.id AND r.removed_at IS NULL))""",
    ),
    Check(
        "factions.capitals_are_there",
        """SELECT f.world_id, 'the capital of faction ' || f.id || ', region ' || f.capital_id || ', is no more'
           FROM factions f
           LEFT JOIN regions r ON r.world_id = f.world_id AND r.id = f.capital_id AND r.removed_at IS NULL
           WHERE f.capital_id IS NOT NULL AND f.dissolved_at IS NULL AND r.id IS NULL""",
    ),
    Check(
        "factions.the_dissolved_have_no_money",
        """SELECT f.world_id, 'faction ' || f.id || ' was dissolved, but has ' || a.balance - a.held || ' '
                  || a.currency
           FROM factions f JOIN ledger_accounts a ON a.world_id = f.world_id AND a.owner_id = f.id
           WHERE f.dissolved_at IS NOT NULL AND a.balance > a.held""",
    ),
    Check(
        "factions.regions_are_held_by_factions",
        """SELECT r.world_id, 'region ' || r.id || ' is held by ' || r.controller_id || ', which is no faction'
           FROM regions r
           LEFT JOIN factions f ON f.world_id = r.world_id AND f.id = r.controller_id
           WHERE r.controller_id IS NOT NULL AND r.removed_at IS NULL AND f.id IS NULL""",
    ),
    Check(
        "factions.the_deleted_belong_to_nothing",
        """SELECT m.world_id, 'character ' || m.character_id || ' was deleted, but belongs to faction '
                  || m.faction_id
           FROM faction_members m JOIN characters c ON c.world_id = m.world_id AND c.id = m.character_id
           WHERE m.left_at IS NULL AND c.deleted_at IS NOT NULL""",
    ),
)
