"""Places, whereabouts and walks against the real database."""

import asyncio
from typing import Any
from uuid import UUID

import orjson
import pytest

from fablewright.core.actors import system_actor
from fablewright.core.clock import MINUTE
from fablewright.core.dice import derived_uuid, random_uuid
from fablewright.core.engine import Scope
from fablewright.core.messages import Command
from fablewright.core.refusal import Refused
from fablewright.core.timers import FireTimers
from fablewright.core.transaction import Request, Transaction
from fablewright.systems.characters import service as characters
from fablewright.systems.characters.commands import CreateCharacter, DeleteCharacter, SetStatus
from fablewright.systems.regions import service
from fablewright.systems.regions.commands import (
    DefinePlaces,
    PathValue,
    PlaceCharacters,
    Placement,
    PlaceValue,
    RemovePlace,
    Walk,
)
from fablewright.systems.regions.rules import PathState, PlaceState, Where
from fablewright.systems.worlds.commands import AdvanceWorld, DeleteWorld
from tests.support import Person, Server, until

MILL, GREEN, INN, ISLE = (UUID(int=n) for n in range(1, 5))
ADA, BEN, CYN, DOT = (UUID(int=n) for n in range(101, 105))
PLACES = [
    PlaceValue(id=MILL, name="Mill", kind="work", tags=["flour", "river"]),
    PlaceValue(id=GREEN, name="Green"),
    PlaceValue(id=INN, name="Inn", kind="tavern", description="Warm."),
    PlaceValue(id=ISLE, name="Isle", kind="wild"),
]
PATHS = [PathValue(a_id=GREEN, b_id=MILL, minutes=10), PathValue(a_id=GREEN, b_id=INN, minutes=2.5)]


class Village:
    """A world with four places and four characters at the mill, whose clock stands still."""

    def __init__(self, server: Server):
        self.server = server

    async def open(self) -> "Village":
        self.owner = await self.server.person()
        self.world_id = await self.server.world(self.owner)
        await self.do(DefinePlaces(places=PLACES, paths=PATHS))
        for who, name in ((ADA, "Ada"), (BEN, "Ben"), (CYN, "Cyn"), (DOT, "Dot")):
            await self.do(CreateCharacter(id=who, name=name))
        await self.do(PlaceCharacters(placements=[
            Placement(character_id=who, place_id=MILL, home_id=INN) for who in (ADA, BEN, CYN, DOT)
        ]))  # fmt: skip
        return self

    async def do(self, command: Command | list[Command], who: Person | None = None) -> Any:
        answer = await self.server.runtime.engine.execute(command, (who or self.owner).actor, self.world_id)
        return answer.result

    async def refused(
        self, code: str, command: Command | list[Command], who: Person | None = None
    ) -> Refused:
        with pytest.raises(Refused) as error:
            await self.do(command, who)
        assert error.value.code == code
        return error.value

    async def advance(self, minutes: float) -> None:
        await self.do(AdvanceWorld(by_ms=round(minutes * MINUTE)))

        async def there() -> bool:
            rows = await self.fetch("SELECT advance_id FROM worlds WHERE id = $1")
            return rows[0]["advance_id"] is None

        await until(there, 60)

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        return await self.server.fetch(sql, self.world_id, *args)

    async def events(self, pattern: str = "regions.%") -> list[Any]:
        rows = await self.fetch(
            "SELECT type, at, actor, about, data::text AS data FROM events WHERE world_id = $1 AND type LIKE $2 "
            "ORDER BY seq",
            pattern,
        )
        return [{**dict(row), "data": orjson.loads(row["data"])} for row in rows]

    async def read(self, call: Any) -> Any:
        """What a function of the services answers inside a transaction."""
        request = Request(
            FireTimers(kind="regions.arrival", due_at=0), system_actor("test"), random_uuid(), random_uuid()
        )

        async def work(tx: Transaction) -> Any:
            return await call(tx)

        return (await self.server.runtime.engine.transact(Scope(self.world_id), request, work))[0]

    async def where(self, *who: UUID) -> list[Where | None]:
        found = await self.read(lambda tx: service.peek(tx, who))
        return [found.get(i) for i in who]

    async def findings(self) -> list[str]:
        return [f for f in await self.server.findings() if str(self.world_id) in f]

    async def timers(self) -> list[int]:
        rows = await self.fetch("SELECT due_at FROM timers WHERE world_id = $1 ORDER BY due_at")
        return [row["due_at"] for row in rows]


@pytest.fixture
async def village(server: Server) -> Village:
    return await Village(server).open()


async def test_places_and_ways_are_kept(village: Village) -> None:
    places = await village.read(service.places)
    assert places[MILL] == PlaceState(MILL, "Mill", "work", "", ("flour", "river"))
    assert places[INN] == PlaceState(INN, "Inn", "tavern", "Warm.", ())
    assert list(places) == [MILL, GREEN, INN, ISLE]
    assert list(await village.read(lambda tx: service.places(tx, [ISLE, UUID(int=9)]))) == [ISLE]
    assert await village.read(service.paths) == [PathState(MILL, GREEN, 10), PathState(GREEN, INN, 2.5)]
    [told] = await village.events("regions.places_defined")
    assert [p["id"] for p in told["data"]["places"]] == [str(p.id) for p in PLACES]
    assert told["data"]["paths"][1] == {"a_id": str(GREEN), "b_id": str(INN), "minutes": 2.5}
    assert await village.findings() == []


async def test_places_are_changed_by_id_or_by_name(village: Village) -> None:
    answer = await village.do(DefinePlaces(
        places=[
            PlaceValue(id=MILL, name="Old Mill", kind="wild"),
            PlaceValue(name="Inn", kind="tavern", description="Cold."),
            PlaceValue(name="Chapel", kind="temple"),
        ],
        paths=[PathValue(a_id=MILL, b_id=GREEN, minutes=7), PathValue(a_id=INN, b_id=GREEN, minutes=None)],
    ))  # fmt: skip
    ids = [place.id for place in answer["places"]]
    assert (ids[:2], answer["paths"]) == ([MILL, INN], 2)
    places = await village.read(service.places)
    assert {p.name: (i, p.kind) for i, p in places.items()} == {
        "Old Mill": (MILL, "wild"), "Inn": (INN, "tavern"), "Green": (GREEN, "square"), "Isle": (ISLE, "wild"),
        "Chapel": (ids[2], "temple"),
    }  # fmt: skip
    assert places[MILL].tags == ()
    assert await village.read(service.paths) == [PathState(MILL, GREEN, 7)]


@pytest.mark.parametrize(
    ("code", "places", "paths"),
    [
        ("place_name_taken", [PlaceValue(name="Barn"), PlaceValue(id=UUID(int=9), name="Mill")], []),
        ("place_name_taken", [PlaceValue(id=MILL, name="Inn")], []),
        ("place_name_taken", [PlaceValue(id=MILL, name="New"), PlaceValue(id=UUID(int=9), name="Mill")], []),
        ("place_name_taken", [PlaceValue(id=MILL, name="New"), PlaceValue(name="Mill")], []),
        ("place_not_found", [PlaceValue(name="Barn")], [PathValue(a_id=MILL, b_id=UUID(int=9), minutes=1)]),
        ("place_not_found", [], [PathValue(a_id=UUID(int=9), b_id=MILL, minutes=None)]),
        ("same_place", [PlaceValue(name="Barn")], [PathValue(a_id=MILL, b_id=MILL, minutes=1)]),
    ],
)
async def test_definitions_that_are_refused_change_nothing(
    village: Village, code: str, places: list[PlaceValue], paths: list[PathValue]
) -> None:
    before = await village.read(service.places), await village.read(service.paths)
    await village.refused(code, DefinePlaces(places=places, paths=paths))
    assert (await village.read(service.places), await village.read(service.paths)) == before


async def test_a_world_holds_so_many_places(village: Village, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MOST_PLACES", 5)
    await village.do(DefinePlaces(places=[PlaceValue(name="Fifth")]))
    await village.do(DefinePlaces(places=[PlaceValue(name="Fifth", kind="hall")]))
    await village.refused("too_many_places", DefinePlaces(places=[PlaceValue(name="Sixth")]))
    assert len(await village.read(service.places)) == 5


async def test_two_at_once_with_one_name_make_one_place(village: Village) -> None:
    results = await asyncio.gather(
        *(village.do(DefinePlaces(places=[PlaceValue(id=UUID(int=n), name="Barn")])) for n in (8, 9)),
        return_exceptions=True,
    )
    assert sorted(r.code if isinstance(r, Refused) else "made" for r in results) == [
        "made", "place_name_taken"
    ]  # fmt: skip


async def test_only_unused_places_are_removed(village: Village) -> None:
    await village.do(Walk(character_id=ADA, place_id=GREEN))
    await village.do(PlaceCharacters(placements=[Placement(character_id=BEN, work_id=ISLE)]))
    for place in (MILL, GREEN, INN, ISLE):  # somebody is there, heads for it, lives there, works there
        refused = await village.refused("place_in_use", RemovePlace(place_id=place))
        assert refused.facts["character_ids"]
    await village.do(PlaceCharacters(placements=[Placement(character_id=BEN, work_id=MILL)]))
    await village.do(RemovePlace(place_id=ISLE))
    await village.refused("place_not_found", RemovePlace(place_id=ISLE))
    assert (await village.events("regions.place_removed"))[0]["data"] == {
        "place_id": str(ISLE), "name": "Isle", "paths": [],
    }  # fmt: skip
    ways = await village.read(service.paths)
    await village.do([  # the ways of a place go with it
        PlaceCharacters(placements=[
            Placement(character_id=i, place_id=MILL, home_id=MILL) for i in (ADA, BEN, CYN, DOT)
        ]),
        RemovePlace(place_id=GREEN),
    ])  # fmt: skip
    assert await village.read(service.paths) == []
    told = (await village.events("regions.place_removed"))[1]["data"]["paths"]
    assert told == [{"a_id": str(w.low_id), "b_id": str(w.high_id), "minutes": w.minutes} for w in ways] != []


async def test_a_place_is_removed_or_walked_to_but_not_both(village: Village) -> None:
    for round_ in range(6):
        barn = UUID(int=50 + round_)
        await village.do(DefinePlaces(
            places=[PlaceValue(id=barn, name=f"Barn {round_}")],
            paths=[PathValue(a_id=barn, b_id=MILL, minutes=1)],
        ))  # fmt: skip
        results = await asyncio.gather(
            village.do(RemovePlace(place_id=barn)), village.do(Walk(character_id=ADA, place_id=barn)),
            return_exceptions=True,
        )  # fmt: skip
        codes = [r.code if isinstance(r, Refused) else None for r in results]
        # Between its removal and the loss of its way, setting out may find either missing.
        assert codes in (["place_in_use", None], [None, "place_not_found"], [None, "no_way"]), codes
        await village.do(PlaceCharacters(placements=[Placement(character_id=ADA, place_id=MILL)]))
    assert await village.findings() == []


async def test_being_placed(village: Village) -> None:
    await village.do(PlaceCharacters(placements=[
        Placement(character_id=BEN, place_id=INN), Placement(character_id=ADA, work_id=MILL),
    ]))  # fmt: skip
    assert await village.where(ADA, BEN) == [
        Where(MILL, home_id=INN, work_id=MILL), Where(INN, home_id=INN),
    ]  # fmt: skip
    told = (await village.events("regions.characters_placed"))[-1]
    assert told["about"] == [BEN, ADA]
    assert told["data"]["placements"][1] == {
        "character_id": str(ADA), "place_id": str(MILL), "home_id": str(INN), "work_id": str(MILL),
        "to_id": None, "stopped": False,
    }  # fmt: skip


async def test_who_or_what_is_unknown_is_not_placed(village: Village) -> None:
    nobody, nowhere = UUID(int=999), UUID(int=9)
    for code, placement in (
        ("character_not_found", Placement(character_id=nobody, place_id=MILL)),
        ("place_not_found", Placement(character_id=ADA, place_id=nowhere)),
        ("place_not_found", Placement(character_id=ADA, home_id=nowhere)),
        ("place_not_found", Placement(character_id=ADA, work_id=nowhere)),
    ):
        await village.refused(
            code, PlaceCharacters(placements=[Placement(character_id=BEN, place_id=GREEN), placement])
        )
    assert await village.where(BEN, nobody) == [Where(MILL, home_id=INN), None]
    await village.do(DeleteCharacter(character_id=DOT))
    await village.refused(
        "character_not_found", PlaceCharacters(placements=[Placement(character_id=DOT, place_id=MILL)])
    )


async def test_a_walk_through_world_time(village: Village) -> None:
    view = await village.do(Walk(character_id=ADA, place_id=INN))
    due = round(12.5 * MINUTE)
    assert (view.place_id, view.to_id, view.departed_at, view.arrives_at) == (MILL, INN, 0, due)
    assert await village.where(ADA) == [Where(MILL, INN, 0, due, INN)]
    [begun] = await village.events("regions.walk_begun")
    assert begun["data"] == {
        "character_id": str(ADA), "from_id": str(MILL), "to_id": str(INN), "arrives_at": due, "minutes": 12.5,
        "via": [str(GREEN)],
    }  # fmt: skip
    assert (begun["about"], begun["actor"]) == ([ADA], f"user:{village.owner.id}")
    present = await village.read(lambda tx: service.present(tx, [MILL, INN, UUID(int=9)], 2))
    assert present == {MILL: [BEN, CYN], INN: [], UUID(int=9): []}
    assert await village.findings() == []
    await village.advance(12)
    assert await village.where(ADA) == [Where(MILL, INN, 0, due, INN)]
    await village.advance(3)
    assert await village.where(ADA) == [Where(INN, home_id=INN)]
    [arrived] = await village.events("regions.arrived")
    assert (arrived["at"], arrived["about"], arrived["actor"]) == (due, [ADA], "system:advance")
    assert arrived["data"] == {"character_id": str(ADA), "place_id": str(INN), "from_id": str(MILL)}
    assert await village.timers() == []
    assert await village.findings() == []
    assert await village.read(lambda tx: service.present(tx, [INN], 9)) == {INN: [ADA]}
    assert (await village.do(Walk(character_id=ADA, place_id=MILL))).arrives_at == 15 * MINUTE + due


@pytest.mark.parametrize(
    ("start", "most", "found"),
    [
        (None, 2, [ADA, BEN]),
        (BEN, 1, [CYN]),
        (BEN, 3, [CYN, DOT, ADA]),
        (BEN, 9, [CYN, DOT, ADA, BEN]),
        (DOT, 2, [ADA, BEN]),
        (UUID(int=1), 2, [ADA, BEN]),
        (UUID(int=2**128 - 1), 2, [ADA, BEN]),
    ],
)
async def test_of_a_crowd_those_after_the_start_are_seen_going_round(
    village: Village, start: UUID | None, most: int, found: list[UUID]
) -> None:
    seen = await village.read(lambda tx: service.present(tx, [MILL, INN], most, start))
    assert seen == {MILL: found, INN: []}


async def test_those_who_arrive_together_arrive_in_one_commit(village: Village) -> None:
    await village.do([Walk(character_id=i, place_id=GREEN) for i in (ADA, BEN, CYN)])
    await village.advance(10)
    rows = await village.fetch(
        "SELECT count(*) AS n, count(DISTINCT xmin::text) AS commits FROM events "
        "WHERE world_id = $1 AND type = 'regions.arrived'"
    )
    assert (rows[0]["n"], rows[0]["commits"]) == (3, 1)
    assert await village.where(ADA, BEN, CYN) == [Where(GREEN, home_id=INN)] * 3


@pytest.mark.parametrize(
    ("code", "who", "goal"),
    [
        ("already_there", ADA, MILL),
        ("no_way", ADA, ISLE),
        ("place_not_found", ADA, UUID(int=9)),
        ("already_walking", BEN, INN),
        ("no_starting_point", UUID(int=999), INN),
        ("asleep", CYN, INN),
        ("not_present", DOT, INN),
    ],
)
async def test_who_cannot_walk(village: Village, code: str, who: UUID, goal: UUID) -> None:
    await village.do([
        SetStatus(character_id=CYN, status="asleep"), SetStatus(character_id=DOT, status="away"),
        Walk(character_id=BEN, place_id=GREEN),
    ])  # fmt: skip
    before = await village.where(ADA, BEN, CYN, DOT), await village.timers()
    await village.refused(code, Walk(character_id=who, place_id=goal))
    # In a list, what came before it did not happen either.
    await village.refused(
        code,
        [PlaceCharacters(placements=[Placement(character_id=ADA, home_id=GREEN)]),
         Walk(character_id=who, place_id=goal)],
    )  # fmt: skip
    assert (await village.where(ADA, BEN, CYN, DOT), await village.timers()) == before
    assert await village.findings() == []


async def test_neighbours_of_a_refused_walk_set_out(village: Village) -> None:
    await village.do(SetStatus(character_id=CYN, status="asleep"))
    walks = [Walk(character_id=i, place_id=GREEN) for i in (ADA, CYN, BEN, ADA)]
    walks.append(Walk(character_id=DOT, place_id=ISLE))
    results = await asyncio.gather(*(village.do(walk) for walk in walks), return_exceptions=True)
    codes = [r.code if isinstance(r, Refused) else None for r in results]
    assert (codes[1], codes[2], codes[4]) == ("asleep", None, "no_way")
    assert sorted(map(str, (codes[0], codes[3]))) == ["None", "already_walking"]
    assert [w and w.to_id for w in await village.where(ADA, BEN, CYN, DOT)] == [GREEN, GREEN, None, None]
    assert len(await village.timers()) == 2
    assert await village.findings() == []


async def test_a_player_walks_only_with_its_own(village: Village) -> None:
    player = await village.server.member(village.world_id, village.owner, "player")
    hero = (await village.do(CreateCharacter(name="Hero", kind="player"), player)).id
    await village.refused("no_starting_point", Walk(character_id=hero, place_id=MILL), player)
    place = PlaceCharacters(placements=[Placement(character_id=hero, place_id=MILL)])
    await village.refused("role_too_low", place, player)
    await village.do(place)
    await village.do(Walk(character_id=hero, place_id=GREEN), player)
    await village.refused("not_your_character", Walk(character_id=ADA, place_id=GREEN), player)
    for command in (DefinePlaces(places=[PlaceValue(name="Mine")]), RemovePlace(place_id=ISLE)):
        await village.refused("role_too_low", command, player)


async def test_being_placed_ends_a_walk(village: Village) -> None:
    await village.do([Walk(character_id=i, place_id=GREEN) for i in (ADA, BEN)])
    await village.do(PlaceCharacters(placements=[
        Placement(character_id=ADA, place_id=INN), Placement(character_id=BEN, work_id=MILL),
    ]))  # fmt: skip
    told = (await village.events("regions.characters_placed"))[-1]["data"]["placements"]
    assert [(p["stopped"], p["to_id"]) for p in told] == [(True, None), (False, str(GREEN))]
    assert await village.timers() == [10 * MINUTE]
    assert await village.findings() == []
    await village.advance(20)
    assert [a["about"] for a in await village.events("regions.arrived")] == [[BEN]]
    assert [w and w.place_id for w in await village.where(ADA, BEN)] == [INN, GREEN]


async def test_who_is_placed_and_sets_out_again_arrives_once(village: Village) -> None:
    """The walk that was ended would have been over at the same time as the next one."""
    for _ in range(2):
        await village.do(Walk(character_id=ADA, place_id=GREEN))
        await village.do(PlaceCharacters(placements=[Placement(character_id=ADA, place_id=MILL)]))
    await village.do(Walk(character_id=ADA, place_id=GREEN))
    await village.advance(60)
    assert len(await village.events("regions.arrived")) == 1


async def test_the_deleted_arrive_nowhere(village: Village) -> None:
    await village.do(Walk(character_id=ADA, place_id=GREEN))
    await village.do(DeleteCharacter(character_id=ADA))
    assert await village.where(ADA) == [None]
    assert await village.timers() == []
    await village.refused("no_starting_point", Walk(character_id=ADA, place_id=GREEN))
    await village.advance(20)
    assert await village.events("regions.arrived") == []
    assert await village.findings() == []


async def test_walking_and_being_deleted_at_once(village: Village) -> None:
    for number in range(8):
        who = UUID(int=200 + number)
        await village.do(CreateCharacter(id=who, name="Ghost"))
        place = PlaceCharacters(placements=[Placement(character_id=who, place_id=MILL)])
        if number % 2:
            await village.do(place)
        await asyncio.gather(
            village.do(DeleteCharacter(character_id=who)), village.do(place),
            village.do(Walk(character_id=who, place_id=GREEN)), return_exceptions=True,
        )  # fmt: skip
    assert await village.findings() == []
    rows = await village.fetch("SELECT id FROM whereabouts WHERE world_id = $1 AND id >= $2", UUID(int=200))
    assert rows == []


async def test_setting_out_twice_at_once_is_one_walk(village: Village) -> None:
    """Lists do not share a commit."""
    results = await asyncio.gather(
        *(village.do([Walk(character_id=ADA, place_id=goal)]) for goal in (GREEN, INN)),
        return_exceptions=True,
    )
    assert sorted(r.code if isinstance(r, Refused) else "walks" for r in results) == [
        "already_walking", "walks"
    ]  # fmt: skip
    assert len(await village.timers()) == 1


async def test_walks_in_a_batch_and_one_by_one_are_the_same(server: Server) -> None:
    """Each walk has the ids of its own command, whoever stands beside it."""
    told = []
    for together in (True, False):
        village = await Village(server).open()
        walks: list[Command] = [Walk(character_id=i, place_id=g) for i, g in ((ADA, GREEN), (BEN, INN))]
        for part in [walks] if together else [[walk] for walk in walks]:
            await village.do(part)
        await village.advance(60)
        events = await village.events("regions.%")
        told.append([(e["type"], e["at"], e["data"]) for e in events])
    assert told[0] == told[1]


async def test_the_doctor_sees_broken_walks(village: Village) -> None:
    await village.do(Walk(character_id=ADA, place_id=GREEN))
    await village.do(Walk(character_id=BEN, place_id=GREEN))

    async def spoil(tx: Transaction) -> None:
        await tx.cancel_timers(service.ARRIVAL, character_id=str(ADA))
        await tx.execute(
            "UPDATE whereabouts SET to_id = NULL, departed_at = NULL, arrives_at = NULL "
            "WHERE world_id = $1 AND id = $2", tx.world_id, BEN,
        )  # fmt: skip
        await tx.execute(
            "INSERT INTO whereabouts (world_id, id, place_id) VALUES ($1, $2, $3)",
            tx.world_id, derived_uuid("nobody"), MILL,
        )  # fmt: skip

    await village.read(spoil)
    found = sorted(finding.split(": ")[1] for finding in await village.findings())
    assert found == [
        "characters.only_the_living_are_somewhere", "regions.every_arrival_has_its_walk",
        "regions.every_walk_has_its_arrival",
    ]  # fmt: skip
    await village.advance(20)  # the timer of a walk that is no more does nothing
    assert await village.events("regions.arrived") == []


async def test_places_go_with_their_world(village: Village) -> None:
    await village.do(Walk(character_id=ADA, place_id=GREEN))
    await village.do(DeleteWorld())
    for table in ("places", "paths", "whereabouts", "timers"):
        assert await village.fetch(f"SELECT 1 FROM {table} WHERE world_id = $1") == []


async def test_what_higher_systems_lock_and_peek(village: Village) -> None:
    async def both(tx: Transaction) -> None:
        found = await service.load(tx, [DOT, ADA, UUID(int=999)])
        assert found == await service.peek(tx, [ADA, DOT]) == {
            who: Where(MILL, home_id=INN) for who in (ADA, DOT)
        }  # fmt: skip
        assert list(found) == [ADA, DOT]
        await service.remove(tx, [ADA, UUID(int=999)])
        assert list(await service.peek(tx, [ADA, DOT])) == [DOT]
        assert list(await characters.peek(tx, [ADA, UUID(int=999)])) == [ADA]

    await village.read(both)


async def test_over_http(village: Village) -> None:
    """The routes, from an empty map to a walk, and what they refuse."""
    world_id = await village.server.world(village.owner)
    observer = await village.server.member(world_id, village.owner, "observer")
    stranger = await village.server.person()
    made = await village.server.do(CreateCharacter(name="Eve"), village.owner.actor, world_id)

    async def call(method: str, path: str, who: Person = village.owner, **options: Any) -> Any:
        url = f"/api/v1/worlds/{world_id}{path}"
        answer = await village.server.client.request(method, url, headers=who.headers, **options)
        body = answer.json()
        return body if answer.status_code == 200 else (answer.status_code, body["code"])

    body = {"places": [{"name": "Green"}, {"name": "Barn", "kind": "work", "tags": ["hay"]}]}
    defined = await call("PUT", "/places", json=body)
    green, barn = (place["id"] for place in defined["result"]["places"])
    path = {"a_id": barn, "b_id": green, "minutes": 6}
    assert (await call("PUT", "/places", json={"paths": [path]}))["result"] == {"places": [], "paths": 1}
    first = await call("GET", "/places?limit=1", observer)
    assert [place["name"] for place in first["items"]] == ["Barn"]
    rest = await call("GET", f"/places?limit=5&cursor={first['next_cursor']}", observer)
    assert ([p["name"] for p in rest["items"]], rest["next_cursor"]) == (["Green"], None)
    assert [p["id"] for p in (await call("GET", "/places?kind=work"))["items"]] == [barn]

    assert await call("GET", f"/characters/{made.id}/whereabouts", observer) == (404, "no_whereabouts")
    placed = {"placements": [{"character_id": str(made.id), "place_id": green, "home_id": barn}]}
    assert (await call("PUT", "/whereabouts", json=placed))["result"] == {"placed": 1}
    detail = await call("GET", f"/places/{green}", observer)
    assert (detail["present"], detail["neighbours"]) == (
        [str(made.id)], [{"id": barn, "name": "Barn", "kind": "work", "minutes": 6.0}],
    )  # fmt: skip
    walking = (await call("POST", f"/characters/{made.id}/walk", json={"place_id": barn}))["result"]
    assert walking == {
        "character_id": str(made.id), "place_id": green, "to_id": barn, "departed_at": 0,
        "arrives_at": 6 * MINUTE, "home_id": barn, "work_id": None,
    }  # fmt: skip
    assert await call("GET", f"/characters/{made.id}/whereabouts", observer) == walking
    assert (await call("GET", "/whereabouts", observer))["items"] == [walking]
    assert (await call("GET", f"/places/{green}"))["present"] == []

    for refused, method, where, options in (
        ((409, "already_walking"), "POST", f"/characters/{made.id}/walk", {"json": {"place_id": green}}),
        ((409, "place_in_use"), "DELETE", f"/places/{barn}", {}),
        ((404, "place_not_found"), "DELETE", f"/places/{made.id}", {}),
        ((404, "place_not_found"), "GET", f"/places/{made.id}", {}),
        ((422, "cursor_invalid"), "GET", "/places?cursor=WzFd", {}),
        ((422, "cursor_invalid"), "GET", "/whereabouts?cursor=WzFd", {}),
        ((422, "page_too_large"), "GET", "/places?limit=100000", {}),
        ((422, "validation_failed"), "PUT", "/places", {"json": {}}),
        ((422, "validation_failed"), "PUT", "/whereabouts", {"json": {"placements": []}}),
        ((422, "validation_failed"), "POST", f"/characters/{made.id}/walk", {"json": {"to": green}}),
    ):
        assert await call(method, where, **options) == refused
    assert await call("PUT", "/places", observer, json=body) == (403, "role_too_low")
    for where in ("/places", f"/places/{green}", "/whereabouts", f"/characters/{made.id}/whereabouts"):
        assert await call("GET", where, stranger) == (404, "world_not_found")
