"""What a faction could do in its wars, and how it could answer what others did to it. Pure.

Beside `policies`, which has what a faction does of its own accord.
"""

from collections.abc import Iterator
from functools import partial
from uuid import UUID

from fablewright.core.dice import Dice
from fablewright.systems.director.policies import policies, wording
from fablewright.systems.director.realms import Conflict, Demand, Grievance, Land, Pact, Stage
from fablewright.systems.director.statecraft import (
    Decision,
    Matter,
    Option,
    Outlook,
    Weigh,
    days,
    decided,
    option,
)

MOST_MATTERS = 6
"""Answers that a faction gives at once, the most urgent first; it is summoned again for the others."""
WHITE_PEACE_AFTER = 2
"""After so many talks about peace that came to nothing, a leader may simply offer to lay down arms."""


def council(view: Outlook, dice: Dice) -> list[Decision]:
    """All that a faction decides in its council: its answers, its wars, and one thing of its own accord.

    That it lets things be is a decision if it has thought of war.
    """
    found = [*answers(view, dice), *wars(view, dice)]
    policy = decided(view, "policy", policies, dice)
    if policy is not None and (policy.option.act != "rest" or thought_of_war(policy)):
        found.append(policy)
    return found


def thought_of_war(decision: Decision) -> bool:
    """Whether war was among the heaviest options, as far as all can see."""
    return decision.shown is not None and any(o.act == "war" and o.weight > 0 for o in decision.shown.told)


def asked(stage: Stage) -> set[UUID]:
    """The factions from whom something awaits an answer."""
    found = {g.accused_id for g in stage.grievances if g.state == "open" and g.answer is None}
    found |= {faction_id for war in stage.wars for faction_id in war.called}
    found |= {demand.target_id for demand in stage.demands if not demand.turned_down}
    return found.union(*(pact.missing for pact in stage.pacts if pact.open))


def answers(view: Outlook, dice: Dice) -> list[Decision]:
    """What it answers to what waits for an answer, `MOST_MATTERS` at most."""
    found: list[Decision] = []
    for matter, about_id, weigh in matters(view):
        answer = decided(view, matter, weigh, dice, about_id)
        if answer is not None and answer.option.act != "wait":
            found.append(answer)
        if len(found) == MOST_MATTERS:
            break
    return found


def matters(view: Outlook) -> Iterator[tuple[Matter, UUID, Weigh]]:
    """What waits for an answer, the most urgent first: ultimatums, calls to arms, accusations (those whose time is
    over first), drafts of treaties."""
    me = view.me.id
    for demand in view.stage.demands:
        if demand.target_id == me and not demand.turned_down:
            yield "ultimatum", demand.id, partial(threatened, demand=demand)
    for war in view.stage.wars:
        if me in war.called:
            yield "call", war.id, partial(called, war=war)
    for g in sorted(view.stage.grievances_of.get(me, ()), key=lambda g: (g.answer_by, g.id)):
        if g.accused_id == me and g.state == "open" and g.answer is None:
            yield "incident", g.id, partial(accused, g=g)
    for pact in view.stage.pacts_of.get(me, ()):
        if pact.open and me in pact.missing:
            yield "treaty", pact.id, partial(drafted, pact=pact)


# -- answers -------------------------------------------------------------------------------------------------------


def accused(view: Outlook, g: Grievance) -> Iterator[Option]:
    """How to answer an accusation: with words, with money, with a lie, with blows, or not at all."""
    n, other = view.nature, view.others.get(g.injured_id)
    bond = view.stage.bond(view.me.id, g.injured_id)
    over = other.over if other else 0.0
    under = max(0.0, 0.5 - other.share) if other else 0.0
    revenge = sum(
        x.kind == "retaliation" for x in view.stage.grievances_of.get(view.me.id, ()) if bound_up(x, g)
    )
    revenge += g.kind == "retaliation"
    fields = {"target_id": g.injured_id, "about_id": g.id, "words": wording(g)}
    common = {"tie": 0.12 * bond.opinion, "fear": 40.0 * over}
    if "apology" in g.legal:
        parts = {
            **common, "honour": 14.0 * (n.honourable + 0.5) * g.evidence, "temper": 14.0 * n.kind - 22.0 * n.aggressive,
            "custom": 7.0, "cause": -5.0 * g.severity,
        }  # fmt: skip
        yield option("apology", parts, **fields)
    if "reparation" in g.legal and 0 < g.due <= view.me.treasury:
        parts = {
            **common, "honour": 14.0 * (n.honourable + 0.5) * g.evidence, "temper": 10.0 * n.kind - 20.0 * n.aggressive,
            "cost": -34.0 * g.due / max(1.0, float(view.me.treasury)) - 2.0, "custom": 6.0, "cause": 6.0 * g.severity,
        }  # fmt: skip
        yield option("reparation", parts, amount=g.due, **fields)
    if "denial" in g.legal:
        parts = {
            "tie": -0.05 * bond.opinion, "evidence": 16.0 * (0.6 - g.evidence), "honour": -16.0 * n.honourable,
            "temper": 8.0 * n.aggressive - 6.0 * n.kind, "custom": 10.0,
        }  # fmt: skip
        yield option("denial", parts, **fields)
    if "retaliation" in g.legal and not (other and other.bound):
        parts = {
            "tie": -0.16 * bond.opinion, "tension": 0.08 * bond.tension, "temper": 36.0 * n.aggressive - 16.0 * n.kind,
            "odds": 24.0 * under - 50.0 * over, "honour": -6.0 * g.evidence, "wear": -0.2 * view.me.exhaustion,
            "enough": -7.0 * revenge, "custom": -1.0,
        }  # fmt: skip
        yield option("retaliation", parts, **fields)
    yield option("wait", {"habit": 4.0, "evidence": 6.0 * (0.5 - g.evidence)}, **fields)


def bound_up(one: Grievance, other: Grievance) -> bool:
    """Whether two incidents are between the same two factions."""
    return {one.injured_id, one.accused_id} == {other.injured_id, other.accused_id}


def called(view: Outlook, war: Conflict) -> Iterator[Option]:
    """Whether to come when called to arms."""
    n, caller, foe = view.nature, war.called[view.me.id], war.foe(war.called[view.me.id])
    bond, against = view.stage.bond(view.me.id, caller), view.stage.bond(view.me.id, foe)
    bound = any(
        (view.me.id, caller) in p.defends and not p.open for p in view.stage.pacts_of.get(view.me.id, ())
    )
    other = view.others.get(foe)
    just = war.legitimacy if war.sides.get(caller) == "attacker" else 1.0 - war.legitimacy
    fields = {"target_id": caller, "about_id": war.id, "words": war.name}
    parts = {
        "tie": 0.2 * bond.opinion, "trust": 12.0 * (bond.trust - 0.5),
        "pact": 14.0 + 16.0 * n.honourable if bound else 0.0, "grudge": -0.12 * against.opinion,
        "cause": 12.0 * (just - 0.4), "wear": -0.3 * view.me.exhaustion - 14.0 * view.me.wars,
        "odds": 20.0 * ((other.odds if other else 0.5) - 0.5), "temper": 12.0 * n.bold - 10.0 * n.isolationist,
        "custom": 8.0,
    }  # fmt: skip
    if not (other and other.bound) and against.status not in ("allied", "truce") and not against.truce:
        yield option("come", parts, **fields)
    refusal = {
        "habit": 8.0, "tie": -0.1 * bond.opinion, "temper": 10.0 * n.isolationist, "wear": 0.2 * view.me.exhaustion,
        "friend": 0.15 * against.opinion, "honour": -10.0 * n.honourable if bound else 0.0,
    }  # fmt: skip
    yield option("stay_out", refusal, **fields)


def threatened(view: Outlook, demand: Demand) -> Iterator[Option]:
    """Whether to give in to an ultimatum."""
    n, other = view.nature, view.others.get(demand.issuer_id)
    bond = view.stage.bond(view.me.id, demand.issuer_id)
    win = other.odds if other else 0.5
    burden = demand.sum / max(100.0, float(view.me.treasury))
    fields = {"target_id": demand.issuer_id, "about_id": demand.id, "words": "the ultimatum"}
    parts = {
        "odds": 44.0 * (0.5 - win), "tie": 0.1 * bond.opinion, "temper": 16.0 * n.kind - 26.0 * n.aggressive,
        "cost": -26.0 * min(1.5, burden), "custom": 10.0, "wear": 0.15 * view.me.exhaustion,
        "need": 6.0 if demand.threat == "war" else -4.0,
    }  # fmt: skip
    if demand.sum <= view.me.treasury:
        yield option("accept", parts, **fields)
    refusal = {
        "habit": 8.0, "odds": 30.0 * (win - 0.5), "temper": 20.0 * n.aggressive + 8.0 * n.bold,
        "tie": -0.08 * bond.opinion,
    }  # fmt: skip
    yield option("reject", refusal, **fields)


def drafted(view: Outlook, pact: Pact) -> Iterator[Option]:
    """Whether to sign a treaty that others have drafted. Nobody else sees a secret one, nor what it is worth to whom.

    What a faction would not agree to at the table it does not sign, however much it likes who asks.
    """
    if pact.secret and view.stage.public:
        return
    n, others = view.nature, [i for i in pact.parties if i != view.me.id]
    bonds = [view.stage.bond(view.me.id, i) for i in others]
    liked, trusted = min(b.opinion for b in bonds), min(b.trust for b in bonds)
    gains = 0.0 if view.stage.public else pact.terms.get(view.me.id)
    fields = {"target_id": min(others), "about_id": pact.id, "kind": pact.kind, "words": pact.name}
    parts = {
        "tie": 0.2 * liked, "trust": 18.0 * (trusted - 0.5), "temper": -14.0 * n.isolationist + 6.0 * n.kind,
        "threat": 14.0 * view.threat, "custom": 6.0,
    }  # fmt: skip
    if gains is not None:
        yield option("sign", {**parts, "gain": max(-40.0, min(30.0, gains))}, **fields)
    yield option(
        "reject_treaty", {"habit": 3.0, "tie": -0.1 * liked, "trust": 10.0 * (0.5 - trusted)}, **fields
    )
    yield option("wait", {"habit": 4.0}, **fields)


# -- wars ----------------------------------------------------------------------------------------------------------


def wars(view: Outlook, dice: Dice) -> list[Decision]:
    """What it does in each of the wars that it fights; to hold out is a decision, too."""
    found = [
        decided(view, "war", partial(waging, war=war), dice, war.id)
        for war in view.stage.wars if view.me.id in war.sides
    ]  # fmt: skip
    return [d for d in found if d is not None]


def waging(view: Outlook, war: Conflict) -> Iterator[Option]:
    """Attack, call friends, seek peace, or hold out."""
    n, me = view.nature, view.me
    score, lasted = war.view(me.id), days(view.stage, war.at)
    yield option(
        "hold", {"habit": 10.0, "wear": 0.1 * me.exhaustion, "temper": 6.0 * n.isolationist}, about_id=war.id,
        target_id=war.foe(me.id), words=war.name,
    )  # fmt: skip
    yield from _attacks(view, war, score)
    yield from _calls(view, war, score)
    if war.leads(me.id):
        yield from _peace(view, war, score, lasted)


def _attacks(view: Outlook, war: Conflict, score: float) -> Iterator[Option]:
    n, me = view.nature, view.me
    if me.troops < 1:
        return
    fresh = me.troops / max(1.0, 0.5 * me.military)
    for enemy_id in war.enemies(me.id):
        enemy = view.stage.realms.get(enemy_id)
        if enemy is None:
            continue
        share = me.troops / max(1.0, me.troops + enemy.troops)
        lead = 4.0 if enemy_id == war.foe(me.id) else 0.0
        common = {
            "odds": 34.0 * (share - 0.45), "temper": 16.0 * n.aggressive + 6.0 * n.bold, "wear": -0.3 * me.exhaustion,
            "readiness": -14.0 * max(0.0, 0.6 - fresh), "foe": lead, "custom": 9.0,
            "score": -0.12 * max(0.0, score - 40.0),
            "beaten": -16.0 if enemy.troops < 0.08 * me.troops and not view.stage.held.get(enemy_id) else 0.0,
        }  # fmt: skip
        fields = {"target_id": enemy_id, "about_id": war.id}
        for land in reachable(view, me.id, enemy_id)[:3]:
            back = land.id in war.taken
            parts = {**common, "gain": 6.0 + min(6.0, land.population / 4000.0) + (6.0 if back else 0.0)}
            yield option("attack", parts, place_id=land.id, kind="region", words=land.name, **fields)
        yield option("attack", {**common, "gain": -2.0}, kind="field", words="a battle in the open", **fields)


def reachable(view: Outlook, me: UUID, enemy: UUID) -> list[Land]:
    """The regions of an enemy at one's own border; without any, all it holds. The richest first."""
    mine = {near for land in view.stage.held.get(me, ()) for near in land.neighbours}
    theirs = view.stage.held.get(enemy, [])
    near = [land for land in theirs if land.id in mine] or theirs
    return sorted(near, key=lambda land: (-land.population, land.id))


def _calls(view: Outlook, war: Conflict, score: float) -> Iterator[Option]:
    foe = war.foe(view.me.id)
    for friend in sorted(view.stage.own_friends(view.me.id)):
        if friend in war.asked or friend not in view.stage.realms:
            continue
        bond, against = view.stage.bond(view.me.id, friend), view.stage.bond(friend, foe)
        if against.status == "allied":
            continue
        parts = {
            "need": 12.0 + 0.1 * max(-40.0, -score), "tie": 0.1 * bond.opinion, "trust": 10.0 * (bond.trust - 0.5),
            "grudge": -0.06 * against.opinion, "custom": 6.0,
        }  # fmt: skip
        yield option("call_ally", parts, target_id=friend, about_id=war.id, words=war.name)


def _peace(view: Outlook, war: Conflict, score: float, lasted: float) -> Iterator[Option]:
    n, me, foe = view.nature, view.me, war.foe(view.me.id)
    parts = {
        "wear": 0.5 * me.exhaustion, "score": 0.26 * max(0.0, -score) + 0.2 * max(0.0, score - 30.0),
        "time": min(16.0, 0.02 * lasted), "temper": 12.0 * n.kind - 16.0 * n.aggressive,
        "odds": 18.0 * (0.45 - (view.others[foe].odds if foe in view.others else 0.5)),
        "haste": -10.0 if lasted < 100 else 0.0,
    }  # fmt: skip
    talks = [
        t for t in view.stage.talks_of.get(me.id, ()) if t.kind in ("peace", "ceasefire") and foe in t.parties
    ]
    fields = {"target_id": foe, "about_id": war.id, "words": war.name}
    if not any(t.open for t in talks):
        yield option("seek_peace", {**parts, "failed": -6.0 * len(talks)}, kind="peace", **fields)
    if sum(not t.open for t in talks) >= WHITE_PEACE_AFTER:
        yield option("lay_down_arms", parts, kind="peace", **fields)


def willing(view: Outlook, war: Conflict) -> bool:
    """Whether a leader would lay down arms if the other side offered it, each keeping what it holds."""
    best = max(
        (o.weight for o in _peace(view, war, war.view(view.me.id), days(view.stage, war.at))), default=0.0
    )
    return best >= 8.0
