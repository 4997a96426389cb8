"""The graph of ties and its GraphML against the real database."""

import sys
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

PACKAGE = "fablewright.systems.relationships"


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


# -- the whole graph -----------------------------------------------------------------------------------------


async def loaded(server: Server, world_id: UUID, **wanted: Any) -> graph.Graph:
    async with server.runtime.database.reading() as connection:
        return await graph.load(connection, world_id, TieFilter(**wanted))


def ends(found: graph.Graph) -> set[tuple[UUID, UUID]]:
    return {
        (UUID(found.ids[s]), UUID(found.ids[t])) for s, t in zip(found.sources, found.targets, strict=True)
    }


async def test_the_whole_graph_and_its_filters(server: Server) -> None:
    owner, world_id, ids = await placed(server, 5, [(0, 1)], 0.9, trust=0.9)
    a, b, c, d, _ = ids
    more = [
        TieValue(source_id=b, target_id=c, strength=-0.5, trust=0.2, labels=["kin"]),
        TieValue(
            source_id=c, target_id=d, strength=0.2, trust=0.5, labels=["kin", "mentor"], familiarity=0.7
        ),
    ]
    await server.do(SetTies(ties=more), owner.actor, world_id)
    ab, bc, cd = (a, b), (b, c), (c, d)
    cases: list[tuple[dict[str, Any], set[Any], set[Any]]] = [
        ({}, {ab, bc, cd}, {ab, bc, cd}), ({"min_strength": 0.2}, {ab, cd}, {ab}), ({"max_strength": 0}, {bc}, {bc}),
        ({"label": "kin"}, {bc, cd}, {bc, cd}), ({"min_trust": 0.5}, {ab, cd}, {ab}),
        ({"max_trust": 0.2}, {bc}, {bc}), ({"label": "friend"}, {ab}, {ab}),
        ({"label": "mentor", "min_trust": 0.6}, set(), set()),
    ]  # fmt: skip
    for wanted, everywhere, around_b in cases:
        assert ends(await loaded(server, world_id, **wanted)) == everywhere, wanted
        async with server.runtime.database.reading() as connection:
            rows = await views.list_page(connection, world_id, limit=9, wanted=TieFilter(**wanted))
            near = await graph.around(connection, world_id, b, 3, TieFilter(**wanted))
        assert {(r.source_id, r.target_id) for r in rows} == everywhere
        assert ends(near.graph) == around_b
    picture = answered(views.GraphView, graph.whole(await loaded(server, world_id)))
    assert len(picture["nodes"]) == 4 and {n["depth"] for n in picture["nodes"]} == {None}
    (tie,) = [t for t in picture["ties"] if t["target_id"] == str(d)]
    assert tie == {
        "source_id": str(c), "target_id": str(d), "strength": 0.2, "trust": 0.5, "familiarity": 0.7,
        "labels": ["kin", "mentor"],
    }  # fmt: skip


async def test_a_graph_beyond_the_bounds_is_refused(server: Server) -> None:
    _, world_id, _ = await placed(server, 4, [(0, 1), (1, 2), (2, 3)])
    async with server.runtime.database.reading() as connection:
        for most_nodes, most_ties in ((3, 9), (9, 2)):
            with pytest.raises(Refused, match="graph_too_large"):
                await graph.load(connection, world_id, EVERYTHING, (), most_nodes, most_ties)
        assert len((await graph.load(connection, world_id, EVERYTHING, (), 4, 3)).sources) == 3


async def test_only_the_values_that_are_needed_are_read(server: Server) -> None:
    _, world_id, _ = await placed(server, 3, [(0, 1), (1, 2)], 0.25, trust=0.75)
    async with server.runtime.database.reading() as connection:
        found = await graph.load(connection, world_id, EVERYTHING, ("trust",))
        everything = await graph.load(connection, world_id, EVERYTHING)
    assert (list(found.trust), len(found.strength), found.labels) == ([0.75, 0.75], 0, [])
    assert (list(everything.strength), everything.labels) == ([0.25, 0.25], ["", ""])


async def test_large_answers_are_compressed_once(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[f"{PACKAGE}.router"], "GZIP_HERE_FROM", 500)
    owner, world_id, _ = await placed(server, 5, [(s, t) for s in range(5) for t in range(5) if s != t])
    path = f"/api/v1/worlds/{world_id}/graph"
    told = []
    for accepted, encoded in (("gzip", "gzip"), ("identity", None), ("gzip;q=0", None)):
        answer = await server.client.get(path, headers={**owner.headers, "Accept-Encoding": accepted})
        assert answer.headers.get("content-encoding") == encoded
        told.append(answer.json())
    assert told[0] == told[1] == told[2] and len(told[0]["ties"]) == 20


async def test_an_empty_world_has_an_empty_graph(server: Server) -> None:
    world_id = await server.world(await server.person())
    found = await loaded(server, world_id)
    assert (found.ids, found.sources) == ([], [])
    assert answered(views.GraphView, graph.whole(found)) == {"nodes": [], "ties": [], "truncated": False}
    answered(views.CommunitiesView, graph.communities(found))


async def test_answers_over_http(server: Server) -> None:
    owner, world_id, ids = await placed(server, 4, [(0, 1), (1, 0), (1, 2), (2, 3), (3, 2)], trust=0.8)
    player = await server.member(world_id, owner, "player")
    stranger = await server.person()
    world = f"/api/v1/worlds/{world_id}"
    tie = f"{world}/relationships/{ids[0]}/{ids[2]}"
    models: dict[str, type[BaseModel]] = {
        f"{world}/graph": views.GraphView, f"{world}/graph?label=friend&min_strength=0.1": views.GraphView,
        f"{world}/graph/communities": views.CommunitiesView, f"{world}/graph/centrality": views.CentralityView,
        f"{world}/graph/centrality?measure=betweenness&limit=2": views.CentralityView,
        f"{world}/relationships/{ids[0]}/{ids[1]}": views.TieDetail,
        f"{tie}/compatibility": views.CompatibilityView, f"{tie}/path": views.PathView,
    }  # fmt: skip
    for path, model in models.items():
        answer = await server.client.get(path, headers=player.headers)
        assert answer.status_code == 200, answer.text
        model.model_validate_json(answer.content)
        assert (await server.client.get(path, headers=stranger.headers)).status_code == 404
        assert (await server.client.get(path)).status_code == 401
    path = (await server.client.get(f"{tie}/path", headers=player.headers)).json()
    assert path["trust"] == pytest.approx(0.64) and len(path["steps"]) == 2
    for bad in (
        "graph?min_strength=2",
        "graph?label=No",
        "graph/centrality?measure=fame",
        "graph?min_trust=nan",
    ):
        answer = await server.client.get(f"{world}/{bad}", headers=player.headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), bad
    answer = await server.client.get(f"{tie}/path?min_trust=0.9", headers=player.headers)
    assert (answer.status_code, answer.json()["code"]) == (404, "no_path_of_trust")
    answer = await server.client.get(tie, headers=player.headers)
    assert (answer.status_code, answer.json()["code"]) == (404, "tie_not_found")


# -- GraphML -------------------------------------------------------------------------------------------------


async def state(server: Server, world_id: UUID) -> list[tuple[Any, ...]]:
    """All ties of a world by name, with all that is kept of them."""
    rows = await server.fetch(
        "SELECT s.name AS s, o.name AS o, t.strength, t.trust, t.familiarity, t.resting_strength, t.resting_trust, "
        "t.felt_at, t.labels, t.interaction_count, t.last_interaction_at, t.reasons::text, t.habits::text FROM ties t "
        "JOIN characters s ON s.world_id = $1 AND s.id = t.source_id "
        "JOIN characters o ON o.world_id = $1 AND o.id = t.target_id WHERE t.world_id = $1 ORDER BY s, o", world_id,
    )  # fmt: skip
    return [tuple(row) for row in rows]


async def exported(server: Server, who: Person, world_id: UUID, query: str = "") -> str:
    answer = await server.client.get(
        f"/api/v1/worlds/{world_id}/relationships.graphml{query}", headers=who.headers
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/xml"
    return answer.text


async def imported(server: Server, who: Person, world_id: UUID, text: str) -> Any:
    return await server.client.post(
        f"/api/v1/worlds/{world_id}/relationships/graphml", json={"graphml": text}, headers=who.headers
    )


async def test_what_is_exported_can_be_imported(server: Server) -> None:
    owner, world_id, ids = await placed(server, 12, [(0, n) for n in range(1, 12)], 1 / 3)
    reasons = [
        {"at": 3, "why": "said <no> & \"never\" \\ 'ever'\x01\ufffe", "strength": -0.3, "event_id": str(UUID(int=9))},
        {"at": 4, "why": "grüßte 🙂", "trust": 0.1},
    ]  # fmt: skip
    rich = TieValue.model_validate({
        "source_id": ids[3], "target_id": ids[4], "strength": -0.1234567890123456, "trust": 2 / 7,
        "familiarity": 0.9, "resting_strength": 0.4, "resting_trust": 0.6, "labels": ["kin", "mentor"],
        "reasons": reasons, "interaction_count": 5, "last_interaction_at": -77,
        "habits": {"chat": {"at": 3, "heat": 1.5}},
    })  # fmt: skip
    await server.do(SetTies(ties=[rich]), owner.actor, world_id)
    before = await state(server, world_id)
    text = await exported(server, owner, world_id)
    other = await server.world(owner)
    await people(server, owner, other, 12)
    answer = await imported(server, owner, other, text)
    assert answer.status_code == 200, answer.text
    assert sum(r["ties"] for r in answer.json()["results"]) == len(before) == 13
    assert await state(server, other) == before
    assert (await imported(server, owner, world_id, text)).status_code == 200
    assert await state(server, world_id) == before
    friends = await exported(server, owner, world_id, "?label=kin")
    assert friends.count("<edge") == 1 and friends.count("<node") == 2


async def test_names_that_xml_cannot_hold(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    commands = [CreateCharacter(name=name) for name in ("<A> & \x07'\"", "B\ufffe")]
    a, b = [c.id for c in (await server.runtime.engine.execute(commands, owner.actor, world_id)).result]
    await server.do(SetTies(ties=[TieValue(source_id=a, target_id=b, strength=0)]), owner.actor, world_id)
    found = graphml.parsed(await exported(server, owner, world_id))
    assert {name for _, name in found.nodes.values()} == {"<A> & \ufffd'\"", "B\ufffd"}
    assert (
        await imported(server, owner, world_id, await exported(server, owner, world_id))
    ).status_code == 200


def file(body: str, edges: str = "directed") -> str:
    return (
        '<graphml><key id="k" for="edge" attr.name="strength" attr.type="double"/>\n'
        f'<graph edgedefault="{edges}">\n{body}\n</graph></graphml>'
    )


async def test_files_of_other_programs(server: Server) -> None:
    owner, world_id, _ = await placed(server, 3, [(2, 0)], 0.7)
    body = (
        '<node id="n0"><data key="label">C0000</data></node><node id="C0001"/>'
        '<edge source="n0" target="C0001"><data key="k">0.25</data></edge>'
    )
    assert (await imported(server, owner, world_id, file(body, "undirected"))).status_code == 200
    assert {(row[0], row[1], row[2]) for row in await state(server, world_id)} == {
        ("C0000", "C0001", 0.25), ("C0001", "C0000", 0.25), ("C0002", "C0000", 0.7),
    }  # fmt: skip
    empty = await imported(server, owner, world_id, file(""))
    assert empty.json() == {"results": [], "seq": None}


NODES = '<node id="C0000"/><node id="C0001"/>\n'
EDGE = '<edge source="C0000" target="C0001"><data key="k">%s</data></edge>'


@pytest.mark.parametrize(
    ("body", "line", "what"),
    [
        ('<node id="Nobody"/>', 3, "no character of this world"),
        ('<node id="n"><data key="name">Twin</data></node>', 3, "more than one character"),
        (f'<node id="{UUID(int=1)}"/>', 3, "no character of this world"),
        ('<node id="x\x7f"/>', 3, "no character of this world"),
        (NODES + '<edge source="C0000" target="C0009"/>', 4, "no node of this file"),
        (NODES + '<edge source="C0000" target="C0000"/>', 4, "with itself"),
        (NODES + EDGE % "0.5" + "\n" + EDGE % "0.5", 5, "line 4 already"),
        (NODES + '<edge source="C0000" target="C0001"/>', 4, "strength"),
        (NODES + EDGE % "1.5", 4, "strength"),
        (NODES + EDGE % "warm", 4, "strength"),
        (NODES + EDGE % "nan", 4, "strength"),
        (NODES + EDGE % '0</data><data key="reasons">[[', 4, "reasons"),
        (NODES + EDGE % '0</data><data key="habits">7', 4, "habits"),
        (NODES + EDGE % '0</data><data key="labels">Kin', 4, "labels"),
        (NODES + EDGE % ('0</data><data key="reasons">' + "[" * 19_000), 4, "reasons"),
    ],
)
async def test_a_bad_file_changes_nothing(server: Server, body: str, line: int, what: str) -> None:
    owner, world_id, _ = await placed(server, 2, [(0, 1)], 0.1)
    twins = [CreateCharacter(name="Twin"), CreateCharacter(name="Twin")]
    await server.runtime.engine.execute(twins, owner.actor, world_id)
    before = await state(server, world_id)
    answer = await imported(server, owner, world_id, file(body))
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["line"]) == (422, "graphml_invalid", line), problem
    assert what in problem["detail"]
    assert await state(server, world_id) == before


async def test_only_game_masters_import(server: Server) -> None:
    owner, world_id, _ = await placed(server, 2, [(0, 1)])
    player = await server.member(world_id, owner, "player")
    stranger = await server.person()
    for text in (file(""), "no file"):  # who may not is not even read
        answer = await imported(server, player, world_id, text)
        assert (answer.status_code, answer.json()["code"]) == (403, "role_too_low")
        answer = await imported(server, stranger, world_id, text)
        assert (answer.status_code, answer.json()["code"]) == (404, "world_not_found")
    assert "<edge" in await exported(server, player, world_id)


async def test_large_files_come_in_one_commit(server: Server) -> None:
    owner = await server.person()
    world_id = await server.world(owner)
    ids = await people(server, owner, world_id, 30)
    ties = [TieValue(source_id=s, target_id=t, strength=1 / 3) for s in ids for t in ids if s != t]
    assert len(ties) > 2 * MOST_TIES
    await server.runtime.engine.execute(in_commands(ties), owner.actor, world_id)
    before = await state(server, world_id)
    other = await server.world(owner)
    await people(server, owner, other, 30)
    answer = await imported(server, owner, other, await exported(server, owner, world_id))
    assert len(answer.json()["results"]) > 2
    assert await state(server, other) == before
