"""`make test`: the whole suite with coverage, then what depends on the database again on PostgreSQL 16.

Fails if a test fails, if one is skipped without intent (the reason begins with "intended: "), or if too little
is covered.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

LEAST_COVERED = {"*": 90, "src/fablewright/core/*": 95}
"""Percent of the lines, at least, of all files and of those that fit the pattern."""
INTENDED = "intended: "
PROCESSES = "3"
WAITING_PROCESSES = "4"
"""For the long ones, more than there are cores: who waits for a server that was killed needs none."""
NEWEST_ONLY = (
    "test_a_world_month.py", "test_arcs.py", "test_cli.py", "test_coalitions.py", "test_court.py", "test_demo_land.py",
    "test_director.py", "test_example_weather.py", "test_graph.py", "test_live.py", "test_live_rights.py",
    "test_negotiations.py", "test_network_import.py", "test_packs.py", "test_persons.py", "test_points_machine.py",
    "test_points_storm.py", "test_real_input.py", "test_renown.py", "test_sittings.py", "test_treaties.py",
    "test_treaty_guards.py", "test_ultimatums.py", "test_wars.py",
)  # fmt: skip
"""Tests of systems that are long, and say nothing about the version of PostgreSQL: what diplomacy asks it is asked by
the stories and the random years, too."""
CHECKOUT = Path(__file__).parent.parent


def main() -> int:
    """Run it all; the exit code."""
    # Hundreds of processes are started. Without bytecode each would compile everything anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    more = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="fablewright-suite-") as folder:
        long, whole, older = Path(folder, "long.xml"), Path(folder, "whole.xml"), Path(folder, "older.xml")
        coverage("erase")
        print("The long ones, whose lines are not counted:", flush=True)
        good = python("-m", "pytest", *arguments(long, WAITING_PROCESSES, "uncounted and not soak"), *more)
        print("All others:", flush=True)
        counted = arguments(whole, PROCESSES, "not uncounted and not soak")
        good &= coverage("run", "-m", "pytest", *counted, *more)
        good &= suite_on_older_postgres(older)
        good &= no_surprising_skips([long, whole, older])
        good &= enough_covered()
    print("All is well." if good else "Something is wrong; see above.")
    return 0 if good else 1


def arguments(report: Path, processes: str, which: str) -> list[str]:
    """What pytest is told."""
    return [
        "-q", "-n", processes, "-m", which, "--durations=15", f"--junitxml={report}",
        "--ignore=tests/architecture",  # `make check` runs these
    ]  # fmt: skip


def suite_on_older_postgres(report: Path) -> bool:
    """The tests of systems on the oldest PostgreSQL that comes embedded."""
    print("On PostgreSQL 16:", flush=True)
    ignored = [f"--ignore=tests/systems/{name}" for name in NEWEST_ONLY]
    environment = {**os.environ, "FABLEWRIGHT_TEST_POSTGRES": "16"}
    which = arguments(report, PROCESSES, "not soak")
    return python("-m", "pytest", *which, *ignored, "tests/systems", environment=environment)


def no_surprising_skips(reports: Sequence[Path]) -> bool:
    """Whether every skipped test says that it was meant to be."""
    surprising = sorted({skip for path in reports for skip in skips(path) if INTENDED not in skip})
    for skip in surprising:
        print(f"Skipped without intent: {skip}")
    return not surprising


def skips(report: Path) -> Iterator[str]:
    """The skipped tests of a report, each with its reason."""
    if not report.exists():
        return
    for case in ElementTree.parse(report).iter("testcase"):
        for skipped in case.iter("skipped"):
            if skipped.get("type") != "pytest.xfail":
                name = f"{case.get('classname')}.{case.get('name')}"
                yield f"{name}: {skipped.get('message')} {skipped.text or ''}"


def enough_covered() -> bool:
    """Whether enough lines were run, of all and of each part that asks for more."""
    coverage("combine", "-q")
    good = True
    for pattern, least in LEAST_COVERED.items():
        print(f"Coverage of {pattern}, of which {least} % are asked for:", flush=True)
        show = ["--format=total"] if pattern != "*" else []
        good &= coverage("report", f"--include={pattern}", f"--fail-under={least}", *show)
    return good


def coverage(*arguments: str) -> bool:
    """Run coverage in the checkout; whether it succeeded."""
    return python("-m", "coverage", *arguments)


def python(*arguments: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Run Python in the checkout; whether it succeeded."""
    done = subprocess.run([sys.executable, *arguments], cwd=CHECKOUT, env=environment, check=False)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
