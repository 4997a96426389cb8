"""Markets: what goods cost in each region, and the routes on which they are traded."""

from fablewright.core.system import System

system = System(name="markets")
