"""What worlds define as data (award rules, achievements, boards), read once and kept as long as it is true.

Who changes definitions sets `tx.definitions_changed`. The world's version of them grows with that commit, and commands
that began under the older one run again: so what is kept under a version is exact, on every node, and asking for
it costs nothing.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar
from uuid import UUID

from fablewright.core.transaction import Transaction

MOST_WORLDS: Final = 1_000
"""Of how many worlds a process keeps the definitions: those asked for last."""

T = TypeVar("T")


class Definitions(Generic[T]):
    """The definitions of one kind, by world. `load(tx)` reads those of the transaction's world."""

    def __init__(self, load: Callable[[Transaction], Awaitable[T]]):
        self._load = load
        self._kept: OrderedDict[UUID, tuple[int, T]] = OrderedDict()

    async def of(self, tx: Transaction) -> T:
        """Those of the transaction's world, with the changes that the transaction itself has made."""
        if tx.definitions_changed:
            return await self._load(tx)
        version = tx.world.definitions
        found = self._kept.get(tx.world_id)
        if found is None or found[0] != version:
            found = version, await self._load(tx)
            if len(self._kept) >= MOST_WORLDS:
                self._kept.popitem(last=False)
            self._kept[tx.world_id] = found
        self._kept.move_to_end(tx.world_id)
        return found[1]
