"""Invariants of incidents, ultimatums, sanctions, wars and coalitions, for `fablewright doctor`."""

from fablewright.core.system import Check
from fablewright.systems.diplomacy.coalitions import REVIEW as COALITION_REVIEW
from fablewright.systems.diplomacy.incidents import FADES
from fablewright.systems.diplomacy.sanctions import REVIEW
from fablewright.systems.diplomacy.ultimatums import ACTS, DUE
from fablewright.systems.diplomacy.wars import CALL_LAPSES

CHECKS = (
    Check(
        "diplomacy.incidents_fade",
        f"""SELECT i.world_id, 'incident ' || i.id || ' is open, and no timer lets it fade'
            FROM incidents i
            WHERE i.closed_at IS NULL AND NOT EXISTS (
                SELECT 1 FROM timers t WHERE t.world_id = i.world_id AND t.kind = '{FADES}'
                  AND t.data ->> 'incident_id' = i.id::text)""",  # noqa: S608
    ),
    Check(
        "diplomacy.every_ultimatum_comes_to_an_end",
        f"""SELECT u.world_id, 'ultimatum ' || u.id || ' is ' || u.state || ', and no timer goes on with it'
            FROM ultimatums u
            WHERE (u.closed_at IS NULL OR u.acts_at IS NOT NULL) AND NOT EXISTS (
                SELECT 1 FROM timers t WHERE t.world_id = u.world_id AND t.data ->> 'ultimatum_id' = u.id::text
                  AND t.kind = CASE WHEN u.closed_at IS NULL THEN '{DUE}' ELSE '{ACTS}' END)""",  # noqa: S608
    ),
    Check(
        "diplomacy.what_was_accepted_is_a_treaty",
        """SELECT u.world_id, 'ultimatum ' || u.id || ' was accepted, but there is no treaty of it'
           FROM ultimatums u
           WHERE u.state = 'accepted' AND NOT EXISTS (
               SELECT 1 FROM treaties t WHERE t.world_id = u.world_id AND t.id = u.treaty_id)""",
    ),
    Check(
        "diplomacy.lifted_sanctions_bind_nobody",
        """SELECT s.world_id, 'sanction ' || s.id || ' is lifted, but a ' || r.kind || ' still stands for it'
           FROM sanctions s JOIN (
               SELECT world_id, source, kind FROM trade_restrictions WHERE lifted_at IS NULL
               UNION ALL SELECT world_id, source, 'travel ban' FROM movement_bans WHERE lifted_at IS NULL
           ) r ON r.world_id = s.world_id AND r.source LIKE 'sanction:' || s.id || ':%'
           WHERE s.lifted_at IS NOT NULL""",
    ),
    Check(
        "diplomacy.sanctions_have_members",
        """SELECT s.world_id, 'sanction ' || s.id || ' has no member any more, but is not lifted'
           FROM sanctions s
           WHERE s.lifted_at IS NULL AND NOT EXISTS (
               SELECT 1 FROM sanction_members m
               WHERE m.world_id = s.world_id AND m.sanction_id = s.id AND m.left_at IS NULL)""",
    ),
    Check(
        "diplomacy.conditions_are_watched",
        f"""SELECT s.world_id, 'sanction ' || s.id || ' is to end by itself, but no timer looks at it'
            FROM sanctions s
            WHERE s.lifted_at IS NULL AND (s.until_at IS NOT NULL OR jsonb_array_length(s.lift_when) > 0)
              AND NOT EXISTS (
                  SELECT 1 FROM timers t WHERE t.world_id = s.world_id AND t.kind = '{REVIEW}'
                    AND t.data ->> 'sanction_id' = s.id::text)""",  # noqa: S608
    ),
    Check(
        "diplomacy.leaders_of_wars_are_at_war",
        """SELECT w.world_id, 'war ' || w.id || ' goes on, but its leaders are ' || coalesce(r.status, 'strangers')
           FROM wars w LEFT JOIN relations r ON r.world_id = w.world_id
               AND r.low_id = least(w.attacker_id, w.defender_id) AND r.high_id = greatest(w.attacker_id, w.defender_id)
           WHERE w.ended_at IS NULL AND r.status IS DISTINCT FROM 'war'""",
    ),
    Check(
        "diplomacy.factions_at_war_have_a_war",
        """SELECT r.world_id, 'relation ' || r.id || ' is war, but there is no war in which the two are enemies'
           FROM relations r
           WHERE r.status = 'war' AND NOT EXISTS (
               SELECT 1 FROM wars w
               JOIN war_parties a ON a.world_id = w.world_id AND a.war_id = w.id AND a.faction_id = r.low_id
                   AND a.state = 'fighting'
               JOIN war_parties b ON b.world_id = w.world_id AND b.war_id = w.id AND b.faction_id = r.high_id
                   AND b.state = 'fighting'
               WHERE w.world_id = r.world_id AND w.ended_at IS NULL AND a.side <> b.side)""",
    ),
    Check(
        "diplomacy.wars_have_two_leaders",
        """SELECT w.world_id, 'war ' || w.id || ' goes on without both of its leaders'
           FROM wars w
           WHERE w.ended_at IS NULL AND (
               SELECT count(*) FROM war_parties p
               WHERE p.world_id = w.world_id AND p.war_id = w.id AND p.state = 'fighting'
                 AND p.faction_id = CASE p.side WHEN 'attacker' THEN w.attacker_id ELSE w.defender_id END) <> 2""",
    ),
    Check(
        "diplomacy.wars_that_are_over_are_over",
        """SELECT w.world_id, 'war ' || w.id || ' is over, but ' || x.what FROM wars w JOIN (
               SELECT world_id, war_id, faction_id || ' still fights in it' AS what FROM war_parties
               WHERE state IN ('fighting', 'called')
               UNION ALL SELECT world_id, war_id, region_id || ' is still occupied' FROM occupations
               WHERE until_at IS NULL
               UNION ALL SELECT world_id, split_part(source, ':', 2)::uuid, 'a blockade still stands'
               FROM trade_restrictions WHERE lifted_at IS NULL AND source LIKE 'war:%'
           ) x ON x.world_id = w.world_id AND x.war_id = w.id
           WHERE w.ended_at IS NOT NULL""",
    ),
    Check(
        "diplomacy.blockades_are_between_enemies",
        """SELECT r.world_id, 'blockade ' || r.source || ' stands, but the two do not fight each other in that war'
           FROM trade_restrictions r LEFT JOIN relations b ON b.world_id = r.world_id
               AND b.low_id = least(r.from_id, r.to_id) AND b.high_id = greatest(r.from_id, r.to_id)
           WHERE r.lifted_at IS NULL AND r.source LIKE 'war:%' AND (b.status IS DISTINCT FROM 'war' OR (
               SELECT count(DISTINCT p.side) FROM war_parties p
               WHERE p.world_id = r.world_id AND p.war_id = split_part(r.source, ':', 2)::uuid
                 AND p.faction_id IN (r.from_id, r.to_id) AND p.state = 'fighting') <> 2)""",
    ),
    Check(
        "diplomacy.what_is_occupied_is_held",
        """SELECT o.world_id, 'region ' || o.region_id || ' is occupied, but not held by who took it'
           FROM occupations o JOIN regions r ON r.world_id = o.world_id AND r.id = o.region_id
           WHERE o.until_at IS NULL AND (r.removed_at IS NOT NULL OR r.controller_id <> o.occupier_id)""",
    ),
    Check(
        "diplomacy.calls_lapse",
        f"""SELECT p.world_id, 'faction ' || p.faction_id || ' was called to war ' || p.war_id || ' for ever'
            FROM war_parties p
            WHERE p.state = 'called' AND NOT EXISTS (
                SELECT 1 FROM timers t WHERE t.world_id = p.world_id AND t.kind = '{CALL_LAPSES}'
                  AND t.data ->> 'war_id' = p.war_id::text AND t.data ->> 'faction_id' = p.faction_id::text)""",  # noqa: S608
    ),
    Check(
        "diplomacy.wars_are_counted",
        """SELECT l.world_id, 'faction ' || l.faction_id || ' counts ' || l.wars || ' wars, and is in ' || x.many
           FROM warlike l CROSS JOIN LATERAL (
               SELECT count(*) AS many FROM war_parties p
               JOIN wars w ON w.world_id = p.world_id AND w.id = p.war_id AND w.ended_at IS NULL
               WHERE p.world_id = l.world_id AND p.faction_id = l.faction_id AND p.state = 'fighting') x
           WHERE l.wars <> x.many""",
    ),
    Check(
        "diplomacy.coalitions_are_reviewed",
        f"""SELECT c.world_id, 'coalition ' || c.id || ' stands, and no timer asks whether it is needed'
            FROM coalitions c
            WHERE c.dissolved_at IS NULL AND NOT EXISTS (
                SELECT 1 FROM timers t WHERE t.world_id = c.world_id AND t.kind = '{COALITION_REVIEW}'
                  AND t.data ->> 'coalition_id' = c.id::text)""",  # noqa: S608
    ),
    Check(
        "diplomacy.dissolved_coalitions_have_no_members",
        """SELECT c.world_id, 'coalition ' || c.id || ' is dissolved, but faction ' || m.faction_id || ' is in it'
           FROM coalitions c
           JOIN coalition_members m ON m.world_id = c.world_id AND m.coalition_id = c.id AND m.left_at IS NULL
           WHERE c.dissolved_at IS NOT NULL""",
    ),
)
