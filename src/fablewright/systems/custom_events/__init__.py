"""Custom events: what outside programs tell a world, each kind with a JSON Schema that the world has registered.

Nouns: *event type* (`game.quest_finished`: what it means, which data it carries, who may see it), *custom event*
(one happening of such a type, about a subject), *family* (`game.`, `narrative.`, `user.`, `admin.`: the only
first words that such types may have, so that no type is ever taken for one of a system).

Invariants:

- an event gets into the log only if its type was registered at that moment and its data fits the schema;
- a schema fetches nothing from anywhere, and neither it nor the data can make checking slow;
- what was recorded stays in the log when its type is changed or removed.
"""

from fablewright.core.system import Handler, System
from fablewright.systems.custom_events import service
from fablewright.systems.custom_events.checks import CHECKS
from fablewright.systems.custom_events.commands import RecordEvent, RegisterEventType, RemoveEventType
from fablewright.systems.custom_events.events import CustomEvent, TypeRegistered, TypeRemoved
from fablewright.systems.custom_events.pack import PACK
from fablewright.systems.custom_events.router import router

system = System(
    name="custom_events",
    handlers=(
        Handler(RegisterEventType, one=service.register),
        Handler(RemoveEventType, one=service.remove),
        Handler(RecordEvent, many=service.record),
    ),
    events=(TypeRegistered, TypeRemoved, CustomEvent),
    routers=(router,),
    checks=CHECKS,
    extra={"pack": PACK},
)
