"""What the commands about ties do. Higher systems load and change ties through this module."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from fablewright.core.dice import derived_uuid
from fablewright.core.messages import Command
from fablewright.core.refusal import Refused
from fablewright.core.transaction import Request, Transaction
from fablewright.systems.characters import service as characters
from fablewright.systems.relationships.commands import SetTies, TieValue
from fablewright.systems.relationships.events import TieSet, TiesSet
from fablewright.systems.relationships.rules import SAME_CHARACTER, TIE_CHARACTER_NOT_FOUND, TieState

__all__ = ["Acquaintance", "TieState", "acquaintances", "load", "write"]

Pair = tuple[UUID, UUID]
"""Who feels something (source), and about whom (target)."""

LOAD: Final = """
SELECT t.source_id, t.target_id, t.strength, t.trust, t.interaction_count, t.last_interaction_at
FROM unnest($2::uuid[], $3::uuid[]) AS p (source_id, target_id)
JOIN ties t ON t.world_id = $1 AND t.source_id = p.source_id AND t.target_id = p.target_id
ORDER BY t.id FOR NO KEY UPDATE OF t
"""
WRITE: Final = """
INSERT INTO ties (world_id, id, source_id, target_id, strength, trust, interaction_count, last_interaction_at)
SELECT $1, v.* FROM unnest(
    $2::uuid[], $3::uuid[], $4::uuid[], $5::float8[], $6::float8[], $7::bigint[], $8::bigint[])
    AS v (id, source_id, target_id, strength, trust, interaction_count, last_interaction_at)
ON CONFLICT (world_id, source_id, target_id) DO UPDATE SET
    strength = excluded.strength, trust = excluded.trust,
    interaction_count = excluded.interaction_count, last_interaction_at = excluded.last_interaction_at
"""
# From a place in the order of ids that differs from time to time, so that everybody has a turn although few
# rows are read; the second part goes on from the beginning.
ACQUAINTANCES: Final = """
SELECT a.id AS source_id, c.id, c.name, t.strength, t.trust, t.last_interaction_at
FROM unnest($2::uuid[], $3::uuid[]) WITH ORDINALITY AS a (id, start, n)
CROSS JOIN LATERAL (
    (SELECT target_id, strength, trust, last_interaction_at FROM ties
     WHERE world_id = $1 AND source_id = a.id AND target_id >= a.start ORDER BY target_id LIMIT $4)
    UNION ALL
    (SELECT target_id, strength, trust, last_interaction_at FROM ties
     WHERE world_id = $1 AND source_id = a.id AND target_id < a.start ORDER BY target_id LIMIT $4)
) t
JOIN characters c ON c.world_id = $1 AND c.id = t.target_id AND c.status = 'active' AND c.deleted_at IS NULL
ORDER BY a.n, t.target_id < a.start, t.target_id
"""


# -- for higher systems --------------------------------------------------------------------------------------


async def load(tx: Transaction, pairs: Iterable[Pair]) -> dict[Pair, TieState]:
    """Those of the ties that exist, locked until the commit in the order of their ids.

    Lock the characters first (`characters.service.load`): whoever holds both characters of a missing tie may
    make it.
    """
    wanted = sorted(set(pairs))
    rows = await tx.fetch(LOAD, tx.world_id, [s for s, _ in wanted], [t for _, t in wanted])
    return {
        (row["source_id"], row["target_id"]): TieState(
            row["strength"], row["trust"], row["interaction_count"], row["last_interaction_at"]
        )
        for row in rows
    }


async def write(tx: Transaction, ties: Mapping[Pair, TieState]) -> None:
    """Store ties, old and new, with one statement. `load` must have locked them."""
    if not ties:
        return
    pairs, states = list(ties), list(ties.values())
    await tx.execute(
        WRITE, tx.world_id, [derived_uuid("tie", tx.world_id, *pair) for pair in pairs],
        [s for s, _ in pairs], [t for _, t in pairs], [s.strength for s in states], [s.trust for s in states],
        [s.interaction_count for s in states], [s.last_interaction_at for s in states],
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Acquaintance:
    """An active character that another one knows, and how it feels about it; see `TieState`."""

    id: UUID
    name: str
    strength: float
    trust: float
    last_interaction_at: int | None


async def acquaintances(
    tx: Transaction, starts: Sequence[tuple[UUID, UUID]], most: int
) -> dict[UUID, list[Acquaintance]]:
    """For each (character, place in the order of ids) up to `most` active characters it knows. Not locked.

    They are those that follow that place, so that a character with a thousand ties costs no more than one
    with ten.
    """
    rows = await tx.fetch(
        ACQUAINTANCES, tx.world_id, [who for who, _ in starts], [start for _, start in starts], most
    )
    found: dict[UUID, list[Acquaintance]] = {who: [] for who, _ in starts}
    for row in rows:
        if len(found[row["source_id"]]) < most:
            found[row["source_id"]].append(
                Acquaintance(
                    row["id"], row["name"], row["strength"], row["trust"], row["last_interaction_at"]
                )
            )
    return found


async def forget(tx: Transaction, character_ids: Sequence[UUID]) -> None:
    """Remove every tie from and to these characters."""
    await tx.execute(
        "DELETE FROM ties "
        "WHERE world_id = $1 AND (source_id = ANY($2::uuid[]) OR target_id = ANY($2::uuid[]))",
        tx.world_id, list(character_ids),
    )  # fmt: skip


# -- commands ------------------------------------------------------------------------------------------------


async def set_tie(tx: Transaction, requests: Sequence[Request]) -> list[TieValue | Refused]:
    """Say how characters feel about each other; many of these commands cost no more than one."""
    wanted = [_value(request.command) for request in requests]
    refused = await _set(tx, [[value] for value in wanted])
    results: list[TieValue | Refused] = []
    for request, value, problem in zip(requests, wanted, refused, strict=True):
        if problem is None:
            tx.emit(TieSet(**value.model_dump()), by=request)
        results.append(problem or value)
    return results


async def set_ties(tx: Transaction, requests: Sequence[Request]) -> list[dict[str, int] | Refused]:
    """Say how many characters feel about each other; each command as a whole or not at all."""
    commands: list[SetTies] = [request.command for request in requests]  # type: ignore[misc]
    refused = await _set(tx, [command.ties for command in commands])
    results: list[dict[str, int] | Refused] = []
    for request, command, problem in zip(requests, commands, refused, strict=True):
        if problem is None:
            tx.emit(TiesSet(ties=command.ties), by=request)
        results.append(problem or {"ties": len(command.ties)})
    return results


def _value(command: Command) -> TieValue:
    return TieValue(**command.model_dump())


async def _set(tx: Transaction, groups: Sequence[Sequence[TieValue]]) -> list[Refused | None]:
    """Write groups of ties, each group as a whole or not at all; what refuses each group, if anything."""
    pairs = [(tie.source_id, tie.target_id) for group in groups for tie in group]
    living = await characters.load(tx, (i for pair in pairs for i in pair))
    before = await load(tx, pairs)
    after: dict[Pair, TieState] = {}
    refused: list[Refused | None] = []
    for group in groups:
        problem = next(filter(None, (_problem(tie, living) for tie in group)), None)
        refused.append(problem)
        for tie in group if problem is None else ():
            pair = (tie.source_id, tie.target_id)
            old = before.get(pair, TieState())
            after[pair] = TieState(tie.strength, tie.trust, old.interaction_count, old.last_interaction_at)
    await write(tx, after)
    return refused


def _problem(tie: TieValue, living: Mapping[UUID, characters.CharacterState]) -> Refused | None:
    if tie.source_id == tie.target_id:
        return SAME_CHARACTER()
    missing = next((i for i in (tie.source_id, tie.target_id) if i not in living), None)
    return None if missing is None else TIE_CHARACTER_NOT_FOUND(character_id=str(missing))
