"""What quests are generated from: a definition with gaps, filled with the facts of an event. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from fablewright.core.conditions import Conditions, FieldPath
from fablewright.systems.quests.rules import MOST_DAYS, MOST_NAMED, QuestDefinition, QuestKey


class Template(BaseModel):
    """What a quest is made of when something happens.

    In `definition`, a text `$name` stands for the fact of that name, and `{name}` inside a text for its words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: QuestKey
    on: list[str] = Field(
        [], max_length=MOST_NAMED, description="Events that it is made from; empty: by hand."
    )
    where: Conditions = Field([], description="What must hold of their data.")
    facts: dict[str, FieldPath] = Field({}, description="Where in their data the facts stand.")
    between: list[str] = Field(
        [],
        max_length=MOST_NAMED,
        description="Facts that name factions: while one lasts, no other between the same.",
    )
    about: str = ""
    open_days: float = Field(60, gt=0, le=MOST_DAYS, description="World days after which its quest is over.")
    definition: dict[str, Any]

    def needs(self) -> set[str]:
        """The facts that its definition names."""
        return set(_named(self.definition))

    def filled(self, facts: Mapping[str, Any], words: Mapping[str, str]) -> QuestDefinition:
        """The quest that it makes of these facts; `words` are how texts speak of them."""
        return QuestDefinition.model_validate(_fill(self.definition, facts, words))


_FACT: Final = re.compile(r"^\$([a-z_]+)$")
_WORD: Final = re.compile(r"\{([a-z_]+)\}")


def _named(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _named(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _named(inner)
    elif isinstance(value, str):
        whole = _FACT.match(value)
        yield from [whole[1]] if whole else _WORD.findall(value)


def _fill(value: Any, facts: Mapping[str, Any], words: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _fill(inner, facts, words) for key, inner in value.items()}
    if isinstance(value, list):
        return [_fill(inner, facts, words) for inner in value]
    if not isinstance(value, str):
        return value
    whole = _FACT.match(value)
    if whole:
        return facts[whole[1]]
    return _WORD.sub(lambda found: words[found[1]], value)
