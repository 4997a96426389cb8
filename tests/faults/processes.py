"""Real server processes for the fault tests: `fablewright serve` in a folder of its own, to be killed.

Only processes that were started here are ever signalled, by their pid.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from fablewright.core._postgres_host import is_postmaster, pid_in
from fablewright.core.embedded import EmbeddedPostgres
from fablewright.settings import Settings
from tests.support import until

READY = re.compile(r"is ready at (http://\S+) ")
START_SECONDS = 60.0
CHECKOUT = Path(__file__).parents[2]
ENVIRONMENT = {
    "FABLEWRIGHT_RATE_LIMIT_PER_MINUTE": "0",
    "FABLEWRIGHT_ADDRESS_LIMIT_PER_MINUTE": "0",
    "FABLEWRIGHT_POLL_SECONDS": "0.2",
    "FABLEWRIGHT_LOG_LEVEL": "warning",
    "FABLEWRIGHT_SIGNING_KEY": "a signing key that is only for tests",
    "PYTHONUNBUFFERED": "1",
    "PYTHONPATH": os.pathsep.join((str(CHECKOUT / "src"), str(CHECKOUT))),
}


class ServerProcess:
    """One `fablewright serve`. It may be started again after it has ended; the data folder stays."""

    def __init__(
        self, folder: Path, *, workers: int = 1, name: str = "server", program: str = "fablewright.cli", **env: str
    ):  # fmt: skip
        self.folder = folder
        self.data = folder / "data"
        self.address = ""
        self._workers = workers
        self._program = program
        self._said = folder / f"{name}.log"
        self._environment = {
            **os.environ, **ENVIRONMENT, "FABLEWRIGHT_DATA_DIR": str(self.data),
            **{f"FABLEWRIGHT_{key.upper()}": value for key, value in env.items()},
        }  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None
        self._heard = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing running that was started here."""
        if error is not None:
            print(self.said[-4000:], file=sys.stderr)
        workers = self.workers() if self._process is not None and self._process.poll() is None else []
        for pid in [*workers, *([self._process.pid] if self._process else [])]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
        postgres = self.postgres()
        if postgres is not None:
            with suppress(ProcessLookupError):
                os.kill(postgres, signal.SIGQUIT)
            wait_gone(postgres)

    @property
    def said(self) -> str:
        """All that it has said, over all its lives."""
        return self._said.read_text() if self._said.exists() else ""

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def lives(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def spawn(self) -> None:
        """Start the process; `ready` waits for it."""
        self._heard = len(self.said)
        arguments = ["serve", "--port", "0", "--workers", str(self._workers)]
        with self._said.open("ab") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", self._program, *arguments],
                env=self._environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            )  # fmt: skip

    async def ready(self) -> Self:
        """Wait until it takes connections; notes its address."""

        async def announced() -> re.Match[str] | None:
            assert self.lives, self.said
            return READY.search(self.said, self._heard)

        self.address = (await until(announced, START_SECONDS))[1]
        return self

    async def start(self) -> Self:
        """Start it, and wait until it takes connections."""
        self.spawn()
        return await self.ready()

    def postgres(self) -> int | None:
        """The pid of the embedded PostgreSQL of the data folder, if one lives."""
        cluster = self.data / "postgres-18"
        pid = pid_in(cluster / "postmaster.pid")
        return pid if pid is not None and is_postmaster(pid, cluster) else None

    def workers(self) -> list[int]:
        """The pids of its worker processes."""
        return [pid for pid, command in children_of(self.pid) if "fablewright.cli.worker" in command]

    def database_url(self) -> str:
        """URL of the embedded PostgreSQL."""
        return EmbeddedPostgres.attach(self.data).url

    def kill(self) -> None:
        """Kill the process without warning, and nothing else."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def terminate(self) -> None:
        """Ask it to end."""
        assert self._process is not None
        self._process.terminate()

    async def ended(self, seconds: float = 30.0) -> int:
        """Wait until it has ended; its exit code."""

        async def code() -> tuple[int] | None:
            assert self._process is not None
            found = self._process.poll()
            return None if found is None else (found,)

        return int((await until(code, seconds))[0])

    def settings(self) -> Settings:
        """Settings for looking at its database from here."""
        return Settings(_env_file=None, data_dir=self.data, log_level="warning")


def children_of(pid: int) -> list[tuple[int, str]]:
    """Pid and command line of each child of a process."""
    with suppress(psutil.NoSuchProcess):
        return [(child.pid, " ".join(child.cmdline())) for child in psutil.Process(pid).children()]
    return []


def gone(pid: int) -> bool:
    """Whether a process has ended (a zombie that nobody has waited for has)."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def wait_gone(pid: int, seconds: float = 20.0) -> None:
    """Wait until a process has ended."""
    deadline = time.monotonic() + seconds
    while not gone(pid):
        assert time.monotonic() < deadline, f"process {pid} does not end"
        time.sleep(0.01)


@contextmanager
def own_cluster(folder: Path) -> Iterator[str]:
    """URL of a PostgreSQL of the test's own, for several nodes."""
    with EmbeddedPostgres(folder / "cluster") as postgres:
        yield postgres.running.url
