"""Rules of characters: energy, and who may make, change and delete them."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fablewright.core.clock import HOUR
from fablewright.core.refusal import Refused
from fablewright.systems.characters import rules
from fablewright.systems.characters.emotions import Pad
from fablewright.systems.characters.rules import CharacterState, Traits

ME, OTHER = UUID(int=1), UUID(int=2)
times = st.integers(-(10**13), 10**13)
shares = st.floats(0, 1)


@pytest.mark.parametrize(
    ("energy", "at", "now", "expected"),
    [
        (0.0, 0, 0, 0.0),
        (0.0, 0, HOUR // 2, 0.5),
        (0.25, -HOUR, -HOUR // 2, 0.75),
        (0.5, 0, HOUR, 1.0),
        (0.5, 0, 1000 * HOUR, 1.0),
        (0.5, HOUR, 0, 0.5),  # a reader whose clock is behind
    ],
)
def test_energy_grows_evenly_to_one(energy: float, at: int, now: int, expected: float) -> None:
    assert rules.energy_now(energy, at, now) == pytest.approx(expected)


@given(shares, times, times)
def test_energy_stays_in_range_and_never_falls_by_waiting(energy: float, at: int, now: int) -> None:
    assert energy <= rules.energy_now(energy, at, now) <= 1.0


@pytest.mark.parametrize(
    ("kind", "wanted", "creator", "game_master", "controller"),
    [
        ("npc", None, ME, True, None),
        ("npc", OTHER, ME, True, OTHER),
        ("player", OTHER, ME, True, OTHER),
        ("npc", None, None, True, None),
        ("player", None, ME, False, ME),
        ("player", ME, ME, False, ME),
    ],
)
def test_who_controls_a_new_character(
    kind: str, wanted: UUID | None, creator: UUID | None, game_master: bool, controller: UUID | None
) -> None:
    assert rules.controller_of_new(kind, wanted, creator, game_master) == controller


@pytest.mark.parametrize(
    ("kind", "wanted", "creator"),
    [("npc", None, ME), ("npc", ME, ME), ("player", OTHER, ME), ("player", None, None)],
)
def test_players_make_only_their_own_player_characters(
    kind: str, wanted: UUID | None, creator: UUID | None
) -> None:
    with pytest.raises(Refused) as refused:
        rules.controller_of_new(kind, wanted, creator, False)
    assert refused.value.code == "character_needs_game_master"


@pytest.mark.parametrize(
    ("fields", "game_master", "allowed"),
    [
        ([], False, True),
        (["description", "status", "portrait_url", "speech"], False, True),
        *(([field], False, False) for field in ("emotion", "attributes", "skills", "tags", "goals")),
        (["description", "name"], False, False),
        (["user_id"], False, False),
        (["energy"], False, False),
        (["name", "kind", "user_id", "energy", "personality"], True, True),
    ],
)
def test_what_may_be_changed(fields: list[str], game_master: bool, allowed: bool) -> None:
    if allowed:
        rules.check_change(fields, game_master)
        return
    with pytest.raises(Refused) as refused:
        rules.check_change(fields, game_master)
    assert refused.value.code == "character_needs_game_master"


@pytest.mark.parametrize(("kind", "game_master"), [("player", False), ("player", True), ("npc", True)])
def test_who_may_delete(kind: str, game_master: bool) -> None:
    rules.check_deletion(kind, game_master)


def test_controllers_may_not_delete_npcs() -> None:
    with pytest.raises(Refused, match="character_needs_game_master"):
        rules.check_deletion("npc", False)


def test_a_character_now() -> None:
    traits = Traits(agreeableness=1)
    c = CharacterState(ME, "Ada", "npc", None, "", traits, 0.2, HOUR, "active", Pad(-0.41, 0, 0), HOUR)
    assert c.baseline == Pad(0.59, 0.30, -0.32)
    assert c.emotion_now(0) == c.emotion_now(HOUR) == Pad(-0.41, 0, 0)
    later = c.emotion_now(3 * HOUR)
    assert (later.pleasure, later.arousal, later.dominance) == pytest.approx((0.09, 0.15, -0.16))
    assert c.energy_now(3 * HOUR // 2) == pytest.approx(0.7)
