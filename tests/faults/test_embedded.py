"""The embedded PostgreSQL against real faults: killed processes, stale files, full and closed folders."""

import asyncio
import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest

from fablewright.core import _postgres_host, embedded
from fablewright.core.embedded import (
    DataFolderLocked,
    DataFolderUnwritable,
    DiskFull,
    EmbeddedError,
    EmbeddedPostgres,
    Running,
    StartFailed,
    WrongVersion,
)

pytestmark = pytest.mark.fault

IS_ROOT = os.geteuid() == 0
SERVER = """
import sys
from pathlib import Path
from fablewright.core.embedded import EmbeddedPostgres

database = EmbeddedPostgres(Path(sys.argv[1]))
print(database.start().pid, flush=True)
sys.stdin.read()
"""


def query(running: Running, sql: str) -> Any:
    """Run one statement over a connection of its own; the first value of its answer."""

    async def ask() -> Any:
        connection = await asyncpg.connect(running.url.replace("+asyncpg", ""))
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    # A thread of its own, so that no event loop of another test is touched.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(ask())).result()


def write_hero(running: Running) -> None:
    query(running, "CREATE TABLE heroes AS SELECT 'Ada' AS name")


def read_hero(running: Running) -> str:
    return str(query(running, "SELECT name FROM heroes"))


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.005)


@contextmanager
def server_process(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """A process of its own that runs `EmbeddedPostgres`, killed without warning at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def leave_orphan(data_dir: Path) -> int:
    """Kill a server process that runs PostgreSQL; the pid of the PostgreSQL that lives on."""
    with server_process(data_dir) as process:
        assert process.stdout is not None
        return int(process.stdout.readline())


@contextmanager
def mounted(path: Path, options: str) -> Iterator[Path]:
    """A small file system in memory, where we may mount one."""
    path.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        pytest.skip(f"intended: may not mount a file system here: {made.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def said() -> list[str]:
    return []


# Starting and stopping.


def test_data_survives_a_restart_and_commits_are_durable(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as database:
        first = database.running
        assert (first.version, first.adopted) == (18, False)
        write_hero(first)
        for setting in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
            assert query(first, f"SHOW {setting}") == "on"
        assert query(first, "SHOW server_encoding") == "UTF8"
        assert query(first, "SELECT lower('ÄÖ')") == "äö"
        assert query(first, "SELECT current_database()") == "fablewright"
    with EmbeddedPostgres(data_dir) as database:
        assert read_hero(database.running) == "Ada"
        assert not database.running.adopted
    assert not list((data_dir / "run").iterdir())


def test_nobody_else_can_come_in(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as database:
        running = database.running
        assert query(running, "SHOW listen_addresses") == ""
        assert stat.S_IMODE(running.socket_dir.stat().st_mode) == 0o700
        assert stat.S_IMODE((data_dir / "postgres-18").stat().st_mode) == 0o700
        for name in ("postgres.log", "postgres.lock", "postgres-18/fablewright.password"):
            assert stat.S_IMODE((data_dir / name).stat().st_mode) == 0o600
        assert "password" not in repr(running) and running.url not in repr(running)
        secret = running.url.split(":")[2].split("@")[0]
        wrong = SimpleNamespace(url=running.url.replace(secret, "guess"))
        with pytest.raises(asyncpg.InvalidPasswordError):
            query(wrong, "SELECT 1")  # type: ignore[arg-type]


def test_it_stands_outside_our_process_group_so_that_ctrl_c_reaches_only_us(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as database:
        assert os.getpgid(database.running.pid) == database.running.pid


def test_start_and_stop_can_be_repeated(data_dir: Path) -> None:
    database = EmbeddedPostgres(data_dir)
    database.stop()
    try:
        assert database.start() is database.start()
    finally:
        database.stop()
    database.stop()
    with pytest.raises(EmbeddedError, match="not running"):
        _ = database.running
    with database:
        assert query(database.running, "SELECT 1") == 1


def test_settings_can_be_overridden(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, settings={"max_connections": "17", "fsync": "off"}) as database:
        assert query(database.running, "SHOW max_connections") == "17"
        assert query(database.running, "SHOW fsync") == "off"
        assert query(database.running, "SHOW synchronous_commit") == "on"


def test_postgresql_16_starts_too(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, version=16) as database:
        assert query(database.running, "SHOW server_version_num").startswith("16")
        assert query(database.running, "SHOW data_checksums") == "on"
        assert database.running.version == 16


def test_a_setting_that_makes_no_sense_is_reported_and_the_folder_is_free_again(data_dir: Path) -> None:
    with pytest.raises(StartFailed, match=r'(?s)shared_buffers.*"plenty"'):
        EmbeddedPostgres(data_dir, settings={"shared_buffers": "plenty"}).start()
    with EmbeddedPostgres(data_dir) as database:
        assert query(database.running, "SELECT 1") == 1


def test_a_server_that_does_not_stop_is_told_ever_more_firmly(
    data_dir: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        embedded, "_STOP_STEPS", ((signal.SIGINT, 0.1), (signal.SIGQUIT, 0.1), (signal.SIGKILL, 10.0))
    )
    database = EmbeddedPostgres(data_dir, on_message=said.append)
    os.kill(database.start().pid, signal.SIGSTOP)
    database.stop()
    assert [message.split()[-1] for message in said] == ["SIGQUIT.", "SIGKILL."]


# One server per folder.


def test_a_second_server_is_refused_and_told_who_has_the_folder(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as database:
        with pytest.raises(DataFolderLocked, match=rf"pid {os.getpid()}\)"):
            EmbeddedPostgres(data_dir).start()
        assert query(database.running, "SELECT 1") == 1


def test_a_server_in_another_process_is_named_too(data_dir: Path) -> None:
    with server_process(data_dir) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        with pytest.raises(DataFolderLocked, match=rf"pid {process.pid}\)"):
            EmbeddedPostgres(data_dir).start()
    with EmbeddedPostgres(data_dir, on_message=lambda _: None) as database:
        assert database.running.adopted


# Killed processes.


def test_a_killed_server_leaves_a_database_that_the_next_one_takes_over(
    data_dir: Path, said: list[str]
) -> None:
    with EmbeddedPostgres(data_dir) as database:
        write_hero(database.running)
    orphan = leave_orphan(data_dir)
    database = EmbeddedPostgres(data_dir, on_message=said.append)
    running = database.start()
    try:
        assert (running.pid, running.adopted) == (orphan, True)
        assert read_hero(running) == "Ada"
    finally:
        database.stop()
    assert not _postgres_host.is_postmaster(orphan, data_dir / "postgres-18")
    assert not (data_dir / "postgres-18" / "postmaster.pid").exists()
    assert "Took over" in said[0]


def test_an_orphan_with_other_settings_is_stopped_in_order_and_replaced(
    data_dir: Path, said: list[str]
) -> None:
    orphan = leave_orphan(data_dir)
    settings = {"max_connections": "21"}
    with EmbeddedPostgres(data_dir, settings=settings, on_message=said.append) as database:
        assert not database.running.adopted
        assert database.running.pid != orphan
        assert query(database.running, "SHOW max_connections") == "21"
    assert "left behind" in said[0]
    assert "not properly shut down" not in (data_dir / "postgres.log").read_text()


def test_an_orphan_that_does_not_answer_is_replaced(data_dir: Path, said: list[str]) -> None:
    leave_orphan(data_dir)
    for socket in (data_dir / "run").iterdir():
        socket.unlink()
    with EmbeddedPostgres(data_dir, on_message=said.append) as database:
        assert query(database.running, "SELECT 1") == 1
        assert not database.running.adopted
    assert "does not answer" in said[0]


def test_a_data_folder_moved_under_an_orphan_is_still_recognised(data_dir: Path, said: list[str]) -> None:
    orphan = leave_orphan(data_dir)
    moved = data_dir.with_name("moved")
    data_dir.rename(moved)
    with EmbeddedPostgres(moved, on_message=said.append) as database:
        assert query(database.running, "SELECT 1") == 1
        assert not _postgres_host.is_postmaster(orphan, moved / "postgres-18")


def test_a_killed_postgresql_recovers_what_was_committed(
    data_dir: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = EmbeddedPostgres(data_dir)
    running = database.start()
    write_hero(running)
    os.kill(running.pid, signal.SIGKILL)
    database.stop()
    monkeypatch.setattr(embedded, "_MESSAGE_EVERY_SECONDS", 0.0)
    with EmbeddedPostgres(data_dir, on_message=said.append) as database:
        assert read_hero(database.running) == "Ada"
    assert "not properly shut down" in (data_dir / "postgres.log").read_text()
    assert any("recovering after an unclean stop" in message for message in said)


@pytest.mark.parametrize("pid_file", ["foreign", "own", "empty", "torn"])
def test_a_stale_pid_file_confuses_nobody(data_dir: Path, pid_file: str) -> None:
    database = EmbeddedPostgres(data_dir)
    running = database.start()
    write_hero(running)
    path = data_dir / "postgres-18" / "postmaster.pid"
    owner = path.stat().st_uid
    os.kill(running.pid, signal.SIGKILL)
    database.stop()
    with subprocess.Popen(["sleep", "600"], user=owner if IS_ROOT else None) as stranger:
        try:
            pid = os.getpid() if pid_file == "own" else stranger.pid
            text = path.read_text().replace(str(running.pid), str(pid), 1)
            path.write_text({"empty": "", "torn": "12x"}.get(pid_file, text))
            with EmbeddedPostgres(data_dir) as database:
                assert read_hero(database.running) == "Ada"
                assert not database.running.adopted
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_kill_during_initdb_leaves_no_half_made_cluster(data_dir: Path) -> None:
    with server_process(data_dir):
        wait_until(lambda: list(data_dir.glob(".new-postgres-*/cluster/base")), "initdb at work")
    assert not (data_dir / "postgres-18").exists()
    with EmbeddedPostgres(data_dir) as database:
        assert query(database.running, "SELECT 1") == 1


def test_leftovers_of_an_interrupted_initdb_are_cleared_away(data_dir: Path) -> None:
    leftover = data_dir / ".new-postgres-18-abc" / "cluster" / "base"
    leftover.mkdir(parents=True)
    with EmbeddedPostgres(data_dir):
        assert not list(data_dir.glob(".new-*"))


# Folders and disks.


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("not a folder")
    for path in (file, file / "data"):
        with pytest.raises(DataFolderUnwritable, match=str(file)):
            EmbeddedPostgres(path).start()
    assert file.read_text() == "not a folder"


def test_a_folder_that_cannot_be_made_is_named() -> None:
    with pytest.raises(DataFolderUnwritable, match="/proc/fablewright"):
        EmbeddedPostgres(Path("/proc/fablewright/data")).start()


@pytest.mark.skipif(IS_ROOT, reason="intended: root may write everywhere")
def test_a_folder_without_write_permission_is_named(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o500)
    with pytest.raises(DataFolderUnwritable, match=str(data_dir)):
        EmbeddedPostgres(data_dir).start()


def test_a_read_only_file_system_is_named(tmp_path: Path) -> None:
    with (
        mounted(tmp_path / "fixed", "size=1m,ro") as path,
        pytest.raises(DataFolderUnwritable, match="ead-only"),
    ):
        EmbeddedPostgres(path).start()


def test_too_little_free_space_is_refused_at_start(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10 * 2**20))
    with pytest.raises(DiskFull, match=rf"Only 10 MB are free for the data folder {data_dir}"):
        EmbeddedPostgres(data_dir).start()


def test_a_disk_that_fills_up_in_initdb_is_named_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "MIN_FREE_BYTES", 0)
    with mounted(tmp_path / "small", "size=20m") as path:
        with pytest.raises(DiskFull, match=rf"no space left for the data folder {path}"):
            EmbeddedPostgres(path).start()
        assert {found.name for found in path.iterdir()} == {"postgres.lock", "run"}


def test_a_disk_that_is_full_at_start_is_named_and_keeps_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "MIN_FREE_BYTES", 0)
    with mounted(tmp_path / "small", "size=100m") as path:
        with EmbeddedPostgres(path) as database:
            write_hero(database.running)
        filler = path / "filler"
        with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(65536))
        with pytest.raises(DiskFull, match=str(path)):
            EmbeddedPostgres(path).start()
        filler.unlink()
        with EmbeddedPostgres(path) as database:
            assert read_hero(database.running) == "Ada"


def test_a_path_too_long_for_a_socket_uses_a_private_folder_elsewhere(tmp_path: Path) -> None:
    data_dir = tmp_path / ("long" * 20) / ("longer" * 15)
    with EmbeddedPostgres(data_dir) as database:
        running = database.running
        assert data_dir not in running.socket_dir.parents
        assert stat.S_IMODE(running.socket_dir.stat().st_mode) == 0o700
        assert running.socket_dir.parent.stat().st_uid == os.geteuid()
        assert query(running, "SELECT 1") == 1
    assert not running.socket_dir.parent.exists()


def test_a_socket_folder_that_is_not_ours_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data_dir = tmp_path / ("long" * 20) / ("longer" * 15)
    with EmbeddedPostgres(data_dir) as database:
        outer = database.running.socket_dir.parent
    outer.symlink_to(tmp_path)
    try:
        with pytest.raises(DataFolderUnwritable, match=str(outer)):
            EmbeddedPostgres(data_dir).start()
    finally:
        outer.unlink()
    if IS_ROOT:
        outer.mkdir()
        try:
            os.chown(outer, 65534, 65534)
            with pytest.raises(DataFolderUnwritable, match="belongs to uid 65534"):
                EmbeddedPostgres(data_dir).start()
        finally:
            outer.rmdir()


def test_a_path_with_unusual_characters_works(tmp_path: Path) -> None:
    for name in ("with space + plus", "Märchen, 100%"):
        with EmbeddedPostgres(tmp_path / name) as database:
            assert query(database.running, "SELECT 1") == 1


def test_a_data_folder_below_a_closed_folder_works_and_changes_no_mode(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with EmbeddedPostgres(closed / "data") as database:
        assert query(database.running, "SELECT 1") == 1
        status = Path(f"/proc/{database.running.pid}/status")
        if IS_ROOT and status.exists():
            lines = dict(line.split(":\t", 1) for line in status.read_text().splitlines())
            assert lines["Uid"].split()[0] != "0"
            assert lines["Groups"].strip() == ""
            assert int(lines["CapEff"], 16) in (1 << 1, 1 << 2)
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert closed.stat().st_uid == os.geteuid()


@pytest.mark.skipif(not IS_ROOT, reason="intended: only root has another user's process to run")
def test_a_cluster_copied_by_root_is_given_to_its_user(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as database:
        write_hero(database.running)
    copy = data_dir.with_name("copy")
    shutil.copytree(data_dir, copy)
    assert (copy / "postgres-18").stat().st_uid == 0
    with EmbeddedPostgres(copy) as database:
        assert read_hero(database.running) == "Ada"


# Versions and platforms.


@pytest.mark.parametrize(("folder", "written_by"), [("postgres-16", "16"), ("postgres-18", "17")])
def test_data_of_another_version_is_refused_untouched(data_dir: Path, folder: str, written_by: str) -> None:
    (data_dir / folder).mkdir(parents=True)
    (data_dir / folder / "PG_VERSION").write_text(f"{written_by}\n")
    with pytest.raises(WrongVersion, match=rf"{written_by}.* PostgreSQL 18"):
        EmbeddedPostgres(data_dir).start()
    assert [path.name for path in (data_dir / folder).iterdir()] == ["PG_VERSION"]


def test_a_folder_that_is_no_cluster_is_refused(data_dir: Path) -> None:
    (data_dir / "postgres-18").mkdir(parents=True)
    with pytest.raises(StartFailed, match="no complete PostgreSQL cluster"):
        EmbeddedPostgres(data_dir).start()


def test_a_version_that_is_not_shipped_is_refused(data_dir: Path) -> None:
    with pytest.raises(WrongVersion, match="use 16 or 18"):
        EmbeddedPostgres(data_dir, version=17).start()


def test_windows_and_a_missing_package_point_to_a_server_of_ones_own(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda _: None)
        with pytest.raises(EmbeddedError, match="FABLEWRIGHT_DATABASE_URL"):
            EmbeddedPostgres(data_dir).start()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "win32")
        with pytest.raises(EmbeddedError, match=r"Windows.*FABLEWRIGHT_DATABASE_URL"):
            EmbeddedPostgres(data_dir).start()
    assert not data_dir.exists()


def test_a_large_log_is_set_aside_at_start(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_LOG_LIMIT_BYTES", 100)
    data_dir.mkdir()
    (data_dir / "postgres.log").write_text("old " * 100)
    with EmbeddedPostgres(data_dir):
        assert "old" not in (data_dir / "postgres.log").read_text()
    assert (data_dir / "postgres.log.1").read_text().startswith("old")
