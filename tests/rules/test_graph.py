"""What is computed on graphs of ties, and what is read from GraphML, without a database."""

import itertools
import os
import subprocess
import sys
from math import prod
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fablewright.core.refusal import Refused
from fablewright.systems.relationships import graph, graphml
from fablewright.systems.relationships.graph import Graph
from fablewright.systems.relationships.views import Measure

Tie = tuple[int, int, float]


def made(many: int, ties: list[Tie], trust: list[float] | None = None) -> Graph:
    """A graph of so many characters with ties (source, target, strength)."""
    ties = sorted(ties)
    return Graph(
        [str(UUID(int=n)) for n in range(many)], [f"C{n}" for n in range(many)], [t[0] for t in ties],
        [t[1] for t in ties], [t[2] for t in ties], trust or [0.5] * len(ties), [0.5] * len(ties),
        [""] * len(ties),
    )  # fmt: skip


def both(pairs: list[tuple[int, int]], strength: float = 0.8) -> list[Tie]:
    return [tie for a, b in pairs for tie in ((a, b, strength), (b, a, strength))]


def clique(*members: int) -> list[Tie]:
    return both(list(itertools.combinations(members, 2)))


def groups(found: dict[str, Any]) -> list[set[int]]:
    return [{UUID(m["id"]).int for m in c["members"]} for c in found["communities"]]


graphs = st.integers(2, 12).flatmap(
    lambda many: st.dictionaries(
        st.tuples(st.integers(0, many - 1), st.integers(0, many - 1)).filter(lambda p: p[0] != p[1]),
        st.tuples(st.floats(-1, 1), st.floats(0, 1)), max_size=40,
    ).map(lambda d: made(many, [(s, t, v[0]) for (s, t), v in d.items()], [d[p][1] for p in sorted(d)]))
)  # fmt: skip


# -- communities ---------------------------------------------------------------------------------------------


def test_two_circles_with_a_bridge_are_two_communities() -> None:
    found = graph.communities(made(9, clique(0, 1, 2, 3, 4) + clique(5, 6, 7, 8) + both([(4, 5)], 0.1)))
    assert groups(found) == [{0, 1, 2, 3, 4}, {5, 6, 7, 8}]
    assert found["modularity"] > 0.4
    assert [(c["number"], c["size"]) for c in found["communities"]] == [(1, 5), (2, 4)]


def test_hate_joins_nobody() -> None:
    found = graph.communities(made(4, both([(0, 1), (2, 3)]) + both([(1, 2)], -1.0)))
    assert groups(found) == [{0, 1}, {2, 3}]
    assert groups(graph.communities(made(2, both([(0, 1)], -1.0)))) == [{0}, {1}]


def test_the_warmest_member_comes_first() -> None:
    star = both([(3, 0), (3, 1), (3, 2)])
    assert graph.communities(made(4, star))["communities"][0]["members"][0]["name"] == "C3"


def test_circles_of_circles_are_merged() -> None:
    """Where communities of the first level belong together, the next level joins them."""
    ring = both([(n, (n + 1) % 30) for n in range(30)])
    found = graph.communities(made(30, ring))
    sizes = [c["size"] for c in found["communities"]]
    assert sum(sizes) == 30 and 4 <= len(sizes) <= 8 and found["modularity"] > 0.6


def test_an_empty_graph_has_no_communities() -> None:
    assert graph.communities(made(0, [])) == {"modularity": 0.0, "communities": []}


@given(graphs)
def test_communities_part_everybody_and_are_no_worse_than_none(found: Graph) -> None:
    near = graph.warmth(found)
    of = graph.louvain(near)
    answer = graph.communities(found)
    assert sorted(itertools.chain(*groups(answer))) == list(range(len(found.ids)))
    assert len(groups(answer)) == len(set(of))
    assert -0.5 <= answer["modularity"] <= 1.0
    assert answer["modularity"] >= graph.modularity(near, list(range(len(near)))) - 1e-9
    assert graph.communities(found) == answer


@given(graphs)
def test_merging_keeps_the_modularity(found: Graph) -> None:
    near = graph.warmth(found)
    of = graph.louvain(near)
    merged = graph._merged(near, of)
    assert graph.modularity(merged, list(range(len(merged)))) == pytest.approx(graph.modularity(near, of))


# -- centrality ----------------------------------------------------------------------------------------------


def scores(found: Graph, measure: Measure) -> dict[str, float]:
    answer = graph.centrality(found, measure, len(found.ids))
    return {c["name"]: c["score"] for c in answer["characters"]}


def test_centrality_of_a_chain_and_a_star() -> None:
    chain = made(3, both([(0, 1), (1, 2)]))
    assert scores(chain, "betweenness") == pytest.approx({"C1": 1.0, "C0": 0.0, "C2": 0.0})
    assert scores(chain, "degree") == pytest.approx({"C1": 1.0, "C0": 0.5, "C2": 0.5})
    liked = made(4, [(1, 0, 0.9), (2, 0, 0.6), (3, 0, -0.3), (0, 1, 0.3)])
    assert scores(liked, "popularity") == pytest.approx({"C0": 0.4, "C1": 0.1, "C2": 0.0, "C3": 0.0})
    ranks = scores(liked, "pagerank")
    assert sum(ranks.values()) == pytest.approx(1.0) and list(ranks)[:2] == ["C0", "C1"]


def test_draws_go_by_id_and_the_list_is_as_long_as_asked() -> None:
    found = graph.centrality(made(5, clique(0, 1, 2, 3, 4)), "betweenness", 3)
    assert [c["name"] for c in found["characters"]] == ["C0", "C1", "C2"]
    assert found["strongest_only"] is None


def test_large_graphs_take_the_strongest_ties(monkeypatch: pytest.MonkeyPatch) -> None:
    ties = [(0, n, n / 20) for n in range(1, 15)] + [(n, 0, 0.5) for n in range(1, 15)]
    found = made(15, ties)
    assert [t[1] for t in graph.strongest(found) if t[0] == 0] == [14, 13, 12, 11, 10]
    monkeypatch.setattr(graph, "MOST_WORK", 100)
    assert graph.centrality(found, "betweenness", 5)["strongest_only"] == graph.STRONGEST
    assert graph.centrality(found, "degree", 5)["strongest_only"] is None


@pytest.mark.parametrize("measure", graph.MEASURES)
@given(graphs)
def test_every_measure_ranks_everybody(measure: Measure, found: Graph) -> None:
    answer = graph.centrality(found, measure, 100)["characters"]
    assert len(answer) == len(found.ids)
    assert [c["score"] for c in answer] == sorted((c["score"] for c in answer), reverse=True)


@pytest.mark.parametrize("measure", graph.MEASURES)
def test_nobody_is_central_in_an_empty_graph(measure: Measure) -> None:
    assert graph.centrality(made(0, []), measure, 5)["characters"] == []


# -- paths of trust ------------------------------------------------------------------------------------------


def test_a_detour_of_trusted_people_is_shorter_than_a_doubtful_tie() -> None:
    found = made(4, [(0, 1, 0.1), (0, 2, 0.2), (1, 3, 0.3), (2, 3, -0.4)], trust=[0.5, 0.9, 0.5, 0.8])
    path = graph.path_of_trust(found, UUID(int=0), UUID(int=3))
    assert [s["target_name"] for s in path["steps"]] == ["C2", "C3"]
    assert path["trust"] == pytest.approx(0.72) and path["steps"][1]["strength"] == -0.4


@pytest.mark.parametrize(
    ("source", "target", "code"),
    [
        (3, 0, "no_path_of_trust"),
        (0, 9, "no_path_of_trust"),
        (9, 0, "no_path_of_trust"),
        (1, 1, "same_character"),
    ],
)
def test_there_may_be_no_path(source: int, target: int, code: str) -> None:
    found = made(4, [(0, 1, 0.1), (1, 3, 0.3)])
    with pytest.raises(Refused, match=code):
        graph.path_of_trust(found, UUID(int=source), UUID(int=target))


def test_no_trust_is_no_way() -> None:
    with pytest.raises(Refused, match="no_path_of_trust"):
        graph.path_of_trust(made(2, [(0, 1, 0.9)], trust=[0.0]), UUID(int=0), UUID(int=1))


@settings(max_examples=60)
@given(graphs)
def test_no_other_path_keeps_more_trust(found: Graph) -> None:
    best: dict[int, float] = {0: 1.0}
    for _ in found.ids:  # Bellman and Ford
        for s, t, trust in zip(found.sources, found.targets, found.trust, strict=True):
            if s in best and trust > 0 and best[s] * trust > best.get(t, 0.0):
                best[t] = best[s] * trust
    for target in range(1, len(found.ids)):
        if best.get(target, 0.0) > 1e-300:
            path = graph.path_of_trust(found, UUID(int=0), UUID(int=target))
            assert path["trust"] == pytest.approx(best[target], rel=1e-6)
            assert path["trust"] == pytest.approx(prod(s["trust"] for s in path["steps"]))


SAME = """
from tests.rules.test_graph import clique, made
from fablewright.systems.relationships import graph
found = made(40, clique(*range(0, 40, 3)) + clique(*range(1, 40, 3)) + clique(*range(2, 40, 3)) + clique(0, 1, 2))
print(graph.communities(found), [graph.centrality(found, m, 40) for m in graph.MEASURES])
"""


@pytest.mark.uncounted
def test_the_same_graph_gives_the_same_answers_in_every_process() -> None:
    told = {
        subprocess.run(
            [sys.executable, "-c", SAME], check=True, capture_output=True, text=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(told) == 1 and "communities" in told.pop()


# -- GraphML -------------------------------------------------------------------------------------------------

HEAD = '<?xml version="1.0"?>\n<graphml>\n<key id="d0" for="edge" attr.name="strength" attr.type="double"/>\n'


def file(body: str, edges: str = "directed") -> str:
    return f'{HEAD}<graph edgedefault="{edges}">\n{body}\n</graph></graphml>'


def test_what_a_file_says() -> None:
    body = (
        '<node id="n1"><data key="label">Anna</data></node><node id="n2"/>\n'
        '<edge source="n1" target="n2"><data key="d0"> 0.5 </data><data key="colour">red</data></edge>\n'
        '<edge source="n2" target="n1" directed="false"/>'
    )
    found = graphml.parsed(file(body))
    assert found.nodes == {"n1": (5, "Anna"), "n2": (5, None)}
    assert [(e.source, e.target, e.line, e.directed) for e in found.edges] == [
        ("n1", "n2", 6, True), ("n2", "n1", 7, False),
    ]  # fmt: skip
    assert found.edges[0].data == {"strength": "0.5", "colour": "red"}


def test_defaults_and_foreign_elements() -> None:
    text = (
        '<g:graphml xmlns:g="http://graphml.graphdrawing.org/xmlns" xmlns:y="urn:y">'
        '<g:key id="k" attr.name="strength" for="edge"><g:default>0.25</g:default></g:key>'
        '<g:key id="n" attr.name="strength" for="node"><g:default>9</g:default></g:key>'
        '<g:graph edgedefault="undirected"><g:node id="a"><y:shape><y:label>X</y:label></y:shape></g:node>'
        '<g:edge source="a" target="a"><g:desc>no</g:desc></g:edge></g:graph></g:graphml>'
    )
    (edge,) = graphml.parsed(text).edges
    assert (edge.data, edge.directed) == ({"strength": "0.25"}, False)


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("", 1, "no XML"),
        ("<graphml>\n<graph>\n</graphml>", 3, "no XML"),
        ("<html/>", 1, "begins with 'html'"),
        ('<!DOCTYPE graphml SYSTEM "file:///etc/passwd"><graphml/>', 1, "document type"),
        ('\n<!DOCTYPE g [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><graphml>&b;</graphml>', 2, "document type"),
        ("<graphml>&unknown;</graphml>", 1, "no XML"),
        (file("<node/>"), 5, "'id'"),
        (file('<node id="a"/>\n<node id="a"/>'), 6, "line 5 already"),
        (file('<edge source="a"/>'), 5, "'target'"),
        (file(f'<node id="{"a" * 501}"/>'), 5, "too long"),
        (file(f'<node id="a"><data key="label">{"a" * 20_001}</data></node>'), 5, "20,000 letters"),
        ("<graphml>" + "<a>" * 16, 1, "deeper"),
        ("<graphml>\ud800</graphml>", 1, "no XML"),
        ("<graphml>\x00</graphml>", 1, "no XML"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(text: str, line: int, what: str) -> None:
    with pytest.raises(Refused) as caught:
        graphml.parsed(text)
    assert (caught.value.code, caught.value.facts["line"]) == ("graphml_invalid", line)
    assert what in str(caught.value) and "Nothing was imported" in str(caught.value)


def test_a_file_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphml, "MOST_CHARACTERS", 2)
    monkeypatch.setattr(graphml, "MOST_TIES", 1)
    graphml.parsed(file('<node id="a"/><node id="b"/><edge source="a" target="b"/>'))
    with pytest.raises(Refused, match="more than 2 nodes"):
        graphml.parsed(file('<node id="a"/><node id="b"/><node id="c"/>'))
    with pytest.raises(Refused, match="more than 1 ties"):
        graphml.parsed(file('<edge source="a" target="b"/>' * 2))


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for whole in (text, file(text)):
        try:
            graphml.parsed(whole)
        except Refused as refused:
            assert refused.code == "graphml_invalid"
