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
        "markets.no_region_sends_more_than_it_has",
        """SELECT m.world_id, 'of ' || m.good || ' region ' || m.region_id || ' sends ' || m.exports || ', yields '
                  || coalesce(r.resources ->> m.good, '0') || ' and gets ' || m.imports
           FROM market_goods m JOIN regions r ON r.world_id = m.world_id AND r.id = m.region_id
           WHERE m.exports > 1.000001 * (coalesce((r.resources ->> m.good)::float8, 0) + m.imports) + 0.000001""",
    ),
    Check(
        "markets.nothing_is_carried_more_than_twice_a_day",
        """SELECT m.world_id, 'of ' || m.good || ' regions send ' || sum(m.exports)
           FROM market_goods m JOIN regions r ON r.world_id = m.world_id AND r.id = m.region_id
           GROUP BY m.world_id, m.good
           HAVING sum(m.exports) > 2.000001 * (
               SELECT coalesce(sum((y.resources ->> m.good)::float8), 0) FROM regions y
               WHERE y.world_id = m.world_id AND y.removed_at IS NULL) + 0.000001""",
    ),
    Check(
        "markets.open_routes_have_their_regions",
        """SELECT t.world_id, 'route ' || t.id || ' is open, but region ' || r.id || ' was removed'
           FROM trade_routes t
           JOIN regions r ON r.world_id = t.world_id AND r.id IN (t.from_region, t.to_region)
           WHERE t.closed_at IS NULL AND r.removed_at IS NOT NULL""",
    ),
    Check(
        "markets.the_dissolved_have_no_routes_and_no_stocks",
        """SELECT f.world_id, 'faction ' || f.id || ' was dissolved, but has open routes or goods in stock'
           FROM factions f
           WHERE f.dissolved_at IS NOT NULL
             AND (EXISTS (SELECT FROM trade_routes t
                          WHERE t.world_id = f.world_id AND t.owner_id = f.id AND t.closed_at IS NULL)
                  OR EXISTS (SELECT FROM market_stocks s
                             WHERE s.world_id = f.world_id AND s.owner_id = f.id AND s.units > 0))""",
    ),
)
