"""Leaderboards against the real database: scores, ranks, windows, seasons, cheaters."""

import asyncio
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fablewright.core.actors import system_actor
from fablewright.core.clock import DAY, HOUR
from fablewright.core.dice import derived_uuid, random_uuid
from fablewright.core.engine import Scope
from fablewright.core.messages import Command
from fablewright.core.refusal import Refused
from fablewright.core.timers import FireTimers
from fablewright.core.transaction import Request, Timer, Transaction
from fablewright.systems.characters.commands import CreateCharacter, DeleteCharacter, UpdateCharacter
from fablewright.systems.leaderboards import ranks, removals, seasons, service
from fablewright.systems.leaderboards.commands import (
    DefineBoard,
    LiftBan,
    RemoveBoard,
    RemoveEntries,
    RestoreEntries,
    SubmitScore,
)
from fablewright.systems.points.commands import Award, ReverseAward
from fablewright.systems.relationships.commands import SetTie
from fablewright.systems.worlds.commands import AdvanceWorld, ReplayDeadLetter
from tests.support import Person, Server, http_client, until

ADA, BEN, CYN, DOT = (UUID(int=n) for n in range(101, 105))
SUBMITTED = {"kind": "submitted"}


class Arena:
    """A world with four characters, whose clock stands still."""

    def __init__(self, server: Server):
        self.server = server

    async def open(self) -> "Arena":
        self.owner = await self.server.person()
        self.world_id = await self.server.world(self.owner)
        for who, name in ((ADA, "Ada"), (BEN, "Ben"), (CYN, "Cyn"), (DOT, "Dot")):
            await self.do(CreateCharacter(id=who, name=name))
        return self

    async def do(self, command: Command | list[Command], who: Person | None = None) -> Any:
        answer = await self.server.runtime.engine.execute(command, (who or self.owner).actor, self.world_id)
        return answer.result

    async def refused(self, code: str, command: Command | list[Command]) -> Refused:
        with pytest.raises(Refused) as error:
            await self.do(command)
        assert error.value.code == code
        return error.value

    async def board(self, key: str = "race", **fields: Any) -> None:
        await self.do(DefineBoard(**{"key": key, "name": key.title(), "metric": SUBMITTED, **fields}))

    async def submit(self, who: UUID, score: float, key: str = "race") -> Any:
        return await self.do(SubmitScore(key=key, subject_id=who, score=score))

    async def get(self, path: str, status: int = 200, **params: Any) -> Any:
        answer = await self.server.client.get(
            f"/api/v1/worlds/{self.world_id}/leaderboards{path}", params=params, headers=self.owner.headers
        )
        assert answer.status_code == status, answer.text
        return answer.json()

    async def top(self, key: str = "race", **params: Any) -> list[tuple[int, UUID, float]]:
        found = await self.get(f"/{key}", **params)
        return [(e["rank"], UUID(e["subject_id"]), e["score"]) for e in found["entries"]]

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        return await self.server.fetch(sql, self.world_id, *args)

    async def events(self, kind: str) -> list[Any]:
        rows = await self.fetch(
            "SELECT data::text AS data FROM events WHERE world_id = $1 AND type = $2 ORDER BY seq",
            f"leaderboards.{kind}",
        )
        return [orjson.loads(row["data"]) for row in rows]

    async def advance(self, by_ms: int) -> None:
        await self.do(AdvanceWorld(by_ms=by_ms))

        async def there() -> bool:
            rows = await self.fetch("SELECT advance_id FROM worlds WHERE id = $1")
            return rows[0]["advance_id"] is None

        await until(there, 60)

    async def sound(self) -> None:
        """The checks of the doctor find nothing wrong in this world."""
        assert [f for f in await self.server.findings() if str(self.world_id) in f] == []


@pytest.fixture
async def arena(server: Server) -> Arena:
    return await Arena(server).open()


# -- scores --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "order", "scores", "stands", "improved"),
    [
        ("best", "descending", [5, 9, 7], 9, [True, True, False]),
        ("best", "ascending", [5, 9, 3], 3, [True, False, True]),
        ("set", "descending", [5, 9, 7], 7, [True, True, True]),
        ("set", "ascending", [5, 5], 5, [True, False]),
        ("add", "descending", [5, -2, 0.5], 3.5, [True, True, True]),
        ("add", "ascending", [5, 0], 5, [True, False]),
    ],
)
async def test_a_submitted_score_sets_keeps_the_best_or_adds(
    arena: Arena, mode: str, order: str, scores: list[float], stands: float, improved: list[bool]
) -> None:
    await arena.board(metric={"kind": "submitted", "mode": mode}, order=order)
    done = [await arena.submit(ADA, score) for score in scores]
    assert [d["improved"] for d in done] == improved
    assert done[-1]["score"] == stands
    assert await arena.top() == [(1, ADA, stands)]
    told = await arena.events("score_submitted")
    assert [(t["score"], t["improved"]) for t in told] == list(zip(scores, improved, strict=True))
    await arena.sound()


async def test_of_equal_scores_the_earlier_stands_higher(arena: Arena) -> None:
    await arena.board()
    for who in (BEN, ADA, CYN):
        await arena.submit(who, 10)
    await arena.submit(BEN, 10)  # not better: it keeps its place
    await arena.submit(DOT, 11)
    assert await arena.top() == [(1, DOT, 11), (2, BEN, 10), (3, ADA, 10), (4, CYN, 10)]


async def test_many_scores_at_once_count_in_their_order_and_refuse_alone(arena: Arena) -> None:
    await arena.board(metric={"kind": "submitted", "mode": "add"})
    await arena.board("other", metric={"kind": "points_earned"})
    commands = [SubmitScore(key="race", subject_id=who, score=1) for who in (ADA, BEN) * 20]
    wrong = [
        (SubmitScore(key="none", subject_id=ADA, score=1), "board_not_found"),
        (SubmitScore(key="other", subject_id=ADA, score=1), "board_takes_no_submissions"),
        (SubmitScore(key="race", subject_id=UUID(int=9), score=1), "character_not_found"),
        (SubmitScore(key="race", subject_id=ADA, score=2.0**53 - 1), "score_out_of_range"),
    ]
    given = [*commands[:20], *(c for c, _ in wrong), *commands[20:]]
    done = await asyncio.gather(*(arena.do(c) for c in given), return_exceptions=True)
    refused = [d.code for d in done if isinstance(d, Refused)]
    assert refused == [code for _, code in wrong]
    assert await arena.top() == [(1, ADA, 20), (2, BEN, 20)]
    assert len(await arena.events("score_submitted")) == 40
    await arena.sound()


async def test_a_list_with_a_refused_score_changes_nothing(arena: Arena) -> None:
    await arena.board()
    bad = SubmitScore(key="race", subject_id=UUID(int=9), score=1)
    await arena.refused("character_not_found", [SubmitScore(key="race", subject_id=ADA, score=1), bad])
    assert await arena.top() == []


# -- ranks ---------------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(st.integers(0, 24), st.integers(-4, 4), st.sampled_from(["add", "add", "add", "remove"])),
    min_size=1, max_size=60,
)  # fmt: skip


@pytest.fixture(scope="module")
async def crowd(server: Server) -> Arena:
    arena = await Arena(server).open()
    commands: list[Command] = [CreateCharacter(id=derived_uuid("crowd", n), name=f"C {n}") for n in range(25)]
    await arena.do(commands)
    return arena


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, order=st.sampled_from(["ascending", "descending"]), data=st.data())
async def test_ranks_are_those_of_a_sorted_list(
    crowd: Arena, steps: list[tuple[int, int, str]], order: str, data: Any
) -> None:
    """Against a model, with ranges so small that they are cut and joined all the time."""
    with pytest.MonkeyPatch.context() as patch:
        small(patch)
        key = f"race_{random_uuid().hex}"
        await crowd.board(key, metric={"kind": "submitted", "mode": "add"}, order=order)
        model: dict[int, tuple[float, int]] = {}
        at = 0
        while steps:
            many = data.draw(st.integers(1, len(steps)))
            group, steps = steps[:many], steps[many:]
            await asyncio.gather(*(_step(crowd, key, *step) for step in group if step[2] == "add"))
            for who, change, what in group:
                if what == "add":
                    at -= 1
                    before = model.get(who)
                    if before is None or change:
                        model[who] = ((before[0] if before else 0) + change, at)
            leaving = dict.fromkeys(who for who, _, what in group if what == "remove" and who in model)
            for who in leaving:
                await crowd.do(RemoveEntries(key=key, subject_id=derived_uuid("crowd", who), reason="So."))
                del model[who]
            sign = 1 if order == "descending" else -1
            best = sorted(model, key=lambda who: (sign * model[who][0], model[who][1]), reverse=True)
            wanted = [(n, derived_uuid("crowd", who), model[who][0]) for n, who in enumerate(best, 1)]
            assert await crowd.top(key) == wanted
            await _asked_singly(crowd, key, wanted)
        await crowd.sound()
        await crowd.do(RemoveBoard(key=key))


def small(patch: pytest.MonkeyPatch) -> None:
    """Ranges of some four entries instead of a thousand."""
    sizes = (("MOST_IN_RANGE", 1_000, 4), ("IN_NEW_RANGE", 500, 2), ("LEAST_IN_RANGE", 125, 2))
    for name in ("WRITE", "REMOVE", "SPLIT"):
        sql = getattr(ranks, name)
        for _, usual, less in sizes:
            sql = sql.replace(f"> {usual} ", f"> {less} ").replace(f"< {usual} ", f"< {less} ")
            sql = sql.replace(f"/ {usual}", f"/ {less}")
        patch.setattr(ranks, name, sql)
    for constant, _, less in sizes:
        patch.setattr(ranks, constant, less)


async def _step(crowd: Arena, key: str, who: int, change: int, _what: str) -> None:
    await crowd.submit(derived_uuid("crowd", who), change, key)


async def _asked_singly(crowd: Arena, key: str, wanted: list[tuple[int, UUID, float]]) -> None:
    for rank, who, score in wanted[:: max(1, len(wanted) // 4)]:
        mine = await crowd.get(f"/{key}/rank/{who}")
        assert (mine["rank"], mine["score"], mine["total"]) == (rank, score, len(wanted))
        near = await crowd.get(f"/{key}/around/{who}", span=2)
        assert [(e["rank"], UUID(e["subject_id"]), e["score"]) for e in near["entries"]] == wanted[
            max(0, rank - 3) : rank + 2
        ]


async def test_ranges_are_cut_and_joined_as_entries_come_and_go(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(monkeypatch)
    await arena.board(metric={"kind": "submitted", "mode": "set"})
    crowd = [derived_uuid("many", n) for n in range(30)]
    await arena.do([CreateCharacter(id=i, name="C") for i in crowd])
    await arena.do([SubmitScore(key="race", subject_id=i, score=n) for n, i in enumerate(crowd)])
    assert len(await ranges(arena)) > 6
    await arena.do([SubmitScore(key="race", subject_id=i, score=100 + n) for n, i in enumerate(crowd)])
    left = await ranges(arena)
    assert sum(left) == 30
    assert all(many >= 2 for many in left[1:]), left  # the worst range may be small: it has nobody to go to
    await arena.sound()
    for who in crowd[1:]:
        await arena.do(RemoveEntries(key="race", subject_id=who, reason="So."))
    assert await ranges(arena) == [1]
    assert [who for _, who, _ in await arena.top()] == crowd[:1]
    await arena.sound()


async def ranges(arena: Arena) -> list[int]:
    rows = await arena.fetch(
        "SELECT entries FROM board_ranges WHERE world_id = $1 ORDER BY from_standing, from_tie"
    )
    return [row["entries"] for row in rows]


async def test_a_rank_among_many_is_a_sum_of_ranges(arena: Arena) -> None:
    """With ranges of the usual size: nine thousand entries written by SQL, as a load test would."""
    await arena.board(metric={"kind": "submitted", "mode": "set"})
    await arena.submit(ADA, 1_000.5)
    place = "world_id = $1 AND key = 'race'"
    await arena.do([SubmitScore(key="race", subject_id=ADA, score=1_000.5)])
    async with arena.server.runtime.database.reading() as connection:
        await connection.execute(
            "INSERT INTO board_entries (world_id, board_id, number, subject_id, standing, tie, at) "
            f"SELECT $1, id, 0, gen_random_uuid(), n / 3, -1000000 - n, 0 FROM boards, generate_series(1, 9000) n "
            f"WHERE {place}", arena.world_id,
        )  # fmt: skip
        await connection.execute(
            f"UPDATE board_ranges SET entries = 9001 WHERE board_id = (SELECT id FROM boards WHERE {place})",
            arena.world_id,
        )
        await connection.execute(
            f"UPDATE board_windows SET entries = 9001 WHERE board_id = (SELECT id FROM boards WHERE {place})",
            arena.world_id,
        )
    await arena.submit(BEN, 0.25)  # the range is far too large now, and is cut
    sizes = await ranges(arena)
    assert sum(sizes) == 9_002
    assert max(sizes) <= ranks.MOST_IN_RANGE
    await arena.sound()
    mine = await arena.get(f"/race/rank/{ADA}")
    assert mine["rank"] == 1 + sum(n // 3 > 1_000.5 for n in range(1, 9_001))
    assert (await arena.get(f"/race/rank/{BEN}"))["rank"] == 2 + sum(n // 3 > 0.25 for n in range(1, 9_001))


# -- whom a board is for -------------------------------------------------------------------------------------


async def test_a_board_for_a_tag_takes_and_keeps_only_who_has_it(arena: Arena) -> None:
    await arena.board(scope={"kind": "tag", "tag": "guild"})
    await arena.do(UpdateCharacter(character_id=ADA, tags=["guild", "baker"]))
    await arena.do(UpdateCharacter(character_id=BEN, tags=["guild"]))
    await arena.submit(ADA, 3)
    await arena.submit(BEN, 2)
    await arena.refused("out_of_scope", SubmitScore(key="race", subject_id=CYN, score=1))
    await arena.do(UpdateCharacter(character_id=ADA, tags=["baker"]))
    assert await arena.top() == [(1, BEN, 2)]
    await arena.sound()


async def test_who_is_deleted_leaves_the_boards_of_now(arena: Arena) -> None:
    await arena.board(window="day")
    await arena.submit(ADA, 3)
    await arena.submit(BEN, 2)
    await arena.advance(DAY)
    await arena.submit(ADA, 3)
    await arena.submit(BEN, 2)
    await arena.do(DeleteCharacter(character_id=ADA))
    assert await arena.top() == [(1, BEN, 2)]
    assert await arena.top(number=0) == [(1, ADA, 3), (2, BEN, 2)]
    await arena.refused("character_not_found", SubmitScore(key="race", subject_id=ADA, score=9))
    await arena.sound()


async def test_a_new_name_is_shown_at_once(arena: Arena) -> None:
    await arena.board()
    await arena.submit(ADA, 3)
    assert (await arena.get("/race"))["entries"][0]["name"] == "Ada"
    await arena.do(UpdateCharacter(character_id=ADA, name="Ada the Great"))
    assert (await arena.get("/race"))["entries"][0]["name"] == "Ada the Great"


async def test_two_at_once_on_two_nodes_leave_one_sum(arena: Arena, live_url: str) -> None:

    await arena.board(metric={"kind": "submitted", "mode": "add"})
    path = f"/api/v1/worlds/{arena.world_id}/leaderboards/race/scores"
    async with http_client(base_url=live_url, headers=arena.owner.headers) as there:
        body = {"subject_id": str(ADA), "score": 1}
        answers = await asyncio.gather(
            *(there.post(path, json=body) for _ in range(20)),
            *(arena.server.client.post(path, json=body, headers=arena.owner.headers) for _ in range(20)),
        )
        assert {a.status_code for a in answers} == {200}
        assert await arena.top() == [(1, ADA, 40)]
        await there.post(path, json=body)  # written by the other node, read by this one
        assert await arena.top() == [(1, ADA, 41)]
    await arena.sound()


# -- windows -------------------------------------------------------------------------------------------------


async def test_days_begin_at_midnight_and_past_ones_can_be_read(arena: Arena) -> None:
    await arena.board(window="day")  # it is 6 o'clock on day 0
    await arena.submit(ADA, 1)
    await arena.advance(17 * HOUR + HOUR - 1)  # a millisecond before midnight
    await arena.submit(BEN, 2)
    assert await arena.top() == [(1, BEN, 2), (2, ADA, 1)]
    await arena.advance(1)
    now = await arena.get("/race")
    assert (now["number"], now["total"], now["entries"], now["closed"]) == (1, 0, [], False)
    await arena.submit(CYN, 3)
    assert await arena.top() == await arena.top(number=1) == [(1, CYN, 3)]
    past = await arena.get("/race", number=0)
    assert (past["closed"], past["starts_at"], past["ends_at"]) == (True, -6 * HOUR, 18 * HOUR)
    assert [e["score"] for e in past["entries"]] == [2, 1]
    assert (await arena.get(f"/race/rank/{ADA}", number=0))["rank"] == 2
    assert (await arena.get(f"/race/rank/{ADA}", 404))["code"] == "no_entry"
    assert (await arena.get("/race", 404, number=7))["code"] == "window_not_found"
    listed = (await arena.get("/race/windows"))["items"]
    assert [(w["number"], w["closed"], w["total"]) for w in listed] == [(1, False, 1), (0, True, 2)]
    await arena.sound()


@pytest.mark.parametrize(("window", "length"), [("week", 7 * DAY), ("month", 30 * DAY)])
async def test_weeks_and_months_are_those_of_the_calendar(arena: Arena, window: str, length: int) -> None:
    await arena.board(window=window)
    await arena.submit(ADA, 1)
    found = await arena.get("/race")
    assert (found["number"], found["starts_at"], found["ends_at"]) == (0, -6 * HOUR, length - 6 * HOUR)


# -- seasons -------------------------------------------------------------------------------------------------

SEASON: dict[str, Any] = {"window": "season", "season": {"length_ms": 10 * DAY, "rewards": []}}


async def test_a_season_ends_by_its_timer_and_the_next_one_opens(arena: Arena) -> None:
    await arena.board(**SEASON)
    assert (await arena.get("/race"))["number"] == 1
    await arena.submit(ADA, 5)
    await arena.submit(BEN, 6)
    await arena.advance(10 * DAY)
    (ended,) = await arena.events("season_ended")
    assert (ended["number"], ended["entries"]) == (1, 2)
    assert [(t["rank"], UUID(t["subject_id"]), t["score"]) for t in ended["top"]] == [
        (1, BEN, 6),
        (2, ADA, 5),
    ]
    opened = await arena.events("season_opened")
    assert [(o["number"], o["starts_at"], o["ends_at"]) for o in opened] == [
        (1, 0, 10 * DAY), (2, 10 * DAY, 20 * DAY)
    ]  # fmt: skip
    await arena.submit(ADA, 9)
    assert await arena.top() == [(1, ADA, 9)]
    assert await arena.top(number=1) == [(1, BEN, 6), (2, ADA, 5)]
    assert (await arena.get("/race", number=1))["closed"] is True
    await arena.sound()


async def test_seasons_follow_each_other_while_nobody_plays(arena: Arena) -> None:
    await arena.board(**SEASON)
    await arena.advance(35 * DAY)
    assert [e["number"] for e in await arena.events("season_ended")] == [1, 2, 3]
    assert (await arena.get("/race"))["number"] == 4
    await arena.sound()


async def test_a_removed_board_takes_its_timers_with_it(arena: Arena) -> None:
    await arena.board(**SEASON)
    await arena.submit(ADA, 5)
    await arena.do(RemoveBoard(key="race"))
    for table in ("boards", "board_windows", "board_entries", "board_ranges", "timers"):
        assert await arena.fetch(f"SELECT 1 FROM {table} WHERE world_id = $1") == []
    assert (await arena.get("/race", 404))["code"] == "board_not_found"
    await arena.board(**SEASON)  # the key is free again
    assert await arena.top() == []


# -- definitions ---------------------------------------------------------------------------------------------


async def test_what_a_board_counts_is_fixed_once_it_has_entries(arena: Arena) -> None:
    await arena.board()
    await arena.board(order="ascending", **SEASON)  # nobody is on it: it may become another
    await arena.submit(ADA, 5)
    await arena.refused("board_in_use", DefineBoard(key="race", name="Race", metric=SUBMITTED))
    longer: dict[str, Any] = {"window": "season", "season": {"length_ms": 20 * DAY}}
    await arena.board(order="ascending", name="The Long Race", **longer)
    found = await arena.get("/race")
    assert (found["name"], found["number"], found["ends_at"], found["total"]) == (
        "The Long Race",
        1,
        10 * DAY,
        1,
    )
    await arena.advance(10 * DAY)
    assert (await arena.get("/race"))["ends_at"] == 30 * DAY
    await arena.sound()


# -- cheaters ------------------------------------------------------------------------------------------------


async def test_a_cheater_goes_and_leaves_a_trace(arena: Arena) -> None:
    await arena.board(metric={"kind": "submitted", "mode": "add"})
    await arena.board("swim", order="ascending")
    for who, score in ((ADA, 9), (BEN, 5), (CYN, 1)):
        await arena.submit(who, score)
    await arena.submit(BEN, 2.5, "swim")
    done = await arena.do(RemoveEntries(subject_id=BEN, reason="Ran through walls.", ban=True))
    assert done["removed"] == 2
    assert await arena.top() == [(1, ADA, 9), (2, CYN, 1)]
    (told,) = await arena.events("entries_removed")
    assert (told["reason"], told["banned"]) == ("Ran through walls.", ["race", "swim"])
    assert sorted((e["key"], e["rank"], e["score"]) for e in told["entries"]) == [
        ("race", 2, 5),
        ("swim", 1, 2.5),
    ]
    (trace,) = (await arena.get("/race/removals"))["items"]
    assert (trace["subject_id"], trace["banned"], trace["entries"][0]["score"]) == (str(BEN), True, 5)
    await arena.refused("subject_banned", SubmitScore(key="race", subject_id=BEN, score=1))
    assert (await arena.do(LiftBan(key="race", subject_id=BEN)))["keys"] == ["race"]
    await arena.submit(BEN, 1)
    await arena.refused("subject_banned", SubmitScore(key="swim", subject_id=BEN, score=1))
    await arena.refused("not_banned", LiftBan(key="race", subject_id=BEN))
    await arena.refused("nothing_to_remove", RemoveEntries(key="race", subject_id=DOT, reason="So."))
    await arena.sound()


async def test_a_ban_from_all_boards_holds_for_those_to_come(arena: Arena) -> None:
    await arena.board()
    await arena.do(RemoveEntries(subject_id=BEN, reason="Ran through walls.", ban=True))
    await arena.board("swim")
    await arena.refused("subject_banned", SubmitScore(key="swim", subject_id=BEN, score=1))
    (trace,) = (await arena.get("/swim/removals"))["items"]
    assert (trace["subject_id"], trace["banned"], trace["entries"]) == (str(BEN), True, [])
    assert (await arena.do(LiftBan(key="swim", subject_id=BEN)))["keys"] == ["swim"]
    await arena.submit(BEN, 1, "swim")
    assert (await arena.do(LiftBan(subject_id=BEN)))["keys"] == ["race"]
    await arena.board("climb")
    await arena.submit(BEN, 1, "climb")
    await arena.refused("not_banned", LiftBan(subject_id=BEN))
    await arena.sound()


async def test_a_ban_is_known_to_a_board_that_is_defined_meanwhile(arena: Arena) -> None:
    ban = RemoveEntries(subject_id=BEN, reason="Ran through walls.", ban=True)
    await asyncio.gather(*(arena.board(f"b{n}") for n in range(8)), arena.do(ban))
    for n in range(8):
        await arena.refused("subject_banned", SubmitScore(key=f"b{n}", subject_id=BEN, score=1))


async def test_the_places_in_all_windows_are_kept_and_a_new_name_is_shown_in_them(arena: Arena) -> None:
    await arena.board(window="day")
    await arena.board("swim", order="ascending")
    for day in range(3):
        for who, score in ((ADA, 5), (BEN, 6 - day), (CYN, 9)):
            await arena.submit(who, score)
        await arena.submit(BEN, 6 - day, "swim")
        await arena.advance(DAY)
    first = (await arena.get("/race/windows"))["items"][-1]["number"]
    assert (await arena.get("/race", number=first))["entries"][1]["name"] == "Ben"
    await arena.do(UpdateCharacter(character_id=BEN, name="Benno"))
    assert (await arena.get("/race", number=first))["entries"][1]["name"] == "Benno"
    done = await arena.do(RemoveEntries(subject_id=BEN, reason="So.", past=True))
    assert sorted((e["key"], e["number"], e["rank"], e["score"]) for e in done["entries"]) == [
        ("race", first, 2, 6), ("race", first + 1, 3, 5), ("race", first + 2, 3, 4), ("swim", 0, 1, 4),
    ]  # fmt: skip
    await arena.sound()


async def test_entries_are_found_by_their_keys_however_young_the_statistics_are(arena: Arena) -> None:
    async with arena.server.runtime.database.reading() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")  # which is best as long as there are a few
        for sql, args in (
            (removals.STANDS_IN, ([], ADA, True, 0)), (removals.RENAME, ([ADA],)), (ranks.FIND, (ADA, 0, ADA)),
        ):  # fmt: skip
            rows = await connection.fetch(f"EXPLAIN {sql}", arena.world_id, *args)
            plan = "\n".join(row[0] for row in rows)
            assert "pk_board_entries" in plan, plan


async def test_final_standings_stay_unless_the_past_is_meant(arena: Arena) -> None:
    await arena.board(**SEASON)
    await arena.submit(ADA, 5)
    await arena.submit(BEN, 6)
    await arena.advance(10 * DAY)
    await arena.refused("nothing_to_remove", RemoveEntries(key="race", subject_id=BEN, reason="So."))
    await arena.do(RemoveEntries(key="race", subject_id=BEN, reason="So.", past=True))
    assert await arena.top(number=1) == [(1, ADA, 5)]
    await arena.sound()


# -- what events bring ---------------------------------------------------------------------------------------


async def test_a_board_counts_events_that_fit(arena: Arena) -> None:
    metric = {"kind": "sum", "on": "relationships.*", "field": "strength", "subject": "target_id"}
    await arena.board(
        "loved", metric={**metric, "where": [{"field": "trust", "op": "at_least", "value": 0.5}]}
    )
    await arena.board("latest", metric={**metric, "kind": "latest"})
    await arena.board("lovers", metric={"kind": "count", "on": "relationships.tie_set"})
    await arena.board("best", metric={**metric, "kind": "best"}, order="ascending")
    ties = [(ADA, BEN, 0.5, 0.9), (CYN, BEN, 0.25, 0.5), (DOT, BEN, 0.9, 0.1), (BEN, ADA, -0.5, 0.7)]
    for source, target, strength, trust in ties:
        await arena.do(SetTie(source_id=source, target_id=target, strength=strength, trust=trust))
    assert await arena.top("loved") == [(1, BEN, 0.75), (2, ADA, -0.5)]
    assert await arena.top("latest") == [(1, BEN, 0.9), (2, ADA, -0.5)]
    assert await arena.top("best") == [(1, ADA, -0.5), (2, BEN, 0.25)]
    assert await arena.top("lovers") == [(n, who, 1) for n, who in enumerate((ADA, CYN, DOT, BEN), 1)]
    assert await arena.fetch("SELECT 1 FROM dead_letters WHERE world_id = $1") == []
    await arena.sound()


async def test_a_board_counts_nothing_from_before_it_was_defined(arena: Arena) -> None:
    ties = [
        SetTie(source_id=ADA, target_id=BEN, strength=0.5),
        SetTie(source_id=ADA, target_id=CYN, strength=0.5),
    ]
    made = DefineBoard(key="ties", name="Ties", metric={"kind": "count", "on": "relationships.*"})
    await arena.do([ties[0], made, ties[1]])
    assert await arena.top("ties") == []
    await arena.do(ties[0])
    assert await arena.top("ties") == [(1, ADA, 1)]


async def failing_once(arena: Arena, monkeypatch: pytest.MonkeyPatch, *commands: Command) -> UUID:
    """The dead letter of what boards could not count."""

    async def fail(*_: Any) -> None:
        raise RuntimeError("Out of ink.")

    with monkeypatch.context() as patch:
        patch.setattr(service, "record", fail)
        await arena.do(list(commands))
    (row,) = await arena.fetch("SELECT id FROM dead_letters WHERE world_id = $1 AND state = 'open'")
    return UUID(str(row["id"]))


async def test_what_is_replayed_counts_on_boards_that_are_older(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    metric = {"kind": "count", "on": "relationships.*"}
    await arena.board("old", metric=metric)
    await arena.board("changed", metric={"kind": "count", "on": "memory.*"})
    tie = SetTie(source_id=ADA, target_id=BEN, strength=0.5)
    letter = await failing_once(arena, monkeypatch, tie)
    await arena.board("new", metric=metric)
    await arena.board("changed", metric=metric)
    await arena.board("old", metric=metric, description="Of ties.")
    await arena.do(ReplayDeadLetter(dead_letter_id=letter))
    tops = [await arena.top(key) for key in ("old", "changed", "new")]
    assert tops == [[(1, ADA, 1)], [], []]
    await arena.do(tie)
    assert [await arena.top(key) for key in ("old", "new")] == [[(1, ADA, 2)], [(1, ADA, 1)]]


async def test_what_is_replayed_counts_in_its_window_if_it_is_still_open(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    metric = {"kind": "count", "on": "relationships.*"}
    for key, window in (
        ("ever", {}),
        ("today", {"window": "day"}),
        ("month", {"window": "month"}),
        ("season", SEASON),
    ):
        await arena.board(key, metric=metric, **window)
    letter = await failing_once(arena, monkeypatch, SetTie(source_id=ADA, target_id=BEN, strength=0.5))
    await arena.advance(10 * DAY)
    await arena.do(ReplayDeadLetter(dead_letter_id=letter))
    tops = [await arena.top(key) for key in ("ever", "today", "month", "season")]
    assert tops == [[(1, ADA, 1)], [], [(1, ADA, 1)], []]
    await arena.sound()


async def test_ranks_among_those_one_has_ties_with(arena: Arena) -> None:
    await arena.board()
    for who, score in ((ADA, 1), (BEN, 4), (CYN, 3), (DOT, 2)):
        await arena.submit(who, score)
    for target in (BEN, DOT):
        await arena.do(
            SetTie(source_id=ADA, target_id=target, strength=0.5, labels=["kin"] if target == BEN else [])
        )
    among = (await arena.get(f"/race/ties/{ADA}"))["entries"]
    assert [(e["place"], e["rank"], UUID(e["subject_id"])) for e in among] == [
        (1, 1, BEN),
        (2, 3, DOT),
        (3, 4, ADA),
    ]
    kin = (await arena.get(f"/race/ties/{ADA}", label="kin"))["entries"]
    assert [UUID(e["subject_id"]) for e in kin] == [BEN, ADA]


# -- copies --------------------------------------------------------------------------------------------------


async def test_entries_come_back_as_they_were(arena: Arena) -> None:
    entries = [{"subject_id": who, "score": 5, "at": n} for n, who in enumerate((CYN, ADA, BEN))]
    window = {"key": "race", "starts_at": 0, "ends_at": 10 * DAY}
    await arena.do([
        DefineBoard(key="race", name="Race", metric=SUBMITTED, **SEASON),
        RestoreEntries(**window, number=1, closed=True, entries=entries[:2]),
        RestoreEntries(**window, number=1, closed=True, entries=entries[2:]),
        RestoreEntries(key="race", number=3, starts_at=0, ends_at=15 * DAY, entries=entries[:1]),
    ])  # fmt: skip
    assert [who for _, who, _ in await arena.top(number=1)] == [CYN, ADA, BEN]
    assert (await arena.get("/race"))["number"] == 3
    await arena.sound()
    await arena.advance(15 * DAY)
    assert [e["number"] for e in await arena.events("season_ended")] == [3]
    assert (await arena.get("/race"))["number"] == 4
    await arena.sound()


async def test_what_stands_is_final(arena: Arena) -> None:
    await arena.board(**SEASON)
    await arena.submit(ADA, 5)
    better = {"key": "race", "number": 1, "starts_at": 0, "ends_at": 20 * DAY}
    more = RestoreEntries(**better, entries=[{"subject_id": BEN, "score": 9, "at": 0}])
    await arena.refused("window_in_use", more)
    await arena.advance(10 * DAY)
    await arena.refused("window_in_use", more)
    assert await arena.top(number=1) == [(1, ADA, 5)]
    await arena.sound()


async def test_seasons_that_begin_anew_go_on_counting(arena: Arena) -> None:
    await arena.board(**SEASON)
    await arena.advance(20 * DAY)
    assert (await arena.get("/race"))["number"] == 3
    await arena.board(**SEASON, order="ascending")
    assert (await arena.get("/race"))["number"] == 4
    await arena.sound()


# -- points --------------------------------------------------------------------------------------------------

REWARDS = [
    {"from_rank": 1, "to_rank": 1, "amount": 500, "title": "Champion"},
    {"from_rank": 1, "to_rank": 3, "amount": 10},
    {"from_rank": 2, "to_rank": 2, "amount": 7, "currency": "unheard_of"},
]


async def award(arena: Arena, who: UUID, amount: int) -> None:
    await arena.do(Award(character_id=who, amount=amount, reason="Well done"))


async def balance(arena: Arena, who: UUID) -> int:
    rows = await arena.fetch(
        "SELECT balance FROM ledger_accounts WHERE world_id = $1 AND owner_id = $2 AND currency = 'points'",
        who,
    )
    return rows[0]["balance"] if rows else 0


async def test_what_is_taken_back_leaves_the_boards(arena: Arena) -> None:
    for key, window in (("ever", "all_time"), ("today", "day")):
        await arena.board(key, metric={"kind": "points_earned"}, window=window)
    old = await arena.do(Award(character_id=ADA, amount=30, reason="Early"))
    await arena.advance(DAY)
    await award(arena, ADA, 5)
    new = await arena.do(Award(character_id=ADA, amount=20, reason="Late"))
    await arena.do(ReverseAward(transfer_id=old.transfer_id, reason="A slip"))
    assert (await arena.top("ever"), await arena.top("today")) == ([(1, ADA, 25)], [(1, ADA, 25)])
    await arena.do(ReverseAward(transfer_id=new.transfer_id, reason="A slip"))
    assert (await arena.top("ever"), await arena.top("today")) == ([(1, ADA, 5)], [(1, ADA, 5)])
    await arena.sound()


async def test_points_earned_count_and_a_season_pays_its_best_once(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seasons, "PAID_AT_ONCE", 2)  # so that three ranks take two commits
    season = {"length_ms": 10 * DAY, "rewards": REWARDS}
    await arena.board("earned", metric={"kind": "points_earned"}, window="season", season=season)
    for who, amount in ((ADA, 30), (BEN, 20), (CYN, 5), (DOT, 1), (CYN, 20)):
        await award(arena, who, amount)
    assert await arena.top("earned") == [(1, ADA, 30), (2, CYN, 25), (3, BEN, 20), (4, DOT, 1)]
    await arena.advance(10 * DAY)
    assert [await balance(arena, who) for who in (ADA, BEN, CYN, DOT)] == [540, 30, 35, 1]
    told = [reward for event in await arena.events("season_rewarded") for reward in event["rewards"]]
    assert [(t["rank"], t["amount"], t["title"], t["refused"]) for t in told] == [
        (1, 500, "Champion", None), (1, 10, None, None), (2, 10, None, None), (2, 7, None, "currency_not_found"),
        (3, 10, None, None),
    ]  # fmt: skip
    titles = await arena.fetch("SELECT character_id, title FROM character_titles WHERE world_id = $1")
    assert [(t["character_id"], t["title"]) for t in titles] == [(ADA, "Champion")]
    assert await arena.top("earned") == []  # what the board paid is not earned in its next season
    # Were the timer to fire again, the ledger would know the references.
    timer = Timer(UUID(int=1), seasons.PAYS, 0, {
        "board_id": str((await arena.fetch("SELECT id FROM boards WHERE world_id = $1"))[0]["id"]), "number": 1,
        "key": "earned", "name": "Earned", "rewards": REWARDS, "rank": 1, "standing": None, "tie": None,
    })  # fmt: skip
    await inside(arena, lambda tx: seasons.pay(tx, [timer]))
    assert [await balance(arena, who) for who in (ADA, BEN, CYN, DOT)] == [540, 30, 35, 1]
    await arena.sound()


async def test_who_was_deleted_gets_no_reward(arena: Arena) -> None:
    season = {"length_ms": 10 * DAY, "rewards": REWARDS}
    await arena.board(window="season", season=season)
    await arena.submit(ADA, 3)
    await arena.submit(BEN, 2)
    board_id = (await arena.fetch("SELECT id FROM boards WHERE world_id = $1"))[0]["id"]
    timers = [Timer(UUID(int=1), seasons.ENDS, 0, {"board_id": str(board_id), "number": 1})]

    async def end(tx: Transaction) -> None:
        await seasons.end(tx, (await service.DEFINITIONS.of(tx)).by_id, timers)

    await inside(arena, end)  # it is frozen, and its payment waits while the clock stands still
    await arena.do(DeleteCharacter(character_id=ADA))
    assert [who for _, who, _ in await arena.top(number=1)] == [ADA, BEN]
    await arena.advance(1)
    (told,) = await arena.events("season_rewarded")
    assert [(r["rank"], r["refused"]) for r in told["rewards"]] == [
        (1, "character_not_found"), (1, "character_not_found"), (2, None), (2, "currency_not_found")
    ]  # fmt: skip
    assert await balance(arena, BEN) == 10
    assert await arena.fetch("SELECT 1 FROM character_titles WHERE world_id = $1") == []


async def inside(arena: Arena, work: Any) -> Any:
    """Do something inside a transaction of the server's own."""
    request = Request(FireTimers(kind="test", due_at=0), system_actor("test"), random_uuid(), random_uuid())
    return (await arena.server.runtime.engine.transact(Scope(arena.world_id), request, work))[0]
