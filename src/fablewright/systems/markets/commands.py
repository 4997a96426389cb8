"""What may be asked about goods, markets, trade routes and restrictions, and by whom."""

from typing import Annotated, Final, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from fablewright.core.actors import Role, at_least
from fablewright.core.messages import Command
from fablewright.systems.factions.rules import (
    FACTION_DISSOLVED,
    FACTION_NOT_FOUND,
    NAME_WHO_ACTS,
    NOT_A_MEMBER,
    ROLE_MAY_NOT,
)
from fablewright.systems.ledger.rules import (
    ACCOUNT_NOT_FOUND,
    BALANCE_LIMIT,
    CURRENCY_NOT_FOUND,
    INSUFFICIENT_FUNDS,
)
from fablewright.systems.markets.rules import (
    ACT_FOR_WHOM,
    GOOD_NOT_FOUND,
    NO_FOOTHOLD,
    NOT_ENOUGH_IN_STOCK,
    NOT_ENOUGH_ON_OFFER,
    OWNER_NOT_FOUND,
    PRICE_MOVED,
    RESTRICTION_ENDS_TOO_EARLY,
    RESTRICTION_NOT_FOUND,
    RESTRICTION_OF_ANOTHER,
    ROUTE_CLOSED,
    ROUTE_EXISTS,
    ROUTE_NOT_FOUND,
    SAME_MARKET,
    TOO_MANY_GOODS,
    TOO_MANY_RESTRICTIONS,
    TOO_MANY_ROUTES,
    TRADE_BARRED,
)
from fablewright.systems.regions.rules import CHARACTER_NOT_FOUND, REGION_NOT_FOUND

MOST_AT_ONCE: Final = 100
"""Goods in one command, so that its event stays small."""
MOST_GOODS: Final = 200
"""Goods of a world."""
MOST_ROUTES: Final = 5_000
"""Open trade routes of a world: the trade day moves them all."""
MOST_ROUTES_OF_ONE: Final = 500
"""Of these, routes of one faction, as far as its members open them: nobody takes the world's whole number."""
MOST_RESTRICTIONS: Final = 2_000
"""Restrictions of a world that are neither lifted nor over, without the blockades of wars."""
MOST_UNITS: Final = 1_000_000_000
MOST_STOCK: Final = 2**53

GoodKey = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00]*$")
]
Reason = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00]*$")]
CurrencyCode = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,29}$")]
PerDay = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
WorldMs = Annotated[int, Field(gt=-(2**52), lt=2**52)]
Units = Annotated[int, Field(ge=1, le=MOST_UNITS)]
Stock = Annotated[int, Field(ge=0, le=MOST_STOCK)]
RestraintKind = Literal["embargo", "tariff", "blockade"]

_REGION = "01890a5d-ac96-774b-bcce-b302099a80a1"
_OTHER = "01890a5d-ac96-774b-bcce-b302099a80a2"
_CHARACTER = "01890a5d-ac96-774b-bcce-b302099a8057"


class GoodFields(BaseModel):
    """What a good is like, without its key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    base_price: Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)] = Field(
        description="What a unit costs where supply meets demand."
    )
    elasticity: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] = Field(
        0.5, description="How much scarcity moves the price: 0 not at all, 1 in proportion."
    )
    need: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] = Field(
        1.0, description="Units that a thousand people want per world day."
    )
    description: Annotated[str, StringConstraints(max_length=2000, pattern=r"^[^\x00]*$")] = ""
    currency: CurrencyCode = Field(
        "points", description="In which people buy and sell it. A faction does so in that of its treasury."
    )


class GoodValue(GoodFields):
    """A good as it shall be. Its key is what `resources` of regions call it."""

    key: GoodKey


class DefineGoods(Command):
    """Make goods, or change those with these keys; all of it or nothing. The first goods of a world begin its trade."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"goods": [{"key": "grain", "name": "Grain", "base_price": 4, "need": 2}]}]
        }
    )
    message_type = "markets.define_goods"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (TOO_MANY_GOODS, CURRENCY_NOT_FOUND)

    goods: list[GoodValue] = Field(min_length=1, max_length=MOST_AT_ONCE)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len({good.key for good in self.goods}) < len(self.goods):
            raise ValueError("name each key once")
        return self


class SetMarket(Command):
    """Say how much of a good a region offers and wants now; both drift back to where they rest."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"region_id": _REGION, "good": "grain", "supply": 20, "demand": 80}]}
    )
    message_type = "markets.set_market"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (GOOD_NOT_FOUND, REGION_NOT_FOUND)

    region_id: UUID
    good: GoodKey
    supply: PerDay | None = Field(None, description="Units per world day; null: as it is.")
    demand: PerDay | None = Field(None, description="Units per world day; null: as it is.")


class SetStock(Command):
    """Say how much of a good a character or a faction has now. Nothing is paid for it, and no market feels it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"owner_id": _CHARACTER, "good": "grain", "units": 12}]}
    )
    message_type = "markets.set_stock"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (GOOD_NOT_FOUND, OWNER_NOT_FOUND)

    owner_id: UUID
    good: GoodKey
    units: Stock


class OpenRoute(Command):
    """Let a good be traded from one region to another, every world day.

    In a faction's name, through a character whose role may `trade`; one end must be the faction's. Game masters may
    leave the character out, and the faction too: then merchants trade whom nobody commands.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "from_region": _REGION,
                    "to_region": _OTHER,
                    "good": "grain",
                    "per_day": 20,
                    "share": 0.5,
                }
            ]
        }
    )
    message_type = "markets.open_route"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = (
        ACT_FOR_WHOM, FACTION_NOT_FOUND, FACTION_DISSOLVED, NOT_A_MEMBER, ROLE_MAY_NOT, NAME_WHO_ACTS, NO_FOOTHOLD,
        SAME_MARKET, REGION_NOT_FOUND, GOOD_NOT_FOUND, ROUTE_EXISTS, TOO_MANY_ROUTES,
    )  # fmt: skip

    character_id: UUID | None = Field(None, description="Who opens it.")
    faction_id: UUID | None = Field(None, description="Who trades on it, and keeps its share.")
    from_region: UUID
    to_region: UUID
    good: GoodKey
    per_day: PerDay = Field(description="Units per world day, if there are as many and nothing restrains it.")
    share: Share = Field(
        0.5,
        description="What its faction keeps; the rest goes to those who hold the two ends, a tenth at least to each "
        "who is not that faction itself.",
    )


class CloseRoute(Command):
    """End a trade route."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "The pass is snowed up."}]})
    message_type = "markets.close_route"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = (
        ACT_FOR_WHOM, FACTION_NOT_FOUND, FACTION_DISSOLVED, NOT_A_MEMBER, ROLE_MAY_NOT, NAME_WHO_ACTS,
        ROUTE_NOT_FOUND, ROUTE_CLOSED,
    )  # fmt: skip

    route_id: UUID
    character_id: UUID | None = Field(None, description="Who closes it, for the faction that trades on it.")
    reason: Reason = ""


class ImposeRestriction(Command):
    """Cut or tax trade, as a game master. Sanctions, treaties and wars impose their own.

    An embargo cuts what goes from one side to the other, a tariff taxes it, a blockade cuts both directions. A side is
    a region or a faction; null means anybody.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "tariff", "to_id": _REGION, "good": "grain", "rate": 0.1}]}
    )
    message_type = "markets.impose_restriction"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (GOOD_NOT_FOUND, RESTRICTION_ENDS_TOO_EARLY, TOO_MANY_RESTRICTIONS)

    kind: RestraintKind
    good: GoodKey | None = Field(None, description="Null: all goods.")
    from_id: UUID | None = None
    to_id: UUID | None = None
    rate: Share = Field(1.0, description="How much is cut, or the share of the value that is taxed.")
    both_ways: bool = Field(False, description="Also in the other direction.")
    reason: Reason = ""
    until_at: WorldMs | None = Field(None, description="World time in ms; null: until it is lifted.")


class LiftRestriction(Command):
    """End a restriction that a game master imposed."""

    message_type = "markets.lift_restriction"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (RESTRICTION_NOT_FOUND, RESTRICTION_OF_ANOTHER)

    restriction_id: UUID


class _Dealing(Command):
    """Who buys or sells what, and where."""

    character_id: UUID | None = Field(
        None, description="Who does it; its own account, if no faction is named."
    )
    faction_id: UUID | None = Field(
        None, description="For whom: its treasury and its stock. The role of the character must allow it."
    )
    region_id: UUID
    good: GoodKey
    units: Units

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if self.character_id is None and self.faction_id is None:
            raise ValueError("name a character or a faction")
        return self

    @property
    def owner_id(self) -> UUID:
        """Whose account and stock it is."""
        owner = self.faction_id or self.character_id
        assert owner is not None
        return owner


_DEALING: Final = (
    GOOD_NOT_FOUND, REGION_NOT_FOUND, CHARACTER_NOT_FOUND, FACTION_NOT_FOUND, FACTION_DISSOLVED, NOT_A_MEMBER,
    ROLE_MAY_NOT, NAME_WHO_ACTS, TRADE_BARRED, PRICE_MOVED, CURRENCY_NOT_FOUND, ACCOUNT_NOT_FOUND,
)  # fmt: skip


class Buy(_Dealing):
    """Buy a good on the market of a region, at the price that the market has then: who buys much drives it up."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "character_id": _CHARACTER,
                    "region_id": _REGION,
                    "good": "grain",
                    "units": 1,
                    "at_most": 500,
                }
            ]
        }
    )
    message_type = "markets.buy"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = (*_DEALING, NOT_ENOUGH_ON_OFFER, INSUFFICIENT_FUNDS)

    at_most: Annotated[int, Field(ge=1, le=2**53)] | None = Field(
        None, description="The most that it may cost altogether."
    )


class Sell(_Dealing):
    """Sell a good of one's stock on the market of a region: who sells much drives the price down."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"character_id": _CHARACTER, "region_id": _REGION, "good": "grain", "units": 1}]
        }
    )
    message_type = "markets.sell"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = (*_DEALING, NOT_ENOUGH_IN_STOCK, BALANCE_LIMIT)

    at_least_sum: Annotated[int, Field(ge=0, le=2**53)] | None = Field(
        None, description="The least that it must bring altogether."
    )
