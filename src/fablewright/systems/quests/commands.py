"""What may be asked about quests, and by whom."""

from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from fablewright.core.actors import Role, at_least
from fablewright.core.messages import Command
from fablewright.systems.factions.rules import (
    FACTION_DISSOLVED,
    FACTION_NOT_FOUND,
    NOT_A_MEMBER,
    ROLE_MAY_NOT,
)
from fablewright.systems.quests import rules
from fablewright.systems.quests.rules import QuestDefinition, QuestKey

MOST_OFFERED: Final = 100
"""Takers of one offer."""
SOMEBODY: Final = "01890a5d-ac96-774b-bcce-b302099a8057"

EXAMPLE: Final[Any] = {
    "name": "The lost ferry", "description": "The ferry is gone. Find out who took it, and decide what to tell.",
    "days": 7,
    "objectives": [
        {"key": "ask", "name": "Ask three people", "goal": 3, "opens": ["tell", "hush"],
         "measure": {"kind": "distinct", "on": ["dialogue.interacted"], "field": "target_id"}},
        {"key": "tell", "name": "Tell the truth", "choice": True, "closes": ["hush"]},
        {"key": "hush", "name": "Say nothing", "choice": True, "outcome": "hushed"},
    ],
    "outcomes": {
        "done": {"name": "The truth is out", "points": 50, "title": "Keeper of the Ferry"},
        "hushed": {"name": "Nobody knows", "points": 80},
        "expired": {"success": False},
    },
}  # fmt: skip

FOR_A_FACTION: Final = (FACTION_NOT_FOUND, FACTION_DISSOLVED, NOT_A_MEMBER, ROLE_MAY_NOT)
FactText = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]


class DefineQuest(Command):
    """Make a quest, or change the one with this key. While somebody is on it, its objectives stay as they are."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"key": "lost_ferry", "definition": EXAMPLE}]})
    message_type = "quests.define_quest"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (
        rules.QUEST_UNKNOWN, rules.QUEST_CYCLE, rules.QUEST_IN_USE, rules.TOO_MANY_QUESTS, rules.UNTIL_PAST,
    )  # fmt: skip

    key: QuestKey
    definition: QuestDefinition


class RemoveQuest(Command):
    """Take a quest away. Who is on it fails, without consequences; what was finished stays as history."""

    message_type = "quests.remove_quest"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (rules.QUEST_NOT_FOUND,)

    key: QuestKey


class GenerateQuest(Command):
    """Make a quest from a template and facts, as incidents and treaties do by themselves."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"template": "parley", "facts": {"from_id": SOMEBODY, "with_id": SOMEBODY}}]
        }
    )
    message_type = "quests.generate_quest"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (rules.TEMPLATE_NOT_FOUND, rules.FACTS_MISSING, rules.TOO_MANY_QUESTS)

    template: QuestKey
    facts: dict[QuestKey, UUID | FactText] = Field({}, max_length=rules.MOST_NAMED)


class OfferQuest(Command):
    """Offer a quest to characters or factions."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"key": "lost_ferry", "taker_ids": [SOMEBODY]}]}
    )
    message_type = "quests.offer_quest"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (
        rules.QUEST_NOT_FOUND, rules.QUEST_OVER, rules.TAKER_NOT_FOUND, rules.WRONG_TAKER, rules.NOT_FOR_THEM,
        rules.ALREADY_OFFERED, rules.ALREADY_TAKEN,
    )  # fmt: skip

    key: QuestKey
    taker_ids: list[UUID] = Field(min_length=1, max_length=MOST_OFFERED)


class _AsTaker(Command):
    key: QuestKey
    character_id: UUID = Field(description="Who acts.")
    faction_id: UUID | None = Field(
        None,
        description="For which faction, if the quest is for factions: one in whose name it may negotiate.",
    )


class AcceptQuest(_AsTaker):
    """Take a quest on, as a character or for its faction. From now on what happens counts."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"key": "lost_ferry", "character_id": SOMEBODY}]}
    )
    message_type = "quests.accept_quest"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = (
        rules.QUEST_NOT_FOUND, rules.QUEST_OVER, rules.TAKER_NOT_FOUND, rules.WRONG_TAKER, *FOR_A_FACTION,
        rules.NOT_FOR_THEM, rules.NOT_OFFERED, rules.ALREADY_TAKEN, rules.ALREADY_FINISHED,
        rules.REQUIREMENTS_MISSING, rules.NO_PLACE_LEFT,
    )  # fmt: skip


class DeclineQuest(_AsTaker):
    """Say no to a quest that was offered."""

    message_type = "quests.decline_quest"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = (
        rules.QUEST_NOT_FOUND, rules.TAKER_NOT_FOUND, rules.WRONG_TAKER, *FOR_A_FACTION, rules.NOT_OFFERED,
    )  # fmt: skip


class AbandonQuest(_AsTaker):
    """Give a quest up. The outcome `abandoned` says what follows."""

    message_type = "quests.abandon_quest"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = (
        rules.QUEST_NOT_FOUND, rules.TAKER_NOT_FOUND, rules.WRONG_TAKER, *FOR_A_FACTION, rules.NOT_TAKEN,
    )  # fmt: skip


class ChooseObjective(_AsTaker):
    """Make a choice of a quest: reach an open objective that is one."""

    message_type = "quests.choose_objective"
    allowed = at_least(Role.PLAYER, acts_as=("character_id",))
    refusals = (
        rules.QUEST_NOT_FOUND, rules.TAKER_NOT_FOUND, rules.WRONG_TAKER, *FOR_A_FACTION, rules.NOT_TAKEN,
        rules.OBJECTIVE_NOT_FOUND, rules.OBJECTIVE_NOT_OPEN, rules.NOT_A_CHOICE,
    )  # fmt: skip

    objective: QuestKey


class ReachObjective(Command):
    """Say that somebody has reached an open objective, of whatever kind."""

    message_type = "quests.reach_objective"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (
        rules.QUEST_NOT_FOUND, rules.NOT_TAKEN, rules.OBJECTIVE_NOT_FOUND, rules.OBJECTIVE_NOT_OPEN,
    )  # fmt: skip

    key: QuestKey
    taker_id: UUID
    objective: QuestKey


class EndQuest(Command):
    """Let a quest end for somebody, with an outcome and all that it brings."""

    message_type = "quests.end_quest"
    allowed = at_least(Role.GAME_MASTER)
    refusals = (rules.QUEST_NOT_FOUND, rules.NOT_TAKEN, rules.OUTCOME_NOT_FOUND)

    key: QuestKey
    taker_id: UUID
    outcome: QuestKey = rules.DONE
