"""Rules of the director: when beats fall due, the rhythm of the day, needs, and what characters are inclined to."""

from dataclasses import dataclass, replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fablewright.core.clock import DAY, HOUR
from fablewright.core.dice import Dice
from fablewright.systems.characters.rules import Traits
from fablewright.systems.director import options, rules
from fablewright.systems.director.options import Known, Option, Plot, Situation, Spot, Tale
from fablewright.systems.director.rules import Needs, Npc, Wish
from fablewright.systems.director.service import table
from fablewright.systems.director.why import because, span

PLAIN = Traits()
ME, BEN, CYD, DAN = (UUID(int=n) for n in range(1, 5))
HOME, MILL, TAVERN = (UUID(int=n) for n in range(10, 13))
NPC = Npc(ME, "Ada", PLAIN, 1.0)
FRIEND = Known(BEN, "Ben", 0.5, 0.7, 0.5, 0)
NOON = rules.rhythm(PLAIN, 12.0)
NOW = 2 * DAY
HERE = Situation(NOW, NOON)

shares = st.floats(0, 1)
signed = st.floats(-1, 1)
hours = st.floats(0, 24, exclude_max=True)
traits = st.builds(Traits, shares, shares, shares, shares, shares)
needs = st.builds(Needs, shares, shares, st.integers(-DAY, DAY))
wishes = st.builds(
    Wish,
    st.sampled_from(["befriend", "win_heart", "reconcile", "ruin", "learn", "help", "protect_secret", "free", "odd"]),
    st.none() | st.sampled_from([BEN, CYD]),
)  # fmt: skip
npcs = st.builds(
    Npc, st.uuids(), st.just("N"), traits, shares, signed, signed, signed, needs,
    st.lists(wishes, max_size=3).map(tuple), st.none() | st.just(MILL),
    st.none() | st.just(HOME), st.none() | st.just(MILL),
)  # fmt: skip
times = st.none() | st.integers(0, NOW)
knowns = st.builds(
    Known, st.just(BEN), st.just("K"), signed, shares, shares, times,
    st.dictionaries(st.sampled_from(["conflict", "chat", "gift"]), st.integers(0, NOW)),
)  # fmt: skip
plots = st.builds(
    Plot, st.uuids(), st.sampled_from(["quarrel", "feud", "courtship", "friendship"]),
    st.sampled_from([frozenset({BEN}), frozenset({CYD})]), shares, st.integers(0, DAY), st.booleans(), st.booleans(),
)  # fmt: skip
tales = st.builds(
    Tale, st.uuids(), st.sampled_from([None, BEN, CYD]), st.just(()), st.sampled_from([(), (BEN,)]), shares,
    st.booleans(),
)  # fmt: skip


def named(found: list[Option]) -> dict[str | None, float]:
    return {o.type: o.weight for o in found}


def dealings(npc: Npc, known: Known, situation: Situation) -> list[Option]:
    return options.dealings(options.stance(npc, situation, table()), known)


def weights(npc: Npc = NPC, known: Known = FRIEND, situation: Situation = HERE) -> dict[str | None, float]:
    return named(dealings(npc, known, situation))


# -- when -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("beats", "expected"), [(600, 100), (12, 5_000), (1, 60_000), (0.01, 6_000_000)])
def test_interval(beats: float, expected: int) -> None:
    assert rules.interval_ms(beats) == expected


@pytest.mark.parametrize(
    ("due_at", "now", "expected"),
    [(0, 0, 5_000), (0, 10, 5_000), (0, 5_000, 5_000), (0, 9_999_999, 9_999_999)],
)
def test_missed_beats_are_not_made_up_for(due_at: int, now: int, expected: int) -> None:
    assert rules.next_beat(due_at, now, 12) == expected


@pytest.mark.parametrize(
    ("world_ms", "day", "start", "expected"),
    [(0, 24, 6, 6.0), (19 * HOUR, 24, 6, 1.0), (-7 * HOUR, 24, 6, 23.0), (5 * HOUR, 10, 0, 12.0),
     (HOUR // 2, 24, 0, 0.5)],
)  # fmt: skip
def test_hour_of_the_day(world_ms: int, day: int, start: int, expected: float) -> None:
    assert rules.hour_of(world_ms, day, start) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("hour", "call"),
    [(12.0, "work"), (15.0, "work"), (19.5, "leisure"), (2.0, "sleep"), (3.0, "sleep"), (7.0, "worship")],
)
def test_each_hour_has_its_call(hour: float, call: str) -> None:
    day = rules.rhythm(PLAIN, hour)
    calls = {name: getattr(day, name) for name in ("sleep", "work", "leisure", "worship")}
    assert max(calls, key=calls.__getitem__) == call


@given(traits, hours)
def test_the_rhythm_stays_in_bounds(t: Traits, hour: float) -> None:
    day = rules.rhythm(t, hour)
    assert all(0.0 <= v <= 1.0 for v in (day.sleep, day.work, day.home, day.leisure, day.worship))
    assert 21.5 <= rules.bedtime(t) <= 24.0 and 5.5 <= rules.rising(t) <= 7.5


@given(traits)
def test_everybody_sleeps_in_the_night_and_is_up_by_day(t: Traits) -> None:
    assert all(rules.sleepiness(t, hour) == 1.0 for hour in (2.0, 2.5, 3.0))
    assert all(rules.sleepiness(t, hour) == 0.0 for hour in (6.5, 8.0, 12.0, 18.0, 21.0))
    assert all(rules.abed(t, hour) for hour in (0.0, 2.0, 5.4)) and not rules.abed(t, 12.0)


@given(traits, hours)
def test_sleepers_wake_when_it_is_time(t: Traits, hour: float) -> None:
    wait = rules.ms_until_rising(t, hour)
    assert 0 <= wait <= 24 * HOUR
    assert (wait == 0) == (rules.rising(t) <= hour < rules.bedtime(t)) or wait < 2
    after = (hour + wait / HOUR + 0.01) % 24.0
    assert not rules.abed(t, after) or abs(after - rules.bedtime(t)) < 0.02


@given(hours, st.lists(hours, min_size=4, max_size=4, unique=True))
def test_slopes_stay_between_0_and_1(hour: float, corners: list[float]) -> None:
    assert 0.0 <= rules.slope(hour, *sorted(corners)) <= 1.0


# -- needs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("extraversion", "hours_"), [(1.0, 4), (0.0, 16), (0.5, 10)])
def test_company_wears_off(extraversion: float, hours_: int) -> None:
    t = Traits(extraversion=extraversion)
    assert Needs(0.0, 0.0, 0).now(hours_ * HOUR, t).company == pytest.approx(0.5)
    assert Needs(0.5, 0.0, 0).now(hours_ * HOUR, t).company == pytest.approx(0.75)


@pytest.mark.parametrize(("neuroticism", "hours_"), [(1.0, 18), (0.0, 48)])
def test_esteem_wears_off(neuroticism: float, hours_: int) -> None:
    assert Needs(0.0, 0.0, 0).now(hours_ * HOUR, Traits(neuroticism=neuroticism)).esteem == pytest.approx(0.5)


@given(needs, traits, st.integers(0, 30 * DAY), st.integers(0, 30 * DAY))
def test_needs_only_grow_by_themselves(n: Needs, t: Traits, first: int, more: int) -> None:
    early, late = n.now(n.at + first, t), n.now(n.at + first + more, t)
    assert 0.0 <= n.company <= early.company + 1e-12 <= late.company + 2e-12 <= 1.0 + 3e-12
    assert 0.0 <= n.esteem <= early.esteem + 1e-12 <= late.esteem + 2e-12 <= 1.0 + 3e-12


@pytest.mark.parametrize(
    ("kind", "began", "down", "company", "esteem"),
    [
        ("chat", True, False, 0.4, 0.5),
        ("praise", False, False, 0.425, 0.325),
        ("threaten", False, False, 0.49, 0.65),
        ("gift", True, True, 0.45, 0.575),
        ("dance", True, False, 0.425, 0.5),
    ],
)
def test_what_meeting_does_to_needs(
    kind: str, began: bool, down: bool, company: float, esteem: float
) -> None:
    after = rules.met(Needs(0.5, 0.5, 7), kind, began, turned_down=down)
    assert (after.company, after.esteem) == pytest.approx((company, esteem)) and after.at == 7


@given(needs, st.sampled_from([*rules.COMPANY_OF, "other"]), st.booleans(), st.booleans())
def test_met_needs_stay_in_bounds(n: Needs, kind: str, began: bool, down: bool) -> None:
    after = rules.met(n, kind, began, turned_down=down)
    assert 0.0 <= after.company <= n.company and 0.0 <= after.esteem <= 1.0


# -- who ------------------------------------------------------------------------------------------------------


@given(npcs)
def test_the_urge_stays_in_bounds(npc: Npc) -> None:
    assert 0.0 < rules.urge(npc) <= 1.0
    lonelier = replace(npc, needs=replace(npc.needs, company=1.0))
    assert rules.urge(lonelier) >= rules.urge(npc)


@given(st.lists(npcs, max_size=20, unique_by=lambda n: n.id), st.integers(1, 30), st.integers())
def test_actors_act_once(people: list[Npc], acts: int, seed: int) -> None:
    chosen = rules.choose_actors(people, acts, Dice(seed))
    assert len(chosen) == min(acts, len(people)) == len({npc.id for npc in chosen})
    assert chosen == rules.choose_actors(people, acts, Dice(seed))


# -- options --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "more", "less"),
    [
        ("conflict", replace(FRIEND, strength=-0.8), replace(FRIEND, strength=0.8)),
        ("collaboration", replace(FRIEND, trust=0.9), replace(FRIEND, trust=0.1)),
        ("greeting", replace(FRIEND, met_at=None), replace(FRIEND, met_at=NOW)),
        ("chat", replace(FRIEND, strength=0.9), replace(FRIEND, strength=-0.9)),
        ("chat", FRIEND, replace(FRIEND, done_at={"chat": NOW - HOUR // 2})),
        ("threaten", replace(FRIEND, strength=-0.9), replace(FRIEND, strength=-0.1)),
        ("praise", replace(FRIEND, strength=0.9), replace(FRIEND, strength=0.1)),
        ("apology", replace(FRIEND, done_at={"conflict": NOW - HOUR}), FRIEND),
        ("gift", FRIEND, replace(FRIEND, familiarity=0.0)),
    ],
)
def test_ties_incline(kind: str, more: Known, less: Known) -> None:
    assert weights(known=more).get(kind, 0.0) > weights(known=less).get(kind, 0.0)


@pytest.mark.parametrize(
    ("kind", "more", "less"),
    [
        ("chat", replace(NPC, needs=Needs(0.9, 0.3, 0)), replace(NPC, needs=Needs(0.1, 0.3, 0))),
        ("conflict", replace(NPC, pleasure=-0.8, arousal=0.6, dominance=0.4), replace(NPC, pleasure=0.8)),
        ("praise", replace(NPC, pleasure=0.8), replace(NPC, pleasure=-0.8)),
        ("ask_for_help", replace(NPC, dominance=-0.7), replace(NPC, dominance=0.7)),
        ("gift", replace(NPC, goals=(Wish("win_heart", BEN),)), NPC),
        (
            "praise",
            replace(NPC, goals=(Wish("befriend", BEN),)),
            replace(NPC, goals=(Wish("befriend", CYD),)),
        ),
        ("collaboration", replace(NPC, goals=(Wish("help", BEN),)), NPC),
        ("conflict", replace(NPC, goals=(Wish("ruin", BEN),)), NPC),
        ("ask_for_help", replace(NPC, goals=(Wish("learn"),)), NPC),
        ("collaboration", replace(NPC, work_id=MILL, place_id=MILL), NPC),
    ],
)
def test_needs_moods_and_goals_incline(kind: str, more: Npc, less: Npc) -> None:
    assert weights(more).get(kind, 0.0) > weights(less).get(kind, 0.0)


@pytest.mark.parametrize(
    ("plot", "kind", "sign"),
    [
        (Plot(DAN, "quarrel", frozenset({BEN}), 0.9, 0), "conflict", 1),
        (Plot(DAN, "quarrel", frozenset({BEN}), 0.2, 0), "apology", 1),
        (Plot(DAN, "quarrel", frozenset({BEN}), 0.9, 0), "chat", -1),
        (Plot(DAN, "courtship", frozenset({BEN}), 0.5, 0), "gift", 1),
        (Plot(DAN, "friendship", frozenset({BEN}), 0.5, 0), "collaboration", 1),
    ],
)
def test_arcs_incline(plot: Plot, kind: str, sign: int) -> None:
    mild = replace(FRIEND, strength=-0.1)
    known = mild if plot.kind == "quarrel" else FRIEND
    with_, without = weights(known=known, situation=replace(HERE, plots=(plot,))), weights(known=known)
    assert (with_.get(kind, 0.0) - without.get(kind, 0.0)) * sign > 0
    if sign > 0:
        found = dealings(NPC, known, replace(HERE, plots=(plot,)))
        assert next(o.arc_id for o in found if o.type == kind) == DAN


def test_old_quarrels_weary() -> None:
    mild = replace(FRIEND, strength=-0.1)
    apologies = [
        weights(known=mild, situation=replace(HERE, plots=(Plot(DAN, "feud", frozenset({BEN}), 0.9, age),)))[
            "apology"
        ]
        for age in (0, 5 * DAY, 10 * DAY, 50 * DAY)
    ]
    assert apologies[0] < apologies[1] < apologies[2] == apologies[3]


def test_own_types_lean_like_what_they_are_like() -> None:
    own = options.with_own_types(table(), {"chat": None, "duel": "conflict", "dance": None})
    found = options.dealings(options.stance(NPC, HERE, own), replace(FRIEND, strength=-0.8))
    assert named(found)["duel"] == weights(known=replace(FRIEND, strength=-0.8))["conflict"]
    assert not {"dance", "conflict"} & named(found).keys()


def test_a_foe_is_gossiped_about() -> None:
    tale, dull = Tale(HOME, CYD, importance=0.3), Tale(MILL, DAN, importance=0.9)
    quarrel = Plot(DAN, "quarrel", frozenset({CYD}), 0.9, 0)
    calm = dealings(NPC, FRIEND, replace(HERE, tales=(tale, dull)))
    cross = dealings(NPC, FRIEND, replace(HERE, tales=(tale, dull), plots=(quarrel,)))
    assert [o.memory_id for o in calm if o.type == "gossip"] == [MILL]
    (gossip,) = (o for o in cross if o.type == "gossip")
    assert (gossip.memory_id, gossip.arc_id) == (HOME, DAN)


@pytest.mark.parametrize(
    ("tale", "gossips", "confides"),
    [
        (None, False, False),
        (Tale(HOME, CYD), True, False),
        (Tale(HOME, BEN), False, False),
        (Tale(HOME, CYD, about=(BEN,)), False, False),
        (Tale(HOME, CYD, tellers=(BEN,)), False, False),
        (Tale(HOME, CYD, known_to=frozenset((BEN,))), False, False),
        (Tale(HOME, CYD, known_to=frozenset((DAN,))), True, False),
        (Tale(HOME, CYD, secret=True), False, True),
        (Tale(HOME, ME, secret=True), False, True),
    ],
)
def test_one_tells_only_what_one_has_to_tell(tale: Tale | None, gossips: bool, confides: bool) -> None:
    found = weights(situation=replace(HERE, tales=(tale,) if tale else ()))
    assert ("gossip" in found, "confide" in found) == (gossips, confides)


def test_who_may_not_does_not() -> None:
    assert "chat" not in weights(known=replace(FRIEND, barred=frozenset({"chat"})))
    assert weights(known=replace(FRIEND, barred=None)) == {}
    assert weights(replace(NPC, energy=0.05)) == {}


@given(npcs, knowns, hours, st.lists(plots, max_size=3).map(tuple), st.lists(tales, max_size=3).map(tuple))
def test_weights_are_the_sum_of_their_parts(
    npc: Npc, known: Known, hour: float, open_: tuple[Plot, ...], mine: tuple[Tale, ...]
) -> None:
    situation = Situation(NOW, rules.rhythm(npc.traits, hour), "tavern", open_, mine)
    for o in dealings(npc, known, situation):
        assert 0.0 <= o.weight <= options.MOST_WEIGHT
        assert o.weight == pytest.approx(max(0.0, sum(o.parts)), abs=1e-9)
        assert (o.act, o.with_id, len(o.parts)) == ("interact", BEN, len(options.PARTS))
        assert o.type not in ("gossip", "confide") or o.memory_id is not None


@given(st.one_of(times), st.integers(1, DAY), times)
def test_freshness_stays_in_bounds(done: int | None, repeat: int, met: int | None) -> None:
    assert 0.009 <= options.freshness(done, repeat, met, NOW) <= 1.0
    assert options.freshness(done, repeat, met, NOW + HOUR) >= options.freshness(done, repeat, met, NOW)


# -- walking, sleeping, waking --------------------------------------------------------------------------------

HOMELY = replace(NPC, home_id=HOME, work_id=MILL, place_id=TAVERN)
SPOTS = [Spot(HOME, "home", 5.0), Spot(MILL, "work", 5.0), Spot(TAVERN, "tavern", 0.0)]


@pytest.mark.parametrize(
    ("hour", "at", "to"), [(10.0, HOME, MILL), (19.5, MILL, TAVERN), (1.5, TAVERN, HOME)]
)
def test_the_hour_calls_to_places(hour: float, at: UUID, to: UUID) -> None:
    npc = replace(HOMELY, place_id=at)
    here = next(s for s in SPOTS if s.id == at)
    found = options.walks(npc, here, SPOTS, rules.rhythm(PLAIN, hour), hour)
    assert max(found, key=lambda o: o.weight).to_id == to


def test_who_is_where_it_wants_to_be_stays() -> None:
    npc = replace(HOMELY, place_id=MILL)
    assert options.walks(npc, SPOTS[1], SPOTS, rules.rhythm(PLAIN, 10.0), 10.0) == []


@given(npcs, hours, st.floats(0, 1000), st.integers(0, 9), st.booleans())
def test_walks_stay_in_bounds(npc: Npc, hour: float, minutes: float, friends: int, sought: bool) -> None:
    spots = [Spot(HOME, "home", minutes, friends, sought), Spot(TAVERN, "tavern", minutes, friends)]
    day = rules.rhythm(npc.traits, hour)
    for o in [
        *options.walks(npc, None, spots, day, hour),
        *options.nights(npc, npc.place_id, day),
        options.rest(npc, day),
    ]:
        assert 0.0 <= o.weight <= options.MOST_WEIGHT
        assert o.weight == pytest.approx(max(0.0, sum(o.parts)))


@pytest.mark.parametrize(
    ("place", "home", "hour", "sleeps"),
    [(HOME, HOME, 1.0, True), (MILL, HOME, 1.0, False), (MILL, None, 1.0, True), (None, None, 3.0, True),
     (HOME, HOME, 12.0, False)],
)  # fmt: skip
def test_one_sleeps_at_home(place: UUID | None, home: UUID | None, hour: float, sleeps: bool) -> None:
    npc = replace(NPC, place_id=place, home_id=home)
    assert bool(options.nights(npc, home or place, rules.rhythm(PLAIN, hour))) == sleeps


@pytest.mark.parametrize(("hour", "acts"), [(3.0, {"rest"}), (9.0, {"wake", "rest"})])
def test_sleepers_wake_by_day_only(hour: float, acts: set[str]) -> None:
    assert {o.act for o in options.waking(NPC, hour)} == acts


@given(st.lists(shares, max_size=8), st.integers())
def test_the_dice_choose_by_weight(found: list[float], seed: int) -> None:
    ways = [Option("rest", w, (w,), with_id=UUID(int=n)) for n, w in enumerate(found)]
    chosen = options.choose(ways, Dice(seed))
    assert (chosen is None) == (sum(found) <= 0.0)
    assert chosen is None or (chosen in ways and chosen.weight > 0.0)
    assert chosen is options.choose(ways, Dice(seed))
    if chosen is not None:
        shown = options.told(ways, chosen)
        assert chosen in shown and len(shown) <= options.TOLD
        assert [o.weight for o in shown] == sorted((o.weight for o in shown), reverse=True)


def test_heavier_options_are_chosen_more_often() -> None:
    ways = [Option("rest", 3.0, ()), Option("wake", 1.0, ())]
    chosen = [options.choose(ways, Dice(n)) for n in range(400)]
    assert 260 < sum(c is ways[0] for c in chosen) < 340


# -- why ------------------------------------------------------------------------------------------------------


@dataclass
class Place:
    name: str


PLACES = {MILL: Place("the mill"), TAVERN: Place("The Blue Heron")}


def why(npc: Npc, o: Option, hour: float = 12.0) -> str:
    return because(npc, o, {BEN: "Ben"}, PLACES, NOW, hour)


def test_a_choice_in_a_sentence() -> None:
    npc = replace(NPC, place_id=MILL, company_at=NOW - DAY // 2, pleasure=0.5, needs=Needs(0.8, 0.1, NOW))
    chat = Option(
        "interact", 0.9, (0.41, 0.35, 0.05, -0.2, 0.0, 0.1, 0.0, 0.0), "chat", BEN, feeling=(0.4, 0.5)
    )
    assert why(npc, chat) == (
        "Ada talked with Ben because Ada had been without company for half a day (0.41), is fond of Ben (0.35) "
        "and met Ben at the mill (0.10)."
    )


@pytest.mark.parametrize(
    ("o", "words"),
    [
        (Option("sleep", 6.0, (0.0,) * 7 + (6.0,)), "Ada went to sleep because it was time for bed (6.00)."),
        (Option("walk", 1.0, (0.0,) * 7 + (1.0,), to_id=TAVERN),
         "set out for The Blue Heron because the day's work called"),
        (Option("interact", 0.1, (0.0,) * 8, "chat", BEN), "Ada talked with Ben for no particular reason."),
        (Option("interact", 0.3, (0.0, 0.3) + (0.0,) * 6, "greeting", BEN), "had never met Ben before (0.30)"),
        (Option("interact", 0.3, (0.0, 0.3) + (0.0,) * 6, "duel", BEN, feeling=(-0.7, 0.5)),
         "turned to Ben (duel) because Ada cannot bear Ben"),
        (Option("interact", 0.3, (0.0,) * 6 + (0.3, 0.0), "conflict", BEN, arc_kind="feud"), "lives in a feud (0.30)"),
        (Option("interact", 0.3, (0.0,) * 4 + (0.3,) + (0.0,) * 3, "gift", BEN),
         "wants to win the heart of Ben (0.30)"),
    ],
)  # fmt: skip
def test_reasons_in_words(o: Option, words: str) -> None:
    assert words in why(replace(NPC, goals=(Wish("win_heart", BEN),)), o)


@pytest.mark.parametrize(
    ("ms", "words"),
    [(0, "a moment"), (HOUR // 2, "a while"), (HOUR, "an hour"), (5 * HOUR, "5 hours"), (DAY // 2, "half a day"),
     (DAY, "a day"),
     (9 * DAY, "9 days")],
)  # fmt: skip
def test_spans_in_words(ms: int, words: str) -> None:
    assert span(ms) == words


@given(npcs, knowns, hours, st.lists(plots, max_size=2).map(tuple), st.lists(tales, max_size=2).map(tuple))
def test_every_option_can_be_put_into_words(
    npc: Npc, known: Known, hour: float, open_: tuple[Plot, ...], mine: tuple[Tale, ...]
) -> None:
    found = dealings(npc, known, Situation(NOW, rules.rhythm(npc.traits, hour), "tavern", open_, mine))
    for o in [*found, *options.waking(npc, hour), options.rest(npc, rules.rhythm(npc.traits, hour))]:
        sentence = why(npc, o, hour)
        assert sentence.startswith("N ") and sentence.endswith(".") and "{" not in sentence
