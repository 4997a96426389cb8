"""Arcs against the real database: they start with what happens, draw others in, and end."""

from typing import Any
from uuid import UUID

import pytest

from fablewright.core.clock import DAY, HOUR
from fablewright.systems.characters.commands import CreateCharacter, DeleteCharacter, GoalValue, Personality
from fablewright.systems.dialogue.commands import Interact
from fablewright.systems.director.commands import ConfigureDirector
from fablewright.systems.regions.commands import DefinePlaces, PlaceCharacters, Placement, PlaceValue
from fablewright.systems.relationships.commands import SetTies, TieValue
from tests.support import Person, Server
from tests.systems.test_director import SQUARE, advance, direct, log, sound, town, village

A, B, C = (UUID(int=n) for n in range(1, 4))


async def still(server: Server, owner: Person, world_id: UUID) -> None:
    """A director that is on, but hardly ever lets anybody act."""
    await server.do(ConfigureDirector(enabled=True, beats_per_minute=0.01), owner.actor, world_id)


async def clash(server: Server, owner: Person, world_id: UUID, kind: str = "conflict", **fields: Any) -> Any:
    values = {"initiator_id": A, "target_id": B, "type": kind, "content": "You liar, I hate you!", **fields}
    return await server.do(Interact(**values), owner.actor, world_id)


async def arcs(server: Server, world_id: UUID) -> list[Any]:
    return await server.fetch(
        "SELECT id, kind, stage, first_id, second_id, others, outcome, tension, turns FROM arcs "
        "WHERE world_id = $1 ORDER BY started_at, id",
        world_id,
    )  # fmt: skip


async def test_a_clash_begins_a_quarrel(server: Server) -> None:
    owner = await server.person()
    world_id = await village(server, owner)
    await still(server, owner, world_id)
    await clash(server, owner, world_id)
    (arc,) = await arcs(server, world_id)
    (told,) = await log(server, world_id, "director.arc_started")
    (cause,) = await log(server, world_id, "dialogue.interacted")
    assert (arc["kind"], arc["stage"], arc["first_id"], arc["second_id"]) == ("quarrel", "started", A, B)
    assert (told["arc_id"], told["kind"], told["causation_id"]) == (str(arc["id"]), "quarrel", cause["id"])
    assert arc["turns"] == [cause["id"]]
    assert "C0" in told["title"] and "C1" in told["title"] and told["title"].endswith(".")
    await clash(server, owner, world_id)
    (after,) = await arcs(server, world_id)
    assert after["tension"] > arc["tension"] and len(after["turns"]) == 2
    await sound(server, world_id)


async def test_director_off_means_no_arcs(server: Server) -> None:
    owner = await server.person()
    world_id = await village(server, owner)
    await clash(server, owner, world_id)
    assert await arcs(server, world_id) == []


async def test_bystanders_are_drawn_in(server: Server) -> None:
    owner = await server.person()
    world_id = await village(server, owner, 3)
    await still(server, owner, world_id)
    await server.do(
        DefinePlaces(places=[PlaceValue(id=SQUARE, name="the square")], paths=[]), owner.actor, world_id
    )
    placements = [Placement(character_id=who, place_id=SQUARE) for who in (A, B, C)]
    await server.do(PlaceCharacters(placements=placements), owner.actor, world_id)
    ties = [
        TieValue(source_id=C, target_id=who, strength=strength, trust=0.9, familiarity=0.8)
        for who, strength in ((A, 0.9), (B, 0.0))
    ]
    await server.do(SetTies(ties=ties), owner.actor, world_id)
    for _ in range(3):
        await clash(server, owner, world_id, initiator_id=B, target_id=A)
    (arc,) = await arcs(server, world_id)
    assert arc["others"] == [C]
    joined = [e for e in await log(server, world_id, "director.arc_rose") if e["joined_id"]]
    assert [e["joined_id"] for e in joined] == [str(C)]
    assert "C2" in joined[0]["title"] and "C1" in joined[0]["title"]


async def test_who_is_gone_ends_its_arcs(server: Server) -> None:
    owner = await server.person()
    world_id = await village(server, owner)
    await still(server, owner, world_id)
    await clash(server, owner, world_id)
    await server.do(DeleteCharacter(character_id=B), owner.actor, world_id)
    (arc,) = await arcs(server, world_id)
    assert (arc["stage"], arc["outcome"]) == ("resolved", "cut_short")
    assert len(await log(server, world_id, "director.arc_resolved")) == 1
    await sound(server, world_id)


async def test_a_quarrel_that_nobody_keeps_up_blows_over(server: Server) -> None:
    owner = await server.person()
    world_id = await village(server, owner, 2)
    await still(server, owner, world_id)
    await clash(server, owner, world_id)
    await server.do(ConfigureDirector(enabled=False), owner.actor, world_id)
    await advance(server, owner, world_id, 5 * DAY)
    await still(server, owner, world_id)
    await advance(server, owner, world_id, 2 * HOUR)
    arc = (await arcs(server, world_id))[0]
    assert arc["stage"] == "resolved" and arc["outcome"] in ("blew_over", "made_up")


async def test_a_quarrel_that_is_over_is_not_taken_up_again(server: Server) -> None:
    owner = await server.person()
    world_id = await village(server, owner, 2)
    await still(server, owner, world_id)
    await clash(server, owner, world_id)
    await server.do(ConfigureDirector(enabled=False), owner.actor, world_id)
    await advance(server, owner, world_id, 5 * DAY)
    await still(server, owner, world_id)
    await clash(server, owner, world_id)
    old, new = await arcs(server, world_id)
    assert (old["stage"], old["outcome"]) == ("resolved", "blew_over")
    assert (new["kind"], new["stage"]) == ("quarrel", "started")
    await sound(server, world_id)


async def test_a_courtship_begins_with_a_wish(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    goal = GoalValue(kind="win_heart", text="Ben shall love me.", about_id=B)
    await server.do(
        CreateCharacter(id=B, name="Ben", personality=Personality(agreeableness=1)), owner.actor, world_id
    )
    await server.do(CreateCharacter(id=A, name="Ada", goals=[goal]), owner.actor, world_id)
    ties = [
        TieValue(source_id=s, target_id=t, strength=f, trust=0.9, familiarity=0.6)
        for s, t, f in ((A, B, 0.5), (B, A, 0.2))
    ]
    await server.do(SetTies(ties=ties), owner.actor, world_id)
    await still(server, owner, world_id)
    await clash(server, owner, world_id, "praise", content="You have the finest voice in the valley.")
    (arc,) = await arcs(server, world_id)
    assert (arc["kind"], arc["first_id"]) == ("courtship", A)


@pytest.mark.uncounted
async def test_arcs_start_rise_and_end_in_some_days(server: Server) -> None:
    owner = await server.person()
    world_id = await town(server, owner)
    await direct(server, owner, world_id, beats=0.1, acts=4)
    await advance(server, owner, world_id, 4 * DAY)
    started = await log(server, world_id, "director.arc_started")
    resolved = await log(server, world_id, "director.arc_resolved")
    assert len(started) >= 5 and resolved
    assert {"quarrel", "friendship"} <= {e["kind"] for e in started}
    assert {e["outcome"] for e in resolved} & {
        "made_up",
        "blew_over",
        "became_feud",
        "fast_friends",
        "fell_out",
    }
    assert {e["arc_id"] for e in resolved} <= {e["arc_id"] for e in started}
    open_ = [a for a in await arcs(server, world_id) if a["stage"] != "resolved"]
    for who in (UUID(int=n + 1) for n in range(12)):
        assert sum(who in (a["first_id"], a["second_id"]) for a in open_) <= 3
    moved = [c for c in await log(server, world_id, "director.chose") if c["arc_id"]]
    assert moved
    await sound(server, world_id)
