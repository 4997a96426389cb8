"""Accounts: who may come in.

Nouns: **user** (login, password, display name), **session** (one sign-in, with an access token that is
short-lived and a refresh token that rotates), **API key** (for programs; narrower than its account),
**administrator**.

Invariants:

- Passwords are stored as Argon2id hashes, tokens and keys as SHA-256; none of them, and no login or name,
  enters an event, a receipt or the log of the server.
- A session has one usable refresh token. Using an old one ends the session.
- Every wrong password is counted, at whichever door; several in a row lock the account for a while.
- An API key never manages the account it belongs to, and never exceeds it.
- Erasing an account removes all that is personal; its ids stay in logs.
"""

from fablewright.core.system import Handler, System
from fablewright.systems.accounts import (
    commands,
    events,
    service,
    tables,  # noqa: F401  its constraints belong to the schema
)
from fablewright.systems.accounts.checks import CHECKS
from fablewright.systems.accounts.router import router

system = System(
    name="accounts",
    handlers=(
        Handler(commands.Register, service.register),
        Handler(commands.LogIn, service.log_in),
        Handler(commands.CountWrongPassword, service.count_wrong_password),
        Handler(commands.RefreshTokens, service.refresh_tokens),
        Handler(commands.LogOut, service.log_out),
        Handler(commands.ChangePassword, service.change_password),
        Handler(commands.EraseAccount, service.erase_account),
        Handler(commands.CreateApiKey, service.create_api_key),
        Handler(commands.RevokeApiKey, service.revoke_api_key),
        Handler(commands.SetAdministrator, service.set_administrator),
    ),
    events=(
        events.Registered,
        events.LoggedIn,
        events.LoginFailed,
        events.Locked,
        events.LoggedOut,
        events.TokenReused,
        events.PasswordChanged,
        events.Erased,
        events.KeyCreated,
        events.KeyRevoked,
        events.AdministratorChanged,
    ),
    routers=(router,),
    checks=CHECKS,
)
