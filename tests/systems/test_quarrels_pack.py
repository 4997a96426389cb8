"""Incidents, coalitions and sanctions are written into packs, read again, and go on as they would have."""

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from fablewright.core.clock import DAY
from fablewright.core.refusal import Refused
from fablewright.systems.characters.commands import CreateCharacter
from fablewright.systems.diplomacy.clauses import HandOver, NoTrade, OpenBorders
from fablewright.systems.diplomacy.commands import AddOpinion, SetRelation
from fablewright.systems.diplomacy.quarrel_commands import (
    CoalitionMemberValue,
    ImportCoalition,
    ImportIncident,
    ImportSanction,
    MemberValue,
)
from fablewright.systems.diplomacy.treaty_commands import AccuseOfBreach, ImportTreaty
from fablewright.systems.diplomacy.war_commands import (
    AnswerIncident,
    DeclareWar,
    EscalateIncident,
    FormCoalition,
    ImposeSanction,
    JoinCoalition,
    JoinSanction,
    LeaveSanction,
    LiftCondition,
    ReportIncident,
    SettleIncident,
)
from fablewright.systems.factions.commands import AddMember, DissolveFaction, GrantTreasury
from fablewright.systems.markets.commands import DefineGoods, GoodValue, OpenRoute
from fablewright.systems.regions.commands import BorderValue, DefineRegions, SetControl
from tests.support import Server
from tests.systems.test_coalitions import frightened
from tests.systems.test_incidents import advance, found, happened, relation, spying, two
from tests.systems.test_wars import region, sound, told
from tests.systems.test_wars_pack import exported, imported

STATE = {
    "incidents": "SELECT id, kind, injured_id, accused_id, severity, evidence, description, region_id, follows_id, "
    "state, rung, answer, paid, tried, answer_by, at, changed_at, closed_at FROM incidents WHERE world_id = $1 "
    "AND accused_id IN (SELECT id FROM factions WHERE world_id = $1 AND dissolved_at IS NULL) ORDER BY 1",
    "coalitions": "SELECT id, target_id, at FROM coalitions WHERE world_id = $1 AND dissolved_at IS NULL ORDER BY 1",
    "their members": "SELECT coalition_id, faction_id, fear, at FROM coalition_members "
    "WHERE world_id = $1 AND left_at IS NULL ORDER BY 1, 2",
    "timers": "SELECT kind, due_at, data ->> 'coalition_id' FROM timers "
    "WHERE world_id = $1 AND kind = 'diplomacy.coalition_review' ORDER BY 1, 2, 3",
}


SANCTIONS = {
    "sanctions": "SELECT id, target_id, kind, good, rate, reason, lift_when::text, incident_id, coalition_id, frozen, "
    "until_at, at FROM sanctions WHERE world_id = $1 AND lifted_at IS NULL ORDER BY 1",
    "who takes part": "SELECT sanction_id, faction_id, joined_at FROM sanction_members "
    "WHERE world_id = $1 AND left_at IS NULL ORDER BY 1, 2",
    "trade": "SELECT source, kind, good, from_id, to_id, rate, reason FROM trade_restrictions "
    "WHERE world_id = $1 AND lifted_at IS NULL ORDER BY 1, 4",
    "travel": "SELECT source, region_id, subject_id, reason FROM movement_bans "
    "WHERE world_id = $1 AND lifted_at IS NULL ORDER BY 1, 2",
    "money": "SELECT owner_id, balance, held FROM ledger_accounts WHERE world_id = $1 AND balance > 0 ORDER BY 1",
    "what is held": "SELECT kind, amount, reference FROM ledger_holds WHERE world_id = $1 AND state = 'open'",
    "reviews": "SELECT due_at, data ->> 'sanction_id' FROM timers "
    "WHERE world_id = $1 AND kind = 'diplomacy.sanction_review' ORDER BY 1, 2",
}
STATE |= SANCTIONS


async def equal(server: Server, one: UUID, two: UUID, *names: str) -> None:
    """Both worlds have the same quarrels of these kinds, and some of each."""
    for name in names:
        rows = [[tuple(row) for row in await server.fetch(STATE[name], world)] for world in (one, two)]
        assert rows[0] and rows[0] == rows[1], name


async def test_what_has_faded_is_not_lost_on_the_way(server: Server, tmp_path: Path) -> None:
    """Reasons of which hardly anything is left stay, as long as anything is; what is left of nothing is nothing."""
    owner, world_id, a, b = await two(server)
    felt = SetRelation(a_id=a, b_id=b, tension=50, trust=0.9)
    lasting = [
        AddOpinion(holder_id=who, about_id=of, key=k, amount=30, reason=k, half_life_days=d)
        for who, of in ((a, b), (b, a)) for k, d in (("deed", 400), ("gift", 30), ("song", 90), ("word", None))
    ]  # fmt: skip
    softer = AddOpinion(
        holder_id=a, about_id=b, key="word", amount=-5, reason="word", cap=10, half_life_days=None
    )
    await server.do([felt, *lasting, softer], owner.actor, world_id)  # type: ignore[arg-type]
    for number, steps in enumerate((1, 3, 20)):
        for _ in range(steps):
            await advance(server, owner, world_id, 1_000 * DAY)
        first = await exported(server, world_id, tmp_path / f"one{number}")
        copy = await imported(server, owner, tmp_path / f"one{number}")
        assert first == await exported(server, copy, tmp_path / f"two{number}")
    assert [first["relations.yaml"].count(key) for key in ("key: word", "key: gift", "tension", "trust: 0.5")] == [
        2, 0, 0, 1
    ]  # fmt: skip


async def test_what_lies_between_two_still_does(server: Server, tmp_path: Path) -> None:
    owner, world_id, a, b = await two(server, treasury=900)
    gate = await region(server, owner, world_id, "Gate", a)
    gone = await found(server, owner, world_id, "Cedar")

    async def do(command: Any) -> Any:
        return await server.do(command, owner.actor, world_id)

    spied = await do(spying(a, b, region_id=gate, description="In our own hall."))
    await do(spying(a, gone))
    await do(DissolveFaction(faction_id=gone))
    insult = ReportIncident(kind="insult", injured_id=b, accused_id=a, severity=0.3, evidence=0.4)
    answers = ("apology", "denial", "retaliation")
    given = [(await do(insult)).id for _ in (*answers, "none")]
    for incident_id, said in zip(given, answers, strict=False):
        await do(AnswerIncident(incident_id=incident_id, answer=said))
    await do(SettleIncident(incident_id=given[0]))
    await advance(server, owner, world_id, 11 * DAY)
    await do(EscalateIncident(incident_id=spied.id))
    war = await do(DeclareWar(attacker_id=a, defender_id=b, cause="incident", cause_id=spied.id))
    first = await exported(server, world_id, tmp_path / "one")
    copy = await imported(server, owner, tmp_path / "one")
    assert first == await exported(server, copy, tmp_path / "two")
    await equal(server, world_id, copy, "incidents")
    rows = await server.fetch("SELECT cause_id FROM wars WHERE world_id = $1 AND id = $2", copy, war.id)
    assert rows[0]["cause_id"] == spied.id
    assert "diplomacy.incident_occurred" not in await happened(server, copy), "nobody takes it ill again"
    assert await relation(server, world_id, a, b) == await relation(server, copy, a, b)
    await sound(server, copy)
    for world in (world_id, copy):  # and what nobody speaks of any more is forgotten at the same time
        await server.do(AnswerIncident(incident_id=given[3], answer="apology"), owner.actor, world)
        await advance(server, owner, world, 400 * DAY)
    assert len(await told(server, copy, "diplomacy.incident_resolved")) > 3
    await equal(server, world_id, copy, "incidents")
    await sound(server, copy)


async def test_who_stands_together_still_does(server: Server, tmp_path: Path) -> None:
    owner, world_id, (a, b, c, _) = await frightened(server)
    made = await server.do(FormCoalition(faction_id=b, target_id=a), owner.actor, world_id)
    await advance(server, owner, world_id, 9 * DAY)
    await server.do(JoinCoalition(coalition_id=made.id, faction_id=c), owner.actor, world_id)
    first = await exported(server, world_id, tmp_path / "one")
    copy = await imported(server, owner, tmp_path / "one")
    assert first == await exported(server, copy, tmp_path / "two")
    await equal(server, world_id, copy, "coalitions", "their members", "timers")
    await sound(server, copy)
    for world in (world_id, copy):  # and it is over when the fear has passed
        await advance(server, owner, world, 721 * DAY)
    ends = [await told(server, world, "diplomacy.coalition_dissolved") for world in (world_id, copy)]
    assert ends[0] and ends[0] == ends[1]
    await sound(server, copy)


async def test_what_factions_are_sanctioned_by_still_binds_them(server: Server, tmp_path: Path) -> None:
    owner, world_id, (a, b, c, d) = await frightened(server)

    async def do(command: Any) -> Any:
        return await server.do(command, owner.actor, world_id)

    async def sanction(kind: str, **fields: Any) -> UUID:
        return (await do(ImposeSanction(target_id=a, kind=kind, reason="wars", **fields))).id  # type: ignore[no-any-return]

    await do(GrantTreasury(faction_id=a, amount=300))
    league = await do(FormCoalition(faction_id=b, target_id=a))
    spied = await do(spying(c, a))
    await sanction("embargo", faction_id=b, for_coalition=True)
    settled = [LiftCondition(kind="incident_settled"), LiftCondition(kind="tension_below", value=99)]
    ban = await sanction("travel_ban", faction_id=c, incident_id=spied.id, lift_when=settled)
    freeze = await sanction("asset_freeze", faction_id=c)
    await do(GrantTreasury(faction_id=a, amount=50))
    await advance(server, owner, world_id, 5 * DAY)
    await sanction("tariff", faction_id=d, rate=0.25, until_at=40 * DAY)
    await do(JoinSanction(sanction_id=ban, faction_id=d))
    await do(JoinCoalition(coalition_id=league.id, faction_id=c))
    first = await exported(server, world_id, tmp_path / "one")
    copy = await imported(server, owner, tmp_path / "one")
    assert first == await exported(server, copy, tmp_path / "two")
    await equal(server, world_id, copy, *SANCTIONS)
    assert "diplomacy.sanction_imposed" not in await happened(server, copy), "nobody resents it again"
    await sound(server, copy)
    for world in (world_id, copy):  # and it ends as it would have
        await server.do(SettleIncident(incident_id=spied.id, forgive=True), owner.actor, world)
        await server.do(LeaveSanction(sanction_id=freeze, faction_id=c), owner.actor, world)
        await advance(server, owner, world, 60 * DAY)
        rows = await server.fetch(
            "SELECT kind FROM sanctions WHERE world_id = $1 AND lifted_at IS NULL", world
        )
        assert [row["kind"] for row in rows] == ["embargo"]
        rows = await server.fetch("SELECT sum(held) AS held FROM ledger_accounts WHERE world_id = $1", world)
        assert rows[0]["held"] == 0
    await sound(server, copy)


async def test_conditions_that_hold_are_looked_at_in_their_time(server: Server, tmp_path: Path) -> None:
    """Tension has fallen since the last look: the sanction is lifted at the next one, not by being brought over."""
    owner, world_id, a, b = await two(server)
    eased = [LiftCondition(kind="tension_below", value=3.9)]
    tariff = ImposeSanction(
        faction_id=a, target_id=b, kind="tariff", rate=0.2, reason="tolls", lift_when=eased
    )
    await server.do(tariff, owner.actor, world_id)
    await advance(server, owner, world_id, 25 * DAY)
    await exported(server, world_id, tmp_path / "one")
    copy = await imported(server, owner, tmp_path / "one")
    await equal(server, world_id, copy, "sanctions", "reviews")
    for world in (world_id, copy):
        await advance(server, owner, world, 5 * DAY)
    lifted = "SELECT lifted_at, lift_reason FROM sanctions WHERE world_id = $1"
    rows = [[tuple(row) for row in await server.fetch(lifted, world)] for world in (world_id, copy)]
    assert rows[0] == rows[1] == [(30 * DAY, "its conditions hold: tension below")]


async def test_a_travel_ban_breaks_no_treaty_again_by_being_brought_over(
    server: Server, tmp_path: Path
) -> None:
    owner, world_id, a, b = await two(server)
    c = await found(server, owner, world_id, "Cedar")
    for name in ("Gate", "Ford"):
        await region(server, owner, world_id, name, a)
    promises = [OpenBorders(faction_id=i, to_id=b) for i in (a, c)]
    await server.do(
        ImportTreaty(name="Open Roads", parties=[a, b, c], clauses=promises), owner.actor, world_id
    )
    ban = await server.do(
        ImposeSanction(faction_id=a, target_id=b, kind="travel_ban", reason="x"), owner.actor, world_id
    )
    await server.do(JoinSanction(sanction_id=ban.id, faction_id=c), owner.actor, world_id)
    assert [UUID(e["faction_id"]) for e in await told(server, world_id, "diplomacy.treaty_violated")] == [
        a,
        c,
    ]
    await exported(server, world_id, tmp_path / "one")
    copy = await imported(server, owner, tmp_path / "one")
    await equal(server, world_id, copy, "sanctions", "travel")
    assert await told(server, copy, "diplomacy.treaty_violated") == []
    rows = await server.fetch("SELECT id FROM treaties WHERE world_id = $1", copy)
    closed = await server.fetch(
        "SELECT id FROM events WHERE world_id = $1 AND type = 'regions.movement_banned'", copy
    )
    accused = AccuseOfBreach(
        treaty_id=rows[0]["id"], faction_id=b, accused_id=a, clause=1, event_id=closed[0]["id"]
    )
    assert await server.do(accused, owner.actor, copy) == {"founded": False}, "nor is it evidence"


async def test_what_was_done_before_is_not_judged_by_what_is_brought_in_after_it(
    server: Server, tmp_path: Path
) -> None:
    """Nor is what came before it in any other list of commands; what comes after it is."""
    owner, world_id, a, b = await two(server)
    c = await found(server, owner, world_id, "Cedar")
    near, far = [await region(server, owner, world_id, name, of) for name, of in (("Near", a), ("Far", b))]
    orla = uuid4()

    def route(good: str) -> OpenRoute:
        return OpenRoute(from_region=far, to_region=near, good=good, per_day=5, faction_id=a)

    def embargo(good: str) -> ImportSanction:
        members = [MemberValue(faction_id=i) for i in (a, c)]
        return ImportSanction(target_id=b, kind="embargo", good=good, reason="salt", members=members)

    def promise(good: str) -> ImportTreaty:
        clauses = [NoTrade(faction_id=a, with_id=b, good=good)]
        return ImportTreaty(name=f"Of {good}", parties=[a, b], clauses=clauses)

    async def do(*commands: Any, world: UUID = world_id) -> None:
        await server.do(list(commands), owner.actor, world)  # type: ignore[arg-type]

    async def judged(world: UUID) -> list[int]:
        kinds = ("sanction_breached", "treaty_violated", "treaty_clause_fulfilled")
        return [len(await told(server, world, f"diplomacy.{kind}")) for kind in kinds]

    handed = HandOver(faction_id=a, to_id=b, character_id=orla, within_days=20)
    await do(
        DefineRegions(borders=[BorderValue(a_id=near, b_id=far, minutes=60)]),
        DefineGoods(goods=[GoodValue(key=key, name=key, base_price=10) for key in ("salt", "wool")]),
        CreateCharacter(id=orla, name="Orla"), AddMember(faction_id=b, member_id=orla),
        ImportTreaty(name="Of Orla", parties=[a, b], clauses=[handed]),
        route("salt"), embargo("salt"), promise("salt"),
    )  # fmt: skip
    assert await judged(world_id) == [0, 0, 0]
    first = await exported(server, world_id, tmp_path / "one")
    copy = await imported(server, owner, tmp_path / "one")
    assert first == await exported(server, copy, tmp_path / "two")
    assert await judged(copy) == [0, 0, 0]
    await sound(server, copy)
    await do(embargo("wool"), promise("wool"), route("wool"), world=copy)
    assert await judged(copy) == [1, 1, 0]


async def test_travel_bans_follow_the_regions_one_by_one(server: Server, tmp_path: Path) -> None:
    """What is closed stays closed without a word, here and in the copy; what is closed anew breaks new promises."""
    owner, world_id, a, b = await two(server)
    gate = await region(server, owner, world_id, "Gate", a)
    await region(server, owner, world_id, "Ford", a)
    ban = ImposeSanction(faction_id=a, target_id=b, kind="travel_ban", reason="x")
    await server.do(ban, owner.actor, world_id)
    await exported(server, world_id, tmp_path / "one")
    copy = await imported(server, owner, tmp_path / "one")
    await equal(server, world_id, copy, "travel")
    treaty = ImportTreaty(name="Open Roads", parties=[a, b], clauses=[OpenBorders(faction_id=a, to_id=b)])

    async def bans(world: UUID) -> list[int]:
        kinds = ("regions.movement_banned", "regions.movement_ban_lifted", "diplomacy.treaty_violated")
        return [(await happened(server, world)).count(kind) for kind in kinds]

    for world in (world_id, copy):
        await server.do(treaty, owner.actor, world)
        assert await bans(world) == [2, 0, 0]
        await server.do(SetControl(region_id=gate, controller_id=b), owner.actor, world)
        assert await bans(world) == [2, 1, 0]
        await server.do(SetControl(region_id=gate, controller_id=a), owner.actor, world)
        assert await bans(world) == [3, 1, 1], "nobody had closed it when the roads were promised to be open"
    await equal(server, world_id, copy, "travel")


async def test_what_fulfils_conditions_does_so_beside_an_import(server: Server) -> None:
    owner, world_id, a, b = await two(server)
    c = await found(server, owner, world_id, "Cedar")
    eased = [LiftCondition(kind="tension_below", value=3)]
    tariff: dict[str, Any] = {"target_id": b, "kind": "tariff", "lift_when": eased}
    await server.do(ImposeSanction(faction_id=a, rate=0.2, reason="old", **tariff), owner.actor, world_id)
    new = ImportSanction(rate=0.1, reason="new", members=[MemberValue(faction_id=c)], **tariff)
    await server.do([new, SetRelation(a_id=a, b_id=b, tension=0)], owner.actor, world_id)  # type: ignore[arg-type]
    rows = await server.fetch("SELECT reason, lifted_at FROM sanctions WHERE world_id = $1", world_id)
    assert sorted((row["reason"], row["lifted_at"]) for row in rows) == [("new", None), ("old", 0)]


async def test_what_the_world_contradicts_is_refused(server: Server) -> None:
    owner, world_id, (a, b, c, _) = await frightened(server)
    made = await server.do(FormCoalition(faction_id=b, target_id=a), owner.actor, world_id)
    gone = await found(server, owner, world_id, "Gone")
    await server.do(DissolveFaction(faction_id=gone), owner.actor, world_id)
    incident = await server.do(spying(b, a), owner.actor, world_id)
    embargo: dict[str, Any] = {"kind": "embargo", "reason": "x", "members": [MemberValue(faction_id=c)]}
    slight: dict[str, Any] = {"kind": "insult", "severity": 0.5}
    member = CoalitionMemberValue(faction_id=c)
    for command, code in (
        (ImportIncident(**slight, injured_id=a, accused_id=a), "history_unsound"),
        (ImportIncident(**slight, injured_id=a, accused_id=uuid4()), "faction_not_found"),
        (ImportIncident(**slight, injured_id=a, accused_id=gone), "faction_dissolved"),
        (ImportIncident(**slight, injured_id=a, accused_id=b, region_id=gone), "region_not_found"),
        (ImportCoalition(target_id=a, members=[member]), "coalition_stands"),
        (ImportCoalition(target_id=b, members=[member], id=made.id), "history_exists"),
        (ImportSanction(**embargo, target_id=c), "history_unsound"),
        (ImportSanction(**embargo, target_id=b, good="salt"), "good_not_found"),
        (ImportSanction(**embargo, target_id=b, incident_id=gone), "incident_not_found"),
        (ImportSanction(**embargo, target_id=b, incident_id=incident.id), "not_its_incident"),
        (ImportSanction(**embargo, target_id=b, coalition_id=gone), "coalition_not_found"),
        (ImportSanction(**embargo, target_id=b, coalition_id=made.id), "coalition_not_found"),
        (ImportSanction(**{**embargo, "kind": "asset_freeze"}, target_id=b, frozen=9), "insufficient_funds"),
        (ImportCoalition(target_id=uuid4(), members=[member]), "faction_not_found"),
        (ImportCoalition(target_id=b, members=[member, member]), "history_unsound"),
    ):
        with pytest.raises(Refused, match=code):
            await server.do(command, owner.actor, world_id)
