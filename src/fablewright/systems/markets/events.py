"""What happens on markets and trade routes, and who may know. All members may, but what somebody buys and sells."""

from uuid import UUID

from pydantic import BaseModel, Field

from fablewright.core.messages import MEMBERS, Audience, Event
from fablewright.systems.markets.commands import GoodValue


class _MarketEvent(Event):
    def audience(self) -> Audience:
        return MEMBERS


class GoodsDefined(_MarketEvent):
    """Goods as they are from now on."""

    message_type = "markets.goods_defined"

    goods: list[GoodValue]


class MarketSet(_MarketEvent):
    """How much of a good a region offers and wants now, after a game master's word, and what it costs."""

    message_type = "markets.market_set"
    subjects = ("region_id",)

    region_id: UUID
    good: str
    supply: float
    demand: float
    price: float


class StockSet(_MarketEvent):
    """Somebody has so much of a good now, by a game master's word."""

    message_type = "markets.stock_set"
    subjects = ("owner_id",)

    owner_id: UUID
    good: str
    units: int

    def audience(self) -> Audience:
        """The owner."""
        return Audience.of(self.owner_id)


class RouteOpened(_MarketEvent):
    """A good is traded from one region to another from now on."""

    message_type = "markets.route_opened"
    subjects = ("route_id", "owner_id", "from_region", "to_region")

    route_id: UUID
    owner_id: UUID | None
    from_region: UUID
    to_region: UUID
    good: str
    per_day: float
    share: float
    by_id: UUID | None = None


class RouteClosed(_MarketEvent):
    """A trade route has ended."""

    message_type = "markets.route_closed"
    subjects = ("route_id", "owner_id", "from_region", "to_region")

    route_id: UUID
    owner_id: UUID | None
    from_region: UUID
    to_region: UUID
    good: str
    reason: str
    by_id: UUID | None = None


class RouteTold(BaseModel):
    """What a route carried on a day, what it earned before it was divided, and what of this was taxed."""

    route_id: UUID
    good: str
    moved: float
    income: float
    duty: float


class IncomeTold(BaseModel):
    """What a faction got of all routes on a day. `unpaid` says why the ledger refused it."""

    faction_id: UUID
    amount: int
    currency: str
    unpaid: str | None = None


class Traded(_MarketEvent):
    """A day's trade of the whole world. The transfers of the incomes name this event.

    `routes` are those that earned most; `count` says how many carried something, and `restrained` how many were cut or
    taxed. A day with very many incomes is told by several events.
    """

    message_type = "markets.traded"

    day: int
    total: float = Field(description="What all routes earned, before it was divided.")
    count: int
    restrained: int
    routes: list[RouteTold]
    incomes: list[IncomeTold]

    def about(self) -> list[UUID]:
        """The factions that got something."""
        return [income.faction_id for income in self.incomes]


class PriceTold(BaseModel):
    """What a good cost in a region when it was last told, and what it costs now."""

    region_id: UUID
    good: str
    before: float | None
    price: float


class PriceChanged(_MarketEvent):
    """Prices that have moved by more than a tenth since they were last told; once a day at most."""

    message_type = "markets.price_changed"

    day: int
    changes: list[PriceTold]

    def about(self) -> list[UUID]:
        """The regions."""
        return list(dict.fromkeys(change.region_id for change in self.changes))


class _Restricting(_MarketEvent):
    subjects = ("from_id", "to_id")

    restriction_id: UUID
    source: str
    kind: str
    good: str | None
    from_id: UUID | None
    to_id: UUID | None
    rate: float


class RestrictionImposed(_Restricting):
    """Trade is cut or taxed from `from_at` on."""

    message_type = "markets.restriction_imposed"

    reason: str
    from_at: int
    until_at: int | None


class RestrictionLifted(_Restricting):
    """A restriction of trade has ended before its time."""

    message_type = "markets.restriction_lifted"


class _Dealt(Event):
    subjects = ("owner_id", "character_id")

    owner_id: UUID
    character_id: UUID | None
    region_id: UUID
    good: str
    units: int
    unit_price: float
    """With the tariff."""
    tariff: float = 0.0
    """The share of the price that restrictions added to it, or took of it."""
    sum: int
    currency: str
    transfer_id: UUID | None
    stock: int
    """What the owner has of it now."""

    def audience(self) -> Audience:
        """The owner, and who acted for it."""
        return Audience.of(self.owner_id, *([self.character_id] if self.character_id else []))


class Bought(_Dealt):
    """A good was bought on a market."""

    message_type = "markets.bought"


class Sold(_Dealt):
    """A good was sold on a market."""

    message_type = "markets.sold"
