"""Characters against the real database."""

import asyncio
import uuid
from typing import Any
from uuid import UUID

import pytest

from fablewright.core.actors import system_actor
from fablewright.core.clock import HOUR
from fablewright.core.dice import random_uuid
from fablewright.core.engine import Scope
from fablewright.core.messages import Command
from fablewright.core.refusal import Refused
from fablewright.core.timers import FireTimers
from fablewright.core.transaction import Request, Transaction
from fablewright.systems.characters import service
from fablewright.systems.characters.commands import (
    CreateCharacter,
    DeleteCharacter,
    EmotionValue,
    GoalValue,
    Personality,
    PersonalityChange,
    SetStatus,
    SpeechChange,
    SpeechValue,
    UpdateCharacter,
)
from fablewright.systems.characters.emotions import Pad
from fablewright.systems.characters.events import CharacterCreated, CharacterUpdated
from fablewright.systems.characters.rules import Goal, Speech
from fablewright.systems.characters.views import CharacterView
from fablewright.systems.worlds.commands import AdvanceWorld, LeaveWorld, RemoveMember
from tests.support import Person, Server, until


async def refused(server: Server, code: str, command: Command, person: Person, world_id: UUID) -> Refused:
    with pytest.raises(Refused) as error:
        await server.do(command, person.actor, world_id)
    assert error.value.code == code
    return error.value


async def types(server: Server, world_id: UUID) -> list[str]:
    rows = await server.fetch("SELECT type FROM events WHERE world_id = $1 ORDER BY seq", world_id)
    return [row["type"] for row in rows]


async def test_a_thousand_characters_in_one_commit(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    commands = [
        CreateCharacter(name=f"C{n}", personality=Personality(openness=n / 1000)) for n in range(1000)
    ]
    results = (await server.runtime.engine.execute(commands, owner.actor, world_id)).result
    assert [r.name for r in results] == [c.name for c in commands]
    rows = await server.fetch("SELECT name, openness FROM characters WHERE world_id = $1", world_id)
    assert {row["name"]: row["openness"] for row in rows} == {
        c.name: c.personality.openness for c in commands
    }
    assert len({r.id for r in results}) == 1000
    assert (await types(server, world_id)).count("characters.character_created") == 1000


async def test_a_refusal_in_a_list_refuses_the_list(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    same = uuid.uuid4()
    with pytest.raises(Refused) as error:
        await server.runtime.engine.execute(
            [CreateCharacter(id=same, name="A"), CreateCharacter(id=same, name="B")], owner.actor, world_id
        )
    assert (error.value.code, error.value.facts["index"]) == ("character_exists", 1)
    assert await server.fetch("SELECT 1 FROM characters WHERE world_id = $1", world_id) == []


async def test_neighbours_of_a_refused_one_are_made(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    player = await server.member(world_id, owner, "player")
    same = uuid.uuid4()
    asked = [
        server.do(CreateCharacter(id=same, name="first"), owner.actor, world_id),
        server.do(CreateCharacter(id=same, name="second"), owner.actor, world_id),
        server.do(CreateCharacter(name="npc by player"), player.actor, world_id),
        server.do(CreateCharacter(name="hero", kind="player"), player.actor, world_id),
        server.do(CreateCharacter(name="ghost", user_id=uuid.uuid4()), owner.actor, world_id),
    ]
    results: list[Any] = await asyncio.gather(*asked, return_exceptions=True)
    codes = [r.code if isinstance(r, Refused) else r.name for r in results]
    assert codes == ["first", "character_exists", "character_needs_game_master", "hero", "user_not_member"]
    assert results[3].user_id == player.id


async def test_updates_tell_what_changed(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    player = await server.member(world_id, owner, "player")
    made = await server.do(CreateCharacter(name="Ada", energy=0.5), owner.actor, world_id)
    view = await server.do(
        UpdateCharacter(character_id=made.id, name="Ada II", user_id=player.id, status="asleep"),
        owner.actor,
        world_id,
    )
    assert (view.name, view.user_id, view.status, view.energy) == ("Ada II", player.id, "asleep", 0.5)
    rows = await server.fetch(
        "SELECT type, data::text AS data FROM events WHERE world_id = $1 ORDER BY seq DESC LIMIT 2", world_id
    )
    assert [row["type"] for row in rows] == ["characters.control_changed", "characters.character_updated"]
    assert '"changed": ["name", "status"]' in rows[1]["data"]
    before = await types(server, world_id)
    await server.do(UpdateCharacter(character_id=made.id, name="Ada II"), owner.actor, world_id)
    assert await types(server, world_id) == before


async def test_what_a_controller_may_do(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    player = await server.member(world_id, owner, "player")
    hero = await server.do(CreateCharacter(name="Hero", kind="player"), player.actor, world_id)
    lent = await server.do(CreateCharacter(name="Lent", user_id=player.id), owner.actor, world_id)
    other = await server.do(CreateCharacter(name="Other"), owner.actor, world_id)
    await server.do(
        UpdateCharacter(character_id=hero.id, description="Tall", status="away"), player.actor, world_id
    )
    forbidden = "character_needs_game_master"
    await refused(server, forbidden, UpdateCharacter(character_id=hero.id, energy=1), player, world_id)
    await refused(
        server, forbidden, UpdateCharacter(character_id=hero.id, release_control=True), player, world_id
    )
    await refused(server, forbidden, DeleteCharacter(character_id=lent.id), player, world_id)
    await refused(server, "not_your_character", DeleteCharacter(character_id=other.id), player, world_id)
    await server.do(DeleteCharacter(character_id=hero.id), player.actor, world_id)
    await refused(server, "character_not_found", UpdateCharacter(character_id=hero.id), player, world_id)
    await refused(server, "character_not_found", DeleteCharacter(character_id=hero.id), owner, world_id)
    ghost = UpdateCharacter(character_id=other.id, user_id=uuid.uuid4())
    await refused(server, "user_not_member", ghost, owner, world_id)


@pytest.mark.parametrize("leaves", [True, False])
async def test_who_leaves_loses_control(server: Server, leaves: bool) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    player = await server.member(world_id, owner, "player")
    hero = await server.do(CreateCharacter(name="Hero", kind="player"), player.actor, world_id)
    if leaves:
        await server.do(LeaveWorld(), player.actor, world_id)
    else:
        await server.do(RemoveMember(user_id=player.id), owner.actor, world_id)
    rows = await server.fetch(
        "SELECT user_id FROM characters WHERE world_id = $1 AND id = $2", world_id, hero.id
    )
    assert rows[0]["user_id"] is None
    last = await server.fetch(
        "SELECT type, data ->> 'previous_user_id' AS who, causation_id, (SELECT id FROM events WHERE "
        "world_id = $1 AND type LIKE 'worlds.member\\_%' ORDER BY seq DESC LIMIT 1) AS cause "
        "FROM events WHERE world_id = $1 ORDER BY seq DESC LIMIT 1",
        world_id,
    )
    assert (last[0]["type"], last[0]["who"]) == ("characters.control_changed", str(player.id))
    assert last[0]["causation_id"] == last[0]["cause"]


async def test_principals_are_the_controlled_characters(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    player = await server.member(world_id, owner, "player")
    hero = await server.do(CreateCharacter(name="Hero", kind="player"), player.actor, world_id)
    await server.do(CreateCharacter(name="Npc"), owner.actor, world_id)
    system = next(s for s in server.runtime.systems if s.name == "characters")
    assert system.principals is not None
    async with server.runtime.database.reading() as connection:
        assert await system.principals(connection.fetch, world_id, player.id) == {hero.id}


async def test_two_at_once_with_one_id_make_one(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    same = uuid.uuid4()
    lists = [[CreateCharacter(id=same, name=f"Twin {n}")] for n in range(2)]  # lists do not share a commit
    results: list[Any] = await asyncio.gather(
        *(server.runtime.engine.execute(commands, owner.actor, world_id) for commands in lists),
        return_exceptions=True,
    )
    assert sorted(r.code if isinstance(r, Refused) else "made" for r in results) == [
        "character_exists",
        "made",
    ]


RICH = CreateCharacter(
    name="Orla Fen", energy=0.5, personality=Personality(agreeableness=0.9, neuroticism=0.7),
    emotion=EmotionValue(pleasure=-0.5, arousal=0.25, dominance=0.125),
    attributes={"strength": 7, "luck \"\u00e9\"": -0.1, "wide": 1e9}, skills={"rowing": 80.5},
    tags=["ferry", "o'clock", "{comma, brace}"],
    goals=[
        GoalValue(kind="befriend", text="Be friends with Bram.", about_id=UUID(int=7)),
        GoalValue(kind="free", text="See the sea."),
    ],
    speech=SpeechValue(formality=0.1, favourite_words=["aye"], taboos=["king", "crown"]),
    portrait_url="https://example.org/orla.png",
)  # fmt: skip


async def inside(server: Server, world_id: UUID, work: Any) -> Any:
    """What a function of the service answers inside a transaction."""
    request = Request(FireTimers(kind="none", due_at=0), system_actor("test"), random_uuid(), random_uuid())
    return (await server.runtime.engine.transact(Scope(world_id), request, work))[0]


async def test_everything_about_a_character_is_kept(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    made = await server.do(RICH, owner.actor, world_id)
    plain = await server.do(
        CreateCharacter(name="Plain", personality=Personality(agreeableness=1)), owner.actor, world_id
    )
    assert (made.emotion.pleasure, made.emotion.label) == (-0.5, "hostile")
    assert plain.emotion == plain.baseline
    assert (plain.emotion.pleasure, plain.emotion.label) == (0.59, "dependent")
    found = await inside(server, world_id, lambda tx: service.load(tx, [made.id, plain.id]))
    state = found[made.id]
    assert (state.emotion, state.emotion_at) == (Pad(-0.5, 0.25, 0.125), 0)
    assert (state.attributes, state.skills, list(state.tags)) == (RICH.attributes, RICH.skills, RICH.tags)
    assert state.goals == (
        Goal("befriend", "Be friends with Bram.", UUID(int=7)),
        Goal("free", "See the sea."),
    )
    assert state.speech == Speech(0.1, 0.5, 0.5, ("aye",), ("king", "crown"))
    assert state.portrait_url == RICH.portrait_url
    assert (found[plain.id].goals, found[plain.id].speech, found[plain.id].tags) == ((), Speech(), ())
    told = await server.fetch(
        "SELECT data::text AS data FROM events WHERE world_id = $1 AND type = 'characters.character_created' "
        "ORDER BY seq", world_id,
    )  # fmt: skip
    event = CharacterCreated.model_validate_json(told[0]["data"])
    for field in ("attributes", "skills", "tags", "goals", "speech", "emotion", "portrait_url"):
        assert getattr(event, field) == getattr(RICH, field), field


async def test_the_quick_read_and_the_view_are_equal(server: Server) -> None:
    """Also for a character from before there was speech, and after its feelings have settled a little."""
    owner = await server.person()
    world_id = await server.world(owner)
    made = [await server.do(c, owner.actor, world_id) for c in (RICH, CreateCharacter(name="Plain"))]

    async def age(tx: Transaction) -> None:
        await tx.execute(
            "UPDATE characters SET speech = '{}' WHERE world_id = $1 AND id = $2", tx.world_id, made[1].id
        )

    await inside(server, world_id, age)
    for hours in (0, 3):
        if hours:
            await advance(server, owner, world_id, hours * HOUR)
        listed = await server.client.get(f"/api/v1/worlds/{world_id}/characters", headers=owner.headers)
        for item in listed.json()["items"]:
            path = f"/api/v1/worlds/{world_id}/characters/{item['id']}"
            quick = await server.client.get(path, headers=owner.headers)
            assert quick.json() == item
            assert CharacterView.model_validate_json(quick.content).model_dump(mode="json") == item
    assert item["name"] == "Plain" and item["speech"] == SpeechValue().model_dump()


async def advance(server: Server, owner: Person, world_id: UUID, by_ms: int) -> None:
    await server.do(AdvanceWorld(by_ms=by_ms), owner.actor, world_id)

    async def there() -> bool:
        rows = await server.fetch("SELECT advance_id FROM worlds WHERE id = $1", world_id)
        return rows[0]["advance_id"] is None

    await until(there, 60)


async def test_feelings_settle_while_nobody_looks(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    made = await server.do(RICH, owner.actor, world_id)
    start, base = made.emotion, made.baseline
    await advance(server, owner, world_id, 2 * HOUR)
    view = await server.do(UpdateCharacter(character_id=made.id), owner.actor, world_id)
    for part in ("pleasure", "arousal", "dominance"):
        halfway = (getattr(start, part) + getattr(base, part)) / 2
        assert getattr(view.emotion, part) == pytest.approx(halfway)
    assert view.baseline == base


async def test_each_part_can_be_changed(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    made = await server.do(RICH, owner.actor, world_id)
    changes: dict[str, Any] = {
        "emotion": EmotionValue(pleasure=0.75), "attributes": {"luck": 1.0}, "skills": {}, "tags": ["a", "b"],
        "goals": [], "speech": SpeechChange(humour=0.9, taboos=[]), "portrait_url": "http://example.org/2",
        "personality": PersonalityChange(neuroticism=0.1),
    }  # fmt: skip
    for field, value in changes.items():
        view = await server.do(UpdateCharacter(character_id=made.id, **{field: value}), owner.actor, world_id)
        rows = await server.fetch(
            "SELECT data::jsonb -> 'changed' ->> 0 AS changed, data::text AS data FROM events "
            "WHERE world_id = $1 ORDER BY seq DESC LIMIT 1", world_id,
        )  # fmt: skip
        assert rows[0]["changed"] == field
        CharacterUpdated.model_validate_json(rows[0]["data"])
    assert (view.emotion.pleasure, view.emotion.label) == (0.75, "exuberant")
    assert (view.attributes, view.skills, view.tags, view.goals) == ({"luck": 1.0}, {}, ["a", "b"], [])
    assert view.speech == SpeechValue(formality=0.1, humour=0.9, favourite_words=["aye"])
    assert (view.portrait_url, view.personality.neuroticism) == ("http://example.org/2", 0.1)
    removed = await server.do(
        UpdateCharacter(character_id=made.id, remove_portrait=True), owner.actor, world_id
    )
    assert removed.portrait_url is None


async def test_states_are_written_together(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    ids = [(await server.do(CreateCharacter(name=n), owner.actor, world_id)).id for n in "ABC"]

    async def write(tx: Transaction) -> Any:
        await service.load(tx, ids)
        await service.write_states(tx, [(ids[0], 0.25, 5, Pad(0.5, -0.5, 1)), (ids[2], 1.0, 7, Pad())])
        await service.write_states(tx, [])
        return await service.peek(tx, ids)

    found = await inside(server, world_id, write)
    assert [(c.energy, c.energy_at, c.emotion, c.emotion_at) for c in (found[i] for i in ids)] == [
        (0.25, 5, Pad(0.5, -0.5, 1), 5), (1.0, 0, Pad(), 0), (1.0, 7, Pad(), 7),
    ]  # fmt: skip


async def test_statuses(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    player = await server.member(world_id, owner, "player")
    made = await server.do(CreateCharacter(name="Ada", user_id=player.id), owner.actor, world_id)
    other = await server.do(CreateCharacter(name="Ben"), owner.actor, world_id)
    answer = await server.do(SetStatus(character_id=made.id, status="asleep"), player.actor, world_id)
    assert answer == {"character_id": str(made.id), "status": "asleep", "previous": "active"}
    before = await types(server, world_id)
    await server.do(SetStatus(character_id=made.id, status="asleep"), player.actor, world_id)
    assert await types(server, world_id) == before
    await refused(
        server, "not_your_character", SetStatus(character_id=other.id, status="away"), player, world_id
    )
    await refused(
        server, "character_not_found", SetStatus(character_id=UUID(int=9), status="away"), owner, world_id
    )
    # One after the other within one commit: each sees what the one before it did.
    wanted = [(made.id, "active"), (made.id, "away"), (other.id, "asleep"), (made.id, "away")]
    results = (
        await server.runtime.engine.execute(
            [SetStatus(character_id=i, status=status) for i, status in wanted],
            owner.actor,
            world_id,
        )
    ).result
    assert [r["previous"] for r in results] == ["asleep", "active", "active", "away"]
    rows = await server.fetch("SELECT id, status FROM characters WHERE world_id = $1", world_id)
    assert {row["id"]: row["status"] for row in rows} == {made.id: "away", other.id: "asleep"}
    assert (await types(server, world_id))[len(before) :] == ["characters.status_changed"] * 3


async def test_who_acts_by_itself(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    kinds: list[dict[str, Any]] = [
        {}, {"status": "asleep"}, {"status": "away"}, {"kind": "player"}, {"user_id": owner.id},
    ]  # fmt: skip
    ids = [(await server.do(CreateCharacter(name="C", **k), owner.actor, world_id)).id for k in kinds]

    async def acting(tx: Transaction) -> Any:
        return (
            [c.id for c in await service.self_acting(tx, 9)],
            {c.id for c in await service.self_acting(tx, 9, ("active", "asleep"))},
            len(await service.self_acting(tx, 1, ("active", "asleep"))),
        )

    assert await inside(server, world_id, acting) == ([ids[0]], set(ids[:2]), 1)
