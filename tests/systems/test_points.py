"""Awards, spending, gifts, levels and rules against the real database."""

import asyncio
from typing import Any
from uuid import UUID

import orjson
import pytest

from fablewright.core.clock import DAY, HOUR
from fablewright.core.refusal import Refused
from fablewright.systems.characters.commands import (
    CreateCharacter,
    DeleteCharacter,
    SetStatus,
    UpdateCharacter,
)
from fablewright.systems.ledger.commands import DefineCurrency
from fablewright.systems.points import views
from fablewright.systems.points.commands import (
    Adjust,
    Award,
    AwardItem,
    AwardMany,
    AwardRuleSpec,
    ConfigurePoints,
    DefineAwardRule,
    EndBonus,
    Give,
    GrantTitle,
    LevelTitle,
    LinearLevels,
    RemoveAwardRule,
    RestoreStandings,
    ReverseAward,
    RevokeTitle,
    Spend,
    StandingValue,
    StartBonus,
    TableLevels,
    TitleValue,
)
from fablewright.systems.worlds.commands import AdvanceWorld, CalendarSettings
from tests.support import Person, Server, until

ADA, BEN, CYN = (UUID(int=n) for n in range(101, 104))


class Fair:
    """A world with three characters, whose clock stands still."""

    def __init__(self, server: Server):
        self.server = server

    async def open(self, **world: Any) -> "Fair":
        self.owner = await self.server.person()
        self.world_id = await self.server.world(self.owner, **world)
        for who, name in ((ADA, "Ada"), (BEN, "Ben"), (CYN, "Cyn")):
            await self.do(CreateCharacter(id=who, name=name))
        return self

    async def do(self, command: Any, by: Person | None = None, **options: Any) -> Any:
        return await self.server.do(command, (by or self.owner).actor, self.world_id, **options)

    async def refused(self, command: Any, by: Person | None = None) -> Refused:
        with pytest.raises(Refused) as caught:
            await self.do(command, by)
        return caught.value

    async def rule(self, key: str, **spec: Any) -> None:
        await self.do(DefineAwardRule(key=key, rule=AwardRuleSpec(**spec)))

    async def balance(self, who: UUID, currency: str = "points") -> int:
        rows = await self.server.fetch(
            "SELECT balance FROM ledger_accounts WHERE world_id = $1 AND owner_id = $2 AND currency = $3",
            self.world_id, who, currency,
        )  # fmt: skip
        return int(rows[0]["balance"]) if rows else 0

    async def standing(self, who: UUID) -> dict[str, Any]:
        rows = await self.server.fetch(
            "SELECT earned, level, streak, awards FROM standings WHERE world_id = $1 AND character_id = $2",
            self.world_id, who,
        )  # fmt: skip
        return dict(rows[0]) if rows else {}

    async def told(self, kind: str) -> list[dict[str, Any]]:
        rows = await self.server.fetch(
            "SELECT data::text AS data FROM events WHERE world_id = $1 AND type = $2 ORDER BY seq",
            self.world_id,
            kind,
        )
        return [orjson.loads(row["data"]) for row in rows]

    async def letters(self) -> int:
        rows = await self.server.fetch(
            "SELECT count(*) AS n FROM dead_letters WHERE world_id = $1", self.world_id
        )
        return int(rows[0]["n"])

    async def arrived(self) -> None:
        async def done() -> bool:
            rows = await self.server.fetch("SELECT advance_id FROM worlds WHERE id = $1", self.world_id)
            return rows[0]["advance_id"] is None

        await until(done)

    async def whole(self) -> None:
        """Nothing is wrong in this world, and no reaction has failed."""
        assert [f for f in await self.server.findings() if str(self.world_id) in f] == []
        assert await self.letters() == 0


@pytest.fixture
async def fair(server: Server) -> Fair:
    return await Fair(server).open()


async def test_an_award_is_a_transfer_an_event_and_a_standing(fair: Fair) -> None:
    first = await fair.do(Award(character_id=ADA, amount=25, reason="Found the ring"))
    assert (first.amount, first.balance, first.earned, first.level, first.parts) == (25, 25, 25, 1, [])
    [told] = await fair.told("points.awarded")
    assert told["transfer_id"] == str(first.transfer_id)
    assert (told["amount"], told["reason"], told["earned"]) == (25, "Found the ring", 25)
    [transfer] = await fair.server.fetch(
        "SELECT t.amount, t.kind, e.type FROM ledger_transfers t JOIN events e ON e.world_id = t.world_id "
        "AND e.id = t.event_id WHERE t.world_id = $1", fair.world_id,
    )  # fmt: skip
    assert tuple(transfer) == (25, "points.award", "points.awarded")
    assert await fair.standing(ADA) == {"earned": 25, "level": 1, "streak": 1, "awards": 1}
    await fair.whole()


async def test_many_at_once_each_get_their_own(fair: Fair) -> None:
    commands = [Award(character_id=(ADA, BEN)[n % 2], amount=n + 1, reason="x") for n in range(60)]
    strangers = [Award(character_id=UUID(int=999), amount=1, reason="x") for _ in range(3)]
    results = await asyncio.gather(*(fair.do(c) for c in commands + strangers), return_exceptions=True)
    assert [r.code for r in results[60:]] == ["character_not_found"] * 3  # type: ignore[union-attr]
    assert await fair.balance(ADA) == sum(range(1, 60, 2))
    assert await fair.balance(BEN) == sum(range(2, 61, 2))
    assert [r.amount for r in results[:60]] == list(range(1, 61))  # type: ignore[union-attr]
    assert (await fair.standing(ADA))["earned"] == await fair.balance(ADA)
    await fair.whole()


async def test_one_person_many_times_in_one_batch(fair: Fair) -> None:
    """The second award of a batch begins from what the first left: balance, earned, level."""
    await fair.do(ConfigurePoints(levels=LinearLevels(kind="linear", base=10, max_level=5)))
    await asyncio.gather(*(fair.do(Award(character_id=ADA, amount=5, reason="x")) for _ in range(9)))
    told = await fair.told("points.awarded")
    assert [t["earned"] for t in told] == list(range(5, 50, 5))
    reached = await fair.told("points.level_reached")
    assert [(r["previous"], r["level"], r["earned"]) for r in reached] == [
        (1, 2, 10),
        (2, 3, 20),
        (3, 4, 30),
        (4, 5, 40),
    ]
    assert (await fair.standing(ADA))["level"] == 5
    await fair.whole()


async def test_a_reference_gives_once(fair: Fair) -> None:
    award = Award(character_id=ADA, amount=25, reason="x", reference="ring")
    answers = await asyncio.gather(*(fair.do(award) for _ in range(6)))
    assert sorted(a.replayed for a in answers) == [False] + [True] * 5
    assert len({a.transfer_id for a in answers}) == 1 and {a.amount for a in answers} == {25}
    again = await fair.do(award)
    assert (again.replayed, again.balance, again.earned) == (True, 25, 25)
    for other in ({"character_id": BEN}, {"amount": 26}, {"currency": "gold"}):
        code = (await fair.refused(award.model_copy(update=other))).code
        assert code in ("reference_reused", "currency_not_found")
    assert len(await fair.told("points.awarded")) == 1
    # An action's reference holds whatever its rule has become meanwhile.
    await fair.rule("quest", amount=10)
    await fair.do(Award(character_id=ADA, action="quest", reference="q-1"))
    await fair.rule("quest", amount=99)
    assert (await fair.do(Award(character_id=ADA, action="quest", reference="q-1"))).amount == 10
    await fair.whole()


async def test_a_rule_says_how_much_and_why(fair: Fair) -> None:
    await fair.rule(
        "quest", amount_field="worth", reason="Finished {quest}", most_per_award=100,
        where=[{"field": "worth", "op": "at_least", "value": 5}], multipliers=[{"kind": "level", "per_level": 0.5}],
    )  # fmt: skip
    first = await fair.do(Award(character_id=ADA, action="quest", data={"worth": 80, "quest": "the well"}))
    assert (first.amount, first.asked, first.parts) == (80, 80, [])
    await fair.do(Award(character_id=ADA, amount=20, reason="To level 2"))
    second = await fair.do(Award(character_id=ADA, action="quest", data={"worth": 40, "quest": "the ford"}))
    assert (second.amount, [(p.what, p.factor) for p in second.parts]) == (60, [("level", 1.5)])
    third = await fair.do(Award(character_id=ADA, action="quest", data={"worth": 90, "quest": "all"}))
    assert third.amount == 100 and third.parts[-1].what == "cap"
    assert (await fair.told("points.awarded"))[0]["reason"] == "Finished the well"
    for data, code in (({"worth": 1}, "conditions_not_met"), ({"worth": "x"}, "conditions_not_met")):
        assert (await fair.refused(Award(character_id=ADA, action="quest", data=data))).code == code
    await fair.rule("free", amount_field="worth")
    await fair.rule("off", amount=1, enabled=False)
    await fair.rule("heard", amount=1, on="game.won")
    for key, code in (
        ("free", "no_amount"), ("off", "award_rule_disabled"), ("heard", "award_rule_listens"),
        ("none", "award_rule_not_found"),
    ):  # fmt: skip
        assert (await fair.refused(Award(character_id=ADA, action=key))).code == code
    await fair.whole()


async def test_events_are_worth_points_by_themselves(fair: Fair) -> None:
    await fair.rule(
        "rest", on="characters.status_changed", amount=3, where=[{"field": "status", "value": "asleep"}],
        reason="{status} at last", limits={"most_per_day": 2},
    )  # fmt: skip
    for status in ("asleep", "active", "asleep", "active", "asleep"):
        await fair.do(SetStatus(character_id=BEN, status=status))
    told = await fair.told("points.awarded")
    assert [(t["amount"], t["action"], t["reason"]) for t in told] == [(3, "rest", "asleep at last")] * 2
    [cause] = await fair.server.fetch(
        "SELECT count(*) AS n FROM events a JOIN events c ON c.world_id = a.world_id AND c.id = a.causation_id "
        "WHERE a.world_id = $1 AND a.type = 'points.awarded' AND c.type = 'characters.status_changed'", fair.world_id,
    )  # fmt: skip
    assert cause["n"] == 2
    assert await fair.balance(BEN) == 6  # the third was over the limit, and cost the event nothing
    await fair.do(RemoveAwardRule(key="rest"))
    await fair.do(SetStatus(character_id=CYN, status="asleep"))
    assert await fair.balance(CYN) == 0
    await fair.whole()


async def test_rules_name_their_subject(fair: Fair) -> None:
    await fair.rule("kind", on="points_test.*", amount=1)
    refused = await fair.refused(DefineAwardRule(key="loop", rule=AwardRuleSpec(on="points.*", amount=1)))
    assert refused.code == "rule_would_loop"
    assert (
        await fair.refused(DefineAwardRule(key="x", rule=AwardRuleSpec(amount=1, currency="gold")))
    ).code == "currency_not_found"
    await fair.rule("giver", on="characters.control_changed", subject="character_id", amount=4)
    await fair.rule("nobody", on="characters.control_changed", subject="previous_user_id", amount=4)
    await fair.do(UpdateCharacter(character_id=ADA, user_id=fair.owner.id))
    assert await fair.balance(ADA) == 4
    await fair.whole()


async def test_a_list_is_awarded_whole_or_not_at_all(fair: Fair) -> None:
    awards = [AwardItem(character_id=(ADA, BEN, CYN)[n % 3], amount=n + 1, reason="x") for n in range(30)]
    done = await fair.do(AwardMany(awards=awards), key="list")
    assert [a.amount for a in done.awards] == list(range(1, 31))
    assert len(await fair.told("points.awarded")) == 30
    await fair.do(AwardMany(awards=awards), key="list")
    before = await fair.balance(ADA)
    bad = AwardItem(character_id=UUID(int=9), amount=1, reason="x")
    refused = await fair.refused(AwardMany(awards=[*awards[:4], bad, *awards[4:]]))
    assert (refused.code, refused.facts["index"]) == ("character_not_found", 4)
    assert await fair.balance(ADA) == before == sum(range(1, 31, 3))
    assert len(await fair.told("points.awarded")) == 30
    await fair.whole()


async def test_bonuses_multiply_for_their_time(fair: Fair) -> None:
    await fair.rule("quest", amount=10)
    await fair.rule("chore", amount=10)
    both = await fair.do(StartBonus(name="Fair", multiplier=2, until_ms=DAY))
    await fair.do(StartBonus(name="Feast", multiplier=1.5, rules=["quest"], from_ms=1, until_ms=DAY))
    assert (
        await fair.do(Award(character_id=ADA, action="quest"))
    ).amount == 20  # the feast begins a moment later
    await fair.do(AdvanceWorld(by_ms=10))
    await fair.arrived()
    assert (await fair.do(Award(character_id=ADA, action="quest"))).amount == 30
    assert (await fair.do(Award(character_id=ADA, action="chore"))).amount == 20
    assert (await fair.do(Award(character_id=ADA, amount=10, reason="plain"))).amount == 10
    await fair.do(EndBonus(bonus_id=both.id))
    assert (await fair.do(Award(character_id=ADA, action="chore"))).amount == 10
    await fair.do(AdvanceWorld(by_ms=DAY))
    await fair.arrived()
    assert (await fair.do(Award(character_id=ADA, action="quest"))).amount == 10
    for wrong, code in (
        (StartBonus(name="x", multiplier=2, until_ms=1), "bonus_never"),
        (StartBonus(name="x", multiplier=2, from_ms=3 * DAY, until_ms=2 * DAY), "bonus_never"),
        (StartBonus(name="x", multiplier=2, until_ms=9 * DAY, rules=["gone"]), "award_rule_not_found"),
        (EndBonus(bonus_id=UUID(int=1)), "bonus_not_found"),
    ):
        assert (await fair.refused(wrong)).code == code
    await fair.whole()


async def test_streaks_count_world_days(fair: Fair) -> None:
    await fair.rule("daily", amount=10, multipliers=[{"kind": "streak", "per_day": 0.5, "max": 2}])
    amounts = []
    for days in (0, 1, 1, 1, 2):
        if days:
            await fair.do(AdvanceWorld(by_ms=days * DAY))
            await fair.arrived()
        amounts.append((await fair.do(Award(character_id=ADA, action="daily"))).amount)
    assert amounts == [10, 15, 20, 20, 10]  # a day was missed before the last
    assert (await fair.standing(ADA))["streak"] == 1
    await fair.whole()


async def test_streaks_count_the_days_of_the_worlds_calendar(server: Server) -> None:
    fair = await Fair(server).open(calendar=CalendarSettings(months=["One"], hours_per_day=10, start_hour=6))
    await fair.rule("daily", amount=10, multipliers=[{"kind": "streak", "per_day": 0.5, "max": 2}])
    amounts = []
    for hours in (0, 3, 1, 10):  # six o'clock, nine, midnight, the next one
        if hours:
            await fair.do(AdvanceWorld(by_ms=hours * HOUR))
            await fair.arrived()
        amounts.append((await fair.do(Award(character_id=ADA, action="daily"))).amount)
    assert amounts == [10, 10, 15, 20]
    async with server.runtime.database.reading() as connection:
        view = await views.points(connection, fair.world_id, ADA, None)
    assert view is not None and view.streak == 3


async def test_a_day_counts_once_though_a_clock_is_behind(fair: Fair) -> None:
    await fair.do(Award(character_id=ADA, amount=1, reason="x"))
    # Somebody whose clock read tomorrow was quicker.
    await fair.server.fetch(
        "UPDATE standings SET streak = 2, streak_day = streak_day + 1 WHERE world_id = $1 RETURNING 1",
        fair.world_id,
    )
    await fair.do(Award(character_id=ADA, amount=1, reason="x"))
    await fair.do(AdvanceWorld(by_ms=DAY))
    await fair.arrived()
    await fair.do(Award(character_id=ADA, amount=1, reason="x"))
    assert (await fair.standing(ADA))["streak"] == 2


async def test_an_award_taken_back_was_never_earned(fair: Fair) -> None:
    await fair.do(Award(character_id=ADA, amount=30, reason="Early"))
    made = await fair.do(Award(character_id=ADA, amount=90, reason="The race", reference="race-1"))
    assert (made.earned, made.level) == (120, 2)
    view = await fair.do(ReverseAward(transfer_id=made.transfer_id, reason="Not run to its end"))
    assert (view.amount, view.balance, view.earned, view.level) == (90, 30, 30, 1)
    [told] = await fair.told("points.reversed")
    assert (told["character_id"], told["amount"], told["earned"], told["level"]) == (str(ADA), 90, 30, 1)
    assert (told["reference"], told["reverses"], told["reason"]) == (
        "race-1", str(made.transfer_id), "Not run to its end",
    )  # fmt: skip
    assert (await fair.standing(ADA))["earned"] == 30 and await fair.balance(ADA) == 30
    again = await fair.refused(ReverseAward(transfer_id=made.transfer_id, reason="x"))
    assert (again.code, again.facts["reversed_by"]) == ("already_reversed", str(view.transfer_id))
    for other in (
        view.transfer_id,
        (await fair.do(Spend(character_id=ADA, amount=1, reason="x"))).transfer_id,
    ):
        assert (await fair.refused(ReverseAward(transfer_id=other, reason="x"))).code == "not_an_award"
    assert (await fair.refused(ReverseAward(transfer_id=ADA, reason="x"))).code == "transfer_not_found"
    await fair.whole()


async def test_a_gift_taken_back_returns(fair: Fair) -> None:
    await fair.do(Award(character_id=ADA, amount=10, reason="x"))
    gift = await fair.do(Give(from_id=ADA, to_id=BEN, amount=4))
    await fair.do(ReverseAward(transfer_id=gift.transfer_id, reason="A slip"))
    assert (await fair.balance(ADA), await fair.balance(BEN)) == (10, 0)
    assert (await fair.standing(ADA))["earned"] == 10
    assert sorted(t["amount"] for t in await fair.told("points.adjusted")) == [-4, 4]
    await fair.whole()


async def test_a_new_curve_sees_awards_that_are_committing(fair: Fair) -> None:
    async with fair.server.runtime.database.reading() as other, other.transaction():
        await other.execute(
            "INSERT INTO standings (world_id, character_id, earned, level) VALUES ($1, $2, 50, 1)",
            fair.world_id, BEN,
        )  # fmt: skip
        await other.execute("SELECT 1 FROM world_heads WHERE world_id = $1 FOR UPDATE", fair.world_id)
        change = asyncio.create_task(fair.do(ConfigurePoints(levels=LinearLevels(kind="linear", base=10))))

        async def waits() -> bool:
            sql = "SELECT count(*) AS n FROM pg_locks WHERE NOT granted AND $1 = ANY(pg_blocking_pids(pid))"
            return bool((await fair.server.fetch(sql, other.get_server_pid()))[0]["n"])

        await until(waits)
    await change
    assert (await fair.standing(BEN))["level"] == 6
    assert [f for f in await fair.server.findings() if "points.levels" in f and str(fair.world_id) in f] == []


async def test_levels_follow_the_curve_and_only_what_was_awarded(fair: Fair) -> None:
    await fair.do(
        ConfigurePoints(
            levels=TableLevels(kind="table", thresholds=[10, 50]),
            titles=[LevelTitle(level=2, title="Warden")],
        )
    )
    assert (await fair.do(Award(character_id=ADA, amount=60, reason="x"))).level == 3
    [reached] = await fair.told("points.level_reached")
    assert (reached["level"], reached["previous"], reached["title"]) == (3, 1, "Warden")
    await fair.do(Spend(character_id=ADA, amount=55, reason="x"))
    await fair.do(Give(from_id=ADA, to_id=BEN, amount=5))
    await fair.do(Adjust(character_id=BEN, amount=500, reason="x"))
    assert (await fair.standing(ADA))["level"] == 3 and await fair.standing(BEN) == {}
    await fair.do(ConfigurePoints(levels=LinearLevels(kind="linear", base=50, max_level=10)))
    assert (await fair.standing(ADA))["level"] == 2  # by the new curve, without an event
    assert len(await fair.told("points.level_reached")) == 1
    await fair.whole()


async def test_spending_giving_and_adjusting(fair: Fair) -> None:
    await fair.do(Award(character_id=ADA, amount=100, reason="x"))
    spent = await fair.do(Spend(character_id=ADA, amount=30, reason="A lantern", reference="l-1"))
    assert (spent.balance, spent.available, spent.replayed) == (70, 70, False)
    assert (await fair.do(Spend(character_id=ADA, amount=30, reason="A lantern", reference="l-1"))).replayed
    given = await fair.do(Give(from_id=ADA, to_id=BEN, amount=20, reason="Thanks"))
    assert (given.balance, await fair.balance(BEN)) == (50, 20)
    taken = await fair.do(Adjust(character_id=BEN, amount=-5, reason="Counted twice"))
    assert taken.balance == 15
    for wrong, code in (
        (Spend(character_id=ADA, amount=51, reason="x"), "insufficient_funds"),
        (Spend(character_id=CYN, amount=1, reason="x"), "insufficient_funds"),
        (Give(from_id=ADA, to_id=BEN, amount=51), "insufficient_funds"),
        (Give(from_id=ADA, to_id=ADA, amount=1), "same_account"),
        (Give(from_id=ADA, to_id=UUID(int=9), amount=1), "character_not_found"),
        (Spend(character_id=ADA, amount=1, currency="gold", reason="x"), "currency_not_found"),
        (Adjust(character_id=ADA, amount=0, reason="x"), "adjusted_by_nothing"),
        (Adjust(character_id=ADA, amount=-51, reason="x"), "insufficient_funds"),
        (Award(character_id=UUID(int=9), amount=1, reason="x"), "character_not_found"),
    ):
        assert (await fair.refused(wrong)).code == code
    assert [e["balance"] for e in await fair.told("points.spent")] == [70]
    assert [(e["amount"], e["balance"]) for e in await fair.told("points.adjusted")] == [(-5, 15)]
    rows = await fair.server.fetch(
        "SELECT type, audience FROM events WHERE world_id = $1 AND type = ANY($2::text[]) ORDER BY seq", fair.world_id,
        ["points.awarded", "points.spent", "points.given"],
    )  # fmt: skip
    assert [row["audience"] for row in rows] == [None, [ADA], sorted([ADA, BEN])]
    await fair.whole()


async def test_crossing_gifts_lose_nothing(fair: Fair) -> None:
    for who in (ADA, BEN):
        await fair.do(Award(character_id=who, amount=100, reason="x"))
    gifts = [Give(from_id=a, to_id=b, amount=7) for a, b in ((ADA, BEN), (BEN, ADA)) for _ in range(10)]
    spends = [Spend(character_id=who, amount=3, reason="x") for who in (ADA, BEN) for _ in range(5)]
    await asyncio.gather(*(fair.do(c) for c in gifts + spends))
    assert await fair.balance(ADA) + await fair.balance(BEN) == 200 - 30
    assert await fair.balance(ADA) == await fair.balance(BEN)
    await fair.whole()


async def test_who_may(fair: Fair) -> None:
    player = await fair.server.member(fair.world_id, fair.owner, "player")
    other = await fair.server.member(fair.world_id, fair.owner, "player")
    await fair.do(UpdateCharacter(character_id=ADA, user_id=player.id))
    await fair.do(Award(character_id=ADA, amount=10, reason="x"))
    await fair.do(Spend(character_id=ADA, amount=1, reason="x"), player)
    await fair.do(Give(from_id=ADA, to_id=BEN, amount=1), player)
    for command, who, code in (
        (Award(character_id=ADA, amount=1, reason="x"), player, "role_too_low"),
        (Adjust(character_id=ADA, amount=1, reason="x"), player, "role_too_low"),
        (Spend(character_id=ADA, amount=1, reason="x"), other, "not_your_character"),
        (Give(from_id=ADA, to_id=BEN, amount=1), other, "not_your_character"),
    ):
        assert (await fair.refused(command, who)).code == code


async def test_titles(fair: Fair) -> None:
    grant = GrantTitle(character_id=ADA, title="Keeper")
    assert await fair.do(grant) == {"title": "Keeper", "new": True}
    assert await fair.do(grant) == {"title": "Keeper", "new": False}
    assert len(await fair.told("points.title_granted")) == 1
    await fair.do(RevokeTitle(character_id=ADA, title="Keeper"))
    assert (await fair.refused(RevokeTitle(character_id=ADA, title="Keeper"))).code == "title_not_found"
    assert (await fair.refused(GrantTitle(character_id=UUID(int=9), title="x"))).code == "character_not_found"


async def test_the_deleted_earn_nothing(fair: Fair) -> None:
    await fair.do(Award(character_id=ADA, amount=1, reason="x"))
    await fair.do(DeleteCharacter(character_id=ADA))
    assert (await fair.refused(Award(character_id=ADA, amount=1, reason="x"))).code == "character_not_found"
    assert (await fair.refused(Spend(character_id=ADA, amount=1, reason="x"))).code == "character_not_found"


async def test_standings_are_restored(fair: Fair) -> None:
    value = StandingValue(
        character_id=ADA, earned=2_700, streak=4, streak_day=0, titles=[TitleValue(title="Elder")]
    )
    await fair.do(RestoreStandings(standings=[value]))
    assert await fair.standing(ADA) == {"earned": 2_700, "level": 10, "streak": 4, "awards": 0}
    again = await fair.do(Award(character_id=ADA, amount=1, reason="x"))
    assert (again.earned, again.level, again.balance) == (2_701, 10, 1)
    await fair.whole()


async def test_what_cannot_be_held_is_refused_and_not_remembered(fair: Fair) -> None:
    await fair.do(DefineCurrency(code="gold", name="Gold", max_balance=10))
    await fair.rule("find", amount=8, currency="gold", limits={"most_per_day": 2})
    assert (await fair.do(Award(character_id=ADA, action="find"))).balance == 8
    for _ in range(3):
        assert (await fair.refused(Award(character_id=ADA, action="find"))).code == "balance_limit"
    await fair.do(Spend(character_id=ADA, amount=8, currency="gold", reason="x"))
    assert (await fair.do(Award(character_id=ADA, action="find"))).balance == 8
    assert (await fair.refused(Award(character_id=ADA, action="find"))).code in (
        "balance_limit",
        "award_limited",
    )
    assert (await fair.standing(ADA))["earned"] == 0  # levels follow points alone
    await fair.whole()


async def test_a_failing_listener_costs_no_award(fair: Fair) -> None:
    """What cannot be awarded for an event is a dead letter at most, never the event's refusal."""
    await fair.rule("rest", on="characters.status_changed", amount=3)
    await fair.server.fetch("SELECT 1")
    async with fair.server.runtime.database.writing() as connection:
        await connection.exec_driver_sql(
            "UPDATE award_rules SET spec = '{\"nonsense\": 1}'::jsonb WHERE world_id = $1", (fair.world_id,)
        )
        await connection.exec_driver_sql(
            "UPDATE world_heads SET definitions = definitions + 1 WHERE world_id = $1", (fair.world_id,)
        )
        await connection.commit()
    await fair.do(SetStatus(character_id=ADA, status="asleep"))
    assert len(await fair.told("characters.status_changed")) == 1
    assert await fair.letters() == 1


async def test_texts_are_kept_as_they_are(fair: Fair) -> None:
    texts = [
        'say "hi"',
        "back\\slash",
        "two\nlines\ttab",
        "{braces},comma",
        "ünï—ködé ☃",
        "null",
        "a\x01b",
        "'); --",
    ]
    await asyncio.gather(
        *(fair.do(Award(character_id=ADA, amount=1, reason=t, reference=t)) for t in texts), fair.do(
            Award(character_id=ADA, amount=1, reason="without a reference")
        ),
    )  # fmt: skip
    rows = await fair.server.fetch(
        "SELECT reason, reference FROM ledger_transfers WHERE world_id = $1 ORDER BY number", fair.world_id
    )
    assert sorted(row["reason"] for row in rows) == sorted([*texts, "without a reference"])
    assert all(row["reference"] in (row["reason"], None) for row in rows)
    assert [row["reference"] for row in rows].count(None) == 1
    assert sorted(t["reason"] for t in await fair.told("points.awarded")) == sorted(
        row["reason"] for row in rows
    )
