"""Runs the PostgreSQL that comes with the package: a cluster in a data folder, reached by unix socket only.

What it promises:

- **One server per data folder.** An exclusive lock on `postgres.lock`, which the kernel frees when we die.
- **Committed means on disk.** `fsync`, `synchronous_commit`, `full_page_writes` are on; pages have checksums.
- **No half-made cluster.** `initdb` works in a folder beside, which is renamed when it is complete.
- **No stranger.** No TCP. The socket lies in a 0700 folder, and a random password is asked for too (SCRAM;
  kept 0600 inside the cluster folder, so that a copied cluster keeps working). The folder would do while its
  mode is right; the password is the second lock for the day somebody opens it, and costs one file.
- **No lost orphan.** If the server is killed, PostgreSQL lives on. The next start takes it over if it is
  provably ours and was started exactly as we would start it; else it stops it in order and starts anew.
- **No dead database under a living server.** `revive` starts it again if it died (see `keeper.py`).
- **Patience.** Crash recovery takes as long as it takes; we say so every five seconds.

**As root:** PostgreSQL refuses to run as root, so it runs as the owner of an existing cluster, or as `nobody`
for a new one; the cluster and socket folders belong to that user. No user is created, and no folder above is
changed. Where that user cannot reach the programs or the data folder (as under `/root`), PostgreSQL gets the
single Linux capability CAP_DAC_READ_SEARCH, or CAP_DAC_OVERRIDE in containers that withhold the former (see
`_as_nobody.py`). A database superuser could then read (or write) any file of the machine, and other processes
of `nobody` can always touch the cluster. Running the server as an ordinary user avoids both.
"""

import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from fablewright.core._postgres_host import (
    PORT,
    Account,
    DataFolderLocked,
    DataFolderUnwritable,
    DiskFull,
    EmbeddedError,
    StartFailed,
    WrongVersion,
    arguments,
    choose_account,
    disown,
    is_postmaster,
    make_socket_dir,
    open_private,
    pid_in,
    read_or_empty,
    storage_trouble,
    sync_folder,
)
from fablewright.core._postgres_programs import (
    OTHER_DATABASE,
    SERVER_SETTINGS,
    Programs,
    environment,
    find_binaries,
    url_of,
)
from fablewright.core.clock import monotonic
from fablewright.core.dice import random_token

__all__ = [
    "DataFolderLocked",
    "DataFolderUnwritable",
    "DiskFull",
    "EmbeddedError",
    "EmbeddedPostgres",
    "Running",
    "StartFailed",
    "WrongVersion",
]

if sys.platform != "win32":
    import fcntl

_log = logging.getLogger(__name__)

MIN_FREE_BYTES = 64 * 1024 * 1024
"""Less free space than this at start is refused: PostgreSQL would stop at the next write-ahead file."""

_PASSWORD_FILE = "fablewright.password"  # noqa: S105
_POLL_SECONDS = 0.02
_LEFTOVERS_POLL_SECONDS = 0.25
_MESSAGE_EVERY_SECONDS = 5.0
# A server whose lock file was taken over notices within a minute and ends.
_LEFTOVERS_SECONDS = 90.0
_LOG_LIMIT_BYTES = 10 * 1024 * 1024
_STOP_STEPS = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 15.0), (signal.SIGKILL, 15.0))


@dataclass(frozen=True, slots=True)
class Running:
    """A PostgreSQL that accepts connections."""

    url: str = field(repr=False)
    """SQLAlchemy URL (`postgresql+asyncpg`) for the superuser, with the password in it: don't log it."""
    pid: int
    socket_dir: Path
    version: int
    """Major version."""
    adopted: bool
    """Whether it was already running, left behind by a server that was killed."""


class EmbeddedPostgres:
    """One PostgreSQL cluster in `data_dir`, from start to stop. Blocking; only `revive` may be called in another
    thread than the rest.

    `version` is the major version, 16 or 18. `settings` go over our own server settings (for tests: turning
    `fsync` off gives up durability). `on_message` hears sentences for the operator in long waits and rescues.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        version: int = 18,
        settings: Mapping[str, str] | None = None,
        on_message: Callable[[str], None] = _log.warning,
    ) -> None:
        self._data_dir = Path(data_dir)
        self._version = version
        self._settings = {**SERVER_SETTINGS, **(settings or {})}
        self._say = on_message
        self._lock_fd: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._running: Running | None = None
        self._changing = threading.Lock()
        self._socket_dir = Path()
        self._account = Account(0, 0)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @staticmethod
    def attach(data_dir: Path, *, version: int = 18) -> Running:
        """The PostgreSQL that another process runs in this data folder. It is not ours to stop.

        Raises `EmbeddedError` if none is there that takes connections, or if it is not for us to read.
        """
        cluster = Path(data_dir).resolve() / f"postgres-{version}"
        with storage_trouble(cluster.parent):
            pid_file = cluster / "postmaster.pid"
            pid, lines = pid_in(pid_file), read_or_empty(pid_file).split("\n")
            ready = len(lines) > 7 and lines[7].strip() == "ready"
            if pid is None or not ready or not is_postmaster(pid, cluster):
                raise EmbeddedError(
                    f"No PostgreSQL {version} is ready in {cluster.parent}, though a server holds the folder."
                    " Try again when that server has started."
                )
            password = (cluster / _PASSWORD_FILE).read_text().strip()
        return Running(url_of(password, Path(lines[4])), pid, Path(lines[4]), version, adopted=False)

    @property
    def running(self) -> Running:
        """What `start` returned; an `EmbeddedError` if it is not running."""
        if self._running is None:
            raise EmbeddedError("The embedded PostgreSQL is not running; start it first.")
        return self._running

    def start(self) -> Running:
        """Start PostgreSQL, or take over one that a killed server left behind, and wait until it can be used.

        Makes the data folder, the cluster and the database if absent. Returns at once if already started.
        Raises a subclass of `EmbeddedError`; then nothing is left running or locked.
        """
        if sys.platform == "win32":
            raise EmbeddedError(
                f"The embedded PostgreSQL does not run on Windows: use WSL, {OTHER_DATABASE}."
            )
        if self._running is not None:
            return self._running
        try:
            self._running = self._start()
        except BaseException:
            self._abandon()
            raise
        return self._running

    def stop(self) -> None:
        """Stop PostgreSQL in order (its "fast" way: sessions end, all is written) and free the data folder.

        Does nothing if it is not running. If it has not ended after 30 s it is told to stop at once, which
        costs a recovery at the next start but no committed data.
        """
        with self._changing:
            running, self._running = self._running, None
            try:
                if running is not None:
                    self._end(running.pid)
                self._remove_socket_dir()
            finally:
                self._release()

    def revive(self) -> bool:
        """Start PostgreSQL again if it has died by itself, at the same URL; returns whether it had.

        Raises a subclass of `EmbeddedError` if it cannot be started now; calling again tries again.
        """
        with self._changing:
            if self._running is None or self._lives(self._running.pid):
                return False
            with storage_trouble(self._data_dir):
                self._check_space()
                password = (self._cluster / _PASSWORD_FILE).read_text().strip()
                try:
                    pid = self._adopt(password) or self._launch()
                except BaseException:
                    if self._process is not None:
                        self._end(self._process.pid)
                    raise
            self._running = replace(self._running, pid=pid, adopted=False)
            return True

    # Start, step by step.

    def _start(self) -> Running:
        binaries = find_binaries(self._version)
        with storage_trouble(self._data_dir):
            self._open_data_dir()
            self._check_version()
            self._account = choose_account(self._cluster)
            self._programs = Programs(binaries, self._version, self._account, self._data_dir, self._log_file)
            self._socket_dir = make_socket_dir(self._data_dir, self._account)
            if not self._cluster.exists():
                self._initialise()
            password = (self._cluster / _PASSWORD_FILE).read_text().strip()
            pid = self._adopt(password)
            adopted = pid is not None
            if pid is None:
                pid = self._launch()
                self._programs.create_database(password, self._socket_dir)
        return Running(url_of(password, self._socket_dir), pid, self._socket_dir, self._version, adopted)

    @property
    def _cluster(self) -> Path:
        return self._data_dir / f"postgres-{self._version}"

    @property
    def _log_file(self) -> Path:
        return self._data_dir / "postgres.log"

    def _open_data_dir(self) -> None:
        """Make and lock the data folder, and clear away what an interrupted initdb left."""
        # For root the folder lets others pass, though not list, so that PostgreSQL needs no capability to
        # enter.
        self._data_dir.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        self._data_dir = self._data_dir.resolve()
        self._lock()
        self._check_space()
        for leftover in self._data_dir.glob(".new-postgres-*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def _check_space(self) -> None:
        free = shutil.disk_usage(self._data_dir).free
        if free < MIN_FREE_BYTES:
            raise DiskFull(
                f"Only {free // 2**20} MB are free for the data folder {self._data_dir}; PostgreSQL needs at"
                f" least {MIN_FREE_BYTES // 2**20} MB to start. Free some space, or use another data folder."
            )

    def _lock(self) -> None:
        path = self._data_dir / "postgres.lock"
        fd = open_private(path, os.O_RDWR)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(fd, 20).decode(errors="replace").strip()
            os.close(fd)
            raise DataFolderLocked(
                f"The data folder {self._data_dir} is in use by another Fablewright server (pid"
                f" {holder or 'unknown'}). Stop that one first, or give this one another data folder."
            ) from None
        self._lock_fd = fd
        os.ftruncate(fd, 0)
        os.write(fd, f"{os.getpid()}\n".encode())

    def _check_version(self) -> None:
        if self._cluster.exists():
            found = read_or_empty(self._cluster / "PG_VERSION").strip()
            if not found:
                raise StartFailed(
                    f"{self._cluster} is no complete PostgreSQL cluster. Move it away, or restore a backup."
                )
            if found != str(self._version):
                raise WrongVersion(
                    f"{self._cluster} was written by PostgreSQL {found}, and this is PostgreSQL"
                    f" {self._version}. Put the data back where it came from, or dump it with the old version"
                    " and load it here."
                )
            return
        others = [path.name for path in self._data_dir.glob("postgres-*") if (path / "PG_VERSION").exists()]
        if others:
            found = ", ".join(sorted(others))
            raise WrongVersion(
                f"{self._data_dir} holds data of another major version ({found}), and this is"
                f" PostgreSQL {self._version}. Dump it with the old version and load it here, or use"
                " another data folder; nothing was changed."
            )

    # Making the cluster.

    def _initialise(self) -> None:
        work = Path(tempfile.mkdtemp(prefix=f".new-postgres-{self._version}-", dir=self._data_dir))
        try:
            self._account.give(work)
            password_file, made = work / "password", work / "cluster"
            with os.fdopen(open_private(password_file, os.O_WRONLY), "w") as file:
                file.write(random_token(32) + "\n")
                file.flush()
                os.fsync(file.fileno())
            self._account.give(password_file)
            self._programs.initdb(made, password_file)
            password_file.rename(made / _PASSWORD_FILE)
            sync_folder(made)
            made.rename(self._cluster)
            sync_folder(self._data_dir)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    # Orphans.

    def _adopt(self, password: str) -> int | None:
        """The pid of a PostgreSQL left behind that we now use; None if there is none or it was stopped."""
        pid_file = self._cluster / "postmaster.pid"
        pid = pid_in(pid_file)
        if pid is None:
            # Empty or torn, which PostgreSQL would refuse to overwrite; our lock says that nobody is at it.
            pid_file.unlink(missing_ok=True)
            return None
        if not is_postmaster(pid, self._cluster):
            disown(pid_file, pid)
            return None
        if arguments(pid) == self._server_command() and self._await_ready(pid):
            try:
                self._programs.create_database(password, self._socket_dir)
            except EmbeddedError as error:
                self._say(
                    f"PostgreSQL (pid {pid}) was left behind by a killed server and does not answer: {error}"
                )
            else:
                self._say(f"Took over PostgreSQL (pid {pid}), left behind by a server that was killed.")
                return pid
        self._say(f"Stopping PostgreSQL (pid {pid}), left behind by a killed server, to start it anew.")
        self._end(pid)
        return None

    # Running.

    def _server_command(self) -> list[str]:
        own = {
            "listen_addresses": "",
            "port": PORT,
            "unix_socket_directories": f'"{self._socket_dir}"',
            "unix_socket_permissions": "0700",
        }
        argv = [str(self._programs.folder / "postgres"), "-D", str(self._cluster)]
        for name, value in {**self._settings, **own}.items():
            argv += ["-c", f"{name}={value}"]
        return argv

    def _launch(self) -> int:
        """Start the server and wait until it is ready; its pid."""
        began = said_at = monotonic()
        while True:
            said_before = self._spawn()
            assert self._process is not None
            if self._await_ready(self._process.pid):
                return self._process.pid
            said = self._log_file.read_bytes()[said_before:].decode(errors="replace")
            now = monotonic()
            # Sessions of a server killed a moment ago may still be ending; they hold its shared memory.
            if "pre-existing shared memory" not in said or now - began > _LEFTOVERS_SECONDS:
                raise self._programs.failure("PostgreSQL did not start", said)
            if now - said_at >= _MESSAGE_EVERY_SECONDS:
                said_at = now
                self._say("Waiting for the last sessions of the previous PostgreSQL to end…")
            time.sleep(_LEFTOVERS_POLL_SECONDS)

    def _spawn(self) -> int:
        """Start the process; the size of the log before it, in bytes."""
        for stale in self._socket_dir.glob(".s.PGSQL.*"):
            stale.unlink(missing_ok=True)
        if self._log_file.exists() and self._log_file.stat().st_size > _LOG_LIMIT_BYTES:
            self._log_file.replace(self._log_file.with_name("postgres.log.1"))
        log = open_private(self._log_file, os.O_WRONLY | os.O_APPEND)
        try:
            size = os.fstat(log).st_size
            # A session of its own: Ctrl-C in the terminal is for us, who then stop PostgreSQL in order.
            self._process = subprocess.Popen(  # noqa: S603
                self._account.command(
                    self._server_command(), self._programs.reach(self._cluster, self._socket_dir)
                ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(),
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise StartFailed(f"{self._programs.folder / 'postgres'} cannot be run: {error}.") from error
        finally:
            os.close(log)
        return size

    def _await_ready(self, pid: int) -> bool:
        """Wait until this PostgreSQL takes connections. False if it ended or is stopping instead."""
        began = said = monotonic()
        pid_file = self._cluster / "postmaster.pid"
        while self._lives(pid):
            lines = read_or_empty(pid_file).split("\n")
            status = lines[7].strip() if len(lines) > 7 and lines[0] == str(pid) else ""
            if status == "ready":
                return True
            if status == "stopping":
                return False
            now = monotonic()
            if now - said >= _MESSAGE_EVERY_SECONDS:
                said = now
                self._say(
                    "PostgreSQL is recovering after an unclean stop; this can take a while"
                    f" ({now - began:.0f} s so far)…"
                )
            time.sleep(_POLL_SECONDS)
        return False

    # Stopping.

    def _lives(self, pid: int) -> bool:
        if self._process is not None and self._process.pid == pid:
            return self._process.poll() is None
        return is_postmaster(pid, self._cluster)

    def _end(self, pid: int) -> None:
        """Stop this PostgreSQL, ever more firmly, and wait until it is gone."""
        for number, patience in _STOP_STEPS:
            if not self._lives(pid):
                return
            if number is not signal.SIGINT:
                self._say(f"PostgreSQL (pid {pid}) does not stop; sending {number.name}.")
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                return
            began = monotonic()
            while self._lives(pid) and monotonic() - began < patience:
                time.sleep(_POLL_SECONDS)
        if self._lives(pid):
            raise EmbeddedError(f"PostgreSQL (pid {pid}) cannot be stopped; look at why the system holds it.")

    def _abandon(self) -> None:
        """After a failed start: leave nothing running that we started, and free the folder."""
        try:
            if self._process is not None:
                self._end(self._process.pid)
        finally:
            self._release()

    def _remove_socket_dir(self) -> None:
        """Take away the folder in the temporary folder, if the socket had to live there."""
        if self._socket_dir.is_absolute() and self._socket_dir.parent != self._data_dir:
            shutil.rmtree(self._socket_dir.parent, ignore_errors=True)

    def _release(self) -> None:
        self._process = None
        fd, self._lock_fd = self._lock_fd, None
        if fd is None:
            return
        os.ftruncate(fd, 0)
        # Unlock by name: a forked worker may share the open file, and closing our copy would not free it.
        fcntl.flock(fd, fcntl.LOCK_UN)
        os.close(fd)
