"""Dialogue: what characters say and do to each other.

Nouns: *interaction* (greeting, chat, collaboration, conflict), *initiator* and *target*, *answer* (what a
target that no user plays says to it).

Invariants:

- an interaction changes both ties and both energies, and tells of it in one event;
- its outcome depends on the characters, their ties, the time and its own dice, not on what else shares its
  transaction.
"""

from fablewright.core.system import Handler, System
from fablewright.systems.dialogue import service
from fablewright.systems.dialogue.checks import CHECKS
from fablewright.systems.dialogue.commands import Interact
from fablewright.systems.dialogue.events import Interacted
from fablewright.systems.dialogue.router import router

system = System(
    name="dialogue",
    handlers=(Handler(Interact, many=service.interact_many),),
    events=(Interacted,),
    routers=(router,),
    checks=CHECKS,
)
