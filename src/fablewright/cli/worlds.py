"""`fablewright world …`: worlds, for the server's operator."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fablewright.packs.reader import Pack

app = typer.Typer(no_args_is_help=True, help="Worlds: list, make, import, export, delete.")

Owner = Annotated[str, typer.Option(help="Login of the account that will own it.")]
Epoch = Annotated[
    str | None, typer.Option(help="The date that world time 0 stands for, if JSON or SQLite hold real dates.")
]
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
            exists=True,
            help="A pack (folder of YAML), a folder of JSON files, an SQLite file, or a CSV with the columns source,"
            " target, weight.",
        ),
    ],
    owner: Owner,
    name: Annotated[str | None, typer.Option(help="The world's name; else that of the pack or file.")] = None,
    seed: Seed = None,
    epoch: Epoch = None,
    leave_out: Annotated[
        bool, typer.Option("--leave-out", help="Go on without what cannot be mapped (JSON, SQLite).")
    ] = False,
) -> None:
    """Make a world of a pack, of another program's JSON files or SQLite file, or of a social network.

    What of JSON or SQLite cannot be mapped is told first, and then nothing is made, unless --leave-out is given.
    """
    from fablewright.packs.foreign import is_foreign

    if path.is_dir() or is_foreign(path):
        with _told_in_lines():
            pack = _pack_of(path, epoch, leave_out=leave_out)
            _import_pack(pack, owner, name, seed)
    else:
        _import_network(path, owner, name, seed)


def _pack_of(path: Path, epoch: str | None, *, leave_out: bool) -> "Pack":
    """What a path holds, read and checked. What of other programs' data has no place is told on lines of its own."""
    from fablewright.app import installed_systems
    from fablewright.packs.foreign import is_foreign, read_foreign
    from fablewright.packs.reader import read_pack

    if not is_foreign(path):
        return read_pack(path, installed_systems())
    foreign = read_foreign(path, installed_systems(), epoch=epoch)
    if leave_out:
        _tell_unmapped(foreign.lines())
    else:
        foreign.refuse_unmapped()
    return foreign.pack


def _tell_unmapped(lines: Sequence[str]) -> None:
    from fablewright.cli.terminal import err

    for line in lines:
        err.print(f"Left out: {line}", markup=False, highlight=False, soft_wrap=True)


def _import_pack(pack: "Pack", owner: str, name: str | None, seed: int | None) -> None:
    from fablewright.cli.configuration import load_settings
    from fablewright.cli.terminal import out
    from fablewright.cli.tools import user_named, with_runtime
    from fablewright.core.actors import Actor
    from fablewright.gateway.runtime import Runtime
    from fablewright.packs.reader import Imported, import_pack, most_events

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
    """Tell every fault of a pack, and what has no place in one, on a line of its own."""
    from fablewright.cli.terminal import err
    from fablewright.core.refusal import Refused

    try:
        yield
    except Refused as refused:
        if refused.code not in ("pack_invalid", "import_unmapped"):
            raise
        for line in refused.facts.get("unmapped", ()):
            err.print(f"Cannot be mapped: {line}", markup=False, highlight=False, soft_wrap=True)
        count = refused.facts.get("count", 1)
        if refused.code == "import_unmapped":
            err.print(
                f"fablewright: {count} {'thing has' if count == 1 else 'things have'} no place in a world, so nothing"
                " was made. Rename what is to have one, or import with --leave-out. [import_unmapped]",
                markup=False, highlight=False, soft_wrap=True,
            )  # fmt: skip
            raise typer.Exit(1) from refused
        for line in refused.detail.splitlines():
            err.print(line, markup=False, highlight=False, soft_wrap=True)
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
def check(
    path: Annotated[
        Path, typer.Argument(exists=True, help="A pack, a folder of JSON files, or an SQLite file.")
    ],
    epoch: Epoch = None,
) -> None:
    """Check what could be imported, and say what of it cannot be mapped, without importing it."""
    from fablewright.cli.terminal import out

    with _told_in_lines():
        pack = _pack_of(path, epoch, leave_out=False)
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
