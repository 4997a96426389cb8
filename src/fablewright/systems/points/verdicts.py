"""What the checks against abuse found: kept with its evidence, told to game masters, and reviewed by them.

Beside `service.py`, since it is a noun of its own: awards and gifts ask the guards and hand here what these found.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from uuid import UUID

import orjson
from pydantic import BaseModel

from fablewright.core.dice import derived_uuid
from fablewright.core.transaction import EventRecord, Request, Transaction
from fablewright.systems.points import guards
from fablewright.systems.points.events import AbuseSuspected
from fablewright.systems.points.guards import Gift, GiftCircle, Judgement, Moment

GIFT: Final = "gift"
"""The action of what is found about gifts."""
GIFT_KIND: Final = "points.gift"
"""The kind of the transfers and holds that gifts are."""
MOST_BACK: Final = 500
"""How many payments of an account are looked at for gifts, the last ones."""
MOST_ACCOUNTS: Final = 2_000
"""At how many accounts the search for circles gives up."""

State = Literal["noted", "open", "released", "confirmed", "forgiven"]

# Refusals and reductions of one check, action and character on one world day share a row, whose id follows from
# these. Who made it gets back the `times` it came with. What a game master has decided stays; the next row begins.
RECORD: Final = """
INSERT INTO abuse_verdicts AS v (world_id, id, character_id, action, guard, outcome, evidence, asked, given, hold_id,
                                 transfer_id, state, times, at)
SELECT $1, n.id, n.character_id, n.action, n.guard, n.outcome, n.evidence, n.asked, n.given, n.hold_id,
       n.transfer_id, n.state, n.times, $13
FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::jsonb[], $8::bigint[], $9::bigint[],
            $10::uuid[], $11::uuid[], $12::text[], $14::bigint[])
     AS n (id, character_id, action, guard, outcome, evidence, asked, given, hold_id, transfer_id, state, times)
ORDER BY n.id
ON CONFLICT (world_id, id) DO UPDATE SET
    evidence = excluded.evidence, asked = excluded.asked, given = excluded.given, times = v.times + excluded.times,
    state = excluded.state
WHERE v.reviewed_at IS NULL
RETURNING v.id, v.times
"""
GIFTS: Final = """
SELECT f.currency, g.debit, g.credit, g.amount, g.at, g.id
FROM unnest($2::uuid[], $3::text[]) AS f (owner_id, currency)
CROSS JOIN LATERAL (
    SELECT t.debit, t.credit, t.amount, t.at, t.id, t.kind, t.number FROM ledger_transfers t
    WHERE t.world_id = $1 AND t.debit = f.owner_id AND t.currency = f.currency ORDER BY t.number DESC LIMIT $5
) g
WHERE g.kind = 'points.gift' AND g.at > $4
ORDER BY g.number
"""
VERDICT: Final = (
    "id, character_id, action, guard, outcome, evidence::text AS evidence, asked, given, hold_id, transfer_id, "
    "state, times, at, reviewed_at, reviewed_by, note"
)


def moment_of(tx: Transaction) -> Moment:
    """When it is, for the guards."""
    clock = tx.world.clock
    return Moment(tx.now, tx.real_ms, clock.rate if clock.running else None, tx.world.calendar)


# -- recording -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Finding:
    """What a check found about one award or gift, asked for `by` a request of a batch or because an event was `heard`.

    Whoever gives or holds it sets `transfer_id` or `hold_id`.
    """

    id: UUID
    character_id: UUID
    action: str
    judgement: Judgement
    by: Request | None
    heard: EventRecord | None = None
    hold_id: UUID | None = None
    transfer_id: UUID | None = None
    times: int = 1

    @property
    def state(self) -> State:
        """Flagged and held ones wait for a game master; the others are only noted."""
        return "open" if self.judgement.outcome in ("flag", "quarantine") else "noted"


@dataclass(slots=True)
class Findings:
    """The findings of one batch. `add` them as they are made, `write` them at its end."""

    tx: Transaction
    renamed: dict[UUID, UUID] = field(default_factory=dict)
    """By the id that it had, the id under which a finding is stored, where the verdict that it would have joined was
    reviewed already."""
    _found: dict[UUID, Finding] = field(default_factory=dict)
    _numbers: dict[UUID, int] = field(default_factory=dict)

    def add(
        self, character_id: UUID, action: str, judgement: Judgement, *, by: Request | None, cause: UUID,
        heard: EventRecord | None = None,
    ) -> Finding:  # fmt: skip
        """Keep a finding. `cause` is what asked for the award: the id of a request that will not run again once it
        is done, or that of an event."""
        assert judgement.outcome is not None
        if judgement.outcome in ("refuse", "reduce"):
            day = self.tx.world.calendar.day_number(self.tx.now)
            key = (self.tx.world_id, character_id, action, judgement.guard, judgement.outcome, day)
            verdict_id = derived_uuid("verdict", *key)
        else:
            number = self._numbers[cause] = self._numbers.get(cause, 0) + 1
            verdict_id = derived_uuid("verdict", cause, character_id, number)
        before = self._found.get(verdict_id)
        found = Finding(verdict_id, character_id, action, judgement, by, heard)
        if before is not None:
            found.times = before.times + 1
        self._found[verdict_id] = found
        return found

    async def write(self) -> None:
        """Store the findings, and tell game masters of those that are new."""
        found = list(self._found.values())
        if not found:
            return
        new: set[UUID] = set()
        left, turn = found, 0
        while left:
            stored = await self._store(left)
            new |= {f.id for f in left if stored.get(f.id) == f.times}
            left, turn = [f for f in left if f.id not in stored], turn + 1
            for one in left:
                first = next((was for was, now in self.renamed.items() if now == one.id), one.id)
                one.id = self.renamed[first] = derived_uuid("verdict", first, turn)
        for one in found:
            # That returns diminish is how a rule works, not a suspicion.
            if one.id in new and (one.judgement.guard, one.judgement.outcome) != ("diminishing", "reduce"):
                self._tell(one)

    async def _store(self, found: Sequence[Finding]) -> dict[UUID, int]:
        """How often each was found on its day, by id; without those whose verdict is reviewed."""
        judged = [f.judgement for f in found]
        rows = await self.tx.fetch(
            RECORD, self.tx.world_id, [f.id for f in found], [f.character_id for f in found],
            [f.action for f in found], [j.guard for j in judged], [j.outcome for j in judged],
            [orjson.dumps(_evidence(j)).decode() for j in judged], [j.asked for j in judged],
            [j.given for j in judged], [f.hold_id for f in found], [f.transfer_id for f in found],
            [f.state for f in found], self.tx.now, [f.times for f in found],
        )  # fmt: skip
        return {row["id"]: row["times"] for row in rows}

    def _tell(self, one: Finding) -> None:
        """A request that was refused has no part in this commit, so the event gets a request of its own."""
        judgement, request = one.judgement, one.by
        if judgement.outcome == "refuse":
            asker = one.by or self.tx.request
            request = Request(
                asker.command, asker.actor, derived_uuid("suspected", one.id), asker.correlation_id, asker.role,
                recorded=True, cause=asker.cause,
            )  # fmt: skip
        self.tx.emit(
            AbuseSuspected(
                character_id=one.character_id, verdict_id=one.id, action=one.action, guard=judgement.guard or "",
                outcome=judgement.outcome or "", evidence=_evidence(judgement), asked=judgement.asked,
                given=judgement.given, hold_id=one.hold_id, transfer_id=one.transfer_id,
            ),
            by=request, cause=one.heard,
        )  # fmt: skip


def _evidence(judgement: Judgement) -> dict[str, Any]:
    return {**judgement.evidence, "retry_at": judgement.retry_at, "clock": judgement.clock}


# -- gift circles --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GiftAsk:
    """A gift that somebody wants to make."""

    from_id: UUID
    to_id: UUID
    currency: str
    amount: int


@dataclass(slots=True)
class GiftCircles:
    """What is known of earlier gifts that may lead back to the givers of a batch."""

    guard: GiftCircle | None
    now: int
    _gifts: dict[str, list[Gift]] = field(default_factory=dict)

    @staticmethod
    async def load(tx: Transaction, guard: GiftCircle | None, asks: Iterable[GiftAsk]) -> "GiftCircles":
        """Look at the gifts of those who shall get one, of those to whom they gave, and so on: one statement per step.

        Lock the accounts first: then of two gifts that close a circle of up to three, the second sees the first.
        """
        circles = GiftCircles(guard, tx.now)
        edge = {(ask.to_id, ask.currency) for ask in asks} if guard is not None else set()
        seen = set(edge)
        for _ in range(guard.most_steps - 1 if guard is not None else 0):
            if not edge or len(seen) > MOST_ACCOUNTS:
                break
            asked = sorted(edge)
            assert guard is not None
            rows = await tx.fetch(
                GIFTS, tx.world_id, [a[0] for a in asked], [a[1] for a in asked], tx.now - guard.ms, MOST_BACK
            )
            edge = set()
            for row in rows:
                gift = Gift(row["debit"], row["credit"], row["amount"], row["at"], row["id"])
                circles.made(row["currency"], gift)
                if (gift.to_id, row["currency"]) not in seen:
                    edge.add((gift.to_id, row["currency"]))
            seen |= edge
        return circles

    def made(self, currency: str, gift: Gift) -> None:
        """Let those after it in the batch know of a gift."""
        if self.guard is not None:
            self._gifts.setdefault(currency, []).append(gift)

    def judge(self, ask: GiftAsk) -> Judgement:
        """What the check for circles says of a gift."""
        known = self._gifts.get(ask.currency)
        if self.guard is None or not known:
            return Judgement(ask.amount, ask.amount)
        return guards.closing(self.guard, ask.from_id, ask.to_id, ask.amount, known, self.now)


# -- what is read --------------------------------------------------------------------------------------------


class VerdictView(BaseModel):
    """What a check found, on what evidence, and what came of it. Times are world ms."""

    id: UUID
    character_id: UUID
    action: str
    guard: str
    outcome: str
    evidence: dict[str, Any]
    asked: int
    given: int
    hold_id: UUID | None
    transfer_id: UUID | None
    state: State
    times: int
    at: int
    reviewed_at: int | None
    reviewed_by: str | None
    note: str | None


def verdict_view(row: Any) -> VerdictView:
    """A verdict from a row with the columns `VERDICT`."""
    return VerdictView(**{**dict(row), "evidence": orjson.loads(row["evidence"])})


async def list_page(
    connection: Any, world_id: UUID, *, state: State | None, character_id: UUID | None,
    after: Sequence[Any] | None, limit: int,
) -> list[VerdictView]:  # fmt: skip
    """Verdicts, the newest first, after the position (at, id)."""
    wheres, args = ["world_id = $1"], [world_id, limit]
    if state is not None:
        # Its name stands in the text, so that the index of the open ones can be used.
        wheres.append(f"state = '{state}'")
    for clause, given in (("character_id = ${}", [character_id]), ("(at, id) < (${}, ${})", after)):
        if given and given[0] is not None:
            wheres.append(clause.format(*range(len(args) + 1, len(args) + 1 + len(given))))
            args += given
    rows = await connection.fetch(
        f"SELECT {VERDICT} FROM abuse_verdicts WHERE {' AND '.join(wheres)} "  # noqa: S608
        "ORDER BY at DESC, id DESC LIMIT $2",
        *args,
    )
    return [verdict_view(row) for row in rows]


async def find(connection: Any, world_id: UUID, verdict_id: UUID) -> VerdictView | None:
    """One verdict; None if there is none."""
    sql = f"SELECT {VERDICT} FROM abuse_verdicts WHERE world_id = $1 AND id = $2"  # noqa: S608
    row = await connection.fetchrow(sql, world_id, verdict_id)
    return verdict_view(row) if row is not None else None
