"""Tokens: the signing key, access tokens (JWT), and who stands behind a token or API key.

- An access token is a JWT (HS256) with `sub` (user), `sid` (session), `iat` and `exp` in seconds since 1970.
- A refresh token is `fwr_` and 256 random bits; an API key `fw_`, eight characters to know it by, `_` and 256
  random bits. Of both the database keeps only the SHA-256, which needs no salt or slowness at that entropy.
"""

import hashlib
import os
import stat
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import jwt

from fablewright.core.actors import Actor
from fablewright.core.clock import monotonic, wall_seconds
from fablewright.core.database import Database
from fablewright.core.dice import random_token
from fablewright.settings import Settings
from fablewright.systems.accounts.passwords import PasswordHasher
from fablewright.systems.accounts.rules import (
    KEY_ACTOR,
    TOKEN_EXPIRED,
    TOKEN_INVALID,
    key_administrates,
    most_role,
)

ALGORITHM: Final = "HS256"
KEY_PREFIX: Final = "fw_"
REFRESH_PREFIX: Final = "fwr_"
KEY_FILE: Final = "signing.key"
LEAST_KEY_BYTES: Final = 32
MOST_REMEMBERED: Final = 50_000
"""Credentials that a process remembers as checked."""


class SigningKeyError(Exception):
    """The signing key cannot be used; the message says what to do."""


def fingerprint(secret: str) -> bytes:
    """What the database keeps of a random token or key; anything else that is sent as one fits none."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def signing_key(settings: Settings) -> bytes:
    """The key that signs access tokens: from the settings, or from the data folder, made there if need be.

    Raises `SigningKeyError` for a key file that others may read, or that is too short.
    """
    if settings.signing_key is not None:
        return settings.signing_key.get_secret_value().encode()
    path = settings.data_dir / KEY_FILE
    if not path.exists():
        _make_key_file(path)
    return _read_key_file(path)


def _make_key_file(path: Path) -> None:
    """Make the file whole or not at all; of several processes at once, one makes it and all keep that one.

    It is written under a name of its own and then linked, which fails if the file is there by now. Creating
    it in place would let another process read it half-written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{KEY_FILE}.{random_token(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(random_token(48).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(draft)
    except FileExistsError:
        pass  # another process made it first: that one is the key
    finally:
        draft.unlink()


def _read_key_file(path: Path) -> bytes:
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        key = file.read().strip()
    if os.name == "posix" and mode & 0o077:
        raise SigningKeyError(
            f"{path} can be read by others (mode {mode:04o}), who could sign in as anyone. Delete it, and "
            f"the next start makes a new one (users sign in again); or, if nobody read it, chmod 600 {path}"
        )
    if len(key) < LEAST_KEY_BYTES:
        raise SigningKeyError(
            f"{path} holds {len(key)} bytes; a signing key has at least {LEAST_KEY_BYTES}. Delete it, and "
            "the next start makes a new one (users sign in again)."
        )
    return key


@dataclass(frozen=True, slots=True)
class Claims:
    """What an access token says. `expires_at` is in seconds since 1970."""

    user_id: UUID
    session_id: UUID
    expires_at: float


class Signer:
    """Makes and reads access tokens."""

    def __init__(self, key: bytes, life_seconds: int):
        self._key = key
        self.life_seconds = life_seconds

    def sign(self, user_id: UUID, session_id: UUID) -> str:
        """An access token for a session, from now on for `life_seconds`."""
        now = int(wall_seconds())
        claims = {"sub": str(user_id), "sid": str(session_id), "iat": now, "exp": now + self.life_seconds}
        return jwt.encode(claims, self._key, ALGORITHM)

    def read(self, token: str) -> Claims:
        """What a token says, if we signed it. Refuses `token_invalid`, `token_expired`."""
        # The time is compared here, with the one clock of the project, rather than by the library.
        options: Any = {"require": ["sub", "sid", "exp"], "verify_exp": False, "verify_iat": False}
        try:
            claims = jwt.decode(token, self._key, [ALGORITHM], options=options)
            found = Claims(UUID(claims["sub"]), UUID(claims["sid"]), float(claims["exp"]))
        except (jwt.InvalidTokenError, ValueError, TypeError, AttributeError) as error:
            raise TOKEN_INVALID() from error
        if found.expires_at <= wall_seconds():
            raise TOKEN_EXPIRED()
        return found


class Authenticator:
    """Turns credentials into actors, and keeps what this process needs to sign people in.

    A session or key is looked up in the database once per `settings.session_cache_seconds`, so one that
    another process has ended is believed that much longer. `forget` ends it in this process at once.
    """

    def __init__(self, settings: Settings, database: Database, signer: Signer, hasher: PasswordHasher):
        self.settings = settings
        self.database = database
        self.signer = signer
        self.hasher = hasher
        self._remembered: dict[str, tuple[float, Actor]] = {}
        self._of_user: defaultdict[UUID, set[str]] = defaultdict(set)
        self._forgotten = 0

    async def __call__(self, credentials: str) -> Actor:
        """Who sends this access token or API key. Refuses `token_invalid`, `token_expired`."""
        known = self._remembered.get(credentials)
        if known is not None and known[0] > monotonic():
            return known[1]
        forgotten = self._forgotten
        actor = await (
            self._key(credentials) if credentials.startswith(KEY_PREFIX) else self._session(credentials)
        )
        if forgotten == self._forgotten:  # else what was read may be of before a log-out that ended meanwhile
            self._remember(credentials, actor)
        return actor

    def forget(self, user_id: UUID) -> None:
        """Look up all sessions and keys of this user again at their next use."""
        self._forgotten += 1
        for credentials in self._of_user.pop(user_id, ()):
            self._remembered.pop(credentials, None)

    async def _session(self, token: str) -> Actor:
        claims = self.signer.read(token)
        async with self.database.reading() as connection:
            row = await connection.fetchrow(
                "SELECT u.administrator FROM sessions s JOIN users u ON u.id = s.user_id "
                "WHERE s.id = $1 AND s.user_id = $2 AND s.expires_at > clock_timestamp()",
                claims.session_id, claims.user_id,
            )  # fmt: skip
        if row is None:
            raise TOKEN_INVALID("This session has ended. Sign in again.")
        return Actor(
            f"user:{claims.user_id}", claims.user_id, claims.session_id,
            administrator=row["administrator"], valid_until=claims.expires_at,
        )  # fmt: skip

    async def _key(self, key: str) -> Actor:
        async with self.database.reading() as connection:
            row = await connection.fetchrow(
                "SELECT k.id, k.user_id, k.scopes, k.world_id, k.expires_at, u.administrator, "
                "k.expires_at <= clock_timestamp() AS expired "
                "FROM api_keys k JOIN users u ON u.id = k.user_id WHERE k.hash = $1",
                fingerprint(key),
            )
        if row is None:
            raise TOKEN_INVALID("There is no such API key, or it was revoked.")
        if row["expired"]:
            raise TOKEN_EXPIRED("This API key has expired. Make a new one.")
        return Actor(
            f"{KEY_ACTOR}{row['id']}", row["user_id"],
            most=most_role(row["scopes"]), only_world=row["world_id"],
            administrator=key_administrates(row["scopes"], row["world_id"], row["administrator"]),
            valid_until=row["expires_at"].timestamp() if row["expires_at"] else None,
        )  # fmt: skip

    def _remember(self, credentials: str, actor: Actor) -> None:
        """Trust these credentials for a while, at most until they expire.

        When there is no more room, those checked longest ago go first: they would have to be checked again
        soonest.
        """
        seconds = self.settings.session_cache_seconds
        if actor.valid_until is not None:
            seconds = min(seconds, actor.valid_until - wall_seconds())
        self._drop(credentials)
        if len(self._remembered) >= MOST_REMEMBERED:
            self._drop(next(iter(self._remembered)))
        assert actor.user_id is not None
        self._remembered[credentials] = (monotonic() + seconds, actor)
        self._of_user[actor.user_id].add(credentials)

    def _drop(self, credentials: str) -> None:
        known = self._remembered.pop(credentials, None)
        if known is not None and (user_id := known[1].user_id) is not None:
            mine = self._of_user[user_id]
            mine.discard(credentials)
            if not mine:
                del self._of_user[user_id]


def build(settings: Settings, database: Database, hasher: PasswordHasher | None = None) -> Authenticator:
    """The authenticator of a process, with its signer and password hasher. Raises `SigningKeyError`."""
    signer = Signer(signing_key(settings), settings.access_token_seconds)
    return Authenticator(settings, database, signer, hasher or PasswordHasher())
