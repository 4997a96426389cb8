"""Memory: what characters remember, know and believe, and from whom they have it.

Nouns: *memory* (what one character holds of one fact), *fact* (what several can know of), *claim* (what is said to
have happened, in a form that can be exaggerated), *teller* (through whom it came; the chain of tellers is its
provenance), *certainty*, *truth* (what really is, where a character is wrong), *reflection* (a conclusion with its
evidence), *mind* (how full a character's memory is, and what it has not thought over).

Invariants:

- a character has each fact once, and its mind counts its memories;
- who was told something has a chain of tellers that does not hold itself, and is less sure than its teller;
- nobody has more memories than the capacity after a commit; what has the least hold is forgotten first;
- each reflection names the memories that it was drawn from.
"""

from fablewright.core.system import Handler, System
from fablewright.systems.memory import service
from fablewright.systems.memory.checks import CHECKS
from fablewright.systems.memory.commands import ForgetMemory, PlantMemory, RestoreMemories
from fablewright.systems.memory.events import (
    MemoriesRestored,
    MemoryForgotten,
    MemoryPlanted,
    MemoryReflected,
)
from fablewright.systems.memory.pack import PACK, restore
from fablewright.systems.memory.reactions import FORGET_DELETED
from fablewright.systems.memory.router import router

system = System(
    name="memory",
    handlers=(
        Handler(PlantMemory, many=service.plant),
        Handler(ForgetMemory, one=service.forget),
        Handler(RestoreMemories, one=restore),
    ),
    events=(MemoryPlanted, MemoryForgotten, MemoriesRestored, MemoryReflected),
    guarding=(FORGET_DELETED,),
    routers=(router,),
    checks=CHECKS,
    extra={"pack": PACK},
)
