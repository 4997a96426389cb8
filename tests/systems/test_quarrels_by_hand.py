"""Quarrels that are written by hand or told by game masters: what the game forbids, and worlds one can hand on."""

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from fablewright.core.clock import DAY
from fablewright.core.refusal import Refused
from fablewright.packs.reader import import_pack, most_events, read_pack
from fablewright.packs.syntax import dump
from fablewright.systems.diplomacy.quarrel_commands import (
    CoalitionMemberValue,
    ImportCoalition,
    ImportIncident,
    ImportSanction,
    MemberValue,
)
from fablewright.systems.diplomacy.war_commands import (
    FormCoalition,
    ImposeSanction,
    JoinSanction,
    LeaveCoalition,
)
from fablewright.systems.factions.commands import GrantTreasury
from tests.support import Server
from tests.systems.test_coalitions import frightened
from tests.systems.test_incidents import advance, two
from tests.systems.test_wars import sound
from tests.systems.test_wars_pack import exported, imported


def sanction(target: UUID, *members: UUID, **fields: Any) -> ImportSanction:
    said = {"kind": "embargo", "reason": "tolls"} | fields
    return ImportSanction(target_id=target, members=[MemberValue(faction_id=m) for m in members], **said)


async def test_a_sanction_whose_time_is_over_stays_behind(server: Server, tmp_path: Path) -> None:
    """World time goes on while nobody runs timers: between its end and its review it is not in force."""
    owner, world_id, a, b = await two(server)
    tariff = ImposeSanction(faction_id=a, target_id=b, kind="tariff", rate=0.2, reason="x", until_at=10 * DAY)
    await server.do(tariff, owner.actor, world_id)
    await server.do(sanction(b, a), owner.actor, world_id)
    connection = await asyncpg.connect(server.url.replace("+asyncpg", ""))
    try:
        await connection.execute("DELETE FROM timers WHERE world_id = $1", world_id)
        await connection.execute("UPDATE worlds SET anchor_world_ms = $2 WHERE id = $1", world_id, 10 * DAY)
    finally:
        await connection.close()
    files = await exported(server, world_id, tmp_path / "one")
    assert ("kind: embargo" in files["sanctions.yaml"], "tariff" in files["sanctions.yaml"]) == (True, False)
    copy = await imported(server, owner, tmp_path / "one")
    assert files == await exported(server, copy, tmp_path / "two")


async def test_what_began_now_has_not_happened_before(server: Server, tmp_path: Path) -> None:
    """Else the world could not be handed on: what it exports would be refused."""
    owner, world_id, a, b = await two(server)
    await advance(server, owner, world_id, 100 * DAY)
    slight: dict[str, Any] = {"kind": "insult", "injured_id": a, "accused_id": b, "severity": 0.5}
    embargo = sanction(b, a)
    early = [{"faction_id": a, "since": 50 * DAY}]
    for command, field in (
        (ImportIncident(**slight, state="settled", closed_at=50 * DAY), "closed_at"),
        (ImportIncident(**slight, changed_at=50 * DAY), "changed_at"),
        (ImportIncident(**slight | {"accused_id": a}), "accused_id"),
        (ImportIncident(**slight, id=a, follows_id=a), "follows_id"),
        (ImportCoalition(target_id=b, members=[CoalitionMemberValue(**early[0])]), "members.0.since"),
        (
            ImportCoalition(target_id=b, members=[{"faction_id": a}, {"faction_id": b}]),
            "members.1.faction_id",
        ),
        (ImportSanction(**embargo.model_dump() | {"members": early}), "members.0.since"),
        (
            ImportSanction(**embargo.model_dump() | {"lift_when": [{"kind": "incident_settled"}]}),
            "lift_when.0",
        ),
        (ImportSanction(**embargo.model_dump() | {"currency": "nope"}), "currency"),
    ):
        with pytest.raises(Refused, match="history_unsound") as refused:
            await server.do(command, owner.actor, world_id)
        assert refused.value.facts["field"] == field
    for at in ({}, {"since": 20 * DAY}):
        over = ImportIncident(**slight, **at, state="settled", closed_at=100 * DAY)
        await server.do(over, owner.actor, world_id)
    await exported(server, world_id, tmp_path / "one")


async def test_a_great_war_is_reckoned_with_all_its_pairs(server: Server, tmp_path: Path) -> None:
    """Each pair of enemies makes events of its own: an import may cause more of them than other commands may."""
    sides = [[f"{side}{number}" for number in range(24)] for side in "ab"]
    enemies = [
        {"from": a, "to": b, "status": "war", "tension": 50, "trust": 0.2} for a in sides[0] for b in sides[1]
    ]
    war = {
        "attacker": "a0",
        "defender": "b0",
        "parties": {
            key: {"side": side}
            for side, keys in zip(("attacker", "defender"), sides, strict=True)
            for key in keys
        },
    }
    files: dict[str, dict[str, Any]] = {
        "world": {"name": "Two Leagues"},
        "factions": {"factions": {key: {"name": key} for keys in sides for key in keys}},
        "relations": {"relations": enemies},
        "wars": {"wars": {"great": war}},
    }
    for name, content in files.items():
        (tmp_path / f"{name}.yaml").write_text(dump(content))
    owner, pack = await server.person(), read_pack(tmp_path, server.runtime.systems)
    made = await import_pack(server.runtime, owner.actor, pack)
    assert len(enemies) * 3 < (made.seq or 0) < most_events(pack) - 10_000


async def test_a_game_master_imposes_nothing_twice(server: Server, tmp_path: Path) -> None:
    owner, world_id, (a, b, c, _) = await frightened(server)

    async def do(command: Any) -> Any:
        return await server.do(command, owner.actor, world_id)

    tariff: dict[str, Any] = {"kind": "tariff", "rate": 0.6}
    told = await do(sanction(a, b, c, **tariff))
    with pytest.raises(Refused, match="already_sanctioning") as refused:
        await do(sanction(a, c, **tariff))
    assert refused.value.facts == {"faction_id": str(c), "sanction_id": str(told.id)}
    league = await do(FormCoalition(faction_id=b, target_id=a))
    await do(LeaveCoalition(coalition_id=league.id, faction_id=b))
    with pytest.raises(Refused, match="coalition_over"):
        await do(sanction(a, b, coalition_id=league.id))
    # In the game one may have joined the sanction of others beside one's own.
    one, two_ = [
        await do(ImposeSanction(faction_id=f, target_id=a, kind="embargo", reason="x")) for f in (b, c)
    ]
    await do(JoinSanction(sanction_id=one.id, faction_id=c))
    await do(JoinSanction(sanction_id=two_.id, faction_id=b))
    files = await exported(server, world_id, tmp_path / "one")
    copy = await imported(server, owner, tmp_path / "one")
    assert files == await exported(server, copy, tmp_path / "two")


async def test_a_freeze_holds_all_there_is(server: Server, tmp_path: Path) -> None:
    owner, world_id, a, b = await two(server, treasury=0)
    await server.do(GrantTreasury(faction_id=b, amount=300), owner.actor, world_id)
    made = [
        await server.do(sanction(b, a, kind="asset_freeze", id=uuid4(), frozen=amount), owner.actor, world_id)
        for amount in (100, None, None)
    ]
    assert [each.frozen for each in made] == [100, 200, 0]
    files = await exported(server, world_id, tmp_path / "one")
    assert "frozen: 0" in files["sanctions.yaml"]
    copy = await imported(server, owner, tmp_path / "one")
    await server.do(GrantTreasury(faction_id=b, amount=50), owner.actor, copy)
    rows = await server.fetch(
        "SELECT balance, held FROM ledger_accounts WHERE world_id = $1 AND held > 0", copy
    )
    assert [tuple(row) for row in rows] == [(350, 300)]
    await sound(server, copy)
