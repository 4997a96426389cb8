"""What the commands about dialogue do. Higher systems make interactions through `interaction`."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson

from fablewright.core.dice import Dice, derived_uuid
from fablewright.core.refusal import Refused
from fablewright.core.transaction import Request, Transaction
from fablewright.systems.dialogue import content as contents
from fablewright.systems.dialogue import rules, scene
from fablewright.systems.dialogue.commands import (
    DefineInteractionType,
    Interact,
    RemoveGrammar,
    RemoveInteractionType,
    SetGrammar,
)
from fablewright.systems.dialogue.effects import TypeDefinition
from fablewright.systems.dialogue.events import (
    GrammarRemoved,
    GrammarSet,
    Interacted,
    Interaction,
    InteractionTypeDefined,
    InteractionTypeRemoved,
)
from fablewright.systems.dialogue.exchange import exchange
from fablewright.systems.dialogue.stage import Scene
from fablewright.systems.memory import service as memory


def interaction(
    initiator_id: UUID, target_id: UUID, kind: str, content: str | None = None, *, memory_id: UUID | None = None,
    topic: str | None = None,
) -> Interact:  # fmt: skip
    """The command by which one character does something to another, for systems that let characters act.

    Without `content`, the initiator finds its own words.
    """
    return Interact(
        initiator_id=initiator_id, target_id=target_id, type=kind, content=content, memory_id=memory_id,
        topic=topic,
    )  # fmt: skip


async def types(tx: Transaction) -> Mapping[str, TypeDefinition]:
    """The types of interaction of the transaction's world, by name."""
    return (await contents.of_world(tx)).types


async def interact_many(tx: Transaction, requests: Sequence[Request]) -> list[Interaction | Refused]:
    """Let characters interact, in order: load everybody, decide in memory, write everything.

    Each request has its own dice, so that its outcome does not depend on who shares the transaction.
    """
    content = await contents.of_world(tx)
    results: list[Interaction | Refused] = []
    for group in scene.groups(requests, content):
        results += await _interact(tx, group, await scene.load(tx, group, content))
    return results


async def _interact(
    tx: Transaction, requests: Sequence[Request], stage: Scene
) -> list[Interaction | Refused]:
    results: list[Interaction | Refused] = []
    told: list[tuple[Request, Interacted]] = []
    for request in requests:
        command: Interact = request.command  # type: ignore[assignment]
        event_id = derived_uuid(request.id, request.emitted)
        try:
            event = exchange(stage, command, request.id, event_id, Dice(tx.world.seed, request.id))
        except Refused as refused:
            results.append(refused)
            continue
        told.append((request, event))
        results.append(_view(event))
    await scene.write(tx, stage)
    for request, event in told:
        tx.emit(event, by=request)
    await memory.remember(tx, stage.news, stage.names)
    return results


def _view(event: Interacted) -> Interaction:
    """What the caller is told of an interaction: all but the context, which it sent itself."""
    return Interaction.model_construct(**{name: getattr(event, name) for name in Interaction.model_fields})


# -- a world's own types and texts ---------------------------------------------------------------------------


async def define_type(tx: Transaction, command: DefineInteractionType) -> dict[str, Any]:
    """Store a type of the world's own. Refuses `interaction_type_like_unknown` if it would have no texts."""
    known = contents.built_in_types()
    if command.name not in known and command.definition.like not in known:
        raise rules.TYPE_LIKE_UNKNOWN(
            f"{command.name!r} needs texts: name in `like` one of {', '.join(sorted(known))}."
        )
    await tx.execute(
        "INSERT INTO interaction_types (world_id, id, name, definition) VALUES ($1, $2, $3, $4::jsonb) "
        "ON CONFLICT (world_id, name) DO UPDATE SET definition = excluded.definition",
        tx.world_id, tx.new_id(), command.name, command.definition.model_dump_json(),
    )  # fmt: skip
    await contents.changed(tx)
    tx.emit(InteractionTypeDefined(name=command.name, definition=command.definition))
    return {"name": command.name, "definition": command.definition}


async def remove_type(tx: Transaction, command: RemoveInteractionType) -> None:
    """Take a type of the world's own away. Refuses `interaction_type_not_found`."""
    if not await tx.execute(
        "DELETE FROM interaction_types WHERE world_id = $1 AND name = $2", tx.world_id, command.name
    ):
        raise rules.TYPE_NOT_FOUND(name=command.name)
    await contents.changed(tx)
    tx.emit(InteractionTypeRemoved(name=command.name))


async def set_grammar(tx: Transaction, command: SetGrammar) -> dict[str, Any]:
    """Check and store texts. Refuses `grammar_invalid`, alone or together with the world's other texts."""
    contents.with_own({**await contents.own_texts(tx), command.name: command.content})
    await tx.execute(
        "INSERT INTO grammars (world_id, id, name, content) VALUES ($1, $2, $3, $4::jsonb) "
        "ON CONFLICT (world_id, name) DO UPDATE SET content = excluded.content",
        tx.world_id, tx.new_id(), command.name, orjson.dumps(command.content).decode(),
    )  # fmt: skip
    await contents.changed(tx)
    tx.emit(GrammarSet(name=command.name))
    return {"name": command.name}


async def remove_grammar(tx: Transaction, command: RemoveGrammar) -> None:
    """Take texts of the world's own away. Refuses `grammar_not_found`."""
    if not await tx.execute(
        "DELETE FROM grammars WHERE world_id = $1 AND name = $2", tx.world_id, command.name
    ):
        raise rules.GRAMMAR_NOT_FOUND(name=command.name)
    await contents.changed(tx)
    tx.emit(GrammarRemoved(name=command.name))
