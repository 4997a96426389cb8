"""Clock, dice, messages, roles: the pure parts of the core."""

import pickle
from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fablewright.core.actors import ANONYMOUS, Actor, Allowed, Role, at_least, system_actor
from fablewright.core.clock import DAY, HOUR, MINUTE, Calendar, WorldClock, elapsed, half_life_factor
from fablewright.core.dice import Dice, derived_uuid, jitter, random_seed, random_token
from fablewright.core.messages import MEMBERS, Audience, Catalogue, CatalogueError, Command, Event, matches
from fablewright.core.refusal import CONFLICT, Refusal, Refused
from fablewright.core.transaction import Request, command_json, result_json
from fablewright.systems.worlds.rules import (
    MAX_ADVANCE_MS,
    advance_target,
    check_role_change,
    new_clock,
)  # fmt: skip

times = st.integers(-(2**45), 2**45)
rates = st.floats(0.001, 100_000, allow_nan=False)


# -- clock ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("clock", "real", "now"), [
    (WorldClock(0, 1_000), 1_000, 0),
    (WorldClock(0, 1_000), 2_500, 1_500),
    (WorldClock(-500, 1_000), 1_600, 100),
    (WorldClock(0, 1_000, rate=60.0), 2_000, 60_000),
    (WorldClock(0, 1_000, rate=0.5), 1_003, 1),
    (WorldClock(7, 1_000, paused=True), 9_000, 7),
    (WorldClock(7, 1_000, advancing=True), 9_000, 7),
    (WorldClock(7, 1_000, rate=1000.0), 500, 7),  # the database's clock went back
])  # fmt: skip
def test_world_time(clock: WorldClock, real: int, now: int) -> None:
    assert clock.now(real) == now


@given(times, times, rates, st.lists(st.integers(0, 10**9), min_size=2, max_size=6))
def test_world_time_never_runs_backwards(world: int, real: int, rate: float, steps: list[int]) -> None:
    clock = WorldClock(world, real, rate)
    seen = [clock.now(real + step) for step in sorted(steps)]
    assert seen == sorted(seen)
    assert seen[0] >= world


@given(times, times, rates, st.integers(0, 10**9), st.floats(0.001, 100_000), st.booleans())
def test_setting_the_clock_makes_no_jump(
    world: int, real: int, rate: float, later: int, other: float, paused: bool
) -> None:
    clock = WorldClock(world, real, rate)
    now = clock.now(real + later)
    fresh = new_clock(clock, now, real + later, rate=other, paused=paused)
    assert fresh.now(real + later) == now
    assert fresh.running is not paused


@given(times, times, st.integers(1, 10_000).map(float), st.integers(0, 10**9))
def test_real_time_until_something_is_due(world: int, real: int, rate: float, ahead: int) -> None:
    clock = WorldClock(world, real, rate)
    wait = clock.real_ms_until(world + ahead, real)
    assert wait is not None
    assert clock.now(real + int(wait) + 1) >= world + ahead
    assert WorldClock(world, real, rate, paused=True).real_ms_until(world + ahead, real) is None


@pytest.mark.parametrize(("at", "date"), [
    (0, "1 Deepwinter, year 1, 06:00"),
    (-6 * HOUR, "1 Deepwinter, year 1, 00:00"),
    (-6 * HOUR - 1, "30 Longnight, year 0, 23:59"),
    (18 * HOUR, "2 Deepwinter, year 1, 00:00"),
    (29 * DAY, "30 Deepwinter, year 1, 06:00"),
    (30 * DAY + 5 * MINUTE, "1 Thaw, year 1, 06:05"),
    (360 * DAY, "1 Deepwinter, year 2, 06:00"),
])  # fmt: skip
def test_dates(at: int, date: str) -> None:
    assert Calendar().read(at) == date


@given(times, st.integers(1, 100), st.integers(1, 400), st.integers(0, 99))
def test_dates_are_always_dates(at: int, hours: int, days: int, start: int) -> None:
    calendar = Calendar(("A", "B", "C"), days, hours, 1, start)
    day, rest = calendar.read(at).split(" ", 1)
    assert 1 <= int(day) <= days
    assert 0 <= calendar.hour(at) < hours
    assert int(rest.rsplit(" ", 1)[1].split(":")[0]) == calendar.hour(at)


@pytest.mark.parametrize(
    ("at", "day"), [(0, 0), (18 * HOUR - 1, 0), (18 * HOUR, 1), (42 * HOUR, 2), (-6 * HOUR, 0), (-6 * HOUR - 1, -1)]
)  # fmt: skip
def test_days_change_at_midnight(at: int, day: int) -> None:
    assert Calendar().day_number(at) == day


@given(times, st.integers(1, 100), st.integers(0, 99))
def test_days_follow_each_other(at: int, hours: int, start: int) -> None:
    calendar = Calendar(hours_per_day=hours, start_hour=start)
    day = calendar.day_number(at)
    assert calendar.day_start(day) <= at < calendar.day_start(day + 1)
    assert calendar.hour(calendar.day_start(day)) == 0
    assert calendar.read(at).rsplit(",", 1)[0] == calendar.read(calendar.day_start(day)).rsplit(",", 1)[0]


@given(times, times)
def test_elapsed_time_is_never_negative(at: int, now: int) -> None:
    assert elapsed(at, now) == (now - at if now > at else 0)


@pytest.mark.parametrize(("t", "left"), [(0, 1.0), (HOUR, 0.5), (2 * HOUR, 0.25), (HOUR // 2, 0.5**0.5)])
def test_half_life(t: int, left: float) -> None:
    assert half_life_factor(t, HOUR) == pytest.approx(left)


# -- dice ----------------------------------------------------------------------------------------------------


def rolls(dice: Dice) -> list[Any]:
    pile = list(range(20))
    dice.shuffle(pile)
    return [
        dice.uniform(), dice.whole(1, 6), dice.gauss(0, 1), dice.chance(0.5), dice.choice("abc"),
        dice.weighted("ab", [1, 2]), pile, dice.uuid(5),
    ]  # fmt: skip


@given(st.integers(0, 2**63 - 1), st.uuids())
def test_equal_keys_give_equal_chance(seed: int, key: UUID) -> None:
    assert rolls(Dice(seed, key)) == rolls(Dice(seed, key))
    assert rolls(Dice(seed, key)) != rolls(Dice(seed + 1, key))


def test_known_rolls_stay_as_they_are() -> None:
    """A world played again after an upgrade must go the same way."""
    dice = Dice(7, UUID(int=1))
    assert [dice.whole(1, 100) for _ in range(6)] == [76, 36, 60, 84, 22, 60]
    assert derived_uuid("a", 1) == UUID("b4feb303-ba68-881f-b514-0f67114e15e6")


def test_parts_of_a_key_do_not_run_together() -> None:
    assert derived_uuid("ab", "c") != derived_uuid("a", "bc")
    assert rolls(Dice("ab", "c")) != rolls(Dice("a", "bc"))


@given(st.integers(0, 2**48 - 1), st.uuids())
def test_ids_have_the_layout_of_version_7(at: int, key: UUID) -> None:
    made = Dice(1, key).uuid(at)
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == at
    assert derived_uuid(key).version == 8


@given(st.integers(-(2**47), -1))
def test_ids_before_the_epoch_are_ids_too(at: int) -> None:
    assert Dice(1).uuid(at).version == 7


def test_secrets_are_in_range() -> None:
    assert 0 <= random_seed() < 2**63
    assert 0 <= jitter() < 1
    assert len(random_token()) >= 40
    assert random_token() != random_token()


@given(st.floats(0, 1))
def test_chance_keeps_its_bounds(probability: float) -> None:
    assert not Dice(1).chance(0)
    assert Dice(1).chance(1)
    assert Dice(1).chance(probability) in (True, False)


# -- messages ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pattern", "name", "fits"), [
    ("*", "a.b", True), ("a.*", "a.b", True), ("a.b", "a.b", True), ("a.*", "ab.c", False), ("a.*", "a", False),
    ("a.b", "a.bc", False), ("a*", "a.b", False), (".*", "a.b", False), ("", "a.b", False),
])  # fmt: skip
def test_patterns(pattern: str, name: str, fits: bool) -> None:
    assert matches(pattern, name) is fits


def command(**fields: Any) -> type[Command]:
    return type("Made", (Command,), {"message_type": "x.make", "allowed": at_least(Role.PLAYER), **fields})


def event(**fields: Any) -> type[Event]:
    return type(
        "Happened", (Event,), {"message_type": "x.happened", "audience": lambda _self: MEMBERS, **fields}
    )


@pytest.mark.parametrize(("messages", "says"), [
    ([command(message_type="make")], "message_type"), ([command(message_type="X.make")], "message_type"),
    ([command(message_type=None)], "message_type"), ([command(allowed=None)], "who may give it"),
    ([command(), command()], "two messages"), ([event(audience=Event.audience)], "audience"),
])  # fmt: skip
def test_what_is_declared_wrongly_does_not_start(messages: list[Any], says: str) -> None:
    with pytest.raises(CatalogueError, match=says):
        Catalogue(messages)


def test_a_catalogue_finds_by_name() -> None:
    made = command()
    catalogue: Catalogue[Command] = Catalogue([made, made])
    assert catalogue.get("x.make") is made
    assert catalogue.get("x.other") is None
    assert (len(catalogue), catalogue.names, list(catalogue)) == (1, ["x.make"], [made])


class Asked(Command):
    message_type = "x.ask"
    allowed: ClassVar[Allowed] = at_least(Role.PLAYER)
    word: str = ""


class Hidden(Asked):
    message_type = "x.hide"
    secret: ClassVar[bool] = True


class Told(Event):
    message_type = "x.told"
    subjects: ClassVar[tuple[str, ...]] = ("one", "many")
    one: UUID | None = None
    many: list[UUID] = []

    def audience(self) -> Audience:
        return MEMBERS


def test_commands_are_strict_and_events_outlive_their_fields() -> None:
    with pytest.raises(ValidationError):
        Asked.model_validate({"word": "a", "more": 1})
    with pytest.raises(ValidationError):
        Asked(word="a").word = "b"  # type: ignore[misc]
    assert Told.model_validate_json('{"gone": 1}') == Told()


def test_whom_an_event_is_about() -> None:
    ids = [uuid4() for _ in range(3)]
    assert Told(one=ids[0], many=ids[1:]).about() == ids
    assert Told().about() == []


def test_what_the_log_keeps_of_a_command() -> None:
    for kind, payload in ((Asked, b'"payload":{"word":"hush"}'), (Hidden, b'"payload":{}')):
        kept = command_json(Request(kind(word="hush"), ANONYMOUS, UUID(int=1), UUID(int=2)))
        assert payload in kept
        assert b'"actor":"anonymous"' in kept
    assert (result_json(None), result_json({"id": UUID(int=1)})) == (
        b"null", b'{"id":"00000000-0000-0000-0000-000000000001"}',
    )  # fmt: skip


def test_refusals_travel_between_processes() -> None:
    refusal = Refusal("too_bad", CONFLICT, "Too bad.")
    refused = pickle.loads(pickle.dumps(refusal("Really.", n=1)))
    assert isinstance(refused, Refused)
    assert (refused.code, refused.detail, refused.facts) == ("too_bad", "Really.", {"n": 1})
    assert refusal().detail == "Too bad."


def test_actors() -> None:
    assert system_actor("timer").is_system
    assert not Actor("user:system:x").is_system
    assert [Role.from_label(role.label) for role in Role] == sorted(Role)


# -- worlds --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("how", "outcome"), [
    ({"by_ms": 5, "to_ms": None}, 105), ({"by_ms": None, "to_ms": 101}, 101),
    ({"by_ms": None, "to_ms": 100}, "advance_backwards"), ({"by_ms": None, "to_ms": -7}, "advance_backwards"),
    ({"by_ms": MAX_ADVANCE_MS, "to_ms": None}, 100 + MAX_ADVANCE_MS),
    ({"by_ms": MAX_ADVANCE_MS + 1, "to_ms": None}, "advance_too_far"),
])  # fmt: skip
def test_where_an_advance_goes(how: dict[str, int | None], outcome: int | str) -> None:
    if isinstance(outcome, int):
        assert advance_target(100, **how) == outcome
        return
    with pytest.raises(Refused) as refused:
        advance_target(100, **how)
    assert refused.value.code == outcome


P, G, TOP = Role.PLAYER, Role.GAME_MASTER, Role.OWNER


@pytest.mark.parametrize(("mine", "theirs", "wanted", "owners", "code"), [
    (TOP, None, P, 1, None), (TOP, P, TOP, 1, None), (TOP, TOP, P, 2, None), (TOP, TOP, P, 1, "last_owner"),
    (TOP, TOP, None, 1, "last_owner"), (TOP, TOP, TOP, 1, None), (G, None, P, 1, None), (G, P, None, 1, None),
    (G, P, G, 1, "role_above_yours"), (G, G, P, 1, "role_above_yours"), (G, TOP, P, 2, "role_above_yours"),
    (G, None, TOP, 1, "role_above_yours"), (None, None, TOP, 1, None), (None, TOP, None, 1, "last_owner"),
    (None, G, None, 1, None),
])  # fmt: skip
def test_who_may_change_whose_role(
    mine: Role | None, theirs: Role | None, wanted: Role | None, owners: int, code: str | None
) -> None:
    if code is None:
        check_role_change(mine, theirs, wanted, owners=owners)
        return
    with pytest.raises(Refused) as refused:
        check_role_change(mine, theirs, wanted, owners=owners)
    assert refused.value.code == code
