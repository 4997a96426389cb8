"""What accounts do outside transactions: hash and compare passwords, sign tokens, then give the command.

The router and the command line call these. Hashing takes long by design, so it happens before the
transaction; the command then carries the hash that was compared, and is refused if the account has another
one by now.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import SecretStr

from fablewright.core.actors import Actor, system_actor
from fablewright.core.dice import random_uuid
from fablewright.core.engine import Engine
from fablewright.core.messages import Command
from fablewright.core.refusal import Refusal
from fablewright.systems.accounts import rules
from fablewright.systems.accounts.commands import (
    ChangePassword,
    CountWrongPassword,
    EraseAccount,
    LogIn,
    RefreshTokens,
    Register,
    SetAdministrator,
)
from fablewright.systems.accounts.tokens import Authenticator
from fablewright.systems.accounts.views import Opened, Profile, Tokens

SERVER = system_actor("accounts")
"""Gives the commands that follow from a password or token that was right (or wrong)."""


@dataclass(frozen=True, slots=True)
class Door:
    """Through what a request came: the parts it needs, and the key and correlation id it brought."""

    engine: Engine
    accounts: Authenticator
    key: str | None = None
    correlation_id: UUID | None = None

    async def give(self, command: Command, actor: Actor = SERVER) -> Any:
        """Run an account command; returns its handler's result."""
        answer = await self.engine.execute(command, actor, key=self.key, correlation_id=self.correlation_id)
        return answer.result


@dataclass(frozen=True, slots=True)
class _Account:
    """What is known of an account before its password is checked."""

    user_id: UUID
    login: str
    password_hash: str
    locked_seconds: int


_FIND = """
SELECT id, login, password_hash,
       ceil(greatest(0, extract(epoch FROM locked_until - clock_timestamp())))::int AS locked_seconds
FROM users
"""


async def register(door: Door, login: str, password: str, display_name: str) -> Profile:
    """Make an account for a stranger. Refuses `registration_closed` and what `create_user` refuses."""
    if not door.accounts.settings.open_registration:
        raise rules.REGISTRATION_CLOSED()
    return await _create(door, login, password, display_name, administrator=False)


async def create_user(
    engine: Engine, accounts: Authenticator, login: str, password: str, *, display_name: str | None = None,
    administrator: bool = False,
) -> Profile:  # fmt: skip
    """Make an account, whether or not registration is open. Refuses `login_invalid`, `login_taken`,
    `password_unsuitable`."""
    return await _create(Door(engine, accounts), login, password, display_name or login, administrator)


async def _create(door: Door, login: str, password: str, display_name: str, administrator: bool) -> Profile:
    rules.check_login(login)
    password_hash = await door.accounts.hasher.hash(rules.check_password(password, login))
    profile: Profile = await door.give(
        Register(
            login=login, password_hash=SecretStr(password_hash), display_name=display_name,
            administrator=administrator,
        )
    )  # fmt: skip
    return profile


async def log_in(door: Door, login: str, password: str) -> Tokens:
    """Open a session. An unknown login is answered like a wrong password, and about as late.

    Refuses `credentials_wrong`, `account_locked`, `passwords_busy`.
    """
    account = await _find(door, "lower(login) = lower($1)", login) or _nobody(door)
    await _prove(door, account, password, rules.CREDENTIALS_WRONG)
    hasher = door.accounts.hasher
    better = await hasher.hash(password) if hasher.outdated(account.password_hash) else None
    opened: Opened = await door.give(
        LogIn(
            user_id=account.user_id,
            checked_hash=SecretStr(account.password_hash),
            better_hash=SecretStr(better) if better else None,
            refresh_seconds=door.accounts.settings.refresh_token_seconds,
        )
    )
    return _tokens(door, opened)


async def refresh(door: Door, refresh_token: str) -> Tokens:
    """Exchange a refresh token for new tokens. Refuses `token_invalid`, `token_expired`, `token_reused`."""
    seconds = door.accounts.settings.refresh_token_seconds
    opened: Opened = await door.give(
        RefreshTokens(refresh_token=SecretStr(refresh_token), refresh_seconds=seconds)
    )
    if opened.reused:
        door.accounts.forget(opened.user_id)
        raise rules.TOKEN_REUSED()
    return _tokens(door, opened)


async def change_password(door: Door, actor: Actor, old: str, new: str) -> None:
    """Set a new password and end the account's other sessions.

    Refuses `key_not_allowed`, `password_unsuitable`, `password_wrong`, `account_locked`, `passwords_busy`.
    """
    account = await _own(door, actor)
    rules.check_password(new, account.login)
    await _prove(door, account, old, rules.PASSWORD_WRONG)
    command = ChangePassword(
        user_id=account.user_id,
        checked_hash=SecretStr(account.password_hash),
        new_hash=SecretStr(await door.accounts.hasher.hash(new)),
        keep_session=actor.session_id,
    )
    await door.give(command)
    door.accounts.forget(account.user_id)


async def set_password(engine: Engine, accounts: Authenticator, login: str, password: str) -> None:
    """An administrator's reset: set the password, open the account if it is locked, end all its sessions.

    Refuses `user_not_found`, `password_unsuitable`.
    """
    door = Door(engine, accounts)
    account = await _find(door, "lower(login) = lower($1)", login)
    if account is None:
        raise rules.USER_NOT_FOUND()
    new_hash = SecretStr(await accounts.hasher.hash(rules.check_password(password, login)))
    await door.give(ChangePassword(user_id=account.user_id, checked_hash=None, new_hash=new_hash))
    accounts.forget(account.user_id)


async def set_administrator(
    engine: Engine, accounts: Authenticator, user_id: UUID, administrator: bool
) -> None:
    """Make a user an administrator, or no longer one. Refuses `user_not_found`."""
    await Door(engine, accounts).give(SetAdministrator(user_id=user_id, administrator=administrator))
    accounts.forget(user_id)


async def erase(
    door: Door, actor: Actor, password: str, before: Sequence[Callable[[UUID], Awaitable[None]]] = ()
) -> None:
    """Erase the actor's account, after every hook in `before` has let go of it.

    The hooks are commands of their own. If one refuses, the account stays, though what earlier hooks left
    is left. Refuses `key_not_allowed`, `password_wrong`, `account_locked`, `owns_worlds`, `passwords_busy`.
    """
    account = await _own(door, actor)
    await _prove(door, account, password, rules.PASSWORD_WRONG)
    for hook in before:
        await hook(account.user_id)
    await door.give(EraseAccount(user_id=account.user_id, checked_hash=SecretStr(account.password_hash)))
    door.accounts.forget(account.user_id)


async def _find(door: Door, condition: str, value: object) -> _Account | None:
    async with door.accounts.database.reading() as connection:
        row = await connection.fetchrow(f"{_FIND} WHERE {condition}", value)
    if row is None:
        return None
    return _Account(row["id"], row["login"], row["password_hash"], row["locked_seconds"] or 0)


async def _own(door: Door, actor: Actor) -> _Account:
    """The actor's own account. Refuses `key_not_allowed`, and `token_invalid` if it is gone."""
    account = await _find(door, "id = $1", rules.own_account(actor))
    if account is None:
        raise rules.TOKEN_INVALID()
    return account


def _nobody(door: Door) -> _Account:
    """Stands in for an unknown login: it takes the same way through the code, and no password fits it."""
    return _Account(random_uuid(), "", door.accounts.hasher.nobodys_hash, 0)


async def _prove(door: Door, account: _Account, password: str, wrong: Refusal) -> None:
    """Compare the password with the account's. A wrong one is counted, and refused as `wrong`.

    While an account is locked, not even the right password is compared, so that guessing learns nothing.
    """
    if account.locked_seconds:
        raise rules.ACCOUNT_LOCKED(retry_after_seconds=account.locked_seconds)
    if await door.accounts.hasher.matches(account.password_hash, password):
        return
    settings = door.accounts.settings
    locked = await door.give(
        CountWrongPassword(
            user_id=account.user_id,
            checked_hash=SecretStr(account.password_hash),
            attempts=settings.login_attempts,
            lockout_seconds=settings.lockout_seconds,
        )
    )
    if locked:
        raise rules.ACCOUNT_LOCKED(retry_after_seconds=locked)
    raise wrong()


def _tokens(door: Door, opened: Opened) -> Tokens:
    signer = door.accounts.signer
    return Tokens(
        access_token=signer.sign(opened.user_id, opened.session_id),
        expires_in_seconds=signer.life_seconds,
        refresh_token=opened.refresh_token,
        user_id=opened.user_id,
    )
