"""`fablewright serve`: the database, the schema, and one or several processes that answer."""

import socket
from collections.abc import Callable

from fablewright.cli.databases import migrate, owned_database
from fablewright.cli.serving import Beside, address_of, listen, serve_here
from fablewright.cli.signals import end_in_order, end_undisturbed, is_interrupt
from fablewright.cli.terminal import err
from fablewright.core.clock import monotonic
from fablewright.settings import Settings


def serve(settings: Settings, *, workers: int = 1, began: float, beside: Beside | None = None) -> None:
    """Serve until a signal asks us to end. `began` is when the command did, by `monotonic()`."""
    end_in_order()
    sockets = listen(settings.host, settings.port, workers)
    try:
        with owned_database(settings, workers=workers) as url:
            migrate(url, settings)
            started = _announcement(sockets[0], began, workers)
            if workers == 1:
                serve_here(settings, url, sockets[0], started=started, beside=beside)
            else:
                from fablewright.cli.supervisor import Supervisor

                Supervisor(settings, url, sockets, started).run()
    except (KeyboardInterrupt, Exception) as error:
        if not is_interrupt(error):
            raise
        err.print("Stopped.", style="dim")
    finally:
        end_undisturbed()


def _announcement(bound: socket.socket, began: float, workers: int) -> Callable[[], None]:
    def announce() -> None:
        many = "" if workers == 1 else f" with {workers} workers"
        err.print(
            f"[bold]Fablewright[/] is ready at [bold]{address_of(bound)}[/]{many}"
            f" in {monotonic() - began:.2f} s. Ctrl-C ends it."
        )

    return announce
