"""How a world itself stands in a pack: `world.yaml`."""

from collections.abc import Sequence
from typing import Final

import orjson
from pydantic import Field

from fablewright.core.messages import Command
from fablewright.core.pack import Form, Ids, Item, PackModel, PackSection, Snapshot
from fablewright.systems.worlds.commands import CalendarSettings, CreateWorld, FreeSettings


class WorldEntry(PackModel):
    """A world: its name, its clock, its calendar and its settings."""

    name: str = Field(min_length=1, max_length=200)
    description: str = Field("", max_length=4_000)
    calendar: CalendarSettings | None = None
    begins_at: int = Field(0, gt=-(2**52), lt=2**52, description="World time (ms) at which its clock starts.")
    rate: float = Field(1.0, gt=0, le=100_000, description="World milliseconds per real millisecond.")
    paused: bool = False
    seed: int | None = Field(
        None, ge=0, lt=2**63, description="Secret seed of its chance; random if left out."
    )
    settings: FreeSettings = {}


def commands(items: Sequence[Item], ids: Ids) -> list[Command]:
    """The command that founds the world."""
    fields = tuple(WorldEntry.model_fields)
    return [CreateWorld(**{name: getattr(item.value, name) for name in fields}) for item in items]


async def read(snapshot: Snapshot) -> list[Item]:
    """The world, with its clock as it stands now."""
    row = await snapshot.connection.fetchrow(
        "SELECT name, description, calendar::text AS calendar, rate, paused, seed, settings::text AS settings "
        "FROM worlds WHERE id = $1",
        snapshot.world_id,
    )
    calendar = orjson.loads(row["calendar"])
    entry = WorldEntry(
        name=row["name"],
        description=row["description"],
        calendar=CalendarSettings(**calendar) if calendar else None,
        begins_at=snapshot.now,
        rate=row["rate"],
        paused=row["paused"],
        seed=row["seed"] if snapshot.with_seed else None,
        settings=orjson.loads(row["settings"]),
    )
    return [Item("world", entry)]


PACK: Final = (
    PackSection("world", ("world.yaml",), Form.DOCUMENT, WorldEntry, commands, read, required=True),
)
