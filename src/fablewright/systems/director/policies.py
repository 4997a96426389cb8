"""What a faction could do of its own accord: gifts, talks, slights, raids, spies, sanctions, demands and war. Pure.

Each function gives options with their parts; `statecraft` says what parts and weights are.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from fablewright.systems.diplomacy import battle, ladder
from fablewright.systems.director.realms import Grievance
from fablewright.systems.director.statecraft import (
    Option,
    Other,
    Outlook,
    days,
    option,
)
from fablewright.systems.factions.rules import TROOP_COST

REST: Final = 23.0
"""What it is worth to do nothing."""
COST_OF_WAR: Final = -14.0
"""What stands against any war."""
SANCTIONS: Final = ladder.LADDER.index("sanctions")
ULTIMATUM: Final = ladder.LADDER.index("ultimatum")
TROOPS_PER_LEVY: Final = 2.2
"""How many troops a faction wants to keep beside each that it could levy."""
LEAST_GIFT: Final = 60
"""Gifts that are smaller win so little gratitude that none are sent."""
LEVY_AT_MOST: Final = 0.12
"""Which part of its military power a faction arms in one council at most."""


def policies(view: Outlook) -> list[Option]:
    """All that a faction could do of its own accord in this council, be it worth it or not."""
    found = [rest(view), *muster(view), *renounce(view), *lift(view)]
    for other in view.others.values():
        if other.bond.status == "war":
            continue
        found += (
            *gift(view, other), *talks(view, other), *slights(view, other), *grievances(view, other),
            *bloc(view, other), *war(view, other),
        )  # fmt: skip
    return found


def rest(view: Outlook) -> Option:
    """Let things be: the more so the wearier it is, and the less it cares for others."""
    parts = {
        "habit": REST, "temper": 8.0 * view.nature.isolationist, "wear": 0.15 * view.me.exhaustion,
        "war": 6.0 * min(2, view.me.wars),
    }  # fmt: skip
    return option("rest", parts, words="all can wait")


def muster(view: Outlook) -> Iterator[Option]:
    """Arm more troops, as far as the treasury allows."""
    me = view.me
    near = [o.realm.troops for o in view.others.values() if o.near]
    wanted = max(50.0, TROOPS_PER_LEVY * (me.military - me.troops), 0.8 * max(near, default=0.0))
    short = max(0.0, 1.0 - me.troops / wanted)
    most = max(me.military, 200.0)
    amount = int(min(LEVY_AT_MOST * most, max(0.4 * me.treasury, min(0.02 * most, me.treasury)) / TROOP_COST))
    if short <= 0.05 or amount <= 0:
        return
    parts = {
        "need": 26.0 * short, "threat": 18.0 * view.threat, "war": 10.0 * min(1, me.wars),
        "temper": 8.0 * view.nature.aggressive, "cost": -4.0,
    }  # fmt: skip
    yield option("muster", parts, amount=amount, words="its ranks are thin")


# -- kindness ----------------------------------------------------------------------------------------------------


def gift(view: Outlook, other: Other) -> Iterator[Option]:
    """Win a stronger or a useful neighbour over."""
    me, bond, n = view.me, other.bond, view.nature
    amount = min(500, me.treasury // 20)
    if amount < LEAST_GIFT or bond.back > 55 or bond.opinion < -40:
        return
    parts = {
        "fear": 44.0 * other.over * (1.2 if other.near else 0.6), "tie": 0.14 * max(-20.0, bond.opinion),
        "tension": 0.1 * min(60.0, bond.tension), "need": 6.0 * min(2, other.common_foes),
        "temper": 14.0 * n.kind - 10.0 * n.aggressive + 6.0 * n.mercantile, "custom": 2.0,
        "thanks": -1.1 * bond.gifted,
    }  # fmt: skip
    yield option("gift", parts, target_id=other.id, amount=amount, words=f"good will with {other.realm.name}")


def talks(view: Outlook, other: Other) -> Iterator[Option]:
    """Seek a treaty of a kind that fits the need."""
    bond = other.bond
    if other.talking or (bond.truce and bond.tension > 50) or bond.opinion < -50:
        return
    for kind, wish in _WISHES.items():
        parts = wish(view, other) if kind not in other.kinds else None
        if parts is None:
            continue
        if kind in other.failed:
            parts["failed"] = -16.0
        yield option("talk", parts, target_id=other.id, kind=kind, words=_NEEDS[kind])


_NEEDS: Final = {
    "trade": "open roads for its traders", "non_aggression": "quiet at the border",
    "defence_pact": "help if it is attacked", "alliance": "a friend for better and worse",
}  # fmt: skip
Wish = dict[str, float] | None


def _trade(view: Outlook, other: Other) -> Wish:
    bond, n = other.bond, view.nature
    return {
        "need": 9.0 + 18.0 * n.mercantile, "tie": 0.2 * bond.opinion, "trust": 12.0 * (bond.trust - 0.5),
        "tension": -0.25 * bond.tension, "temper": -14.0 * n.isolationist, "near": 6.0 if other.near else 0.0,
    }  # fmt: skip


def _non_aggression(view: Outlook, other: Other) -> Wish:
    bond, n = other.bond, view.nature
    if other.bound or not (other.near or bond.tension > 15):
        return None
    return {
        "fear": 52.0 * max(0.0, other.share - 0.4), "tension": 0.12 * min(60.0, bond.tension),
        "trust": 10.0 * (bond.trust - 0.5), "tie": 0.12 * bond.opinion,
        "temper": -20.0 * n.aggressive + 8.0 * n.kind,
    }  # fmt: skip


def _pact(view: Outlook, other: Other) -> Wish:
    bond, n = other.bond, view.nature
    if bond.opinion < 5 or bond.status in ("hostile", "truce") or "alliance" in other.kinds:
        return None
    return {
        "threat": 26.0 * view.threat, "tie": 0.24 * bond.opinion, "trust": 16.0 * (bond.trust - 0.5),
        "need": 8.0 * min(2, other.common_foes), "temper": -14.0 * n.isolationist,
    }  # fmt: skip


def _alliance(view: Outlook, other: Other) -> Wish:
    bond, n = other.bond, view.nature
    if bond.opinion < 30 or bond.back < 15 or bond.trust < 0.45 or bond.status not in ("cordial", "friendly"):
        return None
    return {
        "threat": 22.0 * view.threat, "tie": 0.3 * bond.opinion, "trust": 18.0 * (bond.trust - 0.5),
        "need": 8.0 * min(2, other.common_foes), "temper": -18.0 * n.isolationist + 6.0 * n.bold,
    }  # fmt: skip


_WISHES: Final[Mapping[str, Callable[[Outlook, Other], Wish]]] = {
    "trade": _trade, "non_aggression": _non_aggression, "defence_pact": _pact, "alliance": _alliance,
}  # fmt: skip


# -- unkindness --------------------------------------------------------------------------------------------------


def slights(view: Outlook, other: Other) -> Iterator[Option]:
    """Insult, rob or spy upon somebody: each is an incident if it comes to light, and a reason for war."""
    bond, n = other.bond, view.nature
    if bond.status == "allied" or bond.truce:
        return
    open_already = sum(
        g.accused_id == view.me.id and g.injured_id == other.id for g in view.stage.grievances_of.get(view.me.id, ())
    )  # fmt: skip
    common = {
        "pact": -(24.0 + 40.0 * (n.honourable + 0.5)) if other.bound else -8.0 if bond.status == "friendly" else 0.0,
        "enough": -12.0 * open_already, "wear": -0.15 * view.me.exhaustion,
    }  # fmt: skip
    if bond.opinion < -8 or bond.tension > 25:
        parts = {
            "tie": -0.2 * bond.opinion, "tension": 0.1 * bond.tension, "temper": 26.0 * n.aggressive - 14.0 * n.kind,
            "fear": -36.0 * other.over, "honour": -8.0 * n.honourable, "custom": 8.0,
        }  # fmt: skip
        yield option("slight", common | parts, target_id=other.id, **_grudge(other))
    if other.near and bond.opinion < 10 and view.me.troops > 0:
        poor = 1.0 / (1.0 + view.me.treasury / max(100.0, view.me.economic))
        parts = {
            "need": 14.0 * poor, "tie": -0.16 * bond.opinion, "tension": 0.08 * bond.tension,
            "temper": 36.0 * n.aggressive, "fear": -60.0 * max(0.0, other.share - 0.42), "honour": -16.0 * n.honourable,
            "custom": 2.0,
        }  # fmt: skip
        yield option("raid", common | parts, target_id=other.id, **_grudge(other))
    parts = {
        "threat": 18.0 * other.threat, "tension": 0.1 * bond.tension, "tie": -0.06 * bond.opinion,
        "temper": 12.0 * n.curious, "honour": -14.0 * n.honourable, "near": 4.0 if other.near else -4.0, "custom": 4.0,
    }  # fmt: skip
    yield option("spy", common | parts, target_id=other.id, words=f"what {other.realm.name} has in mind")


KINDLY: Final = frozenset({"forgave it", "took the apology", "made it good", "apologised"})
"""What may be said last about a thing of which a grudge is left; it is no word for the grudge."""


def _grudge(other: Other) -> dict[str, object]:
    """The worst that it holds against another, in a phrase, and the event that it comes from."""
    bond = other.bond
    told = bond.grudge and bond.grudge not in KINDLY
    words = f"an old grudge: {bond.grudge}" if told else f"bad blood with {other.realm.name}"
    return {"words": words, "event_id": bond.grudge_event}


def grievances(view: Outlook, other: Other) -> Iterator[Option]:
    """What to do about the open incidents in which another one has injured it."""
    for g in view.stage.grievances_of.get(view.me.id, ()):
        if g.injured_id != view.me.id or g.accused_id != other.id:
            continue
        yield from _let_be(view, other, g)
        yield from _go_on(view, other, g)


ANSWERED: Final = {None: 5.0, "apology": -14.0, "denial": 9.0, "retaliation": 15.0, "reparation": -20.0}
"""How much an answer (None: silence) drives the injured on."""
KINDS: Final = {
    "border_clash": "the clash at the border", "insult": "the insult", "spying": "the spying",
    "trade_dispute": "the quarrel about trade", "assassination": "the murder", "refugee_crisis": "the refugees",
    "broken_promise": "the broken word", "retaliation": "the revenge that was taken",
}  # fmt: skip


def wording(g: Grievance) -> str:
    """An incident in a phrase: `the spying, which was denied`."""
    how = {"denial": ", which was denied", "retaliation": ", which ended in blows", None: "", "apology": ""}
    return KINDS.get(g.kind, g.kind.replace("_", " ")) + how.get(g.answer, "")


def _let_be(view: Outlook, other: Other, g: Grievance) -> Iterator[Option]:
    n, bond = view.nature, other.bond
    common = {
        "tie": 0.16 * bond.opinion, "temper": 18.0 * n.kind - 12.0 * n.aggressive, "fear": 36.0 * other.over,
        "time": min(14.0, 0.05 * days(view.stage, g.at)),
        "cause": 8.0 - 8.0 * g.severity * (1 + g.evidence),
        "wear": 0.1 * view.me.exhaustion,
    }  # fmt: skip
    fields = {"target_id": other.id, "about_id": g.id, "words": wording(g)}
    if g.answer == "apology" and g.severity <= ladder.APOLOGY_SUFFICES:
        yield option("accept_apology", {**common, "answer": 22.0}, **fields)
    else:
        yield option("forgive", {**common, "answer": 12.0 if g.answer == "apology" else 4.0}, **fields)


def _go_on(view: Outlook, other: Other, g: Grievance) -> Iterator[Option]:
    n, bond = view.nature, other.bond
    cause = 16.0 * g.severity * (0.4 + 0.6 * g.evidence)
    common = {
        "cause": cause, "tie": -0.12 * bond.opinion, "temper": 14.0 * n.aggressive - 12.0 * n.kind,
        "fear": -46.0 * other.over, "answer": ANSWERED.get(g.answer, 0.0), "wear": -0.2 * view.me.exhaustion,
        "pact": -10.0 if other.bound else 0.0,
    }  # fmt: skip
    fields = {"target_id": other.id, "about_id": g.id, "words": wording(g)}
    scorned = g.answer is not None or view.stage.now >= g.answer_by
    if scorned and g.rung < ladder.TOP:
        yield option("escalate", {**common, "custom": 8.0}, **fields)
    standing = [s for s in view.stage.sanctions if s.target_id == other.id and view.me.id in s.members]
    if g.rung >= SANCTIONS and not standing:
        kind = "embargo" if n.mercantile < 0.1 else "tariff"
        if not other.near:
            kind = "asset_freeze" if g.severity > 0.6 else "embargo"
        parts = {**common, "custom": 9.0, "cost": -8.0 * (n.mercantile + 0.5)}
        yield option("sanction", parts, kind=kind, **fields)
    yield from _demand(view, other, g, common)


def _demand(view: Outlook, other: Other, g: Grievance, common: dict[str, float]) -> Iterator[Option]:
    pending = any({d.issuer_id, d.target_id} == {view.me.id, other.id} for d in view.stage.demands)
    if g.rung < SANCTIONS or pending or other.bond.truce:
        return
    strong = 50.0 * (other.odds - 0.5)
    parts = {**common, "odds": strong, "ladder": 6.0 * (g.rung - SANCTIONS), "custom": 4.0}
    kind = "war" if other.odds > 0.4 and (g.rung >= ULTIMATUM or view.nature.aggressive > 0.1) else "sanction"
    yield option(
        "ultimatum", parts, target_id=other.id, about_id=g.id, kind=kind, amount=g.due, words=wording(g)
    )


# -- together with others ------------------------------------------------------------------------------------------


def bloc(view: Outlook, other: Other) -> Iterator[Option]:
    """Join the sanctions of friends, and stand together against one that frightens its neighbours."""
    stage, me, n = view.stage, view.me, view.nature
    for s in stage.sanctions:
        if s.target_id != other.id or me.id in s.members:
            continue
        likes = [stage.bond(me.id, m).opinion for m in s.members]
        if max(likes, default=0.0) < 20:
            continue
        parts = {
            "duty": 0.25 * max(likes), "tie": -0.25 * other.bond.opinion, "temper": -12.0 * n.isolationist,
            "cost": -8.0 - 10.0 * n.mercantile, "fear": -30.0 * other.over, "custom": 4.0,
        }  # fmt: skip
        yield option(
            "join_sanction", parts, target_id=other.id, about_id=s.id, kind=s.kind, words="its friends' cause"
        )
    fear = battle.fear(
        other.realm.aggression, near=other.near, opinion=other.bond.opinion, tension=other.bond.tension
    )
    league = next((c for c in stage.leagues if c.target_id == other.id), None)
    if fear < battle.FEAR_JOINS or other.bound or (league is not None and me.id in league.members):
        return
    if league is None and not _another_fears(view, other):
        return
    parts = {
        "fear": 0.7 * fear,
        "temper": -12.0 * n.isolationist,
        "tie": -0.12 * other.bond.opinion,
        "custom": 4.0,
    }
    yield option(
        "join_coalition" if league else "form_coalition", parts, target_id=other.id,
        about_id=league.id if league else None, words=f"how {other.realm.name} falls on its neighbours",
    )  # fmt: skip


def _another_fears(view: Outlook, other: Other) -> bool:
    """Whether a coalition against it would find a second member."""
    stage = view.stage
    return any(
        battle.fear(
            other.realm.aggression, near=other.id in stage.borders.get(i, ()), opinion=stage.bond(i, other.id).opinion,
            tension=stage.bond(i, other.id).tension,
        )
        >= battle.FEAR_JOINS
        for i in stage.known.get(other.id, ()) if i not in (view.me.id, other.id) and i in stage.realms
    )  # fmt: skip


def lift(view: Outlook) -> Iterator[Option]:
    """End one's part in sanctions whose reason has faded. Coalitions end by themselves when the fear has passed."""
    for s in view.stage.sanctions:
        if view.me.id not in s.members or s.target_id not in view.stage.realms:
            continue
        bond = view.stage.bond(view.me.id, s.target_id)
        open_ = any(g.id == s.incident_id for g in view.stage.grievances)
        parts = {
            "tie": 0.2 * bond.opinion, "tension": 14.0 - 0.5 * bond.tension, "cause": -20.0 if open_ else 14.0,
            "temper": 14.0 * view.nature.mercantile + 8.0 * view.nature.kind, "cost": 6.0,
        }  # fmt: skip
        yield option(
            "lift_sanction", parts, target_id=s.target_id, about_id=s.id, kind=s.kind, words="quieter days"
        )


def income(view: Outlook) -> float:
    """What a faction can count on in a month, beside which it looks at dues."""
    return max(50.0, view.me.economic + 0.1 * view.me.treasury)


def renounce(view: Outlook) -> Iterator[Option]:
    """Leave a treaty that binds it to somebody it has come to dislike, or that costs it much."""
    for pact in view.stage.pacts_of.get(view.me.id, ()):
        if pact.open or view.me.id in pact.leaving:
            continue
        opinions = [view.stage.bond(view.me.id, i).opinion for i in pact.parties if i != view.me.id]
        burden = pact.dues.get(view.me.id, 0.0) / income(view)
        parts = {
            "burden": min(30.0, 60.0 * max(0.0, burden)), "tie": -0.4 * max(opinions, default=0.0) - 4.0,
            "honour": -12.0 - 16.0 * view.nature.honourable, "temper": 8.0 * view.nature.isolationist,
        }  # fmt: skip
        other = min((i for i in pact.parties if i != view.me.id), default=None)
        yield option("renounce", parts, target_id=other, about_id=pact.id, kind=pact.kind, words=pact.name)


# -- war -----------------------------------------------------------------------------------------------------------


def war(view: Outlook, other: Other) -> Iterator[Option]:
    """Go to war: with the best cause there is, if it may be won."""
    bond, n, me = other.bond, view.nature, view.me
    if bond.status in ("war", "allied", "truce") or bond.truce or me.troops <= 0:
        return
    cause, about, just, words = _cause(view, other)
    word = -(16.0 + 44.0 * (n.honourable + 0.5)) if other.bound else 0.0
    parts = {
        "cause": 40.0 * just, "odds": 46.0 * (other.odds - 0.5), "tension": 0.2 * bond.tension,
        "tie": -0.14 * bond.opinion, "temper": 34.0 * n.aggressive - 14.0 * n.kind, "gain": _gain(view, other),
        "pact": word - {"friendly": 22.0, "cordial": 12.0}.get(bond.status, 0.0),
        "near": 0.0 if other.near else -24.0, "wear": -0.4 * me.exhaustion - 22.0 * me.wars,
        "honour": -14.0 - 18.0 * (n.honourable + 0.5) if cause in ("conquest", "ideology") else 0.0,
        "duty": 8.0 if other.foe_of_friend else 0.0, "cost": COST_OF_WAR,
    }  # fmt: skip
    yield option(
        "war", parts, target_id=other.id, about_id=about, kind=cause, words=words, event_id=bond.grudge_event
    )


def _gain(view: Outlook, other: Other) -> float:
    """What there is to be won: lands at its own border, and riches beside its own."""
    if not other.near or not view.stage.held.get(other.id):
        return 0.0
    rich = other.realm.economic / max(1.0, other.realm.economic + view.me.economic)
    return 5.0 + 10.0 * rich


def _cause(view: Outlook, other: Other) -> tuple[str, object, float, str]:
    """The cause with which a war would seem most just: name, what it is about, how just (0..1), in words."""
    stage, me = view.stage, view.me.id
    found: list[tuple[str, object, float, str]] = [
        ("conquest", None, battle.LEGITIMACY["conquest"], f"what {other.realm.name} owns")
    ]
    for g in stage.grievances_of.get(me, ()):
        if g.injured_id == me and g.accused_id == other.id and g.rung >= SANCTIONS:
            just = battle.legitimacy(
                "incident", evidence=g.evidence, severity=g.severity, rung=g.rung / ladder.TOP,
                tension=other.bond.tension, tried=int(g.answer in ("denial", "retaliation")),
            ).value  # fmt: skip
            found.append(("incident", g.id, just, wording(g)))
    for d in stage.demands:
        if d.turned_down and (d.issuer_id, d.target_id) == (me, other.id):
            just = battle.legitimacy(
                "ultimatum_rejected", evidence=d.evidence, severity=d.severity, tension=other.bond.tension, tried=1
            ).value  # fmt: skip
            found.append(("ultimatum_rejected", d.id, just, "the scorned ultimatum"))
    if (me, other.id) in stage.broken:
        found.append(("broken_treaty", None, battle.LEGITIMACY["broken_treaty"], "the broken treaty"))
    if (me, other.id) in stage.lost:
        found.append(("reconquest", None, battle.LEGITIMACY["reconquest"], "the lands it lost"))
    if any(c.target_id == other.id and me in c.members for c in stage.leagues):
        found.append(("coalition", None, battle.LEGITIMACY["coalition"], "the coalition's cause"))
    theirs = other.realm.ideology
    if any(abs(x - theirs.get(axis, x)) >= 1 for axis, x in view.me.ideology.items()):
        found.append(("ideology", None, battle.LEGITIMACY["ideology"], "what they believe in"))
    return max(found, key=lambda c: c[2])
