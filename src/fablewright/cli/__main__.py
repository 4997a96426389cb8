"""`python -m fablewright.cli`, the same as `fablewright`."""

from fablewright.cli import main

main()
