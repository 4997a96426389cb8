"""The rules of accounts, as tables and properties."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fablewright.core.actors import ANONYMOUS, Actor, Role, system_actor
from fablewright.core.refusal import Refused
from fablewright.systems.accounts import rules

SOMEONE = UUID(int=7)


def refused_as(code: str, function: object, *args: object) -> None:
    with pytest.raises(Refused) as caught:
        function(*args)  # type: ignore[operator]
    assert caught.value.code == code


@pytest.mark.parametrize("login", ["abc", "Mira", "a.b-c_d@example.org+x", "0" * 64])
def test_logins_that_may_be(login: str) -> None:
    assert rules.check_login(login) == login


@pytest.mark.parametrize(
    "login",
    [
        "",
        "ab",
        "0" * 65,
        "with space",
        "abc\n",
        "ünicode",
        "a\0bc",
        "abc/def",
        "abc'--",
        "\uff41\uff42\uff43",
    ],
)
def test_logins_that_may_not_be(login: str) -> None:
    refused_as("login_invalid", rules.check_login, login)


@pytest.mark.parametrize(
    ("password", "login", "fits"),
    [
        ("ten green bottles", "mira", True),
        ("0123456789", "mira", True),
        ("012345678", "mira", False),
        ("x" * 200, "mira", True),
        ("x" * 201, "mira", False),
        ("", "mira", False),
        ("miraofthevale", "miraofthevale", False),
        ("MiraOfTheVale", "miraofthevale", False),
        ("miraofthevale1", "miraofthevale", True),
        ("пароль пароль", "mira", True),
    ],
)
def test_passwords(password: str, login: str, fits: bool) -> None:
    if fits:
        assert rules.check_password(password, login) == password
    else:
        refused_as("password_unsuitable", rules.check_password, password, login)


def test_the_refusal_of_a_password_does_not_repeat_it() -> None:
    with pytest.raises(Refused) as caught:
        rules.check_password("hunter2", "mira")
    assert "hunter2" not in f"{caught.value} {caught.value.facts} {caught.value.detail}"


@pytest.mark.parametrize(
    ("failed", "seconds"),
    [
        (0, None), (1, None), (4, None), (5, 300), (6, None), (9, None), (10, 600), (15, 1200), (20, 2400),
        (25, 3600), (30, 3600), (5 * 10**6, 3600),
    ],
)  # fmt: skip
def test_every_fifth_wrong_password_locks_for_twice_as_long_up_to_an_hour(
    failed: int, seconds: int | None
) -> None:
    assert rules.lock_seconds(failed, 5, 300) == seconds


def test_a_first_lock_longer_than_an_hour_is_not_shortened() -> None:
    assert [rules.lock_seconds(n, 1, 7200) for n in (1, 2, 3)] == [7200, 7200, 7200]


@given(st.integers(0, 10**9), st.integers(1, 1000), st.integers(1, 10**6))
def test_locks_come_every_so_many_and_never_get_shorter(failed: int, attempts: int, first: int) -> None:
    seconds = rules.lock_seconds(failed, attempts, first)
    assert (seconds is not None) == (failed > 0 and failed % attempts == 0)
    if seconds is not None:
        later = rules.lock_seconds(failed + attempts, attempts, first)
        assert later is not None
        assert first <= seconds <= later <= max(3600, first)


@pytest.mark.parametrize(
    ("scopes", "most"),
    [
        (["read"], Role.OBSERVER),
        (["play"], Role.PLAYER),
        (["read", "play"], Role.PLAYER),
        (["manage"], Role.OWNER),
        (["manage", "read"], Role.OWNER),
    ],
)
def test_the_strongest_scope_says_what_a_key_may_be(scopes: list[str], most: Role) -> None:
    assert rules.most_role(scopes) is most


@given(st.lists(st.sampled_from(["read", "play", "manage"]), min_size=1, max_size=9))
def test_scopes_are_kept_once_and_in_order(scopes: list[rules.ApiScope]) -> None:
    kept = rules.in_order(scopes)
    assert set(kept) == set(scopes)
    assert len(kept) == len(set(kept))
    assert rules.most_role(kept) is rules.ROLE_OF_SCOPE[kept[-1]]
    assert rules.in_order(reversed(kept)) == kept


@pytest.mark.parametrize(
    ("scopes", "world", "administrator", "administrates"),
    [
        (["manage"], None, True, True),
        (["manage"], None, False, False),
        (["manage"], SOMEONE, True, False),
        (["read", "play"], None, True, False),
    ],
)
def test_a_key_administrates_only_with_manage_and_in_no_world(
    scopes: list[str], world: UUID | None, administrator: bool, administrates: bool
) -> None:
    assert rules.key_administrates(scopes, world, administrator) is administrates


def test_only_users_who_signed_in_manage_an_account() -> None:
    assert rules.own_account(Actor(f"user:{SOMEONE}", SOMEONE)) == SOMEONE
    refused_as("key_not_allowed", rules.own_account, Actor(f"key:{SOMEONE}", SOMEONE))
    refused_as("token_invalid", rules.own_account, ANONYMOUS)
    refused_as("token_invalid", rules.own_account, system_actor("director"))
