"""Achievements: what characters are honoured for, defined as data, counted by `progress`.

Nouns: *achievement* (criteria, tiers, rewards), *tier* (a goal within it), *unlock* (that a character reached a tier,
once for each repetition), *standing* (how far a character has come: current / goal).

Invariants:

- a tier is unlocked once per character and repetition, whatever happens at once on however many nodes;
- an unlock, its rewards and its event are one commit;
- achievements that need each other form no circle;
- players do not learn of a hidden achievement before they have it, nor from others who have it.
"""

from fablewright.core.system import Handler, System
from fablewright.systems.achievements import service
from fablewright.systems.achievements.checks import CHECKS
from fablewright.systems.achievements.commands import (
    DefineAchievement,
    GrantAchievement,
    RemoveAchievement,
    RestoreStandings,
)
from fablewright.systems.achievements.events import (
    Defined,
    Progressed,
    Removed,
    StandingsRestored,
    Unlocked,
)
from fablewright.systems.achievements.pack import PACK
from fablewright.systems.achievements.reactions import FORGET_DELETED
from fablewright.systems.achievements.router import router
from fablewright.systems.progress.service import LISTENER

system = System(
    name="achievements",
    handlers=(
        Handler(DefineAchievement, one=service.define),
        Handler(RemoveAchievement, one=service.remove),
        Handler(GrantAchievement, one=service.grant),
        Handler(RestoreStandings, one=service.restore),
    ),
    events=(Defined, Removed, Progressed, Unlocked, StandingsRestored),
    following=(FORGET_DELETED,),
    routers=(router,),
    checks=CHECKS,
    extra={LISTENER: service.moved, "pack": PACK},
)
