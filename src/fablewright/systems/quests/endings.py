"""How quests end: with points, a title, and what factions think since.

Apart from `takings.py` since an ending is a noun of its own. What an ending will change is locked before the taking
that ends, as by everybody else who changes it: `move` looks at takings first, to foresee which of them end.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from fablewright.core.actors import system_actor
from fablewright.core.refusal import Refused
from fablewright.core.transaction import Transaction
from fablewright.systems.diplomacy import persuasion
from fablewright.systems.diplomacy.rules import MOST_OPINION
from fablewright.systems.diplomacy.service import relations_book, write
from fablewright.systems.factions import service as factions
from fablewright.systems.ledger import service as ledger
from fablewright.systems.ledger.commands import Transfer
from fablewright.systems.points import service as points
from fablewright.systems.quests import events, rules
from fablewright.systems.quests.rules import Outcome
from fablewright.systems.quests.takings import BY_ID, Taking, load

SAVE: Final = "UPDATE quest_takings SET course = $3::jsonb, event_id = $4 WHERE world_id = $1 AND id = $2"
END: Final = """
UPDATE quest_takings t SET state = v.state, outcome = v.outcome, ended_at = $2, event_id = v.event_id
FROM unnest($3::uuid[], $4::text[], $5::text[], $6::uuid[]) AS v (id, state, outcome, event_id)
WHERE t.world_id = $1 AND t.id = v.id
"""


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


def ended(takings: Iterable[Taking]) -> list[Ending]:
    """The endings of those whose course has come to its end."""
    return [Ending(t, t.course.outcome) for t in takings if t.course.outcome is not None]


def too_late(taking: Taking) -> Ending:
    """That the time for it is over. Nothing follows from an offer that runs out."""
    silent = taking.state == "offered"
    return Ending(taking, rules.EXPIRED, events.Expired, "The time was over.", silent=silent)


async def move(
    tx: Transaction, step: Callable[[Sequence[Taking]], Sequence[Ending]], sql: str, *args: Any
) -> list[Taking]:
    """Let the takings that a statement finds take a step, locked; returns them, with their course as it is then.

    `step` changes courses and says who comes to an end. It is called on what is stored at first, so that what these
    endings change can be locked before, and again on what is locked. An end that could not be foreseen, since
    somebody else took a step in between, locks what it changes afterwards.
    """
    seen = await load(tx, sql, *args, lock=False)
    foreseen = step(seen)
    if not seen:
        return []
    await _prepare(tx, foreseen)
    takings = await load(tx, sql, *args, lock=True)
    endings = step(takings)
    await _tell_reached(tx, [taking for taking in takings if taking.course.changed])
    await _end(tx, sorted(endings, key=lambda ending: ending.taking.id))
    return takings


async def expire(tx: Transaction, ids: Iterable[UUID]) -> None:
    """Let those of these takings end whose time is over and that are still open."""

    def step(takings: Sequence[Taking]) -> list[Ending]:
        return [too_late(t) for t in takings if t.due_at is not None and t.due_at <= tx.now]

    await move(tx, step, BY_ID, sorted(set(ids)))


async def _tell_reached(tx: Transaction, changed: Sequence[Taking]) -> None:
    """Tell what was reached, and store how far these are."""
    for taking in changed:
        names = {objective.key: objective.name for objective in taking.quest.definition.objectives}
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


async def _prepare(tx: Transaction, endings: Sequence[Ending]) -> None:
    """Lock what endings will change: accounts, relations, negotiations."""
    paid = {(e.taking.taker_id, e.what.currency) for e in endings if e.what.points}
    if paid:
        await ledger.open_book(tx, paid)
    await _resolve(tx, endings)
    await relations_book(tx, _pairs(endings))
    await persuasion.talks_between(tx, [(holder, about) for holder, about, _ in _sways(endings)])


async def _end(tx: Transaction, endings: Sequence[Ending]) -> None:
    """Let quests end for those whose rows are locked: rewards, consequences, one event each."""
    if not endings:
        return
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
    titles = [
        (who, e.what.title, _source(e))
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
    await persuasion.sway(tx, _sways(endings))


async def _pay(tx: Transaction, endings: Sequence[Ending]) -> None:
    """Give the points: to a character as an award, to a faction into its treasury. Each taking is paid once."""
    paid = [ending for ending in endings if ending.what.points]
    own = [e for e in paid if e.taking.quest.definition.takers == "character"]
    results: list[Any] = list(await points.award_many(tx, [
        points.AwardAsk(
            character_id=e.taking.taker_id, amount=e.what.points, currency=e.what.currency,
            reason=_reason(e), reference=_reference(e), cause=e.taking.cause,
            # What players bring about by what they report is checked like what they do.
            guarded=e.taking.quest.template is not None,
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
            ending.points = result.amount


def _reason(ending: Ending) -> str:
    """What an award says; a secret quest is not named, since all may read of awards."""
    definition = ending.taking.quest.definition
    return "A quest" if definition.secret else f"Quest: {definition.name}"


def _reference(ending: Ending) -> str:
    return f"quest:{ending.taking.id}"


def _source(ending: Ending) -> str:
    """What a title says that it comes from; all may read that, too."""
    quest = ending.taking.quest
    return _reference(ending) if quest.definition.secret else f"quest:{quest.key}"


async def _resolve(tx: Transaction, endings: Sequence[Ending]) -> None:
    """Find the factions that the outcomes speak of. Who cannot be found has no part in it."""
    minding = [e for e in endings if e.what.opinions or e.what.trust or e.what.tension or e.what.talks]
    if not minding:
        return
    people = {who for e in minding for who in (e.taking.taker_id, e.taking.quest.definition.giver_id) if who}
    groups = await factions.allegiance(tx, people)
    resolved = [(ending, _named(ending, groups)) for ending in minding]
    ids = {id_ for _, found in resolved for changes in found.values() for _, pair in changes for id_ in pair}
    there = {f.id for f in (await factions.load(tx, ids, lock=False)).values() if f.dissolved_at is None}
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


def _pairs(endings: Sequence[Ending]) -> list[tuple[UUID, UUID]]:
    """The factions between which something changes."""
    return [
        *((c.holder, c.about) for e in endings for kind in ("opinions", "trust") for c in e.changes.get(kind, ())),
        *((c.a, c.b) for e in endings for c in e.changes.get("tension", ())),
    ]  # fmt: skip


def _sways(endings: Sequence[Ending]) -> list[tuple[UUID, UUID, float]]:
    """Who leans towards whom in their talks, and by how much."""
    return [(c.holder, c.about, c.amount) for e in endings for c in e.changes.get("talks", ())]


async def _change_minds(tx: Transaction, endings: Sequence[Ending]) -> None:
    """Let factions think otherwise of each other, because of how quests ended.

    What quests of one template do to an opinion is one part of it, which never grows beyond what one of them does.
    """
    pairs = _pairs(endings)
    if not pairs:
        return
    book = await relations_book(tx, pairs)
    for ending in endings:
        taking, quest = ending.taking, ending.taking.quest
        assert taking.record is not None
        secret = quest.definition.secret
        what = "a secret quest" if secret else f"quest: {quest.definition.name}"
        reason = f"{what} ({ending.outcome})"[:200]
        for change in ending.changes.get("opinions", ()):
            book.opine(
                change.holder, change.about, f"quest:{quest.template or quest.key}", change.amount, reason,
                change.half_life_days, taking.record.id, secret=secret,
                cap=MOST_OPINION if quest.template is None else abs(change.amount),
            )  # fmt: skip
        for change in ending.changes.get("trust", ()):
            book.trust(change.holder, change.about, change.amount, reason, secret=secret)
        for change in ending.changes.get("tension", ()):
            book.tense(change.a, change.b, change.amount, reason, secret=secret)
    await write(tx, book)
