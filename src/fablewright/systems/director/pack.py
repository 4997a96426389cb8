"""How the director stands in a pack: `director` in `world.yaml`."""

from collections.abc import Sequence
from typing import Final

from pydantic import Field

from fablewright.core.messages import Command
from fablewright.core.pack import Ids, Item, PackAddition, PackModel, Snapshot
from fablewright.systems.director.commands import ConfigureDirector


class DirectorEntry(PackModel):
    """Whether the npc characters act by themselves, and how often."""

    enabled: bool = True
    beats_per_minute: float = Field(
        12.0, ge=0.01, le=600.0, allow_inf_nan=False, description="Beats per minute of world time."
    )
    acts_per_beat: int = Field(1, ge=1, le=1000, description="How many characters act in a beat.")
    council_days: float | None = Field(
        30.0, ge=0.1, le=3650.0, allow_inf_nan=False,
        description="World days between the councils of factions that run themselves; null: none.",
    )  # fmt: skip


class DirectorFields(PackModel):
    """What the director adds to a world."""

    director: DirectorEntry | None = Field(None, description="Left out, nobody acts by itself.")


def commands(items: Sequence[Item], ids: Ids) -> list[Command]:
    """Let the director begin, once everybody is there."""
    given = [item.value.director for item in items if item.value.director is not None]
    return [ConfigureDirector(**entry.model_dump()) for entry in given]


async def read(snapshot: Snapshot) -> list[Item]:
    """The director, if the world ever had one."""
    row = await snapshot.connection.fetchrow(
        "SELECT enabled, beats_per_minute, acts_per_beat, council_days FROM directors WHERE world_id = $1",
        snapshot.world_id,
    )
    return [] if row is None else [Item("world", DirectorFields(director=DirectorEntry(**dict(row))))]


PACK: Final = (PackAddition("world", DirectorFields, commands, read),)
