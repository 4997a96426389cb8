"""`fablewright demo`: the server, an account, a world that lives by itself, and its story in the terminal."""

import asyncio
import os
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from rich.text import Text

from fablewright.cli.failures import explain
from fablewright.cli.serve import serve
from fablewright.cli.story import Story
from fablewright.cli.terminal import out, say
from fablewright.core import log
from fablewright.core.actors import Actor
from fablewright.core.clock import Calendar
from fablewright.core.dice import random_token
from fablewright.gateway.runtime import Runtime
from fablewright.settings import Settings

LOGIN = "demo"
PASSWORD_FILE = "demo.password"  # noqa: S105  the file's name
OLD_EVENTS = 3
"""Events told at the start that happened before it."""
PAGE = 200
EVERYDAY = frozenset({"characters.status_changed", "regions.arrived", "memory.planted"})
"""Where days are minutes long, nobody needs to be told each time somebody goes to bed."""


def run_demo(settings: Settings, *, began: float) -> None:
    """Serve, and tell the demo world's story until a signal asks us to end."""

    async def beside(app: Any, address: str) -> None:
        try:
            await _tell(app.state.runtime, address)
        except Exception as error:
            say(f"The demo's story ends here, the server goes on: {explain(error) or repr(error)}")
            if explain(error) is None:
                raise

    serve(settings, began=began, beside=beside)


async def _tell(runtime: Runtime, address: str) -> None:
    from fablewright.packs.demo import ensure_demo

    owner, password_file = await ensure_account(runtime)
    world_id = await ensure_demo(runtime, owner)
    token = await _token(runtime, password_file)
    _greet(address, world_id, password_file, token)
    await follow(runtime, world_id)


async def ensure_account(runtime: Runtime) -> tuple[Actor, Path]:
    """The demo account, made with a random password if need be, and the file that holds the password.

    There is no default password. If the file is lost, the account gets a new one.
    """
    from fablewright.systems.accounts import sign_in, views

    path = runtime.settings.data_dir / PASSWORD_FILE
    accounts = runtime.parts["accounts"]
    async with runtime.database.reading() as connection:
        profile = await views.find_user(connection, LOGIN)
    if profile is None or not path.exists():
        password = random_token(18)
        path.unlink(missing_ok=True)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(password + "\n")
        if profile is None:
            profile = await sign_in.create_user(
                runtime.engine, accounts, LOGIN, password, display_name="Demo"
            )
        else:
            await sign_in.set_password(runtime.engine, accounts, LOGIN, password)
    return Actor(f"user:{profile.id}", profile.id), path


async def _token(runtime: Runtime, password_file: Path) -> str | None:
    """An access token for the example; None if the password was changed since."""
    from fablewright.core.refusal import Refused
    from fablewright.systems.accounts import sign_in

    door = sign_in.Door(runtime.engine, runtime.parts["accounts"])
    try:
        return (await sign_in.log_in(door, LOGIN, _password_in(password_file))).access_token
    except Refused as refused:
        say(f"The password in {password_file} is not the account's any more ({refused.code}); delete the file"
            " to get a new one.")  # fmt: skip
        return None


def _password_in(path: Path) -> str:
    return path.read_text().strip()


def _greet(address: str, world_id: UUID, password_file: Path, token: str | None) -> None:
    lines = [
        ("address", address),
        ("API", f"{address}/docs"),
        ("login", LOGIN),
        ("password", f"in {password_file}"),
        ("world", str(world_id)),
    ]
    for name, value in lines:
        out.print(Text.assemble((f"{name:>9}  ", "dim"), value))
    if token is not None:
        out.print(Text("\nTry this in another terminal:", style="dim"))
        out.print(
            f"curl -s {address}/api/v1/worlds/{world_id}/dashboard -H 'Authorization: Bearer {token}'",
            markup=False,
        )
    out.print(Text("\nWhat happens now:", style="dim"))


async def follow(runtime: Runtime, world_id: UUID) -> None:
    """Tell the log of a world as it grows, from a few events ago, until cancelled."""
    moved = asyncio.Event()
    stop = runtime.engine.doorbell.add(lambda world, _seq: moved.set() if world == world_id else None)
    try:
        async with runtime.database.reading() as connection:
            story = await _story(connection, world_id)
            after = max(0, await log.head_of(connection, world_id) - OLD_EVENTS)
        while True:
            moved.clear()
            async with runtime.database.reading() as connection:
                part = await log.read(connection, world_id, after, PAGE, log.Filter())
            for row in part.rows:
                if row["type"] in EVERYDAY:
                    continue
                for line in story.tell(_event(row)):
                    out.print(line)
            after = part.up_to
            if after >= part.head:
                await moved.wait()
    finally:
        stop()


async def _story(connection: Any, world_id: UUID) -> Story:
    calendar = await connection.fetchval("SELECT calendar::text FROM worlds WHERE id = $1", world_id)
    rows = await connection.fetch(
        "SELECT id::text, name FROM characters WHERE world_id = $1 UNION ALL "
        "SELECT id::text, name FROM places WHERE world_id = $1 UNION ALL "
        "SELECT id::text, name FROM factions WHERE world_id = $1 UNION ALL "
        "SELECT id::text, name FROM regions WHERE world_id = $1 UNION ALL "
        "SELECT key, spec ->> 'name' FROM boards WHERE world_id = $1",
        world_id,
    )
    return Story(Calendar(**orjson.loads(calendar)), {row["id"]: row["name"] for row in rows})


def _event(row: Any) -> dict[str, Any]:
    return {
        "id": str(row["id"]), "causation_id": row["causation_id"] and str(row["causation_id"]), "type": row["type"],
        "at": row["at"], "actor": row["actor"], "data": orjson.loads(row["data"]),
    }  # fmt: skip
