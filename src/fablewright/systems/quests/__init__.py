"""Quests: what somebody is asked to do, with objectives over events, choices, deadlines and consequences.

Nouns: *quest* (objectives, outcomes, who may take it), *objective* (something counted from events by the measures of
`progress`, a choice, or what a game master says), *outcome* (how a quest ends, and what that brings), *taking* (that
somebody was offered a quest or is on it), *course* (how far they are), *template* (what quests are generated from).

Invariants:

- somebody is on a quest once at a time, and it ends once for them, whatever happens at once on however many nodes;
- what happened before an objective opened does not count for it;
- an ending, its rewards, its consequences and its event are one commit;
- a template makes one quest of an event, which names that event, and one at a time between the same factions.
"""

from fablewright.core.system import Handler, System
from fablewright.systems.quests import service
from fablewright.systems.quests.checks import CHECKS
from fablewright.systems.quests.commands import (
    AbandonQuest,
    AcceptQuest,
    ChooseObjective,
    DeclineQuest,
    DefineQuest,
    EndQuest,
    GenerateQuest,
    OfferQuest,
    ReachObjective,
    RemoveQuest,
)
from fablewright.systems.quests.events import (
    Abandoned,
    Accepted,
    Declined,
    Defined,
    Expired,
    Failed,
    Finished,
    ObjectiveReached,
    Offered,
    Removed,
)
from fablewright.systems.quests.pack import PACK
from fablewright.systems.quests.reactions import COUNT, FORGET, SPAWN
from fablewright.systems.quests.router import router
from fablewright.systems.quests.timers import QUEST_IS_DUE, QUEST_IS_OVER

system = System(
    name="quests",
    handlers=(
        Handler(DefineQuest, one=service.define),
        Handler(RemoveQuest, one=service.remove),
        Handler(GenerateQuest, one=service.generate_one),
        Handler(OfferQuest, one=service.offer),
        Handler(AcceptQuest, one=service.accept),
        Handler(DeclineQuest, one=service.decline),
        Handler(AbandonQuest, one=service.abandon),
        Handler(ChooseObjective, one=service.choose),
        Handler(ReachObjective, one=service.reach),
        Handler(EndQuest, one=service.end_one),
    ),
    events=(
        Defined, Removed, Offered, Declined, Accepted, ObjectiveReached, Finished, Failed, Abandoned, Expired,
    ),
    following=(COUNT, SPAWN, FORGET),
    timers=(QUEST_IS_DUE, QUEST_IS_OVER),
    routers=(router,),
    checks=CHECKS,
    extra={"pack": PACK},
)  # fmt: skip
