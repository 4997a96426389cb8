"""Import of social networks: whole files or nothing."""

import os
from pathlib import Path
from uuid import UUID

import pytest

from fablewright.core.refusal import Refused
from fablewright.packs import network
from fablewright.packs.demo import demo_pack, ensure_demo
from fablewright.packs.network import Row, import_network, parse_network, read_network
from tests.support import Server

HEAD = "source,target,weight\n"
GOOD = HEAD + "Ann,Ben,3\nBen,Cid,1\n"


@pytest.mark.parametrize(
    ("text", "line", "field"),
    [
        ("", 1, "source"),
        ("source,weight\nA,1\n", 1, "target"),
        ("source,target,weight,weight\nA,B,1,2\n", 1, "weight"),
        (HEAD, 1, ""),
        (GOOD + ",Dan,1\n", 4, "source"),
        (GOOD + "Dan,  ,1\n", 4, "target"),
        (GOOD + f"Dan,{'x' * 201},1\n", 4, "target"),
        (GOOD + "Dan,Ann,much\n", 4, "weight"),
        (GOOD + "Dan,Ann,0\n", 4, "weight"),
        (GOOD + "Dan,Ann,-1\n", 4, "weight"),
        (GOOD + "Dan,Ann,nan\n", 4, "weight"),
        (GOOD + "Dan,Ann,inf\n", 4, "weight"),
        (GOOD + "Dan,Ann,\n", 4, "weight"),
        (GOOD + "Dan,Dan,1\n", 4, "target"),
        (GOOD + "Ann,Ben,1\n", 4, "target"),
        (GOOD + "\n\nBen,Ann,1\n", 6, "target"),
        (GOOD + "Dan,Ann\n", 4, ""),
        (GOOD + "Dan,Ann,1,2\n", 4, ""),
        (GOOD + '"Dan,Ann,1\n', 4, ""),
        (GOOD + '"D\nan",Ann,x\n', 5, "weight"),
    ],
)
def test_a_bad_row_is_named(text: str, line: int, field: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_network(text, "ties.csv")
    facts = refused.value.facts
    assert (refused.value.code, facts["file"], facts["line"], facts["field"]) == (
        "network_invalid", "ties.csv", line, field,
    )  # fmt: skip
    assert f"line {line}" in refused.value.detail


def test_good_rows_are_read() -> None:
    text = "note, Weight ,source,target\nx, 2.5 , Ann Lee ,Ben\ny,1,Ben,ann lee\n\n"
    assert parse_network(text) == [Row("Ann Lee", "Ben", 2.5), Row("Ben", "ann lee", 1.0)]


def test_too_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "MOST_ROWS", 2)
    assert len(parse_network(GOOD)) == 2
    with pytest.raises(Refused) as refused:
        parse_network(GOOD + "Ann,Cid,1\n")
    assert refused.value.facts["line"] == 4


def test_files_must_be_utf8(tmp_path: Path) -> None:
    file = tmp_path / "ties.csv"
    file.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert len(read_network(file)) == 2
    file.write_bytes(GOOD.encode() + "Zoë,Ann,1\n".encode("latin-1"))
    with pytest.raises(Refused, match="network_invalid"):
        read_network(file)


async def test_a_network_becomes_a_world(server: Server) -> None:
    owner = await server.person()
    seen: list[tuple[int, int]] = []
    done = await import_network(
        server.runtime,
        owner.actor,
        "Net",
        parse_network(GOOD),
        seed=1,
        progress=lambda d, t: seen.append((d, t)),
    )
    assert (done.characters, done.ties, seen[0], seen[-1]) == (3, 4, (0, 7), (7, 7))
    rows = await server.fetch(
        "SELECT name, kind, energy FROM characters WHERE world_id = $1 ORDER BY name", done.world_id
    )
    assert [tuple(row) for row in rows] == [("Ann", "npc", 1.0), ("Ben", "npc", 1.0), ("Cid", "npc", 1.0)]
    ties = await server.fetch(
        "SELECT s.name AS source, t.name AS target, strength, trust FROM ties "
        "JOIN characters s ON (s.world_id, s.id) = (ties.world_id, source_id) "
        "JOIN characters t ON (t.world_id, t.id) = (ties.world_id, target_id) "
        "WHERE ties.world_id = $1 ORDER BY 1, 2",
        done.world_id,
    )
    assert [tuple(tie) for tie in ties] == [
        ("Ann", "Ben", 1.0, 0.5), ("Ben", "Ann", 1.0, 0.5),
        ("Ben", "Cid", 0.5, 0.5), ("Cid", "Ben", 0.5, 0.5),
    ]  # fmt: skip
    head = await server.fetch("SELECT seq FROM world_heads WHERE world_id = $1", done.world_id)
    assert head[0]["seq"] == done.seq
    commits = await server.fetch(
        "SELECT count(DISTINCT xmin::text) FROM events WHERE world_id = $1", done.world_id
    )
    assert commits[0][0] == 1


async def test_the_same_seed_makes_the_same_people(server: Server) -> None:
    owner = await server.person()
    rows = parse_network(GOOD)
    worlds = [await import_network(server.runtime, owner.actor, "Net", rows, seed=s) for s in (1, 1, 2)]
    people = [
        await server.fetch(
            "SELECT id, name, openness, neuroticism FROM characters WHERE world_id = $1 ORDER BY id",
            w.world_id,
        )
        for w in worlds
    ]
    assert people[0] == people[1] != people[2]


async def test_nothing_is_left_of_a_failed_import(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = await server.person()
    bad = [Row("Ann", "Ben", 1.0), Row("Ann", "Ann", 1.0)]  # not through `parse_network`
    with pytest.raises(Refused, match="same_character"):
        await import_network(server.runtime, owner.actor, "Half", bad)
    assert await server.fetch("SELECT 1 FROM worlds WHERE owner_id = $1", owner.id) == []


async def test_thousands_of_ties_fit_one_commit(server: Server) -> None:
    owner = await server.person()
    names = [f"N{n}" for n in range(150)]
    rows = [Row(a, b, 1.0 + n) for n, a in enumerate(names) for b in names[n + 1 :]]
    done = await import_network(server.runtime, owner.actor, "Dense", rows, seed=1)
    assert done.ties == 2 * len(rows) == 22_350
    count = await server.fetch("SELECT count(*) FROM ties WHERE world_id = $1", done.world_id)
    assert count[0][0] == done.ties


async def test_a_real_network(server: Server) -> None:
    folder = os.environ.get("FABLEWRIGHT_TEST_DATA")
    if folder is None:
        pytest.skip("intended: FABLEWRIGHT_TEST_DATA names no folder with lesmis-edges.csv")
    owner = await server.person()
    rows = read_network(Path(folder) / "lesmis-edges.csv")
    done = await import_network(server.runtime, owner.actor, "Paris", rows, seed=1)
    assert (done.characters, done.ties) == (77, 508)


async def test_the_demo_is_made_once(server: Server) -> None:
    owner = await server.person()
    world_id: UUID = await ensure_demo(server.runtime, owner.actor)
    assert await ensure_demo(server.runtime, owner.actor) == world_id
    rows = await server.fetch(
        "SELECT (SELECT count(*) FROM worlds WHERE owner_id = $2) AS worlds, "
        "(SELECT count(*) FROM characters WHERE world_id = $1) AS characters, "
        "(SELECT count(*) FROM ties WHERE world_id = $1) AS ties, "
        "(SELECT enabled FROM directors WHERE world_id = $1) AS directed",
        world_id, owner.id,
    )  # fmt: skip
    counts = demo_pack().counts
    assert counts["characters"] >= 30
    assert tuple(rows[0]) == (1, counts["characters"], counts["ties"], True)
