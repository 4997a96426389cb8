"""points."""

from fablewright.core.system import System

system = System(name="points")
