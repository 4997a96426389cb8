"""Relationships: how characters feel about each other.

Nouns: *tie* (directed: what the source feels about the target), *strength* (-1 hate .. 1 love), *trust*
(0..1), *graph* (who is how many ties away).

Invariants:

- there is at most one tie from one character to another, and none to itself or to a deleted one;
- strength and trust stay within their ranges;
- both ties of two characters count the same interactions.
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
