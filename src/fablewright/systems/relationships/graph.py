"""The graph of ties: the surroundings of a character, communities, centrality, the shortest path of trust.

It has a file of its own because it reads whole graphs at once, as columns of numbers, and computes on them
away from the event loop. Everything is deterministic: characters are numbered in the order of their ids.
`rustworkx` is imported where it is used, since it is needed by few requests and takes a while to load.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice, pairwise
from math import log
from operator import itemgetter
from struct import unpack
from typing import Any, Final
from uuid import UUID

import orjson

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
MOST_WORK: Final = 8_000_000
"""Characters times ties up to which betweenness takes all ties."""
STRONGEST: Final = 5
"""Ties of each character that betweenness takes in larger graphs, where every other tie would make it slower."""
MOST_ROUNDS: Final = 20
"""Times that all characters are asked whether they change their community, on each level."""


# -- reading -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Graph:
    """A graph in columns: characters by number, and for each tie the numbers of its two ends and its values.

    Values that were not asked for are empty.
    """

    ids: list[str]
    names: list[str]
    sources: list[int]
    targets: list[int]
    strength: Sequence[float]
    trust: Sequence[float]
    familiarity: Sequence[float]
    labels: list[str]
    """Separated by commas."""

    def member(self, number: int) -> dict[str, str]:
        """A character as it is answered."""
        return {"id": self.ids[number], "name": self.names[number]}

    def number_of(self, character_id: UUID) -> int | None:
        """The number of a character, if it is in the graph."""
        text = str(character_id)
        return next((n for n, i in enumerate(self.ids) if i == text), None)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The graph around a character: how many ties away each one is, by number."""

    graph: Graph
    depths: list[int]
    truncated: bool


# One row, a column of bytes for each value: a Python object for each of 40,000 ids would cost more than all
# computing, above all by making the garbage collector look through everything. And no joins: how many ties a
# filter lets through is hard to guess, and a wrong guess makes joins slow.
TIES: Final = """
SELECT count(*) AS many, {columns}
FROM (SELECT * FROM {ties} t WHERE world_id = $1{conditions} ORDER BY source_id, target_id LIMIT {most}) t
"""
COLUMNS: Final = {
    "sources": "string_agg(uuid_send(source_id), ''::bytea)",
    "targets": "string_agg(uuid_send(target_id), ''::bytea)",
    "strength": "string_agg(float8send(strength), ''::bytea)",
    "trust": "string_agg(float8send(trust), ''::bytea)",
    "familiarity": "string_agg(float8send(familiarity), ''::bytea)",
    "labels": "string_agg(array_to_string(labels, ','), ';')",
}
VALUES: Final = ("strength", "trust", "familiarity", "labels")
AMONG: Final = " AND source_id = ANY($3::uuid[]) AND target_id = ANY($3::uuid[])"
NEIGHBOURS: Final = """
SELECT target_id AS id FROM {ties} t WHERE world_id = $1 AND source_id = ANY($3::uuid[]){conditions}
UNION
SELECT source_id FROM {ties} t WHERE world_id = $1 AND target_id = ANY($3::uuid[]){conditions}
ORDER BY id LIMIT {most}
"""
LIVES: Final = "SELECT 1 FROM characters WHERE world_id = $1 AND id = $2 AND deleted_at IS NULL"
NAMES: Final = "SELECT id, name FROM characters WHERE world_id = $1 AND id = ANY($2::uuid[])"


async def load(
    connection: Any, world_id: UUID, wanted: TieFilter, values: Sequence[str] = VALUES,
    most_nodes: int = MOST_NODES, most_ties: int = MOST_TIES,
) -> Graph:  # fmt: skip
    """The graph of all ties that a filter lets through, with those `values` that are needed.

    Refuses `graph_too_large`.
    """
    now = await now_of(connection, world_id)
    conditions, bounds = wanted.where(3)
    row = await connection.fetchrow(_sql(conditions, most_ties, values), world_id, now, *bounds)
    ids = sorted({*_each(row["sources"]), *_each(row["targets"])})
    if row["many"] > most_ties or len(ids) > most_nodes:
        raise GRAPH_TOO_LARGE(
            f"One answer takes up to {most_nodes:,} characters and {most_ties:,} ties. Filter by strength, "
            "trust or label, or ask for the surroundings of one character.",
            max_characters=most_nodes, max_ties=most_ties,
        )  # fmt: skip
    return await _graph(connection, world_id, ids, row, most_ties)


async def around(
    connection: Any, world_id: UUID, character_id: UUID, depth: int, wanted: TieFilter,
    most: int = MOST_AROUND, most_ties: int = MOST_TIES_AROUND,
) -> Surroundings:  # fmt: skip
    """Who is within `depth` such ties of a character, nearest first. Refuses `character_not_found`.

    It goes ring by ring, each with one query, and stops when there are enough.
    """
    if not await connection.fetchval(LIVES, world_id, character_id):
        raise TIE_CHARACTER_NOT_FOUND(character_id=str(character_id))
    now = await now_of(connection, world_id)
    ties = current("$2")
    conditions, values = wanted.where(4)
    # Among one more than are wanted in all, enough are new.
    neighbours = NEIGHBOURS.format(ties=ties, conditions=conditions, most=int(most) + 1)
    found, ring, truncated = {character_id: 0}, [character_id], False
    for distance in range(1, depth + 1):
        rows = await connection.fetch(neighbours, world_id, now, ring, *values)
        ring = [row["id"] for row in rows if row["id"] not in found]
        truncated = len(found) + len(ring) > most
        ring = ring[: most - len(found)]
        found.update(dict.fromkeys(ring, distance))
        if truncated or not ring:
            break
    among = _sql(AMONG + conditions, most_ties, VALUES)
    row = await connection.fetchrow(among, world_id, now, list(found), *values)
    graph = await _graph(connection, world_id, sorted(i.bytes for i in found), row, most_ties)
    depths = [found[UUID(i)] for i in graph.ids]
    return Surroundings(graph, depths, truncated or row["many"] > most_ties)


def _sql(conditions: str, most: int, values: Sequence[str]) -> str:
    """A query for up to `most` ties, and one more to see that there are more."""
    columns = ", ".join(f"{COLUMNS[name]} AS {name}" for name in ("sources", "targets", *values))
    return TIES.format(columns=columns, ties=current("$2"), conditions=conditions, most=int(most) + 1)


async def _graph(connection: Any, world_id: UUID, ids: list[bytes], row: Any, most: int) -> Graph:
    """The graph of the first `most` ties of a row of `TIES`, among characters with these ids, in order."""
    wanted = [UUID(bytes=i) for i in ids]
    names = {found["id"]: found["name"] for found in await connection.fetch(NAMES, world_id, wanted)}
    number = {character: n for n, character in enumerate(ids)}
    many = min(row["many"], most)

    read = dict(row)

    def numbers(column: str) -> Sequence[float]:
        return unpack(f">{many}d", read[column][: 8 * many]) if read.get(column) else ()

    return Graph(
        ids=[str(i) for i in wanted],
        names=[names[i] for i in wanted],
        sources=[number[i] for i in _each(row["sources"])[:many]],
        targets=[number[i] for i in _each(row["targets"])[:many]],
        strength=numbers("strength"),
        trust=numbers("trust"),
        familiarity=numbers("familiarity"),
        labels=read["labels"].split(";")[:many] if read.get("labels") is not None else [],
    )


def _each(ids: bytes | None) -> list[bytes]:
    """Ids that stand one after the other."""
    return [ids[at : at + 16] for at in range(0, len(ids), 16)] if ids else []


# -- computing: plain functions, to be run in a thread -------------------------------------------------------


def whole(graph: Graph) -> dict[str, Any]:
    """A `GraphView` of all of it."""
    return _picture(graph, list(range(len(graph.ids))), {}, False)


def surroundings(found: Surroundings) -> dict[str, Any]:
    """A `GraphView` of the surroundings of a character, nearest first."""
    order = sorted(range(len(found.depths)), key=lambda n: (found.depths[n], n))
    return _picture(found.graph, order, dict(enumerate(found.depths)), found.truncated)


def _picture(
    graph: Graph, order: Sequence[int], depths: Mapping[int, int], truncated: bool
) -> dict[str, Any]:
    ids = graph.ids
    # As finished JSON, so that the many small values hold nothing that the garbage collector follows.
    labels = {
        text: orjson.Fragment(orjson.dumps(text.split(",") if text else [])) for text in set(graph.labels)
    }
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
        "nodes": [{"id": ids[n], "name": graph.names[n], "depth": depths.get(n)} for n in order],
        "ties": [
            {
                "source_id": ids[source], "target_id": ids[target], "strength": strength, "trust": trust,
                "familiarity": familiarity, "labels": labels[text],
            }
            for source, target, strength, trust, familiarity, text in columns
        ],
        "truncated": truncated,
    }  # fmt: skip


def centrality(graph: Graph, measure: Measure, limit: int) -> dict[str, Any]:
    """A `CentralityView`: the `limit` most central characters.

    - `degree`: the share of the others with whom there is a tie, in either direction, 0..1;
    - `popularity`: the mean strength with which the others feel about one, -1..1; no tie counts as 0;
    - `pagerank`: being liked by those who are liked (Page, Brin, Motwani & Winograd 1998), by strength;
    - `betweenness`: the share of shortest chains of ties that lead through one (Brandes 2001). In a large
      graph each one's `STRONGEST` ties only, along which news would travel first.
    """
    scores = MEASURES[measure](graph)
    order = sorted(range(len(scores)), key=lambda n: (-scores[n], n))[:limit]
    return {
        "measure": measure,
        "strongest_only": STRONGEST if measure == "betweenness" and _is_large(graph) else None,
        "characters": [graph.member(n) | {"score": scores[n]} for n in order],
    }


def _is_large(graph: Graph) -> bool:
    return len(graph.ids) * len(graph.sources) > MOST_WORK


Ties = list[tuple[int, int, float]]
"""(source, target, value)."""


def _ties(graph: Graph, values: Sequence[float]) -> Ties:
    return list(zip(graph.sources, graph.targets, values, strict=True))


def _digraph(many: int, ties: Ties) -> Any:
    import rustworkx

    made = rustworkx.PyDiGraph(multigraph=False)
    made.add_nodes_from(range(many))
    made.add_edges_from(ties)
    return made


def _listed(scores: Mapping[int, float], many: int) -> list[float]:
    """Scores by number. rustworkx adds up in several threads, so the last digits depend on their race: they
    are cut off. What is added first keeps values that stand exactly between two results out of the race too."""
    return [round(scores[n] + 3e-14, 10) for n in range(many)]


def _degree(graph: Graph) -> list[float]:
    near: list[set[int]] = [set() for _ in graph.ids]
    for source, target in zip(graph.sources, graph.targets, strict=True):
        near[source].add(target)
        near[target].add(source)
    return [len(others) / max(1, len(near) - 1) for others in near]


def _popularity(graph: Graph) -> list[float]:
    scores = [0.0] * len(graph.ids)
    for target, strength in zip(graph.targets, graph.strength, strict=True):
        scores[target] += strength
    return [score / max(1, len(scores) - 1) for score in scores]


def _pagerank(graph: Graph) -> list[float]:
    import rustworkx

    if not graph.ids:
        return []
    warm = [tie for tie in _ties(graph, graph.strength) if tie[2] > 0.0]
    made = _digraph(len(graph.ids), warm)
    return _listed(rustworkx.pagerank(made, weight_fn=float, max_iter=500), len(graph.ids))


def _betweenness(graph: Graph) -> list[float]:
    import rustworkx

    ties = strongest(graph) if _is_large(graph) else _ties(graph, graph.strength)
    made = _digraph(len(graph.ids), ties)
    return _listed(rustworkx.digraph_betweenness_centrality(made), len(graph.ids))


def strongest(graph: Graph) -> Ties:
    """The `STRONGEST` ties of each character."""
    ties = sorted(_ties(graph, graph.strength), key=lambda t: (t[0], -t[2], t[1]))
    return [tie for _, own in groupby(ties, key=itemgetter(0)) for tie in islice(own, STRONGEST)]


MEASURES: Final[Mapping[Measure, Callable[[Graph], list[float]]]] = {
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
        made = _digraph(len(graph.ids), [tie for tie in _ties(graph, graph.trust) if tie[2] > 0.0])
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
