"""HTTP routes for ties."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import ConfigDict

from fablewright.gateway.api import (
    CURSOR_INVALID,
    PAGE_TOO_LARGE,
    Caller,
    Committed,
    Page,
    PageRequest,
    Paging,
    page_of,
    refusals,
)  # fmt: skip
from fablewright.systems.relationships import views
from fablewright.systems.relationships.commands import Feelings, SetTie
from fablewright.systems.relationships.rules import TIE_CHARACTER_NOT_FOUND
from fablewright.systems.relationships.views import MOST_DEPTH, GraphView, TieView

router = APIRouter(tags=["relationships"])


class TieBody(Feelings):
    """How one character shall feel about another; what is left out or null stays as it is."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"strength": -0.4, "trust": 0.2, "labels": ["kin"]}]}
    )


@router.put("/worlds/{world_id}/relationships/{source_id}/{target_id}", responses=refusals(SetTie))
async def set_tie(
    world_id: UUID, source_id: UUID, target_id: UUID, body: TieBody, caller: Caller
) -> Committed[TieView]:
    """Say how `source_id` feels about `target_id`. For game masters."""
    command = SetTie.model_construct(source_id=source_id, target_id=target_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.get("/worlds/{world_id}/relationships", responses=refusals(CURSOR_INVALID, PAGE_TOO_LARGE))
async def list_ties(
    world_id: UUID,
    caller: Caller,
    paging: Paging,
    *,
    source: Annotated[UUID | None, Query(description="Who feels.")] = None,
    target: Annotated[UUID | None, Query(description="About whom.")] = None,
    min_strength: Annotated[
        float | None, Query(ge=-1, le=1, description="Only ties at least this strong.")
    ] = None,
) -> Page[TieView]:
    """Ties, by source and target."""
    after = _position(paging)
    async with caller.reading(world_id) as connection:
        rows = await views.list_page(
            connection, world_id, source=source, target=target, min_strength=min_strength, after=after,
            limit=paging.limit + 1,
        )  # fmt: skip
    return _page(rows, paging)


@router.get(
    "/worlds/{world_id}/characters/{character_id}/relationships",
    responses=refusals(CURSOR_INVALID, PAGE_TOO_LARGE),
)
async def list_ties_of_character(
    world_id: UUID, character_id: UUID, caller: Caller, paging: Paging
) -> Page[TieView]:
    """What a character feels about others, and others about it."""
    after = _position(paging)
    async with caller.reading(world_id) as connection:
        rows = await views.list_page(
            connection, world_id, either=character_id, after=after, limit=paging.limit + 1
        )
    return _page(rows, paging)


@router.get("/worlds/{world_id}/characters/{character_id}/graph", responses=refusals(TIE_CHARACTER_NOT_FOUND))
async def get_graph(
    world_id: UUID,
    character_id: UUID,
    caller: Caller,
    depth: Annotated[int, Query(ge=1, le=MOST_DEPTH, description="How many ties away.")] = 1,
) -> GraphView:
    """The characters around one, and the ties among them."""
    async with caller.reading(world_id) as connection:
        found = await views.graph(connection, world_id, character_id, depth)
    if found is None:
        raise TIE_CHARACTER_NOT_FOUND(character_id=str(character_id))
    return found


def _page(rows: list[TieView], paging: PageRequest) -> Page[TieView]:
    return page_of(rows, paging, lambda t: [str(t.source_id), str(t.target_id)])


def _position(paging: PageRequest) -> tuple[UUID, UUID] | None:
    """The (source, target) after which the page begins. Refuses `cursor_invalid`."""
    if paging.after is None:
        return None
    try:
        source, target = paging.after
        return UUID(source), UUID(target)
    except (ValueError, TypeError, AttributeError) as error:
        raise CURSOR_INVALID() from error
