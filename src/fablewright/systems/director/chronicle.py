"""Statecraft in words: why a faction did what it did, and the events of diplomacy each as a sentence.

Beside `why`, which has the words for characters. The phrases are in `data/statecraft.json`.
"""

from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from typing import Any, Final
from uuid import UUID

import orjson

from fablewright.systems.director.realms import Stage
from fablewright.systems.director.statecraft import Option

LEAST_PART: Final = 1.0
"""Reasons that weigh less (points) are not told."""
MOST_REASONS: Final = 3
Naming = Callable[[str], str]
Telling = Callable[[Mapping[str, Any], Naming], str]


@cache
def phrases() -> Mapping[str, Mapping[str, str]]:
    """The words of `data/statecraft.json`."""
    found: Mapping[str, Mapping[str, str]] = orjson.loads(
        resources.files(__package__).joinpath("data/statecraft.json").read_bytes()
    )
    return found


def because(stage: Stage, faction_id: UUID, option: Option) -> str:
    """One sentence that says what a faction decided and what weighed most, with its size in points."""
    other = stage.realms.get(option.target_id) if option.target_id else None
    words = {
        "other": other.name if other else "somebody", "kind": option.kind.replace("_", " "),
        "words": option.words or "what happened",
    }  # fmt: skip
    deed = phrases()["deeds"][option.act].format(**words)
    told = sorted((p for p in option.parts if p[1] >= LEAST_PART), key=lambda p: -p[1])[:MOST_REASONS]
    reasons = [f"{phrases()['reasons'].get(n, n).format(**words)} ({amount:.1f})" for n, amount in told]
    why = f", because of {_joined(reasons)}" if reasons else ""
    if option.act in ("slight", "raid", "gift", "talk") and option.words:
        why = f" ({option.words}){why}"
    return f"{stage.realms[faction_id].name} {deed}{why}."


def _joined(reasons: list[str]) -> str:
    return reasons[0] if len(reasons) == 1 else f"{', '.join(reasons[:-1])} and {reasons[-1]}"


# -- events ----------------------------------------------------------------------------------------------------


def _plain(value: Any) -> str:
    return str(value).replace("_", " ")


def _incident(data: Mapping[str, Any], name: Naming) -> str:
    text = f": {data['description']}" if data.get("description") else "."
    return f"{name('injured_id')} accused {name('accused_id')} ({_plain(data['kind'])}){text}"


def _incident_imported(data: Mapping[str, Any], name: Naming) -> str:
    text = f": {data['description']}" if data.get("description") else "."
    held = "had held" if data["state"] in ("settled", "faded") else "held"
    return f"{name('injured_id')} {held} {name('accused_id')} responsible ({_plain(data['kind'])}){text}"


def _answered(data: Mapping[str, Any], name: Naming) -> str:
    how = {
        "apology": "apologised", "reparation": f"paid {data.get('amount', 0)} in reparation", "denial": "denied it",
        "retaliation": "struck back",
    }  # fmt: skip
    did = how.get(data["answer"], data["answer"])
    return f"{name('accused_id')} {did} ({_plain(data['kind'])}, {name('injured_id')})."


def _declared(data: Mapping[str, Any], name: Naming) -> str:
    reason = f" {data['reason']}" if data.get("reason") else ""
    return (
        f"{name('attacker_id')} declared war on {name('defender_id')} ({_plain(data['cause'])}, "
        f"legitimacy {data['legitimacy']:.2f}).{reason}"
    )


def _battle(data: Mapping[str, Any], name: Naming) -> str:
    where = f" in {name('region_id')}" if data.get("region_id") else ""
    won = {data["faction_id"]: name("faction_id"), data["enemy_id"]: name("enemy_id")}.get(
        data.get("winner_id")
    )
    end = f"{won} won" if won else "nobody won"
    return (
        f"{name('faction_id')} fought {name('enemy_id')}{where}: {end}; "
        f"{data['losses']:.0f} and {data['enemy_losses']:.0f} fell."
    )


def _peace(data: Mapping[str, Any], name: Naming) -> str:
    won = {"attacker": name("attacker_id"), "defender": name("defender_id")}.get(data["outcome"])
    end = f"{won} had won" if won else "nobody had won"
    return f"{name('attacker_id')} and {name('defender_id')} made peace; {end} (score {data['score']:.0f})."


def _treaty(what: str) -> Telling:
    def tell(data: Mapping[str, Any], name: Naming) -> str:
        return f"{data['name']} {what.format(who=name('faction_id'))}."

    return tell


def _violated(data: Mapping[str, Any], name: Naming) -> str:
    return f"{name('faction_id')} broke {data['name']}: {data['text']}."


def _persons(data: Mapping[str, Any], name: Naming) -> str:
    before, after = data.get("reputation_before") or 0.0, data.get("reputation") or 0.0
    world = (
        "" if before == after else f", and the world thinks {'better' if after > before else 'worse'} of it"
    )
    return f"{name('character_id')} {data['words']}; {len(data['ties'])} felt otherwise{world}."


def _status(data: Mapping[str, Any], name: Naming) -> str:
    became = f"were {data['before']} and became {data['status']}: {data['reason']}"
    return f"{name('low_id')} and {name('high_id')} {became}."


def _opinion(data: Mapping[str, Any], name: Naming) -> str:
    changes = ", ".join(f"{c['amount']:+.2g} {c['reason']}" for c in data["changes"][:3])
    return f"{name('holder_id')} thought of {name('about_id')}: {changes}; now {data['opinion']:+.0f}."


def _tension(data: Mapping[str, Any], name: Naming) -> str:
    why = ", ".join(r["reason"] for r in data["reasons"][:3])
    return f"Tension of {name('low_id')} and {name('high_id')}: {data['before']:.0f} to {data['tension']:.0f} ({why})."


def _heard(data: Mapping[str, Any], name: Naming) -> str:
    how = {
        "party": "knew, being a party to it,", "saw": "saw", "told": "was told by envoys", "heard": "heard a rumour",
    }[data["how"]]  # fmt: skip
    return (
        f"{name('faction_id')} {how} that {name('doer_id')} {data['words']} (certainty {data['certainty']:.2f}, "
        f"opinion {data['opinion']:+.0f})."
    )


def _sanction(data: Mapping[str, Any], name: Naming) -> str:
    return f"{name('faction_id')} sanctioned {name('target_id')} ({_plain(data['kind'])}): {data['reason']}"


def _talks_ended(data: Mapping[str, Any], _: Naming) -> str:
    reason = f": {data['reason']}" if data.get("reason") else ""
    return f"Talks ended ({_plain(data['state'])}){reason}."


SENTENCES: Final[Mapping[str, Telling]] = {
    "director.faction_decided": lambda data, _: str(data["because"]),
    "director.faction_weighed": lambda data, _: str(data["because"]),
    "director.councils_met": lambda data, _: (
        "It was time for councils to be held."
        if not data["summoned"]
        else "Something waited for an answer, and councils were held."
    ),
    "diplomacy.incident_occurred": _incident,
    "diplomacy.incident_imported": _incident_imported,
    "diplomacy.incident_answered": _answered,
    "diplomacy.incident_escalated": lambda data, name: (
        f"{name('injured_id')} went on to {_plain(data['rung'])} against {name('accused_id')} ({_plain(data['kind'])})."
    ),
    "diplomacy.incident_resolved": lambda data, name: (
        f"The matter between {name('injured_id')} and {name('accused_id')} ({_plain(data['kind'])}) was over: "
        f"{data['how'] or _plain(data['state'])}."
    ),
    "diplomacy.war_declared": _declared,
    "diplomacy.war_imported": lambda data, name: (
        f"{name('attacker_id')} and {name('defender_id')} {'were' if data['ended_at'] is None else 'had been'} at war "
        f"({_plain(data['cause'])}, legitimacy {data['legitimacy']:.2f})."
    ),
    "diplomacy.warlike_set": lambda data, name: (
        f"{name('faction_id')} was as weary of war as {data['exhaustion']:.0f} of 100, and as dreaded as "
        f"{data['aggression']:.0f}."
    ),
    "diplomacy.battle_fought": _battle,
    "diplomacy.region_occupied": lambda _, name: f"{name('faction_id')} took {name('region_id')}.",
    "diplomacy.peace_made": _peace,
    "diplomacy.ally_called": lambda _, name: (
        f"{name('faction_id')} called {name('ally_id')} to arms against {name('against_id')}."
    ),
    "diplomacy.promise_recalled": lambda _, name: (
        f"War came to {name('ally_id')}, to whom {name('faction_id')} had promised its help in secret."
    ),
    "diplomacy.call_answered": lambda data, name: (
        f"{name('faction_id')} {'came to the aid of' if data['come'] else 'did not fight for'} {name('caller_id')}."
    ),
    "diplomacy.treaty_drafted": _treaty("was drafted by {who}"),
    "diplomacy.treaty_signed": _treaty("was signed by {who}"),
    "diplomacy.treaty_rejected": _treaty("was rejected by {who}"),
    "diplomacy.treaty_in_force": _treaty("came into force"),
    "diplomacy.treaty_expired": _treaty("ran out"),
    "diplomacy.treaty_terminated": _treaty("was ended"),
    "diplomacy.treaty_revealed": _treaty("came to light"),
    "diplomacy.treaty_withdrawal_announced": _treaty("was renounced by {who}"),
    "diplomacy.treaty_party_withdrawn": _treaty("was left by {who}"),
    "diplomacy.treaty_violated": _violated,
    "diplomacy.treaty_violation_mended": _treaty("was kept after all by {who}"),
    "diplomacy.treaty_suspended": _treaty("rests"),
    "diplomacy.treaty_resumed": _treaty("holds again"),
    "diplomacy.treaty_renewed": _treaty("was renewed"),
    "diplomacy.treaty_change_agreed": lambda data, name: (
        f"{name('faction_id')} agreed to {_plain(data['change'])} {data['name']}."
    ),
    "diplomacy.treaty_breach_alleged": lambda data, name: (
        f"{name('accuser_id')} accused {name('faction_id')} of breaking {data['name']}, "
        f"{'with' if data['founded'] else 'without'} reason."
    ),
    "diplomacy.treaty_clause_fulfilled": lambda data, _: (
        f"Clause {data['clause']} of {data['name']} was fulfilled."
    ),
    "diplomacy.spied": lambda data, name: (
        f"A spy of {name('faction_id')} {'was caught by' if data['caught'] else 'came home from'} {name('target_id')}."
    ),
    "diplomacy.war_party_left": lambda data, name: f"{name('faction_id')} left the war: {data['reason']}.",
    "diplomacy.sanction_left": lambda _, name: (
        f"{name('faction_id')} left the sanctions against {name('target_id')}."
    ),
    "diplomacy.sanction_breached": lambda data, name: (
        f"{name('faction_id')} broke the sanctions against {name('target_id')}: {data['words']}."
    ),
    "diplomacy.ultimatum_withdrawn": lambda _, name: (
        f"{name('issuer_id')} backed down from its ultimatum to {name('target_id')}."
    ),
    "diplomacy.ultimatum_carried_out": lambda data, name: (
        f"{name('issuer_id')} did to {name('target_id')} what it had promised ({_plain(data['kind'])})."
    ),
    "diplomacy.coalition_left": lambda _, name: (
        f"{name('faction_id')} left the coalition against {name('target_id')}."
    ),
    "diplomacy.persons_moved": _persons,
    "diplomacy.offer_weighed": lambda data, name: (
        f"{name('faction_id')} weighed offer {data['number']}: {data['verdict']} ({data['utility']:+.1f})."
    ),
    "diplomacy.party_persuaded": lambda data, name: (
        f"{name('faction_id')} spoke to {name('target_id')} ({_plain(data['approach'])})."
    ),
    "diplomacy.status_changed": _status,
    "diplomacy.relationship_changed": _opinion,
    "diplomacy.tension_changed": _tension,
    "diplomacy.deed_heard": _heard,
    "diplomacy.sanction_imposed": _sanction,
    "diplomacy.sanction_imported": lambda data, name: (
        f"{name('target_id')} was under sanctions ({_plain(data['kind'])}): {data['reason']}"
    ),
    "diplomacy.sanction_joined": lambda _, name: (
        f"{name('faction_id')} joined the sanctions against {name('target_id')}."
    ),
    "diplomacy.sanction_lifted": lambda data, name: (
        f"Sanctions against {name('target_id')} were lifted: {data['reason']}."
    ),
    "diplomacy.ultimatum_issued": lambda _, name: (
        f"{name('issuer_id')} gave {name('target_id')} an ultimatum."
    ),
    "diplomacy.ultimatum_answered": lambda data, name: (
        f"{name('target_id')} {'gave in to' if data['accepted'] else 'rejected'} the ultimatum of {name('issuer_id')}."
    ),
    "diplomacy.ultimatum_expired": lambda _, name: (
        f"{name('target_id')} let the ultimatum of {name('issuer_id')} run out."
    ),
    "diplomacy.coalition_formed": lambda _, name: f"A coalition was formed against {name('target_id')}.",
    "diplomacy.coalition_imported": lambda _, name: f"A coalition stood against {name('target_id')}.",
    "diplomacy.coalition_joined": lambda _, name: (
        f"{name('faction_id')} joined the coalition against {name('target_id')}."
    ),
    "diplomacy.coalition_dissolved": lambda _, name: f"The coalition against {name('target_id')} was over.",
    "diplomacy.negotiation_started": lambda data, name: (
        f"{name('faction_id')} opened talks ({_plain(data['kind'])}): {data['topic'] or _plain(data['kind'])}."
    ),
    "diplomacy.negotiation_ended": _talks_ended,
    "diplomacy.offer_made": lambda data, name: f"{name('faction_id')} made offer {data['number']}.",
    "diplomacy.offer_answered": lambda data, name: (
        f"{name('faction_id')} {'accepted' if data['accepted'] else 'refused'} offer {data['number']}."
    ),
}
"""By type of event, how it reads."""
NAMED: Final = (
    "faction_id", "target_id", "injured_id", "accused_id", "attacker_id", "defender_id", "enemy_id", "region_id",
    "ally_id", "against_id", "caller_id", "low_id", "high_id", "holder_id", "about_id", "issuer_id", "controller_id",
    "from_id", "to_id", "accuser_id", "leader_id", "taker_id",
)  # fmt: skip
"""The fields of such events that name factions and regions."""
