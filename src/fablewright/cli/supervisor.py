"""Several processes that answer on one address: started, watched, restarted and ended by this one.

Each worker reports over a pipe when it takes connections; the pipe's end tells when it has died. The other
way, a pipe that nobody writes to tells the workers that their supervisor has died: then they end too.
"""

import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fablewright.cli.failures import Failure
from fablewright.cli.serving import GRACE_SECONDS
from fablewright.cli.signals import ENDING
from fablewright.cli.terminal import say
from fablewright.core.clock import monotonic
from fablewright.settings import Settings

QUICK_DEATH_SECONDS = 5.0
"""A worker that lived no longer than this is restarted only after a while, lest we do nothing else."""
RESTART_DELAY_SECONDS = 2.0


@dataclass(slots=True)
class _Worker:
    """A place among the workers, and the process that has it; if none, it is started when `due`."""

    socket: socket.socket
    process: subprocess.Popen[bytes] | None = None
    report: int = -1
    began: float = 0.0
    ready: bool = False
    due: float = 0.0


class Supervisor:
    """Runs one worker per socket until a signal asks it to end."""

    def __init__(
        self, settings: Settings, url: str, sockets: Sequence[socket.socket], started: Callable[[], None]
    ):
        self._workers = [_Worker(s) for s in sockets]
        self._started = started
        self._announced = False
        self._ending = False
        self._metrics = tempfile.mkdtemp(prefix="fablewright-metrics-")
        self._environment = {
            **os.environ,
            "FABLEWRIGHT_DATABASE_URL": url,
            "FABLEWRIGHT_HOST": settings.host,
            "FABLEWRIGHT_PORT": str(settings.port),
            "PROMETHEUS_MULTIPROC_DIR": self._metrics,
        }
        self._life, self._life_end = os.pipe()
        self._selector = selectors.DefaultSelector()

    def run(self) -> None:
        """Start the workers and keep them running. Raises `Failure` if the first ones cannot start."""
        woken, waker = socket.socketpair()
        waker.setblocking(False)
        self._selector.register(woken, selectors.EVENT_READ)
        before = {number: signal.signal(number, self._end) for number in ENDING}
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        try:
            while not self._ending:
                self._start_due()
                self._wait()
        finally:
            self._stop_all()
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._selector.close()
            woken.close()
            waker.close()
            os.close(self._life)
            os.close(self._life_end)
            shutil.rmtree(self._metrics, ignore_errors=True)

    def _end(self, _number: int, _frame: object) -> None:
        self._ending = True

    def _start_due(self) -> None:
        for worker in self._workers:
            if worker.process is None and worker.due <= monotonic():
                self._start(worker)

    def _start(self, worker: _Worker) -> None:
        worker.report, reporting = os.pipe()
        fds = (worker.socket.fileno(), self._life, reporting)
        # A session of its own: Ctrl-C in the terminal is for us, who then end the workers in order.
        worker.process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", "-m", "fablewright.cli.worker", *map(str, fds)],
            pass_fds=fds, env=self._environment, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        os.close(reporting)
        worker.began, worker.ready = monotonic(), False
        self._selector.register(worker.report, selectors.EVENT_READ, worker)

    def _wait(self) -> None:
        """Until a worker reports or dies, a signal comes, or a restart is due."""
        dues = [worker.due - monotonic() for worker in self._workers if worker.process is None]
        for key, _ in self._selector.select(max(0.0, min(dues)) if dues else None):
            if isinstance(key.data, _Worker):
                self._hear(key.data)

    def _hear(self, worker: _Worker) -> None:
        if os.read(worker.report, 1):
            worker.ready = True
            if not self._announced and all(other.ready for other in self._workers):
                self._announced = True
                self._started()
            return
        self._bury(worker)
        if not self._announced and not worker.ready:
            raise Failure("A worker could not start; the lines above say why.")
        lived = monotonic() - worker.began
        worker.due = monotonic() + (RESTART_DELAY_SECONDS if lived < QUICK_DEATH_SECONDS else 0.0)
        say("A worker died and is being restarted.")

    def _bury(self, worker: _Worker) -> None:
        from prometheus_client.multiprocess import mark_process_dead

        assert worker.process is not None
        self._selector.unregister(worker.report)
        os.close(worker.report)
        worker.process.wait()
        mark_process_dead(worker.process.pid, self._metrics)  # type: ignore[no-untyped-call]
        worker.process = None

    def _stop_all(self) -> None:
        """Ask all to end, wait, and kill those that do not."""
        alive = [w.process for w in self._workers if w.process is not None]
        for process in alive:
            process.terminate()
        deadline = monotonic() + 2 * GRACE_SECONDS
        for process in alive:
            while process.poll() is None and monotonic() < deadline:
                time.sleep(0.02)
            process.kill()
            process.wait()
