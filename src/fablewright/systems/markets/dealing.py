"""Stocks: buying and selling on the market of a region, with money through the ledger; and a game master's word.

What is paid goes to the world's sink, and what is earned comes from its mint: the merchants of a market are nobody
whom the world knows.
"""

from typing import Any, Final
from uuid import UUID

from fablewright.core.refusal import Refused
from fablewright.core.transaction import Transaction
from fablewright.systems.characters import service as characters
from fablewright.systems.factions import service as factions
from fablewright.systems.ledger import service as ledger
from fablewright.systems.markets import rules, trade
from fablewright.systems.markets.commands import Buy, Sell, SetStock
from fablewright.systems.markets.events import Bought, Sold, StockSet
from fablewright.systems.markets.rules import Good
from fablewright.systems.markets.service import good_of, regions_of
from fablewright.systems.markets.views import DealView, StockView
from fablewright.systems.regions.rules import CHARACTER_NOT_FOUND

SPEND: Final = "spend_treasury"
ADD_STOCK: Final = """
INSERT INTO market_stocks (world_id, owner_id, good, units) VALUES ($1, $2, $3, $4)
ON CONFLICT (world_id, owner_id, good) DO UPDATE SET units = market_stocks.units + excluded.units
RETURNING units
"""
TAKE_STOCK: Final = """
UPDATE market_stocks SET units = units - $4
WHERE world_id = $1 AND owner_id = $2 AND good = $3 AND units >= $4
RETURNING units
"""
SET_STOCK: Final = """
INSERT INTO market_stocks (world_id, owner_id, good, units) VALUES ($1, $2, $3, $4)
ON CONFLICT (world_id, owner_id, good) DO UPDATE SET units = excluded.units
"""
OWNER: Final = """
SELECT EXISTS (SELECT FROM characters WHERE world_id = $1 AND id = $2 AND deleted_at IS NULL)
    OR EXISTS (SELECT FROM factions WHERE world_id = $1 AND id = $2 AND dissolved_at IS NULL)
"""
HAS: Final = "SELECT units FROM market_stocks WHERE world_id = $1 AND owner_id = $2 AND good = $3"


async def buy(tx: Transaction, command: Buy) -> DealView:
    """Pay for a good, and have it."""
    return await _deal(tx, command)


async def sell(tx: Transaction, command: Sell) -> DealView:
    """Give a good of one's stock, and be paid."""
    return await _deal(tx, command)


async def _deal(tx: Transaction, command: Buy | Sell) -> DealView:
    buying = isinstance(command, Buy)
    good = await good_of(tx, command.good)
    currency = await _currency(tx, command, good)
    region = (await regions_of(tx, [command.region_id]))[command.region_id]
    book = await ledger.open_book(tx, [(command.owner_id, currency)], create=not buying)
    await trade.lock(tx)
    tariff = rules.dealt(
        await trade.holding(tx), good.key, region, await _traders(tx, command), buying=buying
    )
    market = await trade.load_market(tx, good, region)
    after = (rules.bought if buying else rules.sold)(market, command.units, tx.now)
    price, sum_ = rules.sum_for(good, after, region, command.units, tariff, buying=buying)
    _check_limit(command, sum_)
    sides = (command.owner_id, ledger.SINK) if buying else (ledger.MINT, command.owner_id)
    moved = None
    if sum_ > 0:
        moved = book.transfer(
            *sides, currency, sum_, kind="markets.purchase" if buying else "markets.sale",
            reason=f"{command.units} {good.name}, {region.name}.",
        )  # fmt: skip
    stock = await _restock(tx, command, buying)
    fields: dict[str, Any] = {
        "owner_id": command.owner_id, "character_id": command.character_id, "region_id": region.id,
        "good": good.key, "units": command.units, "unit_price": price, "tariff": tariff, "sum": sum_,
        "currency": currency, "transfer_id": moved.id if moved else None, "stock": stock,
    }  # fmt: skip
    record = tx.emit(Bought(**fields) if buying else Sold(**fields))
    if moved is not None:
        book.told(moved, record.id)
    await ledger.write(tx, book)
    await trade.write_markets(tx, [after])
    return DealView(
        good=good.key, units=command.units, unit_price=price, tariff=tariff, sum=sum_, currency=currency,
        stock=stock,
    )  # fmt: skip


async def _currency(tx: Transaction, command: Buy | Sell, good: Good) -> str:
    """In which currency whoever deals pays, if they may: nobody chooses it, or goods would change one for another."""
    if command.faction_id is not None:
        return (await factions.may(tx, command.faction_id, command.character_id, SPEND)).currency
    assert command.character_id is not None
    if command.character_id not in await characters.load(tx, [command.character_id]):
        raise CHARACTER_NOT_FOUND(character_id=str(command.character_id))
    return good.currency


async def _traders(tx: Transaction, command: Buy | Sell) -> set[UUID]:
    """Whose restrictions bind a deal: the owner's, and those of the faction to which it belongs."""
    owner = command.owner_id
    return {owner, *(await factions.allegiance(tx, [owner])).get(owner, ())}


def _check_limit(command: Buy | Sell, sum_: int) -> None:
    """Whether the sum is within what the command allows. Refuses `price_moved`."""
    refused: Refused | None = None
    if isinstance(command, Buy) and command.at_most is not None and sum_ > command.at_most:
        refused = rules.PRICE_MOVED(
            f"It costs {sum_}, more than {command.at_most}.", sum=sum_, limit=command.at_most
        )
    if isinstance(command, Sell) and command.at_least_sum is not None and sum_ < command.at_least_sum:
        refused = rules.PRICE_MOVED(
            f"It brings {sum_}, less than {command.at_least_sum}.", sum=sum_, limit=command.at_least_sum
        )
    if refused is not None:
        raise refused


async def _restock(tx: Transaction, command: Buy | Sell, buying: bool) -> int:
    """Put the units into the owner's stock or take them out; what there is then. Refuses `not_enough_in_stock`."""
    where = (tx.world_id, command.owner_id, command.good)
    left = await tx.fetchval(ADD_STOCK if buying else TAKE_STOCK, *where, command.units)
    if left is None:
        has = await tx.fetchval(HAS, *where) or 0
        raise rules.NOT_ENOUGH_IN_STOCK(f"The owner has {has}, not {command.units}.", has=has)
    return int(left)


async def set_stock(tx: Transaction, command: SetStock) -> StockView:
    """Say how much somebody has. Refuses `owner_not_found`."""
    good = await good_of(tx, command.good)
    await trade.lock(tx)  # a faction that is dissolved meanwhile leaves its stocks under this lock
    if not await tx.fetchval(OWNER, tx.world_id, command.owner_id):
        raise rules.OWNER_NOT_FOUND(owner_id=str(command.owner_id))
    await tx.execute(SET_STOCK, tx.world_id, command.owner_id, good.key, command.units)
    tx.emit(StockSet(owner_id=command.owner_id, good=good.key, units=command.units))
    return StockView(good=good.key, units=command.units)
