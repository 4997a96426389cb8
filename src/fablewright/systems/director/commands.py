"""What may be asked about the director, and by whom."""

from pydantic import ConfigDict, Field

from fablewright.core.actors import Role, at_least
from fablewright.core.messages import Command


class ConfigureDirector(Command):
    """Let the npc characters of the world and the factions that run themselves act by themselves, or stop them."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"enabled": True, "beats_per_minute": 12, "acts_per_beat": 1, "council_days": 30}]
        }
    )
    message_type = "director.configure_director"
    allowed = at_least(Role.GAME_MASTER)

    enabled: bool
    beats_per_minute: float = Field(
        12.0, ge=0.01, le=600.0, allow_inf_nan=False, description="Beats per minute of world time."
    )
    acts_per_beat: int = Field(
        1, ge=1, le=1000, description="How many characters act in a beat; each acts at most once."
    )
    council_days: float | None = Field(
        30.0, ge=0.1, le=3650.0, allow_inf_nan=False,
        description="World days between the councils of factions that run themselves; null: none.",
    )  # fmt: skip
