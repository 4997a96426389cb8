"""Worlds of other programs against the database and at the command line: all of it or nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fablewright.cli.application import app
from fablewright.core.refusal import Refused
from fablewright.packs.foreign import read_foreign
from fablewright.packs.reader import Imported, import_pack
from tests.rules.test_import import FILES, database
from tests.support import Person, Server

TREATIES = [
    {"id": 5, "title": "Treaty of Ash", "type": "tribute", "faction_a": 1, "faction_b": 2,
     "start_date": "1010-03-01", "end_date": "1015-03-01",
     "clauses": [{"type": "payment", "payer": 1, "payee": 2, "amount": 30, "period": 30}]},
    {"id": 6, "title": "Truce of Reeds", "type": "ceasefire", "parties": [1, "Elm League"],
     "start_date": "1001-03-01", "end_date": "1002-03-01"},
]  # fmt: skip


def written(folder: Path, **changes: Any) -> Path:
    for name, value in (FILES | changes).items():
        (folder / f"{name}.json").write_text(json.dumps(value, indent=1))
    return folder


async def imported(server: Server, owner: Person, path: Path, **options: Any) -> Imported:
    foreign = read_foreign(path, server.runtime.systems)
    foreign.refuse_unmapped()
    return await import_pack(server.runtime, owner.actor, foreign.pack, **options)


async def test_json_is_a_world_in_one_commit(server: Server, tmp_path: Path) -> None:
    owner = await server.person()
    made = await imported(server, owner, written(tmp_path))
    commits = await server.fetch(
        "SELECT count(DISTINCT xmin::text) FROM events WHERE world_id = $1", made.world_id
    )
    assert commits[0][0] == 1
    rows = await server.fetch(
        "SELECT f.name, l.balance FROM factions f JOIN ledger_accounts l ON l.world_id = f.world_id "
        "AND l.owner_id = f.id WHERE f.world_id = $1 ORDER BY 1", made.world_id,
    )  # fmt: skip
    assert ("The Ash Crown", 400) in [tuple(row) for row in rows]
    assert not [finding for finding in await server.findings() if str(made.world_id) in finding]


async def test_treaties_with_past_dates_are_history(server: Server, tmp_path: Path) -> None:
    owner = await server.person()
    made = await imported(server, owner, written(tmp_path, treaties=TREATIES))
    rows = await server.fetch(
        "SELECT name, state, starts_at < 0 AS past FROM treaties WHERE world_id = $1 ORDER BY name",
        made.world_id,
    )
    assert [tuple(row) for row in rows] == [
        ("Treaty of Ash", "in_force", True), ("Truce of Reeds", "expired", True)
    ]  # fmt: skip


async def test_sqlite_is_a_world(server: Server, tmp_path: Path) -> None:
    owner = await server.person()
    made = await imported(server, owner, database(tmp_path), name="Another")
    rows = await server.fetch(
        "SELECT status, (SELECT count(*) FROM opinions o WHERE o.world_id = r.world_id) AS opinions "
        "FROM relations r WHERE world_id = $1", made.world_id,
    )  # fmt: skip
    assert [tuple(row) for row in rows] == [("hostile", 2)]


async def test_what_the_world_refuses_leaves_nothing(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await server.person()
    monkeypatch.setattr("fablewright.systems.regions.lands.MOST_REGIONS", 1)
    with pytest.raises(Refused) as refused:
        await imported(server, owner, written(tmp_path))
    assert (refused.value.code, refused.value.facts["file"]) == ("pack_invalid", "territories.json")
    assert await server.fetch("SELECT 1 FROM worlds WHERE owner_id = $1", owner.id) == []


def test_the_command_line_tells_first_and_makes_nothing(tmp_path: Path) -> None:
    run = CliRunner()
    folder = written(tmp_path)
    done = run.invoke(app, ["world", "check", str(folder)])
    assert (done.exit_code, "Two Lands has no mistakes" in done.output) == (0, True)
    written(tmp_path, weather=[{"sky": "rain"}])
    done = run.invoke(app, ["world", "check", str(folder)])
    assert done.exit_code == 1
    assert done.output.splitlines() == [
        "Cannot be mapped: weather.json: nothing of a world is called so (1 entry)",
        "fablewright: 1 thing has no place in a world, so nothing was made. Rename what is to have one, or import with "
        "--leave-out. [import_unmapped]",
    ]
    written(tmp_path, factions=[{"name": "Ash", "gold": -5}], relationships=[], npcs=[], territories={})
    done = run.invoke(app, ["world", "import", str(folder), "--owner", "nobody", "--leave-out"])
    assert done.exit_code == 1
    lines = done.output.splitlines()
    assert lines[0].startswith("Cannot be mapped: weather.json")
    assert lines[1].startswith("factions.json, line 4, factions.ash.treasury: ")
    assert lines[2].endswith("The pack has 1 mistake, so nothing was made. [pack_invalid]")
