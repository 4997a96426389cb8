"""The graph of ties and its GraphML against the real database."""

import uuid
from collections.abc import Sequence
from itertools import pairwise
from typing import Any
from uuid import UUID

import orjson
import pytest
from pydantic import BaseModel

from fablewright.core.refusal import Refused
from fablewright.systems.characters.commands import CreateCharacter
from fablewright.systems.relationships import graph, graphml, views
from fablewright.systems.relationships.commands import MOST_TIES, SetTies, TieValue, in_commands
from fablewright.systems.relationships.views import EVERYTHING, TieFilter
from tests.support import Person, Server


async def people(server: Server, owner: Person, world_id: UUID, count: int) -> list[UUID]:
    commands = [CreateCharacter(name=f"C{n:04}") for n in range(count)]
    return [c.id for c in (await server.runtime.engine.execute(commands, owner.actor, world_id)).result]


async def placed(
    server: Server, many: int, pairs: Sequence[tuple[int, int]], strength: float = 0.5, **fields: Any
) -> tuple[Person, UUID, list[UUID]]:
    """A world with so many characters, tied by number."""
    owner = await server.person()
    world_id = await server.world(owner)
    ids = await people(server, owner, world_id, many)
    ties = [TieValue(source_id=ids[s], target_id=ids[t], strength=strength, **fields) for s, t in pairs]
    await server.do(SetTies(ties=ties), owner.actor, world_id)
    return owner, world_id, ids


async def around(server: Server, world_id: UUID, who: UUID, depth: int, **fields: Any) -> dict[str, Any]:
    async with server.runtime.database.reading() as connection:
        found = await graph.around(connection, world_id, who, depth, TieFilter(), **fields)
    return answered(views.GraphView, graph.surroundings(found))


def answered(model: type[BaseModel], answer: dict[str, Any]) -> dict[str, Any]:
    """An answer as it is sent, which must be as it is documented."""
    sent: dict[str, Any] = orjson.loads(orjson.dumps(answer))
    model.model_validate(sent)
    return sent


async def test_the_graph_goes_as_deep_as_asked(server: Server) -> None:
    _, world_id, ids = await placed(server, 6, list(pairwise(range(6))))
    found = await around(server, world_id, ids[2], 2)
    depths = {UUID(n["id"]): n["depth"] for n in found["nodes"]}
    assert depths == {ids[2]: 0, ids[1]: 1, ids[3]: 1, ids[0]: 2, ids[4]: 2}
    assert len(found["ties"]) == 4 and not found["truncated"]
    with pytest.raises(Refused, match="character_not_found"):
        await around(server, world_id, uuid.uuid4(), 2)


async def test_a_large_graph_is_cut_and_says_so(server: Server) -> None:
    _, world_id, ids = await placed(server, 12, [(0, n) for n in range(1, 12)])
    found = await around(server, world_id, ids[0], 1, most=5)
    assert (len(found["nodes"]), found["nodes"][0]["id"], found["truncated"]) == (5, str(ids[0]), True)
    assert len(found["ties"]) == 4
    exact = await around(server, world_id, ids[0], 2, most=12)
    assert (len(exact["nodes"]), exact["truncated"]) == (12, False)
    short = await around(server, world_id, ids[0], 1, most_ties=3)
    assert (len(short["ties"]), short["truncated"]) == (3, True)


async def test_a_lonely_character_has_a_graph_of_its_own(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    (a,) = await people(server, owner, world_id, 1)
    found = await around(server, world_id, a, 3)
    assert [n["id"] for n in found["nodes"]] == [str(a)] and found["ties"] == []
