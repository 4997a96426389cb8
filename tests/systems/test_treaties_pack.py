"""`treaties.yaml`: treaties are written, read again, and are the same; mistakes are found in their lines."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from fablewright.core.clock import DAY
from fablewright.core.refusal import Refused
from fablewright.packs.reader import import_pack, read_pack
from fablewright.packs.writer import export_world
from fablewright.systems.diplomacy.treaty_commands import (
    ImportTreaty,
    SuspendTreaty,
    TerminateTreaty,
    WithdrawFromTreaty,
)
from fablewright.systems.regions.commands import DefineRegions, RegionValue, RemoveRegion
from tests.support import Server
from tests.systems.test_treaties import AMB, ASH, ELM, HILL, OAK, PEACE, Court, pays

PACK = """
treaties:
  tribute:
    name: The Tribute of the Ford
    kind: tribute
    parties: [ash, elm]
    clauses: [{type: pay, from: ash, to: elm, amount: 30, every_days: 30}]
    starts_at: -8640000000
    duration_days: 360
  pact:
    name: The Quiet Pact
    kind: defence_pact
    parties: [ash, elm, oak]
    secret: true
    clauses:
      - {type: defend, protector: ash, protected: elm}
      - {type: support_in_war, faction: elm, ally: oak, against: ash}
      - {type: custom, text: Nobody speaks of it.}
  old_peace:
    name: The Old Peace
    kind: peace
    parties: [elm, oak]
    clauses: [{type: no_attack, a: elm, b: oak}]
    starts_at: -86400000000
    closed_at: -8640000000
    outcome: broken
    reason: The raid on the mill
"""
FACTIONS = "factions:\n" + "".join(f"  {n}: {{name: {n}, treasury: 100}}\n" for n in ("ash", "elm", "oak"))
ROWS = (
    "SELECT name, kind, text, state, secret, starts_at, ends_at, duration_ms, renews, notice_ms, grace_ms, on_breach, "
    "closed_at, reason FROM treaties WHERE world_id = $1 AND agreed_at IS NOT NULL ORDER BY name"
)
CLAUSES = (
    "SELECT t.name, c.number, c.type, c.terms::text AS terms FROM treaty_clauses c JOIN treaties t USING (world_id) "
    "WHERE t.world_id = $1 AND t.id = c.treaty_id AND agreed_at IS NOT NULL ORDER BY 1, 2"
)


def write(folder: Path, treaties: str) -> Path:
    folder.mkdir()
    (folder / "world.yaml").write_text("name: Fordwick\npaused: true\n")
    (folder / "factions.yaml").write_text(FACTIONS)
    (folder / "treaties.yaml").write_text(treaties)
    return folder


async def test_treaties_are_written_and_read_again(server: Server, tmp_path: Path) -> None:
    court = await Court(server).open()
    await court.do(DefineRegions(regions=[RegionValue(id=HILL, name="Hill")]))
    every: list[dict[str, Any]] = [
        pays(5, 30), {"type": "keep_out", "faction_id": ASH, "region_id": HILL, "for_id": ELM},
        {"type": "no_trade", "faction_id": ASH, "with_id": OAK, "good": "salt"},
        {"type": "defend", "protector_id": ASH, "protected_id": ELM},
        {"type": "hand_over", "faction_id": ASH, "to_id": ELM, "character_id": AMB, "within_days": 9},
        {"type": "share_information", "faction_id": ASH, "to_id": ELM},
        {"type": "open_borders", "faction_id": ASH, "to_id": ELM}, PEACE,
        {"type": "support_in_war", "faction_id": ASH, "ally_id": ELM, "against_id": OAK},
        {"type": "custom", "text": "They feast together.", "faction_id": ELM},
    ]  # fmt: skip
    await court.signed(*every, name="Of everything", secret=True, duration_days=90, renews=True, grace_days=3)
    resting = await court.signed(PEACE, name="Resting")
    ended = await court.signed(PEACE, name="Ended")
    for who in (ASH, ELM):
        await court.do(SuspendTreaty(treaty_id=resting, faction_id=who))
        await court.do(TerminateTreaty(treaty_id=ended, faction_id=who))
    left = await court.signed(
        {**PEACE, "b_id": OAK}, PEACE, parties=(ASH, ELM, OAK), name="Left", notice_days=0
    )
    await court.do(WithdrawFromTreaty(treaty_id=left, faction_id=OAK))
    past = {"parties": [ASH, ELM], "starts_at": -90 * DAY, "clauses": [PEACE]}
    await court.do(ImportTreaty(name="Old", ends_at=-20 * DAY, **past))
    await court.do(
        ImportTreaty(name="Broken", closed_at=-9 * DAY, outcome="broken", reason="the raid", **past)
    )
    await court.propose(PEACE, name="Draft")
    await court.do(RemoveRegion(region_id=HILL))
    await export_world(server.runtime, court.world_id, tmp_path / "pack")
    assert "Draft" not in (tmp_path / "pack" / "treaties.yaml").read_text()
    pack = read_pack(tmp_path / "pack", server.runtime.systems)
    copy = await import_pack(server.runtime, court.owner.actor, pack)
    before, after = [await server.fetch(ROWS, world) for world in (court.world_id, copy.world_id)]
    assert [tuple(row) for row in before] == [tuple(row) for row in after]
    assert [row["name"] for row in after] == ["Broken", "Ended", "Left", "Of everything", "Old", "Resting"]
    before, after = [await server.fetch(CLAUSES, world) for world in (court.world_id, copy.world_id)]
    types = [(row["name"], row["type"]) for row in after]
    assert len([kind for name, kind in types if name == "Of everything"]) == 10
    assert [name for name, _ in types].count("Left") == 1  # that with the party who left is gone
    kept = {
        (row["name"], row["type"]): orjson.loads(row["terms"]).get("amount") for row in before
        if row["name"] == "Of everything"
    }  # fmt: skip
    assert (
        kept.items()
        <= {(r["name"], r["type"]): orjson.loads(r["terms"]).get("amount") for r in after}.items()
    )
    await export_world(server.runtime, copy.world_id, tmp_path / "again")
    texts = [(tmp_path / name / "treaties.yaml").read_text() for name in ("pack", "again")]
    assert texts[0] == texts[1]
    await court.sound()


async def test_a_pack_by_hand_is_played_forward(server: Server, tmp_path: Path) -> None:
    court = await Court(server).open()
    pack = read_pack(write(tmp_path / "pack", PACK), server.runtime.systems)
    made = await import_pack(server.runtime, court.owner.actor, pack)
    rows = {row["name"]: row for row in await server.fetch(ROWS, made.world_id)}
    assert {name: row["state"] for name, row in rows.items()} == {
        "The Old Peace": "broken", "The Quiet Pact": "in_force", "The Tribute of the Ford": "in_force",
    }  # fmt: skip
    assert rows["The Tribute of the Ford"]["ends_at"] == 260 * DAY
    court.world_id = made.world_id
    await court.advance(61)
    sums = "SELECT balance FROM ledger_accounts a JOIN factions f ON f.id = a.owner_id AND f.world_id = a.world_id "
    rows_ = await server.fetch(f"{sums} WHERE a.world_id = $1 ORDER BY f.name", made.world_id)
    assert [row["balance"] for row in rows_] == [40, 160, 100]
    assert [f for f in await server.findings() if str(made.world_id) in f] == []


@pytest.mark.parametrize(
    ("treaty", "says"),
    [
        ("parties: [ash, elm, ash]", "name each once"),
        ("parties: [ash, fir]", "names none of the factions"),
        ("parties: [ash, elm], clauses: [{type: sing}]", "sing"),
        ("parties: [ash, elm], clauses: [{type: pay, from: ash, to: ash, amount: 1}]", "are the same"),
        ("parties: [ash, elm], clauses: [{type: pay, from: ash, to: oak, amount: 1}]", "no party"),
        ("parties: [ash, elm], clauses: [{type: no_attack, a: ash, b: elm}, {type: no_attack, a: elm, b: ash}]",
         "contradicts"),
        ("parties: [ash, elm], ends_at: -5", "ends before it starts"),
        ("parties: [ash, elm], starts_at: -5, closed_at: 999999999", "is to come"),
        ("parties: [ash, elm], closed_at: -5", "is over before it starts"),
    ],
)  # fmt: skip
async def test_mistakes_are_found_in_their_lines(
    server: Server, tmp_path: Path, treaty: str, says: str
) -> None:
    folder = write(tmp_path / "pack", f"treaties:\n  bad: {{name: Bad, {treaty}}}\n")
    owner = await server.person()
    with pytest.raises(Refused) as refused:
        await import_pack(server.runtime, owner.actor, read_pack(folder, server.runtime.systems))
    text = str(refused.value.facts)
    assert says in text and "treaties.yaml" in text and "2" in text
