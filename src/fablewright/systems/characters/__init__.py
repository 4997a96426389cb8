"""Characters: the people of a world, played by users or acting by themselves.

Nouns: *character* (`player` or `npc`), its *controller* (the user who may act as it), *personality* (OCEAN),
*emotion* (how it feels: pleasure, arousal, dominance; returns to what its personality feels by itself), *energy*
(0..1, spent by acting, regained in world time), *status* (active, asleep, away), *speech* (how it talks), *goal*.

Invariants:

- a controller is a member of the world: whoever leaves loses control in the same transaction;
- energy and emotion are within their ranges and never of a time to come;
- a deleted character keeps its row, is nowhere and can do nothing;
- only who is active sets out for a walk.
"""

from fablewright.core.system import Handler, System
from fablewright.systems.characters import service
from fablewright.systems.characters.checks import CHECKS
from fablewright.systems.characters.commands import (
    CreateCharacter,
    DeleteCharacter,
    SetStatus,
    UpdateCharacter,
)
from fablewright.systems.characters.events import (
    CharacterCreated,
    CharacterDeleted,
    CharacterUpdated,
    ControlChanged,
    StatusChanged,
)
from fablewright.systems.characters.pack import PACK
from fablewright.systems.characters.reactions import PLACED, RELEASE_CONTROL, WALKING
from fablewright.systems.characters.router import OPENAPI, get_character_route, router

system = System(
    name="characters",
    handlers=(
        Handler(CreateCharacter, many=service.create_many),
        Handler(UpdateCharacter, one=service.update),
        Handler(SetStatus, many=service.set_status),
        Handler(DeleteCharacter, one=service.delete),
    ),
    events=(CharacterCreated, CharacterUpdated, StatusChanged, CharacterDeleted, ControlChanged),
    guarding=(RELEASE_CONTROL, PLACED, WALKING),
    routers=(router, get_character_route),
    checks=CHECKS,
    controls=service.controls,
    principals=service.principals,
    principals_change_on=(ControlChanged.message_type,),
    extra={"openapi": OPENAPI, "pack": PACK},
)
