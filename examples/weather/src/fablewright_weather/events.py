"""What happens to the weather, and who may know."""

from fablewright.core.messages import MEMBERS, Audience, Event


class SkyChanged(Event):
    """The sky is another one. `until_ms` is the world time at which it may turn again."""

    message_type = "weather.sky_changed"

    before: str | None
    sky: str
    until_ms: int

    def audience(self) -> Audience:
        """Everybody can look up."""
        return MEMBERS
