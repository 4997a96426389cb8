"""What treaties must not do, with the real database: lose money, bind by another text, tell secrets, forget."""

import asyncio
from typing import Any
from uuid import UUID

import orjson
import pytest

from fablewright.core.clock import DAY, Calendar
from fablewright.core.refusal import Refused
from fablewright.core.transaction import Timer, Transaction
from fablewright.systems.characters.commands import CreateCharacter
from fablewright.systems.diplomacy import treaties, treaty_states, treaty_timers
from fablewright.systems.diplomacy.commands import AddOpinion, SetRelation
from fablewright.systems.diplomacy.treaty_commands import (
    AccuseOfBreach,
    ChangeDraft,
    ImportTreaty,
    RevealTreaty,
    SignTreaty,
    SuspendTreaty,
    TerminateTreaty,
    WithdrawFromTreaty,
)
from fablewright.systems.diplomacy.war_commands import DeclareWar
from fablewright.systems.factions.commands import (
    AddMember,
    DissolveFaction,
    GrantTreasury,
    RemoveMember,
    SetLeader,
)
from fablewright.systems.regions.commands import (
    DefinePlaces,
    DefineRegions,
    Membership,
    PathValue,
    PlaceCharacters,
    Placement,
    PlaceValue,
    RegionValue,
    Walk,
)
from tests.support import Server
from tests.systems.test_relations import inside
from tests.systems.test_treaties import AMB, ASH, ELM, HILL, OAK, PEACE, SERF, Court, pays, status


@pytest.fixture
async def court(server: Server) -> Court:
    return await Court(server).open()


async def now(court: Court) -> int:
    return int((await court.fetch("SELECT anchor_world_ms FROM worlds WHERE id = $1"))[0]["anchor_world_ms"])


async def both(court: Court, command: Any, treaty: UUID, **fields: Any) -> None:
    for who in (ASH, ELM):
        await court.do(command(treaty_id=treaty, faction_id=who, **fields))


# -- money ---------------------------------------------------------------------------------------------------


async def test_a_treaty_that_cannot_begin_takes_nothing(court: Court) -> None:
    await court.do(GrantTreasury(faction_id=ASH, amount=100, reason="taxes"))
    owed = {"type": "pay", "from_id": ELM, "to_id": OAK, "amount": 5000}
    treaty = await court.signed(
        pays(100), owed, parties=(ASH, ELM, OAK), starts_at=await now(court) + 10 * DAY
    )
    await court.advance(11)
    assert await court.state(treaty) == "terminated"
    assert await court.treasury(ASH) == 100
    await court.sound()


async def test_who_left_before_the_start_pays_nothing_and_is_no_party(court: Court) -> None:
    await court.do(GrantTreasury(faction_id=ASH, amount=100, reason="taxes"))
    treaty = await court.signed(
        pays(100),
        parties=(ASH, ELM, OAK),
        starts_at=await now(court) + 60 * DAY,
        notice_days=30,
        kind="alliance",
    )
    await court.do(WithdrawFromTreaty(treaty_id=treaty, faction_id=ASH))
    await court.advance(61)
    assert await court.state(treaty) == "in_force"
    assert await court.treasury(ASH) == 100
    assert [await status(court, ASH, ELM), await status(court, ELM, OAK)] == ["neutral", "allied"]
    await court.sound()


async def test_who_signs_late_is_bound_for_the_whole_time(court: Court) -> None:
    treaty = await court.propose(PEACE, starts_at=await now(court) + DAY, duration_days=10)
    await court.sign(treaty, ASH)
    await court.advance(12)
    await court.sign(treaty, ELM)
    (told,) = await court.events("treaty_in_force")
    assert (told["starts_at"], told["ends_at"]) == (await now(court), await now(court) + 10 * DAY)
    assert await court.state(treaty) == "in_force"


async def test_what_is_not_covered_does_not_say_what_there_is(court: Court) -> None:
    await court.do(GrantTreasury(faction_id=ASH, amount=37, reason="taxes"))
    treaty = await court.propose(pays(100))
    await court.sign(treaty, ASH)
    refused = await court.refused("amount_not_covered", SignTreaty(treaty_id=treaty, faction_id=ELM))
    assert "37" not in f"{refused.detail} {refused.facts}"


async def test_sums_missed_while_nobody_ran_the_world_are_paid_up_to_the_end(court: Court) -> None:
    await court.do(GrantTreasury(faction_id=ASH, amount=1000, reason="taxes"))
    await court.signed(pays(100, 30))
    over = await court.signed(pays(10, 30), duration_days=85)
    left = await court.signed(pays(1, 30), parties=(ASH, ELM, OAK), notice_days=50)
    await court.do(WithdrawFromTreaty(treaty_id=left, faction_id=ASH))

    async def sleep(tx: Transaction) -> None:
        moved = "UPDATE worlds SET anchor_world_ms = anchor_world_ms + $2 WHERE id = $1"
        await tx.execute(moved, tx.world_id, 100 * DAY)

    await inside(court.server, court.world_id, sleep)
    await court.advance(1)
    assert await court.treasury(ELM) == 321
    assert [await court.state(t) for t in (over, left)] == ["expired", "in_force"]
    await court.sound()


async def test_what_falls_due_when_a_treaty_ends_is_paid(court: Court) -> None:
    await court.do(GrantTreasury(faction_id=ASH, amount=100, reason="taxes"))
    midnight = Calendar().day_start(Calendar().day_number(await now(court)) + 1)
    treaty = await court.signed(pays(10, 30), starts_at=midnight, duration_days=60)
    await court.advance(62)
    assert await court.state(treaty) == "expired"
    assert await court.treasury(ELM) == 20
    await court.sound()


async def test_who_leaves_while_a_treaty_begins_pays_nothing(
    court: Court, monkeypatch: pytest.MonkeyPatch
) -> None:
    await court.do(GrantTreasury(faction_id=ASH, amount=100, reason="taxes"))
    third = {"type": "pay", "from_id": ELM, "to_id": OAK, "amount": 1}
    await court.do(GrantTreasury(faction_id=ELM, amount=1, reason="taxes"))
    start_at = await now(court) + DAY
    all_three = (ASH, ELM, OAK)
    treaty = await court.signed(pays(100), third, parties=all_three, starts_at=start_at, notice_days=0)
    pay = treaties.pay_at_once

    async def leaves(tx: Transaction, waiting: treaty_states.TreatyState) -> None:
        await pay(tx, waiting)
        if ASH in waiting.members:
            await court.do(WithdrawFromTreaty(treaty_id=treaty, faction_id=ASH))

    monkeypatch.setattr(treaty_timers, "pay_at_once", leaves)
    due = Timer(UUID(int=1), "diplomacy.treaty_starts", start_at, {"treaty_id": str(treaty)})
    await inside(court.server, court.world_id, lambda tx: treaty_timers.start(tx, [due]))
    assert await court.state(treaty) == "in_force"
    assert [await court.treasury(f) for f in all_three] == [100, 0, 1]


async def test_a_command_does_not_write_back_when_a_sum_was_due(court: Court) -> None:
    await court.signed(pays(10, 30))

    async def late(tx: Transaction) -> None:
        (row,) = await tx.fetch("SELECT id FROM treaties WHERE world_id = $1", tx.world_id)
        treaty = await treaty_states.get(tx, row["id"])
        await tx.execute("UPDATE treaty_clauses SET due_at = due_at + 5 WHERE world_id = $1", tx.world_id)
        await treaty_states.save(tx, treaty)

    (before,) = await court.fetch("SELECT due_at FROM treaty_clauses WHERE world_id = $1")
    await inside(court.server, court.world_id, late)
    (after,) = await court.fetch("SELECT due_at FROM treaty_clauses WHERE world_id = $1")
    assert after["due_at"] == before["due_at"] + 5


# -- signing -------------------------------------------------------------------------------------------------


async def test_a_signature_is_for_the_draft_that_was_read(court: Court) -> None:
    treaty = await court.propose(PEACE)
    terms = {"duration_days": 9, "on_breach": "break", "notice_days": 3, "grace_days": 2, "renews": True}
    words = {"name": "Other", "parties": [ASH, ELM], "clauses": [pays(1)]}
    await court.do(ChangeDraft(treaty_id=treaty, faction_id=ASH, **words, **terms))
    told = (await court.events("treaty_drafted"))[-1]
    assert terms.items() <= told.items()
    assert (told["starts_at"], told["draft"], len(told["clauses"])) == (None, 2, 1)
    refused = await court.refused("draft_changed", SignTreaty(treaty_id=treaty, faction_id=ELM, draft=1))
    assert refused.facts == {"draft": 2}
    await court.do(SignTreaty(treaty_id=treaty, faction_id=ELM, draft=2))


async def test_a_draft_changed_while_the_last_one_signs(court: Court) -> None:
    await court.do(GrantTreasury(faction_id=ASH, amount=1000, reason="taxes"))
    for _ in range(4):
        treaty = await court.propose(pays(100))
        await court.sign(treaty, ASH)
        change = ChangeDraft(
            treaty_id=treaty, faction_id=ASH, name="Other", parties=[ASH, ELM], clauses=[pays(1)]
        )
        had = await court.treasury(ELM)
        await asyncio.gather(court.do(change), court.sign(treaty, ELM), return_exceptions=True)
        got = await court.treasury(ELM) - had
        assert (await court.state(treaty), got) in (("in_force", 100), ("draft", 0), ("signed_partly", 0))
    await court.sound()


async def test_who_changes_a_draft_stays_a_party(court: Court) -> None:
    treaty = await court.propose(PEACE)
    change = {"name": "x", "parties": [ASH, OAK], "clauses": []}
    await court.refused("not_a_party", ChangeDraft(treaty_id=treaty, faction_id=ELM, **change))


@pytest.mark.parametrize(
    "clause",
    [
        {"type": "keep_out", "faction_id": ASH, "region_id": UUID(int=9)},
        {"type": "hand_over", "faction_id": ASH, "to_id": ELM, "character_id": UUID(int=9)},
        {"type": "no_trade", "faction_id": ASH, "with_id": UUID(int=9)},
        {"type": "support_in_war", "faction_id": ASH, "ally_id": ELM, "against_id": UUID(int=9)},
    ],
)
async def test_clauses_name_who_is_there(court: Court, clause: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="clause_names_nobody") as error:
        await court.propose(clause)
    assert error.value.facts["ids"] == [str(UUID(int=9))]


async def test_drafts_lapse_and_only_those_of_members_are_counted(
    court: Court, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(treaties, "MOST_DRAFTS", 1)
    by_master = [await court.propose(PEACE) for _ in range(2)]
    by_member = await court.propose(PEACE, character_id=AMB)
    with pytest.raises(Refused, match="too_many_drafts"):
        await court.propose(PEACE, character_id=AMB)
    await court.advance(200)
    changed = ChangeDraft(treaty_id=by_master[1], faction_id=ASH, name="Other", parties=[ASH, ELM])
    await court.do(changed)
    await court.sign(by_master[0], ASH)
    await court.advance(166)
    states = [await court.state(t) for t in (*by_master, by_member)]
    assert states == ["expired", "draft", "expired"]
    await court.propose(PEACE, character_id=AMB)
    await court.sound()


# -- breaches ------------------------------------------------------------------------------------------------


async def test_a_breach_in_grace_is_not_forgotten_while_the_treaty_rests(court: Court) -> None:
    treaty = await court.signed(pays(10, 30), grace_days=10)
    await court.advance(31)
    assert await court.violations() == [("unpaid", "in_grace", ASH)]
    await both(court, SuspendTreaty, treaty)
    await court.advance(11)
    assert await court.violations() == [("unpaid", "confirmed", ASH)]
    await both(court, SuspendTreaty, treaty, resume=True)
    await court.advance(45)
    assert [v[1] for v in await court.violations()] == ["confirmed", "confirmed"]
    await court.sound()


async def test_who_ends_a_treaty_in_grace_has_broken_it_all_the_same(court: Court) -> None:
    treaty = await court.signed(pays(10, 30), grace_days=10, on_breach="break")
    await court.advance(31)
    await both(court, TerminateTreaty, treaty)
    await court.advance(11)
    assert await court.violations() == [("unpaid", "confirmed", ASH)]
    assert await court.state(treaty) == "terminated"
    await court.sound()


async def test_who_goes_on_foot_comes_into_a_region(court: Court) -> None:
    mill, ford, dale = UUID(int=501), UUID(int=502), UUID(int=402)
    await court.do(DefinePlaces(
        places=[PlaceValue(id=mill, name="Mill"), PlaceValue(id=ford, name="Ford")],
        paths=[PathValue(a_id=mill, b_id=ford, minutes=60)],
    ))  # fmt: skip
    await court.do(DefineRegions(
        regions=[RegionValue(id=HILL, name="Hill"), RegionValue(id=dale, name="Dale")],
        places=[Membership(place_id=mill, region_id=HILL), Membership(place_id=ford, region_id=dale)],
    ))  # fmt: skip
    await court.do(
        PlaceCharacters(placements=[Placement(character_id=c, place_id=ford) for c in (AMB, SERF)])
    )
    brought = {"type": "hand_over", "faction_id": ASH, "to_id": ELM, "region_id": HILL}
    await court.signed({"type": "keep_out", "faction_id": ASH, "region_id": HILL})
    await court.signed({**brought, "character_id": AMB}, {**brought, "character_id": SERF})
    await court.do(Walk(character_id=AMB, place_id=mill))
    await court.advance(0.1)
    assert await court.violations() == [("entered", "confirmed", ASH)]
    (told,) = await court.events("treaty_violated")
    assert UUID(told["event_id"]) == await event(court, "regions.arrived")
    await court.do(PlaceCharacters(placements=[Placement(character_id=SERF, place_id=mill)]))
    assert [e["clause"] for e in await court.events("treaty_clause_fulfilled")] == [1, 2]
    assert len(await court.violations()) == 1
    await court.sound()


async def test_who_was_handed_over_while_it_did_not_bind_was_not_kept_back(court: Court) -> None:
    clause = {"type": "hand_over", "faction_id": ASH, "to_id": ELM, "character_id": SERF, "within_days": 10}
    later = await court.signed(clause, starts_at=await now(court) + 5 * DAY)
    rests = await court.signed(clause, grace_days=20)
    await court.advance(16)
    assert [v[1] for v in await court.violations()] == ["in_grace"] * 2
    await both(court, SuspendTreaty, rests)
    await both(court, SuspendTreaty, later)
    await court.do(RemoveMember(faction_id=ASH, member_id=SERF))
    await court.do(AddMember(faction_id=ELM, member_id=SERF))
    trust = await court.trust(ELM, ASH)
    await court.advance(15)
    assert [v[1] for v in await court.violations()] == ["mended"] * 2
    early = await court.signed(clause)
    await court.advance(11)
    assert len(await court.violations()) == 2
    assert len(await court.events("treaty_clause_fulfilled")) == 3
    assert await court.trust(ELM, ASH) <= trust
    assert await court.state(early) == "in_force"
    await court.sound()


async def event(court: Court, kind: str) -> UUID:
    rows = await court.fetch(
        "SELECT id FROM events WHERE world_id = $1 AND type = $2 ORDER BY seq DESC LIMIT 1", kind
    )
    return UUID(str(rows[0]["id"]))


async def test_evidence_from_before_the_treaty_shows_nothing(court: Court) -> None:
    await court.do(DeclareWar(attacker_id=ELM, defender_id=ASH, cause="conquest"))
    shown = await event(court, "diplomacy.war_declared")
    await court.do(SetRelation(a_id=ASH, b_id=ELM, status="neutral"))
    treaty = await court.signed(PEACE)
    accuse = AccuseOfBreach(treaty_id=treaty, faction_id=ASH, accused_id=ELM, clause=1, event_id=shown)
    assert await court.do(accuse) == {"founded": False}
    await court.refused(
        "same_faction",
        AccuseOfBreach(treaty_id=treaty, faction_id=ASH, accused_id=ASH, clause=1, event_id=shown),
    )


async def test_an_accusation_is_founded_once(court: Court) -> None:
    treaty = await court.signed(PEACE)
    await both(court, SuspendTreaty, treaty)
    await court.do(DeclareWar(attacker_id=ELM, defender_id=ASH, cause="conquest"))
    rested = await event(court, "diplomacy.war_declared")
    await both(court, SuspendTreaty, treaty, resume=True)
    accuse = {"treaty_id": treaty, "faction_id": ASH, "accused_id": ELM, "clause": 1}
    assert await court.do(AccuseOfBreach(event_id=rested, **accuse)) == {"founded": False}
    await court.do(SetRelation(a_id=ASH, b_id=ELM, status="neutral"))

    async def unseen(tx: Transaction) -> None:  # as if nobody had listened
        await tx.execute("DELETE FROM treaty_watches WHERE world_id = $1", tx.world_id)
        await tx.execute("UPDATE wars SET ended_at = at WHERE world_id = $1", tx.world_id)

    await inside(court.server, court.world_id, unseen)
    await court.do(DeclareWar(attacker_id=ELM, defender_id=ASH, cause="conquest"))
    shown = await event(court, "diplomacy.war_declared")
    assert await court.do(AccuseOfBreach(event_id=shown, **accuse)) == {"founded": True}
    assert ("attacked", "confirmed", ELM) in await court.violations()
    await court.advance(32)
    await court.refused("breach_known", AccuseOfBreach(event_id=shown, **accuse))


# -- secrets -------------------------------------------------------------------------------------------------


async def hears(court: Court) -> str:
    """All that one reads who is no more than a player of this world: the log, the deeds, the ties' reasons."""
    rows = await court.fetch("SELECT data::text AS data FROM events WHERE world_id = $1 AND audience IS NULL")
    ties = await court.fetch("SELECT reasons::text AS reasons FROM ties WHERE world_id = $1")
    return "\n".join([*(row["data"] for row in rows), *(row["reasons"] for row in ties)])


async def test_nothing_that_all_read_names_a_secret_treaty(court: Court) -> None:
    for who, faction in ((UUID(int=311), ELM), (UUID(int=312), ASH)):
        await court.do(CreateCharacter(id=who, name=f"Lord {who.int}"))
        await court.do(AddMember(faction_id=faction, member_id=who))
        await court.do(SetLeader(faction_id=faction, member_id=who))
    await court.do(GrantTreasury(faction_id=ASH, amount=1000, reason="taxes"))
    await court.do(SetRelation(a_id=ASH, b_id=ELM, status="war"))
    hidden = await court.signed(pays(3, 10), PEACE, secret=True, name="Hush", kind="peace", on_breach="break")
    await court.signed({**PEACE}, pays(2, 10), name="Loud")
    assert await status(court, ASH, ELM) == "truce"
    await court.advance(11)  # both are paid in one batch
    await court.do(AccuseOfBreach(treaty_id=hidden, faction_id=ELM, accused_id=ASH, clause=2))
    await court.advance(170)  # until the truce is over
    await court.do(DeclareWar(attacker_id=ASH, defender_id=ELM, cause="conquest"))  # breaks both
    await court.advance(1)
    assert {v[:2] for v in await court.violations()} == {("accused", "unfounded"), ("attacked", "confirmed")}
    heard = await hears(court)
    assert "Loud" in heard
    assert "Hush" not in heard
    assert str(hidden) not in heard
    rows = await court.fetch(
        "SELECT data::text AS data FROM events WHERE world_id = $1 AND audience IS NULL "
        "AND type = 'diplomacy.relationship_changed'"
    )
    for told in (orjson.loads(row["data"]) for row in rows):
        opined = sum(c["amount"] for c in told["changes"] if c["key"] != "trust")
        assert told["opinion"] - told["opinion_before"] == pytest.approx(opined, abs=1e-6)
    await court.sound()


async def test_a_revealed_alliance_makes_allies_and_its_reasons_are_known(court: Court) -> None:
    treaty = await court.signed(secret=True, kind="alliance")
    assert await status(court, ASH, ELM) == "neutral"
    await court.do(RevealTreaty(treaty_id=treaty))
    assert await status(court, ASH, ELM) == "allied"
    assert await court.fetch("SELECT 1 FROM opinions WHERE world_id = $1 AND secret") == []
    await court.sound()


async def test_who_has_left_a_secret_treaty_hears_no_more_of_it(court: Court) -> None:
    treaty = await court.signed(PEACE, parties=(ASH, ELM, OAK), secret=True, notice_days=0)
    await court.do(WithdrawFromTreaty(treaty_id=treaty, faction_id=OAK))
    await both(court, TerminateTreaty, treaty)
    rows = await court.fetch(
        "SELECT type, audience FROM events WHERE world_id = $1 AND type IN "
        "('diplomacy.treaty_party_withdrawn', 'diplomacy.treaty_terminated') ORDER BY seq"
    )
    assert [sorted(row["audience"]) for row in rows] == [[ASH, ELM, OAK], [ASH, ELM]]


# -- trust, history, checks ----------------------------------------------------------------------------------


async def test_only_promises_that_bound_for_a_while_build_trust(court: Court) -> None:
    words = {"type": "custom", "text": "Elm greets us.", "faction_id": ELM}
    await court.signed(words, duration_days=31)
    await court.signed(PEACE, duration_days=10)
    await court.signed({"type": "defend", "protector_id": ASH, "protected_id": ELM}, duration_days=31)
    strangers = await court.trust(ASH, ELM)
    await court.advance(32)
    assert await court.trust(ASH, ELM) == strangers < await court.trust(ELM, ASH)
    await court.signed(PEACE, duration_days=31)
    await court.advance(32)
    assert await court.trust(ASH, ELM) > strangers


async def test_many_treaties_are_not_worth_more_and_more(court: Court) -> None:
    async def worth(secret: bool) -> float:
        rows = await court.fetch(
            "SELECT coalesce(sum(amount), 0) AS worth FROM opinions "
            "WHERE world_id = $1 AND holder_id = $2 AND secret = $3",
            ASH, secret,
        )  # fmt: skip
        return float(rows[0]["worth"])

    await court.signed({"type": "custom", "text": "We greet each other."}, kind="trade")
    assert await worth(False) == 0
    for secret, kind, sum_ in (
        (True, "defence_pact", 15), (False, "alliance", 20), (False, "defence_pact", 35), (False, "trade", 40),
        (False, "border", 40), (True, "trade", 15),
    ):  # fmt: skip
        await court.signed(PEACE, kind=kind, secret=secret)
        assert await worth(secret) == sum_
    await court.sound()


async def test_history_moves_nobody_and_may_be_of_who_is_no_more(court: Court) -> None:
    await court.do(SetRelation(a_id=ASH, b_id=ELM, status="war"))
    await court.do(
        ImportTreaty(name="Old", kind="peace", parties=[ASH, ELM], starts_at=-DAY, clauses=[PEACE])
    )
    assert await status(court, ASH, ELM) == "war"
    await court.do(DissolveFaction(faction_id=OAK))
    past = {"name": "Older", "parties": [ASH, OAK], "starts_at": -9 * DAY}
    done = await court.do(ImportTreaty(closed_at=-8 * DAY, **past))
    assert done["state"] == "terminated"
    await court.refused("party_dissolved", ImportTreaty(**past))
    against_them = {"type": "no_trade", "faction_id": ASH, "with_id": OAK}
    with pytest.raises(Refused, match="clause_names_nobody"):
        await court.propose(against_them)
    await court.do(ImportTreaty(**{**past, "parties": [ASH, ELM]}, clauses=[against_them]))


async def test_what_never_fades_is_sound(court: Court) -> None:
    await court.do(
        AddOpinion(holder_id=ASH, about_id=ELM, key="x", amount=20, reason="kin", half_life_days=None)
    )
    await court.sound()


async def test_the_checks_find_what_no_timer_ends_and_nobody_watches(court: Court) -> None:
    await court.signed(pays(10, 30), grace_days=10)
    await court.signed(PEACE)
    await court.advance(31)
    await court.sound()

    async def spoil(tx: Transaction) -> None:
        await tx.execute("DELETE FROM treaty_watches WHERE world_id = $1", tx.world_id)
        await tx.execute(
            "DELETE FROM timers WHERE world_id = $1 AND kind = 'diplomacy.treaty_grace_ends'", tx.world_id
        )
        await tx.execute(
            "UPDATE timers SET due_at = due_at + 5 WHERE world_id = $1 AND kind = 'diplomacy.treaty_dues'",
            tx.world_id,
        )

    await inside(court.server, court.world_id, spoil)
    found = "\n".join(f for f in await court.server.findings() if str(court.world_id) in f)
    for words in ("nothing is watched for it", "no timer ends that", "no timer executes it"):
        assert words in found
