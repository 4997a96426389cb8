"""What is wrong with a pack: every fault with its file, line and field, and what to do."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from fablewright.core.refusal import INVALID, Refusal, Refused
from fablewright.packs.syntax import Node

PACK_INVALID = Refusal(
    "pack_invalid",
    INVALID,
    "The pack has mistakes, so nothing was made. Mend what it names and import again.",
)

MOST_FAULTS: Final = 20
"""How many faults are told at once."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """Something wrong: where (line 0: the file as a whole), in which field, and what to do.

    In a table, rows are counted instead of lines.
    """

    file: str
    line: int
    field: str
    message: str
    unit: str = "line"

    def __str__(self) -> str:
        where = self.file + (f", {self.unit} {self.line}" if self.line else "")
        return f"{where}{f', {self.field}' if self.field else ''}: {self.message}"


@dataclass(slots=True)
class Faults:
    """The faults found so far."""

    found: list[Fault] = field(default_factory=list)

    def add(self, file: str, line: int, path: str, message: str) -> None:
        """One more. A line that knows where it lies (`tables.Place`) is believed."""
        unit = getattr(line, "unit", "line")
        self.found.append(Fault(getattr(line, "file", file), int(line), path, message, unit))

    def refuse_if_any(self) -> None:
        """Refuses `pack_invalid` with all faults (the first 20 of them) if there are any."""
        if self.found:
            raise self.refusal()

    def refusal(self) -> Refused:
        """The refusal that tells of them."""
        told = sorted(set(self.found))
        more = len(told) - MOST_FAULTS
        lines = [str(fault) for fault in told[:MOST_FAULTS]] + ([f"and {more} more"] if more > 0 else [])
        first = told[0]
        return PACK_INVALID(
            "\n".join(lines), file=first.file, line=first.line, field=first.field, count=len(told),
            faults=[told_as(fault) for fault in told[:MOST_FAULTS]],
        )  # fmt: skip


def told_as(fault: Fault) -> dict[str, Any]:
    """A fault as a refusal's facts tell it."""
    return {"file": fault.file, "line": fault.line, "field": fault.field, "message": fault.message}


def of_validation(
    faults: Faults, file: str, tree: Node, error: ValidationError, model: type[BaseModel]
) -> None:
    """Add the faults that a model finds in a tree."""
    for one in error.errors(include_url=False):
        line, path = locate(tree, one["loc"], missing=one["type"] == "missing")
        faults.add(file, line, path, _message(dict(one), model))


def locate(tree: Node, loc: Sequence[Any], *, missing: bool = False) -> tuple[int, str]:
    """The line of a place in a tree, and its path such as `characters.orla.goals[2].about`.

    Steps that are not in the tree (pydantic names kinds of unions and keys, too) are passed over, except for the
    name of a field that is missing. Items of lists are counted from 1.
    """
    line, node, path = tree.line, tree, ""
    for number, step in enumerate(loc):
        found = node.child(step)
        if found is None:
            if missing and number == len(loc) - 1:
                path += f".{step}"
            continue
        line, node = found
        path += f"[{step + 1}]" if isinstance(step, int) else f".{step}"
    return line, path.removeprefix(".")


_SAID: Final = {
    "missing": "it is missing: add it",
    "dict_type": "it must hold fields, one per line, each as `name: value`",
    "model_type": "it must hold fields, one per line, each as `name: value`",
    "model_attributes_type": "it must hold fields, one per line, each as `name: value`",
    "list_type": "it must be a list: write each item on a line of its own after `- `",
    "tuple_type": "it must be a list: write each item on a line of its own after `- `",
}
"""What we say instead of pydantic, by the kind of its error."""


def _message(error: dict[str, Any], model: type[BaseModel]) -> str:
    kind, context, given = error["type"], error.get("ctx", {}), error.get("input")
    if kind in _SAID:
        return _SAID[kind]
    if kind == "extra_forbidden":
        return _unknown(error["loc"], model)
    if kind == "string_type":
        advice = "put it in quotes" if isinstance(given, int | float) else "write a text"
        return f"it must be a text: {advice}"
    if kind == "literal_error":
        near = get_close_matches(str(given), re.findall("'([^']*)'", context["expected"]), 1)
        return f"it must be {context['expected']}, not {given!r:.60}{_did_you_mean(near)}"
    if kind == "string_pattern_mismatch" and error["loc"] and error["loc"][-1] == "[key]":
        return "a key begins with a letter or digit, and holds only letters, digits, `_` and `-`"
    said = str(error["msg"]).removeprefix("Value error, ")
    said = said[:1].lower() + said[1:]
    shown = "" if kind == "names_nothing" or isinstance(given, dict | list) else f" (it is {given!r:.60})"
    return said + shown


def _unknown(loc: Sequence[Any], model: type[BaseModel]) -> str:
    known = sorted(fields_at(model, loc[:-1]))
    near = get_close_matches(str(loc[-1]), known, 1)
    if near:
        return f"there is no field of this name{_did_you_mean(near)}"
    if " " in str(loc[-1]):
        return "this is no field, but the rest of a text with a comma in it: put the whole text in quotes"
    return f"there is no field of this name: leave it out. Known are {', '.join(known)}"


def _did_you_mean(near: Sequence[str]) -> str:
    return f". Did you mean {near[0]!r}?" if near else ""


def fields_at(model: Any, loc: Sequence[Any]) -> set[str]:
    """The names of the fields that a model has at a place inside it."""
    here = _models(model)
    for step in loc:
        here = {inner for outer in here for inner in _step(outer, step)}
    return {
        field.alias or name for m in here if _is_model(m) for name, field in m.model_fields.items()
    }  # fmt: skip


def _models(annotation: Any) -> set[Any]:
    """The types that an annotation may stand for, without its wrappings."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _models(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return {found for option in get_args(annotation) for found in _models(option)}
    return {annotation}


def _step(outer: Any, step: Any) -> set[Any]:
    """Where one step into a type leads; steps that name no part of it stay."""
    if _is_model(outer):
        for name, field_ in outer.model_fields.items():
            if step in (name, field_.alias):
                return _models(field_.annotation)
        return {outer}
    origin, arguments = get_origin(outer), get_args(outer)
    if isinstance(step, int) and origin in (list, tuple, Sequence):
        return _models(arguments[0])
    if isinstance(step, str) and origin in (dict, Mapping):
        return _models(arguments[1])
    return {outer}


def _is_model(found: Any) -> bool:
    return isinstance(found, type) and issubclass(found, BaseModel)
