"""`fablewright …`: the command line. It builds the application and runs it."""


def main() -> None:
    """The console script."""
    from fablewright.cli.application import run

    run()
