"""What may be asked about journeys, and by whom."""

from uuid import UUID

from pydantic import ConfigDict, Field

from fablewright.core.actors import Role, at_least
from fablewright.core.messages import Command
from fablewright.systems.regions.rules import (
    ALREADY_WALKING,
    ASLEEP,
    BARRED,
    CHARACTER_NOT_FOUND,
    NO_ROUTE,
    NO_STARTING_POINT,
    NOT_PRESENT,
    REGION_NOT_FOUND,
)
from fablewright.systems.travel.rules import (
    ALREADY_IN_REGION,
    IN_NO_REGION,
    NOT_TRAVELLING,
    REGION_HAS_NO_PLACE,
)


class Travel(Command):
    """Let a character set out for another region, by the quickest way that no ban bars.

    It arrives when the world's time has come; a ban that is imposed meanwhile stops it at the border.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "character_id": "01890a5d-ac96-774b-bcce-b302099a8057",
                    "to_region_id": "01890a5d-ac96-774b-bcce-b302099a8102",
                }
            ]
        }
    )
    message_type = "travel.travel"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = (
        REGION_NOT_FOUND, NO_ROUTE, BARRED, ALREADY_IN_REGION, IN_NO_REGION, REGION_HAS_NO_PLACE, ALREADY_WALKING,
        NO_STARTING_POINT, CHARACTER_NOT_FOUND, ASLEEP, NOT_PRESENT,
    )  # fmt: skip

    character_id: UUID
    to_region_id: UUID = Field(description="Where it shall go.")


class CancelTravel(Command):
    """Call a journey off: the character stays in the region in which it is."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"character_id": "01890a5d-ac96-774b-bcce-b302099a8057"}]}
    )
    message_type = "travel.cancel_travel"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = (NOT_TRAVELLING,)

    character_id: UUID
