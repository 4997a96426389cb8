"""Dialogue: what characters say and do to each other.

Nouns: *interaction* (of a *type*, such as a greeting, a quarrel or gossip), *initiator* and *target*, *answer* (what
a target that no user plays says to it), *voice* (what finds the words), *tone*, *bystander*, *mention* (a memory
that is spoken of).

Invariants:

- an interaction changes both ties and both states, and tells of it in one event;
- nobody speaks of what it does not remember: each mention names the speaker's memory, and who did not know it has it
  from the speaker;
- no character without a user tells one listener the same line within 50 lines;
- its outcome depends on the characters, their ties and memories, the time and its own dice, not on what else shares
  its transaction.
"""

from fablewright.core.system import Handler, System
from fablewright.systems.dialogue import service
from fablewright.systems.dialogue.checks import CHECKS
from fablewright.systems.dialogue.commands import (
    DefineInteractionType,
    Interact,
    RemoveGrammar,
    RemoveInteractionType,
    SetGrammar,
)
from fablewright.systems.dialogue.events import (
    GrammarRemoved,
    GrammarSet,
    Interacted,
    InteractionTypeDefined,
    InteractionTypeRemoved,
)
from fablewright.systems.dialogue.pack import PACK
from fablewright.systems.dialogue.router import router

system = System(
    name="dialogue",
    handlers=(
        Handler(Interact, many=service.interact_many),
        Handler(DefineInteractionType, one=service.define_type),
        Handler(RemoveInteractionType, one=service.remove_type),
        Handler(SetGrammar, one=service.set_grammar),
        Handler(RemoveGrammar, one=service.remove_grammar),
    ),
    events=(Interacted, InteractionTypeDefined, InteractionTypeRemoved, GrammarSet, GrammarRemoved),
    routers=(router,),
    checks=CHECKS,
    extra={"pack": PACK},
)
