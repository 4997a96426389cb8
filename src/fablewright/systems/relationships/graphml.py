"""Ties as GraphML (http://graphml.graphdrawing.org), out and in.

It has a file of its own because a foreign file is read here: with a parser that knows no entities and no
document types, within bounds, and refused as a whole with the line of its first mistake.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Final
from uuid import UUID
from xml.parsers import expat

from pydantic import ValidationError

from fablewright.core.refusal import Refused
from fablewright.systems.relationships.commands import TieValue
from fablewright.systems.relationships.rules import GRAPH_TOO_LARGE, GRAPHML_INVALID
from fablewright.systems.relationships.views import TieFilter, current, now_of

MOST_EXPORTED: Final = 50_000
"""Ties in one file that is written."""
MOST_CHARACTERS: Final = 100_000
MOST_TIES: Final = 100_000
"""Nodes and ties in one file that is read."""
MOST_TEXT: Final = 20_000
"""Letters of one value."""
MOST_DEPTH: Final = 16
"""How deep its elements may nest."""

NAMESPACE: Final = "http://graphml.graphdrawing.org/xmlns"
EDGE_KEYS: Final = {
    "strength": "double", "trust": "double", "familiarity": "double", "resting_strength": "double",
    "resting_trust": "double", "labels": "string", "interaction_count": "int", "last_interaction_at": "long",
    "reasons": "string", "habits": "string",
}  # fmt: skip
EXAMPLE: Final = (
    '<graphml><key id="strength" for="edge" attr.name="strength" attr.type="double"/>'
    '<graph edgedefault="directed"></graph></graphml>'
)
NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold."""


# -- out -----------------------------------------------------------------------------------------------------

EXPORT: Final = """
SELECT source_id, target_id, strength, trust, familiarity, resting_strength, resting_trust, labels,
       interaction_count, last_interaction_at, reasons::text AS reasons, habits::text AS habits FROM {ties} t
WHERE world_id = $1{conditions} ORDER BY source_id, target_id LIMIT {most}
"""
NAMES: Final = "SELECT id, name FROM characters WHERE world_id = $1 AND id = ANY($2::uuid[]) ORDER BY id"


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds: (id, name) of characters, and rows of ties."""

    characters: Sequence[Any]
    ties: Sequence[Any]


async def read(connection: Any, world_id: UUID, wanted: TieFilter) -> Content:
    """The ties to be written, with their values of now. Refuses `graph_too_large`."""
    now = await now_of(connection, world_id)
    conditions, values = wanted.where(3)
    sql = EXPORT.format(
        ties=current("$2", ", reasons, habits"), conditions=conditions, most=MOST_EXPORTED + 1
    )
    ties = await connection.fetch(sql, world_id, now, *values)
    if len(ties) > MOST_EXPORTED:
        raise GRAPH_TOO_LARGE(
            f"A file takes up to {MOST_EXPORTED:,} ties. Filter by strength, trust or label.",
            max_ties=MOST_EXPORTED,
        )
    ids = sorted({row[end] for row in ties for end in ("source_id", "target_id")})
    return Content(await connection.fetch(NAMES, world_id, ids), ties)


def written(content: Content) -> bytes:
    """The file as UTF-8. Numbers are written so that they are read back exactly."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f'<graphml xmlns="{NAMESPACE}">']
    lines.append('<key id="name" for="node" attr.name="name" attr.type="string"/>')
    lines += [
        f'<key id="{name}" for="edge" attr.name="{name}" attr.type="{kind}"/>'
        for name, kind in EDGE_KEYS.items()
    ]
    lines.append('<graph id="ties" edgedefault="directed">')
    lines += [
        f'<node id="{row["id"]}"><data key="name">{_text(row["name"])}</data></node>'
        for row in content.characters
    ]
    for row in content.ties:
        data = "".join(f'<data key="{key}">{_text(value)}</data>' for key, value in _values(row))
        lines.append(f'<edge source="{row["source_id"]}" target="{row["target_id"]}">{data}</edge>')
    lines += ["</graph>", "</graphml>", ""]
    return "\n".join(lines).encode()


def _values(row: Any) -> Iterable[tuple[str, str]]:
    """What is to be told of a tie; what is empty is left out."""
    for key in EDGE_KEYS:
        value = row[key]
        if key == "labels":
            value = " ".join(value)
        elif key == "reasons":
            value = json.loads(value)
            for reason in value:
                reason["event_id"] = reason.pop("event", None)
            value = json.dumps(value) if value else ""
        elif key == "habits":
            habits = {kind: {"at": at, "heat": heat} for kind, (at, heat) in json.loads(value).items()}
            value = json.dumps(habits) if habits else ""
        if value not in (None, ""):
            yield key, repr(value) if isinstance(value, float) else str(value)


def _text(text: str) -> str:
    return NOT_XML.sub("\ufffd", escape(text))


# -- in ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Edge:
    """A tie of the file: its ends by the file's ids, its values, and where it stands."""

    source: str
    target: str
    line: int
    directed: bool
    data: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Parsed:
    """A file, read but not yet compared with a world: nodes as (line, name or None) by id, and ties."""

    nodes: dict[str, tuple[int, str | None]]
    edges: list[Edge]


def parsed(text: str) -> Parsed:
    """What a file says. Refuses `graphml_invalid` with `line`, and the `field` of a tie if it is one."""
    reader = _Reader()
    try:
        reader.parser.Parse(text.encode("utf-8", "surrogatepass"), True)
    except expat.ExpatError as error:
        raise mistake(error.lineno, f"it is no XML ({expat.ErrorString(error.code)})") from error
    return reader.finished()


def mistake(line: int, what: str, at: str = "") -> Refused:
    """The refusal of a file."""
    where = f"Line {line}" + (f", {at}" if at else "")
    return GRAPHML_INVALID(f"{where}: {what}. Nothing was imported.", line=line, field=at)


class _Reader:
    """Follows the parser through a file."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.EntityDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self._open: list[str] = []
        self._directed = True
        self._names: dict[str, str] = {}  # of keys, by id
        self._defaults: dict[str, str] = {}
        self._default_of: str | None = None
        self._nodes: dict[str, tuple[int, str | None]] = {}
        self._node: str | None = None
        self._edges: list[Edge] = []
        self._key: str | None = None
        self._data = ""

    def _doctype(self, *_: Any) -> None:
        raise mistake(self.parser.CurrentLineNumber, "a file with a document type or entities is not read")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        line, name = self.parser.CurrentLineNumber, tag.rpartition(" ")[2]
        if not self._open and name != "graphml":
            raise mistake(line, f"it begins with {name[:50]!r} and not with 'graphml'")
        if len(self._open) >= MOST_DEPTH:
            raise mistake(line, f"its elements nest deeper than {MOST_DEPTH} levels")
        parent = self._open[-1] if self._open else ""
        self._open.append(name)
        self._data = ""
        begin = getattr(self, f"_begin_{name}", None) if name in ELEMENTS.get(parent, ()) else None
        if begin is not None:
            begin(line, attributes)

    def _begin_key(self, line: int, attributes: dict[str, str]) -> None:
        key = self._attribute(attributes, "id", line)
        self._names[key] = attributes.get("attr.name", key)
        self._default_of = self._names[key] if attributes.get("for", "all") in ("edge", "all") else None

    def _begin_graph(self, _line: int, attributes: dict[str, str]) -> None:
        self._directed = attributes.get("edgedefault", "directed") == "directed"

    def _begin_node(self, line: int, attributes: dict[str, str]) -> None:
        node = self._attribute(attributes, "id", line)
        if node in self._nodes:
            raise mistake(
                line, f"the node {node[:100]!r} stands in line {self._nodes[node][0]} already", "node"
            )
        if len(self._nodes) >= MOST_CHARACTERS:
            raise mistake(line, f"there are more than {MOST_CHARACTERS:,} nodes")
        self._nodes[node] = (line, None)
        self._node = node

    def _begin_edge(self, line: int, attributes: dict[str, str]) -> None:
        source, target = (self._attribute(attributes, end, line) for end in ("source", "target"))
        if len(self._edges) >= MOST_TIES:
            raise mistake(line, f"there are more than {MOST_TIES:,} ties")
        directed = attributes.get("directed")
        self._edges.append(
            Edge(source, target, line, self._directed if directed is None else directed == "true")
        )

    def _begin_data(self, line: int, attributes: dict[str, str]) -> None:
        key = self._attribute(attributes, "key", line)
        self._key = self._names.get(key, key)

    def _attribute(self, attributes: dict[str, str], name: str, line: int) -> str:
        value = attributes.get(name, "")
        if not value or len(value) > 500:
            raise mistake(line, f"the attribute {name!r} is missing, empty or too long", name)
        return value

    def _characters(self, text: str) -> None:
        if self._open[-1] in ("data", "default"):
            self._data += text
            if len(self._data) > MOST_TEXT:
                raise mistake(self.parser.CurrentLineNumber, f"a value has more than {MOST_TEXT:,} letters")

    def _end(self, _tag: str) -> None:
        name = self._open.pop()
        parent = self._open[-1] if self._open else ""
        if name == "default" and parent == "key" and self._default_of is not None:
            self._defaults[self._default_of] = self._data.strip()
        elif name == "data" and self._key is not None:
            if parent == "edge":
                self._edges[-1].data[self._key] = self._data.strip()
            elif parent == "node" and self._key in ("name", "label") and self._node is not None:
                self._nodes[self._node] = (self._nodes[self._node][0], self._data.strip() or None)
            self._key = None

    def finished(self) -> Parsed:
        """The file as a whole."""
        defaults = {key: value for key, value in self._defaults.items() if key in EDGE_KEYS}
        for edge in self._edges:
            edge.data = defaults | edge.data
        return Parsed(self._nodes, self._edges)


ELEMENTS: Final = {
    "graphml": ("key", "graph"), "graph": ("node", "edge"), "node": ("data",), "edge": ("data",),
}  # fmt: skip
"""Which elements mean something, by that in which they stand. All others are passed over."""

# Characters by id, and by name.
NAMED: Final = """
SELECT id, name FROM characters
WHERE world_id = $1 AND deleted_at IS NULL AND (id = ANY($2::uuid[]) OR name = ANY($3::text[]))
"""


async def resolved(connection: Any, world_id: UUID, found: Parsed) -> list[TieValue]:
    """The ties of a file among the characters of a world; each node is one, by id or by name.

    Refuses `graphml_invalid` for a node that no character or more than one fits, an end that is no node, a
    tie with itself or given twice, and a value out of its range.
    """
    ids = {node: _uuid(node) for node in found.nodes}
    names = {name or node for node, (_, name) in found.nodes.items()}
    rows = await connection.fetch(
        NAMED, world_id, [i for i in ids.values() if i is not None], [n for n in names if "\x00" not in n]
    )
    living = {row["id"] for row in rows}
    named: dict[str, list[UUID]] = {}
    for row in rows:
        named.setdefault(row["name"], []).append(row["id"])
    characters: dict[str, UUID] = {}
    for node, (line, name) in found.nodes.items():
        by_id = ids[node]
        if by_id is not None and by_id in living:
            characters[node] = by_id
            continue
        fitting = named.get(name or node, [])
        if len(fitting) != 1:
            how = "more than one character is" if fitting else "no character of this world has this id or is"
            raise mistake(line, f"{how} called {(name or node)[:100]!r}", "node")
        characters[node] = fitting[0]
    return list(_ties(found.edges, characters))


def _ties(edges: Iterable[Edge], characters: dict[str, UUID]) -> Iterable[TieValue]:
    seen: dict[tuple[UUID, UUID], int] = {}
    for edge in edges:
        for end, node in (("source", edge.source), ("target", edge.target)):
            if node not in characters:
                raise mistake(edge.line, f"{node[:100]!r} is no node of this file", end)
        source, target = characters[edge.source], characters[edge.target]
        if source == target:
            raise mistake(edge.line, "a tie of a character with itself", "target")
        for pair in ((source, target),) if edge.directed else ((source, target), (target, source)):
            if pair in seen:
                raise mistake(edge.line, f"this tie stands in line {seen[pair]} already", "target")
            seen[pair] = edge.line
            yield _tie(pair, edge)


def _tie(pair: tuple[UUID, UUID], edge: Edge) -> TieValue:
    values: dict[str, Any] = {k: v for k, v in edge.data.items() if k in EDGE_KEYS and v != ""}
    if "labels" in values:
        values["labels"] = values["labels"].split()
    for key in ("reasons", "habits"):
        if key in values:
            try:
                values[key] = json.loads(values[key])
            except (ValueError, RecursionError) as error:
                raise mistake(edge.line, "it is no JSON", key) from error
    try:
        return TieValue.model_validate({"source_id": pair[0], "target_id": pair[1], **values})
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise mistake(edge.line, first["msg"], ".".join(map(str, first["loc"]))) from error


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
