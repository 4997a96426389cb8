"""Awards, many at a time: rule, amount, multipliers, guards, transfer, standing, level.

Everything is loaded, decided and written for the whole batch at once; a single award is a batch of one. Beside
`service.py`, since it is the hottest path there is. Locks are taken in the order accounts, standings, what is
remembered of actions, statistics of actions.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from fablewright.core.clock import DAY
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
    weigh,
)
from fablewright.systems.points.rules import POINTS, Bonus, PointsWorld, Rule
from fablewright.systems.points.verdicts import Finding, Findings
from fablewright.systems.points.views import AwardView

AWARD: Final = "award"
"""The kind of the transfers and holds that awards are."""
PLAIN: Final = "*"
"""Stands for the action where an amount is awarded without a rule."""

# Standings are locked, characters only looked at. Who has none yet gets one with the first award; two first ones at
# once fail on its key, and one of them runs again. (OFFSET 0: one look into the index for each, whatever young
# statistics say.)
STANDINGS: Final = """
SELECT c.id, s.earned, s.level, s.streak, s.streak_day, s.recent, s.awards, s.mean, s.spread
FROM unnest($2::text::uuid[]) AS v (id)
CROSS JOIN LATERAL (
    SELECT id FROM characters WHERE world_id = $1 AND id = v.id AND num_nulls(deleted_at) = 1 OFFSET 0
) c
LEFT JOIN LATERAL (
    SELECT * FROM standings WHERE world_id = $1 AND character_id = v.id FOR NO KEY UPDATE
) s ON true
"""
_STANDINGS: Final = (
    "unnest($2::text::uuid[], $3::text::bigint[], $4::text::int[], $5::text::int[], $6::text::bigint[], $7::text[], "
    "$8::text::bigint[], $9::text::float8[], $10::text::float8[]) "
    "AS v (character_id, earned, level, streak, streak_day, recent, awards, mean, spread)"
)
CHANGE_STANDINGS: Final = f"""
UPDATE standings s
SET earned = s.earned + v.earned, level = v.level, streak = v.streak, streak_day = v.streak_day,
    recent = v.recent::bigint[], awards = v.awards, mean = v.mean, spread = v.spread
FROM {_STANDINGS} WHERE s.world_id = $1 AND s.character_id = v.character_id
"""  # noqa: S608
ADD_STANDINGS: Final = f"""
INSERT INTO standings (world_id, character_id, earned, level, streak, streak_day, recent, awards, mean, spread)
SELECT $1, character_id, earned, level, streak, streak_day, recent::bigint[], awards, mean, spread
FROM {_STANDINGS} ORDER BY character_id
"""  # noqa: S608
MEMORIES: Final = """
SELECT a.character_id, a.action, a.times, a.last_at, a.day, a.day_count, a.day_amount
FROM unnest($2::uuid[], $3::text[]) AS v (character_id, action)
JOIN action_states a ON a.world_id = $1 AND a.character_id = v.character_id AND a.action = v.action
ORDER BY a.character_id, a.action FOR NO KEY UPDATE OF a
"""
_MEMORIES: Final = (
    "unnest($2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[]) "
    "AS v (character_id, action, times, last_at, day, day_count, day_amount)"
)
CHANGE_MEMORIES: Final = f"""
UPDATE action_states a
SET times = v.times::bigint[], last_at = v.last_at, day = v.day, day_count = v.day_count, day_amount = v.day_amount
FROM {_MEMORIES} WHERE a.world_id = $1 AND a.character_id = v.character_id AND a.action = v.action
"""  # noqa: S608
ADD_MEMORIES: Final = f"""
INSERT INTO action_states (world_id, character_id, action, times, last_at, day, day_count, day_amount)
SELECT $1, character_id, action, times::bigint[], last_at, day, day_count, day_amount
FROM {_MEMORIES} ORDER BY character_id, action
"""  # noqa: S608
STATISTICS: Final = """
SELECT action, awards, mean, spread FROM action_statistics
WHERE world_id = $1 AND action = ANY($2::text[]) ORDER BY action FOR NO KEY UPDATE
"""
CHANGE_STATISTICS: Final = """
UPDATE action_statistics s SET awards = v.awards, mean = v.mean, spread = v.spread
FROM unnest($2::text[], $3::bigint[], $4::float8[], $5::float8[]) AS v (action, awards, mean, spread)
WHERE s.world_id = $1 AND s.action = v.action
"""
ADD_STATISTICS: Final = """
INSERT INTO action_statistics (world_id, action, awards, mean, spread)
SELECT $1, * FROM unnest($2::text[], $3::bigint[], $4::float8[], $5::float8[]) AS v ORDER BY 2
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


@dataclass(slots=True)
class Standing:
    """A standing as it is after the awards of the batch so far."""

    there: bool
    earned: int = 0
    level: int = 1
    streak: int = 0
    streak_day: int | None = None
    recent: tuple[int, ...] = ()
    sizes: Distribution = NO_SIZES
    more: int = 0
    """How much of `earned` this batch has added."""
    touched: bool = False


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
        self.now, self.day = tx.now, tx.now // DAY
        self.moment = verdicts.moment_of(tx)
        self.findings = Findings(tx)
        self.bonuses: list[Bonus] = [b for b in world.bonuses if b.from_ms <= tx.now < b.until_ms]
        self.checked = world.guards != NO_GUARDS
        self.waiting: list[tuple[HoldState, Finding]] = []
        self.memories: dict[tuple[UUID, str], ActionMemory] = {}
        self.statistics: dict[str, Distribution] = {}
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
        finding: Finding | None = None
        weighs = ask.guarded and (self.checked or (plan.rule is not None and plan.rule.limits is not None))
        if weighs:
            amount, parts, finding = self._guarded(ask, plan, standing, amount, parts)
        self.book.new_id = self.tx.new_id if ask.by is None else ledger.ids_for(self.tx, ask.by)
        if finding is not None and finding.judgement.outcome == "quarantine":
            return self._held(ask, plan, standing, amount, parts, finding)
        made = self.book.transfer(
            MINT,
            ask.character_id,
            plan.currency,
            amount,
            kind=AWARD,
            reason=plan.reason,
            reference=ask.reference,
        )
        if finding is not None:
            finding.transfer_id = made.id
        standing.streak, standing.streak_day, standing.touched = streak, self.day, True
        if ask.guarded and not weighs and plan.currency == POINTS:
            standing.sizes = standing.sizes.plus(amount)
        return self.told(ask, plan, standing, made, parts, finding)

    def _guarded(
        self, ask: AwardAsk, plan: Plan, standing: Standing, amount: int, parts: list[AwardPart]
    ) -> tuple[int, list[AwardPart], Finding | None]:
        """The amount that the checks against abuse leave. Refuses `award_limited`."""
        self._check_room(ask, plan, amount)
        limits = None if plan.rule is None else plan.rule.limits
        in_points = plan.currency == POINTS
        key = ask.character_id, plan.action
        weighed = weigh(
            limits, self.world.guards, self.memories.get(key, FRESH),
            Habit(standing.recent, standing.sizes if in_points else NO_SIZES),
            self.statistics.get(plan.action, NO_SIZES), amount, self.moment,
        )  # fmt: skip
        if limits is not None:
            self.memories[key] = weighed.memory
        standing.recent, standing.touched = weighed.habit.recent, True
        if in_points:
            standing.sizes = weighed.habit.sizes
        if self.world.guards.outlier is not None:
            self.statistics[plan.action] = weighed.sizes
        judgement = weighed.judgement
        if judgement.outcome is None:
            return amount, parts, None
        finding = self._found(ask, plan, judgement)
        if judgement.outcome == "refuse":
            raise judgement.refused(self.moment)
        if judgement.given < amount:
            parts = [*parts, AwardPart(what=f"limit: {judgement.guard}", factor=judgement.given / amount)]
        return judgement.given, parts, finding

    def _check_room(self, ask: AwardAsk, plan: Plan, amount: int) -> None:
        """What the ledger would refuse shall not be remembered as an award. Refuses as `Book.transfer` does."""
        with suppress(_Undone), self.book.atomic():
            self.book.transfer(MINT, ask.character_id, plan.currency, amount, kind=AWARD, reason=plan.reason)
            raise _Undone

    def _found(self, ask: AwardAsk, plan: Plan, judgement: Judgement) -> Finding:
        cause = ask.cause.id if ask.cause is not None else (ask.by or self.tx.request).id
        return self.findings.add(ask.character_id, plan.action, judgement, by=ask.by, cause=cause)

    def told(
        self, ask: AwardAsk, plan: Plan, standing: Standing, made: Planned, parts: list[AwardPart],
        finding: Finding | None,
    ) -> AwardView:  # fmt: skip
        """Tell of an award that was planned, and of the level that it may bring."""
        assert made.credit_after is not None
        levels = plan.currency == POINTS
        if levels:
            more = min(made.amount, rules.MOST_EARNED - standing.earned)
            standing.earned += more
            standing.more += more
        record = self.tx.emit(
            Awarded(
                character_id=ask.character_id, currency=plan.currency, amount=made.amount, asked=plan.base,
                action=ask.action, reason=plan.reason, parts=parts, balance=made.credit_after,
                earned=standing.earned, reference=ask.reference, transfer_id=made.id,
            ),
            by=ask.by, cause=ask.cause,
        )  # fmt: skip
        self.book.told(made, record.id)
        if levels:
            self._level(ask, standing)
        return AwardView(
            character_id=ask.character_id, currency=plan.currency, amount=made.amount, asked=plan.base,
            parts=parts, balance=made.credit_after, earned=standing.earned, level=standing.level,
            reference=ask.reference, transfer_id=made.id, verdict_id=None if finding is None else finding.id,
            outcome=None if finding is None else finding.judgement.outcome,
        )  # fmt: skip

    def _level(self, ask: AwardAsk, standing: Standing) -> None:
        level = self.world.curve.level(standing.earned)
        previous, standing.level = standing.level, level
        if level > previous:
            reached = LevelReached(
                character_id=ask.character_id, level=level, previous=previous, title=self.world.title(level),
                earned=standing.earned,
            )  # fmt: skip
            self.tx.emit(reached, by=ask.by, cause=ask.cause)

    def _held(
        self, ask: AwardAsk, plan: Plan, standing: Standing, amount: int, parts: list[AwardPart],
        finding: Finding,
    ) -> AwardView:  # fmt: skip
        """Let an award wait for a game master."""
        hold = self.book.hold(
            MINT,
            ask.character_id,
            plan.currency,
            amount,
            kind=AWARD,
            reason=plan.reason,
            reference=ask.reference,
        )
        finding.hold_id = hold.id
        self.waiting.append((hold, finding))
        return AwardView(
            character_id=ask.character_id, currency=plan.currency, amount=0, asked=plan.base, parts=parts,
            balance=self._balance(ask, plan), earned=standing.earned, level=standing.level,
            reference=ask.reference, transfer_id=None, hold_id=hold.id, outcome="quarantine",
            verdict_id=finding.id,
        )  # fmt: skip

    def _earlier(self, ask: AwardAsk, plan: Plan, standing: Standing) -> AwardView | None:
        """The award that has this reference already. Refuses `reference_reused` if it was another one."""
        assert ask.reference is not None
        found: Planned | HoldState | None = self.book.earlier.get(ask.reference)
        hold = self.book.earlier_holds.get(ask.reference)
        if found is None and hold is None:
            return None
        found = found or hold
        assert found is not None
        # What a rule gives may have changed since, and what a check lets through of an amount.
        same = (
            plan.rule is not None or found.amount == plan.base or (self.checked and found.amount < plan.base)
        )
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


class _Undone(Exception):
    """Ends a trial."""


_NO_PARTS: Final[list[AwardPart]] = []
_BY_VALUE: Final = attrgetter("int")
"""Orders ids as they order themselves, but faster."""


def standing_of(row: Any) -> Standing:
    """A standing from a row of `STANDINGS`."""
    if row[1] is None:
        return Standing(False)
    return Standing(True, row[1], row[2], row[3], row[4], tuple(row[5]), Distribution(row[6], row[7], row[8]))
