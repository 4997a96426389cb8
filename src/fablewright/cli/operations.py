"""`migrate`, `settings`, `doctor` and `bench`: what operators do now and then."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from fablewright.cli.configuration import PREFIX, shown, source_of
from fablewright.cli.databases import migrate, owned_database
from fablewright.cli.failures import Failure
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


def run_doctor(settings: Settings) -> bool:
    """Run every system's checks and print what they find; whether all is well."""
    from fablewright.cli.tools import with_runtime
    from fablewright.core.system import Finding
    from fablewright.gateway.runtime import Runtime
    from fablewright.integration.doctor import examine

    async def work(runtime: Runtime) -> tuple[int, list[Finding]]:
        return sum(len(system.checks) for system in runtime.systems), await examine(runtime)

    checks, findings = with_runtime(settings, work)
    for finding in findings:
        place = f" (world {finding.world_id})" if finding.world_id else ""
        out.print(f"{finding.check}: {finding.text}{place}", markup=False)
    outcome = "all is well" if not findings else f"{len(findings)} findings"
    out.print(f"Ran {checks} checks: {outcome}.")
    return not findings


def run_benchmarks(arguments: Sequence[str]) -> None:
    """Become `python -m benchmarks` of the source checkout. Raises `Failure` outside of one."""
    import fablewright

    package = Path(fablewright.__file__).resolve()
    for checkout in (Path.cwd(), *package.parents[2:3]):
        if (checkout / "benchmarks" / "__main__.py").exists():
            os.chdir(checkout)
            os.execv(sys.executable, [sys.executable, "-m", "benchmarks", *arguments])  # noqa: S606
    raise Failure("The benchmarks come with the source checkout, not with the installed package.")
