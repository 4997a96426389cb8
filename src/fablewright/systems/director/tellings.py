"""What happens to lands, factions, travellers, goods and quests, each event as a sentence.

Beside `chronicle`, which has the words for diplomacy.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

Naming = Callable[[str], str]
Data = Mapping[str, Any]


def _because(text: str, reason: str) -> str:
    """A sentence with its reason, if there is one."""
    return f"{text}: {reason.rstrip('.')}." if reason else f"{text}."


def _held(data: Data, name: Naming) -> str:
    holder = "nobody" if data["controller_id"] is None else name("controller_id")
    return _because(f"{name('region_id')} passed to {holder}", data["reason"])


def _banned(data: Data, name: Naming) -> str:
    who = "Everybody" if data["subject_id"] is None else name("subject_id")
    where = "other regions" if data["region_id"] is None else name("region_id")
    return _because(f"{who} was kept out of {where}", data["reason"])


def _let_in(data: Data, name: Naming) -> str:
    who = "Everybody" if data["subject_id"] is None else name("subject_id")
    where = "all regions" if data["region_id"] is None else name("region_id")
    return f"{who} might come into {where} again."


def _left(data: Data, name: Naming) -> str:
    return _because(f"{name('character_id')} left {name('faction_id')} ({data['cause']})", data["reason"])


def _ranked(data: Data, name: Naming) -> str:
    role = f", {data['role']}" if data["role"] else ""
    return f"{name('character_id')} became {data['rank']}{role} of {name('faction_id')}."


def _paid(data: Data, name: Naming) -> str:
    text = f"{name('from_id')} paid {data['amount']} {data['currency']} to {name('to_id')}"
    return _because(text, data["reason"])


def _stopped(data: Data, name: Naming) -> str:
    whys = {
        "barred": f"was not let into {name('barred_region_id')}", "closed": "found the land beyond the border gone",
        "cancelled": "broke off a journey", "placed": "was brought elsewhere",
    }  # fmt: skip
    return _because(f"{name('character_id')} {whys.get(data['why'], 'stopped')}", data["reason"])


def _restricted(data: Data, name: Naming) -> str:
    whose = f" of {name('from_id')}" if data["from_id"] else ""
    against = f" with {name('to_id')}" if data["to_id"] else ""
    return _because(f"Trade{whose}{against} was restricted ({data['kind']})", data["reason"])


def _quest(did: str) -> Callable[[Data, Naming], str]:
    return lambda data, name: f"{name('taker_id')} {did}: {data['name']}."


SENTENCES: Final[Mapping[str, Callable[[Data, Naming], str]]] = {
    "regions.places_defined": lambda data, _: f"{len(data['places'])} places were drawn on the map.",
    "regions.place_removed": lambda data, _: f"{data['name']} was no more.",
    "regions.characters_placed": lambda data, _: f"{len(data['placements'])} characters were put in their places.",
    "regions.walk_begun": lambda _, name: f"{name('character_id')} set out for {name('to_id')}.",
    "regions.arrived": lambda _, name: f"{name('character_id')} arrived at {name('place_id')}.",
    "regions.regions_defined": lambda data, _: (
        f"{len(data['regions'])} regions and {len(data['borders'])} borders were drawn on the map."
    ),
    "regions.region_removed": lambda data, _: f"{data['name']} was no more.",
    "regions.control_changed": _held,
    "regions.stability_changed": lambda data, name: (
        f"Order in {name('region_id')} went from {data['before']:.2f} to {data['after']:.2f}: {data['reason']}."
    ),
    "regions.movement_banned": _banned,
    "regions.movement_ban_lifted": _let_in,
    "travel.set_out": lambda _, name: f"{name('character_id')} set out for {name('to_region_id')}.",
    "travel.crossed_border": lambda _, name: f"{name('character_id')} came into {name('region_id')}.",
    "travel.arrived": lambda _, name: f"{name('character_id')} arrived in {name('region_id')}.",
    "travel.stopped": _stopped,
    "factions.founded": lambda data, _: f"{data['name']} was founded.",
    "factions.changed": lambda data, _: (
        f"{data['name']} changed: {', '.join(data['changed']).replace('_', ' ')}."
    ),
    "factions.dissolved": lambda data, _: _because(f"{data['name']} was no more", data["reason"]),
    "factions.member_joined": lambda _, name: f"{name('character_id')} joined {name('faction_id')}.",
    "factions.member_left": _left,
    "factions.rank_changed": _ranked,
    "factions.leader_changed": lambda data, name: (
        f"{'Nobody' if data['leader_id'] is None else name('leader_id')} led {name('faction_id')} from then on."
    ),
    "factions.reputation_changed": lambda data, name: _because(
        f"The world thought {'better' if data['delta'] > 0 else 'worse'} of {name('faction_id')}", data["reason"]
    ),
    "factions.strength_changed": lambda data, name: _because(
        f"{name('faction_id')} had {data['strength']:.0f} troops", data["reason"]
    ),
    "factions.treasury_moved": _paid,
    "markets.goods_defined": lambda data, _: f"{len(data['goods'])} goods came to the markets.",
    "markets.market_set": lambda data, name: f"The market of {data['good']} in {name('region_id')} changed.",
    "markets.stock_set": lambda data, name: f"{name('owner_id')} had {data['units']} of {data['good']}.",
    "markets.route_opened": lambda data, name: (
        f"{name('owner_id')} began to send {data['good']} from {name('from_region')} to {name('to_region')}."
    ),
    "markets.route_closed": lambda data, name: _because(
        f"No {data['good']} went from {name('from_region')} to {name('to_region')} any more", data["reason"]
    ),
    "markets.traded": lambda _data, _: "Goods went over the trade routes.",
    "markets.price_changed": lambda data, _: f"{len(data['changes'])} prices changed.",
    "markets.restriction_imposed": _restricted,
    "markets.restriction_lifted": lambda data, _: f"Trade was free again of a restriction ({data['kind']}).",
    "markets.bought": lambda data, name: (
        f"{name('owner_id')} bought {data['units']} of {data['good']} in {name('region_id')} for {data['sum']}."
    ),
    "markets.sold": lambda data, name: (
        f"{name('owner_id')} sold {data['units']} of {data['good']} in {name('region_id')} for {data['sum']}."
    ),
    "quests.defined": lambda data, _: f"There was a quest: {data['name']}.",
    "quests.removed": lambda data, _: f"A quest was taken back: {data['name']}.",
    "quests.offered": lambda data, _: f"A quest was offered: {data['name']}.",
    "quests.accepted": _quest("took on a quest"),
    "quests.declined": _quest("turned a quest down"),
    "quests.objective_reached": lambda data, name: (
        f"{name('taker_id')} came further in a quest: {data['name']}, {data['objective_name']}."
    ),
    "quests.finished": _quest("finished a quest"),
    "quests.failed": _quest("failed in a quest"),
    "quests.abandoned": _quest("gave up a quest"),
    "quests.expired": _quest("ran out of time for a quest"),
}  # fmt: skip
"""By type of event, how it reads."""
NAMED: Final = (
    "owner_id", "subject_id", "from_region", "to_region", "from_region_id", "to_region_id", "barred_region_id",
)  # fmt: skip
"""The fields that name somebody or a region, beside those of `chronicle`."""
