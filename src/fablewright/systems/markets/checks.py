"""Invariants of markets, for `fablewright doctor`."""

from fablewright.core.system import Check

CHECKS = (
    Check(
        "markets.every_world_with_goods_has_its_trade_day",
        """SELECT w.world_id, count(t.id) || ' timers will let the world trade'
           FROM (SELECT DISTINCT world_id FROM goods) w
           LEFT JOIN timers t ON t.world_id = w.world_id AND t.kind = 'markets.trade_day'
           GROUP BY w.world_id HAVING count(t.id) <> 1""",
    ),
    Check(
        "markets.routes_carry_no_more_than_they_want",
        """SELECT world_id, 'route ' || id || ' carries ' || moved || ' of ' || per_day
           FROM trade_routes
           WHERE moved < 0 OR moved > per_day * 1.000001 OR (closed_at IS NOT NULL AND moved <> 0)""",
    ),
    Check(
        "markets.what_leaves_comes_somewhere",
        """SELECT world_id, 'of ' || good || ' regions send ' || sum(exports) || ' and get ' || sum(imports)
           FROM market_goods GROUP BY world_id, good
           HAVING abs(sum(exports) - sum(imports)) > 0.000001 * (1 + sum(exports))""",
    ),
    Check(
        "markets.open_routes_have_their_regions",
        """SELECT t.world_id, 'route ' || t.id || ' is open, but region ' || r.id || ' was removed'
           FROM trade_routes t
           JOIN regions r ON r.world_id = t.world_id AND r.id IN (t.from_region, t.to_region)
           WHERE t.closed_at IS NULL AND r.removed_at IS NOT NULL""",
    ),
)
