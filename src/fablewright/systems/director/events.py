"""What happens to the director, and who may know. What it lets characters do is told by their own events."""

from fablewright.core.messages import MEMBERS, Audience, Event


class Configured(Event):
    """The director of the world was set, started or stopped."""

    message_type = "director.configured"

    enabled: bool
    beats_per_minute: float
    acts_per_beat: int

    def audience(self) -> Audience:
        return MEMBERS
