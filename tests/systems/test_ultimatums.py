"""Ultimatums against the real database: demands that become treaties, and consequences that come by themselves."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from fablewright.core.clock import DAY
from fablewright.core.refusal import Refused
from fablewright.systems.diplomacy.clauses import NoAttack, Pay
from fablewright.systems.diplomacy.commands import SetRelation
from fablewright.systems.diplomacy.war_commands import (
    AnswerUltimatum,
    Consequence,
    DeclareWar,
    IssueUltimatum,
    WithdrawUltimatum,
)
from fablewright.systems.factions.commands import DissolveFaction
from tests.support import Server
from tests.systems.test_incidents import advance, relation, spying, two
from tests.systems.test_wars import told

WAR = Consequence(kind="war")


def demand(a: UUID, b: UUID, consequence: Consequence = WAR, **fields: Any) -> IssueUltimatum:
    """That `b` pays 100 to `a`."""
    demands = [Pay(from_id=b, to_id=a, amount=100)]
    return IssueUltimatum(
        **{"faction_id": a, "target_id": b, "demands": demands, "consequence": consequence, **fields}
    )


async def sound(server: Server, world_id: UUID) -> None:
    assert not [f for f in await server.findings() if str(world_id) in f]


async def reputation(server: Server, faction_id: UUID) -> float:
    rows = await server.fetch("SELECT reputation FROM factions WHERE id = $1", faction_id)
    return float(rows[0]["reputation"])


async def causes(server: Server, world_id: UUID, kind: str) -> list[str]:
    """The types of the events that led to the last one of a type."""
    rows = await server.fetch(
        """WITH RECURSIVE chain AS (
               (SELECT id, type, causation_id, 0 AS depth FROM events WHERE world_id = $1 AND type = $2
                ORDER BY seq DESC LIMIT 1)
               UNION ALL SELECT e.id, e.type, e.causation_id, depth + 1 FROM chain c
               JOIN events e ON e.world_id = $1 AND e.id = c.causation_id)
           SELECT type FROM chain WHERE depth > 0 ORDER BY depth""",
        world_id, kind,
    )  # fmt: skip
    return [row["type"] for row in rows]


async def test_demands_that_are_met_are_a_treaty_and_settle_the_incident(server: Server) -> None:
    owner, world_id, a, b = await two(server, treasury=500)
    incident = await server.do(spying(a, b), owner.actor, world_id)
    made = await server.do(demand(a, b, incident_id=incident.id), owner.actor, world_id)
    assert (made.state, made.deadline) == ("issued", 10 * DAY)
    rungs = await told(server, world_id, "diplomacy.incident_escalated")
    assert [(e["previous"], e["rung"]) for e in rungs] == [("recall", "ultimatum")]
    tension = (await relation(server, world_id, a, b))[0]
    with pytest.raises(Refused, match="ultimatum_stands"):
        await server.do(demand(a, b), owner.actor, world_id)
    made = await server.do(AnswerUltimatum(ultimatum_id=made.id, accept=True), owner.actor, world_id)
    rows = await server.fetch(
        "SELECT state FROM treaties WHERE world_id = $1 AND id = $2", world_id, made.treaty_id
    )
    assert (made.state, [row["state"] for row in rows]) == ("accepted", ["in_force"])
    rows = await server.fetch(
        "SELECT balance FROM ledger_accounts WHERE world_id = $1 AND owner_id = $2", world_id, a
    )
    assert rows[0]["balance"] == 600
    assert [e["how"] for e in await told(server, world_id, "diplomacy.incident_resolved")] == [
        "the demands were met"
    ]
    assert (await relation(server, world_id, a, b))[0] < tension
    assert await reputation(server, b) < 0
    with pytest.raises(Refused, match="ultimatum_closed"):
        await server.do(WithdrawUltimatum(ultimatum_id=made.id), owner.actor, world_id)
    await advance(server, owner, world_id, 20 * DAY)
    assert await told(server, world_id, "diplomacy.war_declared") == []
    await sound(server, world_id)


async def test_what_cannot_be_paid_cannot_be_accepted(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    made = await server.do(demand(a, b), owner.actor, world_id)
    with pytest.raises(Refused, match="amount_not_covered"):
        await server.do(AnswerUltimatum(ultimatum_id=made.id, accept=True), owner.actor, world_id)
    assert await reputation(server, b) == 0, "nothing of it stays"


async def test_a_no_leads_to_the_promised_war(server: Server) -> None:
    owner, world_id, a, b = await two(server, treasury=500)
    made = await server.do(demand(a, b, text="Pay for the mill."), owner.actor, world_id)
    made = await server.do(AnswerUltimatum(ultimatum_id=made.id, accept=False), owner.actor, world_id)
    assert (made.state, made.acts_at) == ("rejected", 3 * DAY)
    assert (await relation(server, world_id, a, b))[1] != "war", "there is time to back down"
    await advance(server, owner, world_id, 4 * DAY)
    (war,) = await told(server, world_id, "diplomacy.war_declared")
    assert (war["cause"], war["cause_id"], war["reason"]) == (
        "ultimatum_rejected",
        str(made.id),
        "Pay for the mill.",
    )
    (done,) = await told(server, world_id, "diplomacy.ultimatum_carried_out")
    assert (done["outcome_id"], done["reason"]) == (war["war_id"], "")
    assert (await causes(server, world_id, "diplomacy.war_declared"))[0] == "diplomacy.ultimatum_carried_out"
    assert (await relation(server, world_id, a, b))[1] == "war"
    await sound(server, world_id)


@pytest.mark.parametrize(
    ("consequence", "event", "field"),
    [
        (Consequence(kind="sanction", sanction="tariff", rate=0.2), "sanction_imposed", "sanction_id"),
        (Consequence(kind="incident", incident="broken_promise"), "incident_occurred", "incident_id"),
    ],
)
async def test_silence_is_a_no(server: Server, consequence: Consequence, event: str, field: str) -> None:
    owner, world_id, a, b = await two(server)
    await server.do(demand(a, b, consequence), owner.actor, world_id)
    await advance(server, owner, world_id, 14 * DAY)
    assert len(await told(server, world_id, "diplomacy.ultimatum_expired")) == 1
    (came,) = await told(server, world_id, f"diplomacy.{event}")
    (done,) = await told(server, world_id, "diplomacy.ultimatum_carried_out")
    assert done["outcome_id"] == came[field]
    await sound(server, world_id)


async def test_an_ultimatum_about_hearsay_makes_no_just_war(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    hearsay = spying(a, b, kind="assassination", evidence=0.4)
    incident = await server.do(hearsay, owner.actor, world_id)
    made = await server.do(demand(a, b, incident_id=incident.id), owner.actor, world_id)
    with pytest.raises(Refused, match="cause_unfounded"):
        cause = DeclareWar(attacker_id=a, defender_id=b, cause="incident", cause_id=incident.id)
        await server.do(cause, owner.actor, world_id)
    await server.do(AnswerUltimatum(ultimatum_id=made.id, accept=False), owner.actor, world_id)
    cause = DeclareWar(attacker_id=a, defender_id=b, cause="ultimatum_rejected", cause_id=made.id)
    war = await server.do(cause, owner.actor, world_id)
    assert war.legitimacy < 0.4 and await reputation(server, a) < -3


async def test_what_follows_from_an_ultimatum_is_as_plain_as_what_it_was_about(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    plain = await server.do(spying(a, b, evidence=0.7), owner.actor, world_id)
    murder = Consequence(kind="incident", incident="assassination", severity=1.0)
    for about in (None, plain.id):
        await server.do(demand(a, b, murder, incident_id=about), owner.actor, world_id)
        await advance(server, owner, world_id, 14 * DAY)
    came = await told(server, world_id, "diplomacy.incident_occurred")
    assert [(e["evidence"], e["rung"]) for e in came[1:]] == [(0.4, "recall"), (0.7, "sanctions")]


async def test_backing_down_costs_face_and_more_after_a_no(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    faces = []
    for answered in (False, True):
        made = await server.do(demand(a, b), owner.actor, world_id)
        if answered:
            await server.do(AnswerUltimatum(ultimatum_id=made.id, accept=False), owner.actor, world_id)
        before = await reputation(server, a)
        made = await server.do(WithdrawUltimatum(ultimatum_id=made.id), owner.actor, world_id)
        assert (made.state, made.acts_at) == ("withdrawn", None)
        faces.append(before - await reputation(server, a))
    assert faces == [pytest.approx(6), pytest.approx(12)]
    await advance(server, owner, world_id, 30 * DAY)
    assert await told(server, world_id, "diplomacy.war_declared") == []
    await sound(server, world_id)


async def test_a_consequence_that_cannot_come_says_why(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    made = await server.do(demand(a, b), owner.actor, world_id)
    await server.do(AnswerUltimatum(ultimatum_id=made.id, accept=False), owner.actor, world_id)
    await server.do(SetRelation(a_id=a, b_id=b, status="truce"), owner.actor, world_id)
    await advance(server, owner, world_id, 4 * DAY)
    (done,) = await told(server, world_id, "diplomacy.ultimatum_carried_out")
    assert done["outcome_id"] is None and "truce" in done["reason"]
    assert await told(server, world_id, "diplomacy.war_declared") == []
    await sound(server, world_id)


async def test_what_is_refused(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    other = await server.do(spying(b, a), owner.actor, world_id)
    refused: list[tuple[str, dict[str, Any]]] = [
        ("ultimatum_to_oneself", {"target_id": a}),
        ("deadline_in_the_past", {"deadline": 0}),
        ("demands_nothing", {"demands": [Pay(from_id=a, to_id=b, amount=1)]}),
        ("clauses_contradict", {"demands": [NoAttack(a_id=a, b_id=b), NoAttack(a_id=b, b_id=a)]}),
        ("clause_names_no_party", {"demands": [Pay(from_id=b, to_id=UUID(int=9), amount=1)]}),
        ("sanction_shape", {"consequence": Consequence(kind="sanction", sanction="tariff")}),
        ("not_its_incident", {"incident_id": other.id}),
        ("incident_not_found", {"incident_id": UUID(int=9)}),
        ("faction_not_found", {"faction_id": UUID(int=9), "demands": [Pay(from_id=b, to_id=UUID(int=9), amount=1)]}),
    ]  # fmt: skip
    for code, fields in refused:
        with pytest.raises(Refused) as found:
            await server.do(demand(a, b, **fields), owner.actor, world_id)
        assert found.value.code == code
    for command in (
        AnswerUltimatum(ultimatum_id=UUID(int=9), accept=True),
        WithdrawUltimatum(ultimatum_id=UUID(int=9)),
    ):
        with pytest.raises(Refused, match="ultimatum_not_found"):
            await server.do(command, owner.actor, world_id)
    await server.do(SetRelation(a_id=a, b_id=b, status="truce"), owner.actor, world_id)
    with pytest.raises(Refused, match="truce_holds"):
        await server.do(demand(a, b), owner.actor, world_id)
    await server.do(SetRelation(a_id=a, b_id=b, status="allied"), owner.actor, world_id)
    with pytest.raises(Refused, match="status_move_illegal"):
        await server.do(demand(a, b), owner.actor, world_id)
    await server.do(SetRelation(a_id=a, b_id=b, status="war"), owner.actor, world_id)
    with pytest.raises(Refused, match="already_at_war"):
        await server.do(demand(a, b), owner.actor, world_id)


async def test_a_defied_ultimatum_is_reason_for_war_once(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    war = DeclareWar(attacker_id=a, defender_id=b, cause="ultimatum_rejected")
    with pytest.raises(Refused, match="cause_unfounded"):
        await server.do(war, owner.actor, world_id)
    made = await server.do(demand(a, b, Consequence(kind="incident")), owner.actor, world_id)
    await server.do(AnswerUltimatum(ultimatum_id=made.id, accept=False), owner.actor, world_id)
    await advance(server, owner, world_id, 4 * DAY)
    with pytest.raises(Refused, match="cause_unfounded"):
        await server.do(war, owner.actor, world_id)


async def test_two_answers_at_once_are_one(server: Server) -> None:
    owner, world_id, a, b = await two(server, treasury=500)
    made = await server.do(demand(a, b), owner.actor, world_id)
    answers = [AnswerUltimatum(ultimatum_id=made.id, accept=accept) for accept in (True, False, True)]
    results = await asyncio.gather(
        *(server.do(each, owner.actor, world_id) for each in answers), return_exceptions=True
    )
    refused = [r for r in results if isinstance(r, BaseException)]
    assert len(refused) == 2 and all(isinstance(r, Refused) and r.code == "ultimatum_closed" for r in refused)
    assert len(await told(server, world_id, "diplomacy.ultimatum_answered")) == 1
    await sound(server, world_id)


async def test_a_faction_that_is_no_more_demands_nothing(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    await server.do(demand(a, b), owner.actor, world_id)
    await server.do(DissolveFaction(faction_id=a), owner.actor, world_id)
    (gone,) = await told(server, world_id, "diplomacy.ultimatum_withdrawn")
    assert gone["face"] == 0
    await sound(server, world_id)
