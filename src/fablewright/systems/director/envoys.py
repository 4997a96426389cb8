"""What factions that run themselves have decided, as the commands that everybody else would give.

Chance (who is caught, how bad a raid is) comes from dice that are handed in.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

from fablewright.core.dice import Dice
from fablewright.core.messages import Command
from fablewright.systems.diplomacy import nego_commands as nego
from fablewright.systems.diplomacy import treaty_commands as treaties
from fablewright.systems.diplomacy import war_commands as war
from fablewright.systems.diplomacy.clauses import Pay
from fablewright.systems.director.mishaps import Mishap
from fablewright.systems.director.realms import Realm, Stage
from fablewright.systems.director.statecraft import Decision, Option, outlook
from fablewright.systems.director.warcraft import willing
from fablewright.systems.factions.commands import Muster, SpendTreasury

CLEAR: Final = 25.0
"""From this war score on (or below minus it), who lays down arms leaves what was taken to who took it."""
TARIFF: Final = 0.25
TALKS_LAST_DAYS: Final = 30
LIFTED_BELOW: Final = 15.0
"""Sanctions end by themselves when the tension (0..100) is below this."""

Giver = Callable[["Errand"], list[Command]]


class Errand:
    """A decision on its way to be carried out: who goes, to whom, with what dice."""

    def __init__(self, stage: Stage, decision: Decision, dice: Dice):
        self.stage = stage
        self.option: Option = decision.option
        self.me: Realm = stage.realms[decision.faction_id]
        self.dice = dice

    def who(self, act: str) -> UUID | None:
        """The member who does this in the faction's name; None if nobody is there, then the server does it."""
        return self.me.able.get(act)

    @property
    def target(self) -> UUID:
        """Whom it concerns."""
        assert self.option.target_id is not None
        return self.option.target_id

    @property
    def about(self) -> UUID:
        """What it is about."""
        assert self.option.about_id is not None
        return self.option.about_id

    def name(self, faction_id: UUID) -> str:
        """The name of a faction."""
        realm = self.stage.realms.get(faction_id)
        return realm.name if realm else "somebody"


def commands(stage: Stage, decision: Decision, dice: Dice) -> list[Command]:
    """The commands that carry a decision out, in order; none if there is nothing to do."""
    give = ERRANDS.get(decision.option.act)
    return give(Errand(stage, decision, dice)) if give else []


# -- kindness --------------------------------------------------------------------------------------------------


def _gift(e: Errand) -> list[Command]:
    return [
        SpendTreasury(
            faction_id=e.me.id, to_id=e.target, amount=e.option.amount, reason=f"A gift of {e.me.name}.",
            character_id=e.who("spend_treasury"),
        )
    ]  # fmt: skip


def _talk(e: Errand) -> list[Command]:
    return [
        nego.OpenNegotiation(
            faction_id=e.me.id, with_ids=[e.target], kind=e.option.kind, deadline_days=TALKS_LAST_DAYS,
            character_id=e.who("negotiate"), about_id=e.option.about_id,
        )
    ]  # fmt: skip


def _muster(e: Errand) -> list[Command]:
    return [
        Muster(
            faction_id=e.me.id,
            troops=e.option.amount,
            reason="its ranks were thin",
            character_id=e.who("muster"),
        )
    ]


def _renounce(e: Errand) -> list[Command]:
    return [
        treaties.WithdrawFromTreaty(treaty_id=e.about, faction_id=e.me.id, character_id=e.who("sign_treaty"))
    ]


# -- incidents -------------------------------------------------------------------------------------------------


def _report(e: Errand, kind: str, severity: float, evidence: float, text: str, **more: Any) -> Command:
    """The injured holds the faction responsible. The world has seen it: nobody's word is needed, and none doubted."""
    return war.ReportIncident(
        kind=kind, injured_id=e.target, accused_id=e.me.id, severity=round(severity, 2), evidence=round(evidence, 2),
        description=text, **more,
    )  # fmt: skip


def mishap(what: Mishap) -> Command:
    """The injured holds a neighbour responsible for something that nobody had in mind."""
    return war.ReportIncident(
        kind=what.kind, injured_id=what.injured_id, accused_id=what.accused_id, severity=what.severity,
        evidence=what.evidence, description=what.text, region_id=what.region_id,
    )  # fmt: skip


def _slight(e: Errand) -> list[Command]:
    severity = e.dice.uniform(0.3, 0.9)
    text = f"An envoy of {e.me.name} mocked {e.name(e.target)} before all."
    return [_report(e, "insult", severity, 1.0, text)]


def _raid(e: Errand) -> list[Command]:
    """A raid over the border; what is carried off depends on how it went."""
    severity = e.dice.uniform(0.35, 0.95)
    mine = {near for land in e.stage.held.get(e.me.id, ()) for near in land.neighbours}
    lands = [land for land in e.stage.held.get(e.target, ()) if land.id in mine]
    place = e.dice.choice(sorted(lands, key=lambda land: land.id)) if lands else None
    where = f" in {place.name}" if place else ""
    text = f"Riders of {e.me.name} burnt and plundered{where}."
    found: list[Command] = [
        _report(
            e, "border_clash", severity, e.dice.uniform(0.6, 1.0), text, region_id=place.id if place else None
        )
    ]
    loot = int(e.stage.realms[e.target].treasury * 0.04 * severity)
    if loot > 0:
        found.append(
            SpendTreasury(faction_id=e.target, to_id=e.me.id, amount=loot, reason="Plundered in a raid.")
        )
    return found


def _spy(e: Errand) -> list[Command]:
    """A spy comes home, perhaps with a secret, or is caught."""
    return [treaties.SpyOnFaction(faction_id=e.me.id, target_id=e.target, character_id=e.who("spy"))]


def _answer(answer: str) -> Giver:
    def give(e: Errand) -> list[Command]:
        amount = e.option.amount if answer == "reparation" else 0
        who = e.who("answer_incident")
        return [war.AnswerIncident(incident_id=e.about, answer=answer, amount=amount, character_id=who)]

    return give


def _settle(forgive: bool) -> Giver:
    def give(e: Errand) -> list[Command]:
        return [
            war.SettleIncident(incident_id=e.about, forgive=forgive, character_id=e.who("answer_incident"))
        ]

    return give


def _escalate(e: Errand) -> list[Command]:
    return [war.EscalateIncident(incident_id=e.about, character_id=e.who("accuse"))]


# -- sanctions, ultimatums, coalitions -------------------------------------------------------------------------


def _sanction(e: Errand) -> list[Command]:
    rate = TARIFF if e.option.kind == "tariff" else 0.0
    return [
        war.ImposeSanction(
            faction_id=e.me.id, target_id=e.target, kind=e.option.kind, rate=rate,
            reason=f"Because of {e.option.words}."[:500], incident_id=e.option.about_id, character_id=e.who("sanction"),
            lift_when=[war.LiftCondition(kind="tension_below", value=LIFTED_BELOW)],
        )
    ]  # fmt: skip


def _join_sanction(e: Errand) -> list[Command]:
    return [war.JoinSanction(sanction_id=e.about, faction_id=e.me.id, character_id=e.who("sanction"))]


def _lift_sanction(e: Errand) -> list[Command]:
    return [war.LeaveSanction(sanction_id=e.about, faction_id=e.me.id, character_id=e.who("sanction"))]


def _ultimatum(e: Errand) -> list[Command]:
    """Reparation or worse; whose lands yield little is asked for what they yield."""
    amount = max(1, min(e.option.amount, int(e.stage.realms[e.target].economic)))
    demand = Pay(from_id=e.target, to_id=e.me.id, amount=amount, currency=e.me.currency)
    return [
        war.IssueUltimatum(
            faction_id=e.me.id, target_id=e.target, demands=[demand], incident_id=e.option.about_id,
            consequence=war.Consequence(kind=e.option.kind), character_id=e.who("issue_ultimatum"),
            text=f"Make good {e.option.words}, or bear what follows.",
        )
    ]  # fmt: skip


def _answer_ultimatum(accept: bool) -> Giver:
    def give(e: Errand) -> list[Command]:
        who = e.who("answer_ultimatum")
        return [war.AnswerUltimatum(ultimatum_id=e.about, accept=accept, character_id=who)]

    return give


def _form_coalition(e: Errand) -> list[Command]:
    return [war.FormCoalition(faction_id=e.me.id, target_id=e.target, character_id=e.who("sign_treaty"))]


def _join_coalition(e: Errand) -> list[Command]:
    return [war.JoinCoalition(coalition_id=e.about, faction_id=e.me.id, character_id=e.who("sign_treaty"))]


# -- treaties --------------------------------------------------------------------------------------------------


def _sign(e: Errand) -> list[Command]:
    read = next(p.number for p in e.stage.pacts if p.id == e.about)
    who = e.who("sign_treaty")
    return [treaties.SignTreaty(treaty_id=e.about, faction_id=e.me.id, character_id=who, draft=read)]


def _reject_treaty(e: Errand) -> list[Command]:
    who = e.who("sign_treaty")
    return [treaties.RejectTreaty(treaty_id=e.about, faction_id=e.me.id, character_id=who)]


# -- war -------------------------------------------------------------------------------------------------------


def _war(e: Errand) -> list[Command]:
    return [
        war.DeclareWar(
            attacker_id=e.me.id, defender_id=e.target, cause=e.option.kind, cause_id=e.option.about_id,
            reason=f"Because of {e.option.words}.", character_id=e.who("declare_war"),
        )
    ]  # fmt: skip


def _attack(e: Errand) -> list[Command]:
    troops = max(1.0, e.me.troops * e.dice.uniform(0.5, 0.9))
    return [
        war.FightBattle(
            war_id=e.about, faction_id=e.me.id, enemy_id=e.target, region_id=e.option.place_id, troops=round(troops, 1),
            character_id=e.who("fight"),
        )
    ]  # fmt: skip


def _call_ally(e: Errand) -> list[Command]:
    who = e.who("declare_war")
    return [war.CallToArms(war_id=e.about, faction_id=e.me.id, ally_id=e.target, character_id=who)]


def _answer_call(come: bool) -> Giver:
    def give(e: Errand) -> list[Command]:
        who = e.who("declare_war")
        return [war.AnswerCall(war_id=e.about, faction_id=e.me.id, come=come, character_id=who)]

    return give


def _lay_down_arms(e: Errand) -> list[Command]:
    """Both leaders end it at once, if the other one runs itself and is as weary; the loser loses what was taken."""
    conflict = next((w for w in e.stage.wars if w.id == e.about), None)
    foe = e.stage.realms.get(e.target)
    if conflict is None or foe is None or not foe.self_run or not willing(outlook(e.stage, foe.id), conflict):
        return []
    winner = "attacker" if conflict.score >= CLEAR else "defender" if conflict.score <= -CLEAR else None
    keep = [region for region, taker in conflict.taken.items() if conflict.sides.get(taker) == winner]
    return [
        war.MakePeace(
            war_id=e.about, faction_id=e.me.id, keep=sorted(keep), character_id=e.who("make_peace"),
            agreed_by=foe.able.get("make_peace"),
        )
    ]  # fmt: skip


ERRANDS: Final[Mapping[str, Giver]] = {
    "gift": _gift, "talk": _talk, "muster": _muster, "renounce": _renounce, "slight": _slight, "raid": _raid,
    "spy": _spy, "apology": _answer("apology"), "reparation": _answer("reparation"), "denial": _answer("denial"),
    "retaliation": _answer("retaliation"), "accept_apology": _settle(False), "forgive": _settle(True),
    "escalate": _escalate, "sanction": _sanction, "join_sanction": _join_sanction, "lift_sanction": _lift_sanction,
    "ultimatum": _ultimatum, "accept": _answer_ultimatum(True), "reject": _answer_ultimatum(False),
    "form_coalition": _form_coalition, "join_coalition": _join_coalition, "sign": _sign,
    "reject_treaty": _reject_treaty, "war": _war, "attack": _attack, "call_ally": _call_ally,
    "come": _answer_call(True), "stay_out": _answer_call(False), "seek_peace": _talk, "lay_down_arms": _lay_down_arms,
}  # fmt: skip
"""By act, what is done."""
