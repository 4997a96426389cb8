"""The graph of ties: the surroundings of a character, communities, centrality, the shortest path of trust.

It has a file of its own because it reads whole graphs at once, as columns of numbers, and computes on them
away from the event loop. Everything is deterministic: characters are numbered in the order of their ids.
`rustworkx` is imported where it is used, since it is needed by few requests and takes a while to load.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log
from typing import Any, Final
from uuid import UUID

from fablewright.systems.relationships.rules import (
    GRAPH_TOO_LARGE,
    NO_PATH_OF_TRUST,
    SAME_CHARACTER,
    TIE_CHARACTER_NOT_FOUND,
)
from fablewright.systems.relationships.views import (
    MOST_AROUND,
    MOST_TIES_AROUND,
    Measure,
    TieFilter,
    current,
    now_of,
)

MOST_DEPTH: Final = 3
MOST_NODES: Final = 2_000
"""Characters in a whole graph."""
MOST_TIES: Final = 40_000
"""Ties in a whole graph."""
LEAST_GAIN: Final = 1e-9
"""A character changes its community only for a gain in modularity beyond what rounding makes."""
MOST_ROUNDS: Final = 20
"""Times that all characters are asked whether they change their community, on each level."""


# -- reading -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Graph:
    """A graph in columns: characters by number, and for each tie the numbers of its two ends and its values."""

    ids: list[str]
    names: list[str]
    sources: list[int]
    targets: list[int]
    strength: list[float]
    trust: list[float]
    familiarity: list[float]
    labels: list[str]
    """Separated by commas."""

    def member(self, number: int) -> dict[str, str]:
        """A character as it is answered."""
        return {"id": self.ids[number], "name": self.names[number]}

    def number_of(self, character_id: UUID) -> int | None:
        """The number of a character, if it is in the graph."""
        text = str(character_id)
        return next((n for n, i in enumerate(self.ids) if i == text), None)


# One row of arrays: far quicker to take over than a row for each tie. The graph's characters are those that
# have one of the ties.
COLUMNS_OF_TIES: Final = """
WITH felt AS MATERIALIZED (
    SELECT source_id, target_id, strength, trust, familiarity, labels FROM {ties} t
    WHERE world_id = $1{conditions} LIMIT {most}
), who AS MATERIALIZED (
    SELECT c.id, c.name, (row_number() OVER (ORDER BY c.id) - 1)::int AS number
    FROM (SELECT source_id AS id FROM felt UNION SELECT target_id FROM felt) i
    JOIN characters c ON c.world_id = $1 AND c.id = i.id
), numbered AS MATERIALIZED (
    SELECT s.number AS source, o.number AS target, f.strength, f.trust, f.familiarity,
           array_to_string(f.labels, ',') AS labels
    FROM felt f JOIN who s ON s.id = f.source_id JOIN who o ON o.id = f.target_id
    ORDER BY 1, 2
)
SELECT (SELECT array_agg(id::text ORDER BY number) FROM who) AS ids,
       (SELECT array_agg(name ORDER BY number) FROM who) AS names,
       array_agg(source) AS sources, array_agg(target) AS targets, array_agg(strength) AS strength,
       array_agg(trust) AS trust, array_agg(familiarity) AS familiarity, array_agg(labels) AS labels
FROM numbered
"""


async def load(
    connection: Any,
    world_id: UUID,
    wanted: TieFilter,
    most_nodes: int = MOST_NODES,
    most_ties: int = MOST_TIES,
) -> Graph:
    """The graph of all ties that a filter lets through. Refuses `graph_too_large`."""
    now = await now_of(connection, world_id)
    conditions, values = wanted.where(3)
    sql = COLUMNS_OF_TIES.format(ties=current("$2"), conditions=conditions, most=int(most_ties) + 1)
    row = await connection.fetchrow(sql, world_id, now, *values)
    graph = Graph(*(row[c] or [] for c in Graph.__dataclass_fields__))
    if len(graph.sources) > most_ties or len(graph.ids) > most_nodes:
        raise GRAPH_TOO_LARGE(
            f"One answer takes up to {most_nodes:,} characters and {most_ties:,} ties. Filter by strength, "
            "trust or label, or ask for the surroundings of one character.",
            max_characters=most_nodes, max_ties=most_ties,
        )  # fmt: skip
    return graph


NEIGHBOURS: Final = """
SELECT DISTINCT n.id, c.name FROM (
    SELECT target_id AS id FROM {ties} t WHERE world_id = $1 AND source_id = ANY($3::uuid[]){conditions}
    UNION
    SELECT source_id FROM {ties} t WHERE world_id = $1 AND target_id = ANY($3::uuid[]){conditions}
) n
JOIN characters c ON c.world_id = $1 AND c.id = n.id AND c.deleted_at IS NULL
WHERE n.id <> ALL($4::uuid[]) ORDER BY n.id LIMIT {most}
"""
AMONG: Final = """
SELECT source_id, target_id, strength, trust, familiarity, labels FROM {ties} t
WHERE world_id = $1 AND source_id = ANY($3::uuid[]) AND target_id = ANY($3::uuid[]){conditions}
ORDER BY source_id, target_id LIMIT {most}
"""


async def around(
    connection: Any, world_id: UUID, character_id: UUID, depth: int, wanted: TieFilter,
    most: int = MOST_AROUND, most_ties: int = MOST_TIES_AROUND,
) -> dict[str, Any]:  # fmt: skip
    """A `GraphView` of who is within `depth` such ties of a character. Refuses `character_not_found`.

    It goes ring by ring, each with one query, and stops when there are enough.
    """
    name = await connection.fetchval(
        "SELECT name FROM characters WHERE world_id = $1 AND id = $2 AND deleted_at IS NULL",
        world_id, character_id,
    )  # fmt: skip
    if name is None:
        raise TIE_CHARACTER_NOT_FOUND(character_id=str(character_id))
    now = await now_of(connection, world_id)
    ties = current("$2")
    conditions, values = wanted.where(5)
    found: dict[UUID, tuple[str, int]] = {character_id: (name, 0)}
    ring, truncated = [character_id], False
    for distance in range(1, depth + 1):
        sql = NEIGHBOURS.format(ties=ties, conditions=conditions, most=int(most - len(found)) + 1)
        rows = await connection.fetch(sql, world_id, now, ring, list(found), *values)
        truncated = len(found) + len(rows) > most
        ring = [row["id"] for row in rows[: most - len(found)]]
        found.update({row["id"]: (row["name"], distance) for row in rows[: most - len(found)]})
        if truncated or not ring:
            break
    conditions, values = wanted.where(4)
    sql = AMONG.format(ties=ties, conditions=conditions, most=int(most_ties) + 1)
    rows = await connection.fetch(sql, world_id, now, list(found), *values)
    text = {i: str(i) for i in found}
    return {
        "nodes": [{"id": text[i], "name": name, "depth": depth} for i, (name, depth) in found.items()],
        "ties": [
            {
                "source_id": text[row["source_id"]], "target_id": text[row["target_id"]],
                "strength": row["strength"], "trust": row["trust"], "familiarity": row["familiarity"],
                "labels": row["labels"],
            }
            for row in rows[:most_ties]
        ],
        "truncated": truncated or len(rows) > most_ties,
    }  # fmt: skip


# -- computing: plain functions, to be run in a thread -------------------------------------------------------


def whole(graph: Graph) -> dict[str, Any]:
    """A `GraphView` of all of it."""
    ids = graph.ids
    split = {text: text.split(",") if text else [] for text in set(graph.labels)}
    columns = zip(
        graph.sources,
        graph.targets,
        graph.strength,
        graph.trust,
        graph.familiarity,
        graph.labels,
        strict=True,
    )
    return {
        "nodes": [{"id": i, "name": name, "depth": None} for i, name in zip(ids, graph.names, strict=True)],
        "ties": [
            {
                "source_id": ids[source], "target_id": ids[target], "strength": strength, "trust": trust,
                "familiarity": familiarity, "labels": split[labels],
            }
            for source, target, strength, trust, familiarity, labels in columns
        ],
        "truncated": False,
    }  # fmt: skip


def centrality(graph: Graph, measure: Measure, limit: int) -> dict[str, Any]:
    """A `CentralityView`: the `limit` most central characters.

    - `degree`: the share of the others with whom there is a tie, counted in both directions (0..2);
    - `popularity`: the mean strength with which the others feel about one, -1..1; no tie counts as 0;
    - `pagerank`: being liked by those who are liked (Page, Brin, Motwani & Winograd 1998), by strength;
    - `betweenness`: the share of shortest chains of ties that lead through one (Brandes 2001).
    """
    scores = MEASURES[measure](graph)
    order = sorted(range(len(scores)), key=lambda n: (-scores[n], n))[:limit]
    return {"measure": measure, "characters": [graph.member(n) | {"score": scores[n]} for n in order]}


def _digraph(graph: Graph, values: Sequence[float], above: float | None = None) -> Any:
    import rustworkx

    made = rustworkx.PyDiGraph(multigraph=False)
    made.add_nodes_from(range(len(graph.ids)))
    ties = zip(graph.sources, graph.targets, values, strict=True)
    made.add_edges_from([tie for tie in ties if above is None or tie[2] > above])
    return made


def _listed(scores: Mapping[int, float], many: int) -> list[float]:
    """Scores by number. rustworkx adds up in several threads, so the last digits depend on their race: they
    are cut off. What is added first keeps values that stand exactly between two results out of the race too."""
    return [round(scores[n] + 3e-14, 10) for n in range(many)]


def _degree(graph: Graph) -> list[float]:
    import rustworkx

    return _listed(rustworkx.digraph_degree_centrality(_digraph(graph, graph.strength)), len(graph.ids))


def _popularity(graph: Graph) -> list[float]:
    scores = [0.0] * len(graph.ids)
    for target, strength in zip(graph.targets, graph.strength, strict=True):
        scores[target] += strength
    return [score / max(1, len(scores) - 1) for score in scores]


def _pagerank(graph: Graph) -> list[float]:
    import rustworkx

    if not graph.ids:
        return []
    made = _digraph(graph, graph.strength, above=0.0)
    return _listed(rustworkx.pagerank(made, weight_fn=float, max_iter=500), len(graph.ids))


def _betweenness(graph: Graph) -> list[float]:
    import rustworkx

    return _listed(rustworkx.digraph_betweenness_centrality(_digraph(graph, graph.strength)), len(graph.ids))


MEASURES: Final = {
    "degree": _degree, "popularity": _popularity, "pagerank": _pagerank, "betweenness": _betweenness,
}  # fmt: skip


def path_of_trust(graph: Graph, source: UUID, target: UUID) -> dict[str, Any]:
    """A `PathView` from one character to another: the chain whose trusts have the greatest product.

    That is the shortest path where each tie is -log(trust) long (Dijkstra). Refuses `same_character`,
    `no_path_of_trust`.
    """
    import rustworkx

    if source == target:
        raise SAME_CHARACTER()
    start, end = graph.number_of(source), graph.number_of(target)
    chain: list[int] = []
    if start is not None and end is not None:
        made = _digraph(graph, graph.trust, above=0.0)
        paths = rustworkx.digraph_dijkstra_shortest_paths(
            made, start, end, weight_fn=lambda trust: max(0.0, -log(trust))
        )
        chain = list(paths[end]) if end in paths else []
    if not chain:
        raise NO_PATH_OF_TRUST(source_id=str(source), target_id=str(target))
    place = {pair: n for n, pair in enumerate(zip(graph.sources, graph.targets, strict=True))}
    steps, trust = [], 1.0
    for one, other in pairwise(chain):
        tie = place[one, other]
        trust *= graph.trust[tie]
        steps.append({
            "source_id": graph.ids[one], "source_name": graph.names[one],
            "target_id": graph.ids[other], "target_name": graph.names[other],
            "trust": graph.trust[tie], "strength": graph.strength[tie],
        })  # fmt: skip
    return {"trust": trust, "steps": steps}


# -- communities ---------------------------------------------------------------------------------------------

Near = list[dict[int, float]]
"""For each node its neighbours, itself too, and how heavy the tie to each is."""


def communities(graph: Graph) -> dict[str, Any]:
    """A `CommunitiesView` by the method of Louvain (Blondel, Guillaume, Lambiotte & Lefebvre 2008).

    A pair weighs as much as what the two feel for each other, both directions together, where that is warm.
    Nodes are asked in the order of their numbers and the lower community wins a draw, so that the answer is
    always the same. (rustworkx has no community detection.)
    """
    near = warmth(graph)
    of = louvain(near)
    groups: dict[int, list[int]] = defaultdict(list)
    for node, community in enumerate(of):
        groups[community].append(node)
    inside = [sum(w for other, w in near[n].items() if of[other] == of[n]) for n in range(len(near))]
    ordered = sorted(groups.values(), key=lambda members: (-len(members), members[0]))
    return {
        "modularity": modularity(near, of),
        "communities": [
            {
                "number": number, "size": len(members),
                "members": [graph.member(n) for n in sorted(members, key=lambda n: (-inside[n], n))],
            }
            for number, members in enumerate(ordered, 1)
        ],
    }  # fmt: skip


def warmth(graph: Graph) -> Near:
    """Who is how warmly tied to whom: the positive strengths of both directions added up."""
    near: Near = [{} for _ in graph.ids]
    for source, target, strength in zip(graph.sources, graph.targets, graph.strength, strict=True):
        if strength > 0.0:
            near[source][target] = near[source].get(target, 0.0) + strength
            near[target][source] = near[target].get(source, 0.0) + strength
    return near


def louvain(near: Near) -> list[int]:
    """The community of each node, numbered in the order in which they first occur."""
    of = list(range(len(near)))
    level = near
    while True:
        moved = _settled(level)
        numbers = {community: n for n, community in enumerate(dict.fromkeys(moved))}
        if len(numbers) == len(level):
            return of
        of = [numbers[moved[node]] for node in of]
        level = _merged(level, [numbers[community] for community in moved])


def _settled(near: Near) -> list[int]:
    """Let each node go to the community of neighbours where it gains most modularity, until none wants to.

    A node's weight to itself counts once in `near`, as the sum over both directions of what was merged.
    """
    degree = [sum(ties.values()) for ties in near]
    total = sum(degree)
    of = list(range(len(near)))
    weight_of = degree[:]
    waiting = [node for node in of if degree[node] > 0.0]
    for _ in range(MOST_ROUNDS):
        unsettled: set[int] = set()
        for node in waiting:
            home, own = of[node], degree[node] / total
            weight_of[home] -= degree[node]
            towards: dict[int, float] = {}
            for other, weight in near[node].items():
                if other != node:
                    community = of[other]
                    towards[community] = towards.get(community, 0.0) + weight
            best, most = home, towards.get(home, 0.0) - weight_of[home] * own + LEAST_GAIN * total
            for community in sorted(towards):
                gain = towards[community] - weight_of[community] * own
                if gain > most:
                    best, most = community, gain
            weight_of[best] += degree[node]
            if best != home:
                of[node] = best
                unsettled.update(other for other in near[node] if of[other] != best)
        if not unsettled:
            break
        waiting = sorted(unsettled)
    return of


def _merged(near: Near, of: Sequence[int]) -> Near:
    """The graph of the communities."""
    merged: Near = [{} for _ in range(max(of) + 1)]
    for node, ties in enumerate(near):
        into = merged[of[node]]
        for other, weight in ties.items():
            community = of[other]
            into[community] = into.get(community, 0.0) + weight
    return merged


def modularity(near: Near, of: Sequence[int]) -> float:
    """Newman's modularity (2004) of a division, -0.5..1: weight inside, less what chance would have there."""
    total = sum(sum(ties.values()) for ties in near)
    if total <= 0.0:
        return 0.0
    inside = sum(w for n, ties in enumerate(near) for other, w in ties.items() if of[n] == of[other])
    weight: dict[int, float] = defaultdict(float)
    for node, ties in enumerate(near):
        weight[of[node]] += sum(ties.values())
    return inside / total - sum((w / total) ** 2 for w in weight.values())
