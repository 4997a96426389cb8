"""Awards, many at a time: rule, amount, multipliers, guards, transfer, standing, level.

Everything is loaded, decided and written for the whole batch at once; a single award is a batch of one. Beside
`service.py`, since it is the hottest path there is. Locks are taken in the order accounts, standings, what is
remembered of actions, statistics of actions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from fablewright.core.database import array_of
from fablewright.core.definitions import Definitions
from fablewright.core.refusal import Refused
from fablewright.core.transaction import EventRecord, Request, Transaction
from fablewright.systems.ledger import service as ledger
from fablewright.systems.ledger.rules import REFERENCE_REUSED
from fablewright.systems.ledger.service import MINT, Book, HoldState, Planned
from fablewright.systems.points import rules, verdicts, views
from fablewright.systems.points.events import AbuseSuspected, Awarded, AwardPart, LevelReached
from fablewright.systems.points.guards import (
    FRESH,
    NO_GUARDS,
    NO_SIZES,
    ActionMemory,
    Distribution,
    Habit,
    Judgement,
    Weighed,
    weigh,
)
from fablewright.systems.points.rules import POINTS, Bonus, PointsWorld, Rule
from fablewright.systems.points.standings import (
    ADD_MEMORIES,
    ADD_STANDINGS,
    ADD_STATISTICS,
    CHANGE_MEMORIES,
    CHANGE_STANDINGS,
    CHANGE_STATISTICS,
    MEMORIES,
    STANDINGS,
    STATISTICS,
    Standing,
    standing_of,
)
from fablewright.systems.points.verdicts import Finding, Findings
from fablewright.systems.points.views import AwardView

AWARD: Final = "points.award"
"""The kind of the transfers and holds that awards are."""
PLAIN: Final = "*"
"""Stands for the action where an amount is awarded without a rule."""

ASKED: Final = """
SELECT id, (data ->> 'asked')::bigint AS asked FROM events WHERE world_id = $1 AND id = ANY($2::uuid[])
"""


async def _load_world(tx: Transaction) -> PointsWorld:
    return await views.points_world(tx, tx.world_id)


_WORLDS: Final = Definitions(_load_world)


async def defined(tx: Transaction) -> PointsWorld:
    """What the world defines about points."""
    return await _WORLDS.of(tx)


@dataclass(slots=True)
class AwardAsk:
    """An award that somebody, or something, asks for: by a rule's key (`action`), or an amount with a reason.

    `by` is the request of a batch that asks, `cause` the event that brought it about. An unguarded one (a reward that
    the game itself owes) is neither limited nor counted by the checks against abuse.
    """

    character_id: UUID
    action: str | None = None
    amount: int | None = None
    currency: str = POINTS
    reason: str | None = None
    reference: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    by: Request | None = None
    cause: EventRecord | None = None
    guarded: bool = True


@dataclass(slots=True)
class Plan:
    """What is asked for, once the rule has spoken."""

    rule: Rule | None
    action: str
    base: int
    currency: str
    reason: str


async def award_many(tx: Transaction, asks: Sequence[AwardAsk]) -> list[AwardView | Refused]:
    """Award all that is asked for, each with its result or its refusal, in order."""
    if not asks:
        return []
    world = await defined(tx)
    batch = Batch(tx, world)
    results: list[Any] = [None] * len(asks)
    plans: list[tuple[int, AwardAsk, Plan]] = []
    for index, ask in enumerate(asks):
        try:
            plans.append((index, ask, _plan(world, ask)))
        except Refused as refused:
            results[index] = refused
    if not plans:
        return results
    await batch.load(plans)
    for index, ask, plan in plans:
        try:
            results[index] = batch.award(ask, plan)
        except Refused as refused:
            results[index] = refused
    await batch.write()
    return results


def _plan(world: PointsWorld, ask: AwardAsk) -> Plan:
    """What the rule, if one is named, makes of it. Refuses what does not fit the rule."""
    if ask.action is None:
        assert ask.amount is not None
        action = PLAIN if ask.currency == POINTS else PLAIN + ask.currency
        return Plan(None, action, ask.amount, ask.currency, ask.reason or "An award")
    rule = world.rules.get(ask.action)
    if rule is None:
        raise rules.RULE_NOT_FOUND(f"There is no award rule {ask.action!r}.", key=ask.action)
    if not rule.enabled:
        raise rules.RULE_DISABLED(f"The award rule {ask.action!r} is switched off.", key=ask.action)
    if ask.cause is None and rule.on is not None:
        raise rules.RULE_LISTENS(f"{rule.key!r} listens to {rule.on}.", key=rule.key, on=rule.on)
    if ask.cause is None and not rule.holds(ask.data):
        raise rules.CONDITIONS_NOT_MET(key=rule.key)
    base = rule.base(ask.data)
    if base is None:
        raise rules.NO_AMOUNT(
            f"There is no number above 0 at {rule.amount_field!r}.", field=rule.amount_field
        )
    return Plan(rule, rule.key, base, rule.currency, ask.reason or rule.reason(ask.data))


class Batch:
    """What the awards of one batch share."""

    def __init__(self, tx: Transaction, world: PointsWorld):
        self.tx, self.world = tx, world
        self.now, self.day = tx.now, tx.world.calendar.day_number(tx.now)
        self.moment = verdicts.moment_of(tx)
        self.findings = Findings(tx)
        self.bonuses: list[Bonus] = [b for b in world.bonuses if b.from_ms <= tx.now < b.until_ms]
        self.checked = world.guards != NO_GUARDS
        self.named: list[AwardView] = []
        """Answers that name a verdict."""
        self.waiting: list[tuple[HoldState, Finding]] = []
        self.memories: dict[tuple[UUID, str], ActionMemory] = {}
        self.statistics: dict[str, Distribution] = {}
        self.asked: dict[UUID, int] = {}
        """By transfer or hold, what was asked for, where another amount was given or is asked for now."""
        self.remembered: frozenset[tuple[UUID, str]] = frozenset()
        self.counted: frozenset[str] = frozenset()
        self.book: Book
        self.standings: dict[UUID, Standing]

    async def load(self, plans: Sequence[tuple[int, AwardAsk, Plan]]) -> None:
        """Accounts, standings, and what the guards want to know; locked until the commit."""
        tx = self.tx
        self.book = await ledger.open_book(
            tx, [(ask.character_id, plan.currency) for _, ask, plan in plans], create=True,
            references=[ask.reference for _, ask, _ in plans if ask.reference is not None],
        )  # fmt: skip
        if self.book.earlier or self.book.earlier_holds:
            await self._look_back(plans)
        rows = await tx.fetch(
            STANDINGS, tx.world_id, array_of(sorted({ask.character_id for _, ask, _ in plans}, key=_BY_VALUE))
        )
        self.standings = {row[0]: standing_of(row) for row in rows}
        limited = sorted({
            (ask.character_id, plan.action) for _, ask, plan in plans
            if ask.guarded and plan.rule is not None and plan.rule.limits is not None
            and ask.character_id in self.standings
        })  # fmt: skip
        if limited:
            rows = await tx.fetch(
                MEMORIES, tx.world_id, [key[0] for key in limited], [key[1] for key in limited]
            )
            self.memories = {
                (row[0], row[1]): ActionMemory(tuple(row[2]), row[3], row[4], row[5], row[6]) for row in rows
            }
            self.remembered = frozenset(self.memories)
        if self.world.guards.outlier is not None:
            actions = sorted({plan.action for _, ask, plan in plans if ask.guarded})
            rows = await tx.fetch(STATISTICS, tx.world_id, actions)
            self.statistics = {row[0]: Distribution(row[1], row[2], row[3]) for row in rows}
            self.counted = frozenset(self.statistics)

    async def _look_back(self, plans: Sequence[tuple[int, AwardAsk, Plan]]) -> None:
        """Load what was asked for under a reference whose amount is not that of now: a check may have reduced it."""
        events: dict[UUID | None, UUID] = {}
        for _, ask, plan in plans:
            found = None if ask.reference is None else self._with_reference(ask.reference)
            if found is not None and plan.rule is None and found.amount != plan.base:
                events[found.event_id] = found.id
        if events:
            rows = await self.tx.fetch(ASKED, self.tx.world_id, list(events))
            self.asked = {events[row["id"]]: row["asked"] for row in rows}

    def _with_reference(self, reference: str) -> Planned | HoldState | None:
        """What has a reference; of an award that waited, the hold, whose event tells what was asked for."""
        return self.book.earlier_holds.get(reference) or self.book.earlier.get(reference)

    # -- one of them -----------------------------------------------------------------------------------------

    def award(self, ask: AwardAsk, plan: Plan) -> AwardView:
        """Decide and plan one award. Refuses; a refused one may still leave a finding."""
        standing = self.standings.get(ask.character_id)
        if standing is None:
            raise rules.CHARACTER_NOT_FOUND(character_id=str(ask.character_id))
        if ask.reference is not None and (earlier := self._earlier(ask, plan, standing)) is not None:
            return earlier
        streak = rules.streak_on(standing.streak, standing.streak_day, self.day)
        amount, parts = plan.base, _NO_PARTS
        if plan.rule is not None:
            amount, found = rules.multiplied(
                plan.rule, plan.base, standing.level, streak, self.bonuses, self.now
            )
            parts = [AwardPart(what=part.what, factor=part.factor) for part in found] if found else _NO_PARTS
        weighed: Weighed | None = None
        weighs = ask.guarded and (self.checked or (plan.rule is not None and plan.rule.limits is not None))
        if weighs:
            weighed = self._weighed(ask, plan, standing, amount)
            given = weighed.judgement.given
            if given < amount:  # which check it was is for game masters
                parts = [*parts, AwardPart(what="limit", factor=given / amount)]
            amount = given
        self.book.new_id = self.tx.new_id if ask.by is None else ledger.ids_for(self.tx, ask.by)
        made: Planned | HoldState
        if weighed is not None and weighed.judgement.outcome == "quarantine":
            made, view = self._held(ask, plan, standing, amount, parts)
        else:
            made, view = self._given(ask, plan, standing, amount, parts)
            standing.streak = streak
            standing.streak_day = rules.streak_day_on(standing.streak_day, self.day)
            standing.touched = True
            if ask.guarded and not weighs and plan.currency == POINTS:
                standing.sizes = standing.sizes.plus(amount)
        if weighed is not None:
            self.asked[made.id] = plan.base
            self._remember(ask, plan, standing, weighed)
            if weighed.judgement.outcome is not None:
                self._name(self._found(ask, plan, weighed.judgement), made, view)
        return view

    def _given(
        self, ask: AwardAsk, plan: Plan, standing: Standing, amount: int, parts: list[AwardPart]
    ) -> tuple[Planned, AwardView]:
        """Plan the transfer of an award and tell of it."""
        told, request = len(self.tx.events), ask.by or self.tx.request
        recorded = request.recorded
        try:
            with self.book.atomic():
                made = self.book.transfer(
                    MINT, ask.character_id, plan.currency, amount, kind=AWARD, reason=plan.reason,
                    reference=ask.reference,
                )  # fmt: skip
                return made, self.told(ask, plan, standing, made, parts)
        except Refused:
            del self.tx.events[told:]  # one event may be too many after another
            request.recorded = recorded
            raise

    def _weighed(self, ask: AwardAsk, plan: Plan, standing: Standing, amount: int) -> Weighed:
        """What the checks against abuse say. Refuses `award_limited`; a refusal is remembered at once."""
        limits = None if plan.rule is None else plan.rule.limits
        in_points = plan.currency == POINTS
        key = ask.character_id, plan.action
        weighed = weigh(
            limits, self.world.guards, self.memories.get(key, FRESH),
            Habit(standing.recent, standing.sizes if in_points else NO_SIZES),
            self.statistics.get(plan.action, NO_SIZES), amount, self.moment,
        )  # fmt: skip
        if weighed.judgement.outcome == "refuse":
            self._remember(ask, plan, standing, weighed)
            self._found(ask, plan, weighed.judgement)
            raise weighed.judgement.refused(self.moment)
        return weighed

    def _remember(self, ask: AwardAsk, plan: Plan, standing: Standing, weighed: Weighed) -> None:
        """Let the checks know of it. What the ledger refuses is not remembered."""
        if plan.rule is not None and plan.rule.limits is not None:
            self.memories[ask.character_id, plan.action] = weighed.memory
        standing.recent, standing.touched = weighed.habit.recent, True
        if plan.currency == POINTS:
            standing.sizes = weighed.habit.sizes
        if self.world.guards.outlier is not None:
            self.statistics[plan.action] = weighed.sizes

    def _name(self, finding: Finding, made: Planned | HoldState, view: AwardView) -> None:
        """Let the finding name what was given or waits, and the answer name the finding."""
        if isinstance(made, HoldState):
            finding.hold_id = made.id
            self.waiting.append((made, finding))
        else:
            finding.transfer_id = made.id
        view.outcome, view.verdict_id = finding.judgement.outcome, finding.id
        self.named.append(view)

    def _found(self, ask: AwardAsk, plan: Plan, judgement: Judgement) -> Finding:
        cause = ask.cause.id if ask.cause is not None else (ask.by or self.tx.request).id
        return self.findings.add(
            ask.character_id, plan.action, judgement, by=ask.by, cause=cause, heard=ask.cause
        )

    def told(
        self, ask: AwardAsk, plan: Plan, standing: Standing, made: Planned, parts: list[AwardPart]
    ) -> AwardView:
        """Tell of an award that was planned, and of the level that it may bring."""
        assert made.credit_after is not None
        levels = plan.currency == POINTS
        more = min(made.amount, rules.MOST_EARNED - standing.earned) if levels else 0
        earned = standing.earned + more
        record = self.tx.emit(
            Awarded(
                character_id=ask.character_id, currency=plan.currency, amount=made.amount, asked=plan.base,
                action=ask.action, reason=plan.reason, parts=parts, earned=earned,
                reference=ask.reference, transfer_id=made.id,
            ),
            by=ask.by, cause=ask.cause,
        )  # fmt: skip
        self.book.told(made, record.id)
        if levels:
            standing.level = self._level(ask, standing.level, earned)
        standing.earned, standing.more = earned, standing.more + more
        return AwardView(
            character_id=ask.character_id, currency=plan.currency, amount=made.amount, asked=plan.base,
            parts=parts, balance=made.credit_after, earned=earned, level=standing.level,
            reference=ask.reference, transfer_id=made.id,
        )  # fmt: skip

    def _level(self, ask: AwardAsk, previous: int, earned: int) -> int:
        """The level of who has earned so much, told if it is a higher one."""
        level = self.world.curve.level(earned)
        if level > previous:
            reached = LevelReached(
                character_id=ask.character_id, level=level, previous=previous, title=self.world.title(level),
                earned=earned,
            )  # fmt: skip
            self.tx.emit(reached, by=ask.by, cause=ask.cause)
        return level

    def _held(
        self, ask: AwardAsk, plan: Plan, standing: Standing, amount: int, parts: list[AwardPart]
    ) -> tuple[HoldState, AwardView]:
        """Let an award wait for a game master."""
        hold = self.book.hold(
            MINT, ask.character_id, plan.currency, amount, kind=AWARD, reason=plan.reason,
            reference=ask.reference,
        )  # fmt: skip
        return hold, AwardView(
            character_id=ask.character_id, currency=plan.currency, amount=0, asked=plan.base, parts=parts,
            balance=self._balance(ask, plan), earned=standing.earned, level=standing.level,
            reference=ask.reference, transfer_id=None, hold_id=hold.id,
        )  # fmt: skip

    def _earlier(self, ask: AwardAsk, plan: Plan, standing: Standing) -> AwardView | None:
        """The award that has this reference already. Refuses `reference_reused` if it was another one."""
        assert ask.reference is not None
        found = self._with_reference(ask.reference)
        if found is None:
            return None
        hold = self.book.earlier_holds.get(ask.reference)
        # What a rule gives may have changed since, and a check may have let through less than was asked for.
        same = plan.rule is not None or plan.base == self.asked.get(found.id, found.amount)
        terms = found.debit, found.credit, found.currency, found.kind
        if not same or terms != (MINT, ask.character_id, plan.currency, AWARD):
            raise REFERENCE_REUSED(
                f"Something else has the reference {ask.reference!r}.", reference=ask.reference
            )
        transfer = self.book.earlier.get(ask.reference)
        return AwardView(
            character_id=ask.character_id, currency=plan.currency,
            amount=0 if transfer is None else transfer.amount, asked=plan.base, parts=[],
            balance=self._balance(ask, plan), earned=standing.earned, level=standing.level,
            reference=ask.reference, transfer_id=None if transfer is None else transfer.id,
            hold_id=None if hold is None else hold.id, replayed=True,
        )  # fmt: skip

    def _balance(self, ask: AwardAsk, plan: Plan) -> int:
        account = self.book.accounts.get((ask.character_id, plan.currency))
        return 0 if account is None else account.balance

    # -- all of them -----------------------------------------------------------------------------------------

    async def write(self) -> None:
        """Store what was decided. The findings come first: their events are those that tell of holds."""
        start = len(self.tx.events)
        await self.findings.write()
        for view in self.named:
            if view.verdict_id in self.findings.renamed:
                view.verdict_id = self.findings.renamed[view.verdict_id]
        if self.waiting:
            told = {
                record.event.verdict_id: record.id
                for record in self.tx.events[start:] if isinstance(record.event, AbuseSuspected)
            }  # fmt: skip
            for hold, finding in self.waiting:
                self.book.told(hold, told[finding.id])
        await ledger.write(self.tx, self.book)
        await self._write_standings()
        await self._write_memories()
        for new, sql in ((False, CHANGE_STATISTICS), (True, ADD_STATISTICS)):
            found = [(a, s) for a, s in self.statistics.items() if (a not in self.counted) is new]
            if found:
                await self.tx.execute(
                    sql, self.tx.world_id, [a for a, _ in found], [s.awards for _, s in found],
                    [s.mean for _, s in found], [s.spread for _, s in found],
                )  # fmt: skip

    async def _write_standings(self) -> None:
        for there, sql in ((True, CHANGE_STANDINGS), (False, ADD_STANDINGS)):
            found = [(who, s) for who, s in self.standings.items() if s.touched and s.there is there]
            if found:
                standings = [s for _, s in found]
                await self.tx.execute(
                    sql, self.tx.world_id, array_of([who for who, _ in found]),
                    array_of([s.more for s in standings]), array_of([s.level for s in standings]),
                    array_of([s.streak for s in standings]), array_of([s.streak_day for s in standings]),
                    [array_of(s.recent) for s in standings], array_of([s.sizes.awards for s in standings]),
                    array_of([s.sizes.mean for s in standings]), array_of([s.sizes.spread for s in standings]),
                )  # fmt: skip

    async def _write_memories(self) -> None:
        for new, sql in ((False, CHANGE_MEMORIES), (True, ADD_MEMORIES)):
            found = [(key, m) for key, m in self.memories.items() if (key not in self.remembered) is new]
            if found:
                await self.tx.execute(
                    sql, self.tx.world_id, [key[0] for key, _ in found], [key[1] for key, _ in found],
                    [array_of(m.times) for _, m in found], [m.last_at for _, m in found],
                    [m.day for _, m in found], [m.day_count for _, m in found], [m.day_amount for _, m in found],
                )  # fmt: skip


_NO_PARTS: Final[list[AwardPart]] = []
_BY_VALUE: Final = attrgetter("int")
"""Orders ids as they order themselves, but faster."""
