"""Relations between factions against the real database."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import UUID

import orjson
import pytest

from fablewright.core.actors import system_actor
from fablewright.core.clock import DAY, MINUTE
from fablewright.core.engine import Scope
from fablewright.core.refusal import Refused
from fablewright.core.transaction import Request, Transaction
from fablewright.systems.characters.commands import CreateCharacter
from fablewright.systems.diplomacy import matrix as matrices
from fablewright.systems.diplomacy import service, views
from fablewright.systems.diplomacy.commands import (
    AddOpinion,
    DropOpinion,
    OpinionFields,
    RelationValue,
    SetRelation,
    SetRelations,
)
from fablewright.systems.diplomacy.relations import Book
from fablewright.systems.diplomacy.rules import gratitude
from fablewright.systems.factions.commands import FoundFaction, SpendTreasury
from fablewright.systems.worlds.commands import AdvanceWorld
from tests.support import Person, Server, until

T = TypeVar("T")

FOUND = """
INSERT INTO factions (world_id, id, name, kind, description, color, ideology, traits, currency, roles, ranks,
                      self_run, reputation, reputation_at, strength, founded_at)
SELECT $1, v.id, 'F' || v.n, 'realm', '', '#808080', '{}', '{}', 'points', '{}', '{member}', false, 0, 0, 0, 0
FROM unnest($2::uuid[]) WITH ORDINALITY AS v (id, n)
"""


async def inside(server: Server, world_id: UUID, work: Callable[[Transaction], Awaitable[T]]) -> T:
    """Run something in a transaction of the world, as a command of the server itself does."""
    command = SetRelation(a_id=uuid.uuid4(), b_id=uuid.uuid4())
    request = Request(command, system_actor("test"), uuid.uuid4(), uuid.uuid4())
    done, _ = await server.runtime.engine.transact(Scope(world_id), request, work)
    return done


async def realms(server: Server, world_id: UUID, count: int) -> list[UUID]:
    """So many factions, in the order of their ids."""
    ids = sorted(uuid.uuid4() for _ in range(count))
    await inside(server, world_id, lambda tx: tx.execute(FOUND, world_id, ids))
    return ids


async def pair(server: Server, **fields: Any) -> tuple[Person, UUID, UUID, UUID]:
    """Somebody, their world, and two factions in it, the one with the lower id first."""
    owner = await server.person()
    world_id = await server.world(owner, **fields)
    a, b = await realms(server, world_id, 2)
    return owner, world_id, a, b


async def stored(server: Server, world_id: UUID, a: UUID, b: UUID) -> Book:
    """What stands between two factions."""

    async def look(tx: Transaction) -> Book:
        return await service.peek(tx, world_id, tx.now, [(a, b)])

    return await inside(server, world_id, look)


async def told(server: Server, world_id: UUID) -> list[tuple[str, dict[str, Any]]]:
    """The events about relations so far."""
    rows = await server.fetch(
        "SELECT type, data::text AS data FROM events WHERE world_id = $1 AND type LIKE 'diplomacy.%' ORDER BY seq",
        world_id,
    )
    return [(row["type"].removeprefix("diplomacy."), orjson.loads(row["data"])) for row in rows]


async def later(server: Server, owner: Person, world_id: UUID, by: int) -> None:
    """Let world time pass."""
    await server.do(AdvanceWorld(by_ms=by), owner.actor, world_id)

    async def there() -> bool:
        rows = await server.fetch("SELECT advance_id IS NULL AS done FROM worlds WHERE id = $1", world_id)
        return bool(rows[0]["done"])

    await until(there)


# -- the book ------------------------------------------------------------------------------------------------


async def test_all_of_a_relation_is_kept_and_told(server: Server) -> None:
    _, world_id, a, b = await pair(server)

    async def work(tx: Transaction) -> None:
        book = await service.relations_book(tx, [(b, a), (a, b)])
        book.opine(a, b, "gift", 20, "a gift of grain", 30)
        book.opine(a, b, "oath", -5, "a broken oath", None, UUID(int=7), cap=40)
        book.trust(b, a, 0.2, "kept its word")
        book.tense(b, a, 35, "a border clash")
        book.move(a, b, "war", "the ford")
        await service.write(tx, book)

    await inside(server, world_id, work)
    book = await stored(server, world_id, a, b)
    assert (book.status(b, a), book.tension(b, a)) == ("war", 35)
    assert (book.opinion(a, b), book.opinion(b, a)) == (15, 0)
    assert [book.trusted(a, b), book.trusted(b, a)] == pytest.approx([0.5, 0.6])
    events = await told(server, world_id)
    assert [type_ for type_, _ in events] == [
        "relationship_changed",
        "relationship_changed",
        "tension_changed",
        "status_changed",
        "war_declared",
    ]
    assert [c["key"] for c in events[0][1]["changes"]] == ["gift", "oath"]
    assert (events[2][1]["before"], events[2][1]["tension"]) == (0, 35)
    assert (events[3][1]["before"], events[3][1]["status"], events[3][1]["reason"]) == (
        "neutral",
        "war",
        "the ford",
    )
    parts = {part.key: part for part in book.parts(a, b)}
    (first,) = await server.fetch(
        "SELECT id FROM events WHERE world_id = $1 AND type = 'diplomacy.relationship_changed' ORDER BY seq LIMIT 1",
        world_id,
    )
    assert parts["gift"].event_id == first["id"], (
        "a reason without an event points to the one that tells of it"
    )
    assert parts["oath"].event_id == UUID(int=7)


async def test_a_book_that_has_not_changed_writes_nothing(server: Server) -> None:
    _, world_id, a, b = await pair(server)

    async def work(tx: Transaction) -> int:
        book = await service.relations_book(tx, [(a, b)])
        return len(await service.write(tx, book))

    assert await inside(server, world_id, work) == 0
    assert await told(server, world_id) == []


async def test_factions_that_are_not_there_are_refused(server: Server) -> None:
    owner, world_id, a, b = await pair(server)
    elsewhere = await pair(server)
    for other in (uuid.uuid4(), elsewhere[2]):
        with pytest.raises(Refused, match="faction_not_found"):
            await server.do(SetRelation(a_id=a, b_id=other, tension=1), owner.actor, world_id)
    with pytest.raises(Refused, match="same_faction"):
        await server.do(SetRelation(a_id=a, b_id=a, tension=1), owner.actor, world_id)
    with pytest.raises(Refused, match="same_faction"):
        await server.do(
            AddOpinion(holder_id=b, about_id=b, key="x", amount=1, reason="x"), owner.actor, world_id
        )


async def test_many_at_once_lose_nothing(server: Server) -> None:
    owner, world_id, a, b = await pair(server)
    ways = [(a, b), (b, a)]
    await asyncio.gather(
        *(
            server.do(
                AddOpinion(
                    holder_id=ways[n % 2][0], about_id=ways[n % 2][1], key="gift", amount=3, reason="a gift",
                    half_life_days=None,
                ),
                owner.actor, world_id,
            )
            for n in range(12)
        )
    )  # fmt: skip
    book = await stored(server, world_id, a, b)
    assert (book.opinion(a, b), book.opinion(b, a)) == (18, 18)


async def test_what_is_rolled_back_leaves_nothing(server: Server) -> None:
    _, world_id, a, b = await pair(server)

    async def work(tx: Transaction) -> None:
        book = await service.relations_book(tx, [(a, b)])
        book.tense(a, b, 50, "a quarrel")
        await service.write(tx, book)
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        await inside(server, world_id, work)
    assert await server.fetch("SELECT 1 FROM relations WHERE world_id = $1", world_id) == []


async def test_values_decay_with_world_time(server: Server) -> None:
    owner, world_id, a, b = await pair(server)
    value = RelationValue(
        a_id=b,
        b_id=a,
        tension=80,
        trust=1.0,
        opinions=[OpinionFields(key="gift", amount=40, reason="a gift")],
    )
    await server.do(SetRelations(relations=[value]), owner.actor, world_id)
    await later(server, owner, world_id, 60 * DAY)
    book = await stored(server, world_id, a, b)
    assert book.tension(a, b) == pytest.approx(40)
    assert book.opinion(b, a) == pytest.approx(40 * 2 ** (-60 / 365))
    assert book.trusted(b, a) == pytest.approx(0.5 + 0.5 * 2 ** (-60 / 730))
    row = (await matrix(server, world_id))["relations"][0]
    assert row["tension"] == round(book.tension(a, b), 2)
    assert row["opinion_back"] == round(book.opinion(b, a), 2)
    assert row["trust_back"] == round(book.trusted(b, a), 3)


# -- commands ------------------------------------------------------------------------------------------------


async def test_a_game_master_sets_anything_but_a_truce_in_the_past(server: Server) -> None:
    owner, world_id, a, b = await pair(server)
    view = await server.do(SetRelation(a_id=b, b_id=a, status="allied", trust=0.9), owner.actor, world_id)
    assert (view.status, view.feelings[0].trust, view.feelings[1].trust) == ("allied", 0.9, 0.5)
    assert [move.status for move in view.moves] == ["hostile", "neutral", "cordial", "friendly"]
    view = await server.do(SetRelation(a_id=a, b_id=b, status="war", tension=100), owner.actor, world_id)
    assert (view.status, view.tension) == ("war", 100)
    for wrong in ({"truce_until": view.status_since}, {"truce_until": view.status_since + DAY}):
        with pytest.raises(Refused, match="truce_until_wrong"):
            await server.do(SetRelation(a_id=a, b_id=b, **wrong), owner.actor, world_id)
    view = await server.do(SetRelation(a_id=a, b_id=b, status="truce"), owner.actor, world_id)
    assert view.truce_until == view.status_since + 180 * DAY


async def test_many_relations_are_set_as_a_whole(server: Server) -> None:
    owner, world_id, a, b = await pair(server)
    good, bad = RelationValue(a_id=a, b_id=b, tension=5), RelationValue(a_id=a, b_id=uuid.uuid4(), tension=5)
    with pytest.raises(Refused, match="faction_not_found"):
        await server.do(SetRelations(relations=[good, bad]), owner.actor, world_id)
    assert await told(server, world_id) == []
    assert await server.do(SetRelations(relations=[good]), owner.actor, world_id) == {"relations": 1}


async def test_a_reason_is_added_and_dropped_and_its_row_stays(server: Server) -> None:
    owner, world_id, a, b = await pair(server)
    add = AddOpinion(holder_id=a, about_id=b, key="gift", amount=30, reason="a gift")
    view = await server.do(add, owner.actor, world_id)
    assert [p.text for p in view.feelings[0].parts] == ["+30 a gift"]
    drop = DropOpinion(holder_id=a, about_id=b, key="gift")
    view = await server.do(drop, owner.actor, world_id)
    assert view.feelings[0].opinion == 0
    with pytest.raises(Refused, match="opinion_not_found"):
        await server.do(drop, owner.actor, world_id)
    await server.do(add, owner.actor, world_id)
    rows = await server.fetch(
        "SELECT ended_at IS NULL AS open FROM opinions WHERE world_id = $1 ORDER BY 1", world_id
    )
    assert [row["open"] for row in rows] == [False, True]


async def test_feelings_that_change_much_change_the_status(server: Server) -> None:
    owner, world_id, a, b = await pair(server)
    for holder, about in ((a, b), (b, a)):
        await server.do(
            AddOpinion(holder_id=holder, about_id=about, key="blood", amount=-60, reason="spilt blood"),
            owner.actor, world_id,
        )  # fmt: skip
    assert (await stored(server, world_id, a, b)).status(a, b) == "hostile"
    assert (await told(server, world_id))[-1][1]["reason"] == "a quarrel has broken out"


async def test_only_game_masters_set_relations(server: Server) -> None:
    owner, world_id, a, b = await pair(server)
    player = await server.member(world_id, owner, "player")
    for command in (
        SetRelation(a_id=a, b_id=b, tension=1),
        SetRelations(relations=[RelationValue(a_id=a, b_id=b)]),
        AddOpinion(holder_id=a, about_id=b, key="x", amount=1, reason="x"),
        DropOpinion(holder_id=a, about_id=b, key="x"),
    ):
        with pytest.raises(Refused, match="role_too_low"):
            await server.do(command, player.actor, world_id)


# -- truces --------------------------------------------------------------------------------------------------


async def test_a_truce_ends_by_itself(server: Server) -> None:
    owner, world_id, a, b = await pair(server)
    await server.do(SetRelation(a_id=a, b_id=b, status="war", tension=100), owner.actor, world_id)

    async def peace(tx: Transaction) -> None:
        book = await service.relations_book(tx, [(a, b)])
        book.move(a, b, "truce", "the peace of the ford", truce_days=10)
        await service.write(tx, book)

    await inside(server, world_id, peace)
    await later(server, owner, world_id, 9 * DAY)
    assert (await stored(server, world_id, a, b)).status(a, b) == "truce"
    await later(server, owner, world_id, 2 * DAY)
    book = await stored(server, world_id, a, b)
    assert (book.status(a, b), book.relation(a, b).truce_until) == ("hostile", None)
    assert (await told(server, world_id))[-1][0] == "status_changed"
    truces = "SELECT 1 FROM timers WHERE world_id = $1 AND kind = 'diplomacy.truce_ends'"
    assert await server.fetch(truces, world_id) == []


async def test_a_truce_that_is_left_takes_its_timer_along(server: Server) -> None:
    owner, world_id, a, b = await pair(server)
    await server.do(SetRelation(a_id=a, b_id=b, status="truce"), owner.actor, world_id)
    assert len(await server.fetch("SELECT 1 FROM timers WHERE world_id = $1", world_id)) == 1
    await server.do(SetRelation(a_id=a, b_id=b, status="cordial"), owner.actor, world_id)
    assert await server.fetch("SELECT 1 FROM timers WHERE world_id = $1", world_id) == []
    assert (await stored(server, world_id, a, b)).relation(a, b).truce_until is not None


# -- reading -------------------------------------------------------------------------------------------------


async def matrix(
    server: Server, world_id: UUID, sees: views.Sees = views.EVERYTHING, faction: UUID | None = None
) -> Any:
    """The matrix as a reader gets it."""
    async with server.runtime.database.reading() as connection:
        now = await views.now_of(connection, world_id)
        return orjson.loads(
            await matrices.matrix(server.runtime.database, connection, world_id, now, sees, faction)
        )


async def test_the_matrix_holds_all_that_is_not_neutral(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    a, b, c, d = await realms(server, world_id, 4)
    values = [
        RelationValue(a_id=b, b_id=a, status="friendly", trust=0.9),
        RelationValue(
            a_id=b, b_id=c, tension=30,
            opinions=[OpinionFields(key=k, amount=-70, reason=k) for k in ("theft", "arson")],
        ),
    ]  # fmt: skip
    await server.do(SetRelations(relations=values), owner.actor, world_id)
    found = await matrix(server, world_id)
    assert [f["id"] for f in found["factions"]] == [str(i) for i in (a, b, c, d)]
    rows = {(r["low_id"], r["high_id"]): r for r in found["relations"]}
    assert set(rows) == {(str(a), str(b)), (str(b), str(c))}
    assert rows[str(a), str(b)]["trust_back"] == 0.9
    assert (rows[str(b), str(c)]["opinion"], rows[str(b), str(c)]["tension"]) == (-100, 30)
    only = await matrix(server, world_id, faction=a)
    assert len(only["relations"]) == 1


async def test_what_is_kept_of_the_matrix_is_what_a_fresh_reading_finds(server: Server) -> None:
    """After each change, in either direction and as time goes by; each number as the pair itself shows it."""
    owner = await server.person()
    world_id = await server.world(owner)
    a, b, c = await realms(server, world_id, 3)
    opinion = {"key": "theft", "amount": -30, "reason": "theft", "half_life_days": 5}
    steps = [
        SetRelation(a_id=b, b_id=a, status="hostile", tension=40, trust=0.2),
        AddOpinion(holder_id=a, about_id=b, **opinion),
        AddOpinion(
            holder_id=a, about_id=b, **{**opinion, "key": "feud", "half_life_days": None, "secret": True}
        ),
        SetRelation(a_id=c, b_id=a, status="truce", trust_back=0.9),
        AddOpinion(holder_id=c, about_id=a, **{**opinion, "amount": 100}),
        SetRelation(a_id=c, b_id=a, truce_until=200 * DAY),
        DropOpinion(holder_id=a, about_id=b, key="theft"),
    ]
    for step in steps:
        await server.do(step, owner.actor, world_id)
        await later(server, owner, world_id, 2 * DAY)
        kept = await matrix(server, world_id)
        book = await stored(server, world_id, a, b)
        other = await stored(server, world_id, a, c)
        for row in kept["relations"]:
            low, high = UUID(row["low_id"]), UUID(row["high_id"])
            of = book if (low, high) == (a, b) else other
            shown = [row[k] for k in ("tension", "opinion", "opinion_back", "trust", "trust_back")]
            assert shown == pytest.approx([
                of.tension(low, high), of.opinion(low, high), of.opinion(high, low), of.trusted(low, high),
                of.trusted(high, low),
            ], abs=0.006)  # fmt: skip
            assert (row["status"], row["truce_until"]) == (
                of.status(low, high), of.relation(low, high).truce_until
            )  # fmt: skip
    assert len(kept["relations"]) == 2


async def test_an_answer_is_given_again_for_a_minute_unless_something_changes(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    a, b = await realms(server, world_id, 2)
    await server.do(SetRelation(a_id=a, b_id=b, tension=40), owner.actor, world_id)
    secret = {"key": "spy", "amount": -30, "reason": "a spy", "secret": True}
    await server.do(AddOpinion(holder_id=a, about_id=b, **secret), owner.actor, world_id)

    async def told(now: int, sees: views.Sees) -> tuple[int, float, float]:
        async with server.runtime.database.reading() as connection:
            body = orjson.loads(
                await matrices.matrix(server.runtime.database, connection, world_id, now, sees)
            )
        (row,) = body["relations"]
        return body["at"], row["tension"], row["opinion"]

    nobody, everything = views.Sees([]), views.Sees(None)
    assert await told(0, everything) == await told(MINUTE, everything) == (0, 40, -30)
    assert await told(MINUTE, nobody) == (MINUTE, 40, 0)
    assert (await told(MINUTE + 1, everything))[0] == MINUTE + 1
    assert (await told(MINUTE, everything))[0] == MINUTE, "never of a time that has not come"
    await server.do(SetRelation(a_id=a, b_id=b, tension=50), owner.actor, world_id)
    assert (await told(MINUTE, everything))[1] == 50


@pytest.mark.parametrize("bound", ["MOST_WORLDS", "MOST_KEPT", "MOST_BEHIND"])
async def test_the_matrix_is_right_however_little_is_kept(
    server: Server, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(matrices, bound, 0 if bound != "MOST_WORLDS" else 1)
    owner = await server.person()
    worlds = [await server.world(owner) for _ in range(2)]
    pairs = {world_id: await realms(server, world_id, 2) for world_id in worlds}
    for tension in (10, 20):
        for world_id, (a, b) in pairs.items():
            await server.do(SetRelation(a_id=a, b_id=b, tension=tension), owner.actor, world_id)
            assert [r["tension"] for r in (await matrix(server, world_id))["relations"]] == [tension]


async def test_dissolved_factions_leave_the_matrix(server: Server) -> None:
    owner, world_id, a, b = await pair(server)
    await server.do(SetRelation(a_id=a, b_id=b, tension=5), owner.actor, world_id)
    dissolve = "UPDATE factions SET dissolved_at = 0 WHERE world_id = $1 AND id = $2"
    await inside(server, world_id, lambda tx: tx.execute(dissolve, world_id, b))
    found = await matrix(server, world_id)
    assert ([f["id"] for f in found["factions"]], found["relations"]) == ([str(a)], [])


async def test_what_is_secret_is_seen_by_the_two_only(server: Server) -> None:
    owner, world_id, a, b = await pair(server)
    for key, secret in (("open", False), ("hidden", True)):
        await server.do(
            AddOpinion(holder_id=a, about_id=b, key=key, amount=-20, reason=key, secret=secret),
            owner.actor, world_id,
        )  # fmt: skip
    book = await stored(server, world_id, a, b)
    for sees, keys in (
        (views.EVERYTHING, {"open", "hidden"}), (views.Sees([b]), {"open", "hidden"}), (views.Sees([]), {"open"})
    ):  # fmt: skip
        view = views.relation_view(book, a, b, sees=sees)
        assert {part.key for part in view.feelings[0].parts} == keys
        assert view.feelings[0].opinion == -20 * len(keys)
        assert (await matrix(server, world_id, sees))["relations"][0]["opinion"] == -20 * len(keys)
    rows = await server.fetch(
        "SELECT audience FROM events WHERE world_id = $1 AND type = 'diplomacy.relationship_changed' ORDER BY seq",
        world_id,
    )
    assert [None if row["audience"] is None else set(row["audience"]) for row in rows] == [None, {a, b}]


async def test_all_relations_of_one(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    a, b, c = await realms(server, world_id, 3)
    values = [RelationValue(a_id=x, b_id=y, tension=5) for x, y in ((a, b), (b, c), (a, c))]
    await server.do(SetRelations(relations=values), owner.actor, world_id)

    async def look(tx: Transaction) -> Book:
        return await service.relations_of(tx, world_id, tx.now, b)

    assert (await inside(server, world_id, look)).pairs == [(a, b), (b, c)]


async def test_the_checks_find_what_is_broken(server: Server) -> None:
    owner, world_id, a, b = await pair(server)
    await server.do(SetRelation(a_id=a, b_id=b, status="truce"), owner.actor, world_id)
    await server.do(AddOpinion(holder_id=a, about_id=b, key="x", amount=1, reason="x"), owner.actor, world_id)
    assert not [found for found in await server.findings() if str(world_id) in found]

    async def spoil(tx: Transaction) -> None:
        await tx.execute("DELETE FROM timers WHERE world_id = $1", world_id)
        await tx.execute("UPDATE opinions SET event_id = id WHERE world_id = $1", world_id)

    await inside(server, world_id, spoil)
    found = {f.split(": ")[1] for f in await server.findings() if str(world_id) in f}
    assert found == {"diplomacy.truce_has_timer", "diplomacy.opinion_tells_its_event"}
    await inside(server, world_id, lambda tx: tx.execute("DELETE FROM worlds WHERE id = $1", world_id))


# -- gifts ---------------------------------------------------------------------------------------------------


async def test_what_a_member_gives_for_its_faction_is_remembered(server: Server) -> None:
    """Not what the server or a game master moves, nor what people get; and only the two are told."""
    owner = await server.person()
    world_id = await server.world(owner)
    ruler, ash, elm = (UUID(int=n) for n in (11, 12, 13))
    for command in (
        CreateCharacter(id=ruler, name="Ada"),
        FoundFaction(id=ash, name="Ash", leader_id=ruler, treasury=2_000),
        FoundFaction(id=elm, name="Elm"),
        SpendTreasury(faction_id=ash, to_id=elm, amount=300),
        SpendTreasury(faction_id=ash, to_id=ruler, amount=300, character_id=ruler),
        SpendTreasury(faction_id=ash, amount=300, character_id=ruler),
    ):
        await server.do(command, owner.actor, world_id)
    assert await told(server, world_id) == []
    for _ in range(2):
        gift = SpendTreasury(faction_id=ash, to_id=elm, amount=150, character_id=ruler)
        await server.do(gift, owner.actor, world_id)
    book = await stored(server, world_id, ash, elm)
    assert book.opinion(elm, ash) == pytest.approx(gratitude(0, 300)) and book.opinion(ash, elm) == 0
    ((part,), events) = (book.parts(elm, ash), await told(server, world_id))
    assert (part.key, part.reason, part.secret) == ("gift", "sent us gifts", True)
    assert [(kind, e["holder_id"], e["secret"]) for kind, e in events] == [
        ("relationship_changed", str(elm), True)
    ] * 2
