"""What the models of packs expect at each place, found in their annotations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from fablewright.core.pack import Ref


@dataclass(slots=True)
class Shape:
    """What may stand at a place; most places allow one of these only."""

    models: list[type[BaseModel]] = field(default_factory=list)
    refs: list[str] = field(default_factory=list)
    """Sections whose entries it names by key."""
    words: list[str] = field(default_factory=list)
    """If it is one of some words: which."""
    whole: bool = False
    """Whether it is a whole number."""
    truth: bool = False
    nullable: bool = False
    items: "Shape | None" = None
    """If it is a list: of what."""
    values: "Shape | None" = None
    """If it is a mapping: of what."""
    keys: "Shape | None" = None
    """If it is a mapping: how its keys look."""

    @property
    def inner(self) -> bool:
        """Whether it is no scalar."""
        return bool(self.models or self.items or self.values)

    @property
    def single(self) -> bool:
        """Whether it is one object whose fields are known."""
        return len(self.models) == 1 and self.items is None and self.values is None


@lru_cache(maxsize=4096)
def shapes_of(model: type[BaseModel]) -> Mapping[str, Shape]:
    """The shape of each field of a model, by the name that it has in a file."""
    found = {}
    for name, info in model.model_fields.items():
        shape = shape_of(info.annotation)
        _mark(shape, info.metadata)
        found[info.alias or name] = shape
    return found


def shape_of(annotation: Any) -> Shape:
    """The shape of an annotation."""
    shape = Shape()
    _look(annotation, shape)
    return shape


def _mark(shape: Shape, metadata: Sequence[Any]) -> None:
    shape.refs += [each.kind for each in metadata if isinstance(each, Ref)]


def _look(annotation: Any, shape: Shape) -> None:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        _look(arguments[0], shape)
        _mark(shape, arguments[1:])
    elif origin in (Union, UnionType):
        for option in arguments:
            _look(option, shape)
    elif origin is Literal:
        shape.words += [word for word in arguments if isinstance(word, str)]
    elif origin in (list, tuple, set, frozenset, Sequence):
        shape.items = shape_of(arguments[0])
    elif origin in (dict, Mapping):
        shape.keys, shape.values = shape_of(arguments[0]), shape_of(arguments[1])
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        shape.models.append(annotation)
    elif annotation is NoneType:
        shape.nullable = True
    elif annotation is bool:
        shape.truth = True
    elif annotation is int:
        shape.whole = True
