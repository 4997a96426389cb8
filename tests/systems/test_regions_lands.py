"""Regions, borders, control, stability and bans against the real database."""

import asyncio
from uuid import UUID

import pytest

from fablewright.core.clock import DAY, MINUTE
from fablewright.core.refusal import Refused
from fablewright.core.system import System
from fablewright.core.transaction import Transaction
from fablewright.systems.factions.commands import DissolveFaction, FoundFaction
from fablewright.systems.regions import bans as bans_module
from fablewright.systems.regions import lands, service, views
from fablewright.systems.regions.commands import (
    BanMovement,
    BorderValue,
    DefinePlaces,
    DefineRegions,
    LiftBan,
    Membership,
    PathValue,
    PlaceValue,
    RegionValue,
    RemoveRegion,
    SetControl,
    Walk,
)
from fablewright.systems.regions.rules import Ban, BorderState, RegionState
from tests.support import Server
from tests.systems.test_regions import ADA, BEN, GREEN, INN, ISLE, MILL, Village

VALE, FENS, MOOR = (UUID(int=n) for n in range(301, 304))
CROWN, GUILD = UUID(int=401), UUID(int=402)
REGIONS = [
    RegionValue(id=VALE, name="Vale", terrain="hills", resources={"iron": 4}, population=900, tags=["old"]),
    RegionValue(id=FENS, name="Fens", terrain="marsh", stability=0.4, stability_rest=0.5),
    RegionValue(id=MOOR, name="Moor"),
]
BORDERS = [BorderValue(a_id=VALE, b_id=FENS, minutes=60), BorderValue(a_id=FENS, b_id=MOOR, minutes=100)]
LIES = [
    Membership(place_id=MILL, region_id=VALE), Membership(place_id=GREEN, region_id=FENS),
    Membership(place_id=INN, region_id=FENS), Membership(place_id=ISLE, region_id=MOOR),
]  # fmt: skip


@pytest.fixture
async def land(server: Server) -> Village:
    village = await Village(server).open()
    await village.do([FoundFaction(id=CROWN, name="The Crown"), FoundFaction(id=GUILD, name="The Guild")])
    await village.do(DefineRegions(regions=REGIONS, borders=BORDERS, places=LIES))
    return village


async def test_regions_are_kept(land: Village) -> None:
    found = await land.read(service.regions)
    assert found[VALE] == RegionState(
        VALE, "Vale", "hills", "", {"iron": 4.0}, 900, 0.7, 0, 0.7, None, ("old",)
    )
    assert (found[FENS].stability, found[FENS].stability_rest) == (0.4, 0.5)
    assert list(found) == [VALE, FENS, MOOR]
    assert await land.read(service.borders) == [BorderState(VALE, FENS, 60), BorderState(FENS, MOOR, 100)]
    assert await land.read(lambda tx: service.regions_of_places(tx, [MILL, GREEN])) == {
        MILL: VALE, GREEN: FENS
    }  # fmt: skip
    assert await land.read(lambda tx: service.regions_of_characters(tx, [ADA, UUID(int=9)])) == {ADA: VALE}
    assert (await land.read(service.places))[MILL].region_id == VALE
    [told] = await land.events("regions.regions_defined")
    assert told["about"] == [VALE, FENS, MOOR]
    assert told["data"]["borders"][0] == {"a_id": str(VALE), "b_id": str(FENS), "minutes": 60.0}
    assert await land.findings() == []


async def test_regions_are_changed_by_id_or_by_name(land: Village) -> None:
    await land.do(SetControl(region_id=FENS, controller_id=CROWN))
    answer = await land.do(DefineRegions(
        regions=[RegionValue(id=VALE, name="Old Vale"), RegionValue(name="Fens", population=5),
                 RegionValue(name="Coast")],
        borders=[BorderValue(a_id=MOOR, b_id=FENS, minutes=None), BorderValue(a_id=FENS, b_id=VALE, minutes=7)],
        places=[Membership(place_id=ISLE, region_id=None)],
    ))  # fmt: skip
    assert [r.id for r in answer["regions"]][:2] == [VALE, FENS]
    found = await land.read(service.regions)
    assert {r.name for r in found.values()} == {"Old Vale", "Fens", "Moor", "Coast"}
    assert found[VALE].resources == {} and found[FENS].population == 5
    assert found[FENS].controller_id == CROWN  # who holds it is not for definitions to say
    assert (found[FENS].stability, found[FENS].stability_rest) == (0.4, 0.7)
    assert await land.read(service.borders) == [BorderState(VALE, FENS, 7)]
    assert (await land.read(service.places))[ISLE].region_id is None
    await land.do(DefinePlaces(places=[PlaceValue(id=MILL, name="Mill")]))
    assert (await land.read(service.places))[MILL].region_id == VALE  # nor for those of places


REFUSED = [
    ("region_name_taken", DefineRegions(regions=[RegionValue(id=UUID(int=9), name="Vale")])),
    ("region_name_taken", DefineRegions(regions=[RegionValue(id=VALE, name="Fens")])),
    ("region_not_found", DefineRegions(borders=[BorderValue(a_id=VALE, b_id=UUID(int=9), minutes=1)])),
    ("region_not_found", DefineRegions(places=[Membership(place_id=MILL, region_id=UUID(int=9))])),
    ("place_not_found", DefineRegions(places=[Membership(place_id=UUID(int=9), region_id=VALE)])),
    ("same_region", DefineRegions(borders=[BorderValue(a_id=VALE, b_id=VALE, minutes=1)])),
    ("region_not_found", RemoveRegion(region_id=UUID(int=9))),
    ("region_not_found", SetControl(region_id=UUID(int=9), controller_id=None)),
    ("faction_not_found", SetControl(region_id=VALE, controller_id=UUID(int=9))),
    ("region_not_found", BanMovement(region_id=UUID(int=9))),
    ("ban_ends_too_early", BanMovement(region_id=VALE, until_at=0)),
    ("ban_not_found", LiftBan(ban_id=UUID(int=9))),
]


async def test_what_is_refused_changes_nothing(land: Village) -> None:
    before = await land.read(service.regions), await land.read(service.borders)
    for code, command in REFUSED:
        await land.refused(code, command)
    assert (await land.read(service.regions), await land.read(service.borders)) == before


async def test_a_world_holds_so_many(land: Village, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lands, "MOST_REGIONS", 3)
    await land.do(DefineRegions(regions=[RegionValue(name="Vale")]))
    await land.refused("too_many_regions", DefineRegions(regions=[RegionValue(name="Coast")]))
    monkeypatch.setattr(bans_module, "MOST_BANS", 1)
    await land.do(BanMovement(region_id=VALE, until_at=5))
    await land.refused("too_many_bans", BanMovement(region_id=FENS))
    await land.advance(1)
    await land.do(BanMovement(region_id=FENS))  # the first one is over


async def test_what_is_removed_leaves_its_row(land: Village) -> None:
    await land.do([SetControl(region_id=FENS, controller_id=CROWN), RemoveRegion(region_id=FENS)])
    assert list(await land.read(service.regions)) == [VALE, MOOR]
    assert await land.read(service.borders) == []
    assert (await land.read(service.places))[GREEN].region_id is None
    [told] = await land.events("regions.region_removed")
    assert told["data"] == {
        "region_id": str(FENS), "name": "Fens", "controller_id": str(CROWN),
        "place_ids": [str(GREEN), str(INN)],
        "borders": [{"a_id": str(VALE), "b_id": str(FENS), "minutes": 60.0},
                    {"a_id": str(FENS), "b_id": str(MOOR), "minutes": 100.0}],
    }  # fmt: skip
    for command in (RemoveRegion(region_id=FENS), SetControl(region_id=FENS, controller_id=None),
                    DefineRegions(regions=[RegionValue(id=FENS, name="Fens")])):  # fmt: skip
        await land.refused("region_not_found", command)
    await land.do(DefineRegions(regions=[RegionValue(name="Fens")]))  # its name is free
    rows = await land.fetch(
        "SELECT removed_at FROM regions WHERE world_id = $1 AND name = 'Fens' ORDER BY id"
    )
    assert sorted(str(row["removed_at"]) for row in rows) == ["0", "None"]
    assert await land.findings() == []


async def test_a_border_is_drawn_or_its_region_removed(land: Village) -> None:
    for number in range(6):
        coast = UUID(int=330 + number)
        await land.do(DefineRegions(regions=[RegionValue(id=coast, name=f"Coast {number}")]))
        await asyncio.gather(
            land.do(RemoveRegion(region_id=coast)),
            land.do(DefineRegions(borders=[BorderValue(a_id=coast, b_id=VALE, minutes=1)],
                                  places=[Membership(place_id=ISLE, region_id=coast)])),
            return_exceptions=True,
        )  # fmt: skip
    assert await land.findings() == []


async def test_who_holds_a_region(land: Village) -> None:
    await land.do(SetControl(region_id=VALE, controller_id=CROWN, reason="Crowned"))
    await land.do(SetControl(region_id=VALE, controller_id=CROWN))  # no news
    answer = await land.do(SetControl(region_id=VALE, controller_id=GUILD, reason="Bought"))
    assert answer == {"region_id": VALE, "previous": CROWN, "controller_id": GUILD}
    told = await land.events("regions.control_changed")
    assert [(t["data"]["previous"], t["data"]["controller_id"], t["data"]["reason"]) for t in told] == [
        (None, str(CROWN), "Crowned"), (str(CROWN), str(GUILD), "Bought"),
    ]  # fmt: skip
    assert told[1]["about"] == [VALE, CROWN, GUILD]
    await land.do(SetControl(region_id=MOOR, controller_id=CROWN))
    async with land.server.runtime.database.reading() as connection:
        held = await views.held(connection, land.world_id)
        assert {who: [r.id for r in regions] for who, regions in held.items()} == {
            GUILD: [VALE], CROWN: [MOOR]
        }  # fmt: skip
        assert list(await views.held(connection, land.world_id, [GUILD])) == [GUILD]


async def test_the_dissolved_hold_nothing(land: Village) -> None:
    await land.do(DissolveFaction(faction_id=GUILD))
    await land.refused("faction_dissolved", SetControl(region_id=VALE, controller_id=GUILD))
    for nobody, known in ((UUID(int=9), 1), (None, 0)):
        await land.fetch(
            "UPDATE regions SET controller_id = $2 WHERE world_id = $1 AND id = $3 RETURNING id", nobody, VALE
        )
        assert len(await land.findings()) == known


async def test_shaken_regions_calm_down(land: Village) -> None:
    async def shake(tx: Transaction) -> dict[UUID, float]:
        return await service.shake(tx, {VALE: -0.4, FENS: 0.9, UUID(int=9): 1, MOOR: 0}, "War")

    assert await land.read(shake) == pytest.approx({VALE: 0.3, FENS: 1.0, MOOR: 0.7})
    told = [t["data"] for t in await land.events("regions.stability_changed")]
    assert told[0] == {"region_id": str(VALE), "before": 0.7, "after": pytest.approx(0.3), "reason": "War"}
    assert (len(told), told[1]["before"], told[1]["after"]) == (2, 0.4, 1.0)
    await land.advance(30 * DAY / MINUTE)
    found = await land.read(service.regions)
    assert found[VALE].stability_now(30 * DAY) == pytest.approx(0.5)
    async with land.server.runtime.database.reading() as connection:
        detail = await views.region(connection, land.world_id, FENS)
    assert detail is not None and detail.stability == pytest.approx(0.75)


async def test_shaken_at_once_is_shaken_twice(land: Village) -> None:
    async def shake(tx: Transaction) -> None:
        await service.shake(tx, {VALE: -0.1, FENS: -0.1}, "Raid")

    await asyncio.gather(*(land.read(shake) for _ in range(4)))
    assert (await land.read(service.regions))[VALE].stability == pytest.approx(0.3)


async def test_a_ban_bars_walks_until_it_is_lifted(land: Village) -> None:
    ban = await land.do(BanMovement(region_id=FENS, reason="Plague"))
    refused = await land.refused("barred", Walk(character_id=ADA, place_id=GREEN))
    assert refused.facts == {
        "region_id": str(FENS), "source": "game_master", "reason": "Plague", "until_at": None
    }  # fmt: skip
    [told] = await land.events("regions.movement_banned")
    assert told["data"] == {
        "ban_id": str(ban["id"]), "region_id": str(FENS), "subject_id": None, "source": "game_master",
        "reason": "Plague", "from_at": 0, "until_at": None,
    }  # fmt: skip
    await land.do(LiftBan(ban_id=ban["id"]))
    await land.refused("ban_not_found", LiftBan(ban_id=ban["id"]))
    await land.do(Walk(character_id=ADA, place_id=GREEN))
    assert [t["data"]["ban_id"] for t in await land.events("regions.movement_ban_lifted")] == [str(ban["id"])]


async def test_a_ban_runs_out(land: Village) -> None:
    await land.do(BanMovement(region_id=FENS, subject_id=ADA, until_at=5 * MINUTE))
    await land.refused("barred", Walk(character_id=ADA, place_id=GREEN))
    await land.do(Walk(character_id=BEN, place_id=GREEN))
    await land.advance(5)
    await land.do(Walk(character_id=ADA, place_id=GREEN))


async def test_neighbours_of_the_barred_walk(land: Village) -> None:
    await land.do(BanMovement(region_id=FENS, subject_id=ADA))
    results = await asyncio.gather(
        *(land.do(Walk(character_id=who, place_id=GREEN)) for who in (ADA, BEN)), return_exceptions=True
    )
    assert [r.code if isinstance(r, Refused) else None for r in results] == ["barred", None]


async def test_bans_of_higher_systems(land: Village) -> None:
    source = "sanction:7"

    async def impose(tx: Transaction) -> list[UUID]:
        return await service.restrict(tx, [
            Ban(FENS, ADA, source, "Toll"), Ban(MOOR, None, source, from_at=10 * MINUTE),
        ])  # fmt: skip

    first, second = await land.read(impose)
    refused = await land.refused("barred", Walk(character_id=ADA, place_id=GREEN))
    assert (refused.facts["source"], refused.facts["reason"]) == (source, "Toll")
    kept = await land.refused("ban_of_another", LiftBan(ban_id=first))
    assert kept.facts["source"] == source
    assert [b.id for b in await land.read(service.holding)] == [first]
    await land.advance(10)
    assert {b.id for b in await land.read(service.holding)} == {first, second}
    assert await land.read(lambda tx: service.lift(tx, source)) == 2
    assert await land.read(lambda tx: service.lift(tx, source)) == 0
    assert await land.read(service.holding) == []
    lifted = await land.events("regions.movement_ban_lifted")
    assert {t["data"]["ban_id"] for t in lifted} == {str(first), str(second)}
    async with land.server.runtime.database.reading() as connection:
        for over, many in ((False, 0), (True, 2)):
            found = await views.list_bans(
                connection, land.world_id, region_id=None, source=source, over=over, after=None, limit=9
            )
            assert len(found) == many


async def test_who_belongs_to_what_is_asked_above(land: Village, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def allegiance(tx: Transaction, ids: list[UUID]) -> dict[UUID, set[UUID]]:
        asked.append(list(ids))
        return {who: {CROWN} for who in ids if who == ADA}

    engine = land.server.runtime.engine
    above = System(name="above", extra={"allegiance": allegiance})
    monkeypatch.setattr(engine, "systems", [*engine.systems, above])

    async def impose(tx: Transaction) -> None:
        await service.restrict(tx, [Ban(FENS, CROWN, "war:1")])

    await land.do(BanMovement(region_id=MOOR))
    await land.do(DefinePlaces(paths=[PathValue(a_id=MILL, b_id=ISLE, minutes=1)]))
    await land.refused("barred", Walk(character_id=ADA, place_id=ISLE))
    assert asked == []  # no ban is about anybody
    await land.read(impose)
    await land.refused("barred", Walk(character_id=ADA, place_id=GREEN))
    await land.do(Walk(character_id=BEN, place_id=GREEN))
    assert asked == [[ADA], [BEN]]


async def test_only_game_masters_change_the_map(land: Village) -> None:
    player = await land.server.member(land.world_id, land.owner, "player")
    for command in (
        DefineRegions(regions=[RegionValue(name="Mine")]), RemoveRegion(region_id=VALE),
        SetControl(region_id=VALE, controller_id=None), BanMovement(region_id=VALE), LiftBan(ban_id=VALE),
    ):  # fmt: skip
        await land.refused("role_too_low", command, player)


async def test_the_doctor_sees_what_is_wrong(land: Village) -> None:
    async def spoil(tx: Transaction) -> None:
        for change in ("removed_at = 1", """resources = '{"iron": -1}'"""):
            which = VALE if "removed" in change else MOOR
            await tx.execute(
                f"UPDATE regions SET {change} WHERE world_id = $1 AND id = $2", tx.world_id, which
            )

    await land.read(spoil)
    found = await land.findings()
    checks = {
        "regions.resources_are_amounts": 1, "regions.what_was_removed_is_off_the_map": 2,
    }  # fmt: skip
    assert {check: sum(check in text for text in found) for check in checks} == checks
    assert len(found) == 3
