"""What goods cost and why, what restrictions cut and tax, and what buying and selling does. Pure.

A price is a product, and each of its factors has a name and a reason (`price_parts`):

    price = base x scarcity x control x stability x tariff
    scarcity = (demand / supply) ^ elasticity, between 0.2 and 5

Supply and demand (units per world day) drift to where they rest: what the region yields and its routes bring and take
away, and what its people need. What they are away from it halves every `MARKET_HALF_LIFE`.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
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
OWNER_NOT_FOUND = Refusal(
    "owner_not_found", NOT_FOUND, "There is neither a character nor a standing faction of this id."
)
NOT_ENOUGH_IN_STOCK = Refusal(
    "not_enough_in_stock", CONFLICT, "The owner has less of this good than is to be sold. Sell less."
)
TRADE_BARRED = Refusal(
    "trade_barred",
    CONFLICT,
    "An embargo, a blockade or a war cuts this trade: `source` says which. Deal elsewhere, or wait until it ends.",
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
    moves it, `need` (>= 0) how many units a thousand people want per world day, `currency` what people pay in.
    """

    key: str
    name: str
    base_price: float
    elasticity: float = 0.5
    need: float = 1.0
    description: str = ""
    currency: str = "points"


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


@dataclass(frozen=True, slots=True)
class Bound:
    """What restrictions leave: the part that is not cut (0..1), and the share of the value that is taxed (0..1)."""

    left: float
    tariff: float
    by: tuple[Restriction, ...]


def bound(
    restrictions: Iterable[Restriction], good: str, here: Collection[UUID], there: Collection[UUID], *,
    internal: bool,
) -> Bound:  # fmt: skip
    """What restrictions, all of which hold now, leave of a good that goes from one side to another."""
    left, tariff, by = 1.0, 0.0, []
    for restriction in restrictions:
        if not restriction.binds(good, here, there, internal):
            continue
        by.append(restriction)
        if restriction.kind is Restraint.TARIFF:
            tariff = min(1.0, tariff + restriction.rate)
        else:
            left *= 1 - restriction.rate
    return Bound(left, tariff, tuple(by))


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


def dealt(
    restrictions: Iterable[Restriction],
    good: str,
    region: RegionState,
    traders: Collection[UUID],
    *,
    buying: bool,
) -> float:
    """The share of the value that is taxed (0..1) when a good is bought or sold in a region.

    `traders` are who deals and the factions to which it belongs: what is bought goes from the region to them, what
    is sold comes from them, and is restrained as what a route carries. `restrictions` all hold now.
    Refuses `trade_barred` if nothing may go.
    """
    holder = region.controller_id
    ends = [{region.id} if holder is None else {region.id, holder}, traders]
    leaves = bound(restrictions, good, *(ends if buying else ends[::-1]), internal=holder in traders)
    if leaves.left <= 0:
        cut = next(r for r in leaves.by if r.kind is not Restraint.TARIFF and r.rate >= 1)
        raise TRADE_BARRED(
            f"The {cut.kind} of {cut.source} cuts this trade.",
            source=cut.source,
            kind=cut.kind.value,
            reason=cut.reason,
        )
    return leaves.tariff


def sum_for(
    good: Good, after: Market, region: RegionState, units: int, tariff: float = 0.0, *, buying: bool
) -> tuple[float, int]:
    """The price of a unit, and what `units` come to in whole money.

    The price is that of the market *after* the trade, so that whoever buys much drives it up for himself, and nobody
    earns by buying and selling the same again. A tariff (0..1 of the price) makes buying dearer and selling yield
    less. What is no whole sum is rounded against who asks.
    """
    price = price_of(price_parts(good, after, region, after.at)) * (1 + tariff if buying else 1 - tariff)
    return price, max(1, ceil(price * units)) if buying else floor(price * units)
