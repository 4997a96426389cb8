"""What factions may do: random commands about what there is, for `diplomacy.py`."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import orjson

from fablewright.core.clock import DAY
from fablewright.core.messages import Command
from fablewright.core.refusal import Refused
from fablewright.systems.diplomacy.commands import AddOpinion, SetRelation
from fablewright.systems.diplomacy.nego_commands import (
    AnswerOffer,
    Deliberate,
    MakeOffer,
    OpenNegotiation,
    Persuade,
    WalkOut,
)
from fablewright.systems.diplomacy.rules import STATUSES
from fablewright.systems.diplomacy.treaty_commands import (
    AccuseOfBreach,
    ImportTreaty,
    ProposeTreaty,
    RejectTreaty,
    RenewTreaty,
    RevealTreaty,
    SignTreaty,
    SuspendTreaty,
    TerminateTreaty,
    WithdrawFromTreaty,
)
from fablewright.systems.diplomacy.war_commands import (
    AnswerCall,
    AnswerIncident,
    AnswerUltimatum,
    CallToArms,
    Consequence,
    DeclareWar,
    EscalateIncident,
    FightBattle,
    FormCoalition,
    ImposeSanction,
    IssueUltimatum,
    JoinCoalition,
    JoinSanction,
    LeaveCoalition,
    LeaveSanction,
    LiftCondition,
    MakePeace,
    ReportIncident,
    SettleIncident,
    WithdrawUltimatum,
)
from fablewright.systems.factions.commands import (
    DissolveFaction,
    GrantTreasury,
    SetStrength,
    SpendTreasury,
)
from fablewright.systems.markets.commands import OpenRoute
from fablewright.systems.quests.commands import AcceptQuest, EndQuest
from fablewright.systems.regions.commands import (
    BanMovement,
    SetControl,
)

PEOPLE: Final = 10
"""Characters of the world, from the id 100 on: a leader and an ambassador for each faction."""
KINDS: Final[Sequence[Any]] = (
    "peace", "ceasefire", "non_aggression", "alliance", "defence_pact", "trade", "tribute", "vassalage", "border",
    "military_access", "custom",
)  # fmt: skip
CAUSES: Final[Sequence[Any]] = (
    "incident", "ultimatum_rejected", "coalition", "reconquest", "defence", "broken_treaty", "ideology", "conquest",
)  # fmt: skip
INCIDENTS: Final[Sequence[Any]] = (
    "border_clash", "insult", "spying", "trade_dispute", "assassination", "refugee_crisis", "broken_promise",
)  # fmt: skip

THERE: Final = {
    "factions": "SELECT id, leader_id FROM factions WHERE world_id = $1 AND dissolved_at IS NULL ORDER BY id",
    "incidents": "SELECT id, injured_id, accused_id FROM incidents WHERE world_id = $1 AND closed_at IS NULL "
    "ORDER BY id",
    "treaties": "SELECT t.id, t.state, array_agg(p.faction_id ORDER BY p.faction_id) AS parties, "
    "array_agg(p.faction_id ORDER BY p.faction_id) FILTER (WHERE p.signed_at IS NULL) AS missing "
    "FROM treaties t JOIN treaty_parties p ON p.world_id = t.world_id AND p.treaty_id = t.id "
    "WHERE t.world_id = $1 AND t.closed_at IS NULL GROUP BY t.id, t.state ORDER BY t.id",
    "wars": "SELECT w.id, w.attacker_id, w.defender_id, p.faction_id, p.side, p.state FROM wars w "
    "JOIN war_parties p ON p.world_id = w.world_id AND p.war_id = w.id "
    "WHERE w.world_id = $1 AND w.ended_at IS NULL ORDER BY w.id, p.faction_id",
    "talks": "SELECT n.id, n.offers, array_agg(p.faction_id ORDER BY p.faction_id) AS parties FROM negotiations n "
    "JOIN negotiation_parties p ON p.world_id = n.world_id AND p.negotiation_id = n.id "
    "WHERE n.world_id = $1 AND n.state = 'open' GROUP BY n.id, n.offers ORDER BY n.id",
    "sanctions": "SELECT id, target_id FROM sanctions WHERE world_id = $1 AND lifted_at IS NULL ORDER BY id",
    "regions": "SELECT id, controller_id FROM regions WHERE world_id = $1 AND removed_at IS NULL ORDER BY id",
    "ultimatums": "SELECT id, issuer_id, target_id, state FROM ultimatums WHERE world_id = $1 AND closed_at IS NULL "
    "ORDER BY id",
    "coalitions": "SELECT id, target_id FROM coalitions WHERE world_id = $1 AND dissolved_at IS NULL ORDER BY id",
    "quests": "SELECT q.key, t.taker_id FROM quests q LEFT JOIN quest_takings t ON t.world_id = q.world_id "
    "AND t.quest_id = q.id AND t.state = 'accepted' WHERE q.world_id = $1 AND q.removed_at IS NULL "
    "ORDER BY q.key, t.taker_id",
}  # fmt: skip
"""What there is to act on."""

STATE: Final = "SELECT json_build_object({})::text".format(
    ", ".join(f"'{name}', (SELECT coalesce(json_agg(x), '[]') FROM ({sql}) x)" for name, sql in THERE.items())
)
"""All of it at once, as JSON."""

Make = Callable[[], Command | None]


@dataclass
class Deeds:
    """Random commands, from what there is in a world (`state`, as `STATE` reads it)."""

    chance: random.Random
    state: dict[str, list[Any]] = field(default_factory=dict)
    given: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    # -- commands --------------------------------------------------------------------------------------------

    def see(self, there: str) -> None:
        """Take in what there is now, as `STATE` reads it."""
        self.state = {
            name: [{key: _with_ids(value) for key, value in row.items()} for row in rows]
            for name, rows in orjson.loads(there).items()
        }

    def command(self) -> Command | None:
        """A random command about what there is; many are refused, for one reason or another."""
        makers: list[tuple[float, Make]] = [
            (6, self._report), (8, self._about_incident), (6, self._propose), (12, self._about_treaty),
            (2, self._import), (3, self._open_talks), (8, self._talk), (4, self._declare), (12, self._in_war),
            (4, self._sanction), (3, self._about_sanction), (6, self._money), (3, self._land), (3, self._quest),
            (1, self._feel), (0.15, self._dissolve), (3, self._ultimatum), (3, self._coalition), (0.5, self._decree),
        ]  # fmt: skip
        return self.chance.choices([m for _, m in makers], [weight for weight, _ in makers])[0]()

    def sequel(self, command: Command) -> Command | None:
        """What may come of a command at once, such as an answer."""
        makers: dict[type[Command], Make] = {
            ReportIncident: self._about_incident, ProposeTreaty: self._about_treaty, SignTreaty: self._about_treaty,
            OpenNegotiation: self._talk, DeclareWar: self._in_war, CallToArms: self._in_war,
            FightBattle: self._in_war, ImposeSanction: self._about_sanction, IssueUltimatum: self._ultimatum,
            FormCoalition: self._coalition,
        }  # fmt: skip
        if isinstance(command, MakeOffer):
            makers[MakeOffer] = lambda: self._answer(command)
        maker = makers.get(type(command))
        return None if maker is None or self.chance.random() < 0.4 else maker()

    def _some(self, name: str) -> Any:
        return self.chance.choice(self.state[name]) if self.state[name] else None

    def _faction(self) -> UUID:
        found: UUID = self._some("factions")["id"]
        return found

    def _two(self) -> tuple[UUID, UUID]:
        one, other = self.chance.sample([row["id"] for row in self.state["factions"]], 2)
        return one, other

    def _as(self, faction_id: UUID) -> dict[str, Any]:
        """As whom somebody acts for a faction: mostly as its leader."""
        leader = next((f["leader_id"] for f in self.state["factions"] if f["id"] == faction_id), None)
        if leader is None or self.chance.random() < 0.2:
            return {}
        if self.chance.random() < 0.1:
            return {"character_id": UUID(int=leader.int + 1)}
        return {"character_id": leader}

    def _report(self) -> Command:
        injured, accused = self._two()
        return ReportIncident(
            **self._as(injured), kind=self.chance.choice(INCIDENTS), injured_id=injured, accused_id=accused,
            severity=self.chance.random(), evidence=self.chance.random(),
        )  # fmt: skip

    def _about_incident(self) -> Command | None:
        row = self._some("incidents")
        if row is None:
            return None
        which = {"incident_id": row["id"]}
        kind = self.chance.choice(("answer", "answer", "settle", "escalate", "escalate"))
        if kind == "answer":
            answer: Any = self.chance.choice(("apology", "reparation", "denial", "retaliation"))
            amount = self.chance.randint(0, 1_500) if answer == "reparation" else 0
            return AnswerIncident(**self._as(row["accused_id"]), **which, answer=answer, amount=amount)
        if kind == "settle":
            return SettleIncident(**self._as(row["injured_id"]), **which, forgive=self.chance.random() < 0.4)
        return EscalateIncident(**self._as(row["injured_id"]), **which)

    def _clauses(self, parties: Sequence[UUID]) -> list[Any]:
        made = []
        for _ in range(self.chance.randint(1, 3)):
            a, b = self.chance.sample(parties, 2)
            land = self._some("regions")["id"]
            made.append(self.chance.choice((
                {"type": "pay", "from_id": a, "to_id": b, "amount": self.chance.randint(1, 400),
                 "every_days": self.chance.choice((None, 30, 30, 90))},
                {"type": "keep_out", "faction_id": a, "region_id": land, "for_id": b},
                {"type": "no_trade", "faction_id": a, "with_id": self._faction(), "good": "salt"},
                {"type": "defend", "protector_id": a, "protected_id": b},
                {"type": "hand_over", "faction_id": a, "to_id": b,
                 "character_id": UUID(int=100 + self.chance.randrange(PEOPLE))},
                {"type": "open_borders", "faction_id": a, "to_id": b},
                {"type": "no_attack", "a_id": a, "b_id": b},
                {"type": "support_in_war", "faction_id": a, "ally_id": b},
                {"type": "custom", "text": "They hold a fair together each spring."},
            )))  # fmt: skip
        return made

    def _terms(self, parties: Sequence[UUID]) -> dict[str, Any]:
        chance = self.chance
        return {
            "name": f"Treaty {self.given.total()}", "kind": chance.choice(KINDS), "parties": list(parties),
            "clauses": self._clauses(parties), "duration_days": chance.choice((None, 60, 200, 720)),
            "renews": chance.random() < 0.3, "notice_days": chance.choice((0, 30)),
            "grace_days": chance.choice((0, 10)), "secret": chance.random() < 0.2,
            "on_breach": chance.choice(("note", "suspend", "break")),
        }  # fmt: skip

    def _propose(self) -> Command | None:
        parties = [*self._two()]
        third = self._faction()
        if self.chance.random() < 0.2 and third not in parties:
            parties.append(third)
        return self._legal(lambda: ProposeTreaty(
            **self._terms(parties), faction_id=parties[0], **self._as(parties[0])
        ))  # fmt: skip

    def _import(self) -> Command | None:
        return self._legal(lambda: ImportTreaty(
            **self._terms(self._two()), starts_at=self.chance.randint(-720, 400) * DAY
        ))  # fmt: skip

    def _legal(self, make: Callable[[], Command]) -> Command | None:
        """A command, unless its clauses are refused as soon as it is written down."""
        try:
            return make()
        except Refused as refused:
            self.refused[f"clauses {refused.code}"] += 1
            return None

    def _about_treaty(self) -> Command | None:
        row = self._some("treaties")
        if row is None:
            return None
        if row["state"] in ("draft", "signed_partly"):
            party = self.chance.choice(row["missing"] or row["parties"])
            kind: Any = RejectTreaty if self.chance.random() < 0.15 else SignTreaty
            made: Command = kind(treaty_id=row["id"], faction_id=party, **self._as(party))
            return made
        party, other = self.chance.sample(row["parties"], 2)
        who = {"treaty_id": row["id"], "faction_id": party, **self._as(party)}
        return self.chance.choice((
            lambda: TerminateTreaty(**who), lambda: RenewTreaty(**who), lambda: WithdrawFromTreaty(**who),
            lambda: SuspendTreaty(**who, resume=row["state"] == "suspended"),
            lambda: AccuseOfBreach(**who, accused_id=other, clause=self.chance.randint(1, 2)),
            lambda: RevealTreaty(treaty_id=row["id"]),
        ))()  # fmt: skip

    def _open_talks(self) -> Command:
        one, other = self._two()
        return OpenNegotiation(
            **self._as(one), faction_id=one, with_ids=[other], kind=self.chance.choice(KINDS), topic="Talks",
            deadline_days=self.chance.randint(5, 90), in_secret=self.chance.random() < 0.2,
        )  # fmt: skip

    def _talk(self) -> Command | None:
        row = self._some("talks")
        if row is None:
            return None
        me, other = self.chance.sample(row["parties"], 2)
        who = {"negotiation_id": row["id"], "faction_id": me, **self._as(me)}
        approach: Any = self.chance.choice(("reason", "charm", "bargain", "intimidate"))
        return self._legal(self.chance.choice((
            lambda: MakeOffer(
                **who, clauses=self._clauses(row["parties"]), days=self.chance.choice((None, 90, 360))
            ),
            lambda: AnswerOffer(**who, number=max(1, row["offers"]), accept=self.chance.random() < 0.7),
            lambda: Deliberate(**who), lambda: Persuade(**who, other_faction_id=other, approach=approach),
            lambda: WalkOut(**who),
        )))  # fmt: skip

    def _answer(self, offer: MakeOffer) -> Command | None:
        """What another party says to an offer that was just made."""
        row = next((row for row in self.state["talks"] if row["id"] == offer.negotiation_id), None)
        if row is None:
            return None
        me = self.chance.choice([party for party in row["parties"] if party != offer.faction_id])
        return AnswerOffer(
            **self._as(me), negotiation_id=row["id"], faction_id=me, number=row["offers"],
            accept=self.chance.random() < 0.7,
        )  # fmt: skip

    def _declare(self) -> Command:
        attacker, defender = self._two()
        cause, cause_id = self.chance.choice(CAUSES), None
        if cause == "incident" and (row := self._some("incidents")) is not None:
            attacker, defender, cause_id = row["injured_id"], row["accused_id"], row["id"]
        return DeclareWar(
            **self._as(attacker), attacker_id=attacker, defender_id=defender, cause=cause, cause_id=cause_id
        )

    def _in_war(self) -> Command | None:
        row = self._some("wars")
        if row is None:
            return None
        who = {"war_id": row["id"], "faction_id": row["faction_id"], **self._as(row["faction_id"])}
        if row["state"] == "called":
            return AnswerCall(**who, come=self.chance.random() < 0.5)
        enemies = [
            p for p in self.state["wars"]
            if p["id"] == row["id"] and p["side"] != row["side"] and p["state"] == "fighting"
        ]  # fmt: skip
        kind = self.chance.choice(("fight", "fight", "fight", "fight", "call", "peace"))
        if kind == "fight" and enemies:
            enemy = self.chance.choice(enemies)["faction_id"]
            lands = [r["id"] for r in self.state["regions"] if r["controller_id"] == enemy]
            return FightBattle(**who, enemy_id=enemy, region_id=self.chance.choice(lands) if lands else None)
        if kind == "call":
            return CallToArms(**who, ally_id=self._faction())
        lands = [r["id"] for r in self.state["regions"]]
        return MakePeace(**who, keep=self.chance.sample(lands, 1) if self.chance.random() < 0.2 else [])

    def _sanction(self) -> Command:
        faction, target = self._two()
        kind: Any = self.chance.choice(("embargo", "tariff", "asset_freeze", "travel_ban"))
        incident = self._some("incidents")
        lift: Any = self.chance.choice(("incident_settled", "tension_below", "opinion_above", "peace"))
        if lift == "incident_settled" and incident is None:
            lift = "peace"
        return ImposeSanction(
            **self._as(faction), faction_id=faction, target_id=target, kind=kind,
            rate=self.chance.uniform(0.05, 0.5) if kind == "tariff" else 0.0, reason="Because.",
            incident_id=incident["id"] if incident else None,
            lift_when=[LiftCondition(kind=lift, value=10)] if self.chance.random() < 0.6 else [],
        )  # fmt: skip

    def _about_sanction(self) -> Command | None:
        row = self._some("sanctions")
        if row is None:
            return None
        faction = self._faction()
        kind: Any = JoinSanction if self.chance.random() < 0.5 else LeaveSanction
        made: Command = kind(sanction_id=row["id"], faction_id=faction, **self._as(faction))
        return made

    def _money(self) -> Command:
        one, other = self._two()
        return self.chance.choice((
            lambda: GrantTreasury(faction_id=one, amount=self.chance.randint(1, 1_000), reason="taxes"),
            lambda: SpendTreasury(
                **self._as(one), faction_id=one, to_id=other, amount=self.chance.randint(1, 500), reason="a gift"
            ),
            lambda: SetStrength(faction_id=one, strength=float(self.chance.randint(0, 3_000))),
        ))()  # fmt: skip

    def _land(self) -> Command:
        one, other = self.chance.sample([r["id"] for r in self.state["regions"]], 2)
        faction = self._faction()
        return self.chance.choice((
            lambda: OpenRoute(
                from_region=one, to_region=other, good="salt", per_day=5, faction_id=faction, **self._as(faction)
            ),
            lambda: SetControl(region_id=one, controller_id=faction, reason="inherited"),
            lambda: BanMovement(region_id=one, subject_id=faction, reason="a quarrel"),
        ))()  # fmt: skip

    def _quest(self) -> Command | None:
        row = self._some("quests")
        if row is None:
            return None
        if row["taker_id"] is not None:
            return EndQuest(
                key=row["key"], taker_id=row["taker_id"], outcome=self.chance.choice(("done", "failed"))
            )
        leader = self._some("factions")["leader_id"]
        return AcceptQuest(key=row["key"], character_id=leader) if leader else None

    def _feel(self) -> Command:
        holder, about = self._two()
        amount = self.chance.uniform(-40, 40)
        return AddOpinion(holder_id=holder, about_id=about, key="mood", amount=amount, reason="a mood")

    def _dissolve(self) -> Command | None:
        return DissolveFaction(faction_id=self._faction()) if len(self.state["factions"]) > 3 else None

    def _ultimatum(self) -> Command | None:
        row = self._some("ultimatums")
        if row is None or self.chance.random() < 0.4:
            issuer, target = self._two()
            threat: Any = self.chance.choice(("war", "sanction", "incident"))
            return self._legal(lambda: IssueUltimatum(
                **self._as(issuer), faction_id=issuer, target_id=target, demands=self._clauses((issuer, target))[:1],
                consequence=Consequence(kind=threat), duration_days=self.chance.choice((None, 180)),
            ))  # fmt: skip
        if self.chance.random() < 0.2:
            return WithdrawUltimatum(**self._as(row["issuer_id"]), ultimatum_id=row["id"])
        return AnswerUltimatum(
            **self._as(row["target_id"]), ultimatum_id=row["id"], accept=self.chance.random() < 0.5
        )

    def _coalition(self) -> Command:
        row = self._some("coalitions")
        one, other = self._two()
        if row is None or self.chance.random() < 0.4:
            return FormCoalition(**self._as(one), faction_id=one, target_id=other)
        kind: Any = JoinCoalition if self.chance.random() < 0.7 else LeaveCoalition
        made: Command = kind(**self._as(one), coalition_id=row["id"], faction_id=one)
        return made

    def _decree(self) -> Command:
        """A game master says what two factions are to each other, whatever they were."""
        one, other = self._two()
        return SetRelation(a_id=one, b_id=other, status=self.chance.choice(STATUSES))


def _with_ids(value: Any) -> Any:
    """A value of JSON in which what looks like an id is one."""
    if isinstance(value, list):
        return [_with_ids(item) for item in value]
    return UUID(value) if isinstance(value, str) and len(value) == 36 else value
