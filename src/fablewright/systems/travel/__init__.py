"""Travel: journeys of characters between regions, which take world time and can be barred."""

from fablewright.core.system import System

system = System(name="travel")
