"""The two consoles of the command line: results on standard output, everything else on standard error."""

from contextlib import suppress

from rich.console import Console

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def say(sentence: str) -> None:
    """A sentence for the operator, on standard error. A full disk behind it must not end the server."""
    with suppress(OSError):
        err.print(sentence, style="dim", markup=False)
