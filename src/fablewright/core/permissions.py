"""Who may give which command: checked by the engine, for every door alike."""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from fablewright.core.actors import Actor, Role
from fablewright.core.messages import Command
from fablewright.core.receipts import NO_WORLD
from fablewright.core.refusal import (
    CONFLICT,
    FORBIDDEN,
    INVALID,
    NOT_FOUND,
    UNAUTHENTICATED,
    Refusal,
    Refused,
)
from fablewright.core.transaction import Request, Transaction

Controls = Callable[[Transaction, UUID, Sequence[UUID]], Awaitable[set[UUID]]]
"""See `System.controls`: those of the characters that a user may act as."""

SIGN_IN_FIRST = Refusal(
    "not_signed_in", UNAUTHENTICATED, "Sign in first: send `Authorization: Bearer <token>`."
)
WORLD_NOT_FOUND = Refusal(
    "world_not_found", NOT_FOUND, "There is no such world, or you are not a member of it."
)
ROLE_TOO_LOW = Refusal("role_too_low", FORBIDDEN, "Your role in this world does not allow this.")
NOT_YOUR_CHARACTER = Refusal(
    "not_your_character",
    FORBIDDEN,
    "You can act only as characters that you control. Ask a game master for one.",
)
ADMINISTRATORS_ONLY = Refusal("administrators_only", FORBIDDEN, "Only a server administrator may do this.")
SYSTEM_ONLY_COMMAND = Refusal("system_only", FORBIDDEN, "Only the server itself gives this command.")
WORLD_IS_ADVANCING = Refusal(
    "world_is_advancing",
    CONFLICT,
    "The world is being fast-forwarded. Wait until it has arrived, or stop it.",
)
COMMAND_NOT_FOR_WORLDS = Refusal(
    "command_not_for_worlds", INVALID, "This command belongs to accounts; use its own route."
)


def check_actor(command: Command, actor: Actor, world_id: UUID | None) -> None:
    """What can be checked without the database. The rest is checked in the transaction."""
    allowed = command.allowed
    if actor.is_system:
        return
    if allowed.system_only:
        raise SYSTEM_ONLY_COMMAND()
    if allowed.anonymous:
        return
    if actor.user_id is None:
        raise SIGN_IN_FIRST()
    if allowed.administrator and not actor.administrator:
        raise ADMINISTRATORS_ONLY()
    if allowed.role is None and world_id is not None:
        raise COMMAND_NOT_FOR_WORLDS(f"{command.message_type} does not act on a world.")
    if actor.only_world not in (None, world_id):
        raise WORLD_NOT_FOUND(world_id=str(world_id))
    if command.founds_world and actor.most < Role.OWNER:
        raise ROLE_TOO_LOW(
            "Making a world needs an API key with the scope `manage`.", needed=Role.OWNER.label
        )


def check_place(command: Command, world_id: UUID | None, *, founding: bool, first: bool) -> None:
    """Whether a command may stand where it does: in a world, outside, or in a list that founds one."""
    in_world = command.allowed.role is not None
    if world_id is None and in_world and not founding:
        raise WORLD_NOT_FOUND(f"{command.message_type} acts on a world; name one.")
    if not first and (command.founds_world or (founding and not in_world)):
        raise COMMAND_NOT_FOR_WORLDS(
            f"{command.message_type} can only stand first in a list that makes a world."
        )


def check_role(request: Request, roles: dict[UUID, Role], world_id: UUID) -> Refused | None:
    """Note the actor's role in the request; the refusal if it is too low."""
    if request.actor.is_system:
        return None
    role = roles.get(request.actor.user_id) if request.actor.user_id else None
    if role is None:
        return WORLD_NOT_FOUND(world_id=str(world_id))
    request.role = min(role, request.actor.most)
    needed = request.command.allowed.role
    if request.actor.most < Role.PLAYER:  # every command changes something, leaving a world too
        return ROLE_TOO_LOW("This API key may only read.", needed=Role.PLAYER.label)
    if needed is not None and request.role < needed:
        return ROLE_TOO_LOW(
            f"This needs the role {needed.label}; yours is {request.role.label}.", needed=needed.label
        )
    return None


def acted_as(request: Request) -> list[UUID]:
    """The characters that the request acts as, if its actor must control them."""
    if request.actor.is_system or (request.role or Role.OBSERVER) >= Role.GAME_MASTER:
        return []
    values = [getattr(request.command, name) for name in request.command.allowed.acts_as]
    return [value for value in values if value is not None]


async def refused_each(
    tx: Transaction, requests: list[Request], controls: Controls | None
) -> dict[int, Refused]:
    """The refusals of those requests (by index) whose actor lacks the role or the character.

    Who founds a world will own it, as far as their key reaches.
    """
    refused: dict[int, Refused] = {}
    if not tx.in_world:
        for index, request in enumerate(requests if requests[0].command.founds_world else ()):
            owner = {request.actor.user_id: Role.OWNER} if request.actor.user_id else {}
            problem = check_role(request, owner, NO_WORLD)
            if problem is not None:
                refused[index] = problem
        return refused
    users = {r.actor.user_id for r in requests if r.actor.user_id is not None}
    roles = await _roles(tx, users)
    for index, request in enumerate(requests):
        problem = check_role(request, roles, tx.world_id)
        if problem is not None:
            refused[index] = problem
        elif request.actor.is_system:
            continue
        elif tx.world.clock.advancing and not request.command.allowed.while_advancing:
            refused[index] = WORLD_IS_ADVANCING(advance_id=str(tx.world.advance_id))
    await _check_control(tx, requests, refused, controls)
    return refused


async def _roles(tx: Transaction, users: set[UUID]) -> dict[UUID, Role]:
    """The roles of those users who are members of the world. Read anew once this transaction has changed rights."""
    known = {} if tx.rights_changed else tx.members
    roles = {user: role for user in users if (role := known.get(user)) is not None}
    if unknown := sorted(users - known.keys()):
        rows = await tx.fetch(
            "SELECT user_id, role FROM world_members WHERE world_id = $1 AND user_id = ANY($2::uuid[])",
            tx.world_id, unknown,
        )  # fmt: skip
        roles |= {row["user_id"]: Role(row["role"]) for row in rows}
    return roles


async def _check_control(
    tx: Transaction, requests: list[Request], refused: dict[int, Refused], controls: Controls | None
) -> None:
    """Add a refusal for each player who would act as a character that is not theirs."""
    wanted: dict[UUID, set[UUID]] = {}
    for index, request in enumerate(requests):
        if index not in refused and (ids := acted_as(request)) and request.actor.user_id is not None:
            wanted.setdefault(request.actor.user_id, set()).update(ids)
    for user_id, wished in sorted(wanted.items()):
        own: set[UUID] = await controls(tx, user_id, sorted(wished)) if controls else set()
        for index, request in enumerate(requests):
            if request.actor.user_id == user_id and not own.issuperset(acted_as(request)):
                refused.setdefault(index, NOT_YOUR_CHARACTER())
