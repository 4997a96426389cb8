"""Accounts in transactions: one function per command. Rows are locked in the order that `tables` gives."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from fablewright.core.dice import random_token, random_uuid
from fablewright.core.transaction import Transaction
from fablewright.systems.accounts import events, rules, views
from fablewright.systems.accounts.commands import (
    ChangePassword,
    CountWrongPassword,
    CreateApiKey,
    EraseAccount,
    LogIn,
    LogOut,
    RefreshTokens,
    Register,
    RevokeApiKey,
    SetAdministrator,
)
from fablewright.systems.accounts.tokens import KEY_PREFIX, REFRESH_PREFIX, fingerprint

LOCK_USER = """
SELECT password_hash, failed_logins, locked_until FROM users WHERE id = $1 FOR NO KEY UPDATE
"""


async def register(tx: Transaction, command: Register) -> views.Profile:
    """Add the account, unless its login is taken."""
    row = await tx.fetchrow(
        "INSERT INTO users (id, login, display_name, password_hash, administrator) "  # noqa: S608
        f"VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING {views.PROFILE_COLUMNS}",
        tx.new_id(), command.login, command.display_name, command.password_hash.get_secret_value(),
        command.administrator,
    )  # fmt: skip
    if row is None:
        raise rules.LOGIN_TAKEN()
    tx.emit(events.Registered(user_id=row["id"], administrator=command.administrator))
    return views.Profile(**row)


async def log_in(tx: Transaction, command: LogIn) -> views.Opened:
    """Open a session, forget wrong passwords, and clear away the account's expired sessions."""
    stored = await _checked_user(tx, command.user_id, command.checked_hash.get_secret_value())
    better = command.better_hash.get_secret_value() if command.better_hash else stored["password_hash"]
    await tx.execute(
        "UPDATE users SET failed_logins = 0, locked_until = NULL, password_hash = $2 WHERE id = $1 "
        "AND (failed_logins <> 0 OR locked_until IS NOT NULL OR password_hash <> $2)",
        command.user_id, better,
    )  # fmt: skip
    await tx.execute(
        "DELETE FROM sessions WHERE user_id = $1 AND expires_at <= $2", command.user_id, _now(tx)
    )
    session_id, expires_at = tx.new_id(), _now(tx) + timedelta(seconds=command.refresh_seconds)
    await tx.execute(
        "INSERT INTO sessions (id, user_id, expires_at) VALUES ($1, $2, $3)",
        session_id,
        command.user_id,
        expires_at,
    )
    token = await _new_refresh_token(tx, session_id, expires_at)
    tx.emit(events.LoggedIn(user_id=command.user_id, session_id=session_id))
    return views.Opened(user_id=command.user_id, session_id=session_id, refresh_token=token)


async def count_wrong_password(tx: Transaction, command: CountWrongPassword) -> int | None:
    """Count it, unless the account is gone, locked, or has another password by now."""
    row = await tx.fetchrow(LOCK_USER, command.user_id)
    if row is None or row["password_hash"] != command.checked_hash.get_secret_value():
        return None
    if locked := _still_locked(tx, row["locked_until"]):
        return locked
    failed = row["failed_logins"] + 1
    seconds = rules.lock_seconds(failed, command.attempts, command.lockout_seconds)
    await tx.execute(
        "UPDATE users SET failed_logins = $2, locked_until = $3 WHERE id = $1",
        command.user_id, failed, None if seconds is None else _now(tx) + timedelta(seconds=seconds),
    )  # fmt: skip
    tx.emit(events.LoginFailed(user_id=command.user_id, failed=failed))
    if seconds is not None:
        tx.emit(events.Locked(user_id=command.user_id, seconds=seconds))
    return seconds


async def refresh_tokens(tx: Transaction, command: RefreshTokens) -> views.Opened:
    """Rotate the token, or end the session if it was used before.

    The session's row is locked first, so that of two refreshes at once the second one sees that the token
    is used.
    """
    digest = fingerprint(command.refresh_token.get_secret_value())
    session_id = await tx.fetchval("SELECT session_id FROM refresh_tokens WHERE hash = $1", digest)
    user_id = await tx.fetchval("SELECT user_id FROM sessions WHERE id = $1 FOR NO KEY UPDATE", session_id)
    token = await tx.fetchrow("SELECT used_at, expires_at FROM refresh_tokens WHERE hash = $1", digest)
    if user_id is None or token is None:
        raise rules.TOKEN_INVALID()
    if token["expires_at"] <= _now(tx):
        raise rules.TOKEN_EXPIRED()
    if token["used_at"] is not None:
        await tx.execute("DELETE FROM sessions WHERE id = $1", session_id)
        tx.emit(events.TokenReused(user_id=user_id, session_id=session_id))
        return views.Opened(user_id=user_id, session_id=session_id, reused=True)
    expires_at = _now(tx) + timedelta(seconds=command.refresh_seconds)
    await tx.execute("UPDATE sessions SET expires_at = $2 WHERE id = $1", session_id, expires_at)
    await tx.execute("UPDATE refresh_tokens SET used_at = $2 WHERE hash = $1", digest, _now(tx))
    await tx.execute(
        "DELETE FROM refresh_tokens WHERE session_id = $1 AND expires_at <= $2", session_id, _now(tx)
    )
    fresh = await _new_refresh_token(tx, session_id, expires_at)
    return views.Opened(user_id=user_id, session_id=session_id, refresh_token=fresh)


async def log_out(tx: Transaction, command: LogOut) -> None:
    """End the actor's session, or all of the account's."""
    user_id = rules.own_account(tx.actor)
    session_id = None if command.everywhere else tx.actor.session_id
    ended = await tx.execute(
        "DELETE FROM sessions WHERE user_id = $1 AND ($2::uuid IS NULL OR id = $2)", user_id, session_id
    )
    if ended:
        tx.emit(events.LoggedOut(user_id=user_id, session_id=session_id))


async def change_password(tx: Transaction, command: ChangePassword) -> None:
    """Set the new hash and end the other sessions."""
    if command.checked_hash is not None:
        await _checked_user(tx, command.user_id, command.checked_hash.get_secret_value())
    found = await tx.execute(
        "UPDATE users SET password_hash = $2, failed_logins = 0, locked_until = NULL WHERE id = $1",
        command.user_id, command.new_hash.get_secret_value(),
    )  # fmt: skip
    if not found:
        raise rules.USER_NOT_FOUND()
    await tx.execute(
        "DELETE FROM sessions WHERE user_id = $1 AND id IS DISTINCT FROM $2",
        command.user_id,
        command.keep_session,
    )
    tx.emit(events.PasswordChanged(user_id=command.user_id, reset=command.checked_hash is None))


async def erase_account(tx: Transaction, command: EraseAccount) -> None:
    """Delete the user; sessions, keys and memberships go with it.

    The row is locked `FOR UPDATE` before looking for worlds: founding a world needs a key-share lock on its
    owner, so none can appear between the look and the deletion.
    """
    await tx.fetchval("SELECT 1 FROM users WHERE id = $1 FOR UPDATE", command.user_id)
    await _checked_user(tx, command.user_id, command.checked_hash.get_secret_value())
    worlds = await tx.fetchval("SELECT count(*) FROM worlds WHERE owner_id = $1", command.user_id)
    if worlds:
        raise rules.OWNS_WORLDS(worlds=worlds)
    await tx.execute("DELETE FROM users WHERE id = $1", command.user_id)
    tx.emit(events.Erased(user_id=command.user_id))


async def create_api_key(tx: Transaction, command: CreateApiKey) -> views.NewKey:
    """Make a key. The user's row is locked, so that keys made at once cannot exceed the most."""
    user_id = rules.own_account(tx.actor)
    if await tx.fetchrow(LOCK_USER, user_id) is None:
        raise rules.TOKEN_INVALID()
    await tx.execute("DELETE FROM api_keys WHERE user_id = $1 AND expires_at <= $2", user_id, _now(tx))
    if await tx.fetchval("SELECT count(*) FROM api_keys WHERE user_id = $1", user_id) >= rules.MOST_KEYS:
        raise rules.TOO_MANY_KEYS(max_keys=rules.MOST_KEYS)
    if command.world_id is not None:
        await _require_membership(tx, command.world_id, user_id)
    prefix = random_uuid().hex[:8]
    key = f"{KEY_PREFIX}{prefix}_{random_token()}"
    scopes = rules.in_order(command.scopes)
    days = command.expires_in_days
    row = await tx.fetchrow(
        "INSERT INTO api_keys (id, user_id, name, prefix, hash, scopes, world_id, expires_at) "  # noqa: S608
        f"VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING {views.KEY_COLUMNS}",
        tx.new_id(), user_id, command.name, prefix, fingerprint(key), scopes, command.world_id,
        None if days is None else _now(tx) + timedelta(days=days),
    )  # fmt: skip
    tx.emit(events.KeyCreated(user_id=user_id, key_id=row["id"], scopes=scopes, world_id=command.world_id))
    return views.NewKey(**row, key=key)


async def revoke_api_key(tx: Transaction, command: RevokeApiKey) -> None:
    """Delete a key of the actor's own account."""
    user_id = rules.own_account(tx.actor)
    if not await tx.execute("DELETE FROM api_keys WHERE id = $1 AND user_id = $2", command.key_id, user_id):
        raise rules.KEY_NOT_FOUND()
    tx.emit(events.KeyRevoked(user_id=user_id, key_id=command.key_id))


async def set_administrator(tx: Transaction, command: SetAdministrator) -> None:
    """Set whether the user administrates the server. A key cannot: it must not outgrow its own scopes."""
    if not tx.actor.is_system:
        rules.own_account(tx.actor)
    row = await tx.fetchrow(
        "SELECT administrator FROM users WHERE id = $1 FOR NO KEY UPDATE", command.user_id
    )
    if row is None:
        raise rules.USER_NOT_FOUND()
    if row["administrator"] != command.administrator:
        await tx.execute(
            "UPDATE users SET administrator = $2 WHERE id = $1", command.user_id, command.administrator
        )
        tx.emit(events.AdministratorChanged(user_id=command.user_id, administrator=command.administrator))


async def _checked_user(tx: Transaction, user_id: UUID, checked_hash: str) -> Any:
    """The user's row, locked, if the account is open and its password still is the one that was checked.

    Refuses `account_locked`, `credentials_wrong`.
    """
    row = await tx.fetchrow(LOCK_USER, user_id)
    if row is None or row["password_hash"] != checked_hash:
        raise rules.CREDENTIALS_WRONG()
    if locked := _still_locked(tx, row["locked_until"]):
        raise rules.ACCOUNT_LOCKED(retry_after_seconds=locked)
    return row


async def _require_membership(tx: Transaction, world_id: UUID, user_id: UUID) -> None:
    member = await tx.fetchval(
        "SELECT 1 FROM world_members WHERE world_id = $1 AND user_id = $2 FOR KEY SHARE", world_id, user_id
    )
    if member is None:
        raise rules.KEY_WORLD_NOT_FOUND(world_id=str(world_id))


async def _new_refresh_token(tx: Transaction, session_id: UUID, expires_at: datetime) -> str:
    """A fresh token of the session, made of real chance: what `tx.dice` gives can be computed again."""
    token = REFRESH_PREFIX + random_token()
    await tx.execute(
        "INSERT INTO refresh_tokens (hash, session_id, expires_at) VALUES ($1, $2, $3)",
        fingerprint(token), session_id, expires_at,
    )  # fmt: skip
    return token


def _still_locked(tx: Transaction, locked_until: datetime | None) -> int:
    """Whole seconds for which the account stays locked; 0 if it is open."""
    if locked_until is None:
        return 0
    return max(0, math.ceil((locked_until - _now(tx)).total_seconds()))


def _now(tx: Transaction) -> datetime:
    """Real time by the database's clock, the same throughout the transaction."""
    return datetime.fromtimestamp(tx.real_ms / 1000, UTC)
