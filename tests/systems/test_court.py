"""Factions that hold council, against the real database: years of a small land by advancing its clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

import orjson
import pytest

from fablewright.core.clock import DAY
from fablewright.core.dice import derived_uuid
from fablewright.core.refusal import Refused
from fablewright.core.transaction import Transaction
from fablewright.systems.characters.commands import CreateCharacter, Personality
from fablewright.systems.diplomacy.clauses import AnyClause, HandOver, NoAttack, Pay
from fablewright.systems.diplomacy.commands import AddOpinion, SetRelation
from fablewright.systems.diplomacy.treaty_commands import ChangeDraft, ProposeTreaty, SignTreaty
from fablewright.systems.diplomacy.war_commands import DeclareWar, ReportIncident
from fablewright.systems.director import court, envoys, mishaps, warcraft
from fablewright.systems.director.commands import ConfigureDirector
from fablewright.systems.director.statecraft import Decision, Matter, Option, Outlook, Weighing
from fablewright.systems.factions.commands import (
    ChangeFaction,
    DissolveFaction,
    FoundFaction,
    SetStrength,
    TraitsValue,
)
from fablewright.systems.regions.commands import BorderValue, DefineRegions, RegionValue, SetControl
from fablewright.systems.worlds.commands import AdvanceWorld, ReplayDeadLetter
from tests.support import Person, Server, until

# Aggressive, honourable, mercantile, isolationist; troops; treasury.
REALMS: dict[str, tuple[float, float, float, float, int, int]] = {
    "Ashmark": (0.9, 0.3, 0.3, 0.4, 900, 4000),
    "Birchholm": (0.3, 0.8, 0.6, 0.4, 700, 5000),
    "Cedarfell": (0.6, 0.5, 0.5, 0.6, 800, 3000),
    "Dunmere": (0.2, 0.7, 0.9, 0.2, 500, 9000),
    "Elmgard": (0.7, 0.6, 0.2, 0.5, 850, 2500),
    "Fenwick": (0.4, 0.4, 0.5, 0.8, 600, 3500),
}
NAMES = list(REALMS)


def of(name: str, what: str = "faction") -> UUID:
    """The id of a faction, or of its leader or region."""
    return derived_uuid("court", what, name)


async def land(server: Server, owner: Person, *, self_run: bool = True, **world: Any) -> UUID:
    """Six factions in a ring, each with a leader and two regions, the second of which lies in the middle."""
    world_id = await server.world(owner, **world)
    leaders = [
        CreateCharacter(
            id=of(name, "leader"), name=f"The lord of {name}", status="away",
            personality=Personality(agreeableness=round(0.9 - 0.7 * values[0], 2), conscientiousness=values[1]),
        )
        for name, values in REALMS.items()
    ]  # fmt: skip
    await server.runtime.engine.execute(leaders, owner.storyteller, world_id, key="leaders")
    await server.runtime.engine.execute(
        [
            FoundFaction(
                id=of(name), name=name, leader_id=of(name, "leader"), self_run=self_run, strength=troops,
                treasury=treasury, traits=TraitsValue(aggressive=a, honourable=h, mercantile=m, isolationist=i),
            )
            for name, (a, h, m, i, troops, treasury) in REALMS.items()
        ],
        owner.storyteller, world_id, key="factions",
    )  # fmt: skip
    await _regions(server, owner, world_id)
    return world_id


async def _regions(server: Server, owner: Person, world_id: UUID) -> None:
    regions = [
        RegionValue(id=of(name, what), name=f"{name} {what}", population=20_000, resources={"grain": 20})
        for name in NAMES for what in ("vale", "march")
    ]  # fmt: skip
    pairs = [(of(n, "vale"), of(n, "march")) for n in NAMES]
    for here, there in zip(NAMES, NAMES[1:] + NAMES[:1], strict=True):
        pairs += [(of(here, "vale"), of(there, "vale")), (of(here, "march"), of(there, "march"))]
    borders = [BorderValue(a_id=a, b_id=b, minutes=600) for a, b in pairs]
    await server.do(DefineRegions(regions=regions, borders=borders), owner.actor, world_id)
    for name in NAMES:
        for what in ("vale", "march"):
            await server.do(
                SetControl(region_id=of(name, what), controller_id=of(name)), owner.actor, world_id
            )


async def council(server: Server, owner: Person, world_id: UUID, days: float | None = 30) -> None:
    """Let the councils begin; the first meets after a day."""
    command = ConfigureDirector(enabled=True, beats_per_minute=0.01, council_days=days)
    await server.runtime.engine.execute(command, owner.storyteller, world_id, key=f"on {days}")


async def advance(server: Server, owner: Person, world_id: UUID, by_ms: int) -> None:
    """Fast-forward, and wait until that is done."""
    await server.do(AdvanceWorld(by_ms=by_ms), owner.actor, world_id)
    await arrived(server, world_id)


async def arrived(server: Server, world_id: UUID) -> None:
    """Wait until a fast-forward is done."""

    async def done() -> bool:
        rows = await server.fetch("SELECT advance_id FROM worlds WHERE id = $1", world_id)
        return rows[0]["advance_id"] is None

    await until(done, 300)


async def counts(server: Server, world_id: UUID) -> dict[str, int]:
    """How many events of each type there are."""
    rows = await server.fetch(
        "SELECT type, count(*) AS n FROM events WHERE world_id = $1 GROUP BY type ORDER BY type", world_id
    )
    return {row["type"]: row["n"] for row in rows}


async def log(server: Server, world_id: UUID, kind: str) -> list[dict[str, Any]]:
    """The events of a type, with their envelopes."""
    rows = await server.fetch(
        "SELECT seq, id, at, actor, audience, causation_id, correlation_id, data::text AS data FROM events "
        "WHERE world_id = $1 AND type = $2 ORDER BY seq",
        world_id, kind,
    )  # fmt: skip
    return [
        {**orjson.loads(row["data"]), **{k: v for k, v in dict(row).items() if k != "data"}} for row in rows
    ]


async def sound(server: Server, world_id: UUID) -> None:
    """Nothing was buried, and the checks find nothing."""
    letters = await server.fetch("SELECT handler, error FROM dead_letters WHERE world_id = $1", world_id)
    assert [tuple(letter) for letter in letters] == []
    assert [f for f in await server.findings() if str(world_id) in f] == []


async def waiting(server: Server, world_id: UUID, kind: str) -> list[int]:
    rows = await server.fetch(
        "SELECT due_at FROM timers WHERE world_id = $1 AND kind = $2 ORDER BY due_at", world_id, kind
    )
    return [row["due_at"] for row in rows]


CAUSED = {
    "director.councils_met", "diplomacy.incident_occurred", "diplomacy.incident_answered", "diplomacy.war_declared",
    "diplomacy.incident_escalated", "diplomacy.ultimatum_issued", "diplomacy.ultimatum_answered",
    "diplomacy.ultimatum_expired", "diplomacy.ally_called", "diplomacy.battle_fought", "diplomacy.treaty_drafted",
    "diplomacy.sanction_imposed", "diplomacy.treaty_violated", "diplomacy.treaty_in_force",
    "diplomacy.relationship_changed", "diplomacy.coalition_formed", "diplomacy.call_answered",
}  # fmt: skip
"""What decisions come of."""


async def hatred(server: Server, owner: Person, world_id: UUID) -> None:
    """The strongest and most warlike hates one of its neighbours, and is hated."""
    a, b = of("Ashmark"), of("Fenwick")
    await server.do(SetStrength(faction_id=a, strength=1600), owner.actor, world_id)
    for holder, about in ((a, b), (b, a)):
        blood = AddOpinion(
            holder_id=holder,
            about_id=about,
            key="blood",
            amount=-85,
            reason="shed our blood",
            half_life_days=9000,
        )
        await server.do(blood, owner.actor, world_id)
    await server.do(SetRelation(a_id=a, b_id=b, status="hostile", tension=90), owner.actor, world_id)


async def test_two_years_of_a_small_land(server: Server) -> None:
    """They gift, talk, quarrel and fight; each deed comes of a decision that says why, and all can be followed back."""
    owner = await server.person()
    world_id = await land(server, owner, seed=20)
    await hatred(server, owner, world_id)
    await council(server, owner, world_id)
    await advance(server, owner, world_id, 720 * DAY)
    found = await counts(server, world_id)
    for kind in (
        "negotiation_started",
        "treaty_in_force",
        "incident_occurred",
        "incident_answered",
        "war_declared",
    ):
        assert found.get(f"diplomacy.{kind}", 0) > 0, kind
    types = {
        row["id"]: row["type"]
        for row in await server.fetch("SELECT id, type FROM events WHERE world_id = $1", world_id)
    }
    made = await log(server, world_id, "director.faction_decided")
    for decision in made:
        chosen = decision["options"][decision["chosen"]]
        assert chosen["act"] == decision["act"] and decision["because"].endswith(".")
        assert len(decision["because"]) > 30 and "{" not in decision["because"]
        for option in decision["options"]:
            assert option["weight"] == pytest.approx(sum(option["parts"].values()), abs=0.1)
        assert types[decision["causation_id"]] in CAUSED
    assert sum(d["refused"] is not None for d in made) < len(made) / 20
    decided = {d["id"] for d in made}
    for kind in ("negotiation_started", "incident_escalated", "battle_fought"):
        assert all(
            event["causation_id"] in decided for event in await log(server, world_id, f"diplomacy.{kind}")
        )
    await sound(server, world_id)
    await a_war_can_be_followed_back(server, owner, world_id)
    await who_may_ask_what_a_faction_weighs(server, owner, world_id)


async def a_war_can_be_followed_back(server: Server, owner: Person, world_id: UUID) -> None:
    war = (await log(server, world_id, "diplomacy.war_declared"))[0]
    answer = await server.client.get(f"/api/v1/worlds/{world_id}/why/{war['seq']}", headers=owner.headers)
    why = answer.json()
    assert "declared war on" in why["sentence"] and why["options"], why
    assert why["complete"] and why["causes"][-1]["kind"] in ("timer", "command"), "back to where it began"
    assert len(why["causes"]) >= 3
    assert all("somebody" not in cause["sentence"] for cause in why["causes"])


async def who_may_ask_what_a_faction_weighs(server: Server, owner: Person, world_id: UUID) -> None:
    path = f"/api/v1/worlds/{world_id}/factions/{of('Ashmark')}/reasoning"
    told = (await server.client.get(f"{path}?limit=6", headers=owner.headers)).json()
    assert told["self_run"] and told["now"] and len(told["decisions"]) == 6
    seqs = [decision["seq"] for decision in told["decisions"]]
    assert seqs == sorted(seqs, reverse=True)
    page = (await server.client.get(f"{path}?limit=3&before={seqs[2]}", headers=owner.headers)).json()
    assert [decision["seq"] for decision in page["decisions"]] == seqs[3:6]
    guest = await server.member(world_id, owner, "player")
    seen = (await server.client.get(path, headers=guest.headers)).json()
    assert seen["now"] is None and seen["decisions"]
    nobody = await server.client.get(
        f"/api/v1/worlds/{world_id}/factions/{UUID(int=5)}/reasoning", headers=owner.headers
    )
    assert nobody.json()["code"] == "faction_not_found"


async def test_who_has_a_user_is_left_alone(server: Server) -> None:
    owner = await server.person()
    world_id = await land(server, owner, self_run=False)
    await council(server, owner, world_id)
    await advance(server, owner, world_id, 90 * DAY)
    found = await counts(server, world_id)
    assert not [
        kind for kind in found if kind.startswith(("diplomacy.", "director.faction", "director.councils"))
    ]
    assert await waiting(server, world_id, "director.council") == [91 * DAY]


async def test_councils_can_be_stopped_and_begun_again(server: Server) -> None:
    owner = await server.person()
    world_id = await land(server, owner)
    await council(server, owner, world_id, 0.5)
    assert await waiting(server, world_id, "director.council") == [DAY // 2]
    await council(server, owner, world_id, None)
    assert await waiting(server, world_id, "director.council") == []
    await council(server, owner, world_id, 60)
    await advance(server, owner, world_id, 2 * DAY)
    assert await waiting(server, world_id, "director.council") == [61 * DAY]
    await sound(server, world_id)


async def test_who_is_asked_answers_within_days(server: Server) -> None:
    """A user's faction accuses, calls and drafts; those that run themselves do not wait for their council."""
    owner = await server.person()
    world_id = await land(server, owner)
    await server.do(ChangeFaction(faction_id=of("Ashmark"), self_run=False), owner.actor, world_id)
    await council(server, owner, world_id, 3000)
    await advance(server, owner, world_id, 2 * DAY)
    await server.do(
        ReportIncident(kind="insult", injured_id=of("Ashmark"), accused_id=of("Birchholm"), severity=0.5),
        owner.actor,
        world_id,
    )
    await server.do(
        AddOpinion(
            holder_id=of("Cedarfell"), about_id=of("Ashmark"), key="old", amount=95, reason="old friends"
        ),
        owner.actor,
        world_id,
    )
    await server.do(
        ProposeTreaty(
            name="The League of Ash",
            parties=[of("Ashmark"), of("Cedarfell")],
            faction_id=of("Ashmark"),
            clauses=[NoAttack(a_id=of("Ashmark"), b_id=of("Cedarfell"))],
        ),
        owner.actor,
        world_id,
    )
    assert len(await waiting(server, world_id, "director.summons")) == 1
    await advance(server, owner, world_id, 4 * DAY)
    ours = [
        d for d in await log(server, world_id, "director.faction_decided")
        if d["matter"] != "policy" and d["target_id"] == str(of("Ashmark"))
    ]  # fmt: skip
    assert {(d["matter"], d["faction_id"]) for d in ours} == {
        ("incident", str(of("Birchholm"))),
        ("treaty", str(of("Cedarfell"))),
    }
    signed = await log(server, world_id, "diplomacy.treaty_signed")
    assert [s["faction_id"] for s in signed] == [str(of("Cedarfell"))]
    assert signed[0]["by_id"] == str(of("Cedarfell", "leader")), "its leader signs"
    await sound(server, world_id)


async def test_a_failing_act_keeps_nobody_else_from_theirs(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await server.person()
    world_id = await land(server, owner, seed=3)
    await council(server, owner, world_id)
    real = envoys.commands

    def broken(stage: Any, decision: Any, dice: Any) -> Any:
        if decision.faction_id == of("Dunmere"):
            raise RuntimeError("the envoy fell from its horse")
        return real(stage, decision, dice)

    monkeypatch.setattr(envoys, "commands", broken)
    await advance(server, owner, world_id, 2 * DAY)
    made = await log(server, world_id, "director.faction_decided")
    assert made and all(d["faction_id"] != str(of("Dunmere")) for d in made)
    letters = await server.fetch(
        "SELECT handler, error, payload::text AS payload FROM dead_letters WHERE world_id = $1", world_id
    )
    assert [row["handler"] for row in letters] == ["director.council"]
    assert "fell from its horse" in letters[0]["error"] and str(of("Dunmere")) in letters[0]["payload"]
    assert await waiting(server, world_id, "director.council") == [31 * DAY]


async def test_all_are_read_in_as_many_statements_as_one(server: Server) -> None:
    owner = await server.person()
    world_id = await land(server, owner)
    asked: list[list[str]] = []
    for many in (6, 1):
        if many == 1:
            for name in NAMES[1:]:
                await server.do(DissolveFaction(faction_id=of(name)), owner.actor, world_id)
        async with server.runtime.database.reading() as connection:
            reader = Counting(world_id, 0, connection, [])
            stage = await court.stage(reader)
        assert len(stage.realms) == many
        asked.append(reader.asked)
    assert len(asked[0]) == len(asked[1]) < 30


async def test_what_never_fades_is_held_against_somebody_for_ever(server: Server) -> None:
    owner = await server.person()
    world_id = await land(server, owner)
    ash, birch = of("Ashmark"), of("Birchholm")
    for key, amount, half_life in (("feud", -40, None), ("theft", -20, 30)):
        command = AddOpinion(
            holder_id=ash, about_id=birch, key=key, amount=amount, reason=key, half_life_days=half_life
        )
        await server.do(command, owner.actor, world_id)
    async with server.runtime.database.reading() as connection:
        stage = await court.stage(Counting(world_id, 60 * DAY, connection, []))
    bond = stage.bonds[ash, birch]
    assert bond.opinion == pytest.approx(-45) and bond.grudge == "feud"


@dataclass
class Counting(court.Connected):
    """Keeps what it was asked."""

    asked: list[str]

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        self.asked.append(sql)
        return list(await self.connection.fetch(sql, *args))


async def test_the_same_dice_give_the_same_years(server: Server) -> None:
    owner = await server.person()
    stories = []
    for _ in range(2):
        world_id = await land(server, owner, seed=5)
        await council(server, owner, world_id)
        command = AdvanceWorld(by_ms=100 * DAY)
        await server.runtime.engine.execute(command, owner.storyteller, world_id, key="go")
        await arrived(server, world_id)
        stories.append([d["because"] for d in await log(server, world_id, "director.faction_decided")])
    assert stories[0] == stories[1] and len(stories[0]) > 5


# -- decisions that are handed to them --------------------------------------------------------------------------


def decision(
    name: str, act: str, target: str | None = None, *, matter: Matter = "policy", secret: bool = False, **fields: Any
) -> Decision:  # fmt: skip
    """A decision of a faction; `fields` are of its option."""
    weighs = Weighing(Option(act, (("custom", 9.0),), 9.0, of(target) if target else None, **fields), (), 1)
    weighs = Weighing(weighs.option, (weighs.option,), 1)
    return Decision(of(name), matter, weighs, None if secret else weighs)


def decide(monkeypatch: pytest.MonkeyPatch, *decisions: Decision) -> None:
    """Let councils decide just that."""

    def council(view: Outlook, _: Any) -> Sequence[Decision]:
        return [d for d in decisions if d.faction_id == view.me.id]

    monkeypatch.setattr(warcraft, "council", council)
    monkeypatch.setattr(mishaps, "mishaps", lambda *_: iter(()))


async def test_who_fights_and_musters_in_one_council_keeps_its_losses(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await server.person()
    world_id = await land(server, owner)
    ash, birch = of("Ashmark"), of("Birchholm")
    made = await server.do(DeclareWar(attacker_id=ash, defender_id=birch), owner.actor, world_id)
    attack = {"about_id": made.id, "kind": "field", "words": "a battle in the open"}
    decide(
        monkeypatch, decision("Ashmark", "attack", "Birchholm", matter="war", **attack),
        decision("Ashmark", "muster", amount=36), decision("Birchholm", "muster", amount=20),
    )  # fmt: skip
    await council(server, owner, world_id)
    await advance(server, owner, world_id, 2 * DAY)
    (battle,) = await log(server, world_id, "diplomacy.battle_fought")
    assert battle["losses"] > 1 and battle["enemy_losses"] > 1
    rows = await server.fetch("SELECT id, strength FROM factions WHERE world_id = $1", world_id)
    strength = {row["id"]: row["strength"] for row in rows}
    assert strength[ash] == pytest.approx(900 - battle["losses"] + 36, abs=0.2)
    assert strength[birch] == pytest.approx(700 - battle["enemy_losses"] + 20, abs=0.2)
    paid = {m["from_id"]: m["amount"] for m in await log(server, world_id, "factions.treasury_moved")
            if m["kind"] == "factions.muster"}  # fmt: skip
    assert paid == {str(ash): 36, str(birch): 20}
    await sound(server, world_id)


async def test_raids_and_mockery_are_plain_to_see(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if the victim runs itself and has people who could accuse."""
    owner = await server.person()
    world_id = await land(server, owner)
    decide(
        monkeypatch, decision("Ashmark", "raid", "Birchholm", words="bad blood"),
        decision("Cedarfell", "slight", "Dunmere", words="bad blood"),
    )  # fmt: skip
    await council(server, owner, world_id)
    await advance(server, owner, world_id, 2 * DAY)
    found = {i["kind"]: i["evidence"] for i in await log(server, world_id, "diplomacy.incident_occurred")}
    assert found["insult"] == 1.0 and found["border_clash"] >= 0.6


async def told_to_all(server: Server, world_id: UUID, person: Person) -> str:
    """All that a member is told, as one text."""
    text, after, head = "", 0, 1
    while after < head:
        path = f"/api/v1/worlds/{world_id}/events?after={after}&limit=100"
        answer = await server.client.get(path, headers=person.headers)
        text += answer.text
        after, head = answer.json()["up_to"], answer.json()["head"]
    return text


async def test_what_factions_do_about_secret_treaties_is_told_to_nobody_else(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await server.person()
    world_id = await land(server, owner)
    await server.do(ChangeFaction(faction_id=of("Ashmark"), self_run=False), owner.actor, world_id)
    decide(monkeypatch)
    await council(server, owner, world_id, 3000)
    old = AddOpinion(
        holder_id=of("Cedarfell"), about_id=of("Ashmark"), key="old", amount=95, reason="old friends"
    )
    await server.do(old, owner.actor, world_id)
    oath = ProposeTreaty(
        name="The Hidden Oath", parties=[of("Ashmark"), of("Cedarfell")], faction_id=of("Ashmark"), secret=True,
        clauses=[NoAttack(a_id=of("Ashmark"), b_id=of("Cedarfell"))],
    )  # fmt: skip
    await server.do(oath, owner.actor, world_id)
    [drafted] = await log(server, world_id, "diplomacy.treaty_drafted")
    await advance(server, owner, world_id, 4 * DAY)
    made = [d for d in await log(server, world_id, "director.faction_decided") if d["matter"] == "treaty"]
    assert [(d["act"], d["secret"]) for d in made] == [("sign", True)]
    assert "The Hidden Oath" in made[0]["because"]
    guest = await server.member(world_id, owner, "player")
    told = await told_to_all(server, world_id, guest)
    assert "Ashmark" in told and "Oath" not in told and drafted["treaty_id"] not in told
    assert str(made[0]["id"]) not in told, "nor that something was decided"
    await sound(server, world_id)


async def test_no_draft_is_signed_that_would_not_be_accepted_at_the_table(server: Server) -> None:
    owner = await server.person()
    world_id = await land(server, owner)
    ash, birch = of("Ashmark"), of("Birchholm")
    await server.do(ChangeFaction(faction_id=ash, self_run=False), owner.actor, world_id)
    await council(server, owner, world_id, 3000)
    friends = AddOpinion(holder_id=birch, about_id=ash, key="old", amount=95, reason="old friends")
    await server.do(friends, owner.actor, world_id)
    offers: dict[str, list[AnyClause]] = {
        "Peace": [NoAttack(a_id=ash, b_id=birch)],
        "Ruin": [Pay(from_id=birch, to_id=ash, amount=5_000)],
        "Shells": [
            Pay(from_id=birch, to_id=ash, amount=5_000),
            Pay(from_id=ash, to_id=birch, amount=10**6, currency="shells", every_days=30),
        ],
        "Treason": [
            Pay(from_id=ash, to_id=birch, amount=4_000),
            HandOver(faction_id=birch, to_id=ash, character_id=of("Birchholm", "leader")),
        ],
    }
    drafts = [
        ProposeTreaty(
            id=derived_uuid("draft", name), name=name, parties=[ash, birch], faction_id=ash, clauses=clauses,
            duration_days=360,
        )
        for name, clauses in offers.items()
    ]  # fmt: skip
    await server.runtime.engine.execute(drafts, owner.storyteller, world_id, key="drafts")
    async with server.runtime.database.reading() as connection:
        reader = court.Connected(world_id, 0, connection)
        seen = await court.read_drafts(cast(Transaction, reader), await court.stage(reader))
    worth = {p.name: p.terms for p in seen.pacts}
    assert worth["Peace"].keys() == {birch} and worth["Peace"][birch] > 0
    assert {name for name, terms in worth.items() if not terms} == {"Ruin", "Shells", "Treason"}
    await server.do(
        ChangeDraft(
            treaty_id=derived_uuid("draft", "Peace"), name="Peace", parties=[ash, birch], faction_id=ash,
            clauses=offers["Peace"], duration_days=720,
        ),
        owner.actor, world_id,
    )  # fmt: skip
    await advance(server, owner, world_id, 4 * DAY)
    signed = await log(server, world_id, "diplomacy.treaty_signed")
    assert [(s["name"], s["faction_id"]) for s in signed] == [("Peace", str(birch))]
    await sound(server, world_id)


@pytest.mark.parametrize("secret", [False, True])
async def test_only_the_breach_of_an_open_treaty_is_a_reason_for_war(server: Server, secret: bool) -> None:
    owner = await server.person()
    world_id = await land(server, owner, self_run=False)
    ash, birch = of("Ashmark"), of("Birchholm")
    oath = derived_uuid("draft", "oath")
    draft = ProposeTreaty(
        id=oath, name="Oath", parties=[ash, birch], faction_id=ash, secret=secret,
        clauses=[NoAttack(a_id=ash, b_id=birch)],
    )  # fmt: skip
    signing = [SignTreaty(treaty_id=oath, faction_id=i) for i in (ash, birch)]
    await server.runtime.engine.execute([draft, *signing], owner.storyteller, world_id, key="oath")
    await server.do(DeclareWar(attacker_id=ash, defender_id=birch, cause="conquest"), owner.actor, world_id)
    (breach,) = await log(server, world_id, "diplomacy.treaty_violated")
    assert breach["faction_id"] == str(ash)
    async with server.runtime.database.reading() as connection:
        seen = await court.stage(court.Connected(world_id, 0, connection))
    assert seen.broken == (set() if secret else {(birch, ash)})


async def test_nobody_learns_of_spies_and_gifts_from_councils(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await server.person()
    world_id = await land(server, owner)
    decide(
        monkeypatch, decision("Dunmere", "spy", "Fenwick", secret=True, words="what Fenwick has in mind"),
        decision("Elmgard", "gift", "Ashmark", secret=True, amount=50, words="good will"),
        decision("Ashmark", "slight", "Birchholm", words="bad blood"),
    )  # fmt: skip
    await council(server, owner, world_id)
    await advance(server, owner, world_id, 2 * DAY)
    (met,) = await log(server, world_id, "director.councils_met")
    assert met["faction_ids"] == [str(of("Ashmark"))] and met["factions"] == 1
    made = {d["act"]: d for d in await log(server, world_id, "director.faction_decided")}
    assert made["spy"]["audience"] == [of("Dunmere")] and made["slight"]["audience"] is None
    guest = await server.member(world_id, owner, "player")
    acts: dict[str, set[str]] = {}
    for who, headers in (("owner", owner.headers), ("guest", guest.headers)):
        for name in ("Dunmere", "Elmgard", "Ashmark"):
            path = f"/api/v1/worlds/{world_id}/factions/{of(name)}/reasoning"
            found = (await server.client.get(path, headers=headers)).json()["decisions"]
            acts.setdefault(who, set()).update(d["act"] for d in found)
    assert acts == {"owner": {"spy", "gift", "slight"}, "guest": {"slight"}}


async def test_councils_of_which_nobody_may_know_are_not_told(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await server.person()
    world_id = await land(server, owner)
    decide(monkeypatch, decision("Elmgard", "gift", "Ashmark", secret=True, amount=50, words="good will"))
    await council(server, owner, world_id)
    await advance(server, owner, world_id, 2 * DAY)
    assert await log(server, world_id, "director.councils_met") == []
    (gift,) = await log(server, world_id, "director.faction_decided")
    assert gift["refused"] is None
    thanks = [c for c in await log(server, world_id, "diplomacy.relationship_changed")
              if c["holder_id"] == str(of("Ashmark"))]  # fmt: skip
    assert [c["changes"][0]["key"] for c in thanks] == ["gift"], "as for everybody's gifts"


async def test_what_was_really_weighed_is_told_to_the_faction(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await server.person()
    world_id = await land(server, owner)
    real = Option("slight", (("tie", 12.0), ("custom", 8.0)), 20.0, of("Birchholm"), words="bad blood")
    shown = Option("slight", (("tie", 3.0), ("custom", 8.0)), 11.0, of("Birchholm"), words="bad blood")
    made = Decision(of("Ashmark"), "policy", Weighing(real, (real,), 9), Weighing(shown, (shown,), 7))
    decide(monkeypatch, made, decision("Cedarfell", "slight", "Dunmere", words="bad blood"))
    await council(server, owner, world_id)
    await advance(server, owner, world_id, 2 * DAY)
    (weighed,) = await log(server, world_id, "director.faction_weighed")
    assert weighed["audience"] == [of("Ashmark")]
    guest = await server.member(world_id, owner, "player")
    for headers, weight, many in ((owner.headers, 20.0, 9), (guest.headers, 11.0, 7)):
        path = f"/api/v1/worlds/{world_id}/factions/{of('Ashmark')}/reasoning"
        (told,) = (await server.client.get(path, headers=headers)).json()["decisions"]
        assert (told["options"][0]["weight"], told["weighed"], told["act"]) == (weight, many, "slight")
        assert f"({12.0 if weight > 15 else 3.0:.1f})" in told["because"]


async def test_who_has_many_answers_to_give_is_summoned_again(server: Server) -> None:
    owner = await server.person()
    world_id = await land(server, owner)
    await server.do(ChangeFaction(faction_id=of("Ashmark"), self_run=False), owner.actor, world_id)
    await council(server, owner, world_id, 3000)
    await advance(server, owner, world_id, 2 * DAY)
    for _ in range(warcraft.MOST_MATTERS + 3):
        report = ReportIncident(
            kind="insult", injured_id=of("Ashmark"), accused_id=of("Birchholm"), severity=0.5
        )
        await server.do(report, owner.actor, world_id)
    assert len(await waiting(server, world_id, "director.summons")) == 1
    await advance(server, owner, world_id, 4 * DAY)
    assert len(await waiting(server, world_id, "director.summons")) == 1, "for those it did not come to"
    await advance(server, owner, world_id, 4 * DAY)
    assert await waiting(server, world_id, "director.summons") == []
    await sound(server, world_id)


async def test_a_summons_that_fails_again_stays_one_letter(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await server.person()
    world_id = await land(server, owner)
    decide(monkeypatch)
    await council(server, owner, world_id, 3000)
    await advance(server, owner, world_id, 2 * DAY)

    def broken(*_: Any) -> Any:
        raise RuntimeError("the envoy fell from its horse")

    with monkeypatch.context() as patched:
        patched.setattr(envoys, "commands", broken)
        report = ReportIncident(
            kind="insult", injured_id=of("Ashmark"), accused_id=of("Birchholm"), severity=0.5
        )
        await server.do(report, owner.actor, world_id)
        await advance(server, owner, world_id, 4 * DAY)
        letters = await server.fetch("SELECT id, handler FROM dead_letters WHERE world_id = $1", world_id)
        assert {row["handler"] for row in letters} == {"director.summons"}
        for row in letters:
            with pytest.raises(Refused) as refused:
                await server.do(ReplayDeadLetter(dead_letter_id=row["id"]), owner.actor, world_id)
            assert refused.value.code == "replay_failed"
        after = await server.fetch("SELECT id, state FROM dead_letters WHERE world_id = $1", world_id)
        assert [(row["id"], row["state"]) for row in after] == [(row["id"], "open") for row in letters]
    await server.do(ReplayDeadLetter(dead_letter_id=letters[0]["id"]), owner.actor, world_id)
    after = await server.fetch("SELECT state FROM dead_letters WHERE world_id = $1", world_id)
    assert "replayed" in {row["state"] for row in after}


async def test_councils_lock_memberships_before_factions(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A council that waits for a membership holds no faction: who locks both the other way round would never end."""
    owner = await server.person()
    world_id = await land(server, owner)
    decide(monkeypatch, decision("Ashmark", "talk", "Birchholm", kind="trade", words="open roads"))
    await council(server, owner, world_id)
    leader = of("Ashmark", "leader")
    async with server.runtime.database.reading() as other, other.transaction():
        await other.execute(
            "SELECT 1 FROM faction_members WHERE world_id = $1 AND character_id = $2 FOR NO KEY UPDATE",
            world_id, leader,
        )  # fmt: skip
        await server.do(AdvanceWorld(by_ms=2 * DAY), owner.actor, world_id)

        async def waits() -> bool:
            sql = "SELECT count(*) AS n FROM pg_locks WHERE NOT granted AND $1 = ANY(pg_blocking_pids(pid))"
            return bool((await server.fetch(sql, other.get_server_pid()))[0]["n"])

        await until(waits)
        await other.execute("SELECT 1 FROM factions WHERE world_id = $1 FOR NO KEY UPDATE NOWAIT", world_id)
    await arrived(server, world_id)
    assert await log(server, world_id, "diplomacy.negotiation_started")
    await sound(server, world_id)
