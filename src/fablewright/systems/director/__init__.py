"""Director: npc characters and factions act by themselves, through the same commands as everybody else.

Nouns: *beat* (a moment at which some characters act, one transaction), *option* (something a character could do, with
a weight made of named parts), *choice* (the event that tells the options and the one chosen, and is the cause of the
act), *needs* (what a character lacks: company and esteem), *arc* (a small story between two: a quarrel, a feud, a
courtship, a friendship), *council* (a moment at which the factions that run themselves decide, all of one world in one
transaction), *decision* (the event that tells what a faction weighed and chose, and is the cause of what it does).

Two directors stand beside each other. Of characters are `options`, `scene`, `rules`, `service`, `arcs` and `why`; of
factions `realms` (what is seen), `court` (which reads it), `statecraft` (what an option and a choice are), `policies`,
`warcraft` and `mishaps` (which options and mishaps there are), `envoys` (which commands carry them out), `councils`
(which holds it together) and `chronicle` (its words). `story` and both sorts of timers are common.

Invariants:

- only npc characters that no user controls act by themselves, and factions that are said to run themselves;
- while the director is on and councils are, exactly one council waits;
- while the director is on, exactly one beat waits as long as there is an npc to act; while it is off, none;
- beats missed while the world stood are not made up for, and a world in which all sleep has no beat before someone
  may wake;
- an arc is resolved if and only if it has an outcome and a time at which it ended.
"""

from fablewright.core.system import Handler, System
from fablewright.systems.director import reactions, service
from fablewright.systems.director.checks import CHECKS
from fablewright.systems.director.commands import ConfigureDirector
from fablewright.systems.director.events import (
    ArcResolved,
    ArcRose,
    ArcStarted,
    Chose,
    Configured,
    CouncilsMet,
    FactionDecided,
    FactionWeighed,
)
from fablewright.systems.director.pack import PACK
from fablewright.systems.director.router import router
from fablewright.systems.director.timers import BEAT, COUNCIL, SUMMONS

system = System(
    name="director",
    handlers=(Handler(ConfigureDirector, one=service.configure),),
    events=(
        Configured,
        Chose,
        ArcStarted,
        ArcRose,
        ArcResolved,
        CouncilsMet,
        FactionDecided,
        FactionWeighed,
    ),
    guarding=reactions.GUARDING,
    following=reactions.FOLLOWING,
    timers=(BEAT, COUNCIL, SUMMONS),
    routers=(router,),
    checks=CHECKS,
    extra={"pack": PACK},
)
