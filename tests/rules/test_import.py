"""Worlds of other programs: JSON with lines, names that mean the same, what has no place, and every fault."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fablewright.app import BUILT_IN
from fablewright.core.clock import DAY
from fablewright.core.refusal import Refused
from fablewright.packs import demo
from fablewright.packs.foreign import Foreign, is_foreign, read_foreign
from fablewright.packs.json_text import parse_json
from fablewright.packs.names import candidates, names, plain
from fablewright.packs.sections import sections_of
from fablewright.packs.shapes import shapes_of
from fablewright.packs.syntax import SyntaxFault, parse
from fablewright.packs.tables import MOST_TABLES
from tests.rules.test_packs import same

# JSON.

values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=9), inner,
                        max_size=4),
    ),
    max_leaves=20,
)  # fmt: skip


@given(values, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_what_json_writes_is_read(value: Any, indent: Any, ascii_only: bool) -> None:
    assert same(parse_json(json.dumps(value, indent=indent, ensure_ascii=ascii_only)).plain(), value)


@given(st.text(alphabet='{}[]",:0 .eE-+\\utrfalsn\n', max_size=30))
def test_what_is_no_json_is_refused_as_json_refuses_it(text: str) -> None:
    def strict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) < len(pairs):
            raise ValueError("twice")
        return dict(pairs)

    try:
        expected = json.loads(text, object_pairs_hook=strict)
    except ValueError:
        with pytest.raises(SyntaxFault):
            parse_json(text)
    else:
        assert same(parse_json(text).plain(), expected)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "the text ends too early"),
        ('{\n"a": 1,\n}', 2, "a `,` stands before"),
        ('[1\n2]', 2, "a `,` or `]` must stand here"),
        ('{"a": 1,\n "a": 2}', 2, "'a' stands in line 1 already"),
        ("{a: 1}", 1, "a name in quotes"),
        ('{"a"\n 1}', 2, "a `:` must follow"),
        ('\n"\\ud800"', 2, "half of a surrogate pair"),
        ('"\\u0000"', 1, "U+0000"),
        ('"\n"', 1, "invalid control character"),
        ("[NaN]", 1, "'N' begins no value"),
        ("9" * 41, 1, "at most 40 digits"),
        ("[" * 40, 1, "nest more than"),
        ("{} {}", 1, "something stands behind its end"),
    ],
)  # fmt: skip
def test_faults_of_json_have_their_lines(text: str, line: int, said: str) -> None:
    with pytest.raises(SyntaxFault) as fault:
        parse_json(text)
    assert (fault.value.line, said in fault.value.message) == (line, True), fault.value.message


# Names.


def test_names_are_compared_by_their_words() -> None:
    assert [plain(n) for n in ("factionID", "Faction Id", "faction-id", "startDate", "x1")] == [
        "faction_id", "faction_id", "faction_id", "start_date", "x1"
    ]  # fmt: skip
    assert candidates("leader_id") == ["leader_id", "leader"]
    assert candidates("id") == ["id"]


def test_all_that_the_table_names_is_there() -> None:
    """Each section, field and part that an alias leads to exists, so that none leads nowhere."""
    from fablewright.packs.fitting import VIRTUAL

    sections = {s.name: s for s in sections_of(BUILT_IN)}
    table = names()
    later = {"treaties"} - sections.keys()
    assert set(table.sections.values()) - later <= sections.keys()
    for part in table.parts.values():
        assert part.of in later or part.field in shapes_of(sections[part.of].entry), part
    for section, fields in table.fields.items():
        if section == "*" or section in later or section in ("markets",):
            continue
        known = shapes_of(sections[section].entry).keys() | VIRTUAL.get(section, {}).keys()
        for path in fields.values():
            assert path.partition(".")[0] in known, (section, path)


# Folders of JSON.

FACTIONS = [
    {"id": 1, "name": "The Ash Crown", "type": "kingdom", "gold": 400, "aggression": 0.8, "leader_id": 11,
     "capital": "Ashvale", "founded": "1000-01-01"},
    {"id": 2, "name": "Elm League", "traits": {"mercantile": 0.9}},
]  # fmt: skip
CHARACTERS = [
    {"id": 11, "name": "Queen Ysmay", "faction_id": 1, "type": "NPC", "openness": 0.9},
    {"id": 12, "name": "Corvin Hale", "faction": "elm league", "role": "ambassador", "tags": "tall, loud"},
]
REGIONS = {
    "ashvale": {"name": "Ashvale", "biome": "hills", "owner": 1, "neighbours": {"fens": 600}},
    "fens": {"name": "The Fens", "owner": "Elm League"},
}
RELATIONSHIPS = [
    {"faction_a": 1, "faction_b": 2, "status": "Peace", "opinion": -20, "tension": 30},
    {"faction_a": "Elm League", "faction_b": "The Ash Crown", "opinion": 15, "trust": 0.25},
    {"source": 11, "target": 12, "strength": 0.4},
]
WORLD = {"name": "Two Lands", "begins_at": "1012-03-01T06:00:00", "paused": True}
FILES: dict[str, Any] = {
    "world": WORLD, "factions": FACTIONS, "npcs": {"npcs": CHARACTERS}, "territories": REGIONS,
    "relationships": RELATIONSHIPS,
}  # fmt: skip


WARS = [
    {"id": "w1", "aggressor": 1, "defender_id": 2, "start_date": "1011-03-01", "casus_belli": "conquest"},
    {"id": "w2", "attacker": "Elm League", "victim": 1, "start": "1000-01-01", "end": "1002-01-01"},
]
BELLIGERENTS = [
    {"war_id": "w1", "faction": "The Ash Crown", "losses": 40},
    {"war_id": "w2", "faction": 1, "role": "defender", "casualties": 7, "joined": "1000-01-05"},
]
OCCUPIED = [
    {"war": "w1", "region": "fens", "owner": 1, "taken_by": 2},
    {
        "war": "w2",
        "region": "fens",
        "owner": 1,
        "taken_by": 2,
        "start_date": "1001-01-01",
        "end_date": "1001-01-03",
    },
]
QUARRELS: dict[str, Any] = {
    "incidents": [
        {
            "id": 7,
            "type": "spying",
            "victim": 1,
            "culprit": "Elm League",
            "severity": 0.5,
            "happened_at": "1011-03-01",
        }
    ],
    "coalitions": [{"id": 1, "against": 2, "start": "1010-01-01"}],
    "coalition_members": [{"coalition_id": 1, "faction_id": 1, "fear": 40, "joined": "1011-01-01"}],
    "sanctions": [
        {"id": 1, "target": 2, "type": "embargo", "why": "tolls", "members": [1]},
        {
            "id": 2,
            "target": 2,
            "type": "travel_ban",
            "why": "spies",
            "members": [{"faction": 1}],
            "incident": 7,
        },
        {"id": 3, "target": 1, "type": "embargo", "why": "tolls", "imposed_at": "1011-01-01"},
    ],
    "sanction_members": [{"id": 9, "sanction": 3, "faction": "Elm League", "joined_at": "1011-02-01"}],
}
"""Members stand in the entry, as ids or as objects, or in a table of their own."""


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """`folder(factions=[…])`: the folder with some files changed; None leaves one out."""

    def made(**changes: Any) -> Path:
        for name, value in (FILES | changes).items():
            path = tmp_path / f"{name}.json"
            path.unlink(missing_ok=True)
            if value is not None:
                path.write_text(value if isinstance(value, str) else json.dumps(value, indent=1))
        return tmp_path

    return made


def commands(foreign: Foreign) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for command in foreign.pack.commands:
        found.setdefault(command.message_type, []).append(command)
    return found


def test_wars_and_what_is_taken_in_them_become_those_of_a_world(folder: Callable[..., Path]) -> None:
    relations = [{"faction_a": 1, "faction_b": 2, "status": "at war"}, RELATIONSHIPS[2]]
    found = commands(
        read_foreign(
            folder(wars=WARS, belligerents=BELLIGERENTS, occupied_regions=OCCUPIED, relationships=relations),
            BUILT_IN,
        )
    )
    ash, elm = (faction.id for faction in found["factions.found_faction"])
    feud, old = found["diplomacy.import_war"]
    assert (feud.attacker_id, feud.defender_id, feud.cause, feud.ended_at) == (ash, elm, "conquest", None)
    assert (old.attacker_id, old.defender_id, old.ended_at - old.since) == (elm, ash, 730 * DAY)
    assert [(p.faction_id, p.losses) for p in feud.parties] == [(ash, 40.0)]
    assert [(o.holder_id, o.occupier_id) for o in feud.occupations] == [(ash, elm)]
    assert [(p.side, p.losses, p.since - old.since) for p in old.parties] == [("defender", 7.0, 4 * DAY)]
    assert [(o.since - old.since, o.until - old.since) for o in old.occupations] == [(365 * DAY, 367 * DAY)]


def test_quarrels_and_who_takes_part_in_them_become_those_of_a_world(folder: Callable[..., Path]) -> None:
    foreign = read_foreign(folder(**QUARRELS), BUILT_IN)
    assert foreign.unmapped == ()
    found = commands(foreign)
    ash, elm = (faction.id for faction in found["factions.found_faction"])
    (spied,) = found["diplomacy.import_incident"]
    assert (spied.injured_id, spied.accused_id, spied.since < -365 * DAY) == (ash, elm, True)
    (league,) = found["diplomacy.import_coalition"]
    assert [(m.faction_id, m.fear, m.since - league.since) for m in league.members] == [
        (ash, 40.0, 365 * DAY)
    ]
    one, ban, other = found["diplomacy.import_sanction"]
    assert [[m.faction_id for m in each.members] for each in (one, ban, other)] == [[ash], [ash], [elm]]
    assert (ban.incident_id, other.members[0].since - other.since) == (spied.id, 31 * DAY)


def test_what_may_as_well_be_something_else_is_left_aside(folder: Callable[..., Path]) -> None:
    """What a person lives by is no part of a war, and a conflict of a story is none."""
    foreign = read_foreign(
        folder(occupations=[{"id": 1, "name": "Smith"}], conflicts=[{"title": "Love against duty"}]), BUILT_IN
    )
    assert sorted(foreign.lines()) == [
        f"{file}.json: nothing of a world is called so (1 entry)" for file in ("conflicts", "occupations")
    ]


def test_a_folder_of_json_becomes_a_world(folder: Callable[..., Path]) -> None:
    foreign = read_foreign(folder(), BUILT_IN)
    assert foreign.unmapped == ()
    found = commands(foreign)
    ash, elm = found["factions.found_faction"]
    ysmay, corvin = found["characters.create_character"]
    assert (ash.name, ash.kind, ash.treasury, ash.traits.aggressive, ash.leader_id) == (
        "The Ash Crown", "kingdom", 400, 0.8, ysmay.id
    )  # fmt: skip
    assert ash.founded_at < -12 * 365 * DAY
    assert (ysmay.kind, ysmay.personality.openness, corvin.tags) == ("npc", 0.9, ["tall", "loud"])
    assert [(m.character_id, m.role) for m in elm.members] == [(corvin.id, "ambassador")]
    assert [(c.region_id, c.controller_id) for c in found["regions.set_control"]] == [
        (ash.capital_id, ash.id), (found["regions.define_regions"][0].regions[1].id, elm.id)
    ]  # fmt: skip
    (relation,) = found["diplomacy.set_relations"][0].relations
    assert (relation.status, relation.tension, relation.trust_back) == ("neutral", 30, 0.25)
    assert [o.amount for o in (*relation.opinions, *relation.opinions_back)] == [-20, 15]
    (tie,) = found["relationships.set_ties"][0].ties
    assert (tie.source_id, tie.target_id, tie.strength) == (ysmay.id, corvin.id, 0.4)
    assert found["worlds.create_world"][0].begins_at == 0


def test_what_two_files_say_of_a_member_comes_together(folder: Callable[..., Path]) -> None:
    members = [{"faction": 2, "npc": 12, "rank": "officer"}, {"faction": 2, "npc": 12, "rank": "officer"}]
    _, elm = commands(read_foreign(folder(memberships=members), BUILT_IN))["factions.found_faction"]
    assert [(m.rank, m.role) for m in elm.members] == [("officer", "ambassador")]


def test_the_epoch_says_which_date_is_world_time_0(folder: Callable[..., Path]) -> None:
    foreign = read_foreign(folder(), BUILT_IN, epoch="1012-02-29T06:00:00")
    assert commands(foreign)["worlds.create_world"][0].begins_at == DAY
    with pytest.raises(Refused, match="epoch_invalid"):
        read_foreign(folder(), BUILT_IN, epoch="yesterday")
    with pytest.raises(Refused) as refused:
        read_foreign(folder(world=None), BUILT_IN)
    assert "say with --epoch" in refused.value.detail


def test_what_has_no_place_is_told_before_anything_is_made(folder: Callable[..., Path]) -> None:
    factions = [{**faction, "motto": "Burn", "crest": None} for faction in FACTIONS]
    people = [*CHARACTERS, {"name": "Tom", "role": "miller"}]
    world = [WORLD, {"name": "Three Lands"}]
    foreign = read_foreign(
        folder(weather=[{"sky": "rain"}] * 3, factions=factions, npcs=people, world=world), BUILT_IN
    )
    assert foreign.lines() == [
        "weather.json: nothing of a world is called so (3 entries)",
        "world.json: it is not the first row of world (1 entry)",
        "factions.json, motto: no field of factions takes it (2 times, first in line 11)",
        "npcs.json, role: it does not say of which faction (in line 18)",
    ]
    with pytest.raises(Refused) as refused:
        foreign.refuse_unmapped()
    assert (refused.value.code, refused.value.facts["count"]) == ("import_unmapped", 4)


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({"factions": [{"name": "Ash", "gold": -5}, {"gold": "much"}]},
         ["factions.json, line 4, factions.ash.treasury: input should be greater than or equal to 0",
          "factions.json, line 6, factions.factions.name: it is missing",
          "factions.json, line 7, factions.factions.treasury: input should be a valid integer"]),
        ({"factions": "[1, 2"}, ["factions.json, line 1: it is no JSON: a `,` or `]` must stand here"]),
        ({"factions": [*FACTIONS, 7]}, ["line 19, factions.factions: it must hold fields"]),
        ({"relationships": [{"from": 1, "to": 99}]},
         ["relationships.json, line 2: it stands neither between two of the factions nor"]),
        ({"relationships": [{"from": 1, "to": 2, "tension": 5}, {"from": 2, "to": 1, "tension": 6}]},
         ["relationships.json, line 10, tension: the row of the other direction says 5, this one 6"]),
        ({"factions": [{"id": 1, "name": "Ash"}, {"id": 1, "name": "Elm"}]},
         ["factions.json, line 6, id: 1 stands in factions.json, line 2 already: give one of the two another"]),
        ({"factions": [{"key": "ash", "name": "Ash"}, {"key": "ash", "name": "Elm"}]},
         ["factions.json, line 6, key: 'ash' stands in factions.json, line 2 already"]),
        ({"factions": [{"id": 1, "name": "Ash"}, {"key": "1", "name": "Elm"}]},
         ["factions.json, line 6, key: '1' stands in factions.json, line 2 already"]),
        ({"factions": {"ash": {"name": "The Ash Crown"}, "1": {"id": 3, "name": "Birch"}},
          "nations": {"ash": {"name": "Ashmark"}, "elm": {"id": 1, "name": "Elm"}}},
         ["nations.json, line 2: 'ash' stands in factions.json, line 2 already",
          "nations.json, line 5, id: 1 stands in factions.json, line 5 already"]),
        ({"memberships": [{"faction": 1, "npc": 12, "role": role} for role in ("general", "spymaster")]},
         ["memberships.json, line 7, members: 'corvin_hale' stands there twice, and not the same: keep one"]),
        ({"factions": [{"name": "Ash", "members": {"11": {}, "Queen Ysmay": {"rank": "lord"}}}]},
         ["members: 'queen_ysmay' stands there twice, and not the same"]),
        ({"memberships": [{"faction": 2, "npc": 12, "role": "general"}]},
         ["npcs.json, line 14, role: 'role' stands there twice, and not the same"]),
        ({"worlds": {"name": "Three Lands"}}, ["worlds.json, line 1: 'world' stands in world.json, line 1 already"]),
        ({"relations": [{"from": 1, "to": 99}]}, ["relations.json, line 4, relations[1].to: it names none of"]),
        ({"territories": {"fens": {"name": "F", "owner": "Nobody"}}},
         ["territories.json, line 4, controller: it names none of the factions: 'Nobody'"]),
        ({"world": {"name": "W", "begins_at": "1012-03-01", "rate": "fast"}},
         ["world.json, line 4, rate: input should be a valid number"]),
    ],
)  # fmt: skip
def test_every_fault_is_told_with_its_place(
    folder: Callable[..., Path], changes: dict[str, Any], faults: list[str]
) -> None:
    with pytest.raises(Refused) as refused:
        read_foreign(folder(**changes), BUILT_IN)
    assert refused.value.code == "pack_invalid"
    for fault in faults:
        assert fault in refused.value.detail


@pytest.mark.parametrize(
    ("name", "others", "said"),
    [
        ("Ash", {"relationships": [{"from": "Ash", "to": 2}]}, "neither between"),
        ("ash", {"relationships": [{"from": "ash", "to": 2}]}, "neither between"),
        ("ash", {"relations": [{"from": "ash_2", "to": 1}]}, "none of the factions, or several ('ash_2')"),
        ("ash", {"relations": [{"from": "ash", "to": 2}]}, "relations.json, line 3, from: it names none of the"),
        ("ash", {"territories": [{"name": "Fens", "owner": "ash"}]}, "none of the factions, or several ('ash')"),
        ("ash", {"opinions": [{"holder": "ash", "about": 2, "amount": 3}]}, "none of the factions ('ash')"),
    ],
)  # fmt: skip
def test_names_that_two_have_find_neither(
    folder: Callable[..., Path], name: str, others: dict[str, Any], said: str
) -> None:
    """Nor does the key that was made of the name for the first of the two."""
    factions = [{"id": n, "name": name} for n in (1, 2)]
    files = {"npcs": None, "territories": None, "relationships": None} | others
    with pytest.raises(Refused) as refused:
        read_foreign(folder(factions=factions, **files), BUILT_IN)
    assert said in refused.value.detail


@pytest.mark.parametrize("ids", [("b7", "ash"), (1, 2)])
def test_ids_go_before_names(folder: Callable[..., Path], ids: tuple[Any, Any]) -> None:
    """The first is named as the second is known."""
    factions = [
        {"id": ids[0], "name": str(ids[1])},
        {"id": ids[1], "name": "Elm"},
        {"id": "oak", "name": "Oak"},
    ]
    relations = [{"from": ids[1], "to": "oak"}]
    found = commands(
        read_foreign(
            folder(factions=factions, npcs=None, territories=None, relationships=None, relations=relations),
            BUILT_IN,
        )
    )
    names = {faction.id: faction.name for faction in found["factions.found_faction"]}
    (relation,) = found["diplomacy.set_relations"][0].relations
    assert (names[relation.a_id], names[relation.b_id]) == ("Elm", "Oak")


def test_a_reference_that_is_null_is_none(folder: Callable[..., Path]) -> None:
    factions = [{**faction, "leader_id": None, "capital": None} for faction in FACTIONS]
    for faction in commands(read_foreign(folder(factions=factions), BUILT_IN))["factions.found_faction"]:
        assert (faction.leader_id, faction.capital_id) == (None, None)


# SQLite.

SCRIPT = """
CREATE TABLE world (key TEXT, value TEXT);
INSERT INTO world VALUES ('name', 'Two Lands'), ('description', 'From a file.');
CREATE TABLE factions (id INTEGER PRIMARY KEY, name TEXT, treasury INTEGER, traits TEXT, is_ai INTEGER, crest TEXT);
INSERT INTO factions VALUES (1, 'Ash', 400, '{"aggressive": 0.8}', 1, NULL), (2, 'Elm', 50, NULL, 0, NULL);
CREATE TABLE characters (id TEXT, full_name TEXT);
INSERT INTO characters VALUES ('c-1', 'Queen Ysmay'), ('c-2', 'Corvin Hale');
CREATE TABLE faction_members (id INTEGER, faction_id INTEGER, character_id TEXT, role TEXT);
INSERT INTO faction_members VALUES (1, 1, 'c-1', NULL), (2, 2, 'c-2', 'ambassador');
CREATE TABLE regions (id INTEGER, name TEXT, controlled_by INTEGER);
INSERT INTO regions VALUES (1, 'Ashvale', 1), (2, 'The Fens', 2);
CREATE TABLE borders (region_a INTEGER, region_b INTEGER, minutes REAL);
INSERT INTO borders VALUES (1, 2, 90);
CREATE TABLE relationships (a INTEGER, b INTEGER, status TEXT);
INSERT INTO relationships VALUES (1, 2, 'hostile');
CREATE TABLE opinions (faction_id INTEGER, about_id INTEGER, key TEXT, amount REAL, reason TEXT);
INSERT INTO opinions VALUES (2, 1, 'raid', -30, 'the raid on the fens'), (1, 2, 'toll', -5, 'their tolls');
CREATE TABLE goods (code TEXT, base_price REAL);
INSERT INTO goods VALUES ('iron', 12);
CREATE TABLE trade_routes (from_region INTEGER, to_region INTEGER, good TEXT, volume REAL);
INSERT INTO trade_routes VALUES (1, 2, 'iron', 3);
CREATE VIEW treaties AS SELECT 1 AS id;
"""


def database(path: Path, *more: str) -> Path:
    file = path / "lands.db"
    with closing(sqlite3.connect(file)) as opened:
        opened.executescript(SCRIPT)
        for statement in more:
            opened.execute(statement)
        opened.commit()
    return file


def test_tables_of_the_same_names_become_a_world(tmp_path: Path) -> None:
    file = database(tmp_path)
    before = file.read_bytes()
    assert is_foreign(file)
    foreign = read_foreign(file, BUILT_IN)
    assert foreign.unmapped == ()
    found = commands(foreign)
    assert (found["worlds.create_world"][0].name, foreign.pack.counts["regions"]) == ("Two Lands", 2)
    ash, elm = found["factions.found_faction"]
    assert (ash.traits.aggressive, ash.self_run, elm.self_run) == (0.8, True, False)
    assert [m.role for m in (*ash.members, *elm.members)] == [None, "ambassador"]
    assert found["regions.define_regions"][1].borders[0].minutes == 90
    (relation,) = found["diplomacy.set_relations"][0].relations
    assert [(o.key, o.amount) for o in (*relation.opinions, *relation.opinions_back)] == [
        ("toll", -5), ("raid", -30)
    ]  # fmt: skip
    assert found["markets.define_goods"][0].goods[0].base_price == 12
    assert found["markets.open_route"][0].per_day == 3
    assert file.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["lands.db"]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE factions SET treasury = -1 WHERE id = 2", "lands.db, table factions, row 2, factions.elm.treasury"),
        ("INSERT INTO faction_members VALUES (3, 9, 'c-1', NULL)",
         "lands.db, table faction_members, row 3, faction_id: it names none of the factions (9)"),
        ("UPDATE faction_members SET character_id = NULL WHERE id = 2", "row 2, members: it does not say 'character'"),
        ("INSERT INTO opinions VALUES (1, 7, 'x', 1, 'y')", "row 3, about_id: it names none of the factions (7)"),
        ("UPDATE characters SET full_name = x'00ff'", "table characters, row 1, full_name: it holds bytes"),
        ("UPDATE factions SET treasury = 9e999", "it must be a finite number"),
        ("UPDATE factions SET traits = '{oops' WHERE id = 1", "row 1, traits: it is no JSON"),
        ("INSERT INTO regions VALUES (2, 'The Downs', 2)",
         "lands.db, table regions, row 3, id: 2 stands in lands.db, table regions, row 2 already"),
        ("UPDATE regions SET controlled_by = 77 WHERE id = 2", "row 2, controller: it names none of the factions"),
    ],
)  # fmt: skip
def test_faults_of_a_table_have_their_rows(tmp_path: Path, statement: str, said: str) -> None:
    with pytest.raises(Refused) as refused:
        read_foreign(database(tmp_path, statement), BUILT_IN)
    assert said in refused.value.detail


def test_tables_and_columns_without_a_place_are_told(tmp_path: Path) -> None:
    more = ("CREATE TABLE weather (sky TEXT)", "INSERT INTO weather VALUES ('rain')", "CREATE TABLE empty (x TEXT)",
            "UPDATE factions SET crest = 'a stag'")  # fmt: skip
    assert read_foreign(database(tmp_path, *more), BUILT_IN).lines() == [
        "lands.db, table weather: nothing of a world is called so (1 entry)",
        "lands.db, table factions, crest: no field of factions takes it (2 times, first in row 1)",
    ]


def test_a_file_with_too_many_tables_is_told(tmp_path: Path) -> None:
    """Else those that come last by their names would be missing in the world."""
    empty = ["BEGIN"] + [f"CREATE TABLE a{number:03} (x TEXT)" for number in range(MOST_TABLES)]
    with pytest.raises(Refused, match="it has more than 500 tables"):
        read_foreign(database(tmp_path, *empty), BUILT_IN)


def test_a_file_that_is_broken_is_told(tmp_path: Path) -> None:
    file = tmp_path / "broken.db"
    file.write_bytes(b"SQLite format 3\x00" + b"\xff" * 500)
    with pytest.raises(Refused, match="cannot be read as an SQLite file"):
        read_foreign(file, BUILT_IN)


def test_a_pack_with_json_beside_it_stays_a_pack(tmp_path: Path) -> None:
    (tmp_path / "notes.json").write_text("{}")
    assert is_foreign(tmp_path)
    (tmp_path / "world.yaml").write_text("name: W")
    assert not is_foreign(tmp_path)


def test_a_pack_written_as_json_is_the_same_world(tmp_path: Path) -> None:
    """The whole demo world: whatever a pack can say, files of the names of its sections can."""
    folder = Path(demo.__file__).parent / "data" / demo.DEMO
    sections = sections_of(BUILT_IN)
    merged: dict[str, Any] = {}
    for path in sorted(folder.rglob("*.yaml"), key=lambda path: path.relative_to(folder).as_posix()):
        section = next(s for s in sections if s.holds(path.relative_to(folder).as_posix()))
        tree = parse(path.read_text())
        assert tree is not None
        inner = tree.plain()[section.own.top] if section.own.top else tree.plain()
        if section.name == "texts":
            merged["texts"] = {path.stem: inner, "other": inner}
        elif isinstance(inner, dict):
            merged.setdefault(section.name, {}).update(inner)
        else:
            merged.setdefault(section.name, []).extend(inner)
    for name, entries in merged.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(entries))
    foreign = read_foreign(tmp_path, BUILT_IN)
    assert foreign.unmapped == ()
    ours, theirs = (
        [command.model_dump() for command in pack.commands if getattr(command, "name", "") != "other"]
        for pack in (demo.demo_pack(BUILT_IN), foreign.pack)
    )
    assert len(theirs) == len(foreign.pack.commands) - 1
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine == other
