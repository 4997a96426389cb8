"""Tells events as readable lines: the world's date, who did what to whom, and what was answered."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson
from rich.text import Text

from fablewright.cli import tidings
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
UNTOLD: Final = frozenset({
    "director.chose", "regions.walk_begun", "achievements.progressed", "progress.caught_up",
    "leaderboards.season_opened",
})  # fmt: skip
"""Events that other lines tell better: what was weighed before an act, setting out for where one arrives, steps
towards an achievement, the season that follows one that ended."""
BY_THE_WAY: Final = ("achievement:", "season:")
"""How references and sources begin of what an unlock or a season brings: its own line tells that."""
FEATS: Final = frozenset({
    "points.level_reached", "achievements.unlocked", "leaderboards.season_ended", "leaderboards.season_rewarded",
})  # fmt: skip
"""Events whose lines stand out."""
MOST_RANKS: Final = 3
"""Ranks of a season that are told."""
STATUSES: Final = {"asleep": "falls asleep", "active": "wakes up", "away": "goes away"}
MOST_DATA: Final = 160
"""Letters shown of an event that has no sentence of its own."""


class Story:
    """Turns the events of one world into lines.

    `names` holds the names of characters, places, factions and regions by id, and of leaderboards by key; it learns
    more.
    """

    def __init__(self, calendar: Calendar, names: Mapping[str, str] | None = None):
        self._calendar = calendar
        self._names = dict(names or {})
        self._decision: str | None = None
        """The id of the last decision of a faction."""

    def tell(self, event: Mapping[str, Any]) -> list[Text]:
        """The lines for an event with `type`, `at`, `actor` and `data`, perhaps `id` and `causation_id`."""
        data = event["data"]
        self._learn(event["type"], data)
        if event["type"] == tidings.DECISION:
            self._decision = event.get("id")
        if event["type"] in UNTOLD or _goes_without_saying(event["type"], data) or self._is_echo(event):
            return []
        when = Text.assemble((self._calendar.read(event["at"]) + "  ", "dim"))
        if event["type"] == "dialogue.interacted":
            return self._interaction(when, data)
        return [when + (self._sentence(event["type"], data) or self._plain(event))]

    def _is_echo(self, event: Mapping[str, Any]) -> bool:
        """Whether the decision that it comes of was told just now."""
        cause = event.get("causation_id")
        return cause is not None and cause == self._decision and event["type"] in tidings.ECHOES

    def _learn(self, kind: str, data: Mapping[str, Any]) -> None:
        """The names in an event of what later ones may speak of."""
        if kind.startswith("characters.") and "character_id" in data and "name" in data:
            self._names[str(data["character_id"])] = data["name"]
        elif kind == "regions.places_defined":
            self._names |= {str(place["id"]): place["name"] for place in data["places"]}
        elif kind == "leaderboards.board_defined":
            self._names[data["key"]] = data["spec"]["name"]
        self._names |= tidings.names_in(kind, data)

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
        sentence = sentences.get(kind) or self._of_points(kind, data, who)
        if sentence:
            return Text(sentence(), "yellow" if kind in FEATS else "")
        told = tidings.tiding(kind, data, self._name)
        return Text(*told) if told else None

    def _of_points(self, kind: str, data: Mapping[str, Any], who: str) -> Callable[[], str] | None:
        """Sentences about what is earned, reached and won."""
        sentences: dict[str, Callable[[], str]] = {
            "points.awarded": lambda: f"{who} earns {data['amount']} {data['currency']}: {data['reason']}",
            "points.reversed": lambda: (
                f"{who} loses {data['amount']} {data['currency']} again: {data['reason']}"
            ),
            "points.level_reached": lambda: (
                f"{who} is level {data['level']} now{': ' + data['title'] if data['title'] else ''}."
            ),
            "points.title_granted": lambda: f"{who} is called {data['title']} now.",
            "points.title_revoked": lambda: f"{who} is not called {data['title']} any more.",
            "points.bonus_started": lambda: f"{data['name']}: awards count x {data['multiplier']:g}.",
            "points.bonus_ended": lambda: f"{data['name']} is over.",
            "points.rule_defined": lambda: f"There is something new to earn: {data['key']}.",
            "points.abuse_suspected": lambda: (
                f"{who} is suspected of too much {data['action']} ({data['guard']}: {data['outcome']})."
            ),
            "ledger.currency_defined": lambda: f"There is something new to have: {data['name']}.",
            "achievements.defined": lambda: f"There is something new to reach: {data['definition']['name']}.",
            "achievements.unlocked": lambda: f"{who} has reached {_feat(data)}.",
            "leaderboards.board_defined": lambda: f"There is a new board: {data['spec']['name']}.",
            "leaderboards.score_submitted": lambda: (
                f"{self._name(data['subject_id'])} scores {data['score']:g} on {self._board(data)}."
            ),
            "leaderboards.season_ended": lambda: f"{self._board(data)} is over: {self._ranks(data['top'])}.",
            "leaderboards.season_rewarded": lambda: (
                f"{self._board(data)} rewards: {self._rewards(data['rewards'])}."
            ),
        }
        return sentences.get(kind)

    def _board(self, data: Mapping[str, Any]) -> str:
        return f"“{self._names.get(data['key'], data['key'])}”"

    def _ranks(self, top: Sequence[Mapping[str, Any]]) -> str:
        told = [f"{t['rank']}. {self._name(t['subject_id'])} ({t['score']:g})" for t in top[:MOST_RANKS]]
        return ", ".join(told)

    def _rewards(self, rewards: Sequence[Mapping[str, Any]]) -> str:
        told = []
        for reward in [r for r in rewards if not r["refused"]][:MOST_RANKS]:
            things = [f"{reward['amount']} {reward['currency']}"] if reward["amount"] else []
            things += [f"the title {reward['title']}"] if reward["title"] else []
            told.append(f"{self._name(reward['subject_id'])} with {' and '.join(things)}")
        return ", ".join(told) or "nobody"

    @staticmethod
    def _plain(event: Mapping[str, Any]) -> Text:
        data = orjson.dumps(event["data"]).decode()
        shortened = data if len(data) <= MOST_DATA else data[:MOST_DATA] + "…"
        return Text.assemble((event["type"], "magenta"), " ", (shortened, "dim"))


def _goes_without_saying(kind: str, data: Mapping[str, Any]) -> bool:
    """Whether another line tells it: small change for everyday deeds, what comes with an unlock or a season.

    And of a season in which nobody took part there is nothing to tell."""
    if tidings.goes_without_saying(kind, data):
        return True
    if kind == "points.awarded":
        return data["action"] is not None or (data.get("reference") or "").startswith(BY_THE_WAY)
    if kind == "leaderboards.season_ended":
        return not data["top"]
    return kind == "points.title_granted" and data["source"].startswith(BY_THE_WAY)


def _feat(data: Mapping[str, Any]) -> str:
    """An achievement as it was unlocked: its name, what the tier is called, and what it brings."""
    tier = data["tier_name"]
    name = f"“{data['name']}”" if tier in (None, data["name"]) else f"“{data['name']}: {tier}”"
    brings = [f"{data['points']} {data['currency']}"] if data["points"] and not data["reward_refused"] else []
    brings += [f"the title {data['title']}"] if data["title"] else []
    return f"{name} and gets {' and '.join(brings)}" if brings else name
