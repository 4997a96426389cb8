"""Which schemas may be registered, and how the faults of events are told."""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from fablewright.core.messages import GAME_MASTERS, MEMBERS, Audience
from fablewright.core.refusal import Refused
from fablewright.systems.custom_events.commands import RecordEvent, RegisterEventType
from fablewright.systems.custom_events.events import CustomEvent
from fablewright.systems.custom_events.rules import (
    DIALECT,
    MOST_ERRORS,
    MOST_LEVELS,
    MOST_PARTS,
    TOO_MANY_FAULTS,
    values_in,
)
from fablewright.systems.custom_events.service import compiled

SCORE = {"type": "object", "properties": {"score": {"type": "integer", "minimum": 0}}, "required": ["score"]}
NUMBER = {"$ref": "#/$defs/number", "$defs": {"number": {"type": "number"}}}


def doubling(times: int) -> dict[str, Any]:
    """A short schema that is `2 ** times` parts long when its references are written out."""
    defs: dict[str, Any] = {
        f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}, {"$ref": f"#/$defs/a{n + 1}"}]}
        for n in range(times)
    }
    return {"$ref": "#/$defs/a0", "$defs": {**defs, f"a{times}": {"type": "string"}}}


def chain(length: int) -> dict[str, Any]:
    defs: dict[str, Any] = {f"a{n}": {"$ref": f"#/$defs/a{n + 1}"} for n in range(length)}
    return {"$ref": "#/$defs/a0", "$defs": {**defs, f"a{length}": {}}}


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"properties": {"x": schema}}
    return schema


@pytest.mark.parametrize("schema", [
    {}, SCORE, NUMBER, {"$schema": DIALECT}, {"properties": {"a": NUMBER["$defs"]["number"]}},  # type: ignore[index]
    {"properties": {"$ref": {"type": "string"}, "$id": {"const": {"$ref": "http://x"}}}},
    {"properties": {"a/b": {}, "c": {"$ref": "#/properties/a~1b"}}},
    {"prefixItems": [{"type": "string"}], "items": {"$ref": "#/prefixItems/0"}},
    {"properties": {"when": {"type": "string", "format": "date-time"}}},
    {"properties": {"word": {"pattern": "^(a+)+$"}}}, doubling(5), chain(20), nested(MOST_LEVELS - 2),
    {"unevaluatedProperties": False, "properties": {"a": True}},
])  # fmt: skip
def test_schemas_that_can_be_used(schema: dict[str, Any]) -> None:
    compiled(schema)


@pytest.mark.parametrize(("schema", "path", "message"), [
    ({"type": "objec"}, "type", "objec"),
    ({"properties": {"a": {"minimum": "3"}}}, "properties.a.minimum", "not of type"),
    ({"properties": 3}, "properties", "not of type"), ({"allOf": 3}, "allOf", "not of type"),
    ({"$defs": 3}, "$defs", "not of type"),
    ({"$schema": "http://json-schema.org/draft-07/schema#"}, "$schema", DIALECT),
    ({"properties": {"a": {"$ref": "https://example.org/x"}}}, "properties.a.$ref", "this schema only"),
    ({"$ref": "file:///etc/passwd"}, "$ref", "this schema only"), ({"$ref": 3}, "$ref", "this schema only"),
    ({"$ref": "#name"}, "$ref", "this schema only"), ({"$ref": "#/nothing"}, "$ref", "no '#/nothing'"),
    ({"$ref": "#/$defs/%61", "$defs": {"a": {}}}, "$ref", "no '#/"),
    ({"allOf": [{}], "items": {"$ref": "#/allOf/1"}}, "items.$ref", "no '#/allOf/1'"),
    ({"$defs": {"unused": {"$ref": "https://example.org/x"}}}, "$defs.unused.$ref", "this schema only"),
    ({"$ref": "#/hidden", "hidden": {"$ref": "https://example.org/x"}}, "hidden", "not used here"),
    ({"$id": "https://example.org/x"}, "$id", "not used here"),
    ({"items": {"$dynamicRef": "#a"}}, "items.$dynamicRef", "not used here"),
    ({"$ref": "#"}, "$ref", "back to itself"),
    ({"properties": {"next": {"$ref": "#"}}}, "properties.next.$ref", "back to itself"),
    ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}, None, "itself"),
    (doubling(10), None, f"{MOST_PARTS} parts"), (doubling(20), None, "parts"), (chain(60), None, "levels"),
    (chain(900), None, "levels"), (nested(MOST_LEVELS), None, "levels"),
    ({"properties": {"a": {"pattern": "(?=a)"}}}, "properties.a.pattern", "look-around"),
    ({"properties": {"a": {"pattern": "(a)\\1"}}}, "properties.a.pattern", "look-around"),
    ({"properties": {"a": {"pattern": "((a{200}){200}){200}"}}}, "properties.a.pattern", "large repetitions"),
    ({"properties": {f"p{n}": {"pattern": f"^{n}"} for n in range(11)}}, "properties.p10", "10 regular expressions"),
    ({"patternProperties": {f"^{n}": {} for n in range(11)}}, None, "10 regular expressions"),
    ({"properties": {"a": {"format": "telephone"}}}, "properties.a.format", "format"),
])  # fmt: skip
def test_schemas_that_are_refused(schema: dict[str, Any], path: str | None, message: str) -> None:
    with pytest.raises(Refused) as error:
        compiled(schema)
    assert error.value.code == "schema_invalid"
    assert message in error.value.facts["message"]
    assert path is None or error.value.facts["path"] == f"data_schema.{path}"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["#", "#/$defs/a", "string", "^a", "date"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["$ref", "$defs", "a", "items", "properties", "allOf", "anyOf", "not", "type", "pattern",
                         "prefixItems", "unevaluatedProperties", "additionalProperties", "required", "format",
                         "minimum", "const", "enum", "contains", "if", "then", "dependentSchemas"]), inner,
        max_size=4,
    ), max_leaves=25,
)  # fmt: skip


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.dictionaries(st.sampled_from(["$ref", "$defs", "properties", "items", "allOf", "type"]), json_values),
       st.dictionaries(st.sampled_from(["a", "items"]), json_values))  # fmt: skip
def test_any_schema_is_taken_or_refused(schema: dict[str, Any], data: dict[str, Any]) -> None:
    try:
        known = compiled(schema)
    except Refused as refused:
        assert refused.code == "schema_invalid" and refused.facts["path"].startswith("data_schema")
    else:
        told = known.refused(data)
        assert told is None or told.facts["errors"]


@pytest.mark.parametrize(("schema", "data", "paths"), [
    (SCORE, {"score": 3}, []),
    (SCORE, {"score": -1}, ["data.score"]), (SCORE, {"score": "3"}, ["data.score"]),
    (SCORE, {"score": 1.5}, ["data.score"]), (SCORE, {"score": True}, ["data.score"]),
    (SCORE, {}, ["data.score"]),
    ({"properties": {"a": {}}, "additionalProperties": False}, {"more": 1}, ["data.more"]),
    ({"unevaluatedProperties": False}, {"more": 1}, ["data.more"]),
    ({"properties": {"tags": {"items": {"type": "string"}}}}, {"tags": ["a", 3, "b", None]},
     ["data.tags.1", "data.tags.3"]),
    ({"properties": {"a": {"required": ["b"]}}}, {"a": {}}, ["data.a.b"]),
    ({"properties": {"when": {"format": "date-time"}}}, {"when": "noon"}, ["data.when"]),
    ({"minProperties": 1}, {}, ["data"]),
])  # fmt: skip
def test_faults_are_told_with_their_path(
    schema: dict[str, Any], data: dict[str, Any], paths: list[str]
) -> None:
    refused = compiled(schema).refused(data)
    assert (refused is None) is (paths == [])
    if refused is not None:
        assert refused.code == "event_invalid"
        assert [error["path"] for error in refused.facts["errors"]] == paths
        assert refused.detail.startswith(paths[0] + ": ")


def test_many_and_long_faults_are_cut() -> None:
    known = compiled({"additionalProperties": {"type": "integer"}})
    refused = known.refused({f"{n}": "x" * 5_000 for n in range(50)})
    assert refused is not None
    assert len(refused.facts["errors"]) == MOST_ERRORS
    assert all(len(error["message"]) <= 300 for error in refused.facts["errors"])


def test_no_pattern_is_slow() -> None:
    """With backtracking this one would take longer than the sun will shine."""
    known = compiled({"properties": {"a": {"pattern": "^(a+)+$"}}})
    assert known.refused({"a": "a" * 10_000 + "b"}) is not None


@pytest.mark.parametrize("kind", ["game", "game.", "games.won", "points.awarded", "game.Won", "game.won.twice",
                                  "game.1", "user.a b", "game." + "x" * 61])  # fmt: skip
def test_types_have_their_families(kind: str) -> None:
    with pytest.raises(ValidationError):
        RecordEvent(type=kind)
    with pytest.raises(ValidationError):
        RegisterEventType(type=kind, data_schema={})


@pytest.mark.parametrize("data", [{"a": "\x00"}, {"\x00": 1}, {"a": ["x\x00"]}, {"a": "x" * 16_000}, {"a": 2**63},
                                  {"a": float("nan")}, {"a": "\ud800"}])  # fmt: skip
def test_data_can_be_stored(data: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RecordEvent(type="game.won", data=data)
    with pytest.raises(ValidationError):
        RegisterEventType(type="game.won", data_schema=data)


@pytest.mark.parametrize(("seen_by", "subject", "audience"), [
    ("members", None, MEMBERS), ("members", 7, MEMBERS), ("game_masters", 7, GAME_MASTERS),
    ("subject", 7, 7), ("subject", None, GAME_MASTERS),
])  # fmt: skip
def test_who_may_see_an_event(seen_by: Any, subject: int | None, audience: Any) -> None:
    subject_id = None if subject is None else UUID(int=subject)
    event = CustomEvent(type="user.signed_up", subject_id=subject_id, seen_by=seen_by, data={})
    assert event.audience() == (Audience.of(UUID(int=7)) if audience == 7 else audience)
    assert event.about() == ([] if subject_id is None else [subject_id])
    assert event.type_name == "user.signed_up"


CONSTS = [{"const": n} for n in range(13)]


@pytest.mark.parametrize("alternatives", [
    {"items": {"anyOf": [{"const": n} for n in range(190)]}},
    {"anyOf": [{"items": {"anyOf": CONSTS}} for _ in range(13)]},
    {"items": {"oneOf": [{"$ref": "#/$defs/b"}]}},
])  # fmt: skip
def test_faults_among_alternatives_are_not_sought_for_many_values(alternatives: dict[str, Any]) -> None:
    """Each of them would hold the faults of all its alternatives, and those theirs: gigabytes."""
    nested = {"anyOf": [{"allOf": [{"const": n}] * 9} for n in range(5)]}
    known = compiled({"properties": {"a": alternatives}, "$defs": {"b": nested}})
    assert known.refused({"a": []}) is None
    few, many = known.refused({"a": [7777]}), known.refused({"a": [7777] * 2_500})
    assert few is not None and few.facts["errors"][0]["path"].startswith("data.a")
    assert many is not None and many.facts["errors"] == [{"path": "data", "message": TOO_MANY_FAULTS}]


def test_only_the_first_fault_is_named_where_all_would_take_long() -> None:
    known = compiled({"properties": {"a": {"items": {"allOf": [{"type": "integer"}] * 190}}}})
    refused = known.refused({"a": [7] * 10 + ["x"] * 2_000})
    assert refused is not None
    assert [e["path"] for e in refused.facts["errors"]] == ["data.a.10"]


@pytest.mark.parametrize("keyword", ["dependencies", "extends", "links"])
def test_no_keyword_leads_to_parts_that_are_not_counted(keyword: str) -> None:
    with pytest.raises(Refused) as refused:
        compiled({"properties": {"a": {keyword: {"b": {"$ref": "#/properties/a"}}}}})
    assert refused.value.facts["path"] == f"data_schema.properties.a.{keyword}"


def test_values_are_counted_at_any_depth() -> None:
    assert values_in(1) == 1
    assert values_in({"a": [1, {"b": None}], "c": "text"}) == 9
