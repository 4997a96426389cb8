"""What may be asked of accounts, and by whom.

No command carries a password: those are hashed and compared outside transactions (see `sign_in`), because
that takes long by design. What follows from it is given by the server itself, as the `SYSTEM_ONLY` commands
here, so that no other door can claim to have seen a right password. `checked_hash` is the stored hash that
the password was compared with; if the account has another one by now, the command is refused.
"""

from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field, SecretStr

from fablewright.core.actors import ADMINISTRATORS, SIGNED_IN, SYSTEM_ONLY
from fablewright.core.messages import Command
from fablewright.systems.accounts.rules import (
    ACCOUNT_LOCKED,
    CREDENTIALS_WRONG,
    KEY_NOT_ALLOWED,
    KEY_NOT_FOUND,
    KEY_WORLD_NOT_FOUND,
    LOGIN_PATTERN,
    LOGIN_TAKEN,
    NAME_PATTERN,
    OWNS_WORLDS,
    TOKEN_EXPIRED,
    TOKEN_INVALID,
    TOO_MANY_KEYS,
    USER_NOT_FOUND,
    ApiScope,
)

Login = Annotated[str, Field(pattern=LOGIN_PATTERN, description="3 to 64 characters; case does not matter.")]
GivenName = Annotated[
    str, Field(pattern=NAME_PATTERN, description="1 to 64 characters, no control characters.")
]


class Register(Command):
    """Make an account. Answers with its profile. Refuses `login_taken`."""

    message_type = "accounts.register"
    allowed = SYSTEM_ONLY
    refusals = (LOGIN_TAKEN,)
    secret = True

    login: Login
    password_hash: SecretStr
    display_name: GivenName
    administrator: bool = False


class LogIn(Command):
    """Open a session for a user whose password was right; answers with its first refresh token.

    `better_hash` replaces a stored hash that was made with weaker parameters. Refuses `credentials_wrong`,
    `account_locked`.
    """

    message_type = "accounts.log_in"
    allowed = SYSTEM_ONLY
    refusals = (CREDENTIALS_WRONG, ACCOUNT_LOCKED)
    secret = True

    user_id: UUID
    checked_hash: SecretStr
    better_hash: SecretStr | None = None
    refresh_seconds: int = Field(gt=0)


class CountWrongPassword(Command):
    """Count a wrong password, and lock the account if it was one too many.

    It commits rather than refusing, since a refusal would undo the count. Answers with the seconds for
    which the account is locked, null if it is not. A `user_id` that nobody has counts nothing, and takes as
    long.
    """

    message_type = "accounts.count_wrong_password"
    allowed = SYSTEM_ONLY
    secret = True

    user_id: UUID
    checked_hash: SecretStr
    attempts: int = Field(gt=0, description="Wrong passwords in a row that lock the account.")
    lockout_seconds: int = Field(gt=0, description="How long it is locked the first time.")


class RefreshTokens(Command):
    """Exchange a refresh token for a new one.

    A token that was used before ends its session: then the answer's `reused` is true, and this is committed
    rather than refused, since a refusal would keep the session. Refuses `token_invalid`, `token_expired`.
    """

    message_type = "accounts.refresh_tokens"
    allowed = SYSTEM_ONLY
    refusals = (TOKEN_INVALID, TOKEN_EXPIRED)
    secret = True

    refresh_token: SecretStr
    refresh_seconds: int = Field(gt=0)


class LogOut(Command):
    """End the session that this command is given in, or all sessions of the account. API keys stay valid.

    Refuses `key_not_allowed`, `token_invalid`.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"everywhere": False}]})
    message_type = "accounts.log_out"
    allowed = SIGNED_IN
    refusals = (KEY_NOT_ALLOWED, TOKEN_INVALID)

    everywhere: bool = Field(False, description="End all sessions of the account.")


class ChangePassword(Command):
    """Set a new password, end all sessions but `keep_session`, and forget wrong passwords.

    Without `checked_hash` it is an administrator's reset. Refuses `user_not_found`, `credentials_wrong`,
    `account_locked`.
    """

    message_type = "accounts.change_password"
    allowed = SYSTEM_ONLY
    refusals = (USER_NOT_FOUND, CREDENTIALS_WRONG, ACCOUNT_LOCKED)
    secret = True

    user_id: UUID
    checked_hash: SecretStr | None
    new_hash: SecretStr
    keep_session: UUID | None = None


class EraseAccount(Command):
    """Delete the account with its sessions and keys. The audit log keeps ids, nothing personal.

    Refuses `credentials_wrong`, `account_locked`, `owns_worlds`.
    """

    message_type = "accounts.erase_account"
    allowed = SYSTEM_ONLY
    refusals = (CREDENTIALS_WRONG, ACCOUNT_LOCKED, OWNS_WORLDS)
    secret = True

    user_id: UUID
    checked_hash: SecretStr


class CreateApiKey(Command):
    """Make an API key for a program. The answer holds the key itself, this once.

    What the key may do in a world is capped by its scopes and by what its account may do there. Refuses
    `key_not_allowed`, `key_world_not_found`, `too_many_keys`, `token_invalid`.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "game server", "scopes": ["read", "play"], "expires_in_days": 90}]
        }
    )
    message_type = "accounts.create_api_key"
    allowed = SIGNED_IN
    refusals = (KEY_NOT_ALLOWED, KEY_WORLD_NOT_FOUND, TOO_MANY_KEYS, TOKEN_INVALID)
    secret = True

    name: GivenName
    scopes: list[ApiScope] = Field(
        min_length=1,
        max_length=3,
        description="`read`: observe; `play`: also act as a player; `manage`: all you may.",
    )
    world_id: UUID | None = Field(
        None, description="The only world it may be used in; null for all of yours."
    )
    expires_in_days: int | None = Field(None, ge=1, le=3650, description="Its life; null for until revoked.")


class RevokeApiKey(Command):
    """End an API key of the own account. Refuses `key_not_allowed`, `key_not_found`, `token_invalid`."""

    message_type = "accounts.revoke_api_key"
    allowed = SIGNED_IN
    refusals = (KEY_NOT_ALLOWED, KEY_NOT_FOUND, TOKEN_INVALID)

    key_id: UUID


class SetAdministrator(Command):
    """Make a user an administrator of the server, or no longer one.

    Refuses `user_not_found`, `key_not_allowed`.
    """

    message_type = "accounts.set_administrator"
    allowed = ADMINISTRATORS
    refusals = (USER_NOT_FOUND, KEY_NOT_ALLOWED)

    user_id: UUID
    administrator: bool
