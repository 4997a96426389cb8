"""Diplomacy: what factions are to each other, treaties that execute, negotiations, incidents, sanctions and wars.

Nouns: *relation* (of two factions: tension 0..100 and status), *status* (war, truce, hostile, neutral, cordial,
friendly, allied), *opinion* (of one faction about another, -100..100: the sum of named, decaying modifiers),
*trust* (0..1), *truce* (world time in which neither may go to war again), *deed* (what a faction did that others judge
it by, if they know of it).

Invariants:

- there is at most one relation between two factions, and none of a faction with itself;
- tension, opinions and trusts stay within their ranges; the parts of an opinion sum to it;
- a status changes by legal moves; between factions whose truce holds there is no war;
- nobody judges a deed that it does not know of: behind each judgement stands how it knows, and by whom;
- values are stored as they were at a world time; what is shown and decided on has decayed to now.
"""

from types import ModuleType
from typing import Any, Final

from fablewright.core.system import Handler, System
from fablewright.systems.diplomacy import (
    breaches,
    campaigns,
    coalitions,
    decrees,
    gifts,
    homefront,
    incidents,
    nego_events,
    nego_router,
    nego_timers,
    negotiations,
    peace,
    person_router,
    persons,
    persuasion,
    quarrel_history,
    quarrel_pack,
    renown,
    restrictions,
    sanctions,
    service,
    spying,
    threat_router,
    treaties,
    treaty_changes,
    treaty_effects,
    treaty_events,
    treaty_history,
    treaty_pack,
    treaty_router,
    treaty_timers,
    ultimatums,
    war_checks,
    war_history,
    war_pack,
    war_router,
    war_timers,
    wars,
    watching,
)
from fablewright.systems.diplomacy.checks import CHECKS
from fablewright.systems.diplomacy.commands import AddOpinion, DropOpinion, SetRelation, SetRelations
from fablewright.systems.diplomacy.events import RelationshipChanged, StatusChanged, TensionChanged
from fablewright.systems.diplomacy.pack import PACK
from fablewright.systems.diplomacy.router import router
from fablewright.systems.diplomacy.timers import TRUCES

PARTS: Final[tuple[ModuleType, ...]] = (
    treaties, treaty_changes, treaty_history, treaty_events, treaty_timers, treaty_router, treaty_pack,
    watching, spying, treaty_effects,
    negotiations, nego_timers, persuasion, nego_events, peace, nego_router, incidents, wars, campaigns, sanctions,
    restrictions, breaches, ultimatums, coalitions, war_timers, quarrel_history, quarrel_pack, war_history, war_pack,
    war_router, threat_router, war_checks, renown, homefront, gifts, decrees,
    persons, person_router,
)  # fmt: skip
"""The files of this system that bring something of their own, under the names that `_brought` asks for."""


def _brought(name: str) -> tuple[Any, ...]:
    """All that the parts bring under a name, in their order."""
    return tuple(item for part in PARTS for item in getattr(part, name, ()))


system = System(
    name="diplomacy",
    handlers=(
        Handler(SetRelation, service.set_relation),
        Handler(SetRelations, service.set_relations),
        Handler(AddOpinion, service.add_opinion),
        Handler(DropOpinion, service.drop_opinion),
        *_brought("HANDLERS"),
    ),
    events=(RelationshipChanged, TensionChanged, StatusChanged, *_brought("EVENTS")),
    guarding=_brought("GUARDING"),
    following=_brought("FOLLOWING"),
    timers=(TRUCES, *_brought("TIMERS")),
    routers=(router, *(part.ROUTER for part in PARTS if hasattr(part, "ROUTER"))),
    checks=(*CHECKS, *_brought("CHECKS")),
    extra={"pack": (*PACK, *_brought("PACK"))},
)
