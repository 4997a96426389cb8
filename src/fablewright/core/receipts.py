"""Receipts: a keyed command runs once per actor and world, and is answered again from what it answered."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from fablewright.core.messages import Command
from fablewright.core.refusal import CONFLICT, INVALID, Refusal
from fablewright.core.transaction import Transaction

NO_WORLD: Final = UUID(int=0)
"""Stands for "no world" in the receipts of account commands."""

KEY_REUSED = Refusal(
    "idempotency_key_reused", CONFLICT,
    "This Idempotency-Key was used for something else. Use a new key for a new command.",
)  # fmt: skip
KEY_INVALID = Refusal(
    "idempotency_key_invalid", INVALID, "An Idempotency-Key has 1 to 200 printable ASCII characters."
)
KEY_NOT_SUPPORTED = Refusal(
    "idempotency_not_supported", INVALID,
    "This command returns a secret, which is never kept, so it takes no Idempotency-Key.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Claim:
    """A key that a command wants to run under."""

    actor: str
    key: str
    body_hash: bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a keyed command: its answer, and how many events of the commit there were by its last."""

    actor: str
    key: str
    last: int
    answer: bytes


@dataclass(frozen=True, slots=True)
class Replay:
    """The kept answer of a command that had run before."""

    answer: bytes
    seq: int | None


def claim_for(commands: Sequence[Command], actor: str, key: str, *, is_list: bool = False) -> Claim:
    """The claim for these commands. Refuses `idempotency_key_invalid`, `idempotency_not_supported`."""
    if not 1 <= len(key) <= 200 or not key.isascii() or not key.isprintable():
        raise KEY_INVALID()
    if any(type(command).secret for command in commands):
        raise KEY_NOT_SUPPORTED()
    digest = hashlib.blake2b(b"list" if is_list else b"one", digest_size=16)
    for command in commands:
        digest.update(command.message_type.encode() + b"\0" + command.model_dump_json().encode() + b"\0")
    return Claim(actor, key, digest.digest())


CLAIM: Final = """
INSERT INTO receipts (world_id, actor, key, body_hash)
SELECT $1, c.actor, c.key, c.body_hash FROM unnest($2::text[], $3::text[], $4::bytea[]) AS c (actor, key, body_hash)
ORDER BY c.actor, c.key
ON CONFLICT DO NOTHING RETURNING actor, key
"""


async def claim(tx: Transaction, world_id: UUID, claims: Sequence[Claim]) -> dict[tuple[str, str], Replay]:
    """Claim the keys, waiting for others that hold one; returns the answers of those that had run.

    Raises `idempotency_key_reused` for a key that had run with another body, if it is the only one claimed;
    among several, that one is left out of the result and of the claimed (see `engine`).
    """
    rows = await tx.fetch(
        CLAIM, world_id, [c.actor for c in claims], [c.key for c in claims], [c.body_hash for c in claims]
    )
    fresh = {(row["actor"], row["key"]) for row in rows}
    replays: dict[tuple[str, str], Replay] = {}
    for wanted in claims:
        if (wanted.actor, wanted.key) in fresh:
            continue
        row = await tx.fetchrow(
            "SELECT body_hash, seq, answer::text AS answer FROM receipts "
            "WHERE world_id = $1 AND actor = $2 AND key = $3",
            world_id, wanted.actor, wanted.key,
        )  # fmt: skip
        if row is not None and row["body_hash"] == wanted.body_hash:
            replays[wanted.actor, wanted.key] = Replay(row["answer"].encode(), row["seq"])
        else:
            replays[wanted.actor, wanted.key] = Replay(b"", None)
    return replays


def reused(replay: Replay) -> bool:
    """Whether the key had run with another body."""
    return replay.answer == b""


async def keep_without_world(tx: Transaction, kept: Sequence[Kept]) -> None:
    """Complete the receipts of account commands, which have no log. Those of a deleted world went with it."""
    for k in kept:
        await tx.execute(
            "UPDATE receipts SET answer = $4::json WHERE world_id = $1 AND actor = $2 AND key = $3",
            tx.receipt_world, k.actor, k.key, k.answer.decode(),
        )  # fmt: skip


async def purge(connection: Any, days: int) -> int:
    """Delete receipts older than `days`; returns how many."""
    status = await connection.execute(
        "DELETE FROM receipts WHERE created_at < clock_timestamp() - make_interval(days => $1)", days
    )
    return int(status.rsplit(" ", 1)[-1])
