"""Markets: what goods cost in each region and why, and the routes on which they are traded.

Nouns: *good* (grain, iron; its key is what the `resources` of regions call it), *market* (a good in a region: its
supply and demand drift to what the region yields, imports and needs), *price* (a product whose factors are listed),
*trade route* (carries units of a good from one region to another every world day, and earns for its faction and for
those who hold its ends), *restriction* (an embargo, a tariff or a blockade that another system or a game master wrote
down), *stock* (what somebody has bought, or was given, and not sold again).

Invariants:

- each world that has goods has exactly one timer for its next trade day, which moves all routes together;
- what leaves one market comes to another; no route carries more than it wants, and no region sends more than it
  yields and is really sent: a unit is carried twice a day at most, from where it is yielded and once on;
- all money moves through the ledger, and a day pays out no more than its routes have earned;
- the parts of a price multiply to it; nobody chooses in which currency a good is bought or sold;
- what is forbidden to routes is forbidden to buying and selling.
"""

from fablewright.core.system import Handler, System
from fablewright.systems.markets import dealing, restraints, service
from fablewright.systems.markets.checks import CHECKS
from fablewright.systems.markets.commands import (
    Buy,
    CloseRoute,
    DefineGoods,
    ImposeRestriction,
    LiftRestriction,
    OpenRoute,
    Sell,
    SetMarket,
    SetStock,
)
from fablewright.systems.markets.events import (
    Bought,
    GoodsDefined,
    MarketSet,
    PriceChanged,
    RestrictionImposed,
    RestrictionLifted,
    RouteClosed,
    RouteOpened,
    Sold,
    StockSet,
    Traded,
)
from fablewright.systems.markets.pack import PACK
from fablewright.systems.markets.reactions import ADAPT, CLOSE
from fablewright.systems.markets.router import router
from fablewright.systems.markets.timers import DAY

system = System(
    name="markets",
    handlers=(
        Handler(DefineGoods, one=service.define_goods),
        Handler(SetMarket, one=service.set_market),
        Handler(OpenRoute, one=service.open_route),
        Handler(CloseRoute, one=service.close_route),
        Handler(ImposeRestriction, one=restraints.impose_restriction),
        Handler(LiftRestriction, one=restraints.lift_restriction),
        Handler(Buy, one=dealing.buy),
        Handler(Sell, one=dealing.sell),
        Handler(SetStock, one=dealing.set_stock),
    ),
    events=(
        GoodsDefined, MarketSet, RouteOpened, RouteClosed, Traded, PriceChanged, RestrictionImposed,
        RestrictionLifted, Bought, Sold, StockSet,
    ),
    guarding=(CLOSE, ADAPT),
    timers=(DAY,),
    routers=(router,),
    checks=CHECKS,
    extra={"pack": PACK},
)  # fmt: skip
