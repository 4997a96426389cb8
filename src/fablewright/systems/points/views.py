"""What is read of points, and the models of answers."""

from typing import Any, Final
from uuid import UUID

import orjson
from pydantic import Field

from fablewright.core.clock import Calendar, WorldClock
from fablewright.core.messages import View
from fablewright.systems.ledger import views as ledger
from fablewright.systems.points.commands import DEFAULT_LEVELS, AwardRuleSpec, Levels, LevelTitle
from fablewright.systems.points.events import AwardPart
from fablewright.systems.points.guards import NO_GUARDS, WorldGuards
from fablewright.systems.points.rules import Bonus, PointsWorld, streak_now


class AwardView(View):
    """What an award came to."""

    character_id: UUID
    currency: str
    amount: int = Field(description="What the character got; 0 while it waits for a game master.")
    asked: int = Field(description="What the rule or the caller asked for.")
    parts: list[AwardPart] = Field(description="What led from `asked` to `amount`, factor by factor.")
    balance: int
    earned: int = Field(description="What it was awarded of points over its life.")
    level: int
    reference: str | None
    transfer_id: UUID | None = Field(description="Null while it waits.")
    hold_id: UUID | None = Field(None, description="The hold as which it waits for a game master's decision.")
    outcome: str | None = Field(
        None, description="What a check against abuse made of it: reduce, flag or quarantine."
    )
    verdict_id: UUID | None = None
    replayed: bool = Field(False, description="The reference was used before: nothing more was given.")


class AwardsView(View):
    """What a list of awards came to, in its order."""

    awards: list[AwardView]


class PaymentView(View):
    """What was spent, given or adjusted, and what is left to who paid."""

    currency: str
    amount: int
    balance: int
    available: int = Field(description="The balance without what open holds reserve.")
    reference: str | None
    transfer_id: UUID | None = Field(description="Null while a gift waits for a game master.")
    hold_id: UUID | None = None
    replayed: bool = Field(False, description="The reference was used before: nothing more was moved.")


class ReversedView(View):
    """What was taken back, and what is left to who had it."""

    character_id: UUID
    currency: str
    amount: int
    balance: int
    earned: int = Field(description="What it was awarded of points over its life, without this.")
    level: int
    reverses: UUID = Field(description="The transfer that was taken back.")
    transfer_id: UUID


class ReviewedView(View):
    """What became of a verdict; `transfer_id` is what the decision gave or took."""

    verdict_id: UUID
    state: str
    transfer_id: UUID | None


class TitleAnswer(View):
    """A title, and whether it is new to the character."""

    title: str
    new: bool


class RuleView(View):
    """An award rule."""

    key: str
    rule: AwardRuleSpec


class BonusView(View):
    """A time (world ms) in which awards are multiplied."""

    id: UUID
    name: str
    multiplier: float
    rules: list[str] | None = Field(description="Keys of the rules it is for; null: all of them.")
    from_ms: int
    until_ms: int


class BalanceView(View):
    """What a character has of a currency."""

    currency: str
    balance: int
    held: int
    available: int


class TitleView(View):
    """A title that a character was granted, by what, and when (world ms)."""

    title: str
    source: str
    at: int


class PointsView(View):
    """How far a character has come."""

    character_id: UUID
    balances: list[BalanceView] | None = Field(
        description="Null for those who neither control the character nor lead the game."
    )
    earned: int = Field(description="What it was awarded of points over its life.")
    level: int
    level_at: int = Field(description="From how much earned on one is on this level.")
    next_level_at: int | None = Field(description="Null on the last level.")
    title: str | None = Field(description="The title that goes with the level.")
    titles: list[TitleView] = Field(description="Those it was granted, the newest first.")
    streak: int = Field(description="World days in a row with an award, up to today or yesterday.")


STANDING: Final = """
SELECT c.id, c.user_id, s.earned, s.level, s.streak, s.streak_day,
       w.calendar::text AS calendar, w.anchor_world_ms, w.anchor_real_ms, w.rate, w.paused, w.advance_id,
       (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS real_ms
FROM characters c JOIN worlds w ON w.id = c.world_id
LEFT JOIN standings s ON s.world_id = c.world_id AND s.character_id = c.id
WHERE c.world_id = $1 AND c.id = $2 AND num_nulls(c.deleted_at) = 1
"""


async def points(connection: Any, world_id: UUID, character_id: UUID, sees: UUID | None) -> PointsView | None:
    """How far a character has come; None if there is none. `sees` is the user who looks, None for game masters."""
    row = await connection.fetchrow(STANDING, world_id, character_id)
    if row is None:
        return None
    world = await points_world(connection, world_id)
    titles = await connection.fetch(
        "SELECT title, source, at FROM character_titles WHERE world_id = $1 AND character_id = $2 "
        "ORDER BY at DESC, title",
        world_id, character_id,
    )  # fmt: skip
    balances = None
    if sees is None or sees == row["user_id"]:
        accounts = await ledger.accounts(connection, world_id, [character_id])
        balances = [
            BalanceView(currency=a.currency, balance=a.balance, held=a.held, available=a.available)
            for a in accounts
        ]
    clock = WorldClock(
        row["anchor_world_ms"],
        row["anchor_real_ms"],
        row["rate"],
        row["paused"],
        row["advance_id"] is not None,
    )
    day = Calendar(**orjson.loads(row["calendar"])).day_number(clock.now(row["real_ms"]))
    level = row["level"] or 1
    return PointsView(
        character_id=character_id, balances=balances, earned=row["earned"] or 0, level=level,
        level_at=world.curve.starts_at(level) or 0, next_level_at=world.curve.starts_at(level + 1),
        title=world.title(level), titles=[TitleView(**dict(t)) for t in titles],
        streak=streak_now(row["streak"] or 0, row["streak_day"], day),
    )  # fmt: skip


async def list_rules(connection: Any, world_id: UUID, *, after: str | None, limit: int) -> list[RuleView]:
    """Up to `limit` award rules by key, after one."""
    rows = await connection.fetch(
        "SELECT key, spec::text AS spec FROM award_rules WHERE world_id = $1 AND ($2::text IS NULL OR key > $2) "
        "ORDER BY key LIMIT $3",
        world_id, after, limit,
    )  # fmt: skip
    return [RuleView(key=row["key"], rule=AwardRuleSpec.model_validate_json(row["spec"])) for row in rows]


async def rule(connection: Any, world_id: UUID, key: str) -> RuleView | None:
    """One award rule; None if there is none of that key."""
    spec = await connection.fetchval(
        "SELECT spec::text FROM award_rules WHERE world_id = $1 AND key = $2", world_id, key
    )
    return None if spec is None else RuleView(key=key, rule=AwardRuleSpec.model_validate_json(spec))


async def bonuses(connection: Any, world_id: UUID) -> list[BonusView]:
    """The bonus events of a world, those that are over too, by their beginning."""
    return [BonusView(**dict(row)) for row in await connection.fetch(BONUSES, world_id)]


# -- what a world defines ------------------------------------------------------------------------------------


SETTINGS: Final = (
    "SELECT levels::text AS levels, guards::text AS guards FROM points_settings WHERE world_id = $1"
)
RULES: Final = "SELECT key, spec::text AS spec FROM award_rules WHERE world_id = $1 ORDER BY key"
BONUSES: Final = (
    "SELECT id, name, multiplier, rules, from_ms, until_ms FROM bonus_events WHERE world_id = $1 "
    "ORDER BY from_ms, id"
)


class PointsSettings(View):
    """How a world's levels rise, the titles that go with them, and its checks across actions."""

    levels: Levels = DEFAULT_LEVELS
    titles: list[LevelTitle] = []
    guards: WorldGuards | None = Field(WorldGuards(), description="Null: only game masters see them.")


async def settings(connection: Any, world_id: UUID) -> PointsSettings:
    """What a world has configured, or the defaults."""
    row = await connection.fetchrow(SETTINGS, world_id)
    if row is None:
        return PointsSettings()
    stored = orjson.loads(row["levels"])
    return PointsSettings(
        levels=stored.get("levels", DEFAULT_LEVELS), titles=stored.get("titles", []),
        guards=orjson.loads(row["guards"]),
    )  # fmt: skip


async def points_world(connection: Any, world_id: UUID) -> PointsWorld:
    """All that a world defines about points, ready to be used."""
    configured = await settings(connection, world_id)
    rows = await connection.fetch(RULES, world_id)
    bonuses = await connection.fetch(BONUSES, world_id)
    return PointsWorld(
        rules={
            row["key"]: AwardRuleSpec.model_validate_json(row["spec"]).rule(row["key"]) for row in rows
        },
        bonuses=tuple(
            Bonus(
                b["id"], b["name"], b["multiplier"], None if b["rules"] is None else frozenset(b["rules"]),
                b["from_ms"], b["until_ms"],
            )
            for b in bonuses
        ),
        curve=configured.levels.curve(),
        titles=tuple(sorted((entry.level, entry.title) for entry in configured.titles)),
        guards=configured.guards or NO_GUARDS,
    )  # fmt: skip
