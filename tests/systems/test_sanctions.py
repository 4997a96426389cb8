"""Sanctions against the real database: what they bind, who breaches them, and how they end."""

import asyncio
import uuid
from uuid import UUID

import pytest
from sqlalchemy import text

from fablewright.core.clock import DAY
from fablewright.core.refusal import Refused
from fablewright.systems.diplomacy.war_commands import (
    ImposeSanction,
    JoinSanction,
    LeaveSanction,
    LiftCondition,
    SettleIncident,
)
from fablewright.systems.factions.commands import DissolveFaction, SpendTreasury
from fablewright.systems.markets.commands import DefineGoods, GoodValue, OpenRoute
from fablewright.systems.regions.commands import BorderValue, DefineRegions, SetControl
from tests.support import Server, until
from tests.systems.test_incidents import advance, found, spying, two
from tests.systems.test_wars import region, told


async def standing(server: Server, world_id: UUID) -> list[tuple[str, str]]:
    rows = await server.fetch(
        "SELECT kind, source FROM trade_restrictions WHERE world_id = $1 AND lifted_at IS NULL "
        "UNION ALL SELECT 'ban', source FROM movement_bans WHERE world_id = $1 AND lifted_at IS NULL",
        world_id,
    )
    return sorted((row["kind"], row["source"].split(":")[0]) for row in rows)


async def test_an_embargo_is_breached_and_lifted(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    c = await found(server, owner, world_id, "Cedar")
    made = await server.do(spying(a, b), owner.actor, world_id)
    home, gate = [
        await region(server, owner, world_id, name, holder) for name, holder in (("Home", c), ("Gate", b))
    ]
    await server.do(
        DefineRegions(borders=[BorderValue(a_id=home, b_id=gate, minutes=60)]), owner.actor, world_id
    )
    await server.do(
        DefineGoods(goods=[GoodValue(key="salt", name="Salt", base_price=10)]), owner.actor, world_id
    )
    sanction = await server.do(
        ImposeSanction(
            faction_id=a, target_id=b, kind="embargo", reason="spies", incident_id=made.id,
            lift_when=[LiftCondition(kind="incident_settled")],
        ),
        owner.actor, world_id,
    )  # fmt: skip
    sanction = await server.do(JoinSanction(sanction_id=sanction.id, faction_id=c), owner.actor, world_id)
    assert {m.faction_id for m in sanction.members} == {a, c}
    assert await standing(server, world_id) == [("embargo", "sanction")] * 4, "both ways, for each member"
    await server.do(
        OpenRoute(from_region=gate, to_region=home, good="salt", per_day=5, faction_id=c),
        owner.actor,
        world_id,
    )
    breached = await told(server, world_id, "diplomacy.sanction_breached")
    assert [UUID(event["faction_id"]) for event in breached] == [c]
    rows = await server.fetch(
        "SELECT holder_id, about_id FROM opinions WHERE world_id = $1 AND key = 'sanction_breach'", world_id
    )
    assert [tuple(row) for row in rows] == [(a, c)]
    await server.do(SettleIncident(incident_id=made.id, forgive=True), owner.actor, world_id)
    assert await standing(server, world_id) == []
    lifted = await told(server, world_id, "diplomacy.sanction_lifted")
    assert [event["reason"] for event in lifted] == ["its conditions hold: incident settled"]
    assert not [f for f in await server.findings() if str(world_id) in f]


async def test_frozen_assets_cannot_be_spent_until_it_ends(server: Server) -> None:
    owner, world_id, a, b = await two(server, treasury=300)
    sanction = await server.do(
        ImposeSanction(faction_id=a, target_id=b, kind="asset_freeze", reason="debts", until_at=10 * DAY),
        owner.actor, world_id,
    )  # fmt: skip
    assert sanction.frozen == 300
    spend = SpendTreasury(faction_id=b, amount=100, reason="bread")
    with pytest.raises(Refused, match="insufficient_funds"):
        await server.do(spend, owner.actor, world_id)
    await advance(server, owner, world_id, 10 * DAY)
    await server.do(spend, owner.actor, world_id)
    assert not [f for f in await server.findings() if str(world_id) in f]


async def test_tension_that_falls_by_itself_lifts_it(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    await server.do(
        ImposeSanction(
            faction_id=a, target_id=b, kind="tariff", rate=0.2, reason="tolls",
            lift_when=[LiftCondition(kind="tension_below", value=2.5)],
        ),
        owner.actor, world_id,
    )  # fmt: skip
    assert await standing(server, world_id) == [("tariff", "sanction")]
    await advance(server, owner, world_id, 70 * DAY)
    assert await standing(server, world_id) == []


async def test_travel_is_barred_and_the_last_to_leave_lifts_it(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    await region(server, owner, world_id, "Gate", a)
    sanction = await server.do(
        ImposeSanction(faction_id=a, target_id=b, kind="travel_ban", reason="plague"), owner.actor, world_id
    )
    assert await standing(server, world_id) == [("ban", "sanction")]
    ford = await region(server, owner, world_id, "Ford", a)
    assert await standing(server, world_id) == [("ban", "sanction")] * 2, "what it takes is closed, too"
    await server.do(SetControl(region_id=ford, controller_id=b), owner.actor, world_id)
    assert await standing(server, world_id) == [("ban", "sanction")]
    left = LeaveSanction(sanction_id=sanction.id, faction_id=a)
    assert (await server.do(left, owner.actor, world_id)).lifted_at == 0
    assert await standing(server, world_id) == []
    with pytest.raises(Refused, match="sanction_lifted"):
        await server.do(left, owner.actor, world_id)


async def test_refusals(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    unknown = uuid.uuid4()

    def sanction(**fields: object) -> ImposeSanction:
        return ImposeSanction(
            **{"faction_id": a, "target_id": b, "kind": "embargo", "reason": "why", **fields}
        )

    made = await server.do(sanction(), owner.actor, world_id)
    strange = await server.do(spying(b, a), owner.actor, world_id)
    for command, code in (
        (sanction(target_id=a), "sanction_on_oneself"),
        (sanction(kind="tariff"), "sanction_shape"),
        (sanction(kind="travel_ban", good="salt"), "sanction_shape"),
        (sanction(until_at=0), "deadline_in_the_past"),
        (sanction(good="nothing"), "good_not_found"),
        (sanction(incident_id=unknown), "incident_not_found"),
        (sanction(lift_when=[LiftCondition(kind="incident_settled")]), "incident_not_found"),
        (sanction(target_id=unknown), "faction_not_found"),
        (sanction(), "already_sanctioning"),
        (sanction(kind="travel_ban", lift_when=[LiftCondition(kind="tension_below")]), "sanction_shape"),
        (sanction(kind="travel_ban", incident_id=strange.id), "not_its_incident"),
        (JoinSanction(sanction_id=unknown, faction_id=a), "sanction_not_found"),
        (JoinSanction(sanction_id=made.id, faction_id=a), "already_sanctioning"),
        (JoinSanction(sanction_id=made.id, faction_id=b), "sanction_on_oneself"),
        (LeaveSanction(sanction_id=made.id, faction_id=b), "not_in_sanction"),
    ):
        with pytest.raises(Refused) as refused:
            await server.do(command, owner.actor, world_id)
        assert refused.value.code == code, command


async def test_who_joins_twice_at_once_is_in_once(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    c = await found(server, owner, world_id, "Cedar")
    sanction = await server.do(
        ImposeSanction(faction_id=a, target_id=b, kind="tariff", rate=0.1, reason="tolls"),
        owner.actor,
        world_id,
    )
    join = JoinSanction(sanction_id=sanction.id, faction_id=c)
    results = await asyncio.gather(
        *(server.do(join, owner.actor, world_id) for _ in range(3)), return_exceptions=True
    )
    codes = [r.code for r in results if isinstance(r, Refused)]
    assert codes == ["already_sanctioning"] * 2
    assert await standing(server, world_id) == [("tariff", "sanction")] * 2


async def test_the_last_two_who_leave_at_once_leave_nothing(server: Server) -> None:
    owner, world_id, a, b = await two(server, treasury=300)
    c = await found(server, owner, world_id, "Cedar")
    freeze = ImposeSanction(faction_id=a, target_id=b, kind="asset_freeze", reason="debts")
    sanction = await server.do(freeze, owner.actor, world_id)
    await server.do(JoinSanction(sanction_id=sanction.id, faction_id=c), owner.actor, world_id)
    async with server.runtime.database.writing() as other:
        await other.execute(
            text("SELECT 1 FROM sanctions WHERE id = :id FOR NO KEY UPDATE"), {"id": sanction.id}
        )
        leaving = [
            asyncio.ensure_future(
                server.do(LeaveSanction(sanction_id=sanction.id, faction_id=each), owner.actor, world_id)
            )
            for each in (a, c)
        ]
        await until(lambda: locked_out(server, 2))
        await other.rollback()
    await asyncio.gather(*leaving)
    rows = await server.fetch("SELECT lifted_at FROM sanctions WHERE world_id = $1", world_id)
    assert rows[0]["lifted_at"] is not None
    assert not [f for f in await server.findings() if str(world_id) in f]


async def locked_out(server: Server, many: int) -> bool:
    rows = await server.fetch("SELECT count(*) AS many FROM pg_locks WHERE NOT granted")
    return bool(rows[0]["many"] >= many)


async def test_what_was_frozen_goes_to_the_heir(server: Server) -> None:
    owner, world_id, a, b = await two(server, treasury=300)
    freeze = ImposeSanction(faction_id=a, target_id=b, kind="asset_freeze", reason="debts")
    await server.do(freeze, owner.actor, world_id)
    await server.do(DissolveFaction(faction_id=b, heir_id=a), owner.actor, world_id)
    rows = await server.fetch("SELECT owner_id, balance FROM ledger_accounts WHERE world_id = $1", world_id)
    balances = {row["owner_id"]: row["balance"] for row in rows}
    assert (balances[a], balances[b]) == (600, 0)
    assert not [f for f in await server.findings() if str(world_id) in f]


async def test_who_joins_again_has_left_before(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    c = await found(server, owner, world_id, "Cedar")
    ban = ImposeSanction(faction_id=a, target_id=b, kind="travel_ban", reason="plague")
    sanction = await server.do(ban, owner.actor, world_id)
    for command in (JoinSanction, LeaveSanction, JoinSanction):
        await server.do(command(sanction_id=sanction.id, faction_id=c), owner.actor, world_id)
    rows = await server.fetch(
        "SELECT left_at FROM sanction_members WHERE world_id = $1 AND faction_id = $2",
        world_id,
        c,
    )
    assert sorted(row["left_at"] is None for row in rows) == [False, True]
