"""What happened to accounts, for the audit log. Ids only: no login, name, password or token stands here."""

from typing import ClassVar
from uuid import UUID

from fablewright.core.messages import Audience, Event
from fablewright.systems.accounts.rules import ApiScope


class AccountEvent(Event):
    """Base: something about one account, for that user to know."""

    subjects: ClassVar[tuple[str, ...]] = ("user_id",)

    user_id: UUID

    def audience(self) -> Audience:
        return Audience.of(self.user_id)


class Registered(AccountEvent):
    """An account was made."""

    message_type = "accounts.registered"
    administrator: bool


class LoggedIn(AccountEvent):
    """A session was opened with the right password."""

    message_type = "accounts.logged_in"
    session_id: UUID


class LoginFailed(AccountEvent):
    """A password was wrong, for the `failed`-th time in a row."""

    message_type = "accounts.login_failed"
    failed: int


class Locked(AccountEvent):
    """The account takes no password for `seconds`."""

    message_type = "accounts.locked"
    seconds: int


class LoggedOut(AccountEvent):
    """A session was ended by its user; all of them if `session_id` is null."""

    message_type = "accounts.logged_out"
    session_id: UUID | None


class TokenReused(AccountEvent):
    """A refresh token came a second time, so its session was ended."""

    message_type = "accounts.token_reused"
    session_id: UUID


class PasswordChanged(AccountEvent):
    """The account has a new password; other sessions were ended. `reset` if an administrator set it."""

    message_type = "accounts.password_changed"
    reset: bool


class Erased(AccountEvent):
    """The account is gone, with its sessions and keys."""

    message_type = "accounts.erased"


class KeyCreated(AccountEvent):
    """An API key was made."""

    message_type = "accounts.key_created"
    subjects = ("user_id", "key_id")
    key_id: UUID
    scopes: list[ApiScope]
    world_id: UUID | None


class KeyRevoked(AccountEvent):
    """An API key was ended by its user."""

    message_type = "accounts.key_revoked"
    subjects = ("user_id", "key_id")
    key_id: UUID


class AdministratorChanged(AccountEvent):
    """The user became an administrator of the server, or no longer is one."""

    message_type = "accounts.administrator_changed"
    administrator: bool
