"""Director: npc characters act by themselves, through the same commands as everybody else.

Nouns: *beat* (a moment at which some characters act, one transaction), *option* (something a character could do, with
a weight made of named parts), *choice* (the event that tells the options and the one chosen, and is the cause of the
act), *needs* (what a character lacks: company and esteem), *arc* (a small story between two: a quarrel, a feud, a
courtship, a friendship).

Invariants:

- only npc characters that no user controls act by themselves;
- while the director is on, exactly one beat waits as long as there is an npc to act; while it is off, none;
- beats missed while the world stood are not made up for, and a world in which all sleep has no beat before someone
  may wake;
- an arc is resolved if and only if it has an outcome and a time at which it ended.
"""

from fablewright.core.system import Handler, System
from fablewright.systems.director import reactions, service
from fablewright.systems.director.checks import CHECKS
from fablewright.systems.director.commands import ConfigureDirector
from fablewright.systems.director.events import ArcResolved, ArcRose, ArcStarted, Chose, Configured
from fablewright.systems.director.pack import PACK
from fablewright.systems.director.router import router
from fablewright.systems.director.timers import BEAT

system = System(
    name="director",
    handlers=(Handler(ConfigureDirector, one=service.configure),),
    events=(Configured, Chose, ArcStarted, ArcRose, ArcResolved),
    guarding=reactions.GUARDING,
    following=reactions.FOLLOWING,
    timers=(BEAT,),
    routers=(router,),
    checks=CHECKS,
    extra={"pack": PACK},
)
