"""Journeys against the real database: they take world time, cross borders, and are stopped there by bans."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from fablewright.core.clock import DAY, MINUTE
from fablewright.core.messages import Command
from fablewright.core.refusal import Refused
from fablewright.core.transaction import Transaction
from fablewright.systems.characters.commands import CreateCharacter, DeleteCharacter, SetStatus
from fablewright.systems.regions import service as regions
from fablewright.systems.regions.commands import (
    BanMovement,
    BorderValue,
    DefineRegions,
    LiftBan,
    Membership,
    PlaceCharacters,
    Placement,
    RegionValue,
    RemoveRegion,
    Walk,
)
from fablewright.systems.regions.rules import Ban, Where
from fablewright.systems.travel.commands import CancelTravel, Travel
from fablewright.systems.worlds.commands import DeleteWorld
from tests.support import Server
from tests.systems.test_regions import ADA, BEN, CYN, DOT, GREEN, INN, ISLE, MILL, Village
from tests.systems.test_regions_lands import FENS, MOOR, REGIONS, VALE

COAST = UUID(int=304)
BORDERS = [
    BorderValue(a_id=VALE, b_id=FENS, minutes=60), BorderValue(a_id=FENS, b_id=MOOR, minutes=100),
    BorderValue(a_id=VALE, b_id=COAST, minutes=200), BorderValue(a_id=COAST, b_id=MOOR, minutes=200),
]  # fmt: skip
LIES = [
    Membership(place_id=place, region_id=region)
    for place, region in ((MILL, VALE), (INN, FENS), (ISLE, MOOR))
]


@pytest.fixture
async def land(server: Server) -> Village:
    """Mill in Vale, Inn in Fens, Isle in Moor; the Coast has no place, the Green lies in no region."""
    village = await Village(server).open()
    coast = RegionValue(id=COAST, name="Coast")
    await village.do(DefineRegions(regions=[*REGIONS, coast], borders=BORDERS, places=LIES))
    return village


async def told(land: Village) -> list[tuple[str, Any]]:
    return [(e["type"].split(".")[1], e["data"]) for e in await land.events("travel.%")]


async def journeys(land: Village) -> list[tuple[UUID, int, str | None]]:
    rows = await land.fetch(
        "SELECT character_id, crossed, how FROM journeys WHERE world_id = $1 ORDER BY set_out_at, character_id"
    )
    return [(row["character_id"], row["crossed"], row["how"]) for row in rows]


async def test_a_journey_through_world_time(land: Village) -> None:
    view = await land.do(Travel(character_id=ADA, to_region_id=MOOR))
    assert (view.region_ids, view.here_id, view.next_border_at, view.arrives_at) == (
        [VALE, FENS, MOOR], VALE, 30 * MINUTE, 160 * MINUTE,
    )  # fmt: skip
    assert await land.where(ADA) == [Where(MILL, ISLE, 0, 160 * MINUTE, INN)]
    [(kind, data)] = await told(land)
    assert (kind, data["region_ids"], data["minutes"]) == (
        "set_out", [str(VALE), str(FENS), str(MOOR)], 160.0
    )  # fmt: skip
    [begun] = await land.events("regions.walk_begun")
    assert (begun["data"]["to_id"], begun["about"]) == (str(ISLE), [ADA])
    assert await land.timers() == [30 * MINUTE, 160 * MINUTE]
    assert await land.findings() == []
    await land.advance(31)
    assert await journeys(land) == [(ADA, 1, None)]
    assert await land.timers() == [110 * MINUTE, 160 * MINUTE]
    assert await land.findings() == []
    await land.advance(200)
    assert await land.where(ADA) == [Where(ISLE, home_id=INN)]
    assert await journeys(land) == [(ADA, 2, "arrived")]
    assert [kind for kind, _ in await told(land)] == [
        "set_out",
        "crossed_border",
        "crossed_border",
        "arrived",
    ]
    last = (await land.events("travel.%"))[-1]
    assert (last["at"], last["about"]) == (160 * MINUTE, [ADA, MOOR])
    assert (last["data"]["from_region_id"], last["data"]["place_id"]) == (str(VALE), str(ISLE))
    assert await land.timers() == []
    assert await land.findings() == []
    await land.do(Travel(character_id=ADA, to_region_id=VALE))


async def test_arrivals_say_what_caused_them(land: Village) -> None:
    await land.do(Travel(character_id=ADA, to_region_id=FENS))
    await land.advance(100)
    rows = await land.fetch(
        "SELECT e.type, c.type AS cause FROM events e JOIN events c ON c.world_id = e.world_id "
        "AND c.id = e.causation_id WHERE e.world_id = $1 AND e.type = 'travel.arrived'"
    )
    assert [tuple(row) for row in rows] == [("travel.arrived", "regions.arrived")]


async def test_a_ban_stops_journeys_at_the_border(land: Village) -> None:
    await land.do([Travel(character_id=who, to_region_id=MOOR) for who in (ADA, BEN)])
    await land.advance(40)

    async def impose(tx: Transaction) -> None:
        await regions.restrict(tx, [Ban(MOOR, ADA, "sanction:3", "Toll unpaid")])

    await land.read(impose)
    await land.advance(300)
    assert await land.where(ADA, BEN) == [Where(INN, home_id=INN), Where(ISLE, home_id=INN)]
    assert await journeys(land) == [(ADA, 1, "barred"), (BEN, 2, "arrived")]
    [stopped] = [data for kind, data in await told(land) if kind == "stopped"]
    assert {name: stopped[name] for name in (
        "character_id", "region_id", "place_id", "to_region_id", "why", "barred_region_id", "source", "reason",
    )} == {
        "character_id": str(ADA), "region_id": str(FENS), "place_id": str(INN), "to_region_id": str(MOOR),
        "why": "barred", "barred_region_id": str(MOOR), "source": "sanction:3", "reason": "Toll unpaid",
    }  # fmt: skip
    assert await land.timers() == []
    assert await land.findings() == []


async def test_who_is_barred_does_not_set_out(land: Village) -> None:
    ban = await land.do(BanMovement(region_id=MOOR, subject_id=ADA))
    refused = await land.refused("barred", Travel(character_id=ADA, to_region_id=MOOR))
    assert refused.facts["region_id"] == str(MOOR)
    assert await journeys(land) == [] and await land.timers() == []
    await land.do(LiftBan(ban_id=ban["id"]))
    await land.do(BanMovement(region_id=FENS, subject_id=ADA))
    view = await land.do(Travel(character_id=ADA, to_region_id=MOOR))  # round about
    assert (view.region_ids, view.arrives_at) == ([VALE, COAST, MOOR], 400 * MINUTE)


async def test_a_region_that_is_no_more_cannot_be_entered(land: Village) -> None:
    await land.do(BanMovement(region_id=FENS))
    await land.do(Travel(character_id=ADA, to_region_id=MOOR))
    await land.advance(150)  # on the Coast, where nobody can stay
    await land.do(RemoveRegion(region_id=MOOR))
    await land.advance(300)
    assert await land.where(ADA) == [Where(MILL, home_id=INN)]
    assert await journeys(land) == [(ADA, 1, "closed")]
    assert [data["why"] for kind, data in await told(land) if kind == "stopped"] == ["closed"]
    assert await land.findings() == []


async def test_a_journey_is_called_off(land: Village) -> None:
    await land.refused("not_travelling", CancelTravel(character_id=ADA))
    await land.do([Travel(character_id=who, to_region_id=MOOR) for who in (ADA, BEN)])
    await land.do(CancelTravel(character_id=ADA))
    await land.refused("not_travelling", CancelTravel(character_id=ADA))
    await land.advance(40)
    answer = await land.do(CancelTravel(character_id=BEN))
    assert answer == {"character_id": BEN, "place_id": INN, "region_id": FENS}
    assert await land.where(ADA, BEN) == [Where(MILL, home_id=INN), Where(INN, home_id=INN)]
    assert await land.timers() == []
    assert await land.findings() == []
    await land.advance(300)
    assert [kind for kind, _ in await told(land)].count("arrived") == 0


async def test_game_masters_and_death_end_journeys(land: Village) -> None:
    await land.do([Travel(character_id=who, to_region_id=MOOR) for who in (ADA, BEN, CYN)])
    await land.do(PlaceCharacters(placements=[
        Placement(character_id=ADA, place_id=INN), Placement(character_id=CYN, home_id=ISLE),
    ]))  # fmt: skip
    await land.do(DeleteCharacter(character_id=BEN))
    assert sorted(await journeys(land)) == [(ADA, 0, "placed"), (BEN, 0, "gone"), (CYN, 0, None)]
    [stopped] = [data for kind, data in await told(land) if kind == "stopped"]
    assert (stopped["why"], stopped["place_id"], stopped["region_id"]) == ("placed", str(INN), str(FENS))
    assert await land.findings() == []
    await land.advance(300)
    assert await land.where(CYN) == [Where(ISLE, home_id=ISLE)]
    assert await land.timers() == []


async def test_who_cannot_travel(land: Village) -> None:
    await land.do([
        Walk(character_id=BEN, place_id=GREEN), SetStatus(character_id=CYN, status="asleep"),
        PlaceCharacters(placements=[Placement(character_id=DOT, place_id=GREEN)]),
    ])  # fmt: skip
    cut_off = UUID(int=305)
    await land.do(DefineRegions(regions=[RegionValue(id=cut_off, name="Far")]))
    before = await land.where(ADA, BEN, CYN, DOT), await land.timers()
    for code, who, goal in (
        ("region_not_found", ADA, UUID(int=9)), ("no_route", ADA, cut_off), ("already_in_region", ADA, VALE),
        ("region_has_no_place", ADA, COAST), ("already_walking", BEN, FENS), ("asleep", CYN, FENS),
        ("in_no_region", DOT, FENS), ("no_starting_point", UUID(int=999), FENS),
    ):  # fmt: skip
        await land.refused(code, Travel(character_id=who, to_region_id=goal))
    assert (await land.where(ADA, BEN, CYN, DOT), await land.timers()) == before
    assert await journeys(land) == []


async def test_neighbours_of_a_refused_journey_set_out(land: Village) -> None:
    await land.do(SetStatus(character_id=CYN, status="away"))
    commands = [Travel(character_id=who, to_region_id=FENS) for who in (ADA, CYN, BEN, ADA)]
    commands.append(Travel(character_id=DOT, to_region_id=COAST))
    results = await asyncio.gather(*(land.do(command) for command in commands), return_exceptions=True)
    codes = [r.code if isinstance(r, Refused) else None for r in results]
    assert (codes[1], codes[2], codes[4]) == ("not_present", None, "region_has_no_place")
    assert sorted(map(str, (codes[0], codes[3]))) == ["None", "already_walking"]
    assert len(await land.timers()) == 4
    assert await land.findings() == []


async def test_a_player_travels_only_with_its_own(land: Village) -> None:
    player = await land.server.member(land.world_id, land.owner, "player")
    hero = (await land.do(CreateCharacter(name="Hero", kind="player"), player)).id
    await land.do(PlaceCharacters(placements=[Placement(character_id=hero, place_id=MILL)]))
    await land.do(Travel(character_id=hero, to_region_id=FENS), player)
    await land.do(CancelTravel(character_id=hero), player)
    for command in (Travel(character_id=ADA, to_region_id=FENS), CancelTravel(character_id=ADA)):
        await land.refused("not_your_character", command, player)


async def test_calling_off_at_the_border_and_setting_out_at_once(land: Village) -> None:
    for number in range(6):
        await asyncio.gather(
            *(land.do([Travel(character_id=ADA, to_region_id=goal)]) for goal in (FENS, MOOR)),
            land.do(CancelTravel(character_id=ADA)), return_exceptions=True,
        )  # fmt: skip
        assert await land.findings() == []
        await land.advance(30 if number % 2 else 500)
        assert await land.findings() == []


async def test_a_batch_and_one_by_one_are_the_same(server: Server) -> None:
    seen = []
    for together in (True, False):
        village = await Village(server).open()
        await village.do(DefineRegions(regions=REGIONS, borders=BORDERS[:2], places=LIES))
        asked: list[Command] = [Travel(character_id=i, to_region_id=g) for i, g in ((ADA, FENS), (BEN, MOOR))]
        for part in [asked] if together else [[one] for one in asked]:
            await village.do(part)
        await village.advance(DAY / MINUTE)
        events = await village.events("travel.%")
        seen.append([(e["type"], e["at"], {**e["data"], "journey_id": None}) for e in events])
    assert seen[0] == seen[1] and len(seen[0]) == 7


async def test_the_doctor_sees_broken_journeys(land: Village) -> None:
    await land.do([Travel(character_id=who, to_region_id=MOOR) for who in (ADA, BEN, CYN)])

    async def spoil(tx: Transaction) -> None:
        await tx.execute(
            "UPDATE journeys SET ended_at = 1, how = 'gone' WHERE world_id = $1 AND character_id = $2",
            tx.world_id, ADA,
        )  # fmt: skip
        await tx.execute(
            "UPDATE journeys SET crossed = 2 WHERE world_id = $1 AND character_id = $2", tx.world_id, BEN
        )
        await regions.stop(tx, {CYN: MILL})

    await land.read(spoil)
    assert sorted(f.split(": ")[1] for f in await land.findings()) == [
        "travel.every_border_has_its_timer", "travel.every_timer_has_its_journey",
        "travel.who_travels_is_on_the_way",
    ]  # fmt: skip


async def test_journeys_go_with_their_world(land: Village) -> None:
    await land.do(Travel(character_id=ADA, to_region_id=FENS))
    await land.do(DeleteWorld())
    for table in ("journeys", "regions", "borders", "movement_bans", "timers"):
        assert await land.fetch(f"SELECT 1 FROM {table} WHERE world_id = $1") == []
