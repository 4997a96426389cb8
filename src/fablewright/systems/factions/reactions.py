"""What happens to factions when other systems' events happen."""

from fablewright.core.system import Reaction
from fablewright.systems.characters.events import CharacterDeleted
from fablewright.systems.factions import members

FORGET_DELETED = Reaction("factions.forget_deleted", (CharacterDeleted,), members.forget)
"""Who is deleted belongs to nothing any more; where one led, the next in rank follows. Characters are locked
already, and come before memberships and factions."""
