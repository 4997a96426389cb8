"""Regions: the places of a world, the ways between them, and who is where.

Nouns: *place* (a mill, a market), *path* (two places are neighbours, so many minutes apart), *whereabouts* (where
a character is, lives and works), *walk* (from one place to another; it takes world time).

Invariants:

- who is at a place, heads for one, lives or works there, does so at a place that exists;
- who walks has exactly one timer that will let it arrive, and nobody else has one;
- a character that was never placed is nowhere; that forbids it nothing but to walk.
"""

from fablewright.core.system import Handler, System
from fablewright.systems.regions import service
from fablewright.systems.regions.checks import CHECKS
from fablewright.systems.regions.commands import DefinePlaces, PlaceCharacters, RemovePlace, Walk
from fablewright.systems.regions.events import (
    Arrived,
    CharactersPlaced,
    PlaceRemoved,
    PlacesDefined,
    WalkBegun,
)
from fablewright.systems.regions.pack import PACK
from fablewright.systems.regions.router import router
from fablewright.systems.regions.timers import ARRIVAL

system = System(
    name="regions",
    handlers=(
        Handler(DefinePlaces, one=service.define_places),
        Handler(RemovePlace, one=service.remove_place),
        Handler(PlaceCharacters, one=service.place_characters),
        Handler(Walk, many=service.walk),
    ),
    events=(PlacesDefined, PlaceRemoved, CharactersPlaced, WalkBegun, Arrived),
    timers=(ARRIVAL,),
    routers=(router,),
    checks=CHECKS,
    extra={"pack": PACK},
)
