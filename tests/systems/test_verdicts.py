"""Limits and checks against abuse at work: exact under concurrency, told to game masters, reviewed by them."""

import asyncio
from typing import Any, Literal
from uuid import UUID

import orjson
import pytest

from fablewright.app import open_runtime
from fablewright.core.clock import DAY, HOUR, MINUTE
from fablewright.core.messages import Command
from fablewright.core.refusal import Refused
from fablewright.systems.characters.commands import CreateCharacter, UpdateCharacter
from fablewright.systems.custom_events.commands import RecordEvent, RegisterEventType
from fablewright.systems.ledger.commands import LimitAccount, OpenAccount
from fablewright.systems.points.commands import (
    Award,
    AwardRuleSpec,
    ConfigurePoints,
    DefineAwardRule,
    Give,
    ReviewVerdict,
)
from fablewright.systems.points.guards import Limits, Window, WorldGuards
from fablewright.systems.worlds.commands import AdvanceWorld
from tests.support import Person, Server, until

ADA, BEN, CYN, DOT = (UUID(int=n) for n in range(201, 205))
Decision = Literal["release", "confirm", "forgive"]


class Fair:
    """A world with four characters, whose clock stands still; Ada belongs to a player."""

    def __init__(self, server: Server):
        self.server = server

    async def open(self, **world: Any) -> "Fair":
        self.owner = await self.server.person()
        self.world_id = await self.server.world(self.owner, **world)
        for who, name in ((ADA, "Ada"), (BEN, "Ben"), (CYN, "Cyn"), (DOT, "Dot")):
            await self.do(CreateCharacter(id=who, name=name))
        return self

    async def do(self, command: Command | list[Command], who: Person | None = None) -> Any:
        answer = await self.server.runtime.engine.execute(command, (who or self.owner).actor, self.world_id)
        return answer.result

    async def refused(self, code: str, command: Command, who: Person | None = None) -> Refused:
        with pytest.raises(Refused) as error:
            await self.do(command, who)
        assert error.value.code == code
        return error.value

    async def player(self, character_id: UUID) -> Person:
        person = await self.server.member(self.world_id, self.owner, "player")
        await self.do(UpdateCharacter(character_id=character_id, user_id=person.id))
        return person

    async def rule(self, amount: int = 10, key: str = "quest", **limits: Any) -> None:
        made = Limits.model_validate(limits) if limits else None
        await self.do(DefineAwardRule(key=key, rule=AwardRuleSpec(amount=amount, limits=made)))

    async def guard(self, **checks: Any) -> None:
        await self.do(ConfigurePoints(guards=WorldGuards.model_validate(checks)))

    async def award(self, who: UUID = ADA, key: str = "quest", **fields: Any) -> Any:
        return await self.do(Award(character_id=who, action=key, **fields))

    async def pay(self, who: UUID, amount: int) -> Any:
        return await self.do(Award(character_id=who, amount=amount, reason="Pay"))

    async def give(self, giver: UUID, taker: UUID, amount: int = 1) -> Any:
        return await self.do(Give(from_id=giver, to_id=taker, amount=amount))

    async def review(self, verdict_id: Any, decision: Decision, **fields: Any) -> Any:
        return await self.do(ReviewVerdict(verdict_id=verdict_id, decision=decision, **fields))

    async def advance(self, ms: int) -> None:
        await self.do(AdvanceWorld(by_ms=ms))

        async def there() -> bool:
            rows = await self.fetch("SELECT advance_id FROM worlds WHERE id = $1")
            return rows[0]["advance_id"] is None

        await until(there, 60)

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        return await self.server.fetch(sql, self.world_id, *args)

    async def verdicts(self) -> list[dict[str, Any]]:
        rows = await self.fetch(
            "SELECT *, evidence::text AS evidence FROM abuse_verdicts WHERE world_id = $1 ORDER BY at, id"
        )
        return [{**dict(row), "evidence": orjson.loads(row["evidence"])} for row in rows]

    async def events(self, kind: str) -> list[Any]:
        rows = await self.fetch(
            "SELECT data::text AS data, audience, actor, command::text AS command FROM events "
            "WHERE world_id = $1 AND type = $2 ORDER BY seq",
            f"points.{kind}",
        )
        return [{**dict(row), **orjson.loads(row["data"])} for row in rows]

    async def balance(self, who: UUID, currency: str = "points") -> tuple[int, int]:
        rows = await self.fetch(
            "SELECT balance, held FROM ledger_accounts WHERE world_id = $1 AND owner_id = $2 AND currency = $3",
            who, currency,
        )  # fmt: skip
        return (rows[0]["balance"], rows[0]["held"]) if rows else (0, 0)

    async def earned(self, who: UUID) -> tuple[int, int]:
        rows = await self.fetch(
            "SELECT earned, level FROM standings WHERE world_id = $1 AND character_id = $2", who
        )
        return (rows[0]["earned"], rows[0]["level"]) if rows else (0, 1)

    async def findings(self) -> list[str]:
        return [f for f in await self.server.findings() if str(self.world_id) in f]


@pytest.fixture
async def fair(server: Server) -> Fair:
    return await Fair(server).open()


# -- limits --------------------------------------------------------------------------------------------------


async def test_ten_a_minute_are_exactly_ten_over_two_nodes(fair: Fair) -> None:
    await fair.rule(window={"most": 10, "ms": MINUTE})
    command = Award(character_id=ADA, action="quest")
    settings = fair.server.runtime.settings
    async with open_runtime(settings, fair.server.url, work=False) as other:
        engines = (fair.server.runtime.engine, other.engine)
        answers = await asyncio.gather(
            *(engines[n % 2].execute(command, fair.owner.actor, fair.world_id) for n in range(200)),
            return_exceptions=True,
        )
    refused = [a for a in answers if isinstance(a, Refused)]
    assert len(answers) - len(refused) == 10, {str(a) for a in answers if isinstance(a, BaseException)}
    assert {r.code for r in refused} == {"award_limited"}
    assert await fair.balance(ADA) == (100, 0)
    assert len(await fair.events("awarded")) == 10
    [verdict] = await fair.verdicts()
    assert (verdict["guard"], verdict["outcome"], verdict["state"]) == ("window", "refuse", "noted")
    assert verdict["times"] == 190 and len(verdict["evidence"]["times"]) == 10
    assert len(await fair.events("abuse_suspected")) == 1
    assert await fair.findings() == []


async def test_a_refusal_says_when_and_then_it_passes(fair: Fair) -> None:
    await fair.rule(cooldown_ms=HOUR)
    await fair.award()
    refused = await fair.refused("award_limited", Award(character_id=ADA, action="quest"))
    [first] = await fair.fetch("SELECT anchor_world_ms AS now FROM worlds WHERE id = $1")
    assert refused.facts == {"guard": "cooldown", "retry_at": first["now"] + HOUR, "clock": "world"}
    await fair.award(BEN)
    await fair.advance(HOUR - 1)
    await fair.refused("award_limited", Award(character_id=ADA, action="quest"))
    await fair.advance(1)
    await fair.award()
    assert await fair.balance(ADA) == (20, 0)


async def test_steps_that_come_too_fast_never_pass_while_they_do(fair: Fair) -> None:
    await fair.rule(min_step_ms=MINUTE)
    await fair.award()
    for _ in range(2):
        await fair.advance(MINUTE - 1)
        await fair.refused("award_limited", Award(character_id=ADA, action="quest"))
    await fair.advance(MINUTE)
    await fair.award()
    assert [v["times"] for v in await fair.verdicts()] == [2]


async def test_the_day_limits_number_and_amount(fair: Fair) -> None:
    await fair.rule(most_per_day=2, key="daily")
    await fair.rule(amount=40, amount_per_day=100, outcome="reduce", key="capped")
    for _ in range(2):
        await fair.award(key="daily")
    await fair.refused("award_limited", Award(character_id=ADA, action="daily"))
    assert [(await fair.award(key="capped")).amount for _ in range(3)] == [40, 40, 20]
    await fair.refused("award_limited", Award(character_id=ADA, action="capped"))
    await fair.advance(DAY)
    await fair.award(key="daily")
    assert (await fair.award(key="capped")).amount == 40


async def test_diminishing_returns_are_noted_but_no_suspicion(fair: Fair) -> None:
    await fair.rule(diminishing={"after": 1, "factor": 0.5, "floor": 0.2})
    results = [await fair.award() for _ in range(4)]
    assert [r.amount for r in results] == [10, 5, 3, 2]
    assert [p.what for p in results[1].parts] == ["limit"]
    [verdict] = await fair.verdicts()
    assert (verdict["outcome"], verdict["state"], verdict["times"]) == ("reduce", "noted", 3)
    assert (verdict["asked"], verdict["given"]) == (10, 2)
    assert await fair.events("abuse_suspected") == []


async def test_limits_in_one_list_see_each_other(fair: Fair) -> None:
    await fair.rule(window={"most": 2, "ms": MINUTE})
    with pytest.raises(Refused) as error:
        await fair.do([Award(character_id=ADA, action="quest") for _ in range(3)])
    assert (error.value.code, error.value.facts["index"]) == ("award_limited", 2)
    assert await fair.balance(ADA) == (0, 0)
    await fair.do([Award(character_id=ADA, action="quest") for _ in range(2)])
    assert await fair.balance(ADA) == (20, 0)


async def test_what_could_not_be_given_does_not_count(fair: Fair) -> None:
    await fair.rule(window={"most": 1, "ms": MINUTE}, outcome="flag")
    await fair.do(OpenAccount(owner_id=ADA, currency="points", max_balance=15))
    await fair.award()
    for _ in range(2):
        await fair.refused("balance_limit", Award(character_id=ADA, action="quest"))
    assert await fair.verdicts() == []
    await fair.do(LimitAccount(owner_id=ADA, currency="points", max_balance=None))
    await fair.award()
    [verdict] = await fair.verdicts()
    assert verdict["transfer_id"] is not None


async def test_room_is_asked_for_what_is_given(fair: Fair) -> None:
    await fair.do(OpenAccount(owner_id=ADA, currency="points", max_balance=16))
    await fair.rule(cooldown_ms=HOUR, outcome="reduce")
    await fair.award()
    assert (await fair.award()).amount == 5
    await fair.rule(amount=50, key="large", cooldown_ms=HOUR, outcome="quarantine")
    await fair.rule(key="waits", cooldown_ms=HOUR, outcome="quarantine")
    await fair.award(BEN, key="waits")
    await fair.do(OpenAccount(owner_id=CYN, currency="points", max_balance=15))
    await fair.award(CYN, key="waits")
    assert (await fair.award(CYN, key="waits")).hold_id is not None


async def test_a_reference_of_a_reduced_award_is_known_by_what_was_asked(fair: Fair) -> None:
    await fair.guard(burst={"most": 1, "ms": HOUR, "outcome": "reduce"})
    await fair.pay(ADA, 1)
    terms = {"character_id": ADA, "reason": "Pay", "reference": "r"}
    assert (await fair.do(Award(amount=30, **terms))).amount == 15
    assert (await fair.do(Award(amount=30, **terms))).replayed
    await fair.refused("reference_reused", Award(amount=40, **terms))
    await fair.do(Award(character_id=BEN, amount=25, reason="Pay", reference="whole"))
    await fair.refused(
        "reference_reused", Award(character_id=BEN, amount=30, reason="Pay", reference="whole")
    )


async def test_a_held_award_keeps_its_command_and_its_number(fair: Fair) -> None:
    await fair.rule(cooldown_ms=HOUR, outcome="quarantine")
    await fair.award()
    done = await fair.server.runtime.engine.execute(
        Award(character_id=ADA, action="quest"), fair.owner.actor, fair.world_id
    )
    assert done.result.hold_id is not None and done.seq is not None
    [told] = await fair.events("abuse_suspected")
    assert orjson.loads(told["command"])["type"] == "points.award"


async def test_a_gift_again_is_what_it_was(fair: Fair) -> None:
    await fair.pay(ADA, 10)
    gift = Give(from_id=ADA, to_id=BEN, amount=4, reference="g")
    made = await fair.do(gift)
    await fair.give(BEN, ADA, 1)
    await fair.guard(gift_circle={"outcome": "quarantine"})
    again = await fair.do(gift)
    assert (again.replayed, again.transfer_id) == (True, made.transfer_id)


async def test_the_same_reference_again_is_no_second_try(fair: Fair) -> None:
    await fair.rule(window={"most": 1, "ms": MINUTE})
    first = await fair.award(reference="q-1")
    again = await fair.award(reference="q-1")
    assert (again.replayed, again.transfer_id) == (True, first.transfer_id)
    assert await fair.verdicts() == []


# -- across actions ------------------------------------------------------------------------------------------


async def test_bursts_over_all_actions_are_flagged(fair: Fair) -> None:
    await fair.guard(burst={"most": 3, "ms": MINUTE})
    await fair.rule()
    await fair.rule(key="other")
    for key in ("quest", "other", "quest"):
        await fair.award(key=key)
    assert await fair.verdicts() == []
    assert (await fair.award(key="other")).amount == 10
    [verdict] = await fair.verdicts()
    assert (verdict["guard"], verdict["outcome"], verdict["state"]) == ("burst", "flag", "open")
    assert len(verdict["evidence"]["times"]) == 3 and verdict["transfer_id"] is not None
    await fair.review(verdict["id"], "forgive")
    await fair.award()
    assert len(await fair.verdicts()) == 1


async def test_outliers_wait_and_enter_the_distribution_when_released(fair: Fair) -> None:
    await fair.guard(outlier={"deviations": 3, "at_least_awards": 5, "outcome": "quarantine"})
    for amount in (9, 10, 11, 10, 10):
        await fair.pay(BEN, amount)
    held = await fair.pay(ADA, 1_000)
    assert (held.amount, held.outcome, held.transfer_id) == (0, "quarantine", None)
    [verdict] = await fair.verdicts()
    assert verdict["evidence"]["world"]["awards"] == 5 and "own" not in verdict["evidence"]
    assert (verdict["hold_id"], verdict["given"]) == (held.hold_id, 1_000)
    assert await fair.earned(ADA) == (0, 1)
    await fair.review(verdict["id"], "release")
    assert (await fair.pay(ADA, 900)).amount == 900
    assert await fair.findings() == []


async def test_gifts_that_come_back_close_a_circle(fair: Fair) -> None:
    await fair.guard(gift_circle={"most_steps": 3, "ms": HOUR, "outcome": "refuse"})
    await fair.pay(ADA, 100)
    await fair.give(ADA, BEN, 50)
    await fair.give(BEN, CYN, 30)
    player = await fair.player(CYN)
    refused = await fair.refused("award_limited", Give(from_id=CYN, to_id=ADA, amount=10), player)
    assert refused.facts["guard"] == "gift_circle" and "evidence" not in refused.facts
    [verdict] = await fair.verdicts()
    assert [step["from_id"] for step in verdict["evidence"]["way"]] == [str(ADA), str(BEN)]
    assert (verdict["action"], verdict["character_id"], verdict["asked"]) == ("gift", CYN, 10)
    await fair.give(CYN, DOT, 10)
    await fair.give(DOT, ADA, 5)  # four steps: longer than is looked for
    await fair.advance(HOUR)
    await fair.give(CYN, ADA, 10)


async def test_gifts_sent_at_once_cannot_both_close_a_circle(fair: Fair) -> None:
    await fair.guard(gift_circle={"outcome": "refuse"})
    for who in (ADA, BEN):
        await fair.pay(who, 10)
    answers = await asyncio.gather(fair.give(ADA, BEN), fair.give(BEN, ADA), return_exceptions=True)
    assert sorted(isinstance(a, Refused) for a in answers) == [False, True]


async def test_a_held_gift_is_reserved_and_given_or_returned(fair: Fair) -> None:
    await fair.guard(gift_circle={"outcome": "quarantine"})
    for who in (ADA, BEN):
        await fair.pay(who, 10)
    await fair.give(ADA, BEN, 4)
    await fair.give(BEN, ADA, 3)
    await fair.give(BEN, ADA, 2)
    assert await fair.balance(BEN) == (14, 5)
    by_amount = {v["asked"]: v["id"] for v in await fair.verdicts()}
    await fair.review(by_amount[3], "release")
    await fair.review(by_amount[2], "confirm")
    assert (await fair.balance(ADA), await fair.balance(BEN)) == ((9, 0), (11, 0))
    assert [g["amount"] for g in await fair.events("given")] == [4, 3]
    rows = await fair.fetch(
        "SELECT type, data ->> 'amount' AS amount, command IS NOT NULL AS asked, audience FROM events "
        "WHERE world_id = $1 AND type LIKE 'ledger.h%' ORDER BY seq"
    )
    assert [tuple(row)[:2] for row in rows] == [
        ("ledger.held", "3"), ("ledger.held", "2"), ("ledger.hold_released", "2"),
    ]  # fmt: skip
    assert all(BEN in row["audience"] for row in rows) and rows[0]["asked"]
    assert await fair.earned(ADA) == (10, 1)
    assert await fair.findings() == []


# -- reviews -------------------------------------------------------------------------------------------------


async def held_one(fair: Fair) -> Any:
    await fair.rule(amount=100, window={"most": 1, "ms": MINUTE}, outcome="quarantine")
    await fair.award()
    held = await fair.award(reference="q-2")
    assert (held.amount, held.outcome) == (0, "quarantine")
    return (await fair.verdicts())[0]


async def test_release_gives_what_waited_with_its_level(fair: Fair) -> None:
    verdict = await held_one(fair)
    assert await fair.balance(ADA) == (100, 0)
    result = await fair.review(verdict["id"], "release", note="It was a feast.")
    assert (await fair.balance(ADA), await fair.earned(ADA)) == ((200, 0), (200, 2))
    awarded = (await fair.events("awarded"))[-1]
    assert (awarded["amount"], awarded["action"], awarded["reference"]) == (100, "quest", "q-2")
    assert str(result.transfer_id) == awarded["transfer_id"]
    [after] = await fair.verdicts()
    assert (after["state"], after["note"], after["reviewed_by"]) == (
        "released", "It was a feast.", fair.owner.actor.name,
    )  # fmt: skip
    assert after["transfer_id"] == result.transfer_id
    for decision in ("release", "confirm", "forgive"):
        refused = await fair.refused(
            "verdict_closed", ReviewVerdict(verdict_id=verdict["id"], decision=decision)
        )
        assert refused.facts["state"] == "released"
    assert await fair.findings() == []


async def test_confirm_lets_it_lapse(fair: Fair) -> None:
    verdict = await held_one(fair)
    await fair.review(verdict["id"], "confirm")
    assert (await fair.balance(ADA), await fair.earned(ADA)) == ((100, 0), (100, 2))
    [hold] = await fair.fetch("SELECT state FROM ledger_holds WHERE world_id = $1")
    assert hold["state"] == "released"
    assert await fair.findings() == []


async def test_forgive_gives_it_and_forgets(fair: Fair) -> None:
    verdict = await held_one(fair)
    await fair.review(verdict["id"], "forgive")
    assert await fair.balance(ADA) == (200, 0)
    assert (await fair.award()).amount == 100
    assert (await fair.award()).amount == 0


async def test_a_refusal_can_be_forgiven_but_not_released(fair: Fair) -> None:
    await fair.rule(cooldown_ms=HOUR)
    await fair.award()
    await fair.refused("award_limited", Award(character_id=ADA, action="quest"))
    [verdict] = await fair.verdicts()
    await fair.refused("verdict_closed", ReviewVerdict(verdict_id=verdict["id"], decision="release"))
    await fair.review(verdict["id"], "forgive")
    await fair.award()
    await fair.refused("award_limited", Award(character_id=ADA, action="quest"))
    forgiven, new = sorted(await fair.verdicts(), key=lambda v: v["state"])
    assert (forgiven["state"], forgiven["times"], forgiven["id"]) == ("forgiven", 1, verdict["id"])
    assert (new["state"], new["times"], new["reviewed_at"]) == ("noted", 1, None)
    await fair.refused("award_limited", Award(character_id=ADA, action="quest"))
    assert sorted(v["times"] for v in await fair.verdicts()) == [1, 2]
    told = [e["verdict_id"] for e in await fair.events("abuse_suspected")]
    assert told == [str(forgiven["id"]), str(new["id"])]


async def test_a_reduction_after_a_review_is_named_by_its_own_verdict(fair: Fair) -> None:
    await fair.rule(cooldown_ms=HOUR, outcome="reduce")
    await fair.award()
    first = await fair.award()
    await fair.review(first.verdict_id, "forgive")
    await fair.award()
    second = await fair.award()
    assert second.verdict_id != first.verdict_id
    assert {v["id"]: v["state"] for v in await fair.verdicts()} == {
        first.verdict_id: "forgiven", second.verdict_id: "noted",
    }  # fmt: skip


async def test_reduced_and_flagged_waits_for_a_review_and_is_told(fair: Fair) -> None:
    await fair.rule(cooldown_ms=HOUR, outcome="reduce")
    await fair.guard(burst={"most": 1, "ms": HOUR, "outcome": "flag"})
    await fair.award()
    made = await fair.award()
    assert (made.amount, made.outcome) == (5, "flag")
    [verdict] = await fair.verdicts()
    assert (verdict["state"], verdict["guard"], verdict["given"]) == ("open", "burst", 5)
    assert [e["outcome"] for e in await fair.events("abuse_suspected")] == ["flag"]
    assert (await fair.events("awarded"))[-1]["parts"] == [{"what": "limit", "factor": 0.5}]


async def test_confirm_can_take_back_what_was_flagged(fair: Fair) -> None:
    await fair.rule(amount=100, window={"most": 1, "ms": MINUTE}, outcome="flag")
    await fair.award()
    await fair.award()
    assert await fair.earned(ADA) == (200, 2)
    [verdict] = await fair.verdicts()
    await fair.review(verdict["id"], "confirm", reverse=True, note="A bot.")
    assert (await fair.balance(ADA), await fair.earned(ADA)) == ((100, 0), (100, 2))
    [taken] = await fair.events("reversed")
    assert (taken["amount"], taken["earned"], taken["level"], taken["reason"]) == (100, 100, 2, "A bot.")
    [sizes] = await fair.fetch("SELECT awards, mean FROM standings WHERE world_id = $1")
    assert tuple(sizes) == (1, 100)
    assert await fair.findings() == []


async def test_what_was_spent_cannot_be_taken_back(fair: Fair) -> None:
    await fair.rule(amount=100, window={"most": 1, "ms": MINUTE}, outcome="flag")
    await fair.award()
    await fair.award()
    await fair.give(ADA, BEN, 150)
    [verdict] = await fair.verdicts()
    review = ReviewVerdict(verdict_id=verdict["id"], decision="confirm", reverse=True)
    await fair.refused("insufficient_funds", review)
    assert (await fair.verdicts())[0]["state"] == "open"
    await fair.refused("nothing_to_reverse", review.model_copy(update={"decision": "release"}))


async def test_of_two_reviewers_one_decides(fair: Fair) -> None:
    verdict = await held_one(fair)
    answers = await asyncio.gather(
        fair.review(verdict["id"], "release"), fair.review(verdict["id"], "confirm"), return_exceptions=True
    )
    [refused] = [a for a in answers if isinstance(a, Refused)]
    assert refused.code == "verdict_closed"
    state = (await fair.verdicts())[0]["state"]
    assert await fair.balance(ADA) == ((200, 0) if state == "released" else (100, 0))
    assert await fair.findings() == []


# -- who may know --------------------------------------------------------------------------------------------


async def test_only_game_masters_see_suspicions_and_the_queue(fair: Fair) -> None:
    player = await fair.player(ADA)
    verdict = await held_one(fair)
    [told] = await fair.events("abuse_suspected")
    assert (told["audience"], told["verdict_id"]) == ([], str(verdict["id"]))
    assert told["evidence"]["most"] == 1 and told["outcome"] == "quarantine"
    get, base = fair.server.client.get, f"/api/v1/worlds/{fair.world_id}"
    for reader, status, seen in ((fair.owner, 200, 1), (player, 403, 0)):
        queue = await get(f"{base}/points/verdicts?state=open", headers=reader.headers)
        assert queue.status_code == status, queue.text
        one = await get(f"{base}/points/verdicts/{verdict['id']}", headers=reader.headers)
        assert one.status_code == status
        log = await get(f"{base}/events?types=points.abuse_suspected", headers=reader.headers)
        assert len(log.json()["events"]) == seen, log.text
    body = {"decision": "release"}
    denied = await fair.server.client.post(
        f"{base}/points/verdicts/{verdict['id']}/review", json=body, headers=player.headers
    )
    assert (denied.status_code, denied.json()["code"]) == (403, "role_too_low")


async def test_the_queue_is_read_in_pages_and_reviewed(fair: Fair) -> None:
    await fair.rule(window={"most": 1, "ms": MINUTE}, outcome="flag")
    for who in (ADA, BEN, ADA, BEN, ADA):
        await fair.award(who)
    base, headers = f"/api/v1/worlds/{fair.world_id}/points/verdicts", fair.owner.headers
    first = (await fair.server.client.get(f"{base}?limit=2", headers=headers)).json()
    rest = (
        await fair.server.client.get(f"{base}?limit=2&cursor={first['next_cursor']}", headers=headers)
    ).json()
    ids = [v["id"] for v in (*first["items"], *rest["items"])]
    assert len(set(ids)) == 3 and rest["next_cursor"] is None
    of_ben = (await fair.server.client.get(f"{base}?character_id={BEN}", headers=headers)).json()["items"]
    assert [v["character_id"] for v in of_ben] == [str(BEN)]
    answer = await fair.server.client.post(
        f"{base}/{ids[0]}/review", json={"decision": "confirm", "reverse": True}, headers=headers
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["result"]["state"] == "confirmed"
    left = (await fair.server.client.get(f"{base}?state=open", headers=headers)).json()["items"]
    assert {v["id"] for v in left} == set(ids[1:])
    missing = await fair.server.client.get(f"{base}/{UUID(int=1)}", headers=headers)
    assert (missing.status_code, missing.json()["code"]) == (404, "verdict_not_found")


# -- retries, events -----------------------------------------------------------------------------------------


async def test_a_refused_key_may_be_used_again(fair: Fair) -> None:
    await fair.rule(window={"most": 1, "ms": HOUR}, outcome="refuse")
    await fair.award()
    engine, command = fair.server.runtime.engine, Award(character_id=ADA, action="quest")
    for _ in range(2):
        with pytest.raises(Refused, match="award_limited"):
            await engine.execute(command, fair.owner.actor, fair.world_id, key="again")
    await fair.advance(HOUR)
    answers = [await engine.execute(command, fair.owner.actor, fair.world_id, key="again") for _ in range(2)]
    assert [a.replayed for a in answers] == [False, True]
    assert await fair.balance(ADA) == (20, 0)
    assert [v["times"] for v in await fair.verdicts()] == [2]
    [told] = await fair.events("abuse_suspected")
    assert (told["actor"], told["command"]) == (fair.owner.actor.name, None)


async def test_a_limit_never_costs_the_event_that_is_worth_something(fair: Fair) -> None:
    await fair.do(RegisterEventType(type="game.won", data_schema={"type": "object"}))
    limits = Limits(window=Window(most=2, ms=MINUTE))
    spec = AwardRuleSpec(on="game.won", amount=5, limits=limits)
    await fair.do(DefineAwardRule(key="won", rule=spec))
    won = RecordEvent(type="game.won", subject_id=ADA, data={})
    await asyncio.gather(*(fair.do(won) for _ in range(5)))
    rows = await fair.fetch("SELECT count(*) AS n FROM events WHERE world_id = $1 AND type = 'game.won'")
    assert rows[0]["n"] == 5
    assert await fair.balance(ADA) == (10, 0)
    [verdict] = await fair.verdicts()
    assert (verdict["action"], verdict["times"]) == ("won", 3)
    assert len(await fair.events("abuse_suspected")) == 1
    assert await fair.fetch("SELECT 1 FROM dead_letters WHERE world_id = $1") == []


@pytest.mark.parametrize("paused", [True, False])
async def test_over_http_it_is_429_with_the_time_to_wait(server: Server, paused: bool) -> None:
    fair = await Fair(server).open(paused=paused)
    await fair.rule(cooldown_ms=HOUR)
    url = f"/api/v1/worlds/{fair.world_id}/characters/{ADA}/points/award"
    answers = [
        await server.client.post(url, json={"action": "quest"}, headers=fair.owner.headers) for _ in range(2)
    ]
    assert [a.status_code for a in answers] == [200, 429], answers[1].text
    problem = answers[1].json()
    assert (problem["code"], problem["guard"]) == ("award_limited", "cooldown")
    if paused:
        assert "retry_after_seconds" not in problem and "retry-after" not in answers[1].headers
    else:
        assert 3_000 < problem["retry_after_seconds"] <= 3_600
        assert answers[1].headers["retry-after"] == str(problem["retry_after_seconds"])
