"""The pure parts of the gateway: problems, limits, cursors, commands as JSON, what is documented."""

from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr, ValidationError

from fablewright.core.actors import SIGNED_IN, Role, at_least
from fablewright.core.messages import MOST_DEPTH, Catalogue, Command, check_free_json
from fablewright.core.refusal import Refusal, RefusalKind, Refused
from fablewright.gateway import limits
from fablewright.gateway.api import (
    CURSOR_INVALID,
    PageRequest,
    decode_cursor,
    encode_cursor,
    moment,
    page_of,
    position_of,
    refusals,
)
from fablewright.gateway.commands import parse_command, parse_commands, validation_refused
from fablewright.gateway.front import NO_GZIP, Front
from fablewright.gateway.limits import RateLimiter
from fablewright.gateway.logs import processors
from fablewright.gateway.openapi import methods_at
from fablewright.gateway.problems import STATUS, problem_of, problem_response
from fablewright.settings import Settings


def code_of(raised: pytest.ExceptionInfo[Refused]) -> str:
    return raised.value.code


# -- problems ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("invalid", 422), ("unauthenticated", 401), ("forbidden", 403), ("not_found", 404), ("conflict", 409),
        ("too_large", 413), ("too_many", 429), ("unavailable", 503),
    ],
)  # fmt: skip
def test_every_kind_is_a_problem_with_its_status(kind: str, status: int) -> None:
    refusal = Refusal("some_code", RefusalKind(kind), "What is wrong.")
    answer = problem_response(refusal("This time.", fact=1, status=7, code="forged"))
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert orjson.loads(bytes(answer.body)) == {
        "fact": 1, "type": "urn:fablewright:refusal:some_code", "title": "What is wrong.", "status": status,
        "code": "some_code", "detail": "This time.",
    }  # fmt: skip
    assert answer.headers.get("www-authenticate") == ("Bearer" if kind == "unauthenticated" else None)
    assert "retry-after" not in answer.headers


def test_no_kind_is_without_a_status() -> None:
    assert set(STATUS) == set(RefusalKind)


@pytest.mark.parametrize(("seconds", "sent"), [(0, "1"), (0.2, "1"), (1.0, "1"), (1.2, "2"), (61, "61")])
def test_who_waits_as_long_as_told_has_waited_enough(seconds: float, sent: str) -> None:
    refused = Refusal("x", RefusalKind.TOO_MANY, "x")(retry_after_seconds=seconds)
    assert problem_response(refused).headers["retry-after"] == sent


def test_another_status_stands_in_the_document_too() -> None:
    answer = problem_response(Refusal("x", RefusalKind.INVALID, "x")(), status=405, headers={"Allow": "GET"})
    assert (answer.status_code, orjson.loads(bytes(answer.body))["status"]) == (405, 405)
    assert answer.headers["allow"] == "GET"


# -- limits --------------------------------------------------------------------------------------------------


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    made = Clock()
    monkeypatch.setattr(limits, "monotonic", made)
    yield made


def allowed(limiter: RateLimiter, name: str, most: int = 1_000) -> int:
    """How many requests pass at once."""
    for count in range(most):
        try:
            limiter.take(name)
        except Refused as refused:
            assert refused.code == "rate_limited"
            return count
    return most


def test_a_limit_of_sixty_lets_ten_at_once_and_one_each_second(clock: Clock) -> None:
    limiter = RateLimiter(60)
    assert allowed(limiter, "a") == 10
    assert allowed(limiter, "b") == 10
    clock.now += 3
    assert allowed(limiter, "a") == 3
    clock.now += 1_000
    assert allowed(limiter, "a") == 10


@given(per_minute=st.integers(1, 10_000))
@example(per_minute=1)
@example(per_minute=7)
def test_after_the_time_told_a_request_passes(per_minute: int) -> None:
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "monotonic", clock)
        limiter = RateLimiter(per_minute)
        allowed(limiter, "a", 20_000)
        with pytest.raises(Refused) as raised:
            limiter.take("a")
        clock.now += raised.value.facts["retry_after_seconds"]
        limiter.take("a")


def test_no_limit_is_none(clock: Clock) -> None:
    assert allowed(RateLimiter(0), "a") == 1_000


def test_many_names_do_not_wash_away_who_is_in_use(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_BUCKETS", 10)
    limiter = RateLimiter(6)  # one at once
    assert allowed(limiter, "busy") == 1
    for number in range(100):
        limiter.take(f"name {number}")
        assert allowed(limiter, "busy") == 0
    assert allowed(limiter, "name 0") == 1  # forgotten, as it should be: memory is bounded
    assert len(limiter._buckets) == 10


# -- cursors -------------------------------------------------------------------------------------------------


@given(st.lists(st.text() | st.integers(-(2**53), 2**53) | st.none() | st.booleans(), max_size=4))
def test_cursors_bring_back_what_they_were_made_of(position: list[Any]) -> None:
    cursor = encode_cursor(position)
    assert decode_cursor(cursor) == position
    assert cursor.replace("-", "").replace("_", "").isalnum()  # it can stand in a query as it is


@given(st.text(max_size=60))
@example("é")
@example("W10=====")
def test_anything_else_is_no_cursor_but_never_breaks(cursor: str) -> None:
    try:
        assert isinstance(decode_cursor(cursor), list)
    except Refused as refused:
        assert refused.refusal is CURSOR_INVALID


@pytest.mark.parametrize(
    "after",
    [[], ["x"], [1, str(uuid4())], [None, None], ["2020-01-01", "y"], ["0001-01-01T00:00:00+14:00", str(uuid4())],
     ["2020-01-01", str(uuid4()), 1]],
)  # fmt: skip
def test_positions_that_no_server_made_are_refused(after: list[Any]) -> None:
    with pytest.raises(Refused) as raised:
        position_of(PageRequest(5, after), moment, UUID)
    assert code_of(raised) == "cursor_invalid"


def test_positions_are_read() -> None:
    at, identifier = datetime(2026, 1, 5, tzinfo=UTC), uuid4()
    after = decode_cursor(encode_cursor([at, identifier]))
    assert position_of(PageRequest(5, after), moment, UUID) == [at, identifier]
    assert position_of(PageRequest(5, None), moment, UUID) is None


@given(st.integers(0, 12), st.integers(1, 12))
def test_a_page_goes_on_only_if_there_is_more(many: int, limit: int) -> None:
    page = page_of(list(range(many))[: limit + 1], PageRequest(limit, None), lambda n: [n])
    assert page.items == list(range(min(many, limit)))
    assert (page.next_cursor is None) == (many <= limit)
    if page.next_cursor:
        assert decode_cursor(page.next_cursor) == [limit - 1]


# -- commands as JSON ----------------------------------------------------------------------------------------


class Paint(Command):
    message_type = "test.paint"
    allowed = at_least(Role.PLAYER)

    colour: str
    coats: int = 1


class SignUp(Command):
    message_type = "test.sign_up"
    allowed = SIGNED_IN


ENGINE: Any = SimpleNamespace(commands=Catalogue([Paint, SignUp]))


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "malformed_json"), (7, "malformed_json"), ("x", "malformed_json"), ({}, "malformed_json"),
        ({"type": 7}, "malformed_json"), ({"type": "test.paint", "extra": 1}, "malformed_json"),
        ({"type": "test.unknown"}, "command_unknown"), ({"type": "test.sign_up"}, "command_unknown"),
        ({"type": "test.paint"}, "validation_failed"), ({"type": "test.paint", "payload": 7}, "validation_failed"),
        ({"type": "test.paint", "payload": {"colour": "red", "extra": 1}}, "validation_failed"),
        ({"type": "test.paint", "payload": {"colour": 7, "coats": "x"}}, "validation_failed"),
    ],
)  # fmt: skip
def test_what_is_no_command_is_refused_alone_and_in_a_list(value: Any, code: str) -> None:
    with pytest.raises(Refused) as raised:
        parse_command(ENGINE, value)
    assert code_of(raised) == code
    assert "index" not in raised.value.facts
    good = {"type": "test.paint", "payload": {"colour": "red"}}
    with pytest.raises(Refused) as raised:
        parse_commands(ENGINE, [good, value], 5)
    assert (code_of(raised), raised.value.facts["index"]) == (code, 1)


def test_commands_are_read() -> None:
    good = {"type": "test.paint", "payload": {"colour": "red"}}
    assert parse_commands(ENGINE, good, 1) == Paint(colour="red")
    assert parse_commands(ENGINE, [good, good], 2) == [Paint(colour="red")] * 2
    with pytest.raises(Refused) as raised:
        parse_commands(ENGINE, [good] * 3, 2)
    assert (code_of(raised), raised.value.facts) == ("too_many_commands", {"max_commands": 2})


class Secretive(BaseModel):
    password: SecretStr
    age: int


def test_validation_lists_each_field_and_never_the_input() -> None:
    with pytest.raises(ValidationError) as raised:
        Secretive.model_validate({"password": ["hunter2"], "age": "hunter3"})
    problem = problem_of(validation_refused(raised.value.errors()))
    assert [(e["field"], e["type"]) for e in problem["errors"]] == [
        ("password", "string_type"), ("age", "int_parsing"),
    ]  # fmt: skip
    assert all(e.keys() == {"field", "message", "type"} for e in problem["errors"])
    assert problem["detail"].endswith("(and 1 more)")
    assert "hunter" not in str(problem)


# -- free JSON -----------------------------------------------------------------------------------------------


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth - 1):
        value = [value]
    return value


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)  # fmt: skip


@given(json_values)
@example(nested(MOST_DEPTH))
def test_what_passes_can_be_written_and_read_again(value: Any) -> None:
    check_free_json(value, 1_000_000)
    assert orjson.loads(orjson.dumps(value)) == value


@pytest.mark.parametrize(
    "value",
    [
        nested(MOST_DEPTH + 1), nested(5_000), float("nan"), float("inf"), 2**63, -(2**63) - 1, "\ud800",
        {"\udfff": 1}, {"a": [{"b": "\ud800"}]}, "x" * 101,
    ],
)  # fmt: skip
def test_what_could_not_be_read_again_is_refused_without_being_repeated(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^its? ") as raised:
        check_free_json(value, 100)
    assert "xxx" not in str(raised.value)
    assert not isinstance(raised.value, UnicodeEncodeError)


# -- the rest ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("client", "forwarded", "address"),
    [
        ("10.0.0.1", None, "10.0.0.1"), ("10.0.0.1", "1.1.1.1", "1.1.1.1"),
        ("10.0.0.1", "9.9.9.9, 1.1.1.1", "1.1.1.1"), ("10.0.0.1", "9.9.9.9, 1.1.1.1, 10.0.0.2", "1.1.1.1"),
        ("10.0.0.1", "10.0.0.2", "10.0.0.2"), ("10.0.0.1", "", "10.0.0.1"), ("10.0.0.1", ",", "10.0.0.1"),
        ("8.8.8.8", "1.1.1.1", "8.8.8.8"), ("10.0.0.1", "x" * 500, "x" * 64),
    ],
)  # fmt: skip
def test_forwarded_addresses_are_believed_of_trusted_proxies_alone(
    client: str, forwarded: str | None, address: str
) -> None:
    settings = Settings(_env_file=None, trusted_proxies=["10.0.0.1", "10.0.0.2"])
    front = Front(None, settings, None)  # type: ignore[arg-type]
    headers = {} if forwarded is None else {b"x-forwarded-for": forwarded.encode()}
    assert front._address({"client": (client, 5)}, headers) == address
    assert front._address({"client": None}, headers) == "local"


@pytest.mark.parametrize(
    ("accepted", "no"),
    [
        (b"gzip", False),
        (b"br, gzip;q=0.5", False),
        (b"gzip;q=0", True),
        (b"gzip; q=0.0, br", True),
        (b"br", False),
    ],
)
def test_who_wants_no_gzip(accepted: bytes, no: bool) -> None:
    assert bool(NO_GZIP.search(accepted)) == no


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/a", ["DELETE", "GET", "HEAD"]),
        ("/a/1", ["PUT"]),
        ("/a/1/b", []),
        ("/b", []),
        ("/ax", []),
        ("/a/", []),
    ],
)
def test_methods_of_a_path(path: str, methods: list[str]) -> None:
    document: dict[str, Any] = {"paths": {"/a": {"get": {}, "delete": {}}, "/a/{id}": {"put": {}}}}
    assert methods_at(document, path) == methods


def test_refusals_of_a_route() -> None:
    gone = Refusal("gone", RefusalKind.NOT_FOUND, "It is gone.")
    listed = refusals(gone, world=False)
    assert list(listed[404]["content"]["application/problem+json"]["examples"]) == ["gone"]
    assert "idempotency_key_reused" in str(listed)
    assert "idempotency_key_reused" not in str(refusals(gone, keyed=False))
    assert "world_not_found" in str(refusals(gone))


@pytest.mark.parametrize("production", [True, False])
def test_tracebacks_do_not_show_what_variables_hold(production: bool) -> None:
    def fail(password: str) -> None:
        raise RuntimeError("boom")

    try:
        fail("hunter2" + "hunter2")
    except RuntimeError as error:
        line: Any = {"event": "bug", "exc_info": error}
    for processor in processors(production=production):
        line = processor(None, "error", line)
    assert "boom" in line and "in fail" in line.replace('"name": "fail"', "in fail")
    assert "hunter2hunter2" not in line
