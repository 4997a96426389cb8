"""A world with something of everything in it, and the documented example of each operation to send there."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from fablewright.core.refusal import Refused
from fablewright.systems.accounts.commands import CreateApiKey
from fablewright.systems.achievements.commands import DefineAchievement
from fablewright.systems.achievements.rules import AchievementDefinition, Manual
from fablewright.systems.characters.commands import CreateCharacter
from fablewright.systems.custom_events.commands import SCHEMA_EXAMPLE, RegisterEventType
from fablewright.systems.dialogue.commands import DefineInteractionType, SetGrammar
from fablewright.systems.dialogue.effects import DUEL, TypeDefinition
from fablewright.systems.diplomacy.clauses import Custom, NoAttack
from fablewright.systems.diplomacy.commands import OPINION_EXAMPLE, AddOpinion
from fablewright.systems.diplomacy.nego_commands import MakeOffer, OpenNegotiation
from fablewright.systems.diplomacy.treaty_commands import ProposeTreaty, RevealTreaty, SignTreaty
from fablewright.systems.diplomacy.war_commands import (
    AnswerIncident,
    Consequence,
    DeclareWar,
    FormCoalition,
    ImposeSanction,
    IssueUltimatum,
    ReportIncident,
)
from fablewright.systems.factions.commands import FoundFaction, MemberValue
from fablewright.systems.leaderboards.commands import EXAMPLES, DefineBoard, SubmitScore
from fablewright.systems.ledger.commands import Hold, Transfer
from fablewright.systems.markets.commands import (
    Buy,
    DefineGoods,
    GoodValue,
    ImposeRestriction,
    OpenRoute,
    SetMarket,
)
from fablewright.systems.memory.commands import PlantMemory
from fablewright.systems.points.commands import Award, AwardRuleSpec, DefineAwardRule, GrantTitle, StartBonus
from fablewright.systems.points.guards import Limits, Window
from fablewright.systems.quests.commands import EXAMPLE as QUEST
from fablewright.systems.quests.commands import AcceptQuest, DefineQuest, ReachObjective
from fablewright.systems.quests.rules import QuestDefinition
from fablewright.systems.regions.commands import (
    BanMovement,
    BorderValue,
    DefinePlaces,
    DefineRegions,
    Membership,
    PathValue,
    PlaceCharacters,
    Placement,
    PlaceValue,
    RegionValue,
)
from fablewright.systems.relationships.commands import SetTie
from fablewright.systems.worlds.commands import AdvanceWorld, StopAdvance
from tests.support import PASSWORD, Person, Server


@dataclass
class Prepared:
    """A world, who owns it, and the ids to fill in for the parameters of paths."""

    owner: Person
    world_id: UUID
    ids: dict[str, str]

    def url(self, path: str, operation: dict[str, Any] | None = None) -> str:
        """A path of the document with the ids of what there is, and the queries that the operation must have."""
        parameters = (operation or {}).get("parameters", ())
        asked = [p["name"] for p in parameters if p.get("in") == "query" and p.get("required")]
        query = "&".join(f"{name}={self.ids[name]}" for name in asked)
        known = {"dead_letter_id": str(uuid4()), **self.ids}
        if path.endswith(("/withdraw", "/suspend", "/terminate", "/renew", "/accuse")):
            known["treaty_id"] = self.ids["signed_treaty_id"]
        return path.format_map(known) + (f"?{query}" if query else "")

    def body(self, path: str, operation: dict[str, Any]) -> Any:
        """The operation's first example, with the ids of what there is; None if it takes no body."""
        contents = (operation.get("requestBody") or {"content": {"": {}}})["content"].values()
        (content,) = contents
        body = next(iter(content.get("examples", {}).values()), {"value": None})["value"]
        body = self.filled(body)
        if isinstance(body, dict):
            if path.endswith("/login"):
                body |= {"login": self.owner.login, "password": PASSWORD}
            if path.endswith("/register"):
                body |= {"login": f"u-{uuid4().hex}"}
            if "parties" in body:  # a treaty between the two houses
                body |= {"parties": [self.ids["faction_id"], self.ids["other_faction_id"]], "clauses": []}
            if path.endswith(
                (
                    "/sanctions",
                    "/sanctions/import",
                    "/ultimatums",
                    "/coalitions",
                    "/coalitions/import",
                    "/spy",
                )
            ):
                body |= {"target_id": self.ids["other_faction_id"]}
        return body

    def filled(self, value: Any) -> Any:
        """An example with the ids of what there is, at any depth; lists of ids have their singular's."""
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        if not isinstance(value, dict):
            return value
        lists = {f"{name}s": [value] for name, value in self.ids.items() if name.endswith("_id")} | {
            "about_ids": [self.ids["target_id"]],
            "with_ids": [self.ids["other_faction_id"]],
            "taker_ids": [self.ids["target_id"]],
        }
        known = {**self.ids, **lists, "work_id": self.ids["place_id"], "home_id": self.ids["place_id"]}
        return {name: known.get(name, self.filled(inner)) for name, inner in value.items()}


async def prepare(server: Server) -> Prepared:
    """A world, its owner, another member, two characters with a tie, two places, an advance and an API key."""
    owner = await server.person()
    world_id = await server.world(owner)
    member = await server.member(world_id, owner, "player")
    made = [
        await server.do(CreateCharacter(name=name), owner.actor, world_id) for name in ("Ilse", "Bertram")
    ]
    one, two = (character.id for character in made)
    await server.do(SetTie(source_id=one, target_id=two, strength=0.5), owner.actor, world_id)
    here, there = uuid4(), uuid4()
    places = [PlaceValue(id=here, name="Here"), PlaceValue(id=there, name="There")]
    path = PathValue(a_id=here, b_id=there, minutes=5)
    await server.do(DefinePlaces(places=places, paths=[path]), owner.actor, world_id)
    placements = [Placement(character_id=character, place_id=here) for character in (one, two)]
    await server.do(PlaceCharacters(placements=placements), owner.actor, world_id)
    vale, fens = uuid4(), uuid4()
    lands = DefineRegions(
        regions=[RegionValue(id=vale, name="Vale"), RegionValue(id=fens, name="Fens")],
        borders=[BorderValue(a_id=vale, b_id=fens, minutes=60)],
        places=[Membership(place_id=here, region_id=vale), Membership(place_id=there, region_id=fens)],
    )
    await server.do(lands, owner.actor, world_id)
    ban = await server.do(BanMovement(region_id=vale, reason="Plague"), owner.actor, world_id)
    await server.do(
        DefineInteractionType(name="duel", definition=TypeDefinition(**DUEL)), owner.actor, world_id
    )
    known = PlantMemory(character_id=one, text="Bertram cannot read.", about_ids=[two])
    memory = await server.do(known, owner.actor, world_id)
    texts = {"extras": {"place": {"plain": ["[here] They say {place} was a temple once."]}}}
    await server.do(SetGrammar(name="example", content=texts), owner.actor, world_id)
    kind = RegisterEventType(type="game.quest_finished", data_schema=SCHEMA_EXAMPLE)
    await server.do(kind, owner.actor, world_id)
    sum_: dict[str, Any] = {"debit": "mint", "credit": one, "currency": "points", "amount": 50}
    transfer = await server.do(Transfer(**sum_, open_accounts=True), owner.actor, world_id)
    hold = await server.do(Hold(**sum_), owner.actor, world_id)
    often = AwardRuleSpec(amount=5, limits=Limits(window=Window(most=1, ms=60_000), outcome="quarantine"))
    await server.do(DefineAwardRule(key="quest_completed", rule=often), owner.actor, world_id)
    bonus = await server.do(StartBonus(name="Fair", multiplier=2, until_ms=10**15), owner.actor, world_id)
    title = GrantTitle(character_id=one, title="Keeper of the Ferry")
    await server.do(title, owner.actor, world_id)
    award = Award(character_id=one, action="quest_completed")
    given, held = [await server.do(award, owner.actor, world_id) for _ in range(2)]
    await server.do(DefineBoard(key="ford", **EXAMPLES[0]), owner.actor, world_id)
    await server.do(SubmitScore(key="ford", subject_id=one, score=80), owner.actor, world_id)
    hero = AchievementDefinition(name="Hero of the day", criteria=Manual(kind="manual"))
    await server.do(DefineAchievement(key="hero_of_the_day", definition=hero), owner.actor, world_id)
    ferry = QuestDefinition.model_validate(QUEST)
    await server.do(DefineQuest(key="lost_ferry", definition=ferry), owner.actor, world_id)
    await server.do(AcceptQuest(key="lost_ferry", character_id=one), owner.actor, world_id)
    asked = ReachObjective(key="lost_ferry", taker_id=one, objective="ask")
    await server.do(asked, owner.actor, world_id)
    realm = FoundFaction(
        name="House Alder", leader_id=one, members=[MemberValue(character_id=two)], treasury=500, strength=900
    )
    faction = await server.do(realm, owner.actor, world_id)
    rival = await server.do(FoundFaction(name="House Birch"), owner.actor, world_id)
    enemy = AddOpinion(holder_id=faction.id, about_id=rival.id, **OPINION_EXAMPLE)
    await server.do(enemy, owner.actor, world_id)
    truce = ProposeTreaty(
        name="Treaty of Ash", kind="non_aggression", parties=[faction.id, rival.id], faction_id=faction.id,
        clauses=[NoAttack(a_id=faction.id, b_id=rival.id)],
    )  # fmt: skip
    treaty = await server.do(truce, owner.actor, world_id)
    pact = truce.model_copy(update={"name": "Pact of the Ford", "kind": "custom", "secret": True})
    quiet = await server.do(pact, owner.actor, world_id)
    for party in (faction.id, rival.id):
        await server.do(SignTreaty(treaty_id=quiet["id"], faction_id=party), owner.actor, world_id)
    await server.do(RevealTreaty(treaty_id=quiet["id"]), owner.actor, world_id)
    (deed,) = await server.fetch("SELECT id FROM deeds WHERE world_id = $1", world_id)
    parley = OpenNegotiation(faction_id=faction.id, with_ids=[rival.id], kind="trade")
    talks = await server.do(parley, owner.actor, world_id)
    asked_for = Custom(text="The ford is open to both.")
    bid = MakeOffer(negotiation_id=talks.id, faction_id=rival.id, clauses=[asked_for], days=90)
    await server.do(bid, owner.actor, world_id)
    await server.do(
        DefineGoods(goods=[GoodValue(key="grain", name="Grain", base_price=4)]), owner.actor, world_id
    )
    await server.do(SetMarket(region_id=vale, good="grain", supply=500), owner.actor, world_id)
    await server.do(Buy(character_id=one, region_id=vale, good="grain", units=2), owner.actor, world_id)
    trades = OpenRoute(from_region=fens, to_region=vale, good="grain", per_day=5)
    trade_route = await server.do(trades, owner.actor, world_id)
    taxed = await server.do(ImposeRestriction(kind="tariff", rate=0.1), owner.actor, world_id)
    at_odds = await quarrel(server, owner, world_id, faction.id, rival.id)
    key = await server.do(CreateApiKey(name="bot", scopes=["read"]), owner.actor)
    advance = await server.do(AdvanceWorld(by_ms=1), owner.actor, world_id)
    with suppress(Refused):  # it may have arrived by itself
        await server.do(StopAdvance(), owner.actor, world_id)
    ids = {
        "world_id": world_id, "user_id": member.id, "character_id": one, "source_id": one, "target_id": two,
        "initiator_id": one, "advance_id": advance["id"], "key_id": key.id,
        "place_id": there, "type_name": "duel", "texts_name": "example", "memory_id": memory.id, "seq": 1,
        "owner_id": one, "currency": "points", "code": "points", "transfer_id": transfer.id, "hold_id": hold.id,
        "debit": "mint", "credit": one, "verdict_id": held.verdict_id, "rule_key": "quest_completed",
        "achievement_key": "hero_of_the_day", "award_id": given.transfer_id,
        "event_type": kind.type, "bonus_id": bonus.id, "from_id": one, "to_id": two,
        "faction_id": faction.id, "member_id": two, "other_faction_id": rival.id, "opinion_key": "shared_enemy",
        "board_key": "ford", "subject_id": one, "quest_key": "lost_ferry", "taker_id": one,
        "region_id": vale, "to_region_id": fens, "to": fens, "ban_id": ban["id"],
        "from_region": vale, "to_region": fens, "good": "grain", "route_id": trade_route["id"],
        "restriction_id": taxed["ids"][0], "treaty_id": treaty["id"], "signed_treaty_id": quiet["id"],
        "accused_id": rival.id, "controller_id": faction.id,
        "deed_id": deed["id"],
        "negotiation_id": talks.id, **at_odds,
    }  # fmt: skip
    return Prepared(owner, world_id, {name: str(value) for name, value in ids.items()})


async def quarrel(server: Server, owner: Person, world_id: UUID, ash: UUID, birch: UUID) -> dict[str, UUID]:
    """What two houses, and a third that frightens all, have against each other; the ids of it."""
    cedar = (await server.do(FoundFaction(name="House Cedar", strength=50), owner.actor, world_id)).id
    report = ReportIncident(kind="spying", injured_id=birch, accused_id=ash, severity=0.4)
    incident = await server.do(report, owner.actor, world_id)
    await server.do(AnswerIncident(incident_id=incident.id, answer="denial"), owner.actor, world_id)
    threat = IssueUltimatum(
        faction_id=birch, target_id=ash, demands=[Custom(text="No more spies.")],
        consequence=Consequence(kind="sanction"),
    )  # fmt: skip
    ultimatum = await server.do(threat, owner.actor, world_id)
    war = await server.do(DeclareWar(attacker_id=cedar, defender_id=ash), owner.actor, world_id)
    tariff = ImposeSanction(faction_id=birch, target_id=cedar, kind="tariff", rate=0.1, reason="War")
    sanction = await server.do(tariff, owner.actor, world_id)
    await server.fetch(
        "INSERT INTO warlike (world_id, faction_id, exhaustion_at, aggression, aggression_at) "
        "SELECT $1, f, 0, 90, 0 FROM unnest($2::uuid[]) AS f "
        "ON CONFLICT (world_id, faction_id) DO UPDATE SET aggression = excluded.aggression",
        world_id, [birch, cedar],
    )  # fmt: skip
    coalition = await server.do(FormCoalition(faction_id=birch, target_id=cedar), owner.actor, world_id)
    return {
        "incident_id": incident.id, "injured_id": ash, "ultimatum_id": ultimatum.id, "war_id": war.id,
        "attacker_id": ash, "defender_id": birch, "enemy_id": cedar, "ally_id": birch, "sanction_id": sanction.id,
        "coalition_id": coalition.id,
    }  # fmt: skip
