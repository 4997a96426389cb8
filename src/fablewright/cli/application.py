"""The commands and their options. What they do is imported when one of them is run: help stays quick."""

import sys
from typing import Annotated

import typer

from fablewright.cli import users, worlds
from fablewright.core.clock import monotonic

BEGAN = monotonic()

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="Fablewright: a server for living role-playing worlds.",
)  # fmt: skip

app.add_typer(users.app, name="user")
app.add_typer(worlds.app, name="world")

Host = Annotated[str | None, typer.Option(help="Address to listen on.")]
Port = Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")]


def run() -> None:
    """Run the command that was asked for; what the operator can mend is said in one line."""
    from fablewright.cli.failures import explain

    try:
        app()
    except Exception as error:
        sentence = explain(error)
        if sentence is None:
            raise
        print(f"fablewright: {sentence}", file=sys.stderr)
        sys.exit(1)


@app.command()
def serve(
    host: Host = None,
    port: Port = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that answer.")] = 1,
) -> None:
    """Run the server."""
    from fablewright.cli.configuration import load_settings
    from fablewright.cli.serve import serve as run_server

    run_server(load_settings(host=host, port=port), workers=workers, began=BEGAN)


@app.command()
def demo(host: Host = None, port: Port = None) -> None:
    """Run the server with a demo world, and tell here what happens in it."""
    from fablewright.cli.configuration import load_settings
    from fablewright.cli.demo import run_demo

    run_demo(load_settings(host=host, port=port), began=BEGAN)


@app.command()
def migrate(
    to: Annotated[str, typer.Option(help="Revision to go to.")] = "heads",
) -> None:
    """Bring the database's schema up to date. The server does this by itself when it starts."""
    from fablewright.cli.configuration import load_settings
    from fablewright.cli.operations import run_migrations

    run_migrations(load_settings(), to)


@app.command()
def settings(
    example: Annotated[
        bool, typer.Option("--example", help="Print a file of all settings to begin from.")
    ] = False,
) -> None:
    """Show every setting, its value, and where that comes from. Secrets stay hidden."""
    from fablewright.cli import configuration
    from fablewright.cli.operations import show_settings

    if example:
        print(configuration.example(), end="")
    else:
        show_settings(configuration.load_settings())


@app.command()
def watch(
    world: Annotated[str, typer.Argument(help="The world's id, or its name.")],
    url: Annotated[str | None, typer.Option(help="The server's address; else this machine's.")] = None,
    token: Annotated[
        str | None, typer.Option(envvar="FABLEWRIGHT_TOKEN", help="Access token or API key; else you log in.")
    ] = None,
    login: Annotated[str | None, typer.Option(help="Whom to log in as, if there is no token.")] = None,
    after: Annotated[int | None, typer.Option(min=0, help="Begin after this event; 0 tells it all.")] = None,
    follow: Annotated[bool, typer.Option(help="Go on when all that has happened is told.")] = True,
) -> None:
    """Tell what happens in a world of a running server, as it happens."""
    from fablewright.cli.configuration import load_settings
    from fablewright.cli.watch import watch_world

    settings = load_settings()
    here = f"http://{settings.host}:{settings.port}"
    watch_world(url or here, world, token=token, login=login, after=after, follow=follow)


@app.command()
def doctor() -> None:
    """Check every system's invariants. Exit code 1 if something is broken."""
    from fablewright.cli.configuration import load_settings
    from fablewright.cli.operations import run_doctor

    if not run_doctor(load_settings()):
        raise typer.Exit(1)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def bench(context: typer.Context) -> None:
    """Run the benchmarks of the source checkout."""
    from fablewright.cli.operations import run_benchmarks

    run_benchmarks(context.args)
