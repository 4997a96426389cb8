"""The command line: real processes, as an operator runs them."""

import contextlib
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import psutil
import pytest
from rich.text import Text

from fablewright.cli import configuration, failures
from fablewright.cli.client import Client
from fablewright.cli.failures import Failure
from fablewright.cli.serving import address_of, listen
from fablewright.cli.story import Story
from fablewright.core.clock import DAY, Calendar
from fablewright.core.database import DatabaseError
from fablewright.core.refusal import NOT_FOUND, Refusal
from tests.processes import RunningServer, run, run_here, running, wait_until

pytestmark = pytest.mark.uncounted

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with one worker, beside which tools run."""
    with running(tmp_path_factory.mktemp("cli") / "data", "serve", "--port", "0") as process:
        yield process


@pytest.fixture(scope="module")
def mira(server: RunningServer) -> str:
    """The login of an account."""
    done = run(server.data_dir, "user", "create", "mira", "--password-stdin", text=f"{PASSWORD}\n")
    assert done.returncode == 0, done.stderr
    return "mira"


def client_of(server: RunningServer, login: str) -> Client:
    client = Client(server.address)
    client.log_in(login, PASSWORD)
    return client


def is_ready(server: RunningServer) -> bool:
    """Whether it says that it can serve."""
    try:
        with urlopen(f"{server.address}/health/ready") as answer:
            return bool(answer.status == 200)
    except HTTPError as error:
        if error.code != 503:
            raise
        return False


def children(server: RunningServer) -> list[psutil.Process]:
    """The workers of a server."""
    found = psutil.Process(server.process.pid).children()
    return [p for p in found if "fablewright.cli.worker" in p.cmdline()]


def postgres_of(data_dir: Path) -> int:
    """The pid of the PostgreSQL in a data folder, if it lives."""
    pid_file = data_dir / "postgres-18" / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().split("\n")[0])
    except FileNotFoundError:
        return 0
    return pid if psutil.pid_exists(pid) else 0


# Serving.


def test_it_starts_twice_on_the_same_data_and_stops_its_database(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for _ in range(2):
        with running(data, "serve", "--port", "0") as server:
            assert is_ready(server)
            assert postgres_of(data)
            assert server.end() == 0
        assert not postgres_of(data)
    assert stat.S_IMODE((data / "signing.key").stat().st_mode) == 0o600


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with contextlib.closing(listen("127.0.0.1", 0)[0]) as taken:
        port = taken.getsockname()[1]
        done = run(tmp_path / "data", "serve", "--port", str(port))
    assert done.returncode == 1
    assert re.fullmatch(rf"fablewright: Cannot listen on 127.0.0.1 port {port}: .*\n", done.stderr)
    assert not (tmp_path / "data").exists()


def test_a_data_folder_in_use_is_one_clear_line(server: RunningServer) -> None:
    done = run(server.data_dir, "serve", "--port", "0")
    assert done.returncode == 1
    assert re.fullmatch(rf"fablewright: The data folder .*\(pid {server.process.pid}\).*\n", done.stderr)


def test_a_database_that_cannot_be_reached_is_one_clear_line_without_its_password(tmp_path: Path) -> None:
    with contextlib.closing(socket.socket()) as silent:
        silent.bind(("127.0.0.1", 0))
        url = f"postgresql://u:geheim@127.0.0.1:{silent.getsockname()[1]}/x"
        done = run(tmp_path / "data", "serve", "--port", "0", FABLEWRIGHT_DATABASE_URL=url)
    assert done.returncode == 1
    assert re.fullmatch(r"fablewright: The database cannot be used: .*\n", done.stderr)
    assert "geheim" not in done.stderr


def test_bad_settings_are_one_clear_line(tmp_path: Path) -> None:
    for variables, said in (
        ({"FABLEWRIGHT_MAX_PAGE": "99999"}, r"FABLEWRIGHT_MAX_PAGE: .*'99999'"),
        ({"FABLEWRIGHT_SIGNING_KEY": "short"}, r"FABLEWRIGHT_SIGNING_KEY: "),
        ({"FABLEWRIGHT_CORS_ORIGINS": "nonsense"}, r"cors_origins"),
        ({"FABLEWRIGHT_DATABASE_URL": "mysql://x/y"}, r"must begin with postgresql://"),
    ):
        done = run(tmp_path / "data", "serve", "--port", "0", **variables)
        assert done.returncode == 1
        assert re.fullmatch(rf"fablewright: .*{said}.*\n", done.stderr), done.stderr
        assert "short" not in done.stderr.split("SIGNING_KEY")[-1].split("should")[0]


def test_a_signing_key_that_others_may_read_is_one_clear_line(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "signing.key").write_text("x" * 64)
    (data / "signing.key").chmod(0o644)
    done = run(data, "serve", "--port", "0")
    assert done.returncode == 1
    assert re.fullmatch(r"fablewright: .*signing.key can be read by others.*\n", done.stderr)
    assert not postgres_of(data)


# Several workers.


def test_workers_share_the_address_and_are_restarted_and_end_with_their_parent(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data, "serve", "--port", "0", "--workers", "2") as server:
        first = children(server)
        assert len(first) == 2
        assert all("postgresql" not in word for p in first for word in p.cmdline())
        first[0].kill()
        server.hear("A worker died")
        wait_until(lambda: len(children(server)) == 2, "a new worker")
        wait_until(lambda: is_ready(server), "readiness")  # it may be asked before it is
        second = children(server)
        server.process.kill()
        _, alive = psutil.wait_procs(second, timeout=30)
        assert not alive
        orphan = postgres_of(data)
        assert orphan
    with running(data, "serve", "--port", "0", "--workers", "2") as server:
        assert postgres_of(data) == orphan
        workers = children(server)
        assert server.end() == 0
        assert not [p for p in workers if p.is_running()]
    assert not postgres_of(data)


def test_metrics_are_gathered_over_all_workers(tmp_path: Path) -> None:
    with running(tmp_path / "data", "serve", "--port", "0", "--workers", "2") as server:
        for _ in range(20):
            with urlopen(f"{server.address}/health/live") as answer:
                assert answer.status == 200

        def counted() -> float:
            with urlopen(f"{server.address}/metrics") as answer:
                text = answer.read().decode()
            found = re.search(r'fablewright_requests_total\{[^}]*route="/health/live"[^}]*\} (\S+)', text)
            return float(found[1]) if found else 0

        wait_until(lambda: counted() >= 20, "counts of what was just answered")  # which follow the answers
        assert counted() == 20
        assert server.end(signal.SIGINT) == 0


def test_workers_that_cannot_start_end_it_all(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "signing.key").write_text("too short")
    (data / "signing.key").chmod(0o600)
    done = run(data, "serve", "--port", "0", "--workers", "2")
    assert done.returncode == 1
    assert "a signing key has at least" in done.stderr
    assert "Traceback" not in done.stderr
    assert not postgres_of(data)


ENDING = """
import atexit, sys
from fablewright.cli.signals import end_in_order, end_undisturbed
end_in_order()
atexit.register(lambda: (print("ending", flush=True), sys.stdin.read()))
end_undisturbed()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_what_ends_already_is_not_asked_to_end_again(number: signal.Signals) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", ENDING], text=True, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout.readline() == "ending\n"
        process.send_signal(number)
        _, complaints = process.communicate("")
    assert (process.returncode, complaints) == (0, "")


CHANGED = """
import os, socket, sys
from fablewright.cli import worker
def start(*_, **__):
    raise eval(sys.argv[1])
worker.serve_here = start
worker.main([str(fd) for fd in (socket.socket().detach(), os.pipe()[0], os.pipe()[1])])
"""


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        ("KeyboardInterrupt", 0, ""),
        ("ValueError('Error building a serializer: KeyboardInterrupt: ')", 0, ""),
        ("ValueError('Something else.')", 1, "ValueError: Something else."),
    ],
)
def test_a_request_to_end_that_became_another_exception_is_one_still(
    raised: str, code: int, said: str
) -> None:
    """Code in C that builds validators while a worker starts tells of it as of a fault of its own."""
    done = subprocess.run(
        [sys.executable, "-c", CHANGED, raised], capture_output=True, text=True, check=False,
        env={**os.environ, "FABLEWRIGHT_DATABASE_URL": "postgresql://nobody@localhost/none"},
    )  # fmt: skip
    assert (done.returncode, done.stderr.strip().splitlines()[-1:]) == (code, [said] if said else [])


# The demo.


def test_the_demo_has_an_account_without_a_default_password_and_tells_its_story(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for start in range(2):
        with running(data, "demo", "--port", "0") as server:
            server.hear(r"login +demo")
            server.hear(r"Authorization: Bearer \S+")
            server.hear(r"What happens now")
            server.hear(r"comes into the world|greets|talks with|works with|clashes with|director is")
            password = (data / "demo.password").read_text().strip()
            client = Client(server.address)
            client.log_in("demo", password)
            assert [w["name"] for w in client.everything("/worlds")] == ["Lanternwick"], start
            assert server.end(signal.SIGINT) == 0
    assert stat.S_IMODE((data / "demo.password").stat().st_mode) == 0o600
    (data / "demo.password").unlink()
    with running(data, "demo", "--port", "0") as server:
        server.hear(r"Authorization: Bearer \S+")
        assert (data / "demo.password").read_text().strip() != password


# Tools beside a running server, and without one.


def test_users_are_made_listed_promoted_and_given_passwords(server: RunningServer, mira: str) -> None:
    data = server.data_dir
    assert run_here(data, "user", "administrator", mira).returncode == 0
    assert re.search(r"mira +mira +administrator", run_here(data, "user", "list").stdout)
    assert run_here(data, "user", "administrator", mira, "--off").returncode == 0
    assert "administrator" not in run_here(data, "user", "list").stdout
    done = run_here(data, "user", "create", "otto", "--password-stdin", text="short\n")
    assert done.returncode == 1
    assert "[password_unsuitable]" in done.stderr
    assert run_here(data, "user", "administrator", "nobody").returncode == 1
    run_here(data, "user", "create", "anna", "--password-stdin", text=f"{PASSWORD}\n")
    done = run_here(data, "user", "password", "anna", "--password-stdin", text=f"{PASSWORD} two\n")
    assert done.returncode == 0, done.stderr
    with pytest.raises(Failure, match="credentials_wrong"):
        client_of(server, "anna")


PACK = {
    "world.yaml": "name: Fordwick\npaused: true\n",
    "places.yaml": "places:\n  mill: {name: The mill}\n",
    "characters.yaml": "characters:\n  orla: {name: Orla Fen, place: mill}\n  bram: {name: Bram}\n",
    "ties.yaml": "ties:\n  - {from: orla, to: bram, strength: 0.5}\n",
}


def test_worlds_go_into_folders_and_come_out_of_them(
    server: RunningServer, mira: str, tmp_path: Path
) -> None:
    data, pack, out = server.data_dir, tmp_path / "pack", tmp_path / "out"
    pack.mkdir()
    for name, text in PACK.items():
        (pack / name).write_text(text)
    done = run_here(data, "world", "check", str(pack))
    assert done.stdout == "Fordwick has no mistakes: characters 2, places 1, ties 1.\n", done.stderr
    done = run_here(data, "world", "import", str(pack), "--owner", mira, "--seed", "5")
    assert re.fullmatch(r"Made the world Fordwick \(\S+\): characters 2, places 1, ties 1\.\n", done.stdout)
    done = run_here(data, "world", "export", "Fordwick", str(out))
    assert done.returncode == 0, done.stderr
    assert (out / "schemas" / "world.schema.json").exists()
    again = run_here(data, "world", "export", "Fordwick", str(out))
    assert (again.returncode, "[folder_not_empty]" in again.stderr) == (1, True)
    assert run(data, "world", "export", "Fordwick", str(out), "--force", "--with-seed").returncode == 0
    assert "seed: 5\n" in (out / "world.yaml").read_text()
    done = run_here(data, "world", "import", str(out), "--owner", mira, "--name", "Fordwick the second")
    assert "Made the world Fordwick the second" in done.stdout, done.stderr
    listed = run_here(data, "world", "list").stdout
    assert "Fordwick  of mira: 2 characters" in listed
    assert "Fordwick the second  of mira: 2 characters" in listed
    assert run_here(data, "world", "delete", "Fordwick the second", "--yes").returncode == 0
    (pack / "ties.yaml").write_text("ties:\n  - {from: orlla, to: bram, strength: 2}\n")
    (pack / "world.yaml").write_text("name: Third\nrates: 1\n")
    for command in (("check", str(pack)), ("import", str(pack), "--owner", mira)):
        done = run(data, "world", *command)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.splitlines() == [
            "ties.yaml, line 2, ties[1].from: it names none of the characters: 'orlla'. Did you mean 'orla'?",
            "ties.yaml, line 2, ties[1].strength: input should be less than or equal to 1 (it is 2)",
            "world.yaml, line 2, rates: there is no field of this name. Did you mean 'rate'?",
            "fablewright: The pack has 3 mistakes, so nothing was made. [pack_invalid]",
        ]
    assert "Third" not in run_here(data, "world", "list").stdout
    done = run_here(data, "world", "schema", str(tmp_path / "schemas"))
    assert len(done.stdout.splitlines()) == len(list((tmp_path / "schemas").iterdir())) >= 5


def test_worlds_are_made_imported_listed_and_deleted(
    server: RunningServer, mira: str, tmp_path: Path
) -> None:
    data, good, bad = server.data_dir, tmp_path / "court.csv", tmp_path / "bad.csv"
    good.write_text("source,target,weight\nAnna,Bert,3\nBert,Carl,1\n")
    bad.write_text("source,target,weight\nAnna,Bert,3\nBert,Carl,much\n")
    done = run_here(data, "world", "import", str(bad), "--owner", mira)
    assert (done.returncode, "bad.csv, line 3, weight" in done.stderr) == (1, True)
    done = run_here(data, "world", "import", str(good), "--owner", mira, "--seed", "3")
    assert "3 characters, 4 ties" in done.stdout, done.stderr
    assert run_here(data, "world", "create", "The Vale", "--owner", mira).returncode == 0
    listed = run_here(data, "world", "list").stdout
    assert "court  of mira: 3 characters" in listed
    assert "The Vale  of mira: 0 characters" in listed
    assert "bad" not in listed
    assert run_here(data, "world", "delete", "court", text="n\n").returncode == 1
    assert run_here(data, "world", "delete", "court", "--yes").returncode == 0
    done = run_here(data, "world", "delete", "court", "--yes")
    assert "No world has the id or name 'court'" in done.stderr


def test_watch_tells_what_has_happened_and_what_happens(server: RunningServer, mira: str) -> None:
    client = client_of(server, mira)
    world = client.call("/worlds", {"name": "Watched", "paused": True})["result"]["id"]
    ids = [
        client.call(f"/worlds/{world}/characters", {"name": name})["result"]["id"]
        for name in ("Orla", "Bram")
    ]
    port = server.address.rsplit(":", 1)[1]
    known: dict[str, Any] = {"FABLEWRIGHT_PORT": port, "FABLEWRIGHT_TOKEN": client.token}
    done = run(server.data_dir, "watch", "Watched", "--no-follow", **known)
    assert [line.split("  ")[1] for line in done.stdout.splitlines()] == [
        "The world 'Watched' begins.", "Orla comes into the world.", "Bram comes into the world.",
    ]  # fmt: skip
    with watching(server, "watch", world, **known) as watcher:
        watcher.hear("Live from event 3 on")
        body = {"initiator_id": ids[0], "target_id": ids[1], "type": "greeting", "content": "Good day!"}
        client.call(f"/worlds/{world}/interactions", body)
        watcher.hear("Orla greets Bram: “Good day!”")
        watcher.hear("Bram: “.+”")
        assert watcher.end(signal.SIGINT) == 0


@contextlib.contextmanager
def watching(server: RunningServer, *arguments: str, **more: str) -> Iterator[RunningServer]:
    """A `watch` process."""
    import subprocess

    from tests.processes import COMMAND, environment

    with subprocess.Popen(
        [*COMMAND, *arguments], env=environment(server.data_dir, **more), text=True,
        cwd=server.data_dir.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        try:
            yield RunningServer(process, server.data_dir)
        finally:
            process.kill()


def test_watch_goes_on_where_it_was_after_the_server_was_away(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with contextlib.closing(listen("127.0.0.1", 0)[0]) as bound:
        port = str(bound.getsockname()[1])
    with running(data, "serve", "--port", port) as server:
        run(data, "user", "create", "mira", "--password-stdin", text=f"{PASSWORD}\n")
        client = client_of(server, "mira")
        world = client.call("/worlds", {"name": "Watched"})["result"]["id"]
        known: dict[str, Any] = {"FABLEWRIGHT_PORT": port, "FABLEWRIGHT_TOKEN": client.token}
        with watching(server, "watch", world, **known) as watcher:
            watcher.hear("Live from event 1 on")
            server.end()
            watcher.hear("The connection is gone")
            with running(data, "serve", "--port", port) as again:
                client_of(again, "mira").call(f"/worlds/{world}/characters", {"name": "Orla"})
                watcher.hear("Orla comes into the world")


def test_watch_says_plainly_what_is_wrong(server: RunningServer, mira: str, tmp_path: Path) -> None:
    port = server.address.rsplit(":", 1)[1]
    token = str(client_of(server, mira).token)
    for variables, said in (
        ({"FABLEWRIGHT_TOKEN": "nonsense"}, "token_invalid"),
        ({"FABLEWRIGHT_TOKEN": token}, "No worlds of yours are called 'Nowhere'"),
    ):
        done = run(server.data_dir, "watch", "Nowhere", FABLEWRIGHT_PORT=port, **variables)
        assert (done.returncode, said in done.stderr) == (1, True), done.stderr
    done = run(server.data_dir, "watch", "x", "--url", "http://127.0.0.1:9", "--token", "x")
    assert (done.returncode, "There is no server at http://127.0.0.1:9" in done.stderr) == (1, True)
    done = run(server.data_dir, "watch", "x", "--url", "ftp://x", "--token", "x")
    assert "is no address of a server" in done.stderr


def test_doctor_says_how_much_it_looked_at_and_what_it_found(server: RunningServer, mira: str) -> None:
    done = run_here(server.data_dir, "doctor")
    assert (done.returncode, re.search(r"Ran \d\d+ checks: all is well", done.stdout) is not None) == (
        0,
        True,
    )


def test_tools_work_without_a_server_and_migrate_first(tmp_path: Path) -> None:
    data = tmp_path / "data"
    done = run_here(data, "doctor")
    assert "all is well" in done.stdout, done.stderr
    assert not postgres_of(data)
    done = run_here(data, "migrate")
    assert (done.returncode, done.stdout) == (0, "The schema is at heads.\n")
    assert run_here(data, "migrate", "--to", "nonsense").returncode == 1


def test_doctor_ends_with_1_if_something_is_broken(server: RunningServer, mira: str) -> None:
    import asyncio

    import asyncpg

    from fablewright.core.embedded import EmbeddedPostgres

    client = client_of(server, mira)
    world = client.call("/worlds", {"name": "Broken"})["result"]["id"]
    url = EmbeddedPostgres.attach(server.data_dir).url.replace("+asyncpg", "")

    async def move_head(by: int) -> None:
        connection = await asyncpg.connect(url)
        await connection.execute("UPDATE world_heads SET seq = seq + $2 WHERE world_id = $1", world, by)
        await connection.close()

    asyncio.run(move_head(1))
    try:
        done = run_here(server.data_dir, "doctor")
    finally:
        asyncio.run(move_head(-1))
    assert done.returncode == 1
    assert world in done.stdout


def test_settings_are_shown_with_their_source_and_without_secrets(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("FABLEWRIGHT_MAX_PAGE=77\nFABLEWRIGHT_SIGNING_KEY=" + "s3cret" * 8 + "\n")
    done = run(tmp_path / "data", "settings", FABLEWRIGHT_PORT="8123")
    assert "FABLEWRIGHT_PORT = 8123  (environment)" in done.stdout
    assert "FABLEWRIGHT_MAX_PAGE = 77  (.env)" in done.stdout
    assert "FABLEWRIGHT_SIGNING_KEY = (set, hidden)  (.env)" in done.stdout
    assert "FABLEWRIGHT_DATABASE_URL = (unset)  (default)" in done.stdout
    assert "s3cret" not in done.stdout + done.stderr


# Parts.


def test_addresses_are_those_to_type() -> None:
    bound = listen("0.0.0.0", 0, many=2)
    port = bound[0].getsockname()[1]
    assert [address_of(s) for s in bound] == [f"http://127.0.0.1:{port}"] * 2
    for one in bound:
        one.close()
    with pytest.raises(Failure, match="Cannot listen on"):
        listen("203.0.113.1", 0)


def test_what_the_operator_can_mend_is_explained_and_bugs_are_not() -> None:
    refused = Refusal("gone", NOT_FOUND, "It is gone.")("The world x is gone.")
    assert failures.explain(refused) == "The world x is gone. [gone]"
    assert failures.explain(DatabaseError("Old.")) == "Old."
    assert failures.explain(Failure("So it is.")) == "So it is."
    assert "FABLEWRIGHT_DATABASE_URL" in str(failures.explain(ConnectionRefusedError("no")))
    assert failures.explain(KeyError("a bug")) is None


def test_sources_of_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(os.environ, "fablewright_port", "1")
    assert configuration.source_of("port") == "environment"
    assert configuration.source_of("max_page") == "default"
    assert configuration.shown([]) == "(none)"
    assert configuration.shown(["a", "b"]) == "a, b"


UNLOCKED: dict[str, Any] = {
    "character_id": "1", "name": "Far", "tier": 1, "tier_name": None, "points": 0, "currency": "points", "title": None,
    "reward_refused": None,
}  # fmt: skip


def tell(story: Story, kind: str, data: dict[str, Any], at: int = 0) -> list[str]:
    return [Text.plain.fget(line) for line in story.tell({"type": kind, "at": at, "data": data})]  # type: ignore[attr-defined]


def test_a_story_has_a_sentence_for_what_matters_and_shows_the_rest() -> None:
    story = Story(Calendar(), {"1": "Orla"})
    date = "2 Deepwinter, year 1, 06:00  "
    assert tell(story, "characters.character_created", {"character_id": "2", "name": "Bram"}, DAY) == [
        date + "Bram comes into the world."
    ]
    said = {"initiator_id": "1", "target_id": "2", "type": "chat", "content": "So?", "answer": None}
    assert tell(story, "dialogue.interacted", said, DAY) == [date + "Orla talks with Bram: “So?”"]
    said |= {"target_id": "0123456789", "type": "unheard-of", "answer": "Hm."}
    assert tell(story, "dialogue.interacted", said, DAY) == [
        date + "Orla unheard-of somebody (01234567): “So?”", " " * len(date) + "somebody (01234567): “Hm.”",
    ]  # fmt: skip
    for kind, data, end in (
        ("characters.character_updated", {"character_id": "1", "changed": ["name"]}, "Orla changes: name."),
        ("characters.character_deleted", {"character_id": "1", "name": "Orla"}, "Orla leaves the world."),
        ("worlds.advance_started", {}, "Time begins to fly."),
        ("worlds.advanced", {"timers_fired": 3}, "Time has flown; 3 timers fired."),
        ("worlds.clock_set", {"paused": True, "rate": 1.0}, "Time stands."),
        ("worlds.clock_set", {"paused": False, "rate": 2.5}, "Time runs at x 2.5."),
        ("regions.places_defined", {"places": [{"id": "9", "name": "the mill"}], "paths": []},
         "1 places and 0 ways are there."),
        ("regions.arrived", {"character_id": "1", "place_id": "9"}, "Orla comes to the mill."),
        ("characters.status_changed", {"character_id": "1", "status": "asleep"}, "Orla falls asleep."),
        ("memory.reflected", {"character_id": "1", "text": "Bram avoids me."}, "Orla thinks: Bram avoids me."),
        ("director.arc_started", {"title": "Orla and Bram have fallen out."}, "Orla and Bram have fallen out."),
        ("points.awarded", {"character_id": "1", "amount": 25, "currency": "points", "action": None,
                            "reference": None, "reason": "Found the ring"}, "Orla earns 25 points: Found the ring"),
        ("points.reversed", {"character_id": "1", "amount": 25, "currency": "points", "reason": "A slip"},
         "Orla loses 25 points again: A slip"),
        ("points.level_reached", {"character_id": "1", "level": 2, "title": "Ferryman"},
         "Orla is level 2 now: Ferryman."),
        ("points.level_reached", {"character_id": "1", "level": 3, "title": None}, "Orla is level 3 now."),
        ("points.title_granted", {"character_id": "1", "title": "Oar", "source": "game master"},
         "Orla is called Oar now."),
        ("points.title_revoked", {"character_id": "1", "title": "Oar"}, "Orla is not called Oar any more."),
        ("points.bonus_started", {"name": "Fair", "multiplier": 2.0}, "Fair: awards count x 2."),
        ("points.bonus_ended", {"name": "Fair"}, "Fair is over."),
        ("points.rule_defined", {"key": "row", "rule": {}}, "There is something new to earn: row."),
        ("points.abuse_suspected", {"character_id": "1", "action": "row", "guard": "burst", "outcome": "flag"},
         "Orla is suspected of too much row (burst: flag)."),
        ("ledger.currency_defined", {"code": "wick", "name": "Wicks"}, "There is something new to have: Wicks."),
        ("achievements.defined", {"key": "far", "definition": {"name": "Far"}},
         "There is something new to reach: Far."),
        ("achievements.unlocked", UNLOCKED | {"tier_name": "Further", "points": 5, "title": "Oar"},
         "Orla has reached “Far: Further” and gets 5 points and the title Oar."),
        ("achievements.unlocked", UNLOCKED, "Orla has reached “Far”."),
        ("achievements.unlocked", UNLOCKED | {"points": 5, "reward_refused": "balance_limit"},
         "Orla has reached “Far”."),
        ("leaderboards.board_defined", {"key": "race", "spec": {"name": "The Race"}},
         "There is a new board: The Race."),
        ("leaderboards.score_submitted", {"key": "race", "subject_id": "1", "score": 7.5},
         "Orla scores 7.5 on “The Race”."),
        ("leaderboards.season_ended", {"key": "race", "top": [
            {"rank": 1, "subject_id": "1", "score": 12.0}, {"rank": 2, "subject_id": "2", "score": 3.5}]},
         "“The Race” is over: 1. Orla (12), 2. Bram (3.5)."),
        ("leaderboards.season_rewarded", {"key": "race", "rewards": [
            {"subject_id": "1", "amount": 3, "currency": "wick", "title": "Oar", "refused": None},
            {"subject_id": "2", "amount": 1, "currency": "wick", "title": None, "refused": "balance_limit"}]},
         "“The Race” rewards: Orla with 3 wick and the title Oar."),
        ("weather.sky_changed", {"sky": "rain"}, 'weather.sky_changed {"sky":"rain"}'),
    ):  # fmt: skip
        assert tell(story, kind, data, DAY) == [date + end]
    assert tell(story, "director.chose", {"because": "…"}) == []  # the act that follows tells it better
    told_elsewhere: tuple[tuple[str, dict[str, Any]], ...] = (
        ("achievements.progressed", {}), ("progress.caught_up", {}), ("leaderboards.season_opened", {}),
        ("leaderboards.season_ended", {"key": "race", "top": []}),
        ("points.awarded", {"action": "chat", "reference": None}),
        ("points.awarded", {"action": None, "reference": "achievement:far:1:1:x"}),
        ("points.title_granted", {"source": "achievement:far"}),
    )  # fmt: skip
    for kind, data in told_elsewhere:
        assert tell(story, kind, data) == []
    assert tell(story, "x.y", {"text": "z" * 500})[0].endswith("…")
