"""Travel: journeys of characters between regions, which take world time and can be barred.

Nouns: *journey* (of one character, over the borders of regions, to a place in another region), *crossing* (when it
comes to a border), *gate* (the place of a region at which travellers arrive).

Invariants:

- a character is on one journey at most, and its whereabouts are on the way to the journey's end;
- a journey has exactly one timer, for its next border, until all borders lie behind;
- nobody crosses a border into a region that a ban keeps it out of.
"""

from fablewright.core.system import Handler, System
from fablewright.systems.travel import service
from fablewright.systems.travel.checks import CHECKS
from fablewright.systems.travel.commands import CancelTravel, Travel
from fablewright.systems.travel.events import Arrived, CrossedBorder, SetOut, Stopped
from fablewright.systems.travel.reactions import ENDS
from fablewright.systems.travel.router import router
from fablewright.systems.travel.timers import BORDER

system = System(
    name="travel",
    handlers=(Handler(Travel, many=service.travel), Handler(CancelTravel, one=service.cancel)),
    events=(SetOut, CrossedBorder, Arrived, Stopped),
    guarding=(ENDS,),
    timers=(BORDER,),
    routers=(router,),
    checks=CHECKS,
)
