"""Invariants of leaderboards, for `fablewright doctor`."""

from fablewright.core.system import Check
from fablewright.systems.leaderboards.seasons import ENDS

CHECKS = (
    Check(
        "leaderboards.windows_count_their_entries",
        """SELECT coalesce(w.world_id, e.world_id),
                  'board ' || coalesce(w.board_id, e.board_id) || ', window ' || coalesce(w.number, e.number)
                  || ': says it has ' || coalesce(w.entries::text, 'no window')
                  || ' entries, but has ' || coalesce(e.many, 0)
           FROM board_windows w
           FULL JOIN (SELECT world_id, board_id, number, count(*) AS many FROM board_entries GROUP BY 1, 2, 3) e
             ON e.world_id = w.world_id AND e.board_id = w.board_id AND e.number = w.number
           WHERE w.entries IS DISTINCT FROM coalesce(e.many, 0)""",
    ),
    # The beginnings of ranges and the places of entries in one order: each entry belongs to the range before it.
    Check(
        "leaderboards.ranges_count_their_entries",
        """SELECT world_id, 'board ' || board_id || ', window ' || number || ': a range says it has '
                  || coalesce(max(entries)::text, 'no') || ' entries, but has ' || count(*) - count(entries)
           FROM (
               SELECT world_id, board_id, number, entries,
                      count(entries) OVER (PARTITION BY world_id, board_id, number
                                           ORDER BY standing, tie, entries NULLS LAST) AS range
               FROM (
                   SELECT world_id, board_id, number, from_standing AS standing, from_tie AS tie, entries
                   FROM board_ranges
                   UNION ALL
                   SELECT world_id, board_id, number, standing, tie, NULL FROM board_entries
               ) places
           ) counted
           GROUP BY world_id, board_id, number, range
           HAVING max(entries) IS DISTINCT FROM count(*) - count(entries)""",
    ),
    Check(
        "leaderboards.seasons_have_a_timer",
        f"""SELECT w.world_id, 'board ' || b.key || ': season ' || w.number || ' is open, but '
                   || count(t.id) || ' timers will end it'
            FROM board_windows w
            JOIN boards b ON b.world_id = w.world_id AND b.id = w.board_id AND b.spec ->> 'window' = 'season'
            LEFT JOIN timers t ON t.world_id = w.world_id AND t.kind = '{ENDS}'
                 AND t.data @> jsonb_build_object('board_id', w.board_id::text, 'number', w.number)
            WHERE NOT w.closed GROUP BY w.world_id, b.key, w.board_id, w.number HAVING count(t.id) <> 1""",  # noqa: S608
    ),
    Check(
        "leaderboards.the_banned_are_not_there",
        """SELECT r.world_id, 'board ' || r.board_id || ': ' || r.subject_id || ' is banned, but has an entry'
           FROM board_removals r
           JOIN board_windows w ON w.world_id = r.world_id AND w.board_id = r.board_id AND NOT w.closed
                AND w.starts_at >= r.at
           JOIN board_entries e ON e.world_id = w.world_id AND e.board_id = w.board_id AND e.number = w.number
                AND e.subject_id = r.subject_id
           WHERE r.banned""",
    ),
)
