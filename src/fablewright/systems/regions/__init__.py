"""Regions."""

from fablewright.core.system import System

system = System(name="regions")
