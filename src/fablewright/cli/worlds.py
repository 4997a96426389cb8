"""`fablewright world …`: worlds, for the server's operator."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Worlds: list, make, import, export, delete.")

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
    path: Annotated[
        Path,
        typer.Argument(
            exists=True, help="A pack (folder of YAML), or a CSV with the columns source, target, weight."
        ),
    ],
    owner: Owner,
    name: Annotated[str | None, typer.Option(help="The world's name; else that of the pack or file.")] = None,
    seed: Seed = None,
) -> None:
    """Make a world of a pack, or of a social network: its people and how they feel about each other."""
    if path.is_dir():
        _import_pack(path, owner, name, seed)
    else:
        _import_network(path, owner, name, seed)


def _import_pack(folder: Path, owner: str, name: str | None, seed: int | None) -> None:
    from fablewright.app import installed_systems
    from fablewright.cli.configuration import load_settings
    from fablewright.cli.terminal import out
    from fablewright.cli.tools import user_named, with_runtime
    from fablewright.core.actors import Actor
    from fablewright.gateway.runtime import Runtime
    from fablewright.packs.reader import Imported, import_pack, most_events, read_pack

    with _told_in_lines():
        pack = read_pack(folder, installed_systems())
        settings = load_settings()
        # One commit holds the whole world, however large.
        most = max(settings.max_events_per_commit, most_events(pack))

        async def work(runtime: Runtime) -> Imported:
            user = await user_named(runtime, owner)
            return await import_pack(
                runtime, Actor(f"user:{user.id}", user.id), pack, name=name, seed=seed
            )  # fmt: skip

        done = with_runtime(settings.model_copy(update={"max_events_per_commit": most}), work)
    out.print(f"Made the world {done.name} ({done.world_id}): {_counted(done.counts)}.", markup=False)


def _counted(counts: Mapping[str, int]) -> str:
    """How many of what a pack holds."""
    return (
        ", ".join(f"{what} {count}" for what, count in counts.items() if what != "world") or "an empty world"
    )


@contextmanager
def _told_in_lines() -> Iterator[None]:
    """Tell every fault of a pack on a line of its own."""
    from fablewright.cli.terminal import err
    from fablewright.core.refusal import Refused

    try:
        yield
    except Refused as refused:
        if refused.code != "pack_invalid":
            raise
        for line in refused.detail.splitlines():
            err.print(line, markup=False, highlight=False, soft_wrap=True)
        count = refused.facts.get("count", 1)
        err.print(
            f"fablewright: The pack has {count} {'mistake' if count == 1 else 'mistakes'}, so nothing was made."
            " [pack_invalid]",
            markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip
        raise typer.Exit(1) from refused


def _import_network(file: Path, owner: str, name: str | None, seed: int | None) -> None:
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
def export(
    world: Annotated[str, typer.Argument(help="Its id, or its name.")],
    folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet, or is empty.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the pack that the folder holds.")] = False,
    with_seed: Annotated[
        bool, typer.Option("--with-seed", help="Write the secret seed of its chance, too.")
    ] = False,
) -> None:
    """Write a world, as it is now, as a pack: a folder of YAML that can be edited and imported."""
    from fablewright.cli.configuration import load_settings
    from fablewright.cli.terminal import out
    from fablewright.cli.tools import with_runtime, world_named
    from fablewright.gateway.runtime import Runtime
    from fablewright.packs.writer import Exported, export_world

    async def work(runtime: Runtime) -> Exported:
        world_id, _ = await world_named(runtime, world)
        return await export_world(runtime, world_id, folder, force=force, with_seed=with_seed)

    done = with_runtime(load_settings(), work)
    out.print(
        f"Wrote the world {done.name} into {folder}: {_counted(done.counts)}.", markup=False, soft_wrap=True
    )


@app.command()
def schema(
    folder: Annotated[Path, typer.Argument(help="Where to write them; made if need be.")],
) -> None:
    """Write JSON Schemas of the files of a pack, for editors that check and complete while one types."""
    from fablewright.app import installed_systems
    from fablewright.cli.terminal import out
    from fablewright.packs.schemas import write_schemas

    for path in write_schemas(folder, installed_systems()):
        out.print(str(path), markup=False, soft_wrap=True)


@app.command()
def check(folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="A pack.")]) -> None:
    """Check a pack without importing it."""
    from fablewright.app import installed_systems
    from fablewright.cli.terminal import out
    from fablewright.packs.reader import read_pack

    with _told_in_lines():
        pack = read_pack(folder, installed_systems())
    out.print(f"{pack.name} has no mistakes: {_counted(pack.counts)}.", markup=False)


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
