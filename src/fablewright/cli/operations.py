"""`migrate`, `settings`, `doctor` and `bench`: what operators do now and then."""

from fablewright.cli.configuration import PREFIX, shown, source_of
from fablewright.cli.databases import migrate, owned_database
from fablewright.cli.terminal import out
from fablewright.settings import Settings


def run_migrations(settings: Settings, revision: str) -> None:
    """Bring the schema to a revision."""
    with owned_database(settings) as url:
        migrate(url, settings, revision)
    out.print(f"The schema is at {revision}.")


def show_settings(settings: Settings) -> None:
    """A paragraph per setting: variable, value, source, description."""
    for name, field in Settings.model_fields.items():
        value = shown(getattr(settings, name))
        out.print(f"{PREFIX}{name.upper()} = {value}  ({source_of(name)})", markup=False)
        if field.description:
            out.print(f"    {field.description}", style="dim", markup=False)
