"""Rules of statecraft: what factions weigh, and how they choose."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fablewright.core.clock import DAY
from fablewright.core.dice import Dice
from fablewright.systems.characters.rules import Traits
from fablewright.systems.director import chronicle, envoys, mishaps, policies, statecraft, warcraft
from fablewright.systems.director.realms import (
    Bond,
    Conflict,
    Demand,
    Embargo,
    Grievance,
    Land,
    League,
    Pact,
    Realm,
    Stage,
    Talk,
)
from fablewright.systems.director.statecraft import Option, Outlook, outlook
from fablewright.systems.factions.rules import ACTS, FactionTraits

A, B, C = (UUID(int=n) for n in (1, 2, 3))
MINE, THEIRS = UUID(int=11), UUID(int=12)
INCIDENT, WAR, TREATY = (UUID(int=n) for n in (21, 22, 23))
NOW = 1000 * DAY

WARLIKE = FactionTraits(aggressive=0.95, honourable=0.2)
GENTLE = FactionTraits(aggressive=0.05, honourable=0.9)


def realm(faction_id: UUID, **fields: object) -> Realm:
    names = {A: "Ash", B: "Birch", C: "Cedar"}
    values = {"military": 1000.0, "economic": 500.0, "troops": 700.0, "treasury": 3000, **fields}
    return Realm(faction_id, names[faction_id], **values)  # type: ignore[arg-type]


def stage(bond: Bond | None = None, me: dict[str, object] | None = None, them: dict[str, object] | None = None,
          **fields: object) -> Stage:  # fmt: skip
    """Two neighbours, and what is between them as the first one sees it."""
    bond = bond or Bond()
    back = replace(bond, opinion=bond.back, back=bond.opinion)
    lands = {
        MINE: Land(MINE, "Mine", A, neighbours=frozenset({THEIRS})),
        THEIRS: Land(THEIRS, "Theirs", B, neighbours=frozenset({MINE})),
    }
    realms = {A: realm(A, **(me or {})), B: realm(B, **(them or {})), C: realm(C)}
    return Stage(NOW, realms, {(A, B): bond, (B, A): back}, lands, **fields)  # type: ignore[arg-type]


def view(*args: object, **fields: object) -> Outlook:
    return outlook(stage(*args, **fields), A)  # type: ignore[arg-type]


def grievance(**fields: object) -> Grievance:
    values = {
        "id": INCIDENT, "kind": "spying", "injured_id": A, "accused_id": B, "severity": 0.8, "evidence": 1.0,
        "state": "open", "rung": 3, "answer": "denial", "answer_by": NOW - DAY, "at": NOW - 20 * DAY, "due": 300,
        "legal": ("apology", "reparation", "denial", "retaliation"), **fields,
    }  # fmt: skip
    return Grievance(**values)  # type: ignore[arg-type]


def accusation(**fields: object) -> Grievance:
    return grievance(**{"injured_id": B, "accused_id": A, "answer": None, "answer_by": NOW + DAY, **fields})


def conflict(**fields: object) -> Conflict:
    values = {
        "id": WAR, "name": "The war", "attacker_id": A, "defender_id": B, "score": 0.0, "at": NOW - 200 * DAY,
        "sides": {A: "attacker", B: "defender"}, "asked": frozenset({A, B}), **fields,
    }  # fmt: skip
    return Conflict(**values)  # type: ignore[arg-type]


def acts(options: Sequence[Option]) -> set[str]:
    return {o.act for o in options}


def worth(seen: Outlook) -> list[Option]:
    """What is worth doing of one's own accord."""
    return [o for o in policies.policies(seen) if o.weight > 0]


def weight(options: Sequence[Option], act: str, kind: str | None = None) -> float:
    """The heaviest option of an act; minus infinity without one."""
    return max((o.weight for o in options if o.act == act and kind in (None, o.kind)), default=float("-inf"))


LIE = Demand(INCIDENT, A, B, "war", 0, True, evidence=0.2)
HATRED = Bond(opinion=-70, back=-60, tension=70, status="hostile", trust=0.2, grudge="burnt our mills")


# -- of one's own accord -------------------------------------------------------------------------------------------


def test_strangers_at_peace_mostly_rest() -> None:
    found = worth(view())
    assert max(found, key=lambda o: o.weight).act in ("rest", "talk")
    assert "war" not in acts(found) and "raid" not in acts(found)


@pytest.mark.parametrize(
    ("act", "hotter", "cooler"),
    [
        ("war", {"me": {"traits": WARLIKE}}, {"me": {"traits": GENTLE}}),
        ("war", {"them": {"military": 300.0, "troops": 200.0}}, {"them": {"military": 2000.0}}),
        ("war", {}, {"me": {"exhaustion": 60.0}}),
        ("war", {}, {"me": {"wars": 1}}),
        ("war", {}, {"pacts": [Pact(TREATY, "T", "non_aggression", frozenset({A, B}))]}),
        ("war", {"grievances": [grievance()]}, {}),
        ("war", {"broken": frozenset({(A, B)})}, {}),
        ("war", {"demands": [Demand(INCIDENT, A, B, "war", 0, True)]}, {}),
        ("war", {"demands": [Demand(INCIDENT, A, B, "war", 0, True, 1.0)]}, {"demands": [LIE]}),
        ("raid", {"me": {"traits": WARLIKE}}, {"me": {"traits": GENTLE}}),
        ("raid", {"them": {"military": 300.0}}, {"them": {"military": 3000.0}}),
        ("slight", {"me": {"leader": Traits(agreeableness=0.0)}}, {"me": {"leader": Traits(agreeableness=1.0)}}),
        ("spy", {}, {"pacts": [Pact(TREATY, "T", "alliance", frozenset({A, B}))]}),
    ],
)  # fmt: skip
def test_what_moves_hostility(act: str, hotter: dict[str, object], cooler: dict[str, object]) -> None:
    def most(fields: dict[str, object]) -> float:
        seen = view(HATRED, **fields)
        other = seen.others[B]
        return weight([*policies.war(seen, other), *policies.slights(seen, other)], act)

    assert most(hotter) > most(cooler)


@pytest.mark.parametrize(
    ("bond", "why"),
    [
        (replace(HATRED, status="allied"), "nobody attacks an ally"),
        (replace(HATRED, status="truce", truce=True), "a truce holds"),
        (replace(HATRED, status="war"), "it is at war already"),
    ],
)
def test_no_war_where_none_is_legal(bond: Bond, why: str) -> None:
    assert "war" not in acts(worth(view(bond, me={"traits": WARLIKE}))), why


@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        ({}, "conquest"),
        ({"grievances": [grievance(rung=4)]}, "incident"),
        ({"grievances": [grievance(rung=1)]}, "conquest"),
        ({"broken": frozenset({(A, B)})}, "broken_treaty"),
        ({"lost": frozenset({(A, B)})}, "reconquest"),
        ({"leagues": [League(WAR, B, frozenset({A, C}))]}, "coalition"),
        ({"demands": [Demand(INCIDENT, A, B, "war", 0, True, 1.0)]}, "ultimatum_rejected"),
        (
            {"grievances": [grievance(rung=4)], "demands": [Demand(INCIDENT, A, B, "war", 0, True)]},
            "incident",
        ),
        ({"me": {"ideology": {"faith": 0.9}}, "them": {"ideology": {"faith": -0.6}}}, "ideology"),
    ],
)
def test_the_best_cause_is_named(fields: dict[str, object], cause: str) -> None:
    seen = view(HATRED, **fields)
    (found,) = policies.war(seen, seen.others[B])
    assert found.kind == cause and found.words


@pytest.mark.parametrize(
    ("act", "fields"),
    [
        ("escalate", {"grievances": [grievance()]}),
        ("sanction", {"grievances": [grievance()]}),
        ("ultimatum", {"grievances": [grievance()], "them": {"military": 400.0}}),
        ("forgive", {"grievances": [grievance(answer="apology", rung=1, severity=0.7)]}),
        ("accept_apology", {"grievances": [grievance(answer="apology", rung=1, severity=0.4)]}),
        ("join_sanction", {"sanctions": [Embargo(WAR, "embargo", B, frozenset({C}))]}),
        ("lift_sanction", {"sanctions": [Embargo(WAR, "embargo", B, frozenset({A}))]}),
        ("form_coalition", {"them": {"aggression": 60.0}}),
        ("join_coalition", {"them": {"aggression": 60.0}, "leagues": [League(WAR, B, frozenset({C}))]}),
        ("muster", {"me": {"troops": 100.0}}),
        ("renounce", {"pacts": [Pact(TREATY, "Tribute", "tribute", frozenset({A, B}), {A: 400.0})]}),
    ],
)  # fmt: skip
def test_what_is_possible(act: str, fields: dict[str, object]) -> None:
    bond = Bond(opinion=-40, back=-20, tension=10, status="neutral")
    world = stage(bond, **fields)  # type: ignore[arg-type]
    world.bonds = {
        **world.bonds, (A, C): Bond(opinion=60), (C, A): Bond(opinion=60), (B, C): Bond(), (C, B): Bond(opinion=-50),
    }  # fmt: skip
    assert act in acts(worth(outlook(world, A)))


@pytest.mark.parametrize(
    ("kind", "bond", "me"),
    [
        ("trade", Bond(opinion=20), {"traits": FactionTraits(mercantile=0.9)}),
        ("non_aggression", Bond(opinion=10, tension=20), {"military": 500.0}),
        ("defence_pact", Bond(opinion=60, back=50, trust=0.7), {}),
        ("alliance", Bond(opinion=80, back=70, trust=0.8, status="friendly"), {}),
    ],
)
def test_talks_fit_the_need(kind: str, bond: Bond, me: dict[str, object]) -> None:
    assert weight(worth(view(bond, me=me)), "talk", kind) > 0
    pacts = [Pact(TREATY, "T", kind, frozenset({A, B}))]
    assert weight(worth(view(bond, me=me, pacts=pacts)), "talk", kind) < 0, "there is one"
    talking = [Talk("custom", frozenset({A, B}), True)]
    assert "talk" not in acts(worth(view(bond, me=me, talks=talking))), "they talk already"


def test_talks_that_failed_are_not_tried_again_soon() -> None:
    bond, failed = Bond(opinion=20), [Talk("trade", frozenset({A, B}), False)]
    assert weight(worth(view(bond)), "talk", "trade") > weight(
        worth(view(bond, talks=failed)), "talk", "trade"
    )


def test_gifts_are_not_sent_again_and_again() -> None:
    bond, weak = Bond(opinion=10, back=0), {"military": 300.0}
    seen, thanked = view(bond, me=weak), view(replace(bond, gifted=25.0), me=weak)
    assert weight(worth(seen), "gift") > weight(worth(thanked), "gift")


# -- answers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("me", "them", "fields", "answer"),
    [
        ({"traits": WARLIKE}, {"military": 300.0}, {"evidence": 0.9}, "retaliation"),
        ({"traits": GENTLE, "treasury": 100}, {"military": 3000.0}, {"evidence": 1.0}, "apology"),
        (
            {"traits": FactionTraits(honourable=1.0), "treasury": 9000},
            {},
            {"evidence": 1.0, "due": 100},
            "reparation",
        ),
        ({"traits": FactionTraits(honourable=0.0)}, {}, {"evidence": 0.1}, "denial"),
    ],
)
def test_how_accusations_are_answered(
    me: dict[str, object], them: dict[str, object], fields: dict[str, object], answer: str
) -> None:
    seen = view(Bond(opinion=-10), me=me, them=them)
    found = list(warcraft.accused(seen, accusation(**fields)))
    assert max(found, key=lambda o: o.weight).act == answer


def test_only_legal_answers_are_weighed() -> None:
    found = acts(
        list(warcraft.accused(view(me={"treasury": 10}), accusation(legal=("apology", "reparation"))))
    )
    assert found == {"apology", "wait"}, "it cannot pay, and may not deny any more"


def test_revenge_does_not_go_on_for_ever() -> None:
    again = accusation(kind="retaliation")
    first = weight(list(warcraft.accused(view(HATRED), accusation())), "retaliation")
    assert weight(list(warcraft.accused(view(HATRED, grievances=[again]), again)), "retaliation") < first


@pytest.mark.parametrize(("opinion", "bound", "exhaustion", "come"), [
    (70, True, 0, True), (50, False, 0, True), (-40, False, 0, False), (40, True, 95, False),
])  # fmt: skip
def test_who_comes_when_called(opinion: float, bound: bool, exhaustion: float, come: bool) -> None:
    pacts = (
        [Pact(TREATY, "T", "defence_pact", frozenset({A, C}), defends=frozenset({(A, C)}))] if bound else []
    )
    world = stage(Bond(), {"exhaustion": float(exhaustion)}, pacts=pacts)
    world.bonds = {**world.bonds, (A, C): Bond(opinion=opinion, trust=0.5 + opinion / 250)}
    war = conflict(attacker_id=B, defender_id=C, sides={B: "attacker", C: "defender"}, called={A: C})
    found = list(warcraft.called(outlook(world, A), war))
    assert (weight(found, "come") > weight(found, "stay_out")) is come


@pytest.mark.parametrize(
    ("them", "total", "gives_in"),
    [
        ({"military": 5000.0, "troops": 4000.0}, 100, True),
        ({"military": 200.0}, 100, False),
        ({}, 2900, False),
    ],
)
def test_who_gives_in_to_an_ultimatum(them: dict[str, object], total: int, gives_in: bool) -> None:
    found = list(warcraft.threatened(view(Bond(opinion=-20), them=them), Demand(WAR, B, A, "war", total)))
    assert (weight(found, "accept") > weight(found, "reject")) is gives_in


def test_what_cannot_be_paid_is_not_accepted() -> None:
    found = warcraft.threatened(view(), Demand(WAR, B, A, "war", 10_000))
    assert acts(list(found)) == {"reject"}


def draft(worth: float | None, **fields: Any) -> Pact:
    """A draft that A has not signed, by what its clauses are worth to it; None if it would not accept them."""
    terms = {} if worth is None else {A: worth}
    values = {"missing": frozenset({A}), "open": True, "terms": terms, **fields}
    return Pact(TREATY, "T", "tribute", frozenset({A, B}), **values)


@pytest.mark.parametrize(
    ("opinion", "worth", "signs"), [(50, 20.0, True), (-60, 10.0, False), (0, -15.0, False), (0, 15.0, True)]
)
def test_who_signs_a_draft(opinion: float, worth: float, signs: bool) -> None:
    found = list(warcraft.drafted(view(Bond(opinion=opinion, trust=0.5 + opinion / 200)), draft(worth)))
    assert (weight(found, "sign") > max(weight(found, "wait"), weight(found, "reject_treaty"))) is signs


def test_what_it_would_not_accept_at_the_table_a_faction_does_not_sign() -> None:
    friends = view(Bond(opinion=100, trust=1.0), pacts=[draft(None)])
    assert acts(list(warcraft.drafted(friends, draft(None)))) == {"wait", "reject_treaty"}


def test_what_a_draft_is_worth_to_a_faction_is_told_to_nobody() -> None:
    seen = view(Bond(opinion=60, trust=0.9))
    rich, poor, none = (list(warcraft.drafted(seen.shown, draft(worth))) for worth in (25.0, 2.0, None))
    assert rich == poor == none and "sign" in acts(none)


# -- wars ----------------------------------------------------------------------------------------------------------


def test_the_stronger_attacks_and_the_weary_seek_peace() -> None:
    strong = view(
        replace(HATRED, status="war"), me={"traits": WARLIKE}, them={"troops": 200.0}, wars=[conflict()]
    )
    found = list(warcraft.waging(strong, strong.stage.wars[0]))
    assert max(found, key=lambda o: o.weight).act == "attack"
    assert next(o for o in found if o.act == "attack").place_id == THEIRS, "at its own border"
    lost = conflict(score=-80.0)
    weary = view(replace(HATRED, status="war"), me={"exhaustion": 70.0, "troops": 80.0}, wars=[lost])
    assert max(warcraft.waging(weary, lost), key=lambda o: o.weight).act == "seek_peace"


def test_who_has_no_troops_does_not_attack() -> None:
    war = conflict()
    found = warcraft.waging(view(replace(HATRED, status="war"), me={"troops": 0.0}, wars=[war]), war)
    assert "attack" not in acts(list(found))


def test_only_leaders_make_peace_and_only_after_talks_do_they_lay_down_arms() -> None:
    war = conflict(score=-60.0)
    bond = replace(HATRED, status="war")
    assert "lay_down_arms" not in acts(list(warcraft.waging(view(bond, wars=[war]), war)))
    failed = [Talk("peace", frozenset({A, B}), False)] * warcraft.WHITE_PEACE_AFTER
    assert "lay_down_arms" in acts(list(warcraft.waging(view(bond, wars=[war], talks=failed), war)))
    ally = conflict(attacker_id=C, sides={A: "attacker", C: "attacker", B: "defender"})
    assert not {"seek_peace", "lay_down_arms"} & acts(list(warcraft.waging(view(bond, wars=[ally]), ally)))


def test_friends_are_called_once() -> None:
    bond = replace(HATRED, status="war")
    world = stage(bond, wars=[conflict()])
    world.bonds = {
        **world.bonds,
        (A, C): Bond(opinion=60, status="allied"),
        (C, A): Bond(opinion=60, status="allied"),
    }
    assert "call_ally" in acts(list(warcraft.waging(outlook(world, A), conflict())))
    asked = conflict(asked=frozenset({A, B, C}))
    assert "call_ally" not in acts(list(warcraft.waging(outlook(world, A), asked)))


def test_secret_friends_count_only_for_who_knows_of_them() -> None:
    pact = Pact(TREATY, "T", "defence_pact", frozenset({B, C}), defends=frozenset({(C, B)}), secret=True)
    hidden, known = stage(HATRED, pacts=[pact]), stage(HATRED, pacts=[replace(pact, secret=False)])
    assert statecraft.odds(hidden, A, B) > statecraft.odds(known, A, B)
    assert hidden.own_friends(B) == {C} and hidden.friends.get(B) is None


# -- what all are told -----------------------------------------------------------------------------------------

SECRET = Pact(
    TREATY, "The Hidden Oath", "defence_pact", frozenset({A, B}), defends=frozenset({(B, A)}), secret=True
)


def decided(seen: Outlook, seed: int) -> statecraft.Decision:
    """What it decides of its own accord."""
    found = statecraft.decided(seen, "policy", policies.policies, Dice(seed))
    assert found is not None
    return found


def made(seen: Outlook, weigh: statecraft.Weigh, act: str) -> statecraft.Decision:
    """The first decision for an act that some dice give."""
    found = (statecraft.decided(seen, "policy", weigh, Dice(n)) for n in range(400))
    return next(d for d in found if d is not None and d.option.act == act)


def untold(decision: statecraft.Decision) -> bool:
    """Whether nothing that all are told speaks of the secret treaty."""
    told = decision.shown.told if decision.shown else ()
    return not any(o.about_id == TREATY or "Oath" in o.words for o in told)


def test_answers_to_secret_drafts_are_told_to_nobody() -> None:
    oath = replace(SECRET, open=True, missing=frozenset({A}), terms={A: 10.0})
    seen = view(Bond(opinion=60, trust=0.9), pacts=[oath])
    (decision,) = warcraft.answers(seen, Dice(1))
    assert decision.option.act == "sign" and decision.shown is None
    told = view(Bond(opinion=60, trust=0.9), pacts=[replace(oath, secret=False)])
    assert warcraft.answers(told, Dice(1))[0].shown is not None


def test_secret_treaties_are_among_the_options_of_nobody_else() -> None:
    costly = replace(SECRET, dues={A: 300.0})
    seen = view(Bond(opinion=-30, tension=20), pacts=[costly])
    assert made(seen, policies.policies, "renounce").shown is None
    others = [d for n in range(400) if (d := decided(seen, n)).option.act not in ("renounce", "spy", "gift")]
    assert any(not untold(replace(d, shown=d.weighing)) for d in others), "the faction itself weighed it"
    assert all(d.shown is not None and untold(d) for d in others)
    open_ = view(Bond(opinion=-30, tension=20), pacts=[replace(costly, secret=False)])
    assert made(open_, policies.policies, "renounce").shown is not None


def test_secret_friends_are_called_without_telling() -> None:
    pact = replace(SECRET, parties=frozenset({A, C}), defends=frozenset({(C, A)}))
    for secret in (True, False):
        world = stage(replace(HATRED, status="war"), wars=[conflict()], pacts=[replace(pact, secret=secret)])
        world.bonds = {**world.bonds, (A, C): Bond(opinion=60), (C, A): Bond(opinion=60)}
        seen = outlook(world, A)
        decision = made(seen, lambda v: warcraft.waging(v, conflict()), "call_ally")
        assert (decision.shown is None) is secret


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"me": {"treasury": 1000}}, {"me": {"treasury": 9000}}),
        ({}, {"pacts": [SECRET]}),
        (
            {"bond": Bond(opinion=20)},
            {"bond": Bond(opinion=20), "talks": [Talk("trade", frozenset({A, B}), True, True)]},
        ),
        (
            {"bond": HATRED},
            {"bond": replace(HATRED, opinion=-20, back=0, shown=(HATRED.opinion, HATRED.back))},
        ),
    ],
    ids=["treasury", "treaty", "talks", "opinion"],
)
def test_what_only_some_know_is_no_part_of_what_all_are_told(
    one: dict[str, object], other: dict[str, object]
) -> None:
    """Two worlds that differ in nothing that all can see are told alike; to the faction itself they are not alike."""

    def weighed(fields: dict[str, object], *, shown: bool) -> list[Option]:
        values = {"grievances": [grievance(), accusation(id=WAR)], **fields}
        seen = view(values.pop("bond", HATRED), **values)
        seen = seen.shown if shown else seen
        demand = Demand(WAR, B, A, "war", 500)
        return [
            *policies.policies(seen),
            *warcraft.accused(seen, accusation()),
            *warcraft.threatened(seen, demand),
        ]

    assert weighed(one, shown=True) == weighed(other, shown=True)
    assert weighed(one, shown=False) != weighed(other, shown=False)


def test_gifts_and_spies_are_told_to_nobody() -> None:
    seen = view(Bond(opinion=10, back=0, tension=40), me={"military": 300.0})
    for act in ("gift", "spy"):
        options = [o for o in policies.policies(seen) if o.act in (act, "rest")]
        heavy = [replace(o, weight=90.0) if o.act == act else o for o in options]
        assert made(seen, lambda _, heavy=heavy: heavy, act).shown is None  # type: ignore[misc]
        rest = made(seen, lambda _, options=options: options, "rest")  # type: ignore[misc]
        assert rest.shown is not None and acts(rest.shown.told) == {"rest"}


def test_urgent_answers_are_not_crowded_out() -> None:
    """Whoever is insulted again and again still answers an ultimatum and a call to arms."""
    many = [accusation(id=UUID(int=100 + n), answer_by=NOW + n, evidence=1.0) for n in range(9)]
    war = conflict(attacker_id=C, defender_id=B, sides={C: "attacker", B: "defender"}, called={A: B})
    seen = view(HATRED, grievances=many, wars=[war], demands=[Demand(TREATY, B, A, "war", 100)])
    found = warcraft.answers(seen, Dice(1))
    assert [d.matter for d in found[:2]] == ["ultimatum", "call"]
    assert len(found) == warcraft.MOST_MATTERS


def test_not_to_go_to_war_is_a_decision() -> None:
    eager = view(HATRED, me={"traits": FactionTraits(aggressive=0.6), "military": 1500.0})
    found = [d for n in range(200) for d in warcraft.council(eager, Dice(n))]
    resting = [d for d in found if d.option.act == "rest"]
    assert resting and all(warcraft.thought_of_war(d) for d in resting)
    calm = [d for n in range(50) for d in warcraft.council(view(), Dice(n))]
    assert "rest" not in {d.option.act for d in calm}
    held = view(replace(HATRED, status="war"), me={"troops": 0.0}, wars=[conflict()])
    assert "hold" in {d.option.act for n in range(20) for d in warcraft.council(held, Dice(n))}


# -- what they do about it -------------------------------------------------------------------------------------

DOERS = {act: UUID(int=500 + n) for n, act in enumerate(ACTS)}
"""Who does what for the first faction."""


@pytest.mark.parametrize(
    ("act", "fields", "command", "values", "does"),
    [
        ("gift", {"amount": 70}, "spend_treasury", {"faction_id": A, "to_id": B, "amount": 70}, "spend_treasury"),
        ("talk", {"kind": "trade"}, "open_negotiation", {"with_ids": [B], "kind": "trade"}, "negotiate"),
        ("seek_peace", {"kind": "peace", "about_id": WAR}, "open_negotiation", {"about_id": WAR}, "negotiate"),
        ("muster", {"amount": 36}, "muster", {"faction_id": A, "troops": 36}, "muster"),
        ("renounce", {"about_id": TREATY}, "withdraw_from_treaty", {"treaty_id": TREATY}, "sign_treaty"),
        ("slight", {}, "report_incident", {"injured_id": B, "accused_id": A, "evidence": 1.0}, None),
        ("raid", {}, "report_incident", {"injured_id": B, "accused_id": A, "region_id": THEIRS}, None),
        ("spy", {}, "spy_on_faction", {"faction_id": A, "target_id": B}, "spy"),
        ("apology", {"about_id": INCIDENT}, "answer_incident", {"answer": "apology", "amount": 0}, "answer_incident"),
        ("reparation", {"about_id": INCIDENT, "amount": 90}, "answer_incident",
         {"answer": "reparation", "amount": 90}, "answer_incident"),
        ("denial", {"about_id": INCIDENT}, "answer_incident", {"answer": "denial"}, "answer_incident"),
        ("retaliation", {"about_id": INCIDENT}, "answer_incident", {"answer": "retaliation"}, "answer_incident"),
        ("accept_apology", {"about_id": INCIDENT}, "settle_incident", {"forgive": False}, "answer_incident"),
        ("forgive", {"about_id": INCIDENT}, "settle_incident", {"forgive": True}, "answer_incident"),
        ("escalate", {"about_id": INCIDENT}, "escalate_incident", {"incident_id": INCIDENT}, "accuse"),
        ("sanction", {"kind": "tariff", "about_id": INCIDENT}, "impose_sanction",
         {"kind": "tariff", "rate": envoys.TARIFF, "incident_id": INCIDENT}, "sanction"),
        ("join_sanction", {"about_id": WAR}, "join_sanction", {"sanction_id": WAR, "faction_id": A}, "sanction"),
        ("lift_sanction", {"about_id": WAR}, "leave_sanction", {"sanction_id": WAR, "faction_id": A}, "sanction"),
        ("ultimatum", {"kind": "war", "amount": 900, "about_id": INCIDENT}, "issue_ultimatum",
         {"target_id": B, "incident_id": INCIDENT}, "issue_ultimatum"),
        ("accept", {"about_id": WAR}, "answer_ultimatum", {"ultimatum_id": WAR, "accept": True}, "answer_ultimatum"),
        ("reject", {"about_id": WAR}, "answer_ultimatum", {"ultimatum_id": WAR, "accept": False}, "answer_ultimatum"),
        ("form_coalition", {}, "form_coalition", {"faction_id": A, "target_id": B}, "sign_treaty"),
        ("join_coalition", {"about_id": WAR}, "join_coalition",
         {"coalition_id": WAR, "faction_id": A}, "sign_treaty"),
        ("sign", {"about_id": TREATY}, "sign_treaty", {"treaty_id": TREATY, "draft": 3}, "sign_treaty"),
        ("reject_treaty", {"about_id": TREATY}, "reject_treaty", {"treaty_id": TREATY}, "sign_treaty"),
        ("war", {"kind": "incident", "about_id": INCIDENT}, "declare_war",
         {"defender_id": B, "cause": "incident", "cause_id": INCIDENT}, "declare_war"),
        ("attack", {"about_id": WAR, "place_id": THEIRS}, "fight_battle",
         {"enemy_id": B, "region_id": THEIRS, "war_id": WAR}, "fight"),
        ("call_ally", {"about_id": WAR}, "call_to_arms", {"ally_id": B, "war_id": WAR}, "declare_war"),
        ("come", {"about_id": WAR}, "answer_call", {"war_id": WAR, "come": True}, "declare_war"),
        ("stay_out", {"about_id": WAR}, "answer_call", {"war_id": WAR, "come": False}, "declare_war"),
        ("lay_down_arms", {"about_id": WAR}, "make_peace", {"war_id": WAR, "faction_id": A}, "make_peace"),
    ],
)  # fmt: skip
def test_what_a_decision_makes_them_do(
    act: str, fields: dict[str, Any], command: str, values: dict[str, object], does: str | None
) -> None:
    """Each act is one command of everybody's, given by a member whose role it is; raids and mockery need no witness."""
    weary = {"exhaustion": 100.0, "able": DOERS, "treasury": 0}
    war = conflict(score=0.0)
    failed = [Talk("peace", frozenset({A, B}), False)] * warcraft.WHITE_PEACE_AFTER
    pacts = [draft(9.0, number=3)]
    world = stage(Bond(status="war"), weary, weary, wars=[war], talks=failed, pacts=pacts)
    chosen = Option(act, (), 1.0, **{"target_id": B, "words": "the insult", **fields})
    weighing = statecraft.Weighing(chosen, (chosen,), 1)
    (given,) = envoys.commands(world, statecraft.Decision(A, "policy", weighing, weighing), Dice(1))
    told = given.model_dump()
    assert given.message_type.partition(".")[2] == command
    assert {name: told[name] for name in values} == values
    assert told["character_id"] == (DOERS[does] if does else None)


def test_every_act_is_in_that_table() -> None:
    table = test_what_a_decision_makes_them_do.pytestmark[0].args[1]
    assert {row[0] for row in table} == set(envoys.ERRANDS)


@pytest.mark.parametrize(("treasury", "asked"), [(0, 500), (5000, 500)])
def test_demands_are_as_high_as_lands_yield_whatever_is_in_the_treasury(treasury: int, asked: int) -> None:
    world = stage(HATRED, {"able": DOERS}, {"treasury": treasury, "economic": 500.0})
    chosen = Option("ultimatum", (), 1.0, B, INCIDENT, "war", 900, words="the insult")
    weighing = statecraft.Weighing(chosen, (chosen,), 1)
    (given,) = envoys.commands(world, statecraft.Decision(A, "policy", weighing, weighing), Dice(1))
    assert given.model_dump()["demands"][0]["amount"] == asked


def test_nobody_musters_more_than_it_can_pay() -> None:
    assert "muster" not in acts(worth(view(me={"troops": 10.0, "treasury": 0})))
    poor = next(o for o in worth(view(me={"troops": 10.0, "treasury": 7})) if o.act == "muster")
    assert poor.amount == 7


# -- choice --------------------------------------------------------------------------------------------------------

PARTS = st.dictionaries(st.sampled_from(["cause", "odds", "tie", "fear"]), st.floats(-60, 60), max_size=4)


@given(st.lists(PARTS, max_size=12), st.integers())
def test_chosen_is_what_weighs_enough(parts: list[dict[str, float]], seed: int) -> None:
    options = [statecraft.option("rest", p) for p in parts]
    for o in options:
        assert o.weight == pytest.approx(sum(amount for _, amount in o.parts), abs=1e-9)
    chosen = statecraft.choose(options, Dice(seed))
    best = max((o.weight for o in options), default=0.0)
    if best <= 0:
        assert chosen is None
    else:
        assert chosen is not None and chosen.weight > max(0.0, best - statecraft.MARGIN)


@given(st.integers())
def test_the_same_dice_choose_the_same(seed: int) -> None:
    seen = view(HATRED, me={"traits": WARLIKE}, grievances=[grievance(), accusation(id=WAR)])
    assert warcraft.council(seen, Dice(seed)) == warcraft.council(seen, Dice(seed))


@given(
    st.floats(-100, 100), st.floats(-100, 100), st.floats(0, 100), st.floats(0, 1), st.floats(0, 5000),
    st.floats(0, 5000), st.sampled_from(["hostile", "neutral", "cordial", "friendly", "allied", "truce"]),
    st.integers(0, 20_000), st.integers(),
)  # fmt: skip
def test_whatever_is_so_a_council_ends_and_can_be_told(
    opinion: float, back: float, tension: float, trust: float, mine: float, theirs: float, status: str,
    treasury: int, seed: int,
) -> None:  # fmt: skip
    bond = Bond(opinion, back, trust, tension, status, status == "truce")  # type: ignore[arg-type]
    world = stage(
        bond, {"military": mine, "troops": mine, "treasury": treasury}, {"military": theirs, "troops": theirs},
        grievances=[grievance(), accusation(id=WAR)],
    )  # fmt: skip
    for decision in warcraft.council(outlook(world, A), Dice(seed)):
        assert decision.option.weight > 0
        for weighing in (decision.weighing, decision.shown or decision.weighing):
            assert weighing.option in weighing.told and len(weighing.told) <= statecraft.TOLD
            assert weighing.option.same_as(decision.option)
            assert chronicle.because(world, A, weighing.option).startswith("Ash ")
        for command in envoys.commands(world, decision, Dice(seed)):
            assert command.message_type.split(".")[0] in ("diplomacy", "factions")


def test_every_act_has_words_and_somebody_who_does_it() -> None:
    deeds = set(chronicle.phrases()["deeds"])
    assert deeds - {"rest", "wait", "hold"} == set(envoys.ERRANDS)


def test_mishaps_are_rare_and_between_neighbours_at_peace() -> None:
    found = [m for n in range(400) for m in mishaps.mishaps(stage(Bond(tension=10)), Dice(n), 30.0)]
    assert 0 < len(found) < 20
    assert all({m.injured_id, m.accused_id} == {A, B} and m.text for m in found)
    war = [
        m for n in range(400) for m in mishaps.mishaps(stage(replace(HATRED, status="war")), Dice(n), 30.0)
    ]
    assert war == []


def test_every_event_of_diplomacy_reads_as_a_sentence() -> None:
    from fablewright.systems.diplomacy import system
    from fablewright.systems.director.why import SENTENCES, sentence

    missing = {event.message_type for event in system.events} - SENTENCES.keys()
    assert missing == set()
    told = {
        "attacker_id": "a",
        "defender_id": "b",
        "cause": "incident",
        "legitimacy": 0.4,
        "reason": "They mock us.",
    }
    assert sentence("diplomacy.war_declared", told, {"a": "Ash", "b": "Birch"}) == (
        "Ash declared war on Birch (incident, legitimacy 0.40). They mock us."
    )
