"""JSON text to the same tree of values with their lines that YAML becomes (`syntax`)."""

import re
from json import JSONDecodeError
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, Final

from fablewright.packs.syntax import MOST_DEPTH, MOST_NODES, Node, SyntaxFault

_SPACE: Final = re.compile(r"[ \t\n\r]*")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORDS: Final = {"null": None, "true": True, "false": False}
_WORD: Final = re.compile("null|true|false")
MOST_DIGITS: Final = 40
"""Longest whole number."""


def parse_json(text: str, *, line: int | None = None) -> Node:
    """The value of a text. Raises `SyntaxFault`.

    `line` stands in for the lines of the text, when it comes out of a cell of a table.
    """
    reader = _Reader(text, line)
    node, end = reader.value(reader.skip(0), 0)
    end = reader.skip(end)
    if end != len(text):
        raise reader.fault(end, "something stands behind its end: remove that")
    return node


class _Reader:
    """Reads one text from left to right, and counts its lines as it goes."""

    def __init__(self, text: str, line: int | None):
        self._text = text
        self._fixed = line
        self._at = 0
        self._line = 1
        self._count = 0

    def skip(self, at: int) -> int:
        """The next place that holds no space."""
        found = _SPACE.match(self._text, at)
        return found.end() if found else at

    def line(self, at: int) -> int:
        """The line of a place, which never lies before one that was asked for already."""
        if self._fixed is not None:
            return self._fixed
        if at > self._at:
            self._line += self._text.count("\n", self._at, at)
            self._at = at
        return self._line

    def fault(self, at: int, message: str) -> SyntaxFault:
        return SyntaxFault(self.line(at), f"it is no JSON: {message}")

    def value(self, at: int, depth: int) -> tuple[Node, int]:
        """The value that begins at a place, and where it ends."""
        line, first = self.line(at), self._text[at : at + 1]
        self._count += 1
        if self._count > MOST_NODES:
            raise SyntaxFault(line, f"the file holds more than {MOST_NODES:,} values: split it")
        if depth >= MOST_DEPTH:
            raise SyntaxFault(line, f"values nest more than {MOST_DEPTH} levels deep: flatten them")
        if first == "{":
            return self._object(at, depth, line)
        if first == "[":
            return self._array(at, depth, line)
        if first == '"':
            text, end = self._string(at)
            return Node(text, line), end
        if word := _WORD.match(self._text, at):
            return Node(_WORDS[word[0]], line), word.end()
        if number := _NUMBER.match(self._text, at):
            return Node(self._number(number), line), number.end()
        raise self.fault(at, "the text ends too early" if not first else f"{first!r} begins no value")

    def _number(self, found: re.Match[str]) -> Any:
        whole = found[1] is None and found[2] is None
        if whole and len(found[0]) > MOST_DIGITS:
            raise self.fault(found.start(), f"a number has at most {MOST_DIGITS} digits")
        return int(found[0]) if whole else float(found[0])

    def _string(self, at: int) -> tuple[str, int]:
        try:
            text, end = scanstring(self._text, at + 1, True)
        except JSONDecodeError as error:
            raise self.fault(error.pos, error.msg.lower()) from error
        if "\x00" in text or any("\ud800" <= c <= "\udfff" for c in text):
            raise SyntaxFault(
                self.line(at), "the text holds U+0000 or half of a surrogate pair: leave that out"
            )
        return text, end

    def _array(self, at: int, depth: int, line: int) -> tuple[Node, int]:
        node = Node([], line)
        at = self.skip(at + 1)
        while self._text[at : at + 1] != "]":
            item, at = self.value(at, depth + 1)
            node.value.append(item)
            at = self._next(at, "]")
        return node, at + 1

    def _object(self, at: int, depth: int, line: int) -> tuple[Node, int]:
        node = Node({}, line)
        at = self.skip(at + 1)
        while self._text[at : at + 1] != "}":
            key_line = self.line(at)
            if self._text[at : at + 1] != '"':
                raise self.fault(at, 'a name in quotes must stand here, such as "name": …')
            key, at = self._string(at)
            if key in node.value:
                raise SyntaxFault(
                    key_line, f"{key!r} stands in line {node.value[key][0]} already: keep one of the two"
                )
            at = self.skip(at)
            if self._text[at : at + 1] != ":":
                raise self.fault(at, f"a `:` must follow the name {key!r}")
            inner, at = self.value(self.skip(at + 1), depth + 1)
            node.value[key] = (key_line, inner)
            at = self._next(at, "}")
        return node, at + 1

    def _next(self, at: int, end: str) -> int:
        """The place of the next item, or of the end."""
        at = self.skip(at)
        if self._text[at : at + 1] == ",":
            after = self.skip(at + 1)
            if self._text[after : after + 1] == end:
                raise self.fault(at, f"a `,` stands before the `{end}`: remove it")
            return after
        if self._text[at : at + 1] != end:
            raise self.fault(at, f"a `,` or `{end}` must stand here")
        return at
