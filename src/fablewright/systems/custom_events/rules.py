"""What a schema may be, and how its faults are told. Pure.

A schema comes from whoever may lead a world, and runs in a server that others share. So besides being right it must
be cheap: references stay inside it and lead to no circle, written out without them it has few parts, and no keyword
leads to parts that are not counted. Each value of the data is then looked at by each part at most once or twice.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from fablewright.core.refusal import CONFLICT, INVALID, NOT_FOUND, Refusal, Refused

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
MOST_PARTS: Final = 200
"""Parts of a schema, with each reference counted as all that it stands for."""
MOST_LEVELS: Final = 48
"""Levels of a schema, references followed."""
MOST_PATTERNS: Final = 10
"""Regular expressions of a schema: each may take 100 kB of memory for as long as the schema is in use."""
MOST_ERRORS: Final = 20
"""Faults of one event that a refusal lists."""
MOST_LOOKS: Final = 2_000
"""Parts of a schema times values of the data up to which all faults are sought, which takes some 10 microseconds each.

Beyond, only the first is named, and that of a schema with alternatives not even by its path: a fault among
alternatives holds all faults of each of them, and those theirs.
"""
TOO_MANY_FAULTS: Final = (
    "This does not fit its schema. "
    "For so many values, faults among alternatives (anyOf, oneOf) are not told apart."
)
MOST_TYPES: Final = 100
"""Types of events of a world."""

SCHEMA_INVALID = Refusal(
    "schema_invalid", INVALID,
    "This is no JSON Schema (2020-12) that can be used here. Mend what `path` names; `message` says how.",
)  # fmt: skip
EVENT_TYPE_UNKNOWN = Refusal(
    "event_type_unknown", INVALID,
    "This world has registered no such type of event. Register it with a schema first, or use one that is listed.",
)  # fmt: skip
EVENT_TYPE_NOT_FOUND = Refusal(
    "event_type_not_found",
    NOT_FOUND,
    "This world has registered no type of that name. Look it up in the list.",
)
EVENT_INVALID = Refusal(
    "event_invalid", INVALID, "The event does not fit the schema of its type; `errors` lists where and why."
)
TOO_MANY_EVENT_TYPES = Refusal(
    "too_many_event_types", CONFLICT, f"A world has at most {MOST_TYPES} types of events. Remove one first."
)

_ONE: Final = (
    "items", "contains", "additionalProperties", "propertyNames", "unevaluatedItems", "unevaluatedProperties",
    "if", "then", "else", "not", "contentSchema",
)  # fmt: skip
_LISTS: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
_MAPS: Final = ("properties", "patternProperties", "dependentSchemas")
_STORES: Final = ("$defs", "definitions")
_FORBIDDEN: Final = (
    "$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$vocabulary",
)  # fmt: skip
_HOLD_DATA: Final = ("const", "enum", "default", "examples", "required", "type", "dependentRequired")
_KNOWN: Final = frozenset(("$ref", *_ONE, *_LISTS, *_MAPS, *_STORES, *_HOLD_DATA))
"""The keywords that may hold objects or lists."""
_LOOK_TWICE: Final = ("unevaluatedItems", "unevaluatedProperties")

_ALTERNATIVES: Final = ("anyOf", "oneOf")

Path = tuple[str | int, ...]


class Weight(NamedTuple):
    """What a schema may take to check: its parts, and whether there are alternatives among them."""

    parts: int
    alternatives: bool


def dotted(root: str, path: Sequence[str | int]) -> str:
    """A path as refusals write it: `data.items.0.name`."""
    return ".".join((root, *(str(step) for step in path)))


def schema_refused(path: Sequence[str | int], message: str) -> Refused:
    """The refusal of a schema, for what is wrong at a path of it."""
    where = dotted("data_schema", path)
    return SCHEMA_INVALID(f"{where}: {message}", path=where, message=message)


def check_schema(schema: Mapping[str, Any]) -> Weight:
    """What a schema weighs, if it is of our dialect and cheap. Its grammar is checked elsewhere.

    Refuses `schema_invalid`.
    """
    if schema.get("$schema", DIALECT) != DIALECT:
        raise schema_refused(("$schema",), f"Leave it out, or write {DIALECT}.")
    walk = _Unfolding(schema)
    parts, _ = walk.parts(schema, ())
    for store in _STORES:
        kept = schema.get(store)
        for name, part in kept.items() if isinstance(kept, Mapping) else ():
            walk.parts(part, (store, name))
    return Weight(parts, walk.alternatives)


def values_in(data: Any) -> int:
    """How many values data holds, at any depth, itself and the names in it counted."""
    waiting, many = [data], 0
    while waiting:
        item = waiting.pop()
        many += 1
        if isinstance(item, Mapping):
            many += len(item)
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
    return many


class _Unfolding:
    """A walk through a schema as it is with its references written out."""

    def __init__(self, whole: Mapping[str, Any]):
        self._whole = whole
        self._known: dict[int, tuple[int, int]] = {}
        self._open: set[int] = set()
        self._patterns = 0
        self.alternatives = False

    def parts(self, schema: Any, path: Path) -> tuple[int, int]:
        """How many parts it has, and how many levels. Refuses `schema_invalid`."""
        if not isinstance(schema, Mapping):
            return 1, 1
        found = self._known.get(id(schema))
        if found is not None:
            return found
        if id(schema) in self._open:
            raise schema_refused(path, "This reference leads back to itself. Write the levels out.")
        if len(self._open) >= MOST_LEVELS:
            raise schema_refused(path, f"With its references followed it may have {MOST_LEVELS} levels.")
        self._count_patterns(schema, path)
        self.alternatives |= any(keyword in schema for keyword in _ALTERNATIVES)
        self._open.add(id(schema))
        parts, levels = 1, 0
        for inner, step in self._inner(schema, path):
            below = self.parts(inner, (*path, *step))
            parts, levels = parts + below[0], max(levels, below[1])
        self._open.discard(id(schema))
        parts *= 2 ** sum(keyword in schema for keyword in _LOOK_TWICE)
        if parts > MOST_PARTS:
            raise schema_refused(path, f"With its references written out it may have {MOST_PARTS} parts.")
        if levels >= MOST_LEVELS:
            raise schema_refused(path, f"With its references followed it may have {MOST_LEVELS} levels.")
        self._known[id(schema)] = parts, levels + 1
        return parts, levels + 1

    def _count_patterns(self, schema: Mapping[str, Any], path: Path) -> None:
        named = schema.get("patternProperties")
        self._patterns += ("pattern" in schema) + (len(named) if isinstance(named, Mapping) else 0)
        if self._patterns > MOST_PATTERNS:
            raise schema_refused(path, f"A schema may have {MOST_PATTERNS} regular expressions.")

    def _inner(self, schema: Mapping[str, Any], path: Path) -> Iterator[tuple[Any, Path]]:
        for keyword in _FORBIDDEN:
            if keyword in schema:
                raise schema_refused(
                    (*path, keyword), "This keyword is not used here. Refer with `#/$defs/…`."
                )
        for keyword, value in schema.items():
            if isinstance(value, Mapping | list) and keyword not in _KNOWN:
                hint = " Write dependentSchemas or dependentRequired." if keyword == "dependencies" else ""
                raise schema_refused((*path, keyword), "This keyword is not used here." + hint)
        if "$ref" in schema:
            yield self._target(schema["$ref"], (*path, "$ref")), ("$ref",)
        for keyword in _ONE:
            if keyword in schema:
                yield schema[keyword], (keyword,)
        for keyword in _LISTS:
            listed = schema.get(keyword)
            for number, inner in enumerate(listed if isinstance(listed, list) else ()):
                yield inner, (keyword, number)
        for keyword in _MAPS:
            mapped = schema.get(keyword)
            for name, inner in mapped.items() if isinstance(mapped, Mapping) else ():
                yield inner, (keyword, name)

    def _target(self, reference: Any, path: Path) -> Any:
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise schema_refused(path, "Refer to a part of this schema only, such as `#/$defs/name`.")
        target: Any = self._whole
        for step in reference.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(target, Mapping) and name in target and "%" not in name:
                target = target[name]
            elif isinstance(target, list) and name.isdecimal() and int(name) < len(target):
                target = target[int(name)]
            else:
                raise schema_refused(path, f"There is no {reference[:100]!r} in this schema.")
        return target
