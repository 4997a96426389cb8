"""The README's tour, run as it stands against a real server, and what it says compared with what is said."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fablewright.cli import configuration
from tests.processes import RunningServer, running

pytestmark = pytest.mark.uncounted

README = Path(__file__).resolve().parents[2] / "README.md"
ADDRESS = "http://127.0.0.1:8000"
END = "--- end of step"


def blocks(language: str, text: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def tour() -> list[tuple[str, str]]:
    """Each command of the tour, and what it says."""
    text = README.read_text().split("<!-- tour -->")[1].split("<!-- end of tour -->")[0]
    steps = [step for block in blocks("console", text) for step in block.split("$ ", 1)[1].split("\n$ ")]
    return [(command, said.strip()) for command, _, said in (step.partition("\n") for step in steps)]


def fits(expected: str, said: str) -> bool:
    """Whether what was said is what was expected, with anything at each `…`."""
    pattern = ".*?".join(re.escape(part) for part in expected.split("…"))
    return re.fullmatch(pattern, said, re.DOTALL) is not None


def walk(server: RunningServer, more: str = "") -> list[str]:
    """Run all commands of the tour in one shell; what each said."""
    commands = [command.replace(ADDRESS, server.address) for command, _ in tour()]
    script = "\n".join(f"{command}\necho '{END}'" for command in commands) + f"\n{more}"
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "FABLEWRIGHT_PORT": server.address.rsplit(":", 1)[1],
        "COLUMNS": "500",
    }
    done = subprocess.run(
        ["bash", "-c", script.replace(".venv/bin/fablewright", "fablewright")],
        cwd=README.parent, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return [said.strip() for said in done.stdout.split(END)]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    with running(tmp_path_factory.mktemp("readme") / "data", "serve", "--port", "0") as server:
        yield walk_all(server)


def walk_all(server: RunningServer) -> list[str]:
    """The tour, and then the client in Python, in the same shell."""
    code = blocks("python", README.read_text())[0].replace("ws://127.0.0.1:8000", server.websocket_address)
    return walk(server, f"export WORLD TOKEN\npython - <<'EOF'\n{code}\nEOF\n")


def test_the_tour_says_what_the_readme_shows(said: list[str]) -> None:
    steps = tour()
    assert len(steps) >= 12
    wrong = [
        f"$ {command}\nexpected: {expected}\nsaid:     {answer}"
        for (command, expected), answer in zip(steps, said, strict=False)
        if not fits(expected, answer)
    ]
    assert not wrong, "\n\n".join(wrong)


def test_the_python_client_of_the_readme_works(said: list[str]) -> None:
    assert re.fullmatch(r"\d+ dialogue\.interacted Will you mend the bridge\?", said[-1])


def test_every_file_that_the_readme_links_to_is_there() -> None:
    for document in (README, *README.parent.glob("*.md"), *README.parent.glob("docs/**/*.md")):
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / link).exists(), f"{document.name} links to {link}"


def test_the_settings_example_is_of_these_settings() -> None:
    assert (README.parent / ".env.example").read_text() == configuration.example()
