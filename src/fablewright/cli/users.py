"""`fablewright user …`: accounts, for the server's operator."""

import sys
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Accounts: make, list, reset, promote.")

Login = Annotated[str, typer.Argument(help="The account's login.")]
FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


@app.command()
def create(
    login: Login,
    display_name: Annotated[str | None, typer.Option(help="Name that others see.")] = None,
    administrator: Annotated[
        bool, typer.Option("--administrator", help="May administer the server.")
    ] = False,
    password_stdin: FromStdin = False,
) -> None:
    """Make an account, even if registration is closed."""
    from fablewright.cli.configuration import load_settings
    from fablewright.cli.terminal import out
    from fablewright.cli.tools import with_runtime
    from fablewright.gateway.runtime import Runtime
    from fablewright.systems.accounts import sign_in, views

    settings, password = load_settings(), _password(password_stdin)

    async def work(runtime: Runtime) -> views.Profile:
        return await sign_in.create_user(
            runtime.engine, runtime.parts["accounts"], login, password, display_name=display_name,
            administrator=administrator,
        )  # fmt: skip

    profile = with_runtime(settings, work)
    out.print(f"Made the account {profile.login} ({profile.id}).", markup=False)


@app.command(name="list")
def list_() -> None:
    """List all accounts by login."""
    from fablewright.cli.configuration import load_settings
    from fablewright.cli.terminal import out
    from fablewright.cli.tools import with_runtime
    from fablewright.gateway.runtime import Runtime
    from fablewright.systems.accounts import views

    async def work(runtime: Runtime) -> list[views.Profile]:
        found: list[views.Profile] = []
        async with runtime.database.reading() as connection:
            while page := await views.list_users(connection, after=found[-1].login if found else ""):
                found += page
        return found

    for profile in with_runtime(load_settings(), work):
        rank = "  administrator" if profile.administrator else ""
        out.print(f"{profile.id}  {profile.login}  {profile.display_name}{rank}", markup=False)


@app.command()
def password(login: Login, password_stdin: FromStdin = False) -> None:
    """Set an account's password, open it if it is locked, and end its sessions."""
    from fablewright.cli.configuration import load_settings
    from fablewright.cli.terminal import out
    from fablewright.cli.tools import with_runtime
    from fablewright.gateway.runtime import Runtime
    from fablewright.systems.accounts import sign_in

    settings, new = load_settings(), _password(password_stdin)

    async def work(runtime: Runtime) -> None:
        await sign_in.set_password(runtime.engine, runtime.parts["accounts"], login, new)

    with_runtime(settings, work)
    out.print(f"{login} has the new password; all its sessions have ended.", markup=False)


@app.command()
def administrator(
    login: Login, off: Annotated[bool, typer.Option("--off", help="No longer an administrator.")] = False
) -> None:
    """Make an account an administrator of the server, or no longer one."""
    from fablewright.cli.configuration import load_settings
    from fablewright.cli.terminal import out
    from fablewright.cli.tools import user_named, with_runtime
    from fablewright.gateway.runtime import Runtime
    from fablewright.systems.accounts import sign_in

    async def work(runtime: Runtime) -> None:
        profile = await user_named(runtime, login)
        await sign_in.set_administrator(runtime.engine, runtime.parts["accounts"], profile.id, not off)

    with_runtime(load_settings(), work)
    out.print(f"{login} is {'no longer' if off else 'now'} an administrator.", markup=False)
