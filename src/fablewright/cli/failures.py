"""What goes wrong for reasons the operator can mend: one clear line instead of a traceback."""

import sys
from typing import Any


class Failure(Exception):
    """The command cannot do what was asked; the message says why and what to do."""


def explain(error: BaseException) -> str | None:
    """One line for the operator, or None for a bug, which deserves its traceback.

    Modules that were never imported cannot have raised, so only those that were are asked: a quick start
    stays quick.
    """
    if isinstance(error, Failure) or _is(error, *_OURS):
        return " ".join(str(error).split()) if not _is(error, *_MULTILINE) else str(error)
    if _is(error, ("fablewright.core.refusal", "Refused")):
        return f"{error.detail} [{error.code}]"  # type: ignore[attr-defined]
    if _is(error, ("alembic.util.exc", "CommandError")):
        return f"The schema cannot be migrated: {error}. Is a package missing whose tables this database has?"
    if _is(error, ("asyncpg.exceptions", "UndefinedTableError")):
        return "The database has no tables of ours, or old ones. Run `fablewright migrate` first."
    return _database_trouble(error)


_OURS = (
    ("fablewright.core.embedded", "EmbeddedError"), ("fablewright.core.database", "DatabaseError"),
    ("fablewright.core.messages", "CatalogueError"),
    ("fablewright.systems.accounts.tokens", "SigningKeyError"),
)  # fmt: skip
_MULTILINE = (("fablewright.core.embedded", "StartFailed"), ("fablewright.core.embedded", "DiskFull"))
"""What these say ends with what PostgreSQL said, line by line."""


def _database_trouble(error: BaseException) -> str | None:
    unwrapped = getattr(error, "orig", None) or error
    trouble = (
        ("asyncpg.exceptions", "PostgresError"),
        ("asyncpg.exceptions", "InterfaceError"),
        ("sqlalchemy.exc", "ArgumentError"),
    )
    wrapped = _is(error, ("sqlalchemy.exc", "DBAPIError"))
    if wrapped or isinstance(unwrapped, OSError) or _is(unwrapped, *trouble):
        said = " ".join(str(unwrapped).split()) or type(unwrapped).__name__
        return f"The database cannot be used: {said}. Check FABLEWRIGHT_DATABASE_URL."
    return None


def _is(error: BaseException, *kinds: tuple[str, str]) -> bool:
    for module, name in kinds:
        kind: Any = getattr(sys.modules.get(module), name, None)
        if kind is not None and isinstance(error, kind):
            return True
    return False
