"""The rules of accounts: what logins and passwords may be, what locks an account, what keys may do. Pure."""

import re
from collections.abc import Iterable
from typing import Final, Literal
from uuid import UUID

from fablewright.core.actors import Actor, Role
from fablewright.core.refusal import (
    CONFLICT,
    FORBIDDEN,
    INVALID,
    NOT_FOUND,
    TOO_MANY,
    UNAUTHENTICATED,
    UNAVAILABLE,
    Refusal,
)

LOGIN_INVALID = Refusal(
    "login_invalid",
    INVALID,
    "A login has 3 to 64 characters out of A-Z, a-z, 0-9 and _ . @ + -. Choose another.",
)
LOGIN_TAKEN = Refusal("login_taken", CONFLICT, "Somebody has this login already. Choose another.")
PASSWORD_UNSUITABLE = Refusal(
    "password_unsuitable",
    INVALID,
    "A password has 10 to 200 characters and is not the login. Choose another.",
)
REGISTRATION_CLOSED = Refusal(
    "registration_closed",
    FORBIDDEN,
    "This server takes no registrations. Ask an administrator for an account.",
)
CREDENTIALS_WRONG = Refusal("credentials_wrong", UNAUTHENTICATED, "Login or password is wrong. Check both.")
PASSWORD_WRONG = Refusal("password_wrong", FORBIDDEN, "The present password is wrong. Nothing was changed.")
ACCOUNT_LOCKED = Refusal(
    "account_locked",
    TOO_MANY,
    "Too many wrong passwords in a row. Wait `retry_after_seconds`, then try again.",
)
PASSWORDS_BUSY = Refusal(
    "passwords_busy", UNAVAILABLE, "Too many passwords are being checked at once. Try again in a moment."
)
TOKEN_INVALID = Refusal(
    "token_invalid", UNAUTHENTICATED, "This token or key is not valid, or no longer is. Sign in again."
)
TOKEN_EXPIRED = Refusal(
    "token_expired", UNAUTHENTICATED, "This token or key has expired. Refresh it, or sign in again."
)
TOKEN_REUSED = Refusal(
    "token_reused", UNAUTHENTICATED,
    "This refresh token was used before, so its session has ended: it may have been copied. Sign in again.",
)  # fmt: skip
KEY_NOT_ALLOWED = Refusal(
    "key_not_allowed", FORBIDDEN, "An API key cannot manage the account. Sign in with login and password."
)
KEY_NOT_FOUND = Refusal("key_not_found", NOT_FOUND, "Your account has no such API key.")
KEY_WORLD_NOT_FOUND = Refusal(
    "key_world_not_found",
    NOT_FOUND,
    "There is no such world, or you are not a member of it. Name another, or none.",
)
TOO_MANY_KEYS = Refusal(
    "too_many_keys", CONFLICT, "The account has as many API keys as it may. Revoke one first."
)
USER_NOT_FOUND = Refusal("user_not_found", NOT_FOUND, "There is no such user.")
OWNS_WORLDS = Refusal(
    "owns_worlds", CONFLICT, "The account still owns worlds. Hand them over or delete them first."
)

LOGIN_PATTERN: Final = r"^[A-Za-z0-9_.@+-]{3,64}$"
NAME_PATTERN: Final = r"^[^\x00-\x1f\x7f]{1,64}$"
"""Names that people give: 1 to 64 characters without control characters."""

PASSWORD_LEAST: Final = 10
PASSWORD_MOST: Final = 200
LONGEST_LOCK_SECONDS: Final = 3600
MOST_KEYS: Final = 50
"""API keys an account may have at a time."""

ApiScope = Literal["read", "play", "manage"]

ROLE_OF_SCOPE: Final[dict[str, Role]] = {"read": Role.OBSERVER, "play": Role.PLAYER, "manage": Role.OWNER}
"""The highest role of a key with this scope; the role of its account in a world caps it further."""

KEY_ACTOR: Final = "key:"
"""How the names of actors begin that stand for API keys."""

_LOGIN = re.compile(LOGIN_PATTERN[:-1] + r"\Z")


def check_login(login: str) -> str:
    """The login, if it may be one. Two that differ only in case are the same. Refuses `login_invalid`."""
    if not _LOGIN.match(login):
        raise LOGIN_INVALID()
    return login


def check_password(password: str, login: str) -> str:
    """The password, if the account may have it: 10 to 200 characters, not the login in any case.

    Length is what makes a password strong, so nothing is asked about the kinds of its characters
    (NIST SP 800-63B, section 5.1.1). Refuses `password_unsuitable`.
    """
    if not PASSWORD_LEAST <= len(password) <= PASSWORD_MOST:
        raise PASSWORD_UNSUITABLE(
            f"A password has {PASSWORD_LEAST} to {PASSWORD_MOST} characters.",
            min_length=PASSWORD_LEAST, max_length=PASSWORD_MOST,
        )  # fmt: skip
    if password.casefold() == login.casefold():
        raise PASSWORD_UNSUITABLE("The password must not be the login.")
    return password


def lock_seconds(failed: int, attempts: int, first_seconds: int) -> int | None:
    """For how long the `failed`-th wrong password in a row locks the account; None if it does not.

    Every `attempts`-th one does: first for `first_seconds`, then for twice as long each time, up to an hour
    (or `first_seconds`, if that is more).
    """
    rounds, rest = divmod(failed, attempts)
    if rounds == 0 or rest:
        return None
    longest = max(LONGEST_LOCK_SECONDS, first_seconds)
    doublings = min(rounds - 1, longest.bit_length())
    return min(longest, first_seconds << doublings)


def most_role(scopes: Iterable[str]) -> Role:
    """The highest role that an API key with these scopes (at least one) can have."""
    return max(ROLE_OF_SCOPE[scope] for scope in scopes)


def in_order(scopes: Iterable[ApiScope]) -> list[ApiScope]:
    """The scopes, each once, from the weakest to the strongest."""
    return sorted(set(scopes), key=lambda scope: ROLE_OF_SCOPE[scope])


def key_administrates(scopes: Iterable[str], world_id: UUID | None, administrator: bool) -> bool:
    """Whether a key may do what its administrator account may: only with `manage`, and bound to no world."""
    return administrator and world_id is None and "manage" in scopes


def own_account(actor: Actor) -> UUID:
    """The account that the actor may manage as its own. Refuses `key_not_allowed`, `token_invalid`."""
    if actor.name.startswith(KEY_ACTOR):
        raise KEY_NOT_ALLOWED()
    if actor.user_id is None:
        raise TOKEN_INVALID("This needs the account of a user who has signed in.")
    return actor.user_id
