"""HTTP routes for ties and their graph."""

import asyncio
import gzip
from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from fablewright.core.actors import Role
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
)  # fmt: skip
from fablewright.gateway.front import NO_GZIP
from fablewright.systems.relationships import graph, graphml, views
from fablewright.systems.relationships.commands import Feelings, SetTie, SetTies, in_commands
from fablewright.systems.relationships.rules import (
    GRAPH_TOO_LARGE,
    GRAPHML_INVALID,
    NO_PATH_OF_TRUST,
    SAME_CHARACTER,
    TIE_CHARACTER_NOT_FOUND,
    TIE_NOT_FOUND,
)
from fablewright.systems.relationships.views import (
    CentralityView,
    CommunitiesView,
    CompatibilityView,
    GraphView,
    Measure,
    PathView,
    TieDetail,
    TieFilter,
    TieView,
)

router = APIRouter(tags=["relationships"])

GZIP_HERE_FROM = 65_536
"""Bytes of an answer from which on compressing it would hold up others."""

Strength = Annotated[float | None, Query(ge=-1, le=1, allow_inf_nan=False)]
Trust = Annotated[float | None, Query(ge=0, le=1, allow_inf_nan=False)]


def _wanted(
    min_strength: Annotated[Strength, Query(description="Only ties at least this strong now.")] = None,
    max_strength: Annotated[Strength, Query(description="Only ties at most this strong now.")] = None,
    min_trust: Annotated[Trust, Query(description="Only ties with at least this trust now.")] = None,
    max_trust: Annotated[Trust, Query(description="Only ties with at most this trust now.")] = None,
    label: Annotated[
        str | None,
        Query(max_length=30, pattern="^[a-z][a-z0-9_]*$", description="Only ties with this label."),
    ] = None,
) -> TieFilter:
    return TieFilter(min_strength, max_strength, min_trust, max_trust, label)


Wanted = Annotated[TieFilter, Depends(_wanted)]


class TieBody(Feelings):
    """How one character shall feel about another; what is left out or null stays as it is."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"strength": -0.4, "trust": 0.2, "labels": ["kin"]}]}
    )


class GraphMLBody(BaseModel):
    """A graph of ties among characters that are there."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"graphml": graphml.EXAMPLE}]})

    graphml: str = Field(description="The text of a GraphML file, without a document type.")


class TieCount(BaseModel):
    """How many ties one event told of."""

    ties: int


class TiesImported(BaseModel):
    """What an import set, in as many events as it took; null as `seq` if there was nothing."""

    results: list[TieCount]
    seq: int | None


# -- ties ----------------------------------------------------------------------------------------------------


@router.put("/worlds/{world_id}/relationships/{source_id}/{target_id}", responses=refusals(SetTie))
async def set_tie(
    world_id: UUID, source_id: UUID, target_id: UUID, body: TieBody, caller: Caller
) -> Committed[TieView]:
    """Say how `source_id` feels about `target_id`. For game masters."""
    command = SetTie.model_construct(source_id=source_id, target_id=target_id, **dict(body))
    return await caller.execute(command, world_id)  # type: ignore[no-any-return]


@router.get(
    "/worlds/{world_id}/relationships/{source_id}/{target_id}",
    responses=refusals(TIE_NOT_FOUND, TIE_CHARACTER_NOT_FOUND, SAME_CHARACTER),
)
async def get_tie(world_id: UUID, source_id: UUID, target_id: UUID, caller: Caller) -> TieDetail:
    """How `source_id` feels about `target_id` now, and why."""
    async with caller.reading(world_id) as connection:
        return await views.detail(connection, world_id, (source_id, target_id))


@router.get(
    "/worlds/{world_id}/relationships/{source_id}/{target_id}/compatibility",
    responses=refusals(TIE_CHARACTER_NOT_FOUND, SAME_CHARACTER),
)
async def get_compatibility(
    world_id: UUID, source_id: UUID, target_id: UUID, caller: Caller
) -> CompatibilityView:
    """How well the personalities of two characters suit each other, met or not; the same in both directions."""
    async with caller.reading(world_id) as connection:
        return await views.compatibility(connection, world_id, (source_id, target_id))


@router.get(
    "/worlds/{world_id}/relationships/{source_id}/{target_id}/path",
    responses=refusals(SAME_CHARACTER, NO_PATH_OF_TRUST, GRAPH_TOO_LARGE),
    response_model=PathView,
)
async def get_path(
    world_id: UUID, source_id: UUID, target_id: UUID, caller: Caller, wanted: Wanted
) -> Response:
    """The chain of characters from one to another along which most trust is left."""
    async with caller.reading(world_id) as connection:
        found = await graph.load(connection, world_id, wanted, ("strength", "trust"))
    return await _computed(caller, lambda: graph.path_of_trust(found, source_id, target_id))


@router.get("/worlds/{world_id}/relationships", responses=refusals(CURSOR_INVALID, PAGE_TOO_LARGE))
async def list_ties(
    world_id: UUID,
    caller: Caller,
    paging: Paging,
    wanted: Wanted,
    *,
    source: Annotated[UUID | None, Query(description="Who feels.")] = None,
    target: Annotated[UUID | None, Query(description="About whom.")] = None,
) -> Page[TieView]:
    """Ties, by source and target."""
    after = _position(paging)
    async with caller.reading(world_id) as connection:
        rows = await views.list_page(
            connection, world_id, source=source, target=target, wanted=wanted, after=after,
            limit=paging.limit + 1,
        )  # fmt: skip
    return _page(rows, paging)


@router.get(
    "/worlds/{world_id}/characters/{character_id}/relationships",
    responses=refusals(CURSOR_INVALID, PAGE_TOO_LARGE),
)
async def list_ties_of_character(
    world_id: UUID, character_id: UUID, caller: Caller, paging: Paging, wanted: Wanted
) -> Page[TieView]:
    """What a character feels about others, and others about it."""
    after = _position(paging)
    async with caller.reading(world_id) as connection:
        rows = await views.list_page(
            connection, world_id, either=character_id, wanted=wanted, after=after, limit=paging.limit + 1
        )
    return _page(rows, paging)


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


# -- the graph -----------------------------------------------------------------------------------------------


async def _computed(caller: CallerInfo, compute: Callable[[], dict[str, Any]]) -> Response:
    """The answer of a computation that is too long for the event loop; it fits its `response_model`.

    Large ones are compressed here too, since the front door would do it in the event loop.
    """
    accepted = caller.request.headers.get("accept-encoding", "").encode("latin-1")
    compresses = b"gzip" in accepted and not NO_GZIP.search(accepted)

    def work() -> Response:
        body = orjson.dumps(compute())
        if not compresses or len(body) < GZIP_HERE_FROM:
            return Response(body, media_type="application/json")
        headers = {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        return Response(gzip.compress(body, 1, mtime=0), headers=headers, media_type="application/json")

    return await asyncio.to_thread(work)


@router.get(
    "/worlds/{world_id}/characters/{character_id}/graph",
    responses=refusals(TIE_CHARACTER_NOT_FOUND),
    response_model=GraphView,
)
async def get_graph(
    world_id: UUID,
    character_id: UUID,
    caller: Caller,
    wanted: Wanted,
    depth: Annotated[int, Query(ge=1, le=graph.MOST_DEPTH, description="How many ties away.")] = 1,
) -> Response:
    """The characters around one, and the ties among them."""
    async with caller.reading(world_id) as connection:
        found = await graph.around(connection, world_id, character_id, depth, wanted)
    return await _computed(caller, lambda: graph.surroundings(found))


@router.get("/worlds/{world_id}/graph", responses=refusals(GRAPH_TOO_LARGE), response_model=GraphView)
async def get_whole_graph(world_id: UUID, caller: Caller, wanted: Wanted) -> Response:
    """All ties that the filter lets through, and the characters that have one."""
    async with caller.reading(world_id) as connection:
        found = await graph.load(connection, world_id, wanted)
    return await _computed(caller, lambda: graph.whole(found))


@router.get(
    "/worlds/{world_id}/graph/communities",
    responses=refusals(GRAPH_TOO_LARGE),
    response_model=CommunitiesView,
)
async def get_communities(world_id: UUID, caller: Caller, wanted: Wanted) -> Response:
    """Groups of characters who like each other more than those outside, by the method of Louvain."""
    async with caller.reading(world_id) as connection:
        found = await graph.load(connection, world_id, wanted, ("strength",))
    return await _computed(caller, lambda: graph.communities(found))


@router.get(
    "/worlds/{world_id}/graph/centrality", responses=refusals(GRAPH_TOO_LARGE), response_model=CentralityView
)
async def get_centrality(
    world_id: UUID,
    caller: Caller,
    wanted: Wanted,
    measure: Annotated[
        Measure,
        Query(
            description="`degree` (ties with how many), `popularity` (how well liked), `pagerank` (liked by those "
            "who are liked), `betweenness` (how many shortest chains lead through one)."
        ),
    ] = "pagerank",
    limit: Annotated[int, Query(ge=1, le=graph.MOST_NODES, description="Most characters to return.")] = 50,
) -> Response:
    """The most central characters, by one of four measures."""
    async with caller.reading(world_id) as connection:
        found = await graph.load(connection, world_id, wanted, ("strength",))
    return await _computed(caller, lambda: graph.centrality(found, measure, limit))


class GraphMLResponse(Response):
    """An answer in GraphML."""

    media_type = "application/xml"


@router.get(
    "/worlds/{world_id}/relationships.graphml",
    responses=refusals(GRAPH_TOO_LARGE),
    response_class=GraphMLResponse,
)
async def export_graphml(world_id: UUID, caller: Caller, wanted: Wanted) -> Response:
    """The ties as GraphML, for Gephi, Cytoscape, NetworkX and the import of this server."""
    async with caller.reading(world_id) as connection:
        found = await graphml.read(connection, world_id, wanted)
    return GraphMLResponse(await asyncio.to_thread(graphml.written, found))


@router.post("/worlds/{world_id}/relationships/graphml", responses=refusals(SetTies, GRAPHML_INVALID))
async def import_graphml(world_id: UUID, body: GraphMLBody, caller: Caller) -> TiesImported:
    """Set the ties of a GraphML file, all of them or none; the world's other ties stay. For game masters.

    Its nodes are characters of this world, by id or by name.
    """
    async with caller.reading(world_id, Role.GAME_MASTER) as connection:
        parsed = await asyncio.to_thread(graphml.parsed, body.graphml)
        ties = await graphml.resolved(connection, world_id, parsed)
    return await caller.execute(in_commands(ties), world_id)  # type: ignore[no-any-return]
