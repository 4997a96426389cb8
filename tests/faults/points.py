"""Load of points on a server that is about to break, and the comparison afterwards, to the point.

Awards go through their hot route, the rest through the door for all commands, each with an Idempotency-Key; what is
not answered is sent again with the same key. Then the ledger must hold each acknowledged one exactly once.
"""

import random
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx

from fablewright.core.dice import derived_uuid
from fablewright.settings import Settings
from tests.faults.load import Load, Reader, call, fetch, settle_in, verify
from tests.faults.processes import ServerProcess

WRITERS = 64
CHARACTERS = 24
MINT, SINK = UUID(int=1), UUID(int=2)
Move = tuple[UUID, UUID, int]
"""From whom, to whom, how much."""

TRANSFERS = """
SELECT e.causation_id AS cause, t.debit, t.credit, t.amount, t.reference
FROM ledger_transfers t JOIN events e ON e.world_id = t.world_id AND e.id = t.event_id WHERE t.world_id = $1
"""


@dataclass
class PointsLoad(Load):
    """Clients that award, spend and give, whatever happens to the server."""

    clients: int = WRITERS
    pause: float = 0.1

    def _command(self, key: str, chance: random.Random) -> dict[str, Any]:
        one, other = (str(who) for who in chance.sample(self.owner.characters, 2))
        amount, kind = chance.randint(1, 30), chance.random()
        terms: dict[str, Any] = {"amount": amount, "reason": key}
        if chance.random() < 0.3:
            terms["reference"] = f"ref-{key}"
        if kind < 0.7:
            return {"type": "points.award", "payload": {"character_id": one, **terms}}
        if kind < 0.85:
            return {"type": "points.spend", "payload": {"character_id": one, **terms}}
        return {"type": "points.give", "payload": {"from_id": one, "to_id": other, **terms}}

    async def _post(self, client: httpx.AsyncClient, server: ServerProcess, key: str) -> httpx.Response:
        if self.sent[key]["type"] != "points.award":
            return await super()._post(client, server, key)
        body = dict(self.sent[key]["payload"])
        path = f"{self.owner.path}/characters/{body.pop('character_id')}/points/award"
        return await client.post(f"{server.address}{path}", json=body, headers={"Idempotency-Key": key})

    def moves(self, key: str) -> Move:
        """What this command does to the ledger."""
        payload = self.sent[key]["payload"]
        kind, amount = self.sent[key]["type"], payload["amount"]
        if kind == "points.award":
            return MINT, UUID(payload["character_id"]), amount
        if kind == "points.spend":
            return UUID(payload["character_id"]), SINK, amount
        return UUID(payload["from_id"]), UUID(payload["to_id"]), amount


async def earners(server: ServerProcess, **world: Any) -> PointsLoad:
    """A load on a new world with characters that earn; more servers can be added to `servers`."""
    return PointsLoad([server], await settle_in(server.address, CHARACTERS, **world))


async def verify_points(url: str, settings: Settings, load: PointsLoad, *readers: Reader) -> None:
    """What was acknowledged happened exactly once, the rest once or not at all, and every balance is their sum."""
    await verify(url, settings, load, *readers)
    world_id = load.owner.world_id
    found: defaultdict[UUID, list[Any]] = defaultdict(list)
    for row in await fetch(url, TRANSFERS, world_id):
        found[row["cause"]].append(row)
    expected: Counter[UUID] = Counter()
    for key in load.sent:
        rows = found.pop(derived_uuid(f"user:{load.owner.id}", key), [])
        assert len(rows) == 1 if key in load.acknowledged else len(rows) <= (key in load.given_up), key
        for row in rows:
            debit, credit, amount = load.moves(key)
            assert (row["debit"], row["credit"], row["amount"]) == (debit, credit, amount), key
            expected[debit] -= amount
            expected[credit] += amount
    assert not found, "somebody moved points whom nobody asked"
    rows = await fetch(url, "SELECT owner_id, balance FROM ledger_accounts WHERE world_id = $1", world_id)
    balances = {row["owner_id"]: row["balance"] for row in rows}
    assert balances == {who: expected[who] for who in balances}
    assert set(expected) - set(balances) <= {MINT, SINK}
    assert set(load.refused.values()) <= {"insufficient_funds"}


async def same_reference_again(server: ServerProcess, load: PointsLoad, many: int = 5) -> None:
    """An award that was acknowledged, asked for again under another key but the same reference, gives nothing more."""
    keys = [
        k for k in sorted(load.acknowledged)
        if load.sent[k]["type"] == "points.award" and "reference" in load.sent[k]["payload"]
    ]  # fmt: skip
    assert keys
    for key in keys[:: max(1, len(keys) // many)]:
        headers = {**load.owner.headers, "Idempotency-Key": f"again-{key}"}
        await call(server.address, "POST", f"{load.owner.path}/commands", load.sent[key], headers)
