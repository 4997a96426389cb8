"""Tables of other programs become the files of a pack: entries find their sections, parts their entries."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from fablewright.core.pack import Form, slug
from fablewright.packs.faults import Faults
from fablewright.packs.fitting import IDENTITY, Fitter, Index, Unmapped, date_of
from fablewright.packs.names import Names, PartOf, candidates, names, plain
from fablewright.packs.reader import PackFile
from fablewright.packs.sections import WORLD, Section
from fablewright.packs.shapes import Shape, shapes_of
from fablewright.packs.syntax import Node
from fablewright.packs.tables import Place, Row, Table

FACTIONS: Final = "factions"
RELATIONS: Final = "relations"
TIES: Final = "ties"
EITHER: Final = "either"
KEY: Final = re.compile(r"[^\W_][\w-]{0,99}")
AS_IMPORTED: Final = "imported"
"""The key of an opinion of which only its height is known."""


@dataclass(slots=True)
class Mapped:
    """What tables became: files of a pack, and what found no place in them."""

    files: list[PackFile]
    unmapped: list[Unmapped]


@dataclass(slots=True)
class _Sheet:
    """The entries of a section while they come together."""

    section: Section
    file: str = ""
    entries: dict[str, Node] = field(default_factory=dict)
    """By key; those of lists are numbered."""


class Mapper:
    """Maps the tables of one source."""

    def __init__(self, sections: Sequence[Section], faults: Faults, epoch: datetime | None):
        self._names: Names = names()
        self._sections = {section.name: section for section in sections}
        self._sheets = {section.name: _Sheet(section) for section in sections}
        self._fit = Fitter(self._names, Index(), faults, epoch)
        self._faults = faults
        self._said: dict[tuple[str, str], Any] = {}
        """Where an id or a key of a section stands."""

    def map(self, tables: Sequence[Table], source: Path) -> Mapped:
        """All tables as files of a pack; a world that none of them names is called after the source."""
        own, parts = self._sorted(tables)
        # Keys come first, since anything may refer to anything.
        keyed = [(s, t, self._keys(self._sections[s], t)) for s, t in own if self._is_keyed(s)]
        for _, table in [found for found in own if found[0] == WORLD]:
            self._document(WORLD, table)
        for section, table, keys in keyed:
            self._keyed(section, table, keys)
        for section, table in own:
            if section == EITHER:
                self._either(table)
            elif section != WORLD and not self._is_keyed(section):
                self._other(section, table)
        for part, table in parts:
            for row in table.rows:
                self._append(part.of, part, row)
        self._join()
        self._found_world(source)
        return Mapped(list(self._files()), list(self._fit.unmapped.values()))

    def _sorted(self, tables: Sequence[Table]) -> tuple[list[tuple[str, Table]], list[tuple[PartOf, Table]]]:
        """Tables of whole entries with their sections, and tables of parts."""
        own: list[tuple[str, Table]] = []
        parts: list[tuple[PartOf, Table]] = []
        for table in tables:
            name = plain(table.name)
            section = name if name in self._sections else self._names.sections.get(name, "")
            part = self._names.parts.get(name)
            if name in self._names.either:
                own.append((EITHER, table))
            elif section in self._sections:
                own.append((section, table))
            elif part is not None and part.of in self._sections:
                parts.append((part, table))
            else:
                for row in table.rows:
                    self._fit.leave(row.node.line, table.file, "", "nothing of a world is called so")
        return own, parts

    def _is_keyed(self, section: str) -> bool:
        return section != EITHER and self._sections[section].own.form is Form.KEYED

    # Entries.

    def _keys(self, section: Section, table: Table) -> list[str]:
        """A key for each row, by which others find it."""
        taken = self._fit.index.taken.setdefault(section.name, set())
        found = []
        for row in table.rows:
            fields = row.node.value if isinstance(row.node.value, dict) else {}
            said = {c: inner.value for c, (_, inner) in fields.items() if inner.value is not None}
            id_ = next((v for c, v in said.items() if plain(c) == IDENTITY), None)
            own, named = (
                next((v for c, v in said.items() if self._fit.means(section.name, c, name)), None)
                for name in ("key", "name")
            )
            given = {"": row.key, IDENTITY: id_, "key": own}
            self._stand_once(section.name, row.node.line, given)
            base = _key_of(section.name, (row.key, own), named, id_)
            key, number = base, 1
            while key in taken:
                number += 1
                key = f"{base}_{number}"
            found.append(key)
            self._fit.index.add(section.name, key, [v for v in given.values() if v is not None], named)
        return found

    def _stand_once(self, section: str, line: Any, given: Mapping[str, Any]) -> None:
        """What entries are known by is their own, id or key: else a reference would find the first that has it."""
        for column, value in given.items():
            first = line if value is None else self._said.setdefault((section, str(value)), line)
            if first is not line:
                said = f"{value!r} stands in {_where(first)} already: give one of the two another"
                self._faults.add("", line, column, said)

    def _keyed(self, section: str, table: Table, keys: Sequence[str]) -> None:
        sheet = self._sheets[section]
        sheet.file = sheet.file or table.file
        model = sheet.section.entry
        has_id = IDENTITY in shapes_of(model)
        for row, key in zip(table.rows, keys, strict=True):
            node, id_ = row.node, _uuid(row.key)
            if isinstance(node.value, dict):
                fields = {}
                for column, (line, inner) in node.value.items():
                    if plain(column) == IDENTITY:
                        id_ = _uuid(inner.value) or id_
                    elif self._fit.target(section, {"key": Shape(), **shapes_of(model)}, column, "") != "key":
                        fields[column] = (line, inner)
                if has_id and id_ is not None:
                    fields[IDENTITY] = (node.line, Node(str(id_), node.line))
                node = Node(fields, node.line)
            sheet.entries[key] = self._fit.entry(section, model, node)

    def _other(self, section: str, table: Table) -> None:
        """Entries of a list, or the one entry of a document."""
        sheet = self._sheets[section]
        if sheet.section.own.form is Form.DOCUMENT:
            self._document(section, table)
            return
        sheet.file = sheet.file or table.file
        for row in table.rows:
            self._listed(section, row.node)

    def _listed(self, section: str, node: Node) -> None:
        sheet = self._sheets[section]
        if isinstance(node.value, dict) and IDENTITY not in shapes_of(sheet.section.entry):
            fields = {c: v for c, v in node.value.items() if plain(c) != IDENTITY}
            node = Node(fields, node.line)
        sheet.entries[str(len(sheet.entries) + 1)] = self._fit.entry(section, sheet.section.entry, node)

    def _document(self, section: str, table: Table) -> None:
        sheet = self._sheets[section]
        model, shapes = sheet.section.entry, shapes_of(sheet.section.entry)
        sheet.file = sheet.file or table.file
        if _several(sheet.section):
            for row in table.rows:
                self._only(sheet, row.key or section, self._fit.entry(section, model, row.node))
            return
        if table.whole is None and section in shapes and shapes[section].items is not None:
            for row in table.rows:
                self._append(section, PartOf(section, section), row)
            return
        node = table.whole or _pairs(table.rows) or (table.rows[0].node if table.rows else None)
        if node is None:
            return
        if table.whole is None and node is table.rows[0].node:
            for row in table.rows[1:]:
                self._fit.leave(row.node.line, table.file, "", f"it is not the first row of {section}")
        if isinstance(node.value, dict):
            node = Node({c: v for c, v in node.value.items() if plain(c) != IDENTITY}, node.line)
            if section == WORLD:
                self._begin(node)
        self._only(sheet, section, self._fit.entry(section, model, node))

    def _only(self, sheet: _Sheet, key: str, entry: Node) -> None:
        """Let this be the one entry of its name."""
        there = sheet.entries.setdefault(key, entry)
        if there is not entry:
            said = f"{key!r} stands in {_where(there.line)} already: keep one"
            self._faults.add("", entry.line, "", said)

    def _begin(self, node: Node) -> None:
        """Learn which date world time 0 stands for: `epoch`, or else the date at which the world begins."""
        said: dict[str, Any] = {}
        for column, (_, inner) in node.value.items():
            target = self._fit.target(WORLD, {"epoch": Shape(), "begins_at": Shape()}, column, "")
            if target is not None and isinstance(inner.value, str):
                said[target] = date_of(inner.value)
        self._fit.epoch = self._fit.epoch or said.get("epoch") or said.get("begins_at")

    def _either(self, table: Table) -> None:
        """Rows between two factions are relations, those between two characters ties."""
        for row in table.rows:
            section = next(
                (
                    s
                    for s, kind in ((RELATIONS, FACTIONS), (TIES, "characters"))
                    if self._between(row.node, s, kind)
                ),
                None,
            )
            if section is None:
                self._faults.add(
                    table.file, row.node.line, "",
                    "it stands neither between two of the factions nor between two of the characters: mend its ends",
                )  # fmt: skip
                continue
            self._sheets[section].file = self._sheets[section].file or table.file
            self._listed(section, row.node)

    def _between(self, node: Node, section: str, kind: str) -> bool:
        if section not in self._sections or not isinstance(node.value, dict):
            return False
        shapes = {"from": Shape(), "to": Shape()}
        ends = {
            target: inner.value
            for column, (_, inner) in node.value.items()
            if (target := self._fit.target(section, shapes, column, "")) is not None
        }
        return len(ends) == 2 and all(self._fit.index.find(kind, end) is not None for end in ends.values())

    # Parts.

    def _append(self, section: str, part: PartOf, row: Row) -> None:
        """Put a part into its entry."""
        node, sheet = row.node, self._sheets[section]
        shape = shapes_of(sheet.section.entry).get(part.field)
        if not isinstance(node.value, dict) or shape is None:
            self._fit.leave(node.line, "", "", f"it is no part of {section}")
            return
        rest = dict(node.value)
        if row.key is not None and part.key is not None:
            rest.setdefault(part.key, (node.line, Node(row.key, node.line)))
        entry, field_ = self._owner(part, rest, node)
        if entry is None:
            return
        rest = {c: v for c, v in rest.items() if plain(c) != IDENTITY}
        inner = Node(rest, node.line)
        if shape.values is not None:
            into = entry.value.setdefault(field_, (node.line, Node({}, node.line)))[1]
            found = self._fit.keyed(section, shape, part, inner, field_)
            if found is not None and isinstance(into.value, dict):
                self._fit.put_once(into.value, found[0], node.line, found[1], field_)
            return
        into = entry.value.setdefault(field_, (node.line, Node([], node.line)))[1]
        taken = self._fit.take(inner, part.take)
        if part.take is not None:
            for column, (line, _) in rest.items():
                if taken is None or column != taken[0]:
                    self._fit.leave(line, "", column, f"no field of {section} takes it")
            inner = taken[1] if taken is not None else Node(None, node.line)
        if isinstance(into.value, list):
            into.value.append(self._fit.fit(section, shape.items or Shape(), inner, part.field))

    def _owner(self, part: PartOf, rest: dict[str, Any], node: Node) -> tuple[Node | None, str]:
        """The entry that a part belongs to and the field it goes into; what says so is taken out of `rest`."""
        sheet = self._sheets[part.of]
        if part.by is None:
            sheet.file = sheet.file or getattr(node.line, "file", part.of)
            return sheet.entries.setdefault(part.of, Node({}, node.line)), part.field
        ends = []
        for meant in (part.by, part.to):
            if meant is None:
                continue
            kind = FACTIONS if part.of == RELATIONS else part.of
            column, key = self._end(rest, meant, kind)
            if key is None:
                said = f" ({rest[column][1].value!r})" if column else ""
                self._faults.add(
                    "", node.line, column or meant, f"it names none of the {kind}{said}: mend that"
                )
                return None, ""
            rest.pop(column)
            ends.append(key)
        if part.to is None:
            return sheet.entries[ends[0]], part.field
        return self._pair(ends[0], ends[1], part.field, node)

    def _end(self, rest: Mapping[str, Any], meant: str, kind: str) -> tuple[str, str | None]:
        """The column that says one end of a part, and the key of what it names."""
        wanted = self._names.columns.get(meant, frozenset((meant,)))
        first = ""
        for name in sorted(wanted, key=lambda name: name != meant):
            for column, (_, inner) in rest.items():
                if name in candidates(column):
                    found = self._fit.index.find(kind, inner.value)
                    if found is not None and found in self._sheets[kind].entries:
                        return column, found
                    first = first or column
        return first, None

    def _pair(self, holder: str, about: str, field_: str, node: Node) -> tuple[Node, str]:
        """The relation of two factions, made if need be, and the field for what the first thinks of the second."""
        for entry in self._sheets[RELATIONS].entries.values():
            ends = (_plain(entry, "from"), _plain(entry, "to"))
            if ends in ((holder, about), (about, holder)):
                return entry, field_ if ends[0] == holder else f"{field_}_back"
        sheet = self._sheets[RELATIONS]
        sheet.file = sheet.file or getattr(node.line, "file", RELATIONS)
        ends_ = {"from": holder, "to": about}
        made = Node({end: (node.line, Node(key, node.line)) for end, key in ends_.items()}, node.line)
        sheet.entries[str(len(sheet.entries) + 1)] = made
        return made, field_

    # What belongs elsewhere.

    def _join(self) -> None:
        """Put what stands in the wrong entries where it belongs."""
        for key, entry in self._entries("regions"):
            self._to_faction(
                entry, "controller", lambda faction, line, key=key: _add(faction, "holds", key, line)
            )
        for key, entry in self._entries("characters"):
            said = [(n, *v) for n in ("rank", "role") if (v := _pop(entry, n)) is not None and v[1].value]

            def join(faction: Node, line: Any, key: str = key, said: Sequence[Any] = said) -> None:
                members = faction.value.setdefault("members", (line, Node({}, line)))[1]
                if isinstance(members.value, dict):
                    member = members.value.setdefault(key, (line, Node({}, line)))[1]
                    for name, at, value in said if isinstance(member.value, dict) else ():
                        self._fit.put_once(member.value, name, at, value, name)

            if _plain(entry, "faction") in (None, ""):
                for name, at, _ in said:
                    self._fit.leave(at, "", name, "it does not say of which faction")
            self._to_faction(entry, "faction", join)
        for _, entry in self._entries(RELATIONS):
            for name, into in (("opinion", "opinions"), ("opinion_back", "opinions_back")):
                given = _pop(entry, name)
                if given is not None and given[1].value is not None:
                    _add(entry, into, None, given[0], node=_opinion(given[1]))
        self._merge_relations()
        for _, entry in self._entries(WORLD):
            _pop(entry, "epoch")

    def _entries(self, section: str) -> list[tuple[str, Node]]:
        sheet = self._sheets.get(section)
        return (
            [] if sheet is None else [(k, e) for k, e in sheet.entries.items() if isinstance(e.value, dict)]
        )

    def _to_faction(self, entry: Node, name: str, give: Any) -> None:
        given = _pop(entry, name)
        if given is None or given[1].value in (None, ""):
            return
        faction = (
            self._sheets[FACTIONS].entries.get(str(given[1].value)) if FACTIONS in self._sheets else None
        )
        if faction is None or not isinstance(faction.value, dict):
            self._faults.add(
                "",
                given[0],
                name,
                f"it names none of the factions: {given[1].value!r}. Mend that, or add it there",
            )
            return
        give(faction, given[0])

    def _merge_relations(self) -> None:
        """Rows that tell the two directions of one relation become one."""
        sheet, seen = self._sheets.get(RELATIONS), dict[tuple[Any, Any], Node]()
        if sheet is None:
            return
        kept: dict[str, Node] = {}
        for key, entry in sheet.entries.items():
            ends = (_plain(entry, "from"), _plain(entry, "to"))
            first = seen.get((ends[1], ends[0]))
            if first is None or ends[0] == ends[1]:
                seen.setdefault(ends, entry)
                kept[key] = entry
                continue
            for name, given in entry.value.items():
                if name in ("from", "to"):
                    continue
                target = {"opinions": "opinions_back", "trust": "trust_back", "opinions_back": "opinions",
                          "trust_back": "trust"}.get(name, name)  # fmt: skip
                there = first.value.setdefault(target, given)
                if there is not given and there[1].plain() != given[1].plain():
                    self._faults.add(
                        "", given[0], name,
                        f"the row of the other direction says {there[1].value!r}, this one {given[1].value!r}: "
                        "let both say the same",
                    )  # fmt: skip
        sheet.entries = kept

    def _found_world(self, source: Path) -> None:
        sheet = self._sheets[WORLD]
        sheet.file = sheet.file or source.name
        entry = sheet.entries.setdefault(WORLD, Node({}, Place(0, source.name)))
        if isinstance(entry.value, dict):
            name = Node(source.stem or "Imported world", entry.line)
            entry.value.setdefault("name", (entry.line, name))

    def _files(self) -> Iterator[PackFile]:
        for sheet in self._sheets.values():
            if not sheet.entries:
                continue
            own, entries = sheet.section.own, list(sheet.entries.values())
            if own.form is Form.DOCUMENT:
                several = _several(sheet.section)
                for key, entry in sheet.entries.items():
                    yield PackFile(f"{key}.json" if several else sheet.file, sheet.section, entry)
                continue
            line = Place(1, sheet.file)
            inner = (
                Node({key: (entry.line, entry) for key, entry in sheet.entries.items()}, line)
                if own.form is Form.KEYED
                else Node(entries, line)
            )
            yield PackFile(sheet.file, sheet.section, Node({own.top: (line, inner)}, line))


def _several(section: Section) -> bool:
    """Whether there may be several documents, each under its name."""
    return any("*" in pattern for pattern in section.own.files)


def _where(line: Any) -> str:
    return f"{line.file}, {line.unit} {int(line)}"


def _uuid(value: Any) -> UUID | None:
    try:
        return UUID(str(value)) if isinstance(value, str) else None
    except ValueError:
        return None


def _key_of(section: str, keys: Sequence[Any], name: Any, id_: Any) -> str:
    """A key for an entry: the one it has, one made of its name, or of its id."""
    for given in (*keys, name, id_):
        text = str(given)
        if isinstance(given, str | int) and _uuid(given) is None:
            made = text if given is not name and KEY.fullmatch(text) else slug(text)
            if made:
                return made
    return section


def _pairs(rows: Sequence[Row]) -> Node | None:
    """One object out of rows of `key` and `value`."""
    made: dict[str, Any] = {}
    for row in rows:
        said = (
            {plain(c): inner for c, (_, inner) in row.node.value.items()}
            if isinstance(row.node.value, dict)
            else {}
        )
        if said.keys() - {IDENTITY} not in ({"key", "value"}, {"name", "value"}):
            return None
        name = said.get("key") or said.get("name")
        if name is not None:
            made[str(name.value)] = (row.node.line, said["value"])
    return Node(made, rows[0].node.line) if rows else None


def _plain(entry: Node, name: str) -> Any:
    found = entry.value.get(name) if isinstance(entry.value, dict) else None
    return None if found is None else found[1].value


def _pop(entry: Node, name: str) -> Any:
    return entry.value.pop(name, None)


def _add(entry: Node, name: str, value: Any, line: Any, *, node: Node | None = None) -> None:
    """Add an item to a list of an entry, unless it stands there."""
    into = entry.value.setdefault(name, (line, Node([], line)))[1]
    item = node or Node(value, line)
    if isinstance(into.value, list) and item.plain() not in [other.plain() for other in into.value]:
        into.value.append(item)


def _opinion(amount: Node) -> Node:
    fields = {"key": AS_IMPORTED, "amount": amount.value, "reason": "as it was when the world was imported"}
    return Node(
        {name: (amount.line, Node(value, amount.line)) for name, value in fields.items()}, amount.line
    )
