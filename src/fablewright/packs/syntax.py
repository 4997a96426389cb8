"""YAML as packs use it: text to a tree that knows its lines, and values to readable text.

Packs use the plain part of YAML: mappings, lists, texts, numbers, `true`, `false` and `null`, as YAML 1.2 reads
them (`no` is a text, `14:05` too). Anchors, aliases, tags and several documents are refused, so a small file is a
small value. The files are read as a stream of events, never deeper, longer or more than the bounds below.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

MOST_BYTES: Final = 16 * 1024 * 1024
"""Largest file."""
MOST_NODES: Final = 2_000_000
"""Most values in a file."""
MOST_DEPTH: Final = 32
"""How deep values may nest."""
WIDTH: Final = 100
"""Where written text is folded."""

LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_INT = re.compile(r"[-+]?[0-9]{1,40}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: Final = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip


class SyntaxFault(Exception):
    """What is wrong with a text, and in which line."""

    def __init__(self, line: int, message: str):
        super().__init__(message)
        self.line = line
        self.message = message


@dataclass(slots=True)
class Node:
    """A value and the line where it begins, from 1.

    `value` is a scalar, a list of nodes, or a dict of keys to (line of the key, node).
    """

    value: Any
    line: int

    def plain(self) -> Any:
        """The value without its lines."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, (_, node) in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def child(self, step: Any) -> "tuple[int, Node] | None":
        """The line and the value of a field or of an item, if it is there."""
        if isinstance(self.value, dict):
            found: tuple[int, Node] | None = self.value.get(step) if isinstance(step, str) else None
            return found
        if isinstance(self.value, list) and isinstance(step, int) and step < len(self.value):
            node = self.value[step]
            return node.line, node
        return None


@dataclass(slots=True)
class _Open:
    """A mapping or list that has begun; in a mapping, `key` waits for its value."""

    node: Node
    key: tuple[str, int] | None = None


def parse(text: str) -> Node | None:
    """The one document of a text, or None if there is none. Raises `SyntaxFault`."""
    root: Node | None = None
    stack: list[_Open] = []
    count = 0
    try:
        for event in _events(text):
            line = event.start_mark.line + 1
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise SyntaxFault(line, "a second document begins here: write one document per file")
                continue
            if isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                stack.pop()
                continue
            if not isinstance(event, yaml.NodeEvent):
                continue
            count += 1
            node = _node(event, line)
            _check_bounds(count, len(stack), line)
            if not stack:
                root = node
            elif not _put(stack[-1], event, node):
                continue
            if isinstance(event, yaml.CollectionStartEvent):
                stack.append(_Open(node))
    except yaml.YAMLError as error:
        raise _said(error) from error
    return root


def _events(text: str) -> Iterator[Any]:
    return iter(yaml.parse(text, Loader=LOADER))


def _check_bounds(count: int, depth: int, line: int) -> None:
    if count > MOST_NODES:
        raise SyntaxFault(line, f"the file holds more than {MOST_NODES:,} values: split it")
    if depth >= MOST_DEPTH:
        raise SyntaxFault(line, f"values nest more than {MOST_DEPTH} levels deep: flatten them")


def _node(event: Any, line: int) -> Node:
    """The node that an event begins, if it is of the plain part of YAML."""
    if isinstance(event, yaml.AliasEvent):
        raise SyntaxFault(
            line, f"`*{event.anchor}` is an alias, which packs do not have: write the value out"
        )
    if event.anchor is not None:
        raise SyntaxFault(line, f"`&{event.anchor}` is an anchor, which packs do not have: leave it out")
    if event.tag is not None and event.tag != "!":
        raise SyntaxFault(line, f"`{event.tag}` is a tag, which packs do not have: leave it out")
    if isinstance(event, yaml.MappingStartEvent):
        return Node({}, line)
    if isinstance(event, yaml.SequenceStartEvent):
        return Node([], line)
    if "\x00" in event.value or any("\ud800" <= c <= "\udfff" for c in event.value):
        raise SyntaxFault(line, "the text holds U+0000 or half of a surrogate pair: leave that out")
    return Node(event.value if event.style else scalar(event.value), line)


def _put(into: _Open, event: Any, node: Node) -> bool:
    """Put a node where it belongs; False if it is a key, which waits for its value."""
    if isinstance(into.node.value, list):
        into.node.value.append(node)
        return True
    if into.key is None:
        if not isinstance(event, yaml.ScalarEvent):
            raise SyntaxFault(node.line, "a list or mapping cannot be the name of a field: write a word")
        if event.value in into.node.value:
            first = into.node.value[event.value][0]
            raise SyntaxFault(
                node.line, f"{event.value!r} stands in line {first} already: keep one of the two"
            )
        into.key = event.value, node.line
        return False
    key, line = into.key
    into.node.value[key] = (line, node)
    into.key = None
    return True


def _said(error: yaml.YAMLError) -> SyntaxFault:
    """What the parser found wrong."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    said = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
    began = getattr(error, "context_mark", None)
    if began is not None and mark is not None and began.line != mark.line:
        said += f" for what begins in line {began.line + 1}"
    if "\\t" in said or "tab" in said:
        said += " (indent with spaces, not tabs)"
    return SyntaxFault(mark.line + 1 if mark else 1, f"it is no YAML: {said}")


def scalar(text: str) -> Any:
    """What an unquoted word means: null, a truth value, a number, or a text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


# Writing.

_PLAIN = re.compile(r"[^\W\d_][\w .'/\u2013\u2014\u2019-]*")
_PLAIN_IN_BLOCK = re.compile(r"[^\W\d_][\w .,'/!?()&;\u2013\u2014\u2019-]*")
_AMBIGUOUS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""Words that one version of YAML or another takes for something else than a text."""
_SPECIAL = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\xa0\xad\u2028\u2029\u200b-\u200f\ud800-\udfff\ufeff\ufffe\uffff]"
)
_ESCAPED = re.compile("[\x7f-\xa0\xad\u2028\u2029\u200b-\u200f\ud800-\udfff\ufeff\ufffe\uffff]")


def dump(value: Mapping[str, Any]) -> str:
    """A mapping as YAML text, always the same for the same value, that any YAML reader reads as it was."""
    return "".join(f"{line}\n" for line in _mapping(value, 0))


def _mapping(value: Mapping[str, Any], indent: int) -> Iterator[str]:
    for key, item in value.items():
        yield from _field(f"{' ' * indent}{_word(key, block=False)}:", item, indent)


def _field(head: str, item: Any, indent: int) -> Iterator[str]:
    """The lines of `head` with its value after or below it."""
    if isinstance(item, str):
        yield from _text(head, item, indent + 2)
    elif isinstance(item, Mapping) and item:
        yield head
        yield from _mapping(item, indent + 2)
    elif _is_list(item) and item:
        flow = _flow(item)
        if flow is not None and len(head) + len(flow) < WIDTH and not isinstance(item[0], Mapping):
            yield f"{head} {flow}"
            return
        yield head
        yield from _list(item, indent + 2)
    else:
        yield f"{head} {_flow(item)}"


def _list(items: Sequence[Any], indent: int) -> Iterator[str]:
    for item in items:
        flow = _flow(item)
        if flow is not None and (indent + len(flow) < WIDTH + 20 or not isinstance(item, Mapping | str)):
            yield f"{' ' * indent}- {flow}"
        elif isinstance(item, str):
            yield from _text(f"{' ' * indent}-", item, indent + 2)
        elif isinstance(item, Mapping):
            lines = list(_mapping(item, indent + 2))
            yield f"{' ' * indent}- {lines[0].lstrip()}"
            yield from lines[1:]
        else:
            yield f"{' ' * indent}-"
            yield from _list(item, indent + 2)


def _flow(value: Any) -> str | None:
    """A value on one line, or None if a text in it wants lines of its own or it nests too deep to be read."""
    if isinstance(value, str):
        return None if "\n" in value or len(value) > WIDTH else _word(value, block=False)
    if isinstance(value, Mapping):
        parts = [(_word(key, block=False), _flow(item)) for key, item in value.items()]
        if any(part is None or (part.startswith(("{", "[{")) and part != "{}") for _, part in parts):
            return None
        return "{" + ", ".join(f"{key}: {part}" for key, part in parts) + "}"
    if _is_list(value):
        items = [_flow(item) for item in value]
        return None if any(item is None for item in items) else f"[{', '.join(filter(None, items))}]"
    return _scalar_text(value)


def _scalar_text(value: Any) -> str:
    if isinstance(value, float):
        text = repr(value)
        # Readers of YAML 1.1 take a number for a fraction only if it has a point.
        return text if "." in text or "e" not in text else text.replace("e", ".0e")
    return json.dumps(value)


def _text(head: str, text: str, indent: int) -> Iterator[str]:
    """A text after `head`: as it is, or as a block below it."""
    space = " " * indent
    if "\n" in text and _fits_block(text):
        body = text[:-1] if text.endswith("\n") else text
        yield f"{head} |" if text.endswith("\n") else f"{head} |-"
        yield from (f"{space}{line}" if line else "" for line in body.split("\n"))
    elif "\n" not in text and len(head) + len(text) >= WIDTH and _fits_fold(text):
        yield f"{head} >-"
        yield from (space + line for line in _folded(text, WIDTH - indent))
    else:
        yield f"{head} {_word(text, block=True)}"


def _fits_block(text: str) -> bool:
    """Whether a text of several lines can stand as a literal block."""
    body = text[:-1] if text.endswith("\n") else text
    return (
        _SPECIAL.search(text) is None
        and body != ""
        and not body.startswith((" ", "\n"))
        and not body.endswith((" ", "\n"))
        and all(line.strip() or not line for line in body.split("\n"))
    )


def _fits_fold(text: str) -> bool:
    """Whether a long text can be folded at its spaces."""
    return _SPECIAL.search(text) is None and all(text.split(" "))


def _folded(text: str, width: int) -> Iterator[str]:
    line = ""
    for word in text.split(" "):
        if line and len(line) + 1 + len(word) > width:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
    yield line


def _word(text: str, *, block: bool) -> str:
    """A text on one line, quoted if it could be taken for something else."""
    plain = (_PLAIN_IN_BLOCK if block else _PLAIN).fullmatch(text)
    if plain and not text.endswith(" ") and text.lower() not in _AMBIGUOUS:
        return text
    return _ESCAPED.sub(lambda m: f"\\u{ord(m[0]):04x}", json.dumps(text, ensure_ascii=False))


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
