"""Invariants of quests, for `fablewright doctor`."""

from fablewright.core.system import Check

CHECKS = (
    Check(
        "quests.every_change_is_told",
        """SELECT t.world_id, 'no event tells of the last change of ' || t.taker_id || ' on quest ' || q.key
           FROM quest_takings t JOIN quests q ON q.world_id = t.world_id AND q.id = t.quest_id
           WHERE t.event_id IS NOT NULL
             AND NOT EXISTS (SELECT FROM events e WHERE e.world_id = t.world_id AND e.id = t.event_id)""",
    ),
    Check(
        "quests.nobody_is_on_what_was_taken_away",
        """SELECT t.world_id, t.taker_id || ' is on quest ' || q.key || ', which was taken away'
           FROM quest_takings t JOIN quests q ON q.world_id = t.world_id AND q.id = t.quest_id
           WHERE t.state IN ('offered', 'accepted') AND q.removed_at IS NOT NULL""",
    ),
    Check(
        "quests.who_is_no_more_is_on_none",
        """SELECT t.world_id, t.taker_id || ', who is no more, is on quest ' || q.key
           FROM quest_takings t JOIN quests q ON q.world_id = t.world_id AND q.id = t.quest_id
           WHERE t.state IN ('offered', 'accepted')
             AND (EXISTS (SELECT FROM factions f
                          WHERE f.world_id = t.world_id AND f.id = t.taker_id AND f.dissolved_at IS NOT NULL)
                  OR EXISTS (SELECT FROM characters c
                             WHERE c.world_id = t.world_id AND c.id = t.taker_id AND c.deleted_at IS NOT NULL))""",
    ),
    Check(
        "quests.what_is_on_has_something_to_do",
        """SELECT t.world_id, t.taker_id || ' is on quest ' || q.key || ', and no objective is open'
           FROM quest_takings t JOIN quests q ON q.world_id = t.world_id AND q.id = t.quest_id
           WHERE t.state = 'accepted' AND NOT EXISTS (
               SELECT FROM jsonb_each(t.course) o WHERE o.value ->> 'state' = 'open')""",
    ),
    Check(
        "quests.every_deadline_has_a_timer",
        """SELECT t.world_id, 'nothing ends quest ' || q.key || ' for ' || t.taker_id || ' at ' || t.due_at
           FROM quest_takings t JOIN quests q ON q.world_id = t.world_id AND q.id = t.quest_id
           WHERE t.state IN ('offered', 'accepted') AND t.due_at IS NOT NULL AND NOT EXISTS (
               SELECT FROM timers w
               WHERE w.world_id = t.world_id AND w.kind = 'quests.due' AND w.data ->> 'taking_id' = t.id::text)""",
    ),
    Check(
        "quests.what_was_generated_is_taken_away",
        """SELECT q.world_id, 'nothing takes quest ' || q.key || ' away'
           FROM quests q WHERE q.template IS NOT NULL AND q.removed_at IS NULL
             AND (q.spec ->> 'until') IS NOT NULL AND NOT EXISTS (
               SELECT FROM timers w
               WHERE w.world_id = q.world_id AND w.kind = 'quests.over' AND w.data ->> 'quest_id' = q.id::text)""",
    ),
)
