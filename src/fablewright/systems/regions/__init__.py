"""Regions: the places of a world, the ways between them, who is where, and the regions in which places lie.

Nouns: *place* (a mill, a market), *path* (two places are neighbours, so many minutes apart), *whereabouts* (where
a character is, lives and works), *walk* (from one place to another; it takes world time), *region* (a part of the
world with terrain, resources and stability, which a faction may hold), *border* (two regions are neighbours), *ban*
(somebody may not come into a region).

Invariants:

- who is at a place, heads for one, lives or works there, does so at a place that exists;
- who walks has exactly one timer that will let it arrive, and nobody else has one;
- a character that was never placed is nowhere; that forbids it nothing but to walk;
- a region that was removed has no borders and no places; its row stays, for what happened there;
- nobody sets out on a way into a region that a ban keeps it out of.
"""

from fablewright.core.system import Handler, System
from fablewright.systems.regions import bans, lands, service
from fablewright.systems.regions.checks import CHECKS
from fablewright.systems.regions.commands import (
    BanMovement,
    DefinePlaces,
    DefineRegions,
    LiftBan,
    PlaceCharacters,
    RemovePlace,
    RemoveRegion,
    SetControl,
    Walk,
)
from fablewright.systems.regions.events import (
    Arrived,
    CharactersPlaced,
    ControlChanged,
    MovementBanLifted,
    MovementBanned,
    PlaceRemoved,
    PlacesDefined,
    RegionRemoved,
    RegionsDefined,
    StabilityChanged,
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
        Handler(DefineRegions, one=lands.define_regions),
        Handler(RemoveRegion, one=lands.remove_region),
        Handler(SetControl, one=lands.change_control),
        Handler(BanMovement, one=bans.ban_movement),
        Handler(LiftBan, one=bans.lift_ban),
    ),
    events=(
        PlacesDefined,
        PlaceRemoved,
        CharactersPlaced,
        WalkBegun,
        Arrived,
        RegionsDefined,
        RegionRemoved,
        ControlChanged,
        StabilityChanged,
        MovementBanned,
        MovementBanLifted,
    ),
    timers=(ARRIVAL,),
    routers=(router,),
    checks=CHECKS,
    extra={"pack": PACK},
)
