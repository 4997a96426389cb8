"""Relationships: how characters feel about each other.

Nouns: *tie* (directed: what the source feels about the target), *strength* (-1 hate .. 1 love), *trust*
(0..1), *familiarity* (0..1), *resting point* (to where strength and trust drift), *label* (friend, rival, kin, …),
*reason* (why it changed, and by how much), *habit* (how used one is to something), *compatibility* (of two
personalities), *graph* (all ties of a world).

Invariants:

- there is at most one tie from one character to another, and none to itself or to a deleted one;
- strength, trust, familiarity and resting points stay within their ranges;
- both ties of two characters count the same interactions;
- values are stored as they were at `felt_at`; what is shown, filtered and decided on has drifted to now.
"""

from fablewright.core.system import Handler, System
from fablewright.systems.relationships import service
from fablewright.systems.relationships.checks import CHECKS
from fablewright.systems.relationships.commands import SetTie, SetTies
from fablewright.systems.relationships.events import TieSet, TiesSet
from fablewright.systems.relationships.pack import PACK
from fablewright.systems.relationships.reactions import FORGET_DELETED
from fablewright.systems.relationships.router import router

system = System(
    name="relationships",
    handlers=(Handler(SetTie, many=service.set_tie), Handler(SetTies, many=service.set_ties)),
    events=(TieSet, TiesSet),
    guarding=(FORGET_DELETED,),
    routers=(router,),
    checks=CHECKS,
    extra={"pack": PACK},
)
