"""Coalitions against the real database: who may form them, what their members share, and how they end."""

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import text

from fablewright.core.clock import DAY
from fablewright.core.refusal import Refused
from fablewright.systems.diplomacy.commands import AddOpinion, SetRelation
from fablewright.systems.diplomacy.war_commands import (
    DeclareWar,
    FormCoalition,
    ImposeSanction,
    JoinCoalition,
    LeaveCoalition,
    MakePeace,
)
from fablewright.systems.factions.commands import DissolveFaction
from fablewright.systems.regions.commands import BorderValue, DefineRegions
from tests.support import Person, Server, until
from tests.systems.test_incidents import advance, found, relation, two
from tests.systems.test_sanctions import locked_out, standing
from tests.systems.test_wars import region, told


async def frightened(server: Server) -> tuple[Person, UUID, list[UUID]]:
    """A world in which the first faction has fallen upon two far victims, and two neighbours fear it."""
    owner, world_id, a, b = await two(server)
    c, *victims = [await found(server, owner, world_id, name) for name in ("Cedar", "Far", "Farther")]
    lands = [
        await region(server, owner, world_id, name, holder) for name, holder in (("A", a), ("B", b), ("C", c))
    ]
    borders = [BorderValue(a_id=lands[0], b_id=land, minutes=60) for land in lands[1:]]
    await server.do(DefineRegions(borders=borders), owner.actor, world_id)
    for victim in victims:
        war = await server.do(DeclareWar(attacker_id=a, defender_id=victim), owner.actor, world_id)
        await server.do(MakePeace(war_id=war.id, faction_id=a), owner.actor, world_id)
    return owner, world_id, [a, b, c, victims[0]]


async def sound(server: Server, world_id: UUID) -> None:
    assert not [f for f in await server.findings() if str(world_id) in f]


async def test_neighbours_of_an_aggressor_stand_together(server: Server) -> None:
    owner, world_id, (a, b, c, _) = await frightened(server)
    made = await server.do(FormCoalition(faction_id=b, target_id=a), owner.actor, world_id)
    (formed,) = await told(server, world_id, "diplomacy.coalition_formed")
    assert formed["fear"] >= 25 and str(c) in formed["frightened_ids"]
    embargo = ImposeSanction(faction_id=b, target_id=a, kind="embargo", reason="wars", for_coalition=True)
    sanction = await server.do(embargo, owner.actor, world_id)
    assert (sanction.coalition_id, [m.faction_id for m in sanction.members]) == (made.id, [b])
    made = await server.do(JoinCoalition(coalition_id=made.id, faction_id=c), owner.actor, world_id)
    assert sorted(m.faction_id for m in made.members) == sorted([b, c])
    assert await standing(server, world_id) == [("embargo", "sanction")] * 4, "who joins takes part"
    rows = await server.fetch(
        "SELECT holder_id, about_id, amount FROM opinions WHERE world_id = $1 AND key LIKE 'coalition:%'",
        world_id,
    )
    assert sorted((r["holder_id"], r["about_id"]) for r in rows) == sorted([(b, c), (c, b)])

    # Whom the target attacks has the others called; who stays away has broken its word.
    war = await server.do(DeclareWar(attacker_id=a, defender_id=b), owner.actor, world_id)
    assert {p.faction_id: p.state for p in war.parties} == {a: "fighting", b: "fighting", c: "called"}
    await server.do(MakePeace(war_id=war.id, faction_id=a), owner.actor, world_id)

    # In war or out of it, who leaves leaves the sanctions, too; one alone is no coalition.
    made = await server.do(LeaveCoalition(coalition_id=made.id, faction_id=c), owner.actor, world_id)
    assert made.dissolved_at is not None
    assert await standing(server, world_id) == []
    (over,) = await told(server, world_id, "diplomacy.coalition_dissolved")
    assert over["reason"] == "too few are left"
    rows = await server.fetch(
        "SELECT holder_id FROM opinions WHERE world_id = $1 AND key = 'deserted' AND about_id = $2",
        world_id,
        c,
    )
    assert [row["holder_id"] for row in rows] == [b]
    await sound(server, world_id)


async def test_secret_reasons_do_not_show_in_fear(server: Server) -> None:
    owner, world_id, (a, b, _, _) = await frightened(server)

    async def fear() -> list[tuple[str, float]]:
        url = f"/api/v1/worlds/{world_id}/factions/{a}/warlike"
        answer = await server.client.get(url, headers=owner.headers)
        return [(each["faction_id"], each["fear"]) for each in answer.json()["feared_by"]]

    before = await fear()
    liking = AddOpinion(holder_id=b, about_id=a, key="pact", amount=50, reason="a secret pact", secret=True)
    await server.do(liking, owner.actor, world_id)
    assert await fear() == before
    await server.do(liking.model_copy(update={"key": "open", "secret": False}), owner.actor, world_id)
    assert await fear() != before


async def test_all_who_leave_at_once_leave_no_coalition(server: Server) -> None:
    owner, world_id, (a, b, c, _) = await frightened(server)
    made = await server.do(FormCoalition(faction_id=b, target_id=a), owner.actor, world_id)
    d = await found(server, owner, world_id, "Dogwood")
    await server.do(SetRelation(a_id=a, b_id=d, tension=100), owner.actor, world_id)
    for each in (c, d):
        await server.do(JoinCoalition(coalition_id=made.id, faction_id=each), owner.actor, world_id)
    async with server.runtime.database.writing() as other:
        await other.execute(
            text("SELECT 1 FROM coalitions WHERE id = :id FOR NO KEY UPDATE"), {"id": made.id}
        )
        leaving = [
            asyncio.ensure_future(
                server.do(LeaveCoalition(coalition_id=made.id, faction_id=each), owner.actor, world_id)
            )
            for each in (c, d)
        ]
        await until(lambda: locked_out(server, 2))
        await other.rollback()
    await asyncio.gather(*leaving)
    assert len(await told(server, world_id, "diplomacy.coalition_dissolved")) == 1
    await sound(server, world_id)


async def test_a_war_for_the_coalition_calls_its_members(server: Server) -> None:
    owner, world_id, (a, b, c, _) = await frightened(server)
    made = await server.do(FormCoalition(faction_id=b, target_id=a), owner.actor, world_id)
    await server.do(JoinCoalition(coalition_id=made.id, faction_id=c), owner.actor, world_id)
    war = await server.do(DeclareWar(attacker_id=c, defender_id=a), owner.actor, world_id)
    assert {p.faction_id for p in war.parties} == {a, c}, "conquest is nothing of theirs"
    await server.do(MakePeace(war_id=war.id, faction_id=c), owner.actor, world_id)
    war = await server.do(
        DeclareWar(attacker_id=b, defender_id=a, cause="coalition", cause_id=made.id), owner.actor, world_id
    )
    assert {p.faction_id: (p.side, p.state) for p in war.parties} == {
        b: ("attacker", "fighting"), a: ("defender", "fighting"), c: ("attacker", "called"),
    }  # fmt: skip
    assert war.legitimacy > 0.6
    await sound(server, world_id)


async def test_it_ends_when_the_fear_has_passed(server: Server) -> None:
    owner, world_id, (a, b, c, _) = await frightened(server)
    made = await server.do(FormCoalition(faction_id=b, target_id=a), owner.actor, world_id)
    await server.do(JoinCoalition(coalition_id=made.id, faction_id=c), owner.actor, world_id)
    await advance(server, owner, world_id, 91 * DAY)
    assert await told(server, world_id, "diplomacy.coalition_dissolved") == []
    await advance(server, owner, world_id, 1200 * DAY)
    (over,) = await told(server, world_id, "diplomacy.coalition_dissolved")
    assert over["reason"] == "the fear has passed"
    await sound(server, world_id)


async def test_one_that_nobody_joins_is_none(server: Server) -> None:
    owner, world_id, (a, b, _, _) = await frightened(server)
    await server.do(FormCoalition(faction_id=b, target_id=a), owner.actor, world_id)
    await advance(server, owner, world_id, 91 * DAY)
    (over,) = await told(server, world_id, "diplomacy.coalition_dissolved")
    assert over["reason"] == "nobody has joined"


async def test_its_target_is_no_more(server: Server) -> None:
    owner, world_id, (a, b, c, _) = await frightened(server)
    made = await server.do(FormCoalition(faction_id=b, target_id=a), owner.actor, world_id)
    await server.do(JoinCoalition(coalition_id=made.id, faction_id=c), owner.actor, world_id)
    tariff = ImposeSanction(
        faction_id=c, target_id=a, kind="tariff", rate=0.1, reason="wars", for_coalition=True
    )
    await server.do(tariff, owner.actor, world_id)
    await server.do(DissolveFaction(faction_id=a), owner.actor, world_id)
    assert [e["reason"] for e in await told(server, world_id, "diplomacy.coalition_dissolved")] == [
        "its target is no more"
    ]
    assert await standing(server, world_id) == []
    await sound(server, world_id)


async def test_what_is_refused(server: Server) -> None:
    owner, world_id, (a, b, c, victim) = await frightened(server)
    d = await found(server, owner, world_id, "Calm")
    await server.do(
        AddOpinion(holder_id=d, about_id=a, key="x", amount=90, reason="brothers"), owner.actor, world_id
    )
    no_fear = FormCoalition(faction_id=b, target_id=c)
    with pytest.raises(Refused, match="too_little_fear") as refused:
        await server.do(no_fear, owner.actor, world_id)
    assert refused.value.facts["frightened"] == []
    made = await server.do(FormCoalition(faction_id=b, target_id=a), owner.actor, world_id)
    unknown = UUID(int=9)
    await server.do(SetRelation(a_id=c, b_id=a, status="allied"), owner.actor, world_id)
    for command, code in (
        (FormCoalition(faction_id=b, target_id=b), "coalition_against_oneself"),
        (FormCoalition(faction_id=c, target_id=a), "allied_to_the_target"),
        (FormCoalition(faction_id=victim, target_id=a), "coalition_stands"),
        (JoinCoalition(coalition_id=unknown, faction_id=b), "coalition_not_found"),
        (JoinCoalition(coalition_id=made.id, faction_id=a), "coalition_against_oneself"),
        (JoinCoalition(coalition_id=made.id, faction_id=b), "in_coalition"),
        (JoinCoalition(coalition_id=made.id, faction_id=c), "allied_to_the_target"),
        (JoinCoalition(coalition_id=made.id, faction_id=d), "too_little_fear"),
        (LeaveCoalition(coalition_id=made.id, faction_id=d), "not_in_coalition"),
        (
            ImposeSanction(faction_id=d, target_id=a, kind="embargo", reason="x", for_coalition=True),
            "not_in_coalition",
        ),
    ):
        with pytest.raises(Refused) as refused:
            await server.do(command, owner.actor, world_id)
        assert refused.value.code == code, command
    await server.do(LeaveCoalition(coalition_id=made.id, faction_id=b), owner.actor, world_id)
    with pytest.raises(Refused, match="coalition_over"):
        await server.do(JoinCoalition(coalition_id=made.id, faction_id=b), owner.actor, world_id)
    assert (await relation(server, world_id, a, b))[1] != "war"
