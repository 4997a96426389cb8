"""Events of lands, factions, travellers, goods and quests as sentences."""

from typing import Any

import pytest

from fablewright.systems import factions, markets, quests, regions, travel
from fablewright.systems.director.why import SENTENCES, sentence

SYSTEMS = (factions.system, markets.system, quests.system, regions.system, travel.system)
KINDS = [event.message_type for system in SYSTEMS for event in system.events]


class Whatever(dict[str, Any]):
    """The data of some event: each field holds 7, or names Ada."""

    def __missing__(self, field: str) -> Any:
        numbers = ("before", "after", "delta", "strength")
        return 7 if field in numbers else "7"

    def get(self, field: str, default: Any = None) -> Any:
        return "ada" if field.endswith("_id") else default


@pytest.mark.parametrize("kind", KINDS)
def test_every_event_reads_as_a_sentence(kind: str) -> None:
    assert kind in SENTENCES
    told = sentence(kind, Whatever(), {"ada": "Ada"})
    assert told[0].isupper() or told[0].isdigit()
    assert told.endswith(".") and not told.endswith("..") and "None" not in told


@pytest.mark.parametrize(
    ("kind", "data", "told"),
    [
        ("regions.control_changed", {"region_id": "v", "controller_id": None, "reason": ""}, "Vale passed to nobody."),
        ("regions.control_changed", {"region_id": "v", "controller_id": "a", "reason": "taken in war"},
         "Vale passed to Ash: taken in war."),
        ("regions.movement_banned", {"region_id": "v", "subject_id": None, "reason": "Fever."},
         "Everybody was kept out of Vale: Fever."),
        ("travel.stopped", {"character_id": "b", "why": "barred", "barred_region_id": "v", "reason": "Fever"},
         "Ben was not let into Vale: Fever."),
        ("factions.strength_changed", {"faction_id": "a", "strength": 110.0, "reason": ""}, "Ash had 110 troops."),
        ("factions.rank_changed", {"character_id": "b", "faction_id": "a", "rank": "knight", "role": "general"},
         "Ben became knight, general of Ash."),
        ("factions.leader_changed", {"faction_id": "a", "leader_id": None}, "Nobody led Ash from then on."),
        ("markets.restriction_imposed", {"from_id": "a", "to_id": None, "kind": "embargo", "reason": ""},
         "Trade of Ash was restricted (embargo)."),
    ],
)  # fmt: skip
def test_what_is_not_said_is_left_out(kind: str, data: dict[str, Any], told: str) -> None:
    assert sentence(kind, data, {"a": "Ash", "b": "Ben", "v": "Vale"}) == told
