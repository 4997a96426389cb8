"""Somebody's way through a quest, as it is stored and locked.

Beside `service.py`, since commands, events and timers come here alike. The row of a taking decides: who changes
somebody's course locks it, so that a quest ends once, on whatever node.

Locks, in this order: quests (commands about them only), what an ending changes (accounts of the ledger, relations,
negotiations; see `endings`), takings in the order of their ids.
"""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from fablewright.core.transaction import EventRecord, Transaction
from fablewright.systems.quests import views
from fablewright.systems.quests.rules import Course, QuestDefinition
from fablewright.systems.quests.views import COLUMNS, STANDS, TAKING, parsed

DUE: Final = "quests.due"
"""The kind of the timers of deadlines. None is cancelled: where the quest has ended, it finds nothing to do."""

QUESTS: Final = f"SELECT {COLUMNS} FROM quests q WHERE q.world_id = $1 AND q.id = ANY($2::uuid[])"  # noqa: S608
_TAKINGS: Final = f"SELECT {TAKING} FROM quest_takings t WHERE t.world_id = $1"  # noqa: S608
LOCKED: Final = " FOR NO KEY UPDATE"

# What is offered or accepted: these; of these takers; and of a quest ($2), of some takers ($3) or all.
BY_ID: Final = f"{_TAKINGS} AND t.id = ANY($2::uuid[]) AND t.state IN ('offered', 'accepted') ORDER BY t.id"
OF_TAKERS: Final = (
    f"{_TAKINGS} AND t.taker_id = ANY($2::uuid[]) AND t.state IN ('offered', 'accepted') ORDER BY t.id"
)
OPEN: Final = f"""
{_TAKINGS} AND t.quest_id = $2 AND ($3::uuid[] IS NULL OR t.taker_id = ANY($3))
  AND t.state IN ('offered', 'accepted')
ORDER BY t.id
"""
# Those on some quests ($2) whom events concern: the takers $3, or whoever is on the quests $4.
CONCERNED: Final = f"""
{_TAKINGS} AND t.state = 'accepted' AND t.quest_id = ANY($2::uuid[])
  AND (t.taker_id = ANY($3::uuid[]) OR t.quest_id = ANY($4::uuid[]))
ORDER BY t.id
"""


@dataclass(frozen=True, slots=True)
class Quest:
    """A quest as it is stored."""

    id: UUID
    key: str
    definition: QuestDefinition
    template: str | None = None

    @staticmethod
    def of(row: Any) -> "Quest":
        """From a row of `COLUMNS`."""
        return Quest(row["id"], row["key"], parsed(row["spec"]), row["template"])

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
    """That a quest was offered to somebody or accepted, as it is stored."""

    id: UUID
    quest: Quest
    taker_id: UUID
    by_id: UUID | None
    state: str
    course: Course
    due_at: int | None = None
    cause: EventRecord | None = None
    """The event that moved it last."""
    record: EventRecord | None = None

    @staticmethod
    def of(row: Any, quest: Quest) -> "Taking":
        """From a row of `TAKING`."""
        course = Course(quest.definition, views.stands_of(row["course"]))
        return Taking(row["id"], quest, row["taker_id"], row["by_id"], row["state"], course, row["due_at"])

    @property
    def named(self) -> dict[str, Any]:
        """What each of its events says."""
        return {**self.quest.named, "taker_id": self.taker_id, "taking_id": self.id}

    @property
    def json(self) -> str:
        """The course as it is kept."""
        return STANDS.dump_json(self.course.stands).decode()


async def load(tx: Transaction, sql: str, *args: Any, lock: bool) -> list[Taking]:
    """The takings that one of the statements above finds; with `lock` until the commit, in the order of their ids."""
    rows = await tx.fetch(sql + (LOCKED if lock else ""), tx.world_id, *args)
    found = await tx.fetch(QUESTS, tx.world_id, sorted({row["quest_id"] for row in rows})) if rows else []
    quests = {row["id"]: Quest.of(row) for row in found}
    return [Taking.of(row, quests[row["quest_id"]]) for row in rows]
