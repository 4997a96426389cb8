"""leaderboards."""

from fablewright.core.system import System

system = System(name="leaderboards")
