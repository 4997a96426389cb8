"""Packs: YAML with lines, every fault with its file, line and field, keys, and schemas."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID, uuid4

import orjson
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import Field, create_model

from fablewright.app import BUILT_IN
from fablewright.core.messages import CatalogueError
from fablewright.core.pack import (
    Form,
    Item,
    Key,
    Keys,
    PackAddition,
    PackModel,
    PackSection,
    chunks,
    entry_id,
    slug,
)
from fablewright.core.refusal import Refused
from fablewright.core.system import System
from fablewright.packs import demo, syntax
from fablewright.packs.faults import MOST_FAULTS, fields_at
from fablewright.packs.reader import Pack, read_pack
from fablewright.packs.schemas import schema_file, schemas_of, write_schemas
from fablewright.packs.sections import parts_in_order, sections_of
from fablewright.packs.syntax import SyntaxFault, dump, parse
from fablewright.systems.characters.commands import CreateCharacter
from fablewright.systems.regions.commands import DefinePlaces, PlaceCharacters
from fablewright.systems.relationships.commands import SetTies
from fablewright.systems.worlds.commands import CreateWorld

# YAML.

plain_texts = st.text(max_size=40).filter(lambda t: "\x00" not in t)
awkward_texts = st.lists(
    st.sampled_from(
        ["no", "1e5", "12:30", "0x1F", "a", "b c", " ", "\n", "  ", "#", "- x", ": ", "'", '"', "word", "\t",
         "1.5", "~", "null", "é", "\u2028", "|", ">", "{", "]", ",", "?", "&", "*", "!", "%", "@", "`"]
    ),
    max_size=30,
).map("".join)  # fmt: skip
long_texts = st.lists(
    st.sampled_from(["lorem", "ipsum,", "dolor:", "# sit", "- amet"]), min_size=15, max_size=40
).map(" ".join)
texts = st.one_of(plain_texts, awkward_texts, long_texts)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=15,
)


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal in kind, order and content."""
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


@given(st.dictionaries(texts, values, min_size=1, max_size=4))
@example({"a": "\n"})
@example({"a": [{"b?": None}]})
@example({"": None, "x": 1e-7, "y": 1e22})
def test_what_is_written_is_read_again_by_us_and_by_others(value: dict[str, Any]) -> None:
    text = dump(value)
    node = parse(text)
    assert node is not None
    assert same(value, node.plain()), text
    assert same(value, yaml.safe_load(text)), text
    assert dump(node.plain()) == text


def test_written_text_is_made_to_be_read() -> None:
    entry = {"from": "orla", "to": "bram", "strength": -0.4, "labels": ["old friend", "kin"]}
    text = dump({
        "description": "word " * 30 + "end", "verse": "one\ntwo\n", "tags": ["a", "group:mill"],
        "ties": [{"from": "orla", "to": "bram", "strength": 0.5}, {**entry, "why": [{"at": 1, "why": "Yes"}]}],
        "none": [],
    })  # fmt: skip
    words = " ".join(["word"] * 19)
    assert text == (
        f"description: >-\n  {words}\n  word word word word word word word word word word word end\n"
        "verse: |\n  one\n  two\n"
        'tags: [a, "group:mill"]\n'
        "ties:\n"
        "  - {from: orla, to: bram, strength: 0.5}\n"
        "  - from: orla\n    to: bram\n    strength: -0.4\n    labels: [old friend, kin]\n"
        '    why:\n      - {at: 1, why: "Yes"}\n'
        "none: []\n"
    )


def test_words_mean_what_version_1_2_of_yaml_says() -> None:
    node = parse("a: [no, 14:05, 2024-01-01, 1_000, 0x1F, ~, true, 1.5e3, 012, .5, '7', .inf]")
    assert node is not None
    assert node.plain() == {
        "a": ["no", "14:05", "2024-01-01", "1_000", "0x1F", None, True, 1500.0, 12, 0.5, "7", ".inf"]
    }


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: 1\nb: [1,\nc: 2\n", 4, "begins in line 2"),
        ("a:\n\t- 1\n", 2, "no YAML"),
        ("a: 1\nb: 'x\n", 3, "no YAML"),
        ("a: 1\nb: 2\na: 3\n", 3, "'a' stands in line 1 already"),
        ("x:\n  a: 1\n  a: 1\n", 3, "'a' stands in line 2 already"),
        ("a: 1\n? [x]\n: 2\n", 2, "cannot be the name of a field"),
        (BOMB, 1, "`&a` is an anchor"),
        ("a: 1\nb: *a\n", 2, "`*a` is an alias"),
        ("a: 1\nb: &x 2\n", 2, "`&x` is an anchor"),
        ("a: 1\nb: !!python/object:os.system x\n", 2, "is a tag"),
        ("a: !mine {b: 1}\n", 1, "`!mine` is a tag"),
        ("a: 1\n---\nb: 1\n", 2, "a second document"),
        ('a: 1\nb: "\\0"\n', 2, "U+0000"),
        ('a: 1\nb: "\\ud800"\n', 2, "surrogate|no YAML"),
        ("a: 1\nb: " + "[" * 40 + "\n", 2, "levels deep"),
        ("\x01", 1, "no YAML"),
    ],
)
def test_what_is_not_plain_yaml_is_refused_with_its_line(text: str, line: int, said: str) -> None:
    with pytest.raises(SyntaxFault) as fault:
        parse(text)
    assert fault.value.line == line
    assert any(part in fault.value.message for part in said.split("|")), fault.value.message


def test_a_small_file_cannot_be_a_large_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syntax, "MOST_NODES", 100)
    assert parse("a: [" + "0," * 90 + "]") is not None
    with pytest.raises(SyntaxFault, match="more than 100 values"):
        parse("a: [" + "0," * 100 + "]")
    with pytest.raises(SyntaxFault, match="levels deep"):
        parse("[" * 1_000_000)


# Reading.

WORLD = "name: The Vale\n"
PLACES = """places:
  mill:
    name: The mill
    kind: work
    ways: {green: 6}
  green: {name: The green}
"""
CHARACTERS = """characters:
  orla:
    name: Orla Fen
    goals:
      - {kind: befriend, about: bram, text: be asked in}
    home: mill
    place: green
  bram:
    name: Bram Holloway
    place: mill
"""
TIES = "ties:\n  - {from: orla, to: bram, strength: 0.5, because: he carried her over the ford}\n"

FACT = "11111111-2222-8333-8444-555555555555"

MakePack = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> MakePack:
    """A small pack without mistakes, with some files replaced (`ties_yaml=…`), added or left out (None)."""

    def made(files: dict[str, str | bytes | None] | None = None) -> Path:
        folder = tmp_path / "pack"
        whole: dict[str, str | bytes | None] = {
            "world.yaml": WORLD, "places.yaml": PLACES, "characters.yaml": CHARACTERS, "ties.yaml": TIES,
            **(files or {}),
        }  # fmt: skip
        folder.mkdir()
        for name, text in whole.items():
            if text is not None:
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return folder

    return made


def faults_of(folder: Path) -> list[tuple[str, int, str, str]]:
    with pytest.raises(Refused) as refused:
        read_pack(folder, BUILT_IN)
    assert refused.value.code == "pack_invalid"
    facts = refused.value.facts
    first = facts["faults"][0]
    assert (facts["file"], facts["line"], facts["field"]) == (first["file"], first["line"], first["field"])
    assert orjson.dumps(facts)
    return [(f["file"], f["line"], f["field"], f["message"]) for f in facts["faults"]]


def of_type(pack: Pack, kind: type[Any]) -> list[Any]:
    return [command for command in pack.commands if isinstance(command, kind)]


def test_a_pack_becomes_commands_in_an_order_that_works(make: MakePack) -> None:
    pack = read_pack(make(), BUILT_IN)
    assert pack.name == "The Vale"
    assert pack.counts == {"world": 1, "places": 2, "characters": 2, "ties": 1}
    assert [type(c).__name__ for c in pack.commands] == [
        "CreateWorld", "DefinePlaces", "DefinePlaces", "CreateCharacter", "CreateCharacter", "PlaceCharacters",
        "SetTies",
    ]  # fmt: skip
    orla, bram = entry_id("characters", "orla"), entry_id("characters", "bram")
    mill, green = entry_id("places", "mill"), entry_id("places", "green")
    made = {c.id: c for c in of_type(pack, CreateCharacter)}
    assert made[orla].goals[0].about_id == bram
    (tie,) = of_type(pack, SetTies)[0].ties
    assert (tie.source_id, tie.target_id, tie.reasons[0].why) == (orla, bram, "he carried her over the ford")
    places, ways = of_type(pack, DefinePlaces)
    assert {p.id for p in places.places} == {mill, green}
    assert [({w.a_id, w.b_id}, w.minutes) for w in ways.paths] == [({mill, green}, 6)]
    placed = {p.character_id: p for p in of_type(pack, PlaceCharacters)[0].placements}
    assert (placed[orla].place_id, placed[orla].home_id, placed[orla].work_id) == (green, mill, None)
    for command, source in zip(pack.commands, pack.sources, strict=True):
        if isinstance(command, CreateCharacter):
            assert source == ("characters.yaml", 2 if command.id == orla else 8, source.field)


def test_a_world_alone_is_a_pack(make: MakePack) -> None:
    pack = read_pack(
        make({"places.yaml": None, "characters.yaml": None, "ties.yaml": None,
              "world.yaml": "name: Alone\nbegins_at: 5\nseed: 3\ndirector: {acts_per_beat: 2}\n"}),
        BUILT_IN,
    )  # fmt: skip
    world, director = pack.commands
    assert isinstance(world, CreateWorld)
    assert (world.name, world.begins_at, world.seed) == ("Alone", 5, 3)
    assert director.model_dump() == {
        "enabled": True, "beats_per_minute": 12.0, "acts_per_beat": 2, "council_days": 30
    }  # fmt: skip


def test_an_id_may_be_given_and_files_may_be_many(make: MakePack) -> None:
    own = uuid4()
    pack = read_pack(
        make({
            "characters.yaml": None,
            "characters/a.yaml": f"characters: {{orla: {{id: {own}, name: Orla}}}}\n",
            "characters/b.yaml": "characters:\n  bram: {name: Bram}\n",
            "README.md": "# no part of it", "notes/x.txt": "nor this", ".git/x.yaml": "nor: this",
        }),
        BUILT_IN,
    )  # fmt: skip
    assert [c.id for c in of_type(pack, CreateCharacter)] == [own, entry_id("characters", "bram")]
    assert of_type(pack, SetTies)[0].ties[0].source_id == own


def characters(text: str) -> dict[str, str | bytes | None]:
    """A pack with other characters and no ties."""
    return {"characters.yaml": text, "ties.yaml": None}


@pytest.mark.parametrize(
    ("files", "file", "line", "field", "said"),
    [
        # Files.
        ({"world.yaml": None}, "world.yaml", 0, "", "it is missing: make it"),
        ({"world.yaml": ""}, "world.yaml", 0, "", "it is empty"),
        ({"world.yaml": "# only this\n"}, "world.yaml", 0, "", "it is empty"),
        ({"tie.yaml": "ties: []"}, "tie.yaml", 0, "", "Did you mean 'ties.yaml'?"),
        ({"texts/a/b.yaml": "x: 1"}, "texts/a/b.yaml", 0, "", "no installed system reads such a file"),
        ({"places.yml": PLACES}, "places.yml", 0, "", "call it places.yaml"),
        ({"ties.yaml": b"ties:\n  - \xff"}, "ties.yaml", 2, "", "not in UTF-8"),
        # YAML.
        ({"ties.yaml": "ties: [\n"}, "ties.yaml", 2, "", "no YAML"),
        ({"ties.yaml": "ties: &x []\n"}, "ties.yaml", 1, "", "is an anchor"),
        ({"places.yaml": "places:\n  mill: {name: a}\n  mill: {name: b}\n"}, "places.yaml", 3, "",
         "'mill' stands in line 2 already"),
        # Fields.
        ({"world.yaml": "description: x\n"}, "world.yaml", 1, "name", "it is missing: add it"),
        ({"world.yaml": "name: x\nrate: 0\n"}, "world.yaml", 2, "rate", "greater than 0 (it is 0)"),
        ({"world.yaml": "name: 1984\n"}, "world.yaml", 1, "name", "put it in quotes"),
        ({"world.yaml": "name: x\nrates: 2\n"}, "world.yaml", 2, "rates", "Did you mean 'rate'?"),
        ({"world.yaml": "name: x\nzzz: 2\n"}, "world.yaml", 2, "zzz", "leave it out. Known are begins_at"),
        ({"world.yaml": "name: x\ndirector:\n  acts_per_beat: 0\n"}, "world.yaml", 3, "director.acts_per_beat",
         "greater than or equal to 1"),
        ({"world.yaml": "- name\n"}, "world.yaml", 1, "", "it must hold fields"),
        ({"places.yaml": "places: {}\nplace: {}\n", "characters.yaml": None, "ties.yaml": None}, "places.yaml", 2,
         "place", "Did you mean 'places'?"),
        ({"places.yaml": "{}\n"}, "places.yaml", 1, "places", "it is missing: add it"),
        ({"ties.yaml": "ties: {a: b}\n"}, "ties.yaml", 1, "ties", "it must be a list"),
        (characters("characters:\n  orla:\n    name: Orla\n    speech:\n      humor: 1\n"),
         "characters.yaml", 5, "characters.orla.speech.humor", "Did you mean 'humour'?"),
        (characters("characters:\n  orla:\n    name: Orla\n    goals:\n      - {kind: freee, text: x}\n"),
         "characters.yaml", 5, "characters.orla.goals[1].kind", "Did you mean 'free'?"),
        (characters("characters:\n  orla:\n    name: O\n    goals:\n      - {kind: free, text: a, or b}\n"),
         "characters.yaml", 5, "characters.orla.goals[1].or b", "put the whole text in quotes"),
        (characters("characters:\n  orla:\n    name: Orla\n    skills: {rowing: 101}\n"),
         "characters.yaml", 4, "characters.orla.skills.rowing", "less than or equal to 100"),
        (characters("characters:\n  or la: {name: Orla}\n"), "characters.yaml", 2, "characters.or la",
         "a key begins with a letter"),
        (characters("characters:\n  orla: {id: x, name: Orla}\n"), "characters.yaml", 2, "characters.orla.id",
         "valid UUID"),
        # References.
        ({"ties.yaml": "ties:\n  - from: orlla\n    to: bram\n    strength: 0\n"}, "ties.yaml", 2, "ties[1].from",
         "'orlla'. Did you mean 'orla'?"),
        ({"ties.yaml": "ties:\n  - from: orla\n    to: zz\n    strength: 0\n"}, "ties.yaml", 3, "ties[1].to",
         "it names none of the characters: 'zz'"),
        (characters("characters:\n  orla:\n    name: Orla\n    home: mil\n"), "characters.yaml", 4,
         "characters.orla.home", "Did you mean 'mill'?"),
        (characters("characters:\n  orla:\n    name: Orla\n    goals:\n    - {kind: help, about: x, text: y}\n"),
         "characters.yaml", 5, "characters.orla.goals[1].about", "names none of the characters"),
        ({"places.yaml": "places:\n  mill:\n    name: a\n    ways:\n      gren: 1\n  green: {name: b}\n"},
         "places.yaml", 5, "places.mill.ways.gren", "Did you mean 'green'?"),
        # What must hold between entries.
        ({"ties.yaml": "ties:\n  - {from: orla, to: orla, strength: 0}\n"}, "ties.yaml", 2, "ties[1].to",
         "a tie with itself"),
        ({"ties.yaml": TIES + "  - {from: orla, to: bram, strength: 0}\n"}, "ties.yaml", 3, "ties[2].to",
         "tie 1 is from 'orla' to 'bram' already"),
        ({"ties.yaml": "ties:\n - {from: orla, to: bram, strength: 0, last_interaction_at: 1}\n"}, "ties.yaml", 2,
         "ties[1].last_interaction_at", "needs an interaction_count"),
        ({"places.yaml": PLACES + "  mead: {name: The green}\n"}, "places.yaml", 7, "places.mead.name",
         "the place 'green' has this name already"),
        ({"places.yaml": PLACES + "  mead:\n    name: m\n    ways: {mead: 1}\n"}, "places.yaml", 9,
         "places.mead.ways.mead", "name another place"),
        ({"places.yaml": PLACES.replace("{name: The green}", "{name: g, ways: {mill: 7}}")}, "places.yaml", 6,
         "places.green.ways.mill", "'mill' says 6 minutes"),
        ({"characters/more.yaml": "characters:\n  orla: {name: Other}\n"}, "characters/more.yaml", 2,
         "characters.orla", "the key stands in characters.yaml, line 2 already"),
        (characters(f"characters:\n  a: {{name: A}}\n  b:\n    name: B\n    id: {entry_id('characters', 'a')}\n"),
         "characters.yaml", 5, "characters.b.id", "characters.yaml, line 2 has this id already"),
        # What is known and remembered.
        (characters("characters:\n  a: {name: A, knows: [{text: x, about: [b]}]}\n"), "characters.yaml", 2,
         "characters.a.knows[1].about[1]", "names none of the characters: 'b'"),
        (characters("characters:\n  a:\n    name: A\n    knows:\n      - text: x\n      - text: x\n"),
         "characters.yaml", 6, "characters.a.knows[2].text", "known already"),
        (characters("characters:\n  a:\n    name: A\n    knows:\n      - text: x\n        tellers: [a]\n"),
         "characters.yaml", 6, "characters.a.knows[1].tellers", "nobody tells oneself"),
        (characters("characters:\n  a:\n    name: A\n    knows:\n      - text: x\n        at: 1\n"),
         "characters.yaml", 6, "characters.a.knows[1].at", "the world begins at 0"),
        ({"memories.yaml": f"memories:\n  - character: orla\n    at: 9\n    text: x\n    fact: {FACT}\n"},
         "memories.yaml", 3, "memories[1].at", "the world begins at 0"),
        ({"memories/orla.yaml": f"memories:\n  - {{character: orla, at: 0, text: x, fact: {FACT}, kind: told}}\n"},
         "memories/orla.yaml", 2, "memories[1].kind", "has tellers"),
        ({"memories.yaml": f"memories:\n  - {{character: orla, at: 0, text: x, fact: {FACT}, tellers: [bram]}}\n"},
         "memories.yaml", 2, "memories[1].tellers", "only what is told"),
        ({"memories.yaml": f"memories:\n  - {{character: orla, at: 0, text: x, fact: {FACT}, evidence: [{FACT}]}}\n"},
         "memories.yaml", 2, "memories[1].evidence", "a reflection has evidence"),
        ({"memories.yaml": "memories:\n" + f"  - {{character: orla, at: 0, text: x, fact: {FACT}}}\n" * 2},
         "memories.yaml", 3, "memories[2].fact", "'orla' remembers this fact already"),
        ({"memories.yaml": f"memories:\n  - {{character: orla, at: 0, text: x, fact: {FACT}, subject: gone}}\n"},
         "memories.yaml", 2, "memories[1].subject", "names none of the characters"),
        # Types and texts.
        ({"texts/local.yaml": "about: x\ntopics:\n  river: 3\n"}, "texts/local.yaml", 3, "topics.river",
         "mapping"),
        ({"texts/Local.yaml": "about: x\n"}, "texts/Local.yaml", 1, "", "is no name for it"),
        ({"interactions.yaml": "types:\n  duel: {like: conflictt}\n"}, "interactions.yaml", 2, "types.duel.like",
         "there is no type 'conflictt'"),
        ({"interactions.yaml": "types:\n  Duel: {summary: x}\n"}, "interactions.yaml", 2, "types.Duel",
         "is no name for it"),
        ({"interactions.yaml": "types:\n  duel:\n    effects: {strength: 2}\n"}, "interactions.yaml", 3,
         "types.duel.effects.strength", "less than or equal to 0.3"),
    ],
)  # fmt: skip
def test_each_kind_of_fault_is_named_with_file_line_and_field(
    make: MakePack, files: dict[str, str | bytes | None], file: str, line: int, field: str, said: str
) -> None:
    found = faults_of(make(files))
    assert [fault[:3] for fault in found] == [(file, line, field)], found
    assert said in found[0][3]


HOUSES = (
    "factions:\n  ash:\n    name: Ash\n    holds: [gate]\n  elm:\n    name: Elm\n    holds:\n      - hill\n"
)
LANDS = "regions:\n  gate:\n    name: Gate\n    places: [mill]\n  hill:\n    name: Hill\n"
TRADE = "goods: {grain: {name: Grain, base_price: 4}}\n"


@pytest.mark.parametrize(
    ("files", "file", "line", "field"),
    [
        ({"factions.yaml": HOUSES + "      - gate\n"}, "factions.yaml", 9, "factions.elm.holds[2]"),
        ({"regions.yaml": LANDS + "    places:\n      - green\n      - mill\n"}, "regions.yaml", 9,
         "regions.hill.places[2]"),
        ({"regions.yaml": LANDS + "    closed:\n      - {}\n      - {until: -5}\n"}, "regions.yaml", 9,
         "regions.hill.closed[2].until"),
        ({"markets.yaml": TRADE + "markets:\n  - {region: gate, good: grain}\n  - {region: gate, good: salt}\n"},
         "markets.yaml", 4, "markets[2].good"),
        ({"markets.yaml": TRADE, "factions.yaml": HOUSES + "    stock: {grain: 2, salt: 1}\n"}, "factions.yaml", 9,
         "factions.elm.stock.salt"),
        ({"markets.yaml": TRADE + "routes:\n  - {start: gate, end: hill, good: grain, per_day: 1}\n"
          "  - {start: gate, end: gate, good: grain, per_day: 1}\n"}, "markets.yaml", 4, "routes[2].end"),
        ({"markets.yaml": TRADE + "restrictions:\n  - {kind: embargo, start: gate}\n  - {kind: embargo, start: zzz}\n"},
         "markets.yaml", 4, "restrictions[2].start"),
        ({"treaties.yaml": "treaties:\n  t:\n    name: T\n    parties: [ash, elm]\n    clauses:\n"
          "      - {type: custom, text: x}\n      - {type: pay, from: ash, to: ash, amount: 1}\n"},
         "treaties.yaml", 7, "treaties.t.clauses[2]"),
    ],
)  # fmt: skip
def test_items_of_lists_are_found_in_their_own_lines(
    make: MakePack, files: dict[str, str | bytes | None], file: str, line: int, field: str
) -> None:
    world: dict[str, str | bytes | None] = {"regions.yaml": LANDS, "factions.yaml": HOUSES}
    assert (file, line, field) in [fault[:3] for fault in faults_of(make({**world, **files}))]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    assert [fault[0] for fault in faults_of(tmp_path / "nowhere")] == ["nowhere"]


def test_links_are_not_followed(make: MakePack, tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text("password: x\n")
    folder = make({"ties.yaml": None})
    (folder / "ties.yaml").symlink_to(tmp_path / "secret.yaml")
    ((file, _, _, said),) = faults_of(folder)
    assert (file, "no ordinary file" in said) == ("ties.yaml", True)


def test_large_files_are_refused_before_they_are_read(
    make: MakePack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syntax, "MOST_BYTES", 2**20)
    folder = make({"ties.yaml": "# " + "x" * 2**20})
    assert ["more than 1 MiB" in fault[3] for fault in faults_of(folder)] == [True]


def test_all_faults_are_told_up_to_a_number(make: MakePack) -> None:
    files: dict[str, str | bytes | None] = {
        "world.yaml": "nam: x\n",
        "places.yaml": "places:\n  mill: {}\n",
        "ties.yaml": "ties:\n" + "".join(f"  - {{from: a, to: bram, strength: {n}}}\n" for n in range(2, 40)),
    }
    with pytest.raises(Refused) as refused:
        read_pack(make(files), BUILT_IN)
    facts = refused.value.facts
    assert len(facts["faults"]) == MOST_FAULTS
    assert facts["count"] == 2 + 1 + 1 + 2 * 38  # a place is missing to whom it is home, too
    assert refused.value.detail.splitlines()[-1] == f"and {facts['count'] - MOST_FAULTS} more"
    assert {fault["file"] for fault in facts["faults"]} == {"characters.yaml", "places.yaml", "ties.yaml"}


def test_what_refers_to_a_broken_file_is_no_fault(make: MakePack) -> None:
    found = faults_of(make({"characters.yaml": "characters: [\n"}))
    assert [fault[0] for fault in found] == ["characters.yaml"]


# Keys.


@given(
    st.lists(st.tuples(st.uuids(), st.text(min_size=1, max_size=12)), unique_by=lambda e: e[0], max_size=12)
)
def test_keys_are_unique_readable_and_the_same_in_any_order(entries: list[tuple[UUID, str]]) -> None:
    one, other = Keys(), Keys()
    one.name("characters", entries)
    other.name("characters", reversed(entries))
    found = [one.of("characters", id_) for id_, _ in entries]
    assert found == [other.of("characters", id_) for id_, _ in entries]
    assert len(set(found)) == len(found)
    model = create_model("Keyed", keys=(list[Key], ...))
    model.model_validate({"keys": found})


def test_who_was_made_by_a_pack_keeps_its_key() -> None:
    keys = Keys()
    orla, bram = entry_id("characters", "orla"), uuid4()
    keys.name("characters", [(bram, "Bram Hölloway"), (orla, "Orla Fen")])
    assert keys.of("characters", orla) == "orla"
    assert keys.id_to_write("characters", orla) is None
    assert keys.of("characters", bram) == "bram_holloway"
    assert keys.id_to_write("characters", bram) == bram
    assert keys.of("characters", gone := uuid4()) == str(gone)
    assert keys.maybe("characters", gone) is None


@pytest.mark.parametrize(
    ("name", "key"),
    [("Orla Fen", "orla_fen"), ("  St. Brannoc's  ", "st_brannoc_s"), ("Zoë", "zoe"), ("李 明", "李_明"),
     ("!?", ""), ("1984", "1984")],
)  # fmt: skip
def test_slugs(name: str, key: str) -> None:
    assert slug(name) == key


def test_chunks_bound_number_and_size() -> None:
    class One(PackModel):
        text: str

    few = [One(text="x")] * 7
    assert [len(group) for group in chunks(few, 3)] == [3, 3, 1]
    assert [len(group) for group in chunks([One(text="x" * 400)] * 5, 100, 1_000)] == [2, 2, 1]
    assert chunks([], 3) == []


# Systems from elsewhere.


class Colour(PackModel):
    """What a studio adds to each character."""

    colour: Annotated[str, Field(max_length=9)] = "grey"


async def nothing(_snapshot: Any) -> list[Item]:
    """Nothing to read."""
    return []


def test_another_system_brings_fields_and_files_of_its_own(make: MakePack) -> None:
    seen: list[Any] = []

    def take(items: Any, _ids: Any) -> list[Any]:
        seen.extend((item.key, item.value) for item in items)
        return []

    class Duel(PackModel):
        """A line of its file."""

        text: str

    studio = System(
        "studio",
        extra={
            "pack": (
                PackAddition("characters", Colour, take, nothing),
                PackSection("duels", ("duels.yaml",), Form.LISTED, Duel, take, nothing, top="duels"),
            )
        },
    )
    folder = make({
        "duels.yaml": "duels:\n  - {text: at dawn}\n",
        "characters.yaml": CHARACTERS.replace("name: Orla Fen", "name: Orla Fen\n    colour: red"),
    })  # fmt: skip
    read_pack(folder, (*BUILT_IN, studio))
    assert {(key, getattr(value, "colour", None) or value.text) for key, value in seen} == {
        ("orla", "red"), ("bram", "grey"), ("1", "at dawn"),
    }  # fmt: skip
    assert "colour" in schemas_of((*BUILT_IN, studio))["characters.schema.json"]
    assert {fault[0] for fault in faults_of(folder)} == {"characters.yaml", "duels.yaml"}


def test_parts_that_do_not_fit_together_end_the_start() -> None:
    part = PackSection("a", ("a.yaml",), Form.LISTED, Colour, lambda _i, _j: [], nothing, top="a")
    with pytest.raises(CatalogueError, match="same name"):
        sections_of([System("x", extra={"pack": (part, part)})])
    with pytest.raises(CatalogueError, match="'b'"):
        sections_of([System("x", extra={"pack": (PackAddition("b", Colour, lambda _i, _j: [], nothing),)})])
    twice = PackAddition("a", Colour, lambda _i, _j: [], nothing)
    with pytest.raises(CatalogueError, match="colour"):
        _ = sections_of([System("x", extra={"pack": (part, twice)})])[0].entry


def test_the_world_comes_first_and_the_director_last() -> None:
    order = [(part.section.name, type(part.makes).__name__) for part in parts_in_order(BUILT_IN)]
    assert order[0] == ("world", "PackSection")
    assert order[-1] == ("world", "PackAddition")
    assert order.index(("characters", "PackSection")) < order.index(("characters", "PackAddition"))


# Schemas.


def test_schemas_agree_with_the_reader(make: MakePack, tmp_path: Path) -> None:
    from jsonschema_rs import validator_for

    paths = write_schemas(tmp_path / "schemas", BUILT_IN)
    schemas = {path.name.split(".")[0]: validator_for(orjson.loads(path.read_bytes())) for path in paths}
    folder = make()
    for section in sections_of(BUILT_IN):
        for path in folder.glob(section.own.files[0]):
            node = parse(path.read_text())
            assert node is not None
            assert schemas[section.name].is_valid(node.plain()), path
    for name, wrong in (
        ("world", {"nam": "x"}),
        ("ties", {"ties": [{"from": "a"}]}),
        ("places", {"places": []}),
    ):
        assert not schemas[name].is_valid(wrong)


def test_fields_are_found_inside_models() -> None:
    model = next(s for s in sections_of(BUILT_IN) if s.name == "characters").model
    assert fields_at(model, ()) == {"characters"}
    assert {"name", "home", "goals"} <= fields_at(model, ("characters", "orla"))
    assert fields_at(model, ("characters", "orla", "goals", 0)) == {"kind", "about", "text"}


# Documentation.

DOCS = Path(__file__).resolve().parents[2] / "docs" / "systems" / "packs.md"


def test_the_documented_pack_has_no_mistakes(tmp_path: Path) -> None:
    found = re.findall(r"^`([a-z]+\.yaml)`[^\n]*:\n\n```yaml\n(.*?)^```$", DOCS.read_text(), re.M | re.S)
    counts = {
        "world": 1, "places": 2, "characters": 2, "ties": 1, "regions": 1, "factions": 3, "relations": 1, "wars": 1
    }  # fmt: skip
    assert {name for name, _ in found} == {f"{name}.yaml" for name in counts}
    for name, text in found:
        (tmp_path / name).write_text(text)
    pack = read_pack(tmp_path, BUILT_IN)
    assert pack.counts == counts


def test_the_demo_pack_has_no_mistakes_and_fits_its_schemas(tmp_path: Path) -> None:
    from jsonschema_rs import validator_for

    folder = Path(demo.__file__).parent / "data" / demo.DEMO
    counts = demo.demo_pack(BUILT_IN).counts
    assert counts["characters"] >= 30
    assert (counts["achievements"], counts["leaderboards"]) == (20, 3) and counts["award_rules"] >= 10
    schemas = {
        path.name: validator_for(orjson.loads(path.read_bytes()))
        for path in write_schemas(tmp_path, BUILT_IN)
    }
    files = list(folder.rglob("*.yaml"))
    assert len(files) > 4
    for path in files:
        name = path.relative_to(folder).as_posix()
        section = next(s for s in sections_of(BUILT_IN) if s.holds(name))
        node = parse(path.read_text())
        assert node is not None
        assert [str(e) for e in schemas[schema_file(section)].iter_errors(node.plain())] == [], name
