"""What is read of the director."""

from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from fablewright.systems.director.commands import ConfigureDirector


class DirectorView(BaseModel):
    """How the npc characters of a world act by themselves."""

    enabled: bool
    beats_per_minute: float = Field(description="Beats per minute of world time, 0.01 to 600.")
    acts_per_beat: int = Field(description="How many characters act in a beat, 1 to 1,000.")


async def of_world(connection: Any, world_id: UUID) -> DirectorView:
    """The director of a world; one that was never set is off."""
    row = await connection.fetchrow(
        "SELECT enabled, beats_per_minute, acts_per_beat FROM directors WHERE world_id = $1", world_id
    )
    return DirectorView(**(dict(row) if row else ConfigureDirector(enabled=False).model_dump()))
