"""Incidents between factions, against the real database."""

import asyncio
import uuid
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from fablewright.core.clock import DAY
from fablewright.core.refusal import Refused
from fablewright.systems.characters.commands import CreateCharacter
from fablewright.systems.dialogue.commands import Interact
from fablewright.systems.diplomacy.treaty_commands import SpyOnFaction
from fablewright.systems.diplomacy.war_commands import (
    AnswerIncident,
    DeclareWar,
    EscalateIncident,
    ImposeSanction,
    ReportIncident,
    SettleIncident,
)
from fablewright.systems.factions.commands import FoundFaction, MemberValue
from fablewright.systems.worlds.commands import AdvanceWorld
from tests.support import Person, Server, until


async def found(server: Server, owner: Person, world_id: UUID, name: str, **fields: Any) -> UUID:
    made = await server.do(FoundFaction(name=name, **fields), owner.actor, world_id)
    faction_id: UUID = made["id"] if isinstance(made, dict) else made.id
    return faction_id


async def two(server: Server, **fields: Any) -> tuple[Person, UUID, UUID, UUID]:
    """A world with two factions."""
    owner = await server.person()
    world_id = await server.world(owner)
    a, b = [await found(server, owner, world_id, name, **fields) for name in ("Ash", "Birch")]
    return owner, world_id, a, b


async def happened(server: Server, world_id: UUID) -> list[str]:
    rows = await server.fetch("SELECT type FROM events WHERE world_id = $1 ORDER BY seq", world_id)
    return [row["type"] for row in rows]


async def relation(server: Server, world_id: UUID, a: UUID, b: UUID) -> tuple[float, str]:
    low, high = sorted((a, b))
    row = (
        await server.fetch(
            "SELECT tension, status FROM relations WHERE world_id = $1 AND low_id = $2 AND high_id = $3",
            world_id, low, high,
        )
    )[0]  # fmt: skip
    return row["tension"], row["status"]


async def advance(server: Server, owner: Person, world_id: UUID, by_ms: int) -> None:
    """Fast-forward, and wait until that is done."""
    await server.do(AdvanceWorld(by_ms=by_ms), owner.actor, world_id)

    async def arrived() -> bool:
        rows = await server.fetch("SELECT state FROM advances WHERE world_id = $1", world_id)
        assert all(row["state"] in ("running", "done") for row in rows), rows
        return all(row["state"] == "done" for row in rows)

    await until(arrived)


def spying(a: UUID, b: UUID, **fields: Any) -> ReportIncident:
    return ReportIncident(**{"kind": "spying", "injured_id": a, "accused_id": b, "severity": 1.0, **fields})


async def test_an_incident_raises_tension_and_tells_why(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    made = await server.do(spying(a, b), owner.actor, world_id)
    assert (made.state, made.rung, made.answer_by) == ("open", "recall", 10 * DAY)
    assert made.legal_answers == ["apology", "reparation", "denial", "retaliation"]
    assert (await relation(server, world_id, a, b))[0] == 25.0
    rows = await server.fetch(
        "SELECT holder_id, about_id, amount, reason FROM opinions WHERE world_id = $1", world_id
    )
    assert [tuple(row) for row in rows] == [(a, b, -30.0, "spied on us")]
    assert "diplomacy.incident_occurred" in await happened(server, world_id)


async def test_reparation_settles_it_and_is_paid(server: Server) -> None:
    owner, world_id, a, b = await two(server, treasury=1000)
    made = await server.do(spying(a, b), owner.actor, world_id)
    with pytest.raises(Refused, match="reparation_too_small"):
        await server.do(
            AnswerIncident(incident_id=made.id, answer="reparation", amount=1), owner.actor, world_id
        )
    answer = AnswerIncident(incident_id=made.id, answer="reparation", amount=made.reparation_due)
    settled = await server.do(answer, owner.actor, world_id)
    assert (settled.state, settled.rung, settled.paid) == ("settled", "friction", made.reparation_due)
    rows = await server.fetch("SELECT owner_id, balance FROM ledger_accounts WHERE world_id = $1", world_id)
    balances = {row["owner_id"]: row["balance"] for row in rows}
    assert (balances[a], balances[b]) == (1000 + made.reparation_due, 1000 - made.reparation_due)
    assert (await relation(server, world_id, a, b))[0] == pytest.approx(25.0 * 0.3)
    with pytest.raises(Refused, match="incident_closed"):
        await server.do(answer, owner.actor, world_id)


async def test_what_cannot_be_paid_changes_nothing(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    made = await server.do(spying(a, b), owner.actor, world_id)
    before = await happened(server, world_id)
    with pytest.raises(Refused, match="insufficient_funds"):
        await server.do(
            AnswerIncident(incident_id=made.id, answer="reparation", amount=5000), owner.actor, world_id
        )
    assert await happened(server, world_id) == before


async def test_retaliation_is_an_incident_of_its_own(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    made = await server.do(spying(a, b), owner.actor, world_id)
    await server.do(AnswerIncident(incident_id=made.id, answer="retaliation"), owner.actor, world_id)
    rows = await server.fetch(
        "SELECT kind, injured_id, follows_id FROM incidents WHERE world_id = $1 ORDER BY kind DESC",
        world_id,
    )
    assert [tuple(row) for row in rows] == [("spying", a, None), ("retaliation", a, made.id)]


async def test_up_the_ladder_and_forgiven(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    made = await server.do(spying(a, b), owner.actor, world_id)
    with pytest.raises(Refused, match="too_early_to_escalate"):
        await server.do(EscalateIncident(incident_id=made.id), owner.actor, world_id)
    await server.do(AnswerIncident(incident_id=made.id, answer="denial"), owner.actor, world_id)
    rungs = [
        (await server.do(EscalateIncident(incident_id=made.id), owner.actor, world_id)).rung for _ in range(3)
    ]
    assert rungs == ["sanctions", "ultimatum", "show_of_force"]
    with pytest.raises(Refused, match="ladder_at_top"):
        await server.do(EscalateIncident(incident_id=made.id), owner.actor, world_id)
    forgiven = await server.do(SettleIncident(incident_id=made.id, forgive=True), owner.actor, world_id)
    assert forgiven.state == "settled"


async def test_what_nobody_touches_is_forgotten(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    made = await server.do(spying(a, b), owner.actor, world_id)
    await advance(server, owner, world_id, 100 * DAY)
    await server.do(AnswerIncident(incident_id=made.id, answer="apology"), owner.actor, world_id)
    await advance(server, owner, world_id, 300 * DAY)
    states = [
        row["state"]
        for row in await server.fetch("SELECT state FROM incidents WHERE world_id = $1", world_id)
    ]
    assert states == ["answered"], "it was touched after 100 days"
    await advance(server, owner, world_id, 61 * DAY)
    rows = await server.fetch("SELECT state, closed_at FROM incidents WHERE world_id = $1", world_id)
    assert [tuple(row) for row in rows] == [("faded", 460 * DAY)]


async def test_who_may(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    player = await server.member(world_id, owner, "player")
    spy, envoy, stranger = [
        (await server.do(CreateCharacter(name=name, user_id=user), owner.actor, world_id)).id
        for name, user in (("S", player.id), ("E", player.id), ("X", None))
    ]
    a = await found(
        server, owner, world_id, "Ash",
        members=[
            MemberValue(character_id=spy, role="spymaster"), MemberValue(character_id=envoy, role="ambassador"),
        ],
    )  # fmt: skip
    b = await found(server, owner, world_id, "Birch")
    for who, code in ((None, "name_who_acts"), (envoy, "role_may_not"), (stranger, "not_your_character")):
        with pytest.raises(Refused) as refused:
            await server.do(spying(a, b, character_id=who), player.actor, world_id)
        assert refused.value.code == code
    with pytest.raises(Refused, match="not_a_member"):
        await server.do(spying(b, a, character_id=spy), player.actor, world_id)
    made = await server.do(spying(a, b, character_id=spy), player.actor, world_id)
    assert made.by_id == spy


async def test_refusals(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    unknown = uuid.uuid4()
    for command, code in (
        (spying(a, a), "incident_with_oneself"),
        (spying(a, unknown), "faction_not_found"),
        (spying(a, b, event_id=unknown), "evidence_not_found"),
        (spying(a, b, region_id=unknown), "region_not_found"),
        (AnswerIncident(incident_id=unknown, answer="denial"), "incident_not_found"),
    ):
        with pytest.raises(Refused) as refused:
            await server.do(command, owner.actor, world_id)
        assert refused.value.code == code


async def test_two_answers_at_once(server: Server) -> None:
    owner, world_id, a, b = await two(server, treasury=5000)
    made = await server.do(spying(a, b), owner.actor, world_id)
    answer = AnswerIncident(incident_id=made.id, answer="reparation", amount=made.reparation_due)
    results = await asyncio.gather(
        *(server.do(answer, owner.actor, world_id) for _ in range(2)), return_exceptions=True
    )
    codes = sorted(r.code if isinstance(r, Refused) else r.state for r in results)  # type: ignore[union-attr]
    assert codes == ["incident_closed", "settled"]


async def test_only_a_deed_between_the_two_is_evidence(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    player = await server.member(world_id, owner, "player")
    spy, theirs, other = [
        (await server.do(CreateCharacter(name=name, user_id=user), owner.actor, world_id)).id
        for name, user in (("S", player.id), ("T", None), ("O", None))
    ]
    a, b, c = [
        await found(server, owner, world_id, name, members=[MemberValue(character_id=who, role="spymaster")])
        for name, who in (("Ash", spy), ("Birch", theirs), ("Cedar", other))
    ]

    async def last(kind: str) -> UUID:
        rows = await server.fetch(
            "SELECT id FROM events WHERE world_id = $1 AND type = $2 ORDER BY seq DESC LIMIT 1",
            world_id,
            kind,
        )
        found_id: UUID = rows[0]["id"]
        return found_id

    async def claimed(event_id: UUID, kind: str = "assassination") -> tuple[float, str]:
        report = spying(a, b, kind=kind, event_id=event_id, character_id=spy)
        made = await server.do(report, player.actor, world_id)
        return made.evidence, made.rung

    assert await claimed(await last("factions.founded")) == (0.4, "recall"), "it is about others"
    for said in ("incident_occurred", "tension_changed", "relationship_changed"):
        assert await claimed(await last(f"diplomacy.{said}")) == (0.4, "recall"), (
            "what one says shows nothing"
        )
    for doer, target in ((b, c), (a, b), (b, a)):
        ban = ImposeSanction(faction_id=doer, target_id=target, kind="travel_ban", reason="spies")
        await server.do(ban, owner.actor, world_id)
        shown = (1.0, "sanctions") if (doer, target) == (b, a) else (0.4, "recall")
        assert await claimed(await last("diplomacy.sanction_imposed")) == shown
    await server.do(SpyOnFaction(faction_id=a, target_id=b, character_id=spy), player.actor, world_id)
    assert await claimed(await last("diplomacy.spied")) == (0.4, "recall")
    for words in ((spy, theirs), (theirs, spy)):
        chat = Interact(initiator_id=words[0], target_id=words[1], type="chat", content="You thieves!")
        await server.do(chat, owner.actor, world_id)
        shown = (1.0 if words[0] == theirs else 0.4, "protest")
        assert await claimed(await last("dialogue.interacted"), "insult") == shown
    assert await claimed(await last("dialogue.interacted")) == (0.4, "recall"), "words are no murder"
    async with server.runtime.database.writing() as hand:
        await hand.execute(
            text("UPDATE events SET audience = ARRAY[CAST(:b AS uuid)] WHERE id = :id"),
            {"b": b, "id": await last("diplomacy.sanction_imposed")},
        )
        await hand.commit()
    with pytest.raises(Refused, match="evidence_not_found"):
        await claimed(await last("diplomacy.sanction_imposed"))


async def test_hearsay_that_is_denied_costs_the_accuser_face(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    for evidence in (0.0, 1.0):
        made = await server.do(spying(a, b, evidence=evidence), owner.actor, world_id)
        await server.do(AnswerIncident(incident_id=made.id, answer="denial"), owner.actor, world_id)
    rows = await server.fetch("SELECT id, reputation FROM factions WHERE world_id = $1", world_id)
    assert {row["id"]: row["reputation"] for row in rows} == {a: -3, b: -3}


async def test_going_up_the_ladder_is_not_a_try_to_settle_it(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    made = await server.do(spying(a, b), owner.actor, world_id)
    await server.do(AnswerIncident(incident_id=made.id, answer="denial"), owner.actor, world_id)
    for _ in range(3):
        await server.do(EscalateIncident(incident_id=made.id), owner.actor, world_id)
    war = DeclareWar(attacker_id=a, defender_id=b, cause="incident", cause_id=made.id)
    parts = {p.what: p.amount for p in (await server.do(war, owner.actor, world_id)).legitimacy_parts}
    assert parts["last_resort"] == 0.05, "it was denied once"
