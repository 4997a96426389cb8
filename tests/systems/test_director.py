"""The director against the real database: beats by advancing the world's clock."""

import asyncio
from typing import Any
from uuid import UUID

import orjson
import pytest

from fablewright.core.clock import DAY, HOUR, MINUTE
from fablewright.core.refusal import Refused
from fablewright.core.transaction import Transaction
from fablewright.systems.characters.commands import (
    CreateCharacter,
    DeleteCharacter,
    Personality,
    SetStatus,
    UpdateCharacter,
)
from fablewright.systems.dialogue import service as dialogue
from fablewright.systems.dialogue.exchange import exchange
from fablewright.systems.director import reactions, scene
from fablewright.systems.director.commands import ConfigureDirector
from fablewright.systems.regions.commands import (
    DefinePlaces,
    PathValue,
    PlaceCharacters,
    Placement,
    PlaceValue,
)
from fablewright.systems.relationships.commands import SetTies, TieValue
from fablewright.systems.worlds.commands import AdvanceWorld, ReplayDeadLetter, SetClock
from tests.support import Person, Server, until

pytestmark = pytest.mark.uncounted

HOMES, MILL, TAVERN, SQUARE = (UUID(int=1000 + n) for n in range(4))


async def village(server: Server, owner: Person, count: int = 6, **world: Any) -> UUID:
    """Some npcs without a place; it is six in the morning."""
    world_id = await server.world(owner, **world)
    commands = [
        CreateCharacter(
            id=UUID(int=n + 1),
            name=f"C{n}",
            personality=Personality(extraversion=(n % 10) / 10, agreeableness=((n * 3) % 10) / 10),
        )
        for n in range(count)
    ]
    await server.runtime.engine.execute(commands, owner.actor, world_id)
    return world_id


async def town(server: Server, owner: Person, count: int = 12, **world: Any) -> UUID:
    """The same with places, homes and work, and some ties, good and bad."""
    world_id = await village(server, owner, count, **world)
    kinds = {HOMES: "home", MILL: "work", TAVERN: "tavern", SQUARE: "square"}
    names = {HOMES: "the Row", MILL: "the mill", TAVERN: "The Blue Heron", SQUARE: "the square"}
    places = [PlaceValue(id=i, name=names[i], kind=kind) for i, kind in kinds.items()]
    paths = [PathValue(a_id=SQUARE, b_id=i, minutes=5) for i in (HOMES, MILL, TAVERN)]
    await server.do(DefinePlaces(places=places, paths=paths), owner.actor, world_id)
    placements = [
        Placement(
            character_id=UUID(int=n + 1), place_id=HOMES, home_id=HOMES, work_id=MILL if n % 2 else None
        )
        for n in range(count)
    ]
    await server.do(PlaceCharacters(placements=placements), owner.actor, world_id)
    ties = [
        TieValue(
            source_id=UUID(int=a + 1), target_id=UUID(int=b + 1), familiarity=0.5,
            strength=(-0.6 if (a + b) % 3 == 0 else 0.4), trust=(0.2 if (a + b) % 3 == 0 else 0.7),
        )
        for a in range(count) for b in range(count) if a != b and (a + b) % 2
    ]  # fmt: skip
    await server.do(SetTies(ties=ties), owner.actor, world_id)
    return world_id


async def direct(server: Server, owner: Person, world_id: UUID, beats: float = 1, acts: int = 3) -> None:
    command = ConfigureDirector(enabled=True, beats_per_minute=beats, acts_per_beat=acts)
    await server.runtime.engine.execute(command, owner.storyteller, world_id, key="on")


async def advance(server: Server, owner: Person, world_id: UUID, by_ms: int) -> None:
    await server.do(AdvanceWorld(by_ms=by_ms), owner.actor, world_id)

    async def arrived() -> bool:
        rows = await server.fetch("SELECT advance_id FROM worlds WHERE id = $1", world_id)
        return rows[0]["advance_id"] is None

    await until(arrived, 120)


async def log(server: Server, world_id: UUID, kind: str) -> list[Any]:
    rows = await server.fetch(
        "SELECT seq, id, at, actor, causation_id, data::text AS data, command ->> 'type' AS command "
        "FROM events WHERE world_id = $1 AND type = $2 ORDER BY seq",
        world_id, kind,
    )  # fmt: skip
    return [{**dict(row), **orjson.loads(row["data"])} for row in rows]


async def acts(server: Server, world_id: UUID) -> list[Any]:
    return await log(server, world_id, "dialogue.interacted")


async def beats(server: Server, world_id: UUID) -> list[int]:
    rows = await server.fetch(
        "SELECT due_at FROM timers WHERE world_id = $1 AND kind = 'director.beat' ORDER BY due_at", world_id
    )
    return [row["due_at"] for row in rows]


async def statuses(server: Server, world_id: UUID) -> set[str]:
    rows = await server.fetch("SELECT status FROM characters WHERE world_id = $1", world_id)
    return {row["status"] for row in rows}


async def sound(server: Server, world_id: UUID) -> None:
    """Nothing was buried, and the checks find nothing."""
    found = await server.fetch("SELECT handler, error FROM dead_letters WHERE world_id = $1", world_id)
    assert [tuple(letter) for letter in found] == []
    await sound_but_for_letters(server, world_id)


async def sound_but_for_letters(server: Server, world_id: UUID) -> None:
    assert [f for f in await server.findings() if str(world_id) in f] == []


# -- when ------------------------------------------------------------------------------------------------------


async def test_beats_fall_due_at_their_pace(server: Server) -> None:
    owner = await server.person()
    world_id = await village(server, owner)
    await direct(server, owner, world_id, beats=6, acts=2)
    assert await beats(server, world_id) == [10_000]
    await advance(server, owner, world_id, MINUTE)
    chosen = await log(server, world_id, "director.chose")
    assert {row["at"] for row in chosen} <= {10_000 * n for n in range(1, 7)}
    assert 8 <= len(chosen) <= 12
    assert all(row["actor"].startswith("system:") for row in chosen)
    assert await beats(server, world_id) == [70_000]
    await sound(server, world_id)


async def test_off_means_silence(server: Server) -> None:
    owner = await server.person()
    world_id = await village(server, owner)
    await server.do(ConfigureDirector(enabled=True), owner.actor, world_id)
    await server.do(ConfigureDirector(enabled=True, beats_per_minute=1), owner.actor, world_id)
    assert await beats(server, world_id) == [MINUTE]
    await server.do(ConfigureDirector(enabled=False), owner.actor, world_id)
    assert await beats(server, world_id) == []
    head = (await server.fetch("SELECT seq FROM world_heads WHERE world_id = $1", world_id))[0]["seq"]
    await advance(server, owner, world_id, HOUR)
    rows = await server.fetch("SELECT type FROM events WHERE world_id = $1 AND seq > $2", world_id, head)
    assert [row["type"] for row in rows] == ["worlds.advance_started", "worlds.advanced"]
    assert await server.fetch("SELECT 1 FROM needs WHERE world_id = $1", world_id) == []


async def test_a_beat_of_an_older_configuration_does_nothing(server: Server) -> None:
    owner = await server.person()
    world_id = await village(server, owner)
    await server.do(ConfigureDirector(enabled=True, beats_per_minute=1), owner.actor, world_id)
    engine = server.runtime.engine
    async with engine.database.writing() as connection:  # as if one was scheduled while the other was stored
        await connection.exec_driver_sql(
            "UPDATE directors SET version = version + 1 WHERE world_id = $1", (world_id,)
        )
        await connection.commit()
    await advance(server, owner, world_id, 3 * MINUTE)
    assert await acts(server, world_id) == []
    assert await beats(server, world_id) == []


# -- who -------------------------------------------------------------------------------------------------------


async def test_only_npcs_without_a_user_act(server: Server) -> None:
    owner = await server.person()
    world_id = await village(server, owner, 4)
    player = await server.member(world_id, owner, "player")
    await server.do(UpdateCharacter(character_id=UUID(int=1), user_id=player.id), owner.actor, world_id)
    await server.do(UpdateCharacter(character_id=UUID(int=2), kind="player"), owner.actor, world_id)
    await server.do(SetStatus(character_id=UUID(int=3), status="away"), owner.actor, world_id)
    await server.do(CreateCharacter(id=UUID(int=9), name="C9"), owner.actor, world_id)
    ties = [TieValue(source_id=UUID(int=4), target_id=UUID(int=n), strength=0.4, trust=0.6) for n in (1, 3)]
    await server.do(SetTies(ties=ties), owner.actor, world_id)
    await direct(server, owner, world_id, beats=0.5, acts=5)
    await advance(server, owner, world_id, 4 * HOUR)
    chosen = await log(server, world_id, "director.chose")
    assert {row["actor_id"] for row in chosen} == {str(UUID(int=4)), str(UUID(int=9))}
    told = await acts(server, world_id)
    assert {row["initiator_id"] for row in told} == {str(UUID(int=4)), str(UUID(int=9))}
    assert str(UUID(int=1)) in {row["target_id"] for row in told}
    assert str(UUID(int=3)) not in {row["target_id"] for row in told}
    assert all(row["answer"] is None for row in told if row["target_id"] == str(UUID(int=1)))


async def test_every_act_has_the_choice_as_its_cause(server: Server) -> None:
    owner = await server.person()
    world_id = await town(server, owner)
    await direct(server, owner, world_id, beats=0.5)
    await advance(server, owner, world_id, 8 * HOUR)
    chosen = {row["id"]: row for row in await log(server, world_id, "director.chose")}
    told = await acts(server, world_id)
    assert len(told) > 100
    for row in told:
        choice = chosen[row["causation_id"]]
        picked = choice["options"][choice["chosen"]]
        assert (choice["actor_id"], choice["with_id"], choice["type"]) == (
            row["initiator_id"], row["target_id"], row["type"],
        )  # fmt: skip
        assert picked["type"] == row["type"] and picked["weight"] >= 0  # rounded
        assert abs(picked["weight"] - max(0.0, sum(picked["parts"].values()))) < 0.01
        assert choice["because"].startswith(f"C{UUID(row['initiator_id']).int - 1} ")
    walked = await log(server, world_id, "regions.walk_begun")
    assert walked and all(chosen[row["causation_id"]]["to_id"] == row["to_id"] for row in walked)
    assert sum(1 for c in chosen.values() if c["act"] == "interact") - len(told) < 0.05 * len(told)
    await sound(server, world_id)


async def test_the_lonely_and_the_empty_world_do_no_harm(server: Server) -> None:
    owner = await server.person()
    for count in (0, 1):
        world_id = await village(server, owner, count)
        await server.do(ConfigureDirector(enabled=True), owner.actor, world_id)
        await advance(server, owner, world_id, MINUTE)
        assert await acts(server, world_id) == []
        await sound(server, world_id)


async def test_in_a_crowd_everybody_is_met_now_and_then(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    npcs = (1, 120, 140)
    everybody = [*npcs, *(n for n in range(100, 161) if n not in npcs)]
    makers = [
        CreateCharacter(id=UUID(int=n), name=f"C{n}", kind="npc" if n in npcs else "player")
        for n in everybody
    ]
    await server.runtime.engine.execute(makers, owner.actor, world_id)
    place = DefinePlaces(places=[PlaceValue(id=SQUARE, name="the square", kind="square")], paths=[])
    await server.do(place, owner.actor, world_id)
    placements = [Placement(character_id=UUID(int=n), place_id=SQUARE) for n in everybody]
    await server.do(PlaceCharacters(placements=placements), owner.actor, world_id)
    await direct(server, owner, world_id)
    await advance(server, owner, world_id, HOUR)
    met = {UUID(row["target_id"]).int for row in await acts(server, world_id)}
    assert met & set(range(100, 120)) and met & set(range(141, 161))


# -- when something goes wrong ---------------------------------------------------------------------------------


async def letters(server: Server, world_id: UUID) -> list[Any]:
    rows = await server.fetch(
        "SELECT id, source, handler, error, payload::text AS payload FROM dead_letters "
        "WHERE world_id = $1 AND state = 'open' ORDER BY id",
        world_id,
    )
    return [{**dict(row), **orjson.loads(row["payload"])} for row in rows]


async def broken(*_: Any, **__: Any) -> Any:
    raise RuntimeError("a bug")


async def test_arcs_that_cannot_end_do_not_end_the_beats(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await server.person()
    world_id = await village(server, owner)
    await direct(server, owner, world_id)
    monkeypatch.setattr(reactions, "fade", broken)
    await advance(server, owner, world_id, 5 * MINUTE)
    assert len(await letters(server, world_id)) == 5
    assert await acts(server, world_id)
    assert await beats(server, world_id) == [6 * MINUTE]


async def test_a_beat_that_fails_is_kept_and_the_next_one_comes(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await server.person()
    world_id = await village(server, owner)
    await direct(server, owner, world_id)
    with monkeypatch.context() as patch:
        patch.setattr(scene, "people", broken)
        await advance(server, owner, world_id, 2 * MINUTE)
    found = await letters(server, world_id)
    assert [(letter["source"], letter["handler"]) for letter in found] == [("timer", "director.beat")] * 2
    assert all("a bug" in letter["error"] for letter in found)
    assert [letter["timer"]["due_at"] for letter in found] == [MINUTE, 2 * MINUTE]
    assert await acts(server, world_id) == []
    assert await beats(server, world_id) == [3 * MINUTE]
    await advance(server, owner, world_id, 5 * MINUTE)
    assert await acts(server, world_id)
    assert len(await letters(server, world_id)) == 2


async def test_a_beat_that_failed_can_be_made_up_for(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = await server.person()
    world_id = await village(server, owner)
    await direct(server, owner, world_id)
    with monkeypatch.context() as patch:
        patch.setattr(scene, "people", broken)
        await advance(server, owner, world_id, MINUTE)
        (letter,) = await letters(server, world_id)
        with pytest.raises(Refused) as refused:
            await server.do(ReplayDeadLetter(dead_letter_id=letter["id"]), owner.actor, world_id)
        assert refused.value.code == "replay_failed"
    await server.do(ReplayDeadLetter(dead_letter_id=letter["id"]), owner.actor, world_id)
    assert await log(server, world_id, "director.chose")
    assert await beats(server, world_id) == [2 * MINUTE]
    await sound_but_for_letters(server, world_id)


async def test_a_bad_act_does_not_keep_the_others_from_theirs(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await server.person()
    world_id = await village(server, owner, 8)
    await direct(server, owner, world_id, acts=8)
    bad = UUID(int=2)

    def fails_for_one(stage: Any, command: Any, *rest: Any) -> Any:
        if command.initiator_id == bad:
            raise RuntimeError("a bug")
        return exchange(stage, command, *rest)

    monkeypatch.setattr(dialogue, "exchange", fails_for_one)
    await advance(server, owner, world_id, 10 * MINUTE)
    found = await letters(server, world_id)
    assert found and {act["actor_id"] for letter in found for act in letter["acts"]} == {str(bad)}
    times = {letter["timer"]["due_at"] for letter in found}
    others = [row for row in await acts(server, world_id) if row["at"] in times]
    assert others and str(bad) not in {row["initiator_id"] for row in others}
    assert str(bad) not in {
        row["actor_id"] for row in await log(server, world_id, "director.chose") if row["at"] in times
    }
    assert await beats(server, world_id) == [11 * MINUTE]


async def test_a_reaction_that_fails_does_not_end_the_beats(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await server.person()
    world_id = await village(server, owner, 4)
    await server.do(SetStatus(character_id=UUID(int=1), status="asleep"), owner.actor, world_id)
    await direct(server, owner, world_id)
    monkeypatch.setattr(reactions, "rouse", broken)
    await advance(server, owner, world_id, 3 * HOUR)
    found = await letters(server, world_id)
    assert {act["act"] for letter in found for act in letter["acts"]} == {"wake"}
    assert await acts(server, world_id)
    assert await beats(server, world_id) == [3 * HOUR + MINUTE]


async def test_a_beat_locks_whereabouts_before_characters(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await server.person()
    world_id = await town(server, owner)
    for n in (1, 2, 3):
        await server.do(SetStatus(character_id=UUID(int=n), status="asleep"), owner.actor, world_id)
    await direct(server, owner, world_id, acts=9)
    taken: dict[Transaction, list[tuple[str, set[UUID]]]] = {}
    fetch = Transaction.fetch

    async def watched(tx: Transaction, sql: str, *args: Any) -> list[Any]:
        words = " ".join(sql.split())
        for table in ("whereabouts", "characters"):
            if f"FROM {table} " in words and words.endswith("ORDER BY id FOR NO KEY UPDATE"):
                assert list(args[1]) == sorted(set(args[1]))
                taken.setdefault(tx, []).append((table, set(args[1])))
        return await fetch(tx, sql, *args)

    monkeypatch.setattr(Transaction, "fetch", watched)
    await advance(server, owner, world_id, 2 * HOUR)
    kinds = {row["act"] for row in await log(server, world_id, "director.chose")}
    assert {"wake", "interact", "walk"} <= kinds
    assert {table for locks in taken.values() for table, _ in locks} == {"whereabouts", "characters"}
    for locks in taken.values():
        first = next((n for n, (table, _) in enumerate(locks) if table == "characters"), len(locks))
        before = set().union(*(ids for _, ids in locks[:first]))
        assert all(ids <= before for table, ids in locks[first:] if table == "whereabouts")


# -- day and night ---------------------------------------------------------------------------------------------


async def test_a_day_goes_round(server: Server) -> None:
    owner = await server.person()
    world_id = await town(server, owner)
    await direct(server, owner, world_id, beats=0.2)
    await advance(server, owner, world_id, 4 * HOUR)  # it is ten
    at_work = await server.fetch(
        "SELECT count(*) AS n FROM whereabouts WHERE world_id = $1 AND place_id = work_id AND to_id IS NULL",
        world_id,
    )
    assert at_work[0]["n"] >= 3
    await advance(server, owner, world_id, 17 * HOUR)  # three in the night
    assert await statuses(server, world_id) == {"asleep"}
    homes = await server.fetch("SELECT DISTINCT place_id FROM whereabouts WHERE world_id = $1", world_id)
    assert [row["place_id"] for row in homes] == [HOMES]
    (due,) = await beats(server, world_id)
    assert 23 * HOUR + 30 * MINUTE <= due <= 25 * HOUR + 30 * MINUTE
    told = len(await acts(server, world_id))
    await advance(server, owner, world_id, 8 * HOUR)  # eleven
    assert await statuses(server, world_id) == {"active"}
    assert len(await acts(server, world_id)) > told
    await sound(server, world_id)


async def test_a_world_asleep_waits_for_the_morning(server: Server) -> None:
    owner = await server.person()
    world_id = await village(server, owner)
    await direct(server, owner, world_id, beats=0.1, acts=6)
    await advance(server, owner, world_id, 20 * HOUR + 30 * MINUTE)  # half past two
    assert await statuses(server, world_id) == {"asleep"}
    due = await beats(server, world_id)
    head = (await server.fetch("SELECT seq FROM world_heads WHERE world_id = $1", world_id))[0]["seq"]
    assert due[0] > 23 * HOUR
    await advance(server, owner, world_id, 2 * HOUR)
    rows = await server.fetch("SELECT type FROM events WHERE world_id = $1 AND seq > $2", world_id, head)
    assert [row["type"] for row in rows] == ["worlds.advance_started", "worlds.advanced"]
    assert await beats(server, world_id) == due
    await server.do(SetStatus(character_id=UUID(int=1), status="active"), owner.actor, world_id)
    assert await beats(server, world_id) == [22 * HOUR + 40 * MINUTE]


@pytest.mark.parametrize("command", [SetStatus, UpdateCharacter])
async def test_who_is_put_to_sleep_while_all_are_away_wakes_up(server: Server, command: Any) -> None:
    owner = await server.person()
    world_id = await village(server, owner, 2)
    for n in (1, 2):
        await server.do(SetStatus(character_id=UUID(int=n), status="away"), owner.actor, world_id)
    await direct(server, owner, world_id)
    await advance(server, owner, world_id, 16 * HOUR)  # ten in the evening
    assert await beats(server, world_id) == []
    await server.do(command(character_id=UUID(int=1), status="asleep"), owner.actor, world_id)
    assert await beats(server, world_id) == [16 * HOUR + MINUTE]
    await sound(server, world_id)
    await advance(server, owner, world_id, 12 * HOUR)
    assert await statuses(server, world_id) == {"active", "away"}
    await sound(server, world_id)


async def test_a_world_without_npcs_has_no_beat_until_one_comes(server: Server) -> None:
    owner = await server.person()
    world_id = await village(server, owner, 0)
    await direct(server, owner, world_id)
    await advance(server, owner, world_id, HOUR)
    assert await beats(server, world_id) == []
    await sound(server, world_id)
    makers = [CreateCharacter(id=UUID(int=n + 1), name=f"C{n}") for n in range(8)]
    await asyncio.gather(*(server.do(maker, owner.actor, world_id) for maker in makers))
    assert await beats(server, world_id) == [HOUR + MINUTE]
    await advance(server, owner, world_id, HOUR)
    assert await acts(server, world_id)
    await sound(server, world_id)


async def test_players_alone_are_no_reason_for_beats(server: Server) -> None:
    owner = await server.person()
    world_id = await village(server, owner, 0)
    await direct(server, owner, world_id)
    await advance(server, owner, world_id, HOUR)
    await server.do(CreateCharacter(name="P", kind="player"), owner.actor, world_id)
    assert await beats(server, world_id) == []
    await sound(server, world_id)


# -- the same again --------------------------------------------------------------------------------------------


async def test_the_same_seed_gives_the_same_story(server: Server) -> None:
    owner = await server.person()
    stories = []
    for seed in (3, 3, 4):
        world_id = await town(server, owner, seed=seed)
        await direct(server, owner, world_id, beats=0.2)
        await advance(server, owner, world_id, DAY)
        rows = await server.fetch(
            "SELECT seq, type, at, actor, data ->> 'content', data ->> 'answer', data ->> 'because', data ->> 'title', "
            "data ->> 'type', data ->> 'status', data ->> 'to_id' FROM events "
            "WHERE world_id = $1 AND type NOT LIKE 'worlds.%' ORDER BY seq",
            world_id,
        )  # fmt: skip
        stories.append([tuple(row) for row in rows])
    assert len(stories[0]) > 300
    assert stories[0] == stories[1]
    assert stories[0] != stories[2]


async def test_it_lives_while_the_clock_runs(server: Server) -> None:
    owner = await server.person()
    world_id = await village(server, owner)
    await server.do(ConfigureDirector(enabled=True, beats_per_minute=600), owner.actor, world_id)
    await server.do(SetClock(rate=50, paused=False), owner.actor, world_id)

    async def alive() -> bool:
        return len(await acts(server, world_id)) >= 5

    await until(alive)
    await server.do(ConfigureDirector(enabled=False), owner.actor, world_id)
    await server.do(SetClock(paused=True), owner.actor, world_id)


async def test_needs_follow_what_happens(server: Server) -> None:
    owner = await server.person()
    world_id = await town(server, owner)
    await direct(server, owner, world_id)
    await advance(server, owner, world_id, 3 * HOUR)
    rows = await server.fetch("SELECT id, company, esteem, at FROM needs WHERE world_id = $1", world_id)
    met = {i for row in await acts(server, world_id) for i in (row["initiator_id"], row["target_id"])}
    assert {str(row["id"]) for row in rows} == met
    assert min(row["company"] for row in rows) < 0.35
    gone = rows[0]["id"]
    await server.do(DeleteCharacter(character_id=gone), owner.actor, world_id)
    assert gone not in {
        r["id"] for r in await server.fetch("SELECT id FROM needs WHERE world_id = $1", world_id)
    }
    await sound(server, world_id)


async def test_a_crowd_acts_at_full_speed(server: Server) -> None:
    owner = await server.person()
    world_id = await village(server, owner, 1000)
    await server.do(
        ConfigureDirector(enabled=True, beats_per_minute=600, acts_per_beat=1000), owner.actor, world_id
    )
    await advance(server, owner, world_id, 300)
    told = await acts(server, world_id)
    chosen = [c for c in await log(server, world_id, "director.chose") if c["act"] == "interact"]
    assert len(chosen) > 2000
    assert len(chosen) - len(told) < 0.05 * len(chosen)
    assert len({row["target_id"] for row in told}) > 500
