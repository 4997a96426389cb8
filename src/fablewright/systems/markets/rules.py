"""What goods cost and why, what trade routes carry and earn, and what restrictions do to them. Pure.

A price is a product, and each of its factors has a name and a reason (`price_parts`):

    price = base x scarcity x control x stability x tariff
    scarcity = (demand / supply) ^ elasticity, between 0.2 and 5

Supply and demand (units per world day) drift to where they rest: what the region yields and its routes bring and take
away, and what its people need. What they are away from it halves every `MARKET_HALF_LIFE`.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import ceil, floor, prod
from typing import Final
from uuid import UUID

from fablewright.core.clock import DAY, elapsed, half_life_factor
from fablewright.core.refusal import CONFLICT, FORBIDDEN, INVALID, NOT_FOUND, Refusal
from fablewright.systems.regions.rules import RegionState

MARKET_HALF_LIFE: Final = 30 * DAY
"""How long half of a glut or a dearth lasts (world ms)."""
LEAST: Final = 0.01
"""The least supply and demand there ever is (units per day), so that every price is finite."""
MOST_UNITS: Final = 1e9
"""The most units per day of anything."""
DEAREST: Final = 5.0
"""What scarcity multiplies a price by at most; it divides by as much at most."""
UNHELD: Final = 1.1
"""What goods cost more where nobody keeps the roads."""
UNREST: Final = 0.5
"""What goods cost more at most for unrest: at stability 0 half as much again, at 1 nothing."""
LEAST_MARGIN: Final = 0.05
"""What a merchant earns of the value at least, where goods are not dearer than whence they came."""

GOOD_NOT_FOUND = Refusal(
    "good_not_found", NOT_FOUND, "This world has no such good. Look it up in the list of goods, or define it."
)
TOO_MANY_GOODS = Refusal(
    "too_many_goods", CONFLICT, "The world has as many goods as it can have. Change one of them instead."
)
ROUTE_NOT_FOUND = Refusal(
    "route_not_found", NOT_FOUND, "There is no such trade route. Look it up in the list of routes."
)
ROUTE_CLOSED = Refusal("route_closed", CONFLICT, "This trade route is closed already. Open a new one.")
ROUTE_EXISTS = Refusal(
    "route_exists",
    CONFLICT,
    "The same owner trades this good on this way already. Close that route first, or trade another good.",
)
TOO_MANY_ROUTES = Refusal(
    "too_many_routes", CONFLICT, "The world has as many open trade routes as it can have. Close some first."
)
SAME_MARKET = Refusal("same_market", INVALID, "A trade route leads from one region to another. Name two.")
NO_FOOTHOLD = Refusal(
    "no_foothold",
    CONFLICT,
    "The faction holds neither end of the route. Choose a route that begins or ends in one of its regions.",
)
ACT_FOR_WHOM = Refusal(
    "act_for_whom",
    FORBIDDEN,
    "Only game masters do this in nobody's name. Name your character, and the faction it acts for.",
)
RESTRICTION_NOT_FOUND = Refusal(
    "restriction_not_found", NOT_FOUND, "There is no such restriction, or it is over. List them again."
)
RESTRICTION_OF_ANOTHER = Refusal(
    "restriction_of_another",
    CONFLICT,
    "A part of the world keeps this restriction, such as a sanction or a war. End what its `source` names.",
)
RESTRICTION_ENDS_TOO_EARLY = Refusal(
    "restriction_ends_too_early",
    INVALID,
    "A restriction ends after it begins, and after now. Choose a later `until_at`.",
)
TOO_MANY_RESTRICTIONS = Refusal(
    "too_many_restrictions", CONFLICT, "The world would have too many trade restrictions. Lift some first."
)
NOT_ENOUGH_ON_OFFER = Refusal(
    "not_enough_on_offer", CONFLICT, "The market does not offer as much. Buy less, or wait until it fills."
)
NOT_ENOUGH_IN_STOCK = Refusal(
    "not_enough_in_stock", CONFLICT, "The owner has less of this good than is to be sold. Sell less."
)
PRICE_MOVED = Refusal(
    "price_moved",
    CONFLICT,
    "The market asks more, or pays less, than the limit that was set. Look at the price again.",
)


# -- goods and prices ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Good:
    """What is traded.

    `base_price` (> 0) is what a unit costs where supply meets demand, `elasticity` (0..2) how much scarcity
    moves it, `need` (>= 0) how many units a thousand people want per world day.
    """

    key: str
    name: str
    base_price: float
    elasticity: float = 0.5
    need: float = 1.0
    description: str = ""


@dataclass(frozen=True, slots=True)
class Market:
    """A good in a region: `supply` and `demand` (units per day) as they were at `at`, and where they rest.

    `imports` and `exports` are what routes bring and take away per day, `duty` (>= 0) the tariffs on what there
    is, as a share of its price, and `told_price` what the last event said that it costs.
    """

    region_id: UUID
    good: str
    supply: float
    demand: float
    at: int
    supply_rest: float
    demand_rest: float
    imports: float = 0.0
    exports: float = 0.0
    duty: float = 0.0
    told_price: float | None = None

    def on(self, now: int) -> "Market":
        """What it has become at world time `now` (ms)."""
        kept = half_life_factor(elapsed(self.at, now), MARKET_HALF_LIFE)
        return replace(
            self, at=max(now, self.at), supply=_drift(self.supply, self.supply_rest, kept),
            demand=_drift(self.demand, self.demand_rest, kept),
        )  # fmt: skip


def _drift(value: float, rest: float, kept: float) -> float:
    return rest + (value - rest) * kept


def _units(value: float) -> float:
    return min(MOST_UNITS, max(LEAST, value))


def rests(good: Good, region: RegionState, imports: float = 0.0, exports: float = 0.0) -> tuple[float, float]:
    """Where supply and demand of a good rest in a region (units per day)."""
    supply = region.resources.get(good.key, 0.0) + imports - exports
    return _units(supply), _units(good.need * region.population / 1000)


def resting(good: Good, region: RegionState, now: int) -> Market:
    """A market that nothing has ever moved."""
    supply, demand = rests(good, region)
    return Market(region.id, good.key, supply, demand, now, supply, demand)


@dataclass(frozen=True, slots=True)
class Part:
    """A factor of a price: what it is, how much it multiplies by, and why."""

    what: str
    factor: float
    reason: str


def scarcity(supply: float, demand: float, elasticity: float) -> float:
    """What the ratio of demand to supply (units per day, > 0) multiplies a price by."""
    ratio: float = (demand / supply) ** elasticity
    return min(DEAREST, max(1 / DEAREST, ratio))


def price_parts(good: Good, market: Market, region: RegionState, now: int) -> tuple[Part, ...]:
    """The factors of a price at world time `now`. Their product, in this order, is the price."""
    here = market.on(now)
    calm = region.stability_now(now)
    held = region.controller_id is not None
    return (
        Part("base", good.base_price, f"what a unit of {good.name} costs where supply meets demand"),
        Part(
            "scarcity",
            scarcity(here.supply, here.demand, good.elasticity),
            f"{here.demand:.4g} are wanted per day and {here.supply:.4g} are on offer",
        ),
        Part(
            "control",
            1.0 if held else UNHELD,
            "a faction keeps the roads" if held else "nobody keeps the roads",
        ),
        Part("stability", 1.0 + UNREST * (1.0 - calm), f"the stability is {calm:.2f}"),
        Part(
            "tariff",
            1.0 + here.duty,
            f"tariffs come to {here.duty:.1%} of it" if here.duty else "no tariffs",
        ),
    )


def price_of(parts: Iterable[Part]) -> float:
    """The product of the parts."""
    return prod(part.factor for part in parts)


def has_moved(before: float | None, after: float, threshold: float = 0.1) -> bool:
    """Whether a price is worth telling: more than a tenth away from what was told, or never told."""
    return before is None or abs(after - before) > threshold * before


# -- restrictions --------------------------------------------------------------------------------------------


class Restraint(StrEnum):
    """What a restriction does: an embargo cuts one direction, a blockade both, a tariff taxes."""

    EMBARGO = "embargo"
    TARIFF = "tariff"
    BLOCKADE = "blockade"


@dataclass(frozen=True, slots=True)
class Restriction:
    """What somebody forbids or taxes.

    `from_id` and `to_id` are regions or factions (None: any); a blockade binds its two ends in both directions,
    and with one of them given, all that comes to it or leaves it. `rate` (0..1) is how much is cut, or the share
    of the value that is taxed. It holds from `from_at` (None: now) until `until_at` (None: until it is lifted).
    `source` says what keeps it, such as `sanction:<id>`. With `both_ways`, `service.restrict` writes it for both
    directions.
    """

    source: str
    kind: Restraint
    good: str | None = None
    from_id: UUID | None = None
    to_id: UUID | None = None
    rate: float = 1.0
    reason: str = ""
    from_at: int | None = None
    until_at: int | None = None
    both_ways: bool = False
    id: UUID | None = None

    def holds(self, now: int) -> bool:
        """Whether it holds at world time `now`."""
        return (self.from_at is None or self.from_at <= now) and (
            self.until_at is None or now < self.until_at
        )

    def binds(self, good: str, here: Collection[UUID], there: Collection[UUID], internal: bool) -> bool:
        """Whether it binds a good that goes from one side to another.

        Each side is a region, who holds it and who trades. What a faction carries between regions of its own
        (`internal`) only a blockade binds.
        """
        if self.good not in (None, good) or (internal and self.kind is not Restraint.BLOCKADE):
            return False
        if self._fits(here, there):
            return True
        return self.kind is Restraint.BLOCKADE and self._fits(there, here)

    def _fits(self, here: Collection[UUID], there: Collection[UUID]) -> bool:
        return (self.from_id is None or self.from_id in here) and (self.to_id is None or self.to_id in there)

    def turned(self) -> "Restriction":
        """The same for the other direction."""
        return replace(self, from_id=self.to_id, to_id=self.from_id, id=None)


def directions(restrictions: Iterable[Restriction]) -> list[Restriction]:
    """The restrictions, each of one direction: those of `both_ways` once more, turned."""
    found: list[Restriction] = []
    for given in restrictions:
        one_way = replace(given, both_ways=False)
        found.append(one_way)
        if given.both_ways and given.kind is not Restraint.BLOCKADE and given.from_id != given.to_id:
            found.append(one_way.turned())
    return found


# -- routes --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RouteState:
    """A way on which `per_day` units of a good are to go from one region to another.

    `owner_id` is the faction that trades (None: merchants whom nobody commands), `share` (0..1) what it keeps of
    what the route earns; the rest goes to those who hold the two ends.
    """

    id: UUID
    from_region: UUID
    to_region: UUID
    good: str
    per_day: float
    owner_id: UUID | None = None
    share: float = 0.5


@dataclass(frozen=True, slots=True)
class Flow:
    """What a route carries on a day: `moved` units, of whose value `tariff` is taxed, and what restrains it."""

    route: RouteState
    moved: float
    tariff: float = 0.0
    restrained_by: tuple[Restriction, ...] = ()


@dataclass(slots=True)
class Traffic:
    """What all routes do to the market of a good in a region (units per day)."""

    imports: float = 0.0
    exports: float = 0.0
    taxed: float = 0.0
    """Of the imports, weighed with their tariffs."""


Place = tuple[UUID, str]
"""A market: a region, and the key of a good."""


def restrained(
    route: RouteState, regions: Mapping[UUID, RegionState], restrictions: Iterable[Restriction]
) -> Flow:
    """What restrictions leave of a route, as if there were enough of its good. `restrictions` all hold now."""
    source, target = regions[route.from_region].controller_id, regions[route.to_region].controller_id
    here = {i for i in (route.from_region, source, route.owner_id) if i is not None}
    there = {i for i in (route.to_region, target, route.owner_id) if i is not None}
    internal = source is not None and source == target and route.owner_id in (None, source)
    moved, untaxed, by = route.per_day, 1.0, []
    for restriction in restrictions:
        if not restriction.binds(route.good, here, there, internal):
            continue
        by.append(restriction)
        if restriction.kind is Restraint.TARIFF:
            untaxed -= restriction.rate
        else:
            moved *= 1 - restriction.rate
    return Flow(route, moved, min(1.0, 1.0 - untaxed), tuple(by))


def flows(
    routes: Iterable[RouteState], regions: Mapping[UUID, RegionState], restrictions: Iterable[Restriction],
    now: int,
) -> list[Flow]:  # fmt: skip
    """What each route carries at world time `now`.

    No region sends more of a good than it yields and is sent; where routes want more, each gets its part of it.
    Routes of which a region is not known carry nothing and are left out.
    """
    holding = [r for r in restrictions if r.holds(now)]
    wanted = [
        restrained(route, regions, holding) for route in routes
        if route.from_region in regions and route.to_region in regions
    ]  # fmt: skip
    leaving: dict[Place, float] = defaultdict(float)
    coming: dict[Place, float] = defaultdict(float)
    for flow in wanted:
        leaving[flow.route.from_region, flow.route.good] += flow.moved
        coming[flow.route.to_region, flow.route.good] += flow.moved
    found = []
    for flow in wanted:
        place = (flow.route.from_region, flow.route.good)
        offered = regions[place[0]].resources.get(place[1], 0.0) + coming[place]
        part = min(1.0, offered / leaving[place]) if leaving[place] > 0 else 0.0
        found.append(replace(flow, moved=flow.moved * part))
    return found


def traffic(flowing: Iterable[Flow]) -> dict[Place, Traffic]:
    """What routes bring to and take from each market."""
    found: dict[Place, Traffic] = defaultdict(Traffic)
    for flow in flowing:
        found[flow.route.from_region, flow.route.good].exports += flow.moved
        there = found[flow.route.to_region, flow.route.good]
        there.imports += flow.moved
        there.taxed += flow.moved * flow.tariff
    return dict(found)


def settled(market: Market, good: Good, region: RegionState, of: Traffic | None, now: int) -> Market:
    """A market after its routes or its region have changed: it drifts to where it rests now.

    A market for which nothing has changed is returned as it is.
    """
    of = of or Traffic()
    supply, demand = rests(good, region, of.imports, of.exports)
    duty = of.taxed / max(supply, of.imports) if of.taxed else 0.0
    if (supply, demand, of.imports, of.exports, duty) == (
        market.supply_rest, market.demand_rest, market.imports, market.exports, market.duty,
    ):  # fmt: skip
        return market
    return replace(
        market.on(now), supply_rest=supply, demand_rest=demand, imports=of.imports, exports=of.exports, duty=duty
    )  # fmt: skip


# -- what routes earn ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Earning:
    """What a faction gets of a route on a day, and for what: `trade`, `passage` or `duty`."""

    faction_id: UUID
    amount: float
    what: str


@dataclass(frozen=True, slots=True)
class Earned:
    """What a route earned on a day: `gross`, of which `duty` was taxed. What nobody gets is lost."""

    flow: Flow
    gross: float
    duty: float
    earnings: tuple[Earning, ...] = field(default=())


def earned(flow: Flow, price_from: float, price_to: float, regions: Mapping[UUID, RegionState]) -> Earned:
    """What a flow earns where a unit costs `price_from` and `price_to`.

    Merchants earn the difference, and a twentieth of the value at least. Tariffs are taken on the value at the
    beginning, up to all that is earned, and go to who holds the end. Of the rest the owner gets its share, and
    those who hold the two ends get half each of what is left.
    """
    route = flow.route
    gross = flow.moved * max(price_to - price_from, LEAST_MARGIN * price_to)
    duty = min(gross, flow.tariff * flow.moved * price_from)
    net = gross - duty
    own = net * route.share if route.owner_id is not None else 0.0
    half = (net - own) / 2
    ends = regions[route.from_region].controller_id, regions[route.to_region].controller_id
    parts = (
        (route.owner_id, own, "trade"), (ends[0], half, "passage"), (ends[1], half, "passage"),
        (ends[1], duty, "duty"),
    )  # fmt: skip
    return Earned(
        flow, gross, duty, tuple(Earning(who, sum_, what) for who, sum_, what in parts if who and sum_ > 0)
    )


def incomes(all_earned: Iterable[Earned]) -> dict[UUID, int]:
    """What each faction gets of all routes on a day, in whole units of its currency, by id."""
    sums: dict[UUID, float] = defaultdict(float)
    for one in all_earned:
        for earning in one.earnings:
            sums[earning.faction_id] += earning.amount
    return {who: round(sums[who]) for who in sorted(sums) if round(sums[who]) > 0}


# -- buying and selling --------------------------------------------------------------------------------------


def bought(market: Market, units: int, now: int) -> Market:
    """A market from which units were bought. Refuses `not_enough_on_offer`."""
    here = market.on(now)
    if here.supply - units < LEAST:
        raise NOT_ENOUGH_ON_OFFER(
            f"The market offers {max(0, int(here.supply - LEAST))} at the moment, not {units}.",
            on_offer=max(0, int(here.supply - LEAST)),
        )
    return replace(here, supply=here.supply - units)


def sold(market: Market, units: int, now: int) -> Market:
    """A market to which units were sold."""
    here = market.on(now)
    return replace(here, supply=_units(here.supply + units))


def sum_for(good: Good, after: Market, region: RegionState, units: int, *, buying: bool) -> tuple[float, int]:
    """The price of a unit, and what `units` come to in whole money.

    The price is that of the market *after* the trade, so that whoever buys much drives it up for himself, and nobody
    earns by buying and selling the same again. What is no whole sum is rounded against who asks.
    """
    price = price_of(price_parts(good, after, region, after.at))
    return price, max(1, ceil(price * units)) if buying else floor(price * units)


def top(all_earned: Sequence[Earned], most: int) -> list[Earned]:
    """Those routes that earned most; of equal ones the lower id first."""
    return sorted(all_earned, key=lambda one: (-one.gross, one.flow.route.id))[:most]
