"""What happens to measures, and who may know: game masters."""

from uuid import UUID

from fablewright.core.messages import GAME_MASTERS, Audience, Event


class CaughtUp(Event):
    """Measures have counted the world's log up to `up_to`, and count what happens from now on."""

    message_type = "progress.caught_up"

    measure_ids: list[UUID]
    up_to: int

    def audience(self) -> Audience:
        return GAME_MASTERS
