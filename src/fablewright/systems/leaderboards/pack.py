"""How leaderboards stand in a pack: `leaderboards.yaml`, with the entries of a world that has lived."""

from collections.abc import Sequence
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import Field

from fablewright.core.messages import Command
from fablewright.core.pack import Form, Ids, Item, PackModel, PackSection, Ref, Snapshot
from fablewright.systems.leaderboards.commands import (
    MOST_RESTORED,
    BoardSpec,
    DefineBoard,
    EntryValue,
    LiftBan,
    RemoveEntries,
    RestoreEntries,
    Score,
)
from fablewright.systems.leaderboards.rules import score_of

CharacterKey = Annotated[str, Ref("characters")]


class StandingEntry(PackModel):
    """A score as it stood."""

    character: CharacterKey
    score: Score
    at: int = Field(0, description="World time (ms) at which it was reached.")


class WindowEntry(PackModel):
    """What was counted in a span of world time, best first."""

    number: int = 0
    starts_at: int | None = None
    ends_at: int | None = None
    closed: bool = False
    entries: list[StandingEntry] = []


class BanEntry(PackModel):
    """Somebody whose scores are not taken."""

    character: CharacterKey
    reason: str = Field(min_length=1, max_length=500)
    everywhere: bool = Field(False, description="From all boards, those that are defined later, too.")


class BoardEntry(BoardSpec):
    """A leaderboard. Who writes a world leaves `windows` and `bans` out."""

    windows: list[WindowEntry] = Field([], description="What was counted before, oldest first.")
    bans: list[BanEntry] = []

    @property
    def spec(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in BoardSpec.model_fields}


def commands(items: Sequence[Item], ids: Ids) -> list[Command]:
    """Ban who is banned everywhere; define each board, put its entries back, ban whom it bans."""
    made: list[Command] = []
    everywhere = {b.character: b.reason for i in items for b in i.value.bans if b.everywhere}
    for character, reason in sorted(everywhere.items()):
        made.append(RemoveEntries(subject_id=ids.of("characters", character), reason=reason, ban=True))
    for item in items:
        made.append(DefineBoard(key=item.key, **item.value.spec))
        for window in item.value.windows:
            made += _restored(item.key, window, ids)
        bans = {b.character: b.reason for b in item.value.bans}
        made += [
            LiftBan(key=item.key, subject_id=ids.of("characters", c))
            for c in sorted(everywhere)
            if c not in bans
        ]
        made += [
            RemoveEntries(key=item.key, subject_id=ids.of("characters", c), reason=reason, ban=True)
            for c, reason in bans.items() if c not in everywhere
        ]  # fmt: skip
    return made


def _restored(key: str, window: WindowEntry, ids: Ids) -> list[Command]:
    entries = [
        EntryValue(subject_id=ids.of("characters", e.character), score=e.score, at=e.at)
        for e in window.entries
    ]
    parts = [entries[n : n + MOST_RESTORED] for n in range(0, len(entries), MOST_RESTORED)] or [[]]
    return [
        RestoreEntries(
            key=key, number=window.number, starts_at=window.starts_at, ends_at=window.ends_at,
            closed=window.closed, entries=part,
        )
        for part in parts
    ]  # fmt: skip


WINDOWS: Final = """
SELECT board_id, number, starts_at, ends_at, closed FROM board_windows
WHERE world_id = $1 ORDER BY board_id, number
"""
ENTRIES: Final = """
SELECT board_id, number, subject_id, standing, at FROM board_entries
WHERE world_id = $1 ORDER BY board_id, number, standing DESC, tie DESC
"""
BANS: Final = """
SELECT board_id, subject_id, min(reason) AS reason FROM board_removals
WHERE world_id = $1 AND banned GROUP BY 1, 2 ORDER BY 1, 2
"""


async def read(snapshot: Snapshot) -> list[Item]:
    """The boards by key, with everybody on them who is in the pack."""
    fetch, world_id, keys = snapshot.connection.fetch, snapshot.world_id, snapshot.keys
    boards = await fetch("SELECT id, key, spec::text AS spec FROM boards WHERE world_id = $1", world_id)
    specs = {row["id"]: BoardSpec.model_validate_json(row["spec"]) for row in boards}
    standing: dict[tuple[UUID, int], list[StandingEntry]] = {}
    for row in await fetch(ENTRIES, world_id):
        if keys.has("characters", row["subject_id"]) and row["board_id"] in specs:
            score = score_of(row["standing"], specs[row["board_id"]].order)
            standing.setdefault((row["board_id"], row["number"]), []).append(
                StandingEntry(character=keys.of("characters", row["subject_id"]), score=score, at=row["at"])
            )
    windows: dict[UUID, list[WindowEntry]] = {}
    for row in await fetch(WINDOWS, world_id):
        windows.setdefault(row["board_id"], []).append(WindowEntry(
            number=row["number"], starts_at=row["starts_at"], ends_at=row["ends_at"], closed=row["closed"],
            entries=standing.get((row["board_id"], row["number"]), []),
        ))  # fmt: skip
    bans: dict[UUID, list[BanEntry]] = {}
    rows = await fetch(BANS, world_id)
    everywhere = {row["subject_id"] for row in rows if row["board_id"] is None}
    for row in rows:
        if row["board_id"] is not None and keys.has("characters", row["subject_id"]):
            bans.setdefault(row["board_id"], []).append(
                BanEntry(
                    character=keys.of("characters", row["subject_id"]),
                    reason=row["reason"],
                    everywhere=row["subject_id"] in everywhere,
                )
            )
    items = [
        Item(row["key"], BoardEntry(
            **{name: getattr(specs[row["id"]], name) for name in BoardSpec.model_fields},
            windows=windows.get(row["id"], []),
            bans=sorted(bans.get(row["id"], []), key=lambda ban: ban.character),
        )) for row in boards
    ]  # fmt: skip
    return sorted(items, key=lambda item: item.key)


PACK: Final = (
    PackSection(
        "leaderboards", ("leaderboards.yaml",), Form.KEYED, BoardEntry, commands, read, top="leaderboards"
    ),
)
