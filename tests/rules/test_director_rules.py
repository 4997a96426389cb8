"""Rules of the director: when beats fall due, who acts, with whom, and what they do."""

from dataclasses import replace
from typing import get_args
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fablewright.core.clock import DAY
from fablewright.core.dice import Dice
from fablewright.systems.director import rules
from fablewright.systems.director.rules import InteractionType, Known, Npc
from fablewright.systems.director.service import openings

NPC = Npc(UUID(int=1), "Ada", 1.0, 0.5, 0.5, 0.5, 0.5, 0.5)
FRIEND = Known(UUID(int=2), "Ben", 0.5, 0.5, 0)

shares = st.floats(0, 1)
npcs = st.lists(
    st.builds(Npc, st.uuids(), st.just("N"), shares, shares, shares, shares, shares, shares),
    max_size=20, unique_by=lambda n: n.id,
)  # fmt: skip
known = st.builds(
    Known, st.uuids(), st.just("K"), st.floats(-1, 1), shares, st.none() | st.integers(-DAY, DAY)
)


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
    ("energy", "extraversion", "expected"),
    [(1.0, 1.0, 1.0), (1.0, 0.0, 0.3), (0.5, 1.0, 0.5), (0.09, 1.0, 0.0)],
)
def test_need_for_company(energy: float, extraversion: float, expected: float) -> None:
    assert rules.need_for_company(replace(NPC, energy=energy, extraversion=extraversion)) == pytest.approx(
        expected
    )


@given(npcs, st.integers(1, 30), st.integers())
def test_actors_are_rested_and_act_once(people: list[Npc], acts: int, seed: int) -> None:
    chosen = rules.choose_actors(people, acts, Dice(seed))
    rested = [npc for npc in people if npc.energy >= rules.ENERGY_TO_ACT]
    assert len(chosen) == min(acts, len(rested)) == len({npc.id for npc in chosen})
    assert all(npc in rested for npc in chosen)
    assert chosen == rules.choose_actors(people, acts, Dice(seed))


@pytest.mark.parametrize(
    ("last", "strength", "expected"),
    [(None, 0.0, 0.3), (0, 0.0, 0.06), (0, 1.0, 0.26), (None, -1.0, 1.3), (-DAY, 0.7, 1.0)],
)
def test_attraction(last: int | None, strength: float, expected: float) -> None:
    assert rules.attraction(replace(FRIEND, last_interaction_at=last, strength=strength), 0) == pytest.approx(
        expected
    )


def test_nobody_to_turn_to() -> None:
    me = replace(FRIEND, id=NPC.id)
    assert rules.choose_partner(NPC, [], [me], 0, Dice(1)) is None
    assert rules.choose_act(NPC, [], [], 0, dice=Dice(1), openings=openings()) is None


@given(st.lists(known, max_size=8), st.lists(known, max_size=3), st.integers())
def test_partners_are_among_those_offered(friends: list[Known], strangers: list[Known], seed: int) -> None:
    partner = rules.choose_partner(NPC, friends, strangers, 0, Dice(seed))
    assert (partner is None) == (not friends and not strangers)
    assert partner is None or partner in friends or partner in strangers


@pytest.mark.parametrize(
    ("kind", "more", "less"),
    [
        ("conflict", replace(FRIEND, strength=-0.8), replace(FRIEND, strength=0.8)),
        ("collaboration", replace(FRIEND, trust=0.9), replace(FRIEND, trust=0.1)),
        ("greeting", replace(FRIEND, last_interaction_at=None), FRIEND),
        ("chat", replace(FRIEND, strength=0.9), replace(FRIEND, strength=-0.9)),
    ],
)
def test_inclinations(kind: InteractionType, more: Known, less: Known) -> None:
    assert rules.inclinations(NPC, more)[kind] > rules.inclinations(NPC, less)[kind]


@given(known, st.integers())
def test_acts_can_be_said(friend: Known, seed: int) -> None:
    act = rules.choose_act(NPC, [friend], [], 0, dice=Dice(seed), openings=openings())
    assert act is not None
    assert (act.initiator_id, act.target_id) == (NPC.id, friend.id)
    assert act.type in get_args(InteractionType)
    assert 0 < len(act.content) <= 2000 and "{name}" not in act.content


def test_every_type_has_openings() -> None:
    assert set(openings()) == set(get_args(InteractionType))
