"""Packs against the database: a world that lived is written, read again, and is the same world."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError

from fablewright.core.clock import HOUR
from fablewright.core.refusal import Refused
from fablewright.packs import demo, writer
from fablewright.packs.demo import demo_pack
from fablewright.packs.reader import Imported, import_pack, read_pack
from fablewright.packs.writer import export_world
from fablewright.systems.characters.commands import CreateCharacter, DeleteCharacter, UpdateCharacter
from fablewright.systems.custom_events.commands import RegisterEventType
from fablewright.systems.dialogue.commands import DefineInteractionType, SetGrammar
from fablewright.systems.dialogue.effects import TypeDefinition
from fablewright.systems.director.commands import ConfigureDirector
from fablewright.systems.memory.commands import MemoryValue, PlantMemory, RestoreMemories
from fablewright.systems.relationships.commands import SetTie
from fablewright.systems.worlds.commands import AdvanceWorld, SetClock, SetMember
from tests.support import Person, Server, until

WORLD = (
    "SELECT name, description, settings, calendar, rate, paused, anchor_world_ms FROM worlds WHERE id = $1"
)
DIRECTOR = "SELECT enabled, beats_per_minute, acts_per_beat FROM directors WHERE world_id = $1"
PLACES = "SELECT id, name, kind, description, tags FROM places WHERE world_id = $1 ORDER BY id"
PATHS = "SELECT low_id, high_id, minutes FROM paths WHERE world_id = $1 ORDER BY 1, 2"
WHERE = """
SELECT id, place_id, home_id, work_id FROM whereabouts
WHERE world_id = $1 AND (place_id, home_id, work_id) IS DISTINCT FROM (NULL, NULL, NULL) ORDER BY id
"""
TYPES = "SELECT name, definition FROM interaction_types WHERE world_id = $1 ORDER BY name"
TEXTS = "SELECT name, content FROM grammars WHERE world_id = $1 ORDER BY name"
MINDS = "SELECT id, memories, unreflected, reflected_at FROM minds WHERE world_id = $1 ORDER BY id"
MEMORIES = """
SELECT character_id, id, fact_id, kind, text, subject_id, about, place_id, at, importance, certainty, valence, secret,
       tellers, heard_from, claim, truth, evidence
FROM memories m WHERE world_id = $1 ORDER BY character_id, fact_id
"""

LIVING = "JOIN characters c ON c.world_id = x.world_id AND c.deleted_at IS NULL AND c.id ="
EARNED = {
    "event types": "SELECT type, description, schema, audience FROM custom_event_types WHERE world_id = $1 ORDER BY 1",
    "currencies": "SELECT code, name, description, max_balance FROM currencies WHERE world_id = $1 ORDER BY 1",
    "balances": f"SELECT owner_id, currency, balance, max_balance FROM ledger_accounts x {LIVING} owner_id "
    "WHERE x.world_id = $1 AND balance > 0 ORDER BY 1, 2",
    "points": "SELECT levels, guards FROM points_settings WHERE world_id = $1",
    "rules": "SELECT key, spec FROM award_rules WHERE world_id = $1 ORDER BY 1",
    "bonuses": "SELECT name, multiplier, rules, from_ms, until_ms FROM bonus_events WHERE world_id = $1 ORDER BY 1",
    "standings": f"SELECT character_id, earned, level, streak, streak_day FROM standings x {LIVING} character_id "
    "WHERE x.world_id = $1 ORDER BY 1",
    "titles": f"SELECT character_id, title, source FROM character_titles x {LIVING} character_id "
    "WHERE x.world_id = $1 ORDER BY 1, 2",
    "achievements": "SELECT key, spec FROM achievements WHERE world_id = $1 ORDER BY 1",
    "unlocks": f"SELECT a.key, character_id, tier, repetition, at FROM achievement_unlocks x {LIVING} character_id "
    "JOIN achievements a ON a.world_id = x.world_id AND a.id = achievement_id WHERE x.world_id = $1 "
    "ORDER BY 1, 2, 3, 4",
    "measures": f"SELECT m.spec::text, subject_id, value, day FROM measure_values x {LIVING} subject_id "
    "JOIN measures m ON m.world_id = x.world_id AND m.id = measure_id WHERE x.world_id = $1 ORDER BY 1, 2",
    "items": f"SELECT m.spec::text, subject_id, item FROM measure_items x {LIVING} subject_id "
    "JOIN measures m ON m.world_id = x.world_id AND m.id = measure_id WHERE x.world_id = $1 ORDER BY 1, 2, 3",
    "boards": "SELECT key, spec FROM boards WHERE world_id = $1 ORDER BY 1",
    "windows": "SELECT key, number, starts_at, ends_at, closed FROM board_windows w "
    "JOIN boards b ON b.world_id = w.world_id AND b.id = w.board_id WHERE w.world_id = $1 ORDER BY 1, 2",
    "entries": f"SELECT b.key, number, subject_id, standing, at FROM board_entries x {LIVING} subject_id "
    "JOIN boards b ON b.world_id = x.world_id AND b.id = board_id WHERE x.world_id = $1 "
    "ORDER BY 1, 2, standing DESC, tie DESC",
}
"""What is earned in a world, and by which rules."""


async def pages(server: Server, owner: Person, path: str) -> list[Any]:
    """All items of a list of the API."""
    items: list[Any] = []
    cursor = ""
    while True:
        answer = await server.client.get(
            f"/api/v1/worlds/{path}", params={"limit": 200, **({"cursor": cursor} if cursor else {})},
            headers=owner.headers,
        )  # fmt: skip
        assert answer.status_code == 200, answer.text
        body = answer.json()
        items += body["items"]
        cursor = body.get("next_cursor") or body.get("cursor") or ""
        if not cursor:
            return items


async def state(server: Server, owner: Person, world_id: UUID) -> dict[str, Any]:
    """All of a world that a pack holds, as it is now."""
    tables = {
        "world": WORLD, "director": DIRECTOR, "places": PLACES, "paths": PATHS, "where": WHERE, "types": TYPES,
        "texts": TEXTS, "minds": MINDS, "memories": MEMORIES, **EARNED,
    }  # fmt: skip
    found: dict[str, Any] = {
        name: [tuple(row) for row in await server.fetch(sql, world_id)] for name, sql in tables.items()
    }
    characters = await pages(server, owner, f"{world_id}/characters")
    found["characters"] = sorted(
        ({**c, "user_id": None} for c in characters), key=lambda c: str(c["id"])
    )  # fmt: skip
    return found


def text_of(folder: Path) -> dict[str, str]:
    """All files of a folder."""
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


async def imported(server: Server, owner: Person, folder: Path, **options: Any) -> Imported:
    return await import_pack(
        server.runtime, owner.actor, read_pack(folder, server.runtime.systems), **options
    )


async def stand_still(server: Server, owner: Person, world_id: UUID) -> None:
    await server.do(SetClock(paused=True), owner.actor, world_id)


def lively(folder: Path) -> Path:
    """The pack of the demo world, but with more life in an hour: villagers act oftener, the bell rings sooner."""
    shutil.copytree(Path(demo.__file__).parent / "data" / demo.DEMO, folder)
    for name, old, new in (
        ("world.yaml", "beats_per_minute: 0.036", "beats_per_minute: 0.5"),
        ("leaderboards.yaml", "length_ms: 86400000", "length_ms: 7200000"),
    ):
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))
    return folder


async def lived(server: Server, owner: Person, folder: Path, hours: int) -> UUID:
    """The demo world after some lively hours, standing still."""
    made = await imported(server, owner, lively(folder), seed=11)
    world_id = made.world_id
    await stand_still(server, owner, world_id)
    await server.do(AdvanceWorld(by_ms=hours * HOUR), owner.actor, world_id)

    async def arrived() -> bool:
        rows = await server.fetch("SELECT advance_id FROM worlds WHERE id = $1", world_id)
        return rows[0]["advance_id"] is None

    await until(arrived, 120)
    return world_id


async def moved(server: Server, world_id: UUID) -> None:
    """Check that hours of village life moved levels, achievements and boards, and broke nothing."""
    rows = await server.fetch(
        "SELECT type, count(*) AS many FROM events WHERE world_id = $1 GROUP BY 1", world_id
    )
    many = {row["type"]: row["many"] for row in rows}
    assert many["points.level_reached"] > 10 and many["achievements.unlocked"] > 10
    assert many["leaderboards.season_ended"] == many["leaderboards.season_rewarded"] == 4
    assert max(many["points.level_reached"], many["achievements.unlocked"]) < many["dialogue.interacted"]
    entries = await server.fetch(
        "SELECT DISTINCT key FROM board_entries e JOIN boards b ON b.world_id = e.world_id AND b.id = e.board_id "
        "WHERE e.world_id = $1", world_id,
    )  # fmt: skip
    assert len(entries) == 3
    wicks = "SELECT sum(balance) AS wicks FROM ledger_accounts WHERE world_id = $1 AND currency = 'wick'"
    assert (await server.fetch(wicks, world_id))[0]["wicks"] >= 4
    assert await server.fetch("SELECT error FROM dead_letters WHERE world_id = $1", world_id) == []


@pytest.mark.uncounted
async def test_a_world_that_lived_is_the_same_after_export_and_import(server: Server, tmp_path: Path) -> None:
    owner = await server.person()
    world_id = await lived(server, owner, tmp_path / "demo", 8)
    await moved(server, world_id)
    # And some of what hours of village life may not bring.
    await server.do(
        DefineInteractionType(
            name="duel", definition=TypeDefinition(summary="A duel.", like="conflict", hostile=True)
        ),
        owner.actor, world_id,
    )  # fmt: skip
    await server.do(
        ConfigureDirector(enabled=False, beats_per_minute=3, acts_per_beat=2), owner.actor, world_id
    )
    (first, second, gone) = (
        row["id"]
        for row in await server.fetch(
            "SELECT id FROM characters WHERE world_id = $1 ORDER BY id LIMIT 3", world_id
        )
    )
    rumour = PlantMemory(
        character_id=first, text="They say it was not lightning.", about_ids=[gone, second], kind="told",
        tellers=[gone], certainty=0.4, truth="It was.", is_secret=True, fact_id=uuid4(),
    )  # fmt: skip
    await server.do(rumour, owner.actor, world_id)
    schema = {
        "type": "object",
        "properties": {"score": {"$ref": "#/$defs/a"}},
        "$defs": {"a": {"maximum": 1.5}},
    }
    kind = RegisterEventType(type="game.scored", data_schema=schema, description="A: b", audience="subject")
    await server.do(kind, owner.actor, world_id)
    await server.do(
        CreateCharacter(name="Über Gast\u2028!", kind="player", user_id=owner.id, description="a: b\n\n  c\t"),
        owner.actor, world_id,
    )  # fmt: skip
    await server.do(DeleteCharacter(character_id=gone), owner.actor, world_id)

    one, two = tmp_path / "one", tmp_path / "two"
    exported = await export_world(server.runtime, world_id, one)
    assert exported.counts["characters"] == demo_pack().counts["characters"]
    assert exported.counts["memories"] > 36
    copy = await imported(server, owner, one)
    assert copy.world_id != world_id
    await export_world(server.runtime, copy.world_id, two)
    for name, text in text_of(one).items():
        assert text_of(two)[name] == text, name

    before, after = await state(server, owner, world_id), await state(server, owner, copy.world_id)
    for what in before:
        for old, new in zip(before[what], after[what], strict=True):
            assert new == old, what
    assert await ties(server, world_id) == await ties(server, copy.world_id)
    ours = (str(world_id), str(copy.world_id))
    assert [f for f in await server.findings() if f.endswith(tuple(f"({w})" for w in ours))] == []
    log = await server.fetch("SELECT seq FROM events WHERE world_id = $1 ORDER BY seq", copy.world_id)
    assert [row["seq"] for row in log] == list(range(1, (copy.seq or 0) + 1))


async def ties(server: Server, world_id: UUID) -> list[Any]:
    """The ties of a world as they are now; the events of their reasons stay behind."""
    from dataclasses import replace

    from fablewright.systems.relationships.rules import labelled
    from fablewright.systems.relationships.service import COLUMNS, state_of

    now = (await server.fetch("SELECT anchor_world_ms AS now FROM worlds WHERE id = $1", world_id))[0]["now"]
    found = []
    for row in await server.fetch(
        f"SELECT {COLUMNS} FROM ties t WHERE world_id = $1 ORDER BY source_id, target_id", world_id
    ):
        tie = state_of(row).now(now)
        found.append((
            row["source_id"], row["target_id"],
            replace(
                tie, felt_at=now, labels=labelled(tie.labels, tie.strength, tie.trust, tie.familiarity),
                reasons=tuple(replace(r, event_id=None) for r in tie.reasons),
            ),
        ))  # fmt: skip
    assert found
    return found


async def test_it_goes_on_after_it_was_imported(server: Server, tmp_path: Path) -> None:
    owner = await server.person()
    world_id = await lived(server, owner, tmp_path / "demo", 2)
    await export_world(server.runtime, world_id, tmp_path / "one", with_seed=True)
    copy = await imported(server, owner, tmp_path / "one")
    seeds = await server.fetch(
        "SELECT DISTINCT seed FROM worlds WHERE id IN ($1, $2)", world_id, copy.world_id
    )
    assert len(seeds) == 1
    await server.do(AdvanceWorld(by_ms=2 * HOUR), owner.actor, copy.world_id)

    async def spoken_of() -> list[Any]:
        return await server.fetch(
            "SELECT m ->> 'memory_id' AS id FROM events e, jsonb_array_elements(e.data -> 'mentions') m "
            "WHERE e.world_id = $1 AND e.type = 'dialogue.interacted'",
            copy.world_id,
        )

    assert await until(spoken_of, 60), "what came along is spoken of"
    assert [finding for finding in await server.findings() if str(copy.world_id) in finding] == []


SMALL = {
    "world.yaml": "name: Small\npaused: true\nbegins_at: 3600000\nsettings: {a: 1.0, b: [yes, null]}\n",
    "places.yaml": "places: {mill: {name: Mill, ways: {mead: 2.5}}, mead: {name: Mead}}\n",
    "characters.yaml": "characters:\n  orla: {name: Orla Fen, place: mill, home: mead}\n  bram: {name: Bram}\n",
    "ties.yaml": "ties:\n  - {from: orla, to: bram, strength: 0.1, trust: 0.3, because: he sang}\n",
}


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A pack of two characters."""
    folder = tmp_path / "small"
    folder.mkdir()
    for name, text in SMALL.items():
        (folder / name).write_text(text)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


async def test_the_file_of_an_export_is_made_to_be_read(server: Server, small: Path, tmp_path: Path) -> None:
    owner = await server.person()
    made = await imported(server, owner, small, name="Another", seed=5)
    await export_world(server.runtime, made.world_id, tmp_path / "out")
    files = text_of(tmp_path / "out")
    assert {name: text for name, text in files.items() if not name.startswith("schemas/")} == {
        "world.yaml": "# yaml-language-server: $schema=schemas/world.schema.json\n"
        "name: Another\nbegins_at: 3600000\npaused: true\nsettings:\n  a: 1.0\n  b: [\"yes\", null]\n",
        "places.yaml": "# yaml-language-server: $schema=schemas/places.schema.json\n"
        "places:\n  mead:\n    name: Mead\n    ways:\n      mill: 2.5\n  mill:\n    name: Mill\n",
        "characters.yaml": "# yaml-language-server: $schema=schemas/characters.schema.json\n"
        "characters:\n  bram:\n    name: Bram\n  orla:\n    name: Orla Fen\n    home: mead\n    place: mill\n",
        "ties.yaml": "# yaml-language-server: $schema=schemas/ties.schema.json\n"
        "ties:\n  - from: orla\n    to: bram\n    strength: 0.1\n    trust: 0.3\n    reasons:\n"
        "      - {at: 3600000, why: he sang, strength: 0.1, trust: -0.2}\n",
    }  # fmt: skip
    assert "$schema" in files["schemas/ties.schema.json"]
    assert "seed" not in files["world.yaml"]


async def test_an_import_is_one_commit_or_nothing(server: Server, small: Path) -> None:
    owner = await server.person()
    made = await imported(server, owner, small)
    commits = await server.fetch(
        "SELECT count(DISTINCT xmin::text) FROM events WHERE world_id = $1", made.world_id
    )
    assert commits[0][0] == 1
    await server.do(
        SetMember(user_id=(await server.person()).id, role="player"), owner.actor, made.world_id
    )  # fmt: skip
    with pytest.raises(Refused, match="world_id_taken"):
        await imported(server, owner, small, world_id=made.world_id)


async def test_what_the_world_refuses_is_told_with_its_place(
    server: Server, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as something that the reader cannot know: here, a limit of the world."""
    monkeypatch.setattr("fablewright.systems.regions.service.MOST_PLACES", 1)
    owner = await server.person()
    with pytest.raises(Refused) as refused:
        await imported(server, owner, small)
    facts = refused.value.facts
    assert (refused.value.code, facts["cause"], facts["file"]) == (
        "pack_invalid", "too_many_places", "places.yaml"
    )  # fmt: skip
    assert await server.fetch("SELECT 1 FROM worlds WHERE owner_id = $1", owner.id) == []


async def test_a_folder_with_something_in_it_is_kept(server: Server, small: Path, tmp_path: Path) -> None:
    owner = await server.person()
    made = await imported(server, owner, small)
    runtime, out = server.runtime, tmp_path / "out"

    async def code(**options: Any) -> str:
        with pytest.raises(Refused) as refused:
            await export_world(runtime, made.world_id, out, **options)
        return refused.value.code

    out.mkdir()
    await export_world(runtime, made.world_id, out)  # an empty one is taken
    first = text_of(out)
    assert await code() == "folder_not_empty"
    (out / "places.yaml").write_text("# changed")
    await export_world(runtime, made.world_id, out, force=True)
    assert text_of(out) == first
    (out / "notes.txt").write_text("mine")
    assert await code(force=True) == "folder_holds_others"
    assert (out / "notes.txt").read_text() == "mine"
    out = tmp_path / "no" / "where"
    assert await code() == "folder_missing"
    with pytest.raises(Refused, match="world_not_found"):
        await export_world(runtime, uuid4(), tmp_path / "none")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "small"]


async def test_an_export_that_fails_leaves_nothing_and_takes_nothing(
    server: Server, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await server.person()
    made = await imported(server, owner, small)
    out = tmp_path / "out"
    await export_world(server.runtime, made.world_id, out)
    before = text_of(out)

    def disk_full(*_: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(writer, "_check_written", disk_full)
    with pytest.raises(OSError, match="no space"):
        await export_world(server.runtime, made.world_id, out, force=True)
    assert text_of(out) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "small"]


async def test_texts_and_feelings_come_along(server: Server, small: Path, tmp_path: Path) -> None:
    owner = await server.person()
    made = await imported(server, owner, small)
    (orla,) = await server.fetch(
        "SELECT id FROM characters WHERE world_id = $1 AND name LIKE 'Orla%'", made.world_id
    )
    (bram,) = await server.fetch(
        "SELECT id FROM characters WHERE world_id = $1 AND name = 'Bram'", made.world_id
    )
    await server.do(
        UpdateCharacter(
            character_id=orla["id"], energy=0.25, status="asleep",
            emotion={"pleasure": 0.1, "arousal": -0.7, "dominance": 1 / 3},
        ),
        owner.actor, made.world_id,
    )  # fmt: skip
    await server.do(
        SetTie(source_id=bram["id"], target_id=orla["id"], strength=1 / 3, trust=0.9, labels=["kin"]),
        owner.actor, made.world_id,
    )  # fmt: skip
    await server.do(SetGrammar(name="local", content={"replace": False}), owner.actor, made.world_id)
    await export_world(server.runtime, made.world_id, tmp_path / "one")
    copy = await imported(server, owner, tmp_path / "one")
    await export_world(server.runtime, copy.world_id, tmp_path / "two")
    assert text_of(tmp_path / "one") == text_of(tmp_path / "two")
    before, after = await state(server, owner, made.world_id), await state(server, owner, copy.world_id)
    assert after == before
    assert before["characters"][0]["energy"] in (0.25, 1.0)
    assert "texts/local.yaml" in text_of(tmp_path / "one")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, None),
        ({"place_id": UUID(int=7)}, "place_not_found"),
        ({"at": 3_600_001}, "memory_in_the_future"),
        ({"fact_id": UUID(int=1)}, "memory_exists"),
    ],
)
async def test_memories_are_restored_or_refused(
    server: Server, small: Path, change: dict[str, Any], code: str | None
) -> None:
    owner = await server.person()
    made = await imported(server, owner, small)
    orla = (await server.fetch("SELECT id FROM characters WHERE world_id = $1 ORDER BY name", made.world_id))[
        1
    ]["id"]

    async def restore(**values: Any) -> Any:
        memory = MemoryValue(**{"fact_id": uuid4(), "kind": "saw", "text": "It rained.", "at": 0, **values})
        command = RestoreMemories(character_id=orla, memories=[memory], unreflected=0.5)
        return await server.do(command, owner.actor, made.world_id)

    assert await restore(fact_id=UUID(int=1)) == {"memories": 1}
    if code is None:
        assert await restore(**change) == {"memories": 1}
        minds = await server.fetch("SELECT memories, unreflected FROM minds WHERE id = $1", orla)
        assert [tuple(m) for m in minds if m["memories"] == 2] == [(2, 0.5)]
    else:
        with pytest.raises(Refused, match=code):
            await restore(**change)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "told"},
        {"tellers": [UUID(int=1)]},
        {"kind": "told", "tellers": [UUID(int=1)] * 2},
        {"kind": "told", "tellers": [UUID(int=9)]},
        {"kind": "reflection", "subject_id": UUID(int=1)},
        {"kind": "reflection", "evidence": [UUID(int=1)]},
        {"evidence": [UUID(int=1)]},
    ],
)
def test_a_memory_that_does_not_fit_together_is_no_command(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RestoreMemories(
            character_id=UUID(int=9),
            memories=[{"fact_id": UUID(int=2), "kind": "saw", "text": "x", "at": 0, **wrong}],
        )
