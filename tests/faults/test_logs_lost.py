"""A log that cannot be written must not be what breaks a command, or ends the server."""

import io
import sys
from pathlib import Path

import pytest

from fablewright.cli import terminal
from fablewright.gateway.logs import PatientFile

pytestmark = pytest.mark.fault


class Disk(io.StringIO):
    """A file on a disk that may be full."""

    full = False

    def write(self, text: str) -> int:
        """Write, if there is room."""
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(text)


def test_lines_that_cannot_be_written_are_counted_and_told_later() -> None:
    disk = Disk()
    file = PatientFile(disk)
    file.write("one\n")
    disk.full = True
    file.write("two\n")
    file.write("three\n")
    disk.full = False
    file.write("four\n")
    assert disk.getvalue() == "one\n2 log lines could not be written.\nfour\n"


def test_a_closed_file_and_a_full_device_are_borne() -> None:
    closed = io.StringIO()
    closed.close()
    PatientFile(closed).write("nobody reads this\n")
    device = Path("/dev/full")
    if not device.exists():
        pytest.skip("intended: this system has no /dev/full")
    # Unbuffered below, so that nothing is left to be written when it is closed.
    with io.TextIOWrapper(device.open("wb", buffering=0), write_through=True) as full:
        PatientFile(full).write("no room\n")


def test_the_operators_sentences_are_borne_too(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk()
    disk.full = True
    monkeypatch.setattr(sys, "stderr", disk)
    terminal.say("PostgreSQL had died.")
    assert disk.getvalue() == ""
    disk.full = False
    terminal.say("It was started again.")
    assert disk.getvalue() == "PostgreSQL had died.\nIt was started again.\n"
