"""The invariants of worlds and of the core's tables, for `fablewright doctor`."""

from fablewright.core.system import Check

CHECKS = (
    Check(
        "the log has no gap and the head is its newest event",
        """
        SELECT h.world_id, 'head ' || h.seq || ', newest event ' || coalesce(e.newest, 0) || ', '
               || coalesce(e.many, 0) || ' events'
        FROM world_heads h
        LEFT JOIN (SELECT world_id, max(seq) AS newest, min(seq) AS oldest, count(*) AS many
                   FROM events GROUP BY world_id) e ON e.world_id = h.world_id
        WHERE h.seq <> coalesce(e.newest, 0) OR coalesce(e.many, 0) <> h.seq OR coalesce(e.oldest, 1) <> 1
        """,
    ),
    Check(
        "every world has a head",
        "SELECT w.id, 'no head' FROM worlds w WHERE NOT EXISTS (SELECT 1 FROM world_heads h WHERE h.world_id = w.id)",
    ),
    Check(
        "no event without its world",
        """
        SELECT e.world_id, count(*) || ' events of a world that is gone' FROM events e
        WHERE NOT EXISTS (SELECT 1 FROM worlds w WHERE w.id = e.world_id) GROUP BY e.world_id
        """,
    ),
    Check(
        "no cursor is ahead of its log",
        """
        SELECT c.world_id, c.consumer || ' at ' || c.position || ', head ' || h.seq
        FROM cursors c JOIN world_heads h ON h.world_id = c.world_id WHERE c.position > h.seq
        """,
    ),
    Check(
        "every receipt has its answer, from no later than the head",
        """
        SELECT r.world_id, 'receipt ' || r.key || ' of ' || r.actor FROM receipts r
        LEFT JOIN world_heads h ON h.world_id = r.world_id
        WHERE r.answer IS NULL OR r.seq > coalesce(h.seq, 9223372036854775807)
        """,
    ),
    Check(
        "receipts are not kept past their time",
        """
        SELECT NULL::uuid, count(*) || ' receipts are older than ' || $1::int || ' days' FROM receipts
        WHERE created_at < clock_timestamp() - make_interval(days => $1::int + 1) HAVING count(*) > 0
        """,
    ),
    Check(
        "every world has an owner who is a member",
        """
        SELECT w.id, 'owner_id ' || w.owner_id || ' is not among its owners' FROM worlds w
        WHERE w.owner_id IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM world_members m WHERE m.world_id = w.id AND m.user_id = w.owner_id AND m.role = 4)
        """,
    ),
    Check(
        "a world is advancing if and only if an advance runs",
        """
        SELECT w.id, 'advance ' || coalesce(w.advance_id::text, 'none') || ', running ' || coalesce(a.id::text, 'none')
        FROM worlds w LEFT JOIN advances a ON a.world_id = w.id AND a.state = 'running'
        WHERE w.advance_id IS DISTINCT FROM a.id
        """,
    ),
    Check(
        "no event is from the world's future",
        """
        SELECT w.id, count(*) || ' events after the world''s now' FROM worlds w JOIN events e ON e.world_id = w.id
        WHERE (w.paused OR w.advance_id IS NOT NULL) AND e.at > w.anchor_world_ms GROUP BY w.id
        """,
    ),
)
