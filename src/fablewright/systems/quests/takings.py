"""Somebody's way through a quest, as it is stored and locked: how events count, and how it ends.

Beside `service.py`, since commands, events and timers come here alike. The row of a taking decides: who changes
somebody's course locks it, so that a quest ends once, on whatever node. Takings are locked after their quest, in the
order of their ids.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import orjson

from fablewright.core.actors import system_actor
from fablewright.core.definitions import Definitions
from fablewright.core.refusal import Refused
from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.diplomacy import persuasion
from fablewright.systems.diplomacy.service import relations_book, write
from fablewright.systems.ledger.commands import Transfer
from fablewright.systems.points import service as points
from fablewright.systems.quests import events, rules, views
from fablewright.systems.quests.rules import Catalog, Course, Hit, Outcome, QuestDefinition
from fablewright.systems.quests.views import COLUMNS, STANDS, TAKING, parsed

DUE: Final = "quests.due"
"""The kind of the timers of deadlines."""

QUESTS: Final = f"SELECT {COLUMNS} FROM quests q WHERE q.world_id = $1 AND q.id = ANY($2::uuid[])"  # noqa: S608
BY_ID: Final = f"""
SELECT {TAKING} FROM quest_takings t
WHERE t.world_id = $1 AND t.id = ANY($2::uuid[]) AND t.state IN ('offered', 'accepted') ORDER BY t.id FOR NO KEY UPDATE
"""  # noqa: S608
OF_TAKERS: Final = f"""
SELECT {TAKING} FROM quest_takings t
WHERE t.world_id = $1 AND t.taker_id = ANY($2::uuid[]) AND t.state IN ('offered', 'accepted')
ORDER BY t.id FOR NO KEY UPDATE
"""  # noqa: S608
# Those on some quests ($2) whom events concern: the takers $3, or whoever is on the quests $4.
CONCERNED: Final = f"""
SELECT {TAKING} FROM quest_takings t
WHERE t.world_id = $1 AND t.state = 'accepted' AND t.quest_id = ANY($2::uuid[])
  AND (t.taker_id = ANY($3::uuid[]) OR t.quest_id = ANY($4::uuid[]))
ORDER BY t.id FOR NO KEY UPDATE
"""  # noqa: S608
SAVE: Final = "UPDATE quest_takings SET course = $3::jsonb, event_id = $4 WHERE world_id = $1 AND id = $2"
FACTIONS: Final = (
    "SELECT id FROM factions WHERE world_id = $1 AND id = ANY($2::uuid[]) AND dissolved_at IS NULL"
)
END: Final = """
UPDATE quest_takings t SET state = v.state, outcome = v.outcome, ended_at = $2, event_id = v.event_id
FROM unnest($3::uuid[], $4::text[], $5::text[], $6::uuid[]) AS v (id, state, outcome, event_id)
WHERE t.world_id = $1 AND t.id = v.id
"""


async def _load(tx: Transaction) -> Catalog:
    rows = await tx.fetch(views.CATALOG, tx.world_id)
    return Catalog((row["id"], parsed(row["spec"])) for row in rows)


CATALOG: Final = Definitions(_load)
"""The quests of a world that somebody has accepted."""


@dataclass(frozen=True, slots=True)
class Quest:
    """A quest as it is stored."""

    id: UUID
    key: str
    definition: QuestDefinition
    watched: bool

    @staticmethod
    def of(row: Any) -> "Quest":
        """From a row of `COLUMNS`."""
        return Quest(row["id"], row["key"], parsed(row["spec"]), row["watched"])

    @property
    def named(self) -> dict[str, Any]:
        """What each of its events says."""
        definition = self.definition
        giver = [] if definition.giver_id is None else [definition.giver_id]
        concerned = [*giver, *definition.only_for] if definition.secret else []
        return {
            "key": self.key, "name": definition.name, "secret": definition.secret, "concerned": concerned,
        }  # fmt: skip


@dataclass(slots=True)
class Taking:
    """That a quest was offered to somebody or accepted, as it is stored and locked."""

    id: UUID
    quest: Quest
    taker_id: UUID
    by_id: UUID | None
    state: str
    course: Course
    cause: EventRecord | None = None
    """The event that moved it last."""
    record: EventRecord | None = None

    @staticmethod
    def of(row: Any, quest: Quest) -> "Taking":
        """From a row of `TAKING`."""
        course = Course(quest.definition, views.stands_of(row["course"]))
        return Taking(row["id"], quest, row["taker_id"], row["by_id"], row["state"], course)

    @property
    def named(self) -> dict[str, Any]:
        """What each of its events says."""
        return {**self.quest.named, "taker_id": self.taker_id, "taking_id": self.id}

    @property
    def json(self) -> str:
        """The course as it is kept."""
        return STANDS.dump_json(self.course.stands).decode()


@dataclass(slots=True)
class Ending:
    """How a quest ends for somebody."""

    taking: Taking
    outcome: str
    event: type[events.Finished | events.Failed | events.Abandoned | events.Expired] | None = None
    """By default, the outcome says whether it is finished or failed."""
    reason: str | None = None
    silent: bool = False
    """Whether nothing follows from it."""
    points: int = 0
    refused: str | None = None
    changes: dict[str, Any] = field(default_factory=dict)

    @property
    def what(self) -> Outcome:
        return (
            Outcome(success=False)
            if self.silent
            else rules.outcome_of(self.taking.quest.definition, self.outcome)
        )

    @property
    def told(self) -> type[events.Finished | events.Failed | events.Abandoned | events.Expired]:
        """The event that tells of it; the state has its name."""
        return self.event or (events.Finished if self.what.success else events.Failed)


# -- what counts ---------------------------------------------------------------------------------------------


async def count(tx: Transaction, records: Sequence[EventRecord]) -> None:
    """Count events for those who are on quests, in the order in which they happened."""
    catalog = await CATALOG.of(tx)
    hits: list[tuple[Hit, EventRecord]] = []
    for record in records:
        listening = catalog.of(record.type)
        data: dict[str, Any] = orjson.loads(record.data) if listening else {}
        for counted in listening:
            hit = counted.hit(record.about, record.at, data)
            if hit is not None:
                hits.append((hit, record))
    if not hits:
        return
    subjects = {who for hit, _ in hits for who in hit.subjects or ()}
    groups = await factions_of(tx, subjects) if catalog.for_factions else {}
    takings = await _concerned(tx, [hit for hit, _ in hits], subjects.union(*groups.values()))
    for hit, record in hits:
        whom = None if hit.subjects is None else {
            taker for who in hit.subjects for taker in (who, *groups.get(who, ()))
        }  # fmt: skip
        for taking in takings:
            if taking.quest.id == hit.quest_id and (whom is None or taking.taker_id in whom):
                before = len(taking.course.reached)
                taking.course.hit(hit.key, hit.amount, hit.at)
                if len(taking.course.reached) > before:
                    taking.cause = record
    await settle(tx, takings)


async def _concerned(tx: Transaction, hits: Sequence[Hit], subjects: Iterable[UUID]) -> list[Taking]:
    """Those on the quests of these events whom they concern, locked."""
    quest_ids = sorted({hit.quest_id for hit in hits})
    anyone = sorted({hit.quest_id for hit in hits if hit.subjects is None})
    return await _loaded(tx, await tx.fetch(CONCERNED, tx.world_id, quest_ids, sorted(subjects), anyone))


async def _loaded(tx: Transaction, rows: Sequence[Any]) -> list[Taking]:
    found = await tx.fetch(QUESTS, tx.world_id, sorted({row["quest_id"] for row in rows})) if rows else []
    quests = {row["id"]: Quest.of(row) for row in found}
    return [Taking.of(row, quests[row["quest_id"]]) for row in rows]


async def settle(tx: Transaction, takings: Sequence[Taking]) -> None:
    """Tell what was reached, store how far these are, and let those end that have come to an end."""
    changed = [taking for taking in takings if taking.course.changed]
    for taking in changed:
        definition = taking.quest.definition
        names = {objective.key: objective.name for objective in definition.objectives}
        for key, opened, closed in taking.course.reached:
            taking.record = tx.emit(
                events.ObjectiveReached(
                    **taking.named, objective=key, objective_name=names[key], opened=opened, closed=closed
                ),
                cause=taking.cause,
            )
    await tx.executemany(SAVE, [
        (tx.world_id, taking.id, taking.json, None if taking.record is None else taking.record.id)
        for taking in changed
    ])  # fmt: skip
    await end(tx, [
        Ending(taking, taking.course.outcome) for taking in changed if taking.course.outcome is not None
    ])  # fmt: skip


async def of_takers(tx: Transaction, ids: Iterable[UUID]) -> list[Taking]:
    """What these were offered or are on, locked."""
    return await _loaded(tx, await tx.fetch(OF_TAKERS, tx.world_id, sorted(set(ids))))


# -- the end -------------------------------------------------------------------------------------------------


async def expire(tx: Transaction, ids: Iterable[UUID]) -> None:
    """Let those of these takings end whose time is over and that are still open."""
    rows = await tx.fetch(BY_ID, tx.world_id, sorted(set(ids)))
    late = [row for row in rows if row["due_at"] is not None and row["due_at"] <= tx.now]
    await end(tx, [
        Ending(t, rules.EXPIRED, events.Expired, "The time was over.", silent=t.state == "offered")
        for t in await _loaded(tx, late)
    ])  # fmt: skip


async def end(tx: Transaction, endings: Sequence[Ending]) -> None:
    """Let quests end for those whose rows are locked: rewards, consequences, one event each."""
    if not endings:
        return
    endings = sorted(endings, key=lambda ending: ending.taking.id)
    await _pay(tx, endings)
    await _resolve(tx, endings)
    for ending in endings:
        taking, what = ending.taking, ending.what
        taking.record = tx.emit(
            ending.told(
                **taking.named, outcome=ending.outcome, outcome_name=what.name, points=ending.points,
                currency=what.currency, title=what.title, reward_refused=ending.refused, reason=ending.reason,
                **ending.changes,
            ),
            cause=taking.cause,
        )  # fmt: skip
        await tx.cancel_timers(DUE, taking_id=str(taking.id))
    titles = [
        (who, e.what.title, f"quest:{e.taking.quest.key}")
        for e in endings
        if e.what.title and (who := e.taking.by_id) is not None
    ]
    await points.grant_titles(tx, titles)
    await tx.execute(
        END, tx.world_id, tx.now, [e.taking.id for e in endings],
        [e.told.message_type.partition(".")[2] for e in endings], [e.outcome for e in endings],
        [e.taking.record.id for e in endings if e.taking.record is not None],
    )  # fmt: skip
    await _change_minds(tx, endings)
    await persuasion.sway(
        tx, [(c.holder, c.about, c.amount) for e in endings for c in e.changes.get("talks", ())]
    )


async def _pay(tx: Transaction, endings: Sequence[Ending]) -> None:
    """Give the points: to a character as an award, to a faction into its treasury. Each taking is paid once."""
    paid = [ending for ending in endings if ending.what.points]
    own = [e for e in paid if e.taking.quest.definition.takers == "character"]
    results: list[Any] = list(await points.award_many(tx, [
        points.AwardAsk(
            character_id=e.taking.taker_id, amount=e.what.points, currency=e.what.currency, guarded=False,
            reason=_reason(e), reference=_reference(e), cause=e.taking.cause,
        )
        for e in own
    ]))  # fmt: skip
    shared = [e for e in paid if e.taking.quest.definition.takers == "faction"]
    if shared:
        results += await tx.perform([
            Transfer(
                debit="mint", credit=e.taking.taker_id, currency=e.what.currency, amount=e.what.points,
                kind="quest_reward", reason=_reason(e), reference=_reference(e), open_accounts=True,
            )
            for e in shared
        ], actor=system_actor("quests"), causes=[e.taking.cause for e in shared])  # fmt: skip
    for ending, result in zip([*own, *shared], results, strict=True):
        if isinstance(result, Refused):
            ending.refused = result.code
        else:
            ending.points = ending.what.points


def _reason(ending: Ending) -> str:
    """What an award says; a secret quest is not named, since all may read of awards."""
    definition = ending.taking.quest.definition
    return "A quest" if definition.secret else f"Quest: {definition.name}"


def _reference(ending: Ending) -> str:
    return f"quest:{ending.taking.id}"


async def _resolve(tx: Transaction, endings: Sequence[Ending]) -> None:
    """Find the factions that the outcomes speak of. Who cannot be found has no part in it."""
    minding = [e for e in endings if e.what.opinions or e.what.trust or e.what.tension or e.what.talks]
    if not minding:
        return
    people = {who for e in minding for who in (e.taking.taker_id, e.taking.quest.definition.giver_id) if who}
    groups = await factions_of(tx, people)
    resolved = [(ending, _named(ending, groups)) for ending in minding]
    ids = {id_ for _, found in resolved for changes in found.values() for _, pair in changes for id_ in pair}
    there = {row["id"] for row in await tx.fetch(FACTIONS, tx.world_id, sorted(ids))}
    for ending, found in resolved:
        ending.changes = {
            kind: [change for change, pair in changes if pair[0] != pair[1] and there.issuperset(pair)]
            for kind, changes in found.items()
        }


def _named(
    ending: Ending, groups: Mapping[UUID, set[UUID]]
) -> dict[str, list[tuple[Any, tuple[UUID, UUID]]]]:
    """The changes of an ending, with the ids of their factions instead of `taker` and `giver`."""
    places: dict[Any, UUID] = {"taker": ending.taking.taker_id}
    if ending.taking.quest.definition.giver_id is not None:
        places["giver"] = ending.taking.quest.definition.giver_id

    def faction(who: UUID | str) -> UUID | None:
        id_ = places.get(who)
        return min(groups.get(id_, ()), default=id_) if id_ else who if isinstance(who, UUID) else None

    found: dict[str, list[tuple[Any, tuple[UUID, UUID]]]] = {}
    for kind, one, other in (
        ("opinions", "holder", "about"),
        ("trust", "holder", "about"),
        ("tension", "a", "b"),
        ("talks", "holder", "about"),
    ):
        found[kind] = []
        for change in getattr(ending.what, kind):
            a, b = faction(getattr(change, one)), faction(getattr(change, other))
            if a is not None and b is not None:
                found[kind].append((change.model_copy(update={one: a, other: b}), (a, b)))
    return found


async def _change_minds(tx: Transaction, endings: Sequence[Ending]) -> None:
    """Let factions think otherwise of each other, because of how quests ended."""
    pairs = [
        *((c.holder, c.about) for e in endings for kind in ("opinions", "trust") for c in e.changes.get(kind, ())),
        *((c.a, c.b) for e in endings for c in e.changes.get("tension", ())),
    ]  # fmt: skip
    if not pairs:
        return
    book = await relations_book(tx, pairs)
    for ending in endings:
        taking = ending.taking
        assert taking.record is not None
        secret = taking.quest.definition.secret
        what = "a secret quest" if secret else f"quest: {taking.quest.definition.name}"
        reason = f"{what} ({ending.outcome})"[:200]
        for change in ending.changes.get("opinions", ()):
            book.opine(
                change.holder, change.about, f"quest:{taking.quest.key}", change.amount, reason,
                change.half_life_days, taking.record.id, secret=secret,
            )  # fmt: skip
        for change in ending.changes.get("trust", ()):
            book.trust(change.holder, change.about, change.amount, reason, secret=secret)
        for change in ending.changes.get("tension", ()):
            book.tense(change.a, change.b, change.amount, reason, secret=secret)
    await write(tx, book)


async def factions_of(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, set[UUID]]:
    """The factions that characters belong to, as the systems below tell."""
    wanted = sorted(set(ids))
    found: dict[UUID, set[UUID]] = {}
    for system in tx.systems:
        tell = system.extra.get("allegiance")
        if tell is not None and wanted:
            for who, groups in (await tell(tx, wanted)).items():
                found.setdefault(who, set()).update(groups)
    return found
