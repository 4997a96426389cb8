"""The source as syntax trees, for tests of its shape."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGE = CHECKOUT / "src" / "fablewright"
EXAMPLE = CHECKOUT / "examples" / "weather" / "src" / "fablewright_weather"
GENERATED = ("migrations/versions",)
"""Alembic's revisions: they are history, written once."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One file of the package."""

    path: Path
    name: str
    """Its path below the package, such as `core/engine.py`."""
    text: str
    tree: ast.Module

    def __str__(self) -> str:
        return self.name

    def at(self, node: ast.AST) -> str:
        """Where a node stands."""
        return f"{self.name}:{getattr(node, 'lineno', 0)}"

    def walk(self, *kinds: type[ast.AST]) -> Iterator[ast.AST]:
        """All nodes of these kinds."""
        return (node for node in ast.walk(self.tree) if isinstance(node, kinds))

    def calls(self) -> Iterator[tuple[str, ast.Call]]:
        """All calls, each with the dotted name of what is called."""
        for node in self.walk(ast.Call):
            assert isinstance(node, ast.Call)
            yield ast.unparse(node.func), node

    def imports(self) -> Iterator[tuple[str, ast.AST]]:
        """The dotted names of all that is imported; `from a import b` gives `a.b`."""
        for node in self.walk(ast.Import, ast.ImportFrom):
            if isinstance(node, ast.Import):
                yield from ((alias.name, node) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((f"{node.module}.{alias.name}", node) for alias in node.names)


@cache
def sources() -> tuple[Source, ...]:
    """Every file of the package that was written by hand."""
    return tuple(
        Source(path, name, text, ast.parse(text))
        for path in sorted(PACKAGE.rglob("*.py"))
        if not (name := path.relative_to(PACKAGE).as_posix()).startswith(GENERATED)
        for text in [path.read_text()]
    )
