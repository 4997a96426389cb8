"""Sets the stage: a server process in a temporary folder, an owner, worlds, characters."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from fablewright.core.database import normalized


@dataclass
class Row:
    """One line of the table."""

    flow: str
    measured: str
    target: str
    baseline: str = "—"
    ratio: str = "—"
    met: bool = True


@dataclass
class Stage:
    """The server under test and how to reach it."""

    address: str
    database: str
    pid: int
    postgres_pid: int
    token: str = ""
    rows: list[Row] = field(default_factory=list)

    def call(self, method: str, path: str, body: Any = None, status: int | None = None) -> Any:
        """One request by the owner."""
        answer = httpx.request(
            method,
            self.address + path,
            json=body,
            timeout=120,
            headers={"Authorization": f"Bearer {self.token}"},
        )
        assert status is None or answer.status_code == status, answer.text
        assert answer.status_code < 300, answer.text
        return answer.json()

    def sign_in(self) -> None:
        body = {"login": "bench-owner", "password": "a password for benchmarks", "display_name": "Bench"}
        httpx.post(self.address + "/api/v1/auth/register", json=body, timeout=30)
        answer = httpx.post(
            self.address + "/api/v1/auth/login", json={k: body[k] for k in ("login", "password")}, timeout=30
        )
        self.token = answer.json()["access_token"]

    def world(self, name: str, **fields: Any) -> UUID:
        made = self.call("POST", "/api/v1/worlds", {"name": name, "seed": 42, **fields}, 201)
        return UUID(made["result"]["id"])

    def characters(self, world_id: UUID, many: int) -> list[UUID]:
        """NPCs with rested bodies."""
        ids: list[UUID] = []
        for start in range(0, many, 100):
            commands = [
                {"type": "characters.create_character", "payload": {"name": f"C {n}", "kind": "npc"}}
                for n in range(start, min(many, start + 100))
            ]
            answer = self.call("POST", f"/api/v1/worlds/{world_id}/commands", commands)
            ids += [UUID(result["id"]) for result in answer["results"]]
        return ids

    async def connect(self) -> Any:
        """A raw asyncpg connection, in the role the server has."""
        url = normalized(self.database)
        return await asyncpg.connect(
            user=url.username, password=url.password, database=url.database, host=str(url.query["host"]),
            server_settings={"role": "fablewright_app", "jit": "off"},
        )  # fmt: skip


@contextmanager
def staged() -> Iterator[Stage]:
    """A fresh server process; ended and removed afterwards."""
    folder = tempfile.mkdtemp(prefix="fablewright-bench-")
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.server", folder], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        stage = Stage(ready["address"], ready["database"], process.pid, ready["postgres_pid"])
        _wait(stage)
        stage.sign_in()
        yield stage
    finally:
        process.terminate()
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()
        shutil.rmtree(folder, ignore_errors=True)


def _wait(stage: Stage) -> None:
    for _ in range(500):
        try:
            if httpx.get(stage.address + "/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        asyncio.run(asyncio.sleep(0.02))
    raise RuntimeError("the server did not become ready")
