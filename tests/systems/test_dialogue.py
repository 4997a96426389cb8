"""Interactions against the real database."""

import asyncio
import uuid
from typing import Any
from uuid import UUID

import pytest

from fablewright.core.clock import HOUR
from fablewright.core.refusal import Refused
from fablewright.systems.characters.commands import CreateCharacter, DeleteCharacter, UpdateCharacter
from fablewright.systems.dialogue.commands import Interact
from fablewright.systems.dialogue.events import Interaction
from fablewright.systems.worlds.commands import AdvanceWorld
from tests.support import Person, Server, until

STATE = """
SELECT md5(string_agg(row::text, '|' ORDER BY row::text)) FROM (
    SELECT ROW(c.id, c.energy, c.energy_at) AS row FROM characters c WHERE c.world_id = $1
    UNION ALL
    SELECT ROW(source_id, target_id, strength, trust, interaction_count, last_interaction_at) FROM ties
    WHERE world_id = $1
    UNION ALL
    SELECT ROW(seq, type, at, data) FROM events WHERE world_id = $1 AND type = 'dialogue.interacted'
) rows
"""


async def people(server: Server, owner: Person, world_id: UUID, count: int, **fields: Any) -> list[UUID]:
    commands = [CreateCharacter(id=UUID(int=n + 1), name=f"C{n}", **fields) for n in range(count)]
    return [c.id for c in (await server.runtime.engine.execute(commands, owner.actor, world_id)).result]


def chat(initiator: UUID, target: UUID, kind: Any = "chat") -> Interact:
    return Interact(initiator_id=initiator, target_id=target, type=kind, content="Hello there.")


async def test_an_interaction_changes_both_and_is_told(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    a, b = await people(server, owner, world_id, 2)
    result: Interaction = await server.do(chat(a, b), owner.actor, world_id)
    assert [(t.source_id, t.target_id, t.interaction_count) for t in result.ties] == [(a, b, 1), (b, a, 1)]
    assert [(e.character_id, e.energy_before) for e in result.states] == [(a, 1.0), (b, 1.0)]
    assert result.answer
    ties = await server.fetch("SELECT * FROM ties WHERE world_id = $1 ORDER BY source_id", world_id)
    assert [(t["strength"], t["trust"], t["interaction_count"], t["last_interaction_at"]) for t in ties] == [
        (t.strength_after, t.trust_after, 1, 0) for t in result.ties
    ]
    rows = await server.fetch("SELECT energy FROM characters WHERE world_id = $1 ORDER BY id", world_id)
    assert [row["energy"] for row in rows] == [e.energy_after for e in result.states]
    event = (
        await server.fetch(
            "SELECT about, audience, data ->> 'content' AS content, command ->> 'type' AS command "
            "FROM events WHERE world_id = $1 AND type = 'dialogue.interacted'",
            world_id,
        )
    )[0]
    assert (event["about"], event["audience"], event["content"]) == ([a, b], None, "Hello there.")
    assert event["command"] == "dialogue.interact"


async def test_each_refusal_refuses_its_own_request_only(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    player = await server.member(world_id, owner, "player")
    a, b, asleep, tired, gone = await people(server, owner, world_id, 5)
    await server.do(UpdateCharacter(character_id=asleep, status="asleep"), owner.actor, world_id)
    await server.do(UpdateCharacter(character_id=tired, energy=0.001), owner.actor, world_id)
    await server.do(DeleteCharacter(character_id=gone), owner.actor, world_id)
    asked = [
        (owner, chat(a, b)),
        (owner, chat(a, a)),
        (owner, chat(a, gone)),
        (owner, chat(uuid.uuid4(), a)),
        (owner, chat(a, asleep)),
        (owner, chat(asleep, a)),
        (owner, chat(tired, a)),
        (player, chat(a, b)),
        (owner, chat(b, tired)),
    ]
    results: list[Any] = await asyncio.gather(
        *(server.do(command, person.actor, world_id) for person, command in asked), return_exceptions=True
    )
    assert [r.code if isinstance(r, Refused) else "done" for r in results] == [
        "done", "same_character", "character_not_found", "character_not_found", "asleep", "asleep",
        "too_tired", "not_your_character", "done",
    ]  # fmt: skip
    assert len(await server.fetch("SELECT 1 FROM ties WHERE world_id = $1", world_id)) == 4
    assert results[-1].states[1].energy_after == 0.0


async def test_a_player_acts_as_its_own_character(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    player = await server.member(world_id, owner, "player")
    (npc,) = await people(server, owner, world_id, 1)
    hero = await server.do(CreateCharacter(name="Hero", kind="player"), player.actor, world_id)
    assert (await server.do(chat(hero.id, npc), player.actor, world_id)).answer
    assert (await server.do(chat(npc, hero.id), owner.actor, world_id)).answer is None


async def test_many_at_once_add_up(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    a, b, c = await people(server, owner, world_id, 3)
    pairs = [(a, b), (b, a), (b, c), (c, a)] * 15
    await asyncio.gather(*(server.do(chat(s, t), owner.actor, world_id) for s, t in pairs))
    rows = await server.fetch(
        "SELECT source_id, target_id, interaction_count FROM ties WHERE world_id = $1", world_id
    )
    assert {(r["source_id"], r["target_id"]): r["interaction_count"] for r in rows} == {
        (a, b): 30, (b, a): 30, (b, c): 15, (c, b): 15, (c, a): 15, (a, c): 15,
    }  # fmt: skip
    told = await server.fetch(
        "SELECT data -> 'ties' -> 0 ->> 'strength_before' AS before, "
        "data -> 'ties' -> 0 ->> 'strength_after' AS after "
        "FROM events WHERE world_id = $1 AND type = 'dialogue.interacted' "
        "AND data ->> 'initiator_id' = $2 AND data ->> 'target_id' = $3 ORDER BY seq",
        world_id, str(b), str(c),
    )  # fmt: skip
    assert [float(row["before"]) for row in told[1:]] == [float(row["after"]) for row in told[:-1]]


async def test_no_turn_of_a_conversation_is_lost(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    a, b = await people(server, owner, world_id, 2)
    await asyncio.gather(  # lists do not share a commit
        *(server.runtime.engine.execute([chat(a, b)], owner.actor, world_id) for _ in range(16))
    )
    turns = await server.fetch("SELECT turns FROM conversations WHERE world_id = $1", world_id)
    heard = await server.fetch("SELECT cardinality(heard) AS n FROM listeners WHERE world_id = $1", world_id)
    assert [row["turns"] for row in turns] == [16]
    assert [row["n"] for row in heard] == [16, 16]


async def test_transactions_that_cross_do_not_hurt_each_other(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    ids = await people(server, owner, world_id, 6)
    lists = [[chat(ids[(n + k) % 6], ids[(n + 2 * k + 1) % 6]) for k in (1, 2, 3)] for n in range(24)]
    results: list[Any] = await asyncio.gather(  # lists do not share a commit
        *(server.runtime.engine.execute(commands, owner.actor, world_id) for commands in lists),
        server.do(DeleteCharacter(character_id=ids[5]), owner.actor, world_id),
        return_exceptions=True,
    )
    assert {getattr(r, "code", repr(r)) for r in results if isinstance(r, BaseException)} <= {
        "character_not_found"
    }
    rows = await server.fetch(
        "SELECT (SELECT count(*) FROM events "
        "        WHERE world_id = $1 AND type = 'dialogue.interacted' AND NOT about @> $2) AS told, "
        "(SELECT sum(interaction_count) FROM ties WHERE world_id = $1) / 2 AS counted",
        world_id, [ids[5]],
    )  # fmt: skip
    assert rows[0]["told"] == rows[0]["counted"]
    assert [f for f in await server.findings() if str(world_id) in f] == []


async def test_the_same_seed_and_commands_give_the_same_world(server: Server) -> None:
    owner = await server.person()
    worlds = [
        await server.world(owner, seed=11),
        await server.world(owner, seed=11),
        await server.world(owner, seed=12),
    ]
    for world_id in worlds:
        ids = await people(server, owner, world_id, 4)
        for n in range(12):
            kind = ("chat", "conflict")[n % 2]
            command = chat(
                ids[n % 4], ids[(n * 3 + 1) % 4 if (n * 3 + 1) % 4 != n % 4 else (n + 1) % 4], kind
            )
            await server.runtime.engine.execute(command, owner.actor, world_id, key=f"key-{n}")
    states = [(await server.fetch(STATE, world_id))[0][0] for world_id in worlds]
    assert states[0] == states[1] != states[2]


async def test_an_outcome_does_not_depend_on_its_neighbours(server: Server) -> None:
    owner = await server.person()
    alone, together = await server.world(owner, seed=5), await server.world(owner, seed=5)
    for world_id in (alone, together):
        await people(server, owner, world_id, 6)
    pairs = [(UUID(int=1), UUID(int=2)), (UUID(int=3), UUID(int=4)), (UUID(int=5), UUID(int=6))]

    async def act(world_id: UUID, n: int) -> Any:
        answer = await server.runtime.engine.execute(chat(*pairs[n]), owner.actor, world_id, key=f"k{n}")
        return answer.result

    one_by_one = [await act(alone, n) for n in range(3)]
    assert one_by_one == await asyncio.gather(*(act(together, n) for n in range(3)))


async def test_neighbours_know_what_was_said_before_them_in_the_batch(server: Server) -> None:
    """The same commands one by one and as one list: the same people among themselves, again and again."""
    owner = await server.person()
    alone, together = await server.world(owner, seed=6), await server.world(owner, seed=6)
    a, b, c = (UUID(int=n) for n in (1, 2, 3))
    acts = [
        (i, t, kind) for kind in ("chat", "conflict", "praise") for i, t in ((a, b), (b, a), (b, c), (c, a))
    ]
    for world_id in (alone, together):
        await people(server, owner, world_id, 3)

    async def act(world_id: UUID, n: int) -> Any:
        command = Interact(initiator_id=acts[n][0], target_id=acts[n][1], type=acts[n][2])
        try:
            answer = await server.runtime.engine.execute(command, owner.actor, world_id, key=f"k{n}")
        except Refused as refused:
            return refused.code
        return answer.result

    one_by_one = [await act(alone, n) for n in range(len(acts))]
    assert one_by_one == await asyncio.gather(*(act(together, n) for n in range(len(acts))))
    assert any(result.mentions for result in one_by_one if not isinstance(result, str))


async def test_energy_comes_back_in_world_time(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    a, b = await people(server, owner, world_id, 2, energy=0.0)
    with pytest.raises(Refused, match="too_tired"):
        await server.do(chat(a, b), owner.actor, world_id)
    await server.do(AdvanceWorld(by_ms=HOUR // 4), owner.actor, world_id)

    async def arrived() -> bool:
        rows = await server.fetch("SELECT advance_id FROM worlds WHERE id = $1", world_id)
        return rows[0]["advance_id"] is None

    await until(arrived)
    result = await server.do(chat(a, b), owner.actor, world_id)
    assert [e.energy_before for e in result.states] == [0.25, 0.25]


async def test_a_replay_does_nothing_again(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    a, b = await people(server, owner, world_id, 2)
    first = await server.runtime.engine.execute(chat(a, b), owner.actor, world_id, key="once")
    again = await server.runtime.engine.execute(chat(a, b), owner.actor, world_id, key="once")
    assert (again.replayed, again.seq) == (True, first.seq)
    rows = await server.fetch("SELECT interaction_count FROM ties WHERE world_id = $1", world_id)
    assert [row[0] for row in rows] == [1, 1]
