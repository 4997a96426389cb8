"""HTTP routes for characters."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fablewright.core.permissions import WORLD_NOT_FOUND
from fablewright.gateway.api import (
    CURSOR_INVALID,
    PAGE_TOO_LARGE,
    Caller,
    CallerInfo,
    Committed,
    Page,
    PageRequest,
    Paging,
    page_of,
    refusals,
    runtime_of,
)  # fmt: skip
from fablewright.gateway.commands import path_uuid
from fablewright.systems.characters import views
from fablewright.systems.characters.commands import (
    Attributes,
    CreateCharacter,
    DeleteCharacter,
    Description,
    EmotionValue,
    Goals,
    Name,
    PersonalityChange,
    PortraitUrl,
    SetStatus,
    Share,
    Skills,
    SpeechChange,
    Tags,
    UpdateCharacter,
)  # fmt: skip
from fablewright.systems.characters.rules import CHARACTER_NOT_FOUND, Kind, Status
from fablewright.systems.characters.views import CharacterView

router = APIRouter(tags=["characters"])


class CharacterPatch(BaseModel):
    """The fields to change; those left out stay.

    `user_id: null` releases the character from its user, `portrait_url: null` removes the portrait.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"status": "asleep"}, {"name": "Orla of the Ferry", "user_id": None}]
        },
    )

    name: Name | None = None
    kind: Kind | None = None
    user_id: UUID | None = None
    description: Description | None = None
    personality: PersonalityChange | None = None
    energy: Share | None = None
    status: Status | None = None
    emotion: EmotionValue | None = None
    attributes: Attributes | None = None
    skills: Skills | None = None
    tags: Tags | None = None
    goals: Goals | None = None
    speech: SpeechChange | None = None
    portrait_url: PortraitUrl | None = None

    def command(self, character_id: UUID) -> UpdateCharacter:
        """The command that asks for these changes."""
        nulls = {name for name in self.model_fields_set if getattr(self, name) is None}
        return UpdateCharacter(
            character_id=character_id, release_control="user_id" in nulls,
            remove_portrait="portrait_url" in nulls, **self.model_dump(),
        )  # fmt: skip


@router.post("/worlds/{world_id}/characters", status_code=201, responses=refusals(CreateCharacter))
async def create_character(world_id: UUID, body: CreateCharacter, caller: Caller) -> Committed[CharacterView]:
    """Bring a character into the world. Players make `player` characters that they control themselves."""
    return await caller.execute(body, world_id, status=201)  # type: ignore[no-any-return]


@router.get("/worlds/{world_id}/characters", responses=refusals(CURSOR_INVALID, PAGE_TOO_LARGE))
async def list_characters(
    world_id: UUID,
    caller: Caller,
    paging: Paging,
    *,
    q: Annotated[str | None, Query(max_length=200, description="Text that the name contains.")] = None,
    prefix: Annotated[
        str | None, Query(max_length=200, description="Text that the name begins with.")
    ] = None,
    kind: Annotated[Literal["player", "npc"] | None, Query(description="Only this kind.")] = None,
) -> Page[CharacterView]:
    """The living characters, by name. The search does not tell capital from small letters."""
    after = _position(paging)
    async with caller.reading(world_id) as connection:
        rows = await views.list_page(
            connection,
            world_id,
            q=_clean(q),
            prefix=_clean(prefix),
            kind=kind,
            after=after,
            limit=paging.limit + 1,
        )
    return page_of(rows, paging, lambda c: [c.name, str(c.id)])


@router.patch("/worlds/{world_id}/characters/{character_id}", responses=refusals(UpdateCharacter))
async def update_character(
    world_id: UUID, character_id: UUID, body: CharacterPatch, caller: Caller
) -> Committed[CharacterView]:
    """Change a character. Who controls it may change description, status, portrait and speech."""
    return await caller.execute(body.command(character_id), world_id)  # type: ignore[no-any-return]


@router.delete("/worlds/{world_id}/characters/{character_id}", responses=refusals(DeleteCharacter))
async def delete_character(world_id: UUID, character_id: UUID, caller: Caller) -> Committed[None]:
    """Take a character out of the world for good."""
    return await caller.execute(DeleteCharacter(character_id=character_id), world_id)  # type: ignore[no-any-return]


class StatusBody(BaseModel):
    """How a character shall be."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"status": "asleep"}]})

    status: Status


class StatusAnswer(BaseModel):
    """How a character is now, and how it was before."""

    character_id: UUID
    status: Status
    previous: Status


@router.put("/worlds/{world_id}/characters/{character_id}/status", responses=refusals(SetStatus))
async def set_status(
    world_id: UUID, character_id: UUID, body: StatusBody, caller: Caller
) -> Committed[StatusAnswer]:
    """Let a character wake up, fall asleep or go away."""
    command = SetStatus(character_id=character_id, status=body.status)
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


async def get_character(request: Request) -> Response:
    """One character as it is now: membership, clock and row with one statement."""
    runtime = runtime_of(request)
    caller = CallerInfo(request, runtime, request.scope["state"]["actor"])
    caller.signed_in()
    world_id = path_uuid(request.path_params["world_id"], WORLD_NOT_FOUND)
    character_id = path_uuid(request.path_params["character_id"], CHARACTER_NOT_FOUND)
    async with runtime.database.reading() as connection:
        row = await connection.fetchrow(views.ONE, world_id, caller.actor.user_id, character_id)
    caller.require(row and row["role"], world_id)
    if row["id"] is None:
        raise CHARACTER_NOT_FOUND(character_id=str(character_id))
    return Response(views.encode_one(row), media_type="application/json")


get_character_route = Route("/worlds/{world_id}/characters/{character_id}", get_character, methods=["GET"])
"""The busiest read, past FastAPI's machinery; `OPENAPI` documents it."""


def _clean(text: str | None) -> str | None:
    """A search text without the one character that PostgreSQL cannot hold, and that no name contains."""
    return text.replace("\x00", "") if text else text


def _position(paging: PageRequest) -> tuple[str, UUID] | None:
    """The (name, id) after which the page begins. Refuses `cursor_invalid`."""
    if paging.after is None:
        return None
    try:
        name, identifier = paging.after
        return _text(name), UUID(identifier)
    except (ValueError, TypeError, AttributeError) as error:
        raise CURSOR_INVALID() from error


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\x00" in value:
        raise TypeError("not a name")
    return value


def _parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}


OPENAPI = {
    "/worlds/{world_id}/characters/{character_id}": {
        "get": {
            "tags": ["characters"],
            "summary": "Get Character",
            "description": "One character as it is now.",
            "operationId": "get_character",
            "parameters": [_parameter("world_id"), _parameter("character_id")],
            "responses": {
                "200": {
                    "description": "Successful Response",
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/CharacterView"}}
                    },
                },
                **{str(status): response for status, response in refusals(CHARACTER_NOT_FOUND).items()},
            },
        }
    }
}
"""What the plain route looks like in the OpenAPI document; `app` merges it."""
