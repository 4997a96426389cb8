"""One of several processes that answer: `python -m fablewright.cli.worker <socket> <life> <report>`.

Only the supervisor starts it; the arguments are file descriptors. The database's URL comes in the environment,
which others cannot read as they can a command line.
"""

import os
import signal
import socket
import sys
import threading

from fablewright.cli.configuration import load_settings
from fablewright.cli.failures import explain
from fablewright.cli.serving import GRACE_SECONDS, serve_here
from fablewright.cli.signals import end_in_order, end_undisturbed, is_interrupt


def _end_with_supervisor(life: int) -> None:
    """Wait until nobody holds the other end of the pipe; then end, in order if possible."""
    os.read(life, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(2 * GRACE_SECONDS)
    os._exit(1)


def main(arguments: list[str]) -> None:
    """Serve on the socket until asked to end, or until the supervisor dies."""
    bound, life, report = map(int, arguments)
    end_in_order()
    threading.Thread(target=_end_with_supervisor, args=(life,), daemon=True).start()
    try:
        settings = load_settings()
        assert settings.database_url is not None
        serve_here(
            settings, settings.database_url.get_secret_value(), socket.socket(fileno=bound),
            started=lambda: (os.write(report, b"1"), None)[1],
        )  # fmt: skip
    except (KeyboardInterrupt, Exception) as error:
        if is_interrupt(error):
            return
        sentence = explain(error)
        if sentence is None:
            raise
        print(f"fablewright: {sentence}", file=sys.stderr)
        sys.exit(1)
    finally:
        end_undisturbed()


if __name__ == "__main__":
    main(sys.argv[1:])
