"""What the commands about quests do, and how quests are made of templates. Their way and end: `takings.py`."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from pydantic import ValidationError

from fablewright.core.clock import DAY
from fablewright.core.dice import text_of
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.factions.rules import NOT_A_MEMBER
from fablewright.systems.quests import events, rules, views
from fablewright.systems.quests.commands import (
    AbandonQuest,
    AcceptQuest,
    ChooseObjective,
    DeclineQuest,
    DefineQuest,
    EndQuest,
    GenerateQuest,
    OfferQuest,
    ReachObjective,
    RemoveQuest,
)
from fablewright.systems.quests.rules import Course, Objective, QuestDefinition
from fablewright.systems.quests.takings import DUE, Ending, Quest, Taking, end, factions_of, settle
from fablewright.systems.quests.templates import Template
from fablewright.systems.quests.views import COLUMNS, TAKING, parsed

QUEST: Final = f"""
SELECT {COLUMNS} FROM quests q WHERE q.world_id = $1 AND q.key = $2 AND q.removed_at IS NULL FOR NO KEY UPDATE
"""  # noqa: S608
NAMED: Final = """
SELECT key, spec::text AS spec FROM quests WHERE world_id = $1 AND key = ANY($2::text[]) AND removed_at IS NULL
"""
MANY: Final = "SELECT count(*) FROM quests WHERE world_id = $1 AND removed_at IS NULL AND template IS NULL"
ADD: Final = """
INSERT INTO quests (world_id, id, key, spec, template, origin_id, at) VALUES ($1, $2, $3, $4::jsonb, $5, $6, $7)
ON CONFLICT DO NOTHING
"""
# What is on a quest ($2), of some takers ($3) or all, locked. The last of each taker that is open comes.
OPEN: Final = f"""
SELECT {TAKING} FROM quest_takings t
WHERE t.world_id = $1 AND t.quest_id = $2 AND ($3::uuid[] IS NULL OR t.taker_id = ANY($3))
  AND t.state IN ('offered', 'accepted')
ORDER BY t.id FOR NO KEY UPDATE
"""  # noqa: S608
PAST: Final = """
SELECT state FROM quest_takings WHERE world_id = $1 AND quest_id = $2 AND taker_id = $3 AND ended_at IS NOT NULL
"""
FINISHED: Final = """
SELECT DISTINCT q.key, t.outcome FROM quest_takings t JOIN quests q ON q.world_id = t.world_id AND q.id = t.quest_id
WHERE t.world_id = $1 AND t.taker_id = $2 AND t.state = 'finished' AND q.key = ANY($3::text[])
"""
TAKEN: Final = """
SELECT count(*) FROM quest_takings WHERE world_id = $1 AND quest_id = $2 AND state IN ('accepted', 'finished')
"""
PUT: Final = """
INSERT INTO quest_takings AS t (world_id, id, quest_id, taker_id, by_id, state, course, offered_at, accepted_at, due_at,
                                event_id)
SELECT $1, v.* FROM (VALUES ($2::uuid, $3::uuid, $4::uuid, $5::uuid, $6::text, $7::jsonb, $8::bigint, $9::bigint,
                             $10::bigint, $11::uuid)) AS v
ON CONFLICT (world_id, id) DO UPDATE SET by_id = excluded.by_id, state = excluded.state, course = excluded.course,
    accepted_at = excluded.accepted_at, due_at = excluded.due_at, event_id = excluded.event_id
"""
DECLINE: Final = """
UPDATE quest_takings SET state = 'declined', ended_at = $3, event_id = $4 WHERE world_id = $1 AND id = $2
"""
CHARACTERS: Final = (
    "SELECT id FROM characters WHERE world_id = $1 AND id = ANY($2::uuid[]) AND deleted_at IS NULL"
)
FACTIONS: Final = (
    "SELECT id FROM factions WHERE world_id = $1 AND id = ANY($2::uuid[]) AND dissolved_at IS NULL"
)
WORDS: Final = """
SELECT id, name FROM characters WHERE world_id = $1 AND id = ANY($2::uuid[])
UNION ALL SELECT id, name FROM factions WHERE world_id = $1 AND id = ANY($2::uuid[])
UNION ALL SELECT id, name FROM regions WHERE world_id = $1 AND id = ANY($2::uuid[])
"""


# -- definitions ---------------------------------------------------------------------------------------------


async def define(tx: Transaction, command: DefineQuest) -> dict[str, Any]:
    """Write a definition that game masters made."""
    key, definition = command.key, command.definition
    row = await tx.fetchrow(QUEST, tx.world_id, key)
    _check_until(tx, definition, None if row is None else parsed(row["spec"]))
    await _check_needs(tx, key, definition)
    if row is None:
        if await tx.fetchval(MANY, tx.world_id) >= rules.MOST_QUESTS:
            raise rules.TOO_MANY_QUESTS(most=rules.MOST_QUESTS)
        quest = Quest(tx.new_id(), key, definition, watched=False)
        await _add(tx, quest, None, None)
    else:
        quest = Quest(row["id"], key, definition, row["watched"])
        if not rules.same_course(parsed(row["spec"]), definition):
            busy = await tx.fetch(OPEN, tx.world_id, quest.id, None)
            if any(r["state"] == "accepted" for r in busy):
                raise rules.QUEST_IN_USE(takers=[str(r["taker_id"]) for r in busy][:20])
        await tx.execute(
            "UPDATE quests SET spec = $3::jsonb WHERE world_id = $1 AND id = $2",
            tx.world_id, quest.id, definition.model_dump_json(),
        )  # fmt: skip
        tx.definitions_changed = tx.definitions_changed or quest.watched
    tx.emit(events.Defined(**quest.named, quest_id=quest.id, definition=definition))
    return {"key": key, "id": quest.id}


def _check_until(tx: Transaction, definition: QuestDefinition, before: QuestDefinition | None) -> None:
    unchanged = before is not None and before.until == definition.until
    if definition.until is not None and definition.until <= tx.now and not unchanged:
        raise rules.UNTIL_PAST(now=tx.now)


async def _check_needs(tx: Transaction, key: str, definition: QuestDefinition) -> None:
    """Refuses quests that there are not, and circles."""
    paths: dict[str, list[str]] = {need.quest: [key, need.quest] for need in definition.requires}
    seen: set[str] = set()
    while paths:
        if key in paths:
            raise rules.QUEST_CYCLE(f"It would require itself: {' > '.join(paths[key])}.", path=paths[key])
        rows = await tx.fetch(NAMED, tx.world_id, sorted(paths))
        unknown = sorted(set(paths) - {row["key"] for row in rows})
        if unknown:
            raise rules.QUEST_UNKNOWN(f"There is no quest {unknown[0]!r}.", keys=unknown)
        seen |= set(paths)
        paths = {
            need.quest: [*paths[row["key"]], need.quest]
            for row in rows for need in parsed(row["spec"]).requires if need.quest not in seen
        }  # fmt: skip


async def _add(tx: Transaction, quest: Quest, template: str | None, origin_id: UUID | None) -> bool:
    """Store a new quest; False if the template has made one of this event already."""
    spec = quest.definition.model_dump_json()
    return bool(await tx.execute(ADD, tx.world_id, quest.id, quest.key, spec, template, origin_id, tx.now))


async def remove(tx: Transaction, command: RemoveQuest) -> None:
    """Keep a quest as history only; for who is on it, it fails."""
    quest = await _quest(tx, command.key)
    await tx.execute(
        "UPDATE quests SET removed_at = $3 WHERE world_id = $1 AND id = $2", tx.world_id, quest.id, tx.now
    )
    tx.definitions_changed = tx.definitions_changed or quest.watched
    rows = await tx.fetch(OPEN, tx.world_id, quest.id, None)
    tx.emit(events.Removed(**quest.named))
    await end(tx, [
        Ending(Taking.of(row, quest), rules.FAILED, reason="The quest was taken away.", silent=True) for row in rows
    ])  # fmt: skip


async def _quest(tx: Transaction, key: str) -> Quest:
    """The quest of a key, locked. Refuses `quest_not_found`."""
    row = await tx.fetchrow(QUEST, tx.world_id, key)
    if row is None:
        raise rules.QUEST_NOT_FOUND(key=key)
    return Quest.of(row)


# -- quests from templates -----------------------------------------------------------------------------------


async def generate_one(tx: Transaction, command: GenerateQuest) -> dict[str, Any]:
    """Make a quest from a template by hand."""
    template = views.templates().get(command.template)
    if template is None:
        raise rules.TEMPLATE_NOT_FOUND(template=command.template, templates=sorted(views.templates()))
    facts: dict[str, Any] = {"until": tx.now + round(template.open_days * DAY)}
    facts |= {name: str(value) for name, value in command.facts.items()}
    quest = await generate(tx, template, None, facts)
    assert quest is not None
    return {"key": quest.key, "id": quest.id}


async def generate(
    tx: Transaction, template: Template, event: EventRecord | None, facts: Mapping[str, Any]
) -> Quest | None:
    """Make a quest of a template and facts; it names the event that it comes from.

    None if the template has made one of this event already. Refuses `quest_facts_missing`.
    """
    missing = sorted(name for name in template.needs() if facts.get(name) is None)
    if missing:
        raise rules.FACTS_MISSING(
            f"The template {template.key!r} needs {', '.join(missing)}.", missing=missing
        )
    try:
        definition = template.filled(facts, await _words(tx, facts))
    except ValidationError as error:
        wrong = sorted({".".join(str(p) for p in e["loc"]) for e in error.errors()})
        raise rules.FACTS_MISSING(
            f"These facts make no quest: see {', '.join(wrong)}.", missing=wrong
        ) from error
    id_ = tx.new_id()
    quest = Quest(id_, f"{template.key[:47]}_{text_of(id_)[-12:]}", definition, watched=False)
    origin = None if event is None else event.id
    if not await _add(tx, quest, template.key, origin):
        return None
    tx.emit(
        events.Defined(
            **quest.named, quest_id=id_, definition=definition, template=template.key, origin_id=origin
        ),
        cause=event,
    )  # fmt: skip
    return quest


async def _words(tx: Transaction, facts: Mapping[str, Any]) -> dict[str, str]:
    """How texts speak of facts: by name, where they are ids."""
    ids: dict[str, UUID] = {}
    for name, value in facts.items():
        try:
            ids[name] = UUID(str(value))
        except ValueError:
            continue
    rows = await tx.fetch(WORDS, tx.world_id, sorted(set(ids.values()))) if ids else []
    names = {row["id"]: row["name"] for row in rows}
    return {name: str(names.get(ids.get(name), value)) for name, value in facts.items()}


# -- offering and accepting ----------------------------------------------------------------------------------


async def offer(tx: Transaction, command: OfferQuest) -> dict[str, Any]:
    """Offer a quest to several takers, all or none."""
    quest = await _quest(tx, command.key)
    _must_last(tx, quest)
    takers = sorted(set(command.taker_ids))
    for taker_id in takers:
        await _check_taker(tx, quest, taker_id)
        await _check_named(tx, quest, {taker_id})
    for row in await tx.fetch(OPEN, tx.world_id, quest.id, takers):
        refusal = rules.ALREADY_TAKEN if row["state"] == "accepted" else rules.ALREADY_OFFERED
        raise refusal(taker_id=str(row["taker_id"]))
    until = quest.definition.until
    for taker_id in takers:
        taking = Taking(tx.new_id(), quest, taker_id, None, "offered", Course(quest.definition, {}))
        taking.record = tx.emit(events.Offered(**taking.named, due_at=until))
        await _put(tx, taking, offered_at=tx.now, accepted_at=None, due_at=until)
    return {"offered": len(takers)}


async def accept(tx: Transaction, command: AcceptQuest) -> dict[str, Any]:
    """Take a quest on."""
    quest = await _quest(tx, command.key)
    _must_last(tx, quest)
    taker_id = await _taker(tx, quest, command)
    await _check_named(tx, quest, {taker_id, command.character_id})
    rows = await tx.fetch(OPEN, tx.world_id, quest.id, [taker_id])
    found = rows[0] if rows else None
    await _check_may_accept(tx, quest, taker_id, None if found is None else found["state"])
    course = Course.fresh(quest.definition, tx.now)
    id_ = tx.new_id() if found is None else found["id"]
    taking = Taking(id_, quest, taker_id, command.character_id, "accepted", course)
    due = rules.due_at(quest.definition, tx.now)
    taking.record = tx.emit(
        events.Accepted(**taking.named, character_id=command.character_id, due_at=due, open=course.open)
    )
    if found is not None:
        await tx.cancel_timers(DUE, taking_id=str(id_))
    await _put(tx, taking, offered_at=found and found["offered_at"], accepted_at=tx.now, due_at=due)
    if not quest.watched:
        await tx.execute(
            "UPDATE quests SET watched = true WHERE world_id = $1 AND id = $2", tx.world_id, quest.id
        )
        tx.definitions_changed = True
    return {"taking_id": id_, "due_at": due, "open": course.open}


async def _check_may_accept(tx: Transaction, quest: Quest, taker_id: UUID, state: str | None) -> None:
    definition = quest.definition
    if state == "accepted":
        raise rules.ALREADY_TAKEN(key=quest.key)
    if definition.by_offer and state is None:
        raise rules.NOT_OFFERED(key=quest.key)
    past = {row["state"] for row in await tx.fetch(PAST, tx.world_id, quest.id, taker_id)}
    if past & {"finished", "failed", "expired"} and not definition.repeatable:
        raise rules.ALREADY_FINISHED(key=quest.key)
    if definition.requires:
        keys = [need.quest for need in definition.requires]
        rows = await tx.fetch(FINISHED, tx.world_id, taker_id, keys)
        missing = rules.missing(definition.requires, {(row["key"], row["outcome"]) for row in rows})
        if missing:
            raise rules.REQUIREMENTS_MISSING(f"They must finish {', '.join(missing)} first.", missing=missing)
    if definition.most_takers is not None:
        taken = await tx.fetchval(TAKEN, tx.world_id, quest.id)
        if taken >= definition.most_takers:
            raise rules.NO_PLACE_LEFT(most_takers=definition.most_takers)


async def _put(
    tx: Transaction, taking: Taking, *, offered_at: int | None, accepted_at: int | None, due_at: int | None
) -> None:
    """Store what was offered or accepted, and let it run out in time."""
    assert taking.record is not None
    await tx.execute(
        PUT, tx.world_id, taking.id, taking.quest.id, taking.taker_id, taking.by_id, taking.state, taking.json,
        offered_at, accepted_at, due_at, taking.record.id,
    )  # fmt: skip
    if due_at is not None:
        await tx.schedule(DUE, due_at, {"taking_id": str(taking.id)})


def _must_last(tx: Transaction, quest: Quest) -> None:
    until = quest.definition.until
    if until is not None and until <= tx.now:
        raise rules.QUEST_OVER(until=until, now=tx.now)


async def _check_taker(tx: Transaction, quest: Quest, taker_id: UUID) -> None:
    """Refuses takers that there are not, and those of the other kind."""
    kinds = {"character": CHARACTERS, "faction": FACTIONS}
    if await tx.fetchval(kinds[quest.definition.takers], tx.world_id, [taker_id]) is not None:
        return
    other = kinds["faction" if quest.definition.takers == "character" else "character"]
    if await tx.fetchval(other, tx.world_id, [taker_id]) is not None:
        raise rules.WRONG_TAKER(
            f"This quest is for {quest.definition.takers}s.", takers=quest.definition.takers
        )
    raise rules.TAKER_NOT_FOUND(taker_id=str(taker_id))


async def _taker(
    tx: Transaction, quest: Quest, command: AcceptQuest | DeclineQuest | AbandonQuest | ChooseObjective
) -> UUID:
    """For whom a character acts: itself, or a faction that it belongs to."""
    who, faction_id = command.character_id, command.faction_id
    if await tx.fetchval(CHARACTERS, tx.world_id, [who]) is None:
        raise rules.TAKER_NOT_FOUND(taker_id=str(who))
    if faction_id is None and quest.definition.takers == "character":
        return who
    own = await factions_of(tx, [who])
    faction_id = faction_id or min(own.get(who, ()), default=None)
    await _check_taker(tx, quest, faction_id or who)
    assert faction_id is not None
    if faction_id not in own.get(who, ()):
        raise NOT_A_MEMBER(faction_id=str(faction_id))
    return faction_id


async def _check_named(tx: Transaction, quest: Quest, who: set[UUID]) -> None:
    """Refuses those that a quest is not for: it names neither them nor a faction of theirs."""
    named = set(quest.definition.only_for)
    if named and not named & who:
        own = await factions_of(tx, who)
        if named.isdisjoint(*own.values()) if own else True:
            raise rules.NOT_FOR_THEM(only_for=[str(id_) for id_ in sorted(named)])


# -- on the way ----------------------------------------------------------------------------------------------


async def decline(tx: Transaction, command: DeclineQuest) -> None:
    """Say no to what was offered."""
    quest = await _quest(tx, command.key)
    taking = await _open(tx, quest, await _taker(tx, quest, command), "offered")
    record = tx.emit(events.Declined(**taking.named, character_id=command.character_id))
    await tx.cancel_timers(DUE, taking_id=str(taking.id))
    await tx.execute(DECLINE, tx.world_id, taking.id, tx.now, record.id)


async def abandon(tx: Transaction, command: AbandonQuest) -> None:
    """Give up, with what follows from that."""
    quest = await _quest(tx, command.key)
    taking = await _open(tx, quest, await _taker(tx, quest, command))
    await end(tx, [Ending(taking, rules.ABANDONED, events.Abandoned)])


async def choose(tx: Transaction, command: ChooseObjective) -> dict[str, Any]:
    """Reach an objective by deciding for it."""
    quest = await _quest(tx, command.key)
    taking = await _open(tx, quest, await _taker(tx, quest, command))
    objective = _objective(taking, command.objective)
    if not objective.choice:
        raise rules.NOT_A_CHOICE(objective=objective.key)
    return await _reach(tx, taking, objective.key)


async def reach(tx: Transaction, command: ReachObjective) -> dict[str, Any]:
    """Let somebody have reached an objective."""
    quest = await _quest(tx, command.key)
    taking = await _open(tx, quest, command.taker_id)
    return await _reach(tx, taking, _objective(taking, command.objective).key)


async def end_one(tx: Transaction, command: EndQuest) -> None:
    """Let a quest end for somebody."""
    quest = await _quest(tx, command.key)
    rules.outcome_of(quest.definition, command.outcome)
    await end(tx, [Ending(await _open(tx, quest, command.taker_id), command.outcome)])


async def _open(tx: Transaction, quest: Quest, taker_id: UUID, state: str = "accepted") -> Taking:
    """Somebody's open taking of a quest, locked. Refuses `quest_not_taken`, `quest_not_offered`."""
    rows = await tx.fetch(OPEN, tx.world_id, quest.id, [taker_id])
    if not rows or rows[0]["state"] != state:
        raise (rules.NOT_TAKEN if state == "accepted" else rules.NOT_OFFERED)(key=quest.key)
    return Taking.of(rows[0], quest)


def _objective(taking: Taking, key: str) -> Objective:
    """An open objective. Refuses `objective_not_found`, `objective_not_open`."""
    objectives = {objective.key: objective for objective in taking.quest.definition.objectives}
    if key not in objectives:
        raise rules.OBJECTIVE_NOT_FOUND(objectives=list(objectives))
    if key not in taking.course.open:
        raise rules.OBJECTIVE_NOT_OPEN(open=taking.course.open)
    return objectives[key]


async def _reach(tx: Transaction, taking: Taking, key: str) -> dict[str, Any]:
    taking.course.reach(key, tx.now)
    await settle(tx, [taking])
    return {"open": [] if taking.course.outcome else taking.course.open, "outcome": taking.course.outcome}
