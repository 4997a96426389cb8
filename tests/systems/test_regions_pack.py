"""`regions.yaml`: regions are written, read again, and are the same; mistakes are found in their lines."""

from pathlib import Path

import pytest

from fablewright.core.refusal import Refused
from fablewright.core.transaction import Transaction
from fablewright.packs.reader import import_pack, read_pack
from fablewright.packs.writer import export_world
from fablewright.systems.regions import service
from fablewright.systems.regions.commands import BanMovement, DefineRegions
from fablewright.systems.regions.rules import Ban
from tests.support import Server
from tests.systems.test_regions import ADA, Village
from tests.systems.test_regions_lands import BORDERS, FENS, LIES, MOOR, REGIONS, VALE

REGIONS_SQL = (
    "SELECT id, name, terrain, description, resources, population, stability, stability_rest, tags "
    "FROM regions WHERE world_id = $1 ORDER BY id"
)
TABLES = (
    REGIONS_SQL,
    "SELECT low_id, high_id, minutes FROM borders WHERE world_id = $1 ORDER BY 1, 2",
    "SELECT id, region_id FROM places WHERE world_id = $1 ORDER BY 1",
    "SELECT region_id, subject_id, source, reason, until_at FROM movement_bans "
    "WHERE world_id = $1 AND source = 'game_master' AND subject_id IS NULL ORDER BY 1, 4",
)
PACK = """
regions:
  vale: {name: The Vale, terrain: hills, resources: {iron: 4}, borders: {fens: 90}, places: [mill]}
  fens: {name: The Fens, stability: 0.2, borders: {vale: 90}, closed: [{reason: Fever}]}
"""


def write(folder: Path, regions: str) -> Path:
    folder.mkdir()
    (folder / "world.yaml").write_text("name: Fordwick\npaused: true\n")
    (folder / "places.yaml").write_text("places:\n  mill: {name: The mill}\n")
    (folder / "regions.yaml").write_text(regions)
    return folder


async def test_a_land_is_written_and_read_again(server: Server, tmp_path: Path) -> None:
    land = await Village(server).open()
    await land.do(DefineRegions(regions=REGIONS, borders=BORDERS, places=LIES))
    await land.do([BanMovement(region_id=FENS, reason="Fever"), BanMovement(region_id=MOOR, subject_id=ADA)])

    async def disturb(tx: Transaction) -> None:
        await service.shake(tx, {VALE: -0.3}, "War")
        await service.restrict(tx, [Ban(VALE, None, "war:1")])

    await land.read(disturb)
    await export_world(server.runtime, land.world_id, tmp_path / "pack")
    text = (tmp_path / "pack" / "regions.yaml").read_text()
    assert "war:1" not in text and "Fever" in text
    copy = await import_pack(
        server.runtime, land.owner.actor, read_pack(tmp_path / "pack", server.runtime.systems)
    )
    for sql in TABLES:
        before, after = [
            [tuple(row) for row in await server.fetch(sql, world)] for world in (land.world_id, copy.world_id)
        ]
        assert before == after and before, sql


async def test_a_pack_by_hand(server: Server, tmp_path: Path) -> None:
    owner = await server.person()
    pack = read_pack(write(tmp_path / "pack", PACK), server.runtime.systems)
    made = await import_pack(server.runtime, owner.actor, pack)
    regions = await server.fetch(REGIONS_SQL, made.world_id)
    assert {row["name"]: row["stability"] for row in regions} == {"The Vale": 0.7, "The Fens": 0.2}
    [border] = await server.fetch("SELECT minutes FROM borders WHERE world_id = $1", made.world_id)
    assert border["minutes"] == 90


@pytest.mark.parametrize(
    ("regions", "says"),
    [
        ("{vale: {name: Vale, borders: {vale: 1}}}", "name another region"),
        ("{vale: {name: Vale, borders: {fens: 1}}, fens: {name: Fens, borders: {vale: 2}}}", "only once"),
        ("{vale: {name: Vale}, fens: {name: Vale}}", "has this name already"),
        (
            "{vale: {name: Vale, places: [mill]}, fens: {name: Fens, places: [mill]}}",
            "lies in 'vale' already",
        ),
        ("{vale: {name: Vale, places: [mil]}}", "Did you mean 'mill'"),
        ("{vale: {name: Vale, borders: {fen: 1}}}", "names none of the regions"),
        ("{vale: {name: Vale, closed: [{until: -1}]}}", "leave the ban out"),
        ("{vale: {name: Vale, stability: 2}}", "less than or equal to 1"),
    ],
)
def test_mistakes_of_a_pack(server: Server, tmp_path: Path, regions: str, says: str) -> None:
    with pytest.raises(Refused) as refused:
        read_pack(write(tmp_path / "pack", f"regions: {regions}\n"), server.runtime.systems)
    assert says in str(refused.value.facts) and "regions.yaml" in str(refused.value.facts)
