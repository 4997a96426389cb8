"""What is read of accounts: profiles, keys, and what signing in answers with."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from fablewright.core.messages import View
from fablewright.systems.accounts.rules import ApiScope


class Profile(View):
    """An account, as its user sees it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0198c5d0-7c1e-7a90-8f55-0a6c1b2d3e4f", "login": "mira",
                    "display_name": "Mira of the Vale", "administrator": False,
                    "created_at": "2026-01-05T18:30:00Z",
                }
            ]
        }
    )  # fmt: skip

    id: UUID
    login: str
    display_name: str
    administrator: bool
    created_at: datetime


class Tokens(View):
    """A pair of tokens. Send the access token as `Authorization: Bearer …`; use the refresh token once."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "access_token": "<three base64 parts>", "token_type": "Bearer", "expires_in_seconds": 900,
                    "refresh_token": "fwr_<43 characters>", "user_id": "0198c5d0-7c1e-7a90-8f55-0a6c1b2d3e4f",
                }
            ]
        }
    )  # fmt: skip

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  a name, no secret
    expires_in_seconds: int = Field(description="Life of the access token.")
    refresh_token: str = Field(
        description="For `/auth/refresh`. It can be used once; a second use ends the session."
    )
    user_id: UUID


class Opened(View):
    """What the commands that open or go on with a session answer with."""

    user_id: UUID
    session_id: UUID
    refresh_token: str = ""
    reused: bool = False


class KeyView(View):
    """An API key, without the key itself. `prefix` is how the key begins, after `fw_`."""

    id: UUID
    name: str
    prefix: str
    scopes: list[ApiScope]
    world_id: UUID | None
    expires_at: datetime | None
    created_at: datetime


class NewKey(KeyView):
    """An API key that was just made. `key` is shown this once; send it as `Authorization: Bearer …`."""

    key: str


class Keys(View):
    """The API keys of an account, the oldest first. They are few enough to need no pages."""

    items: list[KeyView]


KEY_COLUMNS = "id, name, prefix, scopes, world_id, expires_at, created_at"
PROFILE_COLUMNS = "id, login, display_name, administrator, created_at"
_PROFILE = f"SELECT {PROFILE_COLUMNS} FROM users"  # noqa: S608


async def profile(connection: Any, user_id: UUID) -> Profile | None:
    """An account; None if it is gone."""
    row = await connection.fetchrow(f"{_PROFILE} WHERE id = $1", user_id)
    return Profile(**row) if row else None


async def find_user(connection: Any, login: str) -> Profile | None:
    """The account with this login, whatever its case; None if there is none."""
    row = await connection.fetchrow(f"{_PROFILE} WHERE lower(login) = lower($1)", login)
    return Profile(**row) if row else None


async def list_users(connection: Any, *, limit: int = 200, after: str = "") -> list[Profile]:
    """At most `limit` accounts in the order of their logins, those behind the login `after`."""
    rows = await connection.fetch(
        f"{_PROFILE} WHERE lower(login) > lower($1) ORDER BY lower(login) LIMIT $2", after, limit
    )
    return [Profile(**row) for row in rows]


async def list_keys(connection: Any, user_id: UUID) -> Sequence[KeyView]:
    """The API keys of an account, the oldest first."""
    rows = await connection.fetch(
        f"SELECT {KEY_COLUMNS} FROM api_keys WHERE user_id = $1 ORDER BY created_at, id",  # noqa: S608
        user_id,
    )
    return [KeyView(**row) for row in rows]
