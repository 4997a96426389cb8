"""The schema's history (Alembic). Run by the server at start, or by `fablewright migrate`."""

from importlib import import_module
from pkgutil import walk_packages

from sqlalchemy import MetaData

from fablewright import systems
from fablewright.core.tables import Base


def metadata() -> MetaData:
    """The tables of the core and of every built-in system, as the models say."""
    for module in walk_packages(systems.__path__, systems.__name__ + "."):
        if module.name.endswith(".tables"):
            import_module(module.name)
    return Base.metadata
