"""HTTP routes for leaderboards. The best of a board and submissions are plain routes, since they are asked most."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi import Path as PathParameter
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fablewright.core.actors import Role
from fablewright.core.permissions import WORLD_NOT_FOUND
from fablewright.gateway.api import (
    CURSOR_INVALID,
    PAGE_TOO_LARGE,
    Caller,
    CallerInfo,
    Committed,
    Page,
    Paging,
    page_of,
    position_of,
    refusals,
    runtime_of,
)  # fmt: skip
from fablewright.gateway.commands import MALFORMED, path_uuid, validation_refused
from fablewright.gateway.front import NO_GZIP
from fablewright.gateway.runtime import Runtime
from fablewright.systems.leaderboards import views
from fablewright.systems.leaderboards.commands import (
    BoardSpec,
    DefineBoard,
    LiftBan,
    RemoveBoard,
    RemoveEntries,
    Score,
    SubmitScore,
    Text,
)
from fablewright.systems.leaderboards.reads import GZIP_FROM, Question, Tops
from fablewright.systems.leaderboards.rules import BOARD_NOT_FOUND, NO_ENTRY, WINDOW_NOT_FOUND
from fablewright.systems.leaderboards.views import (
    BoardAnswer,
    BoardView,
    FriendsAnswer,
    Here,
    RankAnswer,
    RemovalView,
    WindowView,
)

router = APIRouter(tags=["leaderboards"])

BoardKeyInPath = Annotated[str, PathParameter(description="Key of the leaderboard.", max_length=200)]
Number = Annotated[
    int | None,
    Query(ge=-(2**53), le=2**53, description="Which window; left out, the one that is open now."),
]
READ = (BOARD_NOT_FOUND, WINDOW_NOT_FOUND)
DEFAULT_LIMIT = 100


class ScoreBody(BaseModel):
    """A score of a character."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"subject_id": "01890a5d-ac96-774b-bcce-b302099a8057", "score": 73.4}]
        },
    )

    subject_id: UUID
    score: Score


class ScoreAnswer(BaseModel):
    """What became of a score."""

    key: str
    subject_id: UUID
    score: int | float
    improved: bool
    number: int


class BoardDefinedAnswer(BoardSpec):
    """A leaderboard as it is defined."""

    model_config = ConfigDict(json_schema_extra={"examples": []})

    key: str


class RemovalBody(BaseModel):
    """Why a character's entries go, and how far that reaches."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "subject_id": "01890a5d-ac96-774b-bcce-b302099a8057",
                    "reason": "Ran through walls.",
                    "ban": True,
                }
            ]
        },
    )

    subject_id: UUID
    reason: Text
    ban: bool = False
    past: bool = False

    def command(self, key: str | None) -> RemoveEntries:
        """The command that asks for it."""
        return RemoveEntries(key=key, **self.model_dump())


class EntryGone(BaseModel):
    """An entry that was removed."""

    key: str
    number: int
    rank: int
    score: float
    at: int


class RemovedAnswer(BaseModel):
    """How many entries were removed, and the first of them."""

    removed: int
    entries: list[EntryGone]


class LiftedAnswer(BaseModel):
    """The boards on which the character's scores are taken again."""

    keys: list[str]


@asynccontextmanager
async def moment(
    caller: CallerInfo, world_id: UUID, key: str, number: int | None, least: Role = Role.OBSERVER
) -> AsyncIterator[tuple[Any, Here, int]]:
    """A connection on one snapshot, the board as it is there, and the world's time.

    Refuses as `CallerInfo.reading` does, and `board_not_found`, `window_not_found`.
    """
    user_id = caller.signed_in()
    async with caller.runtime.database.reading(snapshot=True) as connection:
        row = await connection.fetchrow(views.HERE, world_id, _clean(key), number, [user_id])
        caller.require((row["roles"][0] or None) if row else None, world_id, least)
        yield connection, views.here_of(row, key, number), views.now_of(row)


def _clean(key: str) -> str:
    """A key without the one character that PostgreSQL cannot hold, and that no key contains."""
    return key.replace("\x00", "")


# -- boards --------------------------------------------------------------------------------------------------


@router.get("/worlds/{world_id}/leaderboards", responses=refusals(CURSOR_INVALID, PAGE_TOO_LARGE))
async def list_leaderboards(world_id: UUID, caller: Caller, paging: Paging) -> Page[BoardView]:
    """The leaderboards of the world by their keys, each with the window that is open now."""
    after = position_of(paging, _text)
    async with caller.reading(world_id) as connection:
        rows = await views.list_boards(connection, world_id, after[0] if after else None, paging.limit + 1)
    return page_of(rows, paging, lambda b: [b.key])


@router.put("/worlds/{world_id}/leaderboards/{board_key}", responses=refusals(DefineBoard))
async def define_leaderboard(
    world_id: UUID, board_key: BoardKeyInPath, body: BoardSpec, caller: Caller
) -> Committed[BoardDefinedAnswer]:
    """Make a leaderboard, or change it. For game masters."""
    command = _valid(DefineBoard, {"key": board_key, **body.model_dump()})
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.delete("/worlds/{world_id}/leaderboards/{board_key}", responses=refusals(RemoveBoard))
async def remove_leaderboard(world_id: UUID, board_key: BoardKeyInPath, caller: Caller) -> Committed[None]:
    """Remove a leaderboard with all its entries. For game masters."""
    return await caller.execute(_valid(RemoveBoard, {"key": board_key}), world_id)  # type: ignore[no-any-return]


@router.get(
    "/worlds/{world_id}/leaderboards/{board_key}/windows",
    responses=refusals(CURSOR_INVALID, PAGE_TOO_LARGE, *READ),
)
async def list_leaderboard_windows(
    world_id: UUID, board_key: BoardKeyInPath, caller: Caller, paging: Paging
) -> Page[WindowView]:
    """The windows in which somebody was counted, the newest first."""
    after = position_of(paging, int)
    async with moment(caller, world_id, board_key, None) as (connection, here, now):
        rows = await views.list_windows(
            connection, world_id, here, now, after[0] if after else None, paging.limit + 1
        )
    return page_of(rows, paging, lambda w: [w.number])


# -- ranks ---------------------------------------------------------------------------------------------------


@router.get(
    "/worlds/{world_id}/leaderboards/{board_key}/rank/{subject_id}", responses=refusals(*READ, NO_ENTRY),
    response_model=RankAnswer,
)  # fmt: skip
async def get_rank(
    world_id: UUID, board_key: BoardKeyInPath, subject_id: UUID, caller: Caller, number: Number = None
) -> dict[str, Any]:
    """Where a character stands."""
    async with moment(caller, world_id, board_key, number) as (connection, here, _):
        return await views.rank(connection, world_id, here, subject_id)


@router.get(
    "/worlds/{world_id}/leaderboards/{board_key}/around/{subject_id}", responses=refusals(*READ, NO_ENTRY),
    response_model=BoardAnswer,
)  # fmt: skip
async def get_ranks_around(
    world_id: UUID,
    board_key: BoardKeyInPath,
    subject_id: UUID,
    caller: Caller,
    number: Number = None,
    span: Annotated[int, Query(ge=0, le=100, description="How many above, and how many below.")] = 5,
) -> dict[str, Any]:
    """A character with those who stand next to it."""
    async with moment(caller, world_id, board_key, number) as (connection, here, _):
        return await views.around(connection, world_id, here, subject_id, span)


@router.get(
    "/worlds/{world_id}/leaderboards/{board_key}/ties/{character_id}", responses=refusals(*READ, PAGE_TOO_LARGE),
    response_model=FriendsAnswer,
)  # fmt: skip
async def get_ranks_among_ties(
    world_id: UUID,
    board_key: BoardKeyInPath,
    character_id: UUID,
    caller: Caller,
    number: Number = None,
    label: Annotated[
        str | None, Query(max_length=50, description="Only ties with this label, such as `friend`.")
    ] = None,
    limit: Annotated[int, Query(ge=1, description="Most entries to return.")] = 50,
) -> dict[str, Any]:
    """A character among those it has ties with: how they stand to each other, and overall."""
    _check_limit(caller.runtime, limit)
    async with moment(caller, world_id, board_key, number) as (connection, here, _):
        return await views.friends(connection, world_id, here, character_id, label and _clean(label), limit)


# -- cheaters ------------------------------------------------------------------------------------------------


@router.post("/worlds/{world_id}/leaderboards/removals", responses=refusals(RemoveEntries))
async def remove_entries_everywhere(
    world_id: UUID, body: RemovalBody, caller: Caller
) -> Committed[RemovedAnswer]:
    """Take a cheater off all boards of the world. For game masters."""
    command = _valid(RemoveEntries, body.model_dump())
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.post("/worlds/{world_id}/leaderboards/{board_key}/removals", responses=refusals(RemoveEntries))
async def remove_entries(
    world_id: UUID, board_key: BoardKeyInPath, body: RemovalBody, caller: Caller
) -> Committed[RemovedAnswer]:
    """Take a cheater off a board. What it had is kept as a trace. For game masters."""
    command = _valid(RemoveEntries, {"key": board_key, **body.model_dump()})
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.get(
    "/worlds/{world_id}/leaderboards/{board_key}/removals",
    responses=refusals(CURSOR_INVALID, PAGE_TOO_LARGE, *READ),
)
async def list_removals(
    world_id: UUID, board_key: BoardKeyInPath, caller: Caller, paging: Paging
) -> Page[RemovalView]:
    """Who was taken off a board, and why; the newest first. For game masters."""
    after = position_of(paging, int, UUID)
    async with moment(caller, world_id, board_key, None, Role.GAME_MASTER) as (connection, here, _):
        rows = await views.list_removals(
            connection, world_id, here, (after[0], after[1]) if after else None, paging.limit + 1
        )
    return page_of(rows, paging, lambda r: [r.at, str(r.id)])


@router.delete("/worlds/{world_id}/leaderboards/{board_key}/bans/{subject_id}", responses=refusals(LiftBan))
async def lift_ban(
    world_id: UUID, board_key: BoardKeyInPath, subject_id: UUID, caller: Caller
) -> Committed[LiftedAnswer]:
    """Take a character's scores again. For game masters."""
    command = _valid(LiftBan, {"key": board_key, "subject_id": subject_id})
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.delete("/worlds/{world_id}/leaderboards/bans/{subject_id}", responses=refusals(LiftBan))
async def lift_ban_everywhere(world_id: UUID, subject_id: UUID, caller: Caller) -> Committed[LiftedAnswer]:
    """Take a character's scores again on all boards, those that are defined later, too. For game masters."""
    command = _valid(LiftBan, {"subject_id": subject_id})
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


# -- plain routes --------------------------------------------------------------------------------------------


async def get_leaderboard(request: Request) -> Response:
    """The best of a board: see `reads`."""
    runtime = runtime_of(request)
    caller = CallerInfo(request, runtime, request.scope["state"]["actor"])
    user_id = caller.signed_in()
    world_id = path_uuid(request.path_params["world_id"], WORLD_NOT_FOUND)
    limit, number = DEFAULT_LIMIT, None
    if request.scope["query_string"]:
        limit, number = _asked(request)
        _check_limit(runtime, limit)
    key = _clean(request.path_params["board_key"])
    found = await tops(runtime).ask(world_id, Question(user_id, key, number, limit))
    caller.require(found.role, world_id)
    if found.kept is None:
        assert found.refused is not None
        raise found.refused
    accepted = request.headers.get("accept-encoding", "").encode("latin-1")
    if b"gzip" in accepted and len(found.kept.body) >= GZIP_FROM and not NO_GZIP.search(accepted):
        headers = {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        return Response(found.kept.packed_at(found.seq), headers=headers, media_type="application/json")
    return Response(found.kept.at(found.seq), media_type="application/json")


async def submit_score(request: Request) -> Response:
    """Take in a score, past FastAPI's machinery."""
    runtime = runtime_of(request)
    caller = CallerInfo(request, runtime, request.scope["state"]["actor"])
    caller.signed_in()
    world_id = path_uuid(request.path_params["world_id"], WORLD_NOT_FOUND)
    try:
        body = ScoreBody.model_validate_json(await request.body())
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False, include_input=False)
        if any(e["type"] == "json_invalid" for e in errors):
            raise MALFORMED("The body is not JSON.") from error
        raise validation_refused([{**e, "loc": ("body", *e["loc"])} for e in errors]) from error
    key = request.path_params["board_key"]
    try:
        command = SubmitScore(key=key, subject_id=body.subject_id, score=body.score)
    except ValidationError as error:  # only the key can be wrong: no board has such a one
        raise BOARD_NOT_FOUND(key=key[:100]) from error
    response: Response = await caller.execute(command, world_id)
    return response


PATH = "/worlds/{world_id}/leaderboards/{board_key}"
get_leaderboard_route = Route(PATH, get_leaderboard, methods=["GET"])
submit_score_route = Route(PATH + "/scores", submit_score, methods=["POST"])


def tops(runtime: Runtime) -> Tops:
    """The answers of this process."""
    found: Tops | None = runtime.parts.get("leaderboards")
    if found is None:
        found = runtime.parts["leaderboards"] = Tops(runtime.database, runtime.settings.max_queue)
    return found


class _TopQuery(BaseModel):
    limit: Annotated[int, Query(ge=1)] = DEFAULT_LIMIT
    number: Number = None


def _asked(request: Request) -> tuple[int, int | None]:
    """Limit and number of the query. Refuses `validation_failed`."""
    given = {name: request.query_params[name] for name in ("limit", "number") if name in request.query_params}
    try:
        asked = _TopQuery.model_validate(given)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False, include_input=False)
        raise validation_refused([{**e, "loc": ("query", *e["loc"])} for e in errors]) from error
    return asked.limit, asked.number


def _check_limit(runtime: Runtime, limit: int) -> None:
    most = runtime.settings.max_page
    if limit > most:
        raise PAGE_TOO_LARGE(f"A page holds at most {most} items.", max_page=most)


def _valid(command: type[Any], values: dict[str, Any]) -> Any:
    """A command of what path and body say. Refuses `validation_failed`."""
    try:
        return command.model_validate(values)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False, include_input=False)
        raise validation_refused(errors) from error


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\x00" in value:
        raise TypeError("not a key")
    return value


# -- how the OpenAPI document describes the plain routes -------------------------------------------------------


def _in_path(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": schema, "description": description}


_PARAMETERS = [
    _in_path("world_id", {"type": "string", "format": "uuid"}, "Id of the world."),
    _in_path("board_key", {"type": "string"}, "Key of the leaderboard."),
]


_COMMITTED = {
    "type": "object", "title": "Committed[ScoreAnswer]", "required": ["result", "seq"],
    "properties": {
        "result": ScoreAnswer.model_json_schema(),
        "seq": {"type": ["integer", "null"], "description": "The log position at which the change is visible."},
    },
}  # fmt: skip


def _responses(schema: dict[str, Any], *sources: Any) -> dict[str, Any]:
    return {
        "200": {"description": "Successful Response", "content": {"application/json": {"schema": schema}}},
        **{str(status): response for status, response in refusals(*sources).items()},
    }


OPENAPI = {
    PATH: {
        "get": {
            "tags": ["leaderboards"],
            "summary": "Get Leaderboard",
            "description": "The best of a board, now or in a window of the past.",
            "operationId": "get_leaderboard",
            "parameters": [
                *_PARAMETERS,
                {
                    "name": "limit", "in": "query", "required": False,
                    "schema": {"type": "integer", "minimum": 1, "default": DEFAULT_LIMIT},
                    "description": "Most entries to return.",
                },
                {
                    "name": "number", "in": "query", "required": False,
                    "schema": {"type": "integer", "minimum": -(2**53), "maximum": 2**53},
                    "description": "Which window; left out, the one that is open now.",
                },
            ],
            "responses": _responses({"$ref": "#/components/schemas/BoardAnswer"}, *READ, PAGE_TOO_LARGE),
        }
    },
    PATH + "/scores": {
        "post": {
            "tags": ["leaderboards"],
            "summary": "Submit Score",
            "description": "A game server says how a character did. For game masters.",
            "operationId": "submit_score",
            "parameters": _PARAMETERS,
            "requestBody": {
                "required": True, "content": {"application/json": {"schema": ScoreBody.model_json_schema()}},
            },
            "responses": _responses(_COMMITTED, SubmitScore),
        }
    },
}  # fmt: skip
"""What the plain routes look like in the OpenAPI document; `app` merges it."""
