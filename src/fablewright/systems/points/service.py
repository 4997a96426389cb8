"""What the commands about points do. Higher systems award and grant titles through this module."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

import orjson

from fablewright.core.actors import Role
from fablewright.core.refusal import Refused
from fablewright.core.transaction import EventRecord, Request, Transaction
from fablewright.systems.ledger import service as ledger
from fablewright.systems.ledger.events import Held
from fablewright.systems.ledger.rules import CURRENCY_NOT_FOUND, for_payer, kept_reference
from fablewright.systems.ledger.service import MINT, SINK, Book, HoldState, Planned
from fablewright.systems.points import rules, verdicts, views
from fablewright.systems.points.awards import AwardAsk, award_many, defined
from fablewright.systems.points.commands import (
    Adjust,
    Award,
    AwardMany,
    ConfigurePoints,
    DefineAwardRule,
    EndBonus,
    Give,
    GrantTitle,
    RemoveAwardRule,
    RestoreStandings,
    RevokeTitle,
    Spend,
    StartBonus,
)
from fablewright.systems.points.events import (
    Adjusted,
    BonusEnded,
    BonusStarted,
    Configured,
    Given,
    RuleDefined,
    RuleRemoved,
    Spent,
    StandingsRestored,
    TitleGranted,
    TitleRevoked,
)
from fablewright.systems.points.guards import Gift
from fablewright.systems.points.verdicts import GIFT, GIFT_KIND, Finding, Findings, GiftAsk, GiftCircles
from fablewright.systems.points.views import (
    AwardsView,
    AwardView,
    BonusView,
    PaymentView,
    PointsSettings,
    RuleView,
)

__all__ = ["AwardAsk", "AwardView", "award_many", "defined", "grant_titles"]

SPEND: Final = "spend"
ADJUSTMENT: Final = "adjustment"

ALIVE: Final = (
    "SELECT id FROM characters WHERE world_id = $1 AND id = ANY($2::uuid[]) AND num_nulls(deleted_at) = 1"
)
LEVELS: Final = """
UPDATE standings SET level = 1 + width_bucket(earned, $2::bigint[])
WHERE world_id = $1 AND level <> 1 + width_bucket(earned, $2::bigint[])
"""
LOCK_HEAD: Final = "SELECT 1 FROM world_heads WHERE world_id = $1 FOR UPDATE"
TITLES: Final = """
INSERT INTO character_titles (world_id, character_id, title, source, at)
SELECT $1, v.*, $5 FROM unnest($2::uuid[], $3::text[], $4::text[]) AS v (character_id, title, source)
ORDER BY v.character_id, v.title
ON CONFLICT DO NOTHING RETURNING character_id, title
"""
RESTORE: Final = """
INSERT INTO standings (world_id, character_id, earned, level, streak, streak_day)
SELECT $1, v.* FROM unnest($2::uuid[], $3::bigint[], $4::int[], $5::int[], $6::bigint[])
    AS v (character_id, earned, level, streak, streak_day)
ORDER BY v.character_id
ON CONFLICT (world_id, character_id) DO UPDATE SET
    earned = excluded.earned, level = excluded.level, streak = excluded.streak, streak_day = excluded.streak_day
"""


# -- for higher systems --------------------------------------------------------------------------------------


async def grant_titles(
    tx: Transaction, grants: Sequence[tuple[UUID, str, str]], *, cause: EventRecord | None = None
) -> list[tuple[UUID, str]]:
    """Grant titles: (character, title, source) each. Returns (character, title) of those that are new to them."""
    wanted = {(who, title): source for who, title, source in grants}
    if not wanted:
        return []
    rows = await tx.fetch(
        TITLES,
        tx.world_id,
        [who for who, _ in wanted],
        [title for _, title in wanted],
        list(wanted.values()),
        tx.now,
    )
    new = sorted((row["character_id"], row["title"]) for row in rows)
    for who, title in new:
        tx.emit(TitleGranted(character_id=who, title=title, source=wanted[who, title]), cause=cause)
    return new


# -- what a world defines ------------------------------------------------------------------------------------


async def define_rule(tx: Transaction, command: DefineAwardRule) -> RuleView:
    """Make or change an award rule."""
    key, rule = command.key, command.rule
    if rule.on is not None and rules.loops(rule.on):
        raise rules.RULE_WOULD_LOOP(f"A rule cannot listen to {rule.on!r}.", on=rule.on)
    if rule.currency not in await ledger.currencies(tx):
        raise CURRENCY_NOT_FOUND(f"This world has no currency {rule.currency!r}.", currency=rule.currency)
    known = await defined(tx)
    if key not in known.rules and len(known.rules) >= rules.MOST_RULES:
        raise rules.TOO_MANY_RULES(f"A world can have {rules.MOST_RULES} award rules.", most=rules.MOST_RULES)
    await tx.execute(
        "INSERT INTO award_rules (world_id, id, key, spec) VALUES ($1, $2, $3, $4::jsonb) "
        "ON CONFLICT (world_id, key) DO UPDATE SET spec = excluded.spec",
        tx.world_id, tx.new_id(), key, rule.model_dump_json(),
    )  # fmt: skip
    tx.definitions_changed = True
    tx.emit(RuleDefined(key=key, rule=rule))
    return RuleView(key=key, rule=rule)


async def remove_rule(tx: Transaction, command: RemoveAwardRule) -> None:
    """Remove an award rule."""
    removed = await tx.execute(
        "DELETE FROM award_rules WHERE world_id = $1 AND key = $2", tx.world_id, command.key
    )
    if not removed:
        raise rules.RULE_NOT_FOUND(f"There is no award rule {command.key!r}.", key=command.key)
    tx.definitions_changed = True
    tx.emit(RuleRemoved(key=command.key))


async def start_bonus(tx: Transaction, command: StartBonus) -> BonusView:
    """Let a bonus event begin, now or later."""
    begins = tx.now if command.from_ms is None else command.from_ms
    if command.until_ms <= max(begins, tx.now):
        raise rules.BONUS_NEVER(f"It is {tx.now} in the world.", now=tx.now)
    world = await defined(tx)
    for key in command.rules or ():
        if key not in world.rules:
            raise rules.RULE_NOT_FOUND(f"There is no award rule {key!r}.", key=key)
    if len(world.bonuses) >= rules.MOST_BONUSES:
        raise rules.TOO_MANY_BONUSES(most=rules.MOST_BONUSES)
    view = BonusView(
        id=tx.new_id(), name=command.name, multiplier=command.multiplier, rules=command.rules,
        from_ms=begins, until_ms=command.until_ms,
    )  # fmt: skip
    await tx.execute(
        "INSERT INTO bonus_events (world_id, id, name, multiplier, rules, from_ms, until_ms) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7)",
        tx.world_id, view.id, view.name, view.multiplier, view.rules, view.from_ms, view.until_ms,
    )  # fmt: skip
    tx.definitions_changed = True
    tx.emit(BonusStarted(bonus_id=view.id, **view.model_dump(exclude={"id"})))
    return view


async def end_bonus(tx: Transaction, command: EndBonus) -> None:
    """End a bonus now; one that has not begun, or is over, is forgotten."""
    row = await tx.fetchrow(
        "SELECT name, from_ms, until_ms FROM bonus_events WHERE world_id = $1 AND id = $2 FOR UPDATE",
        tx.world_id, command.bonus_id,
    )  # fmt: skip
    if row is None:
        raise rules.BONUS_NOT_FOUND(bonus_id=str(command.bonus_id))
    if row["from_ms"] < tx.now < row["until_ms"]:
        await tx.execute(
            "UPDATE bonus_events SET until_ms = $3 WHERE world_id = $1 AND id = $2",
            tx.world_id, command.bonus_id, tx.now,
        )  # fmt: skip
    else:
        await tx.execute(
            "DELETE FROM bonus_events WHERE world_id = $1 AND id = $2", tx.world_id, command.bonus_id
        )
    tx.definitions_changed = True
    tx.emit(BonusEnded(bonus_id=command.bonus_id, name=row["name"]))


async def configure(tx: Transaction, command: ConfigurePoints) -> PointsSettings:
    """Choose levels, titles and guards; what is not named stays. Everybody's level follows the new curve."""
    await tx.execute(  # one at a time: the second begins from what the first chose
        "INSERT INTO points_settings (world_id, levels, guards) VALUES ($1, '{}'::jsonb, '{}'::jsonb) "
        "ON CONFLICT (world_id) DO UPDATE SET levels = points_settings.levels",
        tx.world_id,
    )  # fmt: skip
    before = await views.settings(tx, tx.world_id)
    after = PointsSettings(
        levels=before.levels if command.levels is None else command.levels,
        titles=before.titles if command.titles is None else sorted(command.titles, key=lambda t: t.level),
        guards=before.guards if command.guards is None else command.guards,
    )
    assert after.guards is not None
    thresholds = list(after.levels.curve().thresholds)
    stored = {**after.model_dump(mode="json", include={"levels", "titles"}), "thresholds": thresholds}
    await tx.execute(
        "UPDATE points_settings SET levels = $2::jsonb, guards = $3::jsonb WHERE world_id = $1",
        tx.world_id, orjson.dumps(stored).decode(), after.guards.model_dump_json(),
    )  # fmt: skip
    if after.levels != before.levels:
        # First all that can be seen, so that nobody whom this waits for waits for the head; then those whose awards
        # are committing. Who asks for the head after this runs again, with the new curve.
        await tx.execute(LEVELS, tx.world_id, thresholds)
        await tx.execute(LOCK_HEAD, tx.world_id)
        await tx.execute(LEVELS, tx.world_id, thresholds)
    tx.definitions_changed = True
    tx.emit(Configured(levels=after.levels, titles=after.titles, guards=after.guards))
    return after


# -- awards --------------------------------------------------------------------------------------------------


async def award(tx: Transaction, requests: Sequence[Request]) -> list[AwardView | Refused]:
    """Award; many of these commands cost little more than one."""
    asks = []
    for request in requests:
        command: Award = request.command  # type: ignore[assignment]
        asks.append(
            AwardAsk(
                command.character_id, command.action, command.amount, command.currency, command.reason,
                command.reference, command.data, request,
            )
        )  # fmt: skip
    return await award_many(tx, asks)


async def award_list(tx: Transaction, command: AwardMany) -> AwardsView:
    """Award a list, all of it or nothing."""
    asks = [
        AwardAsk(a.character_id, a.action, a.amount, a.currency, a.reason, a.reference, a.data)
        for a in command.awards
    ]
    results: list[AwardView] = []
    for index, result in enumerate(await award_many(tx, asks)):
        if isinstance(result, Refused):
            raise Refused(result.refusal, result.detail, result.facts | {"index": index})
        results.append(result)
    return AwardsView.model_construct(awards=results)


# -- spend, give, adjust -------------------------------------------------------------------------------------


async def spend(tx: Transaction, requests: Sequence[Request]) -> list[PaymentView | Refused]:
    """Let characters spend what they have."""
    commands: list[Spend] = [request.command for request in requests]  # type: ignore[misc]
    alive = await _alive(tx, (c.character_id for c in commands))
    book = await ledger.open_book(
        tx,
        [(c.character_id, c.currency) for c in commands],
        create=True,
        references=[kept_reference(c.character_id, c.reference) for c in commands],
    )
    results: list[PaymentView | Refused] = []
    for request, command in zip(requests, commands, strict=True):
        book.new_id = ledger.ids_for(tx, request)
        try:
            _must_live(alive, command.character_id)
            with book.atomic():
                made = book.transfer(
                    command.character_id, SINK, command.currency, command.amount, kind=SPEND,
                    reason=command.reason, reference=kept_reference(command.character_id, command.reference),
                )  # fmt: skip
                if not made.replayed:
                    assert made.debit_after is not None
                    spent = Spent(
                        character_id=command.character_id, currency=made.currency, amount=made.amount,
                        reason=command.reason, balance=made.debit_after, reference=command.reference,
                        transfer_id=made.id,
                    )  # fmt: skip
                    book.told(made, tx.emit(spent, by=request).id)
        except Refused as refused:
            results.append(for_payer(refused, command.reference, knows_all=_knows_all(request)))
            continue
        results.append(_payment(book, command.character_id, made, command.reference))
    await ledger.write(tx, book)
    return results


async def adjust(tx: Transaction, command: Adjust) -> PaymentView:
    """Put a balance right."""
    who, amount = command.character_id, command.amount
    if amount == 0:
        raise rules.ADJUSTED_BY_NOTHING()
    _must_live(await _alive(tx, [who]), who)
    book = await ledger.open_book(tx, [(who, command.currency)], create=True, references=[command.reference])
    debit, credit = (MINT, who) if amount > 0 else (who, SINK)
    made = book.transfer(
        debit, credit, command.currency, abs(amount), kind=ADJUSTMENT, reason=command.reason,
        reference=command.reference,
    )  # fmt: skip
    view = _payment(book, who, made, command.reference)
    view.amount = amount
    if not made.replayed:
        adjusted = Adjusted(
            character_id=who, currency=command.currency, amount=amount, reason=command.reason, balance=view.balance,
            reference=command.reference, transfer_id=made.id,
        )  # fmt: skip
        book.told(made, tx.emit(adjusted).id)
        await ledger.write(tx, book)
    return view


async def give(tx: Transaction, requests: Sequence[Request]) -> list[PaymentView | Refused]:
    """Let characters give to others of what they have."""
    commands: list[Give] = [request.command for request in requests]  # type: ignore[misc]
    alive = await _alive(tx, (who for c in commands for who in (c.from_id, c.to_id)))
    book = await ledger.open_book(
        tx, [(who, c.currency) for c in commands for who in (c.from_id, c.to_id)], create=True,
        references=[kept_reference(c.from_id, c.reference) for c in commands],
    )  # fmt: skip
    gifts = _Gifts(tx, book, (await defined(tx)).guards.gift_circle)
    await gifts.look_back(commands)
    results: list[PaymentView | Refused] = []
    for request, command in zip(requests, commands, strict=True):
        try:
            _must_live(alive, command.from_id)
            _must_live(alive, command.to_id)
            results.append(gifts.give(request, command))
        except Refused as refused:
            results.append(for_payer(refused, command.reference, knows_all=_knows_all(request)))
    await gifts.write()
    return results


class _Gifts:
    """What the gifts of one batch share."""

    def __init__(self, tx: Transaction, book: Book, guard: Any):
        self.tx, self.book, self.guard = tx, book, guard
        self.findings = Findings(tx)
        self.circles = GiftCircles(guard, tx.now)

    async def look_back(self, commands: Sequence[Give]) -> None:
        """Load the gifts that may lead back. The accounts are locked by now."""
        asks = [GiftAsk(c.from_id, c.to_id, c.currency, c.amount) for c in commands]
        self.circles = await GiftCircles.load(self.tx, self.guard, asks)

    def give(self, request: Request, command: Give) -> PaymentView:
        """Plan one gift. Refuses; a refused one may still leave a finding."""
        book = self.book
        book.new_id = ledger.ids_for(self.tx, request)
        terms: dict[str, Any] = {
            "kind": GIFT_KIND, "reason": command.reason,
            "reference": kept_reference(command.from_id, command.reference),
        }  # fmt: skip
        sides = command.from_id, command.to_id, command.currency, command.amount
        if terms["reference"] in book.earlier:  # what was decided then stays, whatever would be found now
            return _payment(book, command.from_id, book.transfer(*sides, **terms), command.reference)
        if terms["reference"] in book.earlier_holds:
            return _payment(book, command.from_id, book.hold(*sides, **terms), command.reference)
        judgement = self.circles.judge(
            GiftAsk(command.from_id, command.to_id, command.currency, command.amount)
        )
        if judgement.outcome == "refuse":
            try:
                with book.atomic():  # what cannot be given at all is no circle
                    book.transfer(*sides, **terms)
                    raise _Undone
            except _Undone:
                pass
            self._found(request, command, judgement)
            raise judgement.refused(verdicts.moment_of(self.tx))
        if judgement.outcome == "quarantine":
            with book.atomic():
                hold = book.hold(*sides, **terms)
                told = Held.of(replace(hold, reference=command.reference))
                book.told(hold, self.tx.emit(told, by=request).id)
            self._found(request, command, judgement).hold_id = hold.id
            return _payment(book, command.from_id, hold, command.reference)
        made = self._given(request, command, sides, terms)
        if judgement.outcome is not None:
            self._found(request, command, judgement).transfer_id = made.id
        return _payment(book, command.from_id, made, command.reference)

    def _found(self, request: Request, command: Give, judgement: Any) -> Finding:
        return self.findings.add(command.from_id, GIFT, judgement, by=request, cause=request.id)

    def _given(self, request: Request, command: Give, sides: Any, terms: dict[str, Any]) -> Planned:
        """Plan a gift and tell of it."""
        with self.book.atomic():
            made = self.book.transfer(*sides, **terms)
            given = Given(
                from_id=command.from_id, to_id=command.to_id, currency=made.currency, amount=made.amount,
                reason=command.reason, reference=command.reference, transfer_id=made.id,
            )  # fmt: skip
            self.book.told(made, self.tx.emit(given, by=request).id)
        self.circles.made(
            made.currency, Gift(command.from_id, command.to_id, made.amount, self.tx.now, made.id)
        )
        return made

    async def write(self) -> None:
        """Store what was decided."""
        await self.findings.write()
        await ledger.write(self.tx, self.book)


class _Undone(Exception):
    """Ends a trial."""


def _payment(book: Book, who: UUID, made: Planned | HoldState, reference: str | None) -> PaymentView:
    """How a payment is answered: with the reference it was sent with, and what is left to who paid or was adjusted."""
    account = book.accounts.get((who, made.currency))
    held = isinstance(made, HoldState)
    return PaymentView(
        currency=made.currency, amount=made.amount, balance=0 if account is None else account.balance,
        available=0 if account is None else account.available, reference=reference,
        transfer_id=None if held else made.id, hold_id=made.id if held else None,
        replayed=made.replayed,
    )  # fmt: skip


def _knows_all(request: Request) -> bool:
    """Whether who asks may know what others have."""
    return (request.role or Role.OBSERVER) >= Role.GAME_MASTER


async def _alive(tx: Transaction, ids: Iterable[UUID]) -> set[UUID]:
    return {row["id"] for row in await tx.fetch(ALIVE, tx.world_id, list(set(ids)))}


def _must_live(alive: set[UUID], character_id: UUID) -> None:
    if character_id not in alive:
        raise rules.CHARACTER_NOT_FOUND(character_id=str(character_id))


# -- titles, standings ---------------------------------------------------------------------------------------


async def grant_title(tx: Transaction, command: GrantTitle) -> dict[str, Any]:
    """Grant a title; one that the character has already is told to nobody."""
    _must_live(await _alive(tx, [command.character_id]), command.character_id)
    new = await grant_titles(tx, [(command.character_id, command.title, command.source)])
    return {"title": command.title, "new": bool(new)}


async def revoke_title(tx: Transaction, command: RevokeTitle) -> None:
    """Take a granted title away."""
    source = await tx.fetchval(
        "DELETE FROM character_titles WHERE world_id = $1 AND character_id = $2 AND title = $3 RETURNING source",
        tx.world_id, command.character_id, command.title,
    )  # fmt: skip
    if source is None:
        raise rules.TITLE_NOT_FOUND(character_id=str(command.character_id), title=command.title)
    tx.emit(TitleRevoked(character_id=command.character_id, title=command.title, source=source))


async def restore_standings(tx: Transaction, command: RestoreStandings) -> dict[str, int]:
    """Set what characters have earned, their streaks and titles; without events for each."""
    given = sorted(command.standings, key=lambda s: s.character_id)
    ids = [s.character_id for s in given]
    alive = await _alive(tx, ids)
    for who in ids:
        _must_live(alive, who)
    curve, today = (await defined(tx)).curve, tx.world.calendar.day_number(tx.now)
    await tx.execute(
        RESTORE, tx.world_id, ids, [s.earned for s in given], [curve.level(s.earned) for s in given],
        [s.streak for s in given], [today if s.streak and s.streak_day is None else s.streak_day for s in given],
    )  # fmt: skip
    titles = [(s.character_id, t.title, t.source) for s in given for t in s.titles]
    if titles:
        await tx.execute(
            TITLES,
            tx.world_id,
            [t[0] for t in titles],
            [t[1] for t in titles],
            [t[2] for t in titles],
            tx.now,
        )
    tx.emit(StandingsRestored(character_ids=ids))
    return {"standings": len(ids)}
