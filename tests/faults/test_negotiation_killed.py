"""PostgreSQL dies in mid-negotiation: each table has all of its offers and its treaty, or is as it was before.

Clients bargain from the opening to the signature, with a payment at the end; beside them factions that run themselves
sit down by timers. Every command carries an Idempotency-Key and is sent again until it is answered.
"""

import os
import random
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.faults.load import Load, Reader, call, fetch, replayed, settle_in, verify
from tests.faults.processes import ServerProcess
from tests.support import http_client, until

pytestmark = [pytest.mark.fault, pytest.mark.uncounted]

TREASURY = 100_000
PAID = 3
HOUSES, SELF_RUN = 8, 4


@dataclass
class Bargaining(Load):
    """Clients of which each leads one negotiation after the other: open, offer, counter-offer, acceptance."""

    clients: int = 12
    houses: list[str] = field(default_factory=list)
    self_run: list[str] = field(default_factory=list)
    agreed: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By negotiation, what the last acceptance answered."""

    async def _client(self, number: int) -> None:
        chance, count = random.Random(f"{self.seed} {number}"), 0
        limits = httpx.Limits(max_keepalive_connections=1)
        async with http_client(timeout=10, limits=limits, headers=self.owner.headers) as client:
            while not self._stopping:
                count += 1
                await self._bargain(client, f"{self.seed}-{number}-{count}", chance)

    async def _say(
        self, client: httpx.AsyncClient, key: str, act: str, **payload: Any
    ) -> dict[str, Any] | None:
        """Give a command until it is answered; its result, None if that never came."""
        self.sent[key] = {"type": f"diplomacy.{act}", "payload": payload}
        await self.give(client, key)
        return self.acknowledged[key]["result"] if key in self.acknowledged else None

    async def _bargain(self, client: httpx.AsyncClient, key: str, chance: random.Random) -> None:
        if chance.random() < 0.2:
            one, other = chance.sample(self.self_run, 2)
            kind = chance.choice(["non_aggression", "trade", "alliance"])
            await self._say(client, key, "open_negotiation", faction_id=one, with_ids=[other], kind=kind)
            return
        one, other = chance.sample(self.houses, 2)
        opening = {"faction_id": one, "with_ids": [other], "kind": "custom", "deadline_days": 3_000}
        made = await self._say(client, f"{key}-open", "open_negotiation", **opening)
        pays = [{"type": "pay", "from_id": one, "to_id": other, "amount": PAID - 1}]
        more = [{**pays[0], "amount": PAID}, {"type": "custom", "text": key}]
        for step, (who, offer) in enumerate(((one, pays), (other, more))):
            if made is None:
                return
            table = {"negotiation_id": made["id"], "faction_id": who}
            made = await self._say(client, f"{key}-{step}", "make_offer", **table, clauses=offer, days=30)
        if made is not None:
            answer = {"negotiation_id": made["id"], "faction_id": one, "number": 2, "accept": True}
            found = await self._say(client, f"{key}-yes", "answer_offer", **answer)
            if found is not None:
                self.agreed[found["id"]] = found


async def bargaining(server: ServerProcess) -> Bargaining:
    """A load on a new world with houses that are played, and some that run themselves."""
    load = Bargaining([server], await settle_in(server.address, 0, rate=100_000.0))
    for number in range(HOUSES + SELF_RUN):
        alone = number >= HOUSES
        house = {"name": f"House {number}", "treasury": TREASURY, "self_run": alone}
        made = await call(server.address, "POST", f"{load.owner.path}/factions", house, load.owner.headers)
        (load.self_run if alone else load.houses).append(made["result"]["id"])
    return load


async def verify_tables(url: str, load: Bargaining) -> None:
    """Each negotiation is whole, each agreement a treaty in force that was paid once, and no table waits for ever."""
    world_id = load.owner.world_id
    rows = await fetch(
        url,
        "SELECT n.id, n.state, n.offers, n.treaty_id, t.state AS treaty, count(o.id) AS made, "
        "count(o.id) FILTER (WHERE o.state = 'standing') AS standing, "
        "count(o.id) FILTER (WHERE o.state = 'accepted') AS accepted, bool_and(f.self_run) AS alone "
        "FROM negotiations n LEFT JOIN negotiation_offers o ON o.world_id = n.world_id AND o.negotiation_id = n.id "
        "LEFT JOIN treaties t ON t.world_id = n.world_id AND t.id = n.treaty_id "
        "JOIN negotiation_parties p ON p.world_id = n.world_id AND p.negotiation_id = n.id "
        "JOIN factions f ON f.world_id = n.world_id AND f.id = p.faction_id WHERE n.world_id = $1 "
        "GROUP BY n.world_id, n.id, t.state",
        world_id,
    )  # fmt: skip
    by_id = {str(row["id"]): row for row in rows}
    for row in rows:
        assert row["made"] == 2 * row["offers"], row  # joined with two parties
        assert (row["state"] == "agreed") == (row["treaty_id"] is not None) == (row["accepted"] == 2), row
        assert row["standing"] == 0 or row["state"] == "open", row
    for key, answer in load.agreed.items():
        assert by_id[key]["state"] == "agreed" and str(by_id[key]["treaty_id"]) == answer["treaty_id"]
    played = [row for row in rows if not row["alone"]]
    agreed = [row for row in played if row["state"] == "agreed"]
    assert len(load.agreed) <= len(agreed) <= len(load.agreed) + len(load.given_up)
    treaties = await fetch(
        url, "SELECT count(*) AS many FROM treaties WHERE world_id = $1 AND kind = 'custom'", world_id
    )
    assert treaties[0]["many"] == len(agreed)
    paid = await fetch(
        url,
        "SELECT count(*) AS many, count(DISTINCT reference) AS different, coalesce(sum(amount), 0) AS sum "
        "FROM ledger_transfers WHERE world_id = $1 AND kind = 'diplomacy.treaty' AND credit = ANY($2::uuid[])",
        world_id, [UUID(house) for house in load.houses],
    )  # fmt: skip
    assert dict(paid[0]) == {"many": len(agreed), "different": len(agreed), "sum": PAID * len(agreed)}


async def test_postgresql_is_killed_in_mid_negotiation(tmp_path: Path) -> None:
    """Twice in a row, while a dozen tables bargain and others fall due."""
    with ServerProcess(tmp_path) as server:
        await server.start()
        load = await bargaining(server)
        reader = Reader([server], load.owner)
        async with reader.running():
            async with load.running():
                for _ in range(2):
                    await load.reach(80)
                    postgres = server.postgres()
                    assert postgres is not None
                    os.kill(postgres, signal.SIGKILL)

                    async def again(gone: int = postgres) -> bool:
                        return server.postgres() not in (None, gone)

                    await until(again)
                await load.reach(80)
            assert load.troubles, "nobody noticed"
            assert load.agreed and not load.refused, load.refused

            async def all_rose() -> bool:
                """Whether those who run themselves have all ended their talks."""
                left = await fetch(
                    server.database_url(),
                    "SELECT n.id FROM negotiations n JOIN negotiation_parties p "
                    "ON p.world_id = n.world_id AND p.negotiation_id = n.id "
                    "JOIN factions f ON f.world_id = n.world_id AND f.id = p.faction_id "
                    "WHERE n.world_id = $1 AND n.state = 'open' GROUP BY n.id HAVING bool_and(f.self_run)",
                    load.owner.world_id,
                )  # fmt: skip
                return not left

            await until(all_rose, 60)
            pause = {"paused": True}
            await call(server.address, "PUT", f"{load.owner.path}/clock", pause, load.owner.headers)
            print(f"{len(load.acknowledged)} done, {len(load.agreed)} agreed; {dict(load.troubles)}")
            await verify_tables(server.database_url(), load)
            await verify(server.database_url(), server.settings(), load, reader)
            await replayed(server, load)
