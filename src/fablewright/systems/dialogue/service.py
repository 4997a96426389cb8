"""What the commands about dialogue do. Higher systems make interactions through `interaction`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from uuid import UUID

import orjson

from fablewright.core.dice import Dice
from fablewright.core.refusal import Refused
from fablewright.core.transaction import Request, Transaction
from fablewright.systems.characters import service as characters
from fablewright.systems.dialogue import rules
from fablewright.systems.dialogue.commands import Interact
from fablewright.systems.dialogue.events import EnergyChange, Interacted, Interaction, TieChange
from fablewright.systems.dialogue.rules import Feeling, InteractionType, Outcome, Person
from fablewright.systems.relationships import service as relationships

Pair = tuple[UUID, UUID]


def interaction(initiator_id: UUID, target_id: UUID, kind: InteractionType, content: str) -> Interact:
    """The command by which one character does something to another, for systems that let characters act."""
    return Interact(initiator_id=initiator_id, target_id=target_id, type=kind, content=content)


@cache
def answers() -> rules.Answers:
    """The lines of `data/answers.json`."""
    lines: rules.Answers = orjson.loads(
        resources.files(__package__).joinpath("data/answers.json").read_bytes()
    )
    return lines


@dataclass(slots=True)
class Scene:
    """Everybody who takes part in a batch, and how they feel about each other, as it goes on."""

    people: dict[UUID, Person]
    ties: dict[Pair, Feeling]
    energy_at: dict[UUID, int]


async def interact_many(tx: Transaction, requests: Sequence[Request]) -> list[Interaction | Refused]:
    """Let characters interact, in order: load everybody, decide in memory, write everything.

    Each request has its own dice, so that its outcome does not depend on who shares the transaction.
    """
    commands: list[Interact] = [request.command for request in requests]  # type: ignore[misc]
    scene = await _scene(tx, commands)
    answers_ = answers()
    results: list[Interaction | Refused] = []
    told: list[tuple[Request, Interacted]] = []
    changed: set[UUID] = set()
    for request, command in zip(requests, commands, strict=True):
        try:
            interacted = _decide(scene, command, tx.now, Dice(tx.world.seed, request.id), answers_)
        except Refused as refused:
            results.append(refused)
            continue
        told.append((request, interacted))
        results.append(interacted_view(interacted))
        changed.update((command.initiator_id, command.target_id))
    await _write(tx, scene, [event for _, event in told], sorted(changed))
    for request, interacted in told:
        tx.emit(interacted, by=request)
    return results


async def _scene(tx: Transaction, commands: Sequence[Interact]) -> Scene:
    """Lock and load the characters first, then their ties, each in the order of their ids."""
    living = await characters.load(tx, (i for c in commands for i in (c.initiator_id, c.target_id)))
    pairs = [(c.initiator_id, c.target_id) for c in commands]
    known = await relationships.load(tx, [*pairs, *((target, initiator) for initiator, target in pairs)])
    ties = {
        pair: Feeling(t.strength, t.trust, t.interaction_count, t.last_interaction_at)
        for pair, t in known.items()
    }
    people = {c.id: _person(c, tx.now) for c in living.values()}
    return Scene(people, ties, {c.id: max(tx.now, c.energy_at) for c in living.values()})


def _person(c: characters.CharacterState, now: int) -> Person:
    return Person(
        c.id, c.name, c.status == "active", c.user_id is not None, c.energy_now(now), c.traits.agreeableness,
        c.traits.neuroticism, c.traits.extraversion,
    )  # fmt: skip


STRANGERS = relationships.TieState()


def _decide(scene: Scene, command: Interact, now: int, dice: Dice, lines: rules.Answers) -> Interacted:
    """Let the rules decide one interaction, and let the scene go on from its outcome."""
    there, back = (command.initiator_id, command.target_id), (command.target_id, command.initiator_id)
    initiator, target = scene.people.get(there[0]), scene.people.get(there[1])
    rules.check(command.type, initiator, target, there)
    assert initiator is not None and target is not None
    nothing = Feeling(STRANGERS.strength, STRANGERS.trust, 0, None)
    before = scene.ties.get(there, nothing), scene.ties.get(back, nothing)
    outcome = rules.interact(command.type, initiator, target, before, now, dice=dice, answers=lines)
    scene.people[there[0]] = replace(initiator, energy=outcome.initiator_energy)
    scene.people[there[1]] = replace(target, energy=outcome.target_energy)
    scene.ties[there], scene.ties[back] = outcome.initiator_tie, outcome.target_tie
    return _told(command, initiator, target, before, outcome)


def _told(
    command: Interact, initiator: Person, target: Person, before: tuple[Feeling, Feeling], outcome: Outcome
) -> Interacted:
    return Interacted(
        initiator_id=initiator.id, target_id=target.id, type=command.type, content=command.content,
        context=command.context, answer=outcome.answer,
        ties=[
            _tie_change(initiator.id, target.id, before[0], outcome.initiator_tie),
            _tie_change(target.id, initiator.id, before[1], outcome.target_tie),
        ],
        energies=[
            EnergyChange(character_id=initiator.id, before=initiator.energy, after=outcome.initiator_energy),
            EnergyChange(character_id=target.id, before=target.energy, after=outcome.target_energy),
        ],
    )  # fmt: skip


def _tie_change(source_id: UUID, target_id: UUID, before: Feeling, after: Feeling) -> TieChange:
    return TieChange(
        source_id=source_id, target_id=target_id,
        strength_before=before.strength, strength_after=after.strength,
        trust_before=before.trust, trust_after=after.trust, interaction_count=after.interaction_count,
    )  # fmt: skip


def interacted_view(event: Interacted) -> Interaction:
    """What the caller is told of an interaction: all but what it said itself."""
    return Interaction.model_construct(
        initiator_id=event.initiator_id, target_id=event.target_id, type=event.type, answer=event.answer,
        ties=event.ties, energies=event.energies,
    )  # fmt: skip


async def _write(tx: Transaction, scene: Scene, told: Sequence[Interacted], changed: Sequence[UUID]) -> None:
    """Store energies and ties as the scene ended, with one statement each."""
    await characters.write_energies(tx, [(i, scene.people[i].energy, scene.energy_at[i]) for i in changed])
    pairs = dict.fromkeys((tie.source_id, tie.target_id) for event in told for tie in event.ties)
    await relationships.write(
        tx,
        {
            pair: relationships.TieState(t.strength, t.trust, t.interaction_count, t.last_interaction_at)
            for pair, t in ((pair, scene.ties[pair]) for pair in pairs)
        },
    )
