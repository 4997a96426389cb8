"""Tells events as readable lines: the world's date, who did what to whom, and what was answered."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson
from rich.text import Text

from fablewright.core.clock import Calendar

DEEDS: Final = {
    "greeting": "greets", "chat": "talks with", "collaboration": "works with", "conflict": "quarrels with",
    "apology": "asks pardon of", "gift": "brings a gift to", "gossip": "has news for", "confide": "confides in",
    "threaten": "threatens", "ask_for_help": "asks help of", "praise": "praises", "tease": "teases",
}  # fmt: skip
COLOURS: Final = {
    "greeting": "green", "chat": "cyan", "collaboration": "blue", "conflict": "red", "threaten": "red",
    "apology": "yellow", "gift": "green", "gossip": "magenta", "confide": "magenta", "praise": "green",
}  # fmt: skip
UNTOLD: Final = frozenset({"director.chose", "regions.walk_begun"})
"""Events that other lines tell better: what was weighed before an act, and setting out for where one arrives."""
STATUSES: Final = {"asleep": "falls asleep", "active": "wakes up", "away": "goes away"}
MOST_DATA: Final = 160
"""Letters shown of an event that has no sentence of its own."""


class Story:
    """Turns the events of one world into lines.

    `names` holds the names of characters and places by id; it learns more.
    """

    def __init__(self, calendar: Calendar, names: Mapping[str, str] | None = None):
        self._calendar = calendar
        self._names = dict(names or {})

    def tell(self, event: Mapping[str, Any]) -> list[Text]:
        """The lines for an event with `type`, `at`, `actor` and `data`."""
        data = event["data"]
        if event["type"] in UNTOLD:
            return []
        if "character_id" in data and "name" in data:
            self._names[str(data["character_id"])] = data["name"]
        for place in data.get("places", ()) if event["type"] == "regions.places_defined" else ():
            self._names[str(place["id"])] = place["name"]
        when = Text.assemble((self._calendar.read(event["at"]) + "  ", "dim"))
        if event["type"] == "dialogue.interacted":
            return self._interaction(when, data)
        return [when + (self._sentence(event["type"], data) or self._plain(event))]

    def _name(self, character_id: Any) -> str:
        return self._names.get(str(character_id), f"somebody ({str(character_id)[:8]})")

    def _interaction(self, when: Text, data: Mapping[str, Any]) -> list[Text]:
        kind, target = data["type"], self._name(data["target_id"])
        deed = Text.assemble(
            (self._name(data["initiator_id"]), "bold"), " ",
            (DEEDS.get(kind, kind), COLOURS.get(kind, "")), " ", (target, "bold"),
        )  # fmt: skip
        if data.get("content"):
            deed.append(f": “{data['content']}”")
        lines = [when + deed]
        if data.get("answer"):
            indent = " " * len(when)
            lines.append(Text.assemble(indent, (target, "bold"), f": “{data['answer']}”"))
        return lines

    def _sentence(self, kind: str, data: Mapping[str, Any]) -> Text | None:
        who = self._name(data.get("character_id"))
        sentences: dict[str, Callable[[], str]] = {
            "characters.character_created": lambda: f"{who} comes into the world.",
            "characters.character_updated": lambda: f"{who} changes: {', '.join(data['changed'])}.",
            "characters.character_deleted": lambda: f"{who} leaves the world.",
            "worlds.world_created": lambda: f"The world {data['name']!r} begins.",
            "worlds.advance_started": lambda: "Time begins to fly.",
            "worlds.advanced": lambda: f"Time has flown; {data['timers_fired']} timers fired.",
            "worlds.clock_set": lambda: (
                "Time stands." if data["paused"] else f"Time runs at x {data['rate']:g}."
            ),
            "regions.arrived": lambda: f"{who} comes to {self._name(data['place_id'])}.",
            "regions.places_defined": lambda: (
                f"{len(data['places'])} places and {len(data['paths'])} ways are there."
            ),
            "regions.characters_placed": lambda: (
                f"{len(data['placements'])} characters are put in their places."
            ),
            "characters.status_changed": lambda: f"{who} {STATUSES.get(data['status'], data['status'])}.",
            "memory.reflected": lambda: f"{who} thinks: {data['text']}",
            "memory.planted": lambda: f"{who} knows something.",
            "dialogue.grammar_set": lambda: f"New words are in the air: {data['name']}.",
            "dialogue.interaction_type_defined": lambda: f"There is something new to do: {data['name']}.",
            "director.arc_started": lambda: data["title"],
            "director.arc_rose": lambda: data["title"],
            "director.arc_resolved": lambda: data["title"],
            "director.configured": lambda: f"The director is {'on' if data['enabled'] else 'off'}.",
            "relationships.ties_set": lambda: f"{len(data['ties'])} ties are set.",
        }
        sentence = sentences.get(kind)
        return Text(sentence()) if sentence else None

    @staticmethod
    def _plain(event: Mapping[str, Any]) -> Text:
        data = orjson.dumps(event["data"]).decode()
        shortened = data if len(data) <= MOST_DATA else data[:MOST_DATA] + "…"
        return Text.assemble((event["type"], "magenta"), " ", (shortened, "dim"))
