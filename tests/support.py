"""What tests share: people, worlds, and waiting for a condition."""

import asyncio
import ssl
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from fastapi import FastAPI

from fablewright.core.actors import Actor
from fablewright.core.messages import Command
from fablewright.gateway.runtime import Runtime
from fablewright.systems.worlds.commands import CreateWorld, SetMember

PASSWORD = "correct horse battery staple"
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def http_client(**options: Any) -> httpx.AsyncClient:
    """A client of servers on this machine. It loads no certificates, which takes 20 ms of CPU each time."""
    return httpx.AsyncClient(verify=_NO_TLS, **options)


@dataclass
class Person:
    """Someone with an account."""

    id: UUID
    login: str
    token: str
    refresh_token: str

    @property
    def actor(self) -> Actor:
        return Actor(f"user:{self.id}", self.id)

    @property
    def storyteller(self) -> Actor:
        """The same person under a fixed name. The id of a keyed command follows from the actor's name and the key,
        and its chance from its id: keyed commands of a storyteller throw the same dice in every run."""
        return Actor("user:storyteller", self.id)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@dataclass
class Server:
    """A whole server in this process, over the test run's own database."""

    app: FastAPI
    runtime: Runtime
    client: httpx.AsyncClient
    url: str

    async def person(self) -> Person:
        """Register and log in someone new."""
        login = f"p-{uuid.uuid4().hex[:16]}"
        body = {"login": login, "password": PASSWORD, "display_name": "Somebody"}
        answer = await self.client.post("/api/v1/auth/register", json=body)
        assert answer.status_code == 201, answer.text
        user_id = UUID(answer.json()["id"])
        answer = await self.client.post("/api/v1/auth/login", json={"login": login, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        tokens = answer.json()
        return Person(user_id, login, tokens["access_token"], tokens["refresh_token"])

    async def world(self, owner: Person, **fields: Any) -> UUID:
        """A new world; its clock stands still unless `paused=False`."""
        command = CreateWorld(**{"name": "A test world", "seed": 7, "paused": True, **fields})
        answer = await self.runtime.engine.execute(command, owner.actor)
        return UUID(str(answer.result["id"]))

    async def member(self, world_id: UUID, owner: Person, role: str) -> Person:
        """Someone new with a role in the world."""
        person = await self.person()
        await self.runtime.engine.execute(SetMember(user_id=person.id, role=role), owner.actor, world_id)
        return person

    async def do(self, command: Command, actor: Actor, world_id: UUID | None = None, **options: Any) -> Any:
        """Run a command; returns its result."""
        return (await self.runtime.engine.execute(command, actor, world_id, **options)).result

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        async with self.runtime.database.reading() as connection:
            return list(await connection.fetch(sql, *args))

    async def findings(self) -> list[str]:
        """What the systems' checks find wrong."""
        from fablewright.integration.doctor import examine

        return [f"{f.check}: {f.text} ({f.world_id})" for f in await examine(self.runtime)]


async def until(condition: Callable[[], Awaitable[Any]], seconds: float = 15.0) -> Any:
    """Wait until a condition gives a true value, and return it; fails after `seconds`."""
    async with asyncio.timeout(seconds):
        while True:
            value = await condition()
            if value:
                return value
            await asyncio.sleep(0.01)
