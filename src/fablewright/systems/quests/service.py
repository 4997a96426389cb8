"""What the commands about quests do, and how quests are made of templates. What counts for who is on them:
`counting.py`; how they end: `endings.py`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from pydantic import ValidationError

from fablewright.core.clock import DAY
from fablewright.core.dice import text_of
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.characters import service as characters
from fablewright.systems.factions import service as factions
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
from fablewright.systems.quests.endings import Ending, ended, move, too_late
from fablewright.systems.quests.rules import Course, Objective, QuestDefinition
from fablewright.systems.quests.takings import DUE, LOCKED, OPEN, Quest, Taking
from fablewright.systems.quests.templates import Template
from fablewright.systems.quests.views import COLUMNS, parsed

QUEST: Final = f"""
SELECT {COLUMNS} FROM quests q WHERE q.world_id = $1 AND q.key = $2 AND q.removed_at IS NULL FOR NO KEY UPDATE
"""  # noqa: S608
NAMED: Final = """
SELECT key, spec::text AS spec FROM quests WHERE world_id = $1 AND key = ANY($2::text[]) AND removed_at IS NULL
"""
MANY: Final = "SELECT count(*) FROM quests WHERE world_id = $1 AND removed_at IS NULL AND origin_id IS NULL"
ADD: Final = """
INSERT INTO quests (world_id, id, key, spec, template, origin_id, between_ids, at)
VALUES ($1, $2, $3, $4::jsonb, $5, $6, $7, $8)
ON CONFLICT DO NOTHING
"""
OPEN_LOCKED: Final = OPEN + LOCKED
LASTING: Final = f"""
SELECT {COLUMNS} FROM quests q WHERE q.world_id = $1 AND q.id = ANY($2::uuid[]) AND q.removed_at IS NULL
ORDER BY q.id FOR NO KEY UPDATE
"""  # noqa: S608
MOVE_DEADLINES: Final = """
UPDATE quest_takings t SET due_at = v.at FROM unnest($2::uuid[], $3::bigint[]) AS v (id, at)
WHERE t.world_id = $1 AND t.id = v.id
"""
REMOVE: Final = "UPDATE quests SET removed_at = $3 WHERE world_id = $1 AND id = $2"
# Whether somebody is on a quest, who stays on it until the commit.
BUSY: Final = """
SELECT true FROM quest_takings WHERE world_id = $1 AND quest_id = $2 AND state = 'accepted'
ORDER BY id LIMIT 1 FOR SHARE
"""
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
CLOSES: Final = "quests.over"
"""The kind of the timers that take generated quests away when their time is over."""
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
        await _check_room(tx)
        quest = Quest(tx.new_id(), key, definition)
        await _add(tx, quest)
    else:
        quest = Quest(row["id"], key, definition, row["template"])
        if not rules.same_course(parsed(row["spec"]), definition):
            busy = await tx.fetch(OPEN_LOCKED, tx.world_id, quest.id, None)
            if any(r["state"] == "accepted" for r in busy):
                raise rules.QUEST_IN_USE(takers=[str(r["taker_id"]) for r in busy][:20])
        await tx.execute(
            "UPDATE quests SET spec = $3::jsonb WHERE world_id = $1 AND id = $2",
            tx.world_id, quest.id, definition.model_dump_json(),
        )  # fmt: skip
        tx.definitions_changed = True
        await _move_deadlines(tx, quest, parsed(row["spec"]))
    tx.emit(events.Defined(**quest.named, quest_id=quest.id, definition=definition))
    return {"key": key, "id": quest.id}


async def _move_deadlines(tx: Transaction, quest: Quest, before: QuestDefinition) -> None:
    """Where a quest ends at another time than `before`, it does so for those who are on it, too."""
    now = quest.definition
    if (now.until, now.days) == (before.until, before.days):
        return
    rows = await tx.fetch(OPEN_LOCKED, tx.world_id, quest.id, None)
    due = {
        row["id"]: now.until if row["accepted_at"] is None else rules.due_at(now, row["accepted_at"])
        for row in rows
    }
    await tx.execute(MOVE_DEADLINES, tx.world_id, list(due), list(due.values()))
    for id_, at in due.items():
        if at is not None:
            await tx.schedule(DUE, max(tx.now, at), {"taking_id": str(id_)})
    if quest.template is not None and now.until is not None:
        await tx.schedule(CLOSES, max(tx.now, now.until), {"quest_id": str(quest.id)})


async def _check_room(tx: Transaction) -> None:
    """Refuses more quests than game masters may have in a world."""
    if await tx.fetchval(MANY, tx.world_id) >= rules.MOST_QUESTS:
        raise rules.TOO_MANY_QUESTS(most=rules.MOST_QUESTS)


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


async def _add(
    tx: Transaction, quest: Quest, origin_id: UUID | None = None, between: Sequence[UUID] | None = None
) -> bool:
    """Store a new quest; False if its template has made one of this event already, or one that lasts between these."""
    spec = quest.definition.model_dump_json()
    return bool(await tx.execute(
        ADD, tx.world_id, quest.id, quest.key, spec, quest.template, origin_id, between, tx.now
    ))  # fmt: skip


async def remove(tx: Transaction, command: RemoveQuest) -> None:
    """Keep a quest as history only; for who is on it, it fails."""
    quest = await _quest(tx, command.key)
    await tx.execute(REMOVE, tx.world_id, quest.id, tx.now)
    tx.emit(events.Removed(**quest.named))

    def step(takings: Sequence[Taking]) -> list[Ending]:
        return [Ending(t, rules.FAILED, reason="The quest was taken away.", silent=True) for t in takings]

    await move(tx, step, OPEN, quest.id, None)


async def close(tx: Transaction, ids: Iterable[UUID]) -> None:
    """Take generated quests away whose time is over; who is still on one of them is too late."""
    for row in await tx.fetch(LASTING, tx.world_id, sorted(set(ids))):
        quest = Quest.of(row)
        until = quest.definition.until
        if until is not None and until <= tx.now:  # else a game master gave it more time
            await tx.execute(REMOVE, tx.world_id, quest.id, tx.now)
            tx.emit(events.Removed(**quest.named))
            await move(tx, lambda takings: [too_late(taking) for taking in takings], OPEN, quest.id, None)


async def _quest(tx: Transaction, key: str) -> Quest:
    """The quest of a key, locked. Refuses `quest_not_found`."""
    row = await tx.fetchrow(QUEST, tx.world_id, key)
    if row is None:
        raise rules.QUEST_NOT_FOUND(key=key)
    return Quest.of(row)


async def _shown(
    tx: Transaction, command: AcceptQuest | DeclineQuest | AbandonQuest | ChooseObjective
) -> Quest:
    """The quest of a command, locked. Refuses `quest_not_found`, also for a secret one that is none of theirs."""
    quest = await _quest(tx, command.key)
    if quest.definition.secret and not characters.is_game_master(tx.request):
        who = command.character_id
        own = {who, *(await factions.allegiance(tx, [who])).get(who, ())}
        if await views.one(tx, tx.world_id, quest.key, all_of_them=False, own=own) is None:
            raise rules.QUEST_NOT_FOUND(key=quest.key)
    return quest


# -- quests from templates -----------------------------------------------------------------------------------


async def generate_one(tx: Transaction, command: GenerateQuest) -> dict[str, Any]:
    """Make a quest from a template by hand."""
    template = views.templates().get(command.template)
    if template is None:
        raise rules.TEMPLATE_NOT_FOUND(template=command.template, templates=sorted(views.templates()))
    facts: dict[str, Any] = {"until": tx.now + round(template.open_days * DAY)}
    facts |= {name: str(value) for name, value in command.facts.items()}
    await _check_room(tx)
    quest = await generate(tx, template, None, facts)
    assert quest is not None
    return {"key": quest.key, "id": quest.id}


async def generate(
    tx: Transaction, template: Template, event: EventRecord | None, facts: Mapping[str, Any]
) -> Quest | None:
    """Make a quest of a template and facts; it names the event that it comes from.

    None if the template has made one of this event already, or one that lasts of another between the same two.
    Refuses `quest_facts_missing`.
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
    quest = Quest(id_, f"{template.key[:47]}_{text_of(id_)[-12:]}", definition, template.key)
    origin = None if event is None else event.id
    between = None if event is None else sorted(UUID(str(facts[name])) for name in template.between)
    if not await _add(tx, quest, origin, between or None):
        return None
    if definition.until is not None:
        await tx.schedule(CLOSES, max(tx.now, definition.until), {"quest_id": str(id_)})
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
    for row in await tx.fetch(OPEN_LOCKED, tx.world_id, quest.id, takers):
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
    quest = await _shown(tx, command)
    _must_last(tx, quest)
    taker_id = await _taker(tx, quest, command)
    await _check_named(tx, quest, {taker_id, command.character_id})
    rows = await tx.fetch(OPEN_LOCKED, tx.world_id, quest.id, [taker_id])
    found = rows[0] if rows else None
    await _check_may_accept(tx, quest, taker_id, None if found is None else found["state"])
    course = Course.fresh(quest.definition, tx.now)
    id_ = tx.new_id() if found is None else found["id"]
    taking = Taking(id_, quest, taker_id, command.character_id, "accepted", course)
    due = rules.due_at(quest.definition, tx.now)
    taking.record = tx.emit(
        events.Accepted(**taking.named, character_id=command.character_id, due_at=due, open=course.open)
    )
    if not await tx.fetchval(BUSY, tx.world_id, quest.id):
        tx.definitions_changed = True
    await _put(tx, taking, offered_at=found and found["offered_at"], accepted_at=tx.now, due_at=due)
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
    person = (await characters.peek(tx, [taker_id])).get(taker_id)
    faction = (await factions.load(tx, [taker_id], lock=False)).get(taker_id)
    there = {"character": person is not None, "faction": faction is not None and faction.dissolved_at is None}
    if not any(there.values()):
        raise rules.TAKER_NOT_FOUND(taker_id=str(taker_id))
    kind = quest.definition.takers
    if not there[kind]:
        raise rules.WRONG_TAKER(f"This quest is for {kind}s.", takers=kind)


async def _taker(
    tx: Transaction, quest: Quest, command: AcceptQuest | DeclineQuest | AbandonQuest | ChooseObjective
) -> UUID:
    """For whom a character acts: itself, or a faction in whose name it may negotiate."""
    who, faction_id = command.character_id, command.faction_id
    if who not in await characters.peek(tx, [who]):
        raise rules.TAKER_NOT_FOUND(taker_id=str(who))
    kind = quest.definition.takers
    if kind == "character" and faction_id is None:
        return who
    if kind == "faction" and faction_id is None:
        faction_id = min((await factions.allegiance(tx, [who])).get(who, ()), default=None)
    if kind == "character" or faction_id is None:
        raise rules.WRONG_TAKER(f"This quest is for {kind}s.", takers=kind)
    await factions.may(tx, faction_id, who, "negotiate")
    return faction_id


async def _check_named(tx: Transaction, quest: Quest, who: set[UUID]) -> None:
    """Refuses those that a quest is not for: it names neither them nor a faction of theirs."""
    named = set(quest.definition.only_for)
    if named and not named & who:
        own = await factions.allegiance(tx, who)
        if named.isdisjoint(*own.values()) if own else True:
            raise rules.NOT_FOR_THEM(only_for=[str(id_) for id_ in sorted(named)])


# -- on the way ----------------------------------------------------------------------------------------------


async def decline(tx: Transaction, command: DeclineQuest) -> None:
    """Say no to what was offered."""
    quest = await _shown(tx, command)
    rows = await tx.fetch(OPEN_LOCKED, tx.world_id, quest.id, [await _taker(tx, quest, command)])
    taking = _only([Taking.of(row, quest) for row in rows], quest, "offered")
    record = tx.emit(events.Declined(**taking.named, character_id=command.character_id))
    await tx.execute(DECLINE, tx.world_id, taking.id, tx.now, record.id)


async def abandon(tx: Transaction, command: AbandonQuest) -> None:
    """Give up, with what follows from that."""
    quest = await _shown(tx, command)
    taker_id = await _taker(tx, quest, command)

    def step(found: Sequence[Taking]) -> list[Ending]:
        return [Ending(_only(found, quest), rules.ABANDONED, events.Abandoned)]

    await move(tx, step, OPEN, quest.id, [taker_id])


async def choose(tx: Transaction, command: ChooseObjective) -> dict[str, Any]:
    """Reach an objective by deciding for it."""
    quest = await _shown(tx, command)
    return await _reach(tx, quest, await _taker(tx, quest, command), command.objective, choice=True)


async def reach(tx: Transaction, command: ReachObjective) -> dict[str, Any]:
    """Let somebody have reached an objective."""
    return await _reach(tx, await _quest(tx, command.key), command.taker_id, command.objective)


async def end_one(tx: Transaction, command: EndQuest) -> None:
    """Let a quest end for somebody."""
    quest = await _quest(tx, command.key)
    rules.outcome_of(quest.definition, command.outcome)

    def step(found: Sequence[Taking]) -> list[Ending]:
        return [Ending(_only(found, quest), command.outcome)]

    await move(tx, step, OPEN, quest.id, [command.taker_id])


def _only(found: Sequence[Taking], quest: Quest, state: str = "accepted") -> Taking:
    """Somebody's open taking of a quest. Refuses `quest_not_taken`, `quest_not_offered`."""
    if not found or found[0].state != state:
        raise (rules.NOT_TAKEN if state == "accepted" else rules.NOT_OFFERED)(key=quest.key)
    return found[0]


def _objective(taking: Taking, key: str) -> Objective:
    """An open objective. Refuses `objective_not_found`, `objective_not_open`."""
    objectives = {objective.key: objective for objective in taking.quest.definition.objectives}
    if key not in objectives:
        raise rules.OBJECTIVE_NOT_FOUND(objectives=list(objectives))
    if key not in taking.course.open:
        raise rules.OBJECTIVE_NOT_OPEN(open=taking.course.open)
    return objectives[key]


async def _reach(
    tx: Transaction, quest: Quest, taker_id: UUID, key: str, *, choice: bool = False
) -> dict[str, Any]:
    """Let somebody reach an objective; with `choice`, only one that is. Refuses `objective_not_a_choice`."""

    def step(found: Sequence[Taking]) -> list[Ending]:
        taking = _only(found, quest)
        objective = _objective(taking, key)
        if choice and not objective.choice:
            raise rules.NOT_A_CHOICE(objective=key)
        taking.course.reach(key, tx.now)
        return ended([taking])

    [taking] = await move(tx, step, OPEN, quest.id, [taker_id])
    return {"open": [] if taking.course.outcome else taking.course.open, "outcome": taking.course.outcome}
