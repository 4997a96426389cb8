"""Factions that run themselves, at a table of their own; and treaties of peace, which end wars."""

from typing import Any
from uuid import UUID

import pytest

from fablewright.core.clock import DAY, HOUR
from fablewright.core.transaction import Transaction
from fablewright.systems.characters.commands import UpdateCharacter
from fablewright.systems.diplomacy import nego_sittings, treaties
from fablewright.systems.diplomacy.clauses import KeepOut, NoAttack
from fablewright.systems.diplomacy.commands import AddOpinion, SetRelation
from fablewright.systems.diplomacy.nego_commands import AnswerOffer, OpenNegotiation
from fablewright.systems.diplomacy.treaty_commands import AMOUNT_NOT_COVERED
from fablewright.systems.diplomacy.war_commands import AnswerCall, CallToArms, DeclareWar
from fablewright.systems.factions.commands import ChangeFaction, DissolveFaction, FoundFaction
from fablewright.systems.regions.commands import DefineRegions, RegionValue, SetControl
from tests.support import Server
from tests.systems.test_negotiations import ASH, FAY, FORD, MOOR, Table

FEN, DALE, WOLD = UUID(int=504), UUID(int=505), UUID(int=506)
MARCH, HILL = UUID(int=601), UUID(int=602)


@pytest.fixture
async def table(server: Server) -> Table:
    """The table of negotiations, with three more factions that run themselves."""
    table = await Table(server).open()
    names = ((FEN, "Fen"), (DALE, "Dale"), (WOLD, "Wold"))
    await table.do([FoundFaction(id=i, name=name, treasury=1_000, self_run=True) for i, name in names])
    return table


async def ended(table: Table, talks: UUID) -> dict[str, Any]:
    (found,) = [e for e in await table.events("negotiation_ended") if e["negotiation_id"] == str(talks)]
    return found


async def hate(table: Table, *pairs: tuple[UUID, UUID], tension: int = 100) -> None:
    """Let factions think the worst of others."""
    await table.do([SetRelation(a_id=a, b_id=b, tension=tension) for a, b in pairs])
    await table.do([
        AddOpinion(holder_id=a, about_id=b, key="grudge", amount=-100, reason="the ford") for a, b in pairs
    ])  # fmt: skip


async def test_they_agree_on_a_treaty_in_force_and_leave_nothing_behind(table: Table) -> None:
    talks = await table.talks(FEN, faction_id=MOOR, kind="defence_pact", topic="Pact of the Reeds")
    await table.advance(3 * DAY)
    found = await ended(table, talks)
    assert found["state"] == "agreed"
    (treaty,) = await table.fetch(
        "SELECT name, kind, state FROM treaties WHERE world_id = $1 AND id = $2", UUID(found["treaty_id"])
    )
    assert tuple(treaty) == ("Pact of the Reeds", "defence_pact", "in_force")
    offers = await table.fetch(
        "SELECT number, state, ended_at IS NOT NULL FROM negotiation_offers WHERE world_id = $1 ORDER BY number"
    )
    assert tuple(offers[-1]) == (len(offers), "accepted", True)
    assert not await table.fetch("SELECT 1 FROM timers WHERE world_id = $1 AND kind LIKE 'diplomacy.nego%'")


async def test_each_thing_said_comes_of_the_one_before(table: Table) -> None:
    await table.talks(FEN, faction_id=MOOR, kind="non_aggression")
    await table.advance(3 * DAY)
    rows = await table.fetch(
        "SELECT id, type, causation_id FROM events WHERE world_id = $1 AND type LIKE 'diplomacy.%' ORDER BY seq"
    )
    by_id = {r["id"]: r for r in rows}
    chain, row = [], next(r for r in rows if r["type"] == "diplomacy.treaty_in_force")
    while row is not None:
        chain.append(row["type"].removeprefix("diplomacy."))
        row = by_id.get(row["causation_id"])
    assert chain == [
        "treaty_in_force",
        "offer_answered",
        "offer_weighed",
        "offer_made",
        "negotiation_started",
    ]


async def test_a_leader_who_speaks_well_moves_the_other_side(table: Table) -> None:
    await table.do(UpdateCharacter(character_id=FAY, skills={"rhetoric": 100}))
    talks = await table.talks(FEN, faction_id=MOOR, kind="non_aggression")
    await table.advance(3 * DAY)
    (told,) = await table.events("party_persuaded")
    assert (told["faction_id"], told["target_id"], told["by_id"]) == (str(MOOR), str(FEN), str(FAY))
    assert told["score"] == pytest.approx(0.5 * told["roll"] + sum(part["amount"] for part in told["parts"]))
    rows = await table.fetch(
        "SELECT lean FROM negotiation_parties WHERE world_id = $1 AND negotiation_id = $2 AND faction_id = $3",
        talks, FEN,
    )  # fmt: skip
    assert told["lean"] <= rows[0]["lean"] + 1e-9


async def test_enemies_find_nothing(table: Table) -> None:
    await hate(table, (MOOR, FEN))
    talks = await table.talks(FEN, faction_id=MOOR, kind="alliance")
    await table.advance(3 * DAY)
    found = await ended(table, talks)
    assert (found["state"], found["reason"]) == ("walked_out", "nothing was found that would do for all")
    assert not await table.fetch("SELECT 1 FROM treaties WHERE world_id = $1")


async def test_what_cannot_be_signed_ends_the_talks_and_no_others(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is due at once may be spent by a treaty that was concluded at another table. All hear that it cannot be
    paid, and nobody how much there is."""
    first, second = sorted(
        [await table.talks(i, faction_id=MOOR, kind="non_aggression") for i in (FEN, DALE)]
    )
    conclude, calls = treaties.conclude, 0

    async def spent(*args: Any, **values: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise AMOUNT_NOT_COVERED("900 points cannot be paid: 120 are available.")
        return await conclude(*args, **values)

    monkeypatch.setattr(treaties, "conclude", spent)
    await table.advance(3 * DAY)
    lost, won = await ended(table, first), await ended(table, second)
    assert (lost["state"], lost["reason"]) == ("walked_out", AMOUNT_NOT_COVERED.title)
    assert won["state"] == "agreed"
    rows = await table.fetch(
        "SELECT state FROM negotiation_offers WHERE world_id = $1 ORDER BY negotiation_id"
    )
    assert [r["state"] for r in rows] == ["lapsed", "accepted"]


async def test_many_tables_are_read_at_once(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five tables in which nothing is agreed cost as many statements as one."""
    counts: list[int] = []

    async def sat(pairs: list[tuple[UUID, UUID]]) -> int:
        await hate(table, *pairs)
        await table.do([OpenNegotiation(faction_id=a, with_ids=[b], kind="alliance") for a, b in pairs])
        seen = 0

        async def fetch(self: Transaction, sql: str, *args: Any) -> list[Any]:
            nonlocal seen
            seen += self.in_world and self.world_id == table.world_id and "treaty" not in sql
            return list(await self.driver.fetch(sql, *args))

        with monkeypatch.context() as patched:
            patched.setattr(Transaction, "fetch", fetch)
            await table.advance(3 * DAY)
        counts.append(seen)
        return seen

    await sat([(MOOR, FEN)])
    await sat([(MOOR, DALE), (MOOR, WOLD), (FEN, DALE), (FEN, WOLD), (DALE, WOLD)])
    assert counts[0] == counts[1]
    states = await table.fetch("SELECT DISTINCT state FROM negotiations WHERE world_id = $1")
    assert [s["state"] for s in states] == ["walked_out"]


async def test_too_many_tables_meet_an_hour_later(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nego_sittings, "MOST_TABLES", 1)
    for other in (FEN, DALE, WOLD):
        await table.talks(other, faction_id=MOOR, kind="non_aggression")
    await table.advance(3 * DAY)
    rows = await table.fetch("SELECT state, ended_at FROM negotiations WHERE world_id = $1 ORDER BY ended_at")
    assert {r["state"] for r in rows} == {"agreed"}
    first = rows[0]["ended_at"]
    assert [r["ended_at"] - first for r in rows] == [0, HOUR, 2 * HOUR]


async def test_three_sit_at_one_table(table: Table) -> None:
    ids = (MOOR, FEN, DALE)
    await table.do([
        AddOpinion(holder_id=a, about_id=b, key="friends", amount=90, reason="old friends")
        for a in ids for b in ids if a != b
    ])  # fmt: skip
    talks = await table.talks(faction_id=MOOR, with_ids=[FEN, DALE], kind="alliance")
    await table.advance(3 * DAY)
    found = await ended(table, talks)
    assert found["state"] == "agreed"
    rows = await table.fetch(
        "SELECT t.name, count(*) FROM treaties t JOIN treaty_parties p ON p.world_id = $1 AND p.treaty_id = t.id "
        "WHERE t.world_id = $1 AND p.signed_at IS NOT NULL GROUP BY t.name"
    )
    assert [tuple(row) for row in rows] == [("Alliance of Moor, Fen and Dale", 3)]


async def test_one_that_a_user_takes_over_is_waited_for(table: Table) -> None:
    talks = await table.talks(FEN, faction_id=MOOR, kind="non_aggression", deadline_days=6)
    await table.do(ChangeFaction(faction_id=FEN, self_run=False))
    await table.advance(3 * DAY)
    assert await table.state(talks) == "open"
    (offer,) = await table.events("offer_made")
    assert offer["faction_id"] == str(MOOR)
    made = await table.do(AnswerOffer(negotiation_id=talks, faction_id=FEN, number=1, accept=True))
    assert made.state == "agreed"


async def test_nobody_sits_with_one_that_is_no_more(table: Table) -> None:
    talks = await table.talks(FEN, faction_id=MOOR)
    await table.do(DissolveFaction(faction_id=FEN))
    await table.advance(3 * DAY)
    found = await ended(table, talks)
    assert (found["state"], found["faction_id"], found["reason"]) == ("walked_out", str(FEN), "it is no more")


async def test_talks_of_a_day_are_held_in_time(table: Table) -> None:
    talks = await table.talks(FEN, faction_id=MOOR, kind="non_aggression", deadline_days=1)
    await table.advance(1 * DAY)
    assert (await ended(table, talks))["state"] == "agreed"


# -- peace -----------------------------------------------------------------------------------------------------


async def at_war(table: Table, a: UUID, b: UUID) -> UUID:
    return (await table.do(DeclareWar(attacker_id=a, defender_id=b, reason="greed"))).id  # type: ignore[no-any-return]


async def take(table: Table, war: UUID, region: UUID, name: str, by: UUID, of: UUID) -> None:
    """Let a faction hold a region of another one in war, as a battle would."""
    await table.do(DefineRegions(regions=[RegionValue(id=region, name=name)]))
    await table.do(SetControl(region_id=region, controller_id=by))
    await table.fetch(
        "INSERT INTO occupations (world_id, id, war_id, region_id, holder_id, occupier_id, at) "
        "VALUES ($1, gen_random_uuid(), $2, $3, $4, $5, 0) RETURNING 1",
        war, region, of, by,
    )  # fmt: skip


async def holder(table: Table, region: UUID) -> UUID:
    rows = await table.fetch("SELECT controller_id FROM regions WHERE world_id = $1 AND id = $2", region)
    return rows[0]["controller_id"]  # type: ignore[no-any-return]


async def outcome(table: Table, war: UUID) -> tuple[bool, UUID | None]:
    (row,) = await table.fetch("SELECT ended_at, treaty_id FROM wars WHERE world_id = $1 AND id = $2", war)
    return row["ended_at"] is not None, row["treaty_id"]


async def status(table: Table, a: UUID, b: UUID) -> str:
    rows = await table.fetch(
        "SELECT status FROM relations WHERE world_id = $1 AND low_id = least($2::uuid, $3) "
        "AND high_id = greatest($2::uuid, $3)",
        a, b,
    )  # fmt: skip
    return str(rows[0]["status"])


@pytest.mark.parametrize(("kind", "held"), [("peace", (ASH, FORD)), ("ceasefire", (ASH, ASH))])
async def test_peace_that_is_signed_ends_the_war(table: Table, kind: str, held: tuple[UUID, UUID]) -> None:
    """Of two regions taken one is left to its taker by a clause; the other goes back, but for a ceasefire."""
    war = await at_war(table, ASH, FORD)
    await take(table, war, MARCH, "March", ASH, FORD)
    await take(table, war, HILL, "Hill", ASH, FORD)
    talks = await table.talks(kind=kind, topic="Peace of the March")
    stays = KeepOut(faction_id=FORD, region_id=MARCH, for_id=ASH)
    await table.offer(talks, NoAttack(a_id=ASH, b_id=FORD), stays)
    made = await table.do(AnswerOffer(negotiation_id=talks, faction_id=FORD, number=1, accept=True))
    assert await outcome(table, war) == (True, made.treaty_id)
    assert (await holder(table, MARCH), await holder(table, HILL)) == held
    assert await status(table, ASH, FORD) == "truce"
    (told,) = await table.events("peace_made")
    assert told["treaty_id"] == str(made.treaty_id)


async def test_those_who_run_themselves_make_peace(table: Table) -> None:
    war = await at_war(table, MOOR, FEN)
    talks = await table.talks(MOOR, faction_id=FEN, kind="peace", about_id=war)
    await table.advance(3 * DAY)
    assert (await ended(table, talks))["state"] == "agreed"
    over, treaty_id = await outcome(table, war)
    assert over and treaty_id is not None
    assert await status(table, MOOR, FEN) == "truce"


async def test_an_ally_makes_a_peace_of_its_own(table: Table) -> None:
    war = await at_war(table, ASH, FORD)
    await table.do(CallToArms(war_id=war, faction_id=FORD, ally_id=MOOR))
    await table.do(AnswerCall(war_id=war, faction_id=MOOR, come=True))
    await take(table, war, MARCH, "March", MOOR, ASH)
    talks = await table.talks(MOOR, kind="peace")
    await table.offer(talks, NoAttack(a_id=ASH, b_id=MOOR))
    await table.do(AnswerOffer(negotiation_id=talks, faction_id=MOOR, number=1, accept=True))
    assert await outcome(table, war) == (False, None)
    (left,) = await table.events("war_party_left")
    assert left["faction_id"] == str(MOOR)
    assert await holder(table, MARCH) == ASH
    assert (await status(table, ASH, MOOR), await status(table, ASH, FORD)) == ("truce", "war")


async def test_the_doctor_finds_all_tables_in_order(table: Table) -> None:
    assert not [f for f in await table.server.findings() if "negotiation" in f or "talks" in f]
    talks = await table.talks(FEN, faction_id=MOOR)
    await table.fetch(
        "UPDATE negotiations SET state = 'agreed', ended_at = 0 WHERE world_id = $1 AND id = $2 RETURNING 1",
        talks,
    )
    found = [f for f in await table.server.findings() if str(talks) in f]
    assert len(found) == 1 and "agreed, but without" in found[0]
    await table.fetch("DELETE FROM worlds WHERE id = $1 RETURNING 1")
