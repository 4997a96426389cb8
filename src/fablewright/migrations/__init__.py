"""The schema's history (Alembic). Run by the server at start, or by `fablewright migrate`."""

from importlib import import_module
from pkgutil import walk_packages

from sqlalchemy import MetaData

from fablewright import systems
from fablewright.core.tables import NAMING, Base


def metadata() -> MetaData:
    """The tables of the core and of every built-in system, as the models say.

    Systems from other packages may be loaded too and share the base class; their tables are theirs to migrate.
    """
    for module in walk_packages(systems.__path__, systems.__name__ + "."):
        if module.name.endswith("tables"):
            import_module(module.name)
    ours = {mapper.local_table for mapper in Base.registry.mappers if _is_ours(mapper.class_)}
    found = MetaData(naming_convention=NAMING)
    for table in Base.metadata.sorted_tables:
        if table in ours:
            table.to_metadata(found)
    return found


def _is_ours(model: type) -> bool:
    return model.__module__.partition(".")[0] == "fablewright"
