"""`fablewright …`: the command line. It builds the application and runs it."""

import gc

# What is imported stays, and a batch of commands makes thousands of objects that all go with it: a collector that looks
# after every 700 new ones finds nothing, at a sixth of the time of a start and a tenth of that of a batch.
gc.set_threshold(10_000, 10, 10)


def main() -> None:
    """The console script."""
    from fablewright.cli.application import run

    run()
