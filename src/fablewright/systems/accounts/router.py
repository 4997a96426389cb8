"""HTTP routes of accounts. They answer plainly, without `seq`: nothing here stands in the log of a world."""

from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from fablewright.core.receipts import KEY_NOT_SUPPORTED
from fablewright.gateway.api import Caller, CallerInfo, refusals
from fablewright.systems.accounts import rules, sign_in, views
from fablewright.systems.accounts.commands import (
    CreateApiKey,
    EraseAccount,
    GivenName,
    Login,
    LogOut,
    RefreshTokens,
    Register,
    RevokeApiKey,
)
from fablewright.systems.accounts.sign_in import Door
from fablewright.systems.accounts.tokens import Authenticator

router = APIRouter(tags=["accounts"])
PUBLIC: dict[str, Any] = {"security": []}

Password = Annotated[
    SecretStr,
    Field(
        description="10 to 200 characters, not the login.",
        json_schema_extra={"minLength": rules.PASSWORD_LEAST, "maxLength": rules.PASSWORD_MOST},
    ),
]
"""Its length is checked by the rules, not here, since a validation error would repeat the password."""


def _example(fields: dict[str, Any]) -> ConfigDict:
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [fields]})


class Registration(BaseModel):
    """Who wants an account."""

    model_config = _example(
        {"login": "mira", "password": "ten green bottles", "display_name": "Mira of the Vale"}
    )

    login: Login
    password: Password
    display_name: GivenName


class Credentials(BaseModel):
    """Login and password."""

    model_config = _example({"login": "mira", "password": "ten green bottles"})

    login: Login
    password: Password


class RefreshRequest(BaseModel):
    """The refresh token to exchange."""

    model_config = _example({"refresh_token": "fwr_<43 characters>"})

    refresh_token: SecretStr


class PasswordChange(BaseModel):
    """The present password and the one to have from now on."""

    model_config = _example({"old_password": "ten green bottles", "new_password": "eleven grey wolves"})

    old_password: Password
    new_password: Password


class Erasure(BaseModel):
    """The password, to make sure that it is you who wants the account gone."""

    model_config = _example({"password": "ten green bottles"})

    password: Password


_PASSWORD_REFUSALS = (
    rules.PASSWORD_WRONG, rules.ACCOUNT_LOCKED, rules.PASSWORDS_BUSY, rules.KEY_NOT_ALLOWED,
    rules.TOKEN_INVALID,
)  # fmt: skip


def _accounts(caller: CallerInfo) -> Authenticator:
    accounts: Authenticator = caller.runtime.parts["accounts"]
    return accounts


def _door(caller: CallerInfo) -> Door:
    return Door(
        caller.runtime.engine,
        _accounts(caller),
        caller.request.headers.get("idempotency-key"),
        caller.request.scope.get("state", {}).get("correlation_id"),
    )


def _secret_door(caller: CallerInfo) -> Door:
    """For what takes or gives secrets: refuses an Idempotency-Key before anything is compared or counted."""
    if "idempotency-key" in caller.request.headers:
        raise KEY_NOT_SUPPORTED()
    return _door(caller)


@router.post(
    "/auth/register",
    status_code=201,
    responses=refusals(
        Register, rules.REGISTRATION_CLOSED, rules.PASSWORD_UNSUITABLE, rules.PASSWORDS_BUSY, world=False,
        keyed=False,
    ),
    openapi_extra=PUBLIC,
)  # fmt: skip
async def register(body: Registration, caller: Caller) -> views.Profile:
    """Make an account. It can log in at once."""
    return await sign_in.register(
        _door(caller), body.login, body.password.get_secret_value(), body.display_name
    )


@router.post(
    "/auth/login",
    responses=refusals(
        rules.CREDENTIALS_WRONG, rules.ACCOUNT_LOCKED, rules.PASSWORDS_BUSY, world=False, keyed=False
    ),
    openapi_extra=PUBLIC,
)
async def log_in(body: Credentials, caller: Caller) -> views.Tokens:
    """Open a session. After several wrong passwords in a row the account is locked for a while."""
    return await sign_in.log_in(_secret_door(caller), body.login, body.password.get_secret_value())


@router.post(
    "/auth/refresh",
    responses=refusals(RefreshTokens, rules.TOKEN_REUSED, world=False, keyed=False),
    openapi_extra=PUBLIC,
)
async def refresh(body: RefreshRequest, caller: Caller) -> views.Tokens:
    """Exchange a refresh token, which can be used once, for new tokens.

    A second use ends the session with all its tokens, since then two parties hold the same token.
    """
    return await sign_in.refresh(_secret_door(caller), body.refresh_token.get_secret_value())


@router.post("/auth/logout", status_code=204, responses=refusals(LogOut, world=False))
async def log_out(caller: Caller, body: Annotated[LogOut | None, Body()] = None) -> None:
    """End this session, or all sessions of the account. API keys stay valid."""
    user_id = rules.own_account(caller.actor) if caller.actor.user_id else caller.signed_in()
    await _door(caller).give(body or LogOut(), caller.actor)
    _accounts(caller).forget(user_id)


@router.post(
    "/account/password",
    status_code=204,
    responses=refusals(_PASSWORD_REFUSALS, rules.PASSWORD_UNSUITABLE, world=False, keyed=False),
)
async def change_password(body: PasswordChange, caller: Caller) -> None:
    """Set a new password and end the account's other sessions. API keys stay valid."""
    caller.signed_in()
    old, new = body.old_password.get_secret_value(), body.new_password.get_secret_value()
    await sign_in.change_password(_secret_door(caller), caller.actor, old, new)


@router.get("/account", responses=refusals(rules.TOKEN_INVALID, world=False))
async def get_account(caller: Caller) -> views.Profile:
    """The caller's own account; for an API key, the account it belongs to."""
    user_id = caller.signed_in()
    async with caller.runtime.database.reading() as connection:
        profile = await views.profile(connection, user_id)
    if profile is None:
        raise rules.TOKEN_INVALID()
    return profile


@router.delete(
    "/account",
    status_code=204,
    responses=refusals(EraseAccount, _PASSWORD_REFUSALS, world=False, keyed=False),
)
async def erase_account(body: Erasure, caller: Caller) -> None:
    """Erase the account with its sessions, keys and memberships. This cannot be undone.

    Worlds must be handed over or deleted first. What the account did in worlds stays in their logs, under
    its id.
    """
    caller.signed_in()
    runtime = caller.runtime
    hooks = [hook for system in runtime.systems if (hook := system.extra.get("before_erase"))]
    await sign_in.erase(
        _secret_door(caller),
        caller.actor,
        body.password.get_secret_value(),
        [partial(h, runtime) for h in hooks],
    )


@router.post("/account/api-keys", status_code=201, responses=refusals(CreateApiKey, world=False, keyed=False))
async def create_api_key(body: CreateApiKey, caller: Caller) -> views.NewKey:
    """Make an API key. The answer is the only one that holds the key."""
    caller.signed_in()
    rules.own_account(caller.actor)
    key: views.NewKey = await _door(caller).give(body, caller.actor)
    return key


@router.get("/account/api-keys", responses=refusals(rules.KEY_NOT_ALLOWED, rules.TOKEN_INVALID, world=False))
async def list_api_keys(caller: Caller) -> views.Keys:
    """The account's API keys, the oldest first, without the keys themselves."""
    caller.signed_in()
    user_id = rules.own_account(caller.actor)
    async with caller.runtime.database.reading() as connection:
        return views.Keys(items=list(await views.list_keys(connection, user_id)))


@router.delete("/account/api-keys/{key_id}", status_code=204, responses=refusals(RevokeApiKey, world=False))
async def revoke_api_key(key_id: UUID, caller: Caller) -> None:
    """Revoke an API key. It is refused from now on; by other nodes, some seconds later."""
    caller.signed_in()
    user_id = rules.own_account(caller.actor)
    await _door(caller).give(RevokeApiKey(key_id=key_id), caller.actor)
    _accounts(caller).forget(user_id)
