"""custom_events."""

from fablewright.core.system import System

system = System(name="custom_events")
