"""`make test`: the whole suite with coverage, then what depends on the database again on PostgreSQL 16.

Fails if a test fails, if one is skipped without intent (the reason begins with "intended: "), or if too little
is covered.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

LEAST_COVERED = {"*": 90, "src/fablewright/core/*": 95}
"""Percent of the lines, at least, of all files and of those that fit the pattern."""
INTENDED = "intended: "
PROCESSES = "2"
NEWEST_ONLY = (
    "test_a_world_month.py", "test_arcs.py", "test_cli.py", "test_diplomatic_years.py", "test_director.py",
    "test_graph.py", "test_live.py", "test_live_rights.py", "test_network_import.py", "test_points_machine.py",
    "test_points_storm.py", "test_real_input.py",
)  # fmt: skip
"""Tests of systems that are long, and say nothing about the version of PostgreSQL."""
CHECKOUT = Path(__file__).parent.parent


def main() -> int:
    """Run it all; the exit code."""
    with tempfile.TemporaryDirectory(prefix="fablewright-suite-") as folder:
        whole, older = Path(folder, "whole.xml"), Path(folder, "older.xml")
        good = suite(whole, sys.argv[1:])
        good &= suite_on_older_postgres(older)
        good &= no_surprising_skips([whole, older])
        good &= enough_covered()
    print("All is well." if good else "Something is wrong; see above.")
    return 0 if good else 1


def suite(report: Path, more: Sequence[str]) -> bool:
    """The whole suite, its lines counted, subprocesses included."""
    coverage("erase")
    workers = ["-n", PROCESSES, "--dist", "loadgroup"]
    arguments = ["-m", "pytest", "-q", *workers, "-m", "not soak", "--durations=30"]
    return coverage("run", *arguments, f"--junitxml={report}", *more)


def suite_on_older_postgres(report: Path) -> bool:
    """The tests of systems on the oldest PostgreSQL that comes embedded."""
    print("On PostgreSQL 16:", flush=True)
    command = [sys.executable, "-m", "pytest", "-q", "-n", PROCESSES, "--dist", "loadgroup", "-m", "not soak"]
    environment = {**os.environ, "FABLEWRIGHT_TEST_POSTGRES": "16"}
    done = subprocess.run(
        [
            *command,
            f"--junitxml={report}",
            *(f"--ignore=tests/systems/{name}" for name in NEWEST_ONLY),
            "tests/systems",
        ],
        cwd=CHECKOUT,
        env=environment,
        check=False,
    )
    return done.returncode == 0


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
    done = subprocess.run([sys.executable, "-m", "coverage", *arguments], cwd=CHECKOUT, check=False)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
