"""Fits rows of other programs to the entries of packs: columns to fields, values to what a field may hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import BaseModel

from fablewright.packs.faults import Faults
from fablewright.packs.json_text import parse_json
from fablewright.packs.names import Names, PartOf, candidates, plain
from fablewright.packs.shapes import Shape, shapes_of
from fablewright.packs.syntax import Node, SyntaxFault

NUMBER: Final = Shape()
FACTION: Final = Shape(refs=["factions"])
VIRTUAL: Final[Mapping[str, Mapping[str, Shape]]] = {
    "world": {"epoch": Shape()},
    "regions": {"controller": FACTION},
    "characters": {"faction": FACTION, "rank": Shape(), "role": Shape()},
    "relations": {"opinion": NUMBER, "opinion_back": NUMBER},
}
"""Columns that entries have no field for, but that mean something elsewhere (`mapping` puts them there)."""

IDENTITY: Final = "id"


@dataclass(slots=True)
class Unmapped:
    """What found no place: the file or table, the column (empty: all of it), how often, and where first."""

    file: str
    column: str
    why: str
    unit: str
    first: int
    count: int = 0

    def __str__(self) -> str:
        if not self.column:
            return f"{self.file}: {self.why} ({self.count} {'entry' if self.count == 1 else 'entries'})"
        what = f"{self.file}, {self.column}"
        times = f"{self.count} times, first in" if self.count > 1 else "in"
        return f"{what}: {self.why} ({times} {self.unit} {self.first})"


@dataclass(slots=True)
class Index:
    """The keys of entries by what others may call them: the ids and keys that they were given, else their names.

    A key that was made of a name is none of these: several may have the name.
    """

    taken: dict[str, set[str]] = field(default_factory=dict)
    """All keys of a section."""
    given: dict[str, dict[str, str]] = field(default_factory=dict)
    called: dict[str, dict[str, str | None]] = field(default_factory=dict)
    """By plain name; None for a name that several have."""

    def add(self, section: str, key: str, ids: Sequence[Any], name: Any) -> None:
        """Let an entry be found."""
        self.taken.setdefault(section, set()).add(key)
        given, called = self.given.setdefault(section, {}), self.called.setdefault(section, {})
        for id_ in ids:
            given.setdefault(str(id_), key)
        if name is not None and called.setdefault(plain(str(name)), key) != key:
            called[plain(str(name))] = None

    def find(self, section: str, name: Any) -> str | None:
        """The key of the entry that is called so, or None."""
        if name is None or isinstance(name, dict | list):
            return None
        given, called, short = self.given.get(section, {}), self.called.get(section, {}), plain(str(name))
        return given.get(str(name)) or (called[short] if short in called else given.get(short))


@dataclass(slots=True)
class Fitter:
    """Fits nodes to models, and keeps what found no place."""

    names: Names
    index: Index
    faults: Faults
    epoch: datetime | None = None
    """The real date that world time 0 stands for."""
    unmapped: dict[tuple[str, str], Unmapped] = field(default_factory=dict)

    def leave(self, node_line: Any, file: str, column: str, why: str) -> None:
        """Note that something finds no place."""
        file, unit = getattr(node_line, "file", file), getattr(node_line, "unit", "line")
        noted = self.unmapped.setdefault(
            (file, column), Unmapped(file, column, why, unit, max(1, int(node_line)))
        )
        noted.count += 1

    def entry(self, section: str, model: type[BaseModel], node: Node, path: str = "") -> Node:
        """A node with the names of the model's fields. What is no object is given back as it is."""
        if (
            not isinstance(node.value, dict)
            or not model.model_fields
            or model.model_config.get("extra") == "allow"
        ):
            return node
        shapes = dict(shapes_of(model)) | ({} if path else dict(VIRTUAL.get(section, {})))
        made: dict[str, Any] = {}
        columns = sorted(node.value.items(), key=lambda c: plain(c[0]) not in shapes)
        for column, (line, inner) in columns:
            if inner.value is None and (
                getattr(line, "unit", "") == "row" or not self._nullable(shapes, column)
            ):
                continue
            target = self.target(section, shapes, column, path)
            if target is None or not self._put(section, shapes, made, target, (line, inner), path):
                shown = f"{path}.{column}" if path else column
                self.leave(line, "", shown, f"no field of {section} takes it")
        return Node(made, node.line)

    @staticmethod
    def _nullable(shapes: Mapping[str, Shape], column: str) -> bool:
        shape = shapes.get(plain(column))
        return shape is not None and shape.nullable

    def target(self, section: str, shapes: Mapping[str, Shape], column: str, path: str) -> str | None:
        """The field, or `field.inner`, or `field[]` (an item of its list), that a column means."""
        for name in candidates(column):
            if name in shapes:
                return name
            for meant in self._meant(section, f"{path}.{name}" if path else name):
                short = meant.removeprefix(f"{path}.") if path else meant
                outer, _, inner = short.partition(".")
                if outer in shapes and (not inner or shapes[outer].single):
                    return short
            appended = None if path else self.names.appended.get(section, {}).get(name)
            if appended in shapes:
                return f"{appended}[]"
            nested = self._nested(shapes, name)
            if nested is not None:
                return nested
        return None

    def means(self, section: str, column: str, name: str) -> bool:
        """Whether a column of whole entries is that field, whatever else they have."""
        return self.target(section, {name: Shape()}, column, "") == name

    def _meant(self, section: str, path: str) -> list[str]:
        last = path.rpartition(".")[2]
        return [m for m in (self.names.field(section, path), self.names.field("*", last)) if m]

    @staticmethod
    def _nested(shapes: Mapping[str, Shape], name: str) -> str | None:
        """A field inside a field that holds one object, as `aggressive` is in `traits`."""
        for outer, shape in shapes.items():
            if shape.single:
                inner = shapes_of(shape.models[0])
                for short in (name, name.removeprefix(f"{outer}_")):
                    if short in inner:
                        return f"{outer}.{short}"
        return None

    def _put(
        self,
        section: str,
        shapes: Mapping[str, Shape],
        made: dict[str, Any],
        target: str,
        given: Any,
        path: str,
    ) -> bool:
        """Put a value where it belongs; False if something stands there already."""
        line, node = given
        if target.endswith("[]"):
            name = target[:-2]
            items = shapes[name].items or Shape()
            made.setdefault(name, (line, Node([], line)))[1].value.append(
                self.fit(section, items, node, path)
            )
            return True
        outer, _, inner = target.partition(".")
        if not inner:
            if outer in made:
                return False
            deeper = f"{path}.{outer}" if path else outer
            made[outer] = (line, self.fit(section, shapes[outer], node, deeper))
            return True
        into = made.setdefault(outer, (line, Node({}, line)))[1].value
        if not isinstance(into, dict) or inner in into:
            return False
        shape = shapes_of(shapes[outer].models[0])[inner]
        into[inner] = (line, self.fit(section, shape, node, f"{outer}.{inner}"))
        return True

    def fit(self, section: str, shape: Shape, node: Node, path: str = "") -> Node:
        """A value as a field of that shape may hold it, or as it is if there is no way."""
        value, line = node.value, node.line
        if isinstance(value, str) and shape.inner:
            node = self._unfolded(shape, value, line, path)
            value = node.value
        if isinstance(value, list):
            return self._list(section, shape, node, path)
        if isinstance(value, dict):
            return self._mapping(section, shape, node, path)
        return Node(self._scalar(shape, value, line, path), line)

    def _unfolded(self, shape: Shape, text: str, line: Any, path: str) -> Node:
        """What a text holds that stands for a list or an object: JSON, or words between commas."""
        stripped = text.strip()
        if stripped[:1] in ("[", "{"):
            try:
                return parse_json(stripped, line=line)
            except SyntaxFault as fault:
                self.faults.add("", line, path, fault.message)
        if shape.items is not None and not shape.items.inner:
            words = [word.strip() for word in stripped.replace(";", ",").split(",")]
            return Node([Node(word, line) for word in words if word], line)
        return Node(text, line)

    def _list(self, section: str, shape: Shape, node: Node, path: str) -> Node:
        if shape.items is not None:
            return Node([self.fit(section, shape.items, item, path) for item in node.value], node.line)
        part = self.names.part(section, path)
        if shape.values is None or part is None or part.key is None:
            return node
        made: dict[str, Any] = {}
        for item in node.value:
            found = self.keyed(section, shape, part, item, path)
            if found is not None:
                self.put_once(made, found[0], item.line, found[1], path)
        return Node(made, node.line)

    def put_once(self, made: dict[str, Any], key: str, line: Any, node: Node, path: str) -> None:
        """Put a value under its key. What stands there already may only say the same."""
        there = made.setdefault(key, (line, node))[1]
        if there is not node and there.plain() != node.plain():
            self.faults.add("", line, path, f"{key!r} stands there twice, and not the same: keep one")

    def keyed(
        self, section: str, shape: Shape, part: PartOf, node: Node, path: str
    ) -> tuple[str, Node] | None:
        """An item of a list as a key and its value, for fields that are mappings."""
        if not isinstance(node.value, dict):
            return self._key(shape, node.value, node.line, path), Node({}, node.line)
        key = self.take(node, part.key)
        if key is None:
            self.faults.add("", node.line, path, f"it does not say {part.key!r}: add that")
            return None
        rest = Node({c: v for c, v in node.value.items() if c not in (key[0], IDENTITY)}, node.line)
        name = self._key(shape, key[1].value, node.line, path)
        if part.take is None:
            made = self.fit(section, shape.values or Shape(), rest, path)
            if isinstance(made.value, dict) and _wants_name(shape) and "name" not in made.value:
                made.value["name"] = (node.line, Node(name.replace("_", " ").capitalize(), node.line))
            return name, made
        taken = self.take(rest, part.take)
        for column, (line, _) in rest.value.items():
            if taken is None or column != taken[0]:
                self.leave(line, "", f"{path}.{column}", f"no field of {section} takes it")
        return name, taken[1] if taken is not None else Node(None, node.line)

    def take(self, node: Node, meant: str | None) -> tuple[str, Node] | None:
        """The column of a row that means something, and its value."""
        if meant is None or not isinstance(node.value, dict):
            return None
        wanted = self.names.columns.get(meant, frozenset((meant,)))
        best = sorted(wanted, key=lambda name: name != meant)
        for name in best:
            for column, (_, inner) in node.value.items():
                if name in candidates(column) and inner.value is not None:
                    return column, inner
        return None

    def _key(self, shape: Shape, value: Any, line: Any, path: str) -> str:
        return self._named(shape.keys.refs if shape.keys is not None else [], value, line, path)

    def _named(self, kinds: Sequence[str], value: Any, line: Any, path: str) -> str:
        """The key of the entry that a value names. What names none is given back: the reader says so."""
        for kind in kinds:
            found = self.index.find(kind, value)
            if found is not None:
                return found
        for kind in kinds:
            # It would be taken for a key that was made here, of a name that others may have, too.
            if str(value) in self.index.taken.get(kind, ()):
                said = f"it names none of the {kind}, or several ({value!r}): name one by its id or key"
                self.faults.add("", line, path, said)
        return str(value)

    def _mapping(self, section: str, shape: Shape, node: Node, path: str) -> Node:
        if shape.values is not None:
            made: dict[str, Any] = {}
            for key, (line, inner) in node.value.items():
                fitted = self.fit(section, shape.values, inner, path)
                self.put_once(made, self._key(shape, key, line, path), line, fitted, path)
            return Node(made, node.line)
        shape = shape if shape.models else (shape.items or shape)
        model = self._model(section, shape, node, path)
        return self.entry(section, model, node, path) if model is not None else node

    def _model(self, section: str, shape: Shape, node: Node, path: str) -> type[BaseModel] | None:
        """The model that an object is to fit; of several, that which its `type` or `kind` names."""
        if len(shape.models) <= 1:
            return shape.models[0] if shape.models else None
        for model in shape.models:
            shapes = shapes_of(model)
            for column, (_, inner) in node.value.items():
                target = self.target(section, shapes, column, path)
                words = shapes[target].words if target is not None and target in shapes else []
                if (
                    isinstance(inner.value, str)
                    and self.word(inner.value, words) in words
                    and len(words) == 1
                ):
                    return model
        return None

    def word(self, given: str, words: Sequence[str]) -> str:
        """The word of some that is meant, or what was given."""
        if given in words:
            return given
        short = plain(given)
        return next((w for w in (short, *self.names.words.get(short, ())) if w in words), given)

    def _scalar(self, shape: Shape, value: Any, line: Any, path: str) -> Any:
        if shape.refs and value is not None:
            return self._named(shape.refs, value, line, path)
        if isinstance(value, str) and shape.words:
            return self.word(value, shape.words)
        if isinstance(value, str) and shape.whole:
            return self._world_ms(value, line, path)
        if shape.truth and not shape.whole and value in (0, 1):
            return bool(value)
        return value

    def _world_ms(self, text: str, line: Any, path: str) -> Any:
        """World time that a date stands for, ms; what is no date is given back."""
        moment = date_of(text)
        if moment is None:
            return text
        if self.epoch is None:
            self.faults.add(
                "", line, path, f"{text!r} is a date: say with --epoch which date world time 0 stands for"
            )
            return 0
        return round((moment - self.epoch).total_seconds() * 1000)


def _wants_name(shape: Shape) -> bool:
    models = shape.values.models if shape.values is not None else []
    return (
        len(models) == 1 and "name" in models[0].model_fields and models[0].model_fields["name"].is_required()
    )


def date_of(text: str) -> datetime | None:
    """The moment that a text in ISO 8601 names, in UTC if it does not say otherwise."""
    if not (text[:1].isdigit() and "-" in text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
