"""Accounts against a real database: passwords, locks, sessions, keys, the signing key."""

import asyncio
import json
import os
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from pydantic import SecretStr, ValidationError

from fablewright.core.actors import ANONYMOUS, Actor, Role, system_actor
from fablewright.core.messages import Command
from fablewright.core.refusal import Refused
from fablewright.gateway.runtime import Runtime
from fablewright.settings import Settings
from fablewright.systems.accounts import commands, passwords, sign_in, system, tokens, views
from fablewright.systems.accounts.passwords import PasswordHasher
from fablewright.systems.accounts.sign_in import Door
from fablewright.systems.accounts.tokens import Authenticator, Signer
from tests.support import Server

PASSWORD = "ten green bottles"
SIGNING_KEY = b"a signing key for tests, long enough"


class Clock:
    """A clock to set by hand, for how long credentials are remembered."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(tokens, "monotonic", made)
    return made


def authenticator(runtime: Runtime, **changes: Any) -> Authenticator:
    """Another process's worth of accounts on the same database, with quick hashes."""
    settings = runtime.settings.model_copy(
        update={"login_attempts": 3, "lockout_seconds": 300, "session_cache_seconds": 5.0} | changes
    )
    signer = Signer(SIGNING_KEY, settings.access_token_seconds)
    return Authenticator(settings, runtime.database, signer, PasswordHasher(passes=1, memory_kib=64))


@pytest.fixture
def runtime(server: Server) -> Runtime:
    return server.runtime


@pytest.fixture
def door(runtime: Runtime) -> Door:
    return Door(runtime.engine, authenticator(runtime))


async def new_user(door: Door, **fields: Any) -> views.Profile:
    return await sign_in.create_user(door.engine, door.accounts, f"user.{uuid4().hex}", PASSWORD, **fields)


async def new_session(door: Door, user: views.Profile) -> tuple[views.Tokens, Actor]:
    opened = await sign_in.log_in(door, user.login, PASSWORD)
    return opened, await door.accounts(opened.access_token)


async def write(door: Door, sql: str, *args: Any) -> None:
    """Change the database behind the server's back, to move what has a time into the past."""
    async with door.accounts.database.writing() as connection:
        await connection.exec_driver_sql(sql, args)
        await connection.commit()


async def fetch(door: Door, sql: str, *args: Any) -> list[Any]:
    async with door.accounts.database.reading() as connection:
        return list(await connection.fetch(sql, *args))


async def audit(door: Door, user_id: UUID) -> list[str]:
    rows = await fetch(
        door, "SELECT type FROM audit_log WHERE $1 = ANY(about) ORDER BY recorded_at, id", user_id
    )
    return [row["type"].removeprefix("accounts.") for row in rows]


async def refused_as(code: str, asked: Awaitable[Any]) -> Refused:
    with pytest.raises(Refused) as caught:
        await asked
    assert caught.value.code == code
    return caught.value


async def wrong(door: Door, user: views.Profile) -> Refused:
    """One log-in with a wrong password."""
    with pytest.raises(Refused) as caught:
        await sign_in.log_in(door, user.login, "not my password")
    return caught.value


# -- registration ------------------------------------------------------------


async def test_logins_that_differ_in_case_are_the_same(door: Door) -> None:
    login = f"Mira.{uuid4().hex}"
    made = await sign_in.register(door, login, PASSWORD, "Mira of the Vale")
    assert (made.login, made.display_name, made.administrator) == (login, "Mira of the Vale", False)
    await refused_as("login_taken", sign_in.register(door, login.upper(), PASSWORD, "Mira"))
    assert (await sign_in.log_in(door, login.lower(), PASSWORD)).user_id == made.id
    assert await audit(door, made.id) == ["registered", "logged_in"]


async def test_of_two_registrations_at_once_one_gets_the_login(door: Door) -> None:
    login = f"user.{uuid4().hex}"
    both = await asyncio.gather(
        *(sign_in.register(door, login, PASSWORD, "Twin") for _ in range(2)), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in both) == ["Profile", "Refused"]


async def test_closed_registration_stops_strangers_but_not_the_command_line(runtime: Runtime) -> None:
    door = Door(runtime.engine, authenticator(runtime, open_registration=False))
    await refused_as("registration_closed", sign_in.register(door, "somebody", PASSWORD, "Somebody"))
    assert (await new_user(door, administrator=True)).administrator


@pytest.mark.parametrize(
    ("login", "password", "code"),
    [("no", PASSWORD, "login_invalid"), ("somebody", "too short", "password_unsuitable")],
)
async def test_unsuitable_logins_and_passwords(door: Door, login: str, password: str, code: str) -> None:
    await refused_as(code, sign_in.create_user(door.engine, door.accounts, login, password))


@pytest.mark.parametrize("name", ["", "x" * 65, "line\nbreak", "nul\0"])
def test_display_names_that_the_database_could_not_keep_are_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        commands.Register(login="somebody", password_hash=SecretStr("x"), display_name=name)


async def test_users_are_found_and_listed_by_login(door: Door) -> None:
    user = await new_user(door)
    async with door.accounts.database.reading() as connection:
        assert await views.find_user(connection, user.login.upper()) == user
        assert await views.find_user(connection, "nobody at all") is None
        before = user.login[:-1]
        assert (await views.list_users(connection, limit=1, after=before))[0].login >= before


# -- passwords and locks --------------------------------------------------------------------------------


async def test_an_unknown_login_is_answered_like_a_wrong_password(door: Door) -> None:
    user = await new_user(door)
    known = await wrong(door, user)
    unknown = await refused_as("credentials_wrong", sign_in.log_in(door, "nobody.at.all", PASSWORD))
    assert (known.code, known.detail, known.facts) == (unknown.code, unknown.detail, unknown.facts)


async def test_an_unknown_login_costs_as_many_hashes_and_commands(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await new_user(door)
    done: list[str] = []
    matches, give = PasswordHasher.matches, Door.give

    async def counted_matches(self: PasswordHasher, stored: str, password: str) -> bool:
        done.append(stored.rsplit("$", 2)[0])
        return await matches(self, stored, password)

    async def counted_give(self: Door, command: Command, actor: Actor = sign_in.SERVER) -> Any:
        done.append(command.message_type)
        return await give(self, command, actor)

    monkeypatch.setattr(PasswordHasher, "matches", counted_matches)
    monkeypatch.setattr(Door, "give", counted_give)
    await wrong(door, user)
    for_known = done.copy()
    done.clear()
    await refused_as("credentials_wrong", sign_in.log_in(door, "nobody.at.all", PASSWORD))
    assert done == for_known


async def test_wrong_passwords_in_a_row_lock_the_account_for_ever_longer(door: Door) -> None:
    user = await new_user(door)
    assert [(await wrong(door, user)).code for _ in range(3)] == ["credentials_wrong"] * 2 + [
        "account_locked"
    ]
    locked = await refused_as("account_locked", sign_in.log_in(door, user.login, PASSWORD))
    assert 290 <= locked.facts["retry_after_seconds"] <= 300
    assert await audit(door, user.id) == ["registered"] + ["login_failed"] * 3 + ["locked"]

    await write(door, "UPDATE users SET locked_until = clock_timestamp() WHERE id = $1", user.id)
    assert [(await wrong(door, user)).code for _ in range(2)] == ["credentials_wrong"] * 2
    assert (await wrong(door, user)).facts == {"retry_after_seconds": 600}

    await write(door, "UPDATE users SET locked_until = clock_timestamp() WHERE id = $1", user.id)
    await sign_in.log_in(door, user.login, PASSWORD)
    assert [(await wrong(door, user)).code for _ in range(2)] == ["credentials_wrong"] * 2


async def test_guesses_at_once_are_all_counted_and_none_gets_past_the_lock(door: Door) -> None:
    user = await new_user(door)
    guesses = await asyncio.gather(*(wrong(door, user) for _ in range(8)))
    assert [g.code for g in guesses].count("credentials_wrong") == 2
    assert (await fetch(door, "SELECT failed_logins FROM users WHERE id = $1", user.id))[0][0] == 3


async def test_a_password_proved_before_the_lock_does_not_open_a_session_after_it(door: Door) -> None:
    user = await new_user(door)
    stored = (await fetch(door, "SELECT password_hash FROM users WHERE id = $1", user.id))[0][0]
    for _ in range(3):
        await wrong(door, user)
    late = commands.LogIn(user_id=user.id, checked_hash=SecretStr(stored), refresh_seconds=60)
    await refused_as("account_locked", door.give(late))


async def test_a_password_changed_meanwhile_is_wrong(door: Door) -> None:
    user = await new_user(door)
    stale = SecretStr("the hash of before")
    log_in = commands.LogIn(user_id=user.id, checked_hash=stale, refresh_seconds=60)
    await refused_as("credentials_wrong", door.give(log_in))
    await refused_as(
        "credentials_wrong", door.give(commands.EraseAccount(user_id=user.id, checked_hash=stale))
    )
    count = commands.CountWrongPassword(user_id=user.id, checked_hash=stale, attempts=1, lockout_seconds=9)
    assert await door.give(count) is None


async def test_a_log_in_renews_a_hash_of_other_parameters(runtime: Runtime, door: Door) -> None:
    user = await new_user(door)
    hash_of = "SELECT password_hash FROM users WHERE id = $1"
    before = (await fetch(door, hash_of, user.id))[0][0]
    await sign_in.log_in(door, user.login, PASSWORD)
    assert (await fetch(door, hash_of, user.id))[0][0] == before
    door.accounts.hasher = PasswordHasher(passes=1, memory_kib=128)
    await sign_in.log_in(door, user.login, PASSWORD)
    after = (await fetch(door, hash_of, user.id))[0][0]
    assert "m=64," in before
    assert "m=128," in after
    await sign_in.log_in(door, user.login, PASSWORD)


async def test_passwords_that_keyboards_compose_differently_are_the_same() -> None:
    hasher = PasswordHasher(passes=1, memory_kib=64)
    stored = await hasher.hash("cafe\u0301 au lait")
    assert await hasher.matches(stored, "caf\u00e9 au lait")
    assert not await hasher.matches(stored, "cafe au lait")
    assert not await hasher.matches(stored, "x" * 1_000_000)
    assert not await hasher.matches(hasher.nobodys_hash, "")


async def test_too_many_passwords_at_once_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "MOST_WAITING", 2)
    hasher = PasswordHasher(passes=1, memory_kib=64)
    done = await asyncio.gather(*(hasher.hash(PASSWORD) for _ in range(3)), return_exceptions=True)
    assert [type(one).__name__ for one in done] == ["str", "str", "Refused"]
    assert isinstance(await hasher.hash(PASSWORD), str)


# -- sessions ----------------------------------------------------------------


async def test_an_access_token_names_its_actor(door: Door) -> None:
    user = await new_user(door)
    opened, actor = await new_session(door, user)
    claims = jwt.decode(opened.access_token, SIGNING_KEY, ["HS256"])
    assert (actor.name, actor.user_id, actor.administrator) == (f"user:{user.id}", user.id, False)
    assert str(actor.session_id) == claims["sid"]
    assert actor.valid_until == claims["exp"] == claims["iat"] + opened.expires_in_seconds
    assert actor.most is Role.OWNER


async def test_a_refresh_token_works_once_and_its_reuse_ends_the_session(door: Door) -> None:
    user = await new_user(door)
    first, actor = await new_session(door, user)
    other, _ = await new_session(door, user)
    second = await sign_in.refresh(door, first.refresh_token)
    assert second.refresh_token != first.refresh_token
    assert (await door.accounts(second.access_token)).session_id == actor.session_id

    await refused_as("token_reused", sign_in.refresh(door, first.refresh_token))
    for ended in (first, second):
        await refused_as("token_invalid", door.accounts(ended.access_token))
        await refused_as("token_invalid", sign_in.refresh(door, ended.refresh_token))
    assert (await door.accounts(other.access_token)).user_id == user.id
    assert (await audit(door, user.id))[-1] == "token_reused"


async def test_of_two_refreshes_at_once_exactly_one_wins(door: Door) -> None:
    user = await new_user(door)
    opened, _ = await new_session(door, user)
    both = await asyncio.gather(
        *(sign_in.refresh(door, opened.refresh_token) for _ in range(2)), return_exceptions=True
    )
    assert sum(isinstance(one, views.Tokens) for one in both) == 1
    assert [one.code for one in both if isinstance(one, Refused)] == ["token_reused"]
    assert await fetch(door, "SELECT id FROM sessions WHERE user_id = $1", user.id) == []


async def test_a_refresh_token_expires_and_used_ones_are_cleared_away(door: Door) -> None:
    user = await new_user(door)
    opened, actor = await new_session(door, user)
    await sign_in.refresh(door, opened.refresh_token)
    past = (
        "UPDATE refresh_tokens SET expires_at = clock_timestamp()"
        " WHERE session_id = $1 AND used_at IS NOT NULL"
    )
    await write(door, past, actor.session_id)
    await refused_as("token_expired", sign_in.refresh(door, opened.refresh_token))

    again, _ = await new_session(door, user)
    count = (
        "SELECT count(*) FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id WHERE s.user_id = $1"
    )
    assert (await fetch(door, count, user.id))[0][0] == 3
    await write(door, "UPDATE sessions SET expires_at = clock_timestamp() WHERE id = $1", actor.session_id)
    await sign_in.log_in(door, user.login, PASSWORD)
    assert (await fetch(door, count, user.id))[0][0] == 2
    assert (await door.accounts(again.access_token)).user_id == user.id


async def test_an_unknown_refresh_token_is_invalid(door: Door) -> None:
    await refused_as("token_invalid", sign_in.refresh(door, "fwr_made_up"))


async def test_a_log_out_ends_the_session_here_at_once_and_elsewhere_soon(
    runtime: Runtime, door: Door, clock: Clock
) -> None:
    user = await new_user(door)
    ended, actor = await new_session(door, user)
    kept, _ = await new_session(door, user)
    elsewhere = authenticator(runtime)
    await elsewhere(ended.access_token)

    await door.give(commands.LogOut(), actor)
    door.accounts.forget(user.id)
    await refused_as("token_invalid", door.accounts(ended.access_token))
    assert (await door.accounts(kept.access_token)).user_id == user.id
    clock.now += 4.9
    assert (await elsewhere(ended.access_token)).user_id == user.id
    clock.now += 0.2
    await refused_as("token_invalid", elsewhere(ended.access_token))
    assert (await audit(door, user.id))[-1] == "logged_out"


async def test_a_log_out_everywhere_ends_all_sessions(door: Door) -> None:
    user = await new_user(door)
    _, actor = await new_session(door, user)
    await new_session(door, user)
    await door.give(commands.LogOut(everywhere=True), actor)
    assert await fetch(door, "SELECT id FROM sessions WHERE user_id = $1", user.id) == []


async def test_a_log_out_during_a_look_up_is_not_forgotten(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await new_user(door)
    opened, actor = await new_session(door, user)
    door.accounts.forget(user.id)
    look_up = Authenticator._session

    async def overtaken(self: Authenticator, token: str) -> Actor:
        found = await look_up(self, token)
        await door.give(commands.LogOut(), actor)
        self.forget(user.id)
        return found

    monkeypatch.setattr(Authenticator, "_session", overtaken)
    await door.accounts(opened.access_token)
    monkeypatch.undo()
    await refused_as("token_invalid", door.accounts(opened.access_token))


async def test_remembered_credentials_ask_nothing_of_the_database(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await new_user(door)
    opened, actor = await new_session(door, user)
    monkeypatch.setattr(door.accounts, "database", None)
    assert await door.accounts(opened.access_token) is actor


async def test_no_more_credentials_are_remembered_than_there_is_room_for(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "MOST_REMEMBERED", 2)
    user = await new_user(door)
    opened = [(await sign_in.log_in(door, user.login, PASSWORD)).access_token for _ in range(3)]
    for token in [*opened, opened[0], opened[0]]:
        await door.accounts(token)
    assert list(door.accounts._remembered) == [opened[2], opened[0]]
    assert door.accounts._of_user == {user.id: {opened[2], opened[0]}}
    door.accounts.forget(user.id)
    assert not door.accounts._remembered
    assert not door.accounts._of_user


async def test_credentials_are_not_remembered_past_their_end(
    runtime: Runtime, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = Door(runtime.engine, authenticator(runtime, access_token_seconds=30, session_cache_seconds=3600))
    user = await new_user(door)
    opened, actor = await new_session(door, user)
    clock.now += 31
    monkeypatch.setattr(tokens, "wall_seconds", lambda: (actor.valid_until or 0) + 1)
    await refused_as("token_expired", door.accounts(opened.access_token))


def forged(**claims: Any) -> str:
    """A token with these claims, signed with the right key unless `key` says otherwise."""
    fitting = {"sub": str(UUID(int=1)), "sid": str(UUID(int=2)), "exp": 4_000_000_000} | claims
    return jwt.encode({k: v for k, v in fitting.items() if v is not None}, SIGNING_KEY, "HS256")


@pytest.mark.parametrize(
    "credentials",
    [
        "", "nonsense", "a.b.c", "fw_", "fw_00000000_made_up", "\u2603", "fw_\u2603", "x" * 10_000,
        jwt.encode({"sub": "x"}, "another key that is long enough!", "HS256"),
        jwt.encode({"sub": str(UUID(int=1)), "sid": str(UUID(int=2)), "exp": 4_000_000_000}, None, "none"),
        forged(), forged(sid=None), forged(exp=None), forged(sub="not an id"), forged(exp="soon"),
        forged(sid=7), forged(exp=[1]),
    ],
    ids=range(17),
)  # fmt: skip
async def test_credentials_that_are_not_ours_are_invalid(door: Door, credentials: str) -> None:
    await refused_as("token_invalid", door.accounts(credentials))
    assert not door.accounts._remembered


async def test_a_refresh_token_is_no_access_token(door: Door) -> None:
    opened, _ = await new_session(door, await new_user(door))
    await refused_as("token_invalid", door.accounts(opened.refresh_token))


async def test_an_expired_access_token_says_so(door: Door) -> None:
    past = Signer(SIGNING_KEY, -1)
    await refused_as("token_expired", door.accounts(past.sign(uuid4(), uuid4())))


# -- managing the account -------------------------------------------------------------------------------


async def test_a_new_password_ends_the_other_sessions(door: Door) -> None:
    user = await new_user(door)
    mine, actor = await new_session(door, user)
    other, _ = await new_session(door, user)
    await refused_as("password_wrong", sign_in.change_password(door, actor, "wrong wrong", "eleven wolves"))
    await refused_as("password_unsuitable", sign_in.change_password(door, actor, PASSWORD, user.login))
    await sign_in.change_password(door, actor, PASSWORD, "eleven grey wolves")
    assert (await door.accounts(mine.access_token)).user_id == user.id
    await refused_as("token_invalid", door.accounts(other.access_token))
    await refused_as("credentials_wrong", sign_in.log_in(door, user.login, PASSWORD))
    await sign_in.log_in(door, user.login, "eleven grey wolves")
    assert "password_changed" in await audit(door, user.id)


async def test_guessing_at_the_password_of_an_open_session_locks_too(door: Door) -> None:
    user = await new_user(door)
    _, actor = await new_session(door, user)
    codes = []
    for _ in range(3):
        with pytest.raises(Refused) as caught:
            await sign_in.erase(door, actor, "wrong password")
        codes.append(caught.value.code)
    assert codes == ["password_wrong", "password_wrong", "account_locked"]
    await refused_as("account_locked", sign_in.change_password(door, actor, PASSWORD, "eleven grey wolves"))


async def test_a_reset_opens_a_locked_account_and_ends_its_sessions(door: Door) -> None:
    user = await new_user(door)
    opened, _ = await new_session(door, user)
    for _ in range(3):
        await wrong(door, user)
    await sign_in.set_password(door.engine, door.accounts, user.login, "eleven grey wolves")
    await refused_as("token_invalid", door.accounts(opened.access_token))
    await sign_in.log_in(door, user.login, "eleven grey wolves")
    await refused_as(
        "user_not_found", sign_in.set_password(door.engine, door.accounts, "nobody.at.all", PASSWORD)
    )


async def test_erasing_leaves_ids_and_nothing_personal(door: Door) -> None:
    user = await new_user(door, display_name="Mira of the Vale " + uuid4().hex)
    opened, actor = await new_session(door, user)
    await door.give(commands.CreateApiKey(name="bot", scopes=["read"]), actor)
    let_go: list[UUID] = []

    async def hook(user_id: UUID) -> None:
        let_go.append(user_id)

    await refused_as("password_wrong", sign_in.erase(door, actor, "wrong wrong", [hook]))
    assert let_go == []
    await sign_in.erase(door, actor, PASSWORD, [hook])
    assert let_go == [user.id]
    await refused_as("token_invalid", door.accounts(opened.access_token))
    await refused_as("credentials_wrong", sign_in.log_in(door, user.login, PASSWORD))
    await refused_as("token_invalid", sign_in.erase(door, actor, PASSWORD))
    await refused_as("token_invalid", door.give(commands.CreateApiKey(name="x", scopes=["read"]), actor))
    assert (await audit(door, user.id))[-1] == "erased"
    for table in ("sessions", "api_keys", "world_members"):
        assert await fetch(door, f"SELECT 1 FROM {table} WHERE user_id = $1", user.id) == []
    assert_nowhere(await dump(door), user.login, user.display_name)


async def test_who_owns_a_world_cannot_be_erased(door: Door) -> None:
    user = await new_user(door)
    _, actor = await new_session(door, user)
    world = await new_world(door, user)
    refused = await refused_as("owns_worlds", sign_in.erase(door, actor, PASSWORD))
    assert refused.facts == {"worlds": 1}
    await write(door, "DELETE FROM worlds WHERE id = $1", world)
    await sign_in.erase(door, actor, PASSWORD)


async def test_only_administrators_make_administrators(door: Door) -> None:
    user, chief = await new_user(door), await new_user(door, administrator=True)
    _, actor = await new_session(door, user)
    _, chief_actor = await new_session(door, chief)
    promote = commands.SetAdministrator(user_id=user.id, administrator=True)
    await refused_as("administrators_only", door.give(promote, actor))
    await door.give(promote, chief_actor)
    door.accounts.forget(user.id)
    assert (await new_session(door, user))[1].administrator
    await sign_in.set_administrator(door.engine, door.accounts, user.id, False)
    assert not (await new_session(door, user))[1].administrator
    nobody = commands.SetAdministrator(user_id=uuid4(), administrator=True)
    await refused_as("user_not_found", door.give(nobody))


INTERNAL: list[Callable[[UUID], Command]] = [
    lambda _: commands.Register(
        login="x" * 9, password_hash=SecretStr("x"), display_name="x", administrator=True
    ),
    lambda i: commands.LogIn(user_id=i, checked_hash=SecretStr("x"), refresh_seconds=60),
    lambda i: commands.CountWrongPassword(
        user_id=i, checked_hash=SecretStr("x"), attempts=1, lockout_seconds=1
    ),
    lambda _: commands.RefreshTokens(refresh_token=SecretStr("x"), refresh_seconds=60),
    lambda i: commands.ChangePassword(user_id=i, checked_hash=None, new_hash=SecretStr("x")),
    lambda i: commands.EraseAccount(user_id=i, checked_hash=SecretStr("x")),
]


@pytest.mark.parametrize("make", INTERNAL, ids=range(6))
async def test_nobody_can_claim_that_a_password_was_right(
    door: Door, make: Callable[[UUID], Command]
) -> None:
    user = await new_user(door, administrator=True)
    _, administrator = await new_session(door, user)
    for actor in (ANONYMOUS, administrator):
        await refused_as("system_only", door.give(make(user.id), actor))


def test_every_command_declares_its_refusals_and_whether_it_is_secret() -> None:
    for handler in system.handlers:
        for field in handler.command.model_fields.values():
            if "SecretStr" in str(field.annotation):
                assert handler.command.secret, handler.command


# -- API keys ----------------------------------------------------------------


async def new_world(door: Door, owner: views.Profile) -> UUID:
    """A bare world with its owner as a member."""
    world = uuid4()
    await write(
        door,
        "INSERT INTO worlds (id, name, seed, owner_id, anchor_real_ms) VALUES ($1, 'Vale', 1, $2, 0)",
        world, owner.id,
    )  # fmt: skip
    await write(door, "INSERT INTO world_heads (world_id) VALUES ($1)", world)
    await write(
        door, "INSERT INTO world_members (world_id, user_id, role) VALUES ($1, $2, 4)", world, owner.id
    )
    return world


async def new_key(door: Door, actor: Actor, **fields: Any) -> views.NewKey:
    command = commands.CreateApiKey(**({"name": "bot", "scopes": ["play", "read", "play"]} | fields))
    made: views.NewKey = await door.give(command, actor)
    return made


async def test_a_key_acts_for_its_account_within_its_scopes(door: Door) -> None:
    user = await new_user(door, administrator=True)
    _, actor = await new_session(door, user)
    key = await new_key(door, actor)
    assert key.key.startswith(f"fw_{key.prefix}_")
    assert len(key.key) == 3 + 8 + 1 + 43
    assert (key.scopes, key.world_id, key.expires_at) == (["read", "play"], None, None)
    by_key = await door.accounts(key.key)
    assert by_key == Actor(f"key:{key.id}", user.id, None, Role.PLAYER, None, False, None)
    managing = await door.accounts((await new_key(door, actor, scopes=["manage"])).key)
    assert (managing.most, managing.administrator) == (Role.OWNER, True)
    assert (await audit(door, user.id))[-1] == "key_created"


async def test_a_key_can_be_bound_to_a_world_of_its_account(door: Door) -> None:
    user, stranger = await new_user(door), await new_user(door)
    _, actor = await new_session(door, user)
    world = await new_world(door, user)
    bound = await door.accounts((await new_key(door, actor, world_id=world, scopes=["manage"])).key)
    assert bound.only_world == world
    for unknown in (uuid4(), await new_world(door, stranger)):
        await refused_as("key_world_not_found", new_key(door, actor, world_id=unknown))


async def test_a_key_expires(door: Door, clock: Clock) -> None:
    user = await new_user(door)
    _, actor = await new_session(door, user)
    key = await new_key(door, actor, expires_in_days=1)
    assert key.expires_at is not None
    assert (await door.accounts(key.key)).valid_until == pytest.approx(key.expires_at.timestamp())
    await write(door, "UPDATE api_keys SET expires_at = clock_timestamp() WHERE id = $1", key.id)
    clock.now += 6
    await refused_as("token_expired", door.accounts(key.key))
    await new_key(door, actor)
    async with door.accounts.database.reading() as connection:
        assert key.id not in [k.id for k in await views.list_keys(connection, user.id)]


async def test_a_revoked_key_is_invalid_and_only_its_owner_revokes_it(door: Door) -> None:
    user, other = await new_user(door), await new_user(door)
    (_, actor), (_, stranger) = await new_session(door, user), await new_session(door, other)
    key = await new_key(door, actor)
    await door.accounts(key.key)
    revoke = commands.RevokeApiKey(key_id=key.id)
    await refused_as("key_not_found", door.give(revoke, stranger))
    await door.give(revoke, actor)
    door.accounts.forget(user.id)
    await refused_as("token_invalid", door.accounts(key.key))
    await refused_as("key_not_found", door.give(revoke, actor))
    assert (await audit(door, user.id))[-1] == "key_revoked"


async def test_a_key_never_manages_the_account(door: Door) -> None:
    user = await new_user(door, administrator=True)
    _, actor = await new_session(door, user)
    by_key = await door.accounts((await new_key(door, actor, scopes=["manage"])).key)
    for command in (
        commands.CreateApiKey(name="more", scopes=["manage"]),
        commands.RevokeApiKey(key_id=uuid4()),
        commands.LogOut(everywhere=True),
        commands.SetAdministrator(user_id=user.id, administrator=False),
    ):
        await refused_as("key_not_allowed", door.give(command, by_key))
    await refused_as("key_not_allowed", sign_in.change_password(door, by_key, PASSWORD, "eleven grey wolves"))
    await refused_as("key_not_allowed", sign_in.erase(door, by_key, PASSWORD))


async def test_an_account_has_a_bounded_number_of_keys(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fablewright.systems.accounts.rules.MOST_KEYS", 2)
    user = await new_user(door)
    _, actor = await new_session(door, user)
    made = await asyncio.gather(*(new_key(door, actor) for _ in range(4)), return_exceptions=True)
    assert sorted(type(one).__name__ for one in made) == ["NewKey", "NewKey", "Refused", "Refused"]


@pytest.mark.parametrize(
    "fields", [{"scopes": []}, {"scopes": ["admin"]}, {"name": ""}, {"expires_in_days": 0}]
)
def test_keys_that_may_not_be(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        commands.CreateApiKey(**({"name": "bot", "scopes": ["read"]} | fields))


# -- what is kept ------------------------------------------------------------


async def dump(door: Door) -> str:
    """All that the database keeps of accounts and of what happened to them, as text."""
    names = ("users", "sessions", "refresh_tokens", "api_keys", "audit_log", "receipts")
    rows = [await fetch(door, f"SELECT t::text AS row FROM {name} t") for name in names]
    return "\n".join(row["row"] for some in rows for row in some)


def assert_nowhere(text: str, *secrets: str) -> None:
    for secret in secrets:
        assert secret not in text


async def test_secrets_are_kept_nowhere(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    password, second = f"first {uuid4().hex}", f"second {uuid4().hex}"
    login = f"user.{uuid4().hex}"
    user = await sign_in.register(door, login, password, "Mira")
    opened = await sign_in.log_in(door, login, password)
    actor = await door.accounts(opened.access_token)
    await refused_as("credentials_wrong", sign_in.log_in(door, login, f"wrong {second}"))
    rotated = await sign_in.refresh(door, opened.refresh_token)
    key = await new_key(door, actor, name=f"bot {login}")
    await sign_in.change_password(door, actor, password, second)
    given = (password, second, key.key, key.key[12:])
    made = (opened.access_token, opened.refresh_token, rotated.access_token, rotated.refresh_token)
    assert_nowhere(await dump(door) + caplog.text, *given, *made)
    of_log = await fetch(door, "SELECT t::text AS row FROM audit_log t WHERE $1 = ANY(about)", user.id)
    text = "\n".join(row["row"] for row in of_log)
    assert len(of_log) == 5
    assert_nowhere(text, login, "Mira", "argon2")


async def test_a_secret_command_takes_no_idempotency_key(door: Door) -> None:
    user = await new_user(door)
    keyed = Door(door.engine, door.accounts, key="once")
    await refused_as("idempotency_not_supported", sign_in.log_in(keyed, user.login, PASSWORD))


def test_commands_show_no_secrets_when_printed() -> None:
    command = commands.LogIn(user_id=uuid4(), checked_hash=SecretStr("hash!"), refresh_seconds=1)
    assert "hash!" not in f"{command!r} {command} {command.model_dump_json()}"


async def test_the_checks_find_what_is_wrong(door: Door) -> None:
    user = await new_user(door)
    _, actor = await new_session(door, user)

    async def found() -> set[str]:
        rows = {check.name: await fetch(door, check.sql) for check in system.checks}
        mine = (str(user.id), str(actor.session_id))
        return {name for name, some in rows.items() if any(i in row["text"] for row in some for i in mine)}

    assert await found() == set()
    later = "UPDATE sessions SET expires_at = expires_at + interval '1 s' WHERE id = $1"
    await write(door, later, actor.session_id)
    assert await found() == {"accounts.session_ends_with_its_token"}
    await write(door, "DELETE FROM refresh_tokens WHERE session_id = $1", actor.session_id)
    assert await found() == {"accounts.one_usable_token_per_session"}
    await write(door, "UPDATE users SET locked_until = clock_timestamp() WHERE id = $1", user.id)
    assert "accounts.locked_for_a_reason" in await found()


# -- the signing key ------------------------------------------------------------------------------------


def settings_in(folder: Path) -> Settings:
    return Settings(data_dir=folder, signing_key=None)


def test_the_signing_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    key = tokens.signing_key(settings_in(folder))
    assert len(key) == 64
    assert tokens.signing_key(settings_in(folder)) == key
    assert stat.S_IMODE((folder / "signing.key").stat().st_mode) == 0o600
    assert [p.name for p in folder.iterdir()] == ["signing.key"]


def test_a_signing_key_of_the_settings_needs_no_file(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, signing_key=SecretStr("x" * 32))
    assert tokens.signing_key(settings) == b"x" * 32
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="file modes are of POSIX")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o606])
def test_a_signing_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    tokens.signing_key(settings_in(tmp_path))
    (tmp_path / "signing.key").chmod(mode)
    with pytest.raises(tokens.SigningKeyError, match="chmod 600"):
        tokens.signing_key(settings_in(tmp_path))


def test_a_signing_key_that_is_too_short_is_refused(tmp_path: Path) -> None:
    (tmp_path / "signing.key").touch(mode=0o600)
    with pytest.raises(tokens.SigningKeyError, match="0 bytes"):
        tokens.signing_key(settings_in(tmp_path))


MAKE_KEY = """
import sys
from pathlib import Path
from fablewright.settings import Settings
from fablewright.systems.accounts.tokens import signing_key
print("ready", flush=True)
sys.stdin.readline()
print(signing_key(Settings(data_dir=Path(sys.argv[1]), signing_key=None)).decode())
"""


def test_processes_that_start_at_once_end_with_one_signing_key(tmp_path: Path) -> None:
    starting = [
        subprocess.Popen(
            [sys.executable, "-c", MAKE_KEY, str(tmp_path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    for process in starting:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in starting:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    made = {process.communicate()[0] for process in starting}
    assert made == {(tmp_path / "signing.key").read_text()}
    assert [p.name for p in tmp_path.iterdir()] == ["signing.key"]


def test_the_loser_of_the_race_keeps_the_winners_key(tmp_path: Path) -> None:
    key = tokens.signing_key(settings_in(tmp_path))
    tokens._make_key_file(tmp_path / "signing.key")
    assert tokens.signing_key(settings_in(tmp_path)) == key
    assert [p.name for p in tmp_path.iterdir()] == ["signing.key"]


def test_built_of_settings_and_database_it_holds_all_that_signing_in_needs(
    runtime: Runtime, tmp_path: Path
) -> None:
    built = tokens.build(settings_in(tmp_path), runtime.database)
    assert built.signer.read(built.signer.sign(UUID(int=1), UUID(int=2))).session_id == UUID(int=2)
    assert json.dumps(built.hasher.nobodys_hash).count("argon2id") == 1
    assert system_actor("accounts") == sign_in.SERVER
