"""What powers do, as lines of the story: wars, treaties, slights, talks, trade. Most sentences are the director's."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from fablewright.systems.director.chronicle import SENTENCES

Naming = Callable[[Any], str]
"""The name of somebody or something by its id."""
Telling = Callable[[Mapping[str, Any], Naming], str]

UNTOLD: Final = frozenset({
    "diplomacy.tension_changed", "diplomacy.relationship_changed", "diplomacy.offer_weighed", "diplomacy.offer_made",
    "diplomacy.offer_answered", "diplomacy.party_persuaded", "diplomacy.treaty_change_agreed", "diplomacy.deed_heard",
    "diplomacy.persons_moved", "diplomacy.warlike_set",
    "director.councils_met", "director.faction_weighed",
    "factions.treasury_moved", "factions.strength_changed", "factions.reputation_changed",
    "markets.price_changed", "markets.restriction_imposed", "markets.restriction_lifted", "markets.market_set",
    "markets.stock_set",
    "regions.stability_changed", "regions.movement_banned", "regions.movement_ban_lifted", "travel.crossed_border",
    "ledger.transferred",
})  # fmt: skip
"""What other lines tell better, or what would drown them."""
ECHOES: Final = frozenset({
    "diplomacy.incident_answered", "diplomacy.incident_escalated", "diplomacy.ally_called", "diplomacy.call_answered",
    "diplomacy.sanction_imposed", "diplomacy.sanction_joined", "diplomacy.ultimatum_answered",
    "diplomacy.coalition_joined", "diplomacy.negotiation_started",
})  # fmt: skip
"""What a decision tells already, with its reasons, if it comes of one."""
DECISION: Final = "director.faction_decided"
MOST_INCOMES: Final = 3

ALARM, CALM, DEAL, TALK, MIND = "bold red", "bold green", "bold cyan", "cyan", "dim"
STYLES: Final[Mapping[str, str]] = {
    "diplomacy.war_declared": ALARM, "diplomacy.war_imported": ALARM,
    "diplomacy.battle_fought": "red", "diplomacy.region_occupied": "red",
    "diplomacy.incident_occurred": "red", "diplomacy.incident_escalated": "red", "diplomacy.ally_called": "red",
    "diplomacy.call_answered": "red", "diplomacy.ultimatum_issued": ALARM, "diplomacy.ultimatum_expired": ALARM,
    "diplomacy.ultimatum_answered": ALARM, "diplomacy.ultimatum_carried_out": ALARM,
    "diplomacy.sanction_imposed": ALARM, "diplomacy.sanction_breached": "red", "diplomacy.coalition_formed": ALARM,
    "diplomacy.coalition_imported": ALARM, "diplomacy.sanction_imported": ALARM,
    "diplomacy.treaty_violated": ALARM, "diplomacy.treaty_breach_alleged": "red",
    "diplomacy.treaty_in_force": DEAL, "diplomacy.treaty_revealed": DEAL, "diplomacy.negotiation_started": TALK,
    "diplomacy.negotiation_ended": TALK, "diplomacy.peace_made": CALM, "diplomacy.incident_resolved": "green",
    "diplomacy.sanction_lifted": "green", "director.faction_decided": MIND, "markets.traded": MIND,
    "quests.defined": "magenta", "quests.finished": "magenta", "quests.failed": "magenta",
}  # fmt: skip
"""How lines look that do not look plain."""


def names_in(kind: str, data: Mapping[str, Any]) -> dict[str, str]:
    """The names in an event of what later ones may speak of, by id."""
    if kind in ("factions.founded", "factions.changed"):
        return {str(data["faction_id"]): data["name"]}
    if kind == "regions.regions_defined":
        return {str(region["id"]): region["name"] for region in data["regions"]}
    if kind in ("diplomacy.war_declared", "diplomacy.war_imported"):
        return {str(data["war_id"]): data["name"]}
    return {}


def tiding(kind: str, data: Mapping[str, Any], name: Naming) -> tuple[str, str] | None:
    """The sentence for an event and how it looks; None if there is none for its type."""
    style = STYLES.get(kind, "")
    if kind in OWN:
        return OWN[kind](data, name), style
    if kind in SENTENCES:
        # The director's sentences ask by the name of the field.
        return SENTENCES[kind](data, lambda field: name(data.get(field))), style
    return None


def goes_without_saying(kind: str, data: Mapping[str, Any]) -> bool:
    """Whether nothing has happened in it that anybody would tell: nothing was done, traded or moved."""
    if kind in UNTOLD:
        return True
    if kind == "director.faction_decided":
        return bool(data["act"] in ("rest", "hold") or data.get("refused"))
    return kind == "markets.traded" and not data["incomes"]


def _all(ids: Sequence[Any], name: Naming) -> str:
    names = [name(id_) for id_ in ids]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _plain(word: Any) -> str:
    return str(word).replace("_", " ")


def _clause(clause: Mapping[str, Any], name: Naming) -> str:
    """A clause in a few words."""
    who = {
        key.removesuffix("_id"): name(value) for key, value in clause.items() if key.endswith("_id") and value
    }
    words = {
        "pay": "{from} pays {to} {amount} {currency}", "keep_out": "{faction} keeps out of {region}",
        "no_trade": "{faction} does not trade with {with}", "defend": "{protector} defends {protected}",
        "hand_over": "{faction} hands {character} over to {to}",
        "share_information": "{faction} tells {to} what it hears",
        "open_borders": "{faction} opens its borders to {to}", "no_attack": "{a} and {b} do not attack each other",
        "support_in_war": "{faction} fights beside {ally}", "custom": "{text}",
    }.get(clause["type"])  # fmt: skip
    if words is None:
        return _plain(clause["type"])
    try:
        text = words.format(**{**clause, **who})
    except KeyError:
        return _plain(clause["type"])
    every = clause.get("every_days")
    return f"{text} every {every} days" if every else text


def _in_force(data: Mapping[str, Any], name: Naming) -> str:
    told = "; ".join(_clause(clause, name) for clause in data["clauses"])
    between = _all(data["party_ids"], name)
    return f"“{data['name']}” is in force ({_plain(data['kind'])} of {between}){': ' + told if told else ''}."


def _talks(data: Mapping[str, Any], name: Naming) -> str:
    others = [id_ for id_ in data["party_ids"] if str(id_) != str(data["faction_id"])]
    return f"{name(data['faction_id'])} sits down with {_all(others, name)} to talk about {_about(data)}."


def _about(data: Mapping[str, Any]) -> str:
    return str(data.get("topic") or _plain(data["kind"]))


def _talks_ended(data: Mapping[str, Any], name: Naming) -> str:
    between = _all(data["party_ids"], name)
    if data["state"] == "agreed":
        return f"{between} have agreed."
    if data["state"] == "walked_out" and data.get("faction_id"):
        reason = f": {data['reason']}" if data.get("reason") else ""
        return f"{name(data['faction_id'])} walks out of the talks of {between}{reason}."
    return f"The talks of {between} come to nothing."


def _traded(data: Mapping[str, Any], name: Naming) -> str:
    best = sorted(data["incomes"], key=lambda income: -income["amount"])[:MOST_INCOMES]
    told = ", ".join(f"{name(i['faction_id'])} {i['amount']} {i['currency']}" for i in best)
    held = f"; {data['restrained']} routes are held up" if data["restrained"] else ""
    return f"A day of trade over {data['count']} routes brings {told}{held}."


def _quest_made(data: Mapping[str, Any], _: Naming) -> str:
    return f"Somebody is wanted for “{data['name']}”."


def _demand(data: Mapping[str, Any], name: Naming) -> str:
    demands = "; ".join(_clause(clause, name) for clause in data["demands"])
    kind = _plain(data["consequence"].get("kind", data["consequence"].get("type", "consequences")))
    return f"Ultimatum of {name(data['issuer_id'])} to {name(data['target_id'])}: {demands}. Or else: {kind}."


OWN: Final[Mapping[str, Telling]] = {
    "factions.founded": lambda data, _: f"There is a power in the land: {data['name']}.",
    "factions.dissolved": lambda data, _: f"{data['name']} is no more.",
    "factions.leader_changed": lambda data, name: (
        f"{name(data['leader_id'])} leads {name(data['faction_id'])} now."
        if data["leader_id"] else f"Nobody leads {name(data['faction_id'])} now."
    ),
    "factions.member_joined": lambda data, name: f"{name(data['character_id'])} joins {name(data['faction_id'])}.",
    "factions.member_left": lambda data, name: f"{name(data['character_id'])} leaves {name(data['faction_id'])}.",
    "regions.regions_defined": lambda data, _: (
        f"{len(data['regions'])} regions and {len(data['borders'])} borders are there."
    ),
    "regions.control_changed": lambda data, name: (
        f"{name(data['region_id'])} is held by {name(data['controller_id'])} now."
        if data["controller_id"] else f"Nobody holds {name(data['region_id'])} now."
    ),
    "markets.goods_defined": lambda data, _: f"{len(data['goods'])} goods are worth trading.",
    "markets.route_opened": lambda data, name: (
        f"{data['good'].capitalize()} goes from {name(data['from_region'])} to {name(data['to_region'])}."
    ),
    "markets.route_closed": lambda data, name: (
        f"No more {data['good']} goes from {name(data['from_region'])} to {name(data['to_region'])}: {data['reason']}."
    ),
    "markets.traded": _traded,
    "diplomacy.treaty_in_force": _in_force,
    "diplomacy.negotiation_started": _talks,
    "diplomacy.negotiation_ended": _talks_ended,
    "diplomacy.ultimatum_issued": _demand,
    "diplomacy.ultimatum_carried_out": lambda data, name: (
        f"{name(data['issuer_id'])} does to {name(data['target_id'])} what it promised: {_plain(data['kind'])}."
    ),
    "diplomacy.ultimatum_withdrawn": lambda data, name: (
        f"{name(data['issuer_id'])} backs down before {name(data['target_id'])}, and all have seen it."
    ),
    "diplomacy.sanction_breached": lambda data, name: (
        f"{name(data['faction_id'])} does what it had forbidden {name(data['target_id'])}: {data['words']}."
    ),
    "diplomacy.sanction_left": lambda data, name: (
        f"{name(data['faction_id'])} takes no part in the sanctions against {name(data['target_id'])} any more."
    ),
    "diplomacy.treaty_violation_mended": lambda data, name: (
        f"{name(data['faction_id'])} makes good what it owed by “{data['name']}”."
    ),
    "diplomacy.treaty_breach_alleged": lambda data, name: (
        f"{name(data['accuser_id'])} says that {name(data['faction_id'])} broke “{data['name']}”"
        f"{'' if data['founded'] else ', and cannot show it'}."
    ),
    "diplomacy.treaty_renewed": lambda data, _: f"“{data['name']}” goes on.",
    "diplomacy.treaty_suspended": lambda data, _: f"“{data['name']}” rests: {data['reason']}.",
    "diplomacy.treaty_resumed": lambda data, _: f"“{data['name']}” binds again.",
    "diplomacy.treaty_clause_fulfilled": lambda data, _: f"Clause {data['clause']} of “{data['name']}” is fulfilled.",
    "diplomacy.war_party_left": lambda data, name: f"{name(data['faction_id'])} leaves the war: {data['reason']}.",
    "diplomacy.coalition_left": lambda data, name: (
        f"{name(data['faction_id'])} leaves the coalition against {name(data['target_id'])}."
    ),
    "travel.set_out": lambda data, name: (
        f"{name(data['character_id'])} sets out for {name(data['to_region_id'])}."
    ),
    "travel.arrived": lambda data, name: f"{name(data['character_id'])} arrives in {name(data['region_id'])}.",
    "travel.stopped": lambda data, name: (
        f"{name(data['character_id'])} is stopped on the way to {name(data['to_region_id'])}: {_plain(data['why'])}."
    ),
    "quests.defined": _quest_made,
    "quests.offered": lambda data, name: f"{name(data['taker_id'])} is offered “{data['name']}”.",
    "quests.accepted": lambda data, name: f"{name(data['taker_id'])} takes on “{data['name']}”.",
    "quests.objective_reached": lambda data, name: (
        f"{name(data['taker_id'])} gets on with “{data['name']}”: {data['objective_name']}."
    ),
    "quests.finished": lambda data, name: (
        f"{name(data['taker_id'])} ends “{data['name']}”: {data['outcome_name'] or _plain(data['outcome'])}."
    ),
    "quests.failed": lambda data, name: f"{name(data['taker_id'])} fails at “{data['name']}”.",
    "quests.expired": lambda data, name: f"Time is over for {name(data['taker_id'])} and “{data['name']}”.",
}  # fmt: skip
"""Sentences of our own, for what the director has none or shorter ones."""
