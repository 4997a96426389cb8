"""What happens to quests when events of other systems happen. It follows: its failure never costs a player anything."""

from collections.abc import Sequence
from typing import Any, Final

import orjson
import structlog

from fablewright.core.clock import DAY
from fablewright.core.conditions import compiled, value_at
from fablewright.core.messages import matches
from fablewright.core.refusal import Refused
from fablewright.core.system import Reaction
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.characters.events import CharacterDeleted
from fablewright.systems.factions.events import Dissolved
from fablewright.systems.quests import counting, events, rules, service, views
from fablewright.systems.quests.endings import Ending, move
from fablewright.systems.quests.takings import OF_TAKERS, Taking
from fablewright.systems.quests.templates import Template

log = structlog.get_logger(__name__)


async def heard(tx: Transaction, records: list[EventRecord]) -> list[EventRecord]:
    """Those that an objective of somebody's quest listens to."""
    if not tx.in_world:
        return []
    catalog = await counting.CATALOG.of(tx)
    return [record for record in records if catalog.of(record.type)] if catalog.definitions else []


async def spawn(tx: Transaction, records: list[EventRecord]) -> None:
    """Make quests of what happened, by the templates that listen to it."""
    for record in records:
        data = orjson.loads(record.data)
        for template in _listening(record.type):
            if not compiled(template.where)(data) or _long_past(record, data):
                continue
            facts = facts_of(template, record, data)
            try:
                await service.generate(tx, template, record, facts)
            except Refused as refused:
                if refused.refusal is not rules.FACTS_MISSING:
                    raise
                log.debug("quest_not_made", template=template.key, event=str(record.id), facts=refused.facts)


def _long_past(record: EventRecord, data: Any) -> bool:
    """Whether it began before it is told, as treaties did that are brought in with their history."""
    began = data.get("starts_at")
    return isinstance(began, int) and began < record.at


async def spawns(tx: Transaction, records: list[EventRecord]) -> list[EventRecord]:
    """Those that a template listens to."""
    return [record for record in records if _listening(record.type)]


def _listening(event_type: str) -> list[Template]:
    return [t for t in views.templates().values() if any(matches(pattern, event_type) for pattern in t.on)]


def facts_of(template: Template, record: EventRecord, data: Any) -> dict[str, Any]:
    """What a template takes from an event: its facts, `event_id`, and `until`, when its quest is over (world ms)."""
    facts = {name: value_at(data, path) for name, path in template.facts.items()}
    return {**facts, "event_id": str(record.id), "until": record.at + round(template.open_days * DAY)}


async def forget(tx: Transaction, records: list[EventRecord]) -> None:
    """Deleted characters and dissolved factions are on no quest any more; nothing follows from that."""
    told = [record.event for record in records]
    ids = {e.character_id for e in told if isinstance(e, CharacterDeleted)}
    ids |= {e.faction_id for e in told if isinstance(e, Dissolved)}

    def step(takings: Sequence[Taking]) -> list[Ending]:
        return [Ending(t, rules.ABANDONED, events.Abandoned, _gone(t), silent=True) for t in takings]

    await move(tx, step, OF_TAKERS, sorted(ids))


def _gone(taking: Taking) -> str:
    return f"The {taking.quest.definition.takers} is no more."


COUNT: Final = Reaction("quests.count", ("*",), counting.count, heard)
SPAWN: Final = Reaction("quests.spawn", ("diplomacy.*",), spawn, spawns)
FORGET: Final = Reaction("quests.forget", (CharacterDeleted, Dissolved), forget)
