"""The machine under the embedded PostgreSQL: accounts, folders, processes, and what can be wrong."""

import errno
import hashlib
import os
import re
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

if sys.platform != "win32":
    import pwd

PORT = "5432"  # There is no TCP; the number is only part of the socket's file name.
# What SQLAlchemy and PostgreSQL both take for a folder without quoting rules getting in the way.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_./+@ -]+")
_MAX_SOCKET_PATH_BYTES = 103 if sys.platform == "darwin" else 107


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
class Account:
    """Who PostgreSQL runs as: ourselves, or somebody else if we are root."""

    uid: int
    gid: int

    @property
    def differs(self) -> bool:
        """Whether PostgreSQL runs as somebody else."""
        return self.uid != os.geteuid()

    def command(self, argv: Sequence[str], reach: Sequence[Path]) -> list[str]:
        """The command line that runs `argv` as this account, which must be able to reach these paths."""
        if not self.differs:
            return list(argv)
        shim = str(Path(__file__).with_name("_as_nobody.py"))
        paths = [str(path) for path in reach]
        return [sys.executable, "-I", "-S", shim, str(self.uid), str(self.gid), *paths, "--", *argv]

    def give(self, path: Path) -> None:
        """Let this account own a file or folder."""
        if self.differs:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def give_tree(self, top: Path) -> None:
        """Let this account own a folder and all that is in it."""
        self.give(top)
        for folder, folders, files in os.walk(top):
            for name in (*folders, *files):
                self.give(Path(folder, name))


@contextmanager
def storage_trouble(data_dir: Path) -> Iterator[None]:
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


def nobody() -> Account:
    """The account that root lends to PostgreSQL."""
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return Account(65534, 65534)
    return Account(entry.pw_uid, entry.pw_gid)


def fits_socket(folder: Path) -> bool:
    """Whether a socket in this folder has a path that is short and plain enough."""
    path = os.fsencode(folder / f".s.PGSQL.{PORT}")
    return len(path) <= _MAX_SOCKET_PATH_BYTES and _PLAIN_PATH.fullmatch(str(folder)) is not None


def make_private_folder(path: Path, owner: Account, *, passable: bool = False) -> None:
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


def read_or_empty(path: Path) -> str:
    """A file's text; empty if there is no such file."""
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""


def sync_folder(path: Path) -> None:
    """Let a folder's entries be on disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def pid_in(pid_file: Path) -> int | None:
    """The pid that a pid file begins with; None if there is none."""
    first = read_or_empty(pid_file).split("\n")[0].strip()
    return int(first) if re.fullmatch(r"[1-9][0-9]{0,8}", first) else None


def process_exists(pid: int) -> bool:
    """Whether there is a process with this id, whosever it is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def arguments(pid: int) -> list[str]:
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


def is_postmaster(pid: int, cluster: Path) -> bool:
    """Whether this process is a PostgreSQL server of this cluster: by program, and `-D` or working folder.

    Its sessions are no servers: they show another program name. A data folder that was moved under a running
    server is recognised by the latter, which is the cluster.
    """
    argv = arguments(pid)
    if not argv or Path(argv[0]).name != "postgres":
        return False
    if argv[1:3] == ["-D", str(cluster)]:
        return True
    try:
        return Path(f"/proc/{pid}/cwd").samefile(cluster)
    except OSError:
        # No such view of processes here, or it is somebody else's.
        return False


def open_private(path: Path, flags: int) -> int:
    """Open or make a 0600 file. No link is followed: root may be working in another user's folder."""
    return os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def choose_account(cluster: Path) -> Account:
    """Who PostgreSQL is to run as for this cluster, which need not exist yet."""
    me = os.geteuid()
    owner = cluster.stat() if cluster.exists() else None
    if me != 0:
        if owner is not None and owner.st_uid != me:
            raise DataFolderUnwritable(
                f"{cluster} belongs to uid {owner.st_uid}, and this server runs as uid {me}. Run it"
                " as that user, or give the folder to this one (chown -R)."
            )
        return Account(me, os.getegid())
    somebody = nobody()
    if owner is None:
        return somebody
    if owner.st_uid != 0:
        return Account(owner.st_uid, owner.st_gid or somebody.gid)
    # Root copied the cluster here, as when restoring a backup; PostgreSQL must own it.
    somebody.give_tree(cluster)
    return somebody


def make_socket_dir(data_dir: Path, account: Account) -> Path:
    """The closed folder for the socket: in the data folder, or elsewhere if that one's path is too long."""
    run = data_dir / "run"
    if fits_socket(run):
        make_private_folder(run, account)
        return run
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    for parent in dict.fromkeys((tempfile.gettempdir(), "/tmp")):  # noqa: S108
        outer = Path(parent).resolve() / f"fablewright-{os.geteuid()}-{name}"
        if fits_socket(outer / "run"):
            # Two levels: the outer one is ours to vouch for, the inner one is PostgreSQL's to write in.
            make_private_folder(outer, Account(os.geteuid(), os.getegid()), passable=account.differs)
            make_private_folder(outer / "run", account)
            return outer / "run"
    raise DataFolderUnwritable(
        f"The path {data_dir} is too long or unusual for a unix socket, and so is the temporary"
        " folder's. Use a shorter data folder, or set TMPDIR to a short path."
    )


def disown(pid_file: Path, pid: int) -> None:
    """Keep PostgreSQL from taking a foreign process that got the old pid by chance for its predecessor.

    The file also names the old shared memory, by which PostgreSQL notices sessions that outlived their
    server; so it stays, and gets our own pid: PostgreSQL knows that its parent cannot be its predecessor.
    """
    if process_exists(pid):
        rest = pid_file.read_text().split("\n")[1:]
        pid_file.write_text("\n".join((str(os.getpid()), *rest)))
