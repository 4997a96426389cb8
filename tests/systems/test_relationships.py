"""Ties against the real database."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import UUID

import orjson
import pytest
from pydantic import ValidationError

from fablewright.core.actors import system_actor
from fablewright.core.clock import DAY
from fablewright.core.engine import Scope
from fablewright.core.refusal import Refused
from fablewright.core.transaction import Request, Transaction
from fablewright.systems.characters.commands import CreateCharacter, DeleteCharacter
from fablewright.systems.relationships import service, views
from fablewright.systems.relationships.commands import (
    MOST_TIES,
    HabitValue,
    ReasonValue,
    SetTie,
    SetTies,
    TieValue,
    in_commands,
)
from fablewright.systems.relationships.rules import MOST_REASONS, SAME_CHARACTER, Habit, Reason, TieState
from fablewright.systems.worlds.commands import AdvanceWorld
from tests.support import Person, Server, until

T = TypeVar("T")


async def people(server: Server, owner: Person, world_id: UUID, count: int) -> list[UUID]:
    commands = [CreateCharacter(name=f"C{n:04}") for n in range(count)]
    return [c.id for c in (await server.runtime.engine.execute(commands, owner.actor, world_id)).result]


async def strengths(server: Server, world_id: UUID) -> dict[tuple[UUID, UUID], float]:
    rows = await server.fetch("SELECT source_id, target_id, strength FROM ties WHERE world_id = $1", world_id)
    return {(row["source_id"], row["target_id"]): row["strength"] for row in rows}


async def test_a_tie_is_directed_and_set_again(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    a, b = await people(server, owner, world_id, 2)
    await server.do(SetTie(source_id=a, target_id=b, strength=0.5), owner.actor, world_id)
    await server.do(SetTie(source_id=a, target_id=b, strength=-1, trust=0), owner.actor, world_id)
    assert await strengths(server, world_id) == {(a, b): -1.0}


async def test_refusals_leave_neighbours_alone(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    a, b = await people(server, owner, world_id, 2)
    commands = [
        SetTie(source_id=a, target_id=a, strength=0.1),
        SetTie(source_id=a, target_id=b, strength=0.2),
        SetTie(source_id=a, target_id=uuid.uuid4(), strength=0.3),
        SetTie(source_id=b, target_id=a, strength=0.4),
    ]
    results: list[Any] = await asyncio.gather(
        *(server.do(c, owner.actor, world_id) for c in commands), return_exceptions=True
    )
    codes = [r.code if isinstance(r, Refused) else r.strength for r in results]
    assert codes == ["same_character", 0.2, "character_not_found", 0.4]
    assert await strengths(server, world_id) == {(a, b): 0.2, (b, a): 0.4}


async def test_many_ties_are_set_as_a_whole(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    a, b = await people(server, owner, world_id, 2)
    good = TieValue(source_id=a, target_id=b, strength=0.5)
    bad = TieValue(source_id=a, target_id=uuid.uuid4(), strength=0.5)
    with pytest.raises(Refused, match="character_not_found"):
        await server.do(SetTies(ties=[good, bad]), owner.actor, world_id)
    assert await strengths(server, world_id) == {}
    assert await server.do(SetTies(ties=[good, good]), owner.actor, world_id) == {"ties": 2}
    assert await strengths(server, world_id) == {(a, b): 0.5}


async def test_only_game_masters_set_ties(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    player = await server.member(world_id, owner, "player")
    a, b = await people(server, owner, world_id, 2)
    with pytest.raises(Refused, match="role_too_low"):
        await server.do(SetTie(source_id=a, target_id=b, strength=0.5), player.actor, world_id)


async def test_a_deleted_character_is_forgotten(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    a, b, c = await people(server, owner, world_id, 3)
    ties = [TieValue(source_id=s, target_id=t, strength=0.5) for s, t in ((a, b), (b, a), (b, c))]
    await server.do(SetTies(ties=ties), owner.actor, world_id)
    await server.do(DeleteCharacter(character_id=a), owner.actor, world_id)
    assert list(await strengths(server, world_id)) == [(b, c)]


# -- depth ---------------------------------------------------------------------------------------------------


async def pair(server: Server, **fields: Any) -> tuple[Person, UUID, UUID, UUID]:
    owner = await server.person()
    world_id = await server.world(owner, **fields)
    a, b = await people(server, owner, world_id, 2)
    return owner, world_id, a, b


async def later(server: Server, owner: Person, world_id: UUID, to: int) -> None:
    """Let the world's clock stand at a later time."""
    await server.do(AdvanceWorld(to_ms=to), owner.actor, world_id)

    async def there() -> bool:
        rows = await server.fetch("SELECT advance_id IS NULL FROM worlds WHERE id = $1", world_id)
        return bool(rows[0][0])

    await until(there)


async def inside(server: Server, world_id: UUID, work: Callable[[Transaction], Awaitable[T]]) -> T:
    """Do some work in a transaction of the server's own."""
    request = Request(
        SetTie(source_id=world_id, target_id=world_id, strength=0),
        system_actor("test"),
        uuid.uuid4(),
        uuid.uuid4(),
    )
    done, _ = await server.runtime.engine.transact(Scope(world_id), request, work)
    return done


async def known(server: Server, world_id: UUID) -> dict[tuple[UUID, UUID], TieState]:
    ids = [row["id"] for row in await server.fetch("SELECT id FROM characters WHERE world_id = $1", world_id)]
    return await inside(server, world_id, lambda tx: service.felt_by(tx, ids, ids))


async def test_all_of_a_tie_is_kept(server: Server) -> None:
    _, world_id, a, b = await pair(server)
    reasons = (
        Reason(3, "said “no”, \\ and 'never'", -0.3, -0.1, UUID(int=5)),
        Reason(4, "helped", 0.12, 0.0, None),
    )
    state = TieState(0.1, 0.2, 4, 17, 0.3, -0.4, 0.6, 0, ("kin", "mentor"), reasons, {"chat": Habit(7, 1.5)})
    back = TieState(-0.5, 0.9, 4, 17, felt_at=0)

    async def store(tx: Transaction) -> None:
        await service.write(tx, {(a, b): state, (b, a): back})

    await inside(server, world_id, store)
    assert await known(server, world_id) == {(a, b): state, (b, a): back}
    assert await inside(server, world_id, lambda tx: service.load(tx, [(a, b), (a, a)])) == {(a, b): state}
    assert await inside(server, world_id, lambda tx: service.peek(tx, [(b, a)])) == {(b, a): back}
    assert await inside(server, world_id, lambda tx: service.felt_by(tx, [a], [b])) == {(a, b): state}


async def test_what_a_setter_leaves_out_stays(server: Server) -> None:
    owner, world_id, a, b = await pair(server)
    first = await server.do(
        SetTie(
            source_id=a, target_id=b, strength=0.5, labels=["kin", "kin"], familiarity=0.9, resting_strength=0.2,
            interaction_count=3, reasons=[ReasonValue(at=-5, why="saved my life", strength=0.5)],
            habits={"gift": HabitValue(at=-5, heat=2)},
        ), owner.actor, world_id,
    )  # fmt: skip
    assert (first.labels, first.resting_strength, first.interaction_count) == (["kin", "friend"], 0.2, 3)
    second = await server.do(
        SetTie(source_id=a, target_id=b, strength=-0.7, trust=0.1), owner.actor, world_id
    )
    assert (second.labels, second.familiarity) == (["kin", "rival", "enemy"], 0.9)
    tie = (await known(server, world_id))[a, b]
    assert tie == TieState(
        -0.7, 0.1, 3, 0, 0.9, -0.7, 0.1, 0, ("kin", "rival", "enemy"), (Reason(-5, "saved my life", 0.5),),
        {"gift": Habit(-5, 2.0)},
    )  # fmt: skip
    third = await server.do(
        SetTie(source_id=a, target_id=b, strength=0, labels=[], reasons=[], habits={}, interaction_count=0),
        owner.actor, world_id,
    )  # fmt: skip
    assert (third.labels, third.interaction_count, third.last_interaction_at) == ([], 0, None)
    cleared = (await known(server, world_id))[a, b]
    assert (cleared.reasons, cleared.habits) == ((), {})


async def test_a_new_tie_is_a_little_familiar_and_stays_as_set(server: Server) -> None:
    owner, world_id, a, b = await pair(server)
    await server.do(SetTie(source_id=a, target_id=b, strength=0.5, trust=0.7), owner.actor, world_id)
    tie = (await known(server, world_id))[a, b]
    assert (tie.familiarity, tie.resting_strength, tie.resting_trust, tie.labels) == (
        0.3,
        0.5,
        0.7,
        ("friend",),
    )
    assert tie.now(100 * DAY).strength == 0.5 and tie.now(100 * DAY).trust == 0.7


async def test_meetings_count_for_both(server: Server) -> None:
    owner, world_id, a, b = await pair(server)
    met = TieValue(source_id=a, target_id=b, strength=0.5, interaction_count=7, last_interaction_at=-3)
    await server.do(SetTies(ties=[met]), owner.actor, world_id)
    ties = await known(server, world_id)
    assert {p: (t.strength, t.interaction_count, t.last_interaction_at) for p, t in ties.items()} == {
        (a, b): (0.5, 7, -3), (b, a): (0.0, 7, -3),
    }  # fmt: skip
    more = TieValue(source_id=b, target_id=a, strength=-0.5, interaction_count=9)
    never = TieValue(source_id=a, target_id=b, strength=0.5, interaction_count=0)
    await server.do(SetTies(ties=[never, more]), owner.actor, world_id)
    ties = await known(server, world_id)
    assert {p: (t.strength, t.interaction_count, t.last_interaction_at) for p, t in ties.items()} == {
        (a, b): (0.5, 9, 0), (b, a): (-0.5, 9, 0),
    }  # fmt: skip
    assert not [line for line in await server.findings() if str(world_id) in line]


@pytest.mark.parametrize(
    "fields",
    [
        {"familiarity": 1.1},
        {"resting_strength": -1.1},
        {"resting_trust": -0.1},
        {"labels": ["Kin"]},
        {"labels": ["a,b"]},
        {"labels": ["x" * 31]},
        {"labels": [f"l{n}" for n in range(11)]},
        {"reasons": [{"at": 0, "why": ""}]},
        {"reasons": [{"at": 0, "why": "x\x00"}]},
        {"reasons": [{"at": 0, "why": "x"}] * 9},
        {"interaction_count": -1},
        {"last_interaction_at": 5},
        {"interaction_count": 0, "last_interaction_at": 5},
        {"habits": {"chat": {"at": 0, "heat": -1}}},
        {"habits": {"no good": {"at": 0, "heat": 1}}},
    ],
)
def test_wrong_values_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SetTie.model_validate({"source_id": uuid.uuid4(), "target_id": uuid.uuid4(), "strength": 0, **fields})


async def test_the_log_tells_what_was_set(server: Server) -> None:
    owner, world_id, a, b = await pair(server)
    await server.do(SetTie(source_id=a, target_id=b, strength=0.1), owner.actor, world_id)
    await server.do(SetTie(source_id=a, target_id=b, strength=0.6, labels=["kin"]), owner.actor, world_id)
    rows = await server.fetch(
        "SELECT data::text FROM events WHERE world_id = $1 AND type = 'relationships.tie_set' ORDER BY seq",
        world_id,
    )
    ends = {"source_id": str(a), "target_id": str(b), "trust": 0.5}
    assert [orjson.loads(row[0]) for row in rows] == [
        {**ends, "strength": 0.1}, {**ends, "strength": 0.6, "labels": ["kin", "friend"]},
    ]  # fmt: skip


async def test_as_many_ties_as_a_command_holds_fit_its_event(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    ids = await people(server, owner, world_id, 20)
    pairs = [(s, t) for s in ids for t in ids if s != t]
    ties = [TieValue(source_id=s, target_id=t, strength=1 / 3, trust=2 / 3) for s, t in pairs]
    await server.do(SetTies(ties=ties[:MOST_TIES]), owner.actor, world_id)
    long = [ReasonValue(at=0, why="x" * 200)] * MOST_REASONS
    full = [
        TieValue(
            source_id=s, target_id=t, strength=1 / 3, trust=2 / 3, familiarity=1 / 7, resting_strength=1 / 9,
            resting_trust=1 / 11, labels=[f"label_number_{n}" for n in range(10)], reasons=long, interaction_count=5,
        ) for s, t in pairs
    ]  # fmt: skip
    commands = in_commands(full)
    assert [t for c in commands for t in c.ties] == full and len(commands) > 5
    await server.runtime.engine.execute(commands, owner.actor, world_id)
    assert len(await known(server, world_id)) == len(pairs)


async def test_the_same_ties_set_by_two_at_once(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    ids = await people(server, owner, world_id, 6)
    pairs = [(s, t) for s in ids for t in ids if s != t]

    async def one(value: float, order: list[tuple[UUID, UUID]]) -> None:
        ties = [TieValue(source_id=s, target_id=t, strength=value, interaction_count=1) for s, t in order]
        await server.runtime.engine.execute([SetTies(ties=ties)], owner.actor, world_id)

    await asyncio.gather(*(one(n / 10, pairs if n % 2 else pairs[::-1]) for n in range(8)))
    assert len({t.strength for t in (await known(server, world_id)).values()}) == 1
    assert not [line for line in await server.findings() if str(world_id) in line]


async def test_reading_and_rules_drift_alike(server: Server) -> None:
    owner, world_id, a, b = await pair(server)
    there = SetTie(
        source_id=a, target_id=b, strength=0.8, trust=0.9, resting_strength=-0.2, resting_trust=0.3
    )
    await server.do(there, owner.actor, world_id)
    tiny = SetTie(
        source_id=b, target_id=a, strength=1e-300, trust=1e-310, resting_strength=0, familiarity=1e-305
    )
    await server.do(tiny, owner.actor, world_id)
    stored = (await known(server, world_id))[a, b]
    for to in (DAY, 30 * DAY, 3_600 * DAY):
        await later(server, owner, world_id, to)
        tie = stored.now(to)
        async with server.runtime.database.reading() as connection:
            listed = await views.list_page(connection, world_id, limit=10, source=a)
            detail = await views.detail(connection, world_id, (a, b))
            await views.detail(connection, world_id, (b, a))
            found = {}
            for value in ("strength", "trust"):
                shown = getattr(listed[0], value)
                for low, high in ((shown, None), (None, shown), (shown + 1e-9, None), (None, shown - 1e-9)):
                    wanted = views.TieFilter(**{f"min_{value}": low, f"max_{value}": high})
                    rows = await views.list_page(connection, world_id, limit=10, source=a, wanted=wanted)
                    found[value, low, high] = len(rows)
        for view in (listed[0], detail):
            assert (view.strength, view.trust, view.familiarity) == pytest.approx(
                (tie.strength, tie.trust, tie.familiarity), abs=1e-12
            )
        assert list(found.values()) == [1, 1, 0, 0] * 2
        (met,) = (await inside(server, world_id, lambda tx: service.acquaintances(tx, [(a, b)], 5)))[a]
        assert (met.id, met.strength, met.trust, met.familiarity) == (
            b,
            tie.strength,
            tie.trust,
            tie.familiarity,
        )


async def test_a_tie_and_its_reasons_are_read(server: Server) -> None:
    owner, world_id, a, b = await pair(server)
    why = ReasonValue(at=-5, why="insulted me before the council", strength=-0.3, trust=-0.1)
    await server.do(
        SetTie(source_id=a, target_id=b, strength=-0.4, labels=["kin"], reasons=[why]), owner.actor, world_id
    )
    async with server.runtime.database.reading() as connection:
        found = await views.detail(connection, world_id, (a, b))
        assert [r.text for r in found.reasons] == ["−0.30 insulted me before the council"]
        assert (found.source_name, found.target_name, found.labels) == ("C0000", "C0001", ["kin", "rival"])
        assert found.compatibility == await views.compatibility(connection, world_id, (b, a))
        assert found.compatibility.score == pytest.approx(sum(p.value for p in found.compatibility.parts))
        for one, other, code in (
            (b, a, "tie_not_found"), (a, a, "same_character"), (a, uuid.uuid4(), "character_not_found"),
        ):  # fmt: skip
            with pytest.raises(Refused, match=code):
                await views.detail(connection, world_id, (one, other))
        with pytest.raises(Refused, match="character_not_found"):
            await views.compatibility(connection, world_id, (uuid.uuid4(), a))


async def test_what_is_rolled_back_was_never_felt(server: Server) -> None:
    _, world_id, a, b = await pair(server)

    async def broken(tx: Transaction) -> None:
        await service.write(tx, {(a, b): TieState(0.5)})
        raise Refused(SAME_CHARACTER)

    with pytest.raises(Refused):
        await inside(server, world_id, broken)
    assert await known(server, world_id) == {}
