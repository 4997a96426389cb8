"""Real server processes for tests: `fablewright …` on a free port with a data folder of its own."""

import contextlib
import io
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

PATIENCE_SECONDS = 60.0
COMMAND = (sys.executable, "-P", "-m", "fablewright.cli")


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    """What a process of ours sees: nothing of the developer's own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FABLEWRIGHT_")}
    return {**kept, "FABLEWRIGHT_DATA_DIR": str(data_dir), "COLUMNS": "500", **more}


def run(data_dir: Path, *arguments: str, text: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in a process of its own."""
    return subprocess.run(
        [*COMMAND, *arguments], input=text, env=environment(data_dir, **more), cwd=data_dir.parent,
        capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip


def run_here(data_dir: Path, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """The same within this process, which has imported all of it already: a process of its own takes seconds."""
    from fablewright.cli import application

    said, complained, code = io.StringIO(), io.StringIO(), 0
    with (
        mock.patch.dict(os.environ, environment(data_dir), clear=True),
        mock.patch.object(sys, "argv", ["fablewright", *arguments]),
        mock.patch.object(sys, "stdin", io.StringIO(text)),
        contextlib.chdir(data_dir.parent),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(complained),
    ):
        try:
            application.run()
        except SystemExit as done:
            code = done.code if isinstance(done.code, int) else int(done.code is not None)
    return subprocess.CompletedProcess(
        ["fablewright", *arguments], code, said.getvalue(), complained.getvalue()
    )


class RunningServer:
    """A process of ours and what it has said so far, on both streams."""

    def __init__(self, process: subprocess.Popen[str], data_dir: Path):
        self.process = process
        self.data_dir = data_dir
        self.said: list[str] = []
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        self.address = ""

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))

    @property
    def websocket_address(self) -> str:
        return self.address.replace("http", "ws", 1)

    def hear(self, pattern: str) -> re.Match[str]:
        """Wait for a line that fits."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"never said {pattern!r}, but:\n" + "\n".join(self.said)) from None
            self.said.append(line)
            if found := re.search(pattern, line):
                return found

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)


@contextmanager
def running(data_dir: Path, *arguments: str, **more: str) -> Iterator[RunningServer]:
    """A server that is ready, ended in order afterwards if it still runs."""
    with subprocess.Popen(
        [*COMMAND, *arguments], env=environment(data_dir, **more), cwd=data_dir.parent, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        server = RunningServer(process, data_dir)
        try:
            server.address = server.hear(r"is ready at (\S+)")[1]
            yield server
        finally:
            if process.poll() is None:
                server.end()


def wait_until(condition: Any, what: str) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.01)
