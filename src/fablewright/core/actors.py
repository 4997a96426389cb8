"""Who acts, and who is allowed to. Pure."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final
from uuid import UUID


class Role(IntEnum):
    """What someone is in a world. Each role may do all that the ones before it may."""

    OBSERVER = 1
    PLAYER = 2
    GAME_MASTER = 3
    OWNER = 4

    @property
    def label(self) -> str:
        return self.name.lower()

    @staticmethod
    def from_label(label: str) -> "Role":
        return Role[label.upper()]


ROLE_LABELS: Final = tuple(role.label for role in Role)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who gives a command.

    `name` is how the log knows them: `user:<id>`, `key:<id>` for an API key, `system:<what>` for the server
    itself. It never holds personal data. `user_id` is the account behind a user or key; None for the system and
    for someone who has not signed in. `most` caps the role an API key can reach, `only_world` binds a key to one
    world.
    """

    name: str
    user_id: UUID | None = None
    session_id: UUID | None = None
    most: Role = Role.OWNER
    only_world: UUID | None = None
    administrator: bool = False
    valid_until: float | None = None
    """Seconds since 1970 when the token behind this actor ends; None when it does not."""

    @property
    def is_system(self) -> bool:
        return self.name.startswith("system:")


ANONYMOUS: Final = Actor("anonymous")


def system_actor(what: str) -> Actor:
    """The server itself, acting for `what`: `director`, `timer`, `consumer:…`."""
    return Actor(f"system:{what}")


@dataclass(frozen=True, slots=True)
class Allowed:
    """Who may give a command. Every command declares one; the engine checks it at every door.

    - `role`: the least role in the world; None for commands outside worlds.
    - `acts_as`: fields of the command that name characters; one who is less than a game master must control
      each of them.
    - `anonymous`: someone who has not signed in may give it (register, log in).
    - `administrator`: only a server administrator.
    - `system_only`: only the server itself (timers, advance, consumers).
    - `while_advancing`: it runs even while the world is being fast-forwarded.
    """

    role: Role | None = None
    acts_as: tuple[str, ...] = ()
    anonymous: bool = False
    administrator: bool = False
    system_only: bool = False
    while_advancing: bool = False


def at_least(role: Role, *, acts_as: tuple[str, ...] = (), while_advancing: bool = False) -> Allowed:
    """Members of the world with this role or a higher one."""
    return Allowed(role=role, acts_as=acts_as, while_advancing=while_advancing)


SIGNED_IN: Final = Allowed()
ADMINISTRATORS: Final = Allowed(administrator=True)
SYSTEM_ONLY: Final = Allowed(system_only=True)
