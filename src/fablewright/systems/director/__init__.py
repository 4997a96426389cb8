"""Director: npc characters act by themselves, through the same commands as everybody else.

Nouns: *beat* (a moment at which some characters act, one transaction), *act* (an interaction that the
director lets a character begin).

Invariants:

- only npc characters that no user controls act by themselves;
- while the director is on, exactly one beat waits; while it is off, none;
- beats missed while the world stood are not made up for.
"""

from fablewright.core.system import Handler, System
from fablewright.systems.director import service
from fablewright.systems.director.checks import CHECKS
from fablewright.systems.director.commands import ConfigureDirector
from fablewright.systems.director.events import Configured
from fablewright.systems.director.pack import PACK
from fablewright.systems.director.router import router
from fablewright.systems.director.timers import BEAT

system = System(
    name="director",
    handlers=(Handler(ConfigureDirector, one=service.configure),),
    events=(Configured,),
    timers=(BEAT,),
    routers=(router,),
    checks=CHECKS,
    extra={"pack": PACK},
)
