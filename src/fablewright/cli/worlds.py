"""`fablewright world …`: worlds, for the server's operator."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Worlds: list, make, import, delete.")

Owner = Annotated[str, typer.Option(help="Login of the account that will own it.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Secret seed of its chance; random if left out.")]

LIST = """
SELECT w.id, w.name, coalesce(u.login, '(nobody)') AS owner, h.seq,
       (SELECT count(*) FROM characters c WHERE c.world_id = w.id AND c.deleted_at IS NULL) AS characters
FROM worlds w JOIN world_heads h ON h.world_id = w.id LEFT JOIN users u ON u.id = w.owner_id
WHERE $1::uuid IS NULL OR w.id > $1 ORDER BY w.id LIMIT 500
"""


@app.command(name="list")
def list_() -> None:
    """List all worlds, whosever they are."""
    from typing import Any

    from fablewright.cli.configuration import load_settings
    from fablewright.cli.terminal import out
    from fablewright.cli.tools import with_runtime
    from fablewright.gateway.runtime import Runtime

    async def work(runtime: Runtime) -> list[Any]:
        found: list[Any] = []
        async with runtime.database.reading() as connection:
            while page := await connection.fetch(LIST, found[-1]["id"] if found else None):
                found += page
        return found

    for row in with_runtime(load_settings(), work):
        out.print(
            f"{row['id']}  {row['name']}  of {row['owner']}:"
            f" {row['characters']} characters, {row['seq']} events",
            markup=False,
        )  # fmt: skip


@app.command()
def create(name: Annotated[str, typer.Argument(help="Its name.")], owner: Owner, seed: Seed = None) -> None:
    """Make an empty world."""
    from uuid import UUID

    from fablewright.cli.configuration import load_settings
    from fablewright.cli.terminal import out
    from fablewright.cli.tools import user_named, with_runtime
    from fablewright.core.actors import Actor
    from fablewright.gateway.runtime import Runtime
    from fablewright.systems.worlds.commands import CreateWorld

    async def work(runtime: Runtime) -> UUID:
        user = await user_named(runtime, owner)
        command = CreateWorld(name=name, seed=seed)
        answer = await runtime.engine.execute(command, Actor(f"user:{user.id}", user.id))
        return UUID(str(answer.result["id"]))

    out.print(f"Made the world {name} ({with_runtime(load_settings(), work)}).", markup=False)


@app.command(name="import")
def import_(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="CSV with the columns source, target, weight.")
    ],
    owner: Owner,
    name: Annotated[str | None, typer.Option(help="The world's name; else that of the file.")] = None,
    seed: Seed = None,
) -> None:
    """Make a world of a social network: its people and how they feel about each other."""
    from rich.progress import Progress

    from fablewright.cli.configuration import load_settings
    from fablewright.cli.terminal import err, out
    from fablewright.cli.tools import user_named, with_runtime
    from fablewright.core.actors import Actor
    from fablewright.gateway.runtime import Runtime
    from fablewright.packs.network import Imported, import_network, read_network

    rows = read_network(file)

    async def work(runtime: Runtime) -> Imported:
        user = await user_named(runtime, owner)
        with Progress(console=err, transient=True) as bar:
            task = bar.add_task(f"Importing {file.name}", total=None)
            return await import_network(
                runtime, Actor(f"user:{user.id}", user.id), name or file.stem, rows, seed=seed,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )  # fmt: skip

    done = with_runtime(load_settings(), work)
    out.print(
        f"Made the world {name or file.stem} ({done.world_id}):"
        f" {done.characters} characters, {done.ties} ties.",
        markup=False,
    )  # fmt: skip


@app.command()
def delete(
    world: Annotated[str, typer.Argument(help="Its id, or its name.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a world and all that is in it. It cannot be undone."""
    from fablewright.cli.configuration import load_settings
    from fablewright.cli.terminal import out
    from fablewright.cli.tools import with_runtime, world_named
    from fablewright.core.actors import system_actor
    from fablewright.gateway.runtime import Runtime
    from fablewright.systems.worlds.commands import DeleteWorld

    async def work(runtime: Runtime) -> str:
        world_id, name = await world_named(runtime, world)
        if not yes:
            typer.confirm(f"Delete the world {name} ({world_id}) and all that is in it?", abort=True)
        await runtime.engine.execute(DeleteWorld(), system_actor("cli"), world_id)
        return name

    out.print(f"Deleted the world {with_runtime(load_settings(), work)}.", markup=False)
