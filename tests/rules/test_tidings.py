"""What powers do, as lines of the story in the terminal."""

from typing import Any

import pytest
from rich.text import Text

from fablewright.cli import tidings
from fablewright.cli.story import Story
from fablewright.core.clock import Calendar
from fablewright.core.messages import Event
from fablewright.systems import diplomacy, director, factions, markets, quests, regions, travel
from fablewright.systems.director.chronicle import SENTENCES

NAMES = {"a": "Ash", "e": "Elm", "r": "The Fens", "c": "Corvin"}
TREATY = {"name": "Treaty of Ash", "kind": "tribute", "party_ids": ["a", "e"]}


def told(kind: str, data: dict[str, Any]) -> list[str]:
    story = Story(Calendar(), NAMES)
    lines = story.tell({"type": kind, "at": 0, "data": data})
    return [Text.plain.fget(line).partition("06:00  ")[2] for line in lines]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "data", "line"),
    [
        ("diplomacy.war_declared",
         {"war_id": "w", "name": "War of Ash", "attacker_id": "a", "defender_id": "e", "cause": "border_clash",
          "legitimacy": 0.5, "reason": "They crossed the line."},
         "Ash declared war on Elm (border clash, legitimacy 0.50). They crossed the line."),
        ("diplomacy.war_imported",
         {"war_id": "w", "name": "War of Ash", "attacker_id": "a", "defender_id": "e", "cause": "border_clash",
          "legitimacy": 0.5, "ended_at": None},
         "Ash and Elm were at war (border clash, legitimacy 0.50)."),
        ("diplomacy.treaty_in_force",
         {**TREATY, "clauses": [{"type": "pay", "from_id": "a", "to_id": "e", "amount": 30, "currency": "mark",
                                 "every_days": 30},
                                {"type": "support_in_war", "faction_id": "a", "ally_id": "e", "against_id": None},
                                {"type": "unheard_of"}]},
         "“Treaty of Ash” is in force (tribute of Ash and Elm): Ash pays Elm 30 mark every 30 days;"
         " Ash fights beside Elm; unheard of."),
        ("diplomacy.negotiation_started", {"faction_id": "a", "party_ids": ["a", "e"], "kind": "trade", "topic": ""},
         "Ash sits down with Elm to talk about trade."),
        ("diplomacy.negotiation_ended",
         {"state": "walked_out", "faction_id": "e", "party_ids": ["a", "e"], "reason": "too little"},
         "Elm walks out of the talks of Ash and Elm: too little."),
        ("diplomacy.negotiation_ended", {"state": "agreed", "faction_id": None, "party_ids": ["a", "e"]},
         "Ash and Elm have agreed."),
        ("diplomacy.negotiation_ended", {"state": "expired", "faction_id": None, "party_ids": ["a", "e"]},
         "The talks of Ash and Elm come to nothing."),
        ("diplomacy.ultimatum_issued",
         {"issuer_id": "a", "target_id": "e", "demands": [{"type": "keep_out", "faction_id": "e", "region_id": "r"}],
          "consequence": {"kind": "war"}},
         "Ultimatum of Ash to Elm: Elm keeps out of The Fens. Or else: war."),
        ("markets.traded",
         {"incomes": [{"faction_id": "a", "amount": 4, "currency": "mark"},
                      {"faction_id": "e", "amount": 9, "currency": "mark"}], "count": 3, "restrained": 1},
         "A day of trade over 3 routes brings Elm 9 mark, Ash 4 mark; 1 routes are held up."),
        ("regions.control_changed", {"region_id": "r", "controller_id": None}, "Nobody holds The Fens now."),
        ("regions.control_changed", {"region_id": "r", "controller_id": "e"}, "The Fens is held by Elm now."),
        ("travel.stopped", {"character_id": "c", "to_region_id": "r", "why": "barred"},
         "Corvin is stopped on the way to The Fens: barred."),
        ("quests.finished", {"taker_id": "c", "name": "The Stone", "outcome": "done", "outcome_name": None},
         "Corvin ends “The Stone”: done."),
        ("director.faction_decided", {"act": "gift", "because": "Ash sent Elm a gift.", "refused": None},
         "Ash sent Elm a gift."),
        ("factions.founded", {"faction_id": "n", "name": "New"}, "There is a power in the land: New."),
    ],
)  # fmt: skip
def test_what_powers_do_is_told(kind: str, data: dict[str, Any], line: str) -> None:
    assert told(kind, data) == [line]


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("director.faction_decided", {"act": "rest", "because": "…", "refused": None}),
        ("director.faction_decided", {"act": "gift", "because": "…", "refused": "insufficient_funds"}),
        ("markets.traded", {"incomes": []}),
        ("diplomacy.tension_changed", {}),
        ("director.councils_met", {}),
    ],
)
def test_what_goes_without_saying_is_not(kind: str, data: dict[str, Any]) -> None:
    assert told(kind, data) == []


def test_names_are_learned_from_what_is_told() -> None:
    story = Story(Calendar())
    founded = {"faction_id": "n", "name": "The Nine"}
    story.tell({"type": "factions.founded", "at": 0, "data": founded})
    defined = {"regions": [{"id": "r", "name": "Stonefell"}], "borders": []}
    story.tell({"type": "regions.regions_defined", "at": 0, "data": defined})
    passed = {"region_id": "r", "controller_id": "n"}
    (line,) = story.tell({"type": "regions.control_changed", "at": 0, "data": passed})
    assert line.plain.endswith("Stonefell is held by The Nine now.")


def test_a_decision_is_not_told_twice() -> None:
    story = Story(Calendar(), NAMES)
    decided = {
        "act": "call",
        "because": "Ash called Elm to arms, because of its need (9.0).",
        "refused": None,
    }
    called = {"faction_id": "a", "ally_id": "e", "against_id": "r"}
    assert story.tell({"type": "director.faction_decided", "at": 0, "id": "1", "data": decided})
    echo = {"type": "diplomacy.ally_called", "at": 0, "id": "2", "causation_id": "1", "data": called}
    assert story.tell(echo) == []
    assert story.tell({**echo, "causation_id": "7"})
    assert story.tell({**echo, "causation_id": None})


def test_every_line_is_about_an_event_that_there_is() -> None:
    known: set[str] = set()
    for part in (diplomacy, director, factions, markets, quests, regions, travel):
        events: tuple[type[Event], ...] = part.system.events
        known |= {event.message_type for event in events}
    told_of = {*tidings.OWN, *tidings.STYLES, *tidings.UNTOLD, *tidings.ECHOES} - {"ledger.transferred"}
    assert told_of <= known, told_of - known
    quiet = {kind for kind in known if kind.startswith("diplomacy.")} - tidings.UNTOLD - set(tidings.OWN)
    assert quiet <= set(SENTENCES), quiet - set(SENTENCES)
